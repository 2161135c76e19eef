"""The demo panel is synthetic, says so, and its stated causes can be found in its readings."""

from __future__ import annotations

import time

import numpy as np
import pytest
from numpy.typing import NDArray

from mm4st_agent.data.panel import Panel
from mm4st_agent.demo_city.panel import demo_panel

DAYS, SLOTS = 28, 288


@pytest.fixture(scope="module")
def panel() -> Panel:
    return demo_panel()


def by_day(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """(day, slot, node)."""
    return values.reshape(DAYS, SLOTS, -1)


def mean(values: NDArray[np.float32]) -> float:
    """Of the finite values; NaN where an outage left none."""
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else np.nan


def test_shape_units_and_the_word_synthetic(panel: Panel) -> None:
    assert panel.card.synthetic
    assert "synthetic" in panel.card.title
    assert panel.values().shape == (DAYS * SLOTS, 24)
    assert panel.step_s == 300
    assert [(c.name, c.unit) for c in panel.card.channels] == [("flow", "vehicles/5 min"), ("speed", "km/h")]
    assert str(panel.times[0]) == "2025-09-01 00:00:00+01:00"
    assert str(panel.times[-1]) == "2025-09-28 23:55:00+01:00"
    assert panel.node_ids[0] == "D01"
    assert panel.nodes["name"].is_unique
    assert panel.nodes[["lat", "lon"]].notna().all(axis=None)


def test_the_same_seed_gives_the_same_panel(panel: Panel) -> None:
    again, other = demo_panel(), demo_panel(seed=8)

    assert again.data.identical(panel.data)
    assert again.events == panel.events
    assert again.covariates.identical(panel.covariates)
    assert not np.array_equal(other.values(), panel.values(), equal_nan=True)


def test_it_is_made_at_once() -> None:
    begun = time.process_time()

    demo_panel()

    assert time.process_time() - begun < 0.5


def test_readings_are_plausible(panel: Panel) -> None:
    flow, speed = panel.values("flow"), panel.values("speed")

    assert np.nanmin(flow) >= 0
    assert np.nanmax(flow) < 600
    assert np.nanmin(speed) >= 4
    assert np.nanmax(speed) < 110
    assert np.isnan(flow).mean() == pytest.approx(0.01, abs=0.003)
    assert 0.001 < panel.imputed().mean() < 0.02
    assert not (panel.imputed() & np.isnan(flow)).any()


def test_streets_link_both_corridors(panel: Panel) -> None:
    edges = panel.edges

    assert len(edges) == 28
    assert edges["distance"].between(0.5, 2).all()
    assert edges["weight"].between(0, 1, inclusive="right").all()
    crossing = edges[(edges["source"] < "D13") & (edges["target"] >= "D13")]
    assert set(crossing["target"]) == {"D16", "D22"}


def test_rush_hours_by_direction_and_quiet_weekends(panel: Panel) -> None:
    flow = by_day(panel.observed())
    weekday = np.arange(DAYS) % 7 < 5
    inbound = panel.nodes["direction"].isin(["eastbound", "northbound"]).to_numpy()
    morning, evening = slice(7 * 12, 9 * 12), slice(16 * 12 + 6, 18 * 12 + 6)
    share = np.nanmean(flow[weekday][:, morning], axis=(0, 1)) / np.nanmean(flow[weekday][:, evening], axis=(0, 1))

    assert share[inbound].min() > 1.03
    assert share[~inbound].max() < 0.9
    assert np.nanmean(flow[weekday][:, morning]) > 2.5 * np.nanmean(flow[~weekday][:, morning])
    assert np.nanmean(flow[:, 2 * 12 : 4 * 12]) < 0.3 * np.nanmean(flow[:, 12 * 12 : 14 * 12])


def test_speed_falls_with_load(panel: Panel) -> None:
    flow, speed = panel.observed("flow"), panel.observed("speed")
    busy = flow > np.nanquantile(flow, 0.95, axis=0)
    quiet = flow < np.nanquantile(flow, 0.3, axis=0)

    for node in range(24):
        assert np.nanmean(speed[busy[:, node], node]) < 0.93 * np.nanmean(speed[quiet[:, node], node])


def test_rain_lowers_speed(panel: Panel) -> None:
    rain = panel.covariates["rain_mm_h"].to_numpy()[: DAYS * SLOTS]
    speed = by_day(panel.observed("speed"))
    usual = np.nanmedian(speed, axis=0)
    relative = np.nanmean(speed / usual, axis=2).ravel()

    assert 0.01 < (rain > 0).mean() < 0.2
    assert relative[rain > 3].mean() < relative[rain == 0].mean() - 0.08


def test_rain_is_known_only_up_to_now_and_the_calendar_ahead(panel: Panel) -> None:
    cut = panel.until("2025-09-20T08:00")

    rain, holiday = cut.covariates["rain_mm_h"], cut.covariates["school_holiday"]
    known = int(np.isfinite(rain.to_numpy()).sum())
    assert known == 19 * SLOTS + 8 * 12  # 08:00 covers until 08:05
    assert holiday.sel(time="2025-09-24T12:00").item() == 1
    assert holiday.sel(time="2025-09-19T12:00").item() == 0
    assert np.isfinite(holiday.to_numpy()).all()


def test_school_holidays_thin_the_morning(panel: Panel) -> None:
    flow = by_day(panel.observed())
    mornings = np.nanmean(flow[:, 7 * 12 : 9 * 12], axis=(1, 2))
    weekday = np.arange(DAYS) % 7 < 5
    week = np.arange(DAYS) // 7

    assert mornings[weekday & (week == 3)].mean() < 0.85 * mornings[weekday & (week < 3)].mean()


def test_incidents_cut_flow_and_speed_where_they_are_and_then_upstream(panel: Panel) -> None:
    flow, speed = by_day(panel.observed("flow")), by_day(panel.observed("speed"))
    weekday = (np.arange(DAYS) % 7 < 5)[:, None, None]
    usual_flow = np.where(weekday, np.nanmedian(flow[weekday[:, 0, 0]], axis=0), np.nanmedian(flow[5::7], axis=0))
    relative_flow = (flow / usual_flow).reshape(-1, 24)
    relative_speed = (speed / np.nanmedian(speed, axis=0)).reshape(-1, 24)
    upstream = panel.edges.groupby("target")["source"].apply(list)
    here, before, above, far = [], [], [], []
    for event in panel.events:
        assert event.end is not None
        first, last = panel.times.get_indexer([event.start, event.end], method="nearest")
        node = panel.position(str(event.node))
        here.append((mean(relative_flow[first:last, node]), mean(relative_speed[first:last, node])))
        before.append((mean(relative_flow[first - 6 : first, node]), mean(relative_speed[first - 6 : first, node])))
        for name in upstream.get(event.node, []):
            above.append(mean(relative_speed[first + 2 : last + 2, panel.position(name)]))
        opposite = (node + 12) % 24
        far.append(mean(relative_speed[first:last, opposite]))

    assert len(panel.events) == 48
    assert np.nanmedian(here, axis=0)[0] < 0.75
    assert np.nanmedian(here, axis=0)[1] < 0.65
    assert np.nanmedian(before, axis=0).min() > 0.93
    assert np.nanmedian(above) < 0.8
    assert np.nanmedian(far) > 0.95


def test_events_are_told_some_minutes_after_they_begin(panel: Panel) -> None:
    names = panel.nodes["name"]
    for event in panel.events:
        delay = (event.published_at - event.start).total_seconds() / 60
        assert 3 <= delay <= 12
        assert event.end is not None
        assert event.end > event.start
        assert event.place == names[str(event.node)]
        assert event.place in event.text
        assert "synthetic" in event.source
    starts = [event.start for event in panel.events]
    assert starts == sorted(starts)
