"""The items of the suite `deciding`: clocks and choices drawn by chance, with what came after each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from functools import cache
from typing import Any

import networkx as nx
import numpy as np
import pandas as pd

from eval.suites.deciding_costs import BREACH, Roads, fell, roads_of, with_foresight
from eval.suites.halves import chance_of, clock, span_of
from eval.suites.suite import Half, Item
from mm4st_agent.data.panel import Panel
from tools.plan_capacity import PlanCapacityIn, enough
from tools.rain import Rain, outlook, rain_of, told
from tools.road_times import apart

ROUTE, REPLICAS, HAZARD = "route", "replicas", "warning"
COUNTS: Mapping[str, Mapping[str, int]] = {
    ROUTE: {"demo": 12},
    REPLICAS: {"demo": 10, "nab-cloud": 4},
    HAZARD: {"demo": 12, "beijing-air": 6},
}
"""Items of a half by data set."""
SPANS: Mapping[tuple[str, str], Mapping[Half, tuple[str, str]]] = {
    (REPLICAS, "nab-cloud"): {
        "dev": ("2014-04-15T00:00", "2014-04-18T20:00"),
        "test": ("2014-04-19T00:00", "2014-04-23T20:00"),
    },
    (HAZARD, "demo"): {
        "dev": ("2025-10-10T06:00", "2025-10-24T22:00"),  # no model of rain was trained, and it hardly rained later
        "test": ("2025-10-25T05:00", "2025-10-30T21:00"),
    },
}
"""Where they are not those of `halves`."""
MOST_TRIES = 150
LONGEST_KM = (6.0, 20.0)
"""A trip is not shorter and not longer than this on empty roads."""
NEAR = 1.12
"""The ways offered take at most so many times as long as the first on empty roads: no map alone settles it."""
MATTERS = 1.05
"""The slowest of them came to take at least so many times as long as the fastest: else there was nothing to decide."""
JAM = 0.6
"""A station at less than this share of its free speed is jammed."""
BUSY_HOURS = (7, 8, 16, 17, 18)
SERVICES: Mapping[str, tuple[float, ...]] = {"demo": (150.0, 250.0, 400.0), "nab-cloud": (5000.0, 8000.0)}
"""Mean work on a request, in ms, by which an hour needs several replicas."""
TARGETS = (4.0, 5.0)
"""The target, in mean services."""
THRESHOLDS_MM = (1.0, 3.0)
RAIN_HOURS = (3, 6)
RATIOS = (0.1, 0.2, 0.4)
SAME_DAY = 2
"""So many stretches of concern are drawn from one day at most, so that a single spell does not settle the score."""

PHRASES: Mapping[Half, Mapping[str, Mapping[str, str]]] = {
    "dev": {
        ROUTE: {
            "which-way": "Which way is faster from {origin} to {destination} at {depart}?",
            "best-route": "What is the best route between {origin} and {destination} for a {depart} departure?",
        },
        REPLICAS: {
            "how-many": "How many replicas does {node} need for the next hour to keep p95 below {target} ms if a "
            "request takes {service} ms?",
            "each-request": "Each request takes {service} ms. How many servers keep the p95 latency of {node} under "
            "{target} ms over the next hour?",
        },
        HAZARD: {
            "should-we": "Should we warn of more than {mm} mm of rain{where} in the next {hours} hours? A warning "
            "costs {ratio} % of the damage.",
            "do-we": "With a cost-loss ratio of {share}, do we warn of {mm} mm of rain{where} in the next {hours} "
            "hours?",
        },
    },
    "test": {
        ROUTE: {
            "leaving": "We leave {origin} for {destination} at {depart}: which of the routes should we take?",
            "get-from": "How do I get from {origin} to {destination} fastest if I set off at {depart}?",
        },
        REPLICAS: {
            "size-it": "Size {node} for the coming hour: p95 latency under {target} ms, {service} ms of work per "
            "request, how many instances?",
            "count": "What replica count holds a p95 of {target} ms at {node} during the coming hour with a service "
            "time of {service} ms?",
        },
        HAZARD: {
            "issue": "Shall the city issue a rain warning{where} for the coming {hours} hours? The threshold is "
            "{mm} mm, the cost-loss ratio {share}.",
            "worth": "Is a rain warning{where} justified for the coming {hours} hours if {mm} mm is too much and "
            "issuing a warning costs {ratio} % of the loss?",
        },
    },
}


def _item(half: Half, task: str, panel: Panel, number: int, now: pd.Timestamp, expect: dict[str, Any],
          said: Mapping[str, object]) -> Item:  # fmt: skip
    phrases = PHRASES[half][task]
    phrase = list(phrases)[number % len(phrases)]
    return Item(
        id=f"{half}/{task}/{panel.name}/{number}",
        questions=(phrases[phrase].format(**said),),
        dataset=panel.name,
        as_of=clock(now),
        family=f"{half}/{task}/{phrase}",
        kind=f"{task}, {panel.name}",
        expect={"task": task, **expect},
    )


def route_items(half: Half, panel: Panel) -> list[Item]:
    """Trips with two or three ways that are about as fast on empty roads, in busy hours of workdays, begun soon.

    From each clock one of two trips has a jam on the way that is fastest on empty roads, which anyone could see then.
    """
    chance = chance_of("deciding", half, ROUTE, panel.name)
    first, last = span_of(panel, half)
    roads = roads_of(panel, first)
    hours = pd.date_range(first, last - pd.Timedelta(hours=2), freq="10min")
    clocks = [now for now in hours if now.hour in BUSY_HOURS and now.day_of_week < 5]
    found: list[Item] = []
    for at in chance.permutation(len(clocks)):
        if len(found) == COUNTS[ROUTE][panel.name]:
            break
        trips = [_trip(roads, clocks[at], first, chance, jammed=jammed) for jammed in (True, False)]
        for trip in trips if None not in trips else ():
            assert trip is not None, "there are both"
            said = {**trip, "depart": f"{pd.Timestamp(trip['depart']):%H:%M}"}
            found.append(_item(half, ROUTE, panel, len(found), clocks[at], trip, said))
    return found


def _trip(
    roads: Roads, now: pd.Timestamp, free_until: pd.Timestamp, chance: np.random.Generator, *, jammed: bool
) -> dict[str, Any] | None:
    """What is expected of a trip that is drawn; None where none is found."""
    stations = sorted(roads.graph)
    for _ in range(MOST_TRIES):
        origin, destination = (stations[at] for at in chance.choice(len(stations), 2, replace=False))
        depart = now + pd.Timedelta(minutes=int(chance.choice((5, 15, 25))))
        ways = _ways(roads, origin, destination, depart)
        if ways is not None and (not jammed or roads.slowest(ways[0]["nodes"], now) < JAM):
            return {
                "origin": origin,
                "destination": destination,
                "depart": depart.isoformat(),
                "free_until": free_until.isoformat(),
                "ways": ways,
            }
    return None


def _ways(roads: Roads, origin: str, destination: str, depart: pd.Timestamp) -> list[dict[str, Any]] | None:
    """The ways offered, the fastest on empty roads first; None where there is nothing to decide."""
    if not nx.has_path(roads.graph, origin, destination):
        return None
    straight = nx.shortest_path_length(roads.graph, origin, destination, weight="distance")
    if not LONGEST_KM[0] <= straight <= LONGEST_KM[1]:
        return None
    paths = apart(roads.graph, origin, destination, roads.free, 3)
    free = [roads.free_minutes(path) for path in paths]
    near = [path for path, minutes in zip(paths, free, strict=True) if minutes <= NEAR * free[0]]
    came = [roads.minutes(path, depart) for path in near]
    if len(near) < 2 or max(came) < MATTERS * min(came):
        return None
    return [{"nodes": path, "minutes": minutes} for path, minutes in zip(near, came, strict=True)]


def capacity_items(half: Half, panel: Panel) -> list[Item]:
    """Hours of a service, each with a service time and a target."""
    chance = chance_of("deciding", half, REPLICAS, panel.name)
    channel = next(c for c in panel.card.channels if c.unit.startswith("requests/"))
    node = panel.nodes_of(channel.name)[0]
    load = pd.Series(panel.only([node]).observed(channel.name)[:, 0].astype(np.float64), index=panel.times)
    per_s = 60 if channel.unit == "requests/min" else panel.step_s
    first, last = _span(REPLICAS, panel, half)
    clocks = pd.date_range(first, last - pd.Timedelta(hours=2), freq="20min")
    found: list[Item] = []
    for at in chance.permutation(len(clocks)):
        if len(found) == COUNTS[REPLICAS][panel.name]:
            break
        now = clocks[at]
        service = float(chance.choice(SERVICES[panel.name]))
        target = float(chance.choice(TARGETS)) * service
        hour = load[(load.index >= now) & (load.index < now + pd.Timedelta(hours=1))].interpolate().dropna() / per_s
        before = load[load.index < now].dropna().iloc[-1] / per_s
        said: dict[str, Any] = {"dataset": panel.name, "node": node, "latency_ms": target, "service_ms": service}
        args = PlanCapacityIn.model_validate(said)
        foresight = with_foresight(hour.tolist(), args)
        if foresight < 2:
            continue
        expect = {
            "target": said,
            "loads": hour.tolist(),
            "foresight": foresight,
            "promise": BREACH * foresight,
            "naive": enough(float(before), args),
        }
        words = {"node": node, "target": f"{target:g}", "service": f"{service:g}"}
        found.append(_item(half, REPLICAS, panel, len(found), now, expect, words))
    return found


def hazard_items(half: Half, panel: Panel) -> list[Item]:
    """Stretches ahead with a threshold and a cost-loss ratio: half of them drawn among moments of some concern.

    That is what anyone could see at the clock: rain in the hour before, or rain announced within the stretch. The
    other half is drawn among all moments.
    """
    chance = chance_of("deciding", half, HAZARD, panel.name)
    first, last = _span(HAZARD, panel, half)
    clocks = pd.date_range(first, last - pd.Timedelta(hours=max(RAIN_HOURS)), freq="30min")
    nodes = [None] if "node" not in panel.covariates.dims else panel.node_ids
    count = COUNTS[HAZARD][panel.name]
    found: list[Item] = []
    days: Counter[date] = Counter()

    @cache
    def rain_at(node: str | None) -> Rain:
        return rain_of(panel, node)

    for at in chance.permutation(len(clocks)):
        if len(found) == count:
            break
        now, node = clocks[at], nodes[int(chance.integers(len(nodes)))]
        hours = int(chance.choice(RAIN_HOURS))
        rain, end = rain_at(node), now + pd.Timedelta(hours=hours)
        if len(found) % 2 == 0:
            if days[now.date()] == SAME_DAY or not _of_concern(panel, rain, now, end):
                continue
            days[now.date()] += 1
        mm, ratio = float(chance.choice(THRESHOLDS_MM)), float(chance.choice(RATIOS))
        came = fell(rain, now, end)
        if not np.isfinite(came):
            continue
        expect = {
            "node": node,
            "threshold_mm": mm,
            "cost_loss": ratio,
            "fell_mm": came,
            "happened": bool(came >= mm),
            "naive": _climate(rain, now, end, mm) > ratio,
        }
        said = {"mm": f"{mm:g}", "hours": hours, "ratio": f"{100 * ratio:g}", "share": f"{ratio:g}"}
        where = "" if node is None else f" at {node}"
        found.append(_item(half, HAZARD, panel, len(found), now, expect, {**said, "where": where}))
    return found


def _of_concern(panel: Panel, rain: Rain, now: pd.Timestamp, end: pd.Timestamp) -> bool:
    """Whether it rained in the hour before, or rain is announced to begin by `end`."""
    if fell(rain, now - pd.Timedelta(hours=1), now) > 0:
        return True
    return any(entry.published_at <= now <= entry.start < end for entry in told(panel))


def _climate(rain: Rain, now: pd.Timestamp, end: pd.Timestamp, mm: float) -> float:
    """The share of earlier stretches in which so much fell."""
    known = rain.times + rain.step <= now
    before = replace(rain, mm=rain.mm[known], times=rain.times[known])
    steps = max(1, round((end - now) / rain.step))
    return outlook(before, (), 0, steps, mm).usual_chance(mm)


def _span(task: str, panel: Panel, half: Half) -> tuple[pd.Timestamp, pd.Timestamp]:
    own = SPANS.get((task, panel.name))
    if own is None:
        return span_of(panel, half)
    first, last = (pd.Timestamp(moment, tz=panel.zone) for moment in own[half])
    return first, last
