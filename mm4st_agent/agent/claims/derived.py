"""What follows from two numbers of the ledger: differences, ratios, and which number of a list is the highest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from mm4st_agent.agent.claims.fact import Fact


def across(numbers: Iterable[Fact]) -> Iterator[Fact]:
    """Differences and ratios of the same quantity at two places, or at the same place in two windows."""
    same: dict[tuple[str, str, str], list[Fact]] = {}
    for fact in numbers:
        ahead = fact.coming and fact.group in ("total", "ranking", "forecast") and fact.role in ("median", "value")
        if len(fact.places) == 1 and ahead:
            same.setdefault(("median", fact.channel, fact.unit), []).append(fact)
        elif len(fact.places) == 1 and fact.role in (
            "recent",
            "last",
            "value",
            "mean",
            "usual",
            "level",
            "change",
            "away",
            "total_median",
        ):
            same.setdefault((fact.role, fact.channel, fact.unit), []).append(fact)
    for found in same.values():
        for one in found[:12]:
            for other in found[:12]:
                if one.places != other.places or one.end != other.end:
                    yield from _pair(one, other, places=one.places | other.places)


def with_extremes(facts: list[Fact]) -> Iterator[Fact]:
    """Mark the highest and the lowest of each role in each list of the reply."""
    lists: dict[tuple[str, str, str], list[Fact]] = {}
    for fact in facts:
        if "[" in fact.path and fact.role not in ("rank", "hops"):
            lists.setdefault((fact.group, fact.role, fact.unit), []).append(fact)
    marks: dict[str, int] = {}
    for found in lists.values():
        if len(found) > 1:
            marks[max(found, key=lambda fact: fact.value).path] = 1
            marks[min(found, key=lambda fact: fact.value).path] = -1
    for fact in facts:
        mark = {"minimum": -1, "maximum": 1}.get(fact.role, 1 if fact.group in ("peak", "largest") else 0)
        yield replace(fact, extreme=marks.get(fact.path, mark))


_PAIRS = (
    ("recent", "usual"), ("value", "usual"), ("median", "baseline"), ("median", "previous_mean"),
    ("after", "before"), ("second_mean", "first_mean"), ("first_mean", "second_mean"), ("mae", "baseline_mae"),
    ("value", "change"), ("mean", "just_before"), ("last", "recent"), ("last", "mean"),
    ("recent", "mean"), ("high", "low"),
)  # fmt: skip
"""Roles of one reply that are compared with each other."""


def derived(facts: tuple[Fact, ...]) -> Iterator[Fact]:
    """What follows from the numbers of one reply: their differences, ratios and shares of each other."""
    for one, other in _PAIRS:
        if one == "value" and other == "change":
            for value, change in _beside(facts, one, other):
                if value.unit == change.unit and value.value != change.value:
                    before = replace(value, role="previous_mean", value=value.value - change.value, extreme=0)
                    yield before
                    yield from _pair(value, before)
            continue
        for left, right in _beside(facts, one, other):
            yield from _pair(left, right)
    steps = [fact for fact in facts if fact.group == "steps" and fact.role == "median"]
    if len(steps) > 1:
        yield from _pair(steps[-1], steps[0], roles=("median", "first step"))
        yield from _against_baseline(facts, steps)
    counted = {fact.role: fact for fact in facts if fact.role in ("missing", "steps") and not fact.unit}
    if len(counted) == len(("missing", "steps")) and counted["steps"].value:
        share = 100 * counted["missing"].value / counted["steps"].value
        yield replace(counted["missing"], value=share, unit="%")
    for left, right in _beside(facts, "last", "usual"):
        yield from (
            fact for fact in _pair(left, right) if fact.role in ("gap", "share")
        )  # what it is now is compared otherwise
    ends = {fact.role: fact for fact in facts if fact.role in ("minimum", "maximum") and "[" not in fact.path}
    if len(ends) == len(("minimum", "maximum")):
        yield from _pair(ends["maximum"], ends["minimum"], places=ends["maximum"].places | ends["minimum"].places)
    for fact in facts:
        if fact.unit == "%" and fact.role in ("level", "percent") and fact.group != "difference":
            of = ("recent", "usual") if fact.role == "level" else ("second_mean", "first_mean")
            yield replace(fact, role="relative", value=fact.value - 100, signed=True, extreme=0, of=of)
        elif fact.role == "ratio":
            yield replace(fact, role="relative", value=100 * (fact.value - 1), unit="%", of=("mae", "baseline_mae"))


def _against_baseline(facts: tuple[Fact, ...], steps: list[Fact]) -> Iterator[Fact]:
    """The forecast's total, or mean, against that of its baseline's steps."""
    baseline = [fact for fact in facts if fact.group == "steps" and fact.role == "baseline"]
    total = next((fact for fact in facts if fact.path == "total.median"), None)
    if total is None or len(baseline) != len(steps) or any(fact.path == "total.baseline" for fact in facts):
        return
    value = sum(fact.value for fact in baseline) / (1 if total.unit != steps[0].unit else len(baseline))
    other = replace(total, role="baseline", value=value, label=baseline[0].label)
    yield other
    yield from _pair(total, other)


def _beside(facts: tuple[Fact, ...], one: str, other: str) -> Iterator[tuple[Fact, Fact]]:
    """Pairs of the roles in one object; a single one of the reply pairs with a list's first."""
    objects: dict[str, list[Fact]] = {}
    for fact in facts:
        if fact.role in (one, other):
            objects.setdefault(fact.path.rpartition(".")[0], []).append(fact)
    for found in objects.values():
        for left in found:
            yield from ((left, right) for right in found if left.role == one and right.role == other)
    if one == "median":
        left_all = [f for f in facts if f.role == one and f.path in ("forecast_mean", "total.median", "peak.median")]
        yield from ((a, b) for a in left_all for b in facts if b.role == other and b.path == other and a.unit == b.unit)
    if one == "mae":
        rows = [fact for fact in facts if fact.group == "rows"]
        mine = [fact for fact in rows if fact.role == "mae"]
        yield from ((a, b) for a in mine for b in rows if b.role == "baseline_mae")
    if one == "after":
        yield from ((a, b) for a in facts if a.path == "after.median" for b in facts if b.path == "before.median")


def _pair(
    left: Fact, right: Fact, places: frozenset[str] | None = None, roles: tuple[str, str] | None = None
) -> Iterator[Fact]:
    base = replace(
        left, places=left.places if places is None else places, of=roles or (left.role, right.role), extreme=0, label=""
    )
    signed = "mae" not in left.role
    yield replace(base, role="gap", value=left.value - right.value, signed=signed)
    if left.value * right.value > 0 and left.unit == right.unit:
        ratio = left.value / right.value
        yield replace(base, role="relative", value=100 * (ratio - 1), unit="%", signed=signed)
        yield replace(base, role="share", value=100 * ratio, unit="%")
        yield replace(base, role="times", value=ratio, unit="1")
