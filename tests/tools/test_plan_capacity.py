"""`plan_capacity`: the queue's formulas against known values, the fewest replicas, and what it refuses."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mm4st_agent.data.panel import Panel
from mm4st_agent.errors import ToolError
from tools.context import ToolContext
from tools.plan_capacity import PLAN_CAPACITY, PlanCapacityIn, PlanCapacityOut, enough, meets
from tools.queueing import erlang_c, mean_response, response_quantile, slower_than


@pytest.fixture
def plan(context_of: Callable[..., ToolContext], mixed: Panel) -> Callable[..., PlanCapacityOut]:
    def asked(panel: Panel = mixed, as_of: str | None = None, **args: Any) -> PlanCapacityOut:
        given = {"dataset": "mixed", "node": "travel-info", "latency_ms": 1000, **args}
        return PLAN_CAPACITY.run(given, context_of(panel, as_of))

    return asked


def simulated(servers: int, per_s: float, service_s: float, limit_s: float) -> tuple[float, float]:
    """Mean response and share above a limit of a simulated queue."""
    rng = np.random.default_rng(1)
    free, now, times = np.zeros(servers), 0.0, []
    for gap, work in zip(rng.exponential(1 / per_s, 60_000), rng.exponential(service_s, 60_000), strict=True):
        now += gap
        first = int(free.argmin())
        free[first] = max(now, free[first]) + work
        times.append(free[first] - now)
    late = np.array(times[2_000:])
    return float(late.mean()), float((late > limit_s).mean())


def test_the_formulas_agree_with_tables_and_with_each_other() -> None:
    assert erlang_c(2, 1.0) == pytest.approx(1 / 3)
    assert erlang_c(10, 8.0) == pytest.approx(0.4092, abs=1e-4)  # a textbook value
    assert erlang_c(3, 3.0) == 1.0
    assert mean_response(2, 2.5, 10) == math.inf
    assert slower_than(4, 3.0, 50, 120) == pytest.approx(slower_than(4, 3.0 - 1e-7, 50, 120), abs=1e-6)
    for servers, load in ((1, 0.7), (4, 3.0), (9, 6.5)):
        limit = response_quantile(servers, load, 50.0, 0.95)
        assert slower_than(servers, load, 50.0, limit) == pytest.approx(0.05, abs=1e-9)


@pytest.mark.parametrize(("servers", "per_s"), [(2, 15.0), (5, 45.0)])
def test_the_formulas_agree_with_a_simulated_queue(servers: int, per_s: float) -> None:
    mean, share = simulated(servers, per_s, 0.1, 0.4)

    assert mean_response(servers, per_s * 0.1, 0.1) == pytest.approx(mean, rel=0.08)
    assert slower_than(servers, per_s * 0.1, 0.1, 0.4) == pytest.approx(share, abs=0.02)


def test_the_fewest_replicas_that_suffice_are_planned(plan: Callable[..., PlanCapacityOut]) -> None:
    reply = plan(service_ms=250)  # 803 requests/min keep 3.35 replicas busy
    args = PlanCapacityIn(dataset="mixed", node="travel-info", latency_ms=1000, service_ms=250)

    assert reply.load == pytest.approx(803, rel=0.01)
    assert reply.erlangs == pytest.approx(803 / 60 * 0.25, rel=0.01)
    assert reply.plan.replicas == enough(803 / 60, args)
    assert meets(reply.plan.replicas, 803 / 60 * 0.25, args)
    assert not meets(reply.plan.replicas - 1, 803 / 60 * 0.25, args)
    assert reply.plan.latency is not None
    assert reply.plan.latency <= 1000
    assert reply.one_fewer is not None
    assert reply.one_fewer.latency is None or reply.one_fewer.latency > 1000
    assert reply.plan.replica_hours == reply.plan.replicas
    assert (reply.share, reply.statistic, reply.quantile) == (95, "p95", 90)
    assert not reply.assumed_service_time


def test_more_is_needed_for_a_higher_quantile_of_a_load_that_varies(
    mixed: Panel, plan: Callable[..., PlanCapacityOut]
) -> None:
    load = mixed.data["requests"]
    noise = np.exp(0.5 * np.random.default_rng(0).standard_normal(load.shape))
    restless = dataclasses.replace(mixed, data=mixed.data.assign(requests=load.copy(data=load.to_numpy() * noise)))
    planned = [plan(restless, service_ms=250, quantile=quantile) for quantile in (50, 75, 90)]

    assert [one.load for one in planned] == sorted(one.load or 0 for one in planned)
    assert planned[0].plan.replicas < planned[2].plan.replicas
    assert planned[0].for_median == planned[2].for_median == planned[0].plan.replicas


def test_the_statistic_and_the_span_are_as_asked(plan: Callable[..., PlanCapacityOut]) -> None:
    mean, p99 = plan(service_ms=250, statistic="mean"), plan(service_ms=250, statistic="p99", latency_ms=1500)

    assert mean.share is None
    assert (
        mean.plan.replicas <= plan(service_ms=250).plan.replicas <= plan(service_ms=250, latency_ms=800).plan.replicas
    )
    assert p99.share == 99
    half = plan(service_ms=250, minutes=30, start_in_minutes=30)
    assert half.minutes == 30
    assert half.plan.replica_hours == half.plan.replicas / 2


def test_an_assumed_service_time_is_said(plan: Callable[..., PlanCapacityOut]) -> None:
    reply = plan()

    assert reply.assumed_service_time
    assert reply.service_time == 50
    assert any("assumption" in warning for warning in reply.warnings)
    assert any("M/M/c" in warning for warning in reply.warnings)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"latency_ms": 100}, "No number of replicas stays below 100 ms"),
        ({"node": "S001"}, "Road station S001 of 'mixed' has no load in requests per time"),
        ({"node": "nowhere"}, "no station 'nowhere'"),
        ({"minutes": 60 * 24}, "out of reach"),
        ({"latency_ms": 0}, "greater than 0"),
        ({"quantile": 80}, "Input should be 50, 75 or 90"),
        ({"service_ms": 50_000_000, "latency_ms": 500_000_000}, "More than 10,000 replicas"),
    ],
)
def test_a_plan_that_cannot_be_made_is_refused(
    plan: Callable[..., PlanCapacityOut], args: dict[str, Any], said: str
) -> None:
    with pytest.raises(ToolError, match=said):
        plan(**args)


def test_nothing_later_than_the_clock_is_read(mixed: Panel, plan: Callable[..., PlanCapacityOut]) -> None:
    load = mixed.data["requests"].to_numpy().copy()
    load[20 * 96 :] *= 9
    later = dataclasses.replace(mixed, data=mixed.data.assign(requests=mixed.data["requests"].copy(data=load)))

    assert plan(later, "2025-09-21T00:00") == plan(mixed, "2025-09-21T00:00")
