"""`detect_patterns`: what a series does, in the numbers that stand beside its picture."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from mm4st_agent.errors import DataError
from mm4st_agent.patterns.anomalies import cut_offs, excursions, flips, spikes
from mm4st_agent.patterns.changes import level_changes, regimes_of, variance_changes
from mm4st_agent.patterns.noise import noise_of, volatility_of
from mm4st_agent.patterns.relation import relation_of
from mm4st_agent.patterns.report import Anomaly, Change, Patterns, Seasonality
from mm4st_agent.patterns.series import SHORTEST, Series, checked, checked_step, varies
from mm4st_agent.patterns.structure import Structure, extended, moving_level, take_apart
from mm4st_agent.patterns.trend import trend_of

FLIP_ROUNDS = 3
"""The level and the cycle are known better once a flip is turned back."""
MOST_LAG = 288
"""Steps by which one series may follow another, at most; and a quarter of the series."""

Stretch = tuple[str, tuple[int, int], float]


def detect_patterns(
    values: ArrayLike, step_s: float, *, times: pd.DatetimeIndex | None = None, other: ArrayLike | None = None
) -> Patterns:
    """Trend, cycles, changes, anomalies, volatility, noise, and the relation to a second series.

    Missing steps stay missing. They add nothing to a spectrum, a median or a correlation; an autoregression is
    fitted to the steps whose lags are all known; change points and the medians of neighbours are taken over the
    readings as if they followed each other. Flat stretches are taken out and flipped ones turned back before the
    rest is measured.

    Args:
        values: `(T,)`, any unit, oldest first, NaN or infinite is missing.
        step_s: Seconds between two steps.
        times: `(T,)` time stamps for changes and anomalies.
        other: `(T,)` a second series over the same steps.

    Returns:
        The patterns; all parts None or empty where there are fewer than 16 readings or none differs.

    Raises:
        DataError: a series is not one-dimensional or empty, or the lengths differ.
        UsageError: `step_s` is not positive.

    >>> import numpy as np
    >>> patterns = detect_patterns(np.sin(np.arange(400) * 2 * np.pi / 40), 300)
    >>> [(period.steps, period.waveform) for period in patterns.periods]
    [(40.0, 'sine')]
    """
    series, step_s = checked(values), checked_step(step_s)
    if times is not None and len(times) != len(series):
        raise DataError(f"There are {len(times)} time stamps for {len(series)} steps.", "Give one for each step.")
    second = None if other is None else checked(other, "other")
    if second is not None and len(second) != len(series):
        raise DataError(f"other has {len(second)} steps, values {len(series)}.", "Give both over the same steps.")
    known = int((~np.isnan(series)).sum())
    notes = _notes(len(series), known)
    if not varies(series):
        reason = f"too short: {known} readings, {SHORTEST} needed" if known < SHORTEST else "all readings are equal"
        return Patterns(
            steps=len(series), known=known, step_s=step_s, trend=None, periods=(), seasonality=None, changes=(),
            regimes=None, anomalies=(), volatility=None, noise=None, relation=None, notes=(*notes, reason),
        )  # fmt: skip
    structure, stretches = _mended(series, step_s)
    levels, spreads = level_changes(structure), variance_changes(structure)
    relation = None
    if second is not None and varies(second):
        parts = structure, _mended(second, step_s)[0]
        relation = relation_of(series, second, parts, step_s, min(MOST_LAG, len(series) // 4))
    if second is not None and relation is None:
        notes = (*notes, "relation undefined: too few readings in both series, or one of them does not vary")
    return Patterns(
        steps=len(series), known=known, step_s=step_s,
        trend=trend_of(structure, step_s), periods=structure.periods, seasonality=_seasonality(structure),
        changes=tuple(
            sorted(
                [Change(kind="level", step=s, time=_at(times, s), before=a, after=b) for s, a, b in levels]
                + [Change(kind="variance", step=s, time=_at(times, s), before=a, after=b) for s, a, b in spreads],
                key=lambda change: change.step,
            )
        ),
        regimes=regimes_of(levels, len(series), "level") or regimes_of(spreads, len(series), "variance"),
        anomalies=tuple(_anomaly(stretch, times) for stretch in sorted(stretches, key=lambda found: found[1])),
        volatility=volatility_of(structure), noise=noise_of(structure), relation=relation, notes=notes,
    )  # fmt: skip


def _mended(series: Series, step_s: float) -> tuple[Structure, list[Stretch]]:
    """The series taken apart without its anomalies, and the anomalies."""
    mended = series.copy()
    found: list[Stretch] = []
    ends = float(np.nanmin(series)), float(np.nanmax(series))
    for (first, last), value in cut_offs(series, step_s):
        found.append(("clipped" if value in ends else "flat", (first, last), value))
        mended[first : last + 1] = np.nan
    if not varies(mended):
        mended, found = series, []
    structure = take_apart(mended, step_s)
    upright, turned = mended, dict[tuple[int, int], float]()
    for _ in range(FLIP_ROUNDS):
        if not structure.periods or np.isnan(level := moving_level(upright, structure.periods[0].steps)).all():
            break
        cycle = structure.seasonal - structure.seasonal.mean()
        before, turned = turned, dict(flips(mended - extended(level), structure))
        if not before and not turned:
            break
        upright = mended.copy()
        for first, last in turned:
            upright[first : last + 1] += 2 * cycle[first : last + 1]  # no mirror: its axis is not known well
        structure = take_apart(upright, step_s)
    found += [("flip", run, factor) for run, factor in turned.items()]
    found += [("spike", run, size) for run, size in spikes(structure)]
    found += [("excursion", run, size) for run, size in excursions(structure)]
    return structure, found


def _anomaly(stretch: Stretch, times: pd.DatetimeIndex | None) -> Anomaly:
    kind, (first, last), size = stretch
    return Anomaly.model_validate(
        {"kind": kind, "start": first, "end": last, "size": size,
         "start_time": _at(times, first), "end_time": _at(times, last)}
    )  # fmt: skip


def _at(times: pd.DatetimeIndex | None, step: int) -> pd.Timestamp | None:
    return None if times is None else times[step]


def _seasonality(structure: Structure) -> Seasonality | None:
    if not structure.periods:
        return None
    both = structure.rest + structure.seasonal
    left = float(np.nanvar(structure.rest)) / max(float(np.nanvar(both)), 1e-300)
    return Seasonality(
        mode=structure.mode, strength=float(np.clip(1 - left, 0, 1)), swing=float(np.ptp(structure.seasonal))
    )


def _notes(steps: int, known: int) -> tuple[str, ...]:
    if known == steps:
        return ()
    return (f"{steps - known} of {steps} steps are missing; they were left out, not filled in",)
