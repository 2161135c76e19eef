"""One series as every detector takes it: checked, with missing steps left missing; and the statistics all share."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft, ndimage

from mm4st_agent.errors import DataError, UsageError

Series = NDArray[np.float64]
MAD_TO_SD = 1.4826
"""Median absolute deviation to standard deviation, for normal noise."""
SHORTEST = 16
"""Readings below which nothing is said about a series."""


def checked(values: ArrayLike, name: str = "values") -> Series:
    """`(T,)` float64; infinite values count as missing (NaN).

    Raises:
        DataError: not one-dimensional, or empty.
    """
    series = np.array(values, dtype=np.float64)
    if series.ndim != 1 or series.size == 0:
        raise DataError(f"{name} has the shape {series.shape}.", "Give one series of shape (T,), T >= 1.")
    series[~np.isfinite(series)] = np.nan
    return series


def checked_step(step_s: float) -> float:
    """The step in seconds.

    Raises:
        UsageError: it is not a positive number.
    """
    if not (math.isfinite(step_s) and step_s > 0):
        raise UsageError(f"step_s is {step_s}.", "Give the seconds between two steps, such as 300.")
    return float(step_s)


def defined(number: float | np.floating[Any]) -> float | None:
    """The number, or None where it is undefined."""
    return float(number) if np.isfinite(number) else None


def varies(series: Series) -> bool:
    """Whether there are enough readings and they are not all the same."""
    known = series[~np.isnan(series)]
    return known.size >= SHORTEST and float(np.ptp(known)) > 1e-12 * max(1.0, float(np.abs(known).max()))


def robust_sd(sample: Series) -> float:
    """Standard deviation by the median absolute deviation; 0 when more than half of the sample is equal."""
    known = sample[~np.isnan(sample)]
    return float(MAD_TO_SD * np.median(np.abs(known - np.median(known)))) if known.size else 0.0


def typical_sd(sample: Series) -> float:
    """`robust_sd`, or the ordinary standard deviation where more than half of the sample is equal."""
    return robust_sd(sample) or float(np.nanstd(sample))


def local_median(series: Series, window: int) -> Series:
    """`(T,)` running median over the `window` nearest readings; NaN where the series is."""
    known = ~np.isnan(series)
    smooth = np.full_like(series, np.nan)
    smooth[known] = ndimage.median_filter(series[known], size=window, mode="reflect")
    return smooth


def without_spikes(series: Series, sds: float = 6.0) -> Series:
    """The series with readings that leave their neighbours by more than `sds` replaced by the local median."""
    smooth = local_median(series, 7)
    off = series - smooth
    limit = sds * typical_sd(off)
    return np.where(np.abs(off) > limit, smooth, series) if limit > 0 else series


def cross_correlation(first: Series, second: Series, max_lag: int) -> tuple[Series, Series]:
    """Correlation of `first[t]` with `second[t + lag]` over the pairs where both are known.

    Returns:
        `(2 * max_lag + 1,)` correlations for the lags -max_lag..max_lag (0 where undefined), and the pairs of each.
    """
    size = fft.next_fast_len(len(first) + max_lag + 1, real=True)

    def spectrum(array: Series) -> NDArray[np.complex128]:
        return np.asarray(fft.rfft(array, size))

    def products(a: NDArray[np.complex128], b: NDArray[np.complex128]) -> Series:
        full = fft.irfft(np.conj(a) * b, size)
        return np.concatenate([full[-max_lag:] if max_lag else full[:0], full[: max_lag + 1]])

    masks = [(~np.isnan(x)).astype(np.float64) for x in (first, second)]
    centred = [np.where(np.isnan(x), 0.0, x - np.nanmean(x)) for x in (first, second)]
    a, b = spectrum(centred[0]), spectrum(centred[1])
    mask_a, mask_b = spectrum(masks[0]), spectrum(masks[1])
    pairs = np.round(products(mask_a, mask_b))
    spread = np.sqrt(np.mean(centred[0] ** 2) * np.mean(centred[1] ** 2) / (masks[0].mean() * masks[1].mean()))
    with np.errstate(divide="ignore", invalid="ignore"):
        correlation = products(a, b) / pairs / spread
    return np.where((pairs >= 8) & np.isfinite(correlation), correlation, 0.0), pairs


def autocorrelation(series: Series, max_lag: int) -> Series:
    """`(max_lag + 1,)` autocorrelation over the pairs where both are known; 0 where undefined."""
    return cross_correlation(series, series, max_lag)[0][max_lag:]


class ArFit(NamedTuple):
    """An autoregression fitted by least squares over the steps whose lags are all known.

    Attributes:
        coefficients: `(order,)`, lag 1 first.
        innovations: `(T,)` one-step errors; NaN where the step or one of its lags is missing.
        variance: Mean square of the innovations.
        rows: How many there are.
    """

    coefficients: Series
    innovations: Series
    variance: float
    rows: int


def fit_ar(series: Series, order: int) -> ArFit:
    """Fit an autoregression with a constant; order 0 is the mean alone."""
    count = len(series) - order
    lagged = np.column_stack([np.ones(count)] + [series[order - k : len(series) - k] for k in range(1, order + 1)])
    target = series[order:]
    known = ~(np.isnan(lagged).any(axis=1) | np.isnan(target))
    innovations = np.full_like(series, np.nan)
    if known.sum() < 3 * (order + 1):
        return ArFit(np.zeros(order), innovations, math.nan, 0)
    weights = np.linalg.lstsq(lagged[known], target[known], rcond=None)[0]
    innovations[order:] = target - lagged @ weights
    return ArFit(
        np.asarray(weights[1:], dtype=np.float64), innovations, float(np.nanmean(innovations**2)), int(known.sum())
    )
