"""Lines of a prompt, and how numbers and spans of time are written in them."""

from __future__ import annotations

import math
import re
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

POINTS = ("north", "northeast", "east", "southeast", "south", "southwest", "west", "northwest")
"""Of the compass, each 45 degrees from the one before."""
_CODE = re.compile(r"[A-Za-z]{0,4}[-_]?\d+")

LineKind = Literal["calendar", "event", "weather", "network", "anomaly"]


class Line(NamedTuple):
    """One fact in words.

    Attributes:
        node: Position of the node that it is about; None is the whole network.
        kind: What sort of fact.
    """

    text: str
    node: int | None
    kind: LineKind


Prompt = tuple[Line, ...]


class FactSource(Protocol):
    """One sort of facts, in words and as numbers."""

    def lines(self, origin: int) -> list[Line]:
        """What it has to say before the forecast whose first step is `origin`."""

    @property
    def names(self) -> tuple[str, ...]:
        """`(F,)` of the columns of `numbers`."""

    def numbers(self, origin: int) -> NDArray[np.float32]:
        """`(N, F)`, or `(1, F)` where all nodes have the same; finite, of about unit size."""


def number(value: float, digits: int = 2) -> str:
    """So many significant digits, without an exponent.

    >>> number(1234.0), number(-0.0456), number(0.0)
    ('1200', '-0.046', '0')
    """
    return _positional(float(f"{value:.{digits - 1}e}"))


def measure(value: float, spread: float) -> str:
    """As many digits as tell values apart that differ by a tenth of `spread`, in whole units at least.

    >>> measure(1012.34, 10.0), measure(2.345, 1.2), measure(-0.04, 11.0)
    ('1012', '2.3', '0')
    """
    return _positional(round(value, max(0, 1 - math.floor(math.log10(spread)))))


def _positional(value: float) -> str:
    return "0" if value == 0 else np.format_float_positional(value, trim="-")


def is_code(text: str) -> bool:
    """Whether a text is an identifier such as J07 or 717446, which says nothing in words."""
    return _CODE.fullmatch(text) is not None


def span(minutes: float) -> str:
    """A span of time in the unit that people would use.

    >>> span(12), span(150), span(3000)
    ('12 min', '2.5 hours', '2.1 days')
    """
    if minutes < 100:
        return f"{minutes:.0f} min"
    return f"{number(minutes / 60)} hours" if minutes < 2880 else f"{number(minutes / 1440)} days"
