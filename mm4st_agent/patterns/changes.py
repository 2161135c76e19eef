"""Change points of level and spread, and regimes: a series that comes back to a state it was in before."""

from __future__ import annotations

import itertools
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mm4st_agent.patterns.period import phase_medians
from mm4st_agent.patterns.report import Regimes
from mm4st_agent.patterns.series import Series
from mm4st_agent.patterns.structure import Structure, jumps_at, long_run_variance, shortest_level

SPREAD_RATIO = 1.4
"""A standard deviation has changed when it is another by this factor."""
TIGHT = 0.5
"""Levels of one regime lie within this share of the gap between regimes."""

Found = tuple[int, float, float]
"""First step after the change; the value before; the value after."""


def level_changes(structure: Structure) -> list[Found]:
    """Where the level jumps: the mean of each stretch, cycles taken out."""
    body = structure.clean + structure.fitted
    values = [float(np.nanmean(part)) for part in np.split(body, structure.jumps)]
    return [(int(step), values[i], values[i + 1]) for i, step in enumerate(structure.jumps)]


def variance_changes(structure: Structure) -> list[Found]:
    """Where the spread of the one-step innovations changes by at least `SPREAD_RATIO`.

    The root of the absolute innovation is searched for jumps of its mean; a spread that follows the cycle of the
    series (calm nights) is divided out first.
    """
    innovations = structure.noise.innovations
    known = np.flatnonzero(~np.isnan(innovations))
    if len(known) < 60 or not np.any(innovations[known]):
        return []
    sizes = np.abs(innovations)
    if structure.periods:
        sizes = sizes / cycle_spread(sizes, structure.periods[0].steps)
    root = np.sqrt(sizes[known])
    root = np.minimum(root, 4 * np.median(root) + 1e-300)
    ends = jumps_at(root, long_run_variance(root), shortest_level(len(root), structure.periods)).tolist()
    while ends:
        edges = [0, *ends, len(known)]
        spreads = [_spread(innovations[known[a:b]]) for a, b in itertools.pairwise(edges)]
        levels = [float(np.mean(root[a:b])) ** 2 for a, b in itertools.pairwise(edges)]
        ratios = [max(a, b) / max(min(a, b), 1e-300) for a, b in itertools.pairwise(levels)]
        weakest = int(np.argmin(ratios))
        if ratios[weakest] >= SPREAD_RATIO:
            return [(int(known[end]), spreads[i], spreads[i + 1]) for i, end in enumerate(ends)]
        del ends[weakest]
    return []


def _spread(sample: Series) -> float:
    return float(np.sqrt(np.mean(sample**2)))


def cycle_spread(sizes: Series, steps: float) -> Series:
    """`(T,)` typical size at each phase of the cycle, in units of the size over all; at least a quarter."""
    phases = max(2, min(round(steps), 48))
    phase: NDArray[np.int64] = np.minimum((np.arange(len(sizes)) % steps / steps * phases).astype(np.int64), phases - 1)
    profile = phase_medians(sizes, phase, phases)
    profile = np.where(np.isnan(profile), np.nanmedian(sizes), profile) / max(float(np.nanmedian(sizes)), 1e-300)
    padded = np.concatenate([profile[-1:], profile, profile[:1]])
    smooth = (padded[:-2] + padded[1:-1] + padded[2:]) / 3
    return np.asarray(np.maximum(smooth, 0.25)[phase])


def regimes_of(changes: list[Found], steps: int, by: Literal["level", "variance"]) -> Regimes | None:
    """Two or three states to which the stretches between changes return; None where they do not."""
    if len(changes) < 3:
        return None
    values = np.array([changes[0][1], *(after for _, _, after in changes)])
    scale = np.log(np.maximum(values, 1e-300)) if by == "variance" else values
    lengths = np.diff([0, *(step for step, _, _ in changes), steps])
    order = np.argsort(scale)
    gaps = np.diff(scale[order])
    for count in (2, 3):
        if len(values) < count + 2:
            return None
        cuts = np.sort(np.argsort(-gaps)[: count - 1]) + 1
        groups = np.split(order, cuts)
        within = max(float(np.ptp(scale[group])) for group in groups)
        if within <= TIGHT * float(gaps[cuts - 1].min()):
            weights = [int(lengths[group].sum()) for group in groups]
            states = [float(np.average(values[group], weights=lengths[group])) for group in groups]
            shares = tuple(weight / steps for weight in weights)
            return Regimes(by=by, states=tuple(states), shares=shares, switches=len(changes))
    return None
