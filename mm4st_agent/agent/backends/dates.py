"""Days in a question: "yesterday", "last Monday", "on 26 September", "25.9.", "next month", seen from the clock."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

Tense = Literal["past", "present", "future"]

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTHS = (
    "jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    "|nov(?:ember)?|dec(?:ember)?"
)
_FULL_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
_ISO = re.compile(r"\b(\d{4})-(\d{1,2})-(\d{1,2})(?=t\d|\b)")
_NAMED = re.compile(
    rf"\b(?:on\s+)?(?:the\s+)?(?:\d{{1,2}}(?:st|nd|rd|th)?\s+(?:of\s+)?(?:{_MONTHS})\b\.?"
    rf"|(?:{_MONTHS})\b\.?\s+\d{{1,2}}(?:st|nd|rd|th)?(?![\d:]))(?:,?\s+\d{{4}}\b)?"
)
_DOTTED = re.compile(r"\b(?:on\s+)?(\d{1,2})\.(\d{1,2})\.(\d{4}|\d{2}(?!\d))?")
_SLASHED = re.compile(r"\b(?:on\s+)?(\d{1,2})/(\d{1,2})(?:/(\d{4}|\d{2}))?\b(?!/)")
_ORDINAL = re.compile(r"\b(?:on\s+)?the\s+(\d{1,2})(?:st|nd|rd|th)\b")
_RELATIVE = re.compile(
    r"\b(?:the\s+)?(?P<words>day before yesterday|day after tomorrow|yesterday|tomorrow"
    r"|today|tonight|(?:whole|entire|rest of the) day"
    rf"|(?:(?P<which>last|next|this)\s+)?(?P<weekday>{'|'.join(WEEKDAYS)})s?(?P<of_week>\s+(?:last|next)\s+week)?"
    r"|(?P<turn>last|next|this|previous|coming|(?:over|at|on)\s+the)\s+(?P<stretch>weekend)"
    r"|(?P<turn2>last|next|this|previous|coming)\s+(?P<stretch2>week|month|year)"
    rf"|(?:in|during)\s+(?P<month>{'|'.join(_FULL_MONTHS)})(?:\s+(?P<of_year>\d{{4}}))?"
    r"|(?:in|during)\s+(?P<year>(?:19|20)\d\d)(?![\d:-]))\b"
)


@dataclass(frozen=True)
class Days:
    """A stretch of whole days; `problem` says why words that look like a date are none.

    Attributes:
        first: Its first day.
        end: The day after its last one.
        at: Where its words stand in the text.
    """

    first: date
    end: date
    at: tuple[int, int]
    problem: Literal["date", "unclear_date"] | None = None


def find_days(text: str, clock: datetime, tense: Tense | None) -> Days | None:
    """The first day or stretch of days that a lower-case text names, or None.

    Args:
        text: Lower case.
        clock: Local time of the data.
        tense: Tells past from coming days where the words leave it open; None takes the nearest.
    """
    today = clock.date()
    for pattern in (_ISO, _NAMED, _DOTTED, _SLASHED, _ORDINAL):
        found = pattern.search(text)
        if found is not None:
            return _explicit(pattern, found, clock, tense)
    relative = _RELATIVE.search(text)
    return None if relative is None else _relative(relative, today, tense)


def _explicit(pattern: re.Pattern[str], found: re.Match[str], clock: datetime, tense: Tense | None) -> Days:
    today = clock.date()
    if pattern is _NAMED:
        day = _parsed(found[0], clock, tense)
    elif pattern is _ISO:
        day = _of(int(found[1]), int(found[2]), int(found[3]))
    elif pattern is _ORDINAL:
        months = [
            _of((n := today.year * 12 + today.month - 1 + m) // 12, n % 12 + 1, int(found[1])) for m in (-1, 0, 1)
        ]
        day = _nearest([d for d in months if d], today, tense) if months[1] else None
    else:
        first, second = int(found[1]), int(found[2])
        if pattern is _SLASHED and max(first, second) <= 12 and first != second:
            return Days(today, today, found.span(), "unclear_date")
        month, day_of_month = (first, second) if pattern is _SLASHED and second > 12 else (second, first)
        if found[3]:
            day = _of(int(found[3]) + (2000 if len(found[3]) == 2 else 0), month, day_of_month)
        else:
            years = [_of(today.year + n, month, day_of_month) for n in (-1, 0, 1)]
            day = _nearest([d for d in years if d], today, tense)
    if day is None:
        return Days(today, today, found.span(), "date")
    return Days(day, day + timedelta(days=1), found.span())


def _parsed(words: str, clock: datetime, tense: Tense | None) -> date | None:
    import dateparser

    days = []
    for prefer in ("past", "future"):
        settings = {"RELATIVE_BASE": clock.replace(tzinfo=None), "PREFER_DATES_FROM": prefer}
        plain = re.sub(r"^(?:on\s+)?(?:the\s+)?", "", words).replace(" of ", " ")
        parsed = dateparser.parse(plain, languages=["en"], settings=settings)
        if parsed is not None:
            days.append(parsed.date())
    return _nearest(days, clock.date(), tense)


def _nearest(days: list[date], today: date, tense: Tense | None) -> date | None:
    """The nearest one on the side of today that the tense tells; any side where it tells none."""
    fitting = [d for d in days if not (tense == "past" and d > today) and not (tense == "future" and d < today)]
    return min(fitting or days, key=lambda d: abs(d - today), default=None)


def _of(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _relative(found: re.Match[str], today: date, tense: Tense | None) -> Days:
    one = timedelta(days=1)
    at, words = found.span(), found["words"]
    near = {
        "day before yesterday": -2,
        "yesterday": -1,
        "today": 0,
        "tonight": 0,
        "tomorrow": 1,
        "day after tomorrow": 2,
    }
    if words.endswith(" day"):
        words = "today"
    if words in near:
        first = today + near[words] * one
        return Days(first, first + one, at)
    if found["weekday"]:
        first = _weekday(found, today, tense)
        return Days(first, first + one, at)
    if found["month"]:
        month = _FULL_MONTHS.index(found["month"]) + 1
        year = int(found["of_year"]) if found["of_year"] else None
        if year is None:
            starts = [date(today.year + n, month, 1) for n in (-1, 0, 1)]
            year = min(starts, key=lambda d: (tense == "past" and d > today, abs(d - today))).year
        return Days(date(year, month, 1), _month_after(date(year, month, 1)), at)
    if found["year"]:
        return Days(date(int(found["year"]), 1, 1), date(int(found["year"]) + 1, 1, 1), at)
    monday = today - today.weekday() * one
    if found["stretch"]:
        weeks = {"last": -1, "previous": -1, "next": 1}.get(found["turn"], -1 if tense == "past" else 0)
        return Days(monday + (7 * weeks + 5) * one, monday + (7 * weeks + 7) * one, at)
    turn = {"last": -1, "previous": -1, "this": 0, "next": 1, "coming": 1}[found["turn2"]]
    if found["stretch2"] == "week":
        return Days(monday + 7 * turn * one, monday + 7 * (turn + 1) * one, at)
    if found["stretch2"] == "year":
        return Days(date(today.year + turn, 1, 1), date(today.year + turn + 1, 1, 1), at)
    months = today.year * 12 + today.month - 1 + turn
    first = date(months // 12, months % 12 + 1, 1)
    return Days(first, _month_after(first), at)


def _weekday(found: re.Match[str], today: date, tense: Tense | None) -> date:
    wanted = WEEKDAYS.index(found["weekday"])
    if found["of_week"]:
        monday = today - timedelta(days=today.weekday())
        return monday + timedelta(days=wanted + (7 if "next" in found["of_week"] else -7))
    ahead = (wanted - today.weekday()) % 7
    if found["which"] == "last" or (tense == "past" and found["which"] != "next"):
        back = 7 - ahead if ahead else (7 if found["which"] == "last" else 0)
        return today - timedelta(days=back)
    return today + timedelta(days=ahead or (7 if found["which"] == "next" else 0))


def _month_after(first: date) -> date:
    return date(first.year + first.month // 12, first.month % 12 + 1, 1)
