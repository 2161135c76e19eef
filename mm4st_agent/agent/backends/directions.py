"""Words that lead from one place to the next: "the next station north", "one upstream", "the other direction"."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import get_args

from mm4st_agent.agent.backends.request import Direction

_WAY = r"north|south|east|west|upstream|downstream"
_NEXT = r"next|nearest|neighbou?ring|adjacent|closest|following|previous"
_NOUN = r"(?:station|sensor|detector|place|node|site|one|neighbou?r|monitor|link|junction)"
_NEXT_PLACE = re.compile(
    rf"\b(?:the\s+)?(?:same\s+(?:for|at)\s+)?(?:the\s+)?(?:{_NEXT})\s+(?:\w+\s+)??{_NOUN}?s?\s*(?:to the\s+"
    rf"|further\s+|in the\s+|up\s+|toward?s? the\s+)?"
    rf"(?P<way1>{_WAY})(?:wards?|ern)?\b(?:\s+direction)?(?:\s+(?:of|from)\b(?:\s+(?:it|there|here|this one|that one"
    rf"|that|this)\b)?)?"
    rf"|\b(?:one|{_NOUN}|just|directly|immediately|right|further)\s+(?:(?:{_NOUN}|further|just"
    rf"|directly)\s+)*(?:to the\s+|further\s+|just\s+)?(?P<way2>{_WAY})"
    rf"(?:wards?)?\b(?!\s*bound)(?:\s+(?:of|from)\b(?:\s+(?:it|there|here|this one|that one|that|this)\b)?)?"
    rf"|\b(?P<way3>{_WAY})(?:ern)?\s+(?:neighbou?rs?|{_NOUN}\s+(?:of|from)\b)"
    rf"|\b(?P<way4>upstream|downstream)\s+(?:of|from)\b(?:\s+(?:it|there|here|this one|that one|that|this)\b)?"
    rf"|\bcomes?\s+(?:next|after|before|behind)(?:\s+(?:it|that|this|there))?\s+(?:to the\s+"
    rf"|in the\s+)?(?P<way5>{_WAY})\b"
    rf"|\b(?P<near>the (?:next|nearest|neighbou?ring|adjacent|closest) (?:station|sensor|detector|site|one)(?: along"
    rf"| over)?|its (?:nearest |closest )?neighbou?r)\b"
    r"(?!\s+(?:to|hour|\d)|\s*#)(?:\s+(?:of|from)\b)?",
    re.IGNORECASE,
)
_OTHER_WAY = re.compile(
    r"\b(?:other|opposite|reverse|opposing)\s+(?:direction|way|carriageway|side|bound)\b|\bthe other way(?: round)?\b"
    r"|\b(?:on the )?way back\b|\bin reverse\b",
    re.IGNORECASE,
)
_OPPOSITE = {
    "northbound": "southbound", "eastbound": "westbound", "clockwise": "anticlockwise", "inbound": "outbound",
    "north": "south", "east": "west",
}  # fmt: skip
_TURNED = {**_OPPOSITE, **{there: here for here, there in _OPPOSITE.items()}}
_HEADING = re.compile(rf"\b(?:{'|'.join(sorted(_TURNED, key=len, reverse=True))})\b", re.IGNORECASE)
_FREEWAY = re.compile(r"^(?P<road>[A-Z]{0,3}\d{1,3}-)(?P<heading>[NSEW])\b")
_TURNED_LETTER = {"N": "S", "S": "N", "E": "W", "W": "E"}


@dataclass(frozen=True)
class Beside:
    """The way to the place that is meant, and where its words stand in the question."""

    way: Direction
    at: tuple[int, int]


def direction(question: str) -> Beside | None:
    """Which way a question goes on from a place that it names or that was spoken of; None where it does not.

    >>> direction("same for the next station north").way
    'north'
    >>> direction("and just downstream of S039?").way
    'downstream'
    >>> direction("How busy is Castle Hill southbound?") is None
    True
    """
    found = _NEXT_PLACE.search(question)
    if found is None:
        return None
    way = next((found[name] for name in ("way1", "way2", "way3", "way4", "way5") if found[name]), "near").casefold()
    return Beside(next(known for known in get_args(Direction) if known == way), found.span())


def turns_round(question: str) -> bool:
    """Whether the other direction of the same road is meant.

    >>> turns_round("and the other direction?")
    True
    """
    return _OTHER_WAY.search(question) is not None


def turned(description: str) -> str | None:
    """The words for the same place in the other direction; None where the description names no direction.

    >>> turned("Castle Hill southbound, Coast Road, 1 lane, residential")
    'Castle Hill northbound'
    >>> turned("SR57-S, CHAPMAN 1, postmile 12.3")
    'SR57-N CHAPMAN 1'
    """
    parts = [part.strip() for part in description.split(",")]
    if freeway := _FREEWAY.match(parts[0]):
        return " ".join([f"{freeway['road']}{_TURNED_LETTER[freeway['heading']]}", *parts[1:2]])
    found = list(_HEADING.finditer(parts[0]))
    if not found:
        return None
    last = found[-1]
    return parts[0][: last.start()] + _TURNED[last[0].casefold()] + parts[0][last.end() :]


_ONLY_A_WAY = re.compile(
    rf"\W*(?:(?:and|but|what about|how about|same|for|the|going|heading|in|ok(?:ay)?|now|please|or|on|is it"
    rf"|then|is)\s+)*"
    rf"(?P<way>{'|'.join(sorted(_TURNED, key=len, reverse=True))})(?:bound)?"
    r"(?:\s+(?:direction|side|carriageway|one|please|then|instead|too|lanes?|as well|way))*\W*",
    re.IGNORECASE,
)


def way_only(question: str) -> str | None:
    """The way of a road where that is all that a question names: "and northbound?".

    >>> way_only("and northbound?"), way_only("and the next station north?")
    ('northbound', None)
    """
    found = _ONLY_A_WAY.fullmatch(question)
    if found is None:
        return None
    way = found["way"].casefold()
    return f"{way}bound" if way in ("north", "south", "east", "west") else way


def headed(description: str, way: str) -> str | None:
    """The words for the same place with the way `way`; None where the description names none.

    >>> headed("Castle Hill southbound, Coast Road, 1 lane", "northbound")
    'Castle Hill northbound'
    """
    first = description.split(",")[0].strip()
    if freeway := _FREEWAY.match(first):
        return turned(description) if freeway["heading"] != way[0].upper() else None
    found = list(_HEADING.finditer(first))
    return first[: found[-1].start()] + way + first[found[-1].end() :] if found else None
