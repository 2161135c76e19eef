"""Intervals that held on the validation part: split-conformal factors, and residuals of baselines.

The network's interval is widened or narrowed, on each side, for each horizon step and quarter of the day, by the
factor that would have made it cover its nominal share of the validation cells. The same is done for the total
(or mean) over the first h steps, whose interval starts from the comonotone sum of the half-widths: the
errors of neighbouring steps go together, so half-widths add up rather than square.

What this guarantees: if validation and future cells were exchangeable, at least 80 % of them would lie
in the interval on average over nodes and moments. They are not: windows overlap, days differ, and the
validation part also chose when training stopped. So read the coverage that the backtest reached on
the test part; it is reported beside every forecast. Nothing is promised for a single node or hour.

Source:
    Romano, Patterson and Candes (2019), arXiv:1905.03222, with a scaled instead of an added margin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from mm4st_agent.forecaster.config import HIGH, LOW, MEDIAN, QUANTILES

Array = NDArray[np.float32]
Aggregation = Literal["sum", "mean"]

SIDES = ((0, 0.1), (1, 0.25), (3, 0.25), (4, 0.1))
"""Position of each quantile but the median, and the share of truths beyond it."""
_SMALLEST = 1e-6
PARTS = 4
"""Equal parts of the local day that have factors of their own: night, morning, afternoon, evening."""
_ENOUGH = 400
"""Validation cells of a step in a part of the day, without which the factors of the whole day serve there."""

StepFactors = tuple[float, float, float, float]


class Calibration(BaseModel):
    """Factors on the half-widths; `factors[h][side]` for horizon step h, in the order .1 .25 .75 .9.

    Attributes:
        steps: `(H, 4)` for single steps, at any time of the day.
        parts: `(PARTS, H, 4)` the same for steps in each part of the day, `()` where a part has no factors of its own;
            empty in checkpoints of before there were any.
        totals: `(H, 2)` lower and upper side, for the total or mean over the first h + 1 steps.
        lowest: No value below this is forecast: 0 where no training reading is negative; else None.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: tuple[StepFactors, ...]
    parts: tuple[tuple[StepFactors, ...], ...] = ()
    totals: tuple[tuple[float, float], ...]
    lowest: float | None

    @classmethod
    def fit(
        cls,
        truth: Array,
        quantiles: Array,
        parts: NDArray[np.integer],
        aggregation: Aggregation,
        lowest: float | None,
    ) -> Calibration:
        """Fit to the validation part.

        Args:
            truth: `(W, H, N)` in the channel's unit; NaN is missing or imputed.
            quantiles: `(W, H, N, 5)` as the network gave them.
            parts: `(W, H)` the part of the day of each step, see `Slots.parts_of_day`.
            aggregation: How the channel adds up over time.
            lowest: See the class.
        """
        horizon = truth.shape[1]
        steps = _steps(truth, quantiles)
        by_part: list[tuple[StepFactors, ...]] = []
        for part in range(PARTS):
            there = np.where((parts == part)[..., None], truth, np.float32(np.nan))
            enough = np.isfinite(there).sum(axis=(0, 2)).min() >= _ENOUGH
            by_part.append(_steps(there, quantiles) if enough else ())
        cls_steps = cls(steps=steps, parts=tuple(by_part), totals=((1.0, 1.0),) * horizon, lowest=lowest)
        fan = cls_steps.apply(quantiles, parts)
        totals = []
        for h in range(1, horizon + 1):
            raw = aggregate(fan[:, :h], aggregation, axis=1)
            known = aggregate(truth[:, :h], aggregation, axis=1)
            totals.append(
                (
                    _factor(known, raw[..., MEDIAN], raw[..., LOW], 0.1),
                    _factor(known, raw[..., MEDIAN], raw[..., HIGH], 0.1),
                )
            )
        return cls(steps=steps, parts=tuple(by_part), totals=tuple(totals), lowest=lowest)

    def apply(self, quantiles: Array, parts: NDArray[np.integer]) -> Array:
        """Calibrated quantiles of the same shape `(..., H, N, 5)`, still in order.

        Args:
            quantiles: As the network gave them.
            parts: `(..., H)` the part of the day of each step.
        """
        horizon = quantiles.shape[-3]
        table = np.array([(own or self.steps)[:horizon] for own in self.parts or ((),) * PARTS], dtype=np.float32)
        factors = np.ones((*parts.shape, 1, len(QUANTILES)), dtype=np.float32)
        factors[..., 0, [side for side, _ in SIDES]] = table[parts, np.arange(horizon)]
        median = quantiles[..., MEDIAN : MEDIAN + 1]
        return self.bounded(np.sort(median + factors * (quantiles - median), axis=-1))

    def total(self, quantiles: Array, aggregation: Aggregation) -> Array:
        """`(..., N, 3)` low, median and high of the total or mean over the steps of `quantiles`.

        The factor is that of the first H steps, also where `quantiles` begin later: their half-widths are those
        of their own steps, but how far the errors of later steps go together was not fitted.

        Args:
            quantiles: `(..., H, N, 5)` from `apply`.
            aggregation: How the channel adds up over time.
        """
        lower, upper = self.totals[quantiles.shape[-3] - 1]
        raw = aggregate(quantiles, aggregation, axis=-3)
        low, median, high = raw[..., LOW], raw[..., MEDIAN], raw[..., HIGH]
        return self.bounded(np.stack([median - lower * (median - low), median, median + upper * (high - median)], -1))

    def bounded(self, values: Array) -> Array:
        """No value below the lowest one that is forecast."""
        return values if self.lowest is None else np.maximum(values, np.float32(self.lowest))


