"""What is asked back where a question leaves open which quantity, time or place it means, and what the answer does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

import pytest

from mm4st_agent.agent.backends.placing import Step
from mm4st_agent.runtime import Runtime

Plan = Callable[..., list[Step] | str]


@pytest.fixture(scope="module")
def plan(planner: Callable[[Collection[str]], Plan]) -> Plan:
    return planner({"find_places", "describe_dataset"})


@pytest.mark.parametrize(
    ("question", "asked"),
    [
        ("Is A15 above 30 at the moment?", "Which quantity do you mean?"),
        ("Where is it worst at the moment?", "Which quantity do you mean?"),
        ("What flow will S042 have by then?", "How far ahead do you mean?"),
        ("What speed will S042 have when my shift starts?", "How far ahead do you mean?"),
        ("S125 speed now?", 'There is no station called "S125". Which of these do you mean?'),
    ],
)
def test_what_is_left_open_is_asked(plan: Plan, question: str, asked: str) -> None:
    assert plan(question) == asked


@pytest.mark.parametrize(
    ("question", "tool"),
    [
        ("Is the NO2 at A15 above 30 at the moment?", "query_series"),
        ("Is S042 below 50 km/h at the moment?", "query_series"),
        ("Where is traffic worst at the moment?", "rank_places"),
        ("What flow will S042 have by nine?", "forecast"),
    ],
)
def test_what_is_said_is_not_asked(plan: Plan, question: str, tool: str) -> None:
    steps = plan(question)

    assert isinstance(steps, list)
    assert tool in [name for name, _ in steps]


def test_both_ways_of_a_place_are_no_question(plan: Plan) -> None:
    steps = plan("flow in both directions at Fish Market now")

    assert isinstance(steps, list)
    assert {args["node"] for name, args in steps if name == "query_series"} == {"S061", "S062"}


@pytest.mark.parametrize(
    ("question", "reply", "tool", "meant"),
    [
        ("Is A15 above 30 at the moment?", "NO2", "query_series", {"node": "A15", "channel": "no2"}),
        ("Where is it worst at the moment?", "speed", "rank_places", {"channel": "speed", "order": "lowest"}),
        ("What flow will S042 have by then?", "the next half hour", "forecast", {"node": "S042", "minutes": 30}),
        ("What flow will S042 have by then?", "between 9 and 10", "forecast", {"start_in_minutes": 80, "minutes": 60}),
    ],
)
def test_the_answer_settles_it(
    runtime: Runtime, question: str, reply: str, tool: str, meant: dict[str, str | int]
) -> None:
    asked = asyncio.run(runtime.ask(question, dataset="demo"))
    assert asked.choices

    answer = asyncio.run(runtime.ask(reply, dataset="demo", thread=asked.thread))

    (args,) = [entry.args for entry in answer.evidence if entry.tool == tool]
    assert meant.items() <= args.items()
