"""`plan_route`: times that can be reckoned by hand, the clock, and what it refuses."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mm4st_agent.data.card import Channel, DataCard
from mm4st_agent.data.panel import Panel
from mm4st_agent.data.registry import Registry
from mm4st_agent.demo_city.panel import demo_panel
from mm4st_agent.errors import ToolError
from mm4st_agent.forecaster.prediction import Forecaster
from mm4st_agent.imaging.store import ImageStore
from tools.context import ToolContext
from tools.plan_route import PLAN_ROUTE, PlanRouteOut
from tools.road_times import Speeds, road_graph, speed_of, unlike

START = pd.Timestamp("2025-09-01")
DAYS = 21
PER_DAY = 96
ROADS = {("O", "A"): 10.0, ("A", "D"): 10.0, ("O", "B"): 12.0, ("B", "D"): 12.0, ("D", "E"): 5.0, ("F", "O"): 1.0}
"""Two ways from O to D, of 20 and 24 km."""


def town(speeds: Mapping[str, Any], **card: Any) -> Panel:
    """Five stations and the speeds of each, a number or one for each step."""
    nodes = ["O", "A", "B", "D", "E", "F"]
    steps = DAYS * PER_DAY
    values = np.stack([np.broadcast_to(np.asarray(speeds.get(node, 60.0), dtype=float), steps) for node in nodes], 1)
    times = pd.date_range(START, periods=steps, freq="15min").as_unit("ns")
    edges = [(a, b, 1.0, km) for (a, b), km in ROADS.items()]
    return Panel(
        card=DataCard(
            **{
                "name": "town",
                "title": "A town (made for a test)",
                "source": "made by a test",
                "licence": "CC0-1.0",
                "place_word": "station",
                "channels": (Channel(name="speed", unit="km/h", title="speed"),),
                "time_label": "start",
                **card,
            }
        ),
        data=xr.Dataset(
            {"speed": (("time", "node"), values.astype(np.float32), {"units": "km/h"})},
            coords={"time": times, "node": np.array(nodes, dtype=object)},
        ),
        edges=pd.DataFrame(edges, columns=["source", "target", "weight", "distance"]),
    )


@pytest.fixture
def route(context_of: Callable[..., ToolContext]) -> Callable[..., PlanRouteOut]:
    def asked(panel: Panel, as_of: str | None = None, **args: Any) -> PlanRouteOut:
        given = {"dataset": "town", "origin": "O", "destination": "D", **args}
        return PLAN_ROUTE.run(given, context_of(panel, as_of))

    return asked


def test_the_time_of_a_way_is_its_length_by_the_speeds(route: Callable[..., PlanRouteOut]) -> None:
    reply = route(town({}))

    assert [(one.nodes, one.length, one.length_unit) for one in reply.routes] == [
        (["O", "A", "D"], 20.0, "km"),
        (["O", "B", "D"], 24.0, "km"),
    ]
    assert [(one.median, one.low, one.high, one.free_flow) for one in reply.routes] == [
        (20, 20, 20, 20),
        (24, 24, 24, 24),
    ]
    assert reply.routes[1].slower == 4
    assert reply.clear
    assert reply.free_flow_choice
    assert not reply.only_one


def test_a_jam_now_makes_the_longer_way_the_faster(route: Callable[..., PlanRouteOut]) -> None:
    jam = np.full(DAYS * PER_DAY, 60.0)
    jam[-4:] = 20.0  # for the last hour A has crawled; the last reading is the best of the baselines here
    reply = route(town({"A": jam}))

    assert reply.routes[0].nodes == ["O", "B", "D"]
    # half of O-A and of A-D at O's and D's 60 km/h, the other halves at 20 km/h: 10 + 30 min
    assert reply.routes[1].median == pytest.approx(40, rel=0.02)
    assert not reply.free_flow_choice


def test_speeds_count_when_one_gets_there() -> None:
    panel = town({})
    start = panel.times[-1] + panel.step
    values = np.full((8, 3, 3), 60.0)
    values[1:, 1] = 30.0  # A slows down after the first quarter of an hour
    speeds = Speeds(start, panel.step, {"O": 0, "A": 1, "D": 2}, values, 8)
    graph = road_graph(panel)

    # 5 min at O, 5 min at A; then 5 km at A begin after 10 min still at 60 km/h
    assert speeds.minutes(graph, ["O", "A", "D"], start, 1) == pytest.approx(20)
    # six minutes later the second half of O-A is done at 11 to 16 min, and A-D begins at 30 km/h
    assert speeds.minutes(graph, ["O", "A", "D"], start + pd.Timedelta(minutes=6), 1) == pytest.approx(25)


def test_beyond_the_forecast_the_usual_speeds_stand_in(route: Callable[..., PlanRouteOut]) -> None:
    clock = np.arange(DAYS * PER_DAY) % PER_DAY
    rush = np.where((clock >= 66) & (clock < 78), 15.0, 60.0)  # from 16:30 to 19:30 every day
    reply = route(town({"A": rush}), as_of="2025-09-18T08:00", start_in_minutes=9 * 60)

    assert reply.model is None
    assert reply.beyond_forecast
    assert reply.routes[0].nodes == ["O", "B", "D"]
    assert reply.routes[1].median == pytest.approx(50, rel=0.01)
    assert any("usual" in warning for warning in reply.warnings)


def test_nothing_later_than_the_clock_is_read(route: Callable[..., PlanRouteOut]) -> None:
    later = np.full(DAYS * PER_DAY, 60.0)
    later[18 * PER_DAY :] = 5.0
    whole, cut = town({"A": later}), town({"A": 60.0})

    assert route(whole, as_of="2025-09-19T00:00").routes == route(cut, as_of="2025-09-19T00:00").routes


def test_a_single_way_is_said_to_be_the_only_one(route: Callable[..., PlanRouteOut]) -> None:
    reply = route(town({}), origin="D", destination="E")

    assert reply.only_one
    assert not reply.clear
    assert [one.nodes for one in reply.routes] == [["D", "E"]]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"destination": "O"}, "begins and ends at O"),
        ({"origin": "E"}, "No way leads from station E"),
        ({"origin": "X"}, "no station 'X'"),
        ({"start_in_minutes": 100_000}, "less than or equal to 10080"),
        ({"routes": 1}, "greater than or equal to 2"),
    ],
)
def test_a_trip_that_cannot_be_made_is_refused(
    route: Callable[..., PlanRouteOut], args: dict[str, Any], said: str
) -> None:
    with pytest.raises(ToolError, match=said):
        route(town({}), **args)


def test_data_without_speeds_or_distances_are_refused(
    route: Callable[..., PlanRouteOut], mixed: Panel, context_of: Callable[..., ToolContext]
) -> None:
    panel = town({})
    bare = dataclasses.replace(panel, edges=panel.edges.drop(columns="distance"))
    with pytest.raises(ToolError, match="its edges have weights but no distances"):
        route(bare)
    with pytest.raises(ToolError, match="no road speed in km/h or mph"):
        PLAN_ROUTE.run({"dataset": "mixed", "origin": "S001", "destination": "S002"}, context_of(mixed))


def test_a_station_without_a_reading_is_refused_by_name(route: Callable[..., PlanRouteOut]) -> None:
    with pytest.raises(ToolError, match="at E of 'town'"):
        route(town({"E": np.nan}), origin="D", destination="E")


def test_the_ways_of_the_demo_city_are_forecast(
    tmp_path: Path, shipped_forecaster: Callable[[Panel, Channel], Forecaster]
) -> None:
    registry, absent = Registry(None, tmp_path, {"demo": demo_panel}), cast(Any, None)
    demo = ToolContext(registry, ImageStore(tmp_path / "images"), absent, shipped_forecaster)
    reply = PLAN_ROUTE.run({"dataset": "demo", "origin": "S012", "destination": "S040", "routes": 3}, demo)

    panel = demo_panel()
    graph = road_graph(panel)
    assert speed_of(panel).name == "speed"
    assert reply.model is not None
    assert reply.forecast_until is not None
    assert len(reply.routes) == 3
    for one in reply.routes:
        assert (one.nodes[0], one.nodes[-1]) == ("S012", "S040")
        assert all(graph.has_edge(a, b) for a, b in zip(one.nodes[:-1], one.nodes[1:], strict=True))
        assert one.low is not None
        assert one.median is not None
        assert one.high is not None
        assert one.low <= one.median <= one.high
    assert any("synthetic" in warning for warning in reply.warnings)


def test_ways_that_are_mere_variants_are_left_out() -> None:
    graph = road_graph(town({}))
    direct, other = ["O", "A", "D", "E"], ["O", "B", "D", "E"]

    assert unlike(graph, [direct, ["O", "A", "D"], other], 3) == [direct, other]
    assert unlike(graph, [direct, other], 1) == [direct]
