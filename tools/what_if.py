"""`what_if`: the forecast of one node had what is known been otherwise, beside the forecast as it is."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from mm4st_agent.errors import UsageError
from mm4st_agent.forecaster.config import HIGH, LOW, MEDIAN
from mm4st_agent.forecaster.forecast import check_readings, total_unit
from mm4st_agent.forecaster.measured import channel_at, latest, measuring, place_of
from mm4st_agent.toolspec import ImageHandle, Measured, Passage, ToolIn, ToolOut, ToolSpec, Unit
from tools.about import AboutNode, about
from tools.changes import (
    AddEvent,
    Change,
    RemoveEvent,
    SetCovariate,
    covariate_name,
    covariate_unit,
    edit_of,
    entries_gone,
    said,
)
from tools.forecast import MAX_MINUTES
from tools.log_entries import passage_of
from tools.readings import given

if TYPE_CHECKING:
    from mm4st_agent.data.panel import Panel
    from mm4st_agent.forecaster.counterfactual import Counterfactuals, Difference, Outlook
    from mm4st_agent.forecaster.effect_scores import EffectScores
    from mm4st_agent.forecaster.forecast import Forecast
    from mm4st_agent.forecaster.prediction import TrainedForecaster
    from tools.context import ToolContext

_SCORED = RemoveEvent | AddEvent | SetCovariate
"""Changes of the kinds whose effects a benchmark scores."""
HISTORY_SPANS = 2
"""The picture shows this many times as much history as it reaches ahead."""
MOST_CHANGES = 8
"""At once."""
_AS_IT_IS = "Give one, such as {'kind': 'remove_sensor', 'node': 'ID'}; forecast tells what comes as it is."


class WhatIfIn(ToolIn):
    """Forecast one node as if an event, the weather, a sensor or a road were otherwise, and tell the difference."""

    dataset: str = Field(description="Registered data set name, such as 'pems-orange'.")
    node: str = Field(description="Id of the station or sensor that is forecast.")
    changes: list[Change] = Field(max_length=MOST_CHANGES, description="What is otherwise; all at once.")
    channel: str | None = Field(None, description="Which quantity; leave out for the first that the node measures.")
    minutes: int = Field(60, ge=1, le=MAX_MINUTES, description="How far ahead.")


class WhatIfStep(ToolOut):
    """One step ahead."""

    time: datetime
    before: Measured = Field(description="Median as it is.")
    after: Measured = Field(description="Median with the changes.")
    difference: Measured = Field(description="after less before.")
    difference_low: Measured = Field(description="See the difference of the total.")
    difference_high: Measured


class WhatIfTotal(ToolOut):
    """The sum or mean over all steps, with its 80 % interval."""

    unit: str
    low: Measured
    median: Measured
    high: Measured


class WhatIfDifference(ToolOut):
    """The total after less before.

    `low` and `high` are the smallest and the largest of the shifts of the total's 10, 50 and 90 % quantiles: the 80 %
    interval of the difference if both forecasts meet the same luck. They do not say how sure the effect is.
    """

    unit: str
    low: Measured = Field(description="Smallest shift of the 10, 50 and 90 % quantiles; not how sure the effect is.")
    median: Measured = Field(description="Shift of the median.")
    high: Measured = Field(description="Largest shift of the 10, 50 and 90 % quantiles.")
    percent: Annotated[float | None, Unit("%")] = Field(description="100 * median / total before, where above 0.")


class ChangeMade(ToolOut):
    """One of the changes."""

    said: str = Field(description="It in words.")
    unit: str
    alone: Measured = Field(description="Shift of the total's median by this change alone.")
    moved: bool = Field(description="Whether this change alone moved any quantile of any step.")
    entries: list[Passage] = Field(description="Entries that were taken out of the log.")


class EffectScored(ToolOut):
    """How claims about causes of one kind scored where the truth is known; errors are of the effect on the total."""

    kind: str = Field(description="Of cause, such as 'rain'.")
    causes: int
    effects: int = Field(description="Claims that were scored.")
    unit: str
    error: Measured = Field(description="Mean absolute error of the claims.")
    nothing_error: Measured = Field(description="The same of claiming no effect at all.")
    direction: Annotated[float | None, Unit("%")] = Field(description="Claims of the right direction.")
    useful: bool = Field(description="Whether the claims were clearly closer to the truth.")


class WhatIfOut(AboutNode):
    """What `model` forecasts from changed inputs; it is what the model makes of them, not what would have happened."""

    model: str
    minutes: Annotated[float, Unit("min")]
    step_minutes: Annotated[float, Unit("min")]
    covers_from: datetime
    covers_until: datetime
    aggregation: Literal["sum", "mean"]
    changes: list[ChangeMade]
    before: WhatIfTotal = Field(description="The model's forecast as it is.")
    after: WhatIfTotal = Field(description="With all changes.")
    difference: WhatIfDifference
    steps: list[WhatIfStep]
    largest: WhatIfStep = Field(description="The step whose median moved most.")
    scored: list[EffectScored] = Field(
        description="How such claims of this model scored; empty: never scored against a known truth."
    )
    scored_on: str | None = Field(description="What that truth was.")
    trained_until: datetime | None
    in_sample: bool = Field(description="Whether this moment lies before trained_until.")
    warnings: list[str] = Field(description="What must be said along with these numbers.")
    figure: ImageHandle


def what_if(args: WhatIfIn, ctx: ToolContext) -> WhatIfOut:
    """Forecast one node from edited inputs; nothing that is kept is changed."""
    from mm4st_agent.forecaster.counterfactual import Counterfactuals, Difference
    from mm4st_agent.forecaster.effect_scores import read_scores

    if not args.changes:
        raise UsageError("There is no change, so nothing would differ.", _AS_IT_IS)
    panel = ctx.panel(args.dataset)
    channel = channel_at(panel, args.node, args.channel)
    horizon = math.ceil(args.minutes * 60 / panel.step_s)
    forecaster = ctx.trained_for(panel, channel)
    check_readings(ctx.registry.open(args.dataset), forecaster.needed_readings)
    found = forecaster.predict(panel, [args.node], channel.name, horizon)[0]
    edits = [edit_of(change, channel) for change in args.changes]
    widths = forecaster.widths(measuring(panel, channel))
    runs = Counterfactuals(forecaster.checkpoint, panel, channel, [args.node], horizon, widths)
    alone = [Difference.of(runs.before, runs.after(edit)) for edit in edits]
    after = runs.after(*edits)
    shift = Difference.of(runs.before, after)
    steps = _steps(found, runs.before, after, shift)
    lasts = panel.step if panel.card.time_label == "start" else pd.Timedelta(0)
    unit = total_unit(channel)
    before_median = float(runs.before.total[0, 1])
    scores = read_scores(forecaster.folder, forecaster.card.created)
    if scores is not None and not any(isinstance(change, _SCORED) for change in args.changes):
        scores = None  # what a sensor or a road does was never scored
    return WhatIfOut(
        **about(panel, args.node, channel),
        model=forecaster.name,
        minutes=horizon * panel.step_s / 60,
        step_minutes=panel.step_s / 60,
        covers_from=found.times[0].to_pydatetime(),
        covers_until=(found.times[-1] + lasts).to_pydatetime(),
        aggregation=channel.aggregation,
        changes=[
            ChangeMade(
                said=said(change, panel),
                unit=unit,
                alone=_number(own.total[0, 1]),
                moved=not own.nothing,
                entries=[passage_of(panel, entry) for entry in entries_gone(change, panel)],
            )
            for change, own in zip(args.changes, alone, strict=True)
        ],
        before=_total(runs.before, unit),
        after=_total(after, unit),
        difference=WhatIfDifference(
            unit=unit,
            low=_number(shift.total[0, 0]),
            median=_number(shift.total[0, 1]),
            high=_number(shift.total[0, 2]),
            percent=_number(100 * float(shift.total[0, 1]) / before_median) if before_median > 0 else None,
        ),
        steps=steps,
        largest=steps[int(np.argmax(np.abs(shift.steps[:, 0, 1])))],
        scored=_scored(scores),
        scored_on=None if scores is None else scores.truth,
        trained_until=None if found.trained_until is None else found.trained_until.to_pydatetime(),
        in_sample=found.in_sample,
        warnings=[*_warnings(args, panel, forecaster, found, alone), *_how_true(scores)],
        figure=_figure(args, ctx, panel, found, runs, after, shift),
    )


def _scored(scores: EffectScores | None) -> list[EffectScored]:
    if scores is None:
        return []
    return [EffectScored(**one.model_dump(), unit=scores.unit, useful=one.useful) for one in scores.scores]


def _how_true(scores: EffectScores | None) -> Iterator[str]:
    if scores is None:
        yield "Such claims of this model were never scored against a known truth."
        return
    useful = [one.kind for one in scores.scores if one.useful]
    beaten = [one.kind for one in scores.scores if not one.useful]
    if useful:
        yield (
            f"Scored against {scores.truth}, such claims were clearly closer than claiming no effect for "
            f"{_listed(useful)}."
        )
    if beaten:
        yield (
            f"Scored against {scores.truth}, such claims were not clearly closer than claiming no effect for "
            f"{_listed(beaten)}."
        )


def _listed(kinds: list[str]) -> str:
    return " and ".join([", ".join(kinds[:-1]), kinds[-1]] if len(kinds) > 1 else kinds)


def _warnings(
    args: WhatIfIn, panel: Panel, forecaster: TrainedForecaster, found: Forecast, alone: list[Difference]
) -> Iterator[str]:
    from mm4st_agent.forecaster.counterfactual import reads_text, seen_in_training

    checkpoint = forecaster.checkpoint
    told = [change for change in args.changes if isinstance(change, RemoveEvent | AddEvent | SetCovariate)]
    if told and not reads_text(checkpoint):
        yield (
            f"The model {forecaster.name} reads neither the log nor the weather, so no event and no covariate can "
            "change its forecast: that it stays the same says nothing about their effect."
        )
    for change, own in zip(args.changes, alone, strict=True):
        if isinstance(change, SetCovariate) and reads_text(checkpoint):
            yield from _beyond(panel, change, seen_in_training(checkpoint, panel, change.name))
        if begun := [entry for entry in entries_gone(change, panel) if entry.start <= panel.end]:
            yield (
                f"{begun[0].id} began at {begun[0].start.tz_convert(panel.zone):%Y-%m-%d %H:%M}: what it has done to "
                "the readings since stays in them; only its entries in the log are gone."
            )
        if own.nothing and not (change in told and not reads_text(checkpoint)):
            yield f"The forecast is the same {said(change, panel)}: the model does not use it here."
    if found.baseline_leads:
        yield (
            f"{found.baseline_title} was closer in the backtest than {forecaster.name}, and forecast gives it; here "
            "are the model's own values, as a baseline reads none of this."
        )
    yield from found.warnings[found.baseline_leads :]  # the first one says that the baseline's values are given
    if panel.card.synthetic:
        yield f"The data are synthetic: {panel.card.title}."
    span = len(found.times) * panel.step_s / 60
    if span != args.minutes:
        yield (
            f"The data have steps of {panel.step_s / 60:g} minutes, so the forecast covers {span:g} minutes instead "
            f"of {args.minutes}."
        )


def _beyond(panel: Panel, change: SetCovariate, seen: tuple[float, float] | None) -> Iterator[str]:
    name, unit = covariate_name(panel, change.name), covariate_unit(panel, change.name)
    if seen is None:
        yield f"No {name} was known when the model was trained."
    elif not seen[0] <= change.value <= seen[1]:
        yield (
            f"{name[:1].upper()}{name[1:]} at {change.value:g} {unit} is outside what the model was trained on, "
            f"{seen[0]:g} to {seen[1]:g} {unit}: what it makes of it is a guess."
        )


def _total(outlook: Outlook, unit: str) -> WhatIfTotal:
    low, median, high = (_number(value) for value in outlook.total[0])
    return WhatIfTotal(unit=unit, low=low, median=median, high=high)


def _steps(found: Forecast, before: Outlook, after: Outlook, shift: Difference) -> list[WhatIfStep]:
    return [
        WhatIfStep(
            time=time.to_pydatetime(),
            before=_number(one),
            after=_number(two),
            difference=_number(moved[1]),
            difference_low=_number(moved[0]),
            difference_high=_number(moved[2]),
        )
        for time, one, two, moved in zip(
            found.times, before.quantiles[:, 0, MEDIAN], after.quantiles[:, 0, MEDIAN], shift.steps[:, 0], strict=True
        )
    ]


def _figure(
    args: WhatIfIn,
    ctx: ToolContext,
    panel: Panel,
    found: Forecast,
    runs: Counterfactuals,
    after: Outlook,
    shift: Difference,
) -> ImageHandle:
    from mm4st_agent.imaging.overlays import draw_change
    from mm4st_agent.imaging.readings import Trace

    channel, place = found.channel, place_of(panel, args.node)
    values, imputed = latest(panel.only([args.node]), channel.name, HISTORY_SPANS * len(found.times))
    ends = [LOW, MEDIAN, HIGH]
    changes = ", ".join(said(change, panel) for change in args.changes)
    picture = draw_change(
        history=Trace(place, panel.times[-len(values) :], values[:, 0], imputed[:, 0]),
        times=found.times,
        before=runs.before.quantiles[:, 0, ends],
        after=after.quantiles[:, 0, ends],
        difference=shift.steps[:, 0],
        changes=changes,
        title=f"What if: {channel.label} at {place}",
        unit=channel.unit,
        time_zone=panel.card.time_zone,
        synthetic=panel.card.synthetic,
    )
    return ImageHandle(image_id=ctx.images.put(picture.png), title=picture.title, alt=picture.alt)


def _number(value: float | np.floating) -> float | None:
    """Five significant digits: a forecast knows no more."""
    return given(value, digits=5)


WHAT_IF = ToolSpec("what_if", WhatIfIn, WhatIfOut, what_if, title="Trying what would differ")
