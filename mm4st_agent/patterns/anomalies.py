"""Stretches that do not fit: spikes, excursions, cut-offs (flat or clipped) and flips (cycles upside down)."""

from __future__ import annotations

import itertools
import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, stats

from mm4st_agent.patterns.changes import cycle_spread
from mm4st_agent.patterns.period import dominant_periods
from mm4st_agent.patterns.series import Series, robust_sd, typical_sd
from mm4st_agent.patterns.structure import Structure, jumps_at, long_run_variance, shortest_level

LONGEST_SPIKE = 3
EXCURSION_SDS = 3.0
"""Mean deviation of an excursion, in standard deviations of the noise."""
SIDE = 5
SPIKE_CHANCE = 1e-3
"""Chance that normal noise shows one spike in the whole series."""
SHORTEST_FLAT = 6
FLAT_CHANCE = 1e-4
"""Chance that repeated readings, as common as elsewhere in the series, make so long a run."""
MOST_FLIPS = 4

Run = tuple[int, int]
"""First and last step."""


def spikes(structure: Structure) -> list[tuple[Run, float]]:
    """Runs of at most three readings far from the five before and, to the same side, from the five after.

    A step to a new level or a wandering series leaves only one side; the deviation is that from the nearer one.
    """
    known = np.flatnonzero(~np.isnan(structure.rest))
    rest = structure.rest[known]
    padded = np.pad(rest, SIDE, mode="reflect")
    sides = np.lib.stride_tricks.sliding_window_view(padded, SIDE)
    before, after = rest - np.median(sides[: len(rest)], axis=1), rest - np.median(sides[SIDE + 1 :], axis=1)
    off = np.zeros_like(structure.rest)  # 0 unless both sides agree
    off[known] = np.where(before * after > 0, np.sign(before) * np.minimum(np.abs(before), np.abs(after)), 0.0)
    spread = typical_sd(np.concatenate([before, after]))
    if spread == 0:
        return []
    cycle = structure.seasonal
    steep = ndimage.maximum_filter1d(cycle, 3) - ndimage.minimum_filter1d(cycle, 3)
    edge = np.where(steep > 4 * np.median(steep), steep, 0.0)  # an edge of the cycle may come a step early or late
    sizes = np.maximum(np.abs(off) - edge, 0.0) / spread
    if structure.periods and structure.periods[0].cycles >= 4:
        sizes = sizes / np.maximum(cycle_spread(np.abs(off), structure.periods[0].steps), 1.0)
    limit = float(stats.norm.isf(SPIKE_CHANCE / 2 / len(off)))
    found = []
    for first, last in runs(sizes > limit):
        if last - first < LONGEST_SPIKE:
            found.append(((first, last), float(off[first + int(np.argmax(np.abs(off[first : last + 1])))])))
    return found


def excursions(structure: Structure) -> list[tuple[Run, float]]:
    """Stretches too short for a level that leave the usual course and come back, with the mean deviation.

    The noise is measured by phase where there is a cycle; a random walk has no course to leave.
    """
    if structure.body == "random walk":
        return []
    clean = structure.clean
    known = np.flatnonzero(~np.isnan(clean))
    spread = robust_sd(clean)
    if spread == 0 or len(known) < 60:
        return []
    if structure.periods:
        clean = clean / np.maximum(cycle_spread(np.abs(clean), structure.periods[0].steps), 0.5)
    sample = clean[known]
    ends = jumps_at(sample, long_run_variance(sample), LONGEST_SPIKE + 1).tolist()
    longest = shortest_level(len(known), structure.periods)
    found = []
    for first, end in itertools.pairwise([0, *ends, len(known)]):
        mean = float(np.mean(sample[first:end]))
        error = math.sqrt(long_run_variance(sample) / (end - first))
        if end - first < longest and abs(mean) > max(EXCURSION_SDS * spread, 5 * error):
            run = int(known[first]), int(known[end - 1])
            found.append((run, float(np.nanmean(structure.clean[run[0] : run[1] + 1]))))
    return found


