"""Places, times and quantities in a question, as the embedded chat model reads them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache

_COUNTS = {
    "a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8,
    "nine": 9, "ten": 10, "twelve": 12, "fifteen": 15, "twenty": 20, "thirty": 30, "forty": 40, "sixty": 60,
    "ninety": 90, "half a": 0.5, "half an": 0.5, "couple of": 2, "a couple of": 2, "few": 3, "a few": 3,
}  # fmt: skip
_MINUTES = {"min": 1, "minute": 1, "hour": 60, "hr": 60, "h": 60, "day": 1440, "week": 10080}
_COUNT = r"\d+(?:\.\d+)?|" + "|".join(sorted(_COUNTS, key=len, reverse=True))
_DURATION = re.compile(
    r"\b(?P<lead>(?:(?:for|in|over|within|during|of)\s+)?(?:the\s+)?(?:next|coming|following|last|past|previous|in)?\s*)"
    rf"(?:(?P<count>{_COUNT})\s*)?\b(?P<unit>min|minute|hour|hr|h|day|week)s?\b(?P<tail>\s+(?:ago|ahead|from now))?",
    re.IGNORECASE,
)
_DAY_WORDS = "today|tonight|tomorrow|yesterday|monday|tuesday|wednesday|thursday|friday|saturday|sunday"
_CLOCK = re.compile(
    rf"\b(?:(?P<day>(?:next |last )?(?:{_DAY_WORDS}))(?:\s+(?:morning|afternoon|evening|night))?\s*)?"
    r"(?:\b(?P<lead>until|till|by|at|around|before|to)\s+)?"
    r"(?P<time>\d{1,2}:\d{2}\s*(?:[ap]\.?m\b\.?)?|\d{1,2}\s*[ap]\.?m\b\.?|noon|midnight)"
    rf"(?:\s+(?P<day2>{_DAY_WORDS}))?",
    re.IGNORECASE,
)
_DAY = re.compile(
    rf"\b(?:next|last)\s+week\b|\b(?:on\s+)?(?:next\s+|last\s+|this\s+)?(?:{_DAY_WORDS}|morning|afternoon|evening|night)"
    r"(?:\s+(?:morning|afternoon|evening|night))?\b",
    re.IGNORECASE,
)
_AHEAD = re.compile(r"\b(?:next|coming|following|last|past|previous)\b", re.IGNORECASE)
_PAST = re.compile(r"\b(?:last|past|previous|ago|yesterday|earlier|was|were|did|so far)\b", re.IGNORECASE)
_PRESENT = re.compile(r"\b(?:right now|now|currently|at the moment|at present|just now)\b", re.IGNORECASE)
_DAY_PARTS = {"morning": 8, "afternoon": 15, "evening": 19, "night": 22, "tonight": 21, "noon": 12, "midnight": 0}


@dataclass(frozen=True)
class Span:
    """The time that a question is about, seen from the clock.

    Attributes:
        minutes: Ahead of the clock; None when the question names no future time.
        past_hours: How far back it looks; None when it names no past time.
        now: It speaks of the present ("right now", "at the moment") and names no other time.
        moment: A single point that was asked for ("at 8:15"), local time.
        words: The words that said so, as they stand in the question.
    """

    minutes: int | None = None
    past_hours: int | None = None
    moment: datetime | None = None
    now: bool = False
    words: tuple[str, ...] = ()


def time_span(question: str, as_of: datetime) -> Span:
    """Read durations, clock times and days, relative to the clock.

    Args:
        question: The person's words.
        as_of: Zone-aware local time of the data.
    """
    clock = _CLOCK.search(question)
    if clock is not None:
        return _at_clock(clock, as_of, past=bool(_PAST.search(question)))
    duration = _DURATION.search(question)
    if duration is not None and (duration["count"] or _AHEAD.search(duration["lead"]) or duration["tail"]):
        count = duration["count"]
        size = 1.0 if count is None else _COUNTS.get(count.lower()) or float(count)
        minutes = math.ceil(size * _MINUTES[duration["unit"].lower()])
        if _PAST.search(duration[0]):
            return Span(past_hours=max(1, math.ceil(minutes / 60)), words=(duration[0],))
        return Span(minutes=minutes, words=(duration[0],))
    day = _DAY.search(question)
    if day is not None:
        return _on_day(day[0], as_of, past=bool(_PAST.search(question)))
    present = _PRESENT.search(question)
    return Span(now=True, words=(present[0],)) if present else Span()


def _at_clock(found: re.Match[str], as_of: datetime, *, past: bool) -> Span:
    import dateparser

    day = found["day"] or found["day2"]
    base = as_of.replace(tzinfo=None)
    time_of_day = dateparser.parse(found["time"], settings={"RELATIVE_BASE": base})
    if time_of_day is None:
        return Span()
    date = _date(day, base) if day else base.date()
    moment = datetime.combine(date, time_of_day.time()).replace(tzinfo=as_of.tzinfo)
    if day is None and moment <= as_of and not past:
        moment += timedelta(days=1)
    minutes = math.ceil((moment - as_of).total_seconds() / 60)
    if minutes <= 0:
        return Span(past_hours=max(1, math.ceil(-minutes / 60)), moment=moment, words=(found[0],))
    pointlike = (found["lead"] or "at").lower() in {"at", "around"}
    return Span(minutes=minutes, moment=moment if pointlike else None, words=(found[0],))


def _on_day(words: str, as_of: datetime, *, past: bool) -> Span:
    base = as_of.replace(tzinfo=None)
    lower = words.lower()
    if "yesterday" in lower:
        return Span(past_hours=24 + as_of.hour, words=(words,))
    if re.search(r"\blast\b", lower):
        return Span(past_hours=168 if "week" in lower else 24, words=(words,))
    if lower.strip() == "today":
        return Span(past_hours=max(1, as_of.hour), words=(words,))
    part = next((hour for name, hour in _DAY_PARTS.items() if name in lower), 12)
    moment = datetime.combine(_date(lower, base), datetime.min.time()).replace(hour=part, tzinfo=as_of.tzinfo)
    if moment <= as_of and (past or "this" in lower):
        hours = (as_of - moment).total_seconds() / 3600
        return Span(past_hours=math.ceil(hours) + 1, words=(words,))
    if moment <= as_of:
        moment += timedelta(days=7 if "week" in lower else 1)
    return Span(minutes=math.ceil((moment - as_of).total_seconds() / 60), words=(words,))


def _date(words: str, base: datetime) -> date:
    import dateparser

    day = re.search(_DAY_WORDS, words, re.IGNORECASE)
    if day is None or day[0].lower() in {"today", "tonight"}:
        return base.date()
    prefer = "past" if re.search(r"\blast\b", words, re.IGNORECASE) else "future"
    parsed = dateparser.parse(day[0], settings={"RELATIVE_BASE": base, "PREFER_DATES_FROM": prefer})
    return (parsed or base).date()


_SYNONYMS = {
    "speed": ("fast", "faster", "slow", "slower", "quick", "mph", "km/h", "jam", "jammed", "congested", "congestion"),
    "flow": ("vehicles", "cars", "volume", "busy", "busier", "carry", "many"),
    "occupancy": ("occupied", "density"),
}
_GENERAL = frozenset({"traffic", "level", "mean"})
"""Words of a channel's title that do not tell it from the others."""


