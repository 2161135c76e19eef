"""The planning suite: items from the question sets, and how plans are scored."""

from __future__ import annotations

from typing import Any

import pytest

from eval.bench.agent_questions import load_questions
from eval.suites.planning import SUITE
from eval.suites.suite import Item
from mm4st_agent.agent.answer import Answer
from mm4st_agent.agent.ledger import Evidence
from mm4st_agent.runtime import Runtime
from mm4st_agent.settings import load_settings


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    return Runtime(load_settings(home=tmp_path_factory.mktemp("home")))


def answer(*calls: tuple[str, dict[str, Any]], choices: tuple[str, ...] = ()) -> Answer:
    question = Evidence(id="E1", tool="question", args={}, as_of=None, seconds=0.0)
    made = [
        Evidence(id=f"E{n}", tool=tool, args=args, as_of=None, seconds=0.0) for n, (tool, args) in enumerate(calls, 2)
    ]
    return Answer(
        question="?", answer="Fine.", claims=[], evidence=[question, *made], figures=[], citations=[], warnings=[],
        chat_model="embedded", dataset="demo", as_of="2025-10-22T07:40+01:00", thread="t", seconds=0.1,
        choices=list(choices),
    )  # fmt: skip


def item(*calls: tuple[str, dict[str, Any]], clarify: str | None = None) -> Item:
    return Item(
        id="i", questions=("?",), dataset="demo", family="f", kind="k",
        expect={"calls": [{"tool": tool, "args": args} for tool, args in calls], "clarify": clarify},
    )  # fmt: skip


FORECAST = ("forecast", {"node": "S039", "minutes": 60})
STATUS = ("query_series", {"node": "S039"})


@pytest.mark.parametrize(
    ("asked", "made", "value", "why"),
    [
        (item(FORECAST), answer(FORECAST), 1, "as expected"),
        (item(FORECAST), answer(("find_places", {}), FORECAST, STATUS), 1, "as expected"),
        (item(FORECAST), answer(("forecast", {"node": "S040", "minutes": 60})), 0, "forecast.node is S040"),
        (item(FORECAST), answer(FORECAST, ("backtest", {})), 0, "a further call of backtest"),
        (item(STATUS, FORECAST), answer(FORECAST, STATUS), 0, "another order"),
        (item(), answer(), 1, "as expected"),
        (item(), answer(FORECAST), 0, "a further call of forecast"),
        (item(clarify="place"), answer(choices=("S001", "S002")), 1, "as expected"),
        (item(clarify="place"), answer(), 0, "did not ask back for the place"),
        (item(FORECAST), answer(FORECAST, choices=("S001", "S002")), 0, "it asked back"),
    ],
)
def test_a_plan_is_right_as_a_whole(asked: Item, made: Answer, value: float, why: str, runtime: Runtime) -> None:
    scored = SUITE.score(asked, [made], runtime)

    assert scored is not None
    assert scored.value == value
    assert why in scored.why


def test_right_arguments_are_told_beside_the_score(runtime: Runtime) -> None:
    made = answer(("forecast", {"node": "S039", "minutes": 30}))

    scored = SUITE.score(item(FORECAST), [made], runtime)

    assert scored is not None
    assert scored.details == {"slots": 0.5}


def test_the_items_are_the_questions_of_the_half(runtime: Runtime) -> None:
    for half in ("dev", "test"):
        questions = [question for question in load_questions(half) if question.dataset == "demo"]
        items = [one for one in SUITE.items(half, runtime) if one.dataset == "demo"]

        assert [one.id for one in items] == [question.id for question in questions]
        follow_ups = [one for one in items if one.kind == "follow-up"]
        assert follow_ups
        assert all(len(one.questions) > 1 for one in follow_ups)
        assert {"no tool", "irrelevant", "asks back"} <= {one.kind for one in items}
        scores = [SUITE.baseline(one, runtime) for one in items]
        assert sum(scored.value for scored in scores if scored) / len(items) < 0.3
