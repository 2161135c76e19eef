"""`query_series`: what the data show at one node up to now: level, usual level, trend, and how complete."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from mm4st_agent.forecaster.measured import channel_at, word_of
from mm4st_agent.forecaster.slots import HOLIDAY, slots_of
from mm4st_agent.toolspec import Measured, ToolIn, ToolSpec, Unit, UnitOf
from tools.about import AboutNode, about
from tools.context import cut_at
from tools.readings import RECENT_S, given, mean_of, usual_level

if TYPE_CHECKING:
    from mm4st_agent.data.panel import Panel
    from tools.context import ToolContext

TREND_S = 3600
TREND_STEPS = 4
"""The trend is over the last hour, or so many steps where an hour has fewer."""
STEADY_PERCENT = 5.0
"""'steady' is shown when the slope's whole interval changes the mean by no more than this over the trend window."""
SHIFT_S, BEFORE_S, BEFORE_READINGS = 900, 2700, 3
"""A shift is from the 45 minutes before (or three steps) to the last 15 minutes (or the last step)."""
SHIFT_LEVEL = 0.9999
SHIFT_PERCENT = 10.0
"""It is abrupt outside this prediction interval, and by this share of the mean before. On four weeks of 5-minute
traffic, 0.1 to 0.8 % of all moments were: incidents and the foot of the rush hour, not its slopes."""
NEARLY_ALL = 0.98
"""A total over fewer of the steps than this share is said to leave some out."""
TOTAL_COVERAGE = 90.0
"""A total needs this share of the window's steps, in %."""

Trend = Literal["rising", "falling", "steady", "unclear"]


class QuerySeriesIn(ToolIn):
    """Say what one station or sensor shows up to now: latest reading, range, usual level for this time, trend."""

    dataset: str = Field(description="Registered data set name, such as 'pems-orange'.")
    node: str = Field(description="Id of the station or sensor, as find_places gives it.")
    channel: str | None = Field(None, description="Which quantity; leave out for the first that the node measures.")
    hours: float = Field(24, gt=0, le=24 * 28, description="How far back to look.")
    until: datetime | None = Field(
        None, description="Where the window ends, local time of the data; leave out for now. Never later than now."
    )


class QuerySeriesOut(AboutNode):
    """Numbers over measured readings only; imputed ones are counted, never averaged. None is undefined."""

    until: datetime = Field(description="Where the window ends: the clock, or earlier where asked.")
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
    total: Annotated[float | None, UnitOf("total_unit")] = Field(
        description="Sum of the window's measured readings; None where they do not add up or under 90 % were measured."
    )
    total_unit: str | None
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
    level: Annotated[float | None, Unit("%")] = Field(
        description="100 * recent / usual; 100 is as usual. None unless usual > 0."
    )
    trend: Trend | None = Field(
        description="From the 90 % interval of the slope: 'steady' when all of it is within 5 % of the mean over "
        "trend_minutes, 'rising' or 'falling' when it leaves out 0, else 'unclear'; None with fewer than 4 readings."
    )
    shift: Measured = Field(
        description="Mean of the last 15 minutes (or the last step) less that of the 45 minutes (or 3 steps) before, "
        "only where abrupt: outside the 99.99 % prediction interval of the readings before, and by 10 % of their mean."
    )
    slope: Annotated[float | None, UnitOf("slope_unit")] = Field(description="Theil-Sen slope over trend_minutes.")
    slope_unit: str
    trend_minutes: Annotated[float, Unit("min")]
    warnings: list[str] = Field(description="What must be said along with these numbers.")


