"""Each fault in one plain sentence, with its place, time, number and unit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import get_args

import numpy as np

from mm4st_agent.data.card import Channel
from mm4st_agent.data.panel import Panel
from mm4st_agent.data.quality.blocks import Calendar
from mm4st_agent.data.quality.limits import Limits
from mm4st_agent.data.quality.pairs import Contradiction
from mm4st_agent.data.quality.report import Fault, Severity, What
from mm4st_agent.data.quality.shifts import Shift

_ORDER = {what: rank for rank, what in enumerate(get_args(What))}
_GRAVITY = {"high": 0, "medium": 1, "low": 2}
_NAMED = 3
"""Nodes that a sentence names; of more it says how many."""


def ranked(faults: Iterable[Fault]) -> list[Fault]:
    """The gravest first: by severity and kind, then what lasted longest, what happened most often, and by size."""

    def gravity(fault: Fault) -> tuple[object, ...]:
        size = abs(fault.value or 0.0)
        lasting = size if fault.unit == "h" else 0.0
        return (
            _GRAVITY[fault.severity],
            _ORDER[fault.what],
            -lasting,
            -fault.count,
            -size,
            -len(fault.nodes),
            fault.nodes,
        )

    return sorted(faults, key=gravity)


class Teller:
    """Knows the names of a channel's nodes, its times and its unit."""

    def __init__(self, panel: Panel, channel: Channel, calendar: Calendar, ids: Sequence[str]) -> None:
        self._panel = panel
        self._calendar = calendar
        self._ids = ids
        self._unit = "" if channel.unit in ("", "1") else channel.unit
        self._channel = channel.label
        self._title = channel.label[:1].upper() + channel.label[1:]
        self._step_h = calendar.step_s / 3600

    def never_measured(self, node: int, filled: bool) -> Fault:
        how = "every reading was filled in by the source" if filled else "there is no reading at all"
        return self._fault(
            "never measured",
            "high",
            [node],
            None,
            1.0,
            "1",
            f"{self._at(node)} was never measured: {how}.",
        )

    def outage(self, nodes: Sequence[int], start: int, length: int, filled: bool) -> Fault:
        hours = length * self._step_h
        what = "filled in by the source, not measured," if filled else "missing"
        severity: Severity = "high" if hours >= 7 * 24 else "medium"
        return self._fault(
            "outage", severity, nodes, (start, length), hours, "h",
            f"{self._title} at {self._places(nodes)} was {what} for {lasting(hours)}, "
            f"{self._span(start, length)}.",
        )  # fmt: skip

    def stuck(self, node: int, runs: Sequence[tuple[int, int, float]]) -> Fault:
        length, start, value = max(runs)
        hours = length * self._step_h
        severity: Severity = "high" if hours >= 24 else "medium" if hours >= 6 else "low"
        often = f"; {len(runs)} times in all" if len(runs) > 1 else ""
        return self._fault(
            "stuck", severity, [node], (start, length), hours, "h",
            f"{self._at(node)} stood still at {self._amount(value)} for {lasting(hours)}, "
            f"{self._span(start, length)}{often}.",
            len(runs),
        )  # fmt: skip

    def straight_line(self, node: int, start: int, length: int, count: int, inside: int, known: int) -> Fault:
        hours = (length - 1) * self._step_h
        part = inside / known
        severity: Severity = "medium" if part >= 0.05 or hours >= 24 else "low"
        return self._fault(
            "straight line", severity, [node], (start, length), hours, "h",
            f"{self._at(node)} runs on a straight line for {lasting(hours)}, {self._span(start, length)}, "
            f"as if filled in; {percent(part)} of its readings lie inside {count} such {plural('line', count)}.",
            count,
        )  # fmt: skip

    def spike(self, node: int, step: int, jump: float, value: float, count: int) -> Fault:
        severity: Severity = "medium" if count >= 10 else "low"
        many = f"; {count} such readings in all" if count > 1 else ""
        return self._fault(
            "spike", severity, [node], (step, 1), jump, None,
            f"{self._at(node)} jumped {'up' if jump > 0 else 'down'} by {self._amount(abs(jump))} "
            f"to {self._amount(value)} {self._when(step)} and was back at once{many}.",
            count,
        )  # fmt: skip

    def out_of_range(self, node: int, step: int, value: float, limits: Limits, count: int) -> Fault:
        finite = np.isfinite(value)
        bound = (
            f"below {self._amount(limits.low)}" if limits.low is not None and value < limits.low
            else f"above {self._amount(limits.high)}" if limits.high is not None else "infinite"
        )  # fmt: skip
        worst = f", the worst {self._amount(value)} {self._when(step)}" if finite else f", one {self._when(step)}"
        return self._fault(
            "out of range", "high", [node], (step, 1), value if finite else None, None,
            f"{self._at(node)} has {count:,} {plural('reading', count)} that cannot be: {bound}{worst}.",
            count,
        )  # fmt: skip

    def level_shift(self, shift: Shift, level: float) -> Fault:
        start = int(np.searchsorted(self._calendar.day, shift.day))
        relative = abs(shift.size) / abs(level) if level else 0.0
        severity: Severity = "high" if relative >= 0.5 else "medium"
        return self._fault(
            "level shift", severity, [shift.node], (start, None), shift.size, None,
            f"The level of {self._at(shift.node, False)} {'rose' if shift.size > 0 else 'fell'} by "
            f"{self._amount(abs(shift.size))} about {self._calendar.at(start):%Y-%m-%d} and stayed there.",
        )  # fmt: skip

    def wrong_clock(self, node: int, lag: int) -> Fault:
        return self._fault(
            "wrong clock", "high", [node], None, float(lag), "h",
            f"The day of {self._at(node, False)} runs {abs(lag)} hours {'late' if lag > 0 else 'early'} "
            "against the others: its clock or time zone may be wrong.",
        )  # fmt: skip

    def duplicate(self, nodes: Sequence[int]) -> Fault:
        return self._fault(
            "duplicate", "high", nodes, None, 1.0, "1",
            f"{self._title} at {self._places(nodes)} has exactly the same readings throughout: one sensor, or copies.",
        )  # fmt: skip

    def contradiction(self, found: Contradiction) -> Fault:
        nodes = [found.source, found.target]
        if found.kind == "correlation":
            return self._fault(
                "contradiction", "medium", nodes, None, found.value, "1",
                f"{self._title} at the neighbours {self._places(nodes)} contradicts itself: their correlation is "
                f"{found.value:.2f}, where three of four neighbouring pairs reach {found.usual:.2f}.",
            )  # fmt: skip
        return self._fault(
            "contradiction", "medium", nodes, None, found.value, "1",
            f"{self._title} at {self._place(found.target)} is {found.value:.2f} times that at "
            f"{self._place(found.source)}, although one link leads from the one to the other and no other link "
            f"leaves or joins; usual is {found.usual:.2f} times.",
        )  # fmt: skip

    def _fault(
        self, what: What, severity: Severity, nodes: Sequence[int], span: tuple[int, int | None] | None,
        value: float | None, unit: str | None, sentence: str, count: int = 1,
    ) -> Fault:  # fmt: skip
        start = end = None
        if span is not None:
            start = self._calendar.at(span[0]).to_pydatetime()
            end = self._calendar.at(span[0] + span[1]).to_pydatetime() if span[1] is not None else None
        return Fault(
            what=what,
            severity=severity,
            nodes=tuple(self._ids[node] for node in nodes),
            start=start,
            end=end,
            value=None if value is None else float(f"{value:.6g}"),
            unit=self._unit if unit is None else unit,
            count=count,
            sentence=sentence,
        )

    def _at(self, node: int, first: bool = True) -> str:
        return f"{self._title if first else self._channel} at {self._place(node)}"

    def _place(self, node: int) -> str:
        return self._panel.place(self._ids[node])

    def _places(self, nodes: Sequence[int]) -> str:
        if len(nodes) == 1:
            return self._place(nodes[0])
        return enumerated(self._panel.card.place_word, [self._ids[node] for node in nodes])

    def _amount(self, value: float) -> str:
        return f"{value:,.4g} {self._unit}".strip() if abs(value) < 1e4 else f"{value:,.0f} {self._unit}".strip()

    def _when(self, step: int) -> str:
        return f"at {self._calendar.at(step):%Y-%m-%d %H:%M}"

    def _span(self, start: int, length: int) -> str:
        return span_in_words(self._calendar.at(start), self._calendar.at(start + length))


