"""Names of places without capitals, given away by the way behind them: "harbour bridge northbound"."""

from __future__ import annotations

import re

from mm4st_agent.agent.backends.common_words import stop_words

MOST = 2
"""With more, they are no names that are asked about."""
_SMALL_WITH_WAY = re.compile(
    r"\b(?P<name>(?:[a-z][a-z'’-]+\s+){1,3})(?:(?:north|south|east|west)bound|(?:(?:anti|counter)-?)?clockwise)(?![\w-])"
)
_NO_NAME = frozenset(
    {
        "traffic", "going", "heading", "driving", "cars", "vehicles", "travelling", "traveling", "which", "direction",
        "one",
        "side", "nearest", "closest", "next", "worst", "best", "cleanest", "dirtiest", "speed", "flow", "fast", "slow",
        "busy", "the", "other", "another", "any", "every", "each", "only", "new", "first", "second", "same", "your",

        "record", "map", "forecast", "moving", "running", "single", "jam", "jams", "northbound",
        "southbound",
        "eastbound", "westbound", "move", "drive", "carriageway", "much", "many", "quality", "ten", "five", "three",
        "station",
        "sensor", "place", "detector", "polluted", "list", "show", "give", "nearby", "broken", "faulty", "quieter",
        "busier",
        "slower", "faster", "quicker", "worse", "better", "compare", "plot", "draw", "check", "will", "predict", "get",
    }
)  # fmt: skip
"""Words that stand before a way and are no part of a name."""

_ROADS = frozenset({"lane", "lanes", "road", "street", "freeway", "highway"})
"""Part of a name, but none by themselves."""


def small_names(text: str) -> list[tuple[int, int]]:
    """Where such names stand.

    >>> text = "how busy is mill bridge clockwise?"
    >>> [text[start:end] for start, end in small_names(text)]
    ['mill bridge clockwise']
    """
    found = []
    for match in _SMALL_WITH_WAY.finditer(text):
        words = list(re.finditer(r"[\w'’-]+", match["name"]))
        while words and (_is_no_name(words[0][0]) or words[0][0].endswith(("ed", "ing"))):
            words.pop(0)
        if {word[0] for word in words} - _ROADS and not any(_is_no_name(word[0]) for word in words):
            found.append((match.start() + words[0].start(), match.end()))
    return found if len(found) <= MOST else []


def _is_no_name(word: str) -> bool:
    return word in _NO_NAME or word.removesuffix("'s").removesuffix("’s") in stop_words()
