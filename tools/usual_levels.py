"""What is usual at all places at once, at certain times of the week; `readings.usual_level` tells it of one place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mm4st_agent.forecaster.baselines import grouped
from mm4st_agent.forecaster.measured import observed_in
from mm4st_agent.forecaster.slots import HOLIDAY, extended, slots_of
from tools.readings import with_neighbours

if TYPE_CHECKING:
    from mm4st_agent.data.panel import Panel

USUAL_WEEKS = 8
"""The usual level is taken from at most so many earlier weeks, so that no more than these are read."""

Array = NDArray[np.float64]


def usual_at(panel: Panel, channel: str, steps: int, ahead: int = 0) -> tuple[Array, int]:
    """`(S, N)` usual readings of all nodes of the panel at `steps` steps, and the weeks behind them.

    As in `query_series`: the mean of what was measured at the same weekday and time in earlier weeks, holidays left
    out; NaN where there is none.

    Args:
        panel: With the nodes that are asked for and no others.
        channel: Its name.
        steps: The last of the panel, or the last ones before the end of those that lie ahead.
        ahead: Steps from the panel's end to the end of what is asked for.
    """
    shape = (steps, len(panel.node_ids))
    sums, counts = np.zeros(shape), np.zeros(shape)
    weeks = 0
    for sums_then, counts_then in _weeks_before(panel, channel, steps, ahead):
        weeks += bool(counts_then.any())
        sums += sums_then
        counts += counts_then
    return np.divide(sums, counts, out=np.full(shape, np.nan), where=counts > 0), weeks


def _weeks_before(panel: Panel, channel: str, steps: int, ahead: int) -> Iterator[tuple[Array, Array]]:
    """For each earlier week, sums and counts `(S, N)` of what was measured at the time of the week of each step."""
    slots = slots_of(extended(panel.times, ahead) if ahead else panel.times, panel.step_s, panel.card.holidays)
    slot = slots.day * slots.per_day + slots.of_day
    known = len(panel.times)
    per_week = 7 * slots.per_day
    monday = slot[0] // per_week * per_week
    for week in range(1, USUAL_WEEKS + 1):
        then = slot[-steps:] - per_week * week
        first, last = int(then.min()) - 1, int(then.max()) + 1
        inside = np.flatnonzero((slot[:known] >= first) & (slot[:known] <= last))
        if len(inside) == 0 or then[-1] < monday:
            return
        span = slice(int(inside[0]), int(inside[-1]) + 1)
        counted = slots.day_type[span] != HOLIDAY
        readings = np.where(counted[:, None], observed_in(panel, channel, span), np.nan)
        tables = grouped(readings, np.clip(slot[span] - first, 0, last - first), last - first + 1)
        known_week = (then >= monday)[:, None]  # a week before the data has no slot beside one that is in them either
        sums, counts = (with_neighbours(table, panel.step_s)[then - first] * known_week for table in tables)
        yield sums, counts