def query_series(args: QuerySeriesIn, ctx: ToolContext) -> QuerySeriesOut:
    """Summarise one node of the panel as it was known at the end of the window, by default the context's clock."""
    known = ctx.panel(args.dataset)
    channel = channel_at(known, args.node, args.channel)
    panel = cut_at(known, args.until).only([args.node])
    values, is_imputed = panel.values(channel.name)[:, 0], panel.imputed(channel.name)[:, 0]
    observed = np.where(is_imputed, np.nan, values).astype(np.float64)
    is_missing = np.isnan(values) & ~is_imputed
    times = panel.times

    window = slice(-max(1, round(args.hours * 3600 / panel.step_s)), None)
    steps = len(times[window])
    measured = int(np.isfinite(observed[window]).sum())
    coverage = 100 * measured / steps
    summed = channel.aggregation == "sum" and coverage >= TOTAL_COVERAGE
    recent_steps = max(1, RECENT_S // panel.step_s)
    trend_steps = max(TREND_STEPS, TREND_S // panel.step_s)
    recent = mean_of(observed[-recent_steps:])
    usual, weeks, readings = _usual(panel, args.node, channel.name, observed[-recent_steps:])
    slope, trend = _trend(observed[-trend_steps:], panel.step_s)
    extremes = _extremes(observed[window], times[window])
    return QuerySeriesOut(
        **about(known, args.node, channel),
        until=panel.end.to_pydatetime(),
        window_start=times[window][0].to_pydatetime(),
        window_end=times[-1].to_pydatetime(),
        window_hours=steps * panel.step_s / 3600,
        steps=steps,
        measured=measured,
        imputed=int(is_imputed[window].sum()),
        missing=int(is_missing[window].sum()),
        coverage=round(coverage, 1),
        mean=mean_of(observed[window]),
        total=given(np.nansum(observed[window])) if summed else None,
        total_unit=channel.total_unit if summed else None,
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
        level=given(100 * recent / usual) if recent is not None and usual is not None and usual > 0 else None,
        trend=trend,
        shift=_shift(observed, panel.step_s),
        slope=slope,
        slope_unit=f"{'' if channel.unit == '1' else channel.unit} per hour".strip(),
        trend_minutes=trend_steps * panel.step_s / 60,
        warnings=_warnings(panel, args.node, observed[window], is_imputed[window], usual, summed),
    )


Value = tuple[float | None, datetime | None]


def _extremes(readings: NDArray[np.float64], times: pd.DatetimeIndex) -> dict[str, Value]:
    """The last, smallest and largest reading with its stamp; the first of equal ones."""
    finite = np.flatnonzero(np.isfinite(readings))
    if len(finite) == 0:
        return dict.fromkeys(("last", "minimum", "maximum"), (None, None))
    where = {"last": finite[-1], "minimum": np.nanargmin(readings), "maximum": np.nanargmax(readings)}
    return {name: (given(readings[i]), times[int(i)].to_pydatetime()) for name, i in where.items()}


def _usual(panel: Panel, node: str, channel: str, recent: NDArray[np.float64]) -> tuple[float | None, int, int]:
    """The usual mean of the recent measured steps, and how many weeks and readings are behind it."""
    usual = usual_level(panel, node, channel, len(recent))
    measured = np.isfinite(recent)
    if not measured.any() or np.isnan(usual.means[measured]).any():
        return None, 0, 0
    counts = usual.counts[:, measured]
    return mean_of(usual.means[measured]), int(counts.any(axis=1).sum()), int(counts.sum())


def _trend(readings: NDArray[np.float64], step_s: int) -> tuple[float | None, Trend | None]:
    """Slope per hour and its word; see the field `trend` for the rule.

    Source:
        Sen (1968), doi:10.1080/01621459.1968.10480934.
    """
    finite = np.flatnonzero(np.isfinite(readings))
    if len(finite) < TREND_STEPS:
        return None, None
    from scipy.stats import theilslopes

    fit = theilslopes(readings[finite], finite * step_s / 3600, alpha=0.9)
    hours = (finite[-1] - finite[0]) * step_s / 3600
    trend: Trend = "unclear"
    if max(abs(fit.low_slope), abs(fit.high_slope)) * hours <= STEADY_PERCENT / 100 * abs(readings[finite].mean()):
        trend = "steady"
    elif fit.low_slope > 0:
        trend = "rising"
    elif fit.high_slope < 0:
        trend = "falling"
    return given(fit.slope), trend


def _shift(readings: NDArray[np.float64], step_s: int) -> float | None:
    """How far the latest level lies from the one before, where that is abrupt; see the field `shift`."""
    latest = max(1, SHIFT_S // step_s)
    earlier = max(BEFORE_READINGS, BEFORE_S // step_s)
    last, before = (part[np.isfinite(part)] for part in (readings[-latest:], readings[-latest - earlier : -latest]))
    if len(last) == 0 or len(before) < BEFORE_READINGS:
        return None
    from scipy.special import stdtrit

    shift = last.mean() - before.mean()
    spread = before.std(ddof=1) * np.sqrt(1 / len(last) + 1 / len(before))
    noise = stdtrit(len(before) - 1, (1 + SHIFT_LEVEL) / 2) * spread
    large = SHIFT_PERCENT / 100 * abs(before.mean())
    return given(shift) if abs(shift) > noise and abs(shift) >= large else None


def _warnings(
    panel: Panel,
    node: str,
    readings: NDArray[np.float64],
    imputed: NDArray[np.bool_],
    usual: float | None,
    summed: bool,
) -> list[str]:
    warnings = []
    finite = np.flatnonzero(np.isfinite(readings))
    place = f"{word_of(panel, node)} {node}"
    if imputed.all():
        warnings.append(f"Every reading of {place} in this window was imputed by the source; none was measured.")
    elif len(finite) == 0:
        warnings.append(f"There is no measured reading of {place} in this window.")
    elif len(finite) < len(readings) / 2:
        warnings.append(f"Only {len(finite)} of the {len(readings)} steps in this window were measured.")
    if len(finite) and len(readings) - 1 - finite[-1] >= 3:
        warnings.append(f"The last {len(readings) - 1 - finite[-1]} steps have no measured reading.")
    if summed and len(finite) < NEARLY_ALL * len(readings):
        warnings.append(f"The total counts the {len(finite)} of {len(readings)} steps that were measured.")
    if len(finite) and usual is None:
        warnings.append("There is no usual level: no earlier week has measured readings at this time of the week.")
    today = panel.times[-1:]
    if slots_of(today, panel.step_s, panel.card.holidays).day_type[0] == HOLIDAY:
        warnings.append(f"{today[0]:%Y-%m-%d} is a public holiday; the usual level is that of ordinary weekdays.")
    return warnings


QUERY_SERIES = ToolSpec("query_series", QuerySeriesIn, QuerySeriesOut, query_series, title="Reading the data")
