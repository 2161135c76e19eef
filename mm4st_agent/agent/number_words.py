"""Numbers in words as people write them in a text: counts ("two", "a dozen") and shares ("half", "a third")."""

from __future__ import annotations

import re

_ONES = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_COUNTS = {word: n for n, word in enumerate(_ONES)} | {word: 10 * n for n, word in enumerate(_TENS, 2)}
_SIZES = {"a dozen": 12, "a couple of": 2, "a hundred": 100, "one hundred": 100}
_ONE = "|".join(_ONES[1:10])
COUNT = re.compile(
    rf"\b(?:{'|'.join(_SIZES)}|(?:{'|'.join(_TENS)})(?:-(?:{_ONE}))?|"
    rf"{'|'.join(sorted(_ONES, key=len, reverse=True))})\b"
    r"(?!-)",
    re.IGNORECASE,
)
"""A whole number in words."""
LARGE = re.compile(rf"(?P<count>{COUNT.pattern}) (?P<size>hundred|thousand)\b", re.IGNORECASE)
"""So many hundreds or thousands in words."""

_PARTS = {"half": 2, "third": 3, "quarter": 4, "fifth": 5, "tenth": 10}
SHARE = re.compile(
    r"\b(?:(?P<many>two|three|four)[ -](?P<parts>thirds|quarters|fifths|tenths)"
    r"|(?:an?|one)\s+(?P<part>third|quarter|fifth|tenth)"
    r"|(?P<half>half))\b(?!\s*-?\s*(?:an?\s+)?(?:of\s+an\s+)?hour\b)",
    re.IGNORECASE,
)
"""A part of a whole in words; "half an hour" is none."""
MULTIPLE = re.compile(
    r"\b(?:(?P<twice>twice|double)|(?P<thrice>thrice|triple)|(?P<times>\w+(?:\.\d+)?)\s+times)\b(?=\s+(?:as\b|"
    r"the\b|its\b|"
    r"their\b|that\b|higher\b|more\b|faster\b|slower\b|what\b))",
    re.IGNORECASE,
)
"""So many times as much."""


def count_of(words: str) -> int:
    """The whole number that a match of `COUNT` says.

    >>> count_of("twenty-one"), count_of("a dozen")
    (21, 12)
    """
    said = " ".join(words.lower().split())
    return _SIZES[said] if said in _SIZES else sum(_COUNTS[part] for part in said.split("-"))


def large_of(found: re.Match[str]) -> int:
    """The whole number that a match of `LARGE` says.

    >>> large_of(LARGE.search("eighteen hundred"))
    1800
    """
    return count_of(found["count"]) * {"hundred": 100, "thousand": 1000}[found["size"].lower()]


def share_of(found: re.Match[str]) -> float:
    """The share that a match of `SHARE` says, 0..1."""
    if found["half"]:
        return 0.5
    if found["part"]:
        return 1 / _PARTS[found["part"].lower()]
    return _COUNTS[found["many"].lower()] / _PARTS[found["parts"].lower()[:-1]]


def multiple_of(found: re.Match[str]) -> float | None:
    """The factor that a match of `MULTIPLE` says; None where the word before "times" is no number."""
    if found["twice"]:
        return 2.0
    if found["thrice"]:
        return 3.0
    word = found["times"].lower()
    try:
        return float(_COUNTS.get(word, word))
    except ValueError:
        return None
