"""Dates and times as people write them in a text, and whether the ledger has such a moment."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from mm4st_agent.agent.ledger import Evidence

_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_MONTH = "|".join(f"{month[:3]}(?:{month[3:]})?" if len(month) > 3 else month for month in _MONTHS) + r"|Sept(?=\b)"
_HOURS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_HOUR = rf"{'|'.join(_HOURS)}|\d{{1,2}}"
WHEN = re.compile(
    r"\b(?P<iso>\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2})?(?:Z|[+-]\d{2}:?\d{2})?)?)(?![\d-])"
    rf"|\b(?P<day>\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?(?P<month>{_MONTH})\b(?:,?\s+(?P<year>\d{{4}})(?!-))?"
    rf"|\b(?P<month2>{_MONTH})\s+(?P<day2>\d{{1,2}})(?:st|nd|rd|th)?\b(?:,?\s+(?P<year2>\d{{4}})(?!-))?"
    r"|\b(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::\d{2})?(?:\s*(?P<half>[ap])\.?m\b\.?)?(?P<utc>\s+UTC\b)?"
    r"|\b(?P<hour2>\d{1,2})(?:\s*(?P<half2>[ap])\.?m\b\.?|\s+o'clock\b)"
    r"|\b(?P<hour3>\d{1,2})(?=\s*(?:and|to|until|-|–)\s*\d{1,2}\s*(?P<half3>[ap])\.?m\b)"
    rf"|\b(?:(?P<past>half past|quarter past|quarter to|(?:five|ten|twenty|twenty-five) (?:minutes )?(?:past|to))\s+"
    rf"(?P<hour4>{_HOUR})|(?P<hour5>{_HOUR})\s+o'clock)\b(?:\s*(?P<half4>[ap])\.?m\b\.?)?"
    r"|(?<=\bthe )(?P<day3>\d{1,2})(?:st|nd|rd|th)\b"
    r"(?=\s*(?:[.,;:)]|$|(?:of|at|on|between|and|from|in|around|the|it|was|is)\b))"
    rf"|\b(?P<day4>\d{{1,2}})(?:st|nd|rd|th)?(?=\s*(?:and|to|until|-|–)\s*\d{{1,2}}(?:st|nd|rd|th)?\s+(?P<month4>{_MONTH})\b)"
    r"|\b(?P<twelve>noon|midday|midnight)\b"
    r"|\bin\s+(?P<only_year>(?:19|20)\d{2})\b",
    re.IGNORECASE,
)
_PAST = {"half past": 30, "quarter past": 15, "quarter to": -15}
_MINUTES = {"five": 5, "ten": 10, "twenty": 20, "twenty-five": 25}
_LOOSELY = re.compile(r"\b(?:shortly|just|a little|right|a few minutes)\s+(?P<way>before|after)\s+$", re.IGNORECASE)
LOOSE = 15
"""Minutes that "shortly before" and "just after" may be away."""


@dataclass(frozen=True)
class WrittenTime:
    """What a text says of a moment; None is left open. `instant` is one with its offset.

    Attributes:
        either: The hour may be before or after noon, as of "half past eight".
        loosely: It is before (-1) or after (1) the time written, by some minutes.
    """

    year: int | None = None
    month: int | None = None
    day: int | None = None
    hour: int | None = None
    minute: int | None = None
    instant: datetime | None = None
    utc: bool = False
    either: bool = False
    loosely: int = 0


def written_time(found: re.Match[str]) -> WrittenTime | None:
    """Read a match of `WHEN`; None for what is no date or time, such as 30 February."""
    try:
        if found["iso"]:
            moment = datetime.fromisoformat(found["iso"])
            if moment.tzinfo is not None:
                return WrittenTime(instant=moment)
            if len(found["iso"]) == len("2022-01-25"):
                return WrittenTime(moment.year, moment.month, moment.day)
            return WrittenTime(moment.year, moment.month, moment.day, moment.hour, moment.minute)
    except ValueError:
        return None
    if found["only_year"]:
        return WrittenTime(year=int(found["only_year"]))
    loosely = _LOOSELY.search(found.string[: found.start()])
    way = 0 if loosely is None else -1 if loosely["way"].lower() == "before" else 1
    if found["twelve"]:
        return WrittenTime(hour=0 if found["twelve"].lower() == "midnight" else 12, minute=0, loosely=way)
    if found["hour4"] or found["hour5"]:
        return _in_words(found, way)
    if said := found["hour"] or found["hour2"] or found["hour3"]:
        hour, half = int(said), (found["half"] or found["half2"] or found["half3"] or "").lower()
        if half:
            hour = hour % 12 + (12 if half == "p" else 0)
        return WrittenTime(hour=hour, minute=int(found["minute"] or 0), utc=bool(found["utc"]), loosely=way)
    if found["day4"]:
        names = [name[:3] for name in _MONTHS]
        return WrittenTime(month=names.index(found["month4"][:3].capitalize()) + 1, day=int(found["day4"]))
    if found["day3"]:
        return WrittenTime(day=int(found["day3"]))
    month = (found["month"] or found["month2"])[:3].capitalize()
    year = found["year"] or found["year2"]
    names = [name[:3] for name in _MONTHS]
    return WrittenTime(int(year) if year else None, names.index(month) + 1, int(found["day"] or found["day2"]))


def _in_words(found: re.Match[str], way: int) -> WrittenTime:
    """'Half past eight', 'ten to nine', 'eight o'clock'."""
    said = (found["hour4"] or found["hour5"]).lower()
    past = " ".join((found["past"] or "").lower().replace("minutes", "").split())
    number = past.split()[0] if past else ""
    minutes = _PAST.get(past, _MINUTES.get(number, 0) * (-1 if past.endswith("to") else 1))
    total = 60 * (int(said) if said.isdigit() else _HOURS.index(said) + 1) + minutes
    hour, half = total // 60 % 24, (found["half4"] or "").lower()
    if half:
        hour = hour % 12 + (12 if half == "p" else 0)
    return WrittenTime(hour=hour, minute=total % 60, either=not half and hour <= len(_HOURS), loosely=way)


