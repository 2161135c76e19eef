"""Who drives when and where to: trips by land use, hour, weekday and season, and the visitors of events.

Trips belong to purposes. A purpose has a trip table (a gravity model between land uses) and a profile over the day;
vehicles that start in a zone, and the shares of the turns at each junction, are sums over purposes.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable
from typing import NamedTuple

import numba
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mm4st_agent.demo_city.chance import stream
from mm4st_agent.demo_city.ctm import Roads
from mm4st_agent.demo_city.ctm_kernel import STEP_S
from mm4st_agent.demo_city.network import Network
from mm4st_agent.demo_city.records import Array, Cause
from mm4st_agent.demo_city.routes import turn_weights

SLOTS = 86_400 // STEP_S
"""Steps of a day."""
BY_CAR, PER_CAR = 0.65, 2.1
"""Share of an event's visitors who drive, and how many sit in a car."""
ARRIVE = (-120, -45, 10)
"""Visitors of an event arrive from, mostly at and until so many minutes after its start."""
LEAVE = (-10, 15, 75)
"""They leave from, mostly at and until so many minutes after its end."""
DECAY_KM = 8.0
"""Distance at which a destination counts half."""
NOISE = 0.07
"""Largest deviation of a zone's trips from their profile, within a day; a whole day may deviate as much again."""

# fmt: off
_ENDS = {
    #               homes, jobs, schools, leisure, freight, through
    "residential": (1.00, 0.12, 0.45, 0.25, 0.05, 0.0),
    "centre":      (0.25, 1.00, 0.10, 1.00, 0.15, 0.0),
    "business":    (0.10, 1.30, 0.10, 0.35, 0.10, 0.0),
    "retail":      (0.15, 0.55, 0.00, 1.20, 0.25, 0.0),
    "industrial":  (0.05, 1.00, 0.00, 0.05, 0.90, 0.0),
    "port":        (0.05, 0.80, 0.00, 0.15, 1.20, 0.0),
    "university":  (0.20, 1.00, 0.60, 0.20, 0.05, 0.0),
    "leisure":     (0.30, 0.25, 0.05, 0.80, 0.05, 0.0),
    "airport":     (0.00, 0.90, 0.00, 0.40, 0.60, 0.0),
    "outside":     (1.30, 0.90, 0.05, 0.50, 1.00, 1.0),
}
"""How strongly each land use draws each kind of trip end, for a zone of size 1."""
_HOMES, _JOBS, _SCHOOLS, _LEISURE, _FREIGHT, _THROUGH = range(6)


class _Purpose(NamedTuple):
    origin: int
    destination: int
    per_day: float
    """Vehicles on a workday in the whole city."""
    workday: str
    saturday: str
    sunday: str
    """Thousandths of `per_day` that start per hour at 0:00, 1:00, ...; straight lines between. Empty is none."""
    holiday: float = 1.0
    """Factor on workdays in school holidays."""
    season: tuple[float, ...] = (1.0,) * 12
    """Factor by month, January first; it holds in the middle of the month."""
    back_of: str = ""
    """The purpose whose trips these are, the other way round."""


