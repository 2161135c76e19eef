"""Probe vehicles: trips over the road network that report where they are every minute or less."""

from __future__ import annotations

import itertools
from typing import Any

import networkx as nx
import numpy as np
import pandas as pd

from mm4st_agent.demo_city.chance import stream
from mm4st_agent.demo_city.network import Network
from mm4st_agent.demo_city.records import Array, Traffic

MOST_FIXES = 45
"""A probe reports at most so often: its sender saves power."""
_GPS_M = 12.0
"""Fixes scatter by at most this in each direction, half of them by less than a third of it."""
_CRAWL_KMH = 2.0
_M_PER_DEGREE = 111_200.0
_WIDER = 1.335
"""Degrees of longitude over degrees of latitude for the same way, at 41.5 degrees north."""

_BUSY = (3, 2, 1, 1, 2, 8, 26, 42, 38, 24, 20, 21, 23, 23, 22, 26, 36, 42, 34, 22, 15, 11, 8, 5)
"""Trips that start, by hour of a workday."""
_QUIET = (6, 4, 3, 2, 2, 3, 5, 8, 13, 19, 24, 27, 27, 26, 26, 25, 24, 22, 20, 17, 14, 11, 9, 8)

# How much a land use sends and draws: in the morning, at other times, in the evening.
_SENDS = {"residential": (6, 3, 2), "outside": (4, 2, 2), "airport": (1, 2, 2), "": (0, 0, 0)}
_DRAWS = {"residential": (1, 3, 6), "outside": (2, 2, 4), "retail": (1, 4, 3), "leisure": (1, 2, 3), "": (0, 0, 0)}
_SENDS_ELSE, _DRAWS_ELSE = (1, 2, 5), (5, 2, 1)


def trajectories(
    network: Network, traffic: Traffic, time: pd.DatetimeIndex, seed: int, count: int = 2000
) -> pd.DataFrame:
    """Drive `count` probes through the traffic, each by the route that is fastest as it leaves.

    Where and when they go depends on land use, hour and seed; how fast, on the traffic.

    Args:
        network: Its links in the order of the columns of `traffic`.
        traffic: T steps.
        time: `(T,)` starts of the steps, evenly spaced, in the city's zone.
        seed: Of trips, intervals and scatter.
        count: Probes.

    Returns:
        `object` (`probe-0001`, ..., in the order of departure), `time` (zone-aware, whole seconds), `lat` and `lon`
        (degrees), sorted by object and time: a fix every 30 to 60 s until the probe arrives, has sent 45, or the
        time is over.
    """
    step_s = (time[1] - time[0]).total_seconds()
    hours, workday = time.hour.to_numpy(), time.day_of_week.to_numpy() < 5
    busy = np.where(workday, np.array(_BUSY)[hours], np.array(_QUIET)[hours])
    likely = np.cumsum(busy)
    draws = stream(seed, "probes/departures").random(count)
    leaving = np.sort(np.minimum(np.searchsorted(likely, draws * likely[-1], side="right"), len(time) - 1))
    column = {link: number for number, link in enumerate(network.links.index)}
    length_km = network.links["length_km"].to_numpy(dtype=np.float64)
    courses = _courses(network)
    rows = []
    for number, step in enumerate(leaving.tolist(), start=1):
        name = f"probe-{number:04d}"
        chance = stream(seed, f"probes/{name}")
        source, target = _ends(network.junctions, int(hours[step]), bool(workday[step]), chance)
        speed = np.maximum(traffic.speed[step], _CRAWL_KMH)
        route = _route(network, source, target, dict(zip(column, (length_km / speed).tolist(), strict=True)))
        start_s = step * step_s + float(chance.integers(0, int(step_s)))
        links = [column[link] for link in route]
        for second, link, share in _drive(links, length_km, traffic.speed, start_s, step_s, chance):
            rows.append((name, second, *_place(courses[link], share, chance)))
    table = pd.DataFrame(rows, columns=["object", "seconds", "lat", "lon"])
    seconds = pd.to_timedelta(table.pop("seconds").to_numpy(dtype=np.int64), unit="s")
    table.insert(1, "time", time[0] + seconds)
    return table


def _ends(junctions: pd.DataFrame, hour: int, workday: bool, chance: np.random.Generator) -> tuple[str, str]:
    """Two different junctions with a zone, by what their land use sends and draws at this hour."""
    part = 1 if not workday or not (5 <= hour < 10 or 15 <= hour < 20) else (0 if hour < 10 else 2)
    size = junctions["size"].to_numpy(dtype=np.float64)
    uses = junctions["land_use"].tolist()
    sends = np.array([_SENDS.get(use, _SENDS_ELSE)[part] for use in uses]) * size
    draws = np.array([_DRAWS.get(use, _DRAWS_ELSE)[part] for use in uses]) * size
    source = _pick(sends, chance)
    draws[source] = 0.0
    return str(junctions.index[source]), str(junctions.index[_pick(draws, chance)])


def _pick(weights: Array, chance: np.random.Generator) -> int:
    likely = np.cumsum(weights)
    return int(np.searchsorted(likely, chance.random() * likely[-1], side="right"))


def _route(network: Network, source: str, target: str, hours: dict[str, float]) -> list[str]:
    """The links of the fastest way."""

    def cost(start: str, end: str, edge: dict[str, Any]) -> float:
        return hours[edge["link"]]

    stops = nx.dijkstra_path(network.graph, source, target, weight=cost)
    return [network.graph.edges[edge]["link"] for edge in itertools.pairwise(stops)]


def _drive(
    links: list[int], length_km: Array, speed: Array, start_s: float, step_s: float, chance: np.random.Generator
) -> list[tuple[int, int, float]]:
    """Fixes as (second, link, share of the link behind): the probe moves with the speed of link and step."""
    fixes: list[tuple[int, int, float]] = []
    end_s = len(speed) * step_s
    now, at, behind_km = start_s, 0, 0.0
    while len(fixes) < MOST_FIXES and now < end_s:
        link = links[at]
        fixes.append((int(now), link, behind_km / float(length_km[link])))
        left = float(chance.integers(30, 61))
        while left > 0.0 and now < end_s:
            link = links[at]
            here = min(left, (now // step_s + 1.0) * step_s - now)
            pace = max(float(speed[int(now // step_s), link]), _CRAWL_KMH) / 3600.0
            rest_km = float(length_km[link]) - behind_km
            if here * pace < rest_km:
                behind_km += here * pace
            else:
                here = rest_km / pace
                at, behind_km = at + 1, 0.0
                if at == len(links):
                    return [*fixes, (int(now + here), link, 1.0)]
            now, left = now + here, left - here
    return fixes


def _courses(network: Network) -> Array:
    """`(L, 3, 2)` latitude and longitude of each link's start, sensor and end."""
    place = network.junctions[["lat", "lon"]]
    ends = [place.loc[network.links[end]].to_numpy(dtype=np.float64) for end in ("source", "target")]
    return np.stack([ends[0], network.links[["lat", "lon"]].to_numpy(dtype=np.float64), ends[1]], axis=1)


def _place(course: Array, share: float, chance: np.random.Generator) -> tuple[float, float]:
    """Latitude and longitude of a fix, with the receiver's scatter."""
    half = 0 if share < 0.5 else 1
    lat, lon = course[half] + (course[half + 1] - course[half]) * (2.0 * share - half)
    north, east = (_GPS_M * (chance.random(2) + chance.random(2) - 1.0) / _M_PER_DEGREE).tolist()
    return round(float(lat) + north, 6), round(float(lon) + _WIDER * east, 6)
