"""Times and lengths of time that the words around a claim say, and whether a fact is about them."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from mm4st_agent.agent.claims.fact import Fact
from mm4st_agent.agent.clock_words import WHEN, WrittenTime, same_time, written_time
from mm4st_agent.agent.number_words import COUNT, count_of

_HOURS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
LASTING = re.compile(
    r"\b(?:last|past|previous|preceding|within|during|over(?:\s+the)?(?:\s+(?:last|past))?|in)\s+(?:the\s+)?"
    r"(?:(?P<many>\d+(?:\.\d+)?|half an|half|[a-z]+)[\s-]+)?(?P<unit>hours?|minutes?|min|h|days?|weeks?)\b|"
    r"\b(?:(?P<many2>half|\d+)[\s-](?:an\s+)?(?P<unit2>hour|minute)(?=\s+(?:mean|average|total|low|high|figure|"
    r"value|level|reading)))\b|"
    r"\b(?P<daily>of the (?:last |past |whole )*day|24-hour|over the (?:whole of the )?(?:last )?day|daily|day's)\b",
    re.IGNORECASE,
)
_HOUR_IN_WORDS = re.compile(
    rf"(?:(?<=\b[Aa]t )|(?<=\b[Aa]round )|(?<=\b[Bb]y )|(?<=\b[Uu]ntil ))(?P<hour>{'|'.join(_HOURS)})"
    r"(?=[,.;)]|\s+(?:the|this|in the|it|yesterday|today|there|sharp)\b|$)"
)
_TIMED = re.compile(
    rf"(?:{WHEN.pattern})|\b\d+(?:\.\d+)?[\s-]*(?:minutes?|hours?|days?|weeks?|min|h)\b|"
    r"\b\d+\s?%(?=[\s-](?:prediction |forecast )?(?:interval|band|range))",
    re.IGNORECASE,
)
AHEAD = re.compile(
    r"\b(?:next|coming|following)\s+(?:(?P<many>\d+(?:\.\d+)?|half an|half|[a-z]+)[\s-]+)?"
    r"(?P<unit>hours?|minutes?|min|h|days?)\b",
    re.IGNORECASE,
)
_MINUTES = {"h": 60.0, "min": 1.0, "d": 1440.0, "w": 10080.0}
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
DAY = re.compile(rf"\b(?P<day>today's?|yesterday's?|tomorrow|{'|'.join(_DAYS)})\b", re.IGNORECASE)


def timeless(text: str) -> str:
    """A text, as long as it was, without the digits of times, dates and lengths of time: what is left are values."""
    return _TIMED.sub(lambda found: re.sub(r"\d", "_", found[0]), text)


def said_times(text: str) -> list[WrittenTime]:
    """Every date and time of a text, in its order, those in words last."""
    said = (found for found in WHEN.finditer(text) if not found[0].endswith(" may"))  # '45.9 may be too much'
    words = [
        WrittenTime(hour=_HOURS.index(found["hour"]) + 1, minute=0, either=True)
        for found in _HOUR_IN_WORDS.finditer(text)
    ]
    return [*(written for found in said if (written := written_time(found)) is not None), *words]


def minutes_of(found: re.Match[str]) -> float | None:
    """How many minutes a match of `LASTING` or `AHEAD` says; None where it says no number."""
    if found.groupdict().get("daily"):
        return 1440.0
    if found.groupdict().get("unit2"):
        size = 60.0 if found["unit2"].lower() == "hour" else 1.0
        return size / 2 if found["many2"].lower() == "half" else size * float(found["many2"])
    unit = _MINUTES["min" if found["unit"].lower().startswith("m") else found["unit"][0].lower()]
    many = (found["many"] or "1").lower()
    if many in ("half an", "half"):
        return unit / 2
    if COUNT.fullmatch(many):
        return unit * count_of(many)
    try:
        return unit * float(many)
    except ValueError:
        return unit if many in ("the", "an", "a", "last", "past", "previous", "preceding", "full", "whole") else None


def on_day(fact: Fact, day: str, clock: datetime) -> bool:
    """Whether any of the time that a fact is about lies on a day that is said in words."""
    if fact.start is None or fact.end is None:
        return True
    # a window that is compared is called after the day on which it ends
    start = fact.end if fact.role in ("first_mean", "second_mean") else fact.start
    last = fact.end if start == fact.end else fact.end - timedelta(minutes=1)
    shift = {"today": 0, "yesterday": -1, "tomorrow": 1}.get(day)
    if shift is not None:
        return start.date() <= (clock + timedelta(days=shift)).date() <= last.date()
    days = (last.date() - start.date()).days
    return any((start + timedelta(days=n)).weekday() == _DAYS.index(day) for n in range(days + 1))


def within(fact: Fact, wanted: WrittenTime) -> bool:
    """Whether a written time lies in the time that a fact is about, its ends included."""
    if fact.start is None or fact.end is None:
        return True
    if same_time(wanted, fact.start) or same_time(wanted, fact.end):
        return True
    if fact.start == fact.end:
        return False
    moment, step = fact.start, timedelta(minutes=1 if wanted.hour is not None else 60)
    if fact.end - fact.start > timedelta(days=9):
        return True
    if wanted.instant is not None:
        return fact.start <= wanted.instant <= fact.end
    if wanted.hour is not None and wanted.minute is not None and wanted.day is None:
        moment = fact.start.replace(hour=wanted.hour, minute=wanted.minute, second=0, microsecond=0)
        return any(fact.start <= moment + timedelta(days=n) <= fact.end for n in range(10))
    while moment <= fact.end:
        if same_time(wanted, moment):
            return True
        moment += step
    return False
