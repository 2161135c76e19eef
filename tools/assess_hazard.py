"""`assess_hazard`: warn of rain or not, from what fell, what is announced, and what a warning and a miss cost."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from mm4st_agent.errors import UsageError
from mm4st_agent.toolspec import Passage, ToolIn, ToolOut, ToolSpec, Unit
from tools.log_entries import passage_of
from tools.rain import Outlook, Rain, outlook, rain_of, told
from tools.readings import given

if TYPE_CHECKING:
    from mm4st_agent.data.events import Event
    from mm4st_agent.data.panel import Panel
    from tools.context import ToolContext

Level = Literal["yellow", "orange", "red"]
IPMA: dict[int, dict[Level, float]] = {
    1: {"yellow": 10.0, "orange": 21.0, "red": 41.0},
    6: {"yellow": 30.0, "orange": 41.0, "red": 61.0},
}
"""mm in so many hours from which Portugal's weather service, IPMA, warns (criteria for the mainland)."""
CHINA: dict[int, dict[Level, float]] = {
    12: {"yellow": 30.0, "orange": 70.0, "red": 140.0},
    24: {"yellow": 50.0, "orange": 100.0, "red": 250.0},
}
"""mm in so many hours: rainstorm, heavy and extraordinary rainstorm of the Chinese standard GB/T 28592-2012."""
_STORMS: dict[Level, str] = {
    "yellow": "a rainstorm",
    "orange": "a heavy rainstorm",
    "red": "an extraordinary rainstorm",
}
COST_LOSS = 0.2
"""Assumed where nobody says what a warning and a miss cost."""
MAX_DAYS = 10


class AssessHazardIn(ToolIn):
    """Say whether to warn of rain: the chance that it adds up to a threshold, against what a warning costs."""

    dataset: str = Field(description="Registered data set name; it needs rain.")
    node: str | None = Field(None, description="Where the rain is measured; leave out where it is of the whole area.")
    start_in_minutes: int = Field(
        0,
        ge=-MAX_DAYS * 1440,
        le=MAX_DAYS * 1440,
        description="When adding up begins, after the clock; below 0 counts what has fallen since then.",
    )
    minutes: int = Field(360, ge=1, le=2 * MAX_DAYS * 1440, description="How long a span the rain is added up over.")
    threshold_mm: float | None = Field(
        None, gt=0, description="Rain in mm that is too much; leave out for a weather service's warning level."
    )
    level: Level = Field("yellow", description="That service's level, where no threshold is given.")
    cost_loss: float = Field(
        COST_LOSS, gt=0, lt=1, description="What a warning costs as a share of the loss that it saves."
    )


class AssessHazardOut(ToolOut):
    """The decision and what it rests on. The chance is a frequency in earlier rain, not a weather model's."""

    dataset: str
    synthetic: bool
    node: Annotated[str | None, Unit("id")]
    place: str = Field(description="In words; 'the whole area' where the rain is not of one place.")
    title: str = Field(description="What the rain is called in the data.")
    as_of: datetime = Field(description="The clock of the question.")
    covers_from: datetime
    covers_until: datetime
    warn: bool = Field(description="Whether to warn: the chance is above the cost-loss ratio.")
    chance: Annotated[float, Unit("%")] = Field(description="That the rain adds up to the threshold.")
    base_chance: Annotated[float, Unit("%")] = Field(description="The same over all earlier stretches of that length.")
    cost_loss: Annotated[float, Unit("%")] = Field(description="From this chance on a warning pays.")
    assumed_cost_loss: bool = Field(description="Nobody said it: a usual value was taken.")
    threshold: Annotated[float, Unit("mm")]
    threshold_source: str
    fallen: Annotated[float, Unit("mm")] = Field(description="Measured in the span so far.")
    last_hour: Annotated[float, Unit("mm")] = Field(description="Measured in the hour, or step, before the clock.")
    missing: Annotated[float, Unit("%")] = Field(description="Of the readings of the span so far; they count as dry.")
    interval: Annotated[float, Unit("%")] = Field(80.0, description="Share of the cases between low and high.")
    low: Annotated[float | None, Unit("mm")] = Field(description="Of the whole span's rain.")
    median: Annotated[float | None, Unit("mm")]
    high: Annotated[float | None, Unit("mm")]
    searched: int = Field(description="Earlier moments like now that the chance was counted over; they overlap.")
    days: Annotated[int, Unit("d")] = Field(description="Different days that they lie on.")
    like: str = Field(description="What they have in common with now.")
    brier: Annotated[float | None, Unit("1")] = Field(description="Brier score of such chances; 0 is perfect.")
    base_brier: Annotated[float | None, Unit("1")] = Field(description="That of the same chance at all times.")
    forecasts: int = Field(description="Later moments that such chances were checked on.")
    announced: list[Passage] = Field(description="Log entries that announce rain within the span.")
    log_announces: bool = Field(description="By the clock the data's log has announced rain at some time.")
    warnings: list[str] = Field(description="What must be said along with these numbers.")


