"""A picture made of cells: the image, its colour bar, hatched cells, and the names of its rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.image import AxesImage
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from numpy.typing import NDArray

from mm4st_agent.imaging.figure import (
    COLOUR_MAP,
    VERMILLION,
    WIDTH_PX,
    Sheet,
    drawable,
    fit,
    plain,
    unit_name,
    value_axis,
    words,
)

AROUND_PX = 270
"""What header, time axis and their gaps take of the height."""
ABSENT: dict[str, Any] = {"facecolor": "#D9D9D9", "edgecolor": "#8C8C8C", "hatch": "xxx"}
"""The look of missing cells: never a colour of the scale."""

_LETTERS = 28
_LINE_PX = 28

Series = NDArray[np.float64]
Mask = NDArray[np.bool_]


def cell_image(axes: Axes, cells: Series, edges: Series) -> AxesImage:
    """Draw `cells` `(C, N)`, a column each between two of `edges` `(C + 1,)`, a row a node; NaN stays blank."""
    low, high = float(np.nanmin(cells)), float(np.nanmax(cells))
    if low == high:
        low, high = low - 0.5, high + 0.5
    extent = (float(edges[0]), float(edges[-1]), cells.shape[1] - 0.5, -0.5)
    return axes.imshow(
        np.ma.masked_invalid(cells.T), cmap=COLOUR_MAP, vmin=low, vmax=high, extent=extent,
        aspect="auto", interpolation="nearest", origin="upper",
    )  # fmt: skip


def colour_bar(sheet: Sheet, image: ScalarMappable, name: str, axes: Axes | None = None) -> None:
    """Explain the colours of `axes` (the sheet's first) beside them, and say above them what they count."""
    owner = sheet.axes if axes is None else axes
    bar = sheet.figure.colorbar(image, ax=owner, fraction=0.05, pad=0.015, aspect=_bar_aspect(sheet, owner))
    plain(bar.ax)
    bar.ax.spines[:].set_visible(False)
    bar.outline.set_visible(False)
    value_axis(bar.ax)
    title = owner.set_title(drawable(f"colour: {unit_name(name)}"), loc="right", **words())
    fit(title, 0.6 * WIDTH_PX)


def _bar_aspect(sheet: Sheet, axes: Axes) -> float:
    """Length of a bar 26 pixels thick."""
    share = axes.get_position().height / sum(row[0].get_position().height for row in sheet.panels)
    return float(share * (sheet.figure.bbox.height - AROUND_PX) / 26)


def hatch_cells(axes: Axes, mask: Mask, edges: Series, **style: str) -> PathPatch:
    """One hatched shape over the cells of `mask` `(C, N)`, runs of a row joined."""
    corners: list[tuple[float, float]] = []
    for row, cells in enumerate(mask.T):
        change = np.diff(np.pad(cells.astype(np.int8), 1))
        for first, last in zip(edges[np.flatnonzero(change == 1)], edges[np.flatnonzero(change == -1)], strict=True):
            top, bottom = row - 0.5, row + 0.5
            corners += [(first, top), (last, top), (last, bottom), (first, bottom), (first, top)]
    one = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY]
    patch = PathPatch(Path(corners, one * (len(corners) // 5)), linewidth=0, zorder=3, **style)
    patch.set_hatch_linewidth(1.0)
    axes.add_patch(patch)
    return patch


def row_px(axes: Axes, rows: int) -> float:
    """About how high a row will be."""
    return float(axes.figure.bbox.height - AROUND_PX) / rows


def label_rows(axes: Axes, labels: Sequence[str], highlight: str | None) -> int:
    """Name every row, or every k-th where letters would touch (gives k); the highlighted one always."""
    rows = len(labels)
    every = max(1, int(np.ceil(_LINE_PX / row_px(axes, rows))))
    named = set(range(0, rows, every))
    marked = list(labels).index(highlight) if highlight is not None else None
    if marked is not None:
        named = {row for row in named if abs(row - marked) >= every} | {marked}
    shown = sorted(named)
    names = [short(drawable(labels[row])) for row in shown]
    axes.set_yticks(shown, names, **words())
    for row, tick in zip(shown, axes.get_yticklabels(), strict=True):
        if row == marked:
            tick.set(weight="bold", color=VERMILLION)
    return every


def short(label: str) -> str:
    """A label of at most 28 letters."""
    return label if len(label) <= _LETTERS else label[: _LETTERS - 1].rstrip() + "…"
