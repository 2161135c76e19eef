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
NUMBER_WORDS = _WORDS
"""Whole numbers below a hundred, in words."""
_BOUND = (
    r"before|after|from|following|starting|beginning|leading|up to|until|till|to come|ahead|to\s+(?:noon|midday|\d"
    r"|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)"
)
"""What makes "the hour" one hour, not the clock's."""
_FRACTIONS = {
    r"(?:an?\s+)?(?:quarter(?:\s+of\s+an?)?|¼\s*(?:of\s+an?)?)": 0.25,
    r"three[- ]quarters\s+of\s+an?|¾\s*(?:of\s+an?)?": 0.75,
    r"(?:an?\s+)?(?:half(?:\s+(?:of\s+)?an?)?|½\s*(?:an?)?|1/2\s*(?:an?)?)": 0.5,
    r"(?:an?\s+)?(?:couple|pair)(?:\s+of)?": 2.0,
    r"(?:an?\s+)?(?:few|several)": 3.0,
    r"half\s+(?:a\s+)?dozen|an?\s+half[- ]dozen": 6.0,
    r"(?:an?\s+)?dozen": 12.0,
    r"an?": 1.0,
}
COUNT = (
    rf"(?<![\w.,:])[-−]?\d+(?:[.,]\d+)?(?:½|¼|¾)?(?![/\d])|\b(?:{_WORDS})(?!\w)"
    rf"|(?<!\w)(?:{'|'.join(sorted(_FRACTIONS, key=len, reverse=True))})(?!\w)"
)
_MINUTES = {"s": 1 / 60, "m": 1.0, "h": 60.0, "d": 1440.0, "w": 10080.0, "f": 20160.0, "month": 30 * 1440.0}
_PARTS = {"½": 0.5, "¼": 0.25, "¾": 0.75}
UNIT = r"(?:seconds?|secs?|minutes?|mins?|m(?!\w)|hours?|hrs?|h(?!\w)|days?|d(?!\w)|weeks?|wks?|fortnights?|months?)\b"
_LENGTH = re.compile(
    rf"(?P<count>{COUNT})(?P<half>\s+and\s+a\s+half)?\s*-?(?P<unit>{UNIT})(?P<half_after>\s+and\s+a\s+half)?"
    rf"(?:\s*(?:,|and|&)?\s*(?P<count2>{COUNT})\s*(?P<unit2>{UNIT}))?"
    rf"|(?<![\w.,:])(?P<hours>\d{{1,2}})h(?P<rest>\d{{2}})\b|\bthe\s+(?P<the>hour)(?=\s+(?:{_BOUND}))"
    r"|(?<=\bin )(?P<bare>5|10|15|20|25|30|40|45|50|60|90|five|ten|fifteen|twenty|thirty|forty)(?=\s*(?:$|[?!,;]))"
    r"|\b(?P<and_half>hour|day|week)\s+and\s+a\s+half"
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
    for pattern, value in _FRACTIONS.items():
        if re.fullmatch(pattern, words):
            return value
    if re.match(r"[-−]?\d", words):
        part = next((value for sign, value in _PARTS.items() if words.endswith(sign)), 0.0)
        return float(words.rstrip("".join(_PARTS)).replace("−", "-").replace(",", ".")) + part
    return float(sum(_TENS.get(part) or _SMALL[part] for part in re.split(r"[- ]", words)))


def lengths(text: str) -> list[Length]:
    """Every length of time in a lower-case text, in order."""
    return [_length(found) for found in _LENGTH.finditer(text)]


def _length(found: re.Match[str]) -> Length:
    if found["hours"]:
        return Length(60.0 * int(found["hours"]) + int(found["rest"]), *found.span())
    if found["bare"]:
        return Length(number(found["bare"]), *found.span())
    if found["and_half"]:
        return Length(1.5 * _size(found["and_half"]), *found.span())
    if found["the"]:
        return Length(60.0, *found.span())
    minutes = number(found["count"])
    if found["half"] or found["half_after"]:
        minutes += 0.5
    minutes *= _size(found["unit"])
    if found["count2"]:
        minutes += number(found["count2"]) * _size(found["unit2"])
    return Length(minutes, *found.span())


def _size(unit: str) -> float:
    """Minutes of a unit, which its first letter tells but of months."""
    return _MINUTES["month" if unit.startswith("mo") else unit[0]]
