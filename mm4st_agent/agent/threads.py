"""Where threads are kept: a SQLite file or a Postgres database, of each thread the latest complete step only."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar

import aiosqlite
from filelock import AsyncFileLock
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import ChannelVersions, Checkpoint, CheckpointMetadata
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from pydantic import SecretStr

from mm4st_agent.agent.answer import Claim
from mm4st_agent.agent.ledger import Evidence, EvidenceValue
from mm4st_agent.agent.threads_rows import Execute, LatestRows
from mm4st_agent.errors import UsageError
from mm4st_agent.toolspec import ImageHandle, Passage

if TYPE_CHECKING:
    from mm4st_agent.agent.threads_postgres import PostgresSaver

STORED_TYPES = (Evidence, EvidenceValue, Claim, Passage, ImageHandle)
"""Our types inside a stored thread; the checkpointer restores no others."""

SERDE = JsonPlusSerializer(allowed_msgpack_modules=STORED_TYPES)

LOCK_TIMEOUT_S = 30.0
"""How long a write waits for another process that writes to the same threads."""


@dataclass(frozen=True)
class PostgresThreads:
    """Threads in a database that several processes share.

    Attributes:
        url: Has a password as a rule, which nothing shows.
        owner: Whose: a person's name, or None for nobody in particular. Nobody opens a thread of another owner.
    """

    url: SecretStr
    owner: str | None = None

    def key(self, thread: str) -> str:
        """The name of a thread in the database; no name of a person has a slash."""
        return f"{self.owner or ''}/{thread}"


Threads = Path | PostgresThreads
"""A SQLite file, or a database."""


class LatestSaver(LatestRows, AsyncSqliteSaver):
    """Keeps the latest checkpoint of a thread; each holds the whole state, so that older ones would only take room."""

    columns: ClassVar[Mapping[str, str]] = {
        "checkpoints": "checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata",
        "writes": "checkpoint_id, task_id, task_path, idx, channel, type, value",
    }
    steps = ("checkpoints", "writes")
    begun = "begun"

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        saved = await super().aput(config, checkpoint, metadata, new_versions)
        async with self._transaction() as execute:
            await self._keep_only(execute, saved)
        return saved

    async def setup(self) -> None:
        first = not self.is_setup
        await super().setup()
        if first:
            await self.conn.execute(self._made())

    @asynccontextmanager
    async def _transaction(self) -> AsyncGenerator[Execute]:
        await self.setup()
        async with self.lock:
            await self.conn.execute("BEGIN IMMEDIATE")
            try:
                yield self._execute
                await self.conn.execute("COMMIT")
            except BaseException:
                await self.conn.rollback()
                raise

    async def _execute(self, statement: str, values: Sequence[Any]) -> Sequence[Sequence[Any]]:
        return list(await self.conn.execute_fetchall(statement, values))


def thread_key(place: Threads, thread: str) -> str:
    """What a thread is called in a place."""
    return thread if isinstance(place, Path) else place.key(thread)


def forget(place: Threads, thread: str) -> None:
    """Remove a thread and what was kept of it.

    Raises:
        sqlite3.Error: the file cannot be written.
        UsageError, ServerError: as for `open_threads`.
    """
    if isinstance(place, PostgresThreads):
        _postgres().forget(place, thread)
        return
    if not place.exists():
        return
    with closing(sqlite3.connect(place, timeout=LOCK_TIMEOUT_S, isolation_level=None)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (table,) in tables:  # each of them has the thread's name
            connection.execute(f"DELETE FROM {table} WHERE thread_id = ?", (thread,))


@asynccontextmanager
async def open_threads(place: Threads) -> AsyncGenerator[LatestSaver | PostgresSaver]:
    """Open all threads of a place, which is made ready when it is new.

    Each statement commits by itself, so that a run that is stopped half-way holds no lock, and room
    that is freed goes back to the disk.

    Raises:
        UsageError: the file cannot be read or written, or the disk is full; or what Postgres needs is not installed.
        ServerError: the database does not answer, or refuses.
    """
    if isinstance(place, PostgresThreads):
        async with _postgres().open_database(place) as saver:
            yield saver
        return
    try:
        async with aiosqlite.connect(place, isolation_level=None, timeout=LOCK_TIMEOUT_S) as connection:
            await _make_ready(connection, place)
            # A killed process loses no step by this, and each step saves a wait for the disk.
            await connection.execute("PRAGMA synchronous = NORMAL")
            yield LatestSaver(connection, serde=SERDE)
    except sqlite3.Error as err:
        raise _unusable(place, err) from err


async def _make_ready(connection: aiosqlite.Connection, place: Path) -> None:
    """Settings that stay with a file. One at a time: of several who set them, SQLite refuses some without waiting."""
    if list(await connection.execute_fetchall("PRAGMA journal_mode")) == [("wal",)]:
        return
    try:
        async with AsyncFileLock(f"{place}.lock", timeout=LOCK_TIMEOUT_S, poll_interval=0.01):
            await connection.execute("PRAGMA auto_vacuum = FULL")  # only a file without tables takes it
            await connection.execute("PRAGMA journal_mode = WAL")
    except OSError as err:
        raise _unusable(place, err) from err


def _unusable(place: Path, err: Exception) -> UsageError:
    return UsageError(
        f"{place} cannot be read or written: {err}.", "Set MM4ST_HOME to a folder of your own, on a disk with room."
    )


def _postgres() -> ModuleType:
    """The module that needs packages which not everyone installs.

    Raises:
        UsageError: they are not here.
    """
    try:
        from mm4st_agent.agent import threads_postgres
    except ImportError as err:
        raise UsageError(
            f"MM4ST_POSTGRES_URL needs packages that are not installed ({err}).",
            "Install them: pip install 'mm4st[postgres]'. Or unset it, to keep threads in the home.",
        ) from err
    return threads_postgres
