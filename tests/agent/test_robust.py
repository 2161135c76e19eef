"""What a served model or a tool may do wrong: a scripted chat model behind the real interface, the real graph."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import pytest
from langchain_core.exceptions import ModelAPIError, ModelInvalidRequestError, ModelRateLimitError
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.messages.tool import tool_call
from langchain_core.outputs import ChatGenerationChunk

from mm4st_agent.agent.budgets import Budgets
from mm4st_agent.agent.chat import AgentContext, ChatModel
from mm4st_agent.agent.ledger import MOST_VALUES
from mm4st_agent.agent.replies import MOST_CHARS
from mm4st_agent.agent.run import run_agent
from mm4st_agent.agent.run_events import ToolFinished, ToolStarted
from mm4st_agent.errors import ServerError
from mm4st_agent.toolspec import Measured, Passage, ToolIn, ToolOut, ToolSpec, Unit

HOLD_S = 60.0
"""How long the slow tool takes when nobody lets it go."""


class _CountIn(ToolIn):
    """Count vehicles."""

    node: str
    size: int = 1


class _CountOut(ToolOut):
    node: Annotated[str, Unit("id")]
    unit: str
    vehicles: Measured
    more: Annotated[list[float], Unit("km")]
    notes: list[Passage]


class _NothingOut(ToolOut):
    found: list[str]


def _count(args: _CountIn, ctx: Any) -> _CountOut:
    text = "A queue of 77 vehicles was seen here. " * min(args.size, 100)
    note = Passage(doc_id="d", text=text.strip(), source="log", span=(0, len(text)))
    return _CountOut(
        node=args.node,
        unit="vehicles",
        vehicles=412.0,
        more=[0.123456789] * (args.size - 1),
        notes=[note] if args.size > 1 else [],
    )


def _wait(args: _CountIn, release: threading.Event) -> _CountOut:
    release.wait(HOLD_S)
    return _count(args, None)


def _nothing(args: _CountIn, ctx: Any) -> _NothingOut:
    return _NothingOut(found=[])


TOOLS = {
    "count": ToolSpec("count", _CountIn, _CountOut, _count, title="Counting"),
    "wait": ToolSpec("wait", _CountIn, _CountOut, _wait, title="Waiting"),
    "nothing": ToolSpec("nothing", _CountIn, _NothingOut, _nothing, title="Nothing"),
}


def _call(node: str = "D01", name: str = "count", **args: Any) -> AIMessage:
    return AIMessage("", tool_calls=[tool_call(name=name, args={"node": node, **args}, id=f"{name}-{node}")])


def _calls() -> list[AIMessage]:
    """One call after the other, each another one."""
    return [_call(f"D{n:02}") for n in range(1, 40)]


Run = Callable[..., tuple[list[Any], dict[str, Any], Any]]


@pytest.fixture
def run(converse: Run) -> Run:
    return partial(converse, tools=TOOLS)


# -- budgets -------------------------------------------------------------------------------------


def test_a_spent_budget_of_tool_calls_ends_in_what_was_found(run: Run) -> None:
    _, state, _ = run(*_calls(), budgets=Budgets(tool_calls=2))

    assert state["text"].startswith("I could not finish this answer: it needed more tool calls than")
    assert "- Counting: node D01, vehicles 412 vehicles [E2]." in state["text"]
    assert "- Counting: node D02, vehicles 412 vehicles [E3]." in state["text"]
    assert "What would help:" in state["text"]
    assert {c.status for c in state["claims"]} == {"verified"}
    assert state["warnings"] == [
        "This answer is partial: it needed more tool calls than one question may make. "
        "The limit is 2 (MM4ST_MAX_TOOL_CALLS)."
    ]


@pytest.mark.parametrize(
    ("budgets", "reason"),
    [
        (
            Budgets(model_calls=3),
            "more calls of the chat model than one question may make. The limit is 3 (MM4ST_MAX_MODEL_CALLS).",
        ),
        (Budgets(tokens=2500), "more tokens than one question may use. The limit is 2,500 (MM4ST_MAX_TOKENS)."),
    ],
)
def test_other_spent_budgets_do_so_too(run: Run, budgets: Budgets, reason: str) -> None:
    usage = UsageMetadata(input_tokens=900, output_tokens=100, total_tokens=1000)
    counted = [call.model_copy(update={"usage_metadata": usage}) for call in _calls()]

    _, state, model = run(*counted, budgets=budgets)

    assert reason in state["warnings"][0]
    assert "412 vehicles [E2]" in state["text"]
    assert len(model.heard) == 3


def test_seconds_are_a_budget_of_the_chat_model_and_of_tools(run: Run) -> None:
    def slow(messages: Any) -> AIMessage:
        release.wait(HOLD_S)
        return AIMessage("Too late.")

    release = threading.Event()
    timer = threading.Timer(3, release.set)  # for the loop's own threads, which asyncio.run waits for
    timer.start()
    _, state, _ = run(_call(), slow, budgets=Budgets(seconds=1))
    timer.cancel()
    release.set()

    assert "it took longer than one question may take." in state["text"]
    assert "412 vehicles [E2]" in state["text"]


def test_the_thread_goes_on_behind_a_partial_answer(run: Run) -> None:
    run(*_calls(), budgets=Budgets(tool_calls=1))
    _, state, model = run(_call("D09"), AIMessage("412 vehicles [E4]."), question="And now?")

    assert state["text"] == "412 vehicles [E4]."
    calls = {c["id"] for m in model.heard[0] if isinstance(m, AIMessage) for c in m.tool_calls}
    assert calls == {m.tool_call_id for m in model.heard[0] if isinstance(m, ToolMessage)}


def test_nothing_found_is_said(run: Run) -> None:
    _, state, _ = run(*_calls(), budgets=Budgets(model_calls=0))

    assert "The tools had not answered anything by then." in state["text"]


# -- calls ---------------------------------------------------------------------------------------


def test_a_repeated_call_is_answered_from_the_ledger(run: Run) -> None:
    steps, state, model = run(_call(), _call(), AIMessage("412 vehicles [E2]."))

    assert [e.tool for e in state["ledger"]] == ["question", "count"]
    again = json.loads(model.heard[2][-1].text)
    assert again["evidence"] == "E2"
    assert again["values"]["vehicles"] == "412.0 vehicles"
    assert "same call" in again["note"]
    assert [type(s) for s in steps] == [ToolStarted, ToolFinished] * 2


def test_a_third_identical_call_ends_the_loop(run: Run) -> None:
    _, state, model = run(_call())

    assert "the chat model kept asking for the same tool call." in state["text"]
    assert state["warnings"] == ["This answer is partial: the chat model kept asking for the same tool call."]
    assert "412 vehicles [E2]" in state["text"]
    assert len(model.heard) == 3


def test_twice_the_same_call_in_one_message_runs_once(run: Run) -> None:
    twins = AIMessage("", tool_calls=[tool_call(name="count", args={"node": "D01"}, id=i) for i in ("a", "b")])

    _, state, model = run(twins, AIMessage("412 vehicles [E2]."))

    assert [e.tool for e in state["ledger"]] == ["question", "count"]
    assert [json.loads(m.text)["evidence"] for m in model.heard[1] if isinstance(m, ToolMessage)] == ["E2", "E2"]


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (_call("D01", size="many"), "size: Input should be a valid integer"),
        (_call("D01", colour="red"), "colour: Extra inputs are not permitted"),
        (AIMessage("", tool_calls=[tool_call(name="count", args={}, id="c")]), "node: Field required"),
        (_call("D01", name="rm -rf"), "There is no tool 'rm -rf'. "),
    ],
)
def test_wrong_calls_reach_the_model_as_a_sentence(run: Run, call: AIMessage, told: str) -> None:
    _, state, model = run(call, AIMessage("Sorry."))

    error = json.loads(model.heard[1][-1].text)["error"]
    assert told in f"{error['message']} {error['hint']}"
    assert error["hint"]
    assert state["ledger"][1].error


def test_an_empty_reply_is_said_to_be_empty(run: Run) -> None:
    _, _, model = run(_call(name="nothing"), AIMessage("Nothing."))

    assert "The reply is empty" in json.loads(model.heard[1][-1].text)["note"]


def test_a_gigantic_reply_is_cut_for_the_model_and_bounded_in_the_ledger(run: Run) -> None:
    _, state, model = run(_call(size=100_000), AIMessage("412 vehicles [E2]."))

    text = model.heard[1][-1].text
    assert len(text) <= MOST_CHARS
    assert "is cut" in json.loads(text)["note"]
    entry = state["ledger"][1]
    assert len(entry.values) == MOST_VALUES
    assert "95,001 of its values and texts are not kept" in entry.warnings[0]
    assert [c.status for c in state["claims"]] == ["verified"]


def test_a_long_reply_is_whole_in_the_ledger(run: Run) -> None:
    _, state, model = run(_call(size=4000), AIMessage("412 vehicles [E2]."))

    assert len(json.loads(model.heard[1][-1].text)["more"]) < 3999
    assert len(state["ledger"][1].values) == 4001
    assert state["ledger"][1].warnings == []


def test_an_answer_without_any_call_has_its_numbers_marked(run: Run) -> None:
    _, state, _ = run(AIMessage("It counts 412 vehicles."))

    assert state["text"] == "It counts 412 vehicles [unsupported]."


def test_unreadable_messages_end_in_what_was_found(run: Run) -> None:
    _, state, _ = run(_call(), AIMessage(""))

    assert "kept sending messages that could not be read" in state["text"]
    assert "412 vehicles [E2]" in state["text"]


# -- slow tools ----------------------------------------------------------------------------------


def test_a_slow_tool_is_given_up_and_not_waited_for(run: Run) -> None:
    release = threading.Event()
    started = time.monotonic()

    _, state, model = run(_call(name="wait"), AIMessage("Sorry."), tool_context=release, budgets=Budgets(tool_s=0.2))

    assert time.monotonic() - started < HOLD_S / 2
    release.set()
    assert "wait took longer than 0.2 s and was given up." in json.loads(model.heard[1][-1].text)["error"]["message"]
    assert state["ledger"][1].seconds >= 0.2


def test_who_stops_listening_stops_the_run_and_waits_for_no_tool(converse: Run, tmp_path: Path) -> None:
    release = threading.Event()
    _, _, model = converse(AIMessage("Hello."), tools=TOOLS)
    model.script = [_call(name="wait")]
    model.heard.clear()
    context = AgentContext(ChatModel("scripted", model), TOOLS, release, _session(model))
    asked: Any = {"question": "Wait.", "dataset": "demo", "as_of": "2022-01-25T07:30-08:00"}

    async def listen_once() -> Any:
        events = run_agent(asked, context, threads=tmp_path / "t.sqlite", thread="t", recursion_limit=60)
        first = await anext(events)
        await events.aclose()
        return first

    started = time.monotonic()
    assert isinstance(asyncio.run(listen_once()), ToolStarted)
    assert time.monotonic() - started < HOLD_S / 2
    release.set()

    _, state, model = converse(AIMessage("Fine."), tools=TOOLS, question="And now?")
    assert state["text"] == "Fine."
    assert not any(m.tool_calls for m in model.heard[0] if isinstance(m, AIMessage))


def _session(model: Any) -> Any:
    from mm4st_agent.agent.chat import Session

    return Session(
        dataset="demo", title="Demo", domain="traffic", synthetic=True, place_word="station", places=["D01"],
        place_ids=["D01"], channels=[], as_of="2022-01-25T07:30-08:00", time_zone="US/Pacific", step_s=300,
    )  # fmt: skip


# -- the server ----------------------------------------------------------------------------------


class _Busy(ServerError, ModelAPIError):
    """As a server that answers with 503."""


@pytest.mark.parametrize("error", [_Busy("busy"), ModelRateLimitError("429")])
def test_what_may_heal_is_tried_again(run: Run, error: Exception) -> None:
    _, state, model = run(error, AIMessage("Fine."))

    assert state["text"] == "Fine."
    assert len(model.heard) == 2


@pytest.mark.parametrize(("error", "tries"), [(_Busy("busy"), 3), (ServerError("gone"), 1), (ValueError("a bug"), 1)])
def test_what_does_not_heal_stops_the_run_and_the_thread_is_intact(run: Run, error: Exception, tries: int) -> None:
    failing: list[Any] = []

    def fail(messages: Any) -> AIMessage:
        failing.append(messages)
        raise error

    with pytest.raises(type(error)):
        run(_call(), fail)
    assert len(failing) == tries

    _, state, model = run(AIMessage("Fine."), question="And now?")
    assert state["text"] == "Fine."
    assert [e.id for e in state["ledger"]] == ["E1", "E2", "E3"]
    assert len(model.heard[0]) == 2


def test_a_refused_request_is_not_sent_again(run: Run) -> None:
    tries: list[Any] = []

    def refuse(messages: Any) -> AIMessage:
        tries.append(messages)
        raise ModelInvalidRequestError("400")

    with pytest.raises(ModelInvalidRequestError):
        run(refuse)
    assert len(tries) == 1


def test_a_server_that_dies_in_mid_stream(converse: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model streams, and its server goes away behind the first words."""
    _, _, first = converse(AIMessage("Hello."), tools=TOOLS)

    async def dying(self: Any, *args: Any, **kwargs: Any) -> AsyncIterator[ChatGenerationChunk]:
        from langchain_core.messages import AIMessageChunk

        yield ChatGenerationChunk(message=AIMessageChunk("The flow is 4"))
        raise ServerError("The chat model server broke off its answer.")

    with monkeypatch.context() as patch:
        patch.setattr(type(first), "_astream", dying, raising=False)
        patch.setattr(type(first), "_should_stream", lambda *args, **kwargs: True)
        with pytest.raises(ServerError, match="broke off"):
            converse(AIMessage("never said"), tools=TOOLS, question="How much?")

    _, state, model = converse(AIMessage("Fine."), tools=TOOLS, question="And now?")
    assert state["text"] == "Fine."
    assert [m.text for m in model.heard[0][1:]] == ["How many?", "Hello.", "And now?"]
