"""The Cell Transmission Model: links of cells, junctions that merge and diverge, queues that spill back.

Each link is cut into cells that a car at free speed crosses in one time step or a little more. What a cell sends and
what it takes in follow from a concave fundamental diagram: flow rises with density at free speed up to a share of the
capacity, then at a lower slope up to capacity, and falls along the line of the backward wave. Cars enter through a
point queue at each junction with a zone and leave through its sink.

The random draws lie outside: the same input gives the same bytes on every machine, as the core adds, multiplies,
divides and compares in one fixed order.

Source:
    Daganzo (1994), The cell transmission model, Transportation Research B 28(4); Daganzo (1995), part II: network
    traffic, B 29(2), for merges and diverges; Tampere, Corthout, Cattrysse and Immers (2011), A generic class of first
    order node models, B 45(1), for junctions with several links in and out, which has Daganzo's two as special cases.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from mm4st_agent.demo_city.ctm_kernel import TIME_STEP_S, advance
from mm4st_agent.demo_city.records import Array, Traffic
from mm4st_agent.errors import UsageError

SENSOR_AT, BLOCK_AT = 0.5, 0.75
"""Where on a link its sensor lies, and where what blocks a lane does, as a share of its length."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class State:
    """What is on the road at one moment.

    Attributes:
        vehicles: `(C,)` vehicles in each cell.
        waiting: `(Z,)` vehicles that wait to enter at each zone.
    """

    vehicles: Array
    waiting: Array

    @property
    def total(self) -> float:
        return float(self.vehicles.sum() + self.waiting.sum())

    def distance(self, other: State) -> float:
        """Largest difference in any cell or queue, vehicles."""
        return float(
            max(np.abs(self.vehicles - other.vehicles).max(), np.abs(self.waiting - other.waiting).max(initial=0.0))
        )


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Boundary:
    """What acts on the roads in S steps.

    Attributes:
        demand: `(S, Z)` vehicles that want to enter in the step.
        turns: `(S, K)` share of what comes in on a link (or from a zone) that takes a turn; see `Roads.turn_in`.
        speed_share: `(S,)` free speed over the one in dry weather.
        capacity_share: `(S,)` capacity over the one in dry weather.
        link_share: `(S, L)` capacity that an incident or road works leave at one point of a link.
    """

    demand: Array
    turns: Array
    speed_share: Array
    capacity_share: Array
    link_share: Array


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Run:
    """What a run of the model yields.

    Attributes:
        traffic: `(S, L)` arrays.
        left: `(S,)` vehicles that left through a sink in the step.
        end: The state after the last step.
    """

    traffic: Traffic
    left: Array
    end: State


