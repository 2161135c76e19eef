"""Places and quantities as people write them."""

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


CHANNELS = [
    {"name": "flow", "title": "traffic flow", "unit": "vehicles/5 min"},
    {"name": "speed", "title": "mean speed", "unit": "mph"},
]


@pytest.mark.parametrize(
    ("question", "channel"),
    [
        ("How much traffic will it carry?", "flow"),
        ("How much traffic?", None),
        ("How fast will traffic be?", "speed"),
        ("the speed of traffic", "speed"),
        ("What is expected?", None),
    ],
)
def test_channels(question: str, channel: str | None) -> None:
    assert slots.channel(question, CHANNELS) == channel


@pytest.mark.parametrize(
    ("question", "word"),
    [
        ("What is the capacity of station D22?", "capacity"),
        ("How is the weather?", "weather"),
        ("What is the occupancy?", "occupancy"),
        ("How many cars will pass?", None),
        ("How fast is it?", None),
        ("How busy is it?", None),
    ],
)
def test_what_is_not_measured(question: str, word: str | None) -> None:
    assert slots.unmeasured(question, CHANNELS) == word


def test_a_title_that_names_the_quantity_measures_it() -> None:
    channels = [{"name": "value", "title": "PM2.5", "unit": "ug/m3"}]

    assert slots.unmeasured("How much PM2.5 is there?", channels) is None
    assert slots.unmeasured("How much flow is there?", channels) == "flow"
    assert slots.unmeasured("Is the air quality bad?", channels) is None
    assert slots.unmeasured("How is the traffic?", channels) == "traffic"
    assert slots.unmeasured("How is the traffic?", channels, "traffic") is None
