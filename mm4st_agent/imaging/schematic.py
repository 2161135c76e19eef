"""A road diagram for nodes without coordinates: a row a freeway and direction, the postmile to the right."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from mm4st_agent.errors import UsageError
from mm4st_agent.imaging.cells import short
from mm4st_agent.imaging.figure import GREY, HEIGHT_PX, WIDTH_PX, Picture, Sheet, drawable, words
from mm4st_agent.imaging.network_map import (
    checked_values,
    draw_nodes,
    label_nodes,
    positions,
    ring,
    to_name,
    values_in_words,
)
from mm4st_agent.imaging.timeaxis import local, span_in_words

_AROUND_PX = 250
_ROW_PX = 95


def draw_schematic(
    *,
    nodes: pd.DataFrame,
    values: NDArray[np.floating],
    times: pd.DatetimeIndex,
    title: str,
    unit: str,
    time_zone: str,
    synthetic: bool,
    change: bool = False,
    highlight: Sequence[str] = (),
) -> Picture:
    """Draw each freeway and direction as a level line with its nodes at their postmiles, coloured by value.

    The directions of one freeway ('I5-N', 'I5-S') start at the same postmile, so what lies above each other is at
    the same place of the road. Freeways stand in no true position to each other.

    Args:
        nodes: One row a node, indexed by id: `freeway` (text), `postmile` (miles), `name` where there is one.
        values: `(N,)` in `unit`, in the order of `nodes`; NaN is missing, drawn as a hollow grey ring.
        times: `(K,)` zone-aware, oldest first: the times that the values are of.
        title: The heading.
        unit: What the colours count.
        time_zone: IANA name of the zone in which people read these times.
        synthetic: Whether a simulation made the data; the picture then says so.
        change: Whether the values are differences; blue is then below 0 and red above.
        highlight: Ids that are ringed and named; the lowest and highest nodes are named anyhow.

    Raises:
        UsageError: the nodes have no freeway or postmile, `values` does not fit, a highlighted id is unknown, or
            the times or `time_zone` cannot be used.
    """
    when = local(times, time_zone)
    shown = checked_values(nodes, values, highlight)
    if not {"freeway", "postmile"} <= set(nodes.columns) or nodes["postmile"].isna().all():
        raise UsageError(
            f"The {len(nodes)} nodes have no freeway and postmile, so there is no schematic.",
            "Draw a map where they have coordinates, else a heatmap.",
        )
    freeway = nodes["freeway"].astype(str)
    postmile = nodes["postmile"].astype(np.float64)
    rows = sorted(freeway.unique())
    x = (postmile - postmile.groupby(freeway.str.split("-").str[0]).transform("min")).to_numpy(dtype=np.float64)
    y = freeway.map({name: row for row, name in enumerate(rows)}).to_numpy(dtype=np.float64)

    height = min(max(_AROUND_PX + _ROW_PX * len(rows), HEIGHT_PX), WIDTH_PX)
    sheet = Sheet(title, synthetic=synthetic, height_px=height)
    axes = sheet.axes
    axes.grid(visible=False, axis="y")
    for row in range(len(rows)):
        miles = x[y == row]
        axes.plot([np.nanmin(miles), np.nanmax(miles)], [row, row], color=GREY, lw=2.5, zorder=1)
    longest = float(np.nanmax(x)) or 1.0
    axes.set(xlim=(-0.04 * longest, 1.04 * longest), ylim=(len(rows) - 0.4, -0.6))
    axes.set_yticks(range(len(rows)), [short(drawable(name)) for name in rows], **words())
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, steps=[1, 2, 5, 10]))
    axes.set_xlabel("miles along the freeway, from its lowest postmile here", **words())
    marked = positions(nodes, highlight)
    legend = draw_nodes(sheet, x, y, shown, unit, change=change, on_top=marked)
    ring(axes, x, y, marked, legend)
    named = to_name(nodes, shown, highlight)

    def finish() -> None:
        label_nodes(axes, nodes, x, y, shown, named)

    note = f"{span_in_words(when[0], when[-1])}, local time ({when.tz}); a row a freeway, not a map"
    alt = f"Schematic of {len(rows)} roads, {title}: {values_in_words(nodes, shown, unit, change=change)}, {note}."
    return sheet.picture(alt, legend, note=note, finish=finish)
