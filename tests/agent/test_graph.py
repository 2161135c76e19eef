"""The graph with a scripted chat model behind the real interface; tools, ledger and threads are real."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.messages.tool import invalid_tool_call, tool_call
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import Field

from mm4st_agent.agent.chat import AgentContext, ChatModel, Session
from mm4st_agent.agent.run import run_agent
from mm4st_agent.agent.run_events import Finished, ToolFinished, ToolStarted
from mm4st_agent.errors import AgentError, DataError, UsageError
from mm4st_agent.toolspec import Measured, ToolIn, ToolOut, ToolSpec, Unit

AS_OF = "2022-01-25T07:30-08:00"
SESSION = Session(
    dataset="demo", title="Demo", domain="traffic", synthetic=True, place_word="station",
    places=["D01 (One)"], place_ids=["D01"],
    channels=[{"name": "flow", "title": "flow", "unit": "vehicles/5 min"}],
    as_of=AS_OF, time_zone="US/Pacific", step_s=300,
)  # fmt: skip


class ScriptedChatModel(BaseChatModel):
    """Stands for a served model, whose words a test must choose; it says its script and keeps what it was told."""

    script: list[AIMessage]
    heard: list[list[BaseMessage]] = Field(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        self.heard.append(list(messages))
        said = self.script[min(len(self.heard), len(self.script)) - 1].model_copy(update={"id": None})
        return ChatResult(generations=[ChatGeneration(message=said)])


class _CountIn(ToolIn):
    """Count vehicles."""

    node: str


class _CountOut(ToolOut):
    node: Annotated[str, Unit("id")]
    unit: str
    vehicles: Measured


def _count(args: _CountIn, ctx: Any) -> _CountOut:
    if args.node == "D99":
        raise DataError("There is no station 'D99'.", "Try D01.")
    if args.node == "bug":
        raise ZeroDivisionError("a bug in a tool")
    return _CountOut(node=args.node, unit="vehicles", vehicles=412.0)


TOOLS = {"count": ToolSpec("count", _CountIn, _CountOut, _count, title="Counting")}


def _call(node: str, name: str = "count", call_id: str = "c1") -> AIMessage:
    return AIMessage("", tool_calls=[tool_call(name=name, args={"node": node}, id=call_id)])


Run = Callable[..., tuple[list[Any], dict[str, Any], ScriptedChatModel]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def _run(
        *script: AIMessage,
        question: str = "How many?",
        thread: str = "t",
        limit: int = 25,
        as_of: str = AS_OF,
        dataset: str = "demo",
    ) -> Any:
        model = ScriptedChatModel(script=list(script))
        session = SESSION.model_copy(update={"as_of": as_of, "dataset": dataset})
        context = AgentContext(ChatModel("scripted", model), TOOLS, None, session)
        asked: Any = {"question": question, "dataset": dataset, "as_of": as_of}

        async def collect() -> list[Any]:
            events = run_agent(asked, context, threads=tmp_path / "t.sqlite", thread=thread, recursion_limit=limit)
            return [event async for event in events]

        *steps, last = asyncio.run(collect())
        assert isinstance(last, Finished)
        return steps, dict(last.state), model

    return _run


def test_a_tool_result_becomes_evidence_and_the_number_is_verified(run: Run) -> None:
    steps, state, model = run(_call("D01"), AIMessage("It counts 412 vehicles [E2]."))

    assert [type(step) for step in steps] == [ToolStarted, ToolFinished]
    assert steps[0].title == "Counting"
    assert [(e.id, e.tool) for e in state["ledger"]] == [("E1", "question"), ("E2", "count")]
    assert state["text"] == "It counts 412 vehicles [E2]."
    assert [(c.status, c.evidence) for c in state["claims"]] == [("verified", ["E2"])]
    assert isinstance(model.heard[0][0], SystemMessage)
    assert '"evidence": "E2"' in model.heard[1][-1].text


def test_the_answer_is_not_changed_but_for_marks(run: Run) -> None:
    said = "It counts 412 vehicles per hour, 412 vehicles [E2], and 9 vehicles/5 min per hour, in 7 vehicles/5 min."

    _, state, _ = run(_call("D01"), AIMessage(said))

    assert state["text"].replace(" [unsupported]", "") == said


def test_an_invented_number_is_marked(run: Run) -> None:
    _, state, _ = run(_call("D01"), AIMessage("It counts 500 vehicles [E2]."))

    assert state["text"] == "It counts 500 vehicles [unsupported] [E2]."


def test_a_known_failure_reaches_the_model(run: Run) -> None:
    _, state, model = run(_call("D99"), AIMessage("There is no station 'D99'."))

    told = model.heard[1][-1]
    assert isinstance(told, ToolMessage)
    assert "There is no station 'D99'." in told.text
    assert "Try D01." in told.text
    assert state["ledger"][1].error == "There is no station 'D99'. Try D01."
    assert [c.status for c in state["claims"]] == ["verified"]


def test_an_unknown_tool_reaches_the_model(run: Run) -> None:
    _, _, model = run(_call("D01", name="guess"), AIMessage("Sorry."))

    assert "There is no tool 'guess'." in model.heard[1][-1].text


def test_a_bug_stops_the_run_and_the_thread_goes_on(run: Run) -> None:
    with pytest.raises(ZeroDivisionError):
        run(_call("bug"))

    _, state, model = run(AIMessage("Fine."), question="And now?")

    assert state["text"] == "Fine."
    assert [m.text for m in model.heard[0] if isinstance(m, HumanMessage)] == ["And now?"]
    assert not any(isinstance(m, AIMessage) for m in model.heard[0])  # no call is left without its reply


def test_unreadable_calls_are_repaired(run: Run) -> None:
    broken = AIMessage(
        "", invalid_tool_calls=[invalid_tool_call(name="count", args='{"node": ', id="c0", error="cut off")]
    )

    _, state, model = run(broken, AIMessage(""), _call("D01"), AIMessage("412 vehicles [E2]."))

    assert state["text"] == "412 vehicles [E2]."
    assert "'count' were not valid JSON" in model.heard[1][-1].text
    assert "it was empty" in model.heard[2][-1].text
    assert not any(getattr(m, "invalid_tool_calls", None) for m in model.heard[1])


@pytest.mark.parametrize(("reason", "fault"), [("length", "cut off"), ("tool_calls", "could not be read")])
def test_a_cut_message_is_no_answer(run: Run, reason: str, fault: str) -> None:
    cut = AIMessage('<tool_call>{"name": "cou', response_metadata={"finish_reason": reason})

    _, state, model = run(cut, AIMessage("Nothing to report."))

    assert state["text"] == "Nothing to report."
    assert fault in model.heard[1][-1].text


def test_repair_ends(run: Run) -> None:
    with pytest.raises(AgentError, match="3 messages that could not be read"):
        run(AIMessage(""))


def test_the_recursion_limit_holds(run: Run) -> None:
    with pytest.raises(AgentError, match="took 9 steps"):
        run(_call("D01"), limit=9)


def test_parallel_calls_get_their_own_entries(run: Run) -> None:
    both = AIMessage("", tool_calls=[tool_call(name="count", args={"node": n}, id=n) for n in ("D01", "D99")])

    _, state, model = run(both, AIMessage("412 vehicles [E2]."))

    assert [(e.id, e.args, e.error is None) for e in state["ledger"][1:]] == [
        ("E2", {"node": "D01"}, True),
        ("E3", {"node": "D99"}, False),
    ]
    assert [m.tool_call_id for m in model.heard[1] if isinstance(m, ToolMessage)] == ["D01", "D99"]


def test_a_thread_goes_on_and_its_ledger_only_grows(run: Run) -> None:
    run(_call("D01"), AIMessage("412 vehicles [E2]."))
    _, state, model = run(_call("D02", call_id="c2"), AIMessage("Again 412 vehicles [E4]."), question="And D02?")

    assert [e.id for e in state["ledger"]] == ["E1", "E2", "E3", "E4"]
    assert state["first_evidence"] == 2
    assert [m.text for m in model.heard[0] if isinstance(m, HumanMessage)] == ["How many?", "And D02?"]


def test_threads_are_apart(run: Run) -> None:
    run(AIMessage("One."), thread="a")
    _, state, _ = run(AIMessage("Two."), thread="b")

    assert [e.id for e in state["ledger"]] == ["E1"]


def test_a_thread_never_goes_back_in_time_or_to_other_data(run: Run) -> None:
    run(_call("D01"), AIMessage("412 vehicles [E2]."), as_of="2022-01-25T12:00-08:00")

    with pytest.raises(UsageError, match=r"has seen the data until 2022-01-25T12:00.*know the future"):
        run(AIMessage("Still 412 vehicles [E2]."))
    with pytest.raises(UsageError, match="is about 'demo', not 'other'"):
        run(AIMessage("Hm."), as_of="2022-01-25T12:00-08:00", dataset="other")

    _, state, _ = run(AIMessage("It was 412 vehicles [E2]."), as_of="2022-01-25T13:00-08:00")
    assert [c.status for c in state["claims"]] == ["verified"]


def test_a_message_with_a_broken_call_beside_a_good_one_is_repaired(run: Run) -> None:
    broken = _call("D01")
    broken.invalid_tool_calls = [invalid_tool_call(name="count", args="{", id="c9", error="cut off")]

    _, state, _ = run(broken, AIMessage("Nothing."))

    assert state["text"] == "Nothing."
    assert [entry.tool for entry in state["ledger"]] == ["question"]
