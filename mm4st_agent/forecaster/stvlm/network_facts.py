"""The state of the network before a window: level, trend, unusual sensors, the segments that deviate most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from mm4st_agent.data.card import Channel
from mm4st_agent.data.panel import Panel
from mm4st_agent.data.windows import Scaler
from mm4st_agent.forecaster.stvlm.fact_statistics import FactStatistics
from mm4st_agent.forecaster.stvlm.lines import Line, is_code, number
from mm4st_agent.forecaster.stvlm.regions import Positions, Regions

RECENT = 3
"""Steps whose mean is the state; one reading is mostly noise."""
UNUSUAL = 2.0
"""A sensor is unusual beyond so many standard deviations."""
ANOMALIES = 3
"""So many segments are told, if any of their nodes is beyond `_WORTH` standard deviations."""
_WORTH = 1.5
_SILENT = 0.05
"""A larger share of sensors without a reading is told."""
_STEADY = 0.5
"""A smaller change, in standard deviations of the network's deviation, is no trend."""


@dataclass(frozen=True)
class _State:
    """Mean over the latest steps before an origin.

    Attributes:
        score: `(N,)` deviation over its standard deviation; NaN where nothing was measured.
        level: Mean reading of the network, NaN if nothing was measured.
        above: How much of it is above the usual level.
        trend: Change over the history.
    """

    score: NDArray[np.float32]
    level: float
    above: float
    trend: float


