"""Names, paths, values and times of the evidence ledger in plain words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache
from typing import Any

from mm4st_agent.agent.clarify import CLARIFY_SPEC
from mm4st_agent.agent.ledger import EvidenceValue
from tools import ALL_TOOLS

_INDEX = re.compile(r"\[(\d+)\]")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)?")
_NAMES = {
    "dataset": "data set", "as_of": "clock", "until": "up to", "node": "place", "other": "other place",
    "lat": "latitude", "lon": "longitude", "hops": "links away", "last": "latest reading", "last_time": "its time",
    "recent": "mean of the latest readings", "recent_minutes": "minutes of these", "usual": "usual at this time",
    "usual_weeks": "weeks that the usual is from", "usual_readings": "readings that the usual is from",
    "level": "share of the usual", "slope": "slope of the trend", "step_s": "seconds of a step",
    "forecast_mean": "mean of the forecast", "previous_mean": "mean before it", "mae": "mean absolute error",
    "baseline_mae": "mean absolute error of the baseline", "recent_mae": "mean absolute error of late",
    "base_brier": "Brier score of the same chance at all times",
    "base_chance": "chance at all times", "brier": "Brier score", "cost_loss": "cost as a share of the loss",
    "erlangs": "replicas that are busy", "fallen": "rain so far", "for_median": "replicas for the median",
    "for_now": "replicas for the latest reading", "free_flow": "on empty roads", "one_fewer": "with one replica fewer",
    "searched": "earlier moments like now", "slower": "slower than the first",
    "coverage80": "truths inside the 80 % interval", "total_coverage80": "totals inside the 80 % interval",
}  # fmt: skip
"""Fields whose name is not what people would say."""


@cache
def _titles() -> dict[str, str]:
    return {spec.name: spec.title or name(spec.name) for spec in (*ALL_TOOLS, CLARIFY_SPEC)}


def tool_title(tool: str) -> str:
    """What a tool does, such as "Forecasting"; the first entry of an answer is the question itself."""
    return "Your question" if tool == "question" else _titles().get(tool) or name(tool)


def name(field: str) -> str:
    """A field's name.

    >>> name("window_start")
    'window start'
    """
    return _NAMES.get(field) or field.replace("_", " ")


def path(where: str) -> str:
    """Where a value stands in a reply.

    >>> path("steps[6].median"), path("total.low"), path("place_ids[0]")
    ('steps, 7th: median', 'total: low', 'place ids, 1st')
    """
    parts = (_INDEX.sub(lambda found: f", {ordinal(int(found[1]) + 1)}", part) for part in where.split("."))
    return ": ".join(", ".join([name(part.partition(", ")[0]), *part.split(", ")[1:]]) for part in parts)


def ordinal(n: int) -> str:
    """A rank.

    >>> [ordinal(n) for n in (1, 2, 3, 11, 22, 113)]
    ['1st', '2nd', '3rd', '11th', '22nd', '113th']
    """
    ending = {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th") if n % 100 not in (11, 12, 13) else "th"
    return f"{n}{ending}"


def number(value: float) -> str:
    """A number to the precision that a reply has.

    >>> number(17597.0), number(417.24), number(0.00791), number(-161)
    ('17,597', '417.24', '0.00791', '-161')
    """
    if value == int(value):
        return f"{int(value):,}"
    return f"{value:,.4f}".rstrip("0") if abs(value) >= 1 else f"{value:.4g}"


def value(of: EvidenceValue) -> str:
    """A value with its unit."""
    if of.unit == "time":
        return local_time(str(of.value))
    if isinstance(of.value, str):
        return of.value
    unit = "" if of.unit in ("", "1") else f" {of.unit}"
    return f"{number(of.value)}{unit}"


def local_time(moment: str | datetime) -> str:
    """A moment by the clock of its own zone, to the minute; other text as it is.

    >>> local_time("2025-10-22T07:40+01:00")
    '2025-10-22 07:40'
    """
    if isinstance(moment, str):
        if not _TIME.fullmatch(moment):
            return moment
        moment = datetime.fromisoformat(moment)
    return f"{moment:%Y-%m-%d %H:%M}"


def arguments(args: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Each argument of a call that was given, by name."""
    return ((name(key), argument(given)) for key, given in args.items() if given is not None)


def argument(given: Any) -> str:
    """One argument.

    >>> argument(["S039", "S096"]), argument(True), argument({"rain": 0.0})
    ('S039, S096', 'yes', 'rain 0')
    """
    if isinstance(given, bool):
        return "yes" if given else "no"
    if isinstance(given, (int, float)):
        return number(given)
    if isinstance(given, list):
        return ", ".join(map(argument, given)) or "none"
    if isinstance(given, dict):
        return ", ".join(f"{name(str(key))} {argument(inner)}" for key, inner in given.items()) or "none"
    return local_time(str(given))


def seconds(took: float) -> str:
    """How long something took.

    >>> seconds(0.014), seconds(2.019)
    ('14 ms', '2.0 s')
    """
    return f"{1000 * took:.0f} ms" if took < 1 else f"{took:.1f} s"


def counted(n: int, what: str) -> str:
    """So many things.

    >>> counted(1, "value"), counted(88, "value")
    ('1 value', '88 values')
    """
    return f"{n:,} {what}{'' if n == 1 else 's'}"
