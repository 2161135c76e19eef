"""Colour and volatility of the noise that is left when cycles, trend and levels are taken out."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from scipy import optimize, signal, stats

from mm4st_agent.patterns.report import Noise, Volatility
from mm4st_agent.patterns.series import ArFit, Series, autocorrelation, defined, fit_ar
from mm4st_agent.patterns.structure import Structure

LAGS = 10
NOT_WHITE = 0.01
CLUSTERED = 1e-3
ARCH_LAGS = 5


def noise_of(structure: Structure) -> Noise | None:
    """White by the test of Ljung and Box; else the autoregression or moving average that predicts better (BIC)."""
    if structure.body == "random walk":
        steps = np.diff(structure.clean)
        return Noise(kind="random walk", order=1, coefficients=(1.0,), lag1=float(autocorrelation(steps, 1)[1]))
    rest = structure.clean
    count = int((~np.isnan(rest)).sum())
    if count < 3 * LAGS or not np.nanvar(rest) > 0:
        return None
    memory = autocorrelation(rest, LAGS)[1:]
    statistic = count * (count + 2) * float(np.sum(memory**2 / (count - np.arange(1, LAGS + 1))))
    lag1 = float(memory[0])
    if stats.chi2.sf(statistic, LAGS) > NOT_WHITE:
        return Noise(kind="white", order=0, coefficients=(), lag1=lag1)

    def score(fit: ArFit) -> float:
        return count * math.log(max(fit.variance, 1e-300)) + len(fit.coefficients) * math.log(count)

    auto = min((fit for fit in (fit_ar(rest, order) for order in (1, 2, 3)) if fit.rows), key=score, default=None)
    moving = min((_fit_ma(rest, order) for order in (1, 2)), key=score)
    if auto is None:
        return None
    kind: Literal["ar", "ma"]
    kind, fit = ("ar", auto) if score(auto) <= score(moving) else ("ma", moving)
    coefficients = tuple(float(c) for c in fit.coefficients)
    return Noise(kind=kind, order=len(coefficients), coefficients=coefficients, lag1=lag1)


def _fit_ma(rest: Series, order: int) -> ArFit:
    """A moving average by conditional least squares, kept invertible; a missing step counts as its mean, 0."""
    known = ~np.isnan(rest)
    flat = np.where(known, rest - np.nanmean(rest), 0.0)

    def coefficients(free: Series) -> Series:
        partial = np.tanh(free)
        if order == 1:
            return partial
        return np.array([partial[0] * (1 + partial[1]), partial[1]])

    def innovations(free: Series) -> Series:
        return np.asarray(signal.lfilter([1.0], np.concatenate([[1.0], coefficients(free)]), flat))

    def misfit(free: Series) -> float:
        return float(np.mean(innovations(free)[known] ** 2)) / float(np.mean(flat[known] ** 2))

    found = optimize.minimize(misfit, np.full(order, 0.1), method="BFGS", options={"maxiter": 40})
    errors = np.where(known, innovations(found.x), np.nan)
    return ArFit(coefficients(found.x), errors, float(np.nanmean(errors**2)), int(known.sum()))


def volatility_of(structure: Structure) -> Volatility | None:
    """Spread of the one-step innovations, and whether large ones come together.

    Source:
        Engle (1982), the Lagrange multiplier test for autoregressive conditional heteroscedasticity.
    """
    innovations = structure.noise.innovations
    if not structure.noise.rows or not structure.noise.variance > 0:
        return None
    squares = innovations**2
    fit = fit_ar(squares, ARCH_LAGS)
    p_value = math.nan
    if fit.rows and float(np.nanvar(squares)) > 0:
        explained = max(0.0, 1 - fit.variance / float(np.nanvar(squares[~np.isnan(fit.innovations)])))
        p_value = float(stats.chi2.sf(fit.rows * explained, ARCH_LAGS))
    return Volatility(
        level=math.sqrt(structure.noise.variance), clustered=p_value < CLUSTERED, p_value=defined(p_value)
    )
