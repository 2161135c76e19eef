"""Reading a channel a few nodes at a time, and the two things every test needs: runs, and medians of groups."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mm4st_agent.data.card import Channel
from mm4st_agent.data.panel import MASK, Panel

BLOCK_CELLS = 2 * 2**20
"""Readings that are tested at a time; the tests need about 150 bytes for each."""
MOST_BLOCKS = 16
"""A chunk of a stored array is read at once where it makes up at most so many blocks."""


@dataclass(frozen=True)
class Block:
    """Some nodes of a channel over the whole time.

    Attributes:
        positions: `(n,)` of its nodes among the nodes that measure the channel.
        values: `(T, n)` float32 in the channel's unit as stored; NaN is missing, infinities included.
        imputed: `(T, n)`, True where the source filled a cell that nobody measured.
    """

    positions: slice
    values: NDArray[np.float32]
    imputed: NDArray[np.bool_]

    @cached_property
    def missing(self) -> NDArray[np.bool_]:
        """`(T, n)`, True where there is no number."""
        return ~np.isfinite(self.values)

    @cached_property
    def measured(self) -> NDArray[np.float64]:
        """`(T, n)` what was measured; missing and imputed cells are NaN."""
        return np.where(self.missing | self.imputed, np.nan, self.values).astype(np.float64)


def channel_positions(panel: Panel, channel: Channel) -> NDArray[np.intp]:
    """`(N,)` positions of the nodes that measure the channel in the panel's node order."""
    if not channel.kinds:
        return np.arange(panel.data.sizes["node"])
    return np.flatnonzero(np.isin(panel.data.coords["kind"].to_numpy().astype(str), channel.kinds))


def read_blocks(panel: Panel, channel: Channel) -> Iterator[Block]:
    """The channel's nodes, a block at a time; nothing else of the panel is read.

    Whole chunks of a stored array are read at once where they are not wide, and handed out in blocks.
    """
    positions = channel_positions(panel, channel)
    variable = panel.data[channel.name]
    mask = variable.attrs.get(MASK)
    chunk = int(variable.encoding.get("preferred_chunks", {}).get("node", 1))
    width = max(1, BLOCK_CELLS // variable.sizes["time"])
    wide = chunk if width < chunk <= MOST_BLOCKS * width else width
    for first in range(0, len(positions), wide):
        part = positions[first : first + wide]
        where = _as_slice(part)
        values = np.asarray(variable.isel(node=where).to_numpy(), dtype=np.float32)
        imputed = (
            np.zeros(values.shape, dtype=bool)
            if mask is None
            else np.asarray(panel.data[mask].isel(node=where).to_numpy(), dtype=bool)
        )
        for at in range(0, len(part), width):
            piece = slice(at, min(at + width, len(part)))
            yield Block(slice(first + piece.start, first + piece.stop), values[:, piece], imputed[:, piece])


def _as_slice(positions: NDArray[np.intp]) -> slice | NDArray[np.intp]:
    """Neighbours in a row are read as a slice, which is faster."""
    first, last = int(positions[0]), int(positions[-1])
    return slice(first, last + 1) if last - first + 1 == len(positions) else positions


@dataclass(frozen=True)
class Calendar:
    """Local time of T steps, as the tests group them.

    Attributes:
        day: `(T,)` local days since the first.
        hour: `(T,)` local hour of the day.
        weekday: `(T,)` 0 is Monday.
        slot: `(T,)` step of the local day.
        slots: Steps in a day; 1 where a step is not a whole part of a day, or longer than six hours.
    """

    times: pd.DatetimeIndex
    step_s: int
    day: NDArray[np.intp]
    hour: NDArray[np.intp]
    weekday: NDArray[np.intp]
    slot: NDArray[np.intp]
    slots: int

    @classmethod
    def of(cls, panel: Panel) -> Calendar:
        """The calendar of a panel's steps in its own time zone."""
        times, step_s = panel.times, panel.step_s
        midnight = times.tz_localize(None).normalize()
        second = ((times.tz_localize(None) - midnight).total_seconds()).to_numpy()
        slots = 86_400 // step_s if step_s <= 21_600 and 86_400 % step_s == 0 else 1
        day = (midnight - midnight[0]).days.to_numpy(dtype=np.intp)
        slot = (second // step_s).astype(np.intp) if slots > 1 else np.zeros(len(times), dtype=np.intp)
        return cls(
            times,
            step_s,
            day,
            times.hour.to_numpy(dtype=np.intp),
            times.day_of_week.to_numpy(dtype=np.intp),
            slot,
            slots,
        )

    def at(self, position: int) -> pd.Timestamp:
        """The stamp of a step; one past the last is the end of the last step."""
        if position < len(self.times):
            return self.times[position]
        return self.times[-1] + pd.Timedelta(seconds=self.step_s) * (position - len(self.times) + 1)

    @property
    def day_kind(self) -> NDArray[np.intp]:
        """`(T,)` 1 on Saturdays and Sundays, else 0; 0 throughout where there are fewer than two weeks."""
        return (self.weekday >= 5).astype(np.intp) if self.day[-1] >= 13 else np.zeros_like(self.weekday)


@dataclass(frozen=True)
class Runs:
    """R runs of True cells; `node` is the column, `start` the first step, `length` in steps, each `(R,)`."""

    node: NDArray[np.intp]
    start: NDArray[np.intp]
    length: NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.node)


def runs_of(mask: NDArray[np.bool_]) -> Runs:
    """The runs of True in each column of `mask` `(T, n)`, by column and then by time.

    >>> runs_of(np.array([[True], [True], [False], [True]])).length.tolist()
    [2, 1]
    """
    padded = np.zeros((mask.shape[1], mask.shape[0] + 2), dtype=np.int8)
    padded[:, 1:-1] = mask.T
    change = np.diff(padded, axis=1)
    node, start = np.nonzero(change == 1)
    end = np.nonzero(change == -1)[1]
    return Runs(node, start, end - start)


def median_of(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Median over the first axis, NaN left out; NaN where nothing is known. Faster than `np.nanmedian`."""
    if len(values) == 0:
        return np.full(values.shape[1:], np.nan)
    ordered = np.sort(values, axis=0)
    known = np.isfinite(ordered).sum(axis=0)
    low = np.take_along_axis(ordered, np.maximum((known - 1) // 2, 0)[None], axis=0)[0]
    high = np.take_along_axis(ordered, np.minimum(known // 2, len(values) - 1)[None], axis=0)[0]
    return np.asarray(np.where(known > 0, (low + high) / 2, np.nan))


def grouped_median(values: NDArray[np.float64], group: NDArray[np.intp], groups: int) -> NDArray[np.float64]:
    """`(G, n)` median of `values` `(T, n)` in each of the groups that `group` `(T,)` numbers; NaN where empty."""
    order = np.argsort(group, kind="stable")
    ends = np.cumsum(np.bincount(group, minlength=groups))
    out = np.full((groups, values.shape[1]), np.nan)
    for index, (first, last) in enumerate(zip(np.r_[0, ends[:-1]], ends, strict=True)):
        if last > first:
            out[index] = median_of(values[order[first:last]])
    return out