def aggregate(values: Array, aggregation: Aggregation, axis: int) -> Array:
    """Sum or mean along `axis`; NaN if any step is NaN."""
    return np.asarray(values.sum(axis=axis) if aggregation == "sum" else values.mean(axis=axis))


@dataclass(frozen=True)
class Residuals:
    """How a baseline erred on the validation part, per node; its intervals are made of it.

    Attributes:
        steps: `(H, N, 5)` quantiles of truth minus baseline; 0 at the median, which stays the baseline.
        totals: `(H, N, 2)` 10 % and 90 % quantile, for the total or mean over the first h + 1 steps.
    """

    steps: Array
    totals: Array

    @classmethod
    def fit(cls, truth: Array, forecast: Array, aggregation: Aggregation) -> Residuals:
        """Fit to `(W, H, N)` truths and forecasts; NaN is missing. A node without any takes the others' quantiles."""
        horizon = truth.shape[1]
        error = truth - forecast
        steps = np.stack([_node_quantiles(error[:, h], QUANTILES) for h in range(horizon)])
        steps[..., MEDIAN] = 0
        steps[..., :MEDIAN] = np.minimum(steps[..., :MEDIAN], 0)
        steps[..., MEDIAN + 1 :] = np.maximum(steps[..., MEDIAN + 1 :], 0)
        totals = np.stack(
            [_node_quantiles(aggregate(error[:, : h + 1], aggregation, axis=1), (0.1, 0.9)) for h in range(horizon)]
        )
        totals[..., 0], totals[..., 1] = np.minimum(totals[..., 0], 0), np.maximum(totals[..., 1], 0)
        return cls(steps, totals)

    def only(self, nodes: Sequence[int]) -> Residuals:
        """Of the nodes at these positions."""
        return Residuals(self.steps[:, nodes], self.totals[:, nodes])

    def fan(self, forecast: Array, lowest: float | None) -> Array:
        """`(..., H, N, 5)` quantiles around `(..., H, N)` baseline values."""
        fan = forecast[..., None] + self.steps[: forecast.shape[-2]]
        return fan if lowest is None else np.maximum(fan, np.float32(lowest))

    def total(self, forecast: Array, aggregation: Aggregation, lowest: float | None) -> Array:
        """`(..., N, 3)` low, median and high of the total or mean over the steps of `(..., H, N)` values.

        The errors are those of the first H steps, also where the values begin later.
        """
        point = aggregate(forecast, aggregation, axis=-2)
        low, high = np.moveaxis(self.totals[forecast.shape[-2] - 1], -1, 0)
        band = np.stack([point + low, point, point + high], axis=-1)
        return band if lowest is None else np.maximum(band, np.float32(lowest))


