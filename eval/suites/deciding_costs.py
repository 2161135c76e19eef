"""What a decision costs once it is known what came: minutes on the road, replicas and broken promises, misses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

import networkx as nx
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mm4st_agent.data.panel import Panel
from tools.plan_capacity import PlanCapacityIn, meets
from tools.queueing import MOST_SERVERS
from tools.rain import Rain
from tools.road_times import Speeds, free_speeds, road_graph, speed_of

if TYPE_CHECKING:
    Array = NDArray[np.float64]

BREACH = 4.0
"""An hour above the latency target costs as much as so many times the replicas that foresight would have run."""
TRIP_HOURS = 2


@dataclass(frozen=True)
class Roads:
    """The road graph of a data set, with what was measured on it.

    Attributes:
        panel: Whole.
        graph: Of `road_times.road_graph`.
        speeds: `(T, N)` of the stations of the graph; gaps are filled in between readings, else with the free speed.
        free: Hours for one unit of length on empty roads, by station.
    """

    panel: Panel
    graph: nx.DiGraph[str]
    speeds: Array
    free: dict[str, float]

    @classmethod
    def of(cls, panel: Panel, until: pd.Timestamp) -> Roads:
        """Read them; the free speeds are those before `until`."""
        graph = road_graph(panel)
        observed = panel.only(list(graph)).observed(speed_of(panel).name).astype(np.float64)
        free = free_speeds(observed[panel.times < until])
        free = np.where(np.isfinite(free), free, np.nanmean(free))
        filled = pd.DataFrame(observed).interpolate(limit_direction="both").fillna(pd.Series(free)).to_numpy()
        return cls(panel, graph, filled, dict(zip(graph, (1 / free).tolist(), strict=True)))

    def free_minutes(self, path: Sequence[str]) -> float:
        """On empty roads."""
        hours = (self.graph.edges[a, b]["distance"] * (self.free[a] + self.free[b]) / 2 for a, b in pairwise(path))
        return 60 * float(sum(hours))

    def minutes(self, path: Sequence[str], depart: pd.Timestamp) -> float:
        """At the speeds that came."""
        first = int(self.panel.times.searchsorted(depart, side="right")) - 1
        last = first + TRIP_HOURS * 3600 // self.panel.step_s
        at = {node: position for position, node in enumerate(self.graph)}
        values = np.repeat(self.speeds[first:last, :, None], 3, axis=2)
        return Speeds(self.panel.times[first], self.panel.step, at, np.maximum(values, 1.0), last - first).minutes(
            self.graph, path, depart, 1
        )

    def slowest(self, path: Sequence[str], now: pd.Timestamp) -> float:
        """The lowest speed on the way, as a share of the free one, in the last reading before `now`."""
        row = int(self.panel.times.searchsorted(now - self.panel.step, side="right")) - 1
        at = {node: position for position, node in enumerate(self.graph)}
        return min(float(self.speeds[row, at[node]]) * self.free[node] for node in path)

    def is_way(self, path: Sequence[str], ends: tuple[str, str]) -> bool:
        """Whether the roads lead along these stations from one end to the other."""
        if len(path) < 2 or (path[0], path[-1]) != ends:
            return False
        return all(self.graph.has_edge(a, b) for a, b in pairwise(path))


@lru_cache(maxsize=2)
def roads_of(panel: Panel, until: pd.Timestamp) -> Roads:
    """`Roads.of`, kept for the next item."""
    return Roads.of(panel, until)


def replica_cost(replicas: int, loads: Sequence[float], args: PlanCapacityIn, promise: float) -> float:
    """Replica-hours of an hour, and `promise` for the share of it that is above the target.

    Args:
        replicas: Run for the whole hour.
        loads: Requests a second, of each step of the hour.
        args: The target.
        promise: What a whole hour above the target costs, in replica-hours.
    """
    broken = [not meets(replicas, load * args.service_ms / 1000, args) for load in loads]
    return replicas + promise * float(np.mean(broken))


def with_foresight(loads: Sequence[float], args: PlanCapacityIn) -> int:
    """The fewest replicas that keep every step below the target."""
    return next(
        n for n in range(1, MOST_SERVERS) if all(meets(n, load * args.service_ms / 1000, args) for load in loads)
    )


def cheapest(loads: Sequence[float], args: PlanCapacityIn, promise: float) -> float:
    """The least that an hour can cost."""
    most = with_foresight(loads, args)
    return min(replica_cost(n, loads, args, promise) for n in range(1, most + 1))


def warning_cost(warned: bool, happened: bool, ratio: float) -> float:
    """As a share of the loss: a warning costs `ratio` and saves the loss.

    >>> warning_cost(True, True, 0.2), warning_cost(False, True, 0.2), warning_cost(False, False, 0.2)
    (0.2, 1.0, 0.0)
    """
    return ratio if warned else float(happened)


def fell(rain: Rain, begin: pd.Timestamp, end: pd.Timestamp) -> float:
    """How many mm; NaN where a reading is missing."""
    return float(rain.mm[(rain.times >= begin) & (rain.times < end)].sum())
