"""Which of several places an answer means: by its id, its number in the list, or words that only it has."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

_ORDINALS = (
    ("first", "1st"),
    ("second", "2nd"),
    ("third", "3rd"),
    ("fourth", "4th"),
    ("fifth", "5th"),
    ("sixth", "6th"),
)
_NOT_TELLING = frozenset(
    {
        "the", "one", "a", "an", "i", "mean", "meant", "please", "of", "at", "it", "s", "station", "sensor", "yes",
        "sure", "and", "ok", "okay", "that", "this", "is", "was", "take",
    }
)  # fmt: skip


_WAY = re.compile(r"(?:north|south|east|west)(?:bound)?|(?:anti|counter)?clockwise|inbound|outbound")
_OF_WAYS = frozenset(
    {"tube", "bore", "side", "carriageway", "direction", "going", "heading", "headed", "bound", "lane", "lanes", "way",
     "towards", "to", "road", "street", "in", "on"}
)  # fmt: skip
"""Words that may stand beside a way: "the northbound tube", "the one going east"."""


def chosen_among(answer: str, places: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """The place that is meant; None where the words fit none, or several.

    Args:
        answer: The person's words, or the whole choice.
        places: Matches of find_places in the order in which they were offered.

    >>> offered = [{"id": "S1", "description": "Hill southbound"}, {"id": "S2", "description": "Hill northbound"}]
    >>> chosen_among("the second one", offered)["id"], chosen_among("southbound please", offered)["id"]
    ('S2', 'S1')
    """
    said = re.findall(r"[\w-]+", answer.casefold())
    for place in places:
        if str(place["id"]).casefold() in said:
            return place
    for rank, ordinals in enumerate(_ORDINALS[: len(places)]):
        if not set(ordinals).isdisjoint(said):
            return places[rank]
    if "last" in said and places:
        return places[-1]
    telling = [word for word in said if word not in _NOT_TELLING]
    fitting = [
        place
        for place in places
        if telling and all(word[:5] in f"{place['id']} {place['description']}".casefold() for word in telling)
    ]
    if len(fitting) != 1:
        ways = [word for word in telling if word not in _OF_WAYS]
        alone = bool(ways) and all(_WAY.fullmatch(word) for word in ways)
        fitting = [p for p in places if alone and all(_has(p["description"], way) for way in ways)]
    return fitting[0] if len(fitting) == 1 else None


def _has(description: Any, way: str) -> bool:
    """Whether a place is on this way, as 'east' or 'eastbound' tells it."""
    return any(word in (way, f"{way}bound") for word in re.findall(r"[\w-]+", str(description).casefold()))
