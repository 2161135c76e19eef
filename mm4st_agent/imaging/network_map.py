"""Maps of a network: nodes coloured by value, or by change, over the links between them.

Nothing comes from the network: a map shows what the data set knows, and no tiles.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.lines import Line2D
from matplotlib.transforms import Bbox
from numpy.typing import NDArray

from mm4st_agent.errors import UsageError
from mm4st_agent.imaging.cells import colour_bar, short
from mm4st_agent.imaging.figure import (
    COLOUR_MAP,
    DIVERGING,
    DPI,
    GREY,
    HEIGHT_PX,
    INK,
    VERMILLION,
    WIDTH_PX,
    Picture,
    Sheet,
    drawable,
    number,
    unit_name,
    words,
)
from mm4st_agent.imaging.readings import NO_READING, Series, rough
from mm4st_agent.imaging.timeaxis import local, span_in_words

EXTREMES = 2
"""So many of the lowest and of the highest nodes are named."""
MOST_LABELS = 8

_KM_PER_DEGREE = 111.195
_BESIDE_PX = 190
"""What the colour bar and the edges take of the width."""
_ABOVE_PX = 190
"""What the header takes of the height."""
_FEWEST_KM = 0.2
_BELOW = 0.16
"""Room for the scale bar, as a share of the height of the map."""
_SIDES = ((1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1), (0, 1), (0, -1))


def draw_map(
    *,
    nodes: pd.DataFrame,
    edges: pd.DataFrame,
    values: NDArray[np.floating],
    times: pd.DatetimeIndex,
    title: str,
    unit: str,
    time_zone: str,
    synthetic: bool,
    change: bool = False,
    highlight: Sequence[str] = (),
) -> Picture:
    """Draw every node at its place, coloured by its value, over the links between them.

    Args:
        nodes: One row a node, indexed by id: `lat` and `lon` in degrees (NaN is unknown), `name` where there is one.
        edges: `source` and `target` ids; links to unknown nodes are left out.
        values: `(N,)` in `unit`, in the order of `nodes`; NaN is missing, drawn as a hollow grey ring.
        times: `(K,)` zone-aware, oldest first: the times that the values are of, such as the mean of a window.
        title: The heading, such as "Speed".
        unit: What the colours count.
        time_zone: IANA name of the zone in which people read these times.
        synthetic: Whether a simulation made the data; the picture then says so.
        change: Whether the values are differences; blue is then below 0 and red above.
        highlight: Ids that are ringed and named; the lowest and highest nodes are named anyhow.

    Raises:
        UsageError: no node has coordinates, `values` does not fit, a highlighted id is unknown, or the times or
            `time_zone` cannot be used.
    """
    when = local(times, time_zone)
    shown = checked_values(nodes, values, highlight)
    east, north = _kilometres(nodes)
    placed = ~np.isnan(east)
    if not placed.any():
        raise UsageError(
            f"None of the {len(nodes)} nodes has coordinates, so there is no map.",
            "Draw a line plot or a heatmap, or a schematic where the nodes have a freeway and a postmile.",
        )
    frame = _frame(east[placed], north[placed])
    room = WIDTH_PX - _BESIDE_PX
    height = float(np.clip(room * frame.height / frame.width + _ABOVE_PX, HEIGHT_PX, WIDTH_PX))
    width = frame.width
    # A map that is narrower than its picture stands in the middle: on both sides is room for names.
    spare = max(0.0, frame.height * room / (height - _ABOVE_PX) - width)
    frame = Bbox([[frame.x0 - spare / 2, frame.y0], [frame.x1 + spare / 2, frame.y1]])
    sheet = Sheet(title, synthetic=synthetic, height_px=round(height))
    axes = sheet.axes
    axes.grid(visible=False)
    axes.set(xlim=(frame.x0, frame.x1), ylim=(frame.y0, frame.y1), xticks=[], yticks=[])
    axes.set_aspect("equal", anchor="W")
    for spine in axes.spines.values():
        spine.set_visible(False)
    _links(axes, nodes, edges, east, north)
    marked = positions(nodes, highlight)
    legend = draw_nodes(sheet, east, north, shown, unit, change=change, on_top=marked)
    ring(axes, east, north, marked, legend)
    _scale_bar(axes, frame)

    named = to_name(nodes, np.where(placed, shown, np.nan), highlight)

    def finish() -> None:
        label_nodes(axes, nodes, east, north, shown, named)

    unplaced = f"; {(~placed).sum()} nodes without coordinates are not drawn" if not placed.all() else ""
    note = f"{span_in_words(when[0], when[-1])}, local time ({when.tz}){unplaced}"
    alt = f"Map, {title}: {values_in_words(nodes, shown, unit, change=change)}, {note}. It is {rough(width)} km wide."
    return sheet.picture(alt, legend, note=note, finish=finish)


def checked_values(nodes: pd.DataFrame, values: NDArray[np.floating], highlight: Sequence[str]) -> Series:
    """`(N,)` with everything that is not a number missing.

    Raises:
        UsageError: there is no node, the shape does not fit, or a highlighted id is unknown.
    """
    if not len(nodes) or np.shape(values) != (len(nodes),):
        raise UsageError(f"values has the shape {np.shape(values)}.", f"{len(nodes)} nodes need ({len(nodes)},).")
    if unknown := [node for node in highlight if node not in nodes.index]:
        raise UsageError(f"There is no node {unknown[0]!r}.", f"Known are {', '.join(map(str, nodes.index[:3]))}.")
    shown = np.asarray(values, dtype=np.float64)
    return np.where(np.isfinite(shown), shown, np.nan)


def draw_nodes(
    sheet: Sheet, x: Series, y: Series, values: Series, unit: str, *, change: bool, on_top: Sequence[int] = ()
) -> dict[str, Artist | tuple[Artist, ...]]:
    """Dots coloured by value with their colour bar, hollow grey rings where it is missing; the legend's entries."""
    axes, missing = sheet.axes, np.isnan(values)
    size = _dot_size(len(values))
    legend: dict[str, Artist | tuple[Artist, ...]] = {}
    if missing.any():
        rings: dict[str, Any] = {"facecolors": "white", "edgecolors": GREY, "linewidths": 1.6}
        axes.scatter(x[missing], y[missing], s=0.8 * size, zorder=3, **rings)
        label = f"missing, {missing.sum()} of {len(values)} nodes"
        legend[label] = Line2D([], [], ls="", marker="o", ms=9, mfc="white", mec=GREY, mew=1.6)
    if missing.all():
        sheet.say(NO_READING)
        return legend
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    if change:
        high = max(abs(low), abs(high)) or 1.0
        low = -high
    elif low == high:
        low, high = low - 0.5, high + 0.5
    # What is far from the middle is drawn last: extremes must not hide below others.
    known = np.flatnonzero(~missing)
    apart = np.abs(values[known] - np.median(values[known]))
    known = known[np.lexsort((apart, np.isin(known, on_top)))]
    dots = axes.scatter(
        x[known], y[known], c=values[known], s=size, cmap=DIVERGING if change else COLOUR_MAP,
        norm=Normalize(low, high), edgecolors=INK, linewidths=0.6 if len(values) < 1000 else 0.2, zorder=4,
    )  # fmt: skip
    colour_bar(sheet, dots, f"change, {unit_name(unit)}" if change else unit)
    return legend


