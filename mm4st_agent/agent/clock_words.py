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
_MONTH = "|".join(f"{month[:3]}(?:{month[3:]})?" if len(month) > 3 else month for month in _MONTHS)
WHEN = re.compile(
    r"\b(?P<iso>\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2})?(?:Z|[+-]\d{2}:?\d{2})?)?)(?![\d-])"
    rf"|\b(?P<day>\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?(?P<month>{_MONTH})\b(?:,?\s+(?P<year>\d{{4}})(?!-))?"
    rf"|\b(?P<month2>{_MONTH})\s+(?P<day2>\d{{1,2}})(?:st|nd|rd|th)?\b(?:,?\s+(?P<year2>\d{{4}})(?!-))?"
    r"|\b(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::\d{2})?(?:\s*(?P<half>[ap])\.?m\b\.?)?(?P<utc>\s+UTC\b)?"
    r"|\b(?P<hour2>\d{1,2})(?:\s*(?P<half2>[ap])\.?m\b\.?|\s+o'clock\b)"
    r"|\bin\s+(?P<only_year>(?:19|20)\d{2})\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class WrittenTime:
    """What a text says of a moment; None is left open. `instant` is one with its offset."""

    year: int | None = None
    month: int | None = None
    day: int | None = None
    hour: int | None = None
    minute: int | None = None
    instant: datetime | None = None
    utc: bool = False


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
    if found["hour"] or found["hour2"]:
        hour, half = int(found["hour"] or found["hour2"]), (found["half"] or found["half2"] or "").lower()
        if half:
            hour = hour % 12 + (12 if half == "p" else 0)
        return WrittenTime(hour=hour, minute=int(found["minute"] or 0), utc=bool(found["utc"]))
    month = (found["month"] or found["month2"])[:3].capitalize()
    year = found["year"] or found["year2"]
    names = [name[:3] for name in _MONTHS]
    return WrittenTime(int(year) if year else None, names.index(month) + 1, int(found["day"] or found["day2"]))


def same_time(wanted: WrittenTime, moment: datetime) -> bool:
    """Whether a moment of the ledger is the one written, to the precision written, in the data's zone."""
    if wanted.instant is not None:
        return wanted.instant.replace(second=0) == moment.replace(second=0, microsecond=0)
    local = moment.astimezone(UTC) if wanted.utc else moment
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
