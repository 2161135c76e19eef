"""Places as people write them."""

from __future__ import annotations

import pytest

from mm4st_agent.agent.backends import slots


@pytest.mark.parametrize(
    ("question", "place"),
    [
        ("How much traffic will station 1205330 carry over the next hour, and why?", "1205330"),
        ("what about sensor #17?", "17"),
        ("How fast at I-5 north at Chapman?", "I-5 north at Chapman"),
        ("Any incidents near SR57 southbound at Katella?", "SR57 southbound at Katella"),
        ("How busy will Harbour Bridge be?", "Harbour Bridge"),
        ("Is it busy at harbour bridge north right now?", "harbour bridge north"),
        ("forecast Station Square", "Station Square"),
        ('the series of "N OF 57" please', "N OF 57"),
        ("I'm leaving in 20 minutes, will Old Town southbound be busy?", "Old Town southbound"),
        ("forecast 57 south at Katella", "57 south at Katella"),
        ("forecast 'next hour'", "next hour"),
        ("status of const now", "const"),
        ("Tell me about El Toro.", "El Toro"),
        ("I take the 57 south past Stadium around", "the 57 south at Stadium"),
        ("57 south, Bastanchury - how heavy?", "57 south at Bastanchury"),
        ("yo is the 22 W at Tustin rammed", "the 22 W at Tustin"),
        ("how's traffic by Katella 1 on the 57 SB", "the 57 SB at Katella 1"),
        ("the 22 westbound by The City Drive", "the 22 westbound at The City Drive"),
        ("the level at university air station", "university air station"),
        ("the speed at Harbour bridge", "Harbour bridge"),
        ("How is D5?", "D5"),
        ("What time is it?", None),
        ("What's your name?", None),
        ("Which place is the busiest right now?", None),
        ("Average flow of all stations", None),
        ("Will it rain?", None),
        ("hello", None),
    ],
)
def test_places(question: str, place: str | None) -> None:
    assert [found.text for found in slots.places(question, "station")] == ([place] if place else [])


@pytest.mark.parametrize(
    ("question", "named"),
    [
        ("Forecast D05 and D22", ["D05", "D22"]),
        ("is D22 or D15 faster now?", ["D22", "D15"]),
        ("compare Old Town southbound and Fish Market eastbound", ["Old Town southbound", "Fish Market eastbound"]),
        ("Is Harbour Bridge busy because of Christmas?", ["Harbour Bridge"]),
        ("forecast 1205330, 1205375 and 1205320", ["1205330", "1205375", "1205320"]),
        (
            "Tannery northbound moves faster than Orchard Hill northbound",
            ["Tannery northbound", "Orchard Hill northbound"],
        ),
        ("does the level at Chapel Green exceed that at A14?", ["Chapel Green", "A14"]),
        ("difference between A12 and the Port air station", ["A12", "Port air station"]),
        ("how is S039 on North Avenue?", ["S039"]),
    ],
)
def test_several_places(question: str, named: list[str]) -> None:
    assert [found.text for found in slots.places(question, "station")] == named


def test_other_words_are_no_place() -> None:
    masked = "How busy ;;;;;;; ;;;;;;;;;?"
    assert not slots.places("How busy by 8 am on Monday?", "station", masked=masked)


def test_a_known_id_is_found_in_any_words() -> None:
    assert [p.text for p in slots.places("how is const doing", "sensor", known=["const"])] == ["const"]


KINDS = ["road station", "air station", "service"]


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("the air stations in the old town", "air station"),
        ("Which air quality sensors are there?", "air station"),
        ("list the road stations", "road station"),
        ("how is the service doing", "service"),
        ("How is station D05?", None),
        ("the air in the old town", None),
    ],
)
def test_kinds(question: str, kind: str | None) -> None:
    assert slots.kind(question, KINDS) == kind


def test_a_part_of_town_is_a_place() -> None:
    assert [p.text for p in slots.places("how is it in the old town", "station")] == ["old town"]
    assert not slots.places("what happens in the network", "station")


@pytest.mark.parametrize(
    ("question", "named"),
    [
        ("Eastbound or westbound past Eastgate: which is faster?", ["Eastgate eastbound", "Eastgate westbound"]),
        ("Airport westbound and eastbound", ["Airport westbound", "Airport eastbound"]),
        ("is Weir Bridge busy clockwise?", ["Weir Bridge clockwise"]),
        ("Foundry Road towards the north", ["Foundry Road northbound"]),
        ("northbound or southbound at S039?", ["S039"]),
    ],
)
def test_ways_that_stand_apart_from_the_name(question: str, named: list[str]) -> None:
    found = [slots.with_heading(question, place) for place in slots.places(question, "station")]

    assert [place.text for place in slots.in_each_way(question, found)] == named
