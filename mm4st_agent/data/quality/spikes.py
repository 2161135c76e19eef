"""Isolated readings that jump away and are back at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mm4st_agent.data.quality.blocks import Calendar, grouped_median

FALSE_ALARMS = 0.01
"""Expected number in a whole channel of sound sensors."""
LEAST_DEPARTURE = 8.0
"""In robust standard deviations of the node's usual departures at that hour."""
LEAST_UNUSUAL = 4.0
"""In robust standard deviations from what the node usually shows at that time of day."""
_SIGMA = 1.4826
"""Standard deviation of a normal law over its median absolute deviation."""


@dataclass(frozen=True)
class Spikes:
    """S spikes: column, step, and by how much the reading left both its neighbours, signed; each `(S,)`."""

    node: NDArray[np.intp]
    step: NDArray[np.intp]
    jump: NDArray[np.float64]


def daily_profile(measured: NDArray[np.float64], calendar: Calendar) -> NDArray[np.float64]:
    """`(T, n)` what a node usually shows at that step of the day: the median over all days of that kind.

    Working days and weekends are kept apart from two weeks of data on. Where a step is a day or longer it is
    the median of all readings.
    """
    group = calendar.day_kind * calendar.slots + calendar.slot
    return np.asarray(grouped_median(measured, group, 2 * calendar.slots)[group])


def spikes(measured: NDArray[np.float64], profile: NDArray[np.float64], calendar: Calendar, nodes: int) -> Spikes:
    """Departures of one or two readings from what was before *and* after them.

    A reading is compared with the median of the three before and of the three behind it; its jump is the distance
    to the nearer of the two. A spike

    - stands alone or in a pair: a change that lasts three readings, such as an incident's drop of speed, is none,
    - jumps further than `LEAST_DEPARTURE` and further than the exponential tail of the node's own jumps reaches
      (from their 80th and 98th percentile to `FALSE_ALARMS` in the channel), in units of what is usual at that hour,
    - is far from what the node usually shows at that time of day, and
    - returns: before and behind differ by less than half of the jump.

    Nodes that mostly show one and the same value, such as rain gauges, have no scale and are not tested.

    Args:
        measured: `(T, n)` in the channel's unit; NaN is missing or imputed.
        profile: `(T, n)` of `daily_profile`.
        calendar: Of the T steps.
        nodes: All nodes of the channel.

    Source:
        Hampel (1974), JASA 69, the median and its absolute deviation as location and scale; the peaks over a
        high percentile as in Pickands (1975), Annals of Statistics 3, with an exponential tail.
    """
    steps = len(measured)
    empty = np.empty(0, dtype=np.intp)
    if steps < 8:
        return Spikes(empty, empty, np.empty(0))
    padded = np.pad(measured, ((3, 3), (0, 0)), constant_values=np.nan)
    before = _middle(padded[0:steps], padded[1 : steps + 1], padded[2 : steps + 2])
    behind = _middle(padded[4 : steps + 4], padded[5 : steps + 5], padded[6 : steps + 6])
    up, down = measured - before, measured - behind
    jump = np.where(up * down > 0, np.sign(up) * np.minimum(np.abs(up), np.abs(down)), 0.0)
    jump[np.isnan(up) | np.isnan(down)] = np.nan
    between, half = (before + behind) / 2, np.abs(jump) / 2
    inside = (np.abs(padded[2 : steps + 2] - between) > half) & (np.abs(padded[4 : steps + 4] - between) > half)

    size = np.abs(jump) / _scale(measured - between, calendar)
    unusual = np.abs(measured - profile) / _scale(measured - profile, calendar)
    known = np.isfinite(size)
    with np.errstate(invalid="ignore"):
        middle, far = _quantile(size, known, 0.80), _quantile(size, known, 0.98)
        count = np.maximum(known.sum(axis=0), 1)
        reach = np.log(np.maximum(0.02 * count * nodes / FALSE_ALARMS, 1.0)) / np.log(10)
        least = np.maximum(LEAST_DEPARTURE, far + (far - middle) * reach)
        found = (size > least) & (unusual > LEAST_UNUSUAL) & (np.abs(before - behind) < half) & ~inside
    node, step = np.nonzero(found.T)
    return Spikes(node, step, jump[step, node])


def _middle(*three: NDArray[np.float64]) -> NDArray[np.float64]:
    """The median of three where all are known, the mean of two, NaN of fewer."""
    low, middle, high = np.sort(np.stack(three), axis=0)
    return np.asarray(np.where(np.isnan(high), (low + middle) / 2, middle))


def _scale(departures: NDArray[np.float64], calendar: Calendar) -> NDArray[np.float64]:
    """`(T, n)` robust standard deviation by hour of the day, at least a quarter of the node's own; NaN if that is 0."""
    size = np.abs(departures)
    overall = grouped_median(size, np.zeros(len(size), dtype=np.intp), 1)[0]
    overall[overall == 0] = np.nan
    hourly = grouped_median(size, calendar.hour, 24) if calendar.slots > 1 else overall[None]
    scale = _SIGMA * np.maximum(hourly, overall / 4)
    return scale[calendar.hour] if calendar.slots > 1 else np.broadcast_to(scale, size.shape)


def _quantile(values: NDArray[np.float64], known: NDArray[np.bool_], share: float) -> NDArray[np.float64]:
    """`(n,)` quantile of what is known in each column; infinite where nothing is."""
    ordered = np.sort(values, axis=0)
    count = known.sum(axis=0)
    position = np.floor(share * np.maximum(count - 1, 0)).astype(np.intp)
    return np.where(count > 0, np.take_along_axis(ordered, position[None], axis=0)[0], np.inf)
