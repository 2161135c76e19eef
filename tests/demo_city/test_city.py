"""The causal API against a case that is computed by hand, and the city's ordinary life."""

from __future__ import annotations

import dataclasses

import networkx as nx
import numpy as np
import pandas as pd
import pytest

from mm4st_agent.demo_city.city import City
from mm4st_agent.demo_city.demand import Demand
from mm4st_agent.demo_city.network import Network
from mm4st_agent.demo_city.records import Cause
from mm4st_agent.errors import UsageError

ZONE = "Europe/Lisbon"
SLOTS = 288


# -- one straight road, on paper ----------------------------------------------------------------

ARRIVE, PASS, CAPACITY, HOURS = 1200.0, 600.0, 2000.0, 0.5
QUEUE = (ARRIVE - PASS) * HOURS
"""300 vehicles wait when the block goes."""
CLEAR = QUEUE / (CAPACITY - ARRIVE)
"""0.375 h until the last of them is through."""
DELAY = 0.5 * QUEUE * (HOURS + CLEAR)
"""131.25 vehicle hours: the triangle between the cumulative curves of those who arrive and those who leave."""


class SteadyDemand(Demand):
    """1,200 vehicles an hour from one end to the other, by day and night."""

    def __init__(self) -> None:
        pass

    def boundary(self, time: pd.DatetimeIndex, causes: object) -> tuple[np.ndarray, np.ndarray]:
        demand = np.tile([ARRIVE / 12, 0.0], (len(time), 1))
        # Turns at the first end: the source into the road or its own sink; then each link into the next; then the sink.
        return demand, np.tile(self.turns, (len(time), 1))


def straight_road(blocks: tuple[Cause, ...]) -> City:
    """A - B - C - D, one way, 4 km each, the middle link narrower than the last."""
    ends = [("A", "B", 2, CAPACITY), ("B", "C", 2, CAPACITY), ("C", "D", 4, 4 * CAPACITY)]
    links = pd.DataFrame(
        [(a, b, lanes, 4.0, 90.0, capacity) for a, b, lanes, capacity in ends],
        columns=["source", "target", "lanes", "length_km", "free_speed_kmh", "capacity_vph"],
        index=["S001", "S002", "S003"],
    )
    junctions = pd.DataFrame({"land_use": ["outside", "", "", "outside"]}, index=list("ABCD"))
    network = Network(links, junctions, pd.DataFrame(columns=["junction", "seats"]), nx.DiGraph())
    demand = SteadyDemand()
    city = City(days=1, network=network, draws=blocks, demand=demand)
    roads = city._model.roads
    demand.turns = np.where(roads.u_turn, 0.0, 1.0)
    # The far end has no way but the sink; its own source may stay idle.
    demand.turns[(roads.turn_in == 4) & (roads.turn_out == 4)] = 1.0
    return city


def block(number: int, start: str, minutes: int = 30) -> Cause:
    begin = pd.Timestamp(start, tz=ZONE)
    return Cause(
        f"incident-{number:03d}",
        "incident",
        "a block on paper",
        begin,
        begin + pd.Timedelta(minutes=minutes),
        link="S002",
        capacity_share=PASS / CAPACITY,
    )


@pytest.fixture(scope="module")
def paper() -> City:
    return straight_road((block(1, "2025-09-01 10:00"), block(2, "2025-09-01 16:00", 10)))


def test_queue_and_delay_are_those_of_the_cumulative_curves(paper: City) -> None:
    effect = paper.without("incident-001").effect("flow")
    # Behind the block, some minutes' drive away: what it misses stands in the queue.
    missing = -effect["S003"].cumsum()

    # The turn lies within a step, and the sums are at the ends of steps.
    assert QUEUE - (ARRIVE - PASS) / 12 < missing.max() <= QUEUE + 0.1
    assert missing.iloc[-1] == pytest.approx(0.0, abs=0.01)
    assert missing.sum() * 5 / 60 == pytest.approx(DELAY, rel=0.02)


def test_the_effect_begins_with_the_block_and_ends_with_its_queue(paper: City) -> None:
    counterfactual = paper.without("incident-001")
    effect = counterfactual.effect("flow")["S003"]
    begin = pd.Timestamp("2025-09-01 10:00", tz=ZONE)

    assert counterfactual.time[0] == begin
    assert counterfactual.converged
    # 3 km from the block to the sensor behind it take 2 min or a little more.
    assert effect[begin + pd.Timedelta("10min")] == pytest.approx((PASS - ARRIVE) / 12, abs=0.5)
    assert effect[begin + pd.Timedelta("40min")] == pytest.approx((CAPACITY - ARRIVE) / 12, abs=0.5)
    clear = begin + pd.Timedelta(hours=HOURS + CLEAR)
    assert clear <= counterfactual.time[-1] < clear + pd.Timedelta("30min")
    assert effect[clear + pd.Timedelta("10min") :].abs().sum() < 1


