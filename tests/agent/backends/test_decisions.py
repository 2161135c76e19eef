"""Decisions: what is read of them, what is called, and that every number said is in the evidence."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import Any

import pytest

from mm4st_agent.agent.answer import Answer
from mm4st_agent.agent.backends import decisions
from mm4st_agent.agent.backends.placing import Step
from mm4st_agent.agent.backends.turns import Exchange, Result
from mm4st_agent.agent.clarify import CLARIFY
from mm4st_agent.runtime import Runtime

Plan = Callable[..., list[Step] | str]


@pytest.fixture(scope="module")
def plan(planner: Callable[[Collection[str]], Plan]) -> Plan:
    return planner({"find_places"})


@pytest.mark.parametrize(
    ("question", "ends"),
    [
        ("from S012 to S040, which way is faster?", ("S012", "S040")),
        ("we go to S040 from S012", ("S012", "S040")),
        ("which road between S012 and S040?", ("S012", "S040")),
        ("fastest way S012 S040", ("S012", "S040")),
        ("how do I get to S040?", (None, "S040")),
        ("leaving S012, which way?", ("S012", None)),
    ],
)
def test_a_trip_has_two_ends(question: str, ends: tuple[str | None, str | None]) -> None:
    named = [word.strip("?,") for word in question.split() if word.startswith("S0")]

    assert decisions.ends(question, named) == ends


@pytest.mark.parametrize(
    ("question", "target", "service"),
    [
        ("stay below 200 ms", 200, None),
        ("p99 under half a second if a request takes 40 ms", 500, 40),
        ("each request needs 80 ms of work, target 0.4 s", 400, 80),
        ("a service time of 1.5 seconds and a latency under 6 s", 6000, 1500),
        ("does it need more to keep below 300 milliseconds?", 300, None),
        ("how many replicas for the next 30 minutes?", None, None),
    ],
)
def test_a_latency_is_told_from_the_work_on_a_request(
    question: str, target: float | None, service: float | None
) -> None:
    assert decisions.latency_ms(question) == target
    assert decisions.service_ms(question) == service


@pytest.mark.parametrize(
    ("question", "mm", "ratio"),
    [
        ("more than 2.5 mm in the next 6 hours, cost-loss ratio 0.25", 2.5, 0.25),
        ("an inch of rain? a warning costs 10 % of the damage", None, 0.1),
        ("2 inches of rain, cost/loss of 30 %", 50.8, 0.3),
        ("rain of 3 mm/h", None, None),
        ("a ratio of 1.5", None, None),
    ],
)
def test_amounts_of_rain_and_ratios_are_read(question: str, mm: float | None, ratio: float | None) -> None:
    assert decisions.rain_mm(question) == mm
    assert decisions.cost_loss(question) == ratio


@pytest.mark.parametrize(
    ("question", "call"),
    [
        (
            "which way is faster from S012 to S040 at 17:30?",
            ("plan_route", {"origin": "S012", "destination": "S040", "start_in_minutes": 590}),
        ),
        (
            "How long will it take to Guildhall southbound from Castle Hill northbound if I leave in 20 minutes?",
            ("plan_route", {"origin": "S097", "destination": "S040", "start_in_minutes": 20}),
        ),
        (
            "give me three routes from S005 to S090 and say which one is fastest",
            ("plan_route", {"origin": "S005", "destination": "S090", "routes": 3}),
        ),
        (
            "how many replicas do we need for the next hour to stay below 200 ms?",
            ("plan_capacity", {"node": "travel-info", "latency_ms": 200.0, "minutes": 60}),
        ),
        (
            "how many servers does travel-info need to keep p99 below half a second if a request takes 40 ms?",
            (
                "plan_capacity",
                {
                    "node": "travel-info",
                    "latency_ms": 500.0,
                    "statistic": "p99",
                    "service_ms": 40.0,
                    "minutes": 60,
                },
            ),
        ),
        (
            "number of pods for a mean latency below 90 ms from 8 to 8:30, planning for the median load?",
            (
                "plan_capacity",
                {
                    "node": "travel-info",
                    "latency_ms": 90.0,
                    "statistic": "mean",
                    "quantile": 50,
                    "minutes": 30,
                    "start_in_minutes": 20,
                },
            ),
        ),
        (
            "should we warn about heavy rain tonight?",
            ("assess_hazard", {"minutes": 720, "start_in_minutes": 620}),
        ),
        (
            "do we raise an orange rain warning today?",
            ("assess_hazard", {"minutes": 1440, "start_in_minutes": -460, "level": "orange"}),
        ),
        (
            "is a rain warning justified for the coming 3 hours if 1 mm is too much?",
            ("assess_hazard", {"minutes": 180, "threshold_mm": 1.0}),
        ),
        (
            "warn of more than 2 mm of rain in the next 3 hours? a warning costs 10 % of the damage",
            ("assess_hazard", {"minutes": 180, "threshold_mm": 2.0, "cost_loss": 0.1}),
        ),
    ],
)
def test_a_decision_is_planned_with_its_arguments(plan: Plan, question: str, call: tuple[str, dict[str, Any]]) -> None:
    assert plan(question) == [(call[0], {"dataset": "demo", **call[1]})]


@pytest.mark.parametrize(
    ("question", "asked"),
    [
        ("what's the quickest way to S040?", "Where does the trip begin?"),
        ("which way is faster?", "Where does the trip begin?"),
        ("how many replicas do we need in the next hour?", "Which latency should it stay below?"),
    ],
)
def test_what_is_missing_is_asked_for(plan: Plan, question: str, asked: str) -> None:
    assert plan(question) == asked


def test_what_the_person_says_then_is_taken(plan: Plan, runtime: Runtime) -> None:
    def reply(tool: str, args: dict[str, Any], n: int) -> Result:
        return Result(tool, args, {"evidence": f"E{n}", **runtime.tool(tool, args).model_dump(mode="json")})

    places = [reply("find_places", {"dataset": "demo", "query": node, "limit": 6}, 1) for node in ("S012", "S040")]
    earlier = Exchange("which way is faster from S012 to S040?", places)
    later = plan("and at 8:15?", earlier)

    assert later == [
        ("plan_route", {"dataset": "demo", "origin": "S012", "destination": "S040", "start_in_minutes": 35})
    ]


@pytest.mark.parametrize(
    "question",
    [
        "Should I scale up the travel info servers for the next 90 minutes, or does the load stay put?",
        "Any weather warnings?",
        "east or west at Eastgate: which way is faster these past hours?",
        "which roads are slowest right now?",
        "what if it rained 5 mm/h, would S012 be slower?",
        "what if we close the road between S005 and S004, what does S039 see?",
    ],
)
def test_questions_that_only_sound_alike_stay_what_they_are(plan: Plan, question: str) -> None:
    said = plan(question)

    assert isinstance(said, str) or not {name for name, _ in said} & {"plan_route", "plan_capacity", "assess_hazard"}


def ask(runtime: Runtime, question: str, **options: Any) -> Answer:
    return asyncio.run(runtime.ask(question, **options))


@pytest.mark.parametrize(
    ("question", "as_of", "said"),
    [
        ("which way is faster from S012 to S040 at 17:30?", None, "No forecast reaches that time"),
        ("give me three routes from S005 to S090 and say which one is fastest", None, "is **via S063"),
        ("how many replicas do we need for the next hour to stay below 200 ms?", None, "50 ms of work on each"),
        ("how many replicas keep the mean latency below 55 ms if a request takes 50 ms?", None, "Erlang C"),
        ("should we warn about heavy rain tonight?", None, "**Do not warn.**"),
        ("should we warn of more than 3 mm of rain in the next 6 hours?", "2025-10-26T12:30", "**Warn.**"),
        ("what is the chance of more than 2 mm of rain today?", "2025-10-26T16:30", "Measured so far in that time"),
    ],
)
def test_every_claim_of_an_answer_is_verified(runtime: Runtime, question: str, as_of: str | None, said: str) -> None:
    answer = ask(runtime, question, as_of=as_of)

    assert said in answer.answer
    assert len(answer.claims) > 10
    assert [claim for claim in answer.claims if claim.status != "verified"] == []


def test_a_refusal_says_what_would_work(runtime: Runtime) -> None:
    answer = ask(runtime, "which way is faster from S012 to A03?")

    assert "A03" in answer.answer
    assert "does not measure speed" in answer.answer
    assert CLARIFY not in {entry.tool for entry in answer.evidence}
