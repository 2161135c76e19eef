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
