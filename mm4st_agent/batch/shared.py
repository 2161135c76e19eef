"""What all blocks of one forecast share: made once from the whole panel, then read by every worker.

The network sees all nodes of the panel whichever are asked for, so its forecast, and what is known of its earlier
ones, does not depend on how the nodes are cut into blocks. Made once, it also does not depend on how many threads
a worker has, which can change the last digit of a sum.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mm4st_agent.batch.record import errors_so_far
from mm4st_agent.data.card import Channel
from mm4st_agent.data.panel import Panel
from mm4st_agent.forecaster.card import TestErrors
from mm4st_agent.forecaster.checkpoint import Checkpoint
from mm4st_agent.forecaster.measured import measuring
from mm4st_agent.forecaster.prediction import TrainedForecaster
from mm4st_agent.forecaster.recent import AS_CALIBRATED, Widths
from mm4st_agent.forecaster.standing import Standing


@dataclass(frozen=True)
class Outlook:
    """A trained forecaster's view of one moment.

    Attributes:
        fan: `(H, N, 5)` calibrated quantiles of all nodes that measure the channel, in its unit.
        errors: Mean absolute errors of model and baselines so far, which decide what leads; None: too few forecasts.
        widths: What the intervals were multiplied by.
    """

    fan: NDArray[np.float32]
    errors: TestErrors | None
    widths: Widths


def outlook_of(forecaster: TrainedForecaster, panel: Panel, channel: Channel) -> Outlook:
    """Forecast all nodes from the end of `panel`, once.

    Raises:
        DataError: the checkpoint is broken or is not of these data.
    """
    panel, checkpoint = measuring(panel, channel), forecaster.checkpoint
    forecaster.check(panel, channel)
    widths = checkpoint.widths(panel)
    return Outlook(checkpoint.fan(panel, widths), errors_so_far(checkpoint, panel), widths)


@dataclass(frozen=True)
class _Foreseen(Checkpoint):
    """A checkpoint whose forecast of the one moment that is asked about is known."""

    known: NDArray[np.float32]

    def fan(self, panel: Panel, widths: Widths = AS_CALIBRATED) -> NDArray[np.float32]:
        return self.known


class SharedForecaster(TrainedForecaster):
    """A trained forecaster for one moment only, that of its outlook.

    Its numbers are those of `TrainedForecaster`; its backtest has no coverage, and its warnings nothing of the last
    two days.
    """

    def __init__(self, forecaster: TrainedForecaster, outlook: Outlook) -> None:
        super().__init__(forecaster.folder)
        self._forecaster, self._outlook = forecaster, outlook

    @cached_property
    def checkpoint(self) -> Checkpoint:
        """See `TrainedForecaster.checkpoint`; the weights are those that `forecaster` has read."""
        read = self._forecaster.checkpoint
        return _Foreseen(**{part.name: getattr(read, part.name) for part in fields(read)}, known=self._outlook.fan)

    def standing(self, panel: Panel) -> Standing:
        """See `TrainedForecaster.standing`."""
        errors = self._outlook.errors
        return Standing(None if errors is None else (errors, ""), self._outlook.widths, None)
