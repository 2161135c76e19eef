"""Two futures or several pasts of one node upon each other: a forecast before and after a change, and analogs."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from numpy.typing import NDArray

from mm4st_agent.errors import UsageError
from mm4st_agent.imaging.figure import (
    GREEN,
    GREY,
    INK,
    ORANGE,
    VERMILLION,
    WIDTH_PX,
    Picture,
    Sheet,
    drawable,
    unit_label,
    unit_name,
    words,
)
from mm4st_agent.imaging.readings import (
    Entry,
    Series,
    Trace,
    draw_readings,
    finite,
    history_in_words,
    rough,
    value_limits,
)
from mm4st_agent.imaging.timeaxis import days, local, stamp, time_axis

_CHANGE_HEIGHT_PX = 1000
_STYLES = ((GREEN, "-"), (ORANGE, "-"), (GREY, "-"), (GREEN, (0, (4, 2))), (ORANGE, (0, (4, 2))), (GREY, (0, (4, 2))))
"""Of the analogs, the most alike first; later ones are thin and grey."""


def draw_change(
    *,
    history: Trace,
    times: pd.DatetimeIndex,
    before: NDArray[np.floating],
    after: NDArray[np.floating],
    difference: NDArray[np.floating],
    changes: str,
    title: str,
    unit: str,
    time_zone: str,
    synthetic: bool,
) -> Picture:
    """Draw a forecast as it is and as it would be, and below them how they differ.

    Args:
        history: The readings before it.
        times: `(H,)` zone-aware, after those of `history`.
        before: `(H, 3)` low, median and high in `unit`.
        after: `(H, 3)` the same after the change.
        difference: `(H, 3)` low, median and high of after less before.
        changes: What is otherwise, in words.
        title: The heading.
        unit: What the vertical axes count.
        time_zone: IANA name of the zone in which people read these times.
        synthetic: Whether a simulation made the data; the picture then says so.

    Raises:
        UsageError: arrays differ in length, or times or `time_zone` cannot be used.
    """
    when, shown, imputed = history.checked(time_zone)
    ahead = _after(when, times, time_zone)
    one, two, apart = (
        finite(name, array, ahead, width=3)
        for name, array in (("before", before), ("after", after), ("difference", difference))
    )
    sheet = Sheet(title, synthetic=synthetic, height_px=min(_CHANGE_HEIGHT_PX, WIDTH_PX), heights=(3, 2))
    upper, lower = sheet.panels[0][0], sheet.panels[1][0]
    legend: dict[str, Entry] = dict(draw_readings(upper, when, shown, imputed))
    x = days(ahead)
    legend["as it is, 80 % interval"] = (_band(upper, x, one, GREEN), _median(upper, x, one, GREEN, (0, (4, 2))))
    legend["with the change, 80 % interval"] = (_band(upper, x, two, VERMILLION), _median(upper, x, two, VERMILLION))
    value_limits(upper, [shown, one, two])
    unit_label(upper, unit)
    time_axis(upper, pd.DatetimeIndex(when.append(ahead)))
    _origin(upper, when, ahead)
    lower.axhline(0, color=INK, lw=1.2, zorder=1)
    legend["difference"] = (_band(lower, x, apart, INK), _median(lower, x, apart, INK))
    _around_zero(lower, apart)
    lower.set_title(drawable(f"with the change less as it is, {unit_name(unit)}"), loc="left", **words(weight="bold"))
    time_axis(lower, ahead)
    told = _change_in_words(ahead, one, two, apart, unit)
    past = history_in_words(when, shown, imputed, unit)
    return sheet.picture(f"{title}, {changes}: {past}. {told}.", legend, note=f"{changes[:1].upper()}{changes[1:]}")


def draw_analogs(
    *,
    present: Trace,
    analogs: list[tuple[str, NDArray[np.floating]]],
    times: pd.DatetimeIndex,
    forecast: NDArray[np.floating],
    title: str,
    unit: str,
    time_zone: str,
    synthetic: bool,
) -> Picture:
    """Draw past windows upon the present one, what followed them, and the forecast.

    Args:
        present: The last readings.
        analogs: What each is called, such as its date, and its readings `(T + H,)` in `unit`, NaN is missing: as
            many steps as `present` has, then those that followed; the most alike first.
        times: `(H,)` zone-aware steps to come, after those of `present`.
        forecast: `(H, 3)` low, median and high in `unit`.
        title: The heading.
        unit: What the vertical axis counts.
        time_zone: IANA name of the zone in which people read these times.
        synthetic: Whether a simulation made the data; the picture then says so.

    Raises:
        UsageError: arrays differ in length, or times or `time_zone` cannot be used.
    """
    when, shown, imputed = present.checked(time_zone)
    ahead = _after(when, times, time_zone)
    whole = pd.DatetimeIndex(when.append(ahead))
    lines = [(label, finite(label, values, whole)) for label, values in analogs]
    fan = finite("forecast", forecast, ahead, width=3)
    sheet = Sheet(title, synthetic=synthetic)
    axes, x = sheet.axes, days(whole)
    legend: dict[str, Entry] = {
        f"now: {name}": entry for name, entry in draw_readings(axes, when, shown, imputed).items()
    }
    coming = days(ahead)
    legend["forecast, 80 % interval"] = (
        _band(axes, coming, fan, VERMILLION),
        _median(axes, coming, fan, VERMILLION),
    )
    for number, (label, values) in enumerate(lines):
        colour, dash = _STYLES[number] if number < len(_STYLES) else (GREY, (0, (1, 1.5)))
        (legend[label],) = axes.plot(x, values, color=colour, ls=dash, lw=1.6, zorder=2.5)
    value_limits(axes, [shown, fan, *(values for _, values in lines)])
    unit_label(axes, unit)
    time_axis(axes, whole)
    _origin(axes, when, ahead)
    said = "; ".join(f"{label}: {_ahead_in_words(values[len(when) :])}" for label, values in lines)
    past = history_in_words(when, shown, imputed, unit)
    expected = f"forecast median {_ahead_in_words(fan[:, 1])}"
    return sheet.picture(f"Past windows upon the present, {title}: {past}. What came next, {said}; {expected}.", legend)


def _after(when: pd.DatetimeIndex, times: pd.DatetimeIndex, time_zone: str) -> pd.DatetimeIndex:
    ahead = local(times, time_zone)
    if ahead[0] <= when[-1]:
        raise UsageError(
            f"The forecast starts at {ahead[0]}, not after the history's end {when[-1]}.", "Cut the history there."
        )
    return ahead


def _band(axes: Axes, x: Series, fan: Series, colour: str) -> Artist:
    if len(x) == 1:  # an area needs two times
        return axes.vlines(x, fan[:, 0], fan[:, 2], color=colour, alpha=0.3, lw=14)
    return axes.fill_between(x, fan[:, 0], fan[:, 2], color=colour, alpha=0.22, lw=0, zorder=2)


def _median(axes: Axes, x: Series, fan: Series, colour: str, dash: object = "-") -> Artist:
    marker = "o" if len(x) == 1 else ""
    (line,) = axes.plot(x, fan[:, 1], color=colour, lw=2.2, ls=dash, marker=marker, zorder=5)
    return line


def _origin(axes: Axes, when: pd.DatetimeIndex, ahead: pd.DatetimeIndex) -> None:
    x = (days(when)[-1] + days(ahead)[0]) / 2
    axes.axvline(float(x), color=INK, lw=1.4, ls=(0, (1, 1.5)), zorder=4)


def _around_zero(axes: Axes, values: Series) -> None:
    largest = float(np.nanmax(np.abs(values))) if np.isfinite(values).any() else 0.0
    reach = 1.1 * largest or 1.0
    axes.set_ylim(-reach, reach)
    axes.locator_params(axis="y", nbins=5)


def _change_in_words(times: pd.DatetimeIndex, before: Series, after: Series, apart: Series, unit: str) -> str:
    if not apart.any():
        return f"From {stamp(times[0])} to {stamp(times[-1])} nothing changes: median {_ahead_in_words(before[:, 1])}"
    at = int(np.nanargmax(np.abs(apart[:, 1])))
    return (
        f"From {stamp(times[0])} to {stamp(times[-1])}: median {_ahead_in_words(before[:, 1])} as it is, "
        f"{_ahead_in_words(after[:, 1])} with the change; largest difference {rough(float(apart[at, 1]))} "
        f"{unit_name(unit)} at {stamp(times[at])}, from {rough(float(apart[at, 0]))} to {rough(float(apart[at, 2]))}"
    )


def _ahead_in_words(values: Series) -> str:
    if np.isnan(values).all():
        return "no reading"
    return f"{rough(float(np.nanmin(values)))} to {rough(float(np.nanmax(values)))}"
