"""`detect_patterns`: what the readings of one node do, in numbers: trend, cycles, changes, anomalies, and who leads."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mm4st_agent.errors import UsageError
from mm4st_agent.forecaster.measured import channel_at, latest, place_of
from mm4st_agent.toolspec import ImageHandle, Measured, ToolIn, ToolOut, ToolSpec, Unit, UnitOf
from tools.context import cut_at
from tools.readings import given
from tools.series_pictures import heading

if TYPE_CHECKING:
    from mm4st_agent.data.card import Channel
    from mm4st_agent.data.panel import Panel
    from mm4st_agent.imaging.figure import Picture
    from mm4st_agent.patterns import report
    from tools.context import ToolContext

MAX_STEPS = 10_000
"""More would take longer than a second or two."""
MOST_NAMED = 8
"""So many anomalies and so many changes are named, the largest ones; all are counted."""

Share = Annotated[float, Unit("%")]
Plain = Annotated[float | None, Unit("1")]
Minutes = Annotated[float, Unit("min")]
Items = TypeVar("Items", "report.Anomaly", "report.Change")


class DetectPatternsIn(ToolIn):
    """Measure what one place's readings do: trend, cycles, level changes, anomalies, noise, and who follows whom."""

    dataset: str = Field(description="Registered data set name, such as 'pems-orange'.")
    node: str = Field(description="Place id, as find_places gives it.")
    other: str | None = Field(None, description="A second place, to measure whether and when it follows `node`.")
    channel: str | None = Field(None, description="Which quantity; leave out for the first that `node` measures.")
    hours: float = Field(
        168, gt=0, le=24 * 3660, description="Length of the window. A cycle is found when it holds three of them."
    )
    until: datetime | None = Field(
        None, description="Where the window ends, local time of the data; leave out for now. Never later than now."
    )


class TrendOut(ToolOut):
    """A lasting rise or fall; 'none' also for levels that jump or wander."""

    kind: Literal["none", "linear", "exponential", "logarithmic"]
    slope: Annotated[float | None, UnitOf("slope_unit")] = Field(description="Mean slope; None for 'none'.")
    change: Measured = Field(description="From the start to the end of the trend; None for 'none'.")
    p_value: Plain = Field(description="Chance of so good a fit without a trend.")


class PeriodOut(ToolOut):
    """One repeating cycle."""

    hours: Annotated[float, Unit("h")]
    strength_percent: Share = Field(description="Share of the variance that it explains.")
    confidence_percent: Share = Field(description="How well odd and even cycles agree.")
    cycles: float = Field(description="How many of them the window holds.")
    waveform: Literal["sine", "square", "sawtooth"] | None


class SeasonalityOut(ToolOut):
    """How the cycles join the level."""

    mode: Literal["additive", "multiplicative"] | None = Field(description="None: it cannot be told.")
    strength_percent: Share = Field(description="Share of the variance about trend and levels that all cycles explain.")
    swing: Measured = Field(description="From the lowest to the highest point of the cycles.")


class ChangeOut(ToolOut):
    """Where the level, or the spread of the noise, becomes another and stays."""

    kind: Literal["level", "variance"]
    time: datetime = Field(description="First step after it.")
    before: Measured = Field(description="Mean, or standard deviation of the noise, cycles taken out.")
    after: Measured


class RegimesOut(ToolOut):
    """States between which it switches back and forth."""

    by: Literal["level", "variance"]
    states: Annotated[list[float], UnitOf("unit")] = Field(description="Their means or standard deviations.")
    shares_percent: Annotated[list[float], Unit("%")] = Field(description="Of the steps in each.")
    switches: int


class AnomalyOut(ToolOut):
    """A stretch that does not fit the rest."""

    kind: Literal["spike", "excursion", "flip", "flat", "clipped"] = Field(
        description="'spike': at most 3 steps. 'excursion': longer. 'flip': the cycle upside down. 'flat': one value "
        "repeated, 'clipped': that being the lowest or highest."
    )
    since: datetime
    until: datetime = Field(description="Its last step.")
    size: Measured = Field(
        description="Off the neighbours or the usual course; the repeated value of 'flat', 'clipped'; None for 'flip'."
    )


class VolatilityOut(ToolOut):
    """How much of a step cannot be foreseen."""

    level: Measured = Field(description="Standard deviation of the one-step errors.")
    clustered: bool = Field(description="Whether large ones come together.")


class NoiseOut(ToolOut):
    """What is left without cycles, trend and levels."""

    kind: Literal["white", "ar", "ma", "random walk"]
    lag1: Plain = Field(description="Autocorrelation at one step; for a random walk, of its steps.")


