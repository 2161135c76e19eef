"""A process of its own that reads an uploaded file: it can be ended at any moment, and takes nobody else with it.

It takes one JSON line on stdin and writes JSON lines on stdout: `{"stage", "done", "total"}` now and then, and at last
one of `{"review"}`, `{"stored"}` and `{"failure"}`. It ends when stdin does, as then nobody waits any more.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any, NoReturn

from pydantic import BaseModel

from mm4st_agent.errors import MM4STError

SAY_EVERY_S = 0.2


class Task(BaseModel):
    """What to do with an upload.

    Attributes:
        path: The file.
        label: What the person calls it.
        corrections: See `Corrections`.
        folder: Where the data set is stored; None only looks at it.
    """

    path: Path
    label: str
    corrections: dict[str, Any]
    folder: Path | None = None


def main() -> None:
    """Do the task that stdin names."""
    # What libraries print must not end up between our lines.
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    signal.signal(signal.SIGTERM, _leave)
    os.nice(5)  # answers come first
    task = Task.model_validate_json(sys.stdin.readline())
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    said = 0.0

    def say(**line: Any) -> None:
        out.write(json.dumps(line, allow_nan=False) + "\n")
        out.flush()

    def progress(stage: str, done: int, total: int) -> None:
        nonlocal said
        if done == total or time.monotonic() - said >= SAY_EVERY_S:
            said = time.monotonic()
            say(stage=stage, done=done, total=total)

    say(**_done(task, progress))


def _done(task: Task, progress: Any) -> dict[str, Any]:
    from mm4st_agent.data.store import store_draft
    from mm4st_agent.web.upload_files import no_room
    from mm4st_agent.web.upload_reading import failure_of, review_of, understand
    from mm4st_agent.web.upload_review import Corrections

    try:
        corrections = Corrections.of(task.corrections)
        draft = understand(task.path, task.label, corrections, progress)
        if task.folder is None:
            return {"review": review_of(draft, task.path, task.label, corrections, progress).model_dump(mode="json")}
        store_draft(draft, task.folder, progress=lambda done, total: progress("storing", done, total))
        return {"stored": task.folder.name}
    except OSError as err:
        return {"failure": failure_of(no_room(err), task.path, task.label).model_dump(mode="json")}
    except MM4STError as err:
        return {"failure": failure_of(err, task.path, task.label).model_dump(mode="json")}


def _leave(*_: object) -> NoReturn:
    """Unwind, so that what is half written is deleted."""
    sys.exit(128 + signal.SIGTERM)


def _leave_with_parent() -> None:
    # Not by way of sys.stdin, whose lock the interpreter wants when it ends.
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
