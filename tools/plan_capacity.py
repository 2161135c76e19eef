"""`plan_capacity`: how many replicas keep a service below a latency over the coming time, from the load forecast."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from mm4st_agent.errors import UsageError
from mm4st_agent.forecaster.config import QUANTILES
from mm4st_agent.forecaster.forecast import check_readings
from mm4st_agent.forecaster.measured import channels_at, head_of, latest
from mm4st_agent.toolspec import Measured, ToolIn, ToolOut, ToolSpec, Unit
from tools.about import AboutNode, about
from tools.forecast import MAX_MINUTES, check_reach, poor_coverage
from tools.queueing import MOST_SERVERS, mean_response, response_quantile, slower_than
from tools.readings import given

if TYPE_CHECKING:
    from mm4st_agent.data.card import Channel
    from mm4st_agent.data.panel import Panel
    from mm4st_agent.forecaster.forecast import Forecast
    from tools.context import ToolContext

Statistic = Literal["mean", "p95", "p99"]
SERVICE_MS = 50.0
"""Assumed where nobody says how long a replica works on a request."""
_SHARES: dict[Statistic, float] = {"p95": 0.95, "p99": 0.99}
_RATE = re.compile(r"requests/(?P<many>\d+ ?)?(?P<per>s|min|h)")
_SECONDS = {"s": 1, "min": 60, "h": 3600}


class PlanCapacityIn(ToolIn):
    """Say how many replicas keep a cloud service below a latency target over the coming minutes, and what they cost."""

    dataset: str = Field(description="Registered data set name; it needs a service that counts its requests.")
    node: str = Field(description="Id of the service, as find_places gives it.")
    latency_ms: float = Field(gt=0, description="The latency to stay below, in milliseconds.")
    statistic: Statistic = Field("p95", description="What of the latency: its mean, or what 95 or 99 % stay below.")
    service_ms: float = Field(
        SERVICE_MS, gt=0, description="Mean time that a replica works on one request, in milliseconds."
    )
    quantile: Literal[50, 75, 90] = Field(90, description="The quantile of the load that is planned for, in %.")
    channel: str | None = Field(None, description="Which load; leave out for the service's requests.")
    minutes: int = Field(60, ge=1, le=MAX_MINUTES, description="How long a span; 60 alone is the next hour.")
    start_in_minutes: int = Field(
        0, ge=0, le=MAX_MINUTES, description="When the span begins, after the clock; 0 is now."
    )


class CapacityAt(ToolOut):
    """A number of replicas at the load planned for; None: the queue would grow without end."""

    replicas: int
    latency: Annotated[float | None, Unit("ms")]
    utilisation: Annotated[float | None, Unit("%")]
    replica_hours: Annotated[float | None, Unit("replica-hours")]


class PlanCapacityOut(AboutNode):
    """The fewest replicas that suffice for the highest load of the span, at the quantile planned for."""

    covers_from: datetime
    covers_until: datetime
    minutes: Annotated[float, Unit("min")]
    quantile: Annotated[float, Unit("%")]
    target: Annotated[float | None, Unit("ms")]
    statistic: Statistic
    share: Annotated[float | None, Unit("%")] = Field(description="Of requests below the latency; None: its mean.")
    service_time: Annotated[float | None, Unit("ms")]
    assumed_service_time: bool = Field(description="Nobody said the service time: a usual value was taken.")
    load: Measured = Field(description="The highest of the steps' quantiles, which is planned for.")
    load_median: Measured = Field(description="The highest of the steps' medians.")
    load_now: Measured = Field(description="The latest reading.")
    peak_time: datetime = Field(description="The step of `load`.")
    erlangs: Annotated[float | None, Unit("erlang")] = Field(description="Replicas that `load` keeps busy.")
    plan: CapacityAt
    one_fewer: CapacityAt | None = Field(description="With one replica fewer, where there is more than one.")
    for_median: int = Field(description="Replicas for the highest median.")
    for_now: int = Field(description="Replicas for the latest reading.")
    model: str = Field(description="What the load comes from: the trained model, or a baseline that did better.")
    baseline_leads: bool
    baseline_name: str
    coverage80: Annotated[float | None, Unit("%")] = Field(description="Truths inside the 80 % interval so far.")
    warnings: list[str] = Field(description="What must be said along with these numbers.")


def plan_capacity(args: PlanCapacityIn, ctx: ToolContext) -> PlanCapacityOut:
    """Plan from what was known at the context's clock, with the queue of `queueing`."""
    panel = ctx.panel(args.dataset)
    channel = _load_channel(panel, args.node, args.channel)
    per_s = _per_second(channel.unit)
    skip = args.start_in_minutes * 60 // panel.step_s
    horizon = math.ceil((args.start_in_minutes + args.minutes) * 60 / panel.step_s) - skip
    forecaster = ctx.forecaster_for(panel, channel)
    check_readings(ctx.registry.open(args.dataset), forecaster.needed_readings)
    check_reach(panel, forecaster, horizon, skip)
    _check_target(args)
    found = forecaster.predict(panel, [args.node], channel.name, horizon, skip)[0]
    planned = found.quantiles[:, QUANTILES.index(args.quantile / 100)]
    load, peak = float(np.max(planned)), int(np.argmax(planned))
    middle = float(np.max(found.quantiles[:, QUANTILES.index(0.5)]))
    values, _ = latest(panel.only([args.node]), channel.name, horizon)
    measured = values[np.isfinite(values)]
    now = float(measured[-1]) if len(measured) else middle
    hours = horizon * panel.step_s / 3600
    replicas = enough(load * per_s, args)
    lasts = panel.step if panel.card.time_label == "start" else pd.Timedelta(0)
    return PlanCapacityOut(
        **about(panel, args.node, channel),
        covers_from=found.times[0].to_pydatetime(),
        covers_until=(found.times[-1] + lasts).to_pydatetime(),
        minutes=60 * hours,
        quantile=float(args.quantile),
        target=args.latency_ms,
        statistic=args.statistic,
        share=100 * _SHARES[args.statistic] if args.statistic in _SHARES else None,
        service_time=args.service_ms,
        assumed_service_time="service_ms" not in args.model_fields_set,
        load=given(load, 4),
        load_median=given(middle, 4),
        load_now=given(now, 4),
        peak_time=found.times[peak].to_pydatetime(),
        erlangs=given(load * per_s * args.service_ms / 1000, 3),
        plan=_at(replicas, load * per_s, args, hours),
        one_fewer=_at(replicas - 1, load * per_s, args, hours) if replicas > 1 else None,
        for_median=enough(middle * per_s, args),
        for_now=enough(now * per_s, args),
        model=found.model,
        baseline_leads=found.baseline_leads,
        baseline_name=found.baseline_title,
        coverage80=given(found.backtest.coverage80, 3),
        warnings=list(_warnings(args, panel, found)),
    )


