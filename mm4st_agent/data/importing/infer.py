"""Numbers that mean 'no reading', told from the readings themselves; the rule is stated with each finding.

A code such as -999 stands far from all other readings. A zero is harder, as many things are truly 0. It counts as
'no reading' where it is no end of a continuous range:

1. In time: a series that truly reaches 0 goes there through its low values (traffic at night, wind that calms). So
   where the readings next to zeros are as high as any others of their node, zero is no reading of that series.
2. In size: where small values are the more frequent the smaller they are (rain, bytes written), zero is their limit.
   Where they are not, and zeros are many times as frequent as the values next to it, zero stands apart.

Both must hold, and the name must not be that of a quantity whose zeros are ordinary (counts, rain, wind).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from mm4st_agent.data.importing.regrid import Dense

CODES = (
    -1.0, -9.0, -99.0, -99.9, -200.0, -999.0, -999.9, -9999.0, -9999.9, -99999.0, -32768.0, -1e20,
    99.9, 999.0, 999.9, 9999.0, 9999.9, 99999.0, 999999.0, 32767.0, 65535.0, 1e20, 9.96921e36,
)  # fmt: skip
"""What is in use for 'no reading', beside 0 and NaN."""
SAMPLE_CELLS = 4_000_000
"""How many readings of a channel are kept to tell from, in whole series of evenly chosen nodes."""
RANK = 0.3
"""The readings next to zeros lie above this share of their node's readings."""
RISE = 1.4
"""How much denser than up to the median the lowest readings are, where density rises towards zero."""
APART = 3.0
"""How many times as frequent as the values next to it a zero is, where it stands apart."""


@dataclasses.dataclass(slots=True)
class Survey:
    """What one pass over a channel showed.

    Attributes:
        count: `(N,)` readings of each node.
        low: The smallest, and `high` the largest, codes of `CODES` left out.
        codes: How often each number of `CODES`, and 0, occurs.
        sample: `(T, n)` whole series of some nodes.
    """

    count: NDArray[np.int64]
    zeros: NDArray[np.int64]
    codes: dict[float, int]
    low: float
    high: float
    chosen: NDArray[np.int64]
    sample: NDArray[np.float32]


