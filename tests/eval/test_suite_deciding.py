"""The suite `deciding`: halves apart, costs that can be reckoned by hand, and the option that an answer chose."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest

from eval.suites.deciding import SUITE, TOOLS
from eval.suites.deciding_costs import cheapest, replica_cost, roads_of, warning_cost, with_foresight
from eval.suites.deciding_items import HAZARD, REPLICAS, ROUTE, capacity_items, hazard_items, route_items
from eval.suites.suite import Half, Item
from mm4st_agent.agent.answer import Answer, Claim
from mm4st_agent.agent.ledger import Evidence, EvidenceValue
from mm4st_agent.runtime import Runtime
from mm4st_agent.settings import load_settings
from tools.plan_capacity import PlanCapacityIn

TARGET = PlanCapacityIn(dataset="demo", node="travel-info", latency_ms=1000, service_ms=250)


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    """Without the real data sets."""
    return Runtime(load_settings(home=tmp_path_factory.mktemp("home"), data_dir=tmp_path_factory.mktemp("empty")))


@pytest.fixture(scope="module")
def halves(runtime: Runtime) -> dict[Half, list[Item]]:
    """Of the demo city, which is always there."""
    panel = runtime.registry.open("demo")
    made: dict[Half, list[Item]] = {}
    halves: tuple[Half, Half] = ("dev", "test")
    for half in halves:
        made[half] = route_items(half, panel) + capacity_items(half, panel) + hazard_items(half, panel)
    return made


def of(items: list[Item], task: str) -> list[Item]:
    return [item for item in items if item.expect["task"] == task]


def answer(item: Item, values: dict[str, Any], words: dict[str, Any], *, cited: bool = True) -> Answer:
    """An answer that rests on a reply of the item's tool with these values."""
    entry = Evidence(
        id="E2",
        tool=TOOLS[item.expect["task"]],
        args={},
        as_of=item.as_of,
        values={path: EvidenceValue(value=value, unit="") for path, value in values.items()},
        words=words,
        seconds=0.1,
    )
    claim = Claim(
        text="so", span=(0, 2), kind="id", value="so", unit=None, status="verified", evidence=["E2"] if cited else []
    )
    return Answer(
        question=item.questions[0],
        answer="so",
        claims=[claim],
        evidence=[entry],
        figures=[],
        citations=[],
        warnings=[],
        chat_model="made by a test",
        dataset=item.dataset,
        as_of=item.as_of or "",
        thread="t",
        seconds=0.1,
    )


def way(item: Item, number: int) -> dict[str, Any]:
    return {f"routes[0].nodes[{n}]": node for n, node in enumerate(item.expect["ways"][number]["nodes"])}


def test_the_halves_share_no_phrasing_and_no_time(halves: dict[Half, list[Item]]) -> None:
    dev, test = halves["dev"], halves["test"]

    assert {len(of(half, task)) for half in (dev, test) for task in (ROUTE, HAZARD)} == {12}
    assert len(of(dev, REPLICAS)) == len(of(test, REPLICAS)) == 10
    assert not {item.family for item in dev} & {item.family for item in test}
    day = pd.Timedelta(hours=8)  # nothing asked about reaches farther ahead
    assert max(pd.Timestamp(str(i.as_of)) for i in dev) + day < min(pd.Timestamp(str(i.as_of)) for i in test)
    assert len({item.id for item in (*dev, *test)}) == len(dev) + len(test)


def test_the_items_are_the_same_each_time(runtime: Runtime, halves: dict[Half, list[Item]]) -> None:
    assert hazard_items("test", runtime.registry.open("demo")) == of(halves["test"], HAZARD)


def test_the_kinds_are_spread_evenly(runtime: Runtime) -> None:
    items = SUITE.items("test", runtime)

    assert {item.expect["task"] for item in items[:6]} == {ROUTE, REPLICAS, HAZARD}
    assert {item.dataset for item in items} == {"demo"}