def enough(per_s: float, args: PlanCapacityIn) -> int:
    """The fewest replicas that meet the target at so many requests a second.

    Raises:
        UsageError: more than `MOST_SERVERS` are needed.
    """
    erlangs = max(per_s, 0.0) * args.service_ms / 1000
    for replicas in range(max(1, math.floor(erlangs) + 1), MOST_SERVERS + 1):
        if meets(replicas, erlangs, args):
            return replicas
    raise UsageError(
        f"More than {MOST_SERVERS:,} replicas would be needed.", "Give a shorter service time or a higher target."
    )


def meets(replicas: int, erlangs: float, args: PlanCapacityIn) -> bool:
    """Whether so many replicas stay below the target."""
    if args.statistic == "mean":
        return mean_response(replicas, erlangs, args.service_ms) <= args.latency_ms
    return slower_than(replicas, erlangs, args.service_ms, args.latency_ms) <= 1 - _SHARES[args.statistic]


def _at(replicas: int, per_s: float, args: PlanCapacityIn, hours: float) -> CapacityAt:
    erlangs = per_s * args.service_ms / 1000
    return CapacityAt(
        replicas=replicas,
        latency=given(_latency(replicas, erlangs, args), 3),
        utilisation=given(100 * erlangs / replicas, 3),
        replica_hours=given(replicas * hours, 4),
    )


def _latency(replicas: int, erlangs: float, args: PlanCapacityIn) -> float:
    if args.statistic == "mean":
        return mean_response(replicas, erlangs, args.service_ms)
    return response_quantile(replicas, erlangs, args.service_ms, _SHARES[args.statistic])


def _load_channel(panel: Panel, node: str, name: str | None) -> Channel:
    """The channel of requests that the node counts.

    Raises:
        UsageError: there is no such node or channel, or it counts no requests.
    """
    own = [c for c in channels_at(panel, node) if _RATE.fullmatch(c.unit) and name in (None, c.name)]
    if own:
        return own[0]
    services = [
        f"{at} ({c.label})" for c in panel.card.channels if _RATE.fullmatch(c.unit) for at in panel.nodes_of(c.name)[:3]
    ]
    raise UsageError(
        f"{head_of(panel, node)} of {panel.name!r} has no load in requests per time"
        f"{f' called {name!r}' if name else ''}, from which replicas are planned.",
        f"These have: {', '.join(services[:3])}."
        if services
        else "Choose a data set of a cloud service, such as demo, azure-llm-trace or nab-cloud.",
    )


def _per_second(unit: str) -> float:
    """What one of the unit is in requests a second."""
    found = _RATE.fullmatch(unit)
    assert found is not None, "chosen by its unit"
    return 1 / (int(found["many"] or 1) * _SECONDS[found["per"]])


def _check_target(args: PlanCapacityIn) -> None:
    """Refuse a target that no number of replicas meets: the work alone takes longer."""
    alone = args.service_ms if args.statistic == "mean" else response_quantile(1, 0, args.service_ms, _share(args))
    if alone >= args.latency_ms:
        said = "on average" if args.statistic == "mean" else f"up to {alone:.0f} ms in {args.statistic[1:]} % of cases"
        raise UsageError(
            f"No number of replicas stays below {args.latency_ms:g} ms: with {args.service_ms:g} ms of work on a "
            f"request, the work alone takes {said}, without any waiting.",
            f"Ask for more than {alone:.0f} ms, or give the service time that a replica really needs.",
        )


def _share(args: PlanCapacityIn) -> float:
    return _SHARES.get(args.statistic, 0.5)


def _warnings(args: PlanCapacityIn, panel: Panel, found: Forecast) -> Iterator[str]:
    yield from found.warnings
    yield from poor_coverage(found)
    if "service_ms" not in args.model_fields_set:
        yield (
            f"The data say nothing of how long a request takes: {SERVICE_MS:g} ms of work on each is an assumption; "
            "give the service's own time."
        )
    yield (
        "The queue is M/M/c: random arrivals, exponential service times, one request at a time on each replica, a "
        "steady state in each step."
    )
    if panel.card.synthetic:
        yield f"The data are synthetic: {panel.card.title}."


PLAN_CAPACITY = ToolSpec("plan_capacity", PlanCapacityIn, PlanCapacityOut, plan_capacity, title="Planning replicas")
