"""The few measured features by which views are chosen."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import fft

from mm4st_agent.errors import DataError
from mm4st_agent.patterns.detect import detect_patterns
from mm4st_agent.patterns.report import Patterns
from mm4st_agent.patterns.series import Series, checked, cross_correlation, varies

MOST_SERIES = 8
"""Of many series, this many, evenly spread over their order, are measured."""
BLOCKS = 8
SHORTEST_BLOCK = 16


@dataclass(frozen=True, slots=True)
class Features:
    """What was measured; for several series the median over those measured.

    Attributes:
        series: How many there are.
        measured: How many of them were measured.
        period_steps, period_confidence: Of the strongest period; 0 without one.
        period_strength: Share of the variance that it explains.
        trend_share: Rise of the trend over the spread of the readings; 0 without a trend.
        entropy: Spectral entropy over its largest value; 0 is one line (or no variation), 1 is white noise.
        drift: How far the spectrum of one eighth of the series is from that of the next, 0..1.
        spikes, other_anomalies: Per series.
        level_changes, variance_changes: Per series.
        regimes: States that the series returns to; 0 where it does not.
        memory: Autocorrelation of the noise at lag 1; 1 for a random walk.
        common: Mean correlation between the measured series; 0 for one.
    """

    series: int
    measured: int
    period_steps: float
    period_confidence: float
    period_strength: float
    trend_share: float
    entropy: float
    drift: float
    spikes: float
    other_anomalies: float
    level_changes: float
    variance_changes: float
    regimes: float
    memory: float
    common: float


def features(values: ArrayLike, step_s: float) -> Features:
    """Measure `(T,)` or `(T, N)` values, any unit, oldest first, NaN is missing.

    Raises:
        DataError: another number of dimensions, or no element.
        UsageError: `step_s` is not positive.
    """
    table = np.asarray(values, dtype=np.float64)
    table = table[:, None] if table.ndim == 1 else table
    if table.ndim != 2 or table.size == 0:
        raise DataError(f"values has the shape {np.shape(values)}.", "Give (T,) or (T, N), T and N at least 1.")
    chosen = np.unique(np.linspace(0, table.shape[1] - 1, min(MOST_SERIES, table.shape[1])).round().astype(int))
    columns = [checked(table[:, node]) for node in chosen]
    rows = [_one(column, detect_patterns(column, step_s)) for column in columns]
    middle = {name: float(np.median([row[name] for row in rows])) for name in rows[0]}
    return Features(series=table.shape[1], measured=len(chosen), common=_common(columns), **middle)


def _one(series: Series, found: Patterns) -> dict[str, float]:
    period = found.periods[0] if found.periods else None
    kinds = [anomaly.kind for anomaly in found.anomalies]
    changes = [change.kind for change in found.changes]
    rise = 0.0
    if found.trend and found.trend.kind != "none" and found.trend.start is not None and found.trend.end is not None:
        rise = abs(found.trend.end - found.trend.start) / float(np.nanstd(series))
    entropy, drift = _spectrum(series) if varies(series) else (0.0, 0.0)
    return {
        "period_steps": period.steps if period else 0.0,
        "period_confidence": period.confidence if period else 0.0,
        "period_strength": period.strength if period else 0.0,
        "trend_share": rise,
        "entropy": entropy,
        "drift": drift,
        "spikes": kinds.count("spike"),
        "other_anomalies": len(kinds) - kinds.count("spike"),
        "level_changes": changes.count("level"),
        "variance_changes": changes.count("variance"),
        "regimes": len(found.regimes.states) if found.regimes else 0.0,
        "memory": 0.0 if found.noise is None else 1.0 if found.noise.kind == "random walk" else found.noise.lag1,
    }


def _spectrum(series: Series) -> tuple[float, float]:
    """Spectral entropy of the whole, and the mean distance between the spectra of neighbouring eighths."""
    flat = np.nan_to_num(series - np.nanmean(series))
    power = np.abs(fft.rfft(flat * np.hanning(len(flat)))[1:]) ** 2
    share = power / max(float(power.sum()), 1e-300)
    entropy = float(-np.sum(share * np.log(np.maximum(share, 1e-300))) / np.log(len(share)))
    length = len(flat) // BLOCKS
    if length < SHORTEST_BLOCK:
        return entropy, 0.0
    blocks = flat[: length * BLOCKS].reshape(BLOCKS, length)
    blocks = blocks - blocks.mean(axis=1, keepdims=True)
    spectra = np.abs(fft.rfft(blocks * np.hanning(length), axis=1)[:, 1:]) ** 2
    bands = np.stack([band.sum(axis=0) for band in np.array_split(spectra.T, min(8, spectra.shape[1]))], axis=1)
    bands = bands / np.maximum(bands.sum(axis=1, keepdims=True), 1e-300)
    return entropy, float(np.abs(np.diff(bands, axis=0)).sum(axis=1).mean() / 2)


def _common(columns: list[Series]) -> float:
    """Mean correlation of all pairs over the steps known in both; 0 for one series."""
    kept = [column for column in columns if varies(column)]
    if len(kept) < 2:
        return 0.0
    return float(np.mean([cross_correlation(a, b, 0)[0][0] for a, b in itertools.combinations(kept, 2)]))
