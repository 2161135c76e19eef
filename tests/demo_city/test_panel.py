"""The demo panel is synthetic, says so, is what the seed makes, and shows the causes that the city knows."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from mm4st_agent.data.panel import Panel
from mm4st_agent.demo_city.build import build, digests
from mm4st_agent.demo_city.city import City
from mm4st_agent.demo_city.observed import observe
from mm4st_agent.demo_city.panel import CARD, SHIPPED, demo_panel

SLOTS = 288


@pytest.fixture(scope="module")
def panel() -> Panel:
    return demo_panel()


def of(panel: Panel, channel: str) -> NDArray[np.float32]:
    """Readings of the nodes that measure the channel."""
    return panel.of(channel).values(channel)


# -- the files --------------------------------------------------------------------------------


def test_the_shipped_values_are_what_the_seed_makes_byte_for_byte(city: City, panel: Panel) -> None:
    assert digests(observe(city)) == panel.card.files
    assert digests(panel) == panel.card.files


def test_what_is_built_is_what_was_observed(tmp_path: Path) -> None:
    small = City(days=2)
    built, observed = build(tmp_path / "city", small), observe(small)

    assert built.card.files == digests(observed) == digests(built)
    assert np.array_equal(built.values("speed"), observed.values("speed"), equal_nan=True)
    assert built.events == observed.events
    assert built.edges.equals(observed.edges)


def test_the_files_are_small() -> None:
    assert sum(path.stat().st_size for path in SHIPPED.rglob("*") if path.is_file()) < 8e6


def test_a_changed_reading_changes_the_hash(panel: Panel) -> None:
    data = panel.data.load().copy(deep=True)
    data["flow"][100, 5] += 1
    other = digests(Panel(panel.card, data, panel.edges, panel.events, panel.covariates, panel.static, None))

    differ = {name for name in other if other[name] != panel.card.files[name]}
    assert differ == {"demo_city/flow"}


def test_it_opens_at_once() -> None:
    demo_panel()
    begun = time.perf_counter()
    demo_panel()

    assert time.perf_counter() - begun < 0.5


def test_build_refuses_a_folder_that_exists(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mm4st_agent.demo_city.build", "--out", str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert result.returncode != 0
    assert "exists already" in result.stderr
    assert "Traceback" not in result.stderr


# -- what it says of itself ---------------------------------------------------------------------


def test_shape_units_and_the_word_synthetic(panel: Panel) -> None:
    assert panel.card.synthetic
    assert "synthetic" in panel.card.title
    assert panel.card.model_copy(update={"files": {}}) == CARD
    assert {c.name: c.unit for c in panel.card.channels} == {
        "flow": "vehicles/5 min", "speed": "km/h", "pm25": "µg/m³", "no2": "µg/m³", "requests": "requests/min",
    }  # fmt: skip
    assert len(panel.times) == 60 * SLOTS
    assert panel.step_s == 300
    assert str(panel.times[0]) == "2025-09-01 00:00:00+01:00"
    assert panel.node_ids[0] == "S001"
    assert panel.node_ids[-1] == "travel-info"
    assert panel.nodes["name"].is_unique
    assert panel.nodes["kind"].value_counts().to_dict() == {"road station": 124, "air station": 24, "service": 1}
    assert panel.nodes[["lat", "lon"]].notna().all(axis=None)


def test_each_channel_is_measured_at_its_kind_of_node_only(panel: Panel) -> None:
    for channel in panel.card.channels:
        here = panel.nodes["kind"].isin(channel.kinds).to_numpy()
        known = np.isfinite(panel.values(channel.name))
        assert known[:, here].mean() > 0.98
        assert not known[:, ~here].any()


def test_readings_are_plausible(panel: Panel) -> None:
    flow, speed = of(panel, "flow"), of(panel, "speed")
    pm25, no2, requests = of(panel, "pm25"), of(panel, "no2"), of(panel, "requests")

    assert np.nanmin(flow) >= 0
    assert np.nanmax(flow) < 700
    assert np.nanmin(speed) >= 0
    assert np.nanmax(speed) < 130
    assert 3 < np.nanmedian(pm25) < 25
    assert 5 < np.nanmedian(no2) < 60
    assert 300 < np.nanmean(requests) < 2000
    assert (flow[np.isfinite(flow)] % 1 == 0).all()
    assert np.nanmax(np.abs(speed * 10 - np.round(speed * 10))) < 1e-3


def test_about_one_percent_is_missing_and_some_is_imputed(panel: Panel) -> None:
    whole = panel.of("flow")
    missing, imputed = np.isnan(whole.values("flow")), whole.imputed("flow")

    assert missing.mean() == pytest.approx(0.01, abs=0.003)
    assert 0.0002 < imputed.mean() < 0.01
    assert not (missing & imputed).any()
    longest = max(
        max((len(run) for run in "".join("x" if gone else " " for gone in column).split()), default=0)
        for column in missing.T
    )
    assert longest > 3 * 12, "some outages stay missing for hours"


def test_edges_follow_the_streets(panel: Panel) -> None:
    edges, nodes = panel.edges, panel.nodes

    assert set(edges["source"]) | set(edges["target"]) <= set(panel.nodes_of("flow"))
    assert edges["distance"].between(0.5, 4).all()
    assert edges["weight"].between(0, 1, inclusive="neither").all()
    assert (edges.sort_values("distance")["weight"].diff().dropna() <= 0).all()
    straight = np.hypot(
        111.2 * (nodes["lat"][edges["source"]].to_numpy() - nodes["lat"][edges["target"]].to_numpy()),
        83.3 * (nodes["lon"][edges["source"]].to_numpy() - nodes["lon"][edges["target"]].to_numpy()),
    )
    assert (straight < edges["distance"] + 0.1).all()


def test_static_layers_and_probes(panel: Panel) -> None:
    assert set(panel.static) == {"land_use", "road_network", "venues"}
    assert len(panel.static["road_network"]) == 124
    assert "Alder Park" in set(panel.static["venues"]["venue"])
    tracks = panel.trajectories
    assert tracks is not None
    assert tracks["object"].nunique() == 2000
    assert tracks["time"].dt.tz is not None


# -- the clock ----------------------------------------------------------------------------------


def test_now_is_a_weekday_morning_with_something_going_on(panel: Panel) -> None:
    now = panel.now
    cut = panel.until(now)
    running = [event for event in cut.events if event.kind == "bulletin" and event.start > now - pd.Timedelta("1h")]

    assert now.day_of_week < 5
    assert 7 <= now.hour <= 9
    assert now - panel.start >= pd.Timedelta("45D")
    assert panel.end - now >= pd.Timedelta("7D")
    assert "incident-086" in [event.id for event in running]
    assert all(event.end is None for event in running)
    speed = cut.values("speed")[:, panel.position("S096")]
    assert speed[-1] < 0.5 * np.nanmedian(speed[-SLOTS * 14 :])


def test_weather_is_known_only_up_to_now_and_the_calendar_ahead(panel: Panel) -> None:
    cut = panel.until("2025-09-20T08:00")

    known = int(np.isfinite(cut.covariates["rain_mm_h"].to_numpy()).sum())
    assert known == 19 * SLOTS + 8 * 12
    for name in ("wind_speed", "wind_from", "mixing_height", "temperature"):
        assert int(np.isfinite(cut.covariates[name].to_numpy()).sum()) == known
    holiday = cut.covariates["school_holiday"]
    assert np.isfinite(holiday.to_numpy()).all()
    assert holiday.sel(time="2025-10-08T12:00").item() == 1
    assert holiday.sel(time="2025-09-19T12:00").item() == 0
    assert len(holiday) == (60 + 7) * SLOTS


def test_texts_are_told_when_they_are_published(panel: Panel) -> None:
    cut = panel.until("2025-10-22T07:30")

    assert {event.id for event in cut.events} >= {"incident-086", "event-24"}
    assert "incident-086/3" not in {event.id for event in cut.events}
    assert len({event.id for event in panel.events}) == len(panel.events)
    assert all("synthetic" in event.source for event in panel.events)
    assert all(event.node is None or event.node in panel.node_ids for event in panel.events)
    starts = [event.start for event in panel.events]
    assert starts == sorted(starts)


# -- the causes can be found in it --------------------------------------------------------------


def test_readings_are_the_truth_with_the_noise_of_a_sensor(city: City, panel: Panel) -> None:
    roads, filled = panel.of("flow"), panel.of("flow").imputed("flow")
    flow = np.where(filled, np.nan, roads.values("flow"))
    speed = np.where(filled, np.nan, roads.values("speed"))
    off_flow, off_speed = flow - city.traffic.flow, speed - city.traffic.speed

    busy = city.traffic.flow > 50
    assert abs(np.nanmean(off_flow[busy])) < 0.1
    assert np.nanstd(off_flow[busy] / np.sqrt(city.traffic.flow[busy])) == pytest.approx(0.7, abs=0.05)
    assert abs(np.nanmean(off_speed[busy])) < 0.1
    assert 0.8 < np.nanstd(off_speed[busy]) < 1.5


def test_the_effect_of_an_incident_is_in_the_readings(city: City, panel: Panel) -> None:
    """What the panel shows less what would have been is the effect on record, but for the noise."""
    cause = city.cause_of("incident-086")
    assert cause is not None
    effect = city.without(cause.id).effect("speed")["S096"]
    place = panel.position("S096")
    shown = pd.Series(panel.values("speed")[:, place].astype(float), index=city.time).reindex(effect.index)
    truth = pd.Series(city.traffic.speed[:, place], index=city.time).reindex(effect.index)

    assert (shown - (truth - effect)).loc[cause.start : cause.end].mean() < -10
    assert (shown - truth).abs().mean() < 3
