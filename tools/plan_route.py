"""`plan_route`: the fastest of several ways between two stations at a departure time, from the speeds forecast."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Annotated

import numpy as np
import pandas as pd
from pydantic import Field

from mm4st_agent.errors import UsageError
from mm4st_agent.forecaster.forecast import check_readings
from mm4st_agent.forecaster.measured import channel_at, place_of
from mm4st_agent.toolspec import ToolIn, ToolOut, ToolSpec, Unit, UnitOf
from tools.readings import given
from tools.road_times import (
    LENGTH_UNITS,
    WEEKS,
    Speeds,
    apart,
    free_speeds,
    length_of,
    road_graph,
    speed_of,
    speeds_ahead,
    unlike,
)
from tools.usual_levels import usual_at

if TYPE_CHECKING:
    import networkx as nx

    from mm4st_agent.data.panel import Panel
    from mm4st_agent.forecaster.forecast import Forecast
    from tools.context import ToolContext

MAX_AHEAD_MINUTES = 7 * 24 * 60
LONGEST_HOURS = 4
"""A trip is followed for so long; one that lasts longer keeps the speeds of that moment."""
FREE_WEEKS = 4
"""The free speed is that of so many latest weeks."""
_ROADS = ("road", "freeway")
"""Columns of the nodes that name the road."""


class PlanRouteIn(ToolIn):
    """Choose the faster of several ways between two stations for a departure time, with how long each will take."""

    dataset: str = Field(description="Registered data set name; it needs speeds and a road graph with distances.")
    origin: str = Field(description="Id of the station where the trip begins, as find_places gives it.")
    destination: str = Field(description="Id of the station where it ends.")
    start_in_minutes: int = Field(
        0, ge=0, le=MAX_AHEAD_MINUTES, description="When the trip begins, after the clock; 0 is now."
    )
    routes: int = Field(2, ge=2, le=5, description="How many ways are compared, where there are so many.")


class RouteOption(ToolOut):
    """One way; `low` and `high` are its 80 % interval, from roads that are all faster or all slower at once."""

    rank: int = Field(description="1 is the fastest by the median.")
    nodes: Annotated[list[str], Unit("id")] = Field(description="The stations that it passes, in order.")
    roads: list[str] = Field(description="The roads in order; empty where the data name none.")
    via: str = Field(description="Places that this way passes and none of the others does.")
    length_unit: str
    length: Annotated[float | None, UnitOf("length_unit")]
    low: Annotated[float | None, Unit("min")]
    median: Annotated[float | None, Unit("min")]
    high: Annotated[float | None, Unit("min")]
    free_flow: Annotated[float | None, Unit("min")] = Field(description="On empty roads.")
    slower: Annotated[float | None, Unit("min")] = Field(description="median less that of the first way.")
    arrives: datetime = Field(description="By the median.")


class PlanRouteOut(ToolOut):
    """The ways compared, fastest first."""

    dataset: str
    synthetic: bool
    origin: Annotated[str, Unit("id")]
    origin_name: str
    destination: Annotated[str, Unit("id")]
    destination_name: str
    as_of: datetime = Field(description="The clock of the question.")
    departs: datetime
    interval: Annotated[float, Unit("%")] = Field(80.0, description="Nominal share of trips between low and high.")
    routes: list[RouteOption]
    only_one: bool = Field(description="There is no second way that is more than a variant of the first.")
    clear: bool = Field(
        description="The first way is also the fastest where all roads are faster, and where all are slower, than the "
        "median."
    )
    free_flow_choice: bool = Field(description="The first way is also the fastest on empty roads.")
    model: str | None = Field(description="What the speeds come from; None: usual speeds only.")
    forecast_until: datetime | None = Field(description="From here on, usual speeds stand in for the forecast.")
    beyond_forecast: bool = Field(description="A part of the trip lies there.")
    usual_weeks: int = Field(WEEKS, description="At most so many earlier weeks tell the usual speeds.")
    warnings: list[str] = Field(description="What must be said along with these numbers.")


def plan_route(args: PlanRouteIn, ctx: ToolContext) -> PlanRouteOut:
    """Compare the ways from what was known at the context's clock.

    A trip takes each edge at the speed that the stations at its ends have when it gets there. The interval takes all
    links at the 90 % quantile of speed at once, and at the 10 % one: the quantiles of a sum whose parts rise and fall
    together are the sums of their quantiles, so it is wide rather than narrow.

    Source:
        Dreyfus (1969), Operations Research 17(3), paths whose times depend on the time; Dhaene et al. (2002),
        Insurance: Mathematics and Economics 31, comonotone sums.
    """
    panel = ctx.panel(args.dataset)
    channel = speed_of(panel)
    for node in (args.origin, args.destination):
        channel_at(panel, node, channel.name)
    graph = road_graph(panel)
    _check_ends(panel, graph, args)
    forecaster = ctx.forecaster_for(panel, channel)
    check_readings(ctx.registry.open(args.dataset), forecaster.needed_readings)
    depart = panel.end + pd.Timedelta(minutes=args.start_in_minutes)
    steps = int(np.ceil(LONGEST_HOURS * 3600 / panel.step_s))
    everywhere = panel.only(list(graph))
    free = _free_hours(everywhere, channel.name)
    paths = _candidates(everywhere, channel.name, graph, args, depart, free)
    nodes = list(dict.fromkeys(node for path in paths for node in path))
    speeds, found = speeds_ahead(panel, channel, forecaster, nodes, depart, steps)
    order = unlike(graph, sorted(paths, key=lambda path: speeds.minutes(graph, path, depart, 1)), args.routes)
    options = _options(panel, graph, speeds, order, depart, free, LENGTH_UNITS[channel.unit])
    clear = len(order) > 1 and all(
        min(order, key=lambda path: speeds.minutes(graph, path, depart, level)) is order[0] for level in (0, 2)
    )
    until = speeds.forecast_until() if speeds.reach else None
    beyond = until is None or any(option.arrives > until for option in options)
    used = [one for one in found if any(one.node in path for path in order)]
    models = sorted({one.model for one in used}, key=lambda name: -sum(one.model == name for one in used))
    return PlanRouteOut(
        dataset=panel.name,
        synthetic=panel.card.synthetic,
        origin=args.origin,
        origin_name=panel.place_name(args.origin),
        destination=args.destination,
        destination_name=panel.place_name(args.destination),
        as_of=panel.end.to_pydatetime(),
        departs=depart.to_pydatetime(),
        routes=options,
        only_one=len(options) == 1,
        clear=clear,
        free_flow_choice=options[0].free_flow == min(option.free_flow or np.inf for option in options),
        model=models[0] if models else None,
        forecast_until=None if until is None else until.to_pydatetime(),
        beyond_forecast=beyond,
        warnings=list(_warnings(panel, used, beyond, len(options))),
    )


def _check_ends(panel: Panel, graph: nx.DiGraph[str], args: PlanRouteIn) -> None:
    """Refuse a trip that goes nowhere, or that no edges lead along."""
    import networkx as nx

    if args.origin == args.destination:
        raise UsageError(f"The trip begins and ends at {args.origin}.", "Name two stations.")
    for node in (args.origin, args.destination):
        if node not in graph:
            raise UsageError(
                f"No road of {panel.name!r} with a known length leads to or from {place_of(panel, node)}.",
                f"Stations on roads are, for example, {', '.join(sorted(graph)[:3])}.",
            )
    if not nx.has_path(graph, args.origin, args.destination):
        there = sorted(nx.descendants(graph, args.origin))
        raise UsageError(
            f"No way leads from {place_of(panel, args.origin)} to {place_of(panel, args.destination)} along the roads "
            f"of {panel.name!r}.",
            f"From there one gets to {', '.join(there[:4])}." if there else "No road leads on from there.",
        )


def _free_hours(panel: Panel, channel: str) -> dict[str, float]:
    """Hours for one unit of length on empty roads, by station; where nothing was measured, the mean of the others."""
    last = FREE_WEEKS * 7 * 86_400 // panel.step_s
    free = free_speeds(panel.observed(channel)[-last:].astype(np.float64))
    return _hours(panel, np.where(np.isfinite(free), free, np.nanmean(free)))


def _hours(panel: Panel, speeds: np.ndarray) -> dict[str, float]:
    return dict(zip(panel.node_ids, (1 / np.maximum(speeds, 1.0)).tolist(), strict=True))


def _candidates(
    panel: Panel, channel: str, graph: nx.DiGraph[str], args: PlanRouteIn, depart: pd.Timestamp, free: dict[str, float]
) -> list[list[str]]:
    """Ways that are fast on empty roads, at what is usual then, or at what was measured last."""
    empty = 1 / np.array([free[node] for node in panel.node_ids])
    ahead = max(1, int(np.ceil((depart - panel.end) / panel.step)))
    usual, _ = usual_at(panel, channel, 1, ahead)
    latest = pd.DataFrame(panel.observed(channel)[-6:]).ffill().to_numpy()[-1]
    found: dict[tuple[str, ...], list[str]] = {}
    for speeds in (empty, usual[-1], latest):
        hours = _hours(panel, np.where(np.isfinite(speeds), speeds, empty))
        for path in apart(graph, args.origin, args.destination, hours, args.routes):
            found.setdefault(tuple(path), path)
    return list(found.values())


def _options(
    panel: Panel,
    graph: nx.DiGraph[str],
    speeds: Speeds,
    order: Sequence[Sequence[str]],
    depart: pd.Timestamp,
    free: dict[str, float],
    unit: str,
) -> list[RouteOption]:
    named = next((column for column in _ROADS if column in panel.nodes.columns), None)
    roads = {} if named is None else panel.nodes[named].astype(str).to_dict()
    medians = [speeds.minutes(graph, path, depart, 1) for path in order]
    return [
        RouteOption(
            rank=rank,
            nodes=list(path),
            roads=[road for road, _ in groupby(roads.get(node, "") for node in path) if road],
            via=_via(panel, path, order),
            length_unit=unit,
            length=given(length_of(graph, path), 3),
            low=given(speeds.minutes(graph, path, depart, 2), 3),
            median=given(median, 3),
            high=given(speeds.minutes(graph, path, depart, 0), 3),
            free_flow=given(60 * _static_hours(graph, path, free), 3),
            slower=given(median - medians[0], 3),
            arrives=(depart + pd.Timedelta(minutes=round(median))).to_pydatetime(),
        )
        for rank, (path, median) in enumerate(zip(order, medians, strict=True), start=1)
    ]


def _static_hours(graph: nx.DiGraph[str], path: Sequence[str], hours: dict[str, float]) -> float:
    return sum(
        float(graph.edges[one, other]["distance"]) * (hours[one] + hours[other]) / 2 for one, other in pairwise(path)
    )


def _via(panel: Panel, path: Sequence[str], order: Sequence[Sequence[str]]) -> str:
    """Up to three places of this way only, evenly spread over it."""
    others = {node for other in order if other is not path for node in other}
    own = [node for node in path[1:-1] if node not in others] or list(path[1:-1])
    spread = [own[round(at)] for at in np.linspace(0, len(own) - 1, min(3, len(own)))]
    said = [node if panel.place_name(node) == node else f"{node} ({panel.place_name(node)})" for node in spread]
    return ", ".join(dict.fromkeys(said))


def _warnings(panel: Panel, used: Sequence[Forecast], beyond: bool, routes: int) -> Iterator[str]:
    yield from dict.fromkeys(warning for one in used for warning in one.warnings)
    if beyond:
        yield (
            f"The forecast ends before this trip does: beyond it, the speeds are what was usual at this time of the "
            f"week in up to {WEEKS} earlier weeks."
        )
    if routes == 1:
        yield "There is no second way here that is more than a variant of the first."
    if panel.card.synthetic:
        yield f"The data are synthetic: {panel.card.title}."


PLAN_ROUTE = ToolSpec("plan_route", PlanRouteIn, PlanRouteOut, plan_route, title="Comparing the ways")
