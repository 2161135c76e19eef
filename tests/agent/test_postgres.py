"""Threads in a real Postgres, by the setting alone."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Annotated, Any

import pytest
from click.testing import CliRunner
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.messages.tool import tool_call
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import SecretStr

from mm4st_agent.agent.chat import AgentContext, ChatModel, Session
from mm4st_agent.agent.run import run_agent
from mm4st_agent.agent.run_events import Finished, ToolFinished
from mm4st_agent.agent.threads import PostgresThreads, forget, open_threads
from mm4st_agent.cli.local_checks import check_postgres
from mm4st_agent.errors import ServerError, UsageError
from mm4st_agent.runtime import Runtime
from mm4st_agent.settings import load_settings
from mm4st_agent.toolspec import Measured, ToolIn, ToolOut, ToolSpec, Unit

psycopg = pytest.importorskip("psycopg", reason="the packages of mm4st[postgres] are not installed")
MOST_CONNECTIONS = pytest.importorskip("mm4st_agent.agent.threads_postgres").MOST_CONNECTIONS

PASSWORD = "s3cret-w0rd"


def _programs() -> Path:
    """Where `initdb` and `pg_ctl` are."""
    found = shutil.which("pg_ctl") or next(
        iter(sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin/pg_ctl")), reverse=True)), None
    )
    if found is None:
        pytest.skip("PostgreSQL is not installed here")
    return Path(found).parent


class Server:
    """A Postgres of its own; it refuses to run as root, so that root starts it as `postgres`."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            self.port = int(taken.getsockname()[1])
        self._programs, self._folder = _programs(), folder
        self._as: dict[str, Any] = {}
        if os.getuid() == 0:
            try:
                user = pwd.getpwnam("postgres")
            except KeyError:
                pytest.skip("there is no user 'postgres', and PostgreSQL does not run as root")
            os.chown(folder, user.pw_uid, user.pw_gid)
            self._as = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        secret = folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        self._run("initdb", "-U", "jane", "-A", "scram-sha-256", f"--pwfile={secret}", "-E", "UTF8", "--locale=C")

    def start(self) -> None:
        options = f"-p {self.port} -h 127.0.0.1 -k {self._folder} -F"
        self._run("pg_ctl", "-w", "-l", str(self._folder / "log"), "-o", options, "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-w", "-m", "immediate", "stop")

    def url(self, database: str = "postgres", password: str = PASSWORD) -> SecretStr:
        return SecretStr(f"postgresql://jane:{password}@127.0.0.1:{self.port}/{database}")

    def database(self, name: str) -> PostgresThreads:
        """A new and empty one."""
        with psycopg.connect(self.url().get_secret_value(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return PostgresThreads(self.url(name))

    def rows(self, place: PostgresThreads, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(place.url.get_secret_value()) as connection:
            return list(connection.execute(query).fetchall())

    def _run(self, program: str, *args: str) -> None:
        command = [str(self._programs / program), "-D", str(self._folder / "data"), *args]
        done = subprocess.run(
            command, stdout=subprocess.PIPE if program == "initdb" else subprocess.DEVNULL, stderr=subprocess.STDOUT,
            text=True, cwd=self._folder, check=False, timeout=120, **self._as,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    folder = Path(tempfile.mkdtemp(prefix="mm4st-postgres-"))  # pytest's folders are closed to other users
    running = Server(folder)
    running.start()
    yield running
    running.stop()
    shutil.rmtree(folder)


class _ReadIn(ToolIn):
    """Read the number of a place."""

    node: str


class _ReadOut(ToolOut):
    node: Annotated[str, Unit("id")]
    unit: str
    vehicles: Measured


def _read(args: _ReadIn, ctx: Any) -> _ReadOut:
    return _ReadOut(node=args.node, unit="vehicles", vehicles=1000.0 + int(args.node[1:]))


class _Reader(BaseChatModel):
    """Stands for a served model, whose words a test must choose: it reads the place that is asked for."""

    @property
    def _llm_type(self) -> str:
        return "reader"

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        last = messages[-1]
        if isinstance(last, HumanMessage):
            node = last.text.split()[0].rstrip("?")
            said = AIMessage("", tool_calls=[tool_call(name="read", args={"node": node}, id=f"c-{len(messages)}")])
        else:
            reply = json.loads(last.text)
            said = AIMessage(f"It has {reply['vehicles']:,.0f} vehicles [{reply['evidence']}]. \0 \ud800")
        return ChatResult(generations=[ChatGeneration(message=said)])


SESSION = Session(
    dataset="demo", title="Demo", domain="traffic", synthetic=True, place_word="station", places=["D01"],
    place_ids=["D01"], channels=[], as_of="2022-01-25T07:30-08:00", time_zone="US/Pacific", step_s=300,
)  # fmt: skip
TOOLS = {"read": ToolSpec("read", _ReadIn, _ReadOut, _read)}


def _ask(place: PostgresThreads, question: str, turn: int, *, thread: str = "t", **options: Any) -> dict[str, Any]:
    """The thread's state after a question; `until`: stop listening after the first event of this kind."""
    until = options.pop("until", None)
    context = AgentContext(ChatModel("reader", _Reader()), TOOLS, None, SESSION)
    asked: Any = {"question": question, "dataset": "demo", "as_of": SESSION.as_of}

    async def run() -> dict[str, Any]:
        events = run_agent(asked, context, threads=place, thread=thread, recursion_limit=60, turn=turn, **options)
        async with aclosing(events) as steps:
            async for event in steps:
                if isinstance(event, Finished):
                    return dict(event.state)
                if until is not None and isinstance(event, until):
                    return {}
        raise AssertionError("a run ends with its state")

    return asyncio.run(run())


def _asked(state: dict[str, Any]) -> list[str]:
    return [entry.args["question"] for entry in state["ledger"] if entry.tool == "question"]


def test_a_thread_goes_on_is_put_back_and_is_small(server: Server) -> None:
    place = server.database("goes_on")
    for turn in range(1, 7):
        state = _ask(place, f"D{turn:02} \0?", turn)
    assert {claim.status for claim in state["claims"]} == {"verified"}
    assert state["text"].startswith("It has 1,006 vehicles [E12].")

    _ask(place, "D07?", 7, until=ToolFinished)
    again = _ask(place, "D08?", 7, again=True)
    assert [question[:3] for question in _asked(again)] == ["D01", "D02", "D03", "D04", "D05", "D06", "D08"]
    once_more = _ask(place, "D09?", 7, again=True)
    assert [question[:3] for question in _asked(once_more)] == ["D01", "D02", "D03", "D04", "D05", "D06", "D09"]
    assert len(_asked(_ask(place, "D10?", 8, again=True))) == 8  # turn 8 was never asked: nothing is undone

    kept = server.rows(place, "SELECT checkpoint_ns, count(*) FROM checkpoints GROUP BY 1 ORDER BY 1")
    assert kept == [("", 1), ("before", 1)]
    (blobs,) = server.rows(place, "SELECT max(n) FROM (SELECT count(*) n FROM checkpoint_blobs GROUP BY checkpoint_ns, "
                                  "channel) channels")  # fmt: skip
    assert blobs == (1,)

    forget(place, "t")
    for table in ("checkpoints", "checkpoint_blobs", "checkpoint_writes", "mm4st_begun"):
        assert server.rows(place, f"SELECT * FROM {table}") == []


def test_people_have_threads_apart(server: Server) -> None:
    place = server.database("apart")
    jane, jo = (PostgresThreads(place.url, name) for name in ("jane", "jo"))
    _ask(jane, "D01?", 1)

    assert len(_asked(_ask(jo, "D02?", 1))) == 1
    forget(jo, "t")
    assert _asked(_ask(jane, "D03?", 2)) == ["D01?", "D03?"]


def test_many_make_a_new_database_ready_at_once(server: Server) -> None:
    place = server.database("at_once")

    async def opened(number: int) -> None:
        async with open_threads(place) as saver:
            await saver.begin(f"t{number}", 1, again=False)

    async def crowd() -> None:
        await asyncio.gather(*map(opened, range(12)))

    asyncio.run(crowd())
    assert server.rows(place, "SELECT count(*) FROM mm4st_begun") == [(12,)]


def test_many_questions_share_few_connections_which_end_with_the_last(server: Server) -> None:
    place = server.database("shared")
    count = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'shared' AND application_name = 'mm4st'"
    seen: list[int] = []

    async def opened(number: int) -> None:
        async with open_threads(place) as saver:
            for turn in (1, 2):
                await saver.begin(f"t{number}", turn, again=False)
                seen.append(server.rows(place, count)[0][0])

    async def crowd() -> None:
        await asyncio.gather(*map(opened, range(30)))

    asyncio.run(crowd())
    assert 1 <= max(seen) <= MOST_CONNECTIONS
    assert server.rows(place, "SELECT count(*), min(turn) FROM mm4st_begun") == [(30, 2)]
    until = time.monotonic() + 20
    while server.rows(place, count) != [(0,)]:  # a session of Postgres ends a little after its connection
        assert time.monotonic() < until
        time.sleep(0.1)


def test_the_setting_is_all_that_a_runtime_needs(server: Server) -> None:
    place = server.database("by_setting")
    runtime = Runtime(load_settings(postgres_url=place.url))

    def ask(question: str, runtime: Runtime = runtime, **options: Any) -> Any:
        return asyncio.run(runtime.ask(question, thread="t", **options))

    first, second = ask("What data do you have?"), ask("And which channels are there?")
    instead = ask("What data do you have now?", instead_of_last=True)
    other = ask("What data do you have?", runtime.of_user("jane"))

    assert [answer.turn for answer in (first, second, instead, other)] == [1, 2, 2, 1]
    assert instead.manifest is not None
    manifest = Path(instead.manifest).read_text()
    assert [said["text"] for said in json.loads(manifest)["said"]] == [first.question, instead.question]
    assert PASSWORD not in manifest
    assert not list(runtime.settings.home.glob("**/threads.sqlite"))
    assert server.rows(place, "SELECT DISTINCT thread_id FROM checkpoints ORDER BY 1") == [("/t",), ("jane/t",)]
    runtime.conversations.delete("t")
    assert server.rows(place, "SELECT DISTINCT thread_id FROM checkpoint_blobs") == [("jane/t",)]
    assert check_postgres(runtime).status == "ok"


def test_a_server_that_is_not_there_is_said_without_its_password() -> None:
    from mm4st_agent.cli import main

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    url = f"postgresql://jane:{PASSWORD}@127.0.0.1:{port}/mm4st"

    reply = CliRunner(env={"MM4ST_POSTGRES_URL": url}).invoke(main, ["ask", "What data do you have?", "--json"])

    assert reply.exit_code == 4
    error = json.loads(reply.stdout)["error"]
    assert f"Postgres database at postgresql://127.0.0.1:{port}/mm4st does not answer" in error["message"]
    assert "MM4ST_POSTGRES_URL" in error["hint"]
    assert PASSWORD not in reply.output


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        (lambda url: url.replace(PASSWORD, "wr0ng"), ServerError, "password authentication failed"),
        (lambda url: url.replace("/postgres", "/nowhere"), ServerError, 'database "nowhere" does not exist'),
        (lambda url: f"{url}?no_such_option=1", UsageError, "is not what Postgres takes as an address"),
    ],
)
def test_what_a_server_refuses_is_said(
    server: Server, change: Callable[[str], str], error: type[Exception], said: str
) -> None:
    place = PostgresThreads(SecretStr(change(server.url().get_secret_value())))

    for use in (lambda: _ask(place, "D01?", 1), lambda: forget(place, "t")):
        with pytest.raises(error, match=said) as refused:
            use()
        assert "wr0ng" not in str(refused.value)
        assert PASSWORD not in str(refused.value)


def test_a_server_that_goes_away_is_said_and_comes_back_with_every_step(server: Server) -> None:
    place = server.database("goes_away")
    _ask(place, "D01?", 1)

    async def stopped() -> None:
        async with open_threads(place) as saver:
            server.stop()
            await saver.begin("t", 2, again=False)

    try:
        with pytest.raises(ServerError, match="does not answer as it should"):
            asyncio.run(stopped())
    finally:
        server.start()
    assert _asked(_ask(place, "D02?", 2)) == ["D01?", "D02?"]


def test_connections_that_a_restart_has_cut_are_made_anew(server: Server) -> None:
    place = server.database("restarted")

    async def asked() -> None:
        for turn in (1, 2):
            async with open_threads(place) as saver:
                await saver.begin("t", turn, again=False)
            server.stop()
            server.start()

    asyncio.run(asked())
    assert server.rows(place, "SELECT turn FROM mm4st_begun") == [(2,)]


def test_missing_packages_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.delitem(sys.modules, "mm4st_agent.agent.threads_postgres", raising=False)
    import mm4st_agent.agent

    monkeypatch.delattr(mm4st_agent.agent, "threads_postgres", raising=False)
    place = PostgresThreads(SecretStr("postgresql://nobody@127.0.0.1:1/none"))

    with pytest.raises(UsageError, match=r"pip install 'mm4st\[postgres\]'"):
        forget(place, "t")