_TERM = (1.0, 1.0, 1.0, 1.0, 1.0, .97, .88, .84, .97, 1.01, 1.02, .98)
_VISITORS = (.88, .90, .94, 1.0, 1.04, 1.12, 1.22, 1.25, 1.06, .95, .92, 1.02)
_PURPOSES = {
    "to work": _Purpose(_HOMES, _JOBS, 63_000,
        "4 2 2 2 4 22 80 190 215 120 55 35 30 38 30 22 18 16 14 12 12 12 9 6",
        "4 3 2 2 3 8 20 30 36 36 30 22 22 22 16 12 12 10 8 8 8 8 6 4",
        "4 3 2 2 3 5 11 16 18 20 18 15 14 14 10 9 8 8 7 6 6 6 4 4",
        holiday=0.84, season=_TERM),
    "from work": _Purpose(_JOBS, _HOMES, 63_000,
        "10 6 4 4 4 6 12 16 16 16 22 30 55 48 50 72 140 240 172 80 40 28 24 16",
        "10 8 6 4 4 4 6 8 10 14 18 24 34 36 30 26 26 26 24 18 14 12 12 12",
        "10 8 6 4 4 4 4 6 8 8 10 12 16 18 16 15 16 18 18 14 10 8 8 8",
        holiday=0.84, season=_TERM, back_of="to work"),
    "to school": _Purpose(_HOMES, _SCHOOLS, 15_000,
        "0 0 0 0 0 0 20 300 420 60 20 10 20 60 40 15 10 8 8 4 0 0 0 0", "", "",
        holiday=0.06),
    "from school": _Purpose(_SCHOOLS, _HOMES, 15_000,
        "0 0 0 0 0 0 0 100 280 60 10 20 110 90 40 110 120 50 20 10 6 4 0 0", "", "",
        holiday=0.06, back_of="to school"),
    "outing": _Purpose(_HOMES, _LEISURE, 46_000,
        "8 5 3 2 2 3 8 18 30 45 58 60 52 50 55 58 62 72 82 74 58 40 24 14",
        "12 8 5 3 2 3 8 22 46 78 104 110 90 85 95 100 92 85 82 80 68 46 32 20",
        "16 10 6 3 2 2 4 12 28 56 80 85 80 85 90 85 75 65 55 48 36 24 14 8",
        holiday=1.15, season=_VISITORS),
    "home again": _Purpose(_LEISURE, _HOMES, 46_000,
        "18 12 6 4 2 2 4 8 14 24 36 50 60 58 52 52 58 66 74 78 70 62 54 34",
        "30 22 12 6 3 3 4 8 16 32 56 80 100 95 85 85 92 95 88 80 72 62 54 42",
        "34 26 14 6 3 2 3 6 12 24 44 62 78 80 78 85 92 92 80 66 52 38 26 16",
        holiday=1.15, season=_VISITORS, back_of="outing"),
    "errand": _Purpose(_JOBS, _JOBS, 28_000,
        "2 1 1 1 2 8 25 55 85 95 98 95 80 80 90 90 75 55 30 15 8 5 3 2",
        "2 1 1 1 1 2 8 16 26 34 36 34 28 24 22 20 16 14 10 6 4 3 2 2",
        "2 1 1 1 1 1 2 6 10 14 16 16 14 14 14 12 10 8 8 6 4 3 2 2"),
    "freight": _Purpose(_FREIGHT, _FREIGHT, 16_000,
        "12 10 12 18 30 50 65 68 65 65 68 68 62 62 62 60 55 46 36 26 20 16 14 12",
        "10 8 8 10 14 20 26 28 28 28 28 26 24 20 18 16 14 12 10 9 8 8 8 8",
        "5 4 4 4 5 6 7 8 9 10 10 10 10 10 10 10 10 10 12 14 14 12 10 8"),
    "through": _Purpose(_THROUGH, _THROUGH, 49_000,
        "14 10 9 10 16 30 52 66 66 60 56 55 54 55 58 64 72 72 60 44 32 24 19 16",
        "14 10 8 8 10 16 26 36 46 56 62 64 58 52 50 50 50 48 42 34 28 22 18 16",
        "12 9 7 6 7 10 15 22 30 40 48 52 50 48 50 56 64 68 64 52 40 30 22 16"),
}
# fmt: on
_FRIDAY = 1.12
"""Factor on outings on a Friday."""
_PERIODS = (8.25, 13.0, 17.25)
"""Hours for which routes are found."""
_BETWEEN = ((0, 1), (6.0, 1), (7.0, 0), (9.5, 0), (11.0, 1), (14.5, 1), (16.0, 2), (18.75, 2), (20.5, 1), (24, 1))
"""(hour, period whose routes hold); between two the routes change over."""


