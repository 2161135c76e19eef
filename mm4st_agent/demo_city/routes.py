"""Which way people drive: trip tables put on routes that nobody would want to leave, turned into turn weights.

Routes are found for three times of the day by the method of successive averages: shortest paths at the present travel
times, loaded, averaged with those before, again. The turn weights of a trip purpose are vehicles that take each turn
for one vehicle that starts; what happens at an hour is a sum over purposes, so a concert is one more purpose.

Source:
    Sheffi (1985), Urban Transportation Networks, section 5.4 (successive averages); Bureau of Public Roads (1964) for
    travel time by load.
"""

from __future__ import annotations

import heapq

import numpy as np
from numpy.typing import NDArray

from mm4st_agent.demo_city.ctm import Roads
from mm4st_agent.demo_city.network import Network
from mm4st_agent.demo_city.records import Array

ROUNDS = 10
_DELAY = 1.0
"""Share by which a link at capacity takes longer than an empty one."""


def turn_weights(network: Network, roads: Roads, trips: Array, volumes: Array) -> Array:
    """Put trips on routes.

    Args:
        network: The network that `roads` was cut from.
        roads: Its turns.
        trips: `(P, Z, Z)` trips by purpose, from and to zones in the order of `roads.zones`.
        volumes: `(P,)` how much of each purpose loads the roads while routes are sought, per hour; purposes with 0
            follow the routes of the others.

    Returns:
        `(P, K)` vehicles that take each turn of `roads`, in the unit of `trips`.
    """
    links = network.links
    free_time = links["length_km"].to_numpy() / links["free_speed_kmh"].to_numpy()
    capacity = links["capacity_vph"].to_numpy()
    turn = {(int(a), int(b)): number for number, (a, b) in enumerate(zip(roads.turn_in, roads.turn_out, strict=True))}
    out: dict[str, list[tuple[int, str]]] = {}
    for number, (source, target) in enumerate(zip(links["source"], links["target"], strict=True)):
        out.setdefault(source, []).append((number, target))
    time, mean = free_time, np.zeros((len(trips), len(turn)))
    for found in range(ROUNDS):
        loaded = np.zeros_like(mean)
        for zone, origin in enumerate(roads.zones):
            _load(loaded, trips[:, zone], zone, origin, out, time, turn, roads)
        mean = mean + (loaded - mean) / (found + 1)
        load = np.zeros(roads.links + len(roads.zones))
        for purpose, volume in enumerate(volumes):
            np.add.at(load, roads.turn_in, mean[purpose] * volume)
        used = load[: roads.links] / capacity
        time = np.round(free_time * (1 + _DELAY * used * used * used * used), 9)
    return np.asarray(mean.round(9), dtype=np.float64)


def _load(
    loaded: Array, trips: Array, zone: int, origin: str, out: dict[str, list[tuple[int, str]]],
    time: Array, turn: dict[tuple[int, int], int], roads: Roads,
) -> None:  # fmt: skip
    """Send all trips `(P, Z)` from one zone down its tree of shortest paths, farthest junctions first."""
    reached, came = _tree(origin, out, time)
    zones = {name: number for number, name in enumerate(roads.zones)}
    sums: dict[str, NDArray[np.float64]] = {name: np.zeros(len(trips)) for name in reached}
    for name in reversed(reached):
        if name == origin:
            break
        before, link = came[name]
        if name in zones:
            ends = trips[:, zones[name]]
            sums[name] += ends
            loaded[:, turn[link, roads.links + zones[name]]] += ends
        sums[before] += sums[name]
        way_in = roads.links + zone if before == origin else came[before][1]
        loaded[:, turn[way_in, link]] += sums[name]


def _tree(
    origin: str, out: dict[str, list[tuple[int, str]]], time: Array
) -> tuple[list[str], dict[str, tuple[str, int]]]:
    """Junctions in the order of their distance, and for each the junction and the link before it."""
    came: dict[str, tuple[str, int]] = {}
    best, done, heap = {origin: 0.0}, [], [(0.0, origin)]
    seen: set[str] = set()
    while heap:
        distance, name = heapq.heappop(heap)
        if name in seen:
            continue
        seen.add(name)
        done.append(name)
        for link, target in out[name]:
            further = distance + float(time[link])
            if further < best.get(target, np.inf):
                best[target], came[target] = further, (name, link)
                heapq.heappush(heap, (further, target))
    return done, came
