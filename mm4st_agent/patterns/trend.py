"""Trend, judged against autocorrelated noise and told apart from a random walk."""

from __future__ import annotations

import math

import numpy as np
from scipy import stats

from mm4st_agent.patterns.report import Trend
from mm4st_agent.patterns.series import Series, defined
from mm4st_agent.patterns.structure import Structure

SURE = 1e-3
"""A trend is named below this chance of being none."""
RELEVANT = 0.1
"""And when it rises or falls by this share of the standard deviation of the readings."""


def trend_of(structure: Structure, step_s: float) -> Trend:
    """The trend of a series taken apart.

    A trend is tested by the likelihood ratio against a constant, both with autoregressive noise; the drift of a
    random walk by the mean of its steps.
    """
    hours = (len(structure.fitted) - 1) * step_s / 3600
    if structure.curve is not None:
        fitted = structure.curve.fitted
        free = 1 if structure.curve.kind == "linear" else 2
        p_value = float(stats.chi2.sf(max(structure.curve_gain, 0.0), free))
        start, end = float(fitted[0]), float(fitted[-1])
        relevant = abs(end - start) > RELEVANT * float(
            np.nanstd(structure.rest + structure.fitted + structure.seasonal)
        )
        kind = structure.curve.kind if p_value < SURE and relevant else "none"
        return Trend(kind=kind, slope_per_hour=(end - start) / hours, p_value=p_value, start=start, end=end)
    if structure.body == "random walk":
        return _drift(structure, step_s)
    slope = _line(structure.clean + structure.fitted) / step_s * 3600
    chance = None
    if structure.body == "constant":
        chance = float(stats.chi2.sf(max(structure.curve_gain, 0.0), 1))
    return Trend(kind="none", slope_per_hour=defined(slope), p_value=chance, start=None, end=None)


def _line(series: Series) -> float:
    known = np.flatnonzero(~np.isnan(series))
    return float(np.polyfit(known, series[known], 1)[0])


def _drift(structure: Structure, step_s: float) -> Trend:
    walk = structure.clean + structure.fitted
    steps = np.diff(walk)
    steps = steps[~np.isnan(steps)]
    memory = 1 - float(structure.noise.coefficients.sum())
    error = math.sqrt(structure.noise.variance / len(steps)) / max(memory, 0.05)
    mean = float(steps.mean())
    p_value = float(2 * stats.norm.sf(abs(mean) / error)) if error > 0 else 0.0
    known = walk[~np.isnan(walk)]
    drifts = p_value < SURE
    return Trend(
        kind="linear" if drifts else "none", slope_per_hour=mean / step_s * 3600, p_value=p_value,
        start=float(known[0]) if drifts else None, end=float(known[-1]) if drifts else None,
    )  # fmt: skip
