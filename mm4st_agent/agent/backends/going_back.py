"""Back to a place that the thread spoke of before the latest one: "back to the first one: its speed?"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_PLACES = r"(?:one|station|place|sensor|site|road|spot|detector)"
_BACK = re.compile(
    rf"\b(?:(?:going |go )?back to|return(?:ing)? to|again(?: for| at)?|once more(?: for| at)?|(?:and"
    rf"|what about|how about|for|at))"
    rf"\s+the\s+(?P<which>first|second|third|previous|earlier|other"
    rf"|original)\s+{_PLACES}\b(?P<again>\s+again\b)?\s*[:,;-]?\s*",
    re.IGNORECASE,
)
_POSITIONS = {"first": 0, "original": 0, "second": 1, "third": 2, "previous": -2, "earlier": -2, "other": -2}


@dataclass(frozen=True)
class Back:
    """The places that a message goes back to, and the rest of its words."""

    nodes: tuple[str, ...]
    rest: str


def back_to(question: str, spoken: Sequence[tuple[str, ...]]) -> Back | None:
    """Which of the places that a thread spoke of is meant again; None where the words go back to none.

    Args:
        question: The person's words.
        spoken: The places, those spoken of first at the beginning.

    >>> back_to("back to the first one: its flow for the next hour?", [("S034",), ("S069",)])
    Back(nodes=('S034',), rest='its flow for the next hour?')
    """
    found = _BACK.search(question)
    if found is None or len(spoken) < 2:
        return None
    position = _POSITIONS[found["which"].casefold()]
    if position >= len(spoken):
        return None
    rest = f"{question[: found.start()]} {question[found.end() :]}".strip(" ,;:")
    return Back(spoken[position], rest if re.search(r"\w", rest) else "and there?")