def channel(question: str, channels: Sequence[dict[str, str]]) -> str | None:
    """The channel that a question names, by its name or title, else by a synonym; None leaves the main one."""
    words = set(re.findall(r"[\w./]+", question.casefold()))
    titles = {c["name"]: {c["name"].casefold(), *c["title"].casefold().split()} - _GENERAL for c in channels}
    synonyms = {c["name"]: set(_SYNONYMS.get(c["name"], ())) for c in channels}
    for vocabulary in (titles, synonyms):
        for name, known in vocabulary.items():
            if words & known:
                return name
    return None


_FREEWAY = (
    r"(?:I|SR|US|CA|Interstate|Route|Highway)[- ]?\d{1,3}\b(?:[- ]?(?:[NSEW]\b|north|south|east|west)(?:bound)?)?"
)
_CAPITALISED = re.compile(
    r"\b[A-Z][\w'’-]*(?:\s+(?:[A-Z][\w'’-]*|of|the)\b)*(?:\s+(?:north|south|east|west)(?:bound)?\b)?"
)
_STOP = (
    "the a an and or is are was were be been will would should could can do does did has have had how much many what"
    " which who whom why when where there of for on at near over next last past in into to by about from with between"
    " around me my us you your i it its this that these those show tell give list find forecast predict expect carry"
    " get got look like busy fast slow high low happen happening happened traffic flow speed value values level now"
    " right today tomorrow yesterday tonight morning afternoon evening night hour hours minute minutes day week going"
    " please any some all incident incidents accident accidents event events collision normal usual current currently"
    " vehicles cars pass come coming station stations sensor sensors node detector place places then same picture plot"
    " line heatmap draw data set so hello hi thanks sure not if as up down out go goes expected worst best jam jams"
)


