"""Event windows hold the cells that they name: near in place, near in time, and reported before the forecast."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pandas as pd

from eval.bench.windows_of_events import EventWindows, event_windows
from mm4st_agent.data.panel import Panel

HORIZON = 4


def windows_of(panel: Panel, name: str, origins: np.ndarray) -> EventWindows:
    return next(w for w in event_windows(panel, panel.node_ids, origins, HORIZON) if w.name == name)


def every(panel: Panel) -> np.ndarray:
    return np.arange(12, len(panel.times) - HORIZON + 1)


def test_incident_windows_are_within_two_miles_and_45_minutes_of_the_report(road: Panel) -> None:
    origins = every(road)

    found = windows_of(road, "incidents", origins)
    cells = np.broadcast_to(found.cells, (len(origins), HORIZON, 5))

    # Reported at 08:10: the forecasts made at 08:30 (20 minutes) count, those of 08:00 and 09:00 do not.
    made = road.times[origins[cells.any(axis=(1, 2))]]
    assert [f"{when:%H:%M}" for when in made] == ["08:30"]
    assert made[0].date() == road.events[0].start.date()
    # B at mile 2: A and C are a mile away, D 2.5 miles, E on the other carriageway.
    assert cells.any(axis=(0, 1)).tolist() == [True, True, True, False, False]


def test_a_report_that_came_late_marks_no_earlier_forecast(road: Panel) -> None:
    event = road.events[0]
    late = dataclasses.replace(event, published_at=event.published_at + pd.Timedelta(hours=2))
    origins = every(road)

    found = windows_of(dataclasses.replace(road, events=(late,)), "incidents", origins)

    assert [f"{w:%H:%M}" for w in road.times[origins[found.cells.any(axis=(1, 2))]]] == ["10:30"]


def test_without_postmiles_the_road_is_the_graph_and_has_two_directions(road_of: Callable[..., Panel]) -> None:
    panel = road_of(postmiles=False)

    found = windows_of(panel, "incidents", every(panel))

    # B is a mile from A and C, and 2.5 miles from D; E has no edge.
    assert found.cells.any(axis=(0, 1)).tolist() == [True, True, True, False, False]


def test_rain_windows_are_whole_clock_hours(road: Panel) -> None:
    origins = every(road)

    found = windows_of(road, "rain", origins)

    targets = road.times[(origins[:, None] + np.arange(HORIZON))[np.squeeze(found.cells, axis=2)]]
    assert sorted({f"{when:%H:%M}" for when in targets}) == ["10:00", "10:30"]
    assert {when.date() for when in targets} == {road.times[-1].date()}


def test_an_announced_event_counts_from_two_hours_before_it(road: Panel) -> None:
    start = road.times[-48] + pd.Timedelta(hours=20)
    listing = dataclasses.replace(
        road.events[0], kind="event listing", start=start, end=start + pd.Timedelta(hours=1), end_known=True
    )
    panel = dataclasses.replace(road, events=(listing,))
    origins = every(road)

    found = event_windows(panel, panel.node_ids, origins, HORIZON)

    assert [each.name for each in found] == ["events", "rain"]
    cells = found[0].cells
    targets = road.times[(origins[:, None] + np.arange(HORIZON))[cells[..., 1]]]
    assert f"{targets.min():%H:%M}" == "18:00"
    assert f"{targets.max():%H:%M}" == "22:00"


def test_data_without_events_have_no_event_windows(road: Panel) -> None:
    bare = dataclasses.replace(road, events=(), covariates=road.covariates.drop_vars("rain_mm_h"))

    assert event_windows(bare, bare.node_ids, every(bare), HORIZON) == []
