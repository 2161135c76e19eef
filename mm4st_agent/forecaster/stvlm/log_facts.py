"""The log before a window: incidents and events that were published, in the log's own words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from mm4st_agent.data.events import Event
from mm4st_agent.data.panel import Panel
from mm4st_agent.forecaster.stvlm.fact_statistics import FactStatistics
from mm4st_agent.forecaster.stvlm.lines import Line, span
from mm4st_agent.forecaster.stvlm.regions import Positions, Regions

AFTER_MIN = 30.0
"""An event is told for so many minutes after its end, or for one step where that is longer."""
UNENDED_MIN = 60.0
"""An entry that has no end is told for so long after its start."""
LONGEST_WORDS = 40
"""Of the text of one entry; a log may hold whole articles."""
_NS_A_MIN = 60_000_000_000
_STATES = ("runs", "is due", "ended")
_RUNS, _DUE, _ENDED = range(3)
_WORD = re.compile(r"\w{3,}")


@dataclass(frozen=True)
class LogFacts:
    """The entries that matter at each origin.

    Attributes:
        events: All entries of the log.
        nodes: Position of each entry's node, or -1.
        current: `(T + 1,)` numbers of the entries that are told at each origin.
        moments: `(T + 1,)` when the forecast of an origin is made: the last reading before it has just come in;
            UTC in nanoseconds.
        kinds: Kinds that have a number.
        of_node: `(N,)` segment of each node.
    """

    events: tuple[Event, ...]
    nodes: tuple[int, ...]
    current: tuple[tuple[int, ...], ...]
    moments: NDArray[np.int64]
    kinds: tuple[str, ...]
    of_node: Positions

    @classmethod
    def of(cls, panel: Panel, steps: int, statistics: FactStatistics, regions: Regions, horizon: int) -> Self:
        """Find for each origin in 0 .. `steps` the entries that are published, and run, are due, or have just ended.

        The end of an entry is used only where it is past. An entry at a node that the panel lacks is told of the
        whole network.
        """
        moments = _moments(panel, steps)
        step = panel.step_s / 60
        current: list[list[int]] = [[] for _ in moments]
        for number, event in enumerate(panel.events):
            first, last = _told(event, horizon * step, step)
            begin = int(moments.searchsorted(first, side="left"))
            end = len(moments) if last is None else int(moments.searchsorted(last, side="right"))
            for origin in range(begin, end):
                current[origin].append(number)
        places = {node: position for position, node in enumerate(panel.node_ids)}
        return cls(
            panel.events,
            tuple(places.get(event.node or "", -1) for event in panel.events),
            tuple(map(tuple, current)),
            moments,
            statistics.kinds,
            regions.of_node,
        )

    def lines(self, origin: int) -> list[Line]:
        """The latest entry about each happening, then the earlier ones."""
        latest, earlier = self.lines_at(origin)
        return latest + earlier

    def lines_at(self, origin: int) -> tuple[list[Line], list[Line]]:
        """The latest entry about each happening, and the earlier ones."""
        latest, earlier = self.ranked(origin)
        return [self._line(number, origin) for number in latest], [self._line(number, origin) for number in earlier]

    def _line(self, number: int, origin: int) -> Line:
        node = self.nodes[number]
        return Line(_text(self.events[number], int(self.moments[origin])), node if node >= 0 else None, "event")

    def ranked(self, origin: int) -> tuple[list[int], list[int]]:
        """The latest entry about each happening, and the earlier ones.

        What has not ended comes first, then what has a node, then what starts or started nearest to now.
        """
        now = int(self.moments[origin])
        newest_first = sorted(self.current[origin], key=lambda number: -self.events[number].published_at.value)
        ranked = sorted(newest_first, key=lambda number: self._rank(number, now))
        latest: dict[tuple[str, str | None, str, int], int] = {}
        for number in newest_first:
            event = self.events[number]
            latest.setdefault((event.kind, event.node, event.place, event.start.value), number)
        kept = set(latest.values())
        return [number for number in ranked if number in kept], [number for number in ranked if number not in kept]

    def _rank(self, number: int, now: int) -> tuple[bool, bool, int]:
        event = self.events[number]
        return _state(event, now) == _ENDED, self.nodes[number] < 0, abs(now - event.start.value)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns of `numbers`."""
        return (
            *(f"log {where}: an entry {state}" for where in ("node", "segment", "network") for state in _STATES),
            "log node: log of hours from the start",
            *(f"log node: {kind or 'entry'}" for kind in self.kinds),
        )

    def numbers(self, origin: int) -> NDArray[np.float32]:
        """`(N, F)`: counts of the entries told, by where they are and whether they run, are due, or have ended."""
        now = int(self.moments[origin])
        count = len(self.of_node)
        own, whole = np.zeros((count, len(_STATES))), np.zeros(len(_STATES))
        kinds, since = np.zeros((count, len(self.kinds))), np.zeros(count)
        latest, earlier = self.ranked(origin)
        for number in reversed(latest + earlier):
            event, node, state = self.events[number], self.nodes[number], _state(self.events[number], now)
            whole[state] += 1
            if node < 0:
                continue
            own[node, state] += 1
            hours = (now - event.start.value) / (60 * _NS_A_MIN)
            since[node] = np.sign(hours) * np.log1p(abs(hours))
            if event.kind in self.kinds:
                kinds[node, self.kinds.index(event.kind)] += 1
        near = np.stack([np.bincount(self.of_node, column)[self.of_node] for column in own.T], axis=1)
        table = np.concatenate([own, near, np.broadcast_to(whole, own.shape), since[:, None], kinds], axis=1)
        return table.astype(np.float32)


def _moments(panel: Panel, steps: int) -> NDArray[np.int64]:
    """`(steps + 1,)` when the forecast of each origin is made; after the last reading, at the panel's own clock."""
    readings = panel.times[:steps].as_unit("ns").asi8 + (panel.start - panel.times[0]).value
    moments = np.concatenate([[readings[0] - panel.step.value], readings])
    if steps == len(panel.times):
        moments[-1] = panel.end.value
    return np.asarray(moments, dtype=np.int64)


def _told(event: Event, ahead_min: float, step_min: float) -> tuple[int, int | None]:
    """From when to when an entry is told, UTC in nanoseconds; None: as long as it runs."""
    first = max(event.published_at.value, event.start.value - int(ahead_min * _NS_A_MIN))
    if not event.end_known:
        return first, max(first, event.start.value + int(max(UNENDED_MIN, step_min) * _NS_A_MIN))
    if event.end is None:
        return first, None
    return first, event.end.value + int(max(AFTER_MIN, step_min) * _NS_A_MIN)


def _state(event: Event, now: int) -> int:
    """Position in `_STATES`; it runs unless it is known to have ended."""
    if event.end is not None and event.end.value <= now:
        return _ENDED
    return _DUE if event.start.value > now else _RUNS


def _text(event: Event, now: int) -> str:
    """The place is left out where the text names it already."""
    state = _state(event, now)
    since = abs(now - event.start.value) / _NS_A_MIN
    if state == _ENDED and event.end is not None:
        when = f"ended {span((now - event.end.value) / _NS_A_MIN)} ago"
    else:
        when = f"due in {span(since)}" if state == _DUE else f"for {span(since)}"
    words = event.text.split()
    text = " ".join(words[:LONGEST_WORDS])
    named = set(_WORD.findall(event.place.lower())) <= set(_WORD.findall(text.lower()))
    place = "" if named else f" ({event.place})"
    return f"{event.kind or 'report'}, {when}: {text}{place}"
