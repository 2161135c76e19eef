"""`check_quality`: how far recent readings can be trusted: gaps, filled-in values, standstills, impossible values."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import pandas as pd
from pydantic import Field

from mm4st_agent.forecaster.measured import channel_at, kind_of, measuring
from mm4st_agent.toolspec import Measured, ToolIn, ToolOut, ToolSpec, Unit
from tools.context import cut_at
from tools.readings import given

if TYPE_CHECKING:
    from mm4st_agent.data.panel import Panel
    from mm4st_agent.data.quality.window import NodeWindow, Stretch
    from tools.context import ToolContext

MOST_LISTED = 5
LATE_STEPS = 3
"""A place whose last reading is more steps old than this is called silent."""


class CheckQualityIn(ToolIn):
    """Say how far recent readings can be trusted: missing, imputed, stuck or implausible ones, at one place or all."""

    dataset: str = Field(description="Registered data set name, such as 'pems-orange'.")
    channel: str | None = Field(None, description="Which quantity; leave out for the first, or the node's first.")
    node: str | None = Field(None, description="Id of one station or sensor; leave out for all of them.")
    hours: float = Field(24, gt=0, le=24 * 28, description="How far back to look.")
    until: datetime | None = Field(
        None, description="Where the window ends, local time of the data; leave out for now. Never later than now."
    )


class Gap(ToolOut):
    """Steps in a row that nobody measured at a place."""

    id: Annotated[str, Unit("id")]
    start: datetime
    end: datetime = Field(description="The first moment after it.")
    minutes: Annotated[float, Unit("min")]
    imputed: Annotated[float, Unit("%")] = Field(description="Share of its steps that the source filled.")
    lasts: bool = Field(description="Whether it goes on at the end of the window.")


class Standstill(ToolOut):
    """Readings in a row that are exactly equal, for longer than chance allows at this place."""

    id: Annotated[str, Unit("id")]
    start: datetime
    end: datetime
    minutes: Annotated[float, Unit("min")]
    value: Measured


class Implausible(ToolOut):
    """A reading that cannot be, or that left its neighbours and was back at once."""

    id: Annotated[str, Unit("id")]
    time: datetime
    value: Measured
    jump: Measured = Field(description="How far it left those before and behind; None where it is impossible itself.")


class PlaceQuality(ToolOut):
    """How complete one place is."""

    id: Annotated[str, Unit("id")]
    name: str
    kind: str
    missing: Annotated[float, Unit("%")]
    imputed: Annotated[float, Unit("%")]
    last_time: datetime | None


class CheckQualityOut(ToolOut):
    """Shares are of the window's steps, over all places that are asked about."""

    dataset: str
    synthetic: bool
    node: Annotated[str | None, Unit("id")]
    name: str | None
    kind: str = Field(description="What sort of place; '' for all of them, or where the data name none.")
    channel: str
    channel_title: str
    unit: str
    as_of: datetime = Field(description="The clock of the question.")
    until: datetime = Field(description="Where the window ends: the clock, or earlier where asked.")
    window_start: datetime = Field(description="Stamp of the first step of the window.")
    hours: Annotated[float, Unit("h")]
    places: int = Field(description="Places that were checked.")
    steps: int = Field(description="Steps in the window, of each place.")
    measured: Annotated[float, Unit("%")]
    imputed: Annotated[float, Unit("%")] = Field(description="Filled in by the source.")
    missing: Annotated[float, Unit("%")]
    complete: int = Field(description="Places whose every step was measured.")
    silent: int = Field(description="Places whose last reading is more than 3 steps older than the window's end.")
    last_time: datetime | None = Field(description="Stamp of the latest measured reading; None: there is none.")
    last_age: Annotated[float | None, Unit("min")] = Field(description="From that reading's end to the window's end.")
    longest_gap: Gap | None
    stuck_count: int = Field(description="Standstills that reach into the window.")
    stuck: list[Standstill] = Field(description="The longest of them, at most 5.")
    implausible_count: int
    implausible: list[Implausible] = Field(description="The first of them, at most 5; impossible ones first.")
    worst: list[PlaceQuality] = Field(description="The least measured places, at most 5; empty for a single place.")
    warnings: list[str] = Field(description="What must be said along with these numbers.")