def to_name(nodes: pd.DataFrame, values: Series, highlight: Sequence[str]) -> list[int]:
    """Positions of the nodes to name, most important first: highlighted ones, then the highest and lowest."""
    known = np.argsort(values, kind="stable")[: (~np.isnan(values)).sum()].tolist()
    extremes = [node for pair in zip(known[::-1][:EXTREMES], known[:EXTREMES], strict=True) for node in pair]
    return list(dict.fromkeys([*positions(nodes, highlight), *extremes]))[:MOST_LABELS]


def label_nodes(axes: Axes, nodes: pd.DataFrame, x: Series, y: Series, values: Series, named: Sequence[int]) -> None:
    """Name nodes beside their dots, where no other name stands and fewest dots lie; a name without room is left out."""
    inside = axes.get_window_extent()
    dots = axes.transData.transform(np.column_stack([x, y]))
    radius = math.sqrt(_dot_size(len(values))) / 2 * DPI / 72
    taken = [text.get_window_extent() for text in axes.texts if text.get_text()]
    for node in named:
        if np.isnan(dots[node]).any():
            continue
        text = axes.text(
            0, 0, drawable(node_label(nodes, node, values)), ha="center", va="center", zorder=7, transform=None,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1.5}, **words(weight="bold"),
        )  # fmt: skip
        text.set_in_layout(False)
        size = text.get_window_extent()
        others = np.delete(dots, node, axis=0)
        best: tuple[float, Bbox] | None = None
        for reach in (16, 40, 80, 130):
            for across, up in _SIDES:
                centre = dots[node] + (across * (reach + size.width / 2), up * (reach + size.height / 2))
                box = Bbox.from_bounds(
                    centre[0] - size.width / 2 - 4, centre[1] - size.height / 2 - 4, size.width + 8, size.height + 8
                )
                free = box.x0 > inside.x0 and box.x1 < inside.x1 and box.y0 > inside.y0 and box.y1 < inside.y1
                if not free or any(box.overlaps(other) for other in taken):
                    continue
                covered = float(_inside(others, box.padded(radius))) + reach / 40
                if best is None or covered < best[0]:
                    best = covered, box
        if best is None:
            text.remove()
            continue
        box = best[1]
        taken.append(box)
        text.set_position(((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2))
        nearest = np.clip(dots[node], (box.x0, box.y0), (box.x1, box.y1))
        line = Line2D(*np.column_stack([dots[node], nearest]), color=INK, lw=1.0, zorder=3.5, transform=None)
        line.set_in_layout(False)
        axes.add_artist(line)


def _dot_size(nodes: int) -> float:
    """Of one dot, in square points."""
    return float(np.clip(9000 / nodes, 7, 170))


def _inside(dots: Series, box: Bbox) -> int:
    return int(((dots > (box.x0, box.y0)) & (dots < (box.x1, box.y1))).all(axis=1).sum())


def node_label(nodes: pd.DataFrame, node: int, values: Series) -> str:
    """Such as `773869: 63.2`."""
    value = "missing" if np.isnan(values[node]) else rough(float(values[node]))
    return f"{short(_name(nodes, node))}: {value}"


def _name(nodes: pd.DataFrame, node: int) -> str:
    name = nodes["name"].iloc[node] if "name" in nodes else None
    return " ".join(name.split()) if isinstance(name, str) and name.strip() else str(nodes.index[node])


def _whole(nodes: pd.DataFrame, node: int) -> str:
    """The id, and the name where it has another: names alone need not be unique."""
    key, name = str(nodes.index[node]), _name(nodes, node)
    return key if key == name else f"{key} ({name})"


def values_in_words(nodes: pd.DataFrame, values: Series, unit: str, *, change: bool) -> str:
    """How many nodes, the lowest, the highest, the median, and how many are missing; for changes also their signs."""
    missing = np.isnan(values)
    count = f"{len(values)} nodes, {missing.sum()} missing"
    if missing.all():
        return f"{count}, no reading"
    low, high = int(np.nanargmin(values)), int(np.nanargmax(values))
    told = (
        f"{count}, unit {unit_name(unit)}, lowest {number(float(values[low]))} at {_whole(nodes, low)}, highest "
        f"{number(float(values[high]))} at {_whole(nodes, high)}, median {rough(float(np.nanmedian(values)))}"
    )
    return told + (f", {(values > 0).sum()} rise and {(values < 0).sum()} fall" if change else "")


def _kilometres(nodes: pd.DataFrame) -> tuple[Series, Series]:
    """Kilometres east and north of the middle; both NaN where a coordinate is unknown or impossible."""
    if not {"lat", "lon"} <= set(nodes.columns):
        return np.full(len(nodes), np.nan), np.full(len(nodes), np.nan)
    lat, lon = (nodes[column].to_numpy(dtype=np.float64) for column in ("lat", "lon"))
    known = (np.abs(lat) <= 90) & (np.abs(lon) <= 180)
    lat, lon = np.where(known, lat, np.nan), np.where(known, lon, np.nan)
    if not known.any():
        return lon, lat
    if np.nanmax(lon) - np.nanmin(lon) > 180:  # on both sides of the date line
        lon = lon % 360
    middle = (np.nanmin(lat) + np.nanmax(lat)) / 2
    east = (lon - np.nanmin(lon)) * _KM_PER_DEGREE * math.cos(math.radians(middle))
    return east, (lat - middle) * _KM_PER_DEGREE


def _frame(east: Series, north: Series) -> Bbox:
    """What the map shows: all nodes, with a margin, and room for the scale bar below."""
    width, height = np.ptp(east), np.ptp(north)
    least = max(0.4 * max(width, height), _FEWEST_KM)
    centre = ((east.min() + east.max()) / 2, (north.min() + north.max()) / 2)
    half_x, half_y = max(width, least) * 0.55, max(height, least) * 0.55
    return Bbox([[centre[0] - half_x, centre[1] - half_y * (1 + 2 * _BELOW)], [centre[0] + half_x, centre[1] + half_y]])


def _links(axes: Axes, nodes: pd.DataFrame, edges: pd.DataFrame, east: Series, north: Series) -> None:
    """A thin grey line for each linked pair, once for both directions; fainter the more there are."""
    source, target = (nodes.index.get_indexer(pd.Index(edges[end].astype(str))) for end in ("source", "target"))
    pairs = np.unique(np.sort(np.column_stack([source, target]), axis=1), axis=0)
    pairs = pairs[(pairs[:, 0] >= 0) & (pairs[:, 0] != pairs[:, 1])]
    place = np.column_stack([east, north])
    lines = place[pairs]
    lines = lines[~np.isnan(lines).any(axis=(1, 2))]
    alpha = float(np.clip(3 * len(nodes) / max(len(lines), 1), 0.25, 1.0))
    width = 1.6 if len(nodes) < 1000 else 0.6
    axes.add_collection(
        LineCollection(list(lines), colors=GREY, linewidths=width, alpha=alpha, zorder=1), autolim=False
    )


def positions(nodes: pd.DataFrame, ids: Sequence[str]) -> list[int]:
    """Where known ids stand in the node order."""
    return [int(at) for at in nodes.index.get_indexer(pd.Index(list(ids), dtype=object))]


def ring(
    axes: Axes, x: Series, y: Series, marked: Sequence[int], legend: dict[str, Artist | tuple[Artist, ...]]
) -> None:
    """A circle around each of the nodes `marked`, and its entry in the legend."""
    if marked:
        at = list(marked)
        axes.scatter(x[at], y[at], s=260, facecolors="none", edgecolors=VERMILLION, linewidths=2.6, zorder=5)
        legend["highlighted"] = Line2D([], [], ls="", marker="o", ms=12, mfc="none", mec=VERMILLION, mew=2.4)


def _scale_bar(axes: Axes, frame: Bbox) -> None:
    """A bar of a round length with an arrow to the north beside it, in the free room below the map."""
    length = _round_length(frame.width / 5)
    y = frame.y0 + 0.15 * _BELOW * frame.height
    x = frame.x0 + 0.06 * frame.width
    axes.plot([x, x + length], [y, y], color=INK, lw=3, solid_capstyle="butt", zorder=5)
    name = f"{length:g} km" if length >= 1 else f"{1000 * length:g} m"
    axes.annotate(
        name, (x + length / 2, y), xytext=(0, 4), textcoords="offset points", ha="center", va="bottom", **words()
    )
    left = frame.x0 + 0.02 * frame.width
    arrow = {"arrowstyle": "<|-", "color": INK, "lw": 2, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", (left, y), xytext=(0, 20), textcoords="offset points", arrowprops=arrow)
    axes.annotate(
        "N", (left, y), xytext=(0, 21), textcoords="offset points", ha="center", va="bottom", **words(weight="bold")
    )


def _round_length(most: float) -> float:
    """The largest of 1, 2, 5 times a power of ten that is not above `most`."""
    power = 10.0 ** math.floor(math.log10(most))
    return float(next(factor * power for factor in (5, 2, 1) if factor * power <= most))
