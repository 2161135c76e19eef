"""The stretch of time that a question is about, seen from the clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal

Problem = Literal["clock", "date", "unclear_date", "length", "rush", "not_yet", "over"]


@dataclass(frozen=True)
class Span:
    """The time that a question is about.

    Attributes:
        start: Where it begins, zone-aware; None when the question names no time.
        end: Where it ends; equals `start` for a single moment.
        now: It speaks of the present and names no other time.
        at: Where its words stand in the question.
        problem: Why the words cannot be read, or contradict the tense; then there are no times.
        words: Those words.
        compared: Words of a time that is only compared with ("than yesterday").
        more: Other times are named too; this is the first.
    """

    start: datetime | None = None
    end: datetime | None = None
    now: bool = False
    at: tuple[tuple[int, int], ...] = ()
    problem: Problem | None = None
    words: str = ""
    compared: str = ""
    more: bool = False

    @property
    def is_moment(self) -> bool:
        return self.start is not None and self.start == self.end

    def side(self, clock: datetime) -> Literal["past", "future"] | None:
        """On which side of the clock it ends; None when the question names no time."""
        if self.end is None:
            return None
        return "future" if minutes_from(self.end, clock) > 0 else "past"

    def ahead(self, clock: datetime) -> tuple[int, int]:
        """Minutes from the clock to its start, and to its end."""
        assert self.start is not None
        assert self.end is not None
        return round(max(0.0, minutes_from(self.start, clock))), round(minutes_from(self.end, clock))

    def hours(self) -> float:
        """How long it lasts."""
        assert self.start is not None
        assert self.end is not None
        return minutes_from(self.end, self.start) / 60


def day_time(day: date, minutes: int, clock: datetime) -> datetime:
    """A time of day in the clock's zone; a time that a clock change skips moves on by that hour."""
    local = datetime.combine(day, time()) + timedelta(minutes=minutes)
    return local.replace(tzinfo=clock.tzinfo).astimezone(UTC).astimezone(clock.tzinfo)


def moved(moment: datetime, by: timedelta) -> datetime:
    """So much later, counted in real hours, also where the clocks change in between."""
    return (moment.astimezone(UTC) + by).astimezone(moment.tzinfo)


def minutes_from(later: datetime, earlier: datetime) -> float:
    """Real minutes from one moment to another."""
    return (later.astimezone(UTC) - earlier.astimezone(UTC)).total_seconds() / 60
