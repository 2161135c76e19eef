"""The univariate heatmap: one node's readings folded by a period, days and weeks by the local calendar."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from numpy.typing import NDArray

from mm4st_agent.errors import UsageError
from mm4st_agent.imaging.cells import ABSENT, AROUND_PX, cell_image, colour_bar, hatch_cells, label_rows
from mm4st_agent.imaging.figure import GREY, HEIGHT_PX, WIDTH_PX, Picture, Sheet, words
from mm4st_agent.imaging.readings import NO_READING, Mask, Series, Trace, history_in_words, regular, rough
from mm4st_agent.imaging.timeaxis import duration, span_in_words, step_seconds
from mm4st_agent.patterns.period import fold_period

MAX_ROWS = 400
"""More days or periods than this would be thinner than a line."""
MAX_COLUMNS = 512

_DAY_S = 86_400.0
_WEEK_S = 7 * _DAY_S
_ROW_PX = 60
_HATCH = "//////"


class _Grid(NamedTuple):
    """A fold: where each step goes, what a row is, and why.

    Attributes:
        rows, columns: `(T,)` the cell of each step.
        labels: The names of the rows.
        width: Columns in a row.
        row: Such as 'local day'.
        why: Where the period comes from, with its confidence.
    """

    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    labels: list[str]
    width: int
    row: str
    why: str


def draw_folded(
    *,
    times: pd.DatetimeIndex,
    values: NDArray[np.floating],
    imputed: NDArray[np.bool_],
    title: str,
    unit: str,
    time_zone: str,
    synthetic: bool,
    period_s: float | None = None,
) -> Picture:
    """Draw a row a period, the oldest on top, and the time within the period to the right.

    A row of a day is a day of the local calendar, from midnight to midnight by the clock; one of a week runs from
    Monday. An hour that a clock change skips stays blank, and of one that it repeats the mean is drawn.

    Args:
        times: `(T,)` zone-aware, oldest first; a stamp that is left out counts as missing.
        values: `(T,)` in `unit`; NaN is missing, hatched; imputed values included.
        imputed: `(T,)`, True where the source filled in a value that nobody measured.
        title: The heading, such as "Station 1205330: traffic flow".
        unit: What the colours count.
        time_zone: IANA name of the zone in which people read these times.
        synthetic: Whether a simulation made the data; the picture then says so.
        period_s: Seconds in a row; None finds the dominant period, else takes the day.

    Raises:
        UsageError: the arrays differ in length, the times are uneven or fewer than 2, or the period is shorter than
            two steps, longer than the series, or needs more than 400 rows.
    """
    when, shown, filled = regular(*Trace(title, times, values, imputed).checked(time_zone))
    grid = _grid(when, shown, period_s)
    if len(grid.labels) > MAX_ROWS:
        raise UsageError(
            f"{len(grid.labels)} rows of a {grid.row} do not fit into a picture.",
            f"Choose a shorter window, or a period that needs at most {MAX_ROWS} rows.",
        )
    cells, guessed, outside = _cells(grid, shown, filled)

    rows = len(grid.labels)
    height = min(max(AROUND_PX + rows * _ROW_PX, HEIGHT_PX), WIDTH_PX)
    sheet = Sheet(title, synthetic=synthetic, height_px=height)
    axes = sheet.axes
    axes.grid(visible=False)
    edges = np.linspace(0.0, grid.width * step_seconds(when), cells.shape[1] + 1)
    legend: dict[str, Artist] = {}
    every = label_rows(axes, grid.labels, None)
    if np.isnan(cells).all():
        sheet.say(NO_READING)
    else:
        colour_bar(sheet, cell_image(axes, cells.T, edges), unit)
    absent = np.isnan(cells) & ~outside
    if absent.any():
        legend[f"missing, {np.isnan(shown).sum()} of {len(shown)} steps"] = hatch_cells(axes, absent.T, edges, **ABSENT)
    if guessed.any():
        hatch_cells(axes, guessed.T, edges, facecolor="none", edgecolor="white", hatch=_HATCH)
        legend[f"imputed by the source, {filled.sum()} of {len(shown)} steps"] = Patch(
            facecolor="#21918C", edgecolor="white", hatch=_HATCH, lw=0
        )
    if outside.any():
        legend["outside the window, or no such time"] = Patch(facecolor="white", edgecolor=GREY, lw=0.8)
    axes.set_ylim(rows - 0.5, -0.5)
    axes.set_xlim(edges[0], edges[-1])
    _columns_axis(axes, grid, float(edges[-1]), f"{span_in_words(when[0], when[-1])}, {time_zone}")
    named = f", one in {every} named" if every > 1 else ""
    note = f"Univariate heatmap. A row is a {grid.row}{named}: {grid.why}"
    history = history_in_words(when, shown, filled, unit)
    alt = f"Folded heatmap, {title}: {history}. {rows} rows, each a {grid.row}: {grid.why}.{_means(grid, cells)}"
    return sheet.picture(alt, legend, note=note)


def _grid(when: pd.DatetimeIndex, values: Series, period_s: float | None) -> _Grid:
    step_s = step_seconds(when)
    if period_s is None:
        fold = fold_period(values, step_s)
        length = fold.steps * step_s
        found = f"the dominant period is {duration(length)} (confidence {fold.confidence:.2f})"
        why = {
            "period": found,
            "day": "no period was found, so a row is a day",
            "square": "no period was found, and the window has no whole day, so rows make a square",
        }[fold.reason]
    else:
        length, why = period_s, "this period was asked for"
        if not 2 * step_s <= length <= step_s * len(when):
            raise UsageError(
                f"A period of {length:g} s does not fit {len(when)} steps of {step_s:g} s.",
                f"Choose {2 * step_s:g} s to {len(when) * step_s:g} s.",
            )
    # A period within a fiftieth of a day or week is the calendar's: nothing else keeps that pace.
    for natural in (_DAY_S, _WEEK_S):
        if abs(length - natural) <= max(step_s, 0.02 * natural) and natural % step_s < 1e-6:
            return _calendar(when, natural, step_s, why)
    width = max(1, round(length / step_s))
    at = np.arange(len(when))
    rows = math.ceil(len(when) / width)
    labels = [f"{when[row * width]:%d %b %H:%M}" for row in range(rows)]
    return _Grid(at // width, at % width, labels, width, f"period of {duration(width * step_s)}", why)


def _calendar(when: pd.DatetimeIndex, natural: float, step_s: float, why: str) -> _Grid:
    """Rows of local days, or of weeks from Monday, columns by the clock."""
    dates = when.tz_localize(None).normalize()
    clock = (when.tz_localize(None) - dates).total_seconds().to_numpy()
    if natural == _WEEK_S:
        clock = clock + when.day_of_week.to_numpy() * _DAY_S
        dates = dates - pd.to_timedelta(when.day_of_week.to_numpy(), unit="D")
    first = dates[0]
    rows = ((dates - first).total_seconds().to_numpy() / natural).round().astype(np.intp)
    starts = [first + pd.Timedelta(seconds=natural * row) for row in range(int(rows[-1]) + 1)]
    labels = [f"{start:%a %d %b}" if natural == _DAY_S else f"from {start:%d %b}" for start in starts]
    width = round(natural / step_s)
    columns = np.minimum((clock / step_s).astype(np.intp), width - 1)
    row = "local day" if natural == _DAY_S else "local week from Monday"
    return _Grid(rows, columns, labels, width, row, why)


def _cells(grid: _Grid, values: Series, imputed: Mask) -> tuple[Series, Mask, Mask]:
    """`(rows, columns)` means, whether half or more of a cell is imputed, and the cells that no step belongs to."""
    pooled = -(-grid.width // MAX_COLUMNS)
    shape = (len(grid.labels), -(-grid.width // pooled))
    at = (grid.rows, grid.columns // pooled)
    known = ~np.isnan(values)
    sums, steps, counts, guessed = (np.zeros(shape) for _ in range(4))
    for total, weight in ((sums, np.where(known, values, 0.0)), (steps, 1.0), (counts, known), (guessed, imputed)):
        np.add.at(total, at, weight)
    means = np.divide(sums, counts, out=np.full(shape, np.nan), where=counts > 0)
    return means, (counts > 0) & (2 * guessed >= counts), steps == 0


def _columns_axis(axes: Axes, grid: _Grid, width_s: float, window: str) -> None:
    """Clock times of a day, days of a week, or hours since the start of a period."""
    if grid.row == "local day":
        hours = range(0, 25, 3)
        axes.set_xticks([3600.0 * hour for hour in hours], [f"{hour:02d}:00" for hour in hours], **words())
        axes.set_xlabel(f"local time of day; {window}", **words())
    elif grid.row.startswith("local week"):
        names = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
        axes.set_xticks([_DAY_S * day for day in range(7)], names, **words())
        axes.set_xlabel(f"local day of the week; {window}", **words())
    else:
        ticks = np.linspace(0.0, width_s, 5)
        axes.set_xticks(ticks, [duration(tick) if tick else "0" for tick in ticks], **words())
        axes.set_xlabel(f"time since the start of the row; {window}", **words())


def _means(grid: _Grid, cells: Series) -> str:
    """Which rows, and which time of the row, are highest and lowest on average."""
    known = ~np.isnan(cells)
    if not known.any():
        return ""
    # Only what most rows, or columns, have: a row of one reading says nothing about its mean.
    whole = known.sum(axis=1) >= known.sum(axis=1).max() / 2
    means = np.where(whole, np.nansum(cells, axis=1) / np.maximum(known.sum(axis=1), 1), np.nan)
    low, high = int(np.nanargmin(means)), int(np.nanargmax(means))
    said = f" Highest mean of a row: {rough(means[high])} ({grid.labels[high]})"
    if high != low:
        said += f", lowest {rough(means[low])} ({grid.labels[low]})"
    return said + "."