class Demand:
    """What drives into the network and which way it turns."""

    def __init__(self, network: Network, roads: Roads, seed: int) -> None:
        self._roads = roads
        self._seed = seed
        self._venue_at = network.venues["junction"].to_dict()
        halls = list(dict.fromkeys(network.venues.loc[network.venues["seats"] > 0, "junction"]))
        self._rows = {name: row for row, name in enumerate([*_PURPOSES, *(w + h for h in halls for w in _WAYS)])}
        self._origins, self._weights = _tables(network, roads, tuple(halls))

    def boundary(self, time: pd.DatetimeIndex, causes: Iterable[Cause]) -> tuple[Array, Array]:
        """Demand at the steps that begin at `time`.

        Args:
            time: `(S,)` starts of steps, in the zone of the city.
            causes: What acts; only holidays and events count here.

        Returns:
            Vehicles that want to start in each zone `(S, Z)`, and the share of each turn `(S, K)` as in
            `ctm.Boundary`.
        """
        volumes = self._volumes(time, tuple(causes))
        hour = _hours(time)
        near = np.stack([_table_at(hour, _BETWEEN, period) for period in range(len(_PERIODS))], axis=1)
        demand, turns = _mix(volumes, near, self._origins, self._weights, self._roads.turn_in, self._roads.u_turn)
        return demand * self._noise(time), turns

    def _volumes(self, time: pd.DatetimeIndex, causes: tuple[Cause, ...]) -> Array:
        """`(S, P)` vehicles that start in each step, by purpose, before noise."""
        hour, weekday = _hours(time), time.day_of_week.to_numpy()
        off = np.zeros(len(time), dtype=bool)
        for cause in causes:
            if cause.kind == "holiday":
                off |= (time >= cause.start) & (time < cause.end)
        volumes = np.zeros((len(time), len(self._rows)))
        for name, purpose in _PURPOSES.items():
            shares = np.stack([_profile(hour, p) for p in (purpose.workday, purpose.saturday, purpose.sunday)])
            share = shares[np.clip(weekday - 4, 0, 2), np.arange(len(time))]
            factor = np.where(off & (weekday < 5), purpose.holiday, 1.0) * _season(time, purpose.season)
            if name in ("outing", "home again"):
                factor = factor * np.where(weekday == 4, _FRIDAY, 1.0)
            volumes[:, self._rows[name]] = purpose.per_day * share * factor * (STEP_S / 3600)
        for cause in causes:
            if cause.kind != "event" or cause.venue is None:
                continue
            cars = cause.attendance * BY_CAR / PER_CAR
            hall = self._venue_at[cause.venue]
            for way, moment, spread in zip(_WAYS, (cause.start, cause.end), (ARRIVE, LEAVE), strict=True):
                minutes = np.asarray((time - moment).total_seconds(), dtype=np.float64) / 60
                begun = _triangular(minutes, spread), _triangular(minutes + STEP_S / 60, spread)
                volumes[:, self._rows[way + hall]] += cars * (begun[1] - begun[0])
        return volumes

    def _noise(self, time: pd.DatetimeIndex) -> Array:
        """`(S, Z)` around 1, drawn for each day: for the city, for a zone, and for a zone's quarters of an hour."""
        noise = np.ones((len(time), len(self._roads.zones)))
        quarter = _hours(time) * 4
        at = quarter.astype(np.int64)
        for date in time.normalize().unique():
            today = time.normalize() == date
            day = f"{date:%Y-%m-%d}"
            city = 1 + NOISE * (2 * stream(self._seed, f"demand/{day}").random() - 1)
            for number, zone in enumerate(self._roads.zones):
                level, *knots = 2 * stream(self._seed, f"demand/{zone}/{day}").random(98) - 1
                knot = np.array(knots)
                within = knot[at[today]] + (knot[at[today] + 1] - knot[at[today]]) * (quarter[today] - at[today])
                noise[today, number] = city * (1 + NOISE * level) * (1 + NOISE * within)
        return noise


_WAYS = ("visit ", "leave ")


@functools.lru_cache(maxsize=4)
def _tables(network: Network, roads: Roads, halls: tuple[str, ...]) -> tuple[Array, Array]:
    """`(P, Z)` share of a purpose's trips that start in each zone, and `(periods, P, K)` turn weights."""
    ends = np.array([_ENDS[str(use)] for use in network.junctions.loc[roads.zones, "land_use"]])
    ends = (ends * network.junctions.loc[roads.zones, "size"].to_numpy()[:, None]).T
    lat, lon = (network.junctions.loc[roads.zones, name].to_numpy() for name in ("lat", "lon"))
    north, east = 111.2 * (lat[:, None] - lat), 83.284 * (lon[:, None] - lon)
    near = 1 / (1 + (north * north + east * east) / DECAY_KM**2)
    near[np.eye(len(near), dtype=bool)] = 0
    trips: dict[str, Array] = {}
    for name, purpose in _PURPOSES.items():
        if purpose.back_of:
            trips[name] = trips[purpose.back_of].T
            continue
        reach = np.where(near > 0, 1.0, 0.0) if purpose.origin == _THROUGH else near
        to = ends[purpose.destination] * reach
        start = ends[purpose.origin]
        trips[name] = _share(start)[:, None] * to / np.maximum(_sums(to), 1e-9)[:, None]
    for hall in halls:
        visit = np.zeros_like(near)
        column = roads.zones.index(hall)
        visit[:, column] = _share(ends[_HOMES] * near[:, column])
        trips[_WAYS[0] + hall], trips[_WAYS[1] + hall] = visit, visit.T
    table = np.stack(list(trips.values())).round(12)
    origins = np.stack([_sums(rows) for rows in table]).round(12)
    volumes = np.zeros((len(_PERIODS), len(table)))
    for row, purpose in enumerate(_PURPOSES.values()):
        volumes[:, row] = purpose.per_day * _profile(np.array(_PERIODS), purpose.workday)
    return origins, np.stack([turn_weights(network, roads, table, volume) for volume in volumes])


