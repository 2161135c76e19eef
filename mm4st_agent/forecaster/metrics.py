"""Masked errors in the channel's unit. What is undefined is None, never 0 or NaN.

Every function takes `truth` and a forecast of the same shape; a cell whose truth is NaN
(missing or imputed) or whose forecast is NaN counts nowhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mm4st_agent.forecaster.config import HIGH, LOW, MEDIAN

Array = NDArray[np.floating]

MAPE_FLOOR_SHARE = 0.05
"""MAPE skips truths below this share of the mean absolute training reading: near zero it explodes."""
_DAY_S = 86_400
_WEEK_S = 7 * _DAY_S


def mae(truth: Array, forecast: Array) -> float | None:
    """Mean absolute error, in the unit of `truth`.

    >>> mae(np.array([1.0, np.nan, 5.0]), np.array([2.0, 9.0, 5.0]))
    0.5
    """
    return _mean(np.abs(truth - forecast))


def rmse(truth: Array, forecast: Array) -> float | None:
    """Root mean squared error, in the unit of `truth`."""
    square = _mean((np.asarray(truth, dtype=np.float64) - forecast) ** 2)
    return None if square is None else float(np.sqrt(square))


def mape(truth: Array, forecast: Array, floor: float) -> float | None:
    """Mean absolute percentage error in %, over the cells with `|truth| >= floor` and `|truth| > 0`.

    Args:
        truth: Any shape, NaN is missing.
        forecast: The same shape and unit.
        floor: In the unit of `truth`; state it beside the figure (see `mape_floor`).
    """
    large = (np.abs(truth) >= floor) & (np.abs(truth) > 0)
    return _mean(100 * np.abs(truth - forecast)[large] / np.abs(truth[large]))


def mape_floor(train: Array) -> float:
    """The floor that we use: 5 % of the mean absolute reading of the training part, in its unit."""
    size = _mean(np.abs(train))
    return 0.0 if size is None else MAPE_FLOOR_SHARE * size


def season_steps(train_steps: int, step_s: int) -> int:
    """One season in steps: a week if the training part holds two or more, else a day, at least one step."""
    season_s = _WEEK_S if train_steps * step_s >= 2 * _WEEK_S else _DAY_S
    return max(1, round(season_s / step_s))


def naive_scale(train: Array, season: int) -> NDArray[np.float64]:
    """What MASE divides by: each node's in-sample error of repeating the last season.

    Args:
        train: `(T, N)` readings of the training part, NaN is missing.
        season: Steps in one season, see `season_steps`.

    Returns:
        `(N,)` mean |x[t] - x[t - season]|, in the unit of `train`; NaN where it is undefined or 0.
    """
    steps = np.abs(np.asarray(train[season:], dtype=np.float64) - train[: max(0, len(train) - season)])
    counts = np.isfinite(steps).sum(axis=0)
    sums = np.nansum(steps, axis=0)
    return np.where((counts > 0) & (sums > 0), sums / np.maximum(counts, 1), np.nan)


def mase(truth: Array, forecast: Array, scale: Array) -> float | None:
    """Mean absolute scaled error: below 1 is better than in-sample seasonal naive. Dimensionless.

    Args:
        truth: `(..., N)`.
        forecast: The same shape and unit.
        scale: `(N,)` from `naive_scale`; nodes with NaN count nowhere.

    Source:
        Hyndman and Koehler (2006), doi:10.1016/j.ijforecast.2006.03.001.
    """
    return _mean(np.abs(truth - forecast) / scale)


def coverage(truth: Array, low: Array, high: Array) -> float | None:
    """Share of cells in [low, high], in %."""
    seen = np.isfinite(truth) & np.isfinite(low) & np.isfinite(high)
    return _mean(100.0 * ((truth >= low) & (truth <= high))[seen])


def width(truth: Array, low: Array, high: Array) -> float | None:
    """Mean of `high - low` over the cells whose truth is known, in their unit."""
    return _mean(np.where(np.isfinite(truth), high - low, np.nan))


@dataclass(frozen=True)
class Scores:
    """The metrics of one model over one set of cells; None is undefined (no cell qualified)."""

    cells: int
    mae: float | None
    rmse: float | None
    mape: float | None
    mase: float | None
    coverage80: float | None
    width80: float | None


def score(truth: Array, quantiles: Array, *, floor: float, scale: Array) -> Scores:
    """Every metric at once.

    Args:
        truth: `(..., N)`, NaN is missing.
        quantiles: `(..., N, 5)` at the levels .1 .25 .5 .75 .9; the median is the point forecast.
        floor: For MAPE, see `mape_floor`.
        scale: `(N,)` for MASE, see `naive_scale`.
    """
    low, median, high = quantiles[..., LOW], quantiles[..., MEDIAN], quantiles[..., HIGH]
    return Scores(
        cells=int((np.isfinite(truth) & np.isfinite(median)).sum()),
        mae=mae(truth, median),
        rmse=rmse(truth, median),
        mape=mape(truth, median, floor),
        mase=mase(truth, median, scale),
        coverage80=coverage(truth, low, high),
        width80=width(truth, low, high),
    )


def _mean(values: Array) -> float | None:
    finite = values[np.isfinite(values)]
    return float(finite.mean(dtype=np.float64)) if finite.size else None
