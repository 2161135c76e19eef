"""Three baselines. Each reads only what lies before the forecast origin; NaN cells are not used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from mm4st_agent.forecaster.slots import Slots, slots_of

Array = NDArray[np.float32]
Origins = NDArray[np.integer]

LAST_VALUE = "last_value"
SAME_SLOT_LAST_WEEK = "same_slot_last_week"
SLOT_MEAN = "slot_mean"
BASELINES = (LAST_VALUE, SAME_SLOT_LAST_WEEK, SLOT_MEAN)
TITLES: Mapping[str, tuple[str, ...]] = {
    LAST_VALUE: ("the last reading",),
    SAME_SLOT_LAST_WEEK: ("the same time last week", "the same time of an earlier week"),
    SLOT_MEAN: (
        "the usual for this time of the week",
        "the same time of an earlier week",
        "the usual for this time of day",
        "the mean so far",
    ),
}
"""What each is in words: as it is meant, then what it falls back to."""
_MAX_WEEKS_BACK = 4


@dataclass(frozen=True)
class SlotMeans:
    """Each node's mean reading in each slot of the week.

    Attributes:
        table: `(7 * per_day, N)` in the channel's unit. A slot of the week without any reading
            holds the mean of that slot of the day, then the node's mean; NaN: the node has no reading.
        fallback: `(7 * per_day, N)` what that is: 0 the mean of several weeks, 1 the reading of a single week,
            2 the mean of the slot of the day, 3 the node's mean.
    """

    table: Array
    fallback: NDArray[np.int64]

    @classmethod
    def fit(cls, observed: Array, slots: Slots) -> Self:
        """Average `(T, N)` readings (NaN is missing) whose slots are `slots`."""
        size = 7 * slots.per_day
        sums, counts = grouped(observed, slots.of_week, size)
        by_day = (len(sums) // slots.per_day, slots.per_day, sums.shape[1])
        day_sums, day_counts = sums.reshape(by_day).sum(axis=0), counts.reshape(by_day).sum(axis=0)
        node = mean_of(sums.sum(axis=0), counts.sum(axis=0))
        day = np.where(day_counts > 0, mean_of(day_sums, day_counts), node)
        table = np.where(counts > 0, mean_of(sums, counts), np.tile(day, (7, 1)))
        of_week, of_day = np.where(counts > 1, 0, 1), np.where(day_counts > 0, 2, 3)
        fallback = np.where(counts > 0, of_week, np.tile(of_day, (7, 1)))
        return cls(table.astype(np.float32), fallback)

    def at(self, slots: Slots) -> Array:
        """`(T, N)` the means at these slots."""
        return self.table[slots.of_week]


@dataclass(frozen=True)
class History:
    """What the baselines read.

    Attributes:
        observed: `(T, N)` measured readings; NaN is missing or imputed.
        times: `(T + H,)` zone-aware stamps; may reach beyond the readings by the horizon.
        slots: Of `times`.
        means: Slot means of the training part.
    """

    observed: Array
    times: pd.DatetimeIndex
    slots: Slots
    means: SlotMeans

    @classmethod
    def of(
        cls, observed: Array, times: pd.DatetimeIndex, *, step_s: int, holidays: str | None, known: slice | SlotMeans
    ) -> Self:
        """Build it; `known` is the training part, whose readings make the slot means, or the means."""
        slots = slots_of(times, step_s, holidays)
        if isinstance(known, slice):
            train = slots_of(times[: len(observed)][known], step_s, holidays)
            known = SlotMeans.fit(observed[known], train)
        return cls(observed, times, slots, known)


def last_value(history: History, origins: Origins, horizon: int) -> Array:
    """Repeat the last measured reading before each origin."""
    measured = np.isfinite(history.observed)
    steps = np.arange(len(measured), dtype=np.int64)[:, None]
    latest = np.maximum.accumulate(np.where(measured, steps, -1), axis=0)[np.asarray(origins) - 1]
    values = np.take_along_axis(history.observed, np.maximum(latest, 0), axis=0)
    return np.repeat(np.where(latest >= 0, values, np.nan)[:, None, :], horizon, axis=1).astype(np.float32)


def same_slot_last_week(history: History, origins: Origins, horizon: int) -> Array:
    """Repeat the reading at the same wall-clock time one week before; up to four weeks where it is missing."""
    out = _weeks_before(history, origins, horizon, 1)
    for weeks in range(2, _MAX_WEEKS_BACK + 1):
        out = np.where(np.isnan(out), _weeks_before(history, origins, horizon, weeks), out)
    return out


def _weeks_before(history: History, origins: Origins, horizon: int, weeks: int) -> Array:
    """`(W, H, N)` the readings at the same wall-clock time so many weeks before."""
    wall, zone = history.times.tz_localize(None), history.times.tz
    earlier = (wall - pd.Timedelta(weeks=weeks)).tz_localize(
        zone, ambiguous=np.zeros(len(wall), dtype=bool), nonexistent="shift_forward"
    )
    source = history.times.get_indexer(earlier)[_targets(origins, horizon)]
    usable = (source >= 0) & (source < np.asarray(origins)[:, None])
    return np.where(usable[..., None], history.observed[np.where(usable, source, 0)], np.float32(np.nan))


def slot_mean(history: History, origins: Origins, horizon: int) -> Array:
    """The mean at the same slot of the week over the training part."""
    return history.means.at(history.slots)[_targets(origins, horizon)]


FUNCTIONS: Mapping[str, Callable[[History, Origins, int], Array]] = {
    LAST_VALUE: last_value,
    SAME_SLOT_LAST_WEEK: same_slot_last_week,
    SLOT_MEAN: slot_mean,
}
"""Each maps `(history, origins, horizon)` to `(W, H, N)` in the channel's unit; NaN is undefined.

`origins` `(W,)` are positions of the first forecast step; only readings before them are used.
"""


def title_at(name: str, history: History, origin: int, horizon: int, skip: int, position: int) -> str:
    """What a baseline is in words for one node and span: what it fell back to at any of its steps is said.

    Args:
        name: One of `BASELINES`.
        history: What it reads.
        origin: Position of the first step ahead.
        horizon: Steps of the span.
        skip: Steps left out before them.
        position: Of the node.
    """
    fallback = 0
    if name == SLOT_MEAN:
        slots = history.slots.of_week[origin + skip : origin + skip + horizon]
        fallback = int(history.means.fallback[slots, position].max())
    elif name == SAME_SLOT_LAST_WEEK:
        last_week = _weeks_before(history, np.array([origin]), skip + horizon, 1)[0, skip:, position]
        fallback = int(np.isnan(last_week).any())
    return TITLES[name][fallback]


def truth_at(observed: Array, origins: Origins, horizon: int) -> Array:
    """`(W, H, N)` what was measured at the forecast steps."""
    return observed[_targets(origins, horizon)]


def grouped(values: Array, group: NDArray[np.int64], size: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sums and counts `(size, N)` of the finite cells of `values` `(T, N)` by `group` `(T,)`."""
    finite = np.isfinite(values)
    steps = len(values)
    member = sparse.csr_array((np.ones(steps), (group, np.arange(steps))), shape=(size, steps))
    return member @ np.where(finite, values, 0.0), member @ finite.astype(np.float64)


def mean_of(sums: NDArray[np.float64], counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """`sums / counts`, NaN where nothing was counted."""
    return np.where(counts > 0, sums / np.maximum(counts, 1e-9), np.nan)


def _targets(origins: Origins, horizon: int) -> NDArray[np.int64]:
    return np.asarray(origins, dtype=np.int64)[:, None] + np.arange(horizon)
