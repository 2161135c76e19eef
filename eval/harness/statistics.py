"""Means over items with 95 % intervals, by bootstrap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 2000
LEAST_ITEMS = 2


@dataclass(frozen=True)
class Mean:
    """A mean with its 95 % interval.

    Attributes:
        value: None where there is nothing to average.
        low: None where there are fewer than two items, as is `high`.
    """

    value: float | None
    low: float | None
    high: float | None
    of: int


def mean_of(values: Sequence[float], seed: int = 0) -> Mean:
    """The mean, and its percentile interval when items are drawn with replacement.

    Args:
        values: One an item; of an item that was asked several times, the mean of its epochs.
        seed: Of the draws.

    Source:
        Efron (1979), doi:10.1214/aos/1176344552.

    >>> mean_of([0.0, 1.0, 1.0, 1.0]).value
    0.75
    >>> mean_of([])
    Mean(value=None, low=None, high=None, of=0)
    """
    if not values:
        return Mean(None, None, None, 0)
    data = np.asarray(values, dtype=np.float64)
    if len(data) < LEAST_ITEMS:
        return Mean(float(data.mean()), None, None, len(data))
    draws = np.random.default_rng(seed).integers(0, len(data), (RESAMPLES, len(data)))
    low, high = np.quantile(data[draws].mean(axis=1), (0.025, 0.975))
    return Mean(float(data.mean()), float(low), float(high), len(data))
