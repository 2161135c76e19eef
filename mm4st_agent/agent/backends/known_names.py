"""Names of places that the data have, however they are written: "no2 at eastgate", "collins sb on the 55"."""

from __future__ import annotations

import re
from functools import lru_cache

from mm4st_agent.agent.backends.common_words import stop_words

_WAY = r"(?:(?:north|south|east|west)bound|(?:(?:anti|counter)-?)?clockwise|inbound|outbound|[nsew]b|[nsew]/b)"
_WHAT = (
    r"(?:(?:roadside|kerbside|background)(?:\s+air)?(?:\s+(?:station|sensor|monitor))?"
    r"|(?:air|road)\s+(?:station|sensor|monitor))"
)
_TAIL = re.compile(rf"(?:\s+{_WAY}|\s+{_WHAT}|\s*\d+)+$", re.IGNORECASE)
LEAST = 4
"""Letters; a shorter name may be any word."""


def known_names(text: str, names: tuple[str, ...]) -> list[tuple[int, int]]:
    """Where names stand, with the way or the kind behind them.

    Args:
        text: In any case.
        names: Of all places, as the data have them.

    >>> text = "chance of pm2.5 at long beach nb above 15?"
    >>> [text[slice(*at)] for at in known_names(text, ("Long Beach northbound", "Long Beach southbound"))]
    ['long beach nb']
    """
    pattern = _pattern(names)
    return [] if pattern is None else [found.span() for found in pattern.finditer(text)]


@lru_cache(maxsize=8)
def _pattern(names: tuple[str, ...]) -> re.Pattern[str] | None:
    bare = {_TAIL.sub("", name.casefold()).strip() for name in names}
    telling = [name for name in bare if len(re.findall(r"[^\W\d_]", name)) >= LEAST and not _is_common(name)]
    if not telling:
        return None
    listed = "|".join(r"\s+".join(map(re.escape, name.split())) for name in sorted(telling, key=len, reverse=True))
    number = r"(?:\s?\d\b(?![-:.–]\d))?"
    return re.compile(rf"(?<![\w-])(?:{listed}){number}(?:\s+{_WAY}\b)?(?:\s+{_WHAT}\b)?(?![\w-])", re.IGNORECASE)


def _is_common(name: str) -> bool:
    return all(word in stop_words() or word.isdigit() for word in re.findall(r"\w+", name))
