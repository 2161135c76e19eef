"""What a what-if question supposes to be otherwise: an event, the weather, a sensor, a road."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from mm4st_agent.agent.backends.durations import NUMBER_WORDS
from mm4st_agent.agent.backends.durations import number as count

ChangeKind = Literal["remove_event", "set_covariate", "remove_sensor", "remove_road", "add_event"]

_AMOUNT = rf"(?:\d+(?:\.\d+)?|{NUMBER_WORDS})"
_WEATHER_VALUE = (
    rf"{_AMOUNT}[\s-]*(?:mm\b|mm/h|m/s|°|degrees?\b|millimet(?:re|er)s?\b|met(?:re|er)s per second)"
    r"(?:\s*(?:/|per|an)\s*h(?:our)?)?"
)
_SET = (
    r"(?:(?:the\s+|an?\s+)?(?:rain\w*|winds?|wind ?speed|temperature|humidity|snow\w*|mixing (?:height|layer))\s+"
    r"(?:\w+\s+){0,3}?"
    rf"{_AMOUNT}\b(?!\s*(?:minutes|hours|vehicles|cars))|(?:an?\s+)?{_WEATHER_VALUE})"
)
"""Weather with its value: "the wind down to 1 m/s", "5 mm/h of rain"."""
_TAKEN_OUT = re.compile(
    r"\b(?:unplug\w*|disconnect\w*|remov(?:e|es|ing)|switch(?:ing)? off|turn(?:ing)? off|shut(?:ting)? (?:down|off)"
    r"|los(?:e|es|ing)|tak(?:e|es|ing) (?:out|down|away)|disabl(?:e|es|ing)|drop(?:ping)?|dismantl(?:e|ing)"
    r"|mask(?:ing)?|hid(?:e|ing)|cut(?:ting)? off)\s+(?:the\s+|our\s+)?(?:\w+\s+){0,2}?(?=\S*\d)",
    re.IGNORECASE,
)
_TAKEN_IDS = re.compile(r"[^\s,;?!]+(?:(?:\s*,\s*|\s+(?:and|or|plus)\s+)(?=\S*\d)[^\s,;?!]+)*")
_EFFECT = re.compile(
    r"\b(?:forecast\w*|predict\w*|expect\w*|foresee|effect|affect\w*|impact|change|influence|difference|do to|mean for"
    r"|become of|would|what then)\b",
    re.IGNORECASE,
)
"""What a sensor that is taken out is asked about."""
_SUPPOSE = re.compile(
    r"\b(?:(?P<open>what (?:if|would (?:happen|change|be different) if|happens (?:if|when)|about if)"
    r"|what difference would|pretend|suppos(?:e|ing)|assum(?:e|ing)|imagine|hypothetically|let['’]?s say"
    r"|say (?=it (?:rain|snow|pour|drizzl))|were (?=it to\b)"
    r"|(?:^|(?<=[.!?;:]\s))say (?=(?:that|there|the|an?|we|no|it|all|one|two)\b)|should (?=it (?:rain|snow|pour"
    r"|drizzle)))"
    r"|(?<!tell me )(?<!know )(?<!wonder )(?<!check )(?<!see )(?<!sure )(?<!ask )(?<!say )(?P<if>if|in case|as though)"
    r"|(?P<without>without|with no|no(?=\s+(?:rain|wind|snow|fog)\b.*\bwould\b)|tak(?:e|ing) away"
    r"|leav(?:e|ing) out|ignor(?:e|ing))"
    rf"|(?P<with>with|given)(?=\s+(?:\d|heavy|strong|light|some|more|twice|an? (?:accident|crash|collision|closure"
    rf"|closed|lane|incident|breakdown)|rain|snow|fog|wind|{_SET}))"
    rf"|(?<!wind )(?<!rain )(?<!temperature )(?P<under>under|in|at)(?=\s+{_SET})"
    r"|(?P<had>had)(?=\b.{0,60}\b(?:not|never|no)\b))\b(?:\s+that\b)?\s*",
    re.IGNORECASE,
)
_CLAUSE_END = re.compile(
    r"[,;?!:](?=\s|$)|\.(?=\s|$)|\s[-–—]+\s|\b(?:then|what|how|would|could|will"
    r"|might)\b(?!\s+(?:not\s+)?(?:have\s+)?(?:be(?:en)?\s+)?"
    r"(?:happened|closed|cleared|rain))",
    re.IGNORECASE,
)
_EVENT_ID = re.compile(r"\b[A-Za-z]{4,}-\d+(?:/\d+)?\b")
EVENT = re.compile(
    r"\b(?:(?:stalled|broken[- ]down|overturned|burning|jack-?knifed|stranded) (?:truck|lorry|car|vehicle|bus|van)s?"
    r"|incidents?|accidents?|collisions?|crash\w*|pile-?ups?|closures?|hazards?|breakdowns?|road ?works?"
    r"|works(?= (?:on|at|in|near|by)\b)|events?"
    r"|(?:trucks?|lorr(?:y|ies)|cars?|vehicles?|bus(?:es)?|vans?)\s+(?:\w+\s+)?(?:br(?:eaks?|oke)|crash\w*"
    r"|overturn\w*|block\w*)"
    r"|match|game|fair|concert|festival|demonstration|parade|bulletins?|alerts?|debris"
    r"|(?:lanes?|roads?|streets?|bridges?|tunnels?|carriageways?)\s+(?:\w+\s+){0,4}?(?:closed|blocked|shut)"
    r"|(?:is|was|were|be|been|got)\s+(?:closed|blocked|shut)"
    r"|(?:closed|blocked|shut)\s+(?:a |one |the )?(?:lanes?|roads?|bridges?))\b",
    re.IGNORECASE,
)
_GONE = re.compile(
    r"\b(?:not|never|no|clear(?:s|ed)?|removed?|gone|cancell?ed|called off|over|ended|absent|disappear\w*|taken away"
    r"|undone)\b|n['’]t\b",
    re.IGNORECASE,
)
_FAILING = re.compile(
    r"\b(?:fail(?:s|ed|ing)?|br(?:eak|oke)(?:s|n)?|go(?:es)? (?:down|dark|offline|silent|missing|dead)"
    r"|went (?:down|dark|offline|silent|missing|dead)|off(?:line)?|down|missing|removed?|dead|silent|out of order|gone"
    r"|unavailable|dropped|stop(?:s|ped)?|los[et]s?|ignored?|unplugged|not (?:exist|work|report|there)"
    r"|did(?:n['’]t| not))\b",
    re.IGNORECASE,
)
_ROAD = re.compile(
    r"\b(?:roads?|links?|edges?|connections?|streets?|segments?|stretch|carriageway|way)\b", re.IGNORECASE
)
_COVARIATES: dict[str, str] = {
    "rain": r"rain\w*|pour(?:s|ed|ing)|drizzl\w+|precipitation|downpour|dry|wet",
    "temperature": r"temperatures?|degrees?|celsius|°\s?C|warm(?:er)?|cold(?:er)?|hot(?:ter)?",
    "wind": r"winds?|windy|blew|blow(?:s|ing)?|gusts?",
    "snow": r"snow\w*",
    "fog": r"fog\w*",
    "humidity": r"humid\w*",
    "mixing": r"mixing[- ](?:height|layer)s?",
    "holiday": r"holidays?|vacation",
}
"""What a supposition may set, by the word that the name of such a covariate holds."""
_MEASURED_IN = {
    "rain": r"(?:mm/h|mm (?:per|an) hour|mm|millimet(?:re|er)s?(?: (?:per|an) hour)?)",
    "wind": r"(?:m/s|met(?:re|er)s per second)",
}
"""The unit that tells what is set where no word does: "with 3 mm/h"."""
_DRY = re.compile(r"\b(?:dry|calm|no (?:rain|wind|snow|fog))\b", re.IGNORECASE)
_VALUE = re.compile(
    rf"(?<![\w.-])(?P<sign>minus\s+|[-−])?(?P<number>\d+(?:\.\d+)?|(?:{NUMBER_WORDS})(?=[\s-]+(?:mm|milli|met(?:re"
    rf"|er)s|deg|"
    r"percent|km|°)))[\s-]*(?P<unit>%|°\s?[CF]|mm/h|mm per hour|mm an hour"
    r"|millimet(?:re|er)s? (?:per|an) hour|mm|km/h|kph|m/s|met(?:re|er)s per second|mph|hPa"
    r"|degrees?(?: celsius)?)?(?!\w)",
    re.IGNORECASE,
)
_UNITS = {
    "mm per hour": "mm/h", "mm an hour": "mm/h", "kph": "km/h", "°c": "°C", "° c": "°C", "°f": "°F", "degree": "°C",
    "degrees": "°C", "degree celsius": "°C", "degrees celsius": "°C",
    "metres per second": "m/s", "meters per second": "m/s", "millimetres per hour": "mm/h",
    "millimeters per hour": "mm/h", "millimetres an hour": "mm/h", "millimeters an hour": "mm/h",
}  # fmt: skip
_LEADING = re.compile(r"^(?:(?:that|there|is|are|was|were|had|has|been|be|would|suddenly|now)\b\s*)+", re.IGNORECASE)


@dataclass(frozen=True)
class Change:
    """One thing that is supposed to be otherwise.

    Attributes:
        kind: As what_if takes it.
        words: Of the question.
        places: The words for the places that it is about.
        event: Id of the entry of the log; None is one that is near the place.
        covariate: What kind of covariate is set.
        value: To which value; None where the question gives none.
        unit: Of `value`, as the question gives it; None where it gives none.
    """

    kind: ChangeKind
    words: str = ""
    places: tuple[str, ...] = ()
    event: str | None = None
    covariate: str | None = None
    value: float | None = None
    unit: str | None = None


@dataclass(frozen=True)
class Supposition:
    """Where a question supposes something.

    Attributes:
        clause: Where the words of it stand.
        negated: It is about what would be without something.
        at: Where words stand that name no place.
    """

    clause: tuple[int, int]
    negated: bool
    at: tuple[tuple[int, int], ...]


def supposition(question: str) -> Supposition | None:
    """The first words that suppose something, or None.

    >>> question = "what if it rained 5 mm/h?"
    >>> found = supposition(question)
    >>> question[slice(*found.clause)]
    'it rained 5 mm/h'
    """
    for found in _SUPPOSE.finditer(question):
        ended = _CLAUSE_END.search(question, found.end())
        clause = (found.end(), ended.start() if ended else len(question))
        words = question[slice(*clause)]
        negated = bool(found["without"] or found["had"] or _GONE.search(words))
        kind = _change_kind(words, _ids(words), negated)
        if kind == "remove_sensor" and (found["with"] or found["under"]):
            continue  # "compare S039 with S041 over the last hour"
        if words.strip() and (found["open"] or kind is not None):
            spans = [m.span() for m in _EVENT_ID.finditer(words)]
            spans += [m.span() for pattern in _COVARIATES.values() for m in _word(pattern).finditer(words)]
            if covariate_of(words) is not None and (number := _number(words)):
                spans.append(number.span())
            return Supposition(clause, negated, tuple((start + clause[0], end + clause[0]) for start, end in spans))
    if (taken := _TAKEN_OUT.search(question)) and _EFFECT.search(question):
        ids = _TAKEN_IDS.match(question, taken.end())
        return Supposition((taken.start(), ids.end() if ids else taken.end()), True, ())
    return None


def supposed(question: str, where: Supposition, places: Sequence[str]) -> tuple[Change, ...]:
    """The change that a what-if question supposes; empty where its words name none.

    Args:
        question: The person's words.
        where: It supposes something.
        places: The words for places in the supposition.
    """
    words = question[slice(*where.clause)].strip()
    kind = _change_kind(words, places, where.negated)
    if kind is None:
        return ()
    if kind == "set_covariate":
        covariate = covariate_of(words)
        value, unit = _value(words, covariate, where.negated)
        if value is None and (told := re.search(_WEATHER_VALUE, question, re.IGNORECASE)):
            value, unit = _value(told[0], covariate, False)  # "if it poured, say 15 mm/h, ..."
        return (Change(kind, words, covariate=covariate, value=value, unit=unit),)
    event = _EVENT_ID.search(words)
    if kind == "remove_event":
        return (Change(kind, words, tuple(places), event[0].casefold() if event else None),)
    if kind == "remove_sensor":
        return tuple(Change(kind, words, (place,)) for place in places)
    if kind == "remove_road":
        return (Change(kind, words, tuple(places[:2])),)
    text = _LEADING.sub("", words)
    return (Change(kind, text[:1].upper() + text[1:], tuple(places[:1])),)


def _change_kind(words: str, places: Sequence[str], negated: bool) -> ChangeKind | None:
    """What the words of a supposition change."""
    if _EVENT_ID.search(words):
        return "remove_event"
    if covariate_of(words) is not None:
        return "set_covariate"
    if len(places) == 2 and _ROAD.search(words) and not re.search(r"road ?works?", words, re.IGNORECASE):
        return "remove_road"
    if EVENT.search(words):
        return "remove_event" if negated else "add_event"
    return "remove_sensor" if places and (negated or _FAILING.search(words)) else None


def covariate_of(words: str) -> str | None:
    """The kind of covariate that words name, such as 'rain'."""
    named = next((name for name, pattern in _COVARIATES.items() if _word(pattern).search(words)), None)
    return named or next(
        (name for name, pattern in _MEASURED_IN.items() if _word(rf"{_AMOUNT}[\s-]*{pattern}").search(words)), None
    )


def _value(words: str, covariate: str | None, negated: bool) -> tuple[float | None, str | None]:
    """The number that is named, with its unit; 0 and 1 where something is said to be absent or, if it is, present."""
    if found := _number(words):
        number = count(found["number"]) * (-1 if found["sign"] else 1)
        said = found["unit"]
        unit = None if said is None else _UNITS.get(said.casefold(), said)
        return number, "mm/h" if covariate == "rain" and unit == "mm" else unit
    if negated or _DRY.search(words):
        return 0.0, None
    return (1.0 if covariate == "holiday" else None), None


def _number(words: str) -> re.Match[str] | None:
    """The number with a unit, else the first one that is short enough to be no id."""
    numbers = list(_VALUE.finditer(words))
    plain = [found for found in numbers if len(found["number"].partition(".")[0]) < 4]
    return next((found for found in numbers if found["unit"]), plain[0] if plain else None)


def _ids(words: str) -> list[str]:
    """Words that look like ids, before places are read."""
    return re.findall(r"(?<![\w-])[A-Za-z]{0,4}[-_]?\d{2,}(?![\w-])", words)


def _word(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{pattern})(?!\w)", re.IGNORECASE)