def check_quality(args: CheckQualityIn, ctx: ToolContext) -> CheckQualityOut:
    """Check the window of one node, or of all that measure the channel, as it was known at the window's end."""
    from mm4st_agent.data.quality.window import check_window

    known = ctx.panel(args.dataset)
    channel = known.channel(args.channel) if args.node is None else channel_at(known, args.node, args.channel)
    panel = cut_at(known, args.until)
    panel = measuring(panel, channel) if args.node is None else panel.only([args.node])
    steps = min(len(panel.times), max(1, round(args.hours * 3600 / panel.step_s)))
    found = check_window(panel, channel, steps)
    cells = steps * len(found)
    missing, imputed = (sum(getattr(one, name) for one in found) for name in ("missing", "imputed"))
    gaps = [one.gap for one in found if one.gap is not None]
    stuck = sorted((s for one in found for s in one.stuck), key=lambda s: -s.steps)
    odd = sorted((o for one in found for o in one.odd), key=lambda o: (o.jump is not None, o.time))
    last = max((one.last for one in found if one.last is not None), default=None)
    return CheckQualityOut(
        dataset=panel.name,
        synthetic=panel.card.synthetic,
        node=args.node,
        name=None if args.node is None else known.place_name(args.node),
        kind="" if args.node is None else kind_of(known, args.node),
        channel=channel.name,
        channel_title=channel.label,
        unit=channel.unit,
        as_of=known.end.to_pydatetime(),
        until=panel.end.to_pydatetime(),
        window_start=panel.times[-steps].to_pydatetime(),
        hours=steps * panel.step_s / 3600,
        places=len(found),
        steps=steps,
        measured=_percent(cells - missing - imputed, cells),
        imputed=_percent(imputed, cells),
        missing=_percent(missing, cells),
        complete=sum(one.missing + one.imputed == 0 for one in found),
        silent=len(silent := _silent(panel, found)),
        last_time=last,
        last_age=None if last is None else _age(panel, last),
        longest_gap=_gap(panel, max(gaps, key=lambda gap: gap.steps)) if gaps else None,
        stuck_count=len(stuck),
        stuck=[
            Standstill(id=s.node, start=s.start, end=s.end, minutes=_minutes(s), value=given(s.value))
            for s in stuck[:MOST_LISTED]
        ],
        implausible_count=len(odd),
        implausible=[
            Implausible(id=o.node, time=o.time, value=given(o.value), jump=given(o.jump)) for o in odd[:MOST_LISTED]
        ],
        worst=[] if args.node is not None else _worst(known, found, steps),
        warnings=_warnings(args, found, silent, steps),
    )


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 2) if whole else 0.0


def _minutes(stretch: Stretch) -> float:
    return (stretch.end - stretch.start).total_seconds() / 60


def _age(panel: Panel, last: datetime) -> float:
    """Minutes from when a reading was known to the panel's end."""
    delay = panel.step if panel.card.time_label == "start" else pd.Timedelta(0)
    return float((panel.end - last - delay).total_seconds() / 60)


def _gap(panel: Panel, gap: Stretch) -> Gap:
    after = panel.times[-1] + panel.step
    return Gap(
        id=gap.node,
        start=gap.start,
        end=gap.end,
        minutes=_minutes(gap),
        imputed=_percent(gap.imputed, gap.steps),
        lasts=gap.end >= after,
    )


def _silent(panel: Panel, found: Sequence[NodeWindow]) -> list[str]:
    late = timedelta(seconds=(LATE_STEPS + 1) * panel.step_s)
    newest = panel.times[-1].to_pydatetime()
    return [one.node for one in found if one.last is None or newest - one.last >= late]


def _worst(panel: Panel, found: Sequence[NodeWindow], steps: int) -> list[PlaceQuality]:
    lost = sorted((one for one in found if one.missing + one.imputed), key=lambda one: -(one.missing + one.imputed))
    return [
        PlaceQuality(
            id=one.node,
            name=panel.place_name(one.node),
            kind=kind_of(panel, one.node),
            missing=_percent(one.missing, steps),
            imputed=_percent(one.imputed, steps),
            last_time=one.last,
        )
        for one in lost[:MOST_LISTED]
    ]


def _warnings(args: CheckQualityIn, found: Sequence[NodeWindow], silent: Sequence[str], steps: int) -> list[str]:
    never = [one.node for one in found if one.missing + one.imputed == steps]
    if args.node is not None:
        return [f"Nothing was measured at {args.node} in this window."] if never else []
    said = [f"{len(never)} of {len(found)} places have no measured reading in this window."] if never else []
    if silent:
        said.append(f"{len(silent)} of {len(found)} places are silent: their last reading is more than 3 steps old.")
    return said


CHECK_QUALITY = ToolSpec("check_quality", CheckQualityIn, CheckQualityOut, check_quality, title="Checking the readings")
