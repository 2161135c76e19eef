"""`rank_forecasts`: which nodes are forecast to be highest or lowest over a span ahead."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from mm4st_agent.errors import DataError
from mm4st_agent.forecaster.forecast import check_readings
from mm4st_agent.forecaster.measured import kind_of, measuring
from mm4st_agent.forecaster.slots import extended
from mm4st_agent.toolspec import Measured, ToolIn, ToolOut, ToolSpec, Unit
from tools.forecast import MAX_MINUTES, check_reach, poor_coverage
from tools.readings import given
from tools.usual_levels import usual_at

if TYPE_CHECKING:
    from mm4st_agent.data.panel import Panel
    from mm4st_agent.forecaster.forecast import Forecast, Forecaster
    from tools.context import ToolContext


class RankForecastsIn(ToolIn):
    """Rank all places by their forecast: which will be highest or lowest on average over a span ahead."""

    dataset: str = Field(description="Registered data set name, such as 'pems-orange'.")
    channel: str | None = Field(None, description="Which quantity; leave out for the data set's main one.")
    order: Literal["highest", "lowest"] = Field("highest", description="Which end of the ranking comes first.")
    minutes: int = Field(60, ge=1, le=MAX_MINUTES, description="How long a span; 60 alone is the next hour.")
    start_in_minutes: int = Field(
        0, ge=0, le=MAX_MINUTES, description="When the span begins, after the clock; 0 is now."
    )
    limit: int = Field(5, ge=1, le=20, description="How many places.")


class RankedForecast(ToolOut):
    """One place of the ranking; None is undefined."""

    rank: int
    id: Annotated[str, Unit("id")]
    name: str
    kind: str
    value: Measured = Field(description="Forecast mean of the span.")
    low: Measured = Field(description="Its 80 % interval.")
    high: Measured
    usual: Measured = Field(description="What that mean usually is; None where no earlier week tells it.")
    level: Annotated[float | None, Unit("%")] = Field(description="100 * value / usual.")


class RankForecastsOut(ToolOut):
    """The first places of the ranking."""

    dataset: str
    synthetic: bool
    channel: str
    channel_title: str
    unit: str
    order: Literal["highest", "lowest"]
    as_of: datetime = Field(description="The clock of the question.")
    covers_from: datetime = Field(description="Where the forecast span begins.")
    covers_until: datetime = Field(description="Where the forecast span ends.")
    minutes: Annotated[float, Unit("min")] = Field(description="Length of the span.")
    interval: Annotated[float, Unit("%")] = Field(80.0, description="Nominal share of truths between low and high.")
    model: str | None = Field(description="What most forecasts come from: the trained model, or a baseline.")
    baseline_leads: bool = Field(description="Those forecasts are a baseline's: no model was trained, or it did worse.")
    mae: Measured = Field(description="Mean absolute error of `model` in the backtest, over all places.")
    baseline_mae: Measured = Field(description="Of the best baseline, on the same cells.")
    best_baseline: str | None
    where: str | None = Field(description="On which earlier forecasts the errors rest.")
    places: int = Field(description="Places that measure this quantity.")
    ranked: int = Field(description="Places that could be forecast.")
    unknown: int = Field(description="Places that could not: nothing, or too little, was measured there.")
    unclear: bool = Field(
        description="Whether the interval of the last place listed reaches the forecast of the first place left out."
    )
    usual_weeks: int = Field(description="Earlier weeks that `usual` is the mean of, at most 8.")
    ranking: list[RankedForecast]
    warnings: list[str] = Field(description="What must be said along with these numbers.")


def rank_forecasts(args: RankForecastsIn, ctx: ToolContext) -> RankForecastsOut:
    """Forecast all nodes of a channel at once from what was known at the context's clock, and order them."""
    known = ctx.panel(args.dataset)
    channel = known.channel(args.channel)
    panel = measuring(known, channel)
    skip = args.start_in_minutes * 60 // panel.step_s
    horizon = math.ceil((args.start_in_minutes + args.minutes) * 60 / panel.step_s) - skip
    forecaster = ctx.forecaster_for(known, channel)
    check_readings(ctx.registry.open(args.dataset), forecaster.needed_readings)
    check_reach(panel, forecaster, horizon, skip)
    measured = np.flatnonzero(np.isfinite(panel.observed(channel.name)).any(axis=0))
    asked = [panel.node_ids[position] for position in measured.tolist()]
    found = _forecasts(forecaster, panel, asked, channel.name, horizon, skip)
    parts = horizon if channel.aggregation == "sum" else 1
    sign = -1 if args.order == "highest" else 1
    order = sorted(found, key=lambda one: sign * one.total.median)
    listed = order[: args.limit]
    usual, weeks = _usual(panel, channel.name, [one.node for one in listed], horizon, skip)
    led = Counter(one.model for one in found).most_common(1)
    typical = next((one for one in found if led and one.model == led[0][0]), None)
    trained = typical is not None and typical.trained_until is not None
    times = extended(panel.times, skip + horizon)[-horizon:]
    lasts = panel.step if panel.card.time_label == "start" else pd.Timedelta(0)
    return RankForecastsOut(
        dataset=panel.name,
        synthetic=panel.card.synthetic,
        channel=channel.name,
        channel_title=channel.label,
        unit=channel.unit,
        order=args.order,
        as_of=known.end.to_pydatetime(),
        covers_from=times[0].to_pydatetime(),
        covers_until=(times[-1] + lasts).to_pydatetime(),
        minutes=horizon * panel.step_s / 60,
        model=None if typical is None else typical.model,
        baseline_leads=typical is not None and typical.baseline_leads,
        mae=given(typical.backtest.mae, 5) if typical and trained else None,
        baseline_mae=given(typical.backtest.baseline_mae, 5) if typical and trained else None,
        best_baseline=typical.baseline_title if typical else None,
        where=typical.backtest.where if typical and trained else None,
        places=len(panel.node_ids),
        ranked=len(order),
        unknown=len(panel.node_ids) - len(order),
        unclear=len(order) > len(listed) and _overlap(listed[-1], order[len(listed)], args.order),
        usual_weeks=weeks,
        ranking=[
            RankedForecast(
                rank=rank,
                id=one.node,
                name=panel.place_name(one.node),
                kind=kind_of(panel, one.node),
                value=given(one.total.median / parts, 5),
                low=given(one.total.low / parts, 5),
                high=given(one.total.high / parts, 5),
                usual=given(level),
                level=given(100 * one.total.median / parts / level) if level > 0 else None,
            )
            for rank, (one, level) in enumerate(zip(listed, usual, strict=True), start=1)
        ],
        warnings=_warnings(panel, listed, len(order)),
    )


