"""Numbers and units as people write them in a text, and whether a value of the ledger is the one written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mm4st_agent.agent.ledger import Evidence, EvidenceValue

NUMBER = re.compile(
    r"(?<![\w.,])(?<![A-Za-z]/)[-−+]?(?:\d{1,3}(?:[ \u00a0\u202f]\d{3})+(?![\d])|(?:\d[\d.,]*)?\d|\.\d+)(?!\d)"
)
"""A run of digits with what may stand inside a number; `well_formed` says whether it is one.

The 5 of a unit such as `vehicles/5 min` is none.
"""

_WELL_FORMED = re.compile(r"[-−+]?(?:\d{1,3}(?:[, \u00a0\u202f]\d{3})+|\d+)?(?:\.\d+)?")
_ABOUT = re.compile(r"(?:about|around|roughly|nearly|some|approximately|almost|~|≈)\s*\W*$", re.IGNORECASE)
_MINUS = re.compile(r"\bminus\s+$", re.IGNORECASE)
_AGAINST_USUAL = re.compile(r"\s*(?:above|below|over|under|more|less|higher|lower)\b", re.IGNORECASE)
_RANGE = re.compile(r"\s*(?:–|-|to|and)\s*(?:[-−+]?\d[\d.,]*)\s*", re.IGNORECASE)
_CURRENCY = "$€£¥"

_UNIT_WORDS = {
    "per cent": "%", "percent": "%", "minutes": "min", "minute": "min", "hours": "h", "hour": "h", "days": "d",
    "day": "d", "weeks": "week", "seconds": "s", "second": "s", "miles": "mile", "vehicle": "vehicles",
    "cars": "vehicles", "steps": "", "step": "", "miles per hour": "mph", "kilometres per hour": "km/h",
    "kilometers per hour": "km/h", "kph": "km/h", "micrograms per cubic metre": "ug/m3",
    "micrograms per cubic meter": "ug/m3", "requests per minute": "requests/min", "requests a minute": "requests/min",
    "requests per second": "requests/s",
}  # fmt: skip
_OTHER_UNITS = (
    "%", "s", "min", "h", "d", "week", "mph", "km/h", "m/s", "kn", "km", "m", "mm", "mm/h", "mile", "vehicles",
    "vehicles/h", "veh/h", "°C", "°F", "hPa", "ug/m3", "ppm", "ppb", "requests", "requests/s",
    "requests/min", "tokens", "GB", "MB",
    "dollars", "euros", *_CURRENCY,
)  # fmt: skip
"""Units that a text may write although no entry uses them; such a number is then unsupported."""
_MARKS = str.maketrans({"µ": "u", "μ": "u", "²": "2", "³": "3"})
_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400, "week": 604800}


@dataclass(frozen=True)
class WrittenNumber:
    """A number of a text.

    Attributes:
        text: As written, with its sign.
        unit: In the ledger's spelling; "" says that it is a count, None that none is written.
        end: Where the number, or its unit, ends in the text.
        about: A word such as "about" stands before it.
        against_usual: Words such as "above" follow its unit.
        glued: Letters stand right behind it that are no unit, as in "1e3".
    """

    text: str
    unit: str | None
    end: int
    about: bool = False
    against_usual: bool = False
    glued: bool = False

    @property
    def value(self) -> float:
        """The number; only for a well-formed text."""
        return float(re.sub(r"[,\s]", "", self.text.replace("−", "-")))

    @property
    def signed(self) -> bool:
        return self.text[0] in "+-−"


@dataclass(frozen=True)
class _Unit:
    unit: str | None
    end: int


class UnitReader:
    """Knows the units of a ledger, and common ones beside."""

    def __init__(self, ledger: Sequence[Evidence]) -> None:
        units = {value.unit for entry in ledger for value in entry.values.values()} - {"", "id", "time", "1"}
        names = sorted({_plain(name) for name in (*units, *_UNIT_WORDS, *_OTHER_UNITS)}, key=len, reverse=True)
        self._pattern = re.compile(rf"[\s-]*\(?({'|'.join(map(re.escape, names))})(?!\w)", re.IGNORECASE)
        self._spelling = {_plain(name).casefold(): name for name in (*_OTHER_UNITS, *units)}

    def after(self, text: str, position: int) -> _Unit:
        """The unit that stands at `position`, and where it ends."""
        found = self._pattern.match(_plain(text), position)
        if found is None:
            return _Unit(None, position)
        name = found[1].casefold()
        return _Unit(_UNIT_WORDS.get(name, self._spelling.get(name, name)), found.end())

    def read(self, text: str, found: re.Match[str]) -> WrittenNumber:
        """The number at a match of `NUMBER`, with its unit; in "4 to 5 mph" both have it."""
        before, unit = text[: found.start()], self.after(text, found.end())
        end = unit.end
        if unit.unit is None and (tail := _RANGE.match(text, found.end())):
            unit = _Unit(self.after(text, tail.end()).unit, found.end())
        if unit.unit is None and before[-1:] in _CURRENCY and before:
            unit = _Unit(before[-1:], found.end())
        glued = unit.unit is None and re.compile(r"[^\W\d_]").match(text, found.end()) is not None
        if glued and (word := re.compile(r"\w+").match(text, found.end())):
            end = word.end()
        return WrittenNumber(
            text=("-" if _MINUS.search(before) else "") + found[0],
            unit=unit.unit,
            end=end,
            about=_ABOUT.search(before) is not None,
            against_usual=_AGAINST_USUAL.match(text, end) is not None,
            glued=glued,
        )


def well_formed(written: str) -> bool:
    """Whether the digits make one number, with separators of thousands where they belong."""
    return _WELL_FORMED.fullmatch(written) is not None


def same_number(written: WrittenNumber, path: str, value: EvidenceValue, sentence: str) -> bool:
    """Whether a value of the ledger, rounded as the text rounds, is the number written.

    Args:
        written: A well-formed number with its unit.
        path: Of the value in its reply, such as `steps[0].median`.
        value: Of the ledger.
        sentence: Around the number; a number without a unit is one of a unit that stands elsewhere in it.
    """
    if isinstance(value.value, str):
        return False
    actual, unit = float(value.value), written.unit
    if unit is None:
        if value.unit not in ("", "1") and not _names_unit(sentence, value.unit):
            return False
    elif _plain(unit) != _plain(value.unit):
        if unit == "%" and value.unit == "1":
            actual *= 100
        elif unit in _SECONDS and value.unit in _SECONDS:
            actual *= _SECONDS[value.unit] / _SECONDS[unit]
        else:
            return False
    if unit == "%" and written.against_usual and path.endswith("level"):
        actual -= 100  # "2 % above the usual" says a level of 102 %
    if not written.signed:
        actual = abs(actual)  # "12 % below" states the size of -12
    return abs(written.value - actual) <= _tolerance(written) + 1e-9 * abs(actual)


def _names_unit(sentence: str, unit: str) -> bool:
    words = {unit, *(word for word, name in _UNIT_WORDS.items() if name == unit)}
    said = _plain(sentence)
    return any(re.search(rf"(?<!\w){re.escape(_plain(word))}(?!\w)", said, re.IGNORECASE) for word in words)


def _plain(unit: str) -> str:
    """As long as `unit`, in which the ways to write µ and a raised digit are one."""
    return unit.translate(_MARKS)


def _tolerance(written: WrittenNumber) -> float:
    """Half of the last digit written; "about 5,000" is rounded to thousands."""
    digits = re.sub(r"[^\d.]", "", written.text)
    whole, _, decimals = digits.partition(".")
    if decimals or not written.about:
        return 0.5 * 10.0 ** -len(decimals)
    return 0.5 * 10.0 ** (len(whole) - len(whole.rstrip("0")))