def test_the_speed_in_the_queue_is_that_of_the_diagram(paper: City) -> None:
    """600 an hour on two lanes: 280 - 600 / 18 = 246.7 vehicles/km, so 2.4 km/h."""
    counterfactual = paper.without("incident-001")
    at = pd.Timestamp("2025-09-01 10:25", tz=ZONE)
    speed = paper.traffic.speed[paper.time.get_loc(at), 1]
    arriving = paper.traffic.speed[100, 1]

    assert counterfactual.effect("speed").loc[at, "S002"] == pytest.approx(speed - arriving, abs=1e-9)
    queued_km = (ARRIVE - PASS) * 25 / 60 / (280 - PASS / 18 - ARRIVE / 80)
    share = min(queued_km / 3, 1)
    assert speed < arriving * (1 - 0.5 * share)
    assert paper.traffic.queue[paper.time.get_loc(at), 1] == pytest.approx(queued_km / 4, abs=0.08)


def test_two_causes_are_told_apart(paper: City) -> None:
    """The queue of 300 vehicles is 1.3 km long: it reaches the sensor 1 km upstream, not the link before."""
    near, far = (paper.causes(node, "2025-09-01T09:00", "2025-09-01T12:00") for node in ("S002", "S001"))
    whole = paper.causes("S003", "2025-09-01T09:00", "2025-09-01T20:00")

    assert [effect.cause.id for effect in near] == ["incident-001"]
    assert far == []
    assert [effect.cause.id for effect in whole] == ["incident-001", "incident-002"]
    assert sum(effect.share for effect in whole) == pytest.approx(1)
    assert whole[0].mean["flow"] == pytest.approx(0.0, abs=0.01), "all get through in the end"
    assert whole[0].largest["flow"] == pytest.approx((CAPACITY - ARRIVE) / 12, abs=0.5)


def test_the_second_block_has_the_effect_that_it_has_alone(paper: City) -> None:
    alone = straight_road((block(2, "2025-09-01 16:00", 10),))

    pd.testing.assert_frame_equal(
        paper.without("incident-002").effect("flow"), alone.without("incident-002").effect("flow"), atol=1e-6
    )
    # 100 vehicles wait, gone 7.5 min later.
    missing = -alone.without("incident-002").effect("flow")["S003"].cumsum()
    assert 100 - (ARRIVE - PASS) / 12 < missing.max() <= 100.1
    assert missing.sum() / 12 == pytest.approx(0.5 * 100 * (10 + 7.5) / 60, rel=0.05)


# -- the shipped city ---------------------------------------------------------------------------


def test_it_has_sixty_days(city: City) -> None:
    assert len(city.traffic.flow) == len(city.time) == 60 * SLOTS


def test_the_same_seed_gives_the_same_bytes_and_a_part_is_the_part_of_the_whole(city: City) -> None:
    again, other = City(days=3), City(seed=8, days=2)

    for field in dataclasses.fields(city.traffic):
        whole = getattr(city.traffic, field.name)[: 3 * SLOTS]
        assert getattr(again.traffic, field.name).tobytes() == whole.tobytes()
    assert other.traffic.flow.tobytes() != city.traffic.flow[: 2 * SLOTS].tobytes()


def by_day(city: City, values: np.ndarray) -> np.ndarray:
    """`(day, slot, link)` of the days before the clock change."""
    return values[: 50 * SLOTS].reshape(50, SLOTS, -1)


def test_queues_on_workday_peaks_few_at_weekends_none_at_night(city: City) -> None:
    queue = by_day(city, city.traffic.queue)
    day = city.time[: 50 * SLOTS : SLOTS]
    school = np.ones(50, dtype=bool)
    for cause in city.draws:
        if cause.kind == "holiday":
            school &= ~((day >= cause.start) & (day < cause.end))
    workday = (day.day_of_week < 5) & school
    morning, evening, night = slice(90, 108), slice(198, 222), slice(24, 54)
    jammed = queue > 0.3

    assert jammed[workday][:, morning].any(axis=1).sum(axis=1).mean() > 3
    assert jammed[workday][:, evening].any(axis=1).sum(axis=1).mean() > 1
    assert not jammed[:, night].any()
    assert jammed[day.day_of_week == 6].any(axis=1).sum(axis=1).mean() < 1
    # The city is neither empty nor locked: on a morning most roads still flow, and each night all run empty.
    assert jammed[workday][:, morning].mean() < 0.15
    assert all(state.total < 2500 for state in city._states[1::4])


def test_flows_are_those_of_a_city(city: City) -> None:
    links = city.network.links
    used = by_day(city, city.traffic.flow)[14:19].sum(axis=1).mean(axis=0)
    speed, flow = city.traffic.speed, city.traffic.flow

    assert (flow * 12 <= links["capacity_vph"].to_numpy() * (1 + 1e-9)).all()
    assert (speed <= links["free_speed_kmh"].to_numpy() * (1 + 1e-9)).all()
    assert (speed > 0).all()
    assert used.min() > 300
    assert used.max() < 60_000


