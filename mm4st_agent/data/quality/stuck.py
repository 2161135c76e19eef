"""Sensors that hold still, and readings that lie on a straight line, for longer than chance allows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mm4st_agent.data.quality.blocks import Runs, runs_of

FALSE_ALARMS = 0.01
"""Expected number in a whole channel of sound sensors."""
LEAST_RUNS = 30
"""From this many runs on a value has a habit of its own: zero rain, few cars at night, a speed at its ceiling."""
LEAST_HELD = 4
LEAST_HELD_S = 3600
"""A shorter standstill is not worth a word: at least 4 readings and an hour."""
LEAST_LINE = 5
"""Readings on a straight line."""


@dataclass(frozen=True)
class Standstills:
    """Runs of equal readings that are too long; `value` is what they stand at, in the channel's unit."""

    runs: Runs
    value: NDArray[np.float64]
    habitual: NDArray[np.bool_]
    """Whether the value is the node's most frequent one, such as no rain."""


def standstills(measured: NDArray[np.float64], step_s: int, nodes: int) -> Standstills:
    """Runs of exactly equal readings that are longer than is plausible for this node and this value.

    A sensor that repeats itself with probability p holds still for L readings with probability p^(L-1). p is the
    share of runs that get beyond their first reading, so that a few long standstills do not excuse themselves.
    A value that the node often stays at (at least `LEAST_RUNS` runs) is judged by its own runs only, and there
    the longest may also follow the tail of the others, drawn on exponentially from their 80th and 98th
    percentile: dry spells cluster, and so do empty nights. A gap ends a run.

    Args:
        measured: `(T, n)` in the channel's unit; NaN is missing or imputed.
        step_s: Seconds from one reading to the next.
        nodes: All nodes of the channel, among which `FALSE_ALARMS` are shared.
    """
    least = max(LEAST_HELD, -(-LEAST_HELD_S // step_s))
    known = np.isfinite(measured)
    first = known.copy()
    first[1:] &= measured[1:] != measured[:-1]
    last = known.copy()
    last[:-1] &= measured[1:] != measured[:-1]
    node, start = np.nonzero(first.T)
    length = np.nonzero(last.T)[1] - start + 1
    value = measured[start, node]
    longest: dict[tuple[int, float], float] = {}
    found = []
    for candidate in np.flatnonzero(length >= least):
        key = (int(node[candidate]), float(value[candidate]))
        if key not in longest:
            mine = slice(*np.searchsorted(node, [key[0], key[0] + 1]))
            longest[key] = _longest_by_chance(length[mine], length[mine][value[mine] == key[1]], nodes)
        if length[candidate] > longest[key]:
            found.append(candidate)
    index = np.array(found, dtype=np.intp)
    usual = {column: _mode(value[mine], length[mine]) for column, mine in _columns(node, node[index])}
    habitual = np.array([value[i] == usual[int(node[i])] for i in index], dtype=bool)
    return Standstills(Runs(node[index], start[index], length[index]), value[index], habitual)


def _columns(node: NDArray[np.intp], wanted: NDArray[np.intp]) -> list[tuple[int, slice]]:
    """Where the runs of the wanted columns stand in `node`, which is sorted."""
    return [(int(w), slice(*np.searchsorted(node, [w, w + 1]))) for w in np.unique(wanted)]


def _longest_by_chance(lengths: NDArray[np.intp], same: NDArray[np.intp], nodes: int) -> float:
    """The longest run that is still plausible, given all runs of a node and those at the same value."""
    allowed = FALSE_ALARMS / nodes
    habit = len(same) > LEAST_RUNS
    judged = np.delete(same, int(np.argmax(same))) if habit else lengths
    repeat = (np.count_nonzero(judged >= 2) + 0.5) / (len(judged) + 1)
    by_chance = 1 + np.log(allowed / len(lengths)) / np.log(repeat)
    if not habit:
        return float(by_chance)
    middle, far = np.quantile(judged, [0.80, 0.98])
    tail = far + (far - middle) / np.log(10) * np.log(0.02 * len(judged) / allowed)
    return float(max(by_chance, tail))


def _mode(value: NDArray[np.float64], length: NDArray[np.intp]) -> float:
    """The value that is shown in most steps."""
    values, inverse = np.unique(value, return_inverse=True)
    return float(values[np.argmax(np.bincount(inverse, weights=length))])


def straight_lines(measured: NDArray[np.float64], nodes: int) -> Runs:
    """Stretches of readings on a rising or falling straight line: filled linearly, most likely.

    Equal steps follow each other by chance with a probability that is read from the node itself, as for
    `standstills`; float32 rounding is allowed for.

    Args:
        measured: `(T, n)` in the channel's unit; NaN is missing or imputed.
        nodes: All nodes of the channel.

    Returns:
        The stretches, with the reading before and the reading behind what was filled.
    """
    if len(measured) < LEAST_LINE:
        return Runs(*(np.empty(0, dtype=np.intp) for _ in range(3)))
    size = np.nanmax(np.abs(measured), axis=0, initial=0.0)
    tolerance = 4 * np.finfo(np.float32).eps * np.where(np.isfinite(size), size, 0.0)
    slope = np.diff(measured, axis=0)
    moving = np.abs(slope) > tolerance
    straight = (np.abs(np.diff(slope, axis=0)) <= tolerance) & moving[1:] & moving[:-1]
    runs = runs_of(straight)
    slopes = np.isfinite(slope).sum(axis=0)
    pairs = np.bincount(runs.node, minlength=measured.shape[1])
    distinct = np.maximum(slopes - straight.sum(axis=0), 1)
    repeat = np.minimum((pairs + 0.5) / (distinct + 1), 0.99)
    by_chance = 1 + np.log(FALSE_ALARMS / nodes / distinct) / np.log(repeat)
    kept = (runs.length + 1 > by_chance[runs.node]) & (runs.length + 2 >= LEAST_LINE)
    return Runs(runs.node[kept], runs.start[kept], runs.length[kept] + 2)
