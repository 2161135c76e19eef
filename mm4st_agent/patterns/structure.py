"""What a series is made of: cycles, then the one of four bodies that predicts its next step best, then noise.

The body is a constant, a trend, levels that jump, or a random walk. Each is given its noise (an autoregression of
order 3) and judged by its one-step errors, each parameter at its price (BIC). A random walk is given up only for
a gain that it would itself produce in one series of a hundred (the critical values of Dickey and Fuller), so that
it is not taken for a trend, nor its wandering for jumps.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mm4st_agent.patterns.curves import Curve, fit_curves
from mm4st_agent.patterns.period import Period, dominant_periods, seasonal
from mm4st_agent.patterns.series import ArFit, Series, autocorrelation, fit_ar, robust_sd, without_spikes

Body = Literal["constant", "trend", "levels", "random walk"]
Mode = Literal["additive", "multiplicative"]

ORDER = 3
GIVE_UP_WALK = {"constant": 3.43**2, "trend": 3.96**2, "levels": 3.96**2}
"""1 % critical values of the Dickey-Fuller test with a constant, and with a trend, as gains in -2 log likelihood."""
FEW_CYCLES = 8
EXACT = 0.97
"""Confidence from which a cycle is no chance, even if seen a few times."""
CYCLE_PRICE = 8
"""Parameters that a cycle is charged for, beside the noise that its profile takes up."""
NEAR = 30
APART = 5.0
"""Standard errors between two neighbouring levels; the places were chosen to differ, so it takes more than 2."""
LAGS = 15
"""Steps over which the noise may remember, for the penalty of a jump."""


@dataclass(frozen=True, slots=True, eq=False)
class Structure:
    """A series taken apart; `values = seasonal + fitted + rest`.

    Attributes:
        periods: Its cycles.
        mode: How the cycles join the level; None where it cannot be told.
        seasonal: `(T,)` the cycles; 0 without any.
        body: What is left when the cycles are gone.
        fitted: `(T,)` the constant, the trend or the levels; the mean for a random walk.
        curve: The trend, where the body is one.
        curve_gain: By how much -2 log likelihood falls with the trend, against a constant.
        jumps: First step of each new level.
        rest: `(T,)` noise; for a random walk the walk about its mean.
        clean: `(T,)` the rest with spikes replaced by the local median.
        noise: The autoregression of the clean rest (of its differences, for a random walk).
    """

    periods: tuple[Period, ...]
    mode: Mode | None
    seasonal: Series
    body: Body
    fitted: Series
    curve: Curve | None
    curve_gain: float
    jumps: NDArray[np.int64]
    rest: Series
    clean: Series
    noise: ArFit


def take_apart(series: Series, step_s: float) -> Structure:
    """Cycles, body and noise of a series that varies.

    Jumping levels come back by chance as if there were a cycle seen a few times; without it they are the simpler
    account then, and it is dropped.
    """
    periods = dominant_periods(series, step_s)
    structure = _with_cycles(series, periods)
    if all(period.cycles > FEW_CYCLES or period.confidence > EXACT for period in periods):
        return structure
    simpler = _with_cycles(series, ())
    count = structure.noise.rows
    lost = -sum(math.log(1 - 1 / period.cycles) for period in periods)  # variance that the profile takes of noise
    gain = count * (_log_ratio(simpler.noise, structure.noise) - lost) - len(periods) * CYCLE_PRICE * math.log(count)
    extra = 2 * (len(simpler.jumps) - len(structure.jumps)) * math.log(count)
    return simpler if simpler.body == "levels" and gain + extra < 0 else structure


def _with_cycles(series: Series, periods: tuple[Period, ...]) -> Structure:
    cycles, mode = _cycles(series, periods)
    level = series - cycles
    clean = without_spikes(level)
    count = int((~np.isnan(clean)).sum())
    price = math.log(count)

    constant = fit_ar(clean, ORDER)
    walk = fit_ar(np.diff(clean, prepend=np.nan), ORDER - 1)
    curve, curve_fit = _trend(clean, price)
    shortest = shortest_level(count, periods)
    jumps, levels, levels_fit = _jumping(clean, price, shortest)

    def score(fit: ArFit, parameters: int) -> float:
        return fit.rows * math.log(max(fit.variance, 1e-300)) + parameters * price if fit.rows else math.inf

    base = walk if walk.rows else constant
    unit = base.rows
    scores: dict[Body, float] = {
        "random walk": score(walk, 0),
        "constant": unit * _log_ratio(constant, walk) + GIVE_UP_WALK["constant"] + score(walk, 0),
        "trend": unit * _log_ratio(curve_fit, walk) + GIVE_UP_WALK["trend"] + 2 * price + score(walk, 0),
    }
    if len(jumps):
        scores["levels"] = (
            unit * _log_ratio(levels_fit, walk) + GIVE_UP_WALK["levels"] + 2 * len(jumps) * price + score(walk, 0)
        )
    body = min(scores, key=lambda name: scores[name])
    gain = unit * _log_ratio(constant, curve_fit)

    mean = np.full_like(series, np.nanmean(clean))
    fitted = {"constant": mean, "random walk": mean, "trend": curve.fitted, "levels": levels}[body]
    if body == "trend":  # levels may jump on top of a trend
        jumps, steps, both = _jumping(clean - fitted, price, shortest)
        if len(jumps) and -unit * _log_ratio(both, curve_fit) > 2 * len(jumps) * price + GIVE_UP_WALK["levels"]:
            fitted = fitted + steps
        else:
            jumps = jumps[:0]
    elif body != "levels":
        jumps = jumps[:0]
    noise = walk if body == "random walk" else fit_ar(clean - fitted, ORDER)
    return Structure(
        periods, mode, cycles, body, fitted, curve if body == "trend" else None, gain, jumps,
        level - fitted, clean - fitted, noise,
    )  # fmt: skip


def _log_ratio(fit: ArFit, other: ArFit) -> float:
    """Log of the ratio of the one-step variances; 0 where one of them is undefined."""
    if not (fit.rows and other.rows):
        return 0.0
    smallest = 1e-12 * max(fit.variance, other.variance, 1e-300)
    return math.log(max(fit.variance, smallest) / max(other.variance, smallest))


def _trend(clean: Series, price: float) -> tuple[Curve, ArFit]:
    """The trend curve that predicts best; a bend has to earn its parameter."""
    curves = fit_curves(clean)
    fits = {kind: fit_ar(clean - curve.fitted, ORDER) for kind, curve in curves.items()}

    def score(kind: str) -> float:
        fit = fits[kind]  # type: ignore[index]
        return fit.rows * math.log(max(fit.variance, 1e-300)) + (0 if kind == "linear" else 2 * price)

    best = min(curves, key=score)
    return curves[best], fits[best]


def _cycles(series: Series, periods: tuple[Period, ...]) -> tuple[Series, Mode | None]:
    """`(T,)` all cycles together, and whether they grow with the level."""
    if not periods:
        return np.zeros_like(series), None
    longest = max(period.steps for period in periods)
    base = moving_level(series, longest)
    rest = series - base
    cycles = np.zeros_like(series)
    for period in sorted(periods, key=lambda found: -found.strength):
        cycles = cycles + seasonal(rest - cycles, period.steps)
    filled = extended(base)
    mean_level = float(np.nanmean(base))
    if mean_level <= 0 or np.nanmin(base) <= 0.02 * mean_level:
        return cycles, None
    relative = np.zeros_like(series)
    for period in sorted(periods, key=lambda found: -found.strength):
        relative = relative + seasonal(rest / base - relative, period.steps)
    grown = relative * filled
    known = ~np.isnan(rest)
    misfit = [max(_spread(rest[known] - c[known]), 1e-12 * _spread(rest[known])) for c in (cycles, grown)]
    independent = known.sum() / 2
    evidence = independent * math.log(misfit[0] / misfit[1])
    if abs(evidence) < 6:
        return cycles, None
    return (grown, "multiplicative") if evidence > 0 else (cycles, "additive")


def _spread(sample: Series) -> float:
    """Mean square, with what lies far outside held back: a spike says nothing about the mode."""
    limit = 5 * robust_sd(sample)
    return float(np.mean((np.clip(sample, -limit, limit) if limit else sample) ** 2))


def moving_level(series: Series, steps: float) -> Series:
    """`(T,)` mean over one cycle around each step; NaN at the ends, where there is no whole cycle."""
    window = max(2, round(steps))
    weights = np.ones(window + 1 - window % 2)
    if window % 2 == 0:
        weights[[0, -1]] = 0.5  # a centred window of even length
    half = len(weights) // 2
    known = (~np.isnan(series)).astype(np.float64)
    level = np.full_like(series, np.nan)
    if len(series) <= 2 * half:
        return level
    from scipy.signal import oaconvolve

    sums = oaconvolve(np.nan_to_num(series), weights, mode="valid")
    counts = oaconvolve(known, weights, mode="valid")
    level[half : len(series) - half] = np.where(counts > 0.75 * weights.sum(), sums / np.maximum(counts, 1e-9), np.nan)
    return level


def extended(level: Series) -> Series:
    """The moving level at every step: the nearest known one where there is none."""
    known = np.flatnonzero(~np.isnan(level))
    return np.asarray(np.interp(np.arange(len(level)), known, level[known]))


def _jumping(clean: Series, price: float, shortest: int) -> tuple[NDArray[np.int64], Series, ArFit]:
    """First steps of new levels, the levels, and the noise about them.

    The search prices a jump by the noise: by its long-run variance, and by that of its differences, as if it had no
    memory. Levels that jump often look like memory, so the account that predicts better is kept.

    Source:
        Killick, Fearnhead and Eckley (2012), "Optimal detection of changepoints with a linear computational cost".
    """
    known = np.flatnonzero(~np.isnan(clean))
    sample = clean[known]
    found: list[tuple[float, NDArray[np.int64], Series, ArFit]] = []
    long_run, short = long_run_variance(sample), robust_sd(np.diff(sample)) ** 2 / 2
    for spread in (long_run, short) if long_run > 1.3 * short else (long_run,):
        jumps = _told_apart(clean, known[jumps_at(sample, spread, shortest)])
        levels = _levels(clean, jumps)
        fit = fit_ar(clean - levels, ORDER)
        score = fit.rows * math.log(max(fit.variance, 1e-300)) + 2 * len(jumps) * price
        found.append((score, jumps, levels, fit))
    return min(found, key=lambda one: one[0])[1:]


def _told_apart(clean: Series, jumps: NDArray[np.int64]) -> NDArray[np.int64]:
    """The jumps whose two levels differ by more than the noise about that place accounts for, the weakest dropped."""
    kept = jumps.tolist()
    while kept:
        rest = clean - _levels(clean, np.array(kept))
        edges = [0, *kept, len(clean)]
        memory = float(np.clip(autocorrelation(rest, 1)[1], 0, 0.95))
        inflated = (1 + memory) / (1 - memory)
        scores = []
        for before, at, after in zip(edges[:-2], kept, edges[2:], strict=True):
            sides = clean[before:at], clean[at:after]
            wide = (
                rest[max(0, min(before, at - NEAR)) : at],
                rest[at : max(after, at + NEAR)],
            )
            error = sum(
                float(np.nanmean(w**2)) / max(1, np.sum(~np.isnan(s))) for w, s in zip(wide, sides, strict=True)
            )
            gap = abs(float(np.nanmean(sides[0]) - np.nanmean(sides[1])))
            scores.append(gap / math.sqrt(max(error * inflated, 1e-300)))
        weakest = int(np.argmin(scores))
        if scores[weakest] >= APART:
            break
        del kept[weakest]
    return np.array(kept, dtype=np.int64)


def shortest_level(count: int, periods: tuple[Period, ...]) -> int:
    """Readings that a level lasts at least: a fiftieth of the series, and a cycle where there is one.

    One afternoon above the usual one is an excursion, no new level.
    """
    cycle = round(max((period.steps for period in periods), default=0.0))
    return min(max(8, count // 50, cycle), max(8, count // 4))


def jumps_at(sample: Series, long_run: float, shortest: int) -> NDArray[np.int64]:
    """Where the mean of a sample without gaps changes, at 4 log n times the long-run variance a change."""
    if len(sample) < 4 * shortest or long_run <= 0:
        return np.zeros(0, dtype=np.int64)
    from ruptures import KernelCPD
    from ruptures.exceptions import BadSegmentationParameters

    search = KernelCPD(kernel="linear", min_size=shortest).fit(sample[:, None] - sample.mean())
    try:
        ends = search.predict(pen=4 * long_run * math.log(len(sample)))
    except BadSegmentationParameters:  # too short for one change
        return np.zeros(0, dtype=np.int64)
    return np.asarray(ends[:-1], dtype=np.int64)


def long_run_variance(sample: Series) -> float:
    """Variance of the mean of n steps, times n, by the robust variogram: levels that jump hardly move it."""
    if len(sample) < 4 * LAGS:
        return robust_sd(np.diff(sample)) ** 2 / 2
    half_squares: Series = np.array([robust_sd(sample[lag:] - sample[:-lag]) ** 2 / 2 for lag in range(1, LAGS + 1)])
    variance = float(half_squares[LAGS // 2 :].mean())
    if variance == 0:
        return float(np.mean(np.diff(sample) ** 2)) / 2
    memory = 1 - half_squares / variance
    kept = memory[: int(np.argmax(memory < 0.1)) or (0 if memory[0] < 0.1 else LAGS)]
    return max(variance * (1 + 2 * float(kept.sum())), float(half_squares[0]))


def _levels(clean: Series, jumps: NDArray[np.int64]) -> Series:
    """`(T,)` the mean of each stretch between jumps."""
    edges = [0, *jumps.tolist(), len(clean)]
    return np.concatenate([np.full(b - a, np.nanmean(clean[a:b])) for a, b in itertools.pairwise(edges)])
