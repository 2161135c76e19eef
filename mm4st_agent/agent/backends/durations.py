"""Lengths of time as people write them: "90 min", "an hour and a half", "1,5 hours", "three quarters of an hour"."""

from __future__ import annotations

import re
from dataclasses import dataclass

_SMALL = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
    "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16, "seventeen": 17,
    "eighteen": 18, "nineteen": 19,
}  # fmt: skip
_TENS = {"twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90}
_WORDS = rf"(?:{'|'.join(_TENS)})(?:[- ](?:{'|'.join(list(_SMALL)[:9])}))?\b|(?:{'|'.join(reversed(_SMALL))})\b"
_FRACTIONS = {
    r"(?:a\s+)?quarter\s+of\s+an?": 0.25,
    r"three[- ]quarters\s+of\s+an?": 0.75,
    r"half(?:\s+(?:of\s+)?an?)?": 0.5,
    r"an?\s+couple\s+of|couple\s+of|an?\s+couple": 2.0,
    r"an?\s+few|few": 3.0,
    r"an?": 1.0,
}
COUNT = rf"(?<![\w.,:])[-−]?\d+(?:[.,]\d+)?|\b(?:{_WORDS}|{'|'.join(_FRACTIONS)})(?!\w)"
_MINUTES = {"s": 1 / 60, "m": 1.0, "h": 60.0, "d": 1440.0, "w": 10080.0}
UNIT = r"(?:seconds?|secs?|minutes?|mins?|m(?!\w)|hours?|hrs?|h(?!\w)|days?|weeks?)\b"
_LENGTH = re.compile(
    rf"(?P<count>{COUNT})(?P<half>\s+and\s+a\s+half)?\s*-?(?P<unit>{UNIT})(?P<half_after>\s+and\s+a\s+half)?"
    rf"(?:\s*(?:,|and)?\s*(?P<count2>{COUNT})\s*(?P<unit2>{UNIT}))?"
    r"|(?<![\w.,:])(?P<hours>\d{1,2})h(?P<rest>\d{2})\b"
)


@dataclass(frozen=True)
class Length:
    """A length of time in a text; `minutes` may be 0 or negative, as written."""

    minutes: float
    start: int
    end: int


def number(words: str) -> float:
    """The value of a count: digits, with a decimal point or comma, or words.

    >>> number("1,5"), number("twenty-five"), number("half an")
    (1.5, 25.0, 0.5)
    """
    words = words.strip().lower()
    if re.match(r"[-−]?\d", words):
        return float(words.replace("−", "-").replace(",", "."))
    for pattern, value in _FRACTIONS.items():
        if re.fullmatch(pattern, words):
            return value
    return float(sum(_TENS.get(part) or _SMALL[part] for part in re.split(r"[- ]", words)))


def lengths(text: str) -> list[Length]:
    """Every length of time in a lower-case text, in order."""
    return [_length(found) for found in _LENGTH.finditer(text)]


def _length(found: re.Match[str]) -> Length:
    if found["hours"]:
        return Length(60.0 * int(found["hours"]) + int(found["rest"]), *found.span())
    minutes = number(found["count"])
    if found["half"] or found["half_after"]:
        minutes += 0.5
    minutes *= _MINUTES[found["unit"][0]]
    if found["count2"]:
        minutes += number(found["count2"]) * _MINUTES[found["unit2"][0]]
    return Length(minutes, *found.span())
