"""`backtest`: how good the forecasts were lately, as known at the clock, beside the baselines."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from mm4st_agent.errors import DataError, UsageError
from mm4st_agent.forecaster.baselines import BASELINES, TITLES
from mm4st_agent.forecaster.forecast import check_horizon, check_readings, duration
from mm4st_agent.forecaster.measured import channel_at, head_of, kind_of, measuring, place_of
from mm4st_agent.toolspec import ImageHandle, Measured, ToolIn, ToolOut, ToolSpec, Unit
from tools.readings import given

if TYPE_CHECKING:
    from mm4st_agent.data.card import Channel
    from mm4st_agent.data.panel import Panel
    from mm4st_agent.forecaster.card import TestErrors
    from mm4st_agent.forecaster.checkpoint import Checkpoint
    from mm4st_agent.forecaster.evaluation import Course
    from tools.context import ToolContext

MAX_MINUTES = 100_000
BASELINE_HISTORY = 12
"""Steps before a forecast that a window of the baselines has."""
CHECKED_SHARE = 0.2
"""Of the steps before the period: the last ones, whose errors make the baselines' intervals where none is trained."""


class BacktestIn(ToolIn):
    """Say how good the forecasts of the last days were: error and interval coverage of the model and of baselines."""

    dataset: str = Field(description="Registered data set name, such as 'pems-orange'.")
    channel: str | None = Field(None, description="Which quantity; leave out for the first, or the node's first.")
    node: str | None = Field(None, description="Id of one station or sensor; leave out for all of them together.")
    minutes: int = Field(60, ge=1, le=MAX_MINUTES, description="How far ahead the forecasts looked.")
    days: float = Field(7, gt=0, le=366, description="Only forecasts made in so many days before the clock.")


class ModelErrors(ToolOut):
    """One model over all steps of the span; None is undefined."""

    model: str = Field(description="The trained model's name, or a baseline in words.")
    trained: bool
    mae: Measured = Field(description="Mean absolute error.")
    coverage80: Annotated[float | None, Unit("%")] = Field(description="Truths inside the 80 % interval of a step.")
    width80: Measured = Field(description="Mean width of that interval.")


class HorizonErrors(ToolOut):
    """One model at one step ahead."""

    model: str
    minutes_ahead: Annotated[float, Unit("min")]
    mae: Measured
    coverage80: Annotated[float | None, Unit("%")]


class BacktestOut(ToolOut):
    """Every model on the same forecasts and cells; imputed and missing cells count nowhere."""

    dataset: str
    synthetic: bool
    node: Annotated[str | None, Unit("id")]
    name: str | None
    kind: str = Field(description="What sort of place; '' for all of them, or where the data name none.")
    places: int = Field(description="How many were forecast.")
    channel: str
    channel_title: str
    unit: str
    as_of: datetime
    since: datetime = Field(description="When the first forecast was made.")
    until: datetime = Field(description="When the truth of the last one was in; never later than as_of.")
    minutes: Annotated[float, Unit("min")]
    forecasts: int = Field(description="Moments from which was forecast, evenly spaced.")
    every_minutes: Annotated[float, Unit("min")] = Field(description="Between two of them.")
    cells: int = Field(description="Measured readings that were forecast, all steps and places together.")
    interval: Annotated[float, Unit("%")] = Field(80.0, description="Nominal share of truths in the interval.")
    model: str | None = Field(description="The trained model; None: none knows this quantity.")
    rows: list[ModelErrors] = Field(description="The trained model, if there is one, then the baselines.")
    best_baseline: str
    ratio: Annotated[float | None, Unit("1")] = Field(
        description="Error of the trained model divided by that of the best baseline; below 1 it is the better one."
    )
    leads: str = Field(description="The model with the lowest error.")
    model_leads: bool = Field(description="Whether that is the trained one.")
    by_horizon: list[HorizonErrors]
    trained_until: datetime | None = Field(description="Training and tuning used nothing later; None: not trained.")
    in_sample: bool = Field(description="Whether the period began before that, which flatters the trained model.")
    warnings: list[str]
    figure: ImageHandle


@dataclass(frozen=True)
class _Scored:
    """Errors of forecasts made from position `first` of the panel's time on."""

    errors: TestErrors
    first: int
    checkpoint: Checkpoint | None
    in_sample: bool


def backtest(args: BacktestIn, ctx: ToolContext) -> BacktestOut:
    """Score the forecasts whose truth was in by the context's clock."""
    from mm4st_agent.forecaster.prediction import TrainedForecaster

    panel = ctx.panel(args.dataset)
    channel = panel.channel(args.channel) if args.node is None else channel_at(panel, args.node, args.channel)
    whole, panel = panel, measuring(panel, channel)
    forecaster = ctx.forecaster_for(whole, channel)
    steps = math.ceil(args.minutes * 60 / panel.step_s)
    check_horizon(panel, steps, 0, forecaster.max_horizon)
    check_readings(ctx.registry.open(args.dataset), forecaster.needed_readings)
    if isinstance(forecaster, TrainedForecaster):
        forecaster.check(panel, channel)
        scored = _trained(forecaster.checkpoint, panel, channel, args, steps)
    else:
        scored = _untrained(panel, channel, args, steps)
    return _reply(args, ctx, panel, channel, scored, steps)


