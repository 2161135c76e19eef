"""`query_series` measures what the data show up to the clock, and nothing that was imputed or is later."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest

from mm4st_agent.data.importing.inspect import draft_panel, inspect
from mm4st_agent.data.importing.options import ImportOptions
from mm4st_agent.data.panel import Panel
from mm4st_agent.data.registry import Registry
from mm4st_agent.demo_city.panel import demo_panel
from mm4st_agent.errors import ToolError
from tools.context import ToolContext
from tools.query_series import QUERY_SERIES, QuerySeriesOut


def context(registry: Registry, as_of: str | None = None) -> ToolContext:
    absent = cast(Any, None)
    return ToolContext(registry, absent, absent, absent, as_of)


def query(panel: Panel, folder: Path, as_of: str | None = None, **args: Any) -> QuerySeriesOut:
    registry = Registry(None, folder / "none", {panel.name: lambda: panel})
    return QUERY_SERIES.run({"dataset": panel.name, **args}, context(registry, as_of))


def made(folder: Path, values: list[float | None], step: str = "5min", start: str = "2024-01-01") -> Panel:
    """A panel of one node from a plain table."""
    times = pd.date_range(start, periods=len(values), freq=step)
    pd.DataFrame({"time": times, "a": values}).to_csv(folder / "made.csv", index=False)
    options = ImportOptions(channel="speed", units={"speed": "mph"}, missing=())
    return draft_panel(inspect(folder / "made.csv", "made", options))


@pytest.fixture
def orange(real_data: Path, tmp_path: Path) -> Registry:
    return Registry(real_data, tmp_path / "none", {})


def test_the_window_equals_what_pandas_says(orange: Registry) -> None:
    reply = QUERY_SERIES.run({"dataset": "pems-orange", "node": "1205330"}, context(orange, "2022-01-25T07:30"))

    panel = orange.open("pems-orange")
    series = pd.Series(panel.observed()[:, 1], panel.times)
    day = series["2022-01-24T07:30":"2022-01-25T07:25"]  # type: ignore[misc]
    assert (reply.steps, reply.measured, reply.imputed, reply.missing, reply.coverage) == (288, 288, 0, 0, 100)
    assert (reply.window_start, reply.window_end) == (day.index[0], day.index[-1])
    assert (reply.last, reply.last_time) == (day.iloc[-1], day.index[-1])
    assert reply.mean == pytest.approx(day.mean(), rel=1e-5)
    assert (reply.minimum, reply.minimum_time) == (day.min(), day.idxmin())
    assert (reply.maximum, reply.maximum_time) == (day.max(), day.idxmax())
    assert reply.recent == pytest.approx(day.iloc[-6:].mean(), rel=1e-5)
    assert (reply.unit, reply.slope_unit, reply.channel) == ("vehicles/5 min", "vehicles/5 min per hour", "flow")
    assert reply.warnings == []


def test_the_usual_level_is_the_same_time_of_earlier_weeks(orange: Registry) -> None:
    reply = QUERY_SERIES.run({"dataset": "pems-orange", "node": "1205330"}, context(orange, "2022-01-25T07:30"))

    panel = orange.open("pems-orange")
    series = pd.Series(panel.observed()[:, 1], panel.times)
    usual = [
        series.loc[day + f" {clock}"]
        for centre in pd.date_range("07:00", "07:25", freq="5min")
        for day in ("2022-01-04", "2022-01-11", "2022-01-18")
        for clock in (f"{centre + pd.Timedelta(minutes=shift):%H:%M}" for shift in (-5, 0, 5))
    ]
    assert reply.usual == pytest.approx(np.mean(usual), rel=1e-5)
    assert (reply.usual_weeks, reply.usual_readings) == (3, 54)
    assert reply.recent is not None
    assert reply.level == pytest.approx(100 * reply.recent / np.mean(usual), rel=1e-5)


def test_a_holiday_is_said_and_kept_out_of_the_usual_level(orange: Registry) -> None:
    on_the_day = QUERY_SERIES.run({"dataset": "pems-orange", "node": "1205330"}, context(orange, "2022-01-17T08:00"))
    week_after = QUERY_SERIES.run({"dataset": "pems-orange", "node": "1205330"}, context(orange, "2022-01-24T08:00"))

    assert any("2022-01-17 is a public holiday" in warning for warning in on_the_day.warnings)
    assert on_the_day.level is not None
    assert on_the_day.level < 95
    # Of the three Mondays before, the 17th is the holiday and the 10th was imputed.
    assert week_after.usual_weeks == 1
    assert week_after.warnings == []


@pytest.mark.parametrize("node", ["1205364", "1221932"])
def test_a_station_that_was_only_imputed_has_no_numbers(orange: Registry, node: str) -> None:
    reply = QUERY_SERIES.run({"dataset": "pems-orange", "node": node}, context(orange, "2022-01-25T07:30"))

    assert (reply.measured, reply.imputed, reply.coverage) == (0, 288, 0)
    for name in ("last", "mean", "minimum", "maximum", "recent", "usual", "level", "trend", "slope", "last_time"):
        assert getattr(reply, name) is None
    assert reply.warnings == [
        f"Every reading of station {node} in this window was imputed by the source; none was measured."
    ]
    json.dumps(json.loads(reply.model_dump_json()), allow_nan=False)


def test_nothing_after_the_clock_matters(tmp_path: Path) -> None:
    panel = demo_panel()
    later = panel.data["time"] >= np.datetime64("2025-09-16T07:30")
    other = dataclasses.replace(
        panel, data=panel.data.assign({name: panel.data[name].where(~later, 9999) for name in ("flow", "speed")})
    )

    for channel in ("flow", "speed"):
        args = {"node": "S039", "channel": channel, "as_of": "2025-09-16T08:30"}
        assert query(panel, tmp_path, **args) == query(other, tmp_path, **args)
        assert query(panel, tmp_path, **args | {"as_of": "end"}) != query(other, tmp_path, **args | {"as_of": "end"})


def test_missing_and_imputed_are_counted_apart(tmp_path: Path) -> None:
    panel = demo_panel()
    imputed = panel.imputed()
    node = int(imputed.sum(axis=0).argmax())
    end = panel.times[int(np.flatnonzero(imputed[:, node])[-1])] + pd.Timedelta(minutes=5)

    reply = query(panel, tmp_path, as_of=end.isoformat(), node=panel.node_ids[node])

    window = slice(panel.times.get_loc(end) - 288, panel.times.get_loc(end))
    assert reply.imputed == imputed[window, node].sum() > 0
    assert reply.missing == np.isnan(panel.values()[window, node]).sum()
    assert reply.measured + reply.imputed + reply.missing == reply.steps == 288
    assert any("steps have no measured reading" in warning for warning in reply.warnings)
    assert reply.mean == pytest.approx(np.nanmean(panel.observed()[window, node]), rel=1e-5)


def test_trend_words(tmp_path: Path) -> None:
    hour = np.arange(12) / 12
    cases = {
        "rising": list(50 + 20 * hour),
        "falling": list(50 - 20 * hour),
        "steady": [50.0] * 12,
    }
    for word, values in cases.items():
        reply = query(made(tmp_path, values), tmp_path, node="a")
        assert reply.trend == word
        assert reply.slope == pytest.approx({"rising": 20, "falling": -20, "steady": 0}[word], abs=1e-3)
        assert (reply.slope_unit, reply.trend_minutes) == ("mph per hour", 60)
    small = query(made(tmp_path, list(50 + 2 * hour)), tmp_path, node="a")
    assert small.trend == "steady"
    spike = query(made(tmp_path, [50.0] * 6 + [5.0] + [50.0] * 5), tmp_path, node="a")
    assert (spike.trend, spike.slope) == ("steady", 0)
    faint = query(
        made(tmp_path, [50, 50.4, 49.6, 50.2, 49.9, 50.5, 50, 50.3, 49.7, 50.1, 50, 50.2]), tmp_path, node="a"
    )
    assert faint.trend == "steady"
    noise = query(made(tmp_path, [50.0, 70, 40, 65, 45, 75, 42, 71, 44, 69, 52, 60]), tmp_path, node="a")
    assert noise.trend == "unclear"


def test_a_sudden_drop_is_a_shift_and_not_steady(tmp_path: Path) -> None:
    reply = query(demo_panel(), tmp_path, node="S096", channel="speed", as_of="2025-10-22T07:30")

    readings = demo_panel().until("2025-10-22T07:30").only(["S096"]).observed("speed")[-12:, 0].astype(float)
    assert reply.shift == pytest.approx(readings[-3:].mean() - readings[:-3].mean(), rel=1e-5)
    assert reply.shift == pytest.approx(-43, abs=0.5)
    assert reply.trend not in ("steady", None)
    assert reply.quantities()["shift"].unit == "km/h"


@pytest.mark.parametrize(
    ("values", "shift"),
    [
        ([50.0] * 9 + [20.0] * 3, -30),
        ([50.0] * 9 + [48.0] * 3, None),  # less than 10 %
        (list(np.linspace(100, 210, 12)), None),  # a slope, however steep, is no shift
        ([50.0, 70, 40, 65, 45, 75, 42, 71, 44, 69, 72, 60], None),  # within the noise
        ([50.0] * 9 + [None] * 3, None),
        ([50.0] * 9 + [None, 20.0, None], -30),
        ([50.0] * 2 + [None] * 7 + [20.0] * 3, None),  # two readings say nothing of the noise
    ],
)
def test_only_an_abrupt_change_is_a_shift(tmp_path: Path, values: list[float | None], shift: float | None) -> None:
    assert query(made(tmp_path, values), tmp_path, node="a").shift == shift


def test_until_looks_at_an_earlier_window(tmp_path: Path) -> None:
    args = {"node": "S039", "hours": 1.5}
    reply = query(demo_panel(), tmp_path, as_of="2025-09-24T12:00", until="2025-09-23T08:00", **args)
    then = query(demo_panel(), tmp_path, as_of="2025-09-23T08:00", **args)

    assert reply.as_of == pd.Timestamp("2025-09-24T12:00", tz="Europe/Lisbon")
    assert (reply.until, reply.steps) == (then.as_of, 18)
    assert reply.model_copy(update={"as_of": then.as_of}) == then


def test_a_total_needs_a_sum_and_enough_readings(tmp_path: Path) -> None:
    panel = demo_panel()
    day = query(panel, tmp_path, node="S039", as_of="2025-09-24T00:00")
    values = panel.until("2025-09-24T00:00").only(["S039"]).observed()[-288:, 0].astype(float)
    assert day.total == pytest.approx(np.nansum(values), rel=1e-5)
    assert (day.total_unit, day.quantities()["total"].unit) == ("vehicles", "vehicles")
    assert day.warnings == []

    noon = panel.times.get_loc(pd.Timestamp("2025-09-23T12:00", tz=panel.zone))
    flow = panel.data["flow"].load().copy()
    flow[noon : noon + 20, panel.position("S039")] = np.nan
    holed = query(
        dataclasses.replace(panel, data=panel.data.assign(flow=flow)), tmp_path, node="S039", as_of="2025-09-24T00:00"
    )
    assert holed.total is not None
    assert holed.warnings == [f"The total counts the {holed.measured} of 288 steps that were measured."]

    speed = query(panel, tmp_path, node="S039", channel="speed")
    assert (speed.total, speed.total_unit) == (None, None)

    imputed = panel.imputed()
    node = int(imputed.sum(axis=0).argmax())
    end = panel.times[int(np.flatnonzero(imputed[:, node])[-1])] + pd.Timedelta(minutes=5)
    gap = query(panel, tmp_path, node=panel.node_ids[node], as_of=end.isoformat(), hours=3)
    assert (gap.total, gap.total_unit) == (None, None)


@pytest.mark.parametrize("usual", [0.0, -5.0])
def test_a_usual_level_that_is_not_positive_is_told_without_a_ratio(tmp_path: Path, usual: float) -> None:
    reply = query(made(tmp_path, [usual] * (7 * 288) + [1.0] * 12), tmp_path, node="a")

    assert (reply.usual, reply.usual_weeks, reply.level) == (usual, 1, None)
    assert not any("no usual level" in warning for warning in reply.warnings)


def test_too_few_readings_have_no_trend_and_no_usual_level(tmp_path: Path) -> None:
    reply = query(made(tmp_path, [1, 2, 3, None, None, None]), tmp_path, node="a")

    assert (reply.trend, reply.slope, reply.usual, reply.level) == (None, None, None, None)
    assert (reply.last, reply.measured, reply.missing) == (3, 3, 3)
    assert any("no usual level" in warning for warning in reply.warnings)
    assert any("last 3 steps" in warning for warning in reply.warnings)


@pytest.mark.parametrize(("step", "weekly"), [("h", 168), ("D", 7)])
def test_coarse_steps(tmp_path: Path, step: str, weekly: int) -> None:
    values = [float(i % weekly) for i in range(4 * weekly)]

    reply = query(made(tmp_path, values, step), tmp_path, node="a")

    assert reply.steps == (24 if step == "h" else 1)
    assert (reply.recent, reply.usual, reply.level) == (weekly - 1, weekly - 1, 100)
    assert (reply.usual_weeks, reply.usual_readings) == (3, 3)


def test_the_time_of_the_week_follows_the_local_clock(tmp_path: Path) -> None:
    times = pd.date_range("2024-03-18", "2024-04-08", freq="h", tz="Europe/Zurich", inclusive="left")
    frame = pd.DataFrame({"time": [t.isoformat() for t in times], "a": times.hour.astype(float)})
    frame.to_csv(tmp_path / "dst.csv", index=False)
    panel = draft_panel(inspect(tmp_path / "dst.csv", "dst", ImportOptions(time_zone="Europe/Zurich", missing=())))

    reply = query(panel, tmp_path, as_of="2024-04-03T08:00", node="a")

    assert (reply.recent, reply.usual, reply.usual_weeks) == (8, 8, 2)


def test_a_short_history_shortens_the_window(tmp_path: Path) -> None:
    reply = query(made(tmp_path, [1.0] * 12), tmp_path, node="a", hours=100)

    assert (reply.steps, reply.window_hours) == (12, 1)


def test_units_and_ids_are_marked(tmp_path: Path) -> None:
    quantities = query(demo_panel(), tmp_path, node="S039", channel="speed").quantities()

    assert quantities["mean"].unit == "km/h"
    assert quantities["slope"].unit == "km/h per hour"
    assert quantities["level"].unit == "%"
    assert (quantities["node"].value, quantities["node"].unit) == ("S039", "id")
    assert quantities["maximum_time"].unit == "time"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"node": "S999"}, "no station 'S999'"),
        ({"node": "S039", "channel": "colour"}, "no channel 'colour'"),
        ({"node": "S039", "hours": 0}, "hours"),
        ({"node": "S039", "hours": 10_000}, "hours"),
        ({"node": "S039", "as_of": "2031-01-01"}, "outside the data"),
        ({"node": "S039", "until": "2025-10-22T07:41"}, "until 2025-10-22T07:41 is not between"),
        ({"node": "S039", "until": "2025-08-01"}, "is not between"),
        ({"node": "S039", "as_of": "soon"}, "not a point in time"),
    ],
)
def test_bad_arguments_are_one_clear_sentence(tmp_path: Path, args: dict[str, Any], message: str) -> None:
    with pytest.raises(ToolError, match=message):
        query(demo_panel(), tmp_path, **args)
