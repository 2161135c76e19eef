"""The pictures of a quality page: what was measured when, where most is missing, and single faults."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.colors import ListedColormap
from matplotlib.patches import Patch
from numpy.typing import NDArray

from mm4st_agent.data.panel import Panel
from mm4st_agent.data.quality.blocks import channel_positions, read_blocks
from mm4st_agent.data.quality.report import Completeness, Fault
from mm4st_agent.data.quality.sentences import percent
from mm4st_agent.data.quality.stuck import straight_lines
from mm4st_agent.imaging.figure import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    VERMILLION,
    Picture,
    Sheet,
    drawable,
    fit,
    plain,
    unit_label,
    value_axis,
    words,
)
from mm4st_agent.imaging.timeaxis import days, time_axis, typical_step

MOST_COLUMNS = 480
MOST_ROWS = 120
"""More steps or nodes than these share a cell of the map."""
WHOLE = 0.95
"""A cell of the map counts as measured where so much of it is."""
AROUND = 48
"""Steps drawn on both sides of a fault, at least."""
AROUND_SHIFT = pd.Timedelta(days=10)
SAMPLE = pd.Timedelta(days=3)
"""Drawn of a fault that lasts throughout."""

_STATES = (
    ("measured", "#DCE9F3"),
    ("measured in part", "#7FB2D9"),
    ("on a straight line, as if filled in", GREEN),
    ("filled in by the source", ORANGE),
    ("missing", INK),
)
_HALF_HEIGHT_PX = 560
_LETTERS = 24


def draw_availability(panel: Panel, one: Completeness) -> Picture:
    """Which nodes were measured when: a row a node, time to the right, five states.

    A cell stands for several steps and nodes where there are more than fit. It counts as measured from `WHOLE` on,
    below half by what most of the rest is: missing, filled in by the source, or on a straight line.
    """
    states, per_row, per_column = _states(panel, one)
    times = panel.times
    sheet = Sheet(f"{_title(one)}: what was measured, and when", synthetic=panel.card.synthetic)
    axes = sheet.axes
    axes.grid(visible=False)
    step = typical_step(times)
    left = float(days(times)[0]) - step / 2
    axes.imshow(
        states, cmap=ListedColormap([colour for _, colour in _STATES]), vmin=-0.5, vmax=len(_STATES) - 0.5,
        extent=(left, left + states.shape[1] * per_column * step, len(states) - 0.5, -0.5),
        aspect="auto", interpolation="nearest", origin="upper",
    )  # fmt: skip
    time_axis(axes, times, max_ticks=7)
    ids = np.array(panel.node_ids, dtype=object)[channel_positions(panel, panel.channel(one.name))]
    shown = np.unique(np.linspace(0, len(states) - 1, min(len(states), 14)).round().astype(int))
    axes.set_yticks(shown, [_short(str(ids[row * per_row])) for row in shown], **words())
    present = [i for i in range(len(_STATES)) if (states == i).any()]
    legend: dict[str, Artist] = {_STATES[i][0]: Patch(facecolor=_STATES[i][1], edgecolor=GREY, lw=0.5) for i in present}
    rows = f"a row is {per_row} {panel.card.place_word}s" if per_row > 1 else f"a row is one {panel.card.place_word}"
    column = f"{per_column} steps" if per_column > 1 else "one step"
    parts = ", ".join(f"{_STATES[i][0]} {percent(float((states == i).mean()))}" for i in present)
    return sheet.picture(
        f"Map of {one.nodes} {panel.card.place_word}s (rows) over time: of its cells are {parts}. Over all, "
        f"{percent(one.missing_share)} of the readings are missing and {percent(one.imputed_share)} filled in.",
        legend,
        note=f"{rows}, first on top; a column is {column}; measured means at least {100 * WHOLE:.0f} % of them",
    )


def _states(panel: Panel, one: Completeness) -> tuple[NDArray[np.int8], int, int]:
    """`(R, C)` index into `_STATES`, nodes a row, and steps a column."""
    steps, nodes = len(panel.times), one.nodes
    per_column, per_row = -(-steps // MOST_COLUMNS), -(-nodes // MOST_ROWS)
    shape = (-(-nodes // per_row), -(-steps // per_column))
    counts = np.zeros((3, *shape), dtype=np.int64)  # missing, filled in, on a line
    starts = np.arange(0, steps, per_column)
    for block in read_blocks(panel, panel.channel(one.name)):
        lines = np.zeros(block.values.shape, dtype=bool)
        found = straight_lines(block.measured, nodes)
        for node, start, length in zip(found.node, found.start, found.length, strict=True):
            lines[start + 1 : start + length - 1, node] = True
        row = np.arange(block.positions.start, block.positions.stop) // per_row
        for kind, cells in enumerate((block.missing, block.imputed & ~block.missing, lines)):
            np.add.at(counts[kind], row, np.add.reduceat(cells, starts, axis=0, dtype=np.int64).T)
    in_row = np.bincount(np.arange(nodes) // per_row)
    in_column = np.diff([*starts, steps])
    cells = in_row[:, None] * in_column[None, :]
    missing, filled, line = counts / cells
    usual = 1 - missing - filled - line
    worst = np.where(missing >= np.maximum(filled, line), 4, np.where(filled >= line, 3, 2))
    return np.where(usual >= WHOLE, 0, np.where(usual >= 0.5, 1, worst)).astype(np.int8), per_row, per_column


def draw_hours(panel: Panel, one: Completeness) -> Picture:
    """How much of each hour of the local day was not measured."""
    sheet = _bars(panel, f"{_title(one)}: not measured, by hour of the day")
    hours = [hour.slot for hour in one.by_hour]
    missing = np.array([100 * hour.missing_share for hour in one.by_hour])
    filled = np.array([100 * hour.imputed_share for hour in one.by_hour])
    legend = _stacked(lambda low, size, colour: sheet.axes.bar(hours, size, bottom=low, color=colour, width=0.8),
                      missing, filled)  # fmt: skip
    sheet.axes.set_xticks(range(0, 24, 3), [f"{hour:02d}:00" for hour in range(0, 24, 3)], **words())
    sheet.axes.set_xlabel(f"local time ({panel.card.time_zone})", **words())
    value_axis(sheet.axes)
    unit_label(sheet.axes, "% of the readings")
    worst, best = int(np.argmax(missing + filled)), int(np.argmin(missing + filled))
    return sheet.picture(
        f"Bars by hour of the day: most is not measured at {hours[worst]:02d}:00 "
        f"({(missing + filled)[worst]:.1f} %), least at {hours[best]:02d}:00 ({(missing + filled)[best]:.1f} %).",
        legend,
    )


def draw_worst_nodes(panel: Panel, one: Completeness) -> Picture:
    """The least measured nodes."""
    sheet = _bars(panel, f"{_title(one)}: the least measured {panel.card.place_word}s")
    missing = np.array([100 * node.missing_share for node in one.worst_nodes])
    filled = np.array([100 * node.imputed_share for node in one.worst_nodes])
    rows = np.arange(len(missing))
    legend = _stacked(lambda low, size, colour: sheet.axes.barh(rows, size, left=low, color=colour, height=0.8),
                      missing, filled)  # fmt: skip
    labels = [node.node if node.name == node.node else f"{node.node} {node.name}" for node in one.worst_nodes]
    sheet.axes.set_yticks(rows, [_short(drawable(label)) for label in labels], **words())
    sheet.axes.set_ylim(len(rows) - 0.4, -0.6)
    sheet.axes.set_xlim(0, min(100.0, 1.15 * float((missing + filled).max())))
    sheet.axes.set_xlabel("% of the readings", **words())
    first = one.worst_nodes[0]
    lost = percent(first.missing_share + first.imputed_share)
    return sheet.picture(
        f"Bars of the {len(rows)} least measured nodes; the worst is {first.node} with {lost}.", legend
    )


def _bars(panel: Panel, title: str) -> Sheet:
    return Sheet(title, synthetic=panel.card.synthetic)


def _stacked(
    bar: Callable[[NDArray[np.float64], NDArray[np.float64], str], object],
    missing: NDArray[np.float64],
    filled: NDArray[np.float64],
) -> dict[str, Artist]:
    legend: dict[str, Artist] = {}
    low = np.zeros(len(missing))
    for name, size, colour in (("missing", missing, INK), ("filled in by the source", filled, ORANGE)):
        if size.any():
            bar(low, size, colour)
            legend[name] = Patch(facecolor=colour)
            low = low + size
    return legend


@dataclass(frozen=True)
class _Window:
    times: pd.DatetimeIndex
    values: NDArray[np.float64]
    imputed: NDArray[np.bool_]


def draw_fault(panel: Panel, channel: str, fault: Fault) -> Picture:
    """The readings around a fault, with the fault marked; of a fault that lasts throughout, a few days."""
    title = f"{panel.channel(channel).label}, {panel.place(fault.nodes[0])}: {fault.what}"
    sheet = Sheet(title[:1].upper() + title[1:], synthetic=panel.card.synthetic, height_px=_HALF_HEIGHT_PX)
    axes = sheet.axes
    plain(axes)
    axes.margins(y=0.12)
    legend: dict[str, Artist] = {}
    last = _span(panel, fault)
    for node, colour in zip(fault.nodes[:2] if fault.start is None else fault.nodes[:1], (BLUE, ORANGE), strict=False):
        seen = _window(panel, channel, node, *last)
        x = days(seen.times)
        measured = np.where(seen.imputed, np.nan, seen.values)
        (line,) = axes.plot(x, measured, color=colour, linewidth=1.4, marker="." if len(x) <= 200 else "", markersize=5)
        legend[_short(drawable(node)) if fault.start is None else "measured"] = line
        if fault.start is not None and np.isfinite(seen.values[seen.imputed]).any():
            (line,) = axes.plot(x, np.where(seen.imputed, seen.values, np.nan), color=ORANGE, linewidth=1.4)
            legend["filled in by the source"] = line
    if fault.start is not None:
        first = days(pd.DatetimeIndex([fault.start]))[0]
        mark: Artist
        if fault.what in ("spike", "out of range"):
            at = np.flatnonzero(seen.times == fault.start)
            (mark,) = axes.plot(
                x[at], seen.values[at], "o", markersize=16, markerfacecolor="none", markeredgecolor=VERMILLION,
                markeredgewidth=2,
            )  # fmt: skip
        elif fault.end is None:
            mark = axes.axvline(first, color=VERMILLION, linewidth=2)
        else:
            mark = axes.axvspan(first, days(pd.DatetimeIndex([fault.end]))[0], color=VERMILLION, alpha=0.18)
        legend[fault.what] = mark
    time_axis(axes, seen.times, max_ticks=6)
    value_axis(axes)
    unit_label(axes, panel.channel(channel).unit)
    axes.xaxis.label.set_text(drawable(axes.xaxis.label.get_text()))
    fit(axes.xaxis.label, 1150)
    return sheet.picture(f"Line of {title}. {fault.sentence}", legend)


def _span(panel: Panel, fault: Fault) -> tuple[int, int]:
    """First and one past the last step to draw."""
    times = panel.times
    steps = len(times)
    if fault.start is None:
        return max(0, steps - int(SAMPLE / panel.step)), steps
    first = int(times.searchsorted(pd.Timestamp(fault.start)))
    if fault.end is None:
        around = max(int(AROUND_SHIFT / panel.step), AROUND)
        return max(0, first - around), min(steps, first + around)
    last = int(times.searchsorted(pd.Timestamp(fault.end)))
    around = max(AROUND, (last - first) // 2)
    return max(0, first - around), min(steps, last + around)


def _window(panel: Panel, channel: str, node: str, first: int, last: int) -> _Window:
    """Some steps of one node; nothing else is read."""
    part = panel.only([node])
    data = part.data.isel(time=slice(first, last))
    part = Panel(card=panel.card, data=data)
    values = part.values(channel)[:, 0].astype(np.float64)
    return _Window(part.times, np.where(np.isfinite(values), values, np.nan), part.imputed(channel)[:, 0])


def _title(one: Completeness) -> str:
    return one.title[:1].upper() + one.title[1:]


def _short(label: str) -> str:
    return label if len(label) <= _LETTERS else label[: _LETTERS - 1].rstrip() + "…"
