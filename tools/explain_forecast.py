"""`explain_forecast`: which inputs moved the forecast of one node, tested by taking them away in the same call."""

from __future__ import annotations

import math
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from mm4st_agent.errors import UsageError
from mm4st_agent.forecaster.forecast import check_readings
from mm4st_agent.forecaster.measured import channel_at, place_of
from mm4st_agent.forecaster.prediction import TrainedForecaster
from mm4st_agent.toolspec import ImageHandle, Measured, Passage, ToolIn, ToolOut, ToolSpec, Unit
from tools.about import AboutNode, about
from tools.forecast import MAX_MINUTES
from tools.readings import given

if TYPE_CHECKING:
    from mm4st_agent.data.events import Event
    from mm4st_agent.data.panel import Panel
    from mm4st_agent.forecaster.explanation import Driver, Explanation
    from tools.context import ToolContext

Percent = Annotated[float | None, Unit("%")]


class ExplainForecastIn(ToolIn):
    """Say which sensors, readings or events moved the forecast of one station, and test that by removing them."""

    dataset: str = Field(description="Registered data set name, such as 'pems-orange'.")
    node: str = Field(description="Id of the station or sensor, as find_places gives it.")
    channel: str | None = Field(None, description="Which quantity; leave out for the first that the node measures.")
    minutes: int = Field(60, ge=1, le=MAX_MINUTES, description="How long a span; 60 alone is the next hour.")
    start_in_minutes: int = Field(
        0, ge=0, le=MAX_MINUTES, description="When the span begins, after the clock; 0 is now."
    )


class ExplainedForecast(ToolOut):
    """The sum or mean over all steps of the span, with its 80 % interval, as `forecast` gives it."""

    aggregation: Literal["sum", "mean"]
    model: str = Field(description="What the numbers come from; a baseline where it did better.")
    low: Measured
    median: Measured
    high: Measured
    baseline: Measured


class ModalityShares(ToolOut):
    """How much the model read of each kind of input in its first layer, at this node."""

    text_percent: Percent
    vision_percent: Percent
    series_percent: Percent


class DriverOut(ToolOut):
    """One input that moved the forecast."""

    kind: Literal["sensor", "lag", "usual", "level", "picture", "calendar", "event", "weather", "network", "anomaly"]
    id: Annotated[str | None, Unit("id")] = Field(description="Of the sensor or event; None for other inputs.")
    label: str
    removed: str = Field(description="What its removal meant.")
    effect: Measured = Field(description="The forecast with it less the forecast without it.")
    effect_percent: Percent = Field(description="Of the explained total; None where that is 0 or below.")
    passage: Passage | None = Field(description="What the event's source wrote.")


class DeletionOut(ToolOut):
    """What became of the forecast without the named drivers, and without random inputs of the same kinds."""

    removed: int = Field(description="How many drivers were taken away: all that are listed.")
    draws: int = Field(description="Random removals of as many inputs of the same kinds.")
    shift: Measured = Field(description="The forecast without all of them less the forecast with them.")
    added_up: Measured = Field(description="What `shift` would be if single effects added up.")
    random_shift: Measured = Field(description="Median absolute shift of the random removals.")
    moved: Measured = Field(description="Taken away one after the other: absolute changes added up.")
    random_moved: Measured = Field(description="The same of the random removals, median.")
    random_moved_high: Measured = Field(description="The same, 90th percentile.")
    random_below_percent: Percent = Field(description="Random removals that moved the forecast less far.")
    faithful: bool = Field(description="Whether random_below_percent is 90 or more.")


class ExplainForecastOut(AboutNode):
    """What moved the forecast; inputs of a model, not causes of traffic. None is undefined."""

    unit: str = Field(description="Of the forecast and of all effects.")
    minutes: Annotated[float, Unit("min")]
    covers_from: datetime
    covers_until: datetime
    forecast: ExplainedForecast
    model: str = Field(description="Whose forecast is explained; never a baseline.")
    explained: Measured = Field(description="Median of that model over the span.")
    shares: ModalityShares | None = Field(description="None where the model reads numbers only, or cannot tell.")
    usual: DriverOut = Field(description="The usual course of the week: most of any forecast, and not tested.")
    drivers: list[DriverOut] = Field(description="What else moved it, taken away one at a time; largest effect first.")
    inputs_tried: int = Field(description="Inputs that were taken away one at a time.")
    test: DeletionOut
    warnings: list[str] = Field(description="What must be said along with these numbers.")
    figure: ImageHandle


