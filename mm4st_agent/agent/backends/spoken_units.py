"""Units as people ask for them: 'in mph' turns the km/h of an answer into miles per hour."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from mm4st_agent.agent.quantities import NUMBER, UnitReader, WrittenNumber, converted, well_formed

_ASKED = re.compile(
    r"\b(?:in|as|to)\s+(?P<unit>mph|miles (?:per|an) hour|km/h|kph|kmh|kilomet(?:re|er)s (?:per|an) hour|m/s|"
    r"met(?:re|er)s (?:per|a) second|knots|°\s?[cf]|(?:degrees )?(?:celsius|fahrenheit)|"
    r"(?:vehicles|cars|requests) (?:per|an?) (?:hour|minute|second))\b|\b(?P<bare>mph|km/h|kph)\b",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"\"[^\"\n]*\"|“[^”]*”")
_PER = re.compile(r"(?P<what>vehicles|cars|requests) (?:per|an?) (?P<time>hour|minute|second)", re.IGNORECASE)
_NAMES = {
    "miles per hour": "mph", "miles an hour": "mph", "kph": "km/h", "kmh": "km/h", "knots": "kn", "°f": "°F",
    "°c": "°C", "celsius": "°C", "fahrenheit": "°F",
}  # fmt: skip
_SIGNIFICANT = 3


def asked_units(question: str, units: Iterable[str]) -> dict[str, str]:
    """The units of the data that a question wants in another one, and that one.

    >>> asked_units("How fast is it in mph?", ["km/h", "vehicles/5 min"])
    {'km/h': 'mph'}
    """
    found = _ASKED.search(question)
    if found is None:
        return {}
    wanted = _named(found["unit"] or found["bare"])
    return {unit: wanted for unit in units if unit != wanted and converted(1.0, unit, wanted) is not None}


def _named(said: str) -> str:
    plain = re.sub(r"\s+", " ", said.lower().replace("° ", "°").removeprefix("degrees "))
    if (rate := _PER.fullmatch(plain)) is not None:
        what = {"cars": "vehicles"}.get(rate["what"], rate["what"])
        return f"{what}/{ {'hour': 'h', 'minute': 'min', 'second': 's'}[rate['time']] }"
    if plain.startswith("kilomet"):
        return "km/h"
    if plain.startswith("met"):
        return "m/s"
    return _NAMES.get(plain, plain)


def in_units(text: str, wanted: Mapping[str, str]) -> str:
    """An answer with every value of these units in the other ones; what it quotes stays.

    >>> in_units('From 1.01 to 16.7 km/h [E3]; the log says "50 km/h".', {"km/h": "mph"})
    'From 0.628 to 10.4 mph [E3]; the log says "50 km/h".'
    """
    if not wanted:
        return text
    reader = UnitReader(wanted)
    quoted = [found.span() for found in _QUOTED.finditer(text)]
    pieces, read = [], 0
    for found in NUMBER.finditer(text):
        if found.start() < read or any(start <= found.start() < end for start, end in quoted):
            continue
        if not well_formed(found[0]):
            continue
        written = reader.read(text, found)
        unit, _, per = (written.unit or "").partition(" per ")
        if unit in wanted and not written.glued:
            value = _turned(written, unit, wanted[unit], change=bool(per))
            behind = text[found.end() : written.end].replace(unit, wanted[unit])
            pieces += [text[read : found.start()], value, behind]
            read = written.end
    return "".join(pieces) + text[read:]


def _turned(written: WrittenNumber, unit: str, wanted: str, *, change: bool) -> str:
    """A number in the other unit, to three significant digits; a change of degrees has no zero point."""
    value = converted(written.value, unit, wanted)
    assert value is not None, "asked_units keeps convertible ones"
    if change:
        value -= converted(0.0, unit, wanted) or 0.0
    digits = f"{value:.{_SIGNIFICANT}g}"
    return f"{float(digits):,.0f}" if "e" in digits or abs(value) >= 10**_SIGNIFICANT else digits
