"""Paired block bootstrap by day: whether a difference in MAE is more than the luck of the test days."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mm4st_agent.errors import DataError

RESAMPLES = 10_000
LEAST_DAYS = 2

Days = Mapping[str, tuple[float, int]]
"""Day to the sum of absolute errors and the number of cells."""


@dataclass(frozen=True)
class Difference:
    """MAE of ours less MAE of the peer, in the channel's unit, with its 95 % interval; below 0 we are better.

    `low` and `high` are None where there are fewer than two days.
    """

    mean: float
    low: float | None
    high: float | None
    days: int


def mae_difference(ours: Sequence[Days], peer: Sequence[Days], seed: int = 0) -> Difference:
    """Compare two models on the same days and cells; seeds of a model are averaged first.

    Days are drawn with replacement, the same for both, and each draw's cells are pooled. Errors of one day go
    together, so it is the day that is drawn; few days make a rough interval.

    Args:
        ours: One mapping a seed.
        peer: The same for the other model.
        seed: Of the draws.

    Raises:
        DataError: the runs were not tested on the same cells.

    Source:
        Künsch (1989), doi:10.1214/aos/1176347265, with days as blocks.
    """
    first = {day: cells for day, (_, cells) in ours[0].items()}
    if any({day: cells for day, (_, cells) in run.items()} != first for run in (*ours, *peer)):
        raise DataError(
            "The records were not tested on the same cells, so their errors cannot be compared.",
            "Run the models again with --fresh.",
        )
    names = list(first)
    cells = np.array([first[day] for day in names], dtype=np.float64)
    gaps = np.mean([[run[day][0] for day in names] for run in ours], axis=0) - np.mean(
        [[run[day][0] for day in names] for run in peer], axis=0
    )
    mean = float(gaps.sum() / cells.sum())
    if len(names) < LEAST_DAYS:
        return Difference(mean, None, None, len(names))
    draws = np.random.default_rng(seed).integers(0, len(names), (RESAMPLES, len(names)))
    low, high = np.quantile(gaps[draws].sum(axis=1) / cells[draws].sum(axis=1), (0.025, 0.975))
    return Difference(mean, float(low), float(high), len(names))
