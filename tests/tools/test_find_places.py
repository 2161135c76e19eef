"""`find_places` finds what a person means, and never passes off another place as the one that was asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pandas as pd
import pytest

from mm4st_agent.data.importing.inspect import draft_panel, inspect
from mm4st_agent.data.registry import Registry
from mm4st_agent.demo_city.panel import demo_panel
from mm4st_agent.errors import ToolError
from tools.context import ToolContext
from tools.find_places import FIND_PLACES, FindPlacesOut, PlaceMatch


def context(registry: Registry) -> ToolContext:
    absent = cast(Any, None)
    return ToolContext(registry, absent, absent, absent)


@pytest.fixture
def demo(tmp_path: Path) -> ToolContext:
    return context(Registry(None, tmp_path, {"demo": demo_panel}))


@pytest.fixture
def orange(real_data: Path, tmp_path: Path) -> ToolContext:
    return context(Registry(real_data, tmp_path, {}))


def find(ctx: ToolContext, query: str, limit: int = 5) -> FindPlacesOut:
    dataset = next(name for name in ctx.registry.names() if ctx.registry.available(name))
    return FIND_PLACES.run({"dataset": dataset, "query": query, "limit": limit}, ctx)


def ids(reply: FindPlacesOut) -> list[str]:
    return [match.id for match in reply.matches]


@pytest.mark.parametrize(
    "query", ["S048", "s048", "station S048?", "Station Square westbound", "how busy is Station Square westbound now"]
)
def test_an_id_or_a_full_name_is_exact(demo: ToolContext, query: str) -> None:
    reply = find(demo, query)

    assert ids(reply) == ["S048"]
    assert reply.matches[0].exact
    assert reply.matches[0].score == 100
    assert reply.unknown_ids == []


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("S39", ["S039"]),
        ("s-039", ["S039"]),
        ("S 039", ["S039"]),
        ("station 39", ["S039"]),
        ("A1", ["A01"]),
        ("12", ["S012", "A12"]),
        ("Westgate eastbound", ["S107"]),
        ("St Annes Hospital westbound", ["S109"]),
        ("Lighthouse NB", ["S099"]),
        ("Saltmarsh Embankment counterclockwise", ["S013"]),
    ],
)
def test_an_id_or_a_name_written_otherwise_is_exact_too(demo: ToolContext, query: str, expected: list[str]) -> None:
    reply = find(demo, query)

    assert ids(reply) == expected
    assert all(match.exact for match in reply.matches)


def test_orange_by_name_and_direction_without_the_freeway(orange: ToolContext) -> None:
    assert ids(find(orange, "Meats northbound")) == ["1212955"]
    assert ids(find(orange, "Meats southbound")) == ["1212957"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("Harbour Bridge", {"S075", "S076", "A04"}),
        ("harbor brige", {"S075", "S076", "A04"}),
        ("FISH MARKET", {"S061", "S062"}),
        ("how much traffic at station square over the next hour", {"S048", "S049"}),
        ("bridge harbour", {"S075", "S076", "A04"}),
    ],
)
def test_part_of_a_name_or_a_typing_error_is_similar(demo: ToolContext, query: str, expected: set[str]) -> None:
    reply = find(demo, query)

    assert set(ids(reply)) == expected
    assert not any(match.exact for match in reply.matches)
    assert all(70 <= match.score < 100 for match in reply.matches)


def test_a_direction_puts_the_right_side_first(demo: ToolContext) -> None:
    assert ids(find(demo, "station square heading west"))[0] == "S048"
    assert ids(find(demo, "castle hill southbound lanes"))[0] == "S096"


@pytest.mark.parametrize("query", ["S999", "station S999", "S125", "station 427", "sensor 1205330"])
def test_an_unknown_id_gives_suggestions_only(demo: ToolContext, query: str) -> None:
    reply = find(demo, query)

    assert reply.unknown_ids == [query.split()[-1]]
    assert len(reply.matches) == 5
    assert not any(match.exact for match in reply.matches)


@pytest.mark.parametrize("query", ["Paris", "the weather in London", "   ", "?!", "Москва", "の"])
def test_nothing_found_is_an_empty_list(demo: ToolContext, query: str) -> None:
    assert find(demo, query).matches == []


def test_limits(demo: ToolContext) -> None:
    reply = find(demo, "Airport Road", limit=3)

    assert (len(reply.matches), reply.found) == (3, 10)
    for bad in ({"query": ""}, {"query": "x" * 501}, {"query": "x", "limit": 0}, {"query": "x", "limit": 21}):
        with pytest.raises(ToolError, match="Bad arguments for find_places"):
            FIND_PLACES.run({"dataset": "demo", **bad}, demo)


def test_a_match_tells_where_it_is_and_what_is_next_to_it(demo: ToolContext) -> None:
    match = find(demo, "S049").matches[0]

    assert match.description == "Station Square eastbound, Airport Road, 2 lanes, business"
    assert (match.lat, match.lon) == (pytest.approx(41.50883), pytest.approx(-11.98156))
    assert match.upstream == ["S057", "S111", "S055"]
    assert set(match.downstream) == {"S113", "S050", "S109"}
    assert match.neighbours == []


def test_ids_are_marked_as_ids(demo: ToolContext) -> None:
    quantities = find(demo, "S049").quantities()

    assert (quantities["matches[0].id"].value, quantities["matches[0].id"].unit) == ("S049", "id")
    assert quantities["matches[0].upstream[0]"].unit == "id"
    assert quantities["matches[0].lat"].unit == "degree"
    assert quantities["matches[0].score"].unit == "score"


def test_an_imported_table_without_names_or_coordinates(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("time,Aotizhongxin,pm 2.5\n2022-01-01,1,2\n2022-01-02,3,4\n")
    panel = draft_panel(inspect(tmp_path / "t.csv", "mine"))
    ctx = context(Registry(None, tmp_path / "none", {"mine": lambda: panel}))

    assert ids(find(ctx, "aotizhongxin")) == ["Aotizhongxin"]
    assert ids(find(ctx, "pm 2.5")) == ["pm 2.5"]
    match = find(ctx, "Aotizhonxin").matches[0]
    assert (match.id, match.exact, match.lat, match.description) == ("Aotizhongxin", False, None, "Aotizhongxin")


# -- real roads -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query", ["1205330", "How much traffic will station 1205330 carry over the next hour, and why?"]
)
def test_orange_by_id(orange: ToolContext, query: str) -> None:
    reply = find(orange, query)

    assert ids(reply) == ["1205330"]
    match = reply.matches[0]
    assert match.exact
    assert match.description == "I5-N, N OF 57, postmile 106.551, 4 lanes, Orange"
    assert (match.lat, match.lon) == (None, None)
    assert [(a.name, a.value, a.unit) for a in match.attributes] == [
        ("postmile", 106.551, "mile"),
        ("lanes", 4, "lanes"),
    ]
    assert (match.upstream, match.downstream) == (["1205320", "1212170"], ["1205375"])


@pytest.mark.parametrize("query", ["1205331", "120533", "12053300", "station 9999999", "station 7"])
def test_orange_never_returns_another_station_as_the_one_asked_for(orange: ToolContext, query: str) -> None:
    reply = find(orange, query)

    assert reply.unknown_ids == [query.split()[-1]]
    assert len(reply.matches) == 5
    assert not any(match.exact for match in reply.matches)


def test_orange_suggestions_are_close(orange: ToolContext) -> None:
    assert {"1205330", "1205335"} <= set(ids(find(orange, "120533")))


@pytest.mark.parametrize(
    ("query", "freeway", "count"),
    [
        ("I5 north", "I5-N", 6),
        ("I-5 N", "I5-N", 6),
        ("northbound on interstate 5", "I5-N", 6),
        ("I5-S", "I5-S", 7),
        ("SR 57 southbound", "SR57-S", 29),
        ("the 57 sb", "SR57-S", 29),
        ("state route 22 west", "SR22-W", 9),
        ("SR55", None, 16),
    ],
)
def test_orange_by_freeway(orange: ToolContext, query: str, freeway: str | None, count: int) -> None:
    reply = find(orange, query, limit=20)

    nodes = orange.registry.open("pems-orange").nodes
    assert reply.found == count
    found = set(nodes.loc[ids(reply), "freeway"])
    assert found == ({freeway} if freeway else {"SR55-N", "SR55-S"})
    assert not any(match.exact for match in reply.matches)


def test_orange_by_name_on_a_freeway(orange: ToolContext) -> None:
    both = find(orange, "la veta")
    assert (ids(both), [match.exact for match in both.matches]) == (["1205320", "1205324"], [True, True])

    assert ids(find(orange, "la veta on I-5 south")) == ["1205324"]
    assert ids(find(orange, "SR 55 north, Chapman 2")) == ["1203400"]
    assert ids(find(orange, "the 57 southbound near Katella")) == ["1202078", "1202105"]
    assert ids(find(orange, "N OF 57")) == ["1205330", "1205335"]
    assert find(orange, "I-405 north").matches == []
    assert find(orange, "la veta on I-405").matches == []


@pytest.mark.parametrize(
    "query",
    [
        "SR 57 southbound at Katella",
        "SR-57 S Katella",
        "57 south at Katella",
        "southbound 57 at Katella",
        "Katella on the 57 south",
    ],
)
def test_orange_by_name_however_the_freeway_is_written(orange: ToolContext, query: str) -> None:
    reply = find(orange, query)

    assert ids(reply) == ["1202078", "1202105"]
    assert all(match.score >= 90 for match in reply.matches)


def test_small_words_are_no_part_of_a_name(orange: ToolContext) -> None:
    reply = find(orange, "I-5 northbound at postmile 106.5")

    assert set(ids(reply)[:2]) == {"1205320", "1205330"}
    assert min(match.score for match in reply.matches[:2]) >= 90
    assert (ids(find(orange, "at Chapman off")), ids(find(orange, "chapman off"))[0]) == (["1211907"], "1211907")
    assert find(orange, "lane 8 north").matches == []


def test_names_are_told_with_single_spaces(orange: ToolContext) -> None:
    match = find(orange, "1212916").matches[0]

    assert (match.name, match.description) == ("KATELLA 2", "SR55-N, KATELLA 2, postmile 15.382, 5 lanes, Orange")


def test_orange_by_postmile(orange: ToolContext) -> None:
    nodes = orange.registry.open("pems-orange").nodes

    def nearest(match: PlaceMatch, postmile: float, on: pd.Series) -> bool:
        return match.id == (on - postmile).abs().idxmin()

    assert nearest(find(orange, "SR57-S pm 4.0").matches[0], 4.0, nodes[nodes["freeway"] == "SR57-S"]["postmile"])
    assert nearest(find(orange, "postmile 106.5").matches[0], 106.5, nodes["postmile"])
    assert find(orange, "I5 postmile 300").matches == []


def test_a_graph_without_direction_gives_neighbours(real_data: Path, tmp_path: Path) -> None:
    reply = FIND_PLACES.run({"dataset": "los-loop", "query": "773869"}, context(Registry(real_data, tmp_path, {})))

    match = reply.matches[0]
    assert (match.upstream, match.downstream) == ([], [])
    panel = context(Registry(real_data, tmp_path, {})).panel("los-loop")
    weights = panel.adjacency().toarray()[panel.position("773869")]
    assert match.neighbours == [panel.node_ids[i] for i in weights.argsort()[::-1][:3]]


def beside(ctx: ToolContext, node: str, direction: str | None = None, **args: Any) -> FindPlacesOut:
    dataset = next(name for name in ctx.registry.names() if ctx.registry.available(name))
    return FIND_PLACES.run({"dataset": dataset, "beside": node, "direction": direction, **args}, ctx)


def test_the_next_place_along_the_road_comes_first(demo: ToolContext) -> None:
    reply = beside(demo, "S039", "upstream")

    assert (reply.beside, reply.direction) == ("S039", "upstream")
    assert reply.matches[0].id in find(demo, "S039").matches[0].upstream
    assert "North Avenue" in reply.matches[0].description
    assert [match.score >= 85 for match in reply.matches] == [True, *[False] * (len(reply.matches) - 1)]
    assert not any(match.exact for match in reply.matches)


def test_a_compass_direction_is_that_of_the_coordinates(demo: ToolContext) -> None:
    here = find(demo, "S039").matches[0]
    for direction, moved in (("north", "lat"), ("south", "lat"), ("east", "lon"), ("west", "lon")):
        for match in beside(demo, "S039", direction).matches:
            shift = getattr(match, moved) - getattr(here, moved)
            assert shift > 0 if direction in ("north", "east") else shift < 0
            assert match.away > 0.2


def test_neighbours_are_of_the_same_kind_unless_another_is_asked_for(demo: ToolContext) -> None:
    assert {match.kind for match in beside(demo, "A03").matches} == {"air station"}
    assert {match.kind for match in beside(demo, "A03", kind="road station").matches} == {"road station"}


def test_without_coordinates_the_heading_of_the_freeway_tells(orange: ToolContext) -> None:
    northbound, southbound = beside(orange, "1205330", "north"), beside(orange, "1205335", "north")

    assert northbound.matches[0].attributes[0].value > 106.551
    assert southbound.matches[0].attributes[0].value > 106.488
    assert northbound.matches[0].id == beside(orange, "1205330", "downstream").matches[0].id
    assert southbound.matches[0].id == beside(orange, "1205335", "upstream").matches[0].id
    with pytest.raises(ToolError, match="has no coordinates"):
        beside(orange, "1205330", "east")


def test_a_search_needs_a_query_or_a_place_beside(demo: ToolContext) -> None:
    for bad in ({}, {"query": "S001", "direction": "north"}):
        with pytest.raises(ToolError, match="A search needs a query"):
            FIND_PLACES.run({"dataset": "demo", **bad}, demo)
    with pytest.raises(ToolError, match="no station 'S999'"):
        beside(demo, "S999", "north")