def _first(panel: Panel, args: BacktestIn, steps: int, earliest: int) -> int:
    """The first position of the period from which can be forecast.

    Raises:
        UsageError: too few forecasts of the period were over by the clock.
    """
    from mm4st_agent.forecaster.scoring import LEAST_WINDOWS

    end = len(panel.times)
    first = max(end - round(args.days * 86_400 / panel.step_s), earliest)
    if (made := end - steps - first + 1) < LEAST_WINDOWS:
        hint = f"Ask for {math.ceil((LEAST_WINDOWS + steps - 1) * panel.step_s / 864) / 100:g} days or more."
        if end - earliest < LEAST_WINDOWS + steps - 1:
            clock = panel.start + (earliest + LEAST_WINDOWS + steps - 2) * panel.step
            hint = f"Choose a clock from {clock:%Y-%m-%dT%H:%M} on."
        raise UsageError(
            f"Of the {args.days:g} days up to {panel.end:%Y-%m-%d %H:%M}, {max(0, made)} forecasts of "
            f"{duration(steps * panel.step_s)} were over; a backtest needs {LEAST_WINDOWS}.",
            hint,
        )
    return first


def _trained(checkpoint: Checkpoint, panel: Panel, channel: Channel, args: BacktestIn, steps: int) -> _Scored:
    """Score forecasts that begin after what training and tuning used, where enough of them were over by the clock."""
    from mm4st_agent.data.windows import Split
    from mm4st_agent.forecaster.evaluation import Course, evaluate
    from mm4st_agent.forecaster.scoring import LEAST_WINDOWS, RECORD_WINDOWS, parts

    card, shape, known = checkpoint.card, checkpoint.card.network, parts(checkpoint, panel)
    earliest = max(shape.history, 86_400 // panel.step_s)
    first, end = _first(panel, args, steps, earliest), len(panel.times)
    if end - steps - known.test.start + 1 >= LEAST_WINDOWS:
        first = max(first, known.test.start)
    before = known.train if known.train.stop <= first else slice(0, first)  # the slot means must not hold the truths
    split = Split(before, known.validation, slice(first - shape.history, end))
    course = Course.of(panel, channel, split, shape.horizon)
    inputs = checkpoint.inputs(panel, course.observed, course.history.slots)
    errors = evaluate(
        _only(course, args.node, first),
        course.windows(split.test, shape.history, steps, RECORD_WINDOWS),
        steps,
        checkpoint.residuals,
        (card.model, lambda origins: checkpoint.quantiles(inputs, origins)[:, :steps], card.calibration),
    )
    return _Scored(errors, first, checkpoint, first < known.test.start)


def _untrained(panel: Panel, channel: Channel, args: BacktestIn, steps: int) -> _Scored:
    """Score the baselines, whose slot means and intervals come from before the period."""
    from mm4st_agent.data.windows import Split
    from mm4st_agent.forecaster.evaluation import Course, baseline_residuals, evaluate
    from mm4st_agent.forecaster.scoring import RECORD_WINDOWS

    panel = panel if args.node is None else panel.only([args.node])
    window, day = BASELINE_HISTORY + steps, 86_400 // panel.step_s  # errors of half a day would be no interval
    first, end = _first(panel, args, steps, 2 * max(window, day)), len(panel.times)
    checked = first - max(window, day, int(first * CHECKED_SHARE))
    split = Split(slice(0, checked), slice(checked, first), slice(first - BASELINE_HISTORY, end))
    course = Course.of(panel, channel, split, steps)
    scored = _only(course, args.node, first)
    residuals = baseline_residuals(course, BASELINE_HISTORY, steps)
    windows = course.windows(split.test, BASELINE_HISTORY, steps, RECORD_WINDOWS)
    return _Scored(evaluate(scored, windows, steps, residuals, None), first, None, False)


def _only(course: Course, node: str | None, first: int) -> Course:
    """The course whose truths from `first` on are those of one node; what is read of the past stays whole.

    Raises:
        DataError: nothing was measured there, or nothing before.
    """
    panel, observed = course.panel, course.observed
    if node is not None:
        others = np.arange(observed.shape[1]) != panel.position(node)
        observed = observed.copy()
        observed[first:, others] = np.nan
    place, verb = ("The data of", "have") if node is None else (f"{head_of(panel, node)} of", "has")
    known = observed if node is None else observed[:, [panel.position(node)]]
    for part in (slice(first, None), slice(0, first)):
        if not np.isfinite(known[part]).any():
            times = panel.times[part]
            raise DataError(
                f"{place} {panel.name!r} {verb} no measured {course.channel.label} from {times[0]:%Y-%m-%d %H:%M} "
                f"to {times[-1]:%Y-%m-%d %H:%M}.",
                "Choose another place, a later clock, or another number of days.",
            )
    return replace(course, observed=observed)


def _reply(
    args: BacktestIn, ctx: ToolContext, panel: Panel, channel: Channel, scored: _Scored, steps: int
) -> BacktestOut:
    errors, checkpoint = scored.errors, scored.checkpoint
    trained = None if checkpoint is None else checkpoint.card.model
    titles = {name: TITLES[name][0] if name in TITLES else name for name in errors.by_step}
    whole = {row.model: row for row in errors.rows if row.horizon == "all"}
    best = errors.best(BASELINES, steps)
    leads = errors.best(list(errors.by_step), steps)
    ours, theirs = whole[trained].mae if trained else None, whole[best].mae
    until = None if checkpoint is None else checkpoint.card.validation.end.astimezone(panel.zone)
    minutes = [panel.step_s / 60 * (step + 1) for step in range(steps)]
    every = errors.stride * panel.step_s / 60
    return BacktestOut(
        dataset=panel.name,
        synthetic=panel.card.synthetic,
        node=args.node,
        name=None if args.node is None else panel.place_name(args.node),
        kind="" if args.node is None else kind_of(panel, args.node),
        places=len(panel.node_ids) if args.node is None else 1,
        channel=channel.name,
        channel_title=channel.label,
        unit=channel.unit,
        as_of=panel.end.to_pydatetime(),
        since=panel.times[scored.first].to_pydatetime(),
        until=_known_at(panel, scored.first + (errors.windows - 1) * errors.stride + steps - 1),
        minutes=steps * panel.step_s / 60,
        forecasts=errors.windows,
        every_minutes=every,
        cells=errors.cells,
        model=trained,
        rows=[
            ModelErrors(
                model=titles[name],
                trained=name == trained,
                mae=given(row.mae, 5),
                coverage80=given(row.coverage80, 4),
                width80=given(row.width80, 5),
            )
            for name, row in whole.items()
        ],
        best_baseline=titles[best],
        ratio=None if ours is None or not theirs else given(ours / theirs, 4),
        leads=titles[leads],
        model_leads=leads == trained,
        by_horizon=[
            HorizonErrors(
                model=titles[row.model],
                minutes_ahead=row.horizon * panel.step_s / 60,
                mae=given(row.mae, 5),
                coverage80=given(row.coverage80, 4),
            )
            for row in errors.rows
            if row.horizon != "all"
        ],
        trained_until=until,
        in_sample=scored.in_sample,
        warnings=_warnings(args, panel, channel, scored, until),
        figure=_figure(args, ctx, panel, channel, errors, titles, trained, minutes),
    )


def _known_at(panel: Panel, position: int) -> datetime:
    """When the reading at a position was known."""
    return (panel.start + position * panel.step).to_pydatetime()


def _warnings(args: BacktestIn, panel: Panel, channel: Channel, scored: _Scored, until: datetime | None) -> list[str]:
    said = list(scored.errors.notes)
    for name, titles in TITLES.items():
        said = [note.replace(name, titles[0]) for note in said]
    said = [note[:1].upper() + note[1:] for note in said]
    first = panel.times[scored.first]
    covered = (panel.end - first).total_seconds() / 86_400
    if until is None:
        said.append(
            f"No trained model for {channel.label} of {panel.name!r}, so these are the baselines alone. "
            f"To train one: mm4st train --dataset {panel.name} --channel {channel.name}."
        )
    if scored.in_sample:
        said.append(
            f"The model was trained and tuned on data until {until:%Y-%m-%d %H:%M}, which this period overlaps: "
            "these figures flatter it."
        )
    elif covered < args.days - 1 / 24:
        before = "the baselines rest" if until is None else "the model was trained and tuned"
        said.append(f"Only forecasts from {first:%Y-%m-%d %H:%M} on count: {before} on what lies before.")
    if scored.checkpoint is not None and scored.checkpoint.card.data_sha256 != panel.card.sha256:
        said.append(f"The model was trained on another version of {panel.name!r}.")
    if panel.card.synthetic:
        said.append(f"The data are synthetic: {panel.card.title}.")
    return said


def _figure(
    args: BacktestIn,
    ctx: ToolContext,
    panel: Panel,
    channel: Channel,
    errors: TestErrors,
    titles: dict[str, str],
    trained: str | None,
    minutes: list[float],
) -> ImageHandle:
    from mm4st_agent.imaging.error_curve import draw_error_curve

    where = f"{len(panel.node_ids)} places" if args.node is None else place_of(panel, args.node)
    curves = {
        titles[name]: np.array([np.nan if value is None else value for value in steps.mae])
        for name, steps in errors.by_step.items()
    }
    picture = draw_error_curve(
        minutes=minutes,
        curves=curves,
        ours=None if trained is None else titles[trained],
        title=f"{where[:1].upper()}{where[1:]}: error of {channel.label} forecasts",
        unit=channel.unit,
        synthetic=panel.card.synthetic,
    )
    return ImageHandle(image_id=ctx.images.put(picture.png), title=picture.title, alt=picture.alt)


BACKTEST = ToolSpec("backtest", BacktestIn, BacktestOut, backtest, title="Checking earlier forecasts")