def lasting(hours: float) -> str:
    """A length of time as people say it.

    >>> lasting(0.5), lasting(30), lasting(72)
    ('30 minutes', '30 hours', '3.0 days')
    """
    if hours < 2:
        return f"{hours * 60:.0f} minutes"
    return f"{hours:.0f} hours" if hours < 48 else f"{hours / 24:.1f} days"


def span_in_words(start: datetime, end: datetime) -> str:
    """Such as `from 2022-01-25 07:30 to 09:00`."""
    last = f"{end:%H:%M}" if start.date() == end.date() else f"{end:%Y-%m-%d %H:%M}"
    return f"from {start:%Y-%m-%d %H:%M} to {last}"


def enumerated(word: str, ids: Sequence[str]) -> str:
    """`stations a and b`, `stations a, b, c and 9 more`.

    >>> enumerated("station", ["a", "b", "c", "d"])
    'stations a, b, c and 1 more'
    """
    if len(ids) == 1:
        return f"{word} {ids[0]}"
    if len(ids) <= _NAMED:
        return f"{word}s {', '.join(ids[:-1])} and {ids[-1]}"
    return f"{word}s {', '.join(ids[:_NAMED])} and {len(ids) - _NAMED} more"


def percent(part: float) -> str:
    """A share in per cent; what is not nothing is never written as 0, nor what is not all as 100.

    >>> percent(0.1412), percent(0.00001), percent(0.9999)
    ('14.1 %', 'less than 0.1 %', 'more than 99.9 %')
    """
    if 0 < part < 0.001:
        return "less than 0.1 %"
    if 0.999 < part < 1:
        return "more than 99.9 %"
    return f"{100 * part:.1f} %" if 0 < part < 1 else f"{100 * part:.0f} %"


def plural(word: str, count: int) -> str:
    """The word for so many, with an s for all but one."""
    return word if count == 1 else f"{word}s"
