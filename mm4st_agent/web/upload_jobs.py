"""Uploads that are under way: each has a folder, a state that the page asks for, and at times a process that reads."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from mm4st_agent.data.store import clear_leftovers, remove_panel
from mm4st_agent.web.upload_files import no_room, sweep
from mm4st_agent.web.upload_review import Corrections, Failure, Review
from mm4st_agent.web.upload_worker import Task

log = logging.getLogger(__name__)

AT_ONCE = 2
"""Files that are read at the same time, of all people; others wait."""
MOST = 3
"""Uploads that one person may have open; a further one takes the place of the oldest."""
ABANDONED_S = 3600.0
"""An upload that nobody asked for so long is deleted."""
TERMINATE_S = 3.0
"""How long a process may take to clean up before it is killed."""
BUG = Failure(
    message="Sorry, reading this file went wrong, and that is a bug in mm4st, not in your file.",
    hint="The server's log has the details.",
)
NO_MEMORY = Failure(
    message="Reading this file took more memory than the server has.",
    hint="Send a shorter period or fewer places, or save it as CSV or Parquet, which are read in parts.",
)

Stage = Literal["waiting", "reading", "checking", "drawing", "storing", "review", "failed", "stored"]


class Status(BaseModel):
    """Where an upload stands.

    Attributes:
        stage: 'waiting' for others, then what is done at the moment, or how it ended.
        done: Of `total` steps; both are 0 while that is not known.
        corrections: As the last look at the file had them.
        review: Of 'review', and kept while it is stored.
        failure: Of 'failed'.
        dataset: Of 'stored'.
    """

    model_config = ConfigDict(frozen=True)

    stage: Stage = "waiting"
    done: int = 0
    total: int = 0
    corrections: Corrections = Corrections()
    review: Review | None = None
    failure: Failure | None = None
    dataset: str | None = None

    @property
    def busy(self) -> bool:
        return self.stage not in ("review", "failed", "stored")


class Upload:
    """One file that somebody sent.

    Args:
        path: The file, alone in its folder.
        label: What the person calls it.
        turns: Lets a few processes run at a time.
    """

    def __init__(self, path: Path, label: str, turns: threading.Semaphore) -> None:
        self.path, self.label, self.folder = path, label, path.parent
        self.status = Status()
        self.asked = time.monotonic()
        self._turns = turns
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._thread: threading.Thread | None = None
        self._cancelled = threading.Event()

    @property
    def id(self) -> str:
        return self.folder.name

    def start(self, corrections: Corrections, folder: Path | None = None) -> bool:
        """Look at the file anew, or store it in `folder`; False while something is being done with it."""
        with self._lock:
            if self._cancelled.is_set() or (self._thread is not None and self._thread.is_alive()):
                return False
            self.status = Status(corrections=corrections, review=self.status.review)
            self._thread = threading.Thread(target=self._run, args=[corrections, folder], daemon=True)
            self._thread.start()
            return True

    def cancel(self) -> None:
        """End whatever is done with the file, and delete all that there is of it; returns when that is so."""
        self._cancelled.set()
        with self._lock:
            if self._process is not None:
                self._process.terminate()
        if self._thread is not None:
            self._thread.join()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, corrections: Corrections, folder: Path | None) -> None:
        while not self._turns.acquire(timeout=0.1):
            if self._cancelled.is_set():
                return
        try:
            self._follow(Task(path=self.path, label=self.label, corrections=corrections.model_dump(), folder=folder))
        except OSError as err:
            full = no_room(err)
            self._end(failure=Failure(message=full.message, hint=full.hint))
        except Exception:
            if not self._cancelled.is_set():  # then its pipes may break anywhere
                log.exception("Reading an upload ended in a bug.")
                self._end(failure=BUG)
        finally:
            self._turns.release()

    def _follow(self, task: Task) -> None:
        """Run the process to its end, and keep what it says."""
        scratch = self.folder / "scratch"
        scratch.mkdir(exist_ok=True)
        complaints = scratch / "stderr"
        # -P: a file that somebody sent is never taken for a module.
        command = [sys.executable, "-P", "-m", "mm4st_agent.web.upload_worker"]
        with complaints.open("w") as stderr:
            with self._lock:
                if self._cancelled.is_set():
                    return
                self._process = subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, text=True, encoding="utf-8",
                    env={**os.environ, "TMPDIR": str(scratch)},
                )  # fmt: skip
            with self._process as process:
                watch = threading.Thread(target=self._kill_late, args=[process], daemon=True)
                watch.start()
                last = self._listen(process, task)
                process.wait()
        self._process = None
        self._finish(task, last, process.returncode, complaints)

    def _listen(self, process: subprocess.Popen[str], task: Task) -> dict[str, Any]:
        assert process.stdin is not None
        assert process.stdout is not None
        last: dict[str, Any] = {}
        try:
            process.stdin.write(task.model_dump_json() + "\n")
            process.stdin.flush()
        except BrokenPipeError:  # it was ended before it began
            return last
        for line in process.stdout:
            last = json.loads(line)
            if "stage" in last:
                self.status = self.status.model_copy(update=last)
        return last

    def _finish(self, task: Task, last: dict[str, Any], code: int, complaints: Path) -> None:
        if task.folder is not None and code != 0:
            clear_leftovers(task.folder.parent)
        if self._cancelled.is_set():
            if task.folder is not None and "stored" in last:  # it was faster than the person
                remove_panel(task.folder)
            return
        if "review" in last:
            self._end(stage="review", review=Review.model_validate(last["review"]))
        elif "stored" in last:
            shutil.rmtree(self.folder, ignore_errors=True)
            self._end(stage="stored", dataset=last["stored"])
        elif "failure" in last:
            self._end(failure=Failure.model_validate(last["failure"]))
        elif code == -9:
            self._end(failure=NO_MEMORY)
        else:
            log.error("Reading an upload ended with %s: %s", code, complaints.read_text(errors="replace")[-4000:])
            self._end(failure=BUG)

    def _end(self, stage: Stage = "failed", **update: Any) -> None:
        self.status = self.status.model_copy(update={"stage": stage, **update})

    def _kill_late(self, process: subprocess.Popen[str]) -> None:
        """End a process that does not end by itself once it was told to."""
        while process.poll() is None:
            if self._cancelled.wait(0.2):
                try:
                    process.wait(TERMINATE_S)
                except subprocess.TimeoutExpired:
                    process.kill()
                return


class Uploads:
    """All uploads of this server, by the uploads folder of their person."""

    def __init__(self) -> None:
        self._open: dict[Path, dict[str, Upload]] = {}
        self._lock = threading.Lock()
        self._turns = threading.Semaphore(AT_ONCE)
        self._unwanted: deque[Path] = deque(maxlen=1000)

    def add(self, path: Path, label: str) -> Upload | None:
        """Take over a file that has arrived; the person's oldest upload goes where there are too many.

        Returns:
            None where it was cancelled while it arrived; then nothing is left of it.
        """
        upload = Upload(path, label, self._turns)
        with self._lock:
            if upload.folder in self._unwanted:
                upload.cancel()
                return None
            mine = self._open.setdefault(upload.folder.parent, {})
            mine[upload.id] = upload
            extra = list(mine.values())[:-MOST]
            for old in extra:
                del mine[old.id]
        for old in extra:
            old.cancel()
        return upload

    def get(self, uploads: Path, name: str) -> Upload | None:
        """A person's upload; None where they have no such one."""
        found = self._open.get(uploads, {}).get(name)
        if found is not None:
            found.asked = time.monotonic()
        return found

    def remove(self, uploads: Path, name: str) -> bool:
        """Cancel an upload, whatever is being done with it; False where there is none, which may still arrive."""
        with self._lock:
            found = self._open.get(uploads, {}).pop(name, None)
            self._unwanted.append(uploads / name)
        if found is not None:
            found.cancel()
        return found is not None

    def sweep(self, uploads: Path, arriving: frozenset[str] = frozenset()) -> None:
        """Delete a person's uploads that were left, also those of a server before this one."""
        mine = self._open.get(uploads, {})
        for upload in list(mine.values()):
            if time.monotonic() - upload.asked > ABANDONED_S:
                self.remove(uploads, upload.id)
        sweep(uploads, {*mine, *arriving}, ABANDONED_S)
