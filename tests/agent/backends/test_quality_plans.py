"""Rankings ahead, levels, data quality, abstention: what is called for a request, and what is said of the replies."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

import prompts
from mm4st_agent.agent.backends.plans import plan
from mm4st_agent.agent.backends.rankings import Ranking
from mm4st_agent.agent.backends.request import Request, clock_of
from mm4st_agent.agent.backends.suppositions import Change
from mm4st_agent.agent.backends.thresholds import Threshold
from mm4st_agent.agent.backends.times import Span
from mm4st_agent.agent.backends.turns import Result, Turn
from mm4st_agent.agent.chat import Session
from mm4st_agent.errors import ToolError
from mm4st_agent.runtime import Runtime

Answer = Callable[[Request], tuple[list[tuple[str, dict[str, Any]]], str]]


@pytest.fixture(scope="module")
def session(runtime: Runtime) -> Session:
    whole = runtime.registry.open("demo")
    return Session.of(whole.until(whole.now))


@pytest.fixture(scope="module")
def answer(runtime: Runtime, session: Session) -> Answer:
    """Carry a request out with the real tools: the calls that were made, and the text."""

    def carry_out(request: Request) -> tuple[list[tuple[str, dict[str, Any]]], str]:
        found: list[Result] = []
        while True:
            said = plan(Turn(request.question, found, session=session), request)
            if isinstance(said, str):
                return [(result.tool, result.args) for result in found], said
            for name, args in said:
                try:
                    reply = runtime.tool(name, args).model_dump(mode="json")
                except ToolError as err:
                    reply = {"error": {"kind": "ToolError", "message": err.message, "hint": err.hint}}
                found.append(Result(name, args, {"evidence": f"E{len(found) + 1}", **reply}))

    return carry_out


def ahead(session: Session, start: int, end: int) -> Span:
    clock = clock_of(session)
    return Span(clock + timedelta(minutes=start), clock + timedelta(minutes=end))


def at(node: str, task: Any, span: Span, **more: Any) -> Request:
    return Request("?", task, span, places=(node,), identified=frozenset({node}), **more)


# -- rankings ahead -------------------------------------------------------------------------------


def test_a_ranking_of_what_comes_is_one_of_forecasts(answer: Answer, session: Session) -> None:
    asked = Request("?", "rank", ahead(session, 0, 60), channel="speed", sure=True, ranking=Ranking("level", None))
    calls, text = answer(asked)

    assert calls == [("rank_forecasts", {"dataset": "demo", "channel": "speed", "order": "lowest", "minutes": 60})]
    assert "is expected to have the lowest speed from 07:40 to 08:40 on Wednesday 22 October 2025" in text
    assert text.count("[E1]") >= 7
    assert "124 of 124 road stations could be forecast" in text


def test_of_a_moment_only_the_time_just_before_it_is_ranked(answer: Answer, session: Session) -> None:
    moment = Request("?", "rank", ahead(session, 50, 50), channel="flow", ranking=Ranking("level", "highest", limit=3))
    calls, text = answer(moment)

    assert calls[0][1]["start_in_minutes"] == 35
    assert calls[0][1]["minutes"] == 15
    assert "from 08:15 to 08:30" in text
    assert "3. " in text
    assert "4. " not in text


def test_a_ranking_of_what_was_stays_one_of_readings(answer: Answer) -> None:
    calls, text = answer(Request("?", "rank", Span(now=True), channel="flow", ranking=Ranking("level", "highest")))

    assert calls[0][0] == "rank_places"
    assert "was highest at these road stations" in text


# -- levels ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "said"),
    [(1000, "**Yes, very likely above that level**"), (3000, "**No, very unlikely above that level**")],
)
def test_whether_a_forecast_passes_a_level_is_said_first(
    answer: Answer, session: Session, value: float, said: str
) -> None:
    level = Threshold(value, "vehicles", "above")
    calls, text = answer(at("S039", "forecast", ahead(session, 0, 60), channel="flow", threshold=level))

    assert "forecast" in [tool for tool, _ in calls]
    assert text.startswith(said)
    assert str(value) not in text.splitlines()[0]  # no number but those of the tool


def test_whether_a_reading_passes_a_level_is_said_first(answer: Answer) -> None:
    below = Threshold(5, "km/h", "below")
    _, text = answer(at("S039", "status", Span(now=True), channel="speed", sure=True, threshold=below))

    assert text.startswith("**No**: the latest reading, 38.4 km/h at 07:35")


# -- abstention -----------------------------------------------------------------------------------


def test_beyond_reach_the_answer_says_so_and_what_was_measured_a_week_before(answer: Answer, session: Session) -> None:
    calls, text = answer(at("S039", "forecast", ahead(session, 24 * 60, 25 * 60), channel="flow"))

    assert ("query_series", {
        "dataset": "demo", "node": "S039", "channel": "flow", "hours": 1, "until": "2025-10-16T08:40+01:00",
    }) in calls  # fmt: skip
    assert text.startswith("The time from 07:40 to 08:40 on Thursday 23 October 2025 lies out of reach")
    assert "from 07:40 to 08:40 on Thursday 16 October 2025, the same time of the week" in text
    assert "is no forecast" in text


def test_what_weakens_a_forecast_stands_below_its_first_sentence(runtime: Runtime, session: Session) -> None:
    reply = runtime.tool("forecast", {"dataset": "demo", "node": "S039"}).model_dump(mode="json")
    weak = {"too_narrow": True, "total_coverage80": 55.0, "drifting": True, "recent_mae": 9.0, "recent_ratio": 2.5}
    reply["backtest"].update(weak)
    text = prompts.load("answer_forecast_short").render(
        session=session,
        place={"word": "station", "label": "S039"},
        forecast=Result("forecast", {}, {"evidence": "E1", **reply}),
        asked_step=None,
        each_step=False,
        request=Request("?", "forecast", Span()),
        level=None,
    )

    first, second = text.split("**With care.**")
    assert "is expected to carry about" in first
    assert "held only 55 % of the truths instead of 80 %" in second
    assert "9 vehicles/5 min, 2.50 times that of the whole backtest" in second


def test_how_sure_a_forecast_is(answer: Answer, session: Session) -> None:
    _, text = answer(at("S039", "forecast", ahead(session, 0, 60), channel="flow", sureness=True))

    assert text.startswith("**Fairly sure**: the 80 % interval, from 1,484 to 1,806 vehicles,")
    assert "held the truth in 83.9 % of the cases" in text
    assert "Over the last two days the error was" in text
    assert "**What would make it surer.**" in text


def test_a_what_if_says_how_such_claims_scored(answer: Answer, session: Session) -> None:
    rain = Change("set_covariate", "it rained 5 mm/h", covariate="rain", value=5.0, unit="mm/h")
    gone = Change("remove_sensor", "S038 failed", ("S038",))
    span = ahead(session, 0, 60)
    calls, text = answer(at("S039", "what_if", span, channel="speed", sure=True, changes=(rain, gone)))

    assert [change["kind"] for change in calls[-1][1]["changes"]] == ["set_covariate", "remove_sensor"]
    assert "clearly closer than claiming no effect" in text
    assert "rain, 2.24 against 2.54 km/h" in text
    assert "take them as guesses" in text
    _, alone = answer(at("S039", "what_if", span, channel="speed", sure=True, changes=(gone,)))
    assert "never scored against a known truth" in alone


# -- quality --------------------------------------------------------------------------------------


def test_the_quality_of_one_place(answer: Answer) -> None:
    calls, text = answer(at("S071", "quality", Span()))

    assert calls[-1] == ("check_quality", {"dataset": "demo", "hours": 24, "node": "S071", "channel": None})
    assert "99.3 % of the readings were measured" in text
    assert "173 vehicles/5 min at 14:50 on Tuesday 21 October 2025, 98 vehicles/5 min above" in text


def test_the_quality_of_all_places_begins_with_the_fault_that_is_asked_about(answer: Answer) -> None:
    calls, text = answer(Request("is any sensor stuck?", "quality", Span(), channel="flow"))

    assert calls == [("check_quality", {"dataset": "demo", "hours": 24, "channel": "flow"})]
    assert text.startswith("No traffic flow reading is stuck [E1].")
    assert "**All 124 road stations**" in text
