"""The traffic core against what can be computed on paper: shocks, merges, diverges, queues, conservation."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from mm4st_agent.demo_city.ctm import Boundary, Roads, Run, State
from mm4st_agent.demo_city.ctm_kernel import BACKWARD_WAVE_KMH, BEND, BEND_SLOPE, JAM_DENSITY, STEP_S, TIME_STEP_S
from mm4st_agent.demo_city.draws import draw_causes
from mm4st_agent.demo_city.network import build_network
from mm4st_agent.demo_city.traffic import TrafficModel, roads_of
from mm4st_agent.errors import UsageError

CELL_KM = 0.25
SPEED = CELL_KM / TIME_STEP_S * 3600
"""A car at this speed crosses a cell in one time step."""


def road(links: list[tuple[str, str, float, int]], zones: dict[str, float], avoid_below: float = 0.0) -> Roads:
    """Links as (source, target, capacity in vehicles/h, lanes), each 3 km long."""
    source, target, capacity, lanes = zip(*links, strict=True)
    return Roads(source, target, [3.0] * len(links), [SPEED] * len(links), capacity, lanes, zones, avoid_below)


def boundary(roads: Roads, demand: np.ndarray, turns: dict[tuple[int, int], float], **given: np.ndarray) -> Boundary:
    """`turns` by way in and way out; what it does not name goes on in equal shares, but not back."""
    share = np.where(roads.u_turn, 0.0, 1.0)
    for number, turn in enumerate(zip(roads.turn_in.tolist(), roads.turn_out.tolist(), strict=True)):
        share[number] = turns.get(turn, share[number])
    total = np.zeros(roads.turn_in.max() + 1)
    np.add.at(total, roads.turn_in, share)
    one = np.ones(len(demand))
    fields = {"speed_share": one, "capacity_share": one, "link_share": np.ones((len(demand), roads.links)), **given}
    shares = np.divide(share, total[roads.turn_in], out=np.zeros_like(share), where=total[roads.turn_in] > 0)
    return Boundary(demand=demand, turns=np.tile(shares, (len(demand), 1)), **fields)


def vehicles_per_hour(run: Run) -> np.ndarray:
    return run.traffic.flow * 3600 / STEP_S


def free_density(flow: float, capacity: float) -> float:
    """On the rising side of the diagram, vehicles/km."""
    bend = BEND * capacity
    return flow / SPEED if flow <= bend else bend / SPEED + (flow - bend) / (BEND_SLOPE * SPEED)


def queue_density(flow: float, lanes: int) -> float:
    """On the falling side."""
    return lanes * JAM_DENSITY - flow / BACKWARD_WAVE_KMH


def state_of(run: Run, cells: int) -> float:
    """Vehicles in the first cells at the end."""
    return float(run.end.vehicles[:cells].sum())


# -- shock waves ------------------------------------------------------------------------------


@pytest.mark.parametrize(("flow", "left"), [(1800.0, 0.3), (3000.0, 0.5), (1500.0, 0.0), (2400.0, 0.55)])
def test_the_tail_of_a_queue_moves_as_the_shock_speed_says(flow: float, left: float) -> None:
    """Rankine and Hugoniot: (flow in the queue - flow that arrives) / (density in the queue - density before it)."""
    capacity, lanes, cells = 4000.0, 2, 12
    roads = road([("A", "B", capacity, lanes), ("B", "C", capacity, lanes)], {"A": 9000.0, "C": 9000.0})
    before, inside = free_density(flow, capacity), queue_density(left * capacity, lanes)
    shock = (left * capacity - flow) / (inside - before)
    state = State(np.full(2 * cells, before * CELL_KM), np.zeros(2))
    block = int(roads.block[1])
    share = np.ones((1, 2))
    share[0, 1] = left
    steps = min(8, int((block - 1) * CELL_KM / -shock / (STEP_S / 3600)))
    assert steps >= 4
    for step in range(1, steps + 1):
        run = roads.run(state, boundary(roads, np.full((1, 2), [flow * STEP_S / 3600, 0.0]), {}, link_share=share))
        state = run.end
        expected = -shock * step * STEP_S / 3600 / CELL_KM
        queued = state.vehicles[:block] > (before + inside) / 2 * CELL_KM
        # A shock that the cells smear is where a jump from one density to the other holds as many vehicles.
        smeared = (state.vehicles[:block] - before * CELL_KM).sum() / ((inside - before) * CELL_KM)

        assert abs(queued.sum() - expected) <= 1, f"step {step}"
        assert abs(smeared - expected) < 0.5, f"step {step}"


def test_a_queue_dissolves_by_a_wave_from_its_head() -> None:
    """After the block has gone, the head moves upstream at the backward wave's speed."""
    capacity, lanes = 4000.0, 2
    roads = road([("A", "B", capacity, lanes), ("B", "C", capacity, lanes)], {"A": 9000.0, "C": 9000.0})
    inside = queue_density(0.0, lanes)
    vehicles = np.full(24, inside * CELL_KM)
    vehicles[12:] = 0.0
    run = roads.run(State(vehicles, np.zeros(2)), boundary(roads, np.zeros((1, 2)), {}))

    moving = run.end.vehicles[:12] < (inside + queue_density(capacity, lanes)) / 2 * CELL_KM
    assert abs(moving.sum() - BACKWARD_WAVE_KMH * STEP_S / 3600 / CELL_KM) <= 1
    assert state_of(run, 12) == pytest.approx(12 * inside * CELL_KM - capacity * STEP_S / 3600, rel=1e-9)


