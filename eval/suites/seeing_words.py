"""Reading an answer about a picture: which of the options it says, in whatever words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial

_NONE = r"\bno\b|\bnone\b|\bneither\b|\bnothing\b|\bwithout\b|\bkeeps?\b|\bnot (?!fit)"
_WORDS: Mapping[str, Mapping[str, str]] = {
    "trend": {
        "rising": r"\bris(?:es|ing|en?)\b|\brose\b|\bup(?:wards?)?\b|\bincreas\w+|\bgrow(?:s|ing)\b",
        "falling": r"\bfall(?:s|ing|en)?\b|\bfell\b|\bdown(?:wards?)?\b|\bde(?:creas|clin)\w+",
    },
    "spike": {
        "up": r"\bspikes?\b[^;\n]*\babove\b|\bup(?:wards?)?\b|\bpeak\b",
        "down": r"\bspikes?\b[^;\n]*\bbelow\b|\bdown(?:wards?)?\b|\bdip\b",
    },
    "level shift": {
        "up": r"\bmean went up\b|\bup(?:wards?)?\b|\bhigher level\b|\brose\b",
        "down": r"\bmean went down\b|\bdown(?:wards?)?\b|\blower level\b|\bfell\b",
    },
}
_ABOUT = {
    "trend": r"trend|ris|fall|fell|rose|up|down|increas|decreas|none|neither",
    "spike": r"spike|peak|dip|up|down|none|neither|nothing",
    "level shift": r"level|shift|mean|spread|change|up|down|none|neither",
    "cycle": r"cycl|repeat|period|daily|every|hour|day|none",
    "missing": r"missing|gaps?|no value|measured|none|some|yes|no\b",
}
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?!\[E)|\n+")
_HOURS = re.compile(
    r"\b(?P<n>\d+(?:\.\d+)?|an?|one|eight|each|every) ?(?P<unit>hours?|h|days?|minutes?|min)\b", re.IGNORECASE
)
_NUMBERS = {"a": 1.0, "an": 1.0, "one": 1.0, "eight": 8.0, "each": 1.0, "every": 1.0}
_IN_HOURS = {"h": 1.0, "d": 24.0, "m": 1 / 60}
_MISSING = re.compile(
    r"(\d[\d,]*(?:\.\d+)?) ?(?:%|cells|readings|steps|of \S+ steps)? (?:are|is|were|have) (?:missing|no value)"
)


def said_option(asked: str, text: str) -> str | None:
    """The option that an answer says, in its first sentence that says one; None where none does."""
    for sentence in _SENTENCE.split(re.sub(r"\[E\d+(?:, ?E\d+)*\]|\*\*", "", text)):
        if not re.search(_ABOUT[asked], sentence, re.IGNORECASE):
            continue
        found = {"cycle": _said_cycle, "missing": _said_missing}.get(asked, partial(_said_direction, asked))(sentence)
        if found is not None:
            return found
    return None


def _said_direction(asked: str, sentence: str) -> str | None:
    said = [option for option, words in _WORDS[asked].items() if re.search(words, sentence, re.IGNORECASE)]
    if re.search(_NONE, sentence, re.IGNORECASE):
        return "none"
    return said[0] if len(said) == 1 else None


def _said_cycle(sentence: str) -> str | None:
    if re.search(_NONE, sentence, re.IGNORECASE):
        return "none"
    if re.search(r"\bdaily\b", sentence, re.IGNORECASE):
        return "day"
    for found in _HOURS.finditer(sentence):
        number = _NUMBERS.get(found["n"].lower()) or float(found["n"])
        hours = number * _IN_HOURS[found["unit"][0].lower()]
        for option, true in (("day", 24.0), ("8 hours", 8.0)):
            if abs(hours / true - 1) < 0.05:
                return option
    return None


def _said_missing(sentence: str) -> str | None:
    counted = _MISSING.search(sentence)
    if counted:
        return "some" if float(counted[1].replace(",", "")) > 0 else "none"
    if re.search(r"\bno (?:reading|gap|value)s?\b|\bnone\b|\bnothing\b|^\W*no\b", sentence, re.IGNORECASE):
        return "none"
    return "some" if re.search(r"\b(?:some|yes|gaps?|missing)\b", sentence, re.IGNORECASE) else None
