"""What a person asked and was told: the conversations of a home, in one SQLite file beside the graph's own threads."""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from filelock import FileLock, Timeout
from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from mm4st_agent.agent.answer import Answer
from mm4st_agent.agent.manifest import RUNS, forget_manifests, rate_manifest
from mm4st_agent.errors import UsageError

if TYPE_CHECKING:
    from mm4st_agent.agent.threads import Threads

FILE, THREADS_FILE, LOCKS = "conversations.sqlite", "threads.sqlite", "threads"
"""In the home: the conversations, the graph's threads, and the folder with a lock file for each thread."""
LONGEST_TITLE = 120
"""Characters."""

Rating = Literal["up", "down"]
State = Literal["running", "answered", "stopped", "failed"]

_TITLE_OF_QUESTION = 60
_WAIT_S = 30.0
"""How long a write waits for another process that writes to the same file."""
_ANOTHER_VERSION = "This answer was written by another version of mm4st and cannot be shown."
_SCHEMA = """
    CREATE TABLE IF NOT EXISTS conversations (
        thread TEXT PRIMARY KEY, title TEXT, dataset TEXT NOT NULL, created TEXT NOT NULL, updated TEXT NOT NULL
    );
    CREATE TABLE IF NOT EXISTS turns (
        thread TEXT NOT NULL, n INTEGER NOT NULL, question TEXT NOT NULL, asked_at TEXT NOT NULL, state TEXT NOT NULL,
        message TEXT, answer TEXT, rating TEXT, PRIMARY KEY (thread, n)
    );
"""
_LISTED = """
    SELECT thread, title, dataset, created, updated,
        (SELECT count(*) FROM turns WHERE turns.thread = latest.thread),
        (SELECT question FROM turns WHERE turns.thread = latest.thread ORDER BY n LIMIT 1)
    FROM (SELECT * FROM conversations ORDER BY updated DESC LIMIT ?) AS latest ORDER BY updated DESC
"""
_READ = "SELECT n, question, asked_at, state, message, answer, rating FROM turns WHERE thread = ?"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class Turn(_Part):
    """One question and what came of it.

    Attributes:
        n: Which question of the conversation, from 1.
        question: The person's words; a reply to a question of ours is a turn, too.
        state: A turn that runs in no process any more is stopped.
        message: Why it failed, as a sentence; None where it did not.
        answer: None unless it was answered.
    """

    n: int
    question: str
    asked_at: AwareDatetime
    state: State
    message: str | None = None
    answer: Answer | None = None
    rating: Rating | None = None


class Conversation(_Part):
    """One line of the list: the title is the first question in short until the person gives another."""

    thread: str
    title: str
    dataset: str
    created: AwareDatetime
    updated: AwareDatetime
    turns: int


_Turns = list[Turn]  # inside of the class below, `list` is its method
_Conversations = list[Conversation]


