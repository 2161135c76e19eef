"""Questions about all places at once: which are highest, worst, most unusual, or change most."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

By = Literal["level", "usual", "change"]
Order = Literal["highest", "lowest"]

MOST = 20
"""The longest ranking that rank_places gives."""

_TOP = (
    r"busiest|fastest|most|highest|largest|biggest|greatest|strongest|peaks?|maximum|max",
    r"quietest|slowest|least|lowest|smallest|weakest|emptiest|minimum|min",
)
_GOOD_OR_BAD = (r"worst|dirtiest|jammed|jams?|congested|congestion|bad", r"best|cleanest|freest")
_USUAL = r"unusual\w*|abnormal\w*|anomal\w*|usual|normal|normally|usually"
_BELOW_USUAL = r"\b(?:below|under|less than|lower than|quieter than|fewer than|slower than)\b.{0,12}\b(?:usual|normal)"
_RISING = r"rising|rises?|risen|rose|increas\w*|growing|grown|grew|climb\w*|up most"
_FALLING = r"falling|falls?|fallen|fell|drop\w*|decreas\w*|declin\w*|shrink\w*|improv\w*"
_CHANGING = r"chang\w*"
_SUPERLATIVE = "|".join((*_TOP, *_GOOD_OR_BAD))
_PACE = rf"\b({_RISING}|{_FALLING}|{_CHANGING})\s+(?:the\s+)?(?:fast|faster|fastest|slow|slowest)\b"
_ANY = "|".join((_SUPERLATIVE, _USUAL, _RISING, _FALLING, _CHANGING))
_PLACES = (
    "place", "station", "sensor", "node", "site", "road", "spot", "service", "detector", "monitor", "district", "area",
    "bridge", "street", "junction", "link", "freeway", "highway", "server", "machine", "instance",
)  # fmt: skip
_OF_DATA = re.compile(r"\b(?:missing|imputed|complete\w*|gaps?|faulty|broken|how many)\b", re.IGNORECASE)
_COUNT = re.compile(rf"\btop\s+(\w+)\b|\b(\w+)\s+(?:{_SUPERLATIVE})\b", re.IGNORECASE)
_NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


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
    limit = _limit(question)
    if _has(_RISING, question) or _has(_FALLING, question) or _has(_CHANGING, question):
        return Ranking("change", "lowest" if _has(_FALLING, question) else "highest", limit=limit)
    if _has(_USUAL, question):
        below = re.search(_BELOW_USUAL, question, re.IGNORECASE) or _has(_TOP[1], question)
        return Ranking("usual", "lowest" if below else "highest", limit=limit)
    # "worst" and "slowest" may stand together: the one that names an end decides.
    if _has(_TOP[1], question):
        return Ranking("level", "lowest", limit=limit)
    if _has(_GOOD_OR_BAD[0], question) or _has(_GOOD_OR_BAD[1], question):
        return Ranking("level", None, _has(_GOOD_OR_BAD[1], question), limit)
    return Ranking("level", "highest", limit=limit)


def turned(question: str, before: Ranking) -> Ranking | None:
    """The ranking before from its other end, where that is all that is said: 'and the lowest?'; else None."""
    found = re.fullmatch(
        rf"\W*(?:and|but|what about|now|which (?:one )?is)?\s*(?:the\s+)?({_SUPERLATIVE})(?:\s+ones?)?\W*",
        question,
        re.IGNORECASE,
    )
    if found is None:
        return None
    if _has("|".join(_GOOD_OR_BAD), found[1]):
        return replace(before, order=None, best=_has(_GOOD_OR_BAD[1], found[1]))
    return replace(before, order="lowest" if _has(_TOP[1], found[1]) else "highest")


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
        rf"\brank(?:ing)?\b.{{0,30}}\b{nouns}s\b|\btop\s+\w+\s.{{0,30}}\b{nouns}s\b",
    )
    return tuple(re.compile(text, re.IGNORECASE) for text in texts)


def _has(words: str, question: str) -> bool:
    return re.search(rf"\b(?:{words})\b", question, re.IGNORECASE) is not None


def _limit(question: str) -> int | None:
    for found in _COUNT.finditer(question):
        word = (found[1] or found[2]).casefold()
        count = int(word) if word.isdecimal() else _NUMBERS.index(word) + 1 if word in _NUMBERS else 0
        if count:
            return min(count, MOST)
    return None