class RelationOut(ToolOut):
    """How the two move together, cycles, trend and memory of each taken out."""

    related: bool = Field(description="Whether they do (p below 0.01).")
    leads: Literal["node", "other"] | None = Field(description="Who moves first; None: neither, or unrelated.")
    lag_minutes: Minutes = Field(description="By which `other` follows `node`; negative: it leads.")
    lag_low_minutes: Minutes = Field(description="Lags from here to lag_high_minutes agree as well.")
    lag_high_minutes: Minutes
    at_lag: Plain = Field(description="Correlation at the lag.")
    at_zero: Plain = Field(description="Correlation without a lag.")
    plain_at_lag: Plain = Field(description="Of the readings as they are, common cycles included.")
    plain_at_zero: Plain
    p_value: Plain = Field(description="Chance of it without a relation.")
    foresees: Literal["none", "node", "other", "both"] = Field(
        description="Whose past helps to foresee the other one (Granger)."
    )


class DetectPatternsOut(ToolOut):
    """What was found in measured readings; None is undefined, and `notes` say why."""

    figure: ImageHandle
    channel: str
    unit: str
    slope_unit: str
    since: datetime = Field(description="Stamp of the first step.")
    until: datetime = Field(description="Stamp of the last step.")
    steps: int
    missing: int = Field(description="Steps that were not measured, imputed ones included; left out.")
    trend: TrendOut | None
    periods: list[PeriodOut] = Field(description="Strongest first.")
    seasonality: SeasonalityOut | None
    change_count: int
    changes: list[ChangeOut] = Field(description="In order of time; of more than 8 the largest.")
    regimes: RegimesOut | None
    anomaly_count: int
    anomalies: list[AnomalyOut] = Field(description="In order of time; of more than 8 the largest.")
    volatility: VolatilityOut | None
    noise: NoiseOut | None
    relation: RelationOut | None = Field(description="To `other`.")
    notes: list[str]


def detect_patterns(args: DetectPatternsIn, ctx: ToolContext) -> DetectPatternsOut:
    """Measure what is known at the end of the window, by default the context's clock, and draw it with its marks."""
    panel = cut_at(ctx.panel(args.dataset), args.until)
    channel = channel_at(panel, args.node, args.channel)
    if args.other == args.node:
        raise UsageError(f"{args.node!r} is compared with itself.", "Name another place, or leave `other` out.")
    if args.other is not None:
        channel_at(panel, args.other, channel.name)
    steps = min(len(panel.times), max(1, round(args.hours * 3600 / panel.step_s)))
    if steps > MAX_STEPS:
        raise UsageError(
            f"{args.hours:g} hours of {panel.name!r} are {steps:,} steps.",
            f"Ask for at most {MAX_STEPS * panel.step_s // 3600:,} hours ({MAX_STEPS:,} steps).",
        )
    from mm4st_agent.patterns.detect import detect_patterns as detect

    readings = _measured(panel, args.node, channel, steps)
    times = panel.times[-steps:]
    other = None if args.other is None else _measured(panel, args.other, channel, steps)
    found = detect(readings, panel.step_s, times=times, other=other)
    picture = _picture(panel, args.node, channel, found)
    return DetectPatternsOut(
        figure=ImageHandle(image_id=ctx.images.put(picture.png), title=picture.title, alt=picture.alt),
        channel=channel.name,
        unit=channel.unit,
        slope_unit=f"{channel.unit} per hour",
        since=times[0].to_pydatetime(),
        until=times[-1].to_pydatetime(),
        steps=found.steps,
        missing=found.steps - found.known,
        trend=_trend(found),
        periods=[
            PeriodOut(
                hours=_number(period.hours),
                strength_percent=_percent(period.strength),
                confidence_percent=_percent(period.confidence),
                cycles=round(period.cycles, 1),
                waveform=period.waveform,
            )
            for period in found.periods
        ],
        seasonality=_seasonality(found),
        change_count=len(found.changes),
        changes=[
            ChangeOut(kind=change.kind, time=change.time, before=given(change.before), after=given(change.after))
            for change in _largest(found.changes, [abs(change.after - change.before) for change in found.changes])
        ],
        regimes=_regimes(found),
        anomaly_count=len(found.anomalies),
        anomalies=[
            AnomalyOut(
                kind=anomaly.kind,
                since=anomaly.start_time,
                until=anomaly.end_time,
                size=None if anomaly.kind == "flip" else given(anomaly.size),
            )
            for anomaly in _largest(found.anomalies, _deviations(found, readings))
        ],
        volatility=_volatility(found),
        noise=_noise(found),
        relation=_relation(found),
        notes=list(found.notes),
    )