class Conversations:
    """The conversations of one home; many threads and processes may use the same file at once.

    Args:
        file: Made when missing, on first use. The locks of threads and the run manifests lie beside it.
        threads: Where the graph's threads are; None is a file beside it.
    """

    def __init__(self, file: Path, threads: Threads | None = None) -> None:
        self.file = file
        self._home = file.parent
        self._threads = threads or self._home / THREADS_FILE
        self._lock = threading.Lock()
        self._opened: sqlite3.Connection | None = None

    # -- for people ---------------------------------------------------------------------------

    def list(self, limit: int = 200) -> _Conversations:
        """The conversations, those that were used last first."""
        with self._transaction("DEFERRED") as connection:
            rows = connection.execute(_LISTED, (limit,)).fetchall()
        names = ("thread", "title", "dataset", "created", "updated", "turns")
        return [
            Conversation.model_validate(dict(zip(names, row, strict=True)) | {"title": row[1] or _short(first)})
            for *row, first in rows
        ]

    def turns(self, thread: str) -> _Turns:
        """All turns of a conversation, oldest first.

        Raises:
            UsageError: there is no such conversation.
        """
        found = self._settled(thread)
        if not found:
            raise _unknown(thread)
        return found

    def turn(self, thread: str, n: int) -> Turn:
        """One turn of a conversation.

        Raises:
            UsageError: there is no such conversation or turn.
        """
        found = self._settled(thread, n)
        if not found:
            last = self.turns(thread)[-1].n
            raise UsageError(f"The conversation {thread!r} has no question {n}.", f"Its last one is {last}.")
        return found[0]

    def rename(self, thread: str, title: str) -> None:
        """Give a conversation another title.

        Raises:
            UsageError: the title is empty or too long, or there is no such conversation.
        """
        title = " ".join(title.split())
        if not 1 <= len(title) <= LONGEST_TITLE:
            said = f"has {len(title)} characters" if title else "is empty"
            raise UsageError(f"The title {said}.", f"Give one of 1 to {LONGEST_TITLE} characters.")
        with self._transaction() as connection:
            done = connection.execute("UPDATE conversations SET title = ? WHERE thread = ?", (title, thread))
        if not done.rowcount:
            raise _unknown(thread)

    def delete(self, thread: str) -> None:
        """Remove a conversation with all that was kept for it; pictures stay, as other answers may show them.

        Raises:
            UsageError: there is no such conversation, it is being answered, or a file cannot be removed.
        """
        from mm4st_agent.agent.threads import forget

        if not self._read(thread):
            raise _unknown(thread)
        lock = self.hold(thread)
        if lock is None:
            raise UsageError(f"An answer in the conversation {thread!r} is still under way.", "Stop it, then delete.")
        try:
            with _our_errors(self._home):
                forget(self._threads, thread)
                forget_manifests(self._home / RUNS, thread)
            with self._transaction() as connection:  # last, so that what failed before can be tried again
                connection.execute("DELETE FROM turns WHERE thread = ?", (thread,))
                connection.execute("DELETE FROM conversations WHERE thread = ?", (thread,))
            Path(lock.lock_file).unlink(missing_ok=True)  # while held: who waits for it finds that it is gone
        finally:
            lock.release()

    def rate(self, thread: str, n: int, rating: Rating | None) -> None:
        """Keep what the person thinks of an answer, here and with its manifest; None takes it back.

        Raises:
            UsageError: there is no such turn, it has no answer, or a file cannot be written.
            DataError: the manifest is none any more.
        """
        if rating not in ("up", "down", None):
            raise UsageError(f"An answer cannot be rated {rating!r}.", "Say 'up', 'down' or None.")
        answer = self.turn(thread, n).answer
        if answer is None:
            raise UsageError(f"Question {n} of the conversation {thread!r} has no answer to rate.")
        with self._transaction() as connection:
            connection.execute("UPDATE turns SET rating = ? WHERE thread = ? AND n = ?", (rating, thread, n))
        if answer.manifest is not None:
            with _our_errors(Path(answer.manifest)):
                rate_manifest(Path(answer.manifest), rating)

    # -- for who answers ----------------------------------------------------------------------

    def hold(self, thread: str) -> FileLock | None:
        """Take a thread for oneself, also against other processes; None where somebody has it.

        Raises:
            UsageError: the folder of the locks cannot be used.
        """
        folder = self._home / LOCKS
        name = hashlib.sha256(thread.encode()).hexdigest()[:16]
        with _our_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(folder / f"{name}.lock", timeout=0, thread_local=False)
            try:
                lock.acquire()
            except Timeout:
                return None
        return lock

    def begin(self, thread: str, question: str, dataset: str, *, instead_of_last: bool = False) -> int:
        """Write down a question that is now answered, and say which of the conversation it is; hold the thread."""
        now = _now()
        with self._transaction() as connection:
            # Nobody else answers in the thread, so that what still seems to run was killed.
            connection.execute("UPDATE turns SET state = 'stopped' WHERE thread = ? AND state = 'running'", (thread,))
            (last,) = connection.execute("SELECT coalesce(max(n), 0) FROM turns WHERE thread = ?", (thread,)).fetchone()
            n = max(1, int(last) + (not instead_of_last))
            connection.execute(
                "INSERT INTO conversations (thread, dataset, created, updated) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (thread) DO UPDATE SET updated = excluded.updated",
                (thread, dataset, now, now),
            )
            if n == 1:  # the first question says what a conversation is about
                connection.execute("UPDATE conversations SET dataset = ? WHERE thread = ?", (dataset, thread))
            connection.execute(
                "INSERT OR REPLACE INTO turns (thread, n, question, asked_at, state) VALUES (?, ?, ?, ?, 'running')",
                (thread, n, question, now),
            )
        return n

    def finish(self, thread: str, n: int, answer: Answer) -> None:
        """Write the answer down."""
        self._end(thread, n, "answered", answer=answer.model_dump_json())

    def stop(self, thread: str, n: int) -> None:
        """Write down that nobody waits for an answer any more."""
        self._end(thread, n, "stopped")

    def fail(self, thread: str, n: int, message: str) -> None:
        """Write down why there is no answer, as a sentence."""
        self._end(thread, n, "failed", message=message)

    def _end(self, thread: str, n: int, state: State, message: str | None = None, answer: str | None = None) -> None:
        with self._transaction() as connection:
            connection.execute(
                "UPDATE turns SET state = ?, message = ?, answer = ? WHERE thread = ? AND n = ?",
                (state, message, answer, thread, n),
            )
            connection.execute("UPDATE conversations SET updated = ? WHERE thread = ?", (_now(), thread))

    # -- the file -----------------------------------------------------------------------------

    def _read(self, thread: str, n: int | None = None) -> _Turns:
        """The turns as the file has them, or the one of them."""
        with self._transaction("DEFERRED") as connection:
            if n is None:
                rows = connection.execute(f"{_READ} ORDER BY n", (thread,)).fetchall()
            else:
                rows = connection.execute(f"{_READ} AND n = ?", (thread, n)).fetchall()
        return [_turn(*row) for row in rows]

    def _settled(self, thread: str, n: int | None = None) -> _Turns:
        """As `_read`, but what runs in no process any more is stopped."""
        found = self._read(thread, n)
        if all(turn.state != "running" for turn in found) or (lock := self.hold(thread)) is None:
            return found
        try:
            found = self._read(thread, n)  # it may have ended between the two looks
        finally:
            lock.release()
        return [turn.model_copy(update={"state": "stopped"}) if turn.state == "running" else turn for turn in found]

    @contextmanager
    def _transaction(self, kind: Literal["DEFERRED", "IMMEDIATE"] = "IMMEDIATE") -> Generator[sqlite3.Connection]:
        """The open file, for what is done wholly or not at all; to read only, "DEFERRED" waits for no writer."""
        with self._lock, _our_errors(self.file):
            if self._opened is None:
                self._opened = _open(self.file)
            connection = self._opened
            try:
                connection.execute(f"BEGIN {kind}")
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                self._opened = None  # closing takes back what was begun; the next one finds the file as it is then
                connection.close()
                raise


