"""Answers at past moments: what was forecast, what came, and how the answers stood up."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.ticker import FixedLocator, FuncFormatter
from numpy.typing import NDArray

from mm4st_agent.errors import UsageError
from mm4st_agent.imaging.figure import (
    BLUE,
    GREEN,
    GREY,
    INK,
    VERMILLION,
    Picture,
    Sheet,
    drawable,
    number,
    unit_name,
    value_axis,
    words,
)
from mm4st_agent.imaging.readings import Series, finite, value_limits
from mm4st_agent.imaging.timeaxis import days, local, time_axis

_HEIGHT_PX = 1024
_NOMINAL = 80.0


def draw_replayed(
    *,
    moments: pd.DatetimeIndex,
    low: NDArray[np.floating],
    median: NDArray[np.floating],
    high: NDArray[np.floating],
    baseline: NDArray[np.floating],
    truth: NDArray[np.floating],
    inside: NDArray[np.floating],
    verified: NDArray[np.floating],
    title: str,
    note: str,
    unit: str,
    time_zone: str,
    synthetic: bool,
) -> Picture:
    """Draw forecasts with their intervals against the truth, one a moment; below, coverage and verified claims.

    Args:
        moments: `(M,)` zone-aware, oldest first: when each answer was given.
        low: `(M,)` in `unit`: where the 80 % interval begins; NaN where there was no forecast.
        median: `(M,)` in `unit`: the forecast.
        high: `(M,)` in `unit`: where the interval ends.
        baseline: `(M,)` in `unit`.
        truth: `(M,)` in `unit`; NaN is not measured.
        inside: `(M,)` in %: steps of each forecast whose truth lay inside their interval; NaN where none is known.
        verified: `(M,)` in %: claims of each answer that its evidence supports; NaN where there was no claim.
        title: The heading.
        note: How to read it.
        unit: Of the forecasts.
        time_zone: IANA name of the zone in which people read these times.
        synthetic: Whether a simulation made the data; the picture then says so.

    Raises:
        UsageError: the arrays differ in length, or times or `time_zone` cannot be used.
    """
    when = local(moments, time_zone)
    lows, medians, highs, base, came, held, sure = (
        finite(name, values, when)
        for name, values in (
            ("low", low), ("median", median), ("high", high), ("baseline", baseline), ("truth", truth),
            ("inside", inside), ("verified", verified),
        )
    )  # fmt: skip
    for name, shares in (("inside", held), ("verified", sure)):
        if (shares < 0).any() or (shares > 100).any():
            raise UsageError(f"{name!r} holds a share outside 0 to 100 %.", "Give shares in per cent.")
    sheet = Sheet(title, synthetic=synthetic, height_px=_HEIGHT_PX, heights=(2.0, 1.0))
    (upper,), (lower,) = sheet.panels
    x = days(when)
    legend: dict[str, Artist] = {}
    legend["80 % interval"] = upper.vlines(x, lows, highs, color=VERMILLION, alpha=0.3, lw=9, zorder=2)
    legend["forecast"] = upper.scatter(x, medians, color=VERMILLION, marker="_", s=140, linewidths=2.6, zorder=4)
    legend["baseline"] = upper.scatter(x, base, facecolor="none", edgecolor=GREEN, marker="s", s=34, lw=1.6, zorder=3)
    legend["what came"] = upper.scatter(x, came, color=INK, marker="x", s=44, linewidths=1.8, zorder=5)
    value_limits(upper, [lows, highs, base, came])
    value_axis(upper)
    upper.set_title(drawable(unit_name(unit)), loc="left", **words())
    if np.isnan(medians).all():
        sheet.say("no answer held a forecast", upper)

    lower.axhline(_NOMINAL, color=GREY, lw=1.4, ls=(0, (5, 3)), zorder=1)
    (legend["truths inside the interval (80 % intended)"],) = lower.plot(
        x, held, color=BLUE, marker="o", ms=5, lw=1.4, zorder=3
    )
    (legend["claims verified"],) = lower.plot(x, sure, color=GREY, marker="D", ms=4, lw=1.4, zorder=2)
    lower.set_ylim(-5, 105)
    lower.yaxis.set_major_locator(FixedLocator([0, 20, 40, 60, 80, 100]))
    lower.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} %"))
    for axes in (upper, lower):
        time_axis(axes, when)
    upper.set_xlabel("")
    upper.tick_params(labelbottom=False)
    return sheet.picture(_alt(title, unit, medians, base, came, held, sure), legend, note=note)


def _alt(
    title: str, unit: str, median: Series, baseline: Series, truth: Series, inside: Series, verified: Series
) -> str:
    both = np.isfinite(median) & np.isfinite(truth)
    told = f"{len(median)} answers at past moments, {title}: {both.sum()} forecasts met a truth"
    if both.any():
        error, other = (float(np.abs(values - truth)[both].mean()) for values in (median, baseline))
        told += f", {_short(error)} {unit_name(unit)} off on average"
        told += f" (baseline {_short(other)})" if np.isfinite(other) else ""
    for words_, shares in (("truths inside the 80 % interval", inside), ("claims verified", verified)):
        if np.isfinite(shares).any():
            told += f"; {words_}: {np.nanmean(shares):.0f} % on average"
    return f"{told}."


def _short(value: float) -> str:
    return number(float(f"{value:.3g}"))
