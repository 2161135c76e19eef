"""`detect_patterns`: the numbers are those of the series, in its unit, by the clock; and the picture has the marks."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from PIL import Image

from mm4st_agent.data.card import Channel, DataCard
from mm4st_agent.data.panel import MASK, Panel
from mm4st_agent.errors import ToolError
from mm4st_agent.runtime import Runtime
from mm4st_agent.settings import load_settings
from tools.detect_patterns import DETECT_PATTERNS, DetectPatternsOut

AS_OF = "2025-10-22T07:40"
STEPS = 400
Ask = Callable[..., DetectPatternsOut]


def panel_of(step: str = "15min", imputed: np.ndarray | None = None, **series: np.ndarray) -> Panel:
    """A node for each series, in metres."""
    steps = len(next(iter(series.values())))
    values = np.stack(list(series.values()), axis=1).astype(np.float32)
    mask = np.zeros(values.shape, dtype=bool) if imputed is None else np.repeat(imputed[:, None], len(series), 1)
    dims = ("time", "node")
    return Panel(
        card=DataCard(
            name="river", title="A river", source="this test", licence="CC0-1.0", time_zone="UTC",
            channels=(Channel(name="level", unit="m", title="water level"),),
        ),
        data=xr.Dataset(
            {"level": (dims, values, {"units": "m", MASK: "imputed"}), "imputed": (dims, mask)},
            coords={
                "time": pd.date_range("2024-03-04", periods=steps, freq=step, unit="ns"),
                "node": np.array(list(series), dtype=object),
            },
        ),
    )  # fmt: skip


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """Ask the tool about a panel that was imported, each time into a home of its own."""

    def asking(panel: Panel, as_of: str | None = None, **args: object) -> DetectPatternsOut:
        home = tmp_path / str(len(list(tmp_path.iterdir())))
        runtime = Runtime(load_settings(home=home))
        runtime.registry.add(panel)
        defaults = {"dataset": "river", "node": panel.node_ids[0], "hours": len(panel.times) * panel.step_s / 3600}
        return DETECT_PATTERNS.run(defaults | args, runtime.tool_context(as_of))

    return asking


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    return Runtime(load_settings(home=tmp_path_factory.mktemp("home")))


@pytest.fixture
def orange(tmp_path: Path) -> Callable[[DetectPatternsOut], int]:
    """How many pixels of the picture have the colour of anomalies."""

    def counting(reply: DetectPatternsOut) -> int:
        (path,) = tmp_path.glob(f"*/images/**/*{reply.figure.image_id}*.png")
        with Image.open(path) as picture:
            return int((np.asarray(picture.convert("RGB")) == (0xD5, 0x5E, 0x00)).all(axis=2).sum())

    return counting


def noise(seed: int, steps: int = STEPS, sd: float = 1.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, sd, steps)


def test_a_week_of_the_demo_city_has_a_day(demo: Runtime) -> None:
    ctx = demo.tool_context(AS_OF)

    reply = DETECT_PATTERNS.run({"dataset": "demo", "node": "S096"}, ctx)

    readings = demo.registry.open("demo").until(AS_OF).only(["S096"]).observed("flow")[-2016:, 0].astype(np.float64)
    spectrum = np.abs(np.fft.rfft(np.nan_to_num(readings - np.nanmean(readings))))[1:]
    assert reply.periods[0].hours == pytest.approx(168 / (1 + spectrum.argmax()), rel=0.01)
    assert reply.periods[0].hours == 24
    days = readings.reshape(7, 288)
    profile = np.nanmean(days, axis=0)
    explained = 100 * (1 - np.nanvar(days - profile) / np.nanvar(days))
    assert reply.periods[0].strength_percent == pytest.approx(explained, abs=10)
    assert reply.seasonality is not None
    assert reply.seasonality.swing == pytest.approx(np.ptp(profile), rel=0.4)
    assert (reply.steps, reply.missing) == (2016, np.isnan(readings).sum())
    assert reply.since.isoformat() == "2025-10-15T07:40:00+01:00"
    assert reply.until.isoformat() == "2025-10-22T07:35:00+01:00"
    assert all(reply.since <= anomaly.since <= anomaly.until <= reply.until for anomaly in reply.anomalies)
    units = {path: quantity.unit for path, quantity in reply.quantities().items()}
    assert units["periods[0].hours"] == "h"
    assert units["periods[0].strength_percent"] == "%"
    assert units["seasonality.swing"] == units["volatility.level"] == "vehicles/5 min"
    assert len(reply.model_dump_json()) < 3000
    assert json.loads(json.dumps(reply.model_dump(mode="json"), allow_nan=False))["unit"] == "vehicles/5 min"
    with Image.open(io.BytesIO(ctx.images.get(reply.figure.image_id))) as picture:
        assert picture.size == (1280, 768)
    assert "Road station S096 (Castle Hill southbound): traffic flow" in reply.figure.alt
    assert "unit vehicles/5 min" in reply.figure.alt


def test_a_level_change_is_found_where_it_was_put_and_marked(ask: Ask) -> None:
    level = np.where(np.arange(STEPS) < 250, 50.0, 62.0) + noise(1)

    reply = ask(panel_of(A=level))

    (change,) = reply.changes
    assert (reply.change_count, change.kind) == (1, "level")
    assert abs((change.time - pd.Timestamp("2024-03-06T14:30Z")) / pd.Timedelta("15min")) <= 2
    assert change.before == pytest.approx(level[:250].mean(), abs=0.3)
    assert change.after == pytest.approx(level[250:].mean(), abs=0.3)
    assert reply.quantities()["changes[0].after"].unit == "m"
    assert f"changes marked at {change.time:%Y-%m-%d %H:%M}" in reply.figure.alt
    assert ask(panel_of(A=50 + noise(1))).figure.alt.endswith("0 of 400 steps missing.")


@pytest.mark.parametrize(("step", "hours"), [("5min", 1 / 12), ("15min", 0.25), ("1h", 1), ("1D", 24)])
def test_a_trend_and_a_period_keep_their_measure_at_any_step(step: str, hours: float, ask: Ask) -> None:
    time = np.arange(STEPS) * hours
    rising, wave = 10 + 0.5 * time / hours + noise(2), 50 + 10 * np.sin(2 * np.pi * time / (20 * hours)) + noise(3)

    trend = ask(panel_of(step, A=rising)).trend
    cycle = ask(panel_of(step, A=wave)).periods[0]

    assert trend is not None
    assert trend.kind == "linear"
    assert trend.slope == pytest.approx(np.polyfit(time, rising, 1)[0], rel=0.02)
    assert trend.change == pytest.approx(0.5 * STEPS, rel=0.02)
    assert cycle.hours == pytest.approx(20 * hours, rel=0.01)
    assert cycle.cycles == pytest.approx(STEPS / 20, abs=0.1)
    assert cycle.waveform == "sine"


def test_no_trend_has_no_slope_to_quote(ask: Ask) -> None:
    trend = ask(panel_of(A=50 + noise(4))).trend

    assert trend is not None
    assert (trend.kind, trend.slope, trend.change) == ("none", None, None)


def test_who_follows_whom(ask: Ask) -> None:
    leader = np.zeros(STEPS)
    for step, shock in enumerate(noise(5)[1:], start=1):
        leader[step] = 0.6 * leader[step - 1] + shock
    follower = 20 + 2 * np.roll(leader, 3) + noise(6, sd=0.3)
    panel = panel_of(A=leader, B=follower)

    forward, backward = ask(panel, other="B").relation, ask(panel, node="B", other="A").relation

    assert forward is not None
    assert backward is not None
    assert (forward.related, forward.leads, forward.lag_minutes, forward.foresees) == (True, "node", 45, "node")
    assert (backward.related, backward.leads, backward.lag_minutes, backward.foresees) == (True, "other", -45, "other")
    assert forward.lag_low_minutes <= 45 <= forward.lag_high_minutes
    assert forward.plain_at_lag == pytest.approx(np.corrcoef(leader[:-3], follower[3:])[0, 1], abs=0.03)
    assert forward.plain_at_zero == pytest.approx(np.corrcoef(leader, follower)[0, 1], abs=0.03)

    apart = ask(panel_of(A=leader, B=noise(7)), other="B").relation
    assert apart is not None
    assert (apart.related, apart.leads) == (False, None)


def test_the_largest_anomalies_are_named_in_order_of_time_and_all_are_counted(
    ask: Ask, orange: Callable[[DetectPatternsOut], int]
) -> None:
    sizes = np.array([20, 60, 25, 55, 30, 50, 35, 45, 40, 70, 22, 65], dtype=float)
    where = np.array([17, 40, 81, 99, 140, 166, 211, 230, 279, 300, 352, 380])
    spiky = 100 + noise(8)
    spiky[where] += sizes

    reply = ask(panel_of(A=spiky))

    assert reply.anomaly_count == len(sizes)
    largest = np.sort(np.argsort(sizes)[-8:])
    assert [anomaly.since for anomaly in reply.anomalies] == [
        pd.Timestamp("2024-03-04", tz="UTC") + pd.Timedelta(minutes=15) * int(step) for step in where[largest]
    ]
    assert [anomaly.size for anomaly in reply.anomalies] == pytest.approx(list(sizes[largest]), abs=4)
    assert {anomaly.kind for anomaly in reply.anomalies} == {"spike"}
    assert "12 marked as anomalous" in reply.figure.alt
    assert orange(reply) > 12 * 20
    assert orange(ask(panel_of(A=100 + noise(8)))) == 0


def test_what_nobody_measured_is_left_out(ask: Ask) -> None:
    values = 100 + noise(9)
    imputed = np.zeros(STEPS, dtype=bool)
    imputed[100:102] = True
    values[100:102] = 400
    values[300:310] = np.nan

    reply = ask(panel_of(A=values, imputed=imputed))

    assert (reply.missing, reply.anomaly_count) == (12, 0)
    assert any("12 of 400 steps are missing" in note for note in reply.notes)
    assert ask(panel_of(A=values)).anomaly_count == 1


def test_nothing_after_the_clock_is_read(ask: Ask) -> None:
    values = 50 + 10 * np.sin(2 * np.pi * np.arange(STEPS) / 20) + noise(10)
    panel, changed = panel_of(A=values), values.copy()
    changed[301:] = 999
    clock = f"{panel.times[300]:%Y-%m-%dT%H:%M}"
    later = panel_of(A=changed)

    assert ask(panel, clock, hours=50) == ask(later, clock, hours=50) == ask(later, hours=50, until=clock)
    assert ask(panel, hours=50) != ask(later, hours=50)


@pytest.mark.parametrize(
    ("values", "note"),
    [
        (np.arange(5.0), "too short: 5 readings, 16 needed"),
        (np.full(50, 7.0), "all readings are equal"),
        (np.full(50, np.nan), "too short: 0 readings, 16 needed"),
    ],
)
def test_a_window_that_says_nothing_gives_its_reason(values: np.ndarray, note: str, ask: Ask) -> None:
    reply = ask(panel_of(A=values, B=values), other="B")

    assert note in reply.notes
    assert (reply.trend, reply.periods, reply.volatility, reply.relation) == (None, [], None, None)
    assert reply.steps == len(values)


def test_a_single_step_is_no_error(ask: Ask) -> None:
    assert ask(panel_of(A=noise(1)), hours=0.01).steps == 1


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"node": "S999"}, "has no station 'S999'"),
        ({"node": "S039", "other": "S039"}, "'S039' is compared with itself"),
        ({"node": "S039", "other": "S999"}, "has no station 'S999'"),
        ({"node": "S039", "other": "A01"}, "does not measure traffic flow"),
        ({"node": "S039", "channel": "wind"}, "has no channel 'wind'"),
        ({"node": "S039", "until": "2025-10-23T00:00"}, "is not between the first reading"),
        ({"node": "S039", "hours": 8000}, "8000 hours of 'demo' are"),
        ({"node": "S039", "hours": 0}, "greater than 0"),
    ],
)
def test_a_bad_request_is_told_to_the_model(demo: Runtime, args: dict[str, object], message: str) -> None:
    with pytest.raises(ToolError, match=message):
        DETECT_PATTERNS.run({"dataset": "demo", **args}, demo.tool_context(AS_OF))


def test_a_week_of_the_real_station(tmp_path: Path, real_data: Path) -> None:
    runtime = Runtime(load_settings(home=tmp_path, data_dir=real_data))

    reply = DETECT_PATTERNS.run({"dataset": "pems-orange", "node": "1205330"}, runtime.tool_context("2022-01-25T07:30"))

    assert reply.periods[0].hours == 24
    assert reply.unit == "vehicles/5 min"


def test_importing_the_tool_does_not_load_what_measures_or_draws() -> None:
    code = (
        "import sys, tools.detect_patterns;"
        "assert not {'matplotlib', 'torch', 'scipy.signal', 'statsmodels', 'mm4st_agent.patterns.detect'} "
        "& set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
