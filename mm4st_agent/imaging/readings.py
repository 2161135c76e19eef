"""The readings of one node in a picture: the line with its gaps, limits, words, and the even grid behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from numpy.typing import NDArray

from mm4st_agent.errors import UsageError
from mm4st_agent.imaging.figure import BLUE, GREY, LIGHT_GREY, number, unit_name, value_axis
from mm4st_agent.imaging.timeaxis import days, local, stamp, typical_step

NO_READING = "no reading in this window"
GAP = {"facecolor": "white", "edgecolor": "#BBBBBB", "hatch": "///"}
"""The look of missing time behind a line."""

Series = NDArray[np.float64]
Mask = NDArray[np.bool_]
Entry = Artist | tuple[Artist, ...]


@dataclass(frozen=True)
class Trace:
    """What one line of a comparison shows.

    Attributes:
        label: Such as "station 1205330, before".
        times: `(T,)` zone-aware, oldest first; a stamp that is left out counts as missing.
        values: `(T,)` in the unit of the picture; NaN is missing; imputed values included.
        imputed: `(T,)`, True where the source filled in a value that nobody measured; None: nowhere.
    """

    label: str
    times: pd.DatetimeIndex
    values: NDArray[np.floating]
    imputed: NDArray[np.bool_] | None = None

    def checked(self, time_zone: str) -> tuple[pd.DatetimeIndex, Series, Mask]:
        """Local times, values with everything that is not a number missing, and the imputed ones among them.

        Raises:
            UsageError: the arrays differ in length, or the times or `time_zone` cannot be used.
        """
        when = local(self.times, time_zone)
        shown = finite("values", self.values, when)
        imputed = np.zeros(len(when), dtype=bool) if self.imputed is None else self.imputed
        return when, shown, same_length("imputed", imputed, when).astype(bool) & ~np.isnan(shown)


def regular(times: pd.DatetimeIndex, values: Series, imputed: Mask) -> tuple[pd.DatetimeIndex, Series, Mask]:
    """The series with a step for each stamp that was left out, NaN there.

    Raises:
        UsageError: there are fewer than 2 times, or they do not lie on an even grid.
    """
    if len(times) < 2:
        raise UsageError(f"{len(times)} time step is too few for this picture.", "Give at least 2.")
    step = typical_step(times)
    place = (days(times) - days(times)[0]) / step
    at = place.round().astype(np.int64)
    if np.abs(place - at).max() > 0.05:
        raise UsageError(f"The {len(times)} times are not evenly spaced.", "Resample them to one step first.")
    if at[-1] + 1 == len(times):
        return times, values, imputed
    whole = times[0] + pd.to_timedelta(np.arange(at[-1] + 1) * round(step * 86_400_000), unit="ms")
    spread, filled = np.full(len(whole), np.nan), np.zeros(len(whole), dtype=bool)
    spread[at], filled[at] = values, imputed
    return pd.DatetimeIndex(whole), spread, filled


def same_length(
    name: str, array: NDArray[np.floating] | NDArray[np.bool_], times: pd.DatetimeIndex, width: int | None = None
) -> NDArray[np.floating] | NDArray[np.bool_]:
    """The array, if it is `(T,)`, or `(T, width)`.

    Raises:
        UsageError: it has another shape.
    """
    wanted = (len(times),) if width is None else (len(times), width)
    if np.shape(array) != wanted:
        raise UsageError(f"{name} has the shape {np.shape(array)}.", f"Its times need {wanted}.")
    return np.asarray(array)


def finite(name: str, array: NDArray[np.floating], times: pd.DatetimeIndex, width: int | None = None) -> Series:
    """As floats, with everything that is not a number missing.

    Raises:
        UsageError: the array is not `(T,)`, or `(T, width)`.
    """
    values = same_length(name, array, times, width).astype(np.float64)
    return np.where(np.isfinite(values), values, np.nan)


def draw_readings(axes: Axes, times: pd.DatetimeIndex, values: Series, imputed: Mask) -> dict[str, Entry]:
    """Draw measured, imputed and missing steps; one legend entry for each kind that occurs."""
    legend: dict[str, Entry] = {}
    x, y = broken(times, values)
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
        ground = spans(axes, times, imputed, facecolor=LIGHT_GREY)
        legend[f"imputed by the source, {imputed.sum()} of {len(values)} steps"] = (ground, line)
    missing = np.isnan(values)
    if missing.any():
        ground = spans(axes, times, missing, **GAP)
        legend[f"missing, {missing.sum()} of {len(values)} steps"] = ground
    return legend


def broken(times: pd.DatetimeIndex, values: Series) -> tuple[Series, Series]:
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


def spans(axes: Axes, times: pd.DatetimeIndex, mask: Mask, **style: Any) -> PolyCollection:
    """Ground of full height behind the steps of `mask`, half a step to either side."""
    step = typical_step(times)
    edges = np.diff(np.pad(mask.astype(np.int8), 1))
    x = days(times)
    firsts, lasts = x[np.flatnonzero(edges == 1)] - step / 2, x[np.flatnonzero(edges == -1) - 1] + step / 2
    return axes.broken_barh(
        list(zip(firsts, lasts - firsts, strict=True)), (0, 1),
        transform=axes.get_xaxis_transform(), linewidth=0, zorder=0.5, **style,
    )  # fmt: skip


def value_limits(axes: Axes, arrays: list[Series], headroom: float = 0.05, ticks: int = 7) -> None:
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
    value_axis(axes, ticks)


def history_in_words(times: pd.DatetimeIndex, values: Series, imputed: Mask, unit: str) -> str:
    """First, last, lowest and highest reading with their times, and how many steps are missing or imputed."""
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


def rough(value: float) -> str:
    """A derived value in words: at most three significant digits."""
    return number(float(f"{value:.3g}"))
