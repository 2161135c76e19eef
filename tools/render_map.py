"""`render_map`: where a quantity is high or low, or where it is forecast to change, on a map of the network."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mm4st_agent.forecaster.measured import measuring, observed_in, place_of
from mm4st_agent.toolspec import ImageHandle, Measured, ToolIn, ToolOut, ToolSpec, Unit
from tools.context import cut_at
from tools.readings import RECENT_S, given

if TYPE_CHECKING:
    import pandas as pd

    from mm4st_agent.data.card import Channel
    from mm4st_agent.data.panel import Panel
    from mm4st_agent.imaging.figure import Picture
    from tools.context import ToolContext


class RenderMapIn(ToolIn):
    """Draw all places that measure a quantity on a map, coloured by level or by change; it shows where."""

    dataset: str = Field(description="Registered data set name, such as 'pems-orange'.")
    channel: str | None = Field(None, description="Which quantity; leave out for the data set's main one.")
    show: Literal["level", "change", "forecast_change"] = Field(
        "level",
        description="'level': mean of the window. 'change': from the window before it, which is as long. "
        "'forecast_change': from the window to the forecast of as many minutes after it.",
    )
    minutes: int = Field(RECENT_S // 60, ge=1, le=7 * 24 * 60, description="How long a window before `until`.")
    highlight: str | None = Field(None, description="Id of a place to ring and name.")
    until: datetime | None = Field(
        None, description="Where the window ends, local time of the data; leave out for now. Never later than now."
    )


class RenderMapOut(ToolOut):
    """Where the picture is, and the ends of what it shows. None is undefined."""

    figure: ImageHandle
    channel: str
    unit: str
    until: datetime = Field(description="Where the window ends.")
    minutes: Annotated[float, Unit("min")]
    model: str | None = Field(description="What made the forecasts, if any; 'mixed': a baseline led at some places.")
    places: int = Field(description="Places that measure this quantity.")
    unread: int = Field(description="Places without a value; they are hollow grey rings.")
    lowest: Measured
    lowest_at: Annotated[str | None, Unit("id")]
    highest: Measured
    highest_at: Annotated[str | None, Unit("id")]
    warnings: list[str] = Field(description="What must be said along with the picture.")


def render_map(args: RenderMapIn, ctx: ToolContext) -> RenderMapOut:
    """Draw the level, change or forecast change of every node of a channel.

    Raises:
        UsageError: the nodes have neither coordinates nor freeways with postmiles, or the forecast would reach
            too far.
    """
    known = ctx.panel(args.dataset)
    channel = known.channel(args.channel)
    panel = measuring(cut_at(known, args.until), channel)
    if args.highlight is not None:
        panel.position(args.highlight)
    steps = min(len(panel.times), max(1, round(args.minutes * 60 / panel.step_s)))
    end = len(panel.times)
    values, times, models = _means(panel, channel, slice(end - steps, end)), panel.times[-steps:], set[str]()
    if args.show == "change":
        values = values - _means(panel, channel, slice(max(0, end - 2 * steps), end - steps))
    elif args.show == "forecast_change":
        ahead, times, models = _forecast(panel, channel, ~np.isnan(values), steps, ctx)
        values = ahead - values
    picture = _draw(panel, channel, values, times, args)
    seen = np.isfinite(values)
    low, high = (int(np.nanargmin(values)), int(np.nanargmax(values))) if seen.any() else (None, None)
    ids = panel.node_ids
    unread = int((~seen).sum())
    return RenderMapOut(
        figure=ImageHandle(image_id=ctx.images.put(picture.png), title=picture.title, alt=picture.alt),
        channel=channel.name,
        unit=channel.unit,
        until=panel.end.to_pydatetime(),
        minutes=steps * panel.step_s / 60,
        model=None if not models else models.pop() if len(models) == 1 else "mixed",
        places=len(ids),
        unread=unread,
        lowest=None if low is None else given(values[low]),
        lowest_at=None if low is None else ids[low],
        highest=None if high is None else given(values[high]),
        highest_at=None if high is None else ids[high],
        warnings=[f"{unread} of {len(ids)} places have no value to show."] if unread else [],
    )


def _means(panel: Panel, channel: Channel, span: slice) -> NDArray[np.float64]:
    """`(N,)` mean of each node's measured readings; NaN where it has none."""
    readings = observed_in(panel, channel.name, span).astype(np.float64)
    count = np.isfinite(readings).sum(axis=0)
    total = np.nansum(readings, axis=0)
    return np.asarray(np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0), dtype=np.float64)


def _forecast(
    panel: Panel, channel: Channel, known: NDArray[np.bool_], steps: int, ctx: ToolContext
) -> tuple[NDArray[np.float64], pd.DatetimeIndex, set[str]]:
    """`(N,)` mean of each node's median over the `steps` ahead, NaN where not `known`; its times; what made it.

    Raises:
        UsageError: nobody forecasts so many steps ahead.
    """
    from mm4st_agent.forecaster.config import MEDIAN
    from mm4st_agent.forecaster.slots import extended

    out = np.full(len(known), np.nan)
    asked = [node for node, seen in zip(panel.node_ids, known, strict=True) if seen]
    found = ctx.forecaster_for(panel, channel).predict(panel, asked, channel.name, steps) if asked else []
    out[known] = [forecast.quantiles[:, MEDIAN].mean() for forecast in found]
    return out, extended(panel.times, steps)[-steps:], {forecast.model for forecast in found}


def _draw(
    panel: Panel, channel: Channel, values: NDArray[np.float64], times: pd.DatetimeIndex, args: RenderMapIn
) -> Picture:
    from mm4st_agent.imaging.network_map import draw_map
    from mm4st_agent.imaging.schematic import draw_schematic

    nodes = panel.nodes
    around = f", around {place_of(panel, args.highlight)}" if args.highlight else ""
    shown = {"level": "", "change": ": change", "forecast_change": ": forecast change"}[args.show]
    title = f"{channel.label[:1].upper()}{channel.label[1:]}{shown}{around}"
    highlight = [args.highlight] if args.highlight else []
    change, zone, synthetic = args.show != "level", panel.card.time_zone, panel.card.synthetic
    if nodes[["lat", "lon"]].isna().all(axis=None) and {"freeway", "postmile"} <= set(nodes.columns):
        return draw_schematic(
            nodes=nodes, values=values, times=times, title=title, unit=channel.unit, time_zone=zone,
            synthetic=synthetic, change=change, highlight=highlight,
        )  # fmt: skip
    return draw_map(
        nodes=nodes, edges=panel.edges, values=values, times=times, title=title, unit=channel.unit, time_zone=zone,
        synthetic=synthetic, change=change, highlight=highlight,
    )  # fmt: skip


RENDER_MAP = ToolSpec("render_map", RenderMapIn, RenderMapOut, render_map, title="Drawing the map")