def cut_offs(series: Series, step_s: float) -> list[tuple[Run, float]]:
    """Runs of one repeated value, longer than the rest of the series makes likely, with the value.

    A run is left out when the same phases of the cycle are flat more often than not: then it is the pattern.
    """
    known = np.flatnonzero(~np.isnan(series))
    readings = series[known]
    same = np.abs(np.diff(readings)) <= 1e-9 * np.ptp(readings)
    stretches = [(a, b + 1) for a, b in runs(same) if b + 2 - a >= SHORTEST_FLAT]
    if not stretches:
        return []
    periods = dominant_periods(series, step_s)
    found = []
    for first, last in stretches:
        outside = np.concatenate([same[:first], same[last:]])
        usual = (outside.sum() + 1) / (len(outside) + 2)
        longest = math.log(FLAT_CHANCE / len(series)) / math.log(usual)
        run = int(known[first]), int(known[last])
        if last - first < longest or (periods and _usual_phase(series, run, periods[0].steps)):
            continue
        found.append((run, float(readings[first])))
    return found


def _usual_phase(series: Series, run: Run, steps: float) -> bool:
    """Whether the readings one or more whole cycles away are flat at the same value, too."""
    middle = np.arange(run[0], run[1] + 1)
    cycles = range(-int(run[1] / steps), int((len(series) - run[0]) / steps) + 1)
    close = 0.02 * float(np.nanmax(series) - np.nanmin(series))
    flat, seen = 0, 0
    for cycle in cycles:
        places = middle + round(cycle * steps)
        places = places[(places >= 0) & (places < len(series))]
        if cycle == 0 or len(places) < len(middle) / 2 or np.isnan(series[places]).all():
            continue
        seen += 1
        flat += float(np.nanmedian(np.abs(series[places] - series[run[0]]))) <= close
    return seen > 0 and flat > seen / 2


def flips(about: Series, structure: Structure) -> list[tuple[Run, float]]:
    """Stretches of half a cycle or more whose cycles are upside down, with the factor on the usual cycle.

    `about` is the series less its moving level.

    The stretch is the one with the highest likelihood ratio of the cycle turned over against the cycle as it is.
    A flip of a series without cycles cannot be told from noise.
    """
    if not structure.periods:
        return []
    cycle = structure.seasonal - float(np.mean(structure.seasonal))
    limit = 4 * typical_sd(about)
    about = np.clip(about, -limit, limit)
    rest = about - cycle
    rest = rest[~np.isnan(rest)]
    calm = max(robust_sd(rest) ** 2, 1e-4 * float(np.var(cycle)))
    noise = max(long_run_variance(rest), calm)
    gain = np.nan_to_num(-2 * cycle * about / noise)
    shortest = max(8, structure.periods[0].steps / 2)
    found: list[tuple[Run, float]] = []
    for _ in range(MOST_FLIPS):
        first, last, total = _best_run(gain)
        if total < 2 * math.log(len(gain)) + 10:
            break
        part = slice(first, last + 1)
        both = ~np.isnan(about[part])
        factor = float(np.sum(cycle[part][both] * about[part][both]) / max(np.sum(cycle[part][both] ** 2), 1e-300))
        gain[part] = -np.inf
        if last + 1 - first >= shortest and factor < -0.5:
            found.append(((first, last), factor))
    return sorted(found)


def _best_run(gain: Series) -> tuple[int, int, float]:
    """The run of steps with the highest sum (Kadane)."""
    best, first, last = -math.inf, 0, 0
    total, start = 0.0, 0
    for step, value in enumerate(gain.tolist()):
        if total <= 0:
            total, start = 0.0, step
        total += value
        if total > best:
            best, first, last = total, start, step
    return first, last, best


def runs(mask: NDArray[np.bool_]) -> list[Run]:
    """First and last step of each run of True."""
    edges = np.diff(np.pad(mask.astype(np.int8), 1))
    return list(zip(np.flatnonzero(edges == 1).tolist(), (np.flatnonzero(edges == -1) - 1).tolist(), strict=True))
