"""A level that a question asks about: "will it fall below 40 km/h?", "is PM2.5 above 25?"."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from mm4st_agent.agent.backends.durations import NUMBER_WORDS
from mm4st_agent.agent.backends.durations import number as count

Side = Literal["above", "below"]

_ABOVE = (
    r"above|over|more than|greater than|higher than|faster than|busier than|exceed(?:s|ed|ing)?|surpass(?:es|ed)?"
    r"|tops|topped|(?<=\bit )top|(?<=will )top|(?<=flow )top|pass(?:es|ed)?|at least|beyond|past|reach(?:es"
    r"|ed)?|hit(?:s)?|up to|crack|cross(?:es|ed)?|break"
    r"|>=?|≥"
)
_BELOW = (
    r"below|under|less than|fewer than|lower than|slower than|beneath|at most|not more than|no more than|down to|<=?|≤"
)
_UNIT = (
    r"%|km/h|kmh|kph|kilomet(?:re|er)s? (?:per|an) hour|mph|miles (?:per|an) hour|m/s|[µμu]g/m(?:³|3|\^3)"
    r"|[µμ]g|micrograms?(?: per cubic met(?:re|er))?|mm/h|mm|°\s?C|°\s?F|degrees?|hPa|ms"
    r"|(?:vehicles?|cars?|requests?|tokens?)(?:\s*(?:/|per|an|a|every)\s*(?:\d+\s*)?(?:min(?:ute)?s?|h(?:our)?s?))?"
)
_NUMBER = (
    rf"(?:\d+(?:[,.]\d+)*(?:\s?k(?![\w/])|\s+(?:hundred|thousand)\b)?"
    rf"|(?:an?|{NUMBER_WORDS})\s+(?:hundred|thousand)\b|(?:{NUMBER_WORDS}))"
)
_TIMES = {"k": 1000, "thousand": 1000, "hundred": 100}
_TIME_BEHIND = r"(?!\s*(?:min(?:ute)?s?|h(?:our)?s?|hrs?|days?|weeks?|months?|o'?clock|[ap]\.?m)\b)(?![:\d])"
_LEVEL = re.compile(
    rf"(?:\b(?P<not>not|never|n['’]t)\s+(?:\w+\s+)?)?(?<!\w)(?:(?P<below>{_BELOW})|(?P<above>{_ABOVE}))\s*"
    rf"(?:the\s+|a\s+)?(?:limit of\s+|level of\s+|mark of\s+|value of\s+)?(?P<number>{_NUMBER}){_TIME_BEHIND}"
    rf"(?:\s*-?(?P<unit>{_UNIT})(?!\w))?",
    re.IGNORECASE,
)
_SAID_ALL = re.compile(r"\s*(?:$|[?!.,;]|(?:right\s+)?now\b|yet\b|there\b|today\b|at the moment\b)", re.IGNORECASE)
"""Behind "over 50" where that is a level, not a count."""
_DROPPING = re.compile(r"\b(?:drop|fall|sink|slow|go down|get down|come down)\w*\b.{0,25}$", re.IGNORECASE)
_UNITS = {
    "kmh": "km/h", "kph": "km/h", "kilometres per hour": "km/h", "kilometers per hour": "km/h",
    "kilometres an hour": "km/h", "miles per hour": "mph", "miles an hour": "mph", "ug/m3": "µg/m³", "µg/m3": "µg/m³",
    "μg/m3": "µg/m³", "μg/m³": "µg/m³", "ug/m³": "µg/m³", "µg": "µg/m³", "μg": "µg/m³", "microgram": "µg/m³",
    "micrograms": "µg/m³", "micrograms per cubic metre": "µg/m³", "micrograms per cubic meter": "µg/m³",
    "°c": "°C", "degree": "°C", "degrees": "°C",
}  # fmt: skip


@dataclass(frozen=True)
class Threshold:
    """A level that is asked about, not a change: whether the quantity is, was or will be beyond it.

    Attributes:
        value: In `unit`.
        unit: As the question writes it, spelled as in data cards where it is known ('km/h', 'µg/m³'); None where it
            gives none, which means the channel's own unit.
        side: Which side of the value is asked about: "will it fall below 40?" is 'below'.
    """

    value: float
    unit: str | None
    side: Side


def threshold(question: str) -> tuple[Threshold, tuple[int, int]] | None:
    """The first level that a question asks about, and where its words stand; None where it asks about none.

    >>> threshold("will it fall below 40 km/h at S039?")[0]
    Threshold(value=40.0, unit='km/h', side='below')
    >>> threshold("is PM2.5 above 25 there?")[0]
    Threshold(value=25.0, unit=None, side='above')
    >>> threshold("is it jammed past 8:30?") is None
    True
    """
    found = _LEVEL.search(question)
    if found is None:
        return None
    words = found["number"].strip().casefold()
    times = next((size for name, size in _TIMES.items() if words.endswith(name)), 1)
    digits = re.sub(r"\s*(?:k|hundred|thousand)$", "", words)
    digits = re.sub(r",(?=\d{3}(?!\d))", "", digits).replace(",", ".")
    if digits.count(".") > 1:
        return None
    unit = found["unit"]
    said = found["above"] or found["below"]
    plainly_over = said.casefold() == "over" and _SAID_ALL.match(question, found.end())
    if (
        unit is None
        and not plainly_over
        and said.casefold() in ("past", "over", "pass", "passes", "break", "up to", "down to")
    ):
        return None  # "past 9", "over 20 stations": a time, a count
    below = found["below"] is not None or _DROPPING.search(question[: found.start()]) is not None
    plain = None if unit is None else _UNITS.get(" ".join(unit.casefold().split()), unit)
    value = count(digits) * times
    return Threshold(value, plain, "below" if below else "above"), found.span()
