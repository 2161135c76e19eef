"""Every tool on a panel whose nodes measure different things: a channel is only that of its own nodes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mm4st_agent.data.panel import Panel
from mm4st_agent.errors import ToolError
from mm4st_agent.toolspec import ToolSpec
from tools.context import ToolContext
from tools.find_places import FIND_PLACES
from tools.forecast import FORECAST
from tools.query_series import QUERY_SERIES
from tools.render_series import RENDER_SERIES
from tools.retrieve_context import RETRIEVE_CONTEXT

Run = Callable[..., Any]


@pytest.fixture
def run(mixed: Panel, context_of: Callable[..., ToolContext]) -> Run:
    context = context_of(mixed)
    return lambda spec, **args: spec.run({"dataset": "mixed", **args}, context)


@pytest.mark.parametrize(
    ("node", "channel", "kind"),
    [("S003", "flow", "road station"), ("A03", "pm25", "air station"), ("travel-info", "requests", "service")],
)
def test_a_node_without_a_channel_means_what_it_measures(run: Run, node: str, channel: str, kind: str) -> None:
    read = run(QUERY_SERIES, node=node)
    ahead = run(FORECAST, node=node)
    drawn = run(RENDER_SERIES, node=node)

    assert {read.channel, ahead.channel, drawn.channel} == {channel}
    assert (read.kind, ahead.kind) == (kind, kind)
    assert read.unit == ahead.unit == drawn.unit
    assert read.measured == read.steps
    assert f"{kind.capitalize()} {node} (" in drawn.figure.title


def test_another_channel_of_the_node_is_read(run: Run) -> None:
    assert run(QUERY_SERIES, node="A01", channel="no2").last == 503
    assert run(QUERY_SERIES, node="A01").last == 503


@pytest.mark.parametrize("spec", [QUERY_SERIES, FORECAST, RENDER_SERIES], ids=lambda spec: spec.name)
def test_a_channel_that_the_node_does_not_measure_says_who_does(run: Run, spec: ToolSpec[Any, Any, Any]) -> None:
    with pytest.raises(ToolError) as caught:
        run(spec, node="S001", channel="pm25")

    assert caught.value.message == (
        "Road station S001 (Harbour Bridge) of 'mixed' does not measure PM2.5; it measures traffic flow."
    )
    assert caught.value.hint == "PM2.5 is measured at 3 air stations; the nearest are A01, A02, A03."
    with pytest.raises(ToolError, match="Requests is measured at service travel-info only"):
        run(spec, node="A01", channel="requests")


def test_nodes_of_a_kind_without_channels_measure_nothing(mixed: Panel, context_of: Callable[..., ToolContext]) -> None:
    kinds = mixed.data["kind"].to_numpy().copy()
    kinds[0] = "bus stop"
    other = dataclasses.replace(mixed, data=mixed.data.assign_coords(kind=("node", kinds)))

    with pytest.raises(ToolError, match="it measures nothing"):
        QUERY_SERIES.run({"dataset": "mixed", "node": "S001"}, context_of(other))


def test_a_heatmap_holds_the_nodes_of_its_channel(run: Run) -> None:
    everywhere = run(RENDER_SERIES, method="heatmap", channel="pm25", hours=48)
    around = run(RENDER_SERIES, method="heatmap", node="A01", hours=48)

    assert (everywhere.nodes, everywhere.missing, everywhere.imputed) == (3, 96, 0)
    assert "All 3 air stations: PM2.5" in everywhere.figure.title
    assert (around.channel, around.nodes) == ("pm25", 3)
    roads = run(RENDER_SERIES, method="heatmap", hours=24)
    assert (roads.nodes, roads.missing, roads.imputed) == (4, 0, 1)


# -- places -----------------------------------------------------------------------------------------


def ids(reply: Any) -> list[str]:
    return [match.id for match in reply.matches]


@pytest.mark.parametrize(
    ("query", "narrowed", "expected"),
    [
        ("old town", {"kind": "air station"}, ["A02"]),
        ("old town", {"kind": "Road Stations"}, ["S003"]),
        ("old town", {"channel": "flow"}, ["S003"]),
        ("air stations in the old town", {"kind": "air"}, ["A02"]),
        ("air stations", {"kind": "air station"}, ["A01", "A02", "A03"]),
        ("pm25 old town", {"channel": "pm25"}, ["A02"]),
    ],
)
def test_kind_and_channel_narrow_the_search(
    run: Run, query: str, narrowed: dict[str, str], expected: list[str]
) -> None:
    reply = run(FIND_PLACES, query=query, **narrowed)

    assert ids(reply) == expected
    assert (reply.beside, reply.unknown_ids) == (None, [])


def test_a_match_says_its_kind_and_what_it_measures(run: Run) -> None:
    (match,) = run(FIND_PLACES, query="A03").matches

    assert (match.kind, match.channels, match.away) == ("air station", ["pm25", "no2"], None)


@pytest.mark.parametrize("query", ["Harbour Bridge", "S001"])
def test_a_place_that_does_not_fit_leads_to_the_nearest_that_do(run: Run, query: str) -> None:
    reply = run(FIND_PLACES, query=query, channel="pm25")

    assert reply.beside == "S001"
    assert ids(reply) == ["A01", "A02", "A03"]
    assert [match.away for match in reply.matches] == pytest.approx([0.278, 1.23, 4.17], abs=0.01)
    assert not any(match.exact for match in reply.matches)


def test_an_unknown_place_has_no_nearest(run: Run) -> None:
    reply = run(FIND_PLACES, query="Atlantis", kind="air station")

    assert (reply.matches, reply.beside) == ([], None)


@pytest.mark.parametrize(
    ("narrowed", "said"),
    [
        ({"kind": "bridge"}, "has no kind of place 'bridge'. Known: air station, road station, service"),
        ({"kind": "station"}, "has no kind of place 'station'"),
        ({"channel": "noise"}, "has no channel 'noise'"),
        ({"kind": "service", "channel": "flow"}, "No service of 'mixed' measures flow. These do: road station"),
    ],
)
def test_what_cannot_narrow_is_said(run: Run, narrowed: dict[str, str], said: str) -> None:
    with pytest.raises(ToolError) as caught:
        run(FIND_PLACES, query="old town", **narrowed)

    assert said in str(caught.value)


# -- events -----------------------------------------------------------------------------------------


def test_events_say_their_kind(run: Run) -> None:
    reply = run(RETRIEVE_CONTEXT, query="collision", node="S002", kind="event")

    (hit,) = reply.events
    assert (hit.kind, hit.hops, hit.away) == ("bulletin", 1, None)
    assert (hit.passage.source, hit.passage.published_at) == ("desk", hit.start)


def test_a_kind_of_entry_can_be_searched_for(run: Run) -> None:
    assert run(RETRIEVE_CONTEXT, query="weather warnings", kind="event").events[0].kind == "weather warning"


def test_beside_the_network_events_are_near_by_distance(run: Run) -> None:
    reply = run(RETRIEVE_CONTEXT, query="anything", node="A01", kind="event")

    assert [(hit.passage.doc_id, hit.hops) for hit in reply.events] == [("mixed/one", None)]
    assert reply.events[0].away == pytest.approx(0.278, abs=0.01)


def test_what_has_no_coordinates_serves_the_whole_area(run: Run) -> None:
    reply = run(RETRIEVE_CONTEXT, query="anything", node="travel-info", kind="event")

    assert {hit.passage.doc_id for hit in reply.events} == {"mixed/one", "mixed/two"}
    assert {(hit.hops, hit.away) for hit in reply.events} == {(None, None)}


def test_channels_do_not_leak_into_each_other(mixed: Panel, context_of: Callable[..., ToolContext]) -> None:
    other = dataclasses.replace(mixed, data=mixed.data.assign(pm25=mixed.data["pm25"] * 7 + 1))

    for spec, args in (
        (QUERY_SERIES, {"node": "S001"}),
        (FORECAST, {"node": "S001"}),
        (RENDER_SERIES, {"method": "heatmap"}),
    ):
        replies = [spec.run({"dataset": "mixed", **args}, context_of(panel)) for panel in (mixed, other)]
        assert replies[0] == replies[1]
    assert not np.array_equal(mixed.values("pm25"), other.values("pm25"), equal_nan=True)
