"""Heatmaps of a channel over nodes (rows) and local time (columns)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.patches import Patch, Rectangle
from numpy.typing import NDArray

from mm4st_agent.errors import UsageError
from mm4st_agent.imaging.cells import ABSENT, AROUND_PX, cell_image, colour_bar, hatch_cells, label_rows, row_px
from mm4st_agent.imaging.figure import (
    DPI,
    HEIGHT_PX,
    VERMILLION,
    WIDTH_PX,
    Picture,
    Sheet,
    number,
    unit_name,
)
from mm4st_agent.imaging.readings import NO_READING, Mask, Series, rough
from mm4st_agent.imaging.timeaxis import days, local, stamp, time_axis, typical_step

MAX_COLUMNS = 512
"""More steps than this are averaged into columns: a screen, and a model, would drop them silently."""

_IMPUTED_HATCH = "//////"
_ROW_PX = 34


def draw_heatmap(
    *,
    times: pd.DatetimeIndex,
    values: NDArray[np.floating],
    node_labels: Sequence[str],
    highlight: str | None,
    title: str,
    unit: str,
    time_zone: str,
    synthetic: bool,
    imputed: NDArray[np.bool_] | None = None,
    order: str = "",
) -> Picture:
    """Draw a channel of many nodes at once: a row a node, first on top; time runs to the right.

    Missing cells are grey and hatched, never a colour of the scale; imputed cells keep their
    colour and are hatched. Beyond `MAX_COLUMNS` steps a column is the mean of several steps,
    and the picture says of how many.

    Args:
        times: `(T,)` zone-aware, evenly spaced, oldest first.
        values: `(T, N)` in `unit`; NaN is missing; imputed values included.
        node_labels: N names, for the rows from top to bottom.
        highlight: The label whose row is framed, or None.
        title: The heading.
        unit: What the colours count.
        time_zone: IANA name of the zone in which people read these times.
        synthetic: Whether a simulation made the data; the picture then says so.
        imputed: `(T, N)`, True where the source filled in a value that nobody measured.
        order: What the order of the rows means, such as "along the road".

    Raises:
        UsageError: the shapes disagree, `highlight` is no label, or times or zone cannot be used.
    """
    when = local(times, time_zone)
    known, filled = _checked(when, values, imputed, node_labels, highlight)
    cells, cells_filled, pooled = _pool(known, filled)

    rows = len(node_labels)
    sheet = Sheet(title, synthetic=synthetic, height_px=min(max(AROUND_PX + rows * _ROW_PX, HEIGHT_PX), WIDTH_PX))
    axes = sheet.axes
    axes.grid(visible=False)
    step = typical_step(when)
    left = float(days(when)[0]) - step / 2
    edges = np.minimum(left + np.arange(len(cells) + 1) * step * pooled, left + len(when) * step)
    legend: dict[str, Artist] = {}
    every = label_rows(axes, node_labels, highlight)
    if np.isnan(known).all():
        sheet.say(NO_READING)
    else:
        colour_bar(sheet, cell_image(axes, cells, edges), unit)
    if (absent := np.isnan(cells)).any():
        legend["missing"] = hatch_cells(axes, absent, edges, **ABSENT)
    if (guessed := cells_filled & ~absent).any():
        hatch_cells(axes, guessed, edges, facecolor="none", edgecolor="white", hatch=_IMPUTED_HATCH)
        legend["imputed by the source"] = Patch(facecolor="#21918C", edgecolor="white", hatch=_IMPUTED_HATCH, lw=0)
    time_axis(axes, when, max_ticks=7)
    axes.set_ylim(rows - 0.5, -0.5)
    if highlight is not None:
        _frame_row(axes, list(node_labels).index(highlight), rows)
    alt = f"Heatmap, {title}: {_in_words(when, known, filled, node_labels, unit)}."
    return sheet.picture(alt, legend, note=_orientation(rows, every, order, pooled))


def _checked(
    times: pd.DatetimeIndex,
    values: NDArray[np.floating],
    imputed: NDArray[np.bool_] | None,
    labels: Sequence[str],
    highlight: str | None,
) -> tuple[Series, Mask]:
    """Values, with everything that is not a number missing, and the mask, both `(T, N)`."""
    shape = (len(times), len(labels))
    filled = np.zeros(shape, dtype=bool) if imputed is None else np.asarray(imputed, dtype=bool)
    if np.shape(values) != shape or filled.shape != shape or not labels:
        raise UsageError(
            f"values {np.shape(values)} and imputed {filled.shape} do not fit {shape[0]} times x {shape[1]} labels.",
            "Give (T, N) arrays with at least one node.",
        )
    if highlight is not None and highlight not in labels:
        raise UsageError(f"No row is labelled {highlight!r}.", f"The first rows are {', '.join(labels[:3])}.")
    step = typical_step(times)
    if np.abs(np.diff(days(times)) - step).max(initial=0.0) > 0.01 * step:
        raise UsageError(f"The {len(times)} times are not evenly spaced.", "Put rows of NaN where times were left out.")
    return np.where(np.isfinite(values), values, np.nan).astype(np.float64), filled


def _pool(values: Series, imputed: Mask) -> tuple[Series, Mask, int]:
    """At most `MAX_COLUMNS` columns `(C, N)`, each the mean of what is known of `pooled` steps.

    A column counts as imputed when half or more of its known steps are.
    """
    pooled = -(-len(values) // MAX_COLUMNS)
    if pooled == 1:
        return values, imputed, 1
    starts = np.arange(0, len(values), pooled)
    known = ~np.isnan(values)
    counts = np.add.reduceat(known, starts, axis=0, dtype=np.int64)
    sums = np.add.reduceat(np.where(known, values, 0.0), starts, axis=0)
    guessed = np.add.reduceat(imputed & known, starts, axis=0, dtype=np.int64)
    means = np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)
    return means, (counts > 0) & (2 * guessed >= counts), pooled


def _frame_row(axes: Axes, row: int, rows: int) -> None:
    """Frame a row from outside, so that a thin one stays visible."""
    width_px = 5.0
    beside = width_px / 2 / row_px(axes, rows)
    left, right = axes.get_xlim()
    frame = Rectangle(
        (left, row - 0.5 - beside), right - left, 1 + 2 * beside, fill=False, edgecolor=VERMILLION,
        linewidth=width_px * 72 / DPI, zorder=5,
    )  # fmt: skip
    frame.set_clip_on(False)
    axes.add_patch(frame)


def _orientation(rows: int, every: int, order: str, pooled: int) -> str:
    row = " ".join(part for part in (f"{rows} rows", order) if part) + ", first on top" if rows > 1 else "1 row"
    named = f", one in {every} named" if every > 1 else ""
    column = f", means of {pooled} steps" if pooled > 1 else ""
    return f"{row}{named}; time runs to the right{column}"


def _in_words(times: pd.DatetimeIndex, values: Series, imputed: Mask, labels: Sequence[str], unit: str) -> str:
    missing = np.isnan(values)
    count = f"{missing.sum()} of {values.size} cells missing"
    filled = f", {(imputed & ~missing).sum()} imputed" if (imputed & ~missing).any() else ""
    window = f"{stamp(times[0])} to {stamp(times[-1])} local time ({times.tz})"
    rows = f"{len(labels)} rows from {labels[0]} (top) to {labels[-1]} (bottom)" if len(labels) > 1 else labels[0]
    if missing.all():
        return f"{rows}, no reading from {window}, {count}"

    def told(flat: int) -> str:
        step, node = divmod(flat, values.shape[1])
        return f"{number(values[step, node])} at {labels[node]}, {stamp(times[step])}"

    return (
        f"{rows}, unit {unit_name(unit)}, from {window}, lowest {told(int(np.nanargmin(values)))}, "
        f"highest {told(int(np.nanargmax(values)))}, mean {rough(float(np.nanmean(values)))}, {count}{filled}"
    )
