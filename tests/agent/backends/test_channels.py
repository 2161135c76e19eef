"""Quantities as people name them, known by what the data call them."""

from __future__ import annotations

import pytest

from mm4st_agent.agent.backends import channels

CHANNELS = [
    {"name": "flow", "title": "traffic flow", "unit": "vehicles/5 min"},
    {"name": "speed", "title": "mean speed", "unit": "mph"},
]


@pytest.mark.parametrize(
    ("question", "channel"),
    [
        ("How much traffic will it carry?", "flow"),
        ("How much traffic?", "flow"),
        ("How fast will traffic be?", "speed"),
        ("the speed of traffic", "speed"),
        ("What is expected?", None),
    ],
)
def test_channels(question: str, channel: str | None) -> None:
    assert channels.named(question, CHANNELS).channel == channel


@pytest.mark.parametrize(
    ("question", "channel"),
    [
        ("how fast are the cars going?", "speed"),
        ("In miles an hour, how fast will cars be going?", "speed"),
        ("how quick is going the car", "speed"),
        ("Will I crawl?", "speed"),
        ("which is the quicker one?", "speed"),
        ("how many cars are going past?", "flow"),
        ("vehicles and speed", "flow"),
        ("the throughput", "flow"),
        ("The office requests the error of your speed forecasts", "speed"),
        ("how many requests does the service get?", "requests"),
    ],
)
def test_what_moves_and_who_requests_is_no_quantity(question: str, channel: str) -> None:
    requests = {"name": "requests", "title": "requests to the service", "unit": "requests/min"}

    assert channels.named(question, [*CHANNELS, requests]).channel == channel


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
    assert channels.unmeasured(question, CHANNELS) == word


def test_a_title_that_names_the_quantity_measures_it() -> None:
    air = [{"name": "value", "title": "PM2.5", "unit": "ug/m3"}]

    assert channels.unmeasured("How much PM2.5 is there?", air) is None
    assert channels.unmeasured("How much flow is there?", air) == "flow"
    assert channels.unmeasured("Is the air quality bad?", air) is None
    assert channels.unmeasured("How is the traffic?", air) == "traffic"
    assert channels.unmeasured("How is the traffic?", air, "traffic") is None


CITY = [
    *CHANNELS,
    {"name": "pm25", "title": "fine particles (PM2.5)", "unit": "µg/m³"},
    {"name": "no2", "title": "nitrogen dioxide", "unit": "µg/m³"},
    {"name": "requests", "title": "load of the travel information service", "unit": "requests/min"},
]


@pytest.mark.parametrize(
    ("question", "channel", "sure"),
    [
        ("How much PM2.5 is there?", "pm25", True),
        ("pm25?", "pm25", True),
        ("PM 2.5 or PM₂.₅ at A03", "pm25", True),
        ("the fine particles at A03", "pm25", True),
        ("How many particulates?", "pm25", True),
        ("How is the air quality?", "pm25", True),
        ("Where is the air worst? The worst air", "pm25", True),
        ("NO₂ now", "no2", True),
        ("nitrogen dioxide and PM2.5", "no2", True),
        ("PM2.5 and nitrogen dioxide", "pm25", True),
        ("How many requests per minute?", "requests", True),
        ("What is the load of the travel information service?", "requests", True),
        ("How many vehicles?", "flow", True),
        ("How fast is it?", "speed", True),
        ("How is the traffic?", "flow", True),
        ("Is there a traffic jam?", "speed", True),
        ("How busy is it?", "flow", False),
        ("What is the load?", "requests", True),
        ("give me information about the service", None, False),
        ("I am fine", None, False),
        ("What is expected?", None, False),
    ],
)
def test_a_card_s_own_words_name_its_channels(question: str, channel: str | None, sure: bool) -> None:
    found = channels.named(question, CITY)

    assert (found.channel, found.sure) == (channel, sure)


@pytest.mark.parametrize(
    ("question", "word"),
    [("pm10 at A01", "pm10"), ("How much ozone?", "ozone"), ("PM2.5 and NO2", None), ("Is the air clean?", None)],
)
def test_one_pollutant_is_not_the_other(question: str, word: str | None) -> None:
    assert channels.unmeasured(question, CITY) == word


def test_quantities_that_look_like_ids_are_found() -> None:
    question = "PM 2.5, no2 and O3 at A03"

    found = [question[start:end] for start, end in channels.spans(question, CITY, with_digits=True)]

    assert sorted(found) == ["O3", "PM 2.5", "no2"]


def test_notes_are_filed_by_the_quantity() -> None:
    assert [channels.notes_of(channel) for channel in CITY] == ["traffic", "traffic", "air", "air", "cloud"]
    assert channels.notes_of({"name": "x", "title": "level", "unit": "1"}) is None
    assert [channels.low_is_bad(channel) for channel in CITY] == [False, True, False, False, False]
