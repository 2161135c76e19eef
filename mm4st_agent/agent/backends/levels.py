"""Whether a level that is asked about is, was or will be passed: read off an interval or a reading, never invented."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from mm4st_agent.agent.backends.thresholds import Threshold

Grade = Literal["no", "possible", "likely", "yes"]
_GRADES: tuple[Grade, ...] = ("no", "possible", "likely", "yes")
_FACTORS = {
    ("km/h", "m/s"): 1 / 3.6, ("m/s", "km/h"): 3.6, ("mph", "km/h"): 1.609344, ("km/h", "mph"): 1 / 1.609344,
    ("mph", "m/s"): 0.44704, ("m/s", "mph"): 1 / 0.44704, ("%", "1"): 0.01,
}  # fmt: skip


def converted(value: float, unit: str | None, wanted: str) -> float | None:
    """A value in the unit `wanted`; None where the two measure different things. Without a unit it is meant in it."""
    if unit is None or _plain(unit) == _plain(wanted):
        return value
    factor = _FACTORS.get((unit, wanted))
    return None if factor is None else value * factor


def _plain(unit: str) -> str:
    words = re.sub(r"\s*(?:/|\bper\b|\ban?\b|\bevery\b)\s*", "/", unit.casefold())
    return re.sub(r"\bhours?\b", "h", re.sub(r"\bmin(?:ute)?s?\b", "min", re.sub(r"\b(\w+?)s\b", r"\1", words)))


@dataclass(frozen=True)
class Verdict:
    """Where a level lies in what is forecast.

    Attributes:
        grade: 'yes': the whole interval lies beyond the level; 'likely': its median; 'possible': only one of its ends;
            'no': nothing. None where the units do not go together.
        side: Which side of the level is asked about.
        low, median, high: Of the step, or the total, that goes furthest beyond the level.
        time: Of that step; None of the total.
        steps: How many were looked at.
    """

    grade: Grade | None
    side: str
    unit: str
    low: float = 0.0
    median: float = 0.0
    high: float = 0.0
    time: str | None = None
    steps: int = 0


def foreseen(threshold: Threshold, reply: dict[str, Any], step: dict[str, Any] | None) -> Verdict:
    """Hold a level against a reply of `forecast`.

    Quantities that add up are meant over the whole span, unless the level is given per step; of others any step that
    passes the level counts.

    Args:
        threshold: The level.
        reply: Of the tool.
        step: The one step that is asked about; None is the whole span.
    """
    total, unit = reply["total"], reply["unit"]
    if step is None and total["aggregation"] == "sum":
        value = converted(threshold.value, threshold.unit, total["unit"])
        if value is not None:
            return _graded(threshold, value, [total], total["unit"], None)
    value = converted(threshold.value, threshold.unit, unit)
    if value is None:
        return Verdict(None, threshold.side, unit)
    return _graded(threshold, value, [step] if step is not None else reply["steps"], unit, "time")


def _graded(
    threshold: Threshold, value: float, parts: Sequence[dict[str, Any]], unit: str, time: str | None
) -> Verdict:
    """The part that goes furthest beyond the level, and how far that is."""
    far, near, sign = ("high", "low", 1) if threshold.side == "above" else ("low", "high", -1)

    def grade(part: dict[str, Any]) -> int:
        return sum(sign * (part[end] - value) > 0 for end in (far, "median", near))

    best = max(parts, key=lambda part: (grade(part), sign * part["median"], sign * part[far]))
    return Verdict(
        _GRADES[grade(best)], threshold.side, unit, best["low"], best["median"], best["high"],
        None if time is None else best[time], len(parts),
    )  # fmt: skip


@dataclass(frozen=True)
class Reached:
    """Whether a level was passed by a reading.

    Attributes:
        passed: None where nothing was measured, or the units do not go together.
        value: The reading that goes furthest beyond the level, or the latest one.
    """

    passed: bool | None
    side: str
    unit: str
    value: float | None = None
    time: str | None = None


def reached(threshold: Threshold, reply: dict[str, Any], windowed: bool) -> Reached:
    """Hold a level against a reply of `query_series`: its latest reading, or where a window is meant its extreme."""
    value = converted(threshold.value, threshold.unit, reply["unit"])
    name = ("maximum" if threshold.side == "above" else "minimum") if windowed else "last"
    found = reply[name]
    if value is None or found is None:
        return Reached(None, threshold.side, reply["unit"])
    passed = found > value if threshold.side == "above" else found < value
    return Reached(passed, threshold.side, reply["unit"], found, reply[f"{name}_time"])