@dataclass(frozen=True)
class NetworkFacts:
    """Readings against the profile.

    Attributes:
        label: Of the channel, and its unit.
        place_word: What a node is called.
        place_names: `(N,)` None where a node has nothing but an identifier.
        deviation: `(T, N)` reading minus profile in the channel's unit; NaN is missing.
        above: `(T,)` its mean over the nodes; NaN where nothing was measured.
        usual: `(T,)` mean of the profile over the nodes.
        scaler: Of the channel.
        statistics: Of the training part.
        of_node: `(N,)` segment of each node.
        history: Steps over which a trend is told.
    """

    label: str
    unit: str
    place_word: str
    place_names: tuple[str | None, ...]
    deviation: NDArray[np.float32]
    above: NDArray[np.float64]
    usual: NDArray[np.float64]
    scaler: Scaler
    statistics: FactStatistics
    of_node: Positions
    history: int

    @classmethod
    def of(
        cls,
        panel: Panel,
        channel: Channel,
        scaler: Scaler,
        regions: Regions,
        statistics: FactStatistics,
        observed: NDArray[np.float32],
        usual: NDArray[np.float32],
        history: int,
    ) -> Self:
        """Compare `observed` `(T, N)` with the profile at the same steps, `usual` `(T, N)`."""
        deviation = (observed - usual).astype(np.float32)
        seen = np.isfinite(deviation)
        counts = seen.sum(axis=1)
        sums = np.where(seen, deviation, 0).sum(axis=1, dtype=np.float64)
        names = [panel.place_name(node) for node in panel.node_ids]
        return cls(
            channel.label,
            channel.unit,
            panel.card.place_word,
            tuple(None if is_code(name) else name for name in names),
            deviation,
            np.where(counts > 0, sums / np.maximum(counts, 1), np.nan),
            usual.mean(axis=1, dtype=np.float64),
            scaler,
            statistics,
            regions.of_node,
            history,
        )

    def lines(self, origin: int) -> list[Line]:
        """The network first, then the segments, the most unusual one first."""
        state = self._state(origin)
        seen = np.isfinite(state.score)
        silent = float((~seen).mean())
        missing = Line(f"{100 * silent:.0f} % of {self.place_word}s silent", None, "network")
        if not seen.any():
            return [missing]
        return [
            Line(self._network(state), None, "network"),
            *(Line(text, None, "network") for text in self._shares(state.score[seen])),
            *([missing] if silent > _SILENT else []),
            *(self._anomaly(node, state.score) for _, node in self._segments(state.score)[:ANOMALIES]),
        ]

    def _network(self, state: _State) -> str:
        strength = state.above / self.statistics.network
        words = f"{self.label} {number(state.level)} {self.unit}, {_against_usual(strength)}"
        if not np.isfinite(state.trend):
            return words
        if abs(state.trend) < _STEADY * self.statistics.network:
            return f"{words}, steady"
        return f"{words}, {'rising' if state.trend > 0 else 'falling'} by {number(abs(state.trend))}"

    def _shares(self, score: NDArray[np.float32]) -> list[str]:
        """Nothing where no sensor is unusual."""
        high, low = (score > UNUSUAL).mean(), (score < -UNUSUAL).mean()
        parts = [f"{100 * share:.0f} % {word}" for share, word in ((low, "low"), (high, "high")) if share > 0]
        return [f"unusual {self.place_word}s: {', '.join(parts)}"] if parts else []

    def _anomaly(self, node: int, score: NDArray[np.float32]) -> Line:
        """The name is left out where it is only an id; the line's node says where it is."""
        name = self.place_names[node] or f"a {self.place_word}"
        way = "above" if score[node] > 0 else "below"
        near = score[self.of_node == self.of_node[node]]
        alike = np.isfinite(near) & (np.sign(near) == np.sign(score[node])) & (np.abs(near) > _WORTH)
        others = int(alike.sum()) - 1
        size = abs(float(score[node])) * float(self.statistics.node[node])
        text = f"{name}: {number(size)} {way} usual, {abs(score[node]):.1f} sigma"
        return Line(text + (f", {others} near it too" if others > 0 else ""), node, "anomaly")

    def _segments(self, score: NDArray[np.float32]) -> list[tuple[int, int]]:
        """Segments with the node that deviates most in each, by the root mean square of their scores."""
        seen = np.isfinite(score)
        strength = np.where(seen, np.abs(score), 0)
        power = np.bincount(self.of_node, strength**2) / np.maximum(np.bincount(self.of_node, seen), 1)
        out = []
        for segment in np.argsort(-power, kind="stable")[:ANOMALIES]:
            members = np.flatnonzero(self.of_node == segment)
            worst = int(members[strength[members].argmax()])
            if strength[worst] > _WORTH:
                out.append((int(segment), worst))
        return out

    def _state(self, origin: int) -> _State:
        now = slice(max(0, origin - RECENT), origin)
        then = slice(max(0, origin - self.history), max(0, origin - self.history + RECENT))
        recent = self.deviation[now]
        seen = np.isfinite(recent)
        counts = seen.sum(axis=0)
        mean = np.where(seen, recent, 0).sum(axis=0) / np.maximum(counts, 1)
        score = np.where(counts > 0, mean / self.statistics.node, np.nan).astype(np.float32)
        above = _mean(self.above[now])
        level = above + _mean(self.usual[now])
        return _State(score, level, above, level - _mean(self.above[then] + self.usual[then]))

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns of `numbers`."""
        return (
            "network level",
            "network above usual",
            "network trend",
            "network share low",
            "network share high",
            "network share silent",
            "node deviation",
            "node deviation among the anomalies",
            "node in an anomalous segment",
        )

    def numbers(self, origin: int) -> NDArray[np.float32]:
        """`(N, 9)`: deviations over their standard deviation, level and trend over the channel's."""
        state = self._state(origin)
        seen = np.isfinite(state.score)
        score = np.where(seen, state.score, 0)
        count = max(1, int(seen.sum()))
        top = self._segments(state.score)
        told, within = np.zeros_like(score), np.zeros_like(score)
        for segment, node in top:
            told[node] = score[node]
            within[self.of_node == segment] = 1
        mean, std = self.scaler.mean, self.scaler.std
        row = [(state.level - mean) / std, state.above / self.statistics.network, state.trend / std]
        shares = [(score < -UNUSUAL).sum() / count, (score > UNUSUAL).sum() / count, (~seen).mean()]
        whole = np.nan_to_num(np.array([*row, *shares]))
        columns = [*(np.full_like(score, value) for value in whole), score, told, within]
        return np.stack(columns, axis=1).astype(np.float32)


def _against_usual(strength: float) -> str:
    """In words that a small vocabulary shares between all channels."""
    if abs(strength) < 0.5:
        return "as usual"
    degree = "slightly " if abs(strength) < 1 else "" if abs(strength) < 2 else "far "
    return f"{degree}{'above' if strength > 0 else 'below'} usual"


def _mean(values: NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
