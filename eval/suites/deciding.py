"""Deciding: what a way, a number of replicas and a warning of rain cost in the end, against perfect foresight."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from eval.suites.deciding_costs import cheapest, replica_cost, roads_of, warning_cost
from eval.suites.deciding_items import HAZARD, REPLICAS, ROUTE, capacity_items, hazard_items, route_items
from eval.suites.halves import interleaved
from eval.suites.suite import Half, Item, Scored
from mm4st_agent.agent.answer import Answer
from mm4st_agent.agent.ledger import Evidence
from mm4st_agent.runtime import Runtime
from tools.plan_capacity import PlanCapacityIn

TOOLS = {ROUTE: "plan_route", REPLICAS: "plan_capacity", HAZARD: "assess_hazard"}
"""The tool whose reply holds the option that an answer chose, by the item's `expect["task"]`."""


class Deciding:
    """Three decisions from the field; the option that counts is the one on which the answer's claims rest."""

    name = "deciding"
    measures = (
        "1 less the cost above that of perfect foresight, as a share of a stated worst: the slowest of the ways "
        "offered; one replica, above the target for the whole hour where more are needed; a rain that nobody was "
        "warned of. 0 without a decision."
    )
    baseline_name = "always naive (the way that is fastest on empty roads; replicas for the last reading; the climate)"

    def items(self, half: Half, runtime: Runtime) -> list[Item]:
        """Clocks drawn from the half's time; data sets that are not here are left out."""
        registry = runtime.registry
        found = route_items(half, registry.open("demo"))
        for dataset in ("demo", "nab-cloud"):
            if registry.available(dataset):
                found += capacity_items(half, registry.open(dataset))
        for dataset in ("demo", "beijing-air"):
            if registry.available(dataset):
                found += hazard_items(half, registry.open(dataset))
        return interleaved(found)

    def score(self, item: Item, answers: Sequence[Answer], runtime: Runtime) -> Scored | None:
        """What the option that the last answer chose came to cost."""
        entry = decided(answers[-1], TOOLS[item.expect["task"]])
        if entry is None:
            return Scored(value=0.0, details={"decided": 0.0}, why="The answer decides nothing.")
        if item.expect["task"] == ROUTE:
            return _of_way(item, _way(entry), runtime)
        if item.expect["task"] == REPLICAS:
            planned = entry.values.get("plan.replicas")
            return _of_replicas(item, None if planned is None else int(planned.value))
        warned = entry.words.get("warn")
        return _of_warning(item, warned if isinstance(warned, bool) else None)

    def baseline(self, item: Item, runtime: Runtime) -> Scored | None:
        """What the naive option costs."""
        expect = item.expect
        if expect["task"] == ROUTE:
            return _of_way(item, expect["ways"][0]["nodes"], runtime)
        return _of_replicas(item, expect["naive"]) if expect["task"] == REPLICAS else _of_warning(item, expect["naive"])


def decided(answer: Answer, tool: str) -> Evidence | None:
    """The last reply of the tool that a claim of the answer rests on."""
    cited = {entry for claim in answer.claims for entry in claim.evidence}
    entries = [e for e in answer.evidence if e.tool == tool and e.error is None and e.id in cited]
    return entries[-1] if entries else None


def _way(entry: Evidence) -> list[str]:
    nodes: list[str] = []
    while (found := entry.values.get(f"routes[0].nodes[{len(nodes)}]")) is not None:
        nodes.append(str(found.value))
    return nodes


def _of_way(item: Item, path: Sequence[str], runtime: Runtime) -> Scored:
    """From the slowest of the ways offered, 0, to the fastest, 1; a way of one's own may lie beyond both."""
    expect = item.expect
    roads = roads_of(runtime.registry.open(item.dataset), pd.Timestamp(expect["free_until"]))
    if not roads.is_way(path, (expect["origin"], expect["destination"])):
        return Scored(value=0.0, details={"decided": 0.0}, why="The way does not lead from one place to the other.")
    took = roads.minutes(path, pd.Timestamp(expect["depart"]))
    came = [way["minutes"] for way in expect["ways"]]
    best, worst = min(came), max(came)
    return Scored(
        value=_scaled(took, best, worst),
        details={"decided": 1.0, "minutes": took, "best_minutes": best, "regret_percent": 100 * (took / best - 1)},
        why=f"The way took {took:.1f} min; the ways offered took {', '.join(f'{one:.1f}' for one in came)} min.",
    )


def _of_replicas(item: Item, replicas: int | None) -> Scored:
    """From one replica, 0, to the cheapest number, 1."""
    if replicas is None:
        return Scored(value=0.0, details={"decided": 0.0}, why="No number of replicas.")
    expect = item.expect
    args = PlanCapacityIn.model_validate(expect["target"])
    loads, promise = expect["loads"], expect["promise"]
    best, cost = cheapest(loads, args, promise), replica_cost(replicas, loads, args, promise)
    return Scored(
        value=_scaled(cost, best, replica_cost(1, loads, args, promise)),
        details={
            "decided": 1.0,
            "replicas": float(replicas),
            "foresight_replicas": float(expect["foresight"]),
            "broken_percent": 100 * (cost - replicas) / promise,
        },
        why=f"{replicas} replicas, {expect['foresight']} would have done; "
        f"{100 * (cost - replicas) / promise:.0f} % of the hour above the target.",
    )


def _of_warning(item: Item, warned: bool | None) -> Scored:
    """From a rain that nobody was warned of, 0, to no cost but that of the right warnings, 1."""
    if warned is None:
        return Scored(value=0.0, details={"decided": 0.0}, why="Neither a warning nor none.")
    happened, ratio = item.expect["happened"], item.expect["cost_loss"]
    cost = warning_cost(warned, happened, ratio)
    best = min(warning_cost(choice, happened, ratio) for choice in (True, False))
    return Scored(
        value=_scaled(cost, best, best + 1 - ratio),
        details={"decided": 1.0, "warned": float(warned), "happened": float(happened), "cost": cost},
        why=f"{'Warned' if warned else 'Did not warn'}; {item.expect['fell_mm']:.1f} mm fell against a threshold of "
        f"{item.expect['threshold_mm']:g} mm, and a warning costs {100 * ratio:g} % of the loss.",
    )


def _scaled(cost: float, best: float, worst: float) -> float:
    return 1.0 if worst <= best else float(min(1.0, max(0.0, (worst - cost) / (worst - best))))


SUITE = Deciding()
