"""Tool: draw readings as a picture, by a method that is asked for or that the readings suggest."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from mm4st_agent.data.card import Channel
from mm4st_agent.data.panel import Panel
from mm4st_agent.errors import ToolError, UsageError
from mm4st_agent.forecaster.measured import channel_at, latest, measuring, place_of
from mm4st_agent.toolspec import ImageHandle, ToolIn, ToolOut, ToolSpec
from tools.context import cut_at
from tools.series_pictures import BESIDE, draw_beside, draw_one, draw_rows, nearest_to, rows_of

if TYPE_CHECKING:
    from mm4st_agent.imaging.figure import Picture
    from tools.context import ToolContext

Method = Literal["line", "heatmap", "multiples", "uvh", "stft", "cwt", "filterbank", "gasf", "gadf", "mtf", "rp"]


class RenderSeriesIn(ToolIn):
    """Draw the latest readings as a picture: one place by the method chosen, or beside its neighbours."""

    dataset: str = Field(description="Data set name, such as 'pems-orange'.")
    node: str | None = Field(
        None, description="Place id, as find_places gives it. Only 'heatmap' and 'auto' do without; None: all places."
    )
    channel: str | None = Field(None, description="Quantity, such as 'flow'; None: the first that is measured.")
    hours: float = Field(24, gt=0, le=336, description="How many hours to draw.")
    until: datetime | None = Field(
        None, description="Where the window ends, local time of the data; leave out for now. Never later than now."
    )
    method: Literal[
        "auto", "line", "heatmap", "multiples", "uvh", "stft", "cwt", "filterbank", "gasf", "gadf", "mtf", "rp"
    ] = Field(
        "line",
        description="'line': one place over time. 'heatmap': places x time, to see what spreads. 'multiples': a place "
        "and its neighbours, a line each. 'uvh': a row a period. 'stft', 'cwt', 'filterbank': strength of periods over "
        "time. 'gasf', 'gadf', 'mtf', 'rp': any two moments compared. 'auto': what the readings suggest.",
    )


class RenderSeriesOut(ToolOut):
    """Where the picture is, and what it holds."""

    figure: ImageHandle
    method: Method = Field(description="How it was drawn.")
    reason: str | None = Field(description="What was measured that speaks for it; None unless 'auto' chose it.")
    alternatives: list[Method] = Field(description="Other methods that show much, best first; of 'auto' only.")
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
    reason, alternatives = None, list[Method]()
    if args.method == "auto":
        picture, drawn, method, reason, alternatives = _suggested(panel, args.node, channel, steps)
    else:
        method = args.method
        picture, drawn = _drawn(method, panel, args.node, channel, steps)
    values, imputed = latest(drawn, channel.name, steps)
    missing = np.isnan(values)
    times = panel.times[-steps:]
    return RenderSeriesOut(
        figure=ImageHandle(image_id=ctx.images.put(picture.png), title=picture.title, alt=picture.alt),
        method=method,
        reason=reason,
        alternatives=alternatives,
        channel=channel.name,
        unit=channel.unit,
        since=times[0].to_pydatetime(),
        until=times[-1].to_pydatetime(),
        steps=steps,
        nodes=len(drawn.node_ids),
        missing=int(missing.sum()),
        imputed=int((imputed & ~missing).sum()),
    )


def _drawn(method: Method, panel: Panel, node: str | None, channel: Channel, steps: int) -> tuple[Picture, Panel]:
    """The picture, and the panel of the nodes in it."""
    if method == "heatmap":
        among = measuring(panel, channel)
        drawn = among.only([among.node_ids[row] for row in rows_of(among, node)])
        return draw_rows(among, drawn, node, channel, steps), drawn
    if node is None:
        raise ToolError(
            f"A picture of {panel.name!r} by {method!r} needs one {panel.card.place_word}, and node is None.",
            "Give a node (find_places finds them), or ask for method='heatmap'.",
        )
    if method == "multiples":
        among = measuring(panel, channel)
        drawn = among.only([among.node_ids[at] for at in nearest_to(among, node, BESIDE)])
        if len(drawn.node_ids) == 1:
            raise ToolError(f"Only {place_of(panel, node)} measures {channel.label}.", "Ask for method='line'.")
        return draw_beside(among, drawn, node, channel, steps), drawn
    return draw_one(method, panel, node, channel, steps), panel.only([node])


def _suggested(
    panel: Panel, node: str | None, channel: Channel, steps: int
) -> tuple[Picture, Panel, Method, str, list[Method]]:
    """The picture by the first suggested method that can draw the window, with the reason and the other methods."""
    from mm4st_agent.patterns.views import suggest_views

    among = measuring(panel, channel)
    if node is None and len(among.node_ids) == 1:
        node = among.node_ids[0]
    ids = [node] if node is not None else [among.node_ids[row] for row in rows_of(among, None)]
    values, imputed = latest(among.only(ids), channel.name, steps)
    measured = np.where(imputed, np.nan, values)
    views = suggest_views(measured[:, 0] if node is not None else measured, panel.step_s)
    reasons: dict[Method, str] = {}
    for view in views:
        # Rows of a heatmap stand along the links, which makes it the strip, too.
        method: Method = "heatmap" if view.method == "mvh" or view.method == "strip" else view.method
        if node is not None or method == "heatmap":
            reasons.setdefault(method, view.reason)
    for method, reason in reasons.items():
        try:
            picture, drawn = _drawn(method, panel, node, channel, steps)
        except UsageError:  # such as too many rows of a short period
            continue
        return picture, drawn, method, reason, [other for other in reasons if other != method]
    picture, drawn = _drawn("line", panel, node, channel, steps)
    return picture, drawn, "line", f"None of {', '.join(reasons)} can draw {steps} steps.", []


RENDER_SERIES = ToolSpec("render_series", RenderSeriesIn, RenderSeriesOut, render_series, title="Drawing the series")
