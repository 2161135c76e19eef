"""Threads in Postgres; needs the packages of `mm4st[postgres]`. See `threads`, which opens either."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any, ClassVar, TypeAlias, cast

import psycopg
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import ChannelVersions, Checkpoint, CheckpointMetadata
from langgraph.checkpoint.postgres._ainternal import get_connection
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from psycopg import conninfo
from psycopg.rows import DictRow, dict_row, tuple_row
from psycopg_pool import AsyncConnectionPool

from mm4st_agent.agent.threads import LOCK_TIMEOUT_S, SERDE, PostgresThreads
from mm4st_agent.agent.threads_rows import Execute, LatestRows
from mm4st_agent.errors import ServerError, UsageError
from mm4st_agent.settings import without_login

Connection: TypeAlias = psycopg.AsyncConnection[DictRow]
Pool: TypeAlias = AsyncConnectionPool[Connection]
_OPTIONS: Mapping[str, Any] = {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row}

CONNECT_S = 10
"""How long to wait for a database that does not answer, or for a free connection."""
MOST_CONNECTIONS = 8
"""Of one event loop to one database, however many questions are asked at once."""

_UNREFERENCED = """
    DELETE FROM checkpoint_blobs b WHERE thread_id = %s AND checkpoint_ns = %s AND NOT EXISTS (
        SELECT 1 FROM checkpoints c, jsonb_each_text(c.checkpoint -> 'channel_versions') v
        WHERE c.thread_id = b.thread_id AND c.checkpoint_ns = b.checkpoint_ns
        AND v.key = b.channel AND v.value = b.version
    )
"""
_SETUP_LOCK = 0x6D6D347374  # "mm4st"


class PostgresSaver(LatestRows, AsyncPostgresSaver):
    """Keeps the latest checkpoint of a thread, as `LatestSaver` does."""

    columns: ClassVar[Mapping[str, str]] = {
        "checkpoints": "checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata",
        "checkpoint_blobs": "channel, version, type, blob",
        "checkpoint_writes": "checkpoint_id, task_id, task_path, idx, channel, type, blob",
    }
    steps = ("checkpoints", "checkpoint_writes")
    begun = "mm4st_begun"

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
        async with self._transaction() as execute:
            await self._keep_only(execute, saved)
            await execute(_UNREFERENCED, (latest["thread_id"], latest["checkpoint_ns"]))
        return saved

    @asynccontextmanager
    async def _transaction(self) -> AsyncGenerator[Execute]:
        async with self.lock, get_connection(self.conn) as connection, connection.transaction():

            async def execute(statement: str, values: Sequence[Any]) -> Sequence[Sequence[Any]]:
                async with connection.cursor(row_factory=tuple_row) as cursor:
                    await cursor.execute(statement.replace("?", "%s"), values)
                    return await cursor.fetchall() if cursor.description else []

            yield execute


@asynccontextmanager
async def open_database(place: PostgresThreads) -> AsyncGenerator[PostgresSaver]:
    """Threads of a database, whose tables are made where they are missing.

    Questions of one event loop share connections, each of which is taken for one step only.

    Raises:
        UsageError: the address is no address of a database.
        ServerError: the database does not answer, or refuses.
    """
    with _readable_errors(place):
        async with _connections(_address(place)) as pool:
            yield PostgresSaver(pool, serde=SERDE)


@dataclass
class _Shared:
    """The connections of one event loop to one database, and how many questions use them."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    pool: Pool | None = None
    users: int = 0


_SHARED: dict[tuple[asyncio.AbstractEventLoop, str], _Shared] = {}


@asynccontextmanager
async def _connections(address: str) -> AsyncGenerator[Pool]:
    """Those that questions asked at the same time share; closed with the last of them, as their loop may end then."""
    key = asyncio.get_running_loop(), address
    shared = _SHARED.setdefault(key, _Shared())
    shared.users += 1
    try:
        async with shared.lock:
            if shared.pool is None:
                await _make_ready(address)
                shared.pool = await _opened(address)
        yield shared.pool
    finally:
        shared.users -= 1
        if not shared.users:
            del _SHARED[key]
            if shared.pool is not None:
                await shared.pool.close()


async def _opened(address: str) -> Pool:
    pool: Pool = AsyncConnectionPool(
        address, connection_class=Connection, kwargs=dict(_OPTIONS), min_size=0, max_size=MOST_CONNECTIONS, open=False,
        timeout=CONNECT_S, check=AsyncConnectionPool.check_connection,
    )  # fmt: skip
    await pool.open()
    return pool


async def _make_ready(address: str) -> None:
    """Make what is missing, by a connection of its own: its error says what is wrong, a pool only that it waited.

    Only one process does so at a time, and one that finds all waits for nobody.
    """
    async with await Connection.connect(address, **_OPTIONS) as connection:
        if await _is_ready(connection):
            return
        started = time.monotonic()
        while True:  # a wait for the lock inside of Postgres would keep CREATE INDEX CONCURRENTLY from its end
            got = await (await connection.execute("SELECT pg_try_advisory_lock(%s) AS got", (_SETUP_LOCK,))).fetchone()
            if got is not None and got["got"]:
                break
            if time.monotonic() - started > LOCK_TIMEOUT_S:
                raise psycopg.OperationalError("another process has been setting it up for too long")
            await asyncio.sleep(0.05)
        saver = PostgresSaver(connection, serde=SERDE)
        try:
            await saver.setup()
            await connection.execute(saver._made())
        finally:
            await connection.execute("SELECT pg_advisory_unlock(%s)", (_SETUP_LOCK,))


async def _is_ready(connection: Connection) -> bool:
    try:
        found = await connection.execute(
            "SELECT max(v) AS v, to_regclass('mm4st_begun') IS NOT NULL AS begun FROM checkpoint_migrations"
        )
    except psycopg.errors.UndefinedTable:
        return False
    row = await found.fetchone()
    return row is not None and bool(row["begun"]) and row["v"] == len(PostgresSaver.MIGRATIONS) - 1


def forget(place: PostgresThreads, thread: str) -> None:
    """Remove a thread and what was kept of it.

    Raises:
        UsageError, ServerError: as for `open_database`.
    """
    with _readable_errors(place), psycopg.connect(_address(place)) as connection:
        for table in (*PostgresSaver.columns, PostgresSaver.begun):
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