@cache
def _stop_words() -> frozenset[str]:
    return frozenset(_STOP.split())


def place(question: str, place_word: str, ignore: Sequence[str] = ()) -> str | None:
    """The words that name a place, or None.

    Looks, in order, for an identifier, a freeway with what follows it, a quoted name,
    capitalised words, and what stands behind a preposition.

    Args:
        question: The person's words.
        place_word: What a node is called, such as 'station'.
        ignore: Phrases that mean something else, such as the time words.
    """
    text = question
    for phrase in ignore:
        text = text.replace(phrase, " ; ")
    named = re.search(
        rf"\b(?:{re.escape(place_word)}|station|sensor|node|detector|id)s?\s+(?:id\s+|number\s+|no\.?\s*|#)?"
        r"(?P<id>[A-Za-z]{0,4}[-_]?\d[\w-]*)",
        text,
        re.IGNORECASE,
    )
    if named:
        return named["id"]
    quoted = re.search(r"[\"“'‘]([^\"”'’]{2,60})[\"”'’](?!\w)", text)
    if quoted:
        return quoted[1]
    freeway = re.search(rf"\b{_FREEWAY}", text, re.IGNORECASE)
    if freeway:
        return _phrase_from(text, freeway.start(), freeway.end())
    bare = re.search(r"\b(?:[A-Za-z]{1,4}[-_]?\d{2,}|\d{4,})\b", text)
    if bare:
        return bare[0]
    for found in _CAPITALISED.finditer(text):
        words = found[0].split()
        if found.start() == 0:  # a sentence's first word is a capital without being a name
            while words and words[0].casefold() in _stop_words():
                words.pop(0)
        phrase = " ".join(words)
        if len(phrase) > 2 and not phrase.isupper() and phrase.casefold() not in _stop_words():
            return phrase
    after = re.search(r"\b(?:at|near|around|on|by|for|of|along)\s+(?:the\s+)?", text)
    if after:
        return _phrase_from(text, after.end(), after.end())
    return None


def content_words(question: str, ignore: Sequence[str] = ()) -> str:
    """What is left of a question without function words: a weak hint at a place."""
    for phrase in ignore:
        question = question.replace(phrase, " ")
    words = re.findall(r"[\w'’.-]+", question)
    return " ".join(word.rstrip(".") for word in words if word.casefold().rstrip(".") not in _stop_words())


def _phrase_from(text: str, start: int, least_end: int) -> str | None:
    """The words from `start` on, up to punctuation or a word that cannot belong to a name."""
    phrase = text[start:least_end]
    for word in re.finditer(r"\s*([\w'’/.-]+|[,;?!])", text[least_end:]):
        bare = word[1].casefold().rstrip(".")
        joining = bare in {"at", "of", "near", "the"} and phrase
        if bare in {",", ";", "?", "!"} or (bare in _stop_words() and not joining):
            break
        phrase += word[0].rstrip(".")
    words = phrase.split()
    while words and words[-1].casefold() in _stop_words():
        words.pop()
    return " ".join(words) or None