def test_an_incident_acts_from_its_start_on_its_link_and_upstream(city: City) -> None:
    incident = next(cause for cause in city.draws if cause.id == "incident-086")
    counterfactual = city.without(incident.id)
    effect = counterfactual.effect("speed")

    assert counterfactual.time[0] == incident.start
    assert counterfactual.time[-1] > incident.end
    assert counterfactual.converged
    assert list(effect.columns) == list(city.network.links.index)
    hurt = effect.min().nsmallest(5).index
    assert effect[incident.link].min() < -20
    below = [city.network.links["target"][link] for link in hurt]
    assert city.network.links["source"][incident.link] in below


def test_causes_are_found_where_they_act_and_not_elsewhere(city: City) -> None:
    found = city.causes("S096", "2025-10-22T07:15", "2025-10-22T08:00")
    far = city.causes("S009", "2025-10-22T07:15", "2025-10-22T08:00")

    assert found[0].cause.id == "incident-086"
    assert found[0].share > 0.5
    assert found[0].mean["speed"] < -10
    assert found[0].largest["speed"] < found[0].mean["speed"]
    assert "incident-086" not in [effect.cause.id for effect in far]
    assert city.causes("S096", "2025-10-19T02:00", "2025-10-19T03:00") == []


def test_rain_slows_the_whole_city_by_what_the_handbook_says(city: City) -> None:
    links = city.network.links
    spell = next(c for c in city.draws if c.kind == "rain" and c.title == "heavy rain" and 9 <= c.start.hour <= 15)
    effect = city.without(spell.id).effect("speed") / links["free_speed_kmh"]
    inside = effect[(effect.index >= spell.start) & (effect.index < spell.end)]

    assert (inside.median(axis=1) < 0).all()
    assert -0.12 < inside.min(axis=0).median() < -0.05


def test_a_match_fills_the_roads_around_the_stadium_before_and_after(city: City) -> None:
    match = max((c for c in city.draws if c.venue == "Alder Park"), key=lambda cause: cause.attendance)
    effect = city.without(match.id).effect("flow")
    near = effect.loc[:, city.network.links["target"] == "J17"].sum(axis=1)
    away = effect.loc[:, city.network.links["source"] == "J17"].sum(axis=1)

    assert near[: match.start].sum() > 1000
    assert away[match.end :].sum() > 1000
    assert near[: match.start].sum() > 2 * near[match.end :].sum()


def test_causes_cross_domains(city: City) -> None:
    rain = next(cause for cause in city.draws if cause.kind == "rain" and cause.title == "heavy rain")
    washed = city.without(rain.id).effect("pm25")
    jam = city.without("incident-086").effect("requests")

    assert list(washed.columns) == [f"A{number:02d}" for number in range(1, 25)]
    assert washed.min().median() < -1
    assert washed.index[0] >= rain.start - pd.Timedelta("5min")
    assert jam["travel-info"].max() > 20
    listed = city.causes("travel-info", "2025-10-22T07:20", "2025-10-22T09:00")
    assert listed[0].cause.id == "incident-086"
    assert listed[0].mean["requests"] > 5
    rained = city.causes("A01", rain.start.isoformat(), rain.end.isoformat())
    assert rain.id in [effect.cause.id for effect in rained]


def test_texts_lead_to_their_cause(city: City) -> None:
    about = [text for text in city.texts if text.cause is not None]

    assert len(about) > 100
    assert all(city.cause_of(text.id) is not None for text in about)
    assert all(city.cause_of(text.id).id == text.cause for text in about)
    assert city.without("incident-086/2").cause.id == "incident-086"
    assert city.cause_of("notice-001") is None


def test_what_is_no_cause_is_refused_with_those_that_are(city: City) -> None:
    with pytest.raises(UsageError, match=r"'incident-999' is no cause of this city\. It has \d+, such as incident-"):
        city.without("incident-999")
    with pytest.raises(UsageError, match="no cause"):
        city.without("notice-001")
    with pytest.raises(UsageError, match="no channel 'ozone'"):
        city.without("incident-086").effect("ozone")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("S999", "2025-10-22", "2025-10-23"), "no node 'S999'"),
        (("S001", "2025-10-23", "2025-10-22"), "empty or outside"),
        (("S001", "2025-08-01", "2025-10-22"), "empty or outside"),
        (("S001", "soon", "2025-10-22"), "'soon' is not a point in time"),
        (("S001", "2025-10-26T01:30", "2025-10-27"), "not a point in time|twice"),
    ],
)
def test_spans_and_nodes_that_are_none(city: City, arguments: tuple[str, str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        city.causes(*arguments)


@pytest.mark.parametrize(("given", "message"), [({"days": 0}, "0 days"), ({"start": "1 September"}, "is not a day")])
def test_a_city_without_days_is_refused(given: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        City(**given)
