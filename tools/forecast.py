"""`forecast`: the coming steps of one node with intervals, beside a baseline and the backtest of both."""

from __future__ import annotations

import math
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from mm4st_agent.errors import UsageError
from mm4st_agent.forecaster.config import HIGH, LOW, MEDIAN, QUANTILES
from mm4st_agent.forecaster.forecast import check_horizon, check_readings
from mm4st_agent.forecaster.measured import channel_at, latest, place_of
from mm4st_agent.forecaster.prediction import DRIFT
from mm4st_agent.toolspec import ImageHandle, Measured, ToolIn, ToolOut, ToolSpec, Unit
from prompts import until
from tools.about import AboutNode, about
from tools.readings import given, mean_of

if TYPE_CHECKING:
    from mm4st_agent.data.panel import Panel
    from mm4st_agent.forecaster.forecast import Forecast, Forecaster
    from tools.context import ToolContext

HISTORY_SPANS = 4
"""The picture shows this many times as much history as it reaches ahead."""
POOR_COVERAGE = 70.0
"""An 80 % interval that held fewer truths than this, in %, is called too narrow."""
MAX_MINUTES = 100_000
"""Longer than any forecaster reaches; beyond it the arithmetic of times would end, not the forecast."""


class ForecastIn(ToolIn):
    """Forecast one station or sensor: median, 80 % interval and total of the coming minutes, beside a baseline."""

    dataset: str = Field(description="Registered data set name, such as 'pems-orange'.")
    node: str = Field(description="Id of the station or sensor, as find_places gives it.")
    channel: str | None = Field(None, description="Which quantity; leave out for the first that the node measures.")
    minutes: int = Field(60, ge=1, le=MAX_MINUTES, description="How long a span; 60 alone is the next hour.")
    start_in_minutes: int = Field(
        0, ge=0, le=MAX_MINUTES, description="When the span begins, after the clock; 0 is now."
    )


class ForecastStep(ToolOut):
    """One step ahead; `low` and `high` are its 80 % interval."""

    time: datetime
    low: Measured
    median: Measured
    high: Measured
    baseline: Measured


class ForecastTotal(ToolOut):
    """The sum or mean over all steps of the span, with an 80 % interval of its own."""

    aggregation: Literal["sum", "mean"]
    unit: str
    low: Measured
    median: Measured
    high: Measured
    baseline: Measured
    width_percent: Annotated[float | None, Unit("%")] = Field(
        description="Width of the interval as a share of the median, where that is above 0."
    )


class ForecastBacktest(ToolOut):
    """How model and baseline did on earlier data that neither was fitted to, over the same steps ahead."""

    mae: Measured = Field(description="Mean absolute error of `model`, in the channel's unit.")
    baseline_mae: Measured = Field(description="Of the best baseline, on the same cells.")
    best_baseline: str
    coverage80: Annotated[float | None, Unit("%")] = Field(description="Truths inside the 80 % interval of a step.")
    total_coverage80: Annotated[float | None, Unit("%")] = Field(
        description="The same for the total; None where the span begins later than now."
    )
    recent_mae: Measured = Field(
        description="Mean absolute error of `model` over the last two days; None where too little was measured."
    )
    recent_hours: Annotated[float, Unit("h")] = Field(48.0, description="How far back recent_mae looks.")
    recent_ratio: Annotated[float | None, Unit("1")] = Field(description="recent_mae / mae.")
    drifting: bool = Field(description="Whether the last two days were clearly worse: recent_ratio is 1.5 or more.")
    too_narrow: bool = Field(description="Whether the 80 % interval held less than 70 % of the truths.")
    where: str


