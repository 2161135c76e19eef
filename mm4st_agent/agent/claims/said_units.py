"""What a written number may be of a fact: its value in the unit that the sentence says, or within a bound."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from mm4st_agent.agent.claims.fact import Fact
from mm4st_agent.agent.claims.reader import Reader
from mm4st_agent.agent.claims.scope import Scope
from mm4st_agent.agent.clock_words import same_time
from mm4st_agent.agent.quantities import WrittenNumber, converted, plain

_FAR = 1.15
_A_TIME = re.compile(r"\b(?:an?|per|every|each)\s+(hour|minute|second)\b|\b(hourly)\b", re.IGNORECASE)
_PER = {"hour": "h", "minute": "min", "second": "s", "hourly": "h"}
_SIZES = frozenset({"mae", "baseline_mae", "recent_mae", "width80", "jump"})
_GIVEN_DIGITS = 3
"""Significant digits of the values in templates."""
PLAIN = frozenset({"", "1"})
MORE_OR_LESS = re.compile(
    r"\s+(?:\w+\s+)?(?:slower|faster|higher|lower|more|less|above|below|quicker|fewer|lighter|"
    r"heavier)\b",
    re.IGNORECASE,
)
BOUND = re.compile(
    r"\b(?:(?P<over>more than|exceed(?:s|ed|ing)?|at least|upwards of|over|above)|"
    r"(?P<under>less than|fewer than|at most|under|below))\s+$",
    re.IGNORECASE,
)
"""'More than 330' holds of a value that is more, but not more than this many times as much."""
NEGATED = re.compile(r"\b(?:nowhere|never|none|no (?:\w+ )?(?:step|station|place|reading|value)s?)\b", re.IGNORECASE)


def in_named_units(fact: Fact, named: set[str], scope: Scope, *, telling: bool) -> Iterator[float]:
    """What a bare number may be of a fact: its value in any unit, or per any time, that its sentence names."""
    if fact.unit == "%":
        if "%" in named or (telling and "%" in scope.sentence):
            yield fact.value
        return
    own = plain(fact.unit)
    base = own.partition("/")[0]
    rates = {_PER[(found[1] or found[2]).lower()] for found in _A_TIME.finditer(scope.sentence)}
    at = re.compile(rf"\W*(?:{_A_TIME.pattern})", re.IGNORECASE).match(scope.after)
    if at is not None and own.endswith(f" per {(at[1] or at[2]).lower()}"):
        yield fact.value
        return
    if at is not None and "/" in own:
        value = converted(fact.value, own, f"{base}/{_PER[(at[1] or at[2]).lower()]}")
        if value is not None:
            yield value
        return
    if (
        telling
        or own in named
        or (base in named and "/" in own)
        or any(unit.startswith(f"{own} per ") for unit in named)
    ):
        yield fact.value
    for unit in named - {own}:
        if (value := converted(fact.value, own, unit)) is not None:
            yield value
    for per in rates:
        if "/" in own and (value := converted(fact.value, own, f"{base}/{per}")) is not None:
            yield value


def full_unit(fact: Fact, unit: str | None, scope: Scope) -> str | None:
    """The unit of a fact where the part says it in two places: '1,660 requests reach it every minute'."""
    base, _, per = fact.unit.partition("/")
    said = {"min": "minute", "h": "hour", "s": "second"}.get(per)
    if unit == base and (many := re.fullmatch(r"(\d+) min", per)):
        words = {"5": "five", "10": "ten", "15": "fifteen"}.get(many[1], many[1])
        if re.search(rf"\b(?:{many[1]}|{words})[ -]min", scope.part) or re.search(
            rf"\b(?:per|every|each)\s+(?:{many[1]}|{words})[ -]min", scope.sentence, re.IGNORECASE
        ):
            return fact.unit
    if unit == base and per and fact.role in _SIZES:
        return fact.unit  # of errors and jumps people leave out the step
    at = fact.moment if fact.moment is not None or fact.role != "last" else fact.end
    if unit == base and per and at is not None and any(same_time(wanted, at) for wanted in scope.all_times):
        return fact.unit  # "129 vehicles at 16:55", in the step then
    if unit == base and said and re.search(rf"\b(?:per|every|each|a)\s+{said}\b", scope.after):
        return fact.unit
    return unit


def bounds(written: WrittenNumber, actual: float, scope: Scope) -> bool:
    """Whether "more than 330" and the like hold, and not by far."""
    found = BOUND.search(scope.ahead)
    actual = abs(actual) if MORE_OR_LESS.match(scope.after) else actual
    if found is None or actual <= 0 or written.value <= 0:
        return False
    ratio = actual / written.value
    if NEGATED.search(scope.ahead):
        ratio = 1 / ratio
    return 1 <= ratio <= _FAR if found["over"] else 1 / _FAR <= ratio <= 1


def named_units(reader: Reader, scope: Scope) -> set[str]:
    """The units that the sentence, or its context, names."""
    named = reader.units.named(scope.sentence) or reader.units.named(scope.context)
    if not named and re.search(r"_\s*\($", scope.before):  # "S029 (344)"
        named = {fact.unit for fact in reader.all_facts if fact.role in ("value", "recent", "last", "level")}
    if not named:  # "PM2.5: 16.4, mean 11.7": no unit at all, but the quantity
        channels = scope.channels(reader.facts)
        roles = ("value", "recent", "last", "level", "median")
        named = {fact.unit for fact in reader.all_facts if fact.channel in channels and fact.role in roles} - {"%"}
    return {plain(unit) for unit in named}


def rounded(fact: Fact) -> Fact:
    """As an answer gives it; what is turned into another unit from there is off by that."""
    return replace(fact, value=float(f"{fact.value:.{_GIVEN_DIGITS}g}"))


def in_unit(fact: Fact, unit: str | None) -> float | None:
    """The value of a fact in the unit written; None where it is of another quantity."""
    if unit is None or unit == "":
        return None if fact.unit in PLAIN and fact.role == "times" else fact.value
    if fact.unit == "1":
        return 100 * fact.value if unit == "%" and fact.role.endswith("share") else None
    if not fact.unit:
        return None
    if fact.signed or fact.role == "gap":
        return converted(fact.value, fact.unit, unit) if "°" not in unit else fact.value
    return converted(fact.value, fact.unit, unit)
