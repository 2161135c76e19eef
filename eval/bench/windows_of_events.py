"""Which forecast cells lie in an event window: near a reported incident, in rain, near an announced event.

A report counts only from the moment it was published, so that any forecaster could have read it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph

from mm4st_agent.data.events import Event
from mm4st_agent.data.panel import Panel

MILES = 2.0
KM = 3.2
"""The same reach where the edges are in kilometres."""
HOPS = 2
"""The reach where edges have no distance."""
AFTER = pd.Timedelta(minutes=45)
RAIN_MM = 0.1
"""Less in a clock hour, or a lower rate, is dry."""
PLANNED = "event listing"
EARLY, LATE = pd.Timedelta(hours=2), pd.Timedelta(minutes=75)
"""Visitors of an announced event travel from so long before its start until so long after its end."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class EventWindows:
    """One kind of event window.

    Attributes:
        cells: True where a forecast cell belongs to it; broadcasts to `(W, H, N)`.
    """

    name: str
    description: str
    cells: Mask


def event_windows(panel: Panel, nodes: list[str], origins: NDArray[np.intp], horizon: int) -> list[EventWindows]:
    """The event windows of a data set; a kind without any cell is left out.

    - `incidents`: made at most 45 minutes after an incident was reported, of a node within 2 miles along the road
      up- or downstream of it.
    - `rain`: of a clock hour in which it rained, measured or simulated; the truth, not a forecast of it.
    - `events`: of a node as near to an event announced before the forecast, between two hours before its start and
      75 minutes after its end.

    Args:
        panel: The whole data set with all its nodes, which the roads run through.
        nodes: Ids of the N nodes that are forecast.
        origins: `(W,)` positions of the first forecast step.
        horizon: H.
    """
    near, reach = _near(panel, nodes)
    made = _moments(panel, origins)
    found = [
        EventWindows(
            "incidents",
            f"made at most {AFTER.seconds // 60} minutes after a report, {reach}",
            _reported([event for event in panel.events if _is_incident(event)], near, made)[:, None],
        ),
        EventWindows(
            "events",
            f"announced, from {EARLY.seconds // 3600} hours before to {LATE.seconds // 60} minutes after, {reach}",
            _announced(panel, near, made, origins, horizon),
        ),
    ]
    rain = _rainy(panel, nodes)
    if rain is not None:
        targets = origins[:, None] + np.arange(horizon)
        found.append(EventWindows("rain", f"clock hours with at least {RAIN_MM} mm of rain", rain[targets]))
    return [windows for windows in found if windows.cells.any()]


def _is_incident(event: Event) -> bool:
    """A log without kinds holds incidents only; the demo city's traffic desk writes bulletins."""
    return event.node is not None and event.kind in ("", "incident", "bulletin")


def _moments(panel: Panel, origins: NDArray[np.intp]) -> pd.DatetimeIndex:
    """When each forecast is made: once the reading before its origin is known."""
    delay = panel.step if panel.card.time_label == "start" else pd.Timedelta(0)
    return panel.times[np.asarray(origins) - 1] + delay


def _reported(events: Iterable[Event], near: dict[str, Mask], made: pd.DatetimeIndex) -> Mask:
    """`(W, N)`."""
    width = len(next(iter(near.values()))) if near else 0
    out = np.zeros((len(made), width), dtype=bool)
    for event in events:
        first = made.searchsorted(event.published_at, side="left")
        last = made.searchsorted(event.published_at + AFTER, side="right")
        if event.node in near:
            out[first:last] |= near[event.node]
    return out


def _announced(
    panel: Panel, near: dict[str, Mask], made: pd.DatetimeIndex, origins: NDArray[np.intp], horizon: int
) -> Mask:
    """`(W, H, N)`."""
    width = len(next(iter(near.values()))) if near else 0
    out = np.zeros((len(origins), horizon, width), dtype=bool)
    targets = np.asarray(origins)[:, None] + np.arange(horizon)
    for event in panel.events:
        if event.kind != PLANNED or event.node not in near or event.end is None:
            continue
        first = panel.times.searchsorted(event.start - EARLY)
        last = panel.times.searchsorted(event.end + LATE)
        during = (targets >= first) & (targets < last) & (made >= event.published_at)[:, None]
        out |= during[..., None] & near[event.node]
    return out


def _near(panel: Panel, nodes: list[str]) -> tuple[dict[str, Mask], str]:
    """For each node at which something happens, which of the N forecast nodes are within reach, and the reach."""
    places, ids = panel.nodes, panel.node_ids
    shown = [panel.position(node) for node in nodes]
    happens = {event.node for event in panel.events if event.node is not None} & set(ids)
    if {"freeway", "postmile"} <= set(places.columns):
        road, mile = places["freeway"].to_numpy(), places["postmile"].to_numpy(dtype=float)
        table = {
            node: (road == road[(at := panel.position(node))]) & (np.abs(mile - mile[at]) <= MILES) for node in happens
        }
        reach = f"within {MILES:g} miles on the same carriageway"
    else:
        table, reach = _by_graph(panel, happens)
    return {node: row[shown] for node, row in table.items()}, reach


def _by_graph(panel: Panel, happens: set[str]) -> tuple[dict[str, Mask], str]:
    """Along the edges or against them, not first one and then the other."""
    size, unit = len(panel.node_ids), next((event.distance_unit for event in panel.events), "km")
    if "distance" in panel.edges.columns:
        limit, reach = (KM, f"within {KM} km along the road") if unit == "km" else (MILES, f"within {MILES:g} miles")
        lengths = panel.edges["distance"].to_numpy(dtype=np.float64)
    else:
        limit, reach = float(HOPS), f"within {HOPS} edges of the graph"
        lengths = np.ones(len(panel.edges))
    ids = panel.data.indexes["node"]
    ends = [ids.get_indexer(pd.Index(panel.edges[name].astype(str))) for name in ("source", "target")]
    graph = sparse.csr_array((np.maximum(lengths, 1e-6), (ends[0], ends[1])), shape=(size, size))
    out: dict[str, Mask] = {}
    for node in happens:
        at = np.array([panel.position(node)])
        down, up = (csgraph.dijkstra(side, indices=at, limit=limit)[0] for side in (graph, graph.T.tocsr()))
        out[node] = np.asarray(np.minimum(down, up) <= limit)
    return out, reach


def _rainy(panel: Panel, nodes: list[str]) -> Mask | None:
    """`(T, 1)` or `(T, N)`; None where no rain is known."""
    name = next((str(name) for name in panel.covariates.data_vars if "rain" in str(name).lower()), None)
    if name is None:
        return None
    rain = panel.covariates[name]
    if "node" in rain.dims:
        rain = rain.sel(node=nodes)
    times = pd.DatetimeIndex(panel.data.indexes["time"])
    hours = times.floor("h")  # of UTC: local hours repeat when clocks change
    table = pd.DataFrame(rain.reindex(time=times).to_numpy().reshape(len(times), -1), index=hours)
    return np.asarray(table.groupby(level=0).transform("max").to_numpy() >= RAIN_MM)