def explain_forecast(args: ExplainForecastIn, ctx: ToolContext) -> ExplainForecastOut:
    """Explain what the trained model forecasts from what was known at the context's `as_of`, and draw the test."""
    panel = ctx.panel(args.dataset)
    channel = channel_at(panel, args.node, args.channel)
    forecaster = ctx.forecaster_for(panel, channel)
    if not isinstance(forecaster, TrainedForecaster):
        raise UsageError(
            f"There is no trained model for {channel.label} of {panel.name!r}, so nothing can be taken from it.",
            f"To train one: mm4st train --dataset {panel.name} --channel {channel.name}. Until then, forecast gives "
            "a baseline.",
        )
    skip = args.start_in_minutes * 60 // panel.step_s
    horizon = math.ceil((args.start_in_minutes + args.minutes) * 60 / panel.step_s) - skip
    check_readings(ctx.registry.open(args.dataset), forecaster.needed_readings)

    from mm4st_agent.forecaster.explanation import explain

    found = explain(forecaster, panel, args.node, channel.name, horizon, skip=skip)
    forecast = found.forecast
    lasts = panel.step if panel.card.time_label == "start" else pd.Timedelta(0)
    return ExplainForecastOut(
        **{**about(panel, args.node, channel), "unit": found.unit},
        minutes=horizon * panel.step_s / 60,
        covers_from=forecast.times[0].to_pydatetime(),
        covers_until=(forecast.times[-1] + lasts).to_pydatetime(),
        forecast=ExplainedForecast(
            aggregation=channel.aggregation,
            model=forecast.model,
            low=given(forecast.total.low, 5),
            median=given(forecast.total.median, 5),
            high=given(forecast.total.high, 5),
            baseline=given(forecast.total.baseline, 5),
        ),
        model=found.model,
        explained=given(found.total, 5),
        shares=_shares(found),
        usual=_driver(found.usual, found.total),
        drivers=[_driver(driver, found.total) for driver in found.named],
        inputs_tried=len(found.measured),
        test=_test(found),
        warnings=_warnings(args, panel, found),
        figure=_figure(args, ctx, panel, found),
    )


def _shares(found: Explanation) -> ModalityShares | None:
    if found.shares is None:
        return None
    text, vision, series = (given(100 * share, 3) for _, share in sorted(found.shares.items()))
    return ModalityShares(text_percent=text, vision_percent=vision, series_percent=series)


def _driver(driver: Driver, total: float) -> DriverOut:
    return DriverOut(
        kind=driver.kind,
        id=driver.event.id if driver.event is not None else driver.node,
        label=driver.label,
        removed=driver.removed,
        effect=given(driver.effect, 3),
        effect_percent=given(100 * driver.effect / total, 3) if total > 0 else None,
        passage=None if driver.event is None else _passage(driver.event),
    )


def _passage(event: Event) -> Passage:
    return Passage(
        doc_id=event.id,
        text=event.text,
        source=event.source,
        span=(0, len(event.text)),
        published_at=event.published_at.to_pydatetime(),
        place=event.place or None,
    )


def _test(found: Explanation) -> DeletionOut:
    test = found.test
    middle, high = np.quantile(test.random_moved[:, -1], [0.5, 0.9])
    return DeletionOut(
        removed=len(found.named),
        draws=len(test.random),
        shift=given(test.shift, 3),
        added_up=given(-sum(driver.effect for driver in found.named), 3),
        random_shift=given(np.median(np.abs(test.random_shifts)), 3),
        moved=given(test.moved[-1], 3),
        random_moved=given(middle, 3),
        random_moved_high=given(high, 3),
        random_below_percent=given(100 * test.share_below, 3),
        faithful=test.faithful,
    )


def _warnings(args: ExplainForecastIn, panel: Panel, found: Explanation) -> list[str]:
    warnings = list(found.forecast.warnings)
    if found.forecast.baseline_leads:
        warnings.append(
            f"The forecast is the baseline's, {found.forecast.baseline_title}; explained is what {found.model} gives."
        )
    if not found.reads_text:
        warnings.append(
            f"{found.model} reads numbers and no text, so no event can have moved its forecast, whatever happened."
        )
    if not found.named:
        warnings.append("No input moved the forecast.")
    elif not found.test.faithful:
        warnings.append(
            f"Only {100 * found.test.share_below:.0f} % of the random removals moved the forecast less far than the "
            "named inputs did: do not rely on which inputs are named."
        )
    span = found.forecast.times.size * panel.step_s / 60
    if span != args.minutes:
        warnings.append(
            f"The data have steps of {panel.step_s / 60:g} minutes, so {span:g} minutes are explained instead of "
            f"{args.minutes}."
        )
    if panel.card.synthetic:
        warnings.append(f"The data are synthetic: {panel.card.title}.")
    warnings.append("The effects say what moved this model's forecast, not what causes the readings.")
    return warnings


def _figure(args: ExplainForecastIn, ctx: ToolContext, panel: Panel, found: Explanation) -> ImageHandle:
    from mm4st_agent.imaging.deletion_curve import draw_deletion_curve

    place = place_of(panel, args.node)
    picture = draw_deletion_curve(
        named=found.test.moved,
        random=found.test.random_moved,
        title=f"{place[0].upper()}{place[1:]}: what moved the forecast of {found.forecast.channel.label}",
        unit=found.unit,
        synthetic=panel.card.synthetic,
    )
    return ImageHandle(image_id=ctx.images.put(picture.png), title=picture.title, alt=picture.alt)


EXPLAIN_FORECAST = ToolSpec(
    "explain_forecast", ExplainForecastIn, ExplainForecastOut, explain_forecast, title="Explaining the forecast"
)
