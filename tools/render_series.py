"""Tool: draw readings as a picture, one node as a line or many as a heatmap."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mm4st_agent.data.panel import Panel
from mm4st_agent.errors import ToolError
from mm4st_agent.toolspec import ImageHandle, ToolIn, ToolOut, ToolSpec
from tools.query_series import NEAR_SLOT_S

if TYPE_CHECKING:
    from mm4st_agent.imaging.figure import Picture
    from tools.context import ToolContext

MAX_ROWS = 60
ROWS_AROUND = 24


class RenderSeriesIn(ToolIn):
    """Draw the latest readings as a picture: one place as a line, or a place and its neighbours as a heatmap."""

    dataset: str = Field(description="Data set name, such as 'pems-orange'.")
    node: str | None = Field(None, description="Place id, as find_places gives it. A line needs one; None: all places.")
    channel: str | None = Field(None, description="What was measured, such as 'flow'; None: the main one.")
    hours: int = Field(24, ge=1, le=336, description="How many of the latest hours to draw.")
    picture: Literal["line", "heatmap"] = Field(
        "line", description="'line': one place over time. 'heatmap': places x time, to see what spreads."
    )


class RenderSeriesOut(ToolOut):
    """Where the picture is, and what it holds."""

    figure: ImageHandle
    channel: str
    unit: str = Field(description="Of the drawn values.")
    since: datetime = Field(description="Time stamp of the first step drawn.")
    until: datetime = Field(description="Time stamp of the last step drawn.")
    steps: int = Field(description="Time steps drawn.")
    nodes: int = Field(description="Places drawn.")
    missing: int = Field(description="Cells (one place at one step) without a value; drawn as gaps.")
    imputed: int = Field(description="Cells that the source filled in; nobody measured them.")


def render_series(args: RenderSeriesIn, ctx: ToolContext) -> RenderSeriesOut:
    """Draw what is known at `ctx.as_of` and keep the picture."""
    panel = ctx.panel(args.dataset)
    channel = panel.channel(args.channel)
    steps = min(len(panel.times), max(1, round(args.hours * 3600 / panel.step_s)))
    if args.picture == "line":
        if args.node is None:
            raise ToolError(
                f"A line of {panel.name!r} needs one {panel.card.place_word}, and node is None.",
                "Give a node (find_places finds them), or ask for picture='heatmap'.",
            )
        rows = np.array([panel.position(args.node)])
        picture = _line(panel, args.node, channel.name, steps)
    else:
        rows = _rows(panel, args.node)
        picture = _heatmap(panel, rows, args.node, channel.name, steps)
    missing = np.isnan(panel.values(channel.name)[-steps:, rows])
    times = panel.times[-steps:]
    return RenderSeriesOut(
        figure=ImageHandle(image_id=ctx.images.put(picture.png), title=picture.title, alt=picture.alt),
        channel=channel.name,
        unit=channel.unit,
        since=times[0].to_pydatetime(),
        until=times[-1].to_pydatetime(),
        steps=steps,
        nodes=len(rows),
        missing=int(missing.sum()),
        imputed=int((panel.imputed(channel.name)[-steps:, rows] & ~missing).sum()),
    )


def _line(panel: Panel, node: str, channel: str, steps: int) -> Picture:
    from mm4st_agent.imaging.lines import draw_line

    row = panel.position(node)
    place = _place(panel, row)
    return draw_line(
        times=panel.times[-steps:],
        values=panel.values(channel)[-steps:, row],
        imputed=panel.imputed(channel)[-steps:, row],
        usual=_usual(panel, row, channel, steps),
        title=f"{place[:1].upper()}{place[1:]}: {panel.channel(channel).label}",
        unit=panel.channel(channel).unit,
        time_zone=panel.card.time_zone,
        synthetic=panel.card.synthetic,
    )


def _usual(panel: Panel, row: int, channel: str, steps: int) -> NDArray[np.float64] | None:
    """`(steps,)` what is usual at each step drawn, as `query_series` defines it; None where unknown throughout.

    It is the mean of what was measured before the window in the same slot of the week, with the slots
    beside it where steps are short, and without public holidays.
    """
    from mm4st_agent.forecaster.baselines import grouped, mean_of
    from mm4st_agent.forecaster.slots import HOLIDAY, slots_of

    before = len(panel.times) - steps
    slots = slots_of(panel.times, panel.step_s, panel.card.holidays)
    readings = panel.observed(channel)[:before, [row]]
    readings[slots.day_type[:before] == HOLIDAY] = np.nan
    beside = (-1, 0, 1) if panel.step_s <= NEAR_SLOT_S else (0,)
    sums, counts = (
        np.sum([np.roll(table, shift, axis=0) for shift in beside], axis=0)
        for table in grouped(readings, slots.of_week[:before], 7 * slots.per_day)
    )
    usual = mean_of(sums, counts)[slots.of_week[before:], 0]
    return None if np.isnan(usual).all() else usual


def _heatmap(panel: Panel, rows: NDArray[np.intp], node: str | None, channel: str, steps: int) -> Picture:
    from mm4st_agent.imaging.heatmap import draw_heatmap

    word = panel.card.place_word
    labels = [" ".join((panel.node_ids[row], *_name(panel, row))) for row in rows]
    if node is not None:
        where = f"Around {_place(panel, panel.position(node))}"
    elif len(rows) < len(panel.node_ids):
        where = f"{len(rows)} of {len(panel.node_ids)} {word}s, nearest to the one with the most links"
    else:
        where = f"All {len(rows)} {word}s"
    linked = panel.adjacency().nnz > 0
    return draw_heatmap(
        times=panel.times[-steps:],
        values=panel.values(channel)[-steps:, rows],
        imputed=panel.imputed(channel)[-steps:, rows],
        node_labels=labels,
        highlight=None if node is None else labels[list(rows).index(panel.position(node))],
        title=f"{where}: {panel.channel(channel).label}",
        unit=panel.channel(channel).unit,
        time_zone=panel.card.time_zone,
        synthetic=panel.card.synthetic,
        order="along the links" if linked else "in the data set's order",
    )


def _rows(panel: Panel, node: str | None) -> NDArray[np.intp]:
    """Positions of the nodes to draw, from the top row to the bottom row."""
    from mm4st_agent.imaging.ordering import along_links, hub, nearest

    adjacency = panel.adjacency()
    if node is not None:
        chosen = nearest(adjacency, panel.position(node), ROWS_AROUND)
    elif len(panel.node_ids) > MAX_ROWS:
        chosen = nearest(adjacency, hub(adjacency), MAX_ROWS)
    else:
        chosen = np.arange(len(panel.node_ids))
    return along_links(adjacency, chosen)


def _place(panel: Panel, row: int) -> str:
    """Such as `station 1205330 (N OF 57)`."""
    return " ".join((panel.card.place_word, panel.node_ids[row], *(f"({name})" for name in _name(panel, row))))


def _name(panel: Panel, row: int) -> list[str]:
    """The node's name, where it has one that says more than its id."""
    name = panel.nodes["name"].iloc[row] if "name" in panel.nodes else None
    return [name] if isinstance(name, str) and name not in ("", panel.node_ids[row]) else []


RENDER_SERIES = ToolSpec("render_series", RenderSeriesIn, RenderSeriesOut, render_series, title="Drawing the series")
