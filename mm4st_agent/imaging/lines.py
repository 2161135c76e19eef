"""Line plots of one node: its readings, and the forecast that follows them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from numpy.typing import NDArray

from mm4st_agent.errors import UsageError
from mm4st_agent.imaging.figure import (
    BLUE,
    GREEN,
    GREY,
    INK,
    LIGHT_GREY,
    ORANGE,
    VERMILLION,
    Picture,
    Sheet,
    drawable,
    number,
    unit_label,
    unit_name,
    value_axis,
    words,
)
from mm4st_agent.imaging.timeaxis import days, local, stamp, time_axis, typical_step

QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
NO_READING = "no reading in this window"

Series = NDArray[np.float64]
Mask = NDArray[np.bool_]
Entry = Artist | tuple[Artist, ...]


def draw_line(
    *,
    times: pd.DatetimeIndex,
    values: NDArray[np.floating],
    imputed: NDArray[np.bool_],
    usual: NDArray[np.floating] | None,
    title: str,
    unit: str,
    time_zone: str,
    synthetic: bool,
) -> Picture:
    """Draw the readings of one node over local time.

    A gap stays a gap: missing steps (hatched) are neither joined nor drawn as 0. Imputed
    steps are a dashed grey line on a grey ground, so that nobody takes them for readings.

    Args:
        times: `(T,)` zone-aware, oldest first; a stamp that is left out counts as missing.
        values: `(T,)` in `unit`; NaN is missing; imputed values included.
        imputed: `(T,)`, True where the source filled in a value that nobody measured.
        usual: `(T,)` in `unit`, what is usual at each of `times`; NaN where unknown; None: not drawn.
        title: The heading, such as "Station 1205330: traffic flow".
        unit: What the vertical axis counts, such as "vehicles per 5 min".
        time_zone: IANA name of the zone in which people read these times.
        synthetic: Whether a simulation made the data; the picture then says so.

    Raises:
        UsageError: the arrays differ in length, or `times` or `time_zone` cannot be used.
    """
    when = local(times, time_zone)
    shown = _finite("values", values, when)
    filled = _same_length("imputed", imputed, when).astype(bool) & ~np.isnan(shown)
    sheet = Sheet(title, synthetic=synthetic)
    legend = _readings(sheet.axes, when, shown, filled)
    bounds = [shown]
    if usual is not None:
        expected = _finite("usual", usual, when)
        bounds.append(expected)
        (legend["usual for this time of the week"],) = sheet.axes.plot(
            *_broken(when, expected), color=ORANGE, lw=1.6, zorder=2
        )
    if np.isnan(shown).all():
        sheet.say(NO_READING)
    _value_limits(sheet.axes, bounds)
    unit_label(sheet.axes, unit)
    time_axis(sheet.axes, when)
    return sheet.picture(f"Line plot, {title}: {_history_in_words(when, shown, filled, unit)}.", legend)


def draw_forecast(
    *,
    times: pd.DatetimeIndex,
    values: NDArray[np.floating],
    imputed: NDArray[np.bool_],
    forecast_times: pd.DatetimeIndex,
    quantiles: NDArray[np.floating],
    baseline: NDArray[np.floating],
    baseline_name: str,
    title: str,
    unit: str,
    time_zone: str,
    synthetic: bool,
    origin: pd.Timestamp | None = None,
) -> Picture:
    """Draw the readings of one node and the forecast fan that follows them.

    The fan is the 80 % interval, the 50 % interval and the median; the baseline is dashed,
    and an upright line with its local time stands at the origin.

    Args:
        times: `(T,)` zone-aware, oldest first: the history. About 4 to 12 horizons read best.
        values: `(T,)` in `unit`; NaN is missing; imputed values included.
        imputed: `(T,)`, True where the source filled in a value that nobody measured.
        forecast_times: `(H,)` zone-aware, oldest first, after `times`.
        quantiles: `(H, 5)` in `unit`: the quantiles .1, .25, .5, .75 and .9; NaN is undefined.
        baseline: `(H,)` in `unit`; NaN is undefined.
        baseline_name: Such as "same slot last week".
        title: The heading.
        unit: What the vertical axis counts.
        time_zone: IANA name of the zone in which people read these times.
        synthetic: Whether a simulation made the data; the picture then says so.
        origin: When the forecast was made; None is the last of `times`.

    Raises:
        UsageError: the arrays differ in length, or times or `time_zone` cannot be used.
    """
    when, ahead = local(times, time_zone), local(forecast_times, time_zone)
    if ahead[0] <= when[-1]:
        raise UsageError(
            f"The forecast starts at {ahead[0]}, not after the history's end {when[-1]}.", "Cut the history there."
        )
    shown = _finite("values", values, when)
    filled = _same_length("imputed", imputed, when).astype(bool) & ~np.isnan(shown)
    expected = _finite("baseline", baseline, ahead)
    fan = _finite("quantiles", quantiles, ahead, width=len(QUANTILES))

    sheet = Sheet(title, synthetic=synthetic)
    axes = sheet.axes
    legend = _readings(axes, when, shown, filled)
    marker = "o" if len(ahead) == 1 else ""
    x = days(ahead)
    (legend["forecast median"],) = axes.plot(x, fan[:, 2], color=VERMILLION, lw=2.4, marker=marker, zorder=5)
    legend["50 % interval"] = _band(axes, x, fan[:, 1], fan[:, 3], alpha=0.45)
    legend["80 % interval"] = _band(axes, x, fan[:, 0], fan[:, 4], alpha=0.22)
    name = drawable(f"baseline: {baseline_name}")
    (legend[name],) = axes.plot(x, expected, color=GREEN, lw=2.0, ls=(0, (4, 2)), marker=marker, zorder=4)
    _value_limits(axes, [shown, fan, expected], headroom=0.13)
    _mark_origin(axes, when, ahead, origin)
    unit_label(axes, unit)
    time_axis(axes, pd.DatetimeIndex(when.append(ahead)))
    history = _history_in_words(when, shown, filled, unit)
    alt = f"Forecast plot, {title}: {history}. {_forecast_in_words(ahead, fan, expected, baseline_name)}."
    return sheet.picture(alt, legend)


def _same_length(
    name: str, array: NDArray[np.floating] | NDArray[np.bool_], times: pd.DatetimeIndex, width: int | None = None
) -> NDArray[np.floating] | NDArray[np.bool_]:
    wanted = (len(times),) if width is None else (len(times), width)
    if np.shape(array) != wanted:
        raise UsageError(f"{name} has the shape {np.shape(array)}.", f"Its times need {wanted}.")
    return np.asarray(array)


def _finite(name: str, array: NDArray[np.floating], times: pd.DatetimeIndex, width: int | None = None) -> Series:
    """As floats, with everything that is not a number missing."""
    values = _same_length(name, array, times, width).astype(np.float64)
    return np.where(np.isfinite(values), values, np.nan)


def _readings(axes: Axes, times: pd.DatetimeIndex, values: Series, imputed: Mask) -> dict[str, Entry]:
    """Draw measured, imputed and missing steps; one legend entry for each kind that occurs."""
    legend: dict[str, Entry] = {}
    x, y = _broken(times, values)
    filled = np.isin(x, days(times)[imputed])
    measured = np.where(filled, np.nan, y)
    if not np.isnan(measured).all():
        (legend["measured"],) = axes.plot(x, measured, color=BLUE, lw=2.0, zorder=3)
        _dots(axes, x, measured, BLUE)
    if imputed.any():
        # A step on either side belongs to the dashed line, so that it meets the measured one.
        beside = filled | np.append(filled[1:], False) | np.append(False, filled[:-1])
        dashed = np.where(beside, y, np.nan)
        (line,) = axes.plot(x, dashed, color=GREY, lw=1.6, ls=(0, (3, 1.5)), zorder=2.5)
        _dots(axes, x, dashed, GREY)
        ground = _spans(axes, times, imputed, facecolor=LIGHT_GREY)
        legend[f"imputed by the source, {imputed.sum()} of {len(values)} steps"] = (ground, line)
    missing = np.isnan(values)
    if missing.any():
        ground = _spans(axes, times, missing, facecolor="white", edgecolor="#BBBBBB", hatch="///")
        legend[f"missing, {missing.sum()} of {len(values)} steps"] = ground
    return legend


def _broken(times: pd.DatetimeIndex, values: Series) -> tuple[Series, Series]:
    """Coordinates of a line that breaks where time stamps were left out."""
    x = days(times)
    left_out = np.flatnonzero(np.diff(x) > 1.5 * typical_step(times)) + 1
    return np.insert(x, left_out, np.nan), np.insert(values, left_out, np.nan)


def _dots(axes: Axes, x: Series, y: Series, colour: str) -> None:
    """Steps with a gap on both sides, which a line alone would not show."""
    known = np.pad(~np.isnan(y), 1)
    lonely = known[1:-1] & ~known[:-2] & ~known[2:]
    if lonely.any():
        axes.plot(x[lonely], y[lonely], color=colour, ls="", marker="o", ms=4, zorder=3)


def _spans(axes: Axes, times: pd.DatetimeIndex, mask: Mask, **style: Any) -> PolyCollection:
    """Ground of full height behind the steps of `mask`, half a step to either side."""
    step = typical_step(times)
    edges = np.diff(np.pad(mask.astype(np.int8), 1))
    x = days(times)
    firsts, lasts = x[np.flatnonzero(edges == 1)] - step / 2, x[np.flatnonzero(edges == -1) - 1] + step / 2
    return axes.broken_barh(
        list(zip(firsts, lasts - firsts, strict=True)), (0, 1),
        transform=axes.get_xaxis_transform(), linewidth=0, zorder=0.5, **style,
    )  # fmt: skip


def _band(axes: Axes, x: Series, low: Series, high: Series, *, alpha: float) -> Artist:
    if len(x) == 1:  # an area needs two times
        return axes.vlines(x, low, high, color=VERMILLION, alpha=alpha, lw=14)
    return axes.fill_between(x, low, high, color=VERMILLION, alpha=alpha, lw=0, zorder=2)


def _mark_origin(axes: Axes, times: pd.DatetimeIndex, ahead: pd.DatetimeIndex, origin: pd.Timestamp | None) -> None:
    moment = pd.DatetimeIndex([times[-1] if origin is None else origin])
    made = local(moment, str(times.tz))
    x = float(days(made)[0])
    axes.axvline(x, color=INK, lw=1.4, ls=(0, (1, 1.5)), zorder=4)
    first, last = days(times)[0], days(ahead)[-1]
    side = "right" if x - first > last - x else "left"
    axes.annotate(
        f"origin {made[0]:%H:%M}", (x, 1), xycoords=axes.get_xaxis_transform(), ha=side, va="top",
        xytext=(-6 if side == "right" else 6, -4), textcoords="offset points", zorder=6,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1}, **words(weight="bold"),
    )  # fmt: skip


def _value_limits(axes: Axes, arrays: list[Series], headroom: float = 0.05) -> None:
    """Limits with room on top; from 0 where the values come near it; without ticks where there is no value."""
    known = np.concatenate([array[~np.isnan(array)] for array in arrays])
    if known.size == 0:
        axes.set_yticks([])
        return
    low, high = float(known.min()), float(known.max())
    if 0 <= low <= 0.5 * high:
        low = 0.0
    span = (high - low) or abs(high) * 0.1 or 1.0
    floor = low if low == 0 and high > 0 else low - 0.05 * span
    axes.set_ylim(floor, high + headroom * span)
    value_axis(axes)


def _history_in_words(times: pd.DatetimeIndex, values: Series, imputed: Mask, unit: str) -> str:
    known = np.flatnonzero(~np.isnan(values))
    count = f"{len(values) - known.size} of {len(values)} steps missing"
    filled = f", {imputed.sum()} imputed" if imputed.any() else ""
    window = f"{stamp(times[0])} to {stamp(times[-1])} local time ({times.tz})"
    if known.size == 0:
        return f"no reading from {window}, {count}"

    def told(index: int) -> str:
        return f"{number(values[index])} at {stamp(times[index])}"

    low, high = int(np.nanargmin(values)), int(np.nanargmax(values))
    return (
        f"unit {unit_name(unit)}, from {window}, first {told(known[0])}, last {told(known[-1])}, "
        f"lowest {told(low)}, highest {told(high)}, {count}{filled}"
    )


def _forecast_in_words(times: pd.DatetimeIndex, quantiles: Series, baseline: Series, baseline_name: str) -> str:
    window = f"Forecast from {stamp(times[0])} to {stamp(times[-1])}"
    if np.isnan(quantiles).all():
        return f"{window}: undefined"
    median, low, high = quantiles[:, 2], quantiles[:, 0], quantiles[:, 4]
    return (
        f"{window}: median {_range(median)}, 80 % interval within {_range(np.append(low, high))}, "
        f"baseline ({baseline_name}) {_range(baseline)}"
    )


def _range(values: Series) -> str:
    if np.isnan(values).all():
        return "undefined"
    low, high = number(float(np.nanmin(values))), number(float(np.nanmax(values)))
    return low if low == high else f"{low} to {high}"