# -- junctions --------------------------------------------------------------------------------


def merge(first: float, second: float, capacity: float = 2000.0) -> tuple[float, float]:
    """Vehicles/h that pass a merge in the long run, of those that arrive on the two links."""
    roads = road(
        [("A", "M", 4000.0, 2), ("B", "M", 2000.0, 1), ("M", "C", capacity, 1)],
        {"A": 9000.0, "B": 9000.0, "C": 9000.0},
    )
    demand = np.tile(np.array([first, second, 0.0]) * STEP_S / 3600, (24, 1))
    run = roads.run(roads.empty(), boundary(roads, demand, {}))
    passed = vehicles_per_hour(run)[-1]
    return round(float(passed[0]), 1), round(float(passed[1]), 1)


def test_a_merge_follows_daganzos_rule() -> None:
    """Priorities by capacity, 2 to 1; what one does not use, the other may."""
    assert merge(800.0, 900.0) == (800.0, 900.0)  # room for both
    assert merge(3000.0, 1500.0) == pytest.approx((2000 * 2 / 3, 2000 / 3), abs=0.2)  # both queue
    assert merge(3000.0, 400.0) == pytest.approx((1600.0, 400.0), abs=0.2)  # only the first queues
    assert merge(1000.0, 1900.0) == pytest.approx((1000.0, 1000.0), abs=0.2)  # only the second queues


def test_a_diverge_holds_all_when_one_way_out_is_full() -> None:
    """First in, first out: 30 % turn into a way that takes 300 an hour, so no more than 1,000 pass at all."""
    roads = road(
        [("A", "D", 4000.0, 2), ("D", "B", 300.0, 1), ("D", "C", 4000.0, 2)], {"A": 9000.0, "B": 9000.0, "C": 9000.0}
    )
    demand = np.tile(np.array([2400.0, 0.0, 0.0]) * STEP_S / 3600, (24, 1))
    run = roads.run(roads.empty(), boundary(roads, demand, {(0, 1): 0.3, (0, 2): 0.7}))

    assert vehicles_per_hour(run)[-1] == pytest.approx([1000.0, 300.0, 700.0], abs=0.2)
    assert run.traffic.queue[-1, 0] == 1.0
    assert run.traffic.queue[-1, 2] == 0.0


def test_a_junction_with_two_ways_in_and_two_out() -> None:
    """Tampere et al., worked by hand.

    Capacity towards each way out is share times capacity. X takes 1,000; A sends 50 % there (priority 2000), B 25 %
    (500): a = 1000 / 2500 = 0.4, so A passes 0.4 * 4000 = 1600 and B 0.4 * 2000 = 800, of which B has only 600, so B
    passes 600, leaves X 850 for A: A passes 1700.
    """
    roads = road(
        [("A", "N", 4000.0, 2), ("B", "N", 2000.0, 1), ("N", "X", 1000.0, 1), ("N", "Y", 4000.0, 2)],
        {"A": 9000.0, "B": 9000.0, "X": 9000.0, "Y": 9000.0},
    )
    demand = np.tile(np.array([3000.0, 600.0, 0.0, 0.0]) * STEP_S / 3600, (24, 1))
    turns = {(0, 2): 0.5, (0, 3): 0.5, (1, 2): 0.25, (1, 3): 0.75}
    run = roads.run(roads.empty(), boundary(roads, demand, turns))

    assert vehicles_per_hour(run)[-1] == pytest.approx([1700.0, 600.0, 1000.0, 850.0 + 450.0], abs=0.3)


def ring(avoid_below: float) -> Run:
    """Four full roads in a ring, on which a tenth of the cars wants to leave at each corner."""
    corners = "ABCD"
    links = [(corners[i], corners[(i + 1) % 4], 2000.0, 1) for i in range(4)]
    roads = road(links, dict.fromkeys(corners, 9000.0), avoid_below)
    turns = {(i, 4 + (i + 1) % 4): 0.1 for i in range(4)} | {(i, (i + 1) % 4): 0.9 for i in range(4)}
    full = State(np.full(48, JAM_DENSITY * CELL_KM), np.zeros(4))
    return roads.run(full, boundary(roads, np.zeros((60, 4)), turns))


def test_a_ring_of_full_roads_stands_for_ever_unless_drivers_avoid_it() -> None:
    stuck, dissolved = ring(0.0), ring(0.25)

    assert stuck.left.sum() == 0
    assert dissolved.end.total < 0.02 * stuck.end.total


