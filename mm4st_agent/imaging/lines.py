"""Line plots of one node: its readings, and the forecast that follows them."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from numpy.typing import NDArray

from mm4st_agent.errors import UsageError
from mm4st_agent.imaging.figure import (
    GREEN,
    INK,
    ORANGE,
    VERMILLION,
    Picture,
    Sheet,
    drawable,
    number,
    unit_label,
    words,
)
from mm4st_agent.imaging.readings import (
    NO_READING,
    Series,
    broken,
    draw_readings,
    finite,
    history_in_words,
    same_length,
    value_limits,
)
from mm4st_agent.imaging.timeaxis import days, local, stamp, time_axis

QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)


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
    anomalies: NDArray[np.bool_] | None = None,
    changes: pd.DatetimeIndex | None = None,
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
        anomalies: `(T,)`, True at the steps to mark as anomalies; None: nowhere.
        changes: `(C,)` zone-aware times to mark as changes; None: none.

    Raises:
        UsageError: the arrays differ in length, or `times` or `time_zone` cannot be used.
    """
    when = local(times, time_zone)
    shown = finite("values", values, when)
    filled = same_length("imputed", imputed, when).astype(bool) & ~np.isnan(shown)
    sheet = Sheet(title, synthetic=synthetic)
    legend = draw_readings(sheet.axes, when, shown, filled)
    bounds = [shown]
    if usual is not None:
        expected = finite("usual", usual, when)
        bounds.append(expected)
        (legend["usual for this time of the week"],) = sheet.axes.plot(
            *broken(when, expected), color=ORANGE, lw=1.6, zorder=2
        )
    marked = ""
    if anomalies is not None and (odd := same_length("anomalies", anomalies, when).astype(bool)).any():
        legend["anomaly"] = _mark_anomalies(sheet.axes, when, shown, odd)
        marked += f", {odd.sum()} marked as anomalous"
    if changes is not None and len(changes):
        legend["change of level or spread"] = sheet.axes.vlines(
            days(changes), 0, 1, transform=sheet.axes.get_xaxis_transform(), color=INK, lw=1.6, ls=(0, (4, 2)), zorder=4
        )
        marked += f", changes marked at {', '.join(stamp(moment) for moment in local(changes, time_zone))}"
    if np.isnan(shown).all():
        sheet.say(NO_READING)
    value_limits(sheet.axes, bounds)
    unit_label(sheet.axes, unit)
    time_axis(sheet.axes, when)
    return sheet.picture(f"Line plot, {title}: {history_in_words(when, shown, filled, unit)}{marked}.", legend)


def _mark_anomalies(axes: Axes, times: pd.DatetimeIndex, values: Series, odd: NDArray[np.bool_]) -> Artist:
    x, y = broken(times, np.where(odd, values, np.nan))
    (line,) = axes.plot(x, y, color=VERMILLION, lw=2.4, marker="o", ms=4, zorder=5)
    return line


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
    shown = finite("values", values, when)
    filled = same_length("imputed", imputed, when).astype(bool) & ~np.isnan(shown)
    expected = finite("baseline", baseline, ahead)
    fan = finite("quantiles", quantiles, ahead, width=len(QUANTILES))

    sheet = Sheet(title, synthetic=synthetic)
    axes = sheet.axes
    legend = draw_readings(axes, when, shown, filled)
    marker = "o" if len(ahead) == 1 else ""
    x = days(ahead)
    (legend["forecast median"],) = axes.plot(x, fan[:, 2], color=VERMILLION, lw=2.4, marker=marker, zorder=5)
    legend["50 % interval"] = _band(axes, x, fan[:, 1], fan[:, 3], alpha=0.45)
    legend["80 % interval"] = _band(axes, x, fan[:, 0], fan[:, 4], alpha=0.22)
    name = drawable(f"baseline: {baseline_name}")
    (legend[name],) = axes.plot(x, expected, color=GREEN, lw=2.0, ls=(0, (4, 2)), marker=marker, zorder=4)
    value_limits(axes, [shown, fan, expected], headroom=0.13)
    _mark_origin(axes, when, ahead, origin)
    unit_label(axes, unit)
    time_axis(axes, pd.DatetimeIndex(when.append(ahead)))
    history = history_in_words(when, shown, filled, unit)
    alt = f"Forecast plot, {title}: {history}. {_forecast_in_words(ahead, fan, expected, baseline_name)}."
    return sheet.picture(alt, legend)


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