class Roads:
    """Links as cells and junctions as turn tables, in flat arrays.

    Attributes:
        links: Number of links, L.
        zones: Junctions with a source and a sink, in the order of the columns of `Boundary.demand`; Z of them.
        first: `(L + 1,)` first cell of each link.
        turn_in: `(K,)` the link that a turn leaves; `L + z` is the source of zone z.
        turn_out: `(K,)` the link that a turn enters; `L + z` is the sink of zone z. There are no U-turns.
    """

    def __init__(
        self,
        source: Sequence[str],
        target: Sequence[str],
        length_km: Sequence[float],
        free_speed_kmh: Sequence[float],
        capacity_vph: Sequence[float],
        lanes: Sequence[int],
        zones: dict[str, float],
        avoid_below: float = 0.0,
    ) -> None:
        """Cut the links into cells.

        Args:
            source: Junction at which each link begins.
            target: Junction at which it ends.
            length_km: Of each link.
            free_speed_kmh: Of each link.
            capacity_vph: Of all its lanes together.
            lanes: Their number.
            zones: For each junction where cars enter and leave, how many can enter, vehicles/h.
            avoid_below: Drivers avoid a way out whose beginning takes in less than this share of its capacity: the
                less it takes, the more of them spread over the other ways that are in use. 0 is never, as in Daganzo's
                and Tampere's models; above 0 a ring of full roads dissolves, as nobody insists on a road that stands.

        Raises:
            UsageError: a link is shorter than what a car drives in a time step.
        """
        self.links = len(source)
        self.zones = list(zones)
        length, free_speed = np.asarray(length_km, dtype=float), np.asarray(free_speed_kmh, dtype=float)
        cells = np.floor(length / (free_speed * TIME_STEP_S / 3600) + 1e-9).astype(np.int64)
        if (cells < 1).any():
            short = int(np.argmin(cells))
            raise UsageError(
                f"Link {source[short]}-{target[short]} of {length[short]:g} km is too short.",
                f"A car at {free_speed[short]:g} km/h drives further in {TIME_STEP_S:g} s.",
            )
        self.first = np.concatenate([[0], np.cumsum(cells)]).astype(np.int64)
        self.cell_km = np.repeat(length / cells, cells)
        self.free_speed = np.repeat(free_speed, cells)
        self.capacity = np.repeat(np.asarray(capacity_vph, dtype=float), cells)
        self.cell_lanes = np.repeat(np.asarray(lanes, dtype=float), cells)
        self.sensor = self.first[:-1] + np.minimum((SENSOR_AT * cells).astype(np.int64), cells - 1)
        self.block = self.first[:-1] + np.minimum((BLOCK_AT * cells).astype(np.int64), cells - 1)
        self.entry_capacity = np.asarray(list(zones.values()), dtype=float)
        self.avoid_below = avoid_below
        self._join(source, target)

    def _join(self, source: Sequence[str], target: Sequence[str]) -> None:
        """The turns of each junction, one junction after the other, by link in and then by link out."""
        names = list(dict.fromkeys([*source, *target]))
        turns: list[tuple[int, int]] = []
        node_in: list[int] = []
        node_out: list[int] = []
        in_at, out_at, turn_at = [0], [0], [0]
        for name in names:
            zone = [self.links + self.zones.index(name)] if name in self.zones else []
            ways_in = [link for link in range(self.links) if target[link] == name] + zone
            ways_out = [link for link in range(self.links) if source[link] == name] + zone
            turns += [(a, b) for a in ways_in for b in ways_out]
            node_in += ways_in
            node_out += ways_out
            in_at.append(len(node_in))
            out_at.append(len(node_out))
            turn_at.append(len(turns))
        self.turn_in, self.turn_out = np.array(turns, dtype=np.int64).T.copy()
        ends = [*zip(source, target, strict=True), *[(name, name) for name in self.zones]]
        back = [ends[a][0] == ends[b][1] for a, b in turns]
        self.u_turn = np.array(back)
        """`(K,)` turns that go back to where they came from (from a source straight into its sink as well)."""
        self.node_in, self.node_out = np.array(node_in, dtype=np.int64), np.array(node_out, dtype=np.int64)
        self.in_at, self.out_at = np.array(in_at, dtype=np.int64), np.array(out_at, dtype=np.int64)
        self.turn_at = np.array(turn_at, dtype=np.int64)

    def empty(self) -> State:
        """No cars anywhere."""
        return State(np.zeros(len(self.cell_km)), np.zeros(len(self.zones)))

    def run(self, state: State, boundary: Boundary) -> Run:
        """Advance the traffic by the steps of `boundary`; `state` stays as it is.

        Source:
            Speed is the distance that all cars drove over the time that they spent (Edie 1963).
        """
        steps = len(boundary.demand)
        flow, speed = np.empty((steps, self.links)), np.empty((steps, self.links))
        density, queue, left = np.empty((steps, self.links)), np.empty((steps, self.links)), np.empty(steps)
        vehicles, waiting = state.vehicles.copy(), state.waiting.copy()
        advance(
            vehicles, waiting,
            self.first, self.cell_km, self.free_speed, self.capacity, self.cell_lanes, self.sensor, self.block,
            self.node_in, self.node_out, self.in_at, self.out_at, self.turn_at, self.entry_capacity, self.avoid_below,
            np.ascontiguousarray(boundary.demand), np.ascontiguousarray(boundary.turns),
            boundary.speed_share, boundary.capacity_share, np.ascontiguousarray(boundary.link_share),
            flow, speed, density, queue, left,
        )  # fmt: skip
        return Run(Traffic(flow, speed, density, queue), left, State(vehicles, waiting))