def _sums(rows: Array) -> Array:
    """Sum of each row, left to right."""
    total = np.zeros(len(rows))
    for column in rows.T:
        total = total + column
    return total


def _share(values: Array) -> Array:
    return np.asarray(values / _sums(values[None])[0], dtype=np.float64)


def _hours(time: pd.DatetimeIndex) -> Array:
    return np.asarray(time.hour + time.minute / 60, dtype=np.float64)


def _profile(hour: Array, thousandths: str) -> Array:
    """Share that starts per hour, at each `hour`; the table begins again after its last hour."""
    shares = [int(number) / 1000 for number in thousandths.split()] or [0.0] * 24
    table = np.array([*shares, shares[0]])
    at = hour.astype(np.int64)
    return np.asarray(table[at] + (table[at + 1] - table[at]) * (hour - at), dtype=np.float64)


def _season(time: pd.DatetimeIndex, factors: tuple[float, ...]) -> Array:
    """A table by the month, straight lines between the middles of months."""
    at = time.month.to_numpy() - 1 + (time.day.to_numpy() - 15.5) / 31
    table = np.array([factors[-1], *factors, factors[0]])
    first = np.floor(at).astype(np.int64)
    return np.asarray(table[first + 1] + (table[first + 2] - table[first + 1]) * (at - first), dtype=np.float64)


def _table_at(hour: Array, table: tuple[tuple[float, int], ...], value: int) -> Array:
    """Share of `value` at each hour: 1 where both neighbours in the table say it, straight lines elsewhere."""
    share = np.zeros(len(hour))
    for (begin, first), (end, then) in itertools.pairwise(table):
        inside = (hour >= begin) & (hour < end)
        along = (hour[inside] - begin) / (end - begin)
        share[inside] = (first == value) * (1 - along) + (then == value) * along
    return share


def _triangular(minutes: Array, spread: tuple[int, int, int]) -> Array:
    """Share that has started by each minute: none at the first of `spread`, most at the second, all at the third."""
    first, top, last = spread
    x = np.clip(minutes, first, last)
    rising = (x - first) * (x - first) / ((last - first) * (top - first))
    falling = 1 - (last - x) * (last - x) / ((last - first) * (last - top))
    return np.asarray(np.where(x < top, rising, falling), dtype=np.float64)


@numba.njit(cache=True)
def _mix(
    volumes: Array, near: Array, origins: Array, weights: Array, turn_in: NDArray[np.int64], u_turn: NDArray[np.bool_]
) -> tuple[Array, Array]:
    """Sum over purposes and periods in a fixed order; a way in that nobody uses turns evenly, but not back."""
    steps, purposes = volumes.shape
    zones, turns = origins.shape[1], len(turn_in)
    demand, share = np.zeros((steps, zones)), np.zeros((steps, turns))
    ways = turn_in.max() + 1
    total = np.empty(ways)
    for s in range(steps):
        for p in range(purposes):
            if volumes[s, p] == 0.0:
                continue
            for z in range(zones):
                demand[s, z] += volumes[s, p] * origins[p, z]
            for period in range(near.shape[1]):
                scale = volumes[s, p] * near[s, period]
                if scale > 0.0:
                    for k in range(turns):
                        share[s, k] += scale * weights[period, p, k]
        total[:] = 0.0
        for k in range(turns):
            total[turn_in[k]] += share[s, k]
        for k in range(turns):
            if total[turn_in[k]] < 1e-6:
                share[s, k] = 0.0 if u_turn[k] else 1.0
        total[:] = 0.0
        for k in range(turns):
            total[turn_in[k]] += share[s, k]
        for k in range(turns):
            share[s, k] /= total[turn_in[k]]
    return demand, share
