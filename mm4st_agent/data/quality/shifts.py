"""Lasting changes of a node's level, and nodes whose clock differs from the others'."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mm4st_agent.data.quality.blocks import median_of

LEAST_DAYS = 5
"""A level lasts at least so many days, before and after."""
LEAST_NODES = 5
"""From this many nodes on the others are the reference for what moves all of them: weather, holidays, seasons."""
MOST_SHIFTS = 3
"""A node with more breaks wanders; its level has no before and after."""
LEAST_SIZE = 1.0
"""In robust standard deviations of single readings around the level and the profile of their day."""
LEAST_APART = 3.0
"""In standard deviations of a node's days around their level, so that slow wandering is no shift."""
LEAST_ABRUPT = 5.0
"""The three days behind a shift differ from the three before by so many robust standard deviations of the
changes from day to day: a level that slid there is no shift."""
FALSE_ALARMS = 0.01
"""Expected number in a whole channel of sound sensors."""
LEAST_LAG_H = 3
"""Nearer profiles differ for good reasons."""


@dataclass(frozen=True)
class Shift:
    """`node` has another level from day `day` on, by `size` in the channel's unit, for at least `LEAST_DAYS` days."""

    node: int
    day: int
    size: float


def level_shifts(
    daily: NDArray[np.float64], scale: NDArray[np.float64], weekend: NDArray[np.bool_] | None = None
) -> list[Shift]:
    """Find the days from which on a node's level is another.

    The level of each day, without what is usual at weekends, is compared with that of the other nodes (in units of
    each node's own scale), cut into levels, and every cut is put to a t-test between the levels on both
    sides of it, whose variance allows for the correlation from day to day. A cut counts where it cannot be chance
    (`FALSE_ALARMS` in the whole channel), moves the level by at least `LEAST_SIZE`, `LEAST_APART` and `LEAST_ABRUPT`,
    shows both in the node's own days and against the others, and the node has at most `MOST_SHIFTS` of them.

    Args:
        daily: `(N, D)` level of each local day, in the channel's unit; NaN where less than half of it was measured.
        scale: `(N,)` robust standard deviation of single readings around the level and the profile of their day, same
            unit; NaN or 0: not tested.
        weekend: `(D,)` days that are usually unlike the others; None where no day is.

    Source:
        Alexandersson (1986), J. Climatology 6: a shift is tested against a reference series of neighbours. The cuts
        are the exact least squares ones (kernel change point detection, Arlot et al. 2019, JMLR 20).
    """
    usable = np.isfinite(scale) & (scale > 0)
    if weekend is not None and weekend.any() and not weekend.all():
        daily = daily - np.where(weekend, _usual_at_weekends(daily, weekend)[:, None], 0.0)
    own = daily / np.where(usable, scale, np.nan)[:, None]
    against = own
    if usable.sum() >= LEAST_NODES:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a day on which no node was measured
            against = own - np.nanmedian(own, axis=0)
    allowed = FALSE_ALARMS / max(daily.size, 1)
    found = []
    for node in np.flatnonzero(usable):
        days = np.flatnonzero(np.isfinite(against[node]))
        alone, beside = own[node, days], against[node, days]
        if len(days) < 2 * LEAST_DAYS:
            continue
        ends = _cuts(beside, allowed) or _cuts(alone, allowed)
        for before, at, behind in zip([0, *ends], ends, [*ends[1:], len(days)], strict=False):
            size, apart = (float(np.median(s[at:behind]) - np.median(s[before:at])) for s in (alone, beside))
            # Where the others moved, the node moves against them without a change of its own, or with them.
            if size * apart > 0 and min(abs(size), abs(apart)) >= max(LEAST_SIZE, abs(size) / 2, abs(apart) / 2):
                found.append(Shift(int(node), int(days[at]), float(size * scale[node])))
    return found