def lowest_value(train: Array) -> float | None:
    """0 where no measured training reading `(T, N)` is negative, else None."""
    return 0.0 if np.nanmin(train) >= 0 else None


def _steps(truth: Array, quantiles: Array) -> tuple[StepFactors, ...]:
    """`(H, 4)` factors from `(W, H, N)` truths and `(W, H, N, 5)` quantiles."""
    found = []
    for h in range(truth.shape[1]):
        median = quantiles[:, h, :, MEDIAN]
        one, two, three, four = (
            _factor(truth[:, h], median, quantiles[:, h, :, side], beyond) for side, beyond in SIDES
        )
        found.append((one, two, three, four))
    return tuple(found)


def _factor(truth: Array, median: Array, end: Array, beyond: float) -> float:
    """What to multiply `end - median` by, so that a share `beyond` of the truths lies beyond it."""
    found = scores(truth, median, end)
    return share_factor(found[np.isfinite(found)], beyond)


def scores(truth: Array, median: Array, end: Array) -> Array:
    """How far from the median to `end` the truth lies: 1 is on it; NaN where it is unknown or there is no way."""
    way = end - median
    with np.errstate(invalid="ignore"):
        return np.where(np.abs(way) > _SMALLEST, (truth - median) / np.where(way == 0, 1, way), np.float32(np.nan))


def share_factor(known: Array, beyond: float) -> float:
    """The finite-sample quantile of `scores` that leaves a share `beyond` of them above it; 1 without any."""
    return max(0.0, float(np.quantile(known, share_level(known.size, beyond)))) if known.size else 1.0


def share_level(count: int, beyond: float) -> float:
    """The level of that quantile among `count` scores."""
    return float(min(1.0, np.ceil((count + 1) * (1 - beyond)) / count))


class Largest:
    """The largest of scores that come some at a time: enough of them for `share_factor` of all.

    Args:
        beyond: Share of the scores that lies above the factor.
        most: Scores that may come.
    """

    def __init__(self, beyond: float, most: int) -> None:
        self.count = 0
        self._beyond, self._room = beyond, int(most * beyond) + 3
        self._kept: Array = np.empty(0, dtype=np.float32)

    def add(self, scores: Array) -> None:
        """Those that are finite count."""
        known = scores[np.isfinite(scores)]
        self.count += known.size
        joined, over = np.concatenate([self._kept, known]), self._kept.size + known.size - self._room
        self._kept = np.partition(joined, over)[over:].copy() if over > 0 else joined

    def factor(self) -> float:
        """`share_factor` of all that came."""
        if not self.count:
            return 1.0
        position = (self.count - 1) * share_level(self.count, self._beyond) - (self.count - self._kept.size)
        return max(0.0, float(np.interp(position, np.arange(self._kept.size), np.sort(self._kept))))


def _node_quantiles(errors: Array, levels: tuple[float, ...]) -> Array:
    """`(N, Q)` quantiles of `(W, N)` errors; the pooled ones where a node has no finite error, else 0."""
    out = np.zeros((errors.shape[1], len(levels)), dtype=np.float32)
    pooled = errors[np.isfinite(errors)]
    for node, column in enumerate(errors.T):
        own = column[np.isfinite(column)]
        source = own if own.size else pooled
        if source.size:
            out[node] = np.quantile(source, levels)
    return out
