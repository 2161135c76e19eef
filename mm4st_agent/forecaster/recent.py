"""Intervals that follow the last two days: what was wide enough on the validation part may not be now.

Once an hour the calibrated intervals of the last two days, as far as their truth is known by then, are scored; each
side is widened or narrowed by the factor that would have made it hold its nominal share of those cells, all nodes
and steps ahead together. A forecast takes the factors of the last full hour before it.

Source:
    Lei, G'Sell, Rinaldo, Tibshirani and Wasserman (2018), arXiv:1604.04173, for split-conformal intervals; Xu and Xie
    (2021), arXiv:2010.09107, for scores that slide with time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mm4st_agent.forecaster.baselines import truth_at
from mm4st_agent.forecaster.calibration import PARTS, SIDES, Array, Calibration, Largest, scores, share_factor
from mm4st_agent.forecaster.config import MEDIAN
from mm4st_agent.forecaster.slots import Slots

Widths = tuple[float, float, float, float]
"""Factors on the calibrated half-widths, in the order .1 .25 .75 .9."""
AS_CALIBRATED: Widths = (1.0, 1.0, 1.0, 1.0)

DAYS = 2
"""Days of windows behind a moment whose scores count."""
_LEAST_WINDOWS = 12
_LEAST_CELLS = 400
"""With fewer windows or measured cells the intervals stay as they were calibrated."""
_WINDOWS, _CELLS = 256, 2**18
"""At most so many windows are forecast and scored at a time, and so many of their cells."""


Predict = Callable[[NDArray[np.intp]], Array]
Pieces = Callable[[NDArray[np.intp]], Iterable[Array]]


def in_turn(predict: Predict, horizon: int, nodes: int) -> Pieces:
    """What `predict` gives, a few windows at a time."""
    at_once = windows_at_once(horizon, nodes)
    return lambda origins: (predict(origins[first : first + at_once]) for first in range(0, len(origins), at_once))


def windows_at_once(horizon: int, nodes: int) -> int:
    """How many windows of `horizon` steps of so many nodes are worked on at a time."""
    return max(1, min(_WINDOWS, _CELLS // (horizon * nodes)))


@dataclass(frozen=True)
class RecentWidths:
    """Factors at some moments.

    Attributes:
        moments: `(M,)` time steps on the hour, in order.
        factors: `(M, 4)` see `Widths`.
    """

    moments: NDArray[np.intp]
    factors: Array

    def at(self, origins: NDArray[np.integer]) -> Array:
        """`(W, 4)` for windows that start at `origins` `(W,)`: those of the last moment that is not later."""
        found = self.moments.searchsorted(origins, side="right") - 1
        known = np.concatenate([np.ones((1, len(AS_CALIBRATED)), dtype=np.float32), self.factors])
        return np.asarray(known[found + 1])


@dataclass(frozen=True)
class Intervals:
    """The way from what a network says to what a forecast says.

    Attributes:
        pieces: Origins `(W,)` to the network's quantiles `(w, H, N, 5)` in the channel's unit, some windows at a time.
        calibration: Fitted to the validation part.
        observed: `(T, N)` measured readings; what lies at an origin or after it does not count there.
        slots: Of the time axis, to the end of the last window.
        earliest: First time step that a window may start from.
        horizon: Steps ahead.
    """

    pieces: Pieces
    calibration: Calibration
    observed: Array
    slots: Slots
    earliest: int
    horizon: int

    def __call__(self, origins: NDArray[np.intp]) -> Array:
        """`(W, H, N, 5)` as forecasts from `origins` `(W,)` would have given them at their time."""
        return self.following(origins, self.recent(origins))

    def calibrated(self, origins: NDArray[np.intp]) -> Array:
        """`(W, H, N, 5)` as wide as was right on the validation part."""
        return self._calibrated(np.concatenate(list(self.pieces(origins))), origins)

    def _calibrated(self, raw: Array, origins: NDArray[np.intp]) -> Array:
        return self.calibration.apply(raw, self.slots.parts_of_day(origins, self.horizon, PARTS))

    def following(self, origins: NDArray[np.intp], recent: RecentWidths) -> Array:
        """`(W, H, N, 5)` with these corrections."""
        return self.widened(self.calibrated(origins), recent.at(origins))

    def widened(self, fan: Array, factors: Array) -> Array:
        """Calibrated quantiles `(W, H, N, 5)` with their half-widths times `factors` `(W, 4)`, still in order."""
        sides = np.ones((len(factors), 1, 1, fan.shape[-1]), dtype=np.float32)
        sides[:, 0, 0, [side for side, _ in SIDES]] = factors
        median = fan[..., MEDIAN : MEDIAN + 1]
        return self.calibration.bounded(np.sort(median + sides * (fan - median), axis=-1))

    def recent(self, origins: NDArray[np.integer]) -> RecentWidths:
        """The corrections that forecasts from `origins` `(W,)` need."""
        reach, hour = DAYS * self.slots.per_day, self.slots.per_hour
        first, last = int(origins.min()) - hour, int(origins.max())
        steps = np.arange(max(0, first - self.horizon - reach + 1), last + 1)
        hourly = steps[self.slots.of_day[steps] % hour == 0]
        hours = hourly[hourly > first]
        before = np.unique(hours.searchsorted(origins, side="right")) - 1
        moments = hours[before[before >= 0]]
        starts = hourly[(hourly >= self.earliest) & (hourly + self.horizon <= last)]
        over = moments - self.horizon
        known = [slice(*ends) for ends in starts.searchsorted(np.stack([over - reach, over], axis=1), side="right")]
        factors = [self._factors(starts[known[0]])] if len(moments) == 1 else self._factors_of_each(starts, known)
        return RecentWidths(moments, np.array(factors, dtype=np.float32).reshape(-1, len(AS_CALIBRATED)))

    def _factors(self, starts: NDArray[np.intp]) -> Widths:
        """From windows that start at `starts` `(S,)`; holds only the scores that lie far out."""
        if len(starts) < _LEAST_WINDOWS:
            return AS_CALIBRATED
        most = len(starts) * self.horizon * self.observed.shape[1]
        sides, begin = [Largest(beyond, most) for _, beyond in SIDES], 0
        for raw in self.pieces(starts):
            for side, found in zip(sides, self._scores(raw, starts[begin : begin + len(raw)]), strict=True):
                side.add(found)
            begin += len(raw)
        one, two, three, four = (side.factor() if side.count >= _LEAST_CELLS else 1.0 for side in sides)
        return one, two, three, four

    def _factors_of_each(self, starts: NDArray[np.intp], known: Sequence[slice]) -> list[Widths]:
        """From those of the windows that start at `starts` `(S,)` that were known at each of some moments."""
        sides = np.empty((len(SIDES), len(starts), self.horizon, self.observed.shape[1]), dtype=np.float32)
        begin = 0
        for raw in self.pieces(starts) if len(starts) else ():
            some = slice(begin, begin := begin + len(raw))
            sides[:, some] = self._scores(raw, starts[some])
        return [
            AS_CALIBRATED if windows.stop - windows.start < _LEAST_WINDOWS else self._shares(sides[:, windows])
            for windows in known
        ]

    @staticmethod
    def _shares(sides: Array) -> Widths:
        """From scores `(4, S, H, N)`."""
        own = [side[np.isfinite(side)] for side in sides]
        one, two, three, four = (
            share_factor(found, beyond) if found.size >= _LEAST_CELLS else 1.0
            for found, (_, beyond) in zip(own, SIDES, strict=True)
        )
        return one, two, three, four

    def _scores(self, raw: Array, starts: NDArray[np.intp]) -> list[Array]:
        """`(R, H, N)` of each side: above 1 where the truth lies beyond it."""
        fan, truth = self._calibrated(raw, starts), truth_at(self.observed, starts, self.horizon)
        return [scores(truth, fan[..., MEDIAN], fan[..., side]) for side, _ in SIDES]
