"""The graph with a scripted chat model behind the real interface; tools, ledger and threads are real."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.messages.tool import invalid_tool_call, tool_call

from mm4st_agent.agent.run_events import ToolFinished, ToolStarted
from mm4st_agent.errors import AgentError, DataError, UsageError
from mm4st_agent.toolspec import Measured, ToolIn, ToolOut, ToolSpec, Unit

AS_OF = "2022-01-25T07:30-08:00"


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


Run = Callable[..., tuple[list[Any], dict[str, Any], Any]]


@pytest.fixture
def run(converse: Run) -> Run:
    return partial(converse, tools=TOOLS)


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
    _, state, model = run(AIMessage(""))

    assert len(model.heard) == 3
    assert "kept sending messages that could not be read" in state["text"]
    assert "The tools had not answered anything by then." in state["text"]
    assert state["warnings"] == ["This answer is partial: the chat model kept sending messages that could not be read."]


def test_the_recursion_limit_holds(run: Run) -> None:
    endless = [_call(f"D{n:02}", call_id=f"c{n}") for n in range(9)]

    with pytest.raises(AgentError, match="took 9 steps"):
        run(*endless, limit=9)


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


# -- a text with unsupported claims goes back, once ---------------------------------------------


def test_unsupported_claims_go_back_once_and_the_mended_text_is_the_answer(run: Run) -> None:
    _, state, model = run(
        _call("D01"), AIMessage("It counts 500 vehicles [E2]."), AIMessage("It counts 412 vehicles [E2].")
    )

    assert state["text"] == "It counts 412 vehicles [E2]."
    told = model.heard[2][-1].text
    assert "500 vehicles" in told
    assert "no support" in told
    assert [m.text for m in state["messages"] if not isinstance(m, ToolMessage)] == ["How many?", "", state["text"]]


def test_in_the_round_the_model_may_call_tools(run: Run) -> None:
    _, state, _ = run(AIMessage("It counts 412 vehicles."), _call("D01"), AIMessage("It counts 412 vehicles [E2]."))

    assert state["text"] == "It counts 412 vehicles [E2]."
    assert [c.status for c in state["claims"]] == ["verified"]


@pytest.mark.parametrize("worse", ["It counts 500 vehicles and 600 vehicles [E2].", ""])
def test_a_worse_second_text_is_not_taken(run: Run, worse: str) -> None:
    _, state, model = run(_call("D01"), AIMessage("It counts 500 vehicles [E2]."), AIMessage(worse))

    assert state["text"] == "It counts 500 vehicles [unsupported] [E2]."
    assert len(model.heard) == 3


def test_a_model_of_templates_is_not_asked_again(run: Run) -> None:
    _, state, model = run(_call("D01"), AIMessage("It counts 500 vehicles [E2]."), rewrites=False)

    assert state["text"] == "It counts 500 vehicles [unsupported] [E2]."
    assert len(model.heard) == 2


# -- a question back to the person ---------------------------------------------------------------

WHICH = {"question": "Which one do you mean?", "choices": ["D01 (north)", "D02 (south)"]}


def _clarify(call_id: str = "q1", **args: Any) -> dict[str, Any]:
    return dict(tool_call(name="clarify", args={**WHICH, **args}, id=call_id))


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ("2", "D02 (south)"),
        ("the first one", "D01 (north)"),
        ("d02 (SOUTH)", "D02 (south)"),
        ("7", "7"),
        ("How many at D01, then?", "How many at D01, then?"),
    ],
)
def test_the_person_is_asked_and_the_reply_goes_on(run: Run, words: str, answer: str) -> None:
    _, state, _ = run(AIMessage("", tool_calls=[_clarify()]))

    assert state["text"] == "Which one do you mean?"
    assert state["choices"] == WHICH["choices"]
    assert [entry.tool for entry in state["ledger"]] == ["question"]

    _, state, model = run(_call("D02"), AIMessage("412 vehicles [E3]."), question=words)

    assert model.heard[0][-1].text == f'{{"evidence": "E2", "answer": "{answer}"}}'
    assert [(e.id, e.tool) for e in state["ledger"]] == [("E1", "question"), ("E2", "clarify"), ("E3", "count")]
    assert state["ledger"][1].args == {**WHICH, "answer": answer}
    assert state["question"] == "How many?"
    assert state["text"] == "412 vehicles [E3]."
    assert "choices" not in state


def test_calls_beside_a_question_to_the_person_run_once(run: Run) -> None:
    both = AIMessage("", tool_calls=[*_call("D01").tool_calls, _clarify(), _clarify("q2", question="And which else?")])

    steps, state, _ = run(both)
    assert [e.tool for e in state["ledger"]] == ["question", "count", "clarify"]
    assert state["ledger"][2].error is not None
    assert "one question at a time" in state["ledger"][2].error
    assert len([s for s in steps if isinstance(s, ToolFinished)]) == 2

    steps, state, model = run(AIMessage("412 vehicles [E2]."), question="2")

    assert steps == []
    assert {m.tool_call_id for m in model.heard[0] if isinstance(m, ToolMessage)} == {"c1", "q1", "q2"}
    assert state["text"] == "412 vehicles [E2]."


def test_a_question_without_choices_is_an_error_that_the_model_reads(run: Run) -> None:
    _, state, model = run(AIMessage("", tool_calls=[_clarify(choices=["D01"])]), AIMessage("Hm."))

    assert "Bad arguments for clarify" in model.heard[1][-1].text
    assert state["text"] == "Hm."


def test_what_the_person_said_supports_no_number(run: Run) -> None:
    run(AIMessage("", tool_calls=[_clarify()]))
    _, state, _ = run(AIMessage("It counts 950 vehicles [E2]."), question="the one with 950 vehicles")

    assert state["text"] == "It counts 950 vehicles [unsupported] [E2]."


def test_the_reply_comes_at_a_clock_that_the_thread_may_know(run: Run) -> None:
    run(AIMessage("", tool_calls=[_clarify()]), as_of="2022-01-25T12:00-08:00")

    with pytest.raises(UsageError, match="know the future"):
        run(AIMessage("Fine."), question="2")
    with pytest.raises(UsageError, match="is about 'demo', not 'other'"):
        run(AIMessage("Fine."), question="2", as_of="2022-01-25T13:00-08:00", dataset="other")

    _, state, model = run(AIMessage("Fine."), question="2", as_of="2022-01-25T13:00-08:00")
    assert '"answer": "D02 (south)"' in model.heard[0][-1].text
    assert state["as_of"] == "2022-01-25T13:00-08:00"
