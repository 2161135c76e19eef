"""What a ledger holds, each number described by its role, place, quantity and time, and what follows from two of them.

Nothing here knows a tool: a reply's own paths, units and neighbouring fields say what a number is. The conventions that
all replies share are read: `X_time` and `X_at` are when and where `X` is; an object's `time`, `since`, `until`, `id`,
`node` and `label` hold for the numbers beside them; `covers_from` opens a span that is forecast.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from mm4st_agent.agent.clock_words import WHEN, written_time
from mm4st_agent.agent.ledger import Evidence

_INDEX = re.compile(r"\[(\d+)\]")
_NAMED = re.compile(r"(?<!\w)(?P<id>[\w-]*\d[\w-]*) \((?P<name>[^()\d][^()]*)\)")
_BACKTEST = ("backtest", "rows", "by_horizon", "test")
_RECENT = ("recent", "usual", "level", "shift", "value", "change")
_TREND = ("slope",)
_CENTRE = ("median", "forecast", "forecast_mean", "explained", "before", "after")
_LOW = re.compile(r"(?:.*_)?low|lowest")
_HIGH = re.compile(r"(?:.*_)?high|highest")


@dataclass(frozen=True)
class Fact:
    """One number of the ledger, or the difference or ratio of two.

    Attributes:
        entry: Id of its entry.
        path: In the reply, such as `steps[0].median`.
        role: What it is, mostly the last name of its path; `low`, `high`, `median`, ... mean the same everywhere.
        places: Ids that it is about; empty where it is about no place.
        channel: Name of the quantity; "" where there is none or several.
        start: Where the time that it is about begins; None where it is about none.
        end: Where that ends; the same as `start` for a moment.
        label: Words that its object is known by, such as a driver's.
        coming: Whether it is about a time after the clock.
        ahead: Minutes ahead that it is about, of a measured error.
        extreme: 1 where it is the highest of its kind, -1 where the lowest, 0 where neither.
        signed: Whether its sign says more or less.
        of: Roles of the two that it was computed from.
    """

    entry: str
    path: str
    role: str
    value: float
    unit: str
    places: frozenset[str] = frozenset()
    channel: str = ""
    start: datetime | None = None
    end: datetime | None = None
    label: str = ""
    coming: bool = False
    ahead: float | None = None
    extreme: int = 0
    signed: bool = False
    of: tuple[str, str] = ("", "")

    @property
    def group(self) -> str:
        """Its object without an index, such as `steps`."""
        return _INDEX.sub("", self.path.rpartition(".")[0])

    @property
    def moment(self) -> datetime | None:
        """When, where it is about one moment."""
        return self.start if self.start == self.end else None


class Facts:
    """All facts of one entry, and how its places are called."""

    def __init__(self, entry: Evidence) -> None:
        self.entry = entry
        self._values = {path: value.value for path, value in entry.values.items()}
        self.ids = frozenset(str(value.value) for value in entry.values.values() if value.unit == "id")
        self.channel = str(entry.words.get("channel", ""))
        self.title = str(entry.words.get("channel_title", self.channel))
        self.about = self._about()
        self.ids |= self.about
        self.names = dict(self._names())
        trained = {
            w: entry.words[w.replace("model", "trained")]
            for w in entry.words
            if w.startswith("rows[") and w.endswith("model")
        }
        self._baselines = {str(entry.words[path]) for path, fitted in trained.items() if not fitted}
        self.step = timedelta(minutes=self._number("step_minutes") or (self._number("step_s") or 0.0) / 60)
        measured = [self._fact(p, float(v.value), v.unit) for p, v in entry.values.items() if _is_number(v.value)]
        self.numbers = tuple(_with_extremes(measured))
        self.derived = tuple(_derived(self.numbers))

    @property
    def all(self) -> tuple[Fact, ...]:
        return (*self.numbers, *self.derived)

    def _number(self, path: str) -> float | None:
        value = self._values.get(path)
        return float(value) if isinstance(value, (int, float)) else None

    def time(self, path: str) -> datetime | None:
        value = self.entry.values.get(path)
        return datetime.fromisoformat(str(value.value)) if value is not None and value.unit == "time" else None

    def word(self, path: str) -> str:
        """A short text of the reply; "" where there is none."""
        return str(self.entry.words.get(path, ""))

    def _names(self) -> Iterator[tuple[str, str]]:
        for path, value in self.entry.values.items():
            if value.unit == "id" and path.rpartition(".")[2] in ("id", "node"):
                name = self.word(f"{path.rpartition('.')[0]}.name".lstrip("."))
                if name and name != value.value:
                    yield str(value.value), name
        for text in (*self.entry.words.values(), *self.entry.labels):  # "S096 (Castle Hill southbound)"
            for found in _NAMED.finditer(str(text)):
                if found["id"] in self.ids:
                    yield found["id"], found["name"]

    def _about(self) -> frozenset[str]:
        if "node" in self._values:
            return frozenset({str(self._values["node"])})
        if any(re.search(r"\[\d+\]\.id$", path) for path in self._values):
            return frozenset()
        said = (self.entry.args.get(name) for name in ("node", "other"))
        return frozenset(str(place) for place in said if place is not None)

    def _fact(self, path: str, value: float, unit: str) -> Fact:
        prefix, _, leaf = path.rpartition(".")
        inside = f"{prefix}." if prefix else ""
        role, group = _INDEX.sub("", leaf), _INDEX.sub("", prefix)
        start, end = self._span(inside, role, group)
        side = self.word(f"{inside}{role.partition('_')[0]}") if role in ("first_mean", "second_mean") else ""
        return Fact(
            entry=self.entry.id,
            path=path,
            role=_role(role, group, trained=self.word(f"{inside}model") not in self._baselines),
            value=value,
            unit=unit,
            places=self._places(inside, role, side),
            channel=self.channel,
            start=start,
            end=end,
            label=self.word(f"{inside}label") or self.word(f"{inside}model" if prefix else "") or side
            or (self.word("baseline_name") if role == "baseline" else "")
            or (self.word(f"{inside}best_baseline") if role == "baseline_mae" else ""),
            coming=("covers_from" in self._values and role != "previous_mean" and group not in _BACKTEST)
            or (group == "outcomes" and role.startswith("forecast"))
            or self.entry.args.get("show") == "forecast_change",
            ahead=self._number(f"{inside}minutes_ahead"),
            signed=role in ("change", "difference", "slope", "shift", "effect", "effect_percent", "alone")
            or group == "difference"
            or "change" in str(self.entry.args.get("show", "")),
        )  # fmt: skip

    def _places(self, inside: str, role: str, side: str) -> frozenset[str]:
        for path in (f"{inside}{role}_at", f"{inside}id", f"{inside}node"):
            if inside + role + "_at" == path or inside:
                own = self._values.get(path)
                if isinstance(own, str) and own in self.ids:
                    return self.about | {own} if path != f"{inside}{role}_at" else frozenset({own})
        named = {place for place in self.about if re.search(rf"(?<!\w){re.escape(place)}(?!\w)", side)}
        return frozenset(named) or self.about

    def _span(self, inside: str, role: str, group: str) -> tuple[datetime | None, datetime | None]:
        moment = self.time(f"{inside}{role}_time") or (self.time(f"{inside}time") if inside else None)
        if moment is not None:
            return moment, moment
        if inside and (since := self.time(f"{inside}since")) is not None:
            return since, self.time(f"{inside}until") or since
        if group in _BACKTEST:
            return None, None
        opens, closes = self.time("covers_from"), self.time("covers_until")
        if opens is not None and closes is not None:
            return (opens - (closes - opens), opens) if role == "previous_mean" else (opens, closes)
        until = self.time("until") or self.time("as_of")
        if until is None:
            return None, None
        if role == "first_mean" and (found := list(WHEN.finditer(self.word("first")))):
            wanted = written_time(found[-1])
            if wanted is not None and wanted.day is not None and wanted.month is not None:
                until = until.replace(year=wanted.year or until.year, month=wanted.month, day=wanted.day)
        minutes = {
            **dict.fromkeys(_RECENT, self._number("recent_minutes") or self._number("minutes")),
            **dict.fromkeys(_TREND, self._number("trend_minutes")),
        }.get(role)
        if minutes is None:
            hours = self._number("window_hours") or self._number("hours")
            minutes = 60 * hours if hours is not None else self._number("minutes")
        if minutes is None:
            return self.time("since"), until
        return until - timedelta(minutes=minutes), until


def across(ledger: list[Facts]) -> Iterator[Fact]:
    """Differences and ratios of the same quantity at two places, or at the same place in two windows."""
    same: dict[tuple[str, str, str], list[Fact]] = {}
    for facts in ledger:
        for fact in facts.numbers:
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
                "total_median",
            ):
                same.setdefault((fact.role, fact.channel, fact.unit), []).append(fact)
    for found in same.values():
        for one in found[:12]:
            for other in found[:12]:
                if one.places != other.places or one.end != other.end:
                    yield from _pair(one, other, places=one.places | other.places)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _role(leaf: str, group: str, *, trained: bool) -> str:
    if group in _BACKTEST or leaf in ("baseline_mae", "recent_mae"):
        if leaf == "mae" and group in ("rows", "by_horizon") and not trained:
            return "baseline_mae"
        return leaf
    if leaf.startswith("difference_"):
        return leaf
    if leaf in ("lowest", "minimum"):
        return "minimum"
    if leaf in ("highest", "maximum"):
        return "maximum"
    if _LOW.fullmatch(leaf):
        return "low"
    if _HIGH.fullmatch(leaf):
        return "high"
    if leaf in _CENTRE:
        return leaf if leaf in ("before", "after") else "median"
    return leaf


def _with_extremes(facts: list[Fact]) -> Iterator[Fact]:
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


def _derived(facts: tuple[Fact, ...]) -> Iterator[Fact]:
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
        yield from (fact for fact in _pair(left, right) if fact.role == "gap")  # what it is now is compared otherwise
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
