"""The compiled loops of the Cell Transmission Model: one order of operations, so the same bytes on every machine."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from mm4st_agent.demo_city.records import Array

Index = NDArray[np.int64]

STEP_S = 300
"""Length of a step of the results, s."""
TIME_STEP_S = 10.0
"""Time step of the model, s."""
BACKWARD_WAVE_KMH = 18.0
"""How fast a queue's discharge travels upstream."""
JAM_DENSITY = 140.0
"""Vehicles per km and lane that stand still."""
BEND = 0.4
"""Share of the capacity up to which cars drive at free speed."""
BEND_SLOPE = 0.7
"""Slope of the diagram beyond the bend, as a share of the free speed."""
CONGESTED = 1.1
"""A cell is congested where it is this much denser than the density at which the flow reaches capacity."""


@numba.njit(cache=True)
def advance(
    vehicles: Array, waiting: Array,
    first: Index, cell_km: Array, free_speed: Array, capacity: Array, lanes: Array, sensor: Index, block: Index,
    node_in: Index, node_out: Index, in_at: Index, out_at: Index, turn_at: Index, entry_capacity: Array,
    avoid_below: float, demand: Array, turns: Array, speed_share: Array, capacity_share: Array, link_share: Array,
    flow: Array, speed: Array, density: Array, queue: Array, left: Array,
) -> None:  # fmt: skip
    """Advance `vehicles` and `waiting` in place and fill the last five arrays."""
    cells, links, zones = len(vehicles), len(first) - 1, len(waiting)
    hours, substeps = TIME_STEP_S / 3600, int(STEP_S / TIME_STEP_S)
    # The diagram of a cell in vehicles and vehicles per time step: three lines up, one down.
    rise, bend, slope, top = np.empty(cells), np.empty(cells), np.empty(cells), np.empty(cells)
    dense, back, jam = np.empty(cells), np.empty(cells), np.empty(cells)
    sends, takes, moved, entered = np.empty(cells), np.empty(cells), np.empty(cells), np.empty(links)
    entry = entry_capacity * hours
    widest = max(np.diff(in_at).max(), np.diff(out_at).max())
    want, weight, room = np.empty(widest), np.empty(widest), np.empty(widest)
    done, chosen = np.empty(widest, np.bool_), np.empty(widest * widest)
    driven, spent, standing, passed = np.empty(links), np.empty(links), np.empty(links), np.empty(links)
    for c in range(cells):
        back[c] = BACKWARD_WAVE_KMH * hours / cell_km[c]
        jam[c] = JAM_DENSITY * lanes[c] * cell_km[c]
    for step in range(len(demand)):
        for c in range(cells):
            rise[c] = free_speed[c] * speed_share[step] * hours / cell_km[c]
            top[c] = capacity[c] * capacity_share[step] * hours
            slope[c] = BEND_SLOPE * rise[c]
            bend[c] = BEND * top[c] * (1 - BEND_SLOPE)
            dense[c] = CONGESTED * top[c] / rise[c] * (BEND + (1 - BEND) / BEND_SLOPE)
        for link in range(links):
            driven[link] = spent[link] = standing[link] = passed[link] = 0.0
            top[block[link]] *= link_share[step, link]
        left[step] = 0.0
        for _ in range(substeps):
            for z in range(zones):
                waiting[z] += demand[step, z] / substeps
            for c in range(cells):
                n = vehicles[c]
                sends[c] = min(min(rise[c] * n, bend[c] + slope[c] * n), top[c])
                takes[c] = min(max(back[c] * (jam[c] - n), 0.0), top[c])
            for c in range(cells - 1):
                moved[c] = min(sends[c], takes[c + 1])
            for link in range(links):
                entered[link] = 0.0
            for node in range(len(in_at) - 1):
                ways_in, ways_out = node_in[in_at[node] : in_at[node + 1]], node_out[out_at[node] : out_at[node + 1]]
                share = turns[step, turn_at[node] : turn_at[node + 1]]
                if avoid_below > 0.0:
                    share = _avoid(ways_in, ways_out, share, first, takes, top, avoid_below, chosen)
                left[step] += _pass(
                    ways_in, ways_out, share, first, sends, takes, top, moved, entered, waiting, entry,
                    want, weight, room, done,
                )  # fmt: skip
            for link in range(links):
                begin, end = first[link], first[link + 1]
                for c in range(begin, end):
                    driven[link] += moved[c] * cell_km[c]
                    spent[link] += vehicles[c]
                    standing[link] += 1.0 if vehicles[c] > dense[c] else 0.0
                passed[link] += moved[sensor[link]]
                for c in range(end - 1, begin, -1):
                    vehicles[c] += moved[c - 1] - moved[c]
                vehicles[begin] += entered[link] - moved[begin]
        for link in range(links):
            count = first[link + 1] - first[link]
            flow[step, link] = passed[link]
            # Where almost no car is, the quotient is of rounding errors.
            empty = spent[link] < 1e-9
            kmh = free_speed[first[link]] * speed_share[step]
            speed[step, link] = kmh if empty else driven[link] / (spent[link] * hours)
            density[step, link] = spent[link] / substeps / (cell_km[first[link]] * count * lanes[first[link]])
            queue[step, link] = standing[link] / (count * substeps)