def same_time(wanted: WrittenTime, moment: datetime) -> bool:
    """Whether a moment of the ledger is the one written, to the precision written, in the data's zone."""
    if wanted.instant is not None:
        return wanted.instant.replace(second=0) == moment.replace(second=0, microsecond=0)
    local = moment.astimezone(UTC) if wanted.utc else moment
    if wanted.loosely and wanted.hour is not None and wanted.day is None:
        away = (60 * (local.hour - wanted.hour) + local.minute - (wanted.minute or 0)) * wanted.loosely % 1440
        return 0 < away <= LOOSE
    if wanted.either and wanted.hour is not None:
        return local.hour % 12 == wanted.hour % 12 and local.minute == (wanted.minute or 0)
    parts = ("year", "month", "day", "hour", "minute")
    return all(getattr(wanted, part) is None or getattr(wanted, part) == getattr(local, part) for part in parts)


def moments(entry: Evidence) -> Iterator[datetime]:
    """Every moment that an entry holds: its clock, its times, and when its texts were published."""
    if entry.as_of is not None:
        yield datetime.fromisoformat(entry.as_of)
    for value in entry.values.values():
        if value.unit == "time":
            yield datetime.fromisoformat(str(value.value))
    for passage in entry.texts:
        if passage.published_at is not None:
            yield passage.published_at


_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
WEEKDAYS = re.compile(rf"\b(?:{'|'.join(_DAYS)})\b(?!,?\s+(?:the\s+)?\d)", re.IGNORECASE)
"""A weekday without a date behind it."""
WEEKDAY = re.compile(rf"\b(?P<day>{'|'.join(_DAYS)}),?\s+(?:the\s+)?$", re.IGNORECASE)
"""A weekday at the end of a text, right before a date."""


def on_written_day(weekday: str, wanted: WrittenTime, year: int) -> bool:
    """Whether a date of `year` is on a weekday; False for no date, such as 30 February."""
    try:
        return datetime(year, wanted.month or 1, wanted.day or 1).weekday() == _DAYS.index(weekday.lower())
    except ValueError:
        return False