def assess_hazard(args: AssessHazardIn, ctx: ToolContext) -> AssessHazardOut:
    """Decide from what was known at the context's clock.

    Source:
        Murphy (1977), Monthly Weather Review 105(7), and Richardson (2000), Quarterly Journal of the Royal
        Meteorological Society 126: warn where the chance is above the ratio of cost and loss.
    """
    panel = ctx.panel(args.dataset)
    rain = rain_of(panel, args.node)
    begin = panel.end + pd.Timedelta(minutes=args.start_in_minutes)
    end = begin + pd.Timedelta(minutes=args.minutes)
    if end <= panel.end:
        raise UsageError(
            f"The span ends at {end:%Y-%m-%d %H:%M}, which is past: nobody can be warned of it.",
            "Let it end after the clock; query_series tells what was measured.",
        )
    if begin < rain.times[0]:
        raise UsageError(
            f"The span begins at {begin:%Y-%m-%d %H:%M}, before the data.", f"They begin at {rain.times[0]:%Y-%m-%d}."
        )
    known = rain.times[-1] + rain.step
    skip = max(0, round((begin - known) / rain.step))
    steps = max(1, math.ceil((end - max(begin, known)) / rain.step))
    so_far = rain.mm[rain.times >= begin] if begin < known else rain.mm[:0]
    fallen = float(np.nansum(so_far))
    threshold, source = _threshold(args, end - begin)
    entries = told(panel)
    ahead = outlook(rain, entries, skip, steps, max(threshold - fallen, 1e-9))
    missing = max(threshold - fallen, 0.0)
    chance = ahead.chance(missing)
    low, median, high = (given(fallen + ahead.quantile(share), 3) for share in (0.1, 0.5, 0.9))
    hour = max(1, int(pd.Timedelta(hours=1) / rain.step))
    announced = [entry for entry in entries if max(begin, known) <= entry.start < end]
    return AssessHazardOut(
        dataset=panel.name,
        synthetic=panel.card.synthetic,
        node=rain.node,
        place="the whole area" if rain.node is None else panel.place(rain.node),
        title=rain.title,
        as_of=panel.end.to_pydatetime(),
        covers_from=begin.to_pydatetime(),
        covers_until=end.to_pydatetime(),
        warn=chance > args.cost_loss,
        chance=_plain(100 * chance),
        base_chance=_plain(100 * ahead.usual_chance(threshold)),
        cost_loss=_plain(100 * args.cost_loss),
        assumed_cost_loss="cost_loss" not in args.model_fields_set,
        threshold=_plain(threshold),
        threshold_source=source,
        fallen=_plain(fallen),
        last_hour=_plain(float(np.nansum(rain.mm[-hour:]))),
        missing=_plain(100 * float((~np.isfinite(so_far)).mean()) if len(so_far) else 0.0),
        low=low,
        median=median,
        high=high,
        searched=ahead.cases,
        days=ahead.days,
        like=ahead.like,
        brier=given(ahead.brier, 3),
        base_brier=given(ahead.usual_brier, 3),
        forecasts=ahead.checks,
        announced=[passage_of(panel, entry) for entry in announced],
        log_announces=bool(entries),
        warnings=list(_warnings(args, panel, rain, ahead, so_far, announced)),
    )


def _threshold(args: AssessHazardIn, span: pd.Timedelta) -> tuple[float, str]:
    if args.threshold_mm is not None:
        return args.threshold_mm, "as asked"
    hours = span / pd.Timedelta(hours=1)
    for most, levels in IPMA.items():
        if hours <= most:
            return levels[args.level], f"the {args.level} warning of IPMA for {most} hour{'s' if most > 1 else ''}"
    most = 12 if hours <= 12 else 24
    return CHINA[most][args.level], f"{_STORMS[args.level]} in {most} hours (GB/T 28592-2012)"


def _warnings(
    args: AssessHazardIn, panel: Panel, rain: Rain, ahead: Outlook, so_far: np.ndarray, announced: list[Event]
) -> Iterator[str]:
    yield (
        f"The chance is how often the rain that followed earlier moments reached the threshold; {panel.name!r} holds "
        "no weather model's forecast."
    )
    if announced:
        yield "What the log announces is a forecast of others, and may be wrong."
    if ahead.brier is not None and ahead.usual_brier is not None and ahead.brier > ahead.usual_brier:
        yield "Checked on later moments, such chances were no better than the same chance at all times."
    if "cost_loss" not in args.model_fields_set:
        yield (
            f"That a warning costs {100 * COST_LOSS:g} % of the loss that it saves is an assumption; give your own "
            "ratio."
        )
    if len(so_far) and not np.isfinite(so_far).all():
        yield "Some readings of the span so far are missing; they count as dry."
    if panel.card.synthetic:
        yield f"The data are synthetic: {panel.card.title}."


def _plain(value: float) -> float:
    return given(value, 3) or 0.0


ASSESS_HAZARD = ToolSpec(
    "assess_hazard", AssessHazardIn, AssessHazardOut, assess_hazard, title="Weighing a warning of rain"
)
