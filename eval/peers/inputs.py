"""What every peer reads: the same history, time of day and day of the week, cut from one series."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from mm4st_agent.data.windows import Scaler
from mm4st_agent.forecaster.evaluation import Course
from mm4st_agent.forecaster.inputs import Preparation
from mm4st_agent.forecaster.slots import DAY_TYPES, slots_of

WEEKDAYS = 7


class Batch(NamedTuple):
    """Some windows of `history` steps.

    Attributes:
        value: `(B, history, N)` scaled readings; 0 where nothing was measured.
        slot: `(B, history)` int64 slot of the local day.
        day: `(B, history)` int64 day of the week, Monday 0; with our calendar inputs a holiday is 7.
        calendar: `(B, N, E)` scaled: the profile at the forecast steps and the levels before them; E may be 0.
    """

    value: torch.Tensor
    slot: torch.Tensor
    day: torch.Tensor
    calendar: torch.Tensor


@dataclass(frozen=True)
class PeerInputs:
    """A whole series, ready to be cut into windows.

    Attributes:
        scaler: Fitted to the training part.
        truth: `(T, N)` scaled readings; NaN where nothing was measured.
        slot: `(T,)`.
        day: `(T,)`.
        per_day: Slots in one day.
        days: How many kinds of day there are.
        profile: `(T', N)` scaled usual level with T' >= T, or None without our calendar inputs.
        levels: `(T + 1, N, 2)` scaled mean deviation over the days before, or None.
    """

    scaler: Scaler
    truth: torch.Tensor
    slot: torch.Tensor
    day: torch.Tensor
    per_day: int
    days: int
    history: int
    horizon: int
    profile: torch.Tensor | None = None
    levels: torch.Tensor | None = None

    @staticmethod
    def of(course: Course, history: int, horizon: int, *, calendar: bool = False) -> tuple[PeerInputs, PeerInputs]:
        """Inputs for training and for forecasting.

        They differ only with `calendar`, our long-history inputs: as in our own training, the profile of a training
        step leaves that step's week out.

        Args:
            course: The data; scaler and profile are fitted to its training part.
            history: Steps that a window has before its origin.
            horizon: Steps ahead.
            calendar: Also give the profile at the forecast steps, the levels and the public holidays.
        """
        slots = course.history.slots
        scaler = Scaler.fit(course.train)
        truth = torch.from_numpy(scaler.transform(course.observed))

        def made(profile: torch.Tensor | None, levels: torch.Tensor | None) -> PeerInputs:
            return PeerInputs(
                scaler=scaler,
                truth=truth,
                slot=torch.from_numpy(slots.of_day),
                day=torch.from_numpy(slots.day_type if calendar else slots.weekday),
                per_day=slots.per_day,
                days=DAY_TYPES if calendar else WEEKDAYS,
                history=history,
                horizon=horizon,
                profile=profile,
                levels=levels,
            )

        if not calendar:
            plain = made(None, None)
            return plain, plain
        panel, train = course.panel, course.split.train
        train_slots = slots_of(panel.times[train], panel.step_s, panel.card.holidays)
        preparation = Preparation.fit(panel, course.train, train_slots, 1)
        held_out = preparation.training_profile(course.train, slots, train_slots, panel.step_s, first=train.start)
        without_own = preparation.inputs(course.observed, slots, profile=held_out)
        usual = preparation.inputs(course.observed, slots)
        return made(without_own.profile, without_own.level), made(usual.profile, usual.level)

    @property
    def extras(self) -> int:
        """How many calendar inputs a node has."""
        return 0 if self.profile is None or self.levels is None else self.horizon + self.levels.shape[-1]

    def windows(self, origins: torch.Tensor) -> Batch:
        """The windows whose first forecast step is at `origins` `(B,)`."""
        past = origins[:, None] + torch.arange(-self.history, 0)
        value = torch.nan_to_num(self.truth[past])
        if self.profile is None or self.levels is None:
            calendar = value.new_zeros(len(origins), value.shape[-1], 0)
        else:
            ahead = origins[:, None] + torch.arange(self.horizon)
            calendar = torch.cat([self.profile[ahead].transpose(1, 2), self.levels[origins]], dim=-1)
        return Batch(value, self.slot[past], self.day[past], calendar)

    def truths(self, origins: torch.Tensor) -> torch.Tensor:
        """`(B, horizon, N)` scaled readings at the forecast steps; NaN where nothing was measured."""
        return self.truth[origins[:, None] + torch.arange(self.horizon)]


def as_positions(origins: NDArray[np.integer]) -> torch.Tensor:
    """Origins as torch indexes with them."""
    return torch.from_numpy(np.asarray(origins, dtype=np.int64))
