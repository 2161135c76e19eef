"""Times of day on their day: "from 8 to 9", "ten to eight till twenty past", "the hour before nine"."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from mm4st_agent.agent.backends.clock_times import BARE_END, LOOSE, TIME, readings
from mm4st_agent.agent.backends.dates import Days, Tense
from mm4st_agent.agent.backends.day_parts import half_of
from mm4st_agent.agent.backends.durations import Length
from mm4st_agent.agent.backends.spans import Span, day_time, moved

_TO = r"(?:to|until|till|til|up to|through|-|–|—)"
_NUMBER_WORD = r"(?:one|two|three|four|six|seven|eight|nine|eleven|twelve)"
_BETWEEN = re.compile(
    rf"\b(?:between|from)\s+(?P<first>{LOOSE})\s*(?:and|{_TO})\s*(?P<second>{LOOSE})"
    rf"|\b(?P<first2>{TIME})\s*{_TO}\s*(?P<second2>{LOOSE})"
    rf"|(?<![\w.:-])(?P<first3>\d{{1,2}})\s*(?:-|–|to)\s*(?P<second3>\d{{1,2}}\s*[ap]\.?m\b\.?|\d{{1,2}}:\d{{2}})"
    rf"|\b(?P<first4>{LOOSE})\s+(?:until|till|til)\s+(?P<second4>{LOOSE})"
    rf"|\b(?P<first5>{_NUMBER_WORD})\s+to\s+(?P<second5>{LOOSE})"
    r"|(?<!at )(?<!by )(?<!till )(?<!until )(?<!before )(?<![\w.:,-])(?P<first6>(?!2[05]\b)\d{1,2})"
    rf"(?:\s?[-–]\s?|\s+to\s+)(?P<second6>\d{{1,2}}{BARE_END})"
)
_FROM_NOW_TO = re.compile(
    rf"\b(?:between\s+|from\s+)?(?:right\s+)?now\s+(?:and|{_TO})\s+(?:about\s+|around\s+)?(?P<time>{LOOSE})"
)
_TO_NOW = re.compile(rf"\b(?:between|from)\s+(?P<time>{LOOSE})\s+(?:and|{_TO})\s+(?:right\s+)?now\b")
TIME_OF_DAY = re.compile(
    r"\b(?P<lead>until|till|til|by|before|up to|to|after|since|(?:starting|beginning|start|begin)(?:\s+(?:at|from))?"
    r"|from|(?:once|when) it(?:'s| is)|at|around|about|towards|circa|approximately)\s+"
    r"(?:(?:about|around|roughly|exactly)\s+)?"
    rf"(?P<time>(?:5|10|20|25)\s+to\s+\d{{1,2}}{BARE_END}|{LOOSE})"
    rf"|@\s?(?P<sign>{LOOSE})|\bhour\s+(?P<hour>\d{{1,3}})\b|(?P<bare>\b{TIME})"
)


def times_of_day(
    text: str,
    clock: datetime,
    tense: Tense | None,
    days: Days | None,
    part: re.Match[str] | None,
    length: Length | None,
) -> Span | None:
    """Two times of day, or one, on the day and in the half of it that other words tell."""
    where = () if days is None else (days.at,)
    half, parts = half_of(part), (part.span(),) if part else ()
    if found := _FROM_NOW_TO.search(text):
        choices = readings(found["time"], half)
        if not choices:
            return Span(problem="clock", at=(found.span(),))
        return Span(clock, _placed(choices, clock, "future", days), at=(found.span(), *where, *parts))
    if (found := _TO_NOW.search(text)) and (choices := readings(found["time"], half)):
        return Span(_placed(choices, clock, "past", days), clock, at=(found.span(), *where, *parts))
    if found := _BETWEEN.search(text):
        first, second = (next(found[f"{name}{n}"] for n in ("", *range(2, 7)) if found[f"{name}{n}"])
                         for name in ("first", "second"))  # fmt: skip
        half = half or next((f"{letter}m" for letter in re.findall(r"([ap])\.?m\b", second)), "")
        return _between(first, second, half, clock, tense, days, (found.span(), *where, *parts))
    found = TIME_OF_DAY.search(text)
    if found is None:
        return None
    at = (found.span(), *where, *parts)
    if found["hour"]:
        if int(found["hour"]) > 23:
            return Span(problem="clock", at=at)
        return _between(f"{found['hour']}:00", f"{int(found['hour']) + 1}:00", "", clock, tense, days, at)
    choices = readings(found["time"] or found["sign"] or found["bare"], half)
    if not choices:
        return Span(problem="clock", at=at)
    lead = (found["lead"] or "at").split()[0].replace("starting", "from").replace("beginning", "from")
    lead = {"once": "at", "when": "at", "start": "from", "begin": "from", "till": "until", "til": "until"}.get(
        lead, lead
    )
    moment = _placed(choices, clock, tense if lead != "since" else "past", days)
    if length is not None and length.minutes > 0 and not re.search(r"\w", text[length.end : length.end + 1]):
        size, at = timedelta(minutes=length.minutes), (*at, (length.start, length.end))
        gap = text[min(length.end, found.end()) : max(length.start, found.start())]
        behind = found.start() >= length.end
        if lead in ("before", "to", "until", "up") and behind and re.fullmatch(r"\s*(?:leading\s+|right\s+)?", gap):
            return Span(moved(moment, -size), moment, at=at)
        for_so_long = re.search(r"\b(?:for|lasting|over)\s+(?:the\s+(?:next\s+)?|about\s+)?$", text[: length.start])
        if lead in ("from", "after") or (lead == "at" and not behind and for_so_long):
            return Span(moment, moved(moment, size), at=at)
    if lead in ("at", "around", "about", "towards", "circa", "approximately"):
        return Span(moment, moment, at=at)
    if lead in ("after", "from") and moment <= clock and tense == "past":
        return Span(moment, clock, at=at)
    if lead == "since":
        return Span(moment, clock, at=at)
    if lead in ("after", "from"):
        return Span(moment, moved(moment, timedelta(hours=1)), at=at)
    midnight = day_time(moment.date(), 0, clock)
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
    firsts = readings(first, half)
    late = half != "night" and second.strip() in ("24:00", "midnight", "24")
    seconds = [1440] if late else readings(second, half)
    if not firsts or not seconds:
        return Span(problem="clock", at=at)
    if len(firsts) > 2:  # "from half past to nine": the last one before it
        firsts = [max(firsts, key=lambda b: (b < seconds[0], b))]
    pairs = [(b, min((e if e > b else e + 1440 for e in seconds), key=int)) for b in firsts]
    options: list[tuple[datetime, datetime]] = []
    offsets = (0,) if days is not None else (0, -1) if tense == "past" else (0, 1) if tense == "future" else (0,)
    for offset in offsets:
        for begins, ends in pairs:
            day = days.first if days is not None else clock.date() + timedelta(days=offset)
            options.append((day_time(day, begins, clock), day_time(day, ends, clock)))
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
        return day_time(days.first, choices[0], clock)
    today = [day_time(clock.date(), minutes, clock) for minutes in choices]
    if tense == "future" or len(today) > 2:
        tomorrow = day_time(clock.date() + timedelta(days=1), choices[0], clock)
        return next((m for m in sorted(today) if m > clock), tomorrow)
    if tense == "past" and len(today) > 2:
        return max((m for m in today if m <= clock), default=today[-1] - timedelta(days=1))
    if tense == "past":
        return next((m for m in today if m <= clock), day_time(clock.date() - timedelta(days=1), choices[0], clock))
    return today[0]
