"""What several tools say of readings: numbers as they are given, and the usual level at each step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mm4st_agent.forecaster.slots import HOLIDAY, slots_of

if TYPE_CHECKING:
    from mm4st_agent.data.panel import Panel

RECENT_S = 1800
"""The recent level is the mean over the last half hour, or the last reading where steps are longer."""
NEAR_SLOT_S = 900
"""Up to this step, one slot before and after also count as the same time of the week."""


def given(value: float | np.floating | None, digits: int = 6) -> float | None:
    """`value` to so many significant digits (6 are more than a float32 has); what is not finite is None."""
    return None if value is None or not np.isfinite(value) else float(f"{value:.{digits}g}")


def mean_of(readings: NDArray[np.floating]) -> float | None:
    """Mean of the finite readings; None when there is none."""
    finite = readings[np.isfinite(readings)]
    return given(finite.mean(dtype=np.float64)) if len(finite) else None


@dataclass(frozen=True)
class Usual:
    """What is usual at each of S steps, for the time of the week.

    Attributes:
        means: `(S,)` in the channel's unit: mean of the readings counted in `counts`; NaN where there is none.
        counts: `(W, S)` readings behind it, a row for each earlier week.
    """

    means: NDArray[np.float64]
    counts: NDArray[np.int64]


def usual_level(panel: Panel, node: str, channel: str, steps: int) -> Usual:
    """What is usual at each of the panel's last `steps` steps; no other node is read.

    It is the mean of what was measured at the same weekday and local time of day in all earlier weeks; where
    steps are 15 minutes or shorter, the slot before and the slot after count as well. Public holidays are left out.

    Raises:
        UsageError: there is no such node or channel.
    """
    slots = slots_of(panel.times, panel.step_s, panel.card.holidays)
    per_week = 7 * slots.per_day
    slot = slots.day * slots.per_day + slots.of_day
    slot -= slot[0] // per_week * per_week
    readings = panel.only([node]).observed(channel)[:, 0].astype(np.float64)
    used = np.isfinite(readings) & (slots.day_type != HOLIDAY)
    length = (int(slot[-1]) // per_week + 1) * per_week
    sums, counts = (
        with_neighbours(table[:, None], panel.step_s).reshape(-1, per_week)
        for table in (np.bincount(slot[used], readings[used], length), np.bincount(slot[used], minlength=length))
    )
    week, of_week = np.divmod(slot[-steps:], per_week)
    earlier = np.arange(len(counts))[:, None] < week
    behind = np.where(earlier, counts[:, of_week], 0).astype(np.int64)
    total = np.where(earlier, sums[:, of_week], 0.0).sum(axis=0)
    means = np.divide(total, behind.sum(axis=0), out=np.full(len(week), np.nan), where=behind.any(axis=0))
    return Usual(means, behind)


def with_neighbours(table: NDArray[np.float64] | NDArray[np.intp], step_s: int) -> NDArray[np.float64]:
    """`(S, N)` sums by slot, with those of the slots beside each slot where steps are short."""
    wide = np.asarray(table, dtype=np.float64)
    if step_s > NEAR_SLOT_S:
        return wide
    padded = np.pad(wide, ((1, 1), (0, 0)))
    return np.asarray(padded[:-2] + wide + padded[2:])