def _open(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(file, timeout=_WAIT_S, isolation_level=None, check_same_thread=False)
    try:
        # A killed process loses nothing by these, and a write does not wait for the disk.
        if connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
            with FileLock(f"{file}.lock", timeout=_WAIT_S):  # of several who set it, SQLite refuses some at once
                connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.executescript(_SCHEMA)
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def _our_errors(place: Path) -> Generator[None]:
    """A disk that is full or cannot be written is nobody's bug."""
    try:
        yield
    except (sqlite3.Error, OSError) as err:
        reason = getattr(err, "strerror", None) or str(err)
        raise UsageError(
            f"{place} cannot be read or written: {reason}.",
            "Set MM4ST_HOME to a folder of your own, on a disk with room.",
        ) from err


def _turn(
    n: int, question: str, asked_at: str, state: State, message: str | None, answer: str | None, rating: Rating | None
) -> Turn:
    told = None
    if answer is not None:
        try:
            told = Answer.model_validate_json(answer)
        except ValidationError:
            state, message = "failed", _ANOTHER_VERSION
    asked = datetime.fromisoformat(asked_at)
    return Turn(n=n, question=question, asked_at=asked, state=state, message=message, answer=told, rating=rating)


def _short(question: str) -> str:
    """A question as a title: whole, or its first words."""
    words = " ".join(question.split())
    if len(words) <= _TITLE_OF_QUESTION:
        return words
    start = words[:_TITLE_OF_QUESTION]
    return f"{start.rpartition(' ')[0] or start}..."


def _now() -> str:
    """A text that sorts as the moment does."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def _unknown(thread: str) -> UsageError:
    return UsageError(f"There is no conversation {thread!r}.", "It may have been deleted; start a new one.")
