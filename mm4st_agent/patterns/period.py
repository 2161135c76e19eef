"""Dominant periods: the spectrum proposes, the autocorrelation confirms, harmonics fold into their fundamental."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict
from scipy import fft, ndimage
from scipy.signal.windows import tukey

from mm4st_agent.patterns.series import Series, autocorrelation, checked, checked_step, typical_sd, varies

Waveform = Literal["sine", "square", "sawtooth"]

DAY_S = 86_400
MOST = 3
"""Periods that are looked for, one after the other."""
FEWEST_CYCLES = 3
"""A period must have been seen so often."""
FALSE_ALARM = 1e-3
"""Chance that noise alone proposes a period."""
TAPERED = 0.4
"""Share of the series that is faded in and out before its spectrum is taken."""
HARMONICS = 4
FAINT = 0.03
"""Share of the strongest line below which a line may be a harmonic folded back by the sampling."""
CALENDAR_S = (3_600, 43_200, DAY_S, 7 * DAY_S)
NEARLY = 0.97
"""Share of the most power at which a calendar cycle is preferred."""
PHASES = 64
FITS = 0.85
"""Share of what the mean cycle explains that a waveform must explain to be named;"""
WELL_SEPARATED = 0.05
"""and by how much it must exceed the next."""


class Period(BaseModel):
    """One repeating cycle.

    Attributes:
        steps, hours: Its length; not rounded to whole steps.
        strength: Share of the variance, trend removed, that the mean cycle explains; 0..1.
        confidence: How well the mean of the odd cycles agrees with the mean of the even ones (their correlation,
            raised by the Spearman-Brown formula to all cycles); 0..1.
        cycles: How many of them the series holds.
        waveform: Shape of the mean cycle where one of the three fits clearly best; None otherwise.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    steps: float
    hours: float
    strength: float
    confidence: float
    cycles: float
    waveform: Waveform | None


class Fold(NamedTuple):
    """How to fold a series into rows.

    Attributes:
        steps: Steps in a row.
        confidence: Of the period; 0 for a fallback.
        reason: 'period' (found in the series), 'day' (no period found; one row a day) or 'square' (neither; the row
            length that comes nearest to a square picture).
    """

    steps: int
    confidence: float
    reason: Literal["period", "day", "square"]


def dominant_periods(values: ArrayLike, step_s: float) -> tuple[Period, ...]:
    """The cycles of a series, strongest first.

    The tapered periodogram is compared with a background fitted to it (a first-order autoregression, or the local
    median where that is higher), so neither noise of any colour nor a trend proposes a period. A proposal stands
    when the autocorrelation has a hill there. A missing step adds nothing to any sum: it is not filled in.

    Args:
        values: `(T,)`, any unit, oldest first, NaN is missing.
        step_s: Seconds between two steps.

    Returns:
        At most three; empty for a constant or short series, or one without a cycle seen three times.

    Raises:
        DataError: `values` is not one-dimensional, or empty.
        UsageError: `step_s` is not positive.

    >>> t = np.arange(500)
    >>> [round(p.steps, 1) for p in dominant_periods(np.sin(2 * np.pi * t / 25), 300)]
    [25.0]
    """
    series, step_s = checked(values), checked_step(step_s)
    if not varies(series):
        return ()
    rest = _detrended(series)
    whole = float(np.nanvar(rest))
    found: list[Period] = []
    for _ in range(MOST):
        steps = _strongest(rest, [period.steps for period in found], step_s)
        if steps is None:
            break
        cycle = seasonal(rest, steps)
        explained = _explained(rest, cycle, steps)
        strength = explained * float(np.nanvar(rest)) / whole
        confidence = _reliability(rest, steps)
        if confidence < 0.3 or strength < 0.01:
            break
        found.append(
            Period(
                steps=round(steps, 3), hours=steps * step_s / 3600, strength=strength, confidence=confidence,
                cycles=len(series) / steps, waveform=_waveform(rest, steps, explained),
            )
        )  # fmt: skip
        rest = rest - cycle
    return tuple(sorted(found, key=lambda period: -period.strength))


def fold_period(values: ArrayLike, step_s: float) -> Fold:
    """Steps in a row of the folded heatmap: the dominant period; else the day; else the root of T.

    Args:
        values: `(T,)`, any unit, oldest first, NaN is missing.
        step_s: Seconds between two steps.

    Returns:
        The strongest period, rounded. Without one: the day, where the step divides it into at least two steps and
        the series is no shorter than a day. Else the root of T, rounded up.

    Raises:
        DataError: `values` is not one-dimensional, or empty.
        UsageError: `step_s` is not positive.
    """
    series = checked(values)
    for period in dominant_periods(series, step_s)[:1]:
        return Fold(max(2, round(period.steps)), period.confidence, "period")
    day = DAY_S / step_s
    if day.is_integer() and 2 <= day <= len(series):
        return Fold(int(day), 0.0, "day")
    return Fold(max(1, math.ceil(math.sqrt(len(series)))), 0.0, "square")


