"""`rank_places`: which nodes have the highest or lowest level, departure from the usual, or change, up to now."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mm4st_agent.forecaster.measured import kind_of, measuring, observed_in
from mm4st_agent.toolspec import Measured, ToolIn, ToolOut, ToolSpec, Unit
from tools.context import cut_at
from tools.readings import RECENT_S, given
from tools.usual_levels import usual_at

if TYPE_CHECKING:
    from mm4st_agent.data.card import Channel
    from mm4st_agent.data.panel import Panel
    from tools.context import ToolContext

WEEK_MINUTES = 7 * 24 * 60

By = Literal["level", "usual", "change"]
Array = NDArray[np.float64]


class RankPlacesIn(ToolIn):
    """Rank all places that measure a quantity: highest or lowest level, most above or below usual, largest change."""

    dataset: str = Field(description="Registered data set name, such as 'pems-orange'.")
    channel: str | None = Field(None, description="Which quantity; leave out for the data set's main one.")
    by: By = Field(
        "level",
        description="'level': mean of the window. 'usual': that mean as a share of the usual one. "
        "'change': from the window before it, which is as long.",
    )
    order: Literal["highest", "lowest"] = Field("highest", description="Which end of the ranking comes first.")
    minutes: int = Field(
        RECENT_S // 60, ge=1, le=WEEK_MINUTES, description="How long a window before `until`; the default is 'now'."
    )
    limit: int = Field(5, ge=1, le=20, description="How many places.")
    until: datetime | None = Field(
        None, description="Where the window ends, local time of the data; leave out for now. Never later than now."
    )


class RankedPlace(ToolOut):
    """One place of the ranking; None is undefined."""

    rank: int
    id: Annotated[str, Unit("id")]
    name: str
    kind: str
    value: Measured = Field(description="Mean of the window's measured readings.")
    usual: Measured = Field(description="What that mean usually is; None unless by is 'usual'.")
    level: Annotated[float | None, Unit("%")] = Field(description="100 * value / usual; None unless by is 'usual'.")
    change: Measured = Field(description="From the mean of the window before; None unless by is 'change'.")


class RankPlacesOut(ToolOut):
    """The first places of the ranking."""

    dataset: str
    synthetic: bool
    channel: str
    channel_title: str
    unit: str
    by: By
    order: Literal["highest", "lowest"]
    as_of: datetime = Field(description="The clock of the question.")
    until: datetime = Field(description="Where the window ends: the clock, or earlier where asked.")
    minutes: Annotated[float, Unit("min")] = Field(description="Length of the window.")
    places: int = Field(description="Places that measure this quantity.")
    ranked: int = Field(description="Places that could be ranked.")
    unread: int = Field(description="Places without a measured reading in the window; they are not ranked.")
    unknown: int = Field(description="Other places that are not ranked: no usual level above 0, or no window before.")
    usual_weeks: int | None = Field(
        description="Earlier weeks that `usual` is the mean of, at most 8; None unless by is 'usual'."
    )
    ranking: list[RankedPlace]
    warnings: list[str] = Field(description="What must be said along with these numbers.")


def rank_places(args: RankPlacesIn, ctx: ToolContext) -> RankPlacesOut:
    """Rank the nodes of a channel; of each only the window, and what it is compared with, is read."""
    known = ctx.panel(args.dataset)
    channel = known.channel(args.channel)
    panel = measuring(cut_at(known, args.until), channel)
    steps = min(len(panel.times), max(1, round(args.minutes * 60 / panel.step_s)))
    end = len(panel.times)
    first = max(0, end - (2 if args.by == "change" else 1) * steps)
    observed = observed_in(panel, channel.name, slice(first, end)).astype(np.float64)
    window = observed[-steps:]
    value = _mean(window)
    usual = level = change = np.full(len(value), np.nan)
    weeks: int | None = None
    if args.by == "usual":
        usual, weeks = _usual(panel, channel, window)
        level = np.divide(100 * value, usual, out=np.full(len(value), np.nan), where=usual > 0)
    elif args.by == "change":
        change = value - _mean(observed[:-steps])
    key = {"level": value, "usual": level, "change": change}[args.by]
    known_keys = np.flatnonzero(np.isfinite(key))
    order = known_keys[np.argsort(-key[known_keys] if args.order == "highest" else key[known_keys], kind="stable")]
    ids = panel.node_ids
    unread = int(np.isnan(value).sum())
    return RankPlacesOut(
        dataset=panel.name,
        synthetic=panel.card.synthetic,
        channel=channel.name,
        channel_title=channel.label,
        unit=channel.unit,
        by=args.by,
        order=args.order,
        as_of=known.end.to_pydatetime(),
        until=panel.end.to_pydatetime(),
        minutes=steps * panel.step_s / 60,
        places=len(ids),
        ranked=len(order),
        unread=unread,
        unknown=len(ids) - len(order) - unread,
        usual_weeks=weeks,
        ranking=[
            RankedPlace(
                rank=rank,
                id=ids[i],
                name=panel.place_name(ids[i]),
                kind=kind_of(panel, ids[i]),
                value=given(value[i]),
                usual=given(usual[i]),
                level=given(level[i]),
                change=given(change[i]),
            )
            for rank, i in enumerate(order[: args.limit].tolist(), start=1)
        ],
        warnings=_warnings(len(ids), unread, len(order)),
    )


def _mean(readings: Array) -> Array:
    """`(N,)` mean of the finite readings of each node; NaN where there is none."""
    seen = np.isfinite(readings)
    count = seen.sum(axis=0)
    total = np.where(seen, readings, 0.0).sum(axis=0)
    return np.asarray(np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0))


def _usual(panel: Panel, channel: Channel, window: Array) -> tuple[Array, int]:
    """`(N,)` what the mean of each node's measured readings usually is, and the weeks behind it.

    NaN where a measured step has no usual reading.
    """
    means, weeks = usual_at(panel, channel.name, len(window))
    measured = np.isfinite(window)
    found = _mean(np.where(measured, means, np.nan))
    found[(measured & np.isnan(means)).any(axis=0)] = np.nan
    return found, weeks


def _warnings(places: int, unread: int, ranked: int) -> list[str]:
    if ranked == 0:
        return ["No place can be ranked."]
    return [f"{unread} of {places} places have no measured reading then."] if unread else []


RANK_PLACES = ToolSpec("rank_places", RankPlacesIn, RankPlacesOut, rank_places, title="Ranking the places")