def _measured(panel: Panel, node: str, channel: Channel, steps: int) -> NDArray[np.float64]:
    values, imputed = latest(panel.only([node]), channel.name, steps)
    return np.where(imputed, np.nan, values)[:, 0].astype(np.float64)


def _trend(found: report.Patterns) -> TrendOut | None:
    trend = found.trend
    if trend is None:
        return None
    lasting = trend.kind != "none" and trend.start is not None and trend.end is not None
    return TrendOut(
        kind=trend.kind,
        slope=given(trend.slope_per_hour) if lasting else None,
        change=given(trend.end - trend.start) if lasting else None,  # type: ignore[operator]
        p_value=given(trend.p_value, 3),
    )


def _seasonality(found: report.Patterns) -> SeasonalityOut | None:
    whole = found.seasonality
    if whole is None:
        return None
    return SeasonalityOut(mode=whole.mode, strength_percent=_percent(whole.strength), swing=given(whole.swing))


def _regimes(found: report.Patterns) -> RegimesOut | None:
    regimes = found.regimes
    if regimes is None:
        return None
    return RegimesOut(
        by=regimes.by,
        states=[_number(state) for state in regimes.states],
        shares_percent=[_percent(share) for share in regimes.shares],
        switches=regimes.switches,
    )


def _volatility(found: report.Patterns) -> VolatilityOut | None:
    part = found.volatility
    return None if part is None else VolatilityOut(level=given(part.level), clustered=part.clustered)


def _noise(found: report.Patterns) -> NoiseOut | None:
    part = found.noise
    return None if part is None else NoiseOut(kind=part.kind, lag1=given(part.lag1, 3))


def _relation(found: report.Patterns) -> RelationOut | None:
    relation = found.relation
    if relation is None:
        return None
    lag, low, high = (
        round(steps * found.step_s / 60, 3) for steps in (relation.lag, relation.lag_low, relation.lag_high)
    )
    leads: Literal["node", "other"] | None = None
    if relation.related and lag:
        leads = "node" if lag > 0 else "other"
    foresees: dict[str, Literal["none", "node", "other", "both"]] = {
        "none": "none", "forward": "node", "backward": "other", "both": "both",
    }  # fmt: skip
    return RelationOut(
        related=relation.related,
        leads=leads,
        lag_minutes=lag,
        lag_low_minutes=low,
        lag_high_minutes=high,
        at_lag=given(relation.at_lag, 3),
        at_zero=given(relation.at_zero, 3),
        plain_at_lag=given(relation.plain_at_lag, 3),
        plain_at_zero=given(relation.plain_at_zero, 3),
        p_value=given(relation.p_value, 3),
        foresees=foresees[relation.granger],
    )


def _deviations(found: report.Patterns, readings: NDArray[np.float64]) -> list[float]:
    """How far each anomaly is off: a repeated value from the median reading, a flip by the swing of the cycles."""
    if not found.anomalies:
        return []
    middle = float(np.nanmedian(readings))
    swing = found.seasonality.swing if found.seasonality else 0.0
    sizes = [swing if anomaly.kind == "flip" else anomaly.size for anomaly in found.anomalies]
    repeated = [anomaly.kind in ("flat", "clipped") for anomaly in found.anomalies]
    return [abs(size - middle if same else size) for size, same in zip(sizes, repeated, strict=True)]


def _largest(items: Sequence[Items], sizes: Sequence[float]) -> list[Items]:
    """The few largest, in their order."""
    chosen = sorted(np.argsort(sizes, kind="stable")[::-1][:MOST_NAMED].tolist())
    return [items[at] for at in chosen]


def _picture(panel: Panel, node: str, channel: Channel, found: report.Patterns) -> Picture:
    """The line of the window with all anomalies and changes marked."""
    from mm4st_agent.imaging.lines import draw_line

    values, imputed = latest(panel.only([node]), channel.name, found.steps)
    times = panel.times[-found.steps :]
    odd = np.zeros(found.steps, dtype=bool)
    for anomaly in found.anomalies:
        odd[anomaly.start : anomaly.end + 1] = True
    return draw_line(
        times=times,
        values=values[:, 0],
        imputed=imputed[:, 0],
        usual=None,
        title=heading(place_of(panel, node), channel.label),
        unit=channel.unit,
        time_zone=panel.card.time_zone,
        synthetic=panel.card.synthetic,
        anomalies=odd,
        changes=times[[change.step for change in found.changes]],
    )


def _percent(share: float) -> float:
    return _number(100 * share, 3)


def _number(value: float, digits: int = 6) -> float:
    return float(f"{value:.{digits}g}")


DETECT_PATTERNS = ToolSpec(
    "detect_patterns", DetectPatternsIn, DetectPatternsOut, detect_patterns, title="Measuring the patterns"
)
