"""What a ledger holds, each number described by its role, place, quantity and time, and what follows from two of them.

Nothing here knows a tool: a reply's own paths, units and neighbouring fields say what a number is. The conventions that
all replies share are read: `X_time` and `X_at` are when and where `X` is; an object's `time`, `since`, `until`, `id`,
`node` and `label` hold for the numbers beside them; `covers_from` opens a span that is forecast.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import cached_property

from mm4st_agent.agent.claims.derived import derived, with_extremes
from mm4st_agent.agent.claims.fact import INDEX, Fact
from mm4st_agent.agent.clock_words import WHEN, written_time
from mm4st_agent.agent.ledger import Evidence

_NAMED = re.compile(r"(?<!\w)(?P<id>[\w-]*\d[\w-]*) \((?P<name>[^()\d][^()]*)\)")
_BACKTEST = ("backtest", "rows", "by_horizon", "test")
_RECENT = ("recent", "usual", "level", "shift", "value", "change")
_TREND = ("slope",)
_CENTRE = ("median", "forecast", "forecast_mean", "explained", "before", "after")
_LOW = re.compile(r"(?:.*_)?low|lowest")
_HIGH = re.compile(r"(?:.*_)?high|highest")


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
        self._kinds = self._mixed_kinds()
        self.step = timedelta(minutes=self._number("step_minutes") or (self._number("step_s") or 0.0) / 60)
        self.units = frozenset(value.unit for value in entry.values.values() if _is_number(value.value))

    @cached_property
    def numbers(self) -> tuple[Fact, ...]:
        """Those that stand in the reply; of most entries of a long conversation no claim ever asks for them."""
        values = self.entry.values.items()
        return tuple(with_extremes([self._fact(p, float(v.value), v.unit) for p, v in values if _is_number(v.value)]))

    @cached_property
    def derived(self) -> tuple[Fact, ...]:
        """What follows from two of them."""
        return tuple(derived(self.numbers))

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
        role, group = INDEX.sub("", leaf), INDEX.sub("", prefix)
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
            or (self.word(f"{inside}kind") if group in self._kinds else "")
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

    def _mixed_kinds(self) -> frozenset[str]:
        """The lists of the reply whose objects are of several kinds."""
        kinds: dict[str, set[str]] = {}
        for path, word in self.entry.words.items():
            if path.endswith("].kind"):
                kinds.setdefault(INDEX.sub("", path.rpartition(".")[0]), set()).add(str(word))
        return frozenset(group for group, said in kinds.items() if len(said) > 1)

    def _places(self, inside: str, role: str, side: str) -> frozenset[str]:
        outer = inside.rpartition("].")[0].rpartition(".")[0] if inside.count("[") > 1 else ""
        for path in (f"{inside}{role}_at", f"{inside}id", f"{inside}node", *([f"{outer}.id"] if outer else [])):
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