def seasonal(series: Series, steps: float) -> Series:
    """`(T,)` the mean cycle (median of each phase, centred), repeated; 0 at a phase that was never read."""
    phase = np.floor(np.arange(len(series)) % steps / steps * round(steps)).astype(np.int64)
    profile = phase_medians(series, phase, round(steps))
    profile = np.nan_to_num(profile - np.nanmean(profile))
    return np.asarray(profile[np.minimum(phase, len(profile) - 1)])


def phase_medians(series: Series, phase: NDArray[np.int64], phases: int) -> Series:
    """`(phases,)` median of each phase; NaN where it has no reading."""
    order = np.argsort(phase, kind="stable")
    counts = np.bincount(phase, minlength=phases)
    table = np.full((phases, counts.max()), np.nan)
    place = np.arange(len(series)) - np.repeat(np.cumsum(counts) - counts, counts)
    table[phase[order], place] = series[order]
    table.sort(axis=1)  # NaN goes last
    known = (~np.isnan(table)).sum(axis=1)
    rows = np.arange(phases)
    middle = 0.5 * (table[rows, np.maximum(known - 1, 0) // 2] + table[rows, known // 2])
    return np.where(known > 0, middle, np.nan)


def _detrended(series: Series) -> Series:
    """Without a parabola, and without what lies far outside: neither is a cycle."""
    time = np.linspace(-1, 1, len(series))
    known = ~np.isnan(series)
    rest = series - np.polyval(np.polyfit(time[known], series[known], 2), time)
    limit = 6 * typical_sd(rest)
    return np.clip(rest, -limit, limit)


def _strongest(rest: Series, found: list[float], step_s: float) -> float | None:
    """The strongest new period that stands out of the background and that the autocorrelation confirms."""
    length = len(rest)
    if not varies(rest) or length // FEWEST_CYCLES < 3:
        return None
    known = ~np.isnan(rest)
    flat = np.where(known, rest - np.nanmean(rest), 0.0) * tukey(length, TAPERED)
    power = np.abs(fft.rfft(flat)[1:]) ** 2
    ratio = power / _background(power)
    wanted = math.log(len(power) / FALSE_ALARM)
    peaks = np.flatnonzero((ratio > wanted) & (power >= ndimage.maximum_filter1d(power, 3)))
    peaks = peaks[np.argsort(-power[peaks])][:6]
    lines = (ratio > wanted) & (power > FAINT * power.max())
    correlation = autocorrelation(rest, min(length - 8, 2 * length // 3))
    noise = 1 / math.sqrt(known.sum())
    for peak in peaks.tolist():
        cycles = peak + 1.0
        steps = length / cycles
        if cycles < 2 or steps < 2:
            continue
        steps = _fundamental(steps, cycles, correlation, noise, lines)
        if length / steps < FEWEST_CYCLES - 0.25:
            continue
        hill, at = _hill(correlation, steps, cycles)
        valley = correlation[max(1, at // 4) : max(2, at)].min()
        if hill > max(0.02, 2 * noise) and hill - valley > max(0.05, 4 * noise):
            steps = _refined(rest, steps, step_s)
            if all(abs(length / steps - length / old) > 1.5 for old in found):  # else a side lobe
                return steps
    return None


def _background(power: Series) -> Series:
    """Spectrum of the noise below the lines: a first-order autoregression, or the local median where higher."""
    frequency = np.pi * np.arange(1, len(power) + 1) / len(power)
    damping = np.concatenate([np.linspace(-0.9, 0.9, 19), 1 - np.geomspace(0.08, 1e-3, 10)])[:, None]
    shape = -np.log(1 + damping**2 - 2 * damping * np.cos(frequency))
    logs = np.log(power + 1e-12 * power.max())
    floor = np.log1p(np.exp(np.clip(shape - shape[:, -1:] - np.array([0.0, 3.0])[:, None, None], -50, 50)))
    shapes = np.concatenate([shape, floor[1]])  # without, and with a white floor
    misfit = logs - shapes
    offset = np.median(misfit, axis=1, keepdims=True)
    best = int(np.abs(misfit - offset).mean(axis=1).argmin())
    to_mean = -math.log(math.log(2))  # median of an exponential variable to its mean
    fitted = shapes[best] + offset[best, 0] + to_mean
    near = ndimage.median_filter(logs, size=31, mode="nearest") + to_mean
    near[:15] = -np.inf  # too steep there for a local median
    return np.asarray(np.exp(np.maximum(fitted, near)))


def _hill(correlation: Series, steps: float, cycles: float) -> tuple[float, int]:
    """The highest autocorrelation within the spectrum's resolution of `steps`, and its lag."""
    low = max(2, math.floor(steps * cycles / (cycles + 0.6)))
    high = min(len(correlation) - 1, math.ceil(steps * cycles / (cycles - 0.6)))
    if low > high:
        return 0.0, 2
    at = low + int(correlation[low : high + 1].argmax())
    return float(correlation[at]), at


def _fundamental(steps: float, cycles: float, correlation: Series, noise: float, lines: NDArray[np.bool_]) -> float:
    """The proposed period, or the multiple of it at which the series repeats clearly better.

    A longer cycle shows lines between those of the proposed one, too; without them the multiple only comes nearer
    to a whole number of steps.
    """
    base, at = _hill(correlation, steps, cycles)
    best, choice = base, steps
    for multiple in (2, 3, 4, 5):
        if cycles / multiple < FEWEST_CYCLES - 0.25:
            break
        lag = round(multiple * at)
        around = correlation[max(2, lag - multiple) : lag + multiple + 1]
        between = [round(k * cycles / multiple) - 1 for k in range(1, 3 * multiple) if k % multiple]
        between = [line for line in between if 0 <= line < len(lines)]
        if around.size and lines[between].any() and around.max() > best + max(0.08, 3 * noise):
            best, choice = float(around.max()), multiple * steps
    return choice


def _refined(rest: Series, steps: float, step_s: float) -> float:
    """The length near `steps` at which the cycle and its first harmonics hold the most power.

    A calendar cycle is preferred where it holds nearly as much: weekends and gaps pull a day off its length.
    """
    length = len(rest)
    flat = np.nan_to_num(rest - np.nanmean(rest)) * tukey(length, TAPERED)
    harmonics = min(HARMONICS, int(steps // 2))
    cycles = length / steps
    for half, points in ((0.6, 25), (0.06, 13), (0.006, 13)):
        tried = np.linspace(max(cycles - half, 0.5), cycles + half, points)
        power = _power(flat, tried, harmonics)
        cycles, most = float(tried[power.argmax()]), float(power.max())
    for seconds in CALENDAR_S:
        calendar = length * step_s / seconds
        if abs(calendar - cycles) < 0.2 and _power(flat, np.array([calendar]), harmonics)[0] > NEARLY * most:
            return seconds / step_s
    steps = length / cycles
    whole = round(steps)
    return float(whole) if abs(length / whole - cycles) < 0.01 and whole >= 2 else steps


def _power(flat: Series, cycles: Series, harmonics: int) -> Series:
    """Power of the series at these numbers of cycles and their harmonics together."""
    wave = np.exp(-2j * np.pi * np.outer(cycles, np.arange(len(flat))) / len(flat))
    power, turned = np.zeros(len(cycles)), np.ones_like(wave)
    for _ in range(harmonics):
        turned = turned * wave
        power += np.abs(turned @ flat) ** 2
    return power


def _explained(rest: Series, cycle: Series, steps: float) -> float:
    """Share of the variance that the cycle explains, less what as many free phases explain of noise."""
    count = int((~np.isnan(rest)).sum())
    left = float(np.nanvar(rest - cycle)) * count / max(count - round(steps), 1)
    return float(np.clip(1 - left / float(np.nanvar(rest)), 0, 1))


def _reliability(rest: Series, steps: float) -> float:
    """Correlation of the mean odd cycle with the mean even one, raised to the whole by Spearman and Brown."""
    time = np.arange(len(rest))
    phases = min(round(steps), PHASES)
    phase = np.minimum((time % steps / steps * phases).astype(np.int64), phases - 1)
    odd = (time // steps).astype(np.int64) % 2 == 1
    halves = [_phase_means(np.where(odd == side, rest, np.nan), phase, phases) for side in (True, False)]
    both = ~np.isnan(halves[0]) & ~np.isnan(halves[1])
    first, second = halves[0][both], halves[1][both]
    if len(first) < 2 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    agreement = max(0.0, float(np.corrcoef(first, second)[0, 1]))
    return 2 * agreement / (1 + agreement)


def _phase_means(series: Series, phase: NDArray[np.int64], phases: int) -> Series:
    known = ~np.isnan(series)
    counts = np.bincount(phase[known], minlength=phases)
    sums = np.bincount(phase[known], weights=series[known], minlength=phases)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _waveform(rest: Series, steps: float, explained: float) -> Waveform | None:
    """The shape that explains nearly all of what the cycle explains, and clearly more than the other shapes do."""
    known = ~np.isnan(rest)
    if steps < 8 or explained <= 0:
        return None
    target = (rest[known] - rest[known].mean()) / (rest[known].std() * math.sqrt(known.sum()))
    place = (np.arange(len(rest))[known] / steps + np.arange(PHASES)[:, None] / PHASES) % 1
    shapes: dict[Waveform, Series] = {
        "sine": np.sin(2 * np.pi * place),
        "square": np.where(place < 0.5, 1.0, -1.0),
        "sawtooth": 2 * place - 1,
    }
    fits: dict[Waveform, float] = {}
    for name, shape in shapes.items():
        centred = shape - shape.mean(axis=1, keepdims=True)
        along = centred @ target / np.sqrt((centred**2).sum(axis=1))
        fits[name] = float(np.max(along**2)) / explained
    best, second = sorted(fits, key=lambda name: -fits[name])[:2]
    return best if fits[best] > FITS and fits[best] - fits[second] > WELL_SEPARATED else None