def _forecasts(
    forecaster: Forecaster, panel: Panel, nodes: Sequence[str], channel: str, horizon: int, skip: int
) -> list[Forecast]:
    """All at once where a model was trained; else node by node, without those of which too little was measured."""
    from mm4st_agent.forecaster.prediction import TrainedForecaster

    if isinstance(forecaster, TrainedForecaster):
        return forecaster.predict(panel, nodes, channel, horizon, skip) if nodes else []
    found = []
    for node in nodes:
        try:
            found += forecaster.predict(panel, [node], channel, horizon, skip)
        except DataError:
            continue
    return found


def _usual(panel: Panel, channel: str, nodes: Sequence[str], horizon: int, skip: int) -> tuple[list[float], int]:
    """What is usual over the span at each of the nodes, NaN where a step has no usual reading; the weeks behind it."""
    if not nodes:
        return [], 0
    means, weeks = usual_at(panel.only(list(nodes)), channel, horizon, skip + horizon)
    return means.mean(axis=0).tolist(), weeks


def _overlap(listed: Forecast, left_out: Forecast, order: Literal["highest", "lowest"]) -> bool:
    if order == "highest":
        return listed.total.low <= left_out.total.median
    return listed.total.high >= left_out.total.median


def _warnings(panel: Panel, listed: Sequence[Forecast], ranked: int) -> list[str]:
    if not listed:
        return ["No place can be forecast."]
    said = list(dict.fromkeys(warning for one in listed for warning in [*one.warnings, *poor_coverage(one)]))
    if panel.card.synthetic:
        said.append(f"The data are synthetic: {panel.card.title}.")
    if len(panel.node_ids) > ranked:
        said.append(f"{len(panel.node_ids) - ranked} of {len(panel.node_ids)} places cannot be forecast.")
    return said


RANK_FORECASTS = ToolSpec(
    "rank_forecasts", RankForecastsIn, RankForecastsOut, rank_forecasts, title="Ranking the forecasts"
)
