"""Three baselines. Each reads only what lies before the forecast origin; NaN cells are not used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mm4st_agent.forecaster.slots import Slots, slots_of

Array = NDArray[np.float32]
Origins = NDArray[np.integer]

LAST_VALUE = "last_value"
SAME_SLOT_LAST_WEEK = "same_slot_last_week"
SLOT_MEAN = "slot_mean"
BASELINES = (LAST_VALUE, SAME_SLOT_LAST_WEEK, SLOT_MEAN)
TITLES: Mapping[str, str] = {
    LAST_VALUE: "the last reading",
    SAME_SLOT_LAST_WEEK: "the same time last week",
    SLOT_MEAN: "the usual for this time of the week",
}
_MAX_WEEKS_BACK = 4


@dataclass(frozen=True)
class SlotMeans:
    """Each node's mean reading in each slot of the week.

    Attributes:
        table: `(7 * per_day, N)` in the channel's unit. A slot of the week without any reading
            holds the mean of that slot of the day, then the node's mean; NaN: the node has no reading.
    """

    table: Array

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
        return cls(table.astype(np.float32))

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
    targets = _targets(origins, horizon)
    out = np.full((*targets.shape, history.observed.shape[1]), np.nan, dtype=np.float32)
    wall, zone = history.times.tz_localize(None), history.times.tz
    for weeks in range(1, _MAX_WEEKS_BACK + 1):
        earlier = (wall - pd.Timedelta(weeks=weeks)).tz_localize(
            zone, ambiguous=np.zeros(len(wall), dtype=bool), nonexistent="shift_forward"
        )
        source = history.times.get_indexer(earlier)[targets]
        usable = (source >= 0) & (source < np.asarray(origins)[:, None])
        values = history.observed[np.where(usable, source, 0)]
        out = np.where(np.isnan(out) & usable[..., None], values, out)
    return out


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


def truth_at(observed: Array, origins: Origins, horizon: int) -> Array:
    """`(W, H, N)` what was measured at the forecast steps."""
    return observed[_targets(origins, horizon)]


def grouped(values: Array, group: NDArray[np.int64], size: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sums and counts `(size, N)` of the finite cells of `values` `(T, N)` by `group` `(T,)`."""
    finite = np.isfinite(values)
    sums = np.zeros((size, values.shape[1]))
    counts = np.zeros((size, values.shape[1]))
    np.add.at(sums, group, np.where(finite, values, 0.0))
    np.add.at(counts, group, finite)
    return sums, counts


def mean_of(sums: NDArray[np.float64], counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """`sums / counts`, NaN where nothing was counted."""
    return np.where(counts > 0, sums / np.maximum(counts, 1e-9), np.nan)


def _targets(origins: Origins, horizon: int) -> NDArray[np.int64]:
    return np.asarray(origins, dtype=np.int64)[:, None] + np.arange(horizon)
