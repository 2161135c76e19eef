"""Who drives: shares that add up, tides of a weekday, visitors that come and go, noise that no cause touches."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mm4st_agent.demo_city.demand import BY_CAR, PER_CAR, Demand
from mm4st_agent.demo_city.network import build_network
from mm4st_agent.demo_city.records import Cause
from mm4st_agent.demo_city.traffic import roads_of

ZONE = "Europe/Lisbon"
WEDNESDAY = pd.date_range("2025-09-24", periods=288, freq="5min", tz=ZONE)
SUNDAY = pd.date_range("2025-09-21", periods=288, freq="5min", tz=ZONE)
MATCH = Cause(
    "event-01",
    "event",
    "match",
    pd.Timestamp("2025-09-24 20:00", tz=ZONE),
    pd.Timestamp("2025-09-24 22:00", tz=ZONE),
    venue="Alder Park",
    attendance=20_000,
)
BREAK = Cause("holiday-1", "holiday", "break", pd.Timestamp("2025-09-20", tz=ZONE), pd.Timestamp("2025-09-29", tz=ZONE))


@pytest.fixture(scope="module")
def demand() -> Demand:
    network = build_network()
    return Demand(network, roads_of(network), 7)


def test_shares_of_the_turns_add_up_and_nobody_turns_back(demand: Demand) -> None:
    roads = demand._roads
    _, turns = demand.boundary(WEDNESDAY, [MATCH])
    total = np.zeros((len(turns), roads.turn_in.max() + 1))
    np.add.at(total.T, roads.turn_in, turns.T)

    assert total == pytest.approx(1.0, abs=1e-12)
    assert turns.min() >= 0
    assert turns[:, roads.u_turn].max() == 0


def test_every_link_is_used_on_some_way_on_a_workday(demand: Demand) -> None:
    roads = demand._roads
    used = np.zeros(roads.links + len(roads.zones))
    np.add.at(used, roads.turn_out, demand._weights.max(axis=(0, 1)))

    assert (used[: roads.links] > 0).all()


def test_people_leave_home_in_the_morning_and_work_in_the_evening(demand: Demand) -> None:
    network, roads = build_network(), demand._roads
    vehicles, _ = demand.boundary(WEDNESDAY, [])
    use = network.junctions.loc[roads.zones, "land_use"].to_numpy()
    morning, evening, night = slice(7 * 12, 9 * 12), slice(16 * 12 + 6, 18 * 12 + 6), slice(2 * 12, 4 * 12)
    by_use = {name: vehicles[:, use == name].sum(axis=1) for name in ("residential", "business")}

    assert by_use["residential"][morning].sum() > 1.5 * by_use["residential"][evening].sum()
    assert by_use["business"][evening].sum() > 2 * by_use["business"][morning].sum()
    assert vehicles[night].sum() < 0.1 * vehicles[morning].sum()
    sunday, _ = demand.boundary(SUNDAY, [])
    assert sunday[morning].sum() < 0.35 * vehicles[morning].sum()


def test_school_holidays_thin_the_morning(demand: Demand) -> None:
    usual, thin = (demand.boundary(WEDNESDAY, causes)[0][7 * 12 : 9 * 12].sum() for causes in ([], [BREAK]))

    assert 0.6 * usual < thin < 0.85 * usual


def test_visitors_of_a_match_come_before_and_leave_after_it(demand: Demand) -> None:
    """The noise of the zones multiplies their trips, so the sum is near the cars that 20,000 people need."""
    roads = demand._roads
    extra = demand.boundary(WEDNESDAY, [MATCH])[0] - demand.boundary(WEDNESDAY, [])[0]
    stadium = roads.zones.index("J17")
    cars = 20_000 * BY_CAR / PER_CAR
    coming = np.delete(extra, stadium, axis=1).sum(axis=1)
    leaving = extra[:, stadium]

    assert coming.sum() == pytest.approx(cars, rel=0.15)
    assert leaving.sum() == pytest.approx(cars, rel=0.25)
    assert np.flatnonzero(coming > 1e-9)[[0, -1]].tolist() == [18 * 12, 20 * 12 + 1]
    assert np.flatnonzero(leaving > 1e-9)[[0, -1]].tolist() == [22 * 12 - 2, 23 * 12 + 2]


def test_a_cause_changes_no_draw(demand: Demand) -> None:
    """Outside of the hours in which visitors travel nothing differs by a bit."""
    with_match, turns_with = demand.boundary(WEDNESDAY, [MATCH])
    without, turns_without = demand.boundary(WEDNESDAY, [])

    assert with_match[: 18 * 12].tobytes() == without[: 18 * 12].tobytes()
    assert turns_with[: 18 * 12].tobytes() == turns_without[: 18 * 12].tobytes()
    again, _ = demand.boundary(WEDNESDAY[100:130], [MATCH])
    assert again.tobytes() == with_match[100:130].tobytes()