class ForecastOut(AboutNode):
    """Numbers from `model` only; None is undefined."""

    model: str = Field(description="What the numbers come from: the trained model, or a baseline that did better.")
    minutes: Annotated[float, Unit("min")]
    step_minutes: Annotated[float, Unit("min")]
    covers_from: datetime = Field(description="Where the forecast span begins.")
    covers_until: datetime = Field(description="Where the forecast span ends.")
    interval: Annotated[float, Unit("%")] = Field(80.0, description="Nominal share of truths between low and high.")
    steps: list[ForecastStep]
    total: ForecastTotal
    peak: ForecastStep = Field(description="The step with the highest median.")
    previous_mean: Measured = Field(description="Mean of the measured readings before the clock, as long as the span.")
    forecast_mean: Measured = Field(description="Mean of the medians.")
    change: Annotated[float | None, Unit("%")] = Field(
        description="From previous_mean to forecast_mean; None unless both are above 0."
    )
    baseline_name: str = Field(description="The best baseline in words, with what it fell back to.")
    baseline_leads: bool = Field(description="The forecast is the baseline: no model was trained, or it did worse.")
    backtest: ForecastBacktest
    trained_until: datetime | None = Field(description="Training and tuning used nothing later; None: not trained.")
    in_sample: bool = Field(description="Whether this moment lies before trained_until.")
    warnings: list[str] = Field(description="What must be said along with these numbers.")
    figure: ImageHandle


def forecast(args: ForecastIn, ctx: ToolContext) -> ForecastOut:
    """Forecast one node from what was known at the context's `as_of`, and draw it."""
    panel = ctx.panel(args.dataset)
    channel = channel_at(panel, args.node, args.channel)
    skip = args.start_in_minutes * 60 // panel.step_s
    horizon = math.ceil((args.start_in_minutes + args.minutes) * 60 / panel.step_s) - skip
    forecaster = ctx.forecaster_for(panel, channel)
    check_readings(ctx.registry.open(args.dataset), forecaster.needed_readings)
    check_reach(panel, forecaster, horizon, skip)
    found = forecaster.predict(panel, [args.node], channel.name, horizon, skip)[0]
    steps = _steps(found)
    values, imputed = latest(panel.only([args.node]), channel.name, horizon)
    previous = _number(mean_of(values[~imputed]))
    coming = _number(mean_of(found.quantiles[:, MEDIAN]))
    lasts = panel.step if panel.card.time_label == "start" else pd.Timedelta(0)
    total = found.total
    return ForecastOut(
        **about(panel, args.node, channel),
        model=found.model,
        minutes=horizon * panel.step_s / 60,
        step_minutes=panel.step_s / 60,
        covers_from=found.times[0].to_pydatetime(),
        covers_until=(found.times[-1] + lasts).to_pydatetime(),
        steps=steps,
        total=ForecastTotal(
            aggregation=channel.aggregation,
            unit=total.unit,
            low=_number(total.low),
            median=_number(total.median),
            high=_number(total.high),
            baseline=_number(total.baseline),
            width_percent=_number(100 * (total.high - total.low) / total.median) if total.median > 0 else None,
        ),
        peak=steps[int(np.argmax(found.quantiles[:, MEDIAN]))],
        previous_mean=previous,
        forecast_mean=coming,
        change=_change(previous, coming),
        baseline_name=found.baseline_title,
        baseline_leads=found.baseline_leads,
        backtest=ForecastBacktest(
            mae=_number(found.backtest.mae),
            baseline_mae=_number(found.backtest.baseline_mae),
            best_baseline=found.baseline_title,
            coverage80=_number(found.backtest.coverage80),
            total_coverage80=_number(found.backtest.total_coverage80),
            recent_mae=_number(found.backtest.recent_mae),
            recent_ratio=given(found.backtest.recent_ratio, 3),
            drifting=(found.backtest.recent_ratio or 0.0) >= DRIFT,
            too_narrow=bool(poor_coverage(found)),
            where=found.backtest.where,
        ),
        trained_until=None if found.trained_until is None else found.trained_until.to_pydatetime(),
        in_sample=found.in_sample,
        warnings=_warnings(args, panel, found, previous),
        figure=_figure(args, ctx, panel, found, skip + horizon),
    )