def _usual_at_weekends(daily: NDArray[np.float64], weekend: NDArray[np.bool_]) -> NDArray[np.float64]:
    """`(N,)` by how much weekends differ from the working days around them: a shift spoils one of these only."""
    apart = []
    for day in np.flatnonzero(weekend):
        near = slice(max(int(day) - 4, 0), int(day) + 5)
        apart.append(daily[:, day] - median_of(daily[:, near][:, ~weekend[near]].T))
    return np.nan_to_num(median_of(np.array(apart)))


def _cuts(series: NDArray[np.float64], allowed: float) -> list[int]:
    """The first day of each new level."""
    import ruptures
    from scipy import ndimage, stats  # all are slow to import, and most callers only count

    noise = float(stats.median_abs_deviation(np.diff(series), scale="normal")) / np.sqrt(2)
    if noise <= 0:
        return []
    around = ndimage.median_filter(series, LEAST_DAYS, mode="nearest")  # a holiday is no level
    clipped = np.clip(series, around - 4 * noise, around + 4 * noise)
    search = ruptures.KernelCPD(kernel="linear", min_size=LEAST_DAYS).fit(clipped[:, None])
    ends = search.predict(pen=3 * noise**2 * np.log(len(series)))
    if not 1 < len(ends) <= MOST_SHIFTS + 1:
        return []
    parts = np.split(clipped, ends[:-1])
    rest = np.concatenate([part - part.mean() for part in parts])
    deviation = float(np.sqrt((rest**2).sum() / (len(rest) - len(parts))))
    memory = _memory(rest, len(rest) / len(parts))
    cuts = []
    for at, one, other in zip(ends[:-1], parts[:-1], parts[1:], strict=True):
        size = float(np.median(other) - np.median(one))
        free = max((len(one) + len(other) - 2) * (1 - memory) / (1 + memory), 1.0)
        error = deviation * np.sqrt((1 + memory) / (1 - memory) * (1 / len(one) + 1 / len(other)))
        jump = float(np.median(clipped[at : at + 3]) - np.median(clipped[at - 3 : at]))
        far = abs(size) >= max(LEAST_SIZE, LEAST_APART * deviation) and jump * size > 0
        abrupt = abs(jump) >= LEAST_ABRUPT * np.sqrt(2) * noise
        if far and abrupt and 2 * stats.t.sf(abs(size) / error, free) < allowed:
            cuts.append(int(at))
    return cuts


def _memory(rest: NDArray[np.float64], length: float) -> float:
    """Correlation from one day to the next around the levels, corrected for the short levels, 0..0.95."""
    total = float((rest**2).sum())
    raw = float((rest[1:] * rest[:-1]).sum()) / total if total > 0 else 0.0
    return min(max(raw + (1 + 3 * raw) / length, 0.0), 0.95)


def clock_lags(hourly: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Nodes whose day runs early or late against the day of all others, by whole hours.

    Compared is the median of each hour of the day with the median node. A node is late by L hours where its day
    moved back by L follows the others' closely (correlation at least 0.9), as it stands does not (at least 0.4
    less), and L is `LEAST_LAG_H` or more.

    Args:
        hourly: `(N, 24)` median reading by local hour, in the channel's unit; NaN where unknown.

    Returns:
        `(node, hours late)`; negative is early. Empty with fewer than `LEAST_NODES` nodes.
    """
    spread = np.ptp(hourly, axis=1)
    usable = np.isfinite(hourly).all(axis=1) & (spread > 0)
    if usable.sum() < LEAST_NODES:
        return []
    shape = np.full_like(hourly, np.nan)
    days = hourly[usable] - hourly[usable].mean(axis=1, keepdims=True)
    shape[usable] = days / np.sqrt((days**2).sum(axis=1, keepdims=True))
    common = np.median(shape[usable], axis=0)
    common = (common - common.mean()) / max(float(np.linalg.norm(common - common.mean())), 1e-12)
    found = []
    for node in np.flatnonzero(usable):
        alike = np.array([float(np.roll(shape[node], -lag) @ common) for lag in range(24)])
        best = int(alike.argmax())
        lag = best if best <= 12 else best - 24
        if abs(lag) >= LEAST_LAG_H and alike[best] >= 0.9 and alike[best] - alike[0] >= 0.4:
            found.append((int(node), lag))
    return found
