"""Threads in Postgres; needs the packages of `mm4st[postgres]`. See `threads`, which opens either."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from typing import Any, cast

import psycopg
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import ChannelVersions, Checkpoint, CheckpointMetadata
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from psycopg import conninfo
from psycopg.rows import DictRow, dict_row

from mm4st_agent.agent.threads import BEFORE, LOCK_TIMEOUT_S, SERDE, PostgresThreads
from mm4st_agent.errors import ServerError, UsageError
from mm4st_agent.settings import without_login

CONNECT_S = 10
"""How long to wait for a database that does not answer."""

_COLUMNS = {
    "checkpoints": "checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata",
    "checkpoint_blobs": "channel, version, type, blob",
    "checkpoint_writes": "checkpoint_id, task_id, task_path, idx, channel, type, blob",
}
_BEGUN = "CREATE TABLE IF NOT EXISTS mm4st_begun (thread_id TEXT PRIMARY KEY, turn INTEGER NOT NULL)"
_TABLES = (*_COLUMNS, "mm4st_begun")
_UNREFERENCED = """
    DELETE FROM checkpoint_blobs b WHERE thread_id = %s AND checkpoint_ns = %s AND NOT EXISTS (
        SELECT 1 FROM checkpoints c, jsonb_each_text(c.checkpoint -> 'channel_versions') v
        WHERE c.thread_id = b.thread_id AND c.checkpoint_ns = b.checkpoint_ns
        AND v.key = b.channel AND v.value = b.version
    )
"""
_SETUP_LOCK = 0x6D6D347374  # "mm4st"


class PostgresSaver(AsyncPostgresSaver):
    """Keeps the latest checkpoint of a thread, as `LatestSaver` does."""

    conn: psycopg.AsyncConnection[DictRow]

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        values = {name: _storable(value) for name, value in checkpoint["channel_values"].items()}
        checkpoint = cast("Checkpoint", {**checkpoint, "channel_values": values})
        saved = await super().aput(config, checkpoint, metadata, new_versions)
        latest = saved["configurable"]
        thread = latest["thread_id"], latest["checkpoint_ns"]
        async with self.lock, self.conn.transaction():
            for table in ("checkpoints", "checkpoint_writes"):
                await self.conn.execute(
                    f"DELETE FROM {table} WHERE thread_id = %s AND checkpoint_ns = %s AND checkpoint_id < %s",
                    (*thread, latest["checkpoint_id"]),
                )
            await self.conn.execute(_UNREFERENCED, thread)
        return saved

    async def begin(self, thread: str, turn: int, *, again: bool) -> None:
        """See `Saver`."""
        async with self.lock, self.conn.transaction():
            found = await self.conn.execute("SELECT turn FROM mm4st_begun WHERE thread_id = %s", (thread,))
            begun = await found.fetchone()
            known = again and begun is not None and begun["turn"] == turn
            source, target = (BEFORE, "") if known else ("", BEFORE)
            for table, columns in _COLUMNS.items():
                await self.conn.execute(
                    f"DELETE FROM {table} WHERE thread_id = %s AND checkpoint_ns = %s", (thread, target)
                )
                await self.conn.execute(
                    f"INSERT INTO {table} (thread_id, checkpoint_ns, {columns})"
                    f" SELECT thread_id, %s, {columns} FROM {table} WHERE thread_id = %s AND checkpoint_ns = %s",
                    (target, thread, source),
                )
            await self.conn.execute(
                "INSERT INTO mm4st_begun VALUES (%s, %s) ON CONFLICT (thread_id) DO UPDATE SET turn = excluded.turn",
                (thread, turn),
            )

    async def setup(self) -> None:
        """Make what is missing. Only one process does so at a time, and one that finds all waits for nobody."""
        if await self._is_ready():
            return
        started = time.monotonic()
        while True:  # a wait for the lock inside of Postgres would keep CREATE INDEX CONCURRENTLY from its end
            got = await (await self.conn.execute("SELECT pg_try_advisory_lock(%s) AS got", (_SETUP_LOCK,))).fetchone()
            if got is not None and got["got"]:
                break
            if time.monotonic() - started > LOCK_TIMEOUT_S:
                raise psycopg.OperationalError("another process has been setting it up for too long")
            await asyncio.sleep(0.05)
        try:
            await super().setup()
            await self.conn.execute(_BEGUN)
        finally:
            await self.conn.execute("SELECT pg_advisory_unlock(%s)", (_SETUP_LOCK,))

    async def _is_ready(self) -> bool:
        try:
            found = await self.conn.execute(
                "SELECT max(v) AS v, to_regclass('mm4st_begun') IS NOT NULL AS begun FROM checkpoint_migrations"
            )
        except psycopg.errors.UndefinedTable:
            return False
        row = await found.fetchone()
        return row is not None and bool(row["begun"]) and row["v"] == len(self.MIGRATIONS) - 1


@asynccontextmanager
async def open_database(place: PostgresThreads) -> AsyncGenerator[PostgresSaver]:
    """Connect, and make the tables where they are missing.

    Raises:
        UsageError: the address is no address of a database.
        ServerError: the database does not answer, or refuses.
    """
    with _readable_errors(place):
        connection = await psycopg.AsyncConnection.connect(
            _address(place), autocommit=True, prepare_threshold=0, row_factory=dict_row
        )
        async with connection:
            saver = PostgresSaver(connection, serde=SERDE)
            await saver.setup()
            yield saver


def forget(place: PostgresThreads, thread: str) -> None:
    """Remove a thread and what was kept of it.

    Raises:
        UsageError, ServerError: as for `open_database`.
    """
    with _readable_errors(place), psycopg.connect(_address(place)) as connection:
        for table in _TABLES:
            found = connection.execute("SELECT to_regclass(%s)", (table,)).fetchone()
            if found is not None and found[0] is not None:
                connection.execute(f"DELETE FROM {table} WHERE thread_id = %s", (place.key(thread),))


def database_version(place: PostgresThreads) -> str:
    """What the database says it is, such as `15.14`.

    Raises:
        UsageError, ServerError: as for `open_database`.
    """
    with _readable_errors(place), psycopg.connect(_address(place)) as connection:
        found = connection.execute("SHOW server_version").fetchone()
        return str(found[0] if found else "")


@cache
def _address(place: PostgresThreads) -> str:
    try:
        given: dict[str, Any] = conninfo.conninfo_to_dict(place.url.get_secret_value())
        return conninfo.make_conninfo(**{"connect_timeout": CONNECT_S, "application_name": "mm4st", **given})
    except psycopg.ProgrammingError:  # its words have the address, with the password
        raise UsageError(
            "MM4ST_POSTGRES_URL is not what Postgres takes as an address.",
            "It must look like postgresql://user:password@host:5432/database.",
        ) from None


@contextmanager
def _readable_errors(place: PostgresThreads) -> Generator[None]:
    try:
        yield
    except (psycopg.OperationalError, psycopg.InterfaceError, psycopg.errors.InsufficientPrivilege) as err:
        reason = " ".join(str(err).split()).rstrip(".") or type(err).__name__
        raise ServerError(
            f"The Postgres database at {without_login(place.url)} does not answer as it should: {reason}.",
            "Start it, and let its user create tables there; or unset MM4ST_POSTGRES_URL to keep threads in the home.",
        ) from err


def _storable(value: Any) -> Any:
    """Postgres takes neither a NUL nor half a surrogate pair into the JSON that short texts go to."""
    if not isinstance(value, str):
        return value
    return value.replace("\0", "").encode("utf-8", "replace").decode("utf-8")
