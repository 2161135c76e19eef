"""The time that a question is about, seen from the clock: a window, a moment, the present, or nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal

from mm4st_agent.agent.backends.dates import Days, Tense, find_days
from mm4st_agent.agent.backends.durations import UNIT, Length, lengths

Problem = Literal["clock", "date", "unclear_date", "length", "rush", "not_yet", "over"]

_FUTURE = re.compile(
    r"\b(?:will|won't|shall|going to|gonna|forecasts?|forecasting|predict\w*|expect\w*|tomorrow|next|coming"
    r"|upcoming|ahead|from now|should (?:i|we) (?:expect|plan|leave)|soon|later today)\b|\w'll\b"
)
_PAST = re.compile(
    r"\b(?:was|were|wasn't|weren't|did|didn't|had|happened|passed|went|has been|have been|there been|came|drove|crashed"
    r"|yesterday|ago|so far|earlier|last|(?<!half )(?<!quarter )past|previous|since|until now)\b"
)
_SHOWN = re.compile(r"\b(?:show|plot|draw|history|series|curve)\b")
_PRESENT = re.compile(
    r"\b(?:right now|now|currently|current|at the moment|at present|just now|presently|this moment)\b"
)
_COMPARED = re.compile(
    r"\b(?:than|compared (?:to|with)|as (?:it was|they were)|vs\.?|versus)\s+(?:it (?:was|is)\s+|on\s+|the\s+|in\s+)*"
    r"(?:yesterday|today|now|(?:last|this|previous|next|same)\s+\w+(?:\s+last\s+\w+)?|(?:mon|tues|wednes|thurs|fri|satur|sun)days?"
    r"|an hour ago|(?:an?\s+)?\w+\s+\w+\s+ago)\b"
)
_OF_THE_WEEK = re.compile(r"\b(?:this|that|the same)\s+(?:time|hour)\s+of\s+(?:the\s+)?(?:day|week|year)\b")

_QUOTED = re.compile(r"\"[^\"]*\"|“[^”]*”|(?<!\w)'[^']{1,60}'(?!\w)")
_SPELLED = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
_BARE_END = (
    r"(?![\w:/%-])(?![.,]\d)"
    r"(?!\s*(?:km|mi|mph|m\b|ms|%|per|vehicles?|cars?|stations?|sensors?|of|north|south|east|west|" + UNIT + "))"
)
_TIME = (
    r"(?:\d{1,2}:\d{2}(?::\d{2})?(?:\s*[ap]\.?m\b\.?)?|\d{1,2}\s*[ap]\.?m\b\.?|noon|midday|midnight"
    rf"|\d{{1,2}}(?:\s*(?:o'?clock|uhr)\b)|(?:half past|quarter past|quarter to)\s+(?:{'|'.join(_SPELLED)}|\d{{1,2}})\b"
    r"|\d{1,2}h\d{2}\b)"
)  # fmt: skip
_LOOSE = (
    rf"(?:{_TIME}|\d{{1,2}}\.\d{{2}}(?![\d.])(?:\s*[ap]\.?m\b\.?)?(?!\s*(?:km|mi|%))"
    rf"|(?:{'|'.join(_SPELLED)})\b(?!\s+(?:\w*km|{UNIT}|of|more|other|way|lanes?|places?|stations?|sensors?|cars?|vehicles?))|\d{{1,2}}{_BARE_END})"
)
"""Times that are only times behind a word such as 'at'."""
_BETWEEN = re.compile(
    rf"\b(?:between|from)\s+(?P<first>{_LOOSE})\s*(?:and|to|until|till|up to|through|-|–)\s*(?P<second>{_LOOSE})"
    rf"|\b(?P<first2>{_TIME})\s*(?:to|until|till|-|–)\s*(?P<second2>{_TIME}|\d{{1,2}}{_BARE_END})"
    rf"|(?<![\w.:-])(?P<first3>\d{{1,2}})\s*(?:-|–|to)\s*(?P<second3>\d{{1,2}}\s*[ap]\.?m\b\.?|\d{{1,2}}:\d{{2}})"
)
_ONE = re.compile(
    rf"\b(?P<lead>until|till|by|before|up to|to|after|since|from|at|around|about|towards)\s+(?P<time>{_LOOSE})"
    rf"|\bhour\s+(?P<hour>\d{{1,3}})\b|(?P<bare>\b{_TIME})"
)
_PART = re.compile(
    r"\b(?:(?P<which>this|last|in the|during the|at|the|over)\s+)?"
    r"(?P<part>mornings?|afternoon|evening|night|tonight|overnight)\b"
)
_PARTS = {"morning": (6, 12), "afternoon": (12, 18), "evening": (18, 22), "night": (18, 30)}
_RUSH = re.compile(r"\b(?:rush|peak)(?:\s+|-)hours?\b|\b(?:morning|evening)\s+(?:rush|peak)\b")
_LENGTH_LEAD = re.compile(
    r"(?:\b(?P<lead>in|within|for|over|during|of|after|throughout)\s+)?(?:\b(?:the|these)\s+)?"
    r"(?:\b(?P<turn>next|coming|following|upcoming|last|past|previous|latest)\s+)?$"
)
_LENGTH_TAIL = re.compile(r"\s+(?P<tail>ago|ahead|from now|earlier|before now|later)\b")
_TURN_UNIT = re.compile(
    r"\b(?:(?:in|within|for|over|during|of)\s+)?(?:the\s+)?(?P<turn>next|coming|following|last|past|previous)\s+"
    r"(?P<unit>hour|day|minute|week|month)\b"
)
_TURN_MINUTES = {"minute": 1, "hour": 60, "day": 1440, "week": 10080, "month": 30 * 1440}
_BACK = {"last", "past", "previous", "latest"}


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
        return "future" if _minutes(self.end, clock) > 0 else "past"

    def ahead(self, clock: datetime) -> tuple[int, int]:
        """Minutes from the clock to its start, and to its end."""
        assert self.start is not None
        assert self.end is not None
        return round(max(0.0, _minutes(self.start, clock))), round(_minutes(self.end, clock))

    def hours(self) -> float:
        """How long it lasts."""
        assert self.start is not None
        assert self.end is not None
        return _minutes(self.end, self.start) / 60


def tense_of(question: str) -> Tense | None:
    """Whether a question speaks of what was, is or will be; None where it does not say."""
    text = _OF_THE_WEEK.sub(" ", _COMPARED.sub(" ", question.lower()))
    if _FUTURE.search(text):
        return "future"
    if _PAST.search(text):
        return "past"
    if _PRESENT.search(text) or re.search(r"\b(?:is|are)\b", text):
        return "present"
    return None


def time_span(question: str, clock: datetime) -> Span:
    """Read days, times of day and lengths of time, relative to the clock.

    Args:
        question: The person's words.
        clock: Now, in the zone of the data (a `ZoneInfo`, so that days with a clock change are right).
    """
    text = _QUOTED.sub(_blank, question.lower().replace("’", "'"))
    if len(text) != len(question):  # a few characters change their length in lower case
        text = re.sub(r"[^\x00-\x7f]", " ", question).lower()
    compared = _COMPARED.search(text)
    if compared:
        text = _without(text, compared.span())
    if same := _OF_THE_WEEK.search(text):
        text = _without(text, same.span())
    tense = tense_of(text)
    span = _read(text, clock, tense)
    rest = text
    for place in span.at:
        rest = _without(rest, place)
    more = span.start is not None and (_ONE.search(rest) or lengths(rest) or find_days(rest, clock, tense))
    words = " ".join(question[start:end].strip() for start, end in sorted(set(span.at)))
    return replace(span, words=words, compared=question[slice(*compared.span())] if compared else "", more=bool(more))


def _read(text: str, clock: datetime, tense: Tense | None) -> Span:
    rush = _RUSH.search(text)
    if rush:
        return Span(problem="rush", at=(rush.span(),))
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
    length = next(iter(lengths(rest)), None)
    clockless = rest if length is None else _without(rest, (length.start, length.end))
    part = _PART.search(clockless)
    if part and part["part"] == "night" and part["which"] == "last":
        days = Days(clock.date() - timedelta(days=1), clock.date(), part.span())
    found = _times_of_day(clockless, clock, tense, days, part)
    if found is not None:
        return _checked(found, clock, tense)
    if part is not None:
        return _checked(_part_of_day(part, clock, tense, days), clock, tense)
    if length is not None:
        return _checked(_length(rest, length, clock, tense, days), clock, tense)
    if days is not None:
        return _checked(_whole_days(days, clock, tense), clock, tense)
    present = _PRESENT.search(text)
    return Span(now=True, at=(present.span(),)) if present else Span()


def _turn_unit(text: str, clock: datetime, tense: Tense | None) -> Span | None:
    """Read a rolling window without a count ("the next hour", "the past week"); "last week" is read as days."""
    found = _TURN_UNIT.search(text)
    if found is None or (
        found["unit"] in ("week", "month") and found["turn"] in ("last", "next", "coming", "previous")
    ):
        return None
    minutes = timedelta(minutes=_TURN_MINUTES[found["unit"]])
    if found["turn"] in _BACK:
        return _checked(Span(_moved(clock, -minutes), clock, at=(found.span(),)), clock, None)
    return Span(clock, _moved(clock, minutes), at=(found.span(),))


def _length(text: str, length: Length, clock: datetime, tense: Tense | None, days: Days | None) -> Span:
    before = _LENGTH_LEAD.search(text[: length.start])
    after = _LENGTH_TAIL.match(text, length.end)
    lead, turn = (before["lead"], before["turn"]) if before else (None, None)
    tail = after["tail"] if after else None
    at = ((before.start() if before else length.start, after.end() if after else length.end),)
    if length.minutes <= 0 or length.minutes > 1e6:
        return Span(problem="length", at=at)
    size = timedelta(minutes=length.minutes)
    if tail in ("ago", "earlier", "before now"):
        return Span(_moved(clock, -size), _moved(clock, -size), at=at)
    if turn in _BACK or (turn is None and tail is None and tense == "past"):
        return Span(_moved(clock, -size), clock, at=at)
    if turn is None and tail is None and tense is None and _SHOWN.search(text):
        return Span(_moved(clock, -size), clock, at=at)
    if days is not None:
        return replace(_whole_days(days, clock, tense), at=(*at, days.at))
    end = _moved(clock, size)
    pointlike = (lead in ("in", "after") and turn is None) or tail in ("from now", "ahead", "later")
    return Span(end if pointlike else clock, end, at=at)


def _times_of_day(
    text: str, clock: datetime, tense: Tense | None, days: Days | None, part: re.Match[str] | None
) -> Span | None:
    where = () if days is None else (days.at,)
    name = part["part"].rstrip("s") if part else ""
    half = "pm" if name in ("afternoon", "evening", "tonight", "night") else "am" if name == "morning" else ""
    parts = (part.span(),) if part else ()
    if found := _BETWEEN.search(text):
        first = found["first"] or found["first2"] or found["first3"]
        second = found["second"] or found["second2"] or found["second3"]
        half = half or next((f"{letter}m" for letter in re.findall(r"([ap])\.?m", second)), "")
        return _between(first, second, half, clock, tense, days, (found.span(), *where, *parts))
    found = _ONE.search(text)
    if found is None:
        return None
    at = (found.span(), *where, *parts)
    if found["hour"]:
        if int(found["hour"]) > 23:
            return Span(problem="clock", at=at)
        return _between(f"{found['hour']}:00", f"{int(found['hour']) + 1}:00", "", clock, tense, days, at)
    words = found["time"] or found["bare"]
    choices = _readings(words, half)
    if not choices:
        return Span(problem="clock", at=at)
    lead = found["lead"] or "at"
    moment = _placed(choices, clock, tense if lead != "since" else "past", days)
    if lead in ("at", "around", "about", "towards"):
        return Span(moment, moment, at=at)
    if lead in ("after", "from") and moment <= clock and tense == "past":
        return Span(moment, clock, at=at)
    if lead == "since":
        return Span(moment, clock, at=at)
    if lead in ("after", "from"):
        return Span(moment, _moved(moment, timedelta(hours=1)), at=at)
    midnight = _at(moment.date(), 0, clock)
    return Span(clock if days is None and moment > clock and tense != "past" else midnight, moment, at=at)


def _between(
    first: str,
    second: str,
    half: str,
    clock: datetime,
    tense: Tense | None,
    days: Days | None,
    at: tuple[tuple[int, int], ...],
) -> Span:
    firsts = _readings(first, half)
    seconds = [1440] if second.strip() in ("24:00", "midnight", "24") else _readings(second, half)
    if not firsts or not seconds:
        return Span(problem="clock", at=at)
    pairs = [(b, min((e if e > b else e + 1440 for e in seconds), key=int)) for b in firsts]
    options: list[tuple[datetime, datetime]] = []
    offsets = (0,) if days is not None else (0, -1) if tense == "past" else (0, 1) if tense == "future" else (0,)
    for offset in offsets:
        for begins, ends in pairs:
            day = days.first if days is not None else clock.date() + timedelta(days=offset)
            options.append((_at(day, begins, clock), _at(day, ends, clock)))
        fitting = [
            o for o in options if not (tense == "past" and o[0] >= clock) and not (tense == "future" and o[1] <= clock)
        ]
        if fitting:
            break
    start, end = (fitting or options)[0]
    if start < clock < end:
        start, end = (start, clock) if tense == "past" else (clock, end)
    return Span(start, end, at=at)


def _placed(choices: list[int], clock: datetime, tense: Tense | None, days: Days | None) -> datetime:
    """The point in time that minutes of the day mean: on the day named, else the nearest that fits the tense."""
    if days is not None:
        return _at(days.first, choices[0], clock)
    today = [_at(clock.date(), minutes, clock) for minutes in choices]
    if tense == "future":
        return next((m for m in today if m > clock), _at(clock.date() + timedelta(days=1), choices[0], clock))
    if tense == "past":
        return next((m for m in today if m <= clock), _at(clock.date() - timedelta(days=1), choices[0], clock))
    return today[0]


def _readings(words: str, half: str) -> list[int]:
    """Minutes of the day that a time may mean, the likeliest first; empty when there is no such time.

    >>> _readings("8", ""), _readings("8:15 pm", ""), _readings("quarter to nine", "pm"), _readings("25:99", "")
    ([480, 1200], [1215], [1245], [])
    """
    words = words.strip().rstrip(".").replace(".m", "m")
    if words in ("noon", "midday", "midnight"):
        return [0 if words == "midnight" else 720]
    if said := re.fullmatch(r"(half past|quarter past|quarter to)\s+(\w+)", words):
        shift = {"half past": 30, "quarter past": 15, "quarter to": -15}[said[1]]
        return [(minutes + shift) % 1440 for minutes in _readings(said[2], half)]
    said = re.fullmatch(r"(\d{1,2}|\w+?)(?:[:.h](\d{2})(?::\d{2})?)?\s*(?:(am|pm|a|p)|o'?clock|uhr)?", words)
    if said is None:
        return []
    hour = _SPELLED.index(said[1]) + 1 if said[1] in _SPELLED else int(said[1]) if said[1].isdigit() else 99
    minute = int(said[2] or 0)
    if hour > 24 or minute > 59 or (hour == 24 and minute) or (said[3] and not 1 <= hour <= 12):
        return []
    if said[3]:
        return [(hour % 12 + (12 if said[3][0] == "p" else 0)) * 60 + minute]
    if half and 1 <= hour <= 12:
        return [(hour % 12 + (12 if half == "pm" else 0)) * 60 + minute]
    literal = hour * 60 + minute
    return [literal] if said[2] or hour in (0, *range(12, 25)) else [literal, literal + 720]


def _part_of_day(part: re.Match[str], clock: datetime, tense: Tense | None, days: Days | None) -> Span:
    name, at = part["part"].rstrip("s"), (part.span(), *(() if days is None else (days.at,)))
    name = {"tonight": "night", "overnight": "night"}.get(name, name)
    first, last = _PARTS[name]
    day = clock.date() if days is None else days.first
    begin, end = _at(day, first * 60, clock), _at(day, last * 60, clock)
    if days is None and part["which"] != "this" and part["part"] != "tonight":
        if tense == "past" and begin > clock:
            begin, end = (_at(day - timedelta(days=1), hour * 60, clock) for hour in (first, last))
        elif tense != "past" and end <= clock:
            begin, end = (_at(day + timedelta(days=1), hour * 60, clock) for hour in (first, last))
    if begin < clock < end:
        begin, end = (clock, end) if tense == "future" else (begin, clock)
    return Span(begin, end, at=at)


def _whole_days(days: Days, clock: datetime, tense: Tense | None) -> Span:
    begin, end = _at(days.first, 0, clock), _at(days.end, 0, clock)
    if begin <= clock < end:
        begin, end = (clock, end) if tense == "future" else (begin, clock)
    return Span(begin, end, at=(days.at,))


def _checked(span: Span, clock: datetime, tense: Tense | None) -> Span:
    """Say so where the tense contradicts the time."""
    if span.start is None or span.end is None:
        return span
    if tense == "past" and span.start >= clock:
        return Span(problem="not_yet", at=span.at)
    if tense == "future" and span.end < clock:
        return Span(problem="over", at=span.at)
    return span


def _at(day: date, minutes: int, clock: datetime) -> datetime:
    """A time of day in the clock's zone; a time that a clock change skips moves on by that hour."""
    local = datetime.combine(day, time()) + timedelta(minutes=minutes)
    return local.replace(tzinfo=clock.tzinfo).astimezone(UTC).astimezone(clock.tzinfo)


def _moved(moment: datetime, by: timedelta) -> datetime:
    return (moment.astimezone(UTC) + by).astimezone(moment.tzinfo)


def _minutes(later: datetime, earlier: datetime) -> float:
    return (later.astimezone(UTC) - earlier.astimezone(UTC)).total_seconds() / 60


def _blank(found: re.Match[str]) -> str:
    return " " * len(found[0])


def _without(text: str, at: tuple[int, int]) -> str:
    return text[: at[0]] + " " * (at[1] - at[0]) + text[at[1] :]
