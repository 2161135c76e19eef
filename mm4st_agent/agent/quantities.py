"""Numbers and units as people write them in a text, and whether a value of the ledger is the one written."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache

NUMBER = re.compile(
    r"(?<![\w.,])(?<![A-Za-z][/-])[-−+]?(?:\d{1,3}(?:[ \u00a0\u202f]\d{3})+(?![\d])|(?:\d[\d.,]*)?\d|\.\d+)(?!\d)"
)
"""A run of digits with what may stand inside a number; `well_formed` says whether it is one.

The 5 of a unit such as `vehicles/5 min` is none.
"""

_WELL_FORMED = re.compile(r"[-−+]?(?:\d{1,3}(?:[, \u00a0\u202f]\d{3})+|\d+)?(?:\.\d+)?")
_ABOUT = re.compile(
    r"(?:about|around|roughly|nearly|some|approximately|almost|close to|just (?:under|over|above|below)|"
    r"a (?:little|bit) (?:over|under|more than|less than)|near|~|≈)\s*\W*$",
    re.IGNORECASE,
)
_ABOUT_BOTH = re.compile(
    r"\b(?:about|around|roughly|nearly|some|approximately)\s+\d[\d.,]*\s*(?:[^\s\d]\S*\s+)?(?:to|and|–|-)\s*$",
    re.IGNORECASE,
)
"""'Roughly 1,540 to 1,660': both are rounded."""
_ABOUT_OFF = 0.12
"""The share of itself that a number with "about" may be off."""
_MINUS = re.compile(r"\bminus\s+$", re.IGNORECASE)
_RANGE = re.compile(r"\s*(?:–|-|to|and|versus|vs\.?|against)\s*(?:[-−+]?\d[\d.,]*)\s*", re.IGNORECASE)
_SCALE = re.compile(r"\s?(?P<k>k)(?!\w)|\s+(?P<thousand>thousand)\b|\s+(?P<million>million)\b")
_SIZES = {"k": 1e3, "thousand": 1e3, "million": 1e6}
_CURRENCY = "$€£¥"

_UNIT_WORDS = {
    "per cent": "%", "percent": "%", "minutes": "min", "minute": "min", "hours": "h", "hour": "h", "days": "d",
    "day": "d", "weeks": "week", "seconds": "s", "second": "s", "miles": "mile", "vehicle": "vehicles",
    "cars": "vehicles", "kph": "km/h", "kmh": "km/h", "knots": "kn",
    "vehicles per hour": "vehicles/h", "veh/h": "vehicles/h", "vehicles an hour": "vehicles/h",
    "vehicles per minute": "vehicles/min", "vehicles a minute": "vehicles/min", "vehicles every minute": "vehicles/min",
    "vehicles each minute": "vehicles/min", "vehicles every hour": "vehicles/h", "vehicles each hour": "vehicles/h",
    "requests per minute": "requests/min", "requests a minute": "requests/min",
    "requests per second": "requests/s", "requests per hour": "requests/h", "degrees celsius": "°C",
    "degrees fahrenheit": "°F", "percentage points": "percentage points",
    **{f"{length} {per} {time}": unit for unit, lengths, time in (
        ("km/h", ("kilometres", "kilometers", "km"), "hour"), ("mph", ("miles",), "hour"),
        ("m/s", ("metres", "meters"), "second"),
    ) for length in lengths for per in ("per", "an" if time == "hour" else "a", "each", "every")},
    **{f"{mass} {per} {volume}": "ug/m3" for mass in ("micrograms", "microgram", "ug") for per in ("per", "a")
       for volume in ("cubic metre", "cubic meter", "m3")},
}  # fmt: skip
_OTHER_UNITS = (
    "%", "s", "min", "h", "d", "week", "mph", "km/h", "m/s", "kn", "km", "m", "mm", "mm/h", "mile", "vehicles",
    "vehicles/h", "vehicles/min", "°C", "°F", "hPa", "ug/m3", "mg/m3", "ppm", "ppb", "requests", "requests/s",
    "requests/min", "requests/h", "tokens", "GB", "MB", "dollars", "euros", *_CURRENCY,
)  # fmt: skip
"""Units that a text may write although no entry uses them; such a number is then unsupported."""
_MARKS = str.maketrans({"µ": "u", "μ": "u", "²": "2", "³": "3"})
SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "week": 604800.0}
"""The units of time, and how long each is."""
_SPEEDS = {"m/s": 1.0, "km/h": 1 / 3.6, "mph": 0.44704, "kn": 1852 / 3600}
_LENGTHS = {"m": 1.0, "km": 1000.0, "mile": 1609.344, "mm": 0.001}
_DEGREES = {("°C", "°F"): (1.8, 32.0), ("°F", "°C"): (1 / 1.8, -32 / 1.8)}
_RATE = re.compile(r"(?P<what>[^/]+)/(?P<many>\d+)?\s*(?P<per>s|min|h)")
_FURTHER = re.compile(r"\s*(?:/|\bper\b)\s*(?P<word>[A-Za-z]+)")


@dataclass(frozen=True)
class WrittenNumber:
    """A number of a text.

    Attributes:
        text: As written, with its sign.
        unit: In the ledger's spelling; "" says that it is a count, None that none is written.
        end: Where the number, or its unit, ends in the text.
        about: A word such as "about" stands before it.
        glued: Letters stand right behind it that are no unit, as in "1e3".
        scale: What "k" or "thousand" behind it multiplies it by.
    """

    text: str
    unit: str | None
    end: int
    about: bool = False
    glued: bool = False
    scale: float = 1.0

    @cached_property
    def value(self) -> float:
        """The number; only for a well-formed text."""
        return float(re.sub(r"[,\s]", "", self.text.replace("−", "-"))) * self.scale

    @property
    def signed(self) -> bool:
        return self.text[0] in "+-−"

    @cached_property
    def tolerance(self) -> float:
        """Half of the last digit written; "about 5,000" is rounded to thousands, but not by more than 12 %."""
        digits = re.sub(r"[^\d.]", "", self.text)
        whole, _, decimals = digits.partition(".")
        if decimals or not self.about:
            return 0.5 * 10.0 ** -len(decimals) * self.scale
        rounded = 0.5 * 10.0 ** (len(whole) - len(whole.rstrip("0"))) * self.scale
        return max(0.5 * self.scale, min(rounded, _ABOUT_OFF * abs(self.value)))

    def says(self, actual: float) -> bool:
        """Whether it is `actual`, rounded as written; without a sign, whether it is its size."""
        if not self.signed:
            actual = abs(actual)
        return abs(self.value - actual) <= self.tolerance + 1e-9 * max(1.0, abs(actual))


@dataclass(frozen=True)
class _Unit:
    unit: str | None
    end: int


class UnitReader:
    """Knows the units of a ledger, and common ones beside."""

    def __init__(self, units: Iterable[str]) -> None:
        known = set(units) - {"", "id", "time", "1"}
        spelled = {**_UNIT_WORDS, **{said: unit for unit in known for said in _spellings(unit)}}
        self._words = {plain(said).casefold(): unit for said, unit in spelled.items()}
        names = sorted({plain(name) for name in (*known, *spelled, *_OTHER_UNITS)}, key=len, reverse=True)
        self._pattern = re.compile(rf"[\s-]*\(?({'|'.join(map(re.escape, names))})(?!\w)", re.IGNORECASE)
        self._spelling = {plain(name).casefold(): name for name in (*_OTHER_UNITS, *known)}

    def after(self, text: str, position: int) -> _Unit:
        """The unit that stands at `position`, and where it ends; one per something else is another."""
        found = self._pattern.match(plain(text), position)
        if found is None:
            return _Unit(None, position)
        name = found[1].casefold()
        unit = self._words.get(name, self._spelling.get(name, name))
        further = _FURTHER.match(text, found.end())
        if further is not None and unit not in SECONDS:
            return _Unit(f"{unit} per {further['word']}", further.end())
        return _Unit(unit, found.end())

    def read(self, text: str, found: re.Match[str]) -> WrittenNumber:
        """The number at a match of `NUMBER`, with its unit; in "4 to 5 mph" both have it."""
        before, scaled = text[: found.start()], _SCALE.match(text, found.end())
        behind = scaled.end() if scaled else found.end()
        unit = self.after(text, behind)
        end = unit.end
        if unit.unit is None and (tail := _RANGE.match(text, behind)):
            unit = _Unit(self.after(text, tail.end()).unit, behind)
        if unit.unit is None and before[-1:] in _CURRENCY and before:
            unit = _Unit(before[-1:], behind)
        glued = unit.unit is None and re.compile(r"[^\W\d_]").match(text, behind) is not None
        if glued and (word := re.compile(r"\w+").match(text, behind)):
            end = word.end()
        return WrittenNumber(
            text=("-" if _MINUS.search(before) else "") + found[0],
            unit=unit.unit,
            end=end,
            about=_ABOUT.search(before) is not None or _ABOUT_BOTH.search(before) is not None,
            glued=glued,
            scale=_SIZES[str(scaled.lastgroup)] if scaled else 1.0,
        )

    def named(self, text: str) -> set[str]:
        """The units that stand anywhere in a text, in the ledger's spelling; none of time: "second" may be a rank."""
        found = re.finditer(rf"(?<![\w/]){self._pattern.pattern}", plain(text), re.IGNORECASE)
        names = [match[1].casefold() for match in found]
        return {self._words.get(name) or self._spelling.get(name, name) for name in names} - set(SECONDS)