def test_a_link_that_a_car_crosses_in_less_than_a_step_is_refused() -> None:
    with pytest.raises(UsageError, match=r"A-B of 0\.1 km is too short"):
        Roads(["A"], ["B"], [0.1], [SPEED], [2000.0], [1], {"A": 1.0, "B": 1.0})


# -- queues -----------------------------------------------------------------------------------


def test_a_capacity_drop_makes_a_queue_that_spills_back_and_dissolves() -> None:
    """2,400 arrive and 1,000 pass for an hour, so that 1,400 wait.

    Then 4,000 pass: 1,600 an hour more than arrive, so the last that waited is through 52.5 min later. Its tail goes
    upstream at 1,400 / (density in the queue - density before it), the wave of those that start at 18 km/h; where the
    one meets the other, nobody stands any more.
    """
    roads = road([("A", "B", 4000.0, 2), ("B", "C", 4000.0, 2), ("C", "D", 4000.0, 2)], {"A": 9000.0, "D": 9000.0})
    steps = 48
    demand = np.tile(np.array([2400.0, 0.0]) * STEP_S / 3600, (steps, 1))
    share = np.ones((steps, 3))
    share[12:24, 2] = 0.25
    run = roads.run(roads.empty(), boundary(roads, demand, {}, link_share=share))
    queue, speed = run.traffic.queue, run.traffic.speed
    begins = [int(np.flatnonzero(queue[:, link] > 0.5)[0]) for link in (2, 1, 0)]

    assert (queue[:12] == 0).all()
    assert begins == sorted(begins), "the queue reaches the links one after the other, upstream"
    assert begins[0] < begins[1] < begins[2] < 26
    assert speed[23, 1] < 15
    assert speed[23, 1] < 0.2 * speed[11, 1]
    assert vehicles_per_hour(run)[20, 2] == pytest.approx(1000.0, abs=1)
    extra = run.left[24:] * 3600 / STEP_S - 2400
    assert extra.max() == pytest.approx(1600, abs=1)
    assert extra[extra > 0].sum() * STEP_S / 3600 == pytest.approx(1400, rel=0.02)
    assert abs((extra > 1).sum() - 52.5 / 5) <= 2
    tail = 1400 / (queue_density(1000.0, 2) - free_density(2400.0, 4000.0))
    meet = 24 + tail / (BACKWARD_WAVE_KMH - tail) * 3600 / STEP_S
    assert abs(np.flatnonzero((queue > 0).any(axis=1))[-1] + 1 - meet) <= 1.5
    assert speed[-1] == pytest.approx(speed[11], abs=0.01)


def test_empty_roads_have_the_free_speed_and_no_flow() -> None:
    roads = road([("A", "B", 4000.0, 2)], {"A": 9000.0, "B": 9000.0})
    run = roads.run(roads.empty(), boundary(roads, np.zeros((2, 2)), {}, speed_share=np.array([1.0, 0.9])))

    assert run.traffic.flow.sum() == 0
    assert run.traffic.speed[:, 0] == pytest.approx([SPEED, 0.9 * SPEED])


def test_vehicles_are_conserved_in_the_whole_city_with_queues_incidents_and_rain() -> None:
    network = build_network()
    time = pd.date_range("2025-09-17", periods=288, freq="5min", tz="Europe/Lisbon")
    causes = draw_causes(network, 7, "2025-09-15", 4, "Europe/Lisbon")
    assert any(c.kind == "incident" and c.start.date() == time[0].date() for c in causes)
    model = TrafficModel(network, 7)
    begin = model.roads.empty()
    entered, left = 0.0, 0.0
    state = begin
    for first in range(0, 288, 12):
        steps = slice(first, first + 12)
        demand, _ = model._demand.boundary(time[steps], causes)
        run = model.run(state, time[steps], causes, np.full(12, 3.0))
        entered, left, state = entered + float(demand.sum()), left + float(run.left.sum()), run.end
        assert (run.end.vehicles >= 0).all()
        assert (run.end.waiting >= -1e-9).all()
        assert abs(entered - left - state.total) < 1e-6 * max(entered, 1)

    assert entered > 200_000
    capacity = model.roads.cell_km * model.roads.cell_lanes * JAM_DENSITY
    assert (state.vehicles <= capacity + 1e-9).all()


def test_runs_in_pieces_are_the_run_in_one() -> None:
    roads = roads_of(build_network())
    demand = np.full((24, len(roads.zones)), 60.0)
    whole = roads.run(roads.empty(), boundary(roads, demand, {}))
    half = boundary(roads, demand[:12], {})
    first = roads.run(roads.empty(), half)
    second = roads.run(first.end, half)

    for field in dataclasses.fields(whole.traffic):
        pieces = [getattr(first.traffic, field.name), getattr(second.traffic, field.name)]
        assert np.concatenate(pieces).tobytes() == getattr(whole.traffic, field.name).tobytes()
    assert second.end.vehicles.tobytes() == whole.end.vehicles.tobytes()
