"""Places, times and quantities as people write them."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from mm4st_agent.agent.backends import slots

AS_OF = datetime(2022, 1, 25, 7, 30, tzinfo=ZoneInfo("US/Pacific"))


@pytest.mark.parametrize(
    ("question", "minutes"),
    [
        ("How much traffic over the next hour?", 60),
        ("What will it be in 30 minutes?", 30),
        ("in half an hour", 30),
        ("for the next two hours", 120),
        ("45 min ahead", 45),
        ("until 8:30", 60),
        ("by 9 am", 90),
        ("at noon", 270),
        ("at 7:15", 23 * 60 + 45),
        ("tomorrow at 7:30", 24 * 60),
        ("next Monday at 9am", (6 * 24 + 1) * 60 + 30),
        ("tomorrow morning", 24 * 60 + 30),
    ],
)
def test_future_times(question: str, minutes: int) -> None:
    span = slots.time_span(question, AS_OF)

    assert span.minutes == minutes
    assert span.past_hours is None


@pytest.mark.parametrize(
    ("question", "hours"),
    [
        ("Show me the last 24 hours", 24),
        ("over the past week", 168),
        ("two hours ago", 2),
        ("how was it yesterday?", 31),
        ("what happened today?", 7),
        ("what was the flow at 5:30?", 2),
    ],
)
def test_past_times(question: str, hours: int) -> None:
    span = slots.time_span(question, AS_OF)

    assert span.past_hours == hours
    assert span.minutes is None


def test_this_morning_is_past_at_noon() -> None:
    noon = AS_OF.replace(hour=12, minute=0)

    assert slots.time_span("Did anybody crash this morning?", noon).past_hours == 5
    assert slots.time_span("Will it be busy in the morning?", noon).minutes == 20 * 60


def test_a_clock_time_is_a_moment_and_a_bound_is_not() -> None:
    assert slots.time_span("at 8:15", AS_OF).moment == AS_OF.replace(hour=8, minute=15)
    assert slots.time_span("until 8:15", AS_OF).moment is None


def test_the_present_is_neither_past_nor_future() -> None:
    span = slots.time_span("Is it busier than usual at the moment?", AS_OF)

    assert span.now
    assert span.minutes is span.past_hours is None


def test_no_time_is_no_span() -> None:
    assert slots.time_span("What is a capacity drop?", AS_OF) == slots.Span()
    assert slots.time_span("Is it normal for this time of the week?", AS_OF) == slots.Span()


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
        ("Will it rain?", None),
        ("hello", None),
    ],
)
def test_places(question: str, place: str | None) -> None:
    assert slots.place(question, "station") == place


def test_time_words_are_no_place() -> None:
    assert slots.place("How busy by 8 am on Monday?", "station", ("by 8 am", "on Monday")) is None


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