def well_formed(written: str) -> bool:
    """Whether the digits make one number, with separators of thousands where they belong."""
    return _WELL_FORMED.fullmatch(written) is not None


def converted(value: float, unit: str, wanted: str) -> float | None:
    """A value in another unit of the same quantity; None where there is none.

    >>> round(converted(38.4, "km/h", "mph"), 2)
    23.86
    """
    line = _line(unit, wanted)
    return None if line is None else value * line[0] + line[1]


@lru_cache(maxsize=4096)
def _line(unit: str, wanted: str) -> tuple[float, float] | None:
    """Factor and offset from one unit to another."""
    one, other = plain(unit), plain(wanted)
    if one == other:
        return 1.0, 0.0
    if " per " in one and " per " in other:  # a change has no zero point
        (head, _, tail), (wanted_head, _, wanted_tail) = one.partition(" per "), other.partition(" per ")
        line = _line(head, wanted_head) if tail == wanted_tail else None
        return None if line is None else (line[0], 0.0)
    for sizes in (SECONDS, _SPEEDS, _LENGTHS):
        if one in sizes and other in sizes:
            return sizes[one] / sizes[other], 0.0
    if (one, other) in _DEGREES:
        return _DEGREES[one, other]
    ours, theirs = _RATE.fullmatch(one), _RATE.fullmatch(other)
    if ours is not None and theirs is not None and ours["what"] == theirs["what"]:
        spans = [int(found["many"] or 1) * SECONDS[found["per"]] for found in (ours, theirs)]
        return spans[1] / spans[0], 0.0
    return None