@numba.njit(cache=True)
def _avoid(
    ways_in: Index, ways_out: Index, share: Array, first: Index, takes: Array, top: Array, below: float, chosen: Array
) -> Array:
    """The shares of the turns when drivers avoid ways out that hardly take anybody in; `chosen` is scratch."""
    links, m = len(first) - 1, len(ways_out)
    full = False
    for j in range(m):
        if ways_out[j] < links:
            c = first[ways_out[j]]
            full |= takes[c] < below * top[c]
    if not full:
        return share
    for i in range(len(ways_in)):
        total = 0.0
        for j in range(m):
            chosen[i * m + j] = share[i * m + j]
            if ways_out[j] < links:
                c = first[ways_out[j]]
                chosen[i * m + j] *= min(takes[c] / (below * top[c]), 1.0)
            total += chosen[i * m + j]
        for j in range(m):
            chosen[i * m + j] = chosen[i * m + j] / total if total > 0.0 else share[i * m + j]
    return chosen


@numba.njit(cache=True)
def _pass(
    ways_in: Index, ways_out: Index, share: Array, first: Index, sends: Array, takes: Array, top: Array,
    moved: Array, entered: Array, waiting: Array, entry: Array,
    want: Array, weight: Array, room: Array, done: NDArray[np.bool_],
) -> float:  # fmt: skip
    """Move cars through one junction; returns how many left through its sink. The last four arrays are scratch.

    Each way in has one queue, first in, first out: when one of its turns is full, all of it waits. Ways in share what
    a way out takes by their capacity towards it (Tampere et al. 2011, section 4.3).
    """
    links, n, m = len(first) - 1, len(ways_in), len(ways_out)
    for i in range(n):
        way = ways_in[i]
        if way < links:
            last = first[way + 1] - 1
            want[i], weight[i], moved[last] = sends[last], top[last], 0.0
        else:
            weight[i] = entry[way - links]
            want[i] = min(waiting[way - links], weight[i])
        done[i] = want[i] <= 0.0
    for j in range(m):
        room[j] = takes[first[ways_out[j]]] if ways_out[j] < links else np.inf
    gone = 0.0
    while True:
        tightest, at = np.inf, -1
        for j in range(m):
            pressing = 0.0
            for i in range(n):
                if not done[i]:
                    pressing += share[i * m + j] * weight[i]
            if pressing > 0.0 and room[j] < tightest * pressing:
                tightest, at = room[j] / pressing, j
        # Go first those that the tightest way out does not hold back; only where there are none, the others.
        freed = False
        for held in range(2):
            for i in range(n):
                turns_there = at >= 0 and share[i * m + at] > 0.0
                if done[i] or (at >= 0 and not turns_there):
                    continue
                limit = tightest * weight[i] if at >= 0 else np.inf
                if held == 0 and want[i] > limit:
                    continue
                out = min(want[i], limit)
                done[i] = freed = True
                way = ways_in[i]
                if way < links:
                    moved[first[way + 1] - 1] = out
                else:
                    waiting[way - links] -= out
                for j in range(m):
                    part = out * share[i * m + j]
                    room[j] = max(room[j] - part, 0.0)
                    if ways_out[j] < links:
                        entered[ways_out[j]] += part
                    else:
                        gone += part
            if freed:
                break
        if not freed:
            return gone
