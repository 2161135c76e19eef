"""How far the readings of a stretch of time can be trusted, node by node: gaps, standstills, impossible values."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from mm4st_agent.data.card import Channel
from mm4st_agent.data.panel import Panel
from mm4st_agent.data.quality.assess import SHARED, TOGETHER
from mm4st_agent.data.quality.blocks import Block, Calendar, read_blocks, runs_of
from mm4st_agent.data.quality.limits import limits_of
from mm4st_agent.data.quality.spikes import daily_profile, spikes
from mm4st_agent.data.quality.stuck import standstills

HISTORY_DAYS = 28
"""So much before the end of the window is read, to know what is usual at a node."""


@dataclass(frozen=True)
class Stretch:
    """Some steps in a row of a node.

    Attributes:
        end: The moment after the last of them.
        value: What the readings stand at, in the channel's unit; None for a gap.
        imputed: Of a gap, how many of its steps the source filled.
    """

    node: str
    start: datetime
    end: datetime
    steps: int
    value: float | None = None
    imputed: int = 0


@dataclass(frozen=True)
class Oddity:
    """A reading that cannot be, or that left its neighbours and was back at once.

    Attributes:
        jump: How far it left them, in the channel's unit; None where it is impossible by itself.
    """

    node: str
    time: datetime
    value: float
    jump: float | None


@dataclass(frozen=True)
class NodeWindow:
    """What was measured at one node in the window; `last` is the stamp of the latest reading, also an earlier one."""

    node: str
    missing: int
    imputed: int
    last: datetime | None
    gap: Stretch | None
    stuck: tuple[Stretch, ...]
    odd: tuple[Oddity, ...]


def check_window(panel: Panel, channel: Channel, steps: int) -> list[NodeWindow]:
    """Check the last `steps` steps of every node of the panel; a few nodes are read at a time.

    Impossible are values beyond `limits_of`, imputed ones included. The rules for standstills and jumps are those of
    `standstills` and `spikes`, applied to the last four weeks, or the window where it is longer; what more than half
    of the nodes show at once, such as no rain, is no standstill, and what several show at once is no jump.

    Args:
        panel: Cut at the end of the window, with the nodes that are asked for; all of them measure the channel.
        channel: Of the panel.
        steps: At least 1.
    """
    history = max(steps, HISTORY_DAYS * 86_400 // panel.step_s, 2)
    cut = dataclasses.replace(panel, data=panel.data.isel(time=slice(-history, None)))
    calendar = Calendar.of(cut)
    check = _Check(cut, calendar, channel, min(steps, len(calendar.times)))
    for block in read_blocks(cut, channel):
        check.add(block)
    return check.result()


class _Check:
    """The nodes that were read so far."""

    def __init__(self, panel: Panel, calendar: Calendar, channel: Channel, steps: int) -> None:
        self.ids, self.calendar, self.channel = panel.node_ids, calendar, channel
        self.first = len(calendar.times) - steps
        self.readings = np.full((steps, len(self.ids)), np.nan, dtype=np.float32)
        self.rows: list[NodeWindow] = []
        self.still: list[tuple[int, int, int, float, bool]] = []
        self.jumps: list[tuple[int, int, float, float]] = []

    def add(self, block: Block) -> None:
        measured, offset, nodes = block.measured, block.positions.start, len(self.ids)
        self.readings[:, block.positions] = measured[self.first :]
        held = standstills(measured, self.calendar.step_s, nodes)
        for i in np.flatnonzero(held.runs.start + held.runs.length > self.first).tolist():
            start, length = int(held.runs.start[i]), int(held.runs.length[i])
            node = offset + int(held.runs.node[i])
            self.still.append((node, start, length, float(held.value[i]), bool(held.habitual[i])))
        found = spikes(measured, daily_profile(measured, self.calendar), self.calendar, nodes)
        for i in np.flatnonzero(found.step >= self.first).tolist():
            node, step = int(found.node[i]), int(found.step[i])
            self.jumps.append((offset + node, step, float(found.jump[i]), float(measured[step, node])))
        for node in range(measured.shape[1]):
            self.rows.append(self._row(block, measured, node))

    def _row(self, block: Block, measured: NDArray[np.float64], node: int) -> NodeWindow:
        name, inside = self.ids[block.positions.start + node], slice(self.first, None)
        missing = block.missing[inside, node]
        filled = block.imputed[inside, node] & ~missing
        known = np.flatnonzero(np.isfinite(measured[:, node]))
        return NodeWindow(
            node=name,
            missing=int(missing.sum()),
            imputed=int(filled.sum()),
            last=self._at(int(known[-1])) if len(known) else None,
            gap=self._gap(name, missing | filled, filled),
            stuck=(),
            odd=tuple(self._impossible(name, block.values[inside, node])),
        )

    def _gap(self, name: str, lost: NDArray[np.bool_], filled: NDArray[np.bool_]) -> Stretch | None:
        runs = runs_of(lost[:, None])
        if not len(runs):
            return None
        longest = int(np.argmax(runs.length))
        start, length = int(runs.start[longest]), int(runs.length[longest])
        return self._stretch(name, self.first + start, length, imputed=int(filled[start : start + length].sum()))

    def _impossible(self, name: str, values: NDArray[np.float32]) -> list[Oddity]:
        limits = limits_of(self.channel)
        low = -np.inf if limits.low is None else limits.low
        high = np.inf if limits.high is None else limits.high
        beyond = np.flatnonzero((values < low) | (values > high) | np.isinf(values))
        return [Oddity(name, self._at(self.first + step), float(values[step]), None) for step in beyond.tolist()]

    def _stretch(self, name: str, start: int, length: int, value: float | None = None, *, imputed: int = 0) -> Stretch:
        return Stretch(name, self._at(start), self._at(start + length), length, value, imputed)

    def _at(self, step: int) -> datetime:
        moment: datetime = self.calendar.at(step).to_pydatetime()
        return moment

    def result(self) -> list[NodeWindow]:
        stuck, odd = self._stuck(), self._odd()
        return [
            dataclasses.replace(
                row,
                stuck=tuple(stuck[node]),
                odd=(*row.odd, *(one for one in odd[node] if one.time not in {known.time for known in row.odd})),
            )
            for node, row in enumerate(self.rows)
        ]

    def _stuck(self) -> dict[int, list[Stretch]]:
        found: dict[int, list[Stretch]] = defaultdict(list)
        for node, start, length, value, habitual in self.still:
            together = self.readings[max(0, start - self.first) : start + length - self.first] == np.float32(value)
            shared = int((together.mean(axis=0) >= 0.5).sum())
            if not (habitual and shared > max(SHARED * len(self.ids), 1)):
                found[node].append(self._stretch(self.ids[node], start, length, value))
        return found

    def _odd(self) -> dict[int, list[Oddity]]:
        near: dict[tuple[int, bool], set[int]] = defaultdict(set)
        for node, step, jump, _ in self.jumps:
            for beside in (step - 1, step, step + 1):
                near[beside, jump > 0].add(node)
        many = max(2, round(TOGETHER * len(self.ids)))
        found: dict[int, list[Oddity]] = defaultdict(list)
        for node, step, jump, value in self.jumps:
            if len(near[step, jump > 0]) < many:
                found[node].append(Oddity(self.ids[node], self._at(step), value, jump))
        return found
