"""Tool: draw readings as a picture, one node as a line or many as a heatmap."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mm4st_agent.data.card import Channel
from mm4st_agent.data.panel import Panel
from mm4st_agent.errors import ToolError
from mm4st_agent.forecaster.measured import channel_at, distances_km, latest, measuring, place_of, words_of
from mm4st_agent.toolspec import ImageHandle, ToolIn, ToolOut, ToolSpec
from tools.context import cut_at
from tools.readings import usual_level

if TYPE_CHECKING:
    from mm4st_agent.imaging.figure import Picture
    from tools.context import ToolContext

MAX_ROWS = 60
ROWS_AROUND = 24


class RenderSeriesIn(ToolIn):
    """Draw the latest readings as a picture: one place as a line, or a place and its neighbours as a heatmap."""

    dataset: str = Field(description="Data set name, such as 'pems-orange'.")
    node: str | None = Field(None, description="Place id, as find_places gives it. A line needs one; None: all places.")
    channel: str | None = Field(None, description="Quantity, such as 'flow'; None: the first that is measured.")
    hours: float = Field(24, gt=0, le=336, description="How many hours to draw.")
    until: datetime | None = Field(
        None, description="Where the window ends, local time of the data; leave out for now. Never later than now."
    )
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
    """Draw what is known at the end of the window, by default the context's clock, and keep the picture."""
    panel = cut_at(ctx.panel(args.dataset), args.until)
    channel = panel.channel(args.channel) if args.node is None else channel_at(panel, args.node, args.channel)
    steps = min(len(panel.times), max(1, round(args.hours * 3600 / panel.step_s)))
    if args.picture == "line":
        if args.node is None:
            raise ToolError(
                f"A line of {panel.name!r} needs one {panel.card.place_word}, and node is None.",
                "Give a node (find_places finds them), or ask for picture='heatmap'.",
            )
        drawn = panel.only([args.node])
        values, imputed = latest(drawn, channel.name, steps)
        picture = _line(drawn, args.node, channel, values[:, 0], imputed[:, 0])
    else:
        among = measuring(panel, channel)
        drawn = among.only([among.node_ids[row] for row in _rows(among, args.node)])
        values, imputed = latest(drawn, channel.name, steps)
        picture = _heatmap(among, drawn, args.node, channel, values, imputed)
    missing = np.isnan(values)
    times = panel.times[-steps:]
    return RenderSeriesOut(
        figure=ImageHandle(image_id=ctx.images.put(picture.png), title=picture.title, alt=picture.alt),
        channel=channel.name,
        unit=channel.unit,
        since=times[0].to_pydatetime(),
        until=times[-1].to_pydatetime(),
        steps=steps,
        nodes=len(drawn.node_ids),
        missing=int(missing.sum()),
        imputed=int((imputed & ~missing).sum()),
    )


def _line(
    panel: Panel, node: str, channel: Channel, values: NDArray[np.float32], imputed: NDArray[np.bool_]
) -> Picture:
    from mm4st_agent.imaging.lines import draw_line

    usual = usual_level(panel, node, channel.name, len(values)).means
    return draw_line(
        times=panel.times[-len(values) :],
        values=values,
        imputed=imputed,
        usual=None if np.isnan(usual).all() else usual,
        title=_heading(place_of(panel, node), channel.label),
        unit=channel.unit,
        time_zone=panel.card.time_zone,
        synthetic=panel.card.synthetic,
    )


def _heatmap(
    panel: Panel,
    drawn: Panel,
    node: str | None,
    channel: Channel,
    values: NDArray[np.float32],
    imputed: NDArray[np.bool_],
) -> Picture:
    """Draw the nodes of `drawn`, a part of `panel`, all of whose nodes measure the channel."""
    from mm4st_agent.imaging.heatmap import draw_heatmap

    ids = drawn.node_ids
    words = set(words_of(drawn))
    word = words.pop() if len(words) == 1 else panel.card.place_word
    labels = [" ".join(dict.fromkeys((node_id, panel.place_name(node_id)))) for node_id in ids]
    if node is not None:
        where = f"Around {place_of(panel, node)}"
    elif len(ids) < len(panel.node_ids):
        where = f"{len(ids)} of {len(panel.node_ids)} {word}s, nearest to the one with the most links"
    else:
        where = f"All {len(ids)} {word}s"
    linked = panel.adjacency().nnz > 0
    return draw_heatmap(
        times=panel.times[-len(values) :],
        values=values,
        imputed=imputed,
        node_labels=labels,
        highlight=None if node is None else labels[ids.index(node)],
        title=_heading(where, channel.label),
        unit=channel.unit,
        time_zone=panel.card.time_zone,
        synthetic=panel.card.synthetic,
        order="along the links" if linked else "in the data set's order",
    )


def _rows(panel: Panel, node: str | None) -> NDArray[np.intp]:
    """Positions of the nodes to draw, from the top row to the bottom row."""
    from mm4st_agent.imaging.ordering import along_links, hub, nearest

    adjacency = panel.adjacency()
    away = distances_km(panel, node) if node is not None and adjacency.nnz == 0 else np.array([])
    if np.isfinite(away).sum() > 1:
        chosen = np.argsort(away, kind="stable")[:ROWS_AROUND]
    elif node is not None:
        chosen = nearest(adjacency, panel.position(node), ROWS_AROUND)
    elif len(panel.node_ids) > MAX_ROWS:
        chosen = nearest(adjacency, hub(adjacency), MAX_ROWS)
    else:
        chosen = np.arange(len(panel.node_ids))
    return along_links(adjacency, chosen)


def _heading(where: str, what: str) -> str:
    return f"{where[:1].upper()}{where[1:]}: {what}"


RENDER_SERIES = ToolSpec("render_series", RenderSeriesIn, RenderSeriesOut, render_series, title="Drawing the series")
