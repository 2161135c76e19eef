"""Times as people write them, seen from Thursday 25 September 2025, 07:40 in Lisbon."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from mm4st_agent.agent.backends.durations import lengths
from mm4st_agent.agent.backends.times import Span, tense_of, time_span

CLOCK = datetime(2025, 9, 25, 7, 40, tzinfo=ZoneInfo("Europe/Lisbon"))


def _at(text: str) -> datetime:
    """`25 07:40` is that day of September 2025; `2025-10-01 00:00` any other."""
    return datetime.fromisoformat(text if "-" in text else f"2025-09-{text}").replace(tzinfo=CLOCK.tzinfo)


@pytest.mark.parametrize(
    ("question", "start", "end"),
    [
        ("What will D05 carry between 8 and 9?", "25 08:00", "25 09:00"),
        ("forecast D05 from 8:00 to 8:30", "25 08:00", "25 08:30"),
        ("How busy will it be between 8 and 8:30?", "25 08:00", "25 08:30"),
        ("What about 8 to 9 am tomorrow?", "26 08:00", "26 09:00"),
        ("Will it be busy before 8?", "25 07:40", "25 08:00"),
        ("How many cars until nine?", "25 07:40", "25 09:00"),
        ("forecast D05 by 9 am", "25 07:40", "25 09:00"),
        ("from 23:00 to 1:00 tomorrow", "26 23:00", "27 01:00"),
        ("over the next hour", "25 07:40", "25 08:40"),
        ("the next 1.5 hours", "25 07:40", "25 09:10"),
        ("the next 1,5 hours", "25 07:40", "25 09:10"),
        ("Will it be busy this morning?", "25 07:40", "25 12:00"),
        ("tomorrow morning", "26 06:00", "26 12:00"),
        ("tomorrow", "26 00:00", "27 00:00"),
        ("What will it be on Monday?", "29 00:00", "30 00:00"),
        ("How will it be this weekend?", "27 00:00", "29 00:00"),
        ("forecast on 26 September", "26 00:00", "27 00:00"),
        ("Will it be busy on the 26th?", "26 00:00", "27 00:00"),
        ("forecast next month", "2025-10-01 00:00", "2025-11-01 00:00"),
        ("forecast next year", "2026-01-01 00:00", "2027-01-01 00:00"),
        ("forecast 28.9.", "28 00:00", "29 00:00"),
        ("eight till half past, vehicles, D05", "25 08:00", "25 08:30"),
        ("ten to eight till twenty past", "25 07:50", "25 08:20"),
        ("flow between now and twenty to nine", "25 07:40", "25 08:40"),
        ("flow D05 9 - 10 am", "25 09:00", "25 10:00"),
        ("flow D05 0800-0900", "25 08:00", "25 09:00"),
        ("the 20 minutes from 8", "25 08:00", "25 08:20"),
        ("in the hour before nine", "25 08:00", "25 09:00"),
        ("for half an hour, starting in 20 minutes", "25 08:00", "25 08:30"),
        ("over the half hour to come", "25 07:40", "25 08:10"),
        ("the next hour and a half", "25 07:40", "25 09:10"),
        ("for the rest of the morning", "25 07:40", "25 12:00"),
        ("until the end of the day", "25 07:40", "26 00:00"),
        ("by lunchtime", "25 07:40", "25 12:00"),
        ("speed in the evening peak", "25 16:00", "25 19:00"),
        ("What will the morning rush be like tomorrow?", "26 07:00", "26 09:00"),
        ("late tonight", "25 22:00", "26 04:00"),
        ("what will it be in two days", "27 00:00", "28 00:00"),
    ],
)
def test_coming_windows(question: str, start: str, end: str) -> None:
    span = time_span(question, CLOCK)

    assert (span.start, span.end) == (_at(start), _at(end))
    assert span.side(CLOCK) == "future"


@pytest.mark.parametrize(
    ("question", "start", "end"),
    [
        ("How busy was it from 6 to 7?", "25 06:00", "25 07:00"),
        ("What was the flow between 6:00 and 7:00?", "25 06:00", "25 07:00"),
        ("What was it yesterday between 5 and 6 pm?", "24 17:00", "24 18:00"),
        ("How was D05 yesterday?", "24 00:00", "25 00:00"),
        ("How was it last night?", "24 18:00", "25 06:00"),
        ("How was it this morning?", "25 06:00", "25 07:40"),
        ("Show me the last 24 hours", "24 07:40", "25 07:40"),
        ("the last 15m", "25 07:25", "25 07:40"),
        ("in the last quarter of an hour", "25 07:25", "25 07:40"),
        ("over the past week", "18 07:40", "25 07:40"),
        ("How was it last week?", "15 00:00", "22 00:00"),
        ("How was it last month?", "2025-08-01 00:00", "2025-09-01 00:00"),
        ("What happened on Monday?", "22 00:00", "23 00:00"),
        ("What passed on January 20?", "2025-01-20 00:00", "2025-01-21 00:00"),
        ("How was it last weekend?", "20 00:00", "22 00:00"),
        ("What happened today?", "25 00:00", "25 07:40"),
        ("How many since 6?", "25 06:00", "25 07:40"),
        ("flow since the start of the day", "25 00:00", "25 07:40"),
        ("flow since the beginning of this week", "22 00:00", "25 07:40"),
        ("average speed since breakfast", "25 07:00", "25 07:40"),
        ("how was yesterday's evening rush", "24 16:00", "24 19:00"),
        ("the last day and a half", "23 19:40", "25 07:40"),
        ("over the past fortnight", "11 07:40", "25 07:40"),
        ("these last two hours", "25 05:40", "25 07:40"),
        ("speed, last 1/2 hour", "25 07:10", "25 07:40"),
        ("in the most recent hour", "25 06:40", "25 07:40"),
        ("how was it two days ago", "23 00:00", "24 00:00"),
        ("flow between midnight and now", "25 00:00", "25 07:40"),
        ("flow from midnight to six", "25 00:00", "25 06:00"),
        ("last night's rush hour, yesterday between five and six pm", "24 17:00", "24 18:00"),
    ],
)
def test_past_windows(question: str, start: str, end: str) -> None:
    span = time_span(question, CLOCK)

    assert (span.start, span.end) == (_at(start), _at(end))
    assert span.side(CLOCK) == "past"


@pytest.mark.parametrize(
    ("question", "moment"),
    [
        ("Will it be busy at 8?", "25 08:00"),
        ("How fast will it be at 8.15?", "25 08:15"),
        ("Will it be busy at 5?", "25 17:00"),
        ("at quarter to nine, will it jam?", "25 08:45"),
        ("What will it be at half past eight?", "25 08:30"),
        ("in 30min", "25 08:10"),
        ("in 45mins", "25 08:25"),
        ("in three quarters of an hour", "25 08:25"),
        ("an hour and a half from now", "25 09:10"),
        ("What will it be tomorrow at 7:30?", "26 07:30"),
        ("forecast D05 next Monday at 9am", "29 09:00"),
        ("What was the flow at 7:10?", "25 07:10"),
        ("How was D05 yesterday at 8?", "24 08:00"),
        ("What was it two hours ago?", "25 05:40"),
        ("What was it on January 20 at 8:00?", "2025-01-20 08:00"),
        ("What was it on 2025-09-20 at 8:00?", "20 08:00"),
        ("How fast will it be at eight thirty?", "25 08:30"),
        ("around a quarter past eight", "25 08:15"),
        ("speed at 20 to 9", "25 08:40"),
        ("once it's nine", "25 09:00"),
        ("in half an hour's time", "25 08:10"),
        ("a jam in 20?", "25 08:00"),
        ("this time tomorrow", "26 07:40"),
        ("speed this time last week", "18 07:40"),
        ("how was it two weeks ago at 8", "11 08:00"),
    ],
)
def test_moments(question: str, moment: str) -> None:
    span = time_span(question, CLOCK)

    assert span.is_moment
    assert span.start == _at(moment)


@pytest.mark.parametrize(
    ("question", "problem"),
    [
        ("Will it be busy at 25:99?", "clock"),
        ("forecast hour 30", "clock"),
        ("Will it be busy at 13 pm?", "clock"),
        ("forecast on 30 February", "date"),
        ("on the 31st", "date"),
        ("How was it on 9/8?", "unclear_date"),
        ("forecast for 0 minutes", "length"),
        ("in -10 minutes", "length"),
        ("How will the rush hour be?", "rush"),
        ("How was it this evening?", "not_yet"),
        ("What will it be on 2022-01-26 at 8:00?", "over"),
    ],
)
def test_what_cannot_be_read_is_said(question: str, problem: str) -> None:
    span = time_span(question, CLOCK)

    assert span.problem == problem
    assert span.start is None


@pytest.mark.parametrize(
    ("words", "minutes"),
    [
        ("30min", 30), ("15m", 15), ("45 mins", 45), ("quarter of an hour", 15), ("three quarters of an hour", 45),
        ("half an hour", 30), ("an hour and a half", 90), ("one and a half hours", 90), ("1 hour 30 minutes", 90),
        ("1h30", 90), ("1.5 hours", 90), ("1,5 hours", 90), ("ninety minutes", 90), ("twenty-five minutes", 25),
        ("a couple of hours", 120), ("half hour", 30), ("half a dozen hours", 360), ("half a day", 720),
        ("a fortnight", 20160), ("1½ hours", 90), ("an hour and twenty minutes", 80), ("quarter hour", 15),
        ("2 days", 2880), ("-10 minutes", -10), ("0 minutes", 0),
    ],
)  # fmt: skip
def test_lengths(words: str, minutes: float) -> None:
    assert [length.minutes for length in lengths(words)] == [minutes]


def test_what_only_looks_like_a_time_is_none() -> None:
    for question in (
        "What is a capacity drop?",
        "Is it normal for this time of the week?",
        "forecast 57 south at Katella",
        "speed at 1205330",
        "Is it busier than yesterday?",
        "forecast 'next hour'",
        "5 cars at D05",
        "How long from one station to another?",
    ):
        span = time_span(question, CLOCK)
        assert (span.start, span.now, span.problem) == (None, False, None), question
    assert time_span("Is it busier than yesterday?", CLOCK).compared == "than yesterday"


@pytest.mark.parametrize(
    "question",
    [
        "Good morning, how is D05?",
        "Taking over the morning shift. Any incidents?",
        "Morning! How is D05?",
        "the eight closest stations",
        "3 stations with a speed below twenty",
    ],
)
def test_greetings_and_counts_are_no_time(question: str) -> None:
    assert time_span(question, CLOCK) == Span()


def test_a_length_beside_the_present_is_not_what_is_asked_about() -> None:
    assert time_span("On air in two minutes - where is it slowest right now?", CLOCK).now
    assert time_span("How is it now and in 30 minutes?", CLOCK).start == _at("25 08:10")


def test_a_preposition_is_no_past() -> None:
    assert tense_of("do they go past D05 at ten past eight") is None
    assert tense_of("average speed, past 3 hours") == "past"


def test_the_present_is_neither_past_nor_future() -> None:
    span = time_span("Is it busier than usual at the moment?", CLOCK)

    assert span.now
    assert span.side(CLOCK) is None


@pytest.mark.parametrize(
    ("question", "tense"),
    [
        ("What happened at D05?", "past"),
        ("How many passed?", "past"),
        ("Did it jam?", "past"),
        ("What had it carried?", "past"),
        ("Will it be busier than it was yesterday?", "future"),
        ("What do you expect?", "future"),
        ("How is it?", "present"),
        ("D05", None),
    ],
)
def test_tense(question: str, tense: str | None) -> None:
    assert tense_of(question) == tense


def test_a_time_behind_a_clock_change_is_right() -> None:
    midnight = datetime(2024, 10, 27, tzinfo=ZoneInfo("Europe/Berlin"))

    span = time_span("What will it be at 4:00?", midnight)

    assert span.ahead(midnight) == (300, 300)
    assert span.start is not None
    assert span.start.utcoffset() == timedelta(hours=1)
    assert time_span("How will it be tomorrow?", midnight - timedelta(days=1)).hours() == 25


def test_this_morning_is_past_at_noon() -> None:
    noon = CLOCK.replace(hour=12, minute=30)

    assert time_span("Did anybody crash this morning?", noon).end == _at("25 12:00")
    assert time_span("Will it be busy in the morning?", noon).start == _at("26 06:00")


def test_no_time_is_no_span() -> None:
    assert time_span("Tell me about D22", CLOCK) == Span()
