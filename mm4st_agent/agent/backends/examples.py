"""Questions as people ask them, by what they ask for: `examples.txt`, from which the intent model is fitted.

A section is `[intent]`, or `[intent author]` with the number of the author of a part of the development half, whose
questions follow the phrasings that were written for the model. A blank line ends a group of questions that are phrased
alike, and a name of a place is written 'the station' or 'the sensor'. After a change:
`python -m mm4st_agent.agent.backends.fitting`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal, cast, get_args

Intent = Literal[
    "forecast", "status", "rank", "events", "comparison", "map", "picture", "patterns", "explanation", "what_if",
    "analogs", "backtest", "quality", "places", "dataset", "concept", "clock", "thanks", "identity", "chat",
    "off_topic", "unmeasured", "route", "capacity", "hazard",
]  # fmt: skip
MOST_ALIKE = 6
"""A group is cut into pieces of so many questions, so that cross-validation leaves out a phrasing, not an intent."""


@dataclass(frozen=True)
class Example:
    """One question; `group` numbers those that are phrased alike, `author` those who wrote them."""

    intent: Intent
    text: str
    group: int
    author: int = 0


@cache
def examples() -> tuple[Example, ...]:
    """All of them, each text once."""
    found: dict[str, Example] = {}
    intent, author, group, size = "", 0, 0, 0
    for line in _text().splitlines():
        if line.startswith("["):
            intent, _, number = line.strip("[]").partition(" ")
            author = int(number or 0)
            assert intent in get_args(Intent), intent
        if line.startswith("[") or not line or size == MOST_ALIKE:
            group, size = group + 1, 0
        if line and not line.startswith("["):
            found.setdefault(line, Example(cast("Intent", intent), line, group, author))
            size += 1
    return tuple(found.values())


def digest() -> str:
    """SHA-256 of the examples, which the fitted model names."""
    return hashlib.sha256(_text().encode()).hexdigest()


@cache
def _text() -> str:
    return resources.files(__package__).joinpath("examples.txt").read_text(encoding="utf-8")
