"""`assess_hazard`: chances that can be counted by hand, the rule of cost and loss, the clock, and what it refuses."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mm4st_agent.data.events import Event
from mm4st_agent.data.panel import Panel
from mm4st_agent.errors import ToolError
from tools.assess_hazard import ASSESS_HAZARD, AssessHazardOut
from tools.context import ToolContext
from tools.rain import PRIOR_DAYS, outlook, rain_of, told

PER_DAY = 96
NOON = pd.Timestamp("2025-09-28 12:00", tz="UTC")


def entry(number: int, start: pd.Timestamp, text: str, hours_before: float = 3) -> Event:
    published = start - pd.Timedelta(hours=hours_before)
    return Event(f"w{number}", text, start, None, published, "met office", kind="weather warning")


@pytest.fixture
def wet(mixed: Panel) -> Panel:
    """It rains 8 mm/h from 13:00 to 15:00 on every second day, each time after a word in the log at 10:00.

    The words at 10:00 of 27 and 28 September speak of heavy rain; only from then on is a dry day announced as wet.
    """
    days = np.arange(28 * PER_DAY) // PER_DAY
    hour = np.arange(28 * PER_DAY) % PER_DAY / 4
    rain = np.where((days % 2 == 1) & (hour >= 13) & (hour < 15), 8.0, 0.0)
    begins = [pd.Timestamp("2025-09-01 13:00", tz="UTC") + pd.Timedelta(days=day) for day in (*range(1, 27, 2), 27)]
    events = tuple(entry(n, start, "Rain from 13:00.") for n, start in enumerate(begins))
    sky = xr.Dataset(
        {"rain_mm_h": ("time", rain.astype(np.float32), {"units": "mm/h", "long_name": "rain", "known_future": False})},
        coords={"time": mixed.data.indexes["time"]},
    )
    return dataclasses.replace(mixed, covariates=sky, events=events)


@pytest.fixture
def assess(context_of: Callable[..., ToolContext]) -> Callable[..., AssessHazardOut]:
    def asked(panel: Panel, as_of: pd.Timestamp = NOON, **args: Any) -> AssessHazardOut:
        return ASSESS_HAZARD.run({"dataset": "mixed", **args}, context_of(panel, as_of.isoformat()))

    return asked


def test_rain_that_was_announced_is_warned_of(wet: Panel, assess: Callable[..., AssessHazardOut]) -> None:
    reply = assess(wet, threshold_mm=10)

    assert [passage.text for passage in reply.announced] == ["Rain from 13:00."]
    assert reply.warn
    # 13 days had such words, and each of them brought 16 mm
    assert reply.chance > 80
    assert reply.base_chance < 30
    assert reply.fallen == 0
    assert reply.threshold_source == "as asked"
    assert reply.high == 16


def test_a_day_without_a_word_stays_dry(wet: Panel, assess: Callable[..., AssessHazardOut]) -> None:
    reply = assess(wet, as_of=NOON - pd.Timedelta(days=1), threshold_mm=10)

    assert not reply.warn
    assert reply.announced == []
    assert reply.chance < 5


def test_what_has_fallen_counts(wet: Panel, assess: Callable[..., AssessHazardOut]) -> None:
    half_past_two = NOON + pd.Timedelta(hours=2, minutes=30)
    reply = assess(wet, as_of=half_past_two, threshold_mm=11, start_in_minutes=-150, minutes=360)

    assert reply.fallen == pytest.approx(12)
    assert reply.chance == 100
    assert reply.last_hour == pytest.approx(8)
    assert assess(wet, as_of=half_past_two, threshold_mm=11, minutes=120).fallen == 0


@pytest.mark.parametrize(("cost_loss", "warn"), [(0.05, True), (0.95, False)])
def test_a_warning_pays_where_the_chance_is_above_cost_over_loss(
    wet: Panel, assess: Callable[..., AssessHazardOut], cost_loss: float, warn: bool
) -> None:
    reply = assess(wet, as_of=NOON, threshold_mm=16, cost_loss=cost_loss)

    assert 5 < reply.chance < 95
    assert reply.warn is warn
    assert reply.cost_loss == 100 * cost_loss
    assert not reply.assumed_cost_loss


def test_moments_like_now_count_by_the_days_they_lie_on(wet: Panel) -> None:
    known = wet.until(NOON.to_pydatetime())
    rain, steps = rain_of(known, None), 24
    found = outlook(rain, told(known), 0, steps, 10.0)

    assert found.weights.sum() == pytest.approx(1)
    assert found.days == 13
    usual = found.usual_chance(10.0)
    assert 0 < usual < 0.3
    assert found.chance(10.0) == pytest.approx((13 * 1.0 + PRIOR_DAYS * usual) / (13 + PRIOR_DAYS))
    assert found.brier is not None
    assert found.usual_brier is not None
    assert found.brier < found.usual_brier


def test_words_of_rain_that_come_late_are_no_forecast(wet: Panel) -> None:
    late = entry(99, NOON, "It is raining.", hours_before=-1)
    about = entry(98, NOON, "Strong wind.", hours_before=3)

    assert told(dataclasses.replace(wet, events=(late, about))) == []


@pytest.mark.parametrize(
    ("minutes", "level", "mm", "source"),
    [
        (60, "yellow", 10, "IPMA for 1 hour"),
        (360, "orange", 41, "IPMA for 6 hours"),
        (720, "red", 140, "in 12 hours (GB/T 28592-2012)"),
        (1440, "yellow", 50, "in 24 hours (GB/T 28592-2012)"),
    ],
)
def test_thresholds_have_a_source(
    wet: Panel, assess: Callable[..., AssessHazardOut], minutes: int, level: str, mm: float, source: str
) -> None:
    reply = assess(wet, minutes=minutes, level=level)

    assert reply.threshold == mm
    assert source in reply.threshold_source


def test_data_without_announcements_are_not_said_to_have_any(
    wet: Panel, assess: Callable[..., AssessHazardOut]
) -> None:
    untold = assess(dataclasses.replace(wet, events=()), threshold_mm=5)

    assert not untold.log_announces
    assert "log" not in untold.like
    assert assess(wet, threshold_mm=5).log_announces


def test_rain_at_places_needs_one(mixed: Panel, wet: Panel, assess: Callable[..., AssessHazardOut]) -> None:
    rain = wet.covariates["rain_mm_h"].to_numpy() / 4
    both = np.stack([rain * (node == 1) for node in range(len(mixed.node_ids))], 1)
    sky = xr.Dataset({"RAIN": (("time", "node"), both, {"units": "mm"})}, coords=mixed.data.coords)
    there = dataclasses.replace(mixed, covariates=sky[["RAIN"]])

    with pytest.raises(ToolError, match="measured at 8 places, and none is named"):
        assess(there, threshold_mm=5)
    assert assess(there, node="S002", threshold_mm=5).base_chance > 0
    assert assess(there, node="S001", threshold_mm=5).base_chance == 0
    assert assess(there, node="S002", threshold_mm=5).place == "station S002 (Fish Market)"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"start_in_minutes": -600, "minutes": 60}, "which is past"),
        ({"cost_loss": 1.0}, "less than 1"),
        ({"threshold_mm": 0}, "greater than 0"),
        ({"minutes": 60 * 24 * 19, "start_in_minutes": 60 * 24 * 9}, "day\\(s\\) before"),
    ],
)
def test_a_span_that_cannot_be_judged_is_refused(
    wet: Panel, assess: Callable[..., AssessHazardOut], args: dict[str, Any], said: str
) -> None:
    with pytest.raises(ToolError, match=said):
        assess(wet, **args)


def test_data_without_rain_are_refused(mixed: Panel, assess: Callable[..., AssessHazardOut]) -> None:
    with pytest.raises(ToolError, match="no rain in mm or inches"):
        assess(mixed)


def test_nothing_later_than_the_clock_is_read(wet: Panel, assess: Callable[..., AssessHazardOut]) -> None:
    rain = wet.covariates["rain_mm_h"].to_numpy().copy()
    rain[27 * PER_DAY + 48 :] = 99.0
    later = wet.covariates.assign(rain_mm_h=("time", rain, wet.covariates["rain_mm_h"].attrs))
    more = dataclasses.replace(
        wet, covariates=later, events=(*wet.events, entry(50, NOON + pd.Timedelta(hours=5), "Rain at 17:00.", 4))
    )

    assert assess(more, threshold_mm=10) == assess(wet, threshold_mm=10)