def plain(unit: str) -> str:
    """As long as `unit`, in which the ways to write µ and a raised digit are one."""
    return unit.translate(_MARKS)


_PER = {
    "h": ("per hour", "an hour", "each hour", "every hour", "/h"),
    "min": ("per minute", "a minute", "each minute", "every minute", "/min"),
    "s": ("per second", "a second", "every second", "/s"),
}


def _spellings(unit: str) -> Iterable[str]:
    """Other ways to write a unit per time, such as `vehicles per 5 minutes`."""
    base, per, _ = unit.rpartition(" per hour")
    if per:
        if (rate := _RATE.fullmatch(base)) is not None and rate["many"] is None:
            yield from (f"{said} {hour}" for said in _PER[rate["per"]][:4] for hour in _PER["h"][:4])
        for inner in (base, *_spellings(base)):
            yield from (f"{inner} {said}" for said in _PER["h"][:4])
            yield from (f"{inner}/h" for _ in (0,))
        return
    rate = _RATE.fullmatch(unit)
    if rate is None:
        return
    many, what = rate["many"], rate["what"]
    if many is None:
        yield from (f"{joint}{said}" for joint in (f"{what} ", "") for said in _PER[rate["per"]][:4])
        return
    words = {"5": "five", "10": "ten", "15": "fifteen", "30": "thirty"}
    names = {"min": ("min", "minutes"), "h": ("h", "hours"), "s": ("s", "seconds")}[rate["per"]]
    for count in {many, words.get(many, many)}:
        for name in names:
            for joint in ("/", " per ", " in ", " every ", " in the last ", " in "):
                yield f"{what}{joint}{count} {name}"
                yield f"{what}{joint}{count}-{name.rstrip('s')} step"
            yield f"per {count} {name}"
        yield f"{what} per {count}-minute step"
