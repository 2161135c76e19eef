"""The weather of Port Alder: rain spells that can be taken away, wind off the sea, and what rain does to traffic."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable

import numpy as np
import pandas as pd

from mm4st_agent.demo_city.chance import stream
from mm4st_agent.demo_city.records import Array, Cause, Weather

WET_DAY = 0.36
"""Chance that it rains on a day in September; it grows by `_WETTER` a month until December."""
_WETTER = 0.06

RAIN_CLASSES = ((2.54, 0.0117, 0.0343), (6.35, 0.0567, 0.1010), (25.4, 0.1072, 0.1767))
"""(rain up to, mm/h; smallest and largest share of capacity that is lost) for light, medium and heavy rain.

Highway Capacity Manual 2010, Exhibit 10-15: 0.1 and 0.25 inches/h part the classes.
"""
SPEED_CLASSES = ((2.54, 0.01, 0.03), (6.35, 0.04, 0.07), (25.4, 0.06, 0.09))
"""The same for the free speed: adjustment factors 0.96-0.93 and 0.94-0.91 in medium and heavy rain.

Highway Capacity Manual, 6th edition, Exhibit 11-21; light rain has no entry there and lies below.
"""


def loss(rain: Array, classes: tuple[tuple[float, float, float], ...]) -> Array:
    """What rain takes away, growing within each class from the smallest to the largest share.

    Args:
        rain: `(T,)` mm/h.
        classes: `RAIN_CLASSES` or `SPEED_CLASSES`.

    Returns:
        `(T,)` share that is lost, 0 without rain.

    >>> loss(np.array([0.0, 1.27, 6.35, 40.0]), RAIN_CLASSES).round(4).tolist()
    [0.0, 0.023, 0.101, 0.1767]
    """
    lost, above = np.zeros(len(rain)), 0.0
    for top, least, most in classes:
        share = np.minimum((rain - above) / (top - above), 1.0)
        lost = np.where(rain > above, least + (most - least) * share, lost)
        above = top
    return lost


def rain_spells(seed: int, days: pd.DatetimeIndex) -> tuple[Cause, ...]:
    """Draw the rain of each day.

    Args:
        seed: Of the city.
        days: `(D,)` midnights, in the zone of the city.

    Returns:
        Spells within a day, oldest first, with ids 'rain-01', ...; they do not overlap.
    """
    spells = []
    for day in days:
        wet, hour, length, second, much = stream(seed, f"rain/{day:%Y-%m-%d}").random(5).tolist()
        if wet > WET_DAY + _WETTER * max(0.0, day.month - 9 + day.day / 30):
            continue
        first = int(hour * 78)  # in quarters of an hour, so that a spell ends before the day does
        quarters = 3 + int(length * length * 15)
        spells.append(_spell(day, first, min(quarters, 95 - first), much))
        last = first + quarters
        if second < 0.45 and last + 8 < 90:
            spells.append(_spell(day, last + 8, min(6, 95 - last - 8), second / 0.45))
    numbered = zip(itertools.count(1), sorted(spells), strict=False)
    return tuple(
        Cause(f"rain-{number:02d}", "rain", f"{_WORDS[strength]} rain", start, end)
        for number, (start, end, strength) in numbered
    )


_WORDS = ("light", "steady", "heavy")
_PEAK = (2.2, 5.6, 12.0)
"""mm/h at the height of a spell of each strength."""


def _spell(day: pd.Timestamp, first: int, quarters: int, much: float) -> tuple[pd.Timestamp, pd.Timestamp, int]:
    start = day + pd.Timedelta(minutes=15 * first)
    return start, start + pd.Timedelta(minutes=15 * quarters), 0 if much < 0.5 else 1 if much < 0.82 else 2


def weather(seed: int, time: pd.DatetimeIndex, causes: Iterable[Cause]) -> Weather:
    """The weather while these rain spells fall; everything else in it does not depend on them.

    Args:
        seed: Of the city.
        time: `(T,)` evenly spaced steps, in the zone of the city.
        causes: Only rain counts.
    """
    rain = np.zeros(len(time))
    for cause in causes:
        if cause.kind == "rain":
            inside = np.flatnonzero((time >= cause.start) & (time < cause.end))
            rain[inside] = np.maximum(rain[inside], _shower(seed, cause, time[inside]))
    hour = np.asarray(time.hour + time.minute / 60, dtype=np.float64)
    drift = {name: _drift(seed, name, time) for name in ("wind", "turn", "veer", "air", "sky")}
    sun = _sun(hour)
    # The sea breeze of sunny afternoons turns the wind to the west.
    breeze = sun * drift["sky"]
    wind_from = 235 + 330 * (drift["turn"] - 0.5) + 90 * (drift["veer"] - 0.5) + 45 * (breeze - 0.3)
    wind_speed = 1.0 + 6.0 * drift["wind"] * drift["wind"] + 2.5 * breeze
    season = 21.0 - 0.075 * np.asarray((time - pd.Timestamp("2025-09-01", tz=time.tz)) / pd.Timedelta(days=1))
    temperature = np.clip(season, 8.0, 24.0) + 6.0 * (drift["air"] - 0.5) + 7.0 * (sun - 0.4)
    mixing = 140 + 55 * wind_speed + 950 * sun * (0.35 + 0.65 * drift["sky"])
    return Weather(
        rain=rain,
        wind_speed=wind_speed.round(1),
        wind_from=(wind_from % 360).round(0) % 360,
        mixing_height=mixing.round(0),
        temperature=temperature.round(1),
    )


def _shower(seed: int, cause: Cause, time: pd.DatetimeIndex) -> Array:
    """mm/h: rises within the first quarter of the spell, then fades, with gusts; at least 0.2."""
    peak = _PEAK[_WORDS.index(cause.title.split()[0])]
    along = np.asarray((time - cause.start) / (cause.end - cause.start), dtype=np.float64)
    # Drawn by the moment at which it falls, since ids count the spells of the whole span.
    gusts = stream(seed, f"rain/gusts/{cause.start:%Y-%m-%dT%H:%M}").random(len(time))
    shape = np.minimum(along / 0.25, (1 - along) / 0.75)
    return np.asarray(np.maximum(peak * shape * (0.7 + 0.6 * gusts), 0.2).round(1), dtype=np.float64)


def _drift(seed: int, name: str, time: pd.DatetimeIndex) -> Array:
    """`(T,)` between 0 and 1: a level for each eight hours of the wall clock, straight lines between."""
    wall = time.tz_localize(None)
    hours = np.asarray((wall - pd.Timestamp("2025-01-01")) / pd.Timedelta(hours=8), dtype=np.float64)
    first = np.floor(hours).astype(np.int64)
    levels = {number: _level(seed, name, number) for number in range(first.min(), first.max() + 2)}
    here, there = (np.array([levels[number] for number in first + ahead]) for ahead in (0, 1))
    return np.asarray(here + (there - here) * (hours - first), dtype=np.float64)


def _level(seed: int, name: str, number: int) -> float:
    """Partly of the day, partly of its third."""
    day = stream(seed, f"weather/{name}/day {number // 3}").random()
    return 0.6 * day + 0.4 * stream(seed, f"weather/{name}/{number}").random()


def _sun(hour: Array) -> Array:
    """Height of the sun over the day, 0..1, read from a table."""
    table = np.array([round(max(0.0, math.sin(math.pi * (h - 6.5) / 13)), 6) for h in range(25)])
    at = hour.astype(np.int64)
    return np.asarray(table[at] + (table[at + 1] - table[at]) * (hour - at), dtype=np.float64)