def test_a_trip_takes_what_its_roads_took(runtime: Runtime, halves: dict[Half, list[Item]]) -> None:
    item = of(halves["dev"], ROUTE)[0]
    panel, depart = runtime.registry.open("demo"), pd.Timestamp(item.expect["depart"])
    roads = roads_of(panel, pd.Timestamp(item.expect["free_until"]))
    path = item.expect["ways"][0]["nodes"]
    row = int(panel.times.searchsorted(depart))
    speeds = dict(zip(roads.graph, roads.speeds[row], strict=True))
    frozen = 60 * sum(
        roads.graph.edges[a, b]["distance"] * (1 / speeds[a] + 1 / speeds[b]) / 2 for a, b in pairwise(path)
    )

    assert roads.minutes(path, depart) == pytest.approx(item.expect["ways"][0]["minutes"])
    assert roads.minutes(path, depart) == pytest.approx(frozen, rel=0.5)
    assert not roads.is_way(path[::-1], (path[-1], path[0]))
    assert not roads.is_way(path[:-1], (path[0], path[-1]))


def test_a_way_is_scored_between_the_slowest_and_the_fastest(runtime: Runtime, halves: dict[Half, list[Item]]) -> None:
    for item in of(halves["dev"], ROUTE):
        came = [one["minutes"] for one in item.expect["ways"]]
        scores = [SUITE.score(item, [answer(item, way(item, n), {})], runtime) for n in range(len(came))]
        values = [0.0 if score is None else score.value for score in scores]

        assert values[int(np.argmin(came))] == 1
        assert values[int(np.argmax(came))] == 0
        naive = SUITE.baseline(item, runtime)
        assert naive is not None
        assert naive.value == values[0]


def test_replicas_cost_what_they_run_and_what_they_break() -> None:
    loads = [8.0, 8.0, 16.0, 16.0]  # 2 and 4 erlangs
    enough = with_foresight(loads, TARGET)

    assert replica_cost(enough, loads, TARGET, 20) == enough
    assert replica_cost(enough - 1, loads, TARGET, 20) == enough - 1 + 10
    assert replica_cost(1, loads, TARGET, 20) == 21
    assert cheapest(loads, TARGET, 20) == enough
    assert cheapest(loads, TARGET, 0.1) == pytest.approx(1.1)


def test_foresight_scores_one_and_too_few_little(runtime: Runtime, halves: dict[Half, list[Item]]) -> None:
    for item in of(halves["dev"], REPLICAS):
        right, one, many = (
            SUITE.score(item, [answer(item, {"plan.replicas": n}, {})], runtime)
            for n in (item.expect["foresight"], 1, item.expect["foresight"] + 2)
        )
        assert right is not None
        assert one is not None
        assert many is not None
        assert right.value > 0.8  # a step or two above the target may be cheaper than a replica for the whole hour
        assert one.value == 0
        assert 0 < many.value < 1


@pytest.mark.parametrize(
    ("warned", "happened", "value"),
    [(True, True, 1.0), (True, False, 0.75), (False, True, 0.0), (False, False, 1.0)],
)
def test_a_miss_costs_the_loss_and_a_false_alarm_its_share(
    runtime: Runtime, halves: dict[Half, list[Item]], warned: bool, happened: bool, value: float
) -> None:
    item = of(halves["dev"], HAZARD)[0]
    item = item.model_copy(update={"expect": {**item.expect, "happened": happened, "cost_loss": 0.2}})
    scored = SUITE.score(item, [answer(item, {}, {"warn": warned})], runtime)

    assert warning_cost(warned, happened, 0.2) == (0.2 if warned else float(happened))
    assert scored is not None
    assert scored.value == pytest.approx(value)


def test_both_dry_and_wet_stretches_are_asked_about(halves: dict[Half, list[Item]]) -> None:
    for half in halves.values():
        assert {item.expect["happened"] for item in of(half, HAZARD)} == {True, False}


@pytest.mark.parametrize("task", [ROUTE, REPLICAS, HAZARD])
def test_an_answer_that_decides_nothing_scores_nothing(
    runtime: Runtime, halves: dict[Half, list[Item]], task: str
) -> None:
    item = of(halves["dev"], task)[0]

    for made in (answer(item, way(item, 0) if task == ROUTE else {}, {}, cited=False), answer(item, {}, {})):
        scored = SUITE.score(item, [made], runtime)
        assert scored is not None
        assert scored.value == 0
        assert scored.details["decided"] == 0


@pytest.mark.parametrize("task", [REPLICAS, HAZARD])
def test_the_embedded_model_decides(runtime: Runtime, halves: dict[Half, list[Item]], task: str) -> None:
    for item in of(halves["test"], task)[:1]:
        said = asyncio.run(runtime.ask(item.questions[0], dataset=item.dataset, as_of=item.as_of))
        scored = SUITE.score(item, [said], runtime)

        assert scored is not None
        assert scored.details["decided"] == 1, said.answer