def check_reach(panel: Panel, forecaster: Forecaster, horizon: int, skip: int) -> None:
    """Refuse a span that the forecaster does not reach, and name that span.

    Raises:
        UsageError: the span ends later.
    """
    try:
        check_horizon(panel, horizon, skip, forecaster.max_horizon)
    except UsageError as err:
        start, end = (panel.end + steps * panel.step for steps in (skip, skip + horizon))
        span = until(start.isoformat(), end.isoformat())
        said = err.message[:1].lower() + err.message[1:]
        raise UsageError(f"The time {span} lies out of reach: {said}", err.hint) from err


def _steps(found: Forecast) -> list[ForecastStep]:
    return [
        ForecastStep(
            time=time.to_pydatetime(),
            low=_number(quantiles[LOW]),
            median=_number(quantiles[MEDIAN]),
            high=_number(quantiles[HIGH]),
            baseline=_number(baseline),
        )
        for time, quantiles, baseline in zip(found.times, found.quantiles, found.baseline, strict=True)
    ]


def _warnings(args: ForecastIn, panel: Panel, found: Forecast, previous: float | None) -> list[str]:
    warnings = list(found.warnings)
    if panel.card.synthetic:
        warnings.append(f"The data are synthetic: {panel.card.title}.")
    span = len(found.times) * panel.step_s / 60
    if span != args.minutes:
        warnings.append(
            f"The data have steps of {panel.step_s / 60:g} minutes, so the forecast covers {span:g} minutes "
            f"instead of {args.minutes}."
        )
    warnings += poor_coverage(found)
    if previous is None:
        warnings.append("The time just before has no measured reading, so there is no change to report.")
    return warnings


def poor_coverage(found: Forecast) -> list[str]:
    """The sentence that belongs beside an interval which held too few of the truths so far."""
    backtest = found.backtest
    held = backtest.total_coverage80 if backtest.total_coverage80 is not None else backtest.coverage80
    if held is None or held >= POOR_COVERAGE:
        return []
    return [f"The 80 % interval held only {held:.0f} % of the truths so far: take it as too narrow."]


def _figure(args: ForecastIn, ctx: ToolContext, panel: Panel, found: Forecast, reach: int) -> ImageHandle:
    from mm4st_agent.imaging.carried import with_numbers
    from mm4st_agent.imaging.lines import draw_forecast

    channel, place = found.channel, place_of(panel, args.node)
    values, imputed = latest(panel.only([args.node]), channel.name, HISTORY_SPANS * reach)
    picture = draw_forecast(
        times=panel.times[-len(values) :],
        values=values[:, 0],
        imputed=imputed[:, 0],
        forecast_times=found.times,
        quantiles=found.quantiles,
        baseline=found.baseline,
        baseline_name=found.baseline_title,
        title=f"{place[0].upper()}{place[1:]}: {channel.label}",
        unit=channel.unit,
        time_zone=panel.card.time_zone,
        synthetic=panel.card.synthetic,
        origin=panel.end,
    )
    # A reply has the 80 % interval only, as each of its numbers may be claimed; the picture shows and keeps all levels.
    fan = {"levels": QUANTILES, "quantiles": [[_number(value) for value in step] for step in found.quantiles]}
    png = with_numbers(picture.png, fan)
    return ImageHandle(image_id=ctx.images.put(png), title=picture.title, alt=picture.alt)


def _change(previous: float | None, coming: float | None) -> float | None:
    """In %; a percentage says nothing where a mean is 0 or below, such as of degrees."""
    if previous is None or coming is None or min(previous, coming) <= 0:
        return None
    return _number(100 * (coming / previous - 1))


def _number(value: float | np.floating | None) -> float | None:
    """Five significant digits: a forecast knows no more."""
    return given(value, digits=5)


FORECAST = ToolSpec("forecast", ForecastIn, ForecastOut, forecast, title="Forecasting")
