"""How long a way along the road graph takes: speeds ahead at its stations, put together edge by edge.

Source:
    van Lint and van der Zijpp (2003), Transportation Research Record 1855: a trip's time from the speeds of point
    detectors, each at the moment at which the trip gets there. Here half of an edge is driven at the speed of the
    station at either end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mm4st_agent.errors import DataError, UsageError
from mm4st_agent.forecaster.config import HIGH, LOW, MEDIAN
from mm4st_agent.forecaster.slots import extended

if TYPE_CHECKING:
    import networkx as nx

    from mm4st_agent.data.card import Channel
    from mm4st_agent.data.panel import Panel
    from mm4st_agent.forecaster.forecast import Forecast, Forecaster

Array = NDArray[np.float64]

LENGTH_UNITS = {"km/h": "km", "mph": "mile"}
"""The unit of an edge's distance by that of the speed."""
FREE_PERCENTILE = 85
"""Of the measured speeds; as the Federal Highway Administration's Urban Congestion Reports define free flow."""
SLOWEST = 1.0
"""Nobody stands still for ever: lower speeds count as this, in the speed's unit."""
WEEKS = 8
"""So many earlier weeks tell what is usual beyond the forecast's reach."""
LEVELS = (0.1, 0.5, 0.9)
MOST_TRIED = 60
"""So many shortest paths are looked through for one that is no mere variant of another."""
SHARED = 0.6
"""An alternative has at most this share of its length in common with each route found before."""


def speed_of(panel: Panel) -> Channel:
    """The channel that travel times come from.

    Raises:
        UsageError: there is no road speed, or the graph has no distances.
    """
    found = [c for c in panel.card.channels if c.unit in LENGTH_UNITS and "speed" in f"{c.name} {c.label}".casefold()]
    if not found:
        units = " or ".join(LENGTH_UNITS)
        raise UsageError(
            f"{panel.name!r} has no road speed in {units}, so nothing tells how long a way takes.",
            "Routes need a channel of speeds and a road graph with distances, as the data set demo has.",
        )
    edges = panel.edges
    if "distance" not in edges.columns or not np.isfinite(edges["distance"].to_numpy(dtype=np.float64)).any():
        why = "its edges have weights but no distances" if len(edges) else "it has no edges"
        raise UsageError(
            f"{panel.name!r} has no road graph with distances ({why}), so nothing tells how long a way is.",
            "Routes need edges with a column 'distance' along the road, as the data sets demo and pems-orange have.",
        )
    return found[0]


def road_graph(panel: Panel) -> nx.DiGraph[str]:
    """The stations, with `distance` on the edges in the length of the speed's unit; shorter of two between a pair."""
    import networkx as nx

    graph: nx.DiGraph[str] = nx.DiGraph()
    known = set(panel.node_ids)
    for source, target, distance in panel.edges[["source", "target", "distance"]].itertuples(index=False):
        one, other, length = str(source), str(target), float(distance)
        if not (one in known and other in known and np.isfinite(length) and length > 0):
            continue
        if not graph.has_edge(one, other) or length < graph.edges[one, other]["distance"]:
            graph.add_edge(one, other, distance=length)
    return graph


def apart(graph: nx.DiGraph[str], origin: str, destination: str, hours: dict[str, float], most: int) -> list[list[str]]:
    """Up to `most` simple paths that are fast at the speeds given and have little in common, the fastest first.

    Source:
        Yen (1971), Management Science 17(11), the k shortest loopless paths; Chondrogiannis et al. (2020), VLDB
        Journal 29, paths with limited overlap, of which this is the greedy form.

    Args:
        graph: With `distance` on its edges.
        origin: Where the trip begins.
        destination: Where it ends.
        hours: For each station, hours for one unit of length.
        most: How many.
    """
    import networkx as nx

    def cost(one: str, other: str, data: Any) -> float:
        return float(data["distance"]) * (hours[one] + hours[other]) / 2

    return unlike(graph, islice(nx.shortest_simple_paths(graph, origin, destination, weight=cost), MOST_TRIED), most)


def unlike(graph: nx.DiGraph[str], paths: Iterable[list[str]], most: int) -> list[list[str]]:
    """Up to `most` of the paths: each that has at most `SHARED` of its length in common with those before it."""
    found: list[list[str]] = []
    for path in paths:
        if all(_shared(graph, path, earlier) <= SHARED for earlier in found):
            found.append(path)
        if len(found) == most:
            break
    return found


def length_of(graph: nx.DiGraph[str], path: Sequence[str]) -> float:
    """Of a path, in the length of the speed's unit."""
    return sum(float(graph.edges[step]["distance"]) for step in pairwise(path))


def _shared(graph: nx.DiGraph[str], path: Sequence[str], earlier: Sequence[str]) -> float:
    """Share of the shorter one's length that both have."""
    common = set(pairwise(path)) & set(pairwise(earlier))
    shorter = min(length_of(graph, path), length_of(graph, earlier))
    return sum(float(graph.edges[step]["distance"]) for step in common) / shorter


