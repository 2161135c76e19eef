"""Threads on disk: killed processes, many at once, long ones."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import pytest
from filelock import FileLock
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.messages.tool import tool_call

from mm4st_agent.agent.budgets import Budgets
from mm4st_agent.agent.chat import AgentContext, ChatModel, Session
from mm4st_agent.agent.memory import first_sentences
from mm4st_agent.agent.run import run_agent
from mm4st_agent.agent.threads import LatestSaver, open_threads
from mm4st_agent.errors import UsageError
from mm4st_agent.toolspec import Measured, ToolIn, ToolOut, ToolSpec, Unit

AS_OF = "2022-01-25T07:30-08:00"
MOST_BYTES = 2_000_000

OTHER_PROCESS = '''
import asyncio, os, sys, threading
from pathlib import Path
from typing import Annotated, Any
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.messages.tool import tool_call
from langchain_core.outputs import ChatGeneration, ChatResult
from mm4st_agent.agent.chat import AgentContext, ChatModel, Session
from mm4st_agent.agent.run import run_agent
from mm4st_agent.toolspec import Measured, ToolIn, ToolOut, ToolSpec, Unit

class In(ToolIn):
    """Count vehicles."""
    node: str

class Out(ToolOut):
    node: Annotated[str, Unit("id")]
    unit: str
    vehicles: Measured

def count(args, ctx):
    if args.node == "D02":
        threading.Event().wait(120)
    return Out(node=args.node, unit="vehicles", vehicles=412.0)

SCRIPTS = {
    "killed": [("count", {"node": "D01"}), ("count", {"node": "D02"})],
    "asked": [("clarify", {"question": "Which one?", "choices": ["D01", "D02"]})],
}

class Scripted(BaseChatModel):
    said: int = 0
    @property
    def _llm_type(self):
        return "scripted"
    def _generate(self, messages, *args, **kwargs):
        name, call_args = SCRIPTS[sys.argv[2]][self.said]
        self.said += 1
        call = tool_call(name=name, args=call_args, id=f"c{self.said}")
        return ChatResult(generations=[ChatGeneration(message=AIMessage("", tool_calls=[call]))])

session = Session(dataset="demo", title="Demo", domain="traffic", synthetic=True, place_word="station", places=["D01"],
    place_ids=["D01"], channels=[], as_of="2022-01-25T07:30-08:00", time_zone="US/Pacific", step_s=300)
context = AgentContext(ChatModel("scripted", Scripted()), {"count": ToolSpec("count", In, Out, count)}, None, session)

async def main():
    asked = {"question": "How many?", "dataset": "demo", "as_of": session.as_of}
    async for event in run_agent(asked, context, threads=Path(sys.argv[1]), thread="t", recursion_limit=60):
        print(type(event).__name__, flush=True)

asyncio.run(main())
os._exit(0)
'''


class _ReadIn(ToolIn):
    """Read the numbers of a place."""

    node: str


class _ReadOut(ToolOut):
    node: Annotated[str, Unit("id")]
    unit: str
    vehicles: Measured
    course: Annotated[list[float], Unit("km/h")]


def _read(args: _ReadIn, ctx: Any) -> _ReadOut:
    number = float(args.node[1:])
    return _ReadOut(
        node=args.node, unit="vehicles", vehicles=1000 + number, course=[number + n / 7 for n in range(300)]
    )


TOOLS = {"read": ToolSpec("read", _ReadIn, _ReadOut, _read)}

Run = Callable[..., tuple[list[Any], dict[str, Any], Any]]


@pytest.fixture
def run(converse: Run) -> Run:
    return partial(converse, tools=TOOLS)


def _call(node: str) -> AIMessage:
    return AIMessage("", tool_calls=[tool_call(name="read", args={"node": node}, id=f"c-{node}")])


def _process(folder: Path, script: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", OTHER_PROCESS, str(folder / "t.sqlite"), script]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_a_killed_answer_leaves_a_thread_at_its_last_complete_step(run: Run, tmp_path: Path) -> None:
    with _process(tmp_path, "killed") as process:
        assert process.stdout is not None
        seen = [process.stdout.readline().strip() for _ in range(3)]
        os.kill(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert seen == ["ToolStarted", "ToolFinished", "ToolStarted"]

    _, state, model = run(_call("D07"), AIMessage("1,007 vehicles [E4], as 412 vehicles [E2]."), question="And D07?")

    assert [(e.id, e.tool) for e in state["ledger"]] == [
        ("E1", "question"), ("E2", "count"), ("E3", "question"), ("E4", "read"),
    ]  # fmt: skip
    assert {c.status for c in state["claims"]} == {"verified"}
    assert [m.text for m in model.heard[0][1:]] == ["And D07?"]  # no half turn reaches the chat model


def test_a_question_to_the_person_survives_a_restart(run: Run, tmp_path: Path) -> None:
    with _process(tmp_path, "asked") as process:
        process.communicate(timeout=60)
    assert process.returncode == 0

    _, state, model = run(AIMessage("Fine."), question="the second one")

    assert json.loads(model.heard[0][-1].text) == {"evidence": "E2", "answer": "D02"}
    assert state["question"] == "How many?"


def test_a_new_file_is_made_ready_for_all_who_open_it_at_once(tmp_path: Path) -> None:
    async def first_look(place: Path) -> str:
        async with open_threads(place) as saver:
            assert await saver.aget_tuple({"configurable": {"thread_id": "new", "checkpoint_ns": ""}}) is None
            assert isinstance(saver, LatestSaver)
            [(vacuum,)] = await saver.conn.execute_fetchall("PRAGMA auto_vacuum")
            [(journal,)] = await saver.conn.execute_fetchall("PRAGMA journal_mode")
            return f"{vacuum} {journal}"

    async def crowd(place: Path) -> list[str]:
        return await asyncio.gather(*(first_look(place) for _ in range(8)))

    for round_ in range(20):  # without waiting for each other, one round in twenty was refused
        assert set(asyncio.run(crowd(tmp_path / f"{round_}.sqlite"))) == {"1 wal"}


def test_a_new_file_waits_for_who_makes_it_ready_and_a_ready_one_for_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def look(place: Path) -> None:
        async with open_threads(place):
            pass

    ready, new = tmp_path / "ready.sqlite", tmp_path / "new.sqlite"
    asyncio.run(look(ready))
    monkeypatch.setattr("mm4st_agent.agent.threads.LOCK_TIMEOUT_S", 0.2)
    with FileLock(f"{ready}.lock"), FileLock(f"{new}.lock"):
        asyncio.run(look(ready))
        with pytest.raises(UsageError, match=r"new\.sqlite cannot be read or written") as caught:
            asyncio.run(look(new))
    assert "MM4ST_HOME" in caught.value.hint


def test_fifty_threads_at_once_do_not_mix(run: Run, tmp_path: Path) -> None:
    _, _, model = run(AIMessage("Hello."), thread="another")
    session = Session(
        dataset="demo", title="Demo", domain="traffic", synthetic=True, place_word="station", places=["D01"],
        place_ids=["D01"], channels=[], as_of=AS_OF, time_zone="US/Pacific", step_s=300,
    )  # fmt: skip

    def says(messages: Any) -> AIMessage:
        node = next(m.text for m in reversed(messages) if isinstance(m, HumanMessage))
        if isinstance(messages[-1], HumanMessage):
            return _call(node)
        reply = json.loads(messages[-1].text)
        return AIMessage(f"{reply['vehicles']:,.0f} vehicles [{reply['evidence']}].")

    context = AgentContext(ChatModel("scripted", type(model)(script=[says])), TOOLS, None, session)

    async def one(number: int, node: str) -> dict[str, Any]:
        asked: Any = {"question": node, "dataset": "demo", "as_of": AS_OF}
        events = run_agent(asked, context, threads=tmp_path / "t.sqlite", thread=f"t{number}", recursion_limit=60)
        return dict([event async for event in events][-1].state)

    async def crowd(first: int) -> list[dict[str, Any]]:
        return list(await asyncio.gather(*(one(n, f"D{first + n:03}") for n in range(50))))

    for first in (100, 500):
        states = asyncio.run(crowd(first))
        for number, state in enumerate(states):
            said = f"1,{first + number} vehicles" if first + number < 1000 else ""
            assert state["text"].startswith(said)
            assert {c.status for c in state["claims"]} == {"verified"}
    assert [len(state["ledger"]) for state in states] == [4] * 50
    assert [e.args.get("node") for e in states[7]["ledger"]] == [None, "D107", None, "D507"]


def test_a_thread_of_forty_turns_is_small_and_told_in_short(run: Run, tmp_path: Path) -> None:
    heard = []
    for turn in range(40):
        node, entry = f"D{turn:02}", f"E{2 * turn + 2}"
        long = "Much could be said about it. " * 40
        said = AIMessage(f"It has {1000 + turn:,} vehicles [{entry}]. {long}")
        _, state, model = run(_call(node), said, question=f"What of {node}?", budgets=Budgets(history_chars=20_000))
        heard.append(sum(len(m.text) for m in model.heard[0]))

    size = sum(file.stat().st_size for file in tmp_path.glob("t.sqlite*"))
    assert size < MOST_BYTES
    with sqlite3.connect(tmp_path / "t.sqlite") as file:
        kept = file.execute("SELECT checkpoint_ns, count(*) FROM checkpoints GROUP BY 1 ORDER BY 1").fetchall()
    file.close()
    assert kept == [("", 1), ("before", 1)]  # as it is, and as it was before the last question
    assert len(state["ledger"]) == 80
    assert max(heard) < 20_000 + 40 * 150 + 5000
    first, second = model.heard[0][1:3]
    assert (first.text, second.text) == ("What of D00?", "It has 1,000 vehicles [E2]. Much could be said about it.")
    assert any(isinstance(m, ToolMessage) for m in model.heard[0])  # the latest turns are whole

    _, state, _ = run(AIMessage("It had 1,003 vehicles [E8]."), question="And at first?")
    assert [(c.status, c.evidence) for c in state["claims"]] == [("verified", ["E8"])]


def test_the_last_turn_is_whole_however_long(run: Run) -> None:
    run(_call("D01"), AIMessage("1,001 vehicles [E2]. One. Two. Three."))
    _, _, model = run(AIMessage("Fine."), question="And now?", budgets=Budgets(history_chars=0))
    assert [type(m) for m in model.heard[0][1:]] == [HumanMessage, AIMessage, ToolMessage, AIMessage, HumanMessage]

    _, _, model = run(AIMessage("Fine."), question="And then?", budgets=Budgets(history_chars=0))
    assert [m.text for m in model.heard[0][1:3]] == ["How many?", "1,001 vehicles [E2]. One."]


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("One 4.5 km. Two! Three.", "One 4.5 km. Two!"),
        ("One. [E2] Two. [E3, E4] Three.", "One. [E2] Two. [E3, E4]"),
        ("No end", "No end"),
        ("x" * 500, "x" * 400 + "..."),
    ],
)
def test_first_sentences_keep_their_marks(text: str, short: str) -> None:
    assert first_sentences(text) == short
