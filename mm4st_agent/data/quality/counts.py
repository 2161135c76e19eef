"""Counting what is missing and what was filled in: by node, hour, weekday and day, and the longest outages."""

from __future__ import annotations

import heapq

import numpy as np
from numpy.typing import NDArray

from mm4st_agent.data.card import Channel
from mm4st_agent.data.panel import Panel
from mm4st_agent.data.quality.blocks import Block, Calendar, channel_positions, read_blocks, runs_of
from mm4st_agent.data.quality.report import Completeness, DayShare, HourShare, NodeShare, Outage

MOST_NODES = 10
MOST_DAYS = 5
MOST_OUTAGES = 500
"""Kept while counting."""
SHOWN_OUTAGES = 10

Run = tuple[int, int, int, bool]
"""Steps, node, first step, whether the source filled most of it."""


class Counts:
    """What has been counted of a channel so far, and whose nodes these are."""

    def __init__(self, panel: Panel, channel: Channel, calendar: Calendar) -> None:
        self.panel = panel
        self.channel = channel
        self.calendar = calendar
        positions = channel_positions(panel, channel)
        every = panel.node_ids
        self.ids = [every[position] for position in positions]
        steps, nodes = len(calendar.times), len(self.ids)
        self.missing = np.zeros(nodes, dtype=np.int64)
        self.imputed = np.zeros(nodes, dtype=np.int64)
        self.missing_at = np.zeros(steps, dtype=np.int64)
        self.imputed_at = np.zeros(steps, dtype=np.int64)
        self._outages: list[Run] = []

    def add(self, block: Block) -> None:
        """Count one block; a missing cell is not counted as imputed."""
        filled = block.imputed & ~block.missing
        self.missing[block.positions] = block.missing.sum(axis=0)
        self.imputed[block.positions] = filled.sum(axis=0)
        self.missing_at += block.missing.sum(axis=1)
        self.imputed_at += filled.sum(axis=1)
        runs = runs_of(block.missing | filled)
        longest = np.argsort(-runs.length, kind="stable")[:MOST_OUTAGES]
        found = []
        for index in longest:
            node, start, length = int(runs.node[index]), int(runs.start[index]), int(runs.length[index])
            share = filled[start : start + length, node].mean()
            found.append((length, block.positions.start + node, start, bool(share > 0.5)))
        self._outages = heapq.nlargest(
            MOST_OUTAGES, [*self._outages, *found], key=lambda run: (run[0], -run[1], -run[2])
        )

    @property
    def outages(self) -> list[Run]:
        """The longest ones, the longest first."""
        return self._outages

    @property
    def never_measured(self) -> list[int]:
        """Positions of the nodes without any measured reading."""
        steps = len(self.calendar.times)
        return [int(node) for node in np.flatnonzero(self.missing + self.imputed == steps)]

    def name(self, node: int) -> str:
        return self.panel.place_name(self.ids[node])

    def result(self) -> Completeness:
        """What was counted, as shares; call it when every block was added."""
        steps, nodes = len(self.calendar.times), len(self.ids)
        cells = steps * nodes
        return Completeness(
            name=self.channel.name,
            title=self.channel.label,
            unit=self.channel.unit,
            nodes=nodes,
            cells=cells,
            missing=int(self.missing.sum()),
            imputed=int(self.imputed.sum()),
            missing_share=share(self.missing.sum(), cells),
            imputed_share=share(self.imputed.sum(), cells),
            never_measured=tuple(self.ids[node] for node in self.never_measured),
            worst_nodes=self._worst_nodes(steps),
            by_hour=self._by(self.calendar.hour, 24) if self.calendar.step_s <= 3600 else (),
            by_weekday=self._by(self.calendar.weekday, 7)
            if self.calendar.step_s <= 86_400 and self.calendar.day[-1] >= 6
            else (),
            worst_days=self._worst_days(),
            outages=tuple(self._outage(run) for run in self.outages[:SHOWN_OUTAGES]),
        )

    def _worst_nodes(self, steps: int) -> tuple[NodeShare, ...]:
        lost = self.missing + self.imputed
        worst = [node for node in np.argsort(-lost, kind="stable")[:MOST_NODES] if lost[node] > 0]
        return tuple(
            NodeShare(
                node=self.ids[node],
                name=self.name(node),
                missing_share=share(self.missing[node], steps),
                imputed_share=share(self.imputed[node], steps),
            )
            for node in worst
        )

    def _by(self, slot: NDArray[np.intp], slots: int) -> tuple[HourShare, ...]:
        cells = np.bincount(slot, minlength=slots) * len(self.ids)
        missing = np.bincount(slot, self.missing_at, slots)
        imputed = np.bincount(slot, self.imputed_at, slots)
        return tuple(
            HourShare(slot=i, missing_share=share(missing[i], cells[i]), imputed_share=share(imputed[i], cells[i]))
            for i in range(slots)
            if cells[i] > 0
        )

    def _worst_days(self) -> tuple[DayShare, ...]:
        day = self.calendar.day
        cells = np.bincount(day) * len(self.ids)
        missing, imputed = np.bincount(day, self.missing_at), np.bincount(day, self.imputed_at)
        lost = (missing + imputed) / np.maximum(cells, 1)
        first = np.searchsorted(day, np.arange(len(cells)))
        return tuple(
            DayShare(
                day=self.calendar.times[first[worst]].date(),
                missing_share=share(missing[worst], cells[worst]),
                imputed_share=share(imputed[worst], cells[worst]),
            )
            for worst in np.argsort(-lost, kind="stable")[:MOST_DAYS]
            if lost[worst] > 0
        )

    def _outage(self, run: Run) -> Outage:
        length, node, start, filled = run
        return Outage(
            node=self.ids[node],
            name=self.name(node),
            start=self.calendar.at(start).to_pydatetime(),
            end=self.calendar.at(start + length).to_pydatetime(),
            hours=round(length * self.calendar.step_s / 3600, 3),
            filled=filled,
        )


def completeness(panel: Panel, channel: str | None = None) -> Completeness:
    """Count a channel's missing and imputed cells at the nodes that measure it; a few nodes are read at a time.

    Args:
        panel: Possibly cut by `until`: nothing later is seen.
        channel: None is the main one.

    Raises:
        UsageError: there is no such channel.
    """
    wanted = panel.channel(channel)
    counts = Counts(panel, wanted, Calendar.of(panel))
    for block in read_blocks(panel, wanted):
        counts.add(block)
    return counts.result()


def share(part: float | np.number, whole: float | np.number) -> float:
    """`part / whole` to six digits; 0 of nothing is 0."""
    return round(float(part) / float(whole), 6) if whole else 0.0