def surveys(
    blocks: Iterable[tuple[int, Dense]],
    names: tuple[str, ...],
    length: int,
    width: int,
    chosen: NDArray[np.int64] | None = None,
) -> dict[str, Survey]:
    """Pass over all readings once.

    Args:
        blocks: As a `Regrid` gives them.
        names: The channels to look at.
        length: Number of steps.
        width: Number of nodes.
        chosen: The nodes to keep whole series of; None takes evenly spaced ones.
    """
    keep = max(1, min(width, SAMPLE_CELLS // max(length, 1)))
    if chosen is None:
        chosen = np.unique(np.linspace(0, width - 1, keep).astype(np.int64))
    found = {
        name: Survey(
            np.zeros(width, dtype=np.int64),
            np.zeros(width, dtype=np.int64),
            dict.fromkeys((0.0, *CODES), 0),
            np.inf,
            -np.inf,
            chosen,
            np.full((length, len(chosen)), np.nan, dtype=np.float32),
        )
        for name in names
    }
    for start, dense in blocks:
        for name in names:
            _look(found[name], dense[name], start)
    return found


def _look(survey: Survey, values: NDArray[np.float32], start: int) -> None:
    survey.count += np.isfinite(values).sum(axis=0)
    zero = values == 0
    survey.zeros += zero.sum(axis=0)
    survey.codes[0.0] += int(zero.sum())
    survey.sample[start : start + len(values)] = values[:, survey.chosen]
    low, high = np.fmin.reduce(values, axis=None), np.fmax.reduce(values, axis=None)
    if np.isnan(low):
        return
    blank = values
    for code in CODES:
        # Most blocks hold no such number, which their range tells without looking at each reading.
        if low <= np.float32(code) <= high:
            hits = blank == np.float32(code)
            if hits.any():
                survey.codes[code] += int(hits.sum())
                blank = np.where(hits, np.float32(np.nan), blank)
    low, high = np.fmin.reduce(blank, axis=None), np.fmax.reduce(blank, axis=None)
    if not np.isnan(low):
        survey.low, survey.high = min(survey.low, float(low)), max(survey.high, float(high))


def missing_codes(survey: Survey, zero_is_ordinary: bool | None) -> dict[float, str]:
    """The numbers that mean 'no reading', and why.

    Args:
        survey: Of one channel.
        zero_is_ordinary: Whether the quantity is known to have true zeros; None is not known.
    """
    total = int(survey.count.sum())
    found = {}
    for code in CODES:
        count = survey.codes[code]
        if count and (why := _stands_far(survey, code, count, total)):
            found[code] = why
    zeros = survey.codes[0.0]
    if zeros and not zero_is_ordinary and (why := _zero_is_missing(survey, zeros, total, tuple(found))):
        found[0.0] = why
    return found


def _stands_far(survey: Survey, code: float, count: int, total: int) -> str:
    """Why a code is no reading: it repeats, and lies outside of all others by more than half their range."""
    if count < 2 or not np.isfinite(survey.low):
        return ""
    times = f"{count:,} of {total:,} readings ({count / total:.1%}) are {code:g}"
    if -10 < code < 0:
        return f"{times}, and no other reading is negative." if survey.low >= 0 else ""
    spread = max(survey.high - survey.low, abs(survey.high) * 0.01)
    gap = survey.low - code if code < survey.low else code - survey.high
    if gap <= 0.5 * spread:
        return ""
    return f"{times}; all others lie from {survey.low:g} to {survey.high:g}."


def _zero_is_missing(survey: Survey, zeros: int, total: int, codes: tuple[float, ...]) -> str:
    """Why zero is no reading, by the rule at the top of this module; '' where it is one."""
    sample = np.where(np.isin(survey.sample, np.array(codes, dtype=np.float32)), np.float32(np.nan), survey.sample)
    if zeros < 2 or np.fmin.reduce(sample, axis=None) < 0 or not (sample > 0).any():
        return ""
    positive = sample[sample > 0]
    median, smallest = float(np.median(positive)), float(positive.min())
    resolution = smallest if _is_stepped(positive, smallest) else 0.0
    share = zeros / total
    beside = (positive <= max(resolution, 0.05 * median) * 1.0001).sum() / len(positive)
    reach = max(resolution, 0.1 * median)
    rise = (positive <= reach * 1.0001).sum() / reach / max((positive <= median).sum() / median, 1e-9)
    if rise >= RISE or median <= 2 * resolution:
        return ""
    if share / (1 - share + 1e-9) <= APART * beside:
        return ""
    rank, borders = _rank_beside(sample)
    if borders == 0 or rank < RANK:
        return ""
    return (
        f"{zeros:,} of {total:,} readings ({share:.1%}) are exactly 0, many times as many as lie close to 0, and the "
        f"readings next to them in time are as high as others of their place (median rank {rank:.2f} of 1)."
    )


def _is_stepped(positive: NDArray[np.float32], smallest: float) -> bool:
    """Whether readings are multiples of the smallest one, as counts and rounded readings are."""
    part = positive[:: max(1, len(positive) // 20_000)].astype(np.float64) / smallest
    return bool((np.abs(part - np.round(part)) < 0.01 * np.maximum(part, 1) * 1e-3 + 1e-3).mean() > 0.95)


def _rank_beside(sample: NDArray[np.float32]) -> tuple[float, int]:
    """The median rank, among the positive readings of its own series, of a reading next to a zero; and how many."""
    ranks = []
    for series in sample.T:
        zero, positive = series == 0, series > 0
        if not zero.any() or not positive.any():
            continue
        after, before = zero[:-1] & positive[1:], zero[1:] & positive[:-1]
        beside = np.concatenate([series[1:][after], series[:-1][before]])
        ordered = np.sort(series[positive])
        low, high = np.searchsorted(ordered, beside, "left"), np.searchsorted(ordered, beside, "right")
        ranks.append((low + high) / 2 / len(ordered))
    every = np.concatenate(ranks) if ranks else np.empty(0)
    return (float(np.median(every)), len(every)) if len(every) else (0.0, 0)
