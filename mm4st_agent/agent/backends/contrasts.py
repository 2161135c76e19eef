"""Two windows that a question sets against each other: "how does today compare with last Tuesday?"."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from mm4st_agent.agent.backends.dates import WEEKDAYS
from mm4st_agent.agent.backends.durations import number
from mm4st_agent.agent.backends.times import Span, tense_of, time_span

_STRONG = (
    r"against|versus|vs\.?|than|compared?(?: (?:to|with))|as (?:it was|they were)|differ\w* (?:from|to)|beside"
    r"|as \w+ as"
)
_LOOSE = r"with|to|from|and|like|unlike|or"
_COMPARING = re.compile(
    r"\b(?:compar\w+|contrast\w*|differ\w*|side by side|similar\w*|like|unlike|same|set|put|beside|more|less|fewer"
    r"|higher|lower|busier|quieter|faster|slower|worse|better)\b"
)
_WHAT_LIKE = re.compile(r"\b(?:what|how)(?:'s|\s+(?:is|was|are|were|will|did|does|do))\b[^,;]*$|\blook(?:s|ed)?\s*$")
_FILLERS = r"(?:(?:it (?:was|is)|that of|what it was|in|on|at|its)\s+)*"
_SECOND = re.compile(rf"\b(?:(?P<strong>{_STRONG})|(?P<loose>{_LOOSE}))\s+{_FILLERS}")
_EARLIER = re.compile(
    r"(?:the\s+)?(?P<same>(?:same|this|that)\s+(?:(?:\w+\s+){1,3}?)(?:of\s+)?)?(?:the\s+|an?\s+|one\s+)?"
    r"(?:(?:(?P<count>two|three|four|five|six|\d+)\s+)?(?P<unit>day|week|fortnight|hour|morning|afternoon|evening|night|(?:mon|tues|wednes|thurs|fri|satur"
    r"|sun)day)s?\s+(?:before|ago|earlier)|(?:previous|last|preceding)\s+(?P<turn>day|week)"
    r"|(?P<yesterday>yesterday))\b"
)
"""As long a window, by a fixed time before the first."""
_BACK_DAYS = {"hour": 1 / 24, "week": 7.0, "fortnight": 14.0}
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_PAST, _FUTURE = "was ", "will "
"""Stands before words that are read as past times: what is compared was measured."""


@dataclass(frozen=True)
class Contrast:
    """The later of two equally long windows, and how much earlier the other lies.

    Attributes:
        span: The later window, or why a time cannot be read.
        back_days: At least an hour.
        at: Where the words of both stand in the question.
    """

    span: Span
    back_days: float
    at: tuple[tuple[int, int], ...]


def contrast(question: str, clock: datetime) -> Contrast | None:
    """The two windows that a question compares, or None.

    Where it names only the earlier one, the later is the same hours of today, or the last hour.

    Args:
        question: The person's words.
        clock: Now, in the zone of the data.
    """
    text = question.lower().replace("’", "'")
    if len(text) != len(question) or tense_of(text) == "future":
        return None
    ranges = time_span(text, clock).at
    comparing = _COMPARING.search(text) is not None
    joins = [join for join in _SECOND.finditer(text) if join["strong"] or comparing]
    for join in sorted(joins, key=lambda join: join["strong"] is None):
        if any(start < join.start() < end for start, end in ranges):
            continue  # "from 7 to 8" is one window
        if join["loose"] == "like" and _WHAT_LIKE.search(text[: join.start()]):
            continue  # "what was it like yesterday?"
        found = _at_join(text, join, clock)
        if found is not None:
            return found
    return None


def _at_join(text: str, join: re.Match[str], clock: datetime) -> Contrast | None:
    first = past_span(text[: join.start()], clock)
    named = first.start is not None or first.now or first.problem is not None
    if join["loose"] in ("or", "and", "from") and not named:
        return None
    begin = join.end()
    at = first.at
    earlier = _EARLIER.match(text, begin)
    days = 0.0
    if earlier and (earlier["same"] or earlier["unit"] or earlier["turn"] == "day"):
        unit = earlier["unit"] or earlier["turn"] or "day"
        days = _BACK_DAYS.get(unit, 7.0 if unit in WEEKDAYS else 1.0) * number(earlier["count"] or "one")
        second = Span(at=((join.start(), earlier.end()),))
    else:
        second = past_span(text[begin:], clock)
        starts = [start for start, _ in second.at]
        if not starts or min(starts) > len("the "):
            return None
        second = replace(second, at=tuple((begin + start, begin + end) for start, end in second.at))
    at = (*at, *second.at)
    for span in (first, second):
        if span.problem is not None:
            return Contrast(span, 0, at)
    if days:
        window = _later(first, days, clock)
        return None if window is None else _made(*window, days, at)
    if second.start is None or second.end is None:
        return None
    return _between(first, second, clock, at)


def past_span(words: str, clock: datetime) -> Span:
    """The time of words that speak of what was, such as the last Saturday where "Saturday" is all they say."""
    span = time_span(_PAST + words, clock)
    moved = tuple((max(0, start - len(_PAST)), max(0, end - len(_PAST))) for start, end in span.at)
    return replace(span, at=moved)


def coming_span(words: str, clock: datetime) -> Span:
    """The time of words that speak of what will be, such as the rest of today where "the whole day" is all they say."""
    span = time_span(_FUTURE + words, clock)
    moved = tuple((max(0, start - len(_FUTURE)), max(0, end - len(_FUTURE))) for start, end in span.at)
    return replace(span, at=moved)


def _later(first: Span, days: float, clock: datetime) -> tuple[datetime, datetime] | None:
    """The later window where the earlier is told by its distance."""
    if first.start is None or first.end is None:
        hours = _HOUR if first.now or days < 1 else max(_HOUR, clock - _midnight(clock))
        return clock - hours, clock
    return (first.end - _HOUR if first.is_moment else first.start), first.end


def _between(first: Span, second: Span, clock: datetime, at: tuple[tuple[int, int], ...]) -> Contrast | None:
    assert second.start is not None
    assert second.end is not None
    begin, end = (second.end - _HOUR if second.is_moment else second.start), second.end
    whole_days = not second.is_moment and begin == _midnight(begin)
    if first.start is None or first.end is None:
        if whole_days and (end - begin) <= 1.5 * _DAY:
            start = clock - _HOUR if first.now else min(_midnight(clock), clock - _HOUR)
            return _made(start, clock, (clock.date() - begin.date()).days, at)
        if second.is_moment or whole_days:
            return _made(clock - (end - begin), clock, (clock - end) / _DAY, at)
        days = max(1, (clock.date() - begin.date()).days)
        return _made(begin + days * _DAY, min(clock, end + days * _DAY), days, at)
    start, stop = (first.end - _HOUR if first.is_moment else first.start), first.end
    if whole_days and (end - begin) > 3 * (stop - start) and (end - begin) > 6 * _DAY:
        return _made(start, stop, 7, at)  # "today against last week": the same day of it
    if whole_days and start != _midnight(start):
        return _made(start, stop, (start.date() - begin.date()).days, at)
    (begin, end), (start, stop) = sorted(((begin, end), (start, stop)))
    return _made(start, min(stop, start + (end - begin)), (start - begin) / _DAY, at)


def _made(start: datetime, end: datetime, days: float, at: tuple[tuple[int, int], ...]) -> Contrast | None:
    if days <= 0 or end <= start:
        return None
    return Contrast(Span(start, end, at=at), round(days, 6), at)


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)
