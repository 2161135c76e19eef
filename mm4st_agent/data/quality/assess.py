"""`assess`: every test on every channel, a few nodes in memory at a time."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mm4st_agent.data.card import Channel
from mm4st_agent.data.panel import Panel
from mm4st_agent.data.quality import pairs, shifts
from mm4st_agent.data.quality.blocks import Block, Calendar, grouped_median, read_blocks
from mm4st_agent.data.quality.counts import Counts, completeness, share
from mm4st_agent.data.quality.limits import Limits, limits_of
from mm4st_agent.data.quality.report import ChannelQuality, Fault, QualityReport
from mm4st_agent.data.quality.sentences import Teller, plural, ranked
from mm4st_agent.data.quality.spikes import daily_profile, spikes
from mm4st_agent.data.quality.stuck import standstills, straight_lines
from mm4st_agent.data.quality.verdict import verdict

__all__ = ["assess", "completeness"]

MAX_FAULTS = 200
"""Of each kind in a channel; the gravest are kept, all are counted."""
LEAST_OUTAGE_S = 86_400
"""A shorter gap is counted in the shares only."""
TOGETHER = 0.1
"""Spikes of at least two and at least this share of the nodes within one step are an event, not a fault."""
SHARED = 0.5
"""Where more than this share of the nodes stand still together at their most frequent value, none is stuck."""

Progress = Callable[[int, int], None]


def assess(panel: Panel, channel: str | None = None, *, progress: Progress | None = None) -> QualityReport:
    """Test how far the readings can be trusted, and say it in plain sentences.

    Imputed cells count as not measured: they are reported, and no other test looks at them. What is tested, and by
    which rule, stands with each test: `standstills`, `straight_lines`, `spikes`, `level_shifts`, `clock_lags`,
    `contradictions`, `limits_of`. The rules expect about 0.01 false alarms in a channel of sound sensors.

    Args:
        panel: Possibly cut by `until`: nothing later is seen. Nodes are read a few at a time.
        channel: None is every channel.
        progress: Called with the nodes that were read, and how many there are over all channels.

    Raises:
        UsageError: there is no such channel.
    """
    wanted = [panel.channel(channel)] if channel is not None else list(panel.card.channels)
    calendar = Calendar.of(panel)
    total = sum(len(panel.nodes_of(one.name)) for one in wanted)
    done = 0
    results = []
    for one in wanted:
        check = _Check(panel, one, calendar)
        for block in read_blocks(panel, one):
            check.add(block)
            done += block.values.shape[1]
            if progress is not None:
                progress(done, total)
        results.append(check.result())
    return QualityReport(
        dataset=panel.name,
        title=panel.card.title,
        synthetic=panel.card.synthetic,
        start=calendar.times[0].to_pydatetime(),
        end=calendar.times[-1].to_pydatetime(),
        step_s=panel.step_s,
        time_zone=panel.card.time_zone,
        nodes=len(panel.node_ids),
        place_word=panel.card.place_word,
        verdict=verdict(panel, results),
        channels=tuple(results),
    )


class _Check:
    """One channel in the making: what single nodes show at once, and what is kept to compare nodes later."""

    def __init__(self, panel: Panel, channel: Channel, calendar: Calendar) -> None:
        self.panel = panel
        self.channel = channel
        self.calendar = calendar
        self.counts = Counts(panel, channel, calendar)
        self.tell = Teller(panel, channel, calendar, self.counts.ids)
        nodes, days = len(self.counts.ids), int(calendar.day[-1]) + 1
        steps = len(calendar.times)
        per_bin = max(-(-steps // pairs.MOST_BINS), 3600 // calendar.step_s, 1)
        self.bin = np.arange(steps) // per_bin
        self.binned = np.full((nodes, int(self.bin[-1]) + 1), np.nan, dtype=np.float32)
        self.daily = np.full((nodes, days), np.nan)
        self.hourly = np.full((nodes, 24), np.nan)
        self.scale = np.full(nodes, np.nan)
        self.level = np.full(nodes, np.nan)
        self.on_lines = 0
        self.copies: dict[bytes, list[int]] = defaultdict(list)
        self.faults: list[Fault] = []
        self.jumps: list[tuple[int, int, float, float]] = []
        self.still: list[tuple[int, int, int, float, bool]] = []

    def add(self, block: Block) -> None:
        self.counts.add(block)
        first, nodes = block.positions.start, len(self.counts.ids)
        measured = block.measured
        self._range(block, limits_of(self.channel))
        held = standstills(measured, self.calendar.step_s, nodes)
        for i in range(len(held.runs)):
            run = (int(held.runs.node[i]), int(held.runs.start[i]), int(held.runs.length[i]))
            self.still.append((first + run[0], run[1], run[2], float(held.value[i]), bool(held.habitual[i])))
        lines = straight_lines(measured, nodes)
        for node in np.unique(lines.node):
            mine = lines.node == node
            inside = int((lines.length[mine] - 2).sum())
            self.on_lines += inside
            longest = int(np.flatnonzero(mine)[np.argmax(lines.length[mine])])
            span = int(lines.start[longest]), int(lines.length[longest])
            known = int(np.isfinite(measured[:, node]).sum())
            self.faults.append(self.tell.straight_line(first + int(node), *span, int(mine.sum()), inside, known))
        profile = daily_profile(measured, self.calendar)
        jumps = spikes(measured, profile, self.calendar, nodes)
        for node, step, jump in zip(jumps.node.tolist(), jumps.step.tolist(), jumps.jump.tolist(), strict=True):
            self.jumps.append((first + node, step, jump, float(measured[step, node])))
        self._keep(block, measured, profile)

    def _range(self, block: Block, limits: Limits) -> None:
        """Impossible readings, also infinite ones; imputed ones are the source's word and count as well."""
        values = block.values
        low = values < limits.low if limits.low is not None else np.isneginf(values)
        high = values > limits.high if limits.high is not None else np.isposinf(values)
        beyond = low | high
        for node in np.flatnonzero(beyond.any(axis=0)):
            steps = np.flatnonzero(beyond[:, node])
            distance = np.where(low[steps, node], -values[steps, node], values[steps, node])
            worst = int(steps[np.argmax(distance)])
            reading = float(values[worst, node])
            self.faults.append(
                self.tell.out_of_range(block.positions.start + int(node), worst, reading, limits, len(steps))
            )

    def _keep(self, block: Block, measured: NDArray[np.float64], profile: NDArray[np.float64]) -> None:
        """What later compares nodes: levels by day, the day's shape, means of stretches of time, a hash."""
        at, calendar = block.positions, self.calendar
        known, rest = np.isfinite(measured), measured - profile
        whole = max(calendar.slots, 1)
        enough = np.stack([np.bincount(calendar.day, column, self.daily.shape[1]) for column in known.T]) >= whole / 2
        departures = grouped_median(rest, calendar.day, self.daily.shape[1])
        self.daily[at] = np.where(enough, (departures + self._usual_level(profile)).T, np.nan)
        if calendar.step_s <= 3600:
            self.hourly[at] = grouped_median(measured, calendar.hour, 24).T
        everything = np.zeros(len(measured), dtype=np.intp)
        self.scale[at] = 1.4826 * grouped_median(np.abs(rest - departures[calendar.day]), everything, 1)[0]
        self.level[at] = grouped_median(measured, everything, 1)[0]
        starts = np.searchsorted(self.bin, np.arange(self.binned.shape[1]))
        sums = np.add.reduceat(np.where(known, measured, 0.0), starts, axis=0)
        count = np.add.reduceat(known, starts, axis=0, dtype=np.int64)
        half = np.bincount(self.bin)[:, None] / 2
        self.binned[at] = np.divide(sums, count, out=np.full(sums.shape, np.nan), where=count >= half).T
        for column in range(measured.shape[1]):
            readings = measured[:, column][known[:, column]]
            if len(readings) >= 24 and np.ptp(readings) > 0:
                series = np.where(known[:, column], measured[:, column], np.nan).astype(np.float32)
                self.copies[hashlib.blake2b(series.tobytes(), digest_size=16).digest()].append(at.start + column)

    def _usual_level(self, profile: NDArray[np.float64]) -> NDArray[np.float64]:
        """`(D, n)` level of the daily profile that a day was compared with: that of its kind."""
        kind = self.calendar.day_kind
        levels = grouped_median(profile, kind, 2)
        first = np.minimum(np.searchsorted(self.calendar.day, np.arange(self.daily.shape[1])), len(kind) - 1)
        return np.asarray(levels[kind[first]])

    def result(self) -> ChannelQuality:
        counts, tell = self.counts, self.tell
        complete = counts.result()
        faults = [*self.faults, *self._spikes(), *self._standstills(), *self._outages()]
        faults += [tell.never_measured(node, bool(counts.imputed[node])) for node in counts.never_measured]
        faults += [tell.duplicate(nodes) for nodes in self.copies.values() if len(nodes) > 1]
        not_tested = []
        if self.daily.shape[1] < 2 * shifts.LEAST_DAYS:
            days = plural("day", self.daily.shape[1])
            not_tested.append(
                f"Lasting level shifts: the data have {self.daily.shape[1]} {days}; {2 * shifts.LEAST_DAYS} are needed."
            )
        for shift in shifts.level_shifts(self.daily, self.scale, self._weekend()):
            faults.append(tell.level_shift(shift, float(self.level[shift.node])))
        for node, lag in shifts.clock_lags(self.hourly):
            faults.append(tell.wrong_clock(node, lag))
        linked, directed = pairs.neighbours(self.panel, counts.ids)
        if len(linked) < pairs.LEAST_PAIRS:
            not_tested.append(
                f"Neighbours that contradict each other: {len(linked)} neighbouring "
                f"{plural('pair', len(linked))} known; {pairs.LEAST_PAIRS} are needed."
            )
        copied = {frozenset(nodes) for nodes in self.copies.values() if len(nodes) > 1}
        adds = self.channel.aggregation == "sum"
        for one in pairs.contradictions(self.binned, linked, directed=directed, counts=adds):
            if not any({one.source, one.target} <= nodes for nodes in copied):
                faults.append(tell.contradiction(one))
        kinds = Counter(fault.what for fault in faults)
        kept: Counter[str] = Counter()
        shown = []
        for fault in ranked(faults):
            kept[fault.what] += 1
            if kept[fault.what] <= MAX_FAULTS:
                shown.append(fault)
        measured = complete.cells - complete.missing - complete.imputed
        return ChannelQuality(
            completeness=complete,
            straight_line_share=share(self.on_lines, measured) if measured else None,
            faults=tuple(shown),
            counts=dict(kinds),
            not_tested=tuple(not_tested),
        )

    def _weekend(self) -> NDArray[np.bool_]:
        """`(D,)` Saturdays and Sundays."""
        first = int(self.calendar.weekday[0])
        return (first + np.arange(self.daily.shape[1])) % 7 >= 5

    def _spikes(self) -> list[Fault]:
        """Those of single nodes, the worst and how many; what several nodes show at once happened, as fireworks do."""
        at_step: dict[tuple[int, bool], set[int]] = defaultdict(set)
        for node, step, jump, _ in self.jumps:
            for near in (step - 1, step, step + 1):
                at_step[near, jump > 0].add(node)
        many = max(2, round(TOGETHER * len(self.counts.ids)))
        by_node: dict[int, list[tuple[int, float, float]]] = defaultdict(list)
        for node, step, jump, value in self.jumps:
            if len(at_step[step, jump > 0]) < many:
                by_node[node].append((step, jump, value))
        worst = {node: max(found, key=lambda one: abs(one[1])) for node, found in by_node.items()}
        return [self.tell.spike(node, *worst[node], len(found)) for node, found in by_node.items()]

    def _standstills(self) -> list[Fault]:
        """Those of single nodes, the worst and how many; dry spells and the like, which most nodes share, are none."""
        nodes = len(self.counts.ids)
        held = np.array([(node, start, start + length, value) for node, start, length, value, _ in self.still])
        by_node: dict[int, list[tuple[int, int, float]]] = defaultdict(list)
        for node, start, length, value, habitual in self.still:
            if habitual:
                spans = held[held[:, 3] == value]
                overlap = np.minimum(spans[:, 2], start + length) - np.maximum(spans[:, 1], start)
                if len(np.unique(spans[overlap >= length / 2, 0])) > max(SHARED * nodes, 1):
                    continue
            by_node[node].append((length, start, value))
        return [self.tell.stuck(node, runs) for node, runs in by_node.items()]

    def _outages(self) -> list[Fault]:
        """The outages of a day or longer; those with the same start and end are one."""
        never = set(self.counts.never_measured)
        shared: dict[tuple[int, int, bool], list[int]] = defaultdict(list)
        for length, node, start, filled in self.counts.outages:
            if node not in never and length * self.calendar.step_s >= max(LEAST_OUTAGE_S, 4 * self.calendar.step_s):
                shared[start, length, filled].append(node)
        return [self.tell.outage(nodes, *span) for span, nodes in shared.items()]
