"""The load of the city's travel-information service: people look up their way before they go, and when it jams."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from numba import njit

from mm4st_agent.demo_city.chance import stream
from mm4st_agent.demo_city.network import Network
from mm4st_agent.demo_city.records import Array, Cause, Traffic

MOST = 6000.0
"""Requests/min that the service can answer; it fills up smoothly towards this."""

_LAG_MIN = 7.0
"""People notice a jam, and the app pushes it, within about this time."""
_PER_DELAYED = 0.35
"""Requests/min by one delayed vehicle: those in it, those whom they are to meet, those who now go another way."""
_LOOKUPS = 0.4
"""Requests by one visitor of an event before it, and again after it."""
_EARLY_MIN, _BUSIEST_MIN, _LATE_MIN = 110.0, 40.0, 50.0
"""Visitors ask from so long before the start, most of all so long before it, and until so long after the end."""
_WET, _WET_MIN = 0.28, 25.0
"""Share of further requests when rain sets in, half of it after so many minutes."""
_SCHOOL_RUN, _SCHOOL_HOURS = 0.22, (6, 9)
"""Share of the requests that school holidays save, in these hours of a workday."""

# Requests/min at each full hour of the day, straight lines between, without jams, events and rain.
_WORKDAY = (
    260, 220, 205, 210, 270, 520, 1150, 1650, 1350, 900, 760, 780,
    850, 860, 830, 950, 1300, 1500, 1150, 820, 640, 540, 430, 330, 260,
)  # fmt: skip
_WEEKEND = (
    380, 330, 270, 225, 210, 230, 300, 410, 560, 740, 900, 990,
    1010, 1000, 990, 960, 930, 890, 820, 720, 620, 560, 500, 440, 380,
)  # fmt: skip


def requests(network: Network, traffic: Traffic, causes: Iterable[Cause], time: pd.DatetimeIndex, seed: int) -> Array:
    """Simulate the requests that reach the service.

    People look up a trip before the peaks of the traffic; a jam makes many look again some minutes later, visitors
    of an event ask before it starts and after it ends, and the first rain makes people look. Incidents and works
    act through the traffic alone. The random numbers depend on the seed alone, so two runs that differ in a cause
    differ by its true effect.

    Args:
        network: Its links in the order of the columns of `traffic`.
        traffic: T steps.
        causes: All that act; only events, rain and holidays are read.
        time: `(T,)` starts of the steps, evenly spaced, in the city's zone.
        seed: Of the variation from day to day and from step to step.

    Returns:
        `(T,)` requests/min, the mean of each step, whole numbers of at most 6,000, never missing.
    """
    step_min = (time[1] - time[0]).total_seconds() / 60.0
    base = _habit(time)
    rate = np.zeros(len(time))
    wet = np.zeros(len(time))
    for cause in causes:
        since, after = _minutes(time, cause.start), _minutes(time, cause.end)
        if cause.kind == "holiday":
            early = (time.hour >= _SCHOOL_HOURS[0]) & (time.hour < _SCHOOL_HOURS[1]) & (time.day_of_week < 5)
            base = np.where(early & (since >= 0) & (after < 0), (1.0 - _SCHOOL_RUN) * base, base)
        elif cause.kind == "event":
            rate += _LOOKUPS * cause.attendance * (_arriving(since) + _leaving(after))
        elif cause.kind == "rain":
            wet = np.maximum(wet, np.where(since >= 0, 1.0 / (1.0 + (since / _WET_MIN) * (since / _WET_MIN)), 0.0))
    base = base * _days(time, seed)
    rate += base * (1.0 + _WET * wet)
    lanes_km = (network.links["lanes"] * network.links["length_km"]).to_numpy(dtype=np.float64)
    free_kmh = network.links["free_speed_kmh"].to_numpy(dtype=np.float64)
    rate += _PER_DELAYED * _delayed(traffic.density, traffic.speed, lanes_km, free_kmh, step_min / _LAG_MIN)
    full = rate / MOST
    served = rate / np.sqrt(np.sqrt(1.0 + full * full * full * full))
    return np.asarray(np.floor(served * _jitter(len(time), seed) + 0.5).clip(0.0, MOST), dtype=np.float64)


def _habit(time: pd.DatetimeIndex) -> Array:
    """`(T,)` requests/min of an ordinary day."""
    within = time.minute.to_numpy() / 60.0
    hours = time.hour.to_numpy()
    workday, weekend = np.array(_WORKDAY, dtype=np.float64), np.array(_WEEKEND, dtype=np.float64)
    at_work = workday[hours] + (workday[hours + 1] - workday[hours]) * within
    off = weekend[hours] + (weekend[hours + 1] - weekend[hours]) * within
    return np.asarray(np.where(time.day_of_week < 5, at_work, off), dtype=np.float64)


def _days(time: pd.DatetimeIndex, seed: int) -> Array:
    """`(T,)` how busy each day is, 0.94 to 1.06."""
    dates = time.strftime("%Y-%m-%d")
    level = {date: 0.94 + 0.12 * stream(seed, f"cloud/day/{date}").random() for date in dates.unique()}
    return np.array([level[date] for date in dates])


def _jitter(steps: int, seed: int) -> Array:
    """`(T,)` around 1, with a standard deviation of 0.02."""
    draws = stream(seed, "cloud/jitter").random((steps, 3))
    return np.asarray(1.0 + 0.04 * (draws[:, 0] + draws[:, 1] + draws[:, 2] - 1.5), dtype=np.float64)


def _minutes(time: pd.DatetimeIndex, moment: pd.Timestamp) -> Array:
    return np.asarray((time - moment).total_seconds() / 60.0, dtype=np.float64)


def _arriving(since: Array) -> Array:
    """`(T,)` 1/min, sums to 1: a triangle before the start."""
    up = (since + _EARLY_MIN) / (_EARLY_MIN - _BUSIEST_MIN)
    return np.minimum(up, -since / _BUSIEST_MIN).clip(0.0) * (2.0 / _EARLY_MIN)


def _leaving(after: Array) -> Array:
    """`(T,)` 1/min, sums to 1: falling from the end on."""
    return np.where(after >= 0, (1.0 - after / _LATE_MIN).clip(0.0), 0.0) * (2.0 / _LATE_MIN)


@njit(cache=True)
def _delayed(density: Array, speed: Array, lanes_km: Array, free_kmh: Array, notice: float) -> Array:
    """`(T,)` vehicles that a jam delays, each by the share of its speed that it lost, as people come to notice it."""
    out = np.empty(density.shape[0])
    known = 0.0
    for t in range(density.shape[0]):
        lost = 0.0
        for link in range(density.shape[1]):
            slower = 1.0 - speed[t, link] / free_kmh[link]
            if slower > 0.0:
                lost += density[t, link] * lanes_km[link] * slower
        known = lost if t == 0 else (known + notice * lost) / (1.0 + notice)
        out[t] = known
    return out
