"""`find_analogs`: past moments like now, and nothing from after the clock."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mm4st_agent.data.panel import Panel
from mm4st_agent.errors import ToolError
from mm4st_agent.runtime import Runtime
from mm4st_agent.settings import load_settings
from tools.context import ToolContext
from tools.find_analogs import FIND_ANALOGS, FindAnalogsOut
from tools.forecast import FORECAST

AS_OF = "2025-10-22T07:40"
NODE = "S039"


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    return Runtime(load_settings(home=tmp_path_factory.mktemp("home")))


def run(runtime: Runtime, as_of: str = AS_OF, **args: object) -> FindAnalogsOut:
    return FIND_ANALOGS.run({"dataset": "demo", "node": NODE, **args}, runtime.tool_context(as_of))


def readings(runtime: Runtime, first: pd.Timestamp, steps: int, channel: str = "flow") -> np.ndarray:
    panel = runtime.registry.open("demo")
    at = int(panel.times.searchsorted(first))
    return panel.only([NODE]).observed(channel)[at : at + steps, 0].astype(np.float64)


def test_what_followed_is_what_was_measured(runtime: Runtime) -> None:
    reply = run(runtime)

    assert [analog.similarity for analog in reply.analogs] == sorted(
        (a.similarity for a in reply.analogs), reverse=True
    )
    for analog in reply.analogs:
        after = readings(runtime, pd.Timestamp(analog.time), 12)
        before = readings(runtime, pd.Timestamp(analog.time) - pd.Timedelta(hours=1), 12)
        assert analog.total == pytest.approx(after.sum(), rel=1e-4)
        assert analog.mean == pytest.approx(after.mean(), rel=1e-4)
        assert analog.just_before == pytest.approx(np.nanmean(before), rel=1e-4)
    values = reply.quantities()
    assert (values["analogs[0].total"].unit, values["analogs[0].mean"].unit) == ("vehicles", "vehicles/5 min")


def test_outcomes_stand_beside_the_forecast(runtime: Runtime) -> None:
    reply = run(runtime)

    told = FORECAST.run({"dataset": "demo", "node": NODE}, runtime.tool_context(AS_OF))
    totals = [analog.total for analog in reply.analogs]
    found = reply.outcomes
    assert (found.forecast_low, found.forecast, found.forecast_high) == (
        told.total.low, told.total.median, told.total.high,
    )  # fmt: skip
    assert (found.lowest, found.middle, found.highest) == (min(totals), np.median(totals), max(totals))
    assert found.inside == sum(found.forecast_low <= total <= found.forecast_high for total in totals)


def test_they_lie_apart_and_before_the_present(runtime: Runtime) -> None:
    reply = run(runtime, k=12)

    moments = sorted(analog.time for analog in reply.analogs)
    assert len(moments) == 12
    gaps = np.diff(pd.DatetimeIndex(moments).as_unit("ns").asi8) / 3.6e12
    assert gaps.min() >= 3
    clock = pd.Timestamp(AS_OF, tz="Europe/Lisbon")
    assert max(moments) + pd.Timedelta(hours=2) <= clock  # outcome and present history do not meet


def test_nothing_later_leaks_through_the_index(runtime: Runtime, tmp_path: Path) -> None:
    early = "2025-10-08T17:20"
    run(runtime, "2025-10-29T17:20", channel="speed")

    after = run(runtime, early, channel="speed")

    clock = pd.Timestamp(early, tz="Europe/Lisbon")
    assert all(pd.Timestamp(analog.time) + pd.Timedelta(hours=1) <= clock for analog in after.analogs)
    assert all(passage.published_at <= clock for passage in after.passages())
    assert pd.Timestamp(after.searched_until) <= clock - pd.Timedelta(hours=2)
    fresh = Runtime(load_settings(home=tmp_path))
    assert run(fresh, early, channel="speed").model_dump(exclude={"figure"}) == after.model_dump(exclude={"figure"})


def test_later_readings_change_nothing(runtime: Runtime) -> None:
    """The same answer from data that end at the clock."""
    whole = runtime.registry.open("demo")
    cut = whole.until(AS_OF)
    context = runtime.tool_context(AS_OF)

    class OnlyCut:
        def open(self, name: str) -> Panel:
            return cut

    found = FIND_ANALOGS.run({"dataset": "demo", "node": NODE}, dataclasses.replace(context, registry=OnlyCut()))

    assert found == run(runtime)


def test_the_same_question_has_the_same_answer_with_and_without_the_index(runtime: Runtime) -> None:
    first = run(runtime)
    alone = dataclasses.replace(runtime.tool_context(AS_OF), windows=None)

    assert run(runtime) == first
    assert FIND_ANALOGS.run({"dataset": "demo", "node": NODE}, alone) == first


def test_they_tell_the_level_better_than_chance(runtime: Runtime) -> None:
    """The middle outcome of the analogs is nearer to what came than the same hour of another day."""
    errors, others = [], []
    for clock in ("2025-10-21T08:00", "2025-10-23T17:30", "2025-10-24T12:15", "2025-10-25T19:00", "2025-10-27T06:45"):
        now = pd.Timestamp(clock, tz="Europe/Lisbon")
        truth = np.nansum(readings(runtime, now, 12))
        errors.append(abs(run(runtime, clock).outcomes.middle - truth))
        others.append(abs(np.nansum(readings(runtime, now - pd.Timedelta(days=3), 12)) - truth))

    assert np.mean(errors) < 0.6 * np.mean(others)


def test_the_log_of_those_days_is_quoted(runtime: Runtime) -> None:
    reply = run(runtime, k=12)

    quoted = [passage for analog in reply.analogs for passage in analog.entries]
    assert quoted
    log = {f"demo/{event.id}": event for event in runtime.registry.open("demo").events}
    for analog in reply.analogs:
        assert len(analog.entries) == min(3, analog.logged)
        for passage in analog.entries:
            event = log[passage.doc_id]
            assert passage.text == event.text
            assert event.start < pd.Timestamp(analog.time) + pd.Timedelta(hours=1)


def test_the_picture_overlays_them(runtime: Runtime) -> None:
    reply = run(runtime, k=3)

    assert runtime.images.get(reply.figure.image_id).startswith(b"\x89PNG")
    for analog in reply.analogs:
        assert f"{analog.time:%a %d %b %H:%M}" in reply.figure.alt


@pytest.mark.parametrize(("node", "channel"), [("A03", "pm25"), ("travel-info", "requests")])
def test_other_kinds_of_node(runtime: Runtime, node: str, channel: str) -> None:
    reply = FIND_ANALOGS.run({"dataset": "demo", "node": node}, runtime.tool_context(AS_OF))

    assert reply.channel == channel
    assert len(reply.analogs) == 5
    assert reply.outcomes.aggregation == "mean"


def test_too_little_past(runtime: Runtime) -> None:
    with pytest.raises(ToolError, match="a forecast needs 12"):
        run(runtime, "2025-09-01T00:30")
    with pytest.raises(ToolError, match=r"no earlier window of S039 .* takes 25 hours of") as caught:
        run(runtime, "2025-09-01T06:00")
    assert caught.value.hint == "Choose a time from 2025-09-02T00:25 on."
    few = run(runtime, "2025-09-02T02:00", k=12)  # a reading is missing in the first outcome
    assert 1 <= len(few.analogs) < 12
    assert any(f"Only {len(few.analogs)} moments" in warning for warning in few.warnings)


def test_too_little_past_for_a_network_of_numbers_that_compares_any_hour(runtime: Runtime) -> None:
    with pytest.raises(ToolError, match="no earlier window of A03") as caught:
        run(runtime, "2025-09-01T02:30", node="A03", channel="no2")
    assert caught.value.hint == "Choose a time from 2025-09-01T03:00 on."
    few = run(runtime, "2025-09-01T06:00", node="A03", channel="no2", k=12)
    assert 1 <= len(few.analogs) < 12


@pytest.mark.parametrize(
    ("args", "message", "hint"),
    [
        ({"node": "X9"}, "'X9'", "find_places"),
        ({"channel": "pm25"}, "does not measure PM2.5", "nearest"),
        ({"minutes": 90}, "too far", "at most 1 hour"),
        ({"k": 0}, "greater than or equal to 1", "It takes"),
        ({"k": 13}, "less than or equal to 12", "It takes"),
    ],
)
def test_plain_refusals(runtime: Runtime, args: dict[str, object], message: str, hint: str) -> None:
    with pytest.raises(ToolError, match=message) as caught:
        run(runtime, **args)

    assert hint in caught.value.hint


def test_without_a_trained_model(mixed: Panel, context_of: Callable[..., ToolContext]) -> None:
    with pytest.raises(ToolError, match="No model was trained for traffic flow of 'mixed'"):
        FIND_ANALOGS.run({"dataset": "mixed", "node": "S001"}, context_of(mixed))
