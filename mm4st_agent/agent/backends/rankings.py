"""Questions about all places at once: which are highest, worst, most unusual, or change most."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

from mm4st_agent.agent.backends.durations import UNIT

By = Literal["level", "usual", "change"]
Order = Literal["highest", "lowest"]

MOST = 20
"""The longest ranking that rank_places gives."""

_TOP = (
    r"busiest|fastest|most|highest|largest|biggest|greatest|strongest|heaviest|fullest|hottest|loudest|peaks?|maximum"
    r"|max",
    r"quietest|slowest|least|lowest|smallest|weakest|emptiest|calmest|lightest|fewest|bottom|minimum|min"
    r"|as (?:little|few|low)",
)
_GOOD_OR_BAD = (
    r"worst|dirtiest|jam(?:s|med|ming)?|congested|congestion|bad|crawl\w*|stuck|gridlock\w*|trouble\w*|avoid|clogged"
    r"|steer clear|hot ?-?spots?|bottlenecks?|problem\w*|most polluted",
    r"best|cleanest|freest|clearest|smoothest|freely",
)
_USUAL = (
    r"unusual\w*|abnormal\w*|anomal\w*|usual|normal|normally|usually|strange\w*|odd\w*|weird\w*|out of the ordinary"
    r"|typical\w*|habitual\w*|customary|ordinary|ordinarily|than (?:they|it) should"
    r"|(?:above|below|under|over|from|than) (?:the |their |its )?(?:own )?(?:average|mean|baseline|norm)"
    r"|(?:expected|average|usual) for (?:this|the|that) (?:hour|time|day|weekday)"
)
_BELOW_USUAL = (
    r"\b(?:below|under|beneath|short of|less than|lower than|quieter than|fewer than|slower than"
    r"|down (?:on|from))\b.{0,20}"
    rf"\b(?:{_USUAL}|average|mean|baseline|norm)"
)
_RISING = r"rising|rises?|risen|rose|increas\w*|growing|grown|grew|climb\w*|up most|jump\w*|surg\w*|gain\w*|worsen\w*"
_RISING += r"|sped up|speed(?:s|ing) up|picked up|picking up|accelerat\w*|went up|gone up|going up|shot up|soar\w*"
_FALLING = (
    r"falling|falls?|fallen|fell|drop\w*|decreas\w*|declin\w*|shrink\w*|improv\w*|plung\w*|sank|collaps\w*"
    r"|los(?:t|es|ing)"
    r"|slow(?:ed|s|ing) down|went down|gone down|going down|tumbl\w*|plummet\w*|crash\w* the most|shed the most"
)
_BECOMING = (
    r"(?:got|gotten|gets?|getting|become|becomes|became|becoming|grew|turned|turning)\s+(?:a lot |much |far |even )?"
)
_RISING += rf"|{_BECOMING}(?:faster|busier|quicker|fuller|heavier|dirtier|higher|more)"
_FALLING += rf"|{_BECOMING}(?:slower|quieter|calmer|emptier|lighter|cleaner|lower|less)"
_CHANGING = r"chang\w*"
_SUPERLATIVE = "|".join((*_TOP, *_GOOD_OR_BAD))
_PACE = rf"\b({_RISING}|{_FALLING}|{_CHANGING})\s+(?:the\s+)?(?:fast|faster|fastest|slow|slowest)\b"
_ANY = "|".join((_SUPERLATIVE, _USUAL, _RISING, _FALLING, _CHANGING))
_PLACES = (
    "place", "station", "sensor", "node", "site", "road", "spot", "service", "detector", "monitor", "district", "area",
    "bridge", "street", "junction", "link", "freeway", "highway", "server", "machine", "instance", "corner", "location",
    "counter", "neighbourhood", "part", "section",
)  # fmt: skip
_OF_DATA = re.compile(
    r"\b(?:missing|imputed|complete\w*|gaps?|faulty|broken|how many|drop-?outs?|frozen|froze|offline|holes"
    r"|outages?|dead"
    r"|trustworthy)\b|\b(?:sensors?|detectors?|monitors?|counters?|readings?|values?)\b.{0,20}\bstuck\b"
    r"|\b(?:bad|defective) (?:sensors?|detectors?|monitors?|counters?|loops?|readings?|data)\b"
    r"|\b(?:sensors?|detectors?|monitors?|counters?|loops?)\b.{0,30}\b(?:is|are|were|was|look|gone|went) bad\b"
    r"|\bstuck (?:sensors?|detectors?|monitors?|counters?|readings?|values?)\b",
    re.IGNORECASE,
)
_NUMBERS = (
    "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen",
    "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty",
)  # fmt: skip
_SIZES = {
    "half a dozen": 6, "half dozen": 6, "half-dozen": 6, "dozen": 12, "handful": 5, "couple": 2, "pair": 2, "trio": 3,
    "single": 1,
}  # fmt: skip
_NUMBER = rf"\d{{1,3}}|{'|'.join(_SIZES)}|{'|'.join(_NUMBERS)}"
_NOUNS = f"(?:{'|'.join(_PLACES)})s?"
_NO_TIME = rf"(?!\s*-?\s*(?:{UNIT}|%|percent|km|[ap]\.?m\b|o'?clock|:\d))"
_COUNT = re.compile(
    rf"\b(?:top|bottom|first|just|only|limit(?:ed)? to|no more than|{_SUPERLATIVE})[\s-]+({_NUMBER})\b{_NO_TIME}"
    rf"|(?<![\w.,])({_NUMBER})\s+of\s+(?:them|those|these)\b"
    rf"|(?<![\w.,])(?<!on the )(?<!along the )({_NUMBER})\b{_NO_TIME}\s+(?:\w+\s+){{0,2}}?(?:{_SUPERLATIVE}"
    rf"|{_NOUNS})\b",
    re.IGNORECASE,
)
_SLOW = re.compile(
    r"\b(?:jam\w*|crawl\w*|slow\w*|stuck|gridlock\w*|steer clear|avoid|congest\w*|clog\w*"
    r"|bottlenecks?|freely|trouble\w*)\b",
    re.IGNORECASE,
)


_OTHER_END = re.compile(
    r"\b(?:other|opposite|far) (?:end|side|way round|extreme)\b|\bthe (?:reverse|opposite)\b"
    r"|\bthe other way (?:a)?round\b"
    r"|\bupside down\b",
    re.IGNORECASE,
)


_ONLY = re.compile(
    rf"\W*(?:(?:and|but|only|just|please|show|give|me|make|it|that|list)\s+)*(?:the\s+)?(?:top|first|worst"
    rf"|best)\s+(?:{_NUMBER})(?: please)?\W*",
    re.IGNORECASE,
)


_AS_MANY = re.compile(
    r"\W*(?:(?:and|but|only|just|please|can|could|may|you|i|we|have|see|want|need|show|give|list|me|us|make|do"
    r"|let's|it|that"
    r"|the|them|say|ok|okay|now|rather|i'd|like|to|take|try|name|up|extend|shorten|cut)\b\s*)*"
    rf"(?P<count>{_NUMBER})(?:\s+(?:instead|please|only|places|stations|sensors|roads|of|them|these|those|will"
    rf"|would|do|is"
    r"|are|enough|ones?|rather|than|five|three|thanks|long))*\W*",
    re.IGNORECASE,
)
"""How many places are wanted is all that is said: "make it ten", "just three please"."""


@dataclass(frozen=True)
class Ranking:
    """What a ranking is by.

    Attributes:
        order: None: the worse end of the quantity comes first, or the better one where `best`.
        limit: How many places; None: a few.
    """

    by: By
    order: Order | None
    best: bool = False
    limit: int | None = None

    def first(self, low_is_bad: bool) -> Order:
        """Which end comes first, of a quantity whose low values are bad, or whose high ones are."""
        if self.order is not None:
            return self.order
        return "lowest" if low_is_bad != self.best else "highest"


def ranking(question: str, place_word: str = "station") -> Ranking | None:
    """The ranking of places that a question asks for, or None.

    Args:
        question: The person's words, which name no place.
        place_word: What a node is called.
    """
    if _OF_DATA.search(question) or not any(pattern.search(question) for pattern in _asks(place_word)):
        return None
    return described(question)


def described(question: str) -> Ranking:
    """How the words of a question rank, once it is known that it asks for a ranking."""
    limit = _limit(question)
    if _has(_RISING, question) or _has(_FALLING, question) or _has(_CHANGING, question):
        return Ranking("change", "lowest" if _has(_FALLING, question) else "highest", limit=limit)
    if _has(_USUAL, question):
        below = re.search(_BELOW_USUAL, question, re.IGNORECASE) or _has(
            rf"{_TOP[1]}|slow|slower|quiet|quieter|low|empty", question
        )
        return Ranking("usual", "lowest" if below else "highest", limit=limit)
    # "worst" and "slowest" may stand together: the one that names an end decides.
    if _has(_TOP[1], question):
        return Ranking("level", "lowest", limit=limit)
    if _has(_GOOD_OR_BAD[0], question) or _has(_GOOD_OR_BAD[1], question):
        return Ranking("level", None, _has(_GOOD_OR_BAD[1], question), limit)
    return Ranking("level", "highest", limit=limit)


def about_jams(question: str) -> bool:
    """Whether what is ranked is how traffic moves, though no quantity is named: 'what should I steer clear of?'."""
    return _SLOW.search(question) is not None


def turned(question: str, before: Ranking) -> Ranking | None:
    """The ranking before from its other end, where that is all that is said: 'and the lowest?'; else None."""
    found = re.fullmatch(
        rf"\W*(?:and|but|what about|now|which (?:one )?is)?\s*(?:the\s+)?(?:(?P<few>{_NUMBER})\s+)?({_SUPERLATIVE})"
        rf"(?:\s+(?P<many>{_NUMBER}))?(?:\s+(?:ones?|{_NOUNS}))?\W*",
        question,
        re.IGNORECASE,
    )
    if found is None and (fewer := _ONLY.fullmatch(question)):
        return replace(before, limit=_limit(fewer[0]))
    if found is None and (as_many := _AS_MANY.fullmatch(question)):
        return replace(before, limit=_size(as_many["count"]))
    if found is None:
        if not _OTHER_END.search(question):
            return None
        if before.order is None:
            return replace(before, best=not before.best)
        return replace(before, order="lowest" if before.order == "highest" else "highest")
    number = found["few"] or found["many"]
    before = replace(before, limit=_size(number) if number else before.limit)
    if _has("|".join(_GOOD_OR_BAD), found[2]):
        return replace(before, order=None, best=_has(_GOOD_OR_BAD[1], found[2]))
    return replace(before, order="lowest" if _has(_TOP[1], found[2]) else "highest")


def without_pace(question: str) -> str:
    """The question without words for the pace of a change, which are none for a speed: 'rising fastest'."""
    return re.sub(_PACE, lambda found: found[1], question, flags=re.IGNORECASE)


@cache
def _asks(place_word: str) -> tuple[re.Pattern[str], ...]:
    """'which stations are highest', 'where is it worst', 'the busiest station', 'top five', 'stations that rise'."""
    nouns = f"(?:{'|'.join(map(re.escape, (place_word, *_PLACES)))})"
    texts = (
        rf"\b(?:which|what)\s+(?:\w+\s+){{0,3}}?{nouns}s?\b.{{0,60}}\b(?:{_ANY})\b",
        rf"\bwhich\s+(?:one\s+)?(?:is|are|has|have|was|were)\b.{{0,20}}\b(?:{_SUPERLATIVE})\b",
        rf"\bwhere\b.{{0,60}}\b(?:{_ANY})\b",
        rf"\b(?:{_SUPERLATIVE})(?:\s+(?!at\b|of\b|in\b|near\b|the\b|on\b)\w+){{0,2}}\s+{nouns}s?\b",
        rf"\b(?:{_ANY}|busy|quiet|slow)\b.{{0,40}}\banywhere\b",
        rf"\b{nouns}s\b.{{0,40}}\b(?:{_ANY})\b",
        rf"\brank(?:ing)?\b.{{0,30}}\b{nouns}s\b|\b(?:top|bottom)\s+\w+\s.{{0,30}}\b{nouns}s\b",
        r"^\W*(?:the\s+)?(?:top|bottom)\s+(?:\d+|[a-z]+)\s+\S+",
        rf"^\W*(?:the\s+)?(?:{_SUPERLATIVE})\s+\w",
    )
    return tuple(re.compile(text, re.IGNORECASE) for text in texts)


def _has(words: str, question: str) -> bool:
    return re.search(rf"\b(?:{words})\b", question, re.IGNORECASE) is not None


def _limit(question: str) -> int | None:
    for found in _COUNT.finditer(question):
        if count := _size(next(number for number in found.groups() if number)):
            return count
    return None


def _size(words: str) -> int | None:
    """The number of places that a number or a word for one means, at most as many as can be ranked; None for 0."""
    word = words.casefold()
    count = int(word) if word.isdecimal() else _SIZES.get(word) or _NUMBERS.index(word) + 1
    return min(count, MOST) or None
