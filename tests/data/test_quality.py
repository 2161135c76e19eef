"""Quality: faults put into random processes are found, sound sensors are left alone, and counts are exact."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from numpy.typing import NDArray
from scipy.signal import lfilter

from mm4st_agent.data.card import Channel, DataCard
from mm4st_agent.data.known import KNOWN, known_card
from mm4st_agent.data.panel import MASK, Panel
from mm4st_agent.data.quality import assess, blocks, completeness
from mm4st_agent.data.quality.limits import limits_of
from mm4st_agent.data.quality.report import QualityReport
from mm4st_agent.data.quality.shifts import clock_lags, level_shifts
from mm4st_agent.data.quality.spikes import daily_profile, spikes
from mm4st_agent.data.quality.stuck import standstills, straight_lines
from mm4st_agent.data.store import open_panel, save_panel
from mm4st_agent.errors import UsageError

FLOW = Channel(name="flow", unit="vehicles/5 min", title="traffic flow", aggregation="sum")
SPEED = Channel(name="speed", unit="km/h", title="speed")


def panel_of(
    values: NDArray[np.floating] | Sequence[NDArray[np.floating]],
    *channels: Channel,
    step: str = "5min",
    zone: str = "UTC",
    start: str = "2024-03-04",
    imputed: NDArray[np.bool_] | None = None,
    kinds: Sequence[str] | None = None,
    edges: Sequence[tuple[int, int]] = (),
    places: NDArray[np.floating] | None = None,
    ids: Sequence[str] | None = None,
) -> Panel:
    arrays = list(values) if channels and not isinstance(values, np.ndarray) else [np.asarray(values)]
    channels = channels or (FLOW,)
    steps, nodes = arrays[0].shape
    names = np.array(list(ids) if ids else [f"n{i}" for i in range(nodes)], dtype=object)
    time = pd.date_range(start, periods=steps, freq=step, tz=zone).tz_convert("UTC").tz_localize(None).as_unit("ns")
    mask = {} if imputed is None else {MASK: "imputed"}
    data = xr.Dataset(
        {
            c.name: (("time", "node"), a.astype(np.float32), {"units": c.unit, **mask})
            for c, a in zip(channels, arrays, strict=True)
        },
        coords={
            "time": time,
            "node": names,
            "name": ("node", names),
            "kind": ("node", np.array(list(kinds) if kinds else ["site"] * nodes, dtype=object)),
            "lat": ("node", places[:, 0] if places is not None else np.full(nodes, np.nan)),
            "lon": ("node", places[:, 1] if places is not None else np.full(nodes, np.nan)),
        },
    )
    if imputed is not None:
        data = data.assign(imputed=(("time", "node"), imputed))
    card = DataCard(name="made", title="Made", source="s", licence="l", time_zone=zone, channels=channels)
    if not edges:
        return Panel(card=card, data=data)
    table = pd.DataFrame([(names[a], names[b], 1.0) for a, b in edges], columns=["source", "target", "weight"])
    return Panel(card=card, data=data, edges=table)


def daily(steps: int, step_s: int = 300) -> NDArray[np.float64]:
    """`(T,)` two peaks a day on a low night."""
    hour = np.arange(steps) * step_s / 3600 % 24
    return 40 + 120 * np.exp(-(((hour - 8) / 2) ** 2)) + 150 * np.exp(-(((hour - 17.5) / 2.5) ** 2))


def noise(rng: np.random.Generator, shape: tuple[int, int], memory: float) -> NDArray[np.float64]:
    """AR(1) of unit variance along time."""
    return lfilter([1], [1, -memory], rng.normal(size=shape), axis=0) * np.sqrt(1 - memory**2)


def flows(seed: int, nodes: int = 30, days: int = 28, memory: float = 0.9) -> NDArray[np.float64]:
    """Sound sensors: a daily profile of each its own size, and noise that grows with the level."""
    rng = np.random.default_rng(seed)
    base = daily(days * 288)[:, None] * (0.5 + rng.random(nodes))
    return np.maximum(base + noise(rng, base.shape, memory) * (3 + base / 12), 0.0).round(1) + 0.0


def faulty(report: QualityReport, what: str) -> set[str]:
    return {node for c in report.channels for fault in c.faults if fault.what == what for node in fault.nodes}


# -- counting ---------------------------------------------------------------------------------


def test_missing_and_imputed_cells_are_counted_by_node_hour_and_day() -> None:
    values = np.ones((14 * 24, 4)) * np.arange(14 * 24)[:, None]
    values[10:40, 1] = np.nan  # 30 hours from Monday 10:00 local time
    values[:, 3] = np.nan
    imputed = np.zeros(values.shape, dtype=bool)
    imputed[:, 2] = True
    imputed[10:13, 1] = True  # a missing cell is not counted as imputed too
    report = assess(panel_of(values, FLOW, step="1h", zone="Asia/Shanghai", imputed=imputed))

    one = report.channels[0].completeness
    assert (one.cells, one.missing, one.imputed) == (1344, 30 + 336, 336)
    assert one.never_measured == ("n2", "n3")
    assert [node.node for node in one.worst_nodes] == ["n2", "n3", "n1"]
    assert one.worst_nodes[2].missing_share == pytest.approx(30 / 336, abs=1e-6)
    by_hour = [hour.missing_share for hour in one.by_hour]
    expected = [(14 + (2 if 10 <= h < 16 else 1)) / 56 for h in range(24)]
    assert by_hour == pytest.approx(expected, abs=1e-6)
    assert one.by_weekday[0].missing_share == pytest.approx((48 + 14) / 192, abs=1e-6)
    assert one.by_weekday[1].missing_share == pytest.approx((48 + 16) / 192, abs=1e-6)
    assert one.by_weekday[2].missing_share == pytest.approx(48 / 192, abs=1e-6)
    assert str(one.worst_days[0].day) == "2024-03-05"
    outage = one.outages[2]
    assert (outage.node, outage.hours, outage.filled) == ("n1", 30.0, False)
    assert outage.start.isoformat() == "2024-03-04T10:00:00+08:00"
    assert outage.end.isoformat() == "2024-03-05T16:00:00+08:00"
    assert report.verdict[0] == (
        "27.2 % of the readings are missing; 25.0 % were filled in by the source without a measurement."
    )
    assert report.verdict[1] == "Sensors n2 and n3 have no measured reading at all."


def test_hours_follow_the_clock_over_a_clock_change() -> None:
    values = np.tile(np.arange(24.0), 10)[:, None] + np.zeros((240, 2))
    panel = panel_of(values, step="1h", zone="Europe/Lisbon", start="2024-03-27")
    gone = panel.times.hour == 3
    values[gone, 0] = np.nan
    one = completeness(panel_of(values, step="1h", zone="Europe/Lisbon", start="2024-03-27"))

    assert {hour.slot for hour in one.by_hour if hour.missing_share} == {3}
    assert one.by_hour[3].missing_share == 0.5


def test_only_the_nodes_that_measure_a_channel_count() -> None:
    kinds = ["road"] * 3 + ["air"] * 2
    flow, air = np.full((288 * 2, 5), np.nan), np.full((288 * 2, 5), np.nan)
    rng = np.random.default_rng(0)
    flow[:, :3] = rng.poisson(40, (576, 3))
    air[:, 3:] = rng.gamma(3, 5, (576, 2))
    air[:144, 4] = np.nan
    channels = FLOW.model_copy(update={"kinds": ("road",)}), Channel(name="pm25", unit="µg/m³", kinds=("air",))
    report = assess(panel_of([flow, air], *channels, kinds=kinds))

    first, second = (channel.completeness for channel in report.channels)
    assert (first.nodes, first.missing_share) == (3, 0.0)
    assert (second.nodes, second.missing_share) == (2, 0.125)
    assert [node.node for node in second.worst_nodes] == ["n4"]


# -- sound sensors ----------------------------------------------------------------------------


@pytest.mark.parametrize("memory", [0.0, 0.9, 0.99])
def test_sound_sensors_raise_next_to_no_alarm(memory: float) -> None:
    counts: dict[str, int] = {}
    for seed in range(3):
        for values in (flows(seed, memory=memory), np.random.default_rng(seed).poisson(flows(seed, memory=memory))):
            for what, count in assess(panel_of(values)).channels[0].counts.items():
                counts[what] = counts.get(what, 0) + count

    assert sum(counts.values()) <= 2, counts  # of 180 sensors and 1.45 million readings


def test_rain_gauges_at_rest_are_no_stuck_sensors() -> None:
    rng = np.random.default_rng(1)
    hours = 24 * 365
    rain = np.zeros((hours, 8))
    state = False
    for hour in range(hours):  # spells of rain and of dry weather that all gauges share
        state = rng.random() < (0.8 if state else 0.008)
        rain[hour] = rng.gamma(0.8, 2, 8).round(1) * state * (rng.random(8) < 0.7)
    report = assess(panel_of(rain, Channel(name="rain", unit="mm"), step="1h"))

    assert not faulty(report, "stuck")
    assert not faulty(report, "spike")


def test_speeds_at_their_ceiling_and_empty_nights_are_no_stuck_sensors() -> None:
    rng = np.random.default_rng(2)
    shape = (288 * 28, 20)
    night = np.where(daily(shape[0]) < 45, 0.05, daily(shape[0]))
    few = rng.poisson(night[:, None] * np.ones(20) / 10)
    capped = np.minimum(62 + 4 * noise(rng, shape, 0.8), 65).round(2)

    assert not faulty(assess(panel_of(few)), "stuck")
    assert not faulty(assess(panel_of(capped, SPEED)), "stuck")


def test_readings_that_are_only_renewed_daily_are_no_stuck_sensors() -> None:
    held = np.repeat(np.random.default_rng(3).normal(50, 5, (60, 5)), 24, axis=0)

    assert not faulty(assess(panel_of(held, SPEED, step="1h")), "stuck")


# -- faults that were put in ------------------------------------------------------------------


def test_stuck_sensors_are_found_where_they_are() -> None:
    values = flows(4, nodes=40)
    rng = np.random.default_rng(4)
    truth = {}
    for node in range(10):
        start, length = int(rng.integers(300, 7000)), int(rng.integers(24, 300))
        values[start : start + length, node] = values[start, node]
        truth[f"n{node}"] = (start, length)
    values[3000:3400, 10] = 0.0  # a dead sensor reads nothing
    report = assess(panel_of(values))

    assert faulty(report, "stuck") == {*truth, "n10"}
    stamps = panel_of(values).times
    for fault in report.channels[0].faults:
        if fault.what == "stuck" and fault.nodes[0] in truth:
            start, length = truth[fault.nodes[0]]
            assert abs(stamps.get_loc(fault.start) - start) <= 1
            assert fault.unit == "h"
            assert fault.value == pytest.approx(length / 12, abs=2 / 12)


def test_a_sensor_that_never_moves_is_stuck() -> None:
    values = flows(5, nodes=6, days=3)
    values[:, 2] = 17.0

    assert faulty(assess(panel_of(values)), "stuck") == {"n2"}


def test_gaps_filled_with_straight_lines_are_found() -> None:
    values = flows(6, nodes=20).astype(np.float32).astype(np.float64)
    rng = np.random.default_rng(6)
    inside = 0
    for node in range(8):
        start, length = int(rng.integers(100, 7000)), int(rng.integers(12, 60))
        values[start : start + length + 2, node] = np.linspace(
            values[start, node], values[start + length + 1, node] + 7, length + 2
        )
        inside += length
    report = assess(panel_of(values))

    assert faulty(report, "straight line") == {f"n{i}" for i in range(8)}
    share = report.channels[0].straight_line_share
    assert share == pytest.approx(inside / values.size, rel=0.02)
    assert not faulty(report, "stuck")


def test_spikes_are_found_and_an_incident_is_none() -> None:
    rng = np.random.default_rng(7)
    panel = panel_of(90 + 3 * noise(rng, (288 * 28, 30), 0.9), SPEED)
    values = panel.values().astype(np.float64).copy()
    injected = {(int(s), n) for n in range(15) for s in rng.choice(np.arange(50, 8000, 40), 6, replace=False)}
    for step, node in injected:
        values[step, node] += rng.choice([-1, 1]) * rng.uniform(35, 60)
    for node in range(15, 30):  # an hour of jam, and one of three readings
        at = int(rng.integers(300, 7000))
        values[at : at + 12, node] -= 60
        values[at + 600 : at + 603, node] -= 60
    calendar = blocks.Calendar.of(panel)
    found = spikes(values, daily_profile(values, calendar), calendar, 30)

    hits = set(zip(found.step.tolist(), found.node.tolist(), strict=True))
    assert len(hits & injected) >= 0.95 * len(injected)
    assert not hits - injected
    report = assess(panel_of(values, SPEED))
    assert faulty(report, "spike") == {f"n{i}" for i in range(15)}


def test_what_many_sensors_show_at_once_is_no_spike() -> None:
    rng = np.random.default_rng(8)
    values = 40 + 4 * noise(rng, (24 * 120, 12), 0.9)
    values[1000] += 300  # fireworks
    values[2000, 3] += 300
    report = assess(panel_of(values, Channel(name="pm25", unit="µg/m³"), step="1h"))

    assert [fault.nodes for fault in report.channels[0].faults if fault.what == "spike"] == [("n3",)]
    assert "2024" in report.channels[0].faults[0].sentence


@pytest.mark.parametrize("nodes", [3, 30])
def test_level_shifts_are_found_with_their_day_and_size(nodes: int) -> None:
    values = flows(9, nodes=nodes)
    rng = np.random.default_rng(9)
    shifted = range(1 if nodes == 3 else 6)
    days = {}
    for node in shifted:
        days[f"n{node}"] = day = int(rng.integers(8, 20))
        values[day * 288 :, node] *= 1.8 if node % 2 else 0.4
    panel = panel_of(values)
    report = assess(panel)

    assert faulty(report, "level shift") == set(days)
    for fault in report.channels[0].faults:
        if fault.what == "level shift":
            assert abs((fault.start - panel.times[0]).days - days[fault.nodes[0]]) <= 1
            assert (fault.value > 0) == bool(int(fault.nodes[0][1:]) % 2)
            assert fault.unit == "vehicles/5 min"


def test_what_moves_all_nodes_is_no_level_shift_and_short_data_are_not_tested() -> None:
    values = flows(10, nodes=12)
    values[14 * 288 :] *= 0.6  # school holidays

    assert not faulty(assess(panel_of(values)), "level shift")
    report = assess(panel_of(flows(11, nodes=3, days=7)))
    assert "Lasting level shifts: the data have 7 days; 10 are needed." in report.channels[0].not_tested


def test_days_that_wander_have_no_level_shift() -> None:
    rng = np.random.default_rng(12)
    found = [level_shifts(np.cumsum(rng.normal(size=(20, 60)), axis=1), np.ones(20) * 0.5) for _ in range(5)]

    assert sum(map(len, found)) <= 5  # of 100 random walks


def test_neighbours_that_contradict_each_other_are_found() -> None:
    rng = np.random.default_rng(13)
    wave = 5 * noise(rng, (288 * 14, 12), 0.995)
    common = wave.mean(axis=1, keepdims=True) * 3 + wave * 0.3
    values = 80 + common + rng.normal(0, 1, common.shape)
    ring = [(i, (i + 1) % 12) for i in range(12)]
    assert not faulty(assess(panel_of(values, SPEED, edges=ring)), "contradiction")

    values[:, 5] = 160 - values[:, 5]
    report = assess(panel_of(values, SPEED, edges=ring))
    pairs = {fault.nodes for fault in report.channels[0].faults if fault.what == "contradiction"}
    assert pairs == {("n4", "n5"), ("n5", "n6")}
    places = np.stack([np.full(12, 38.7), np.linspace(-9.3, -9.1, 12)], axis=1)
    near = assess(panel_of(values, SPEED, places=places))
    assert all("n5" in fault.nodes for fault in near.channels[0].faults if fault.what == "contradiction")
    assert "n5" in faulty(near, "contradiction")


def test_flow_that_gets_lost_on_a_link_is_found() -> None:
    chain = [(i, i + 1) for i in range(11)]
    base = daily(288 * 14)[:, None] * np.ones(12) * 2
    values = np.random.default_rng(14).poisson(base).astype(float)
    assert not faulty(assess(panel_of(values, edges=chain)), "contradiction")

    values[:, 6] = (values[:, 6] * 0.3).round()
    found = [f for f in assess(panel_of(values, edges=chain)).channels[0].faults if f.what == "contradiction"]
    assert {fault.nodes for fault in found} == {("n5", "n6"), ("n6", "n7")}
    assert sorted(fault.value for fault in found) == pytest.approx([0.3, 1 / 0.3], rel=0.05)


def test_copies_are_found_and_said_once() -> None:
    values = flows(15, nodes=8, days=5)
    values[:, 6] = values[:, 1]
    values[:, 3] = np.nan
    values[:, 4] = np.nan
    found = [f for f in assess(panel_of(values)).channels[0].faults if f.what == "duplicate"]

    assert [fault.nodes for fault in found] == [("n1", "n6")]


def test_a_sensor_in_another_time_zone_is_found() -> None:
    values = flows(16, nodes=10, days=14)
    values[:, 7] = np.roll(values[:, 7], 8 * 12)
    report = assess(panel_of(values))

    assert faulty(report, "wrong clock") == {"n7"}
    fault = next(fault for fault in report.channels[0].faults if fault.what == "wrong clock")
    assert (fault.value, fault.unit) == (8.0, "h")
    assert clock_lags(np.full((10, 24), np.nan)) == []


@pytest.mark.parametrize(
    ("name", "unit", "low", "high"),
    [
        ("speed", "mph", 0, 125),
        ("speed", "km/h", 0, 200),
        ("flow", "vehicles/5 min", 0, 2083),
        ("flow", "vehicles/h", 0, 25000),
        ("occupancy", "1", 0, 1),
        ("PM2.5", "µg/m³", 0, 1500),
        ("pm25", "ug/m3", 0, 1500),
        ("TEMP", "°C", -89.2, 56.7),
        ("requests", "requests/min", 0, None),
        ("ratio", "1", None, None),
        ("value", "", None, None),
        ("depth", "m", None, None),
    ],
)
def test_physical_limits(name: str, unit: str, low: float | None, high: float | None) -> None:
    limits = limits_of(Channel(name=name, unit=unit))

    assert (limits.low, limits.high) == (low, high)


def test_impossible_readings_are_found() -> None:
    values = 90 + np.random.default_rng(17).normal(0, 3, (600, 3))
    values[100, 0], values[200:203, 1], values[50, 2] = -1.0, 999.0, np.inf
    report = assess(panel_of(values, SPEED))

    found = {f.nodes[0]: (f.count, f.value) for f in report.channels[0].faults if f.what == "out of range"}
    assert found == {"n0": (1, -1.0), "n1": (3, 999.0), "n2": (1, None)}
    assert report.channels[0].completeness.missing == 1  # infinity is no reading
    assert "above 200 km/h, the worst 999 km/h" in report.verdict[1]


# -- how it reads -----------------------------------------------------------------------------


def test_imputed_cells_are_not_tested_as_measurements() -> None:
    values = flows(18, nodes=4, days=14)
    values[1000:1400, 0] = 33.0
    imputed = np.zeros(values.shape, dtype=bool)
    imputed[1000:1400, 0] = True

    report = assess(panel_of(values, FLOW, imputed=imputed))
    assert not faulty(report, "stuck")
    assert faulty(report, "outage") == {"n0"}


def test_a_panel_that_was_cut_does_not_look_ahead() -> None:
    values = flows(19, nodes=6)
    spoilt = values.copy()
    spoilt[15 * 288 :] = -1e6
    spoilt[15 * 288 + 50 :, 2] = np.nan
    moment = "2024-03-18T23:55"

    seen = assess(panel_of(spoilt).until(moment))
    assert seen == assess(panel_of(values).until(moment))
    assert seen.end.isoformat() == "2024-03-18T23:55:00+00:00"
    assert faulty(assess(panel_of(spoilt)), "out of range")


def test_blocks_of_nodes_say_what_the_whole_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    values = flows(20, nodes=9, days=14)
    values[500:700, 3] = 12.0
    values[50:350, 8] = np.nan
    values[:, 5] = values[:, 0]
    panel = panel_of(values, edges=[(i, i + 1) for i in range(8)])
    whole = assess(panel)
    save_panel(panel, tmp_path / "stored")
    monkeypatch.setattr(blocks, "BLOCK_CELLS", 2 * len(values))
    calls: list[tuple[int, int]] = []

    assert assess(panel, progress=lambda done, total: calls.append((done, total))) == whole
    assert calls == [(2, 9), (4, 9), (6, 9), (8, 9), (9, 9)]
    assert assess(open_panel(tmp_path / "stored")) == whole


@pytest.mark.parametrize(
    "values",
    [np.full((2, 1), np.nan), np.zeros((3, 2)), np.full((500, 3), np.nan), np.full((400, 1), np.inf), np.eye(7)],
    ids=["two steps", "zeros", "nothing", "infinite", "seven steps"],
)
def test_degenerate_panels_give_a_report_without_nan(values: NDArray[np.float64]) -> None:
    for step in ("5min", "7min", "1h", "1D", "7D"):
        report = assess(panel_of(values, SPEED, step=step))
        json.dumps(report.model_dump(mode="json"), allow_nan=False)
        assert 1 <= len(report.verdict) <= 5
        assert QualityReport.model_validate_json(report.model_dump_json()) == report


def test_an_unknown_channel_is_said() -> None:
    with pytest.raises(UsageError, match="has no channel 'noise'"):
        assess(panel_of(flows(0, 2, 2)), "noise")


def test_empty_inputs_of_the_single_tests() -> None:
    nothing = np.full((6, 2), np.nan)

    assert len(standstills(nothing, 300, 2).runs) == 0
    assert len(straight_lines(nothing, 2)) == 0
    assert len(straight_lines(nothing[:3], 2)) == 0


# -- real data --------------------------------------------------------------------------------


def known(data_dir: Path, name: str) -> Panel:
    return KNOWN[name](data_dir, known_card(name))


def test_orange(real_data: Path) -> None:
    report = assess(known(real_data, "pems-orange"))

    flow = report.channels[0].completeness
    assert flow.imputed_share == pytest.approx(0.141003, abs=1e-6)
    assert flow.never_measured == ("1205364", "1221932")
    assert report.verdict[0] == (
        "14.1 % of the readings of traffic flow, occupancy and speed were filled in by the source without a "
        "measurement; none is missing."
    )
    assert report.verdict[1].startswith("Stations 1205364 and 1221932 have no measured reading")
    assert not faulty(report, "out of range") | faulty(report, "duplicate") | faulty(report, "wrong clock")
    shared = max((f for f in report.channels[0].faults if f.what == "outage"), key=lambda fault: len(fault.nodes))
    assert len(shared.nodes) > 60  # nothing was measured from 8 January 03:05 to 10 January 10:30
    assert shared.start.isoformat() == "2022-01-08T03:05:00-08:00"


def test_the_linear_fills_of_los_loop(real_data: Path) -> None:
    panel = known(real_data, "los-loop")
    channel = assess(panel).channels[0]

    assert (channel.completeness.missing, channel.completeness.imputed) == (0, 0)
    assert 0.02 < channel.straight_line_share < 0.06
    line = next(f for f in channel.faults if f.what == "straight line" and f.nodes == ("718076",))
    row = panel.values()[panel.times.get_indexer([line.start])[0] :, panel.position("718076")].astype(np.float64)
    steps = np.diff(row[: int(line.value * 12)])
    assert np.ptp(steps) < 1e-4
    assert abs(steps[0]) > 0


def test_zeros_of_sz_taxi_are_missing_and_a_break_is_found(real_data: Path) -> None:
    panel = known(real_data, "sz-taxi")
    speed = panel.values("speed").astype(np.float64)
    report = assess(panel)

    channel = report.channels[0]
    assert channel.completeness.missing_share == pytest.approx(0.247598, abs=1e-6)
    assert report.verdict[0] == "24.8 % of the readings are missing."
    moved = [fault for fault in channel.faults if fault.what == "level shift" and f"{fault.start:%m-%d}" == "01-11"]
    assert len(moved) >= 10
    middle = np.nanmedian(speed[: 10 * 96, panel.position("73")]), np.nanmedian(speed[10 * 96 :, panel.position("73")])
    assert middle[0] > 20
    assert middle[1] < 6
    assert "73" in {fault.nodes[0] for fault in moved}


def test_beijing_weather_is_shared_and_its_blank_cell_is_missing(real_data: Path) -> None:
    files = sorted((real_data / "beijing_air").glob("PRSA_Data_*.csv.gz"))
    tables = {t["station"].iloc[0]: t for t in (pd.read_csv(f, na_values=["NA", " "]) for f in files)}
    channels = (Channel(name="SO2", unit="µg/m³"), Channel(name="TEMP", unit="°C"), Channel(name="RAIN", unit="mm"))
    arrays = [np.stack([table[c.name].to_numpy(float) for table in tables.values()], axis=1) for c in channels]
    ids = list(tables)
    panel = panel_of(arrays, *channels, step="1h", zone="Asia/Shanghai", start="2013-03-01", ids=ids)
    report = assess(panel)

    so2 = report.channels[0].completeness
    assert so2.missing == sum(int(table["SO2"].isna().sum()) for table in tables.values())
    blank = tables["Aotizhongxin"].query("No == 75").index[0]
    assert np.isnan(panel.values("SO2")[blank, ids.index("Aotizhongxin")])
    copies = {fault.nodes for fault in report.channels[1].faults if fault.what == "duplicate"}
    assert copies == {("Dongsi", "Nongzhanguan", "Tiantan"), ("Aotizhongxin", "Guanyuan")}
    assert not {f.what for f in report.channels[2].faults} & {"stuck", "spike", "level shift"}


def test_beijing_air_is_as_complete_as_its_files_say(real_data: Path) -> None:
    report = assess(known(real_data, "beijing-air"))

    counted = {channel.completeness.name: channel.completeness for channel in report.channels}
    assert 382 <= min(node.missing_share for node in counted["PM2.5"].worst_nodes) * 35064 <= 954
    files = sorted((real_data / "beijing_air").glob("PRSA_Data_*.csv.gz"))
    missing = sum(int(pd.read_csv(file, na_values=["NA", " "])["SO2"].isna().sum()) for file in files)
    assert counted["SO2"].missing == missing
    assert report.verdict[0].startswith("2.1 % of the readings of PM2.5 are missing")
