"""The time that a question is about, seen from the clock: a window, a moment, the present, or nothing."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta

from mm4st_agent.agent.backends.dates import Days, Tense, find_days
from mm4st_agent.agent.backends.day_parts import PART, REST, RUSH, hours_of
from mm4st_agent.agent.backends.day_times import TIME_OF_DAY, times_of_day
from mm4st_agent.agent.backends.durations import Length, lengths
from mm4st_agent.agent.backends.spans import Span as Span
from mm4st_agent.agent.backends.spans import day_time, moved
from mm4st_agent.agent.backends.tenses import COMPARED, OF_THE_WEEK, PRESENT
from mm4st_agent.agent.backends.tenses import tense_of as tense_of

_SHOWN = re.compile(r"\b(?:show|plot|draw|history|series|curve|chart|graph)\b")
_QUOTED = re.compile(r"\"[^\"]*\"|“[^”]*”|(?<!\w)'[^']{1,60}'(?!\w)")
_HALF = re.compile(r"(?<![\d/])1/2(?=\s*(?:hours?|days?|weeks?)\b)")
"""No date; as long as what stands for it."""
_LENGTH_LEAD = re.compile(
    r"(?:\b(?P<lead>in|within|for|over|during|of|after|throughout|inside)\s+)?(?:\b(?P<the>the|these|this|its|my|our)"
    r"\s+)?(?:\b(?P<turn>next|coming|following|upcoming|first|last|past|previous|latest|preceding|most recent)\s+)?$"
)
_LENGTH_TAIL = re.compile(
    r"(?:\s+time\b|['’]s?\s+time\b)?\s*\b(?P<tail>ago|ahead|from now|hence|earlier|before now|back|later|to come)\b"
)
_STARTING_IN = re.compile(r"\b(?:starting|beginning|start|begin)\s+(?:in\s+)?$")
_TURN_UNIT = re.compile(
    r"\b(?:(?:in|within|for|over|during|of)\s+)?(?:(?:the|this)\s+)?(?P<turn>next|coming|following|upcoming|last|past|latest"
    r"|most recent|previous)\s+(?P<unit>hour|day|minute|week|month|fortnight)\b(?!\s+and\s+an?\b)"
    r"|\b(?:within|inside)\s+the\s+(?P<within>hour|day)\b"
)
_TURN_MINUTES = {"minute": 1, "hour": 60, "day": 1440, "week": 10080, "month": 30 * 1440, "fortnight": 20160}
_AT_THIS_TIME = re.compile(r"\b(?:at\s+)?(?:this|(?:the\s+)?same)\s+(?:time|hour)\b(?:\s+(?:as\s+now|on))?")
_DAYS_OFF = re.compile(
    r"\b(?P<count>an?|\w+)\s+(?P<unit>day|week|fortnight)s?\s+(?:(?P<ago>ago|back)|from now|hence)\b"
    r"|\bin\s+(?P<count2>an?|\w+)\s+(?P<unit2>day|week|fortnight)s?\b(?!\s+(?:ago|back))"
)
_SINCE_START = re.compile(r"\bsince\s+(?:the\s+)?(?:start|beginning)\s+of\s+(?:the|this)\s+(?P<part>day|week)\b")
_SINCE = re.compile(r"\bsince\s+$")
_BACK = {"last", "past", "previous", "latest", "preceding", "most recent"}


def time_span(question: str, clock: datetime) -> Span:
    """Read days, times of day and lengths of time, relative to the clock.

    Args:
        question: The person's words.
        clock: Now, in the zone of the data (a `ZoneInfo`, so that days with a clock change are right).
    """
    text = _QUOTED.sub(_blank, question.lower().replace("’", "'"))
    text = _HALF.sub("0.5", text)
    if len(text) != len(question):  # a few characters change their length in lower case
        text = re.sub(r"[^\x00-\x7f]", " ", question).lower()
    compared = COMPARED.search(text)
    if compared:
        text = _without(text, compared.span())
    if same := OF_THE_WEEK.search(text):
        text = _without(text, same.span())
    tense = tense_of(text)
    span = _read(text, clock, tense)
    rest = text
    for place in span.at:
        rest = _without(rest, place)
    more = span.start is not None and (TIME_OF_DAY.search(rest) or lengths(rest) or find_days(rest, clock, tense))
    words = " ".join(question[start:end].strip() for start, end in sorted(set(span.at)))
    return replace(span, words=words, compared=question[slice(*compared.span())] if compared else "", more=bool(more))


def _read(text: str, clock: datetime, tense: Tense | None) -> Span:
    rest_of = REST.search(text)
    if rest_of is not None:
        return _rest(rest_of, clock)
    if begun := _SINCE_START.search(text):
        first = clock.date() - timedelta(days=clock.weekday() if begun["part"] == "week" else 0)
        return Span(day_time(first, 0, clock), clock, at=(begun.span(),))
    stretch = _turn_unit(text, clock, tense)
    if stretch is not None:
        return stretch
    days = find_days(text, clock, tense)
    rest = text
    if days is not None:
        if days.problem:
            return Span(problem=days.problem, at=(days.at,))
        rest = _without(text, days.at)
        if text[slice(*days.at)].endswith("tonight"):
            rest = text
    elif (days := _days_off(text, clock, tense)) is not None:
        rest = _without(text, days.at)
    if days is not None and (same := _AT_THIS_TIME.search(rest)):
        week = days.end - days.first == timedelta(days=7)  # a day of it: the same weekday
        day = days.first + timedelta(days=clock.weekday() if week else 0)
        moment = day_time(day, clock.hour * 60 + clock.minute, clock)
        if moment < clock and _SINCE.search(text[: min(days.at[0], same.start())]):
            return Span(moment, clock, at=(same.span(), days.at))
        return Span(moment, moment, at=(same.span(), days.at))
    length = _meant(rest)
    clockless = rest if length is None else _without(rest, (length.start, length.end))
    part = PART.search(clockless)
    if part and days is None and part["part"] == "night" and part["which"] == "last":
        days = Days(clock.date() - timedelta(days=1), clock.date(), part.span())
    found = times_of_day(clockless, clock, tense, days, part, length)
    if found is not None:
        return _checked(found, clock, tense)
    present = PRESENT.search(text)
    if length is not None and present and _is_beside(text, length, tense):
        return Span(now=True, at=(present.span(),))
    if part is not None and not (length is not None and _LENGTH_TAIL.match(rest, length.end)):
        return _checked(_part_of_day(part, clock, tense, days), clock, tense)
    if rush := RUSH.search(text):
        return Span(problem="rush", at=(rush.span(),))
    if length is not None:
        return _checked(_length(rest, length, clock, tense, days), clock, tense)
    if days is not None:
        since = _SINCE.search(text[: days.at[0]])
        if since and day_time(days.first, 0, clock) < clock:
            return Span(day_time(days.first, 0, clock), clock, at=((since.start(), days.at[1]),))
        return _checked(_whole_days(days, clock, tense), clock, tense)
    return Span(now=True, at=(present.span(),)) if present else Span()


def _rest(found: re.Match[str], clock: datetime) -> Span:
    """What is left of the hour, of a part of the day, of the day or of the week."""
    name = found["part"] or found["part2"] or ("night" if found["whose"] == "tonight" else "day")
    days = {"day": 1, "week": 7 - clock.weekday()}
    if name == "hour":
        end = day_time(clock.date(), (clock.hour + 1) * 60, clock)
    elif name in days:
        end = day_time(clock.date() + timedelta(days=days[name]), 0, clock)
    else:
        part = PART.search(name)
        assert part is not None
        end = day_time(clock.date(), round(60 * hours_of(part)[1]), clock)
    return Span(clock, end if end > clock else moved(end, timedelta(days=1)), at=(found.span(),))


def _days_off(text: str, clock: datetime, tense: Tense | None) -> Days | None:
    """The day that "two days ago" or "in a week" names."""
    found = _DAYS_OFF.search(text)
    if found is None or (tense == "past" and not found["ago"]):
        return None
    words = f"{found['count'] or found['count2']} {found['unit'] or found['unit2']}s"
    counted = next(iter(lengths(words)), None)
    if counted is None or counted.minutes % 1440 or not 0 < counted.minutes < 1e6:
        return None
    day = clock.date() + timedelta(minutes=counted.minutes) * (-1 if found["ago"] else 1)
    return Days(day, day + timedelta(days=1), found.span())


def _is_beside(text: str, length: Length, tense: Tense | None) -> bool:
    """Whether a length only says when something else is, where the present is asked about: "on air in two minutes"."""
    before, after = _LENGTH_LEAD.search(text[: length.start]), _LENGTH_TAIL.match(text, length.end)
    pointlike = before is not None and before["lead"] in ("in", "after") and before["turn"] is None and after is None
    joined = before is not None and re.search(r"\b(?:and|or|then|versus|vs\.?|to)\s+$", text[: before.start()])
    return pointlike and not joined and tense != "future"


def _meant(text: str) -> Length | None:
    """The length that says which time is meant, such as that of "the past 12 hours"; else the first one."""
    found = lengths(text)
    found = [length for length in found if not text[length.start : length.start + 4].isdigit()]  # "1800h" is a time
    for length in found:
        lead = _LENGTH_LEAD.search(text[: length.start])
        if _STARTING_IN.search(text[: length.start]) or (lead and lead["turn"]) or _LENGTH_TAIL.match(text, length.end):
            return length
    return found[0] if found else None


def _turn_unit(text: str, clock: datetime, tense: Tense | None) -> Span | None:
    """Read a rolling window without a count ("the next hour", "the past week"); "last week" is read as days."""
    found = _TURN_UNIT.search(text)
    if found is None or (
        found["unit"] in ("week", "month")
        and found["turn"] in ("last", "next", "coming", "previous")
        and not re.search(r"\bthis\s", found[0])
    ):
        return None
    minutes = timedelta(minutes=_TURN_MINUTES[found["unit"] or found["within"]])
    if found["turn"] in _BACK or (found["within"] and tense == "past"):
        return _checked(Span(moved(clock, -minutes), clock, at=(found.span(),)), clock, None)
    return Span(clock, moved(clock, minutes), at=(found.span(),))


def _length(text: str, length: Length, clock: datetime, tense: Tense | None, days: Days | None) -> Span:
    before = _LENGTH_LEAD.search(text[: length.start])
    after = _LENGTH_TAIL.match(text, length.end)
    lead, turn = (before["lead"], before["turn"]) if before else (None, None)
    tail = after["tail"] if after else None
    at = ((before.start() if before else length.start, after.end() if after else length.end),)
    if length.minutes <= 0 or length.minutes > 1e6:
        return Span(problem="length", at=at)
    size = timedelta(minutes=length.minutes)
    if tail in ("ago", "earlier", "before now", "back"):
        return Span(moved(clock, -size), moved(clock, -size), at=at)
    if turn in _BACK or (turn is None and tail is None and tense == "past"):
        return Span(moved(clock, -size), clock, at=at)
    if turn is None and tail is None and tense is None and _SHOWN.search(text):
        return Span(moved(clock, -size), clock, at=at)
    if days is not None:
        return replace(_whole_days(days, clock, tense), at=(*at, days.at))
    end = moved(clock, size)
    starting = _STARTING_IN.search(text[: length.start])
    other = next((more for more in lengths(text) if more.start != length.start and more.minutes > 0), None)
    if starting and other is not None:  # "for an hour, starting in 20 minutes"
        return Span(end, moved(end, timedelta(minutes=other.minutes)), at=(*at, (other.start, other.end)))
    stretch = before is not None and before["the"] is not None and tail in ("ahead", "to come")
    pointlike = (lead in ("in", "after") and turn is None) or tail in ("from now", "ahead", "later", "hence")
    return Span(end if pointlike and not stretch else clock, end, at=at)


def _part_of_day(part: re.Match[str], clock: datetime, tense: Tense | None, days: Days | None) -> Span:
    """A part of the day: the one of the day named, else the nearest that fits the tense; or the time up to it."""
    at = (part.span(), *(() if days is None else (days.at,)))
    first, last = (round(60 * hour) for hour in hours_of(part))
    day = clock.date() if days is None else days.first
    this = part["which"] == "this" or part["this"] == "this" or part["part"] == "tonight"
    this = this or (part["rush"] or "").startswith("tonight")
    if days is None and part["which"] == "last":
        day -= timedelta(days=1 if day_time(day, last, clock) > clock else 0)
        this = True
    begin, end = day_time(day, first, clock), day_time(day, last, clock)
    if part["which"] == "since":
        while begin >= clock:
            begin = moved(begin, timedelta(days=-1))
        return Span(begin, clock, at=at)
    if days is None and not this:
        if tense == "past" and begin > clock:
            begin, end = (day_time(day - timedelta(days=1), minutes, clock) for minutes in (first, last))
        elif tense != "past" and end <= clock:
            begin, end = (day_time(day + timedelta(days=1), minutes, clock) for minutes in (first, last))
    if part["which"] in ("by", "until", "till", "before") and begin > clock:
        return Span(clock if days is None else day_time(day, 0, clock), begin, at=at)
    if part["which"] == "after":
        return Span(end, moved(end, timedelta(hours=2)), at=at)
    if begin < clock < end:
        begin, end = (clock, end) if tense == "future" else (begin, clock)
    return Span(begin, end, at=at)


def _whole_days(days: Days, clock: datetime, tense: Tense | None) -> Span:
    begin, end = day_time(days.first, 0, clock), day_time(days.end, 0, clock)
    if begin <= clock < end:
        begin, end = (clock, end) if tense == "future" else (begin, clock)
    return Span(begin, end, at=(days.at,))


def _blank(found: re.Match[str]) -> str:
    return " " * len(found[0])


def _without(text: str, at: tuple[int, int]) -> str:
    return text[: at[0]] + " " * (at[1] - at[0]) + text[at[1] :]


def _checked(span: Span, clock: datetime, tense: Tense | None) -> Span:
    """Say so where the tense contradicts the time."""
    if span.start is None or span.end is None:
        return span
    if tense == "past" and span.start >= clock:
        return Span(problem="not_yet", at=span.at)
    if tense == "future" and span.end < clock:
        return Span(problem="over", at=span.at)
    return span
