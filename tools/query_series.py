"""`query_series`: what the data show at one node up to now: level, usual level, trend, and how complete."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from mm4st_agent.forecaster.slots import HOLIDAY, slots_of
from mm4st_agent.toolspec import Measured, ToolIn, ToolOut, ToolSpec, Unit, UnitOf

if TYPE_CHECKING:
    from mm4st_agent.data.panel import Panel
    from tools.context import ToolContext

RECENT_S = 1800
"""The recent level is the mean over the last half hour, or the last reading where steps are longer."""
TREND_S = 3600
TREND_STEPS = 4
"""The trend is over the last hour, or so many steps where an hour has fewer."""
STEADY_PERCENT = 5.0
"""A smaller change over the trend window than this share of its mean is 'steady'."""
NEAR_SLOT_S = 900
"""Up to this step, one slot before and after also count as the same time of the week."""


class QuerySeriesIn(ToolIn):
    """Say what one station or sensor shows up to now: latest reading, range, usual level for this time, trend."""

    dataset: str = Field(description="Registered data set name, such as 'pems-orange'.")
    node: str = Field(description="Id of the station or sensor, as find_places gives it.")
    channel: str | None = Field(None, description="Which quantity; leave out for the data set's main one.")
    hours: int = Field(24, ge=1, le=24 * 28, description="How far back to look.")


class QuerySeriesOut(ToolOut):
    """Numbers over measured readings only; imputed ones are counted, never averaged. None is undefined."""

    dataset: str
    synthetic: bool
    node: Annotated[str, Unit("id")]
    name: str
    channel: str
    channel_title: str
    unit: str
    as_of: datetime
    window_start: datetime = Field(description="Stamp of the first step of the window.")
    window_end: datetime = Field(description="Stamp of the last step of the window.")
    window_hours: Annotated[float, Unit("h")]
    steps: int = Field(description="Steps in the window: measured + imputed + missing.")
    measured: int
    imputed: int
    missing: int
    coverage: Annotated[float, Unit("%")] = Field(description="Share of the window's steps that were measured.")
    last: Measured = Field(description="Latest measured reading of the window.")
    last_time: datetime | None
    mean: Measured
    minimum: Measured
    minimum_time: datetime | None
    maximum: Measured
    maximum_time: datetime | None
    recent: Measured = Field(description="Mean of the measured readings of the last recent_minutes.")
    recent_minutes: Annotated[float, Unit("min")]
    usual: Measured = Field(
        description="What the readings in `recent` usually are: mean of the measured readings at the same weekday and "
        "time of day (one step around it for steps up to 15 minutes) in earlier weeks, holidays left out."
    )
    usual_weeks: int = Field(description="Earlier weeks that have such readings.")
    usual_readings: int = Field(description="Readings behind `usual`.")
    level: Annotated[float | None, Unit("%")] = Field(description="100 * recent / usual; 100 is as usual.")
    trend: Literal["rising", "falling", "steady"] | None = Field(
        description="'steady' when the 90 % interval of the slope holds 0, or the change over trend_minutes is below "
        "5 % of the mean there; None with fewer than 4 measured readings."
    )
    slope: Annotated[float | None, UnitOf("slope_unit")] = Field(description="Theil-Sen slope over trend_minutes.")
    slope_unit: str
    trend_minutes: Annotated[float, Unit("min")]
    warnings: list[str] = Field(description="What must be said along with these numbers.")


def query_series(args: QuerySeriesIn, ctx: ToolContext) -> QuerySeriesOut:
    """Summarise one node of the panel as it was known at the context's `as_of`."""
    panel = ctx.panel(args.dataset)
    channel = panel.channel(args.channel)
    position = panel.position(args.node)
    observed = panel.observed(channel.name)[:, position].astype(np.float64)
    is_imputed = panel.imputed(channel.name)[:, position]
    is_missing = np.isnan(panel.values(channel.name)[:, position]) & ~is_imputed
    times = panel.times

    window = slice(-max(1, round(args.hours * 3600 / panel.step_s)), None)
    steps = len(times[window])
    measured = int(np.isfinite(observed[window]).sum())
    recent_steps = max(1, RECENT_S // panel.step_s)
    trend_steps = max(TREND_STEPS, TREND_S // panel.step_s)
    recent, usual, weeks, readings = _against_usual(panel, observed, recent_steps)
    slope, trend = _trend(observed[-trend_steps:], panel.step_s)
    extremes = _extremes(observed[window], times[window])
    return QuerySeriesOut(
        dataset=panel.name,
        synthetic=panel.card.synthetic,
        node=args.node,
        name=str(panel.nodes["name"].iloc[position]),
        channel=channel.name,
        channel_title=channel.label,
        unit=channel.unit,
        as_of=panel.end.to_pydatetime(),
        window_start=times[window][0].to_pydatetime(),
        window_end=times[-1].to_pydatetime(),
        window_hours=steps * panel.step_s / 3600,
        steps=steps,
        measured=measured,
        imputed=int(is_imputed[window].sum()),
        missing=int(is_missing[window].sum()),
        coverage=round(100 * measured / steps, 1),
        mean=_mean(observed[window]),
        last=extremes["last"][0],
        last_time=extremes["last"][1],
        minimum=extremes["minimum"][0],
        minimum_time=extremes["minimum"][1],
        maximum=extremes["maximum"][0],
        maximum_time=extremes["maximum"][1],
        recent=recent,
        recent_minutes=recent_steps * panel.step_s / 60,
        usual=usual,
        usual_weeks=weeks,
        usual_readings=readings,
        level=_number(100 * recent / usual) if recent is not None and usual else None,
        trend=trend,
        slope=slope,
        slope_unit=f"{channel.unit} per hour",
        trend_minutes=trend_steps * panel.step_s / 60,
        warnings=_warnings(panel, args.node, observed[window], is_imputed[window], usual),
    )


Value = tuple[float | None, datetime | None]


def _extremes(readings: NDArray[np.float64], times: pd.DatetimeIndex) -> dict[str, Value]:
    """The last, smallest and largest reading with its stamp; the first of equal ones."""
    finite = np.flatnonzero(np.isfinite(readings))
    if len(finite) == 0:
        return dict.fromkeys(("last", "minimum", "maximum"), (None, None))
    where = {"last": finite[-1], "minimum": np.nanargmin(readings), "maximum": np.nanargmax(readings)}
    return {name: (_number(readings[i]), times[int(i)].to_pydatetime()) for name, i in where.items()}


def _against_usual(
    panel: Panel, observed: NDArray[np.float64], recent_steps: int
) -> tuple[float | None, float | None, int, int]:
    """The recent mean, the usual mean of the same slots, and how many weeks and readings are behind it."""
    times = panel.times
    calendar = slots_of(times, panel.step_s, panel.card.holidays)
    slot, per_week = calendar.of_week, 7 * calendar.per_day
    near = 1 if panel.step_s <= NEAR_SLOT_S else 0
    usable = np.isfinite(observed) & (calendar.day_type != HOLIDAY)
    recent = np.flatnonzero(np.isfinite(observed[-recent_steps:])) + max(0, len(observed) - recent_steps)
    means: list[float] = []
    weeks: set[int] = set()
    readings = 0
    for i in map(int, recent):
        away = np.abs(slot - slot[i])
        earlier = times < times[i] - pd.Timedelta(days=6)
        same = np.flatnonzero(usable & earlier & (np.minimum(away, per_week - away) <= near))
        if len(same):
            means.append(observed[same].mean())
            readings += len(same)
            weeks.update(np.round((times[i] - times[same]) / pd.Timedelta(weeks=1)).astype(int))
    if len(means) < max(1, len(recent)):
        return _mean(observed[recent]), None, 0, 0
    return _mean(observed[recent]), _mean(np.array(means)), len(weeks), readings


def _trend(
    readings: NDArray[np.float64], step_s: int
) -> tuple[float | None, Literal["rising", "falling", "steady"] | None]:
    """Slope per hour and its word; see the field `trend` for the rule.

    Source:
        Sen (1968), doi:10.1080/01621459.1968.10480934.
    """
    finite = np.flatnonzero(np.isfinite(readings))
    if len(finite) < TREND_STEPS:
        return None, None
    from scipy.stats import theilslopes

    fit = theilslopes(readings[finite], finite * step_s / 3600, alpha=0.9)
    change = abs(fit.slope) * (finite[-1] - finite[0]) * step_s / 3600
    small = change < STEADY_PERCENT / 100 * abs(readings[finite].mean())
    if small or fit.low_slope < 0 < fit.high_slope:
        return _number(fit.slope), "steady"
    return _number(fit.slope), "rising" if fit.slope > 0 else "falling"


def _warnings(
    panel: Panel, node: str, readings: NDArray[np.float64], imputed: NDArray[np.bool_], usual: float | None
) -> list[str]:
    warnings = []
    finite = np.flatnonzero(np.isfinite(readings))
    place = f"{panel.card.place_word} {node}"
    if imputed.all():
        warnings.append(f"Every reading of {place} in this window was imputed by the source; none was measured.")
    elif len(finite) == 0:
        warnings.append(f"There is no measured reading of {place} in this window.")
    elif len(finite) < len(readings) / 2:
        warnings.append(f"Only {len(finite)} of the {len(readings)} steps in this window were measured.")
    if len(finite) and len(readings) - 1 - finite[-1] >= 3:
        warnings.append(f"The last {len(readings) - 1 - finite[-1]} steps have no measured reading.")
    if len(finite) and usual is None:
        warnings.append("There is no usual level: no earlier week has measured readings at this time of the week.")
    today = panel.times[-1:]
    if slots_of(today, panel.step_s, panel.card.holidays).day_type[0] == HOLIDAY:
        warnings.append(f"{today[0]:%Y-%m-%d} is a public holiday; the usual level is that of ordinary weekdays.")
    return warnings


def _mean(readings: NDArray[np.float64]) -> float | None:
    """Mean of the finite readings; None when there is none."""
    finite = readings[np.isfinite(readings)]
    return _number(finite.mean()) if len(finite) else None


def _number(value: float | np.floating) -> float:
    """Six significant digits: more than a float32 reading has."""
    return float(f"{value:.6g}")


QUERY_SERIES = ToolSpec("query_series", QuerySeriesIn, QuerySeriesOut, query_series, title="Reading the data")
