"""How two series move together: lag, correlation, and which one helps to foresee the other."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from scipy import stats

from mm4st_agent.patterns.report import Relation
from mm4st_agent.patterns.series import Series, cross_correlation
from mm4st_agent.patterns.structure import Structure

SURE = 0.01
OWN_LAGS = 3
MOST_LAGS = 24
"""Lags of the other series in Granger's test; for a longer delay, the lags next to it."""


def relation_of(
    first: Series, second: Series, parts: tuple[Structure, Structure], step_s: float, max_lag: int
) -> Relation | None:
    """Relation of two series by the innovations that are left of each; None where too few are known in both.

    Args:
        first: `(T,)` readings, NaN is missing.
        second: `(T,)` the same.
        parts: Both taken apart.
        step_s: Seconds between two steps.
        max_lag: Steps by which one may follow the other.

    Source:
        Haugh (1976), "Checking the independence of two covariance-stationary time series"; Granger (1969).
    """
    innovations = parts[0].noise.innovations, parts[1].noise.innovations
    if any((~np.isnan(e)).sum() < 30 or not np.nanvar(e) > 0 for e in innovations):
        return None
    correlation, pairs = cross_correlation(*innovations, max_lag)
    scores = np.abs(correlation) * np.sqrt(pairs)
    best = int(scores.argmax())
    lag = best - max_lag
    tried = 2 * max_lag + 1
    p_value = min(1.0, tried * float(2 * stats.norm.sf(scores[best])))
    as_good = scores > scores[best] - 1.96
    low = high = best
    while low > 0 and as_good[low - 1] and p_value < SURE:
        low -= 1
    while high < tried - 1 and as_good[high + 1] and p_value < SURE:
        high += 1
    plain = cross_correlation(first, second, max_lag)[0]
    inputs = _stationary(parts[0]), _stationary(parts[1])
    p_forward = _granger(inputs[0], inputs[1], lag)
    p_backward = _granger(inputs[1], inputs[0], -lag)
    return Relation(
        related=p_value < SURE, lag=lag, lag_low=low - max_lag, lag_high=high - max_lag,
        lag_hours=lag * step_s / 3600, p_value=p_value,
        at_zero=float(correlation[max_lag]), at_lag=float(correlation[best]),
        plain_at_zero=_bounded(plain[max_lag]), plain_at_lag=_bounded(plain[best]),
        granger=_direction(p_forward, p_backward), p_forward=p_forward, p_backward=p_backward,
    )  # fmt: skip


def _bounded(correlation: float) -> float:
    return float(np.clip(correlation, -1, 1))


def _stationary(part: Structure) -> Series:
    return np.diff(part.clean, prepend=np.nan) if part.body == "random walk" else part.clean


def _granger(cause: Series, effect: Series, lag: int) -> float | None:
    """p-value of the F test that the past of `cause` adds nothing to the past of `effect`."""
    from statsmodels.regression.linear_model import OLS

    delay = max(lag, 1)
    lags = range(1, delay + 2) if delay < MOST_LAGS else range(delay - 1, delay + 2)
    deepest = max(OWN_LAGS, lags[-1])
    target = effect[deepest:]

    def past(series: Series, lag: int) -> Series:
        return series[deepest - lag : len(series) - lag]

    own = [np.ones(len(target)), *(past(effect, k) for k in range(1, OWN_LAGS + 1))]
    both = np.column_stack(own + [past(cause, k) for k in lags])
    rows = ~(np.isnan(both).any(axis=1) | np.isnan(target))
    if rows.sum() < 3 * both.shape[1] or np.linalg.matrix_rank(both[rows]) < both.shape[1]:
        return None
    whole = OLS(target[rows], both[rows]).fit()
    without = OLS(target[rows], both[rows][:, : len(own)]).fit()
    p_value = float(whole.compare_f_test(without)[1])
    return p_value if math.isfinite(p_value) else None


def _direction(p_forward: float | None, p_backward: float | None) -> Literal["none", "forward", "backward", "both"]:
    forward = p_forward is not None and p_forward < SURE
    backward = p_backward is not None and p_backward < SURE
    if forward and backward:
        return "both"
    return "forward" if forward else "backward" if backward else "none"