def free_speeds(observed: Array) -> Array:
    """`(N,)` the speed on an empty road, from `(T, N)` readings; NaN where nothing was measured."""
    out = np.full(observed.shape[1], np.nan)
    measured = np.isfinite(observed).any(axis=0)
    out[measured] = np.nanpercentile(observed[:, measured], FREE_PERCENTILE, axis=0)
    return out


@dataclass(frozen=True)
class Speeds:
    """Speeds ahead at some stations.

    Attributes:
        start: When the first step begins.
        step: Its length.
        nodes: Position of each station.
        values: `(S, N, 3)` at .1, .5 and .9 in the channel's unit, at least `SLOWEST`.
        reach: So many of the steps are forecast; the others are usual speeds.
    """

    start: pd.Timestamp
    step: pd.Timedelta
    nodes: dict[str, int]
    values: Array
    reach: int

    def minutes(self, graph: nx.DiGraph[str], path: Sequence[str], depart: pd.Timestamp, level: int) -> float:
        """How long the path takes where every station has its speed at this level all along."""
        begun = float((depart - self.start) / pd.Timedelta(hours=1))
        at, step = begun, float(self.step / pd.Timedelta(hours=1))
        for one, other in pairwise(path):
            half = graph.edges[one, other]["distance"] / 2
            for node in (one, other):
                row = min(int(at / step), len(self.values) - 1)
                at += half / float(self.values[row, self.nodes[node], level])
        return 60 * (at - begun)

    def forecast_until(self) -> pd.Timestamp:
        """When the forecast ends and the usual speeds begin."""
        return self.start + self.reach * self.step


def speeds_ahead(
    panel: Panel, channel: Channel, forecaster: Forecaster, nodes: Sequence[str], depart: pd.Timestamp, steps: int
) -> tuple[Speeds, list[Forecast]]:
    """Speeds from the panel's end to `steps` steps after the departure, and the forecasts among them.

    As far as the forecaster reaches they are its quantiles. Beyond it, and where it knows nothing of a station, they
    are quantiles of what was measured there at the same time of the week in earlier weeks.

    Args:
        panel: Cut at the clock.
        channel: The speed.
        forecaster: Of the channel.
        nodes: Stations on the routes.
        depart: Not before the panel's end.
        steps: How many steps a trip may take.

    Raises:
        DataError: one of the stations was never measured.
    """
    start = panel.times[-1] + panel.step
    last = int((depart - start) / panel.step) + steps + 1
    own = panel.only(nodes)
    observed = own.observed(channel.name).astype(np.float64)
    values = _usual(panel, observed, last)
    reach = forecaster.max_horizon if int((depart - start) / panel.step) < forecaster.max_horizon else 0
    found = list(_forecasts(forecaster, panel, channel, nodes, reach)) if reach else []
    for one in found:
        values[:reach, list(nodes).index(one.node)] = one.quantiles[:last, [LOW, MEDIAN, HIGH]]
    empty = ~np.isfinite(values).all(axis=2)
    free = free_speeds(observed)
    values[empty] = np.broadcast_to(free[None, :, None], values.shape)[empty]
    if not np.isfinite(values).all():
        unknown = nodes[int(np.flatnonzero(~np.isfinite(values).all(axis=(0, 2)))[0])]
        raise DataError(f"No speed was ever measured at {unknown} of {panel.name!r}, which is on the way.")
    at = {node: position for position, node in enumerate(nodes)}
    return Speeds(start, panel.step, at, np.maximum(values, SLOWEST), min(reach, last)), found


def _forecasts(
    forecaster: Forecaster, panel: Panel, channel: Channel, nodes: Sequence[str], horizon: int
) -> Iterator[Forecast]:
    """All at once; one by one where a station was hardly measured, without those."""
    try:
        yield from forecaster.predict(panel, nodes, channel.name, horizon)
    except DataError:
        for node in nodes:
            try:
                yield from forecaster.predict(panel, [node], channel.name, horizon)
            except DataError:
                continue


def _usual(panel: Panel, observed: Array, steps: int) -> Array:
    """`(S, N, 3)` quantiles of the readings of earlier weeks at the same time, give or take a step; NaN: none."""
    times = panel.times
    wall = extended(times, steps)[len(times) :].tz_localize(None)
    seen = []
    for week in range(1, WEEKS + 1):
        then = (wall - pd.Timedelta(weeks=week)).tz_localize(
            times.tz, ambiguous=np.zeros(len(wall), dtype=bool), nonexistent="shift_forward"
        )
        for beside in (-1, 0, 1):
            rows = times.get_indexer(then)
            rows = np.where(rows >= 0, rows + beside, -1)
            usable = (rows >= 0) & (rows < len(times))
            seen.append(np.where(usable[:, None], observed[np.where(usable, rows, 0)], np.nan))
    stacked = np.stack(seen)
    out = np.full((steps, observed.shape[1], len(LEVELS)), np.nan)
    known = np.isfinite(stacked).any(axis=0)
    out[known] = np.nanquantile(stacked[:, known], LEVELS, axis=0).T
    return out
