"""The moving average of the weights that learn, which is what is validated and kept."""

from __future__ import annotations

from functools import partial

import lightning
import torch
from lightning.pytorch.callbacks import WeightAveraging


class Averaging(WeightAveraging):
    """Exponential moving average after each step, on the device that trains.

    Frozen weights are shared with the network, not averaged: rounding would move them away from the pretrained ones,
    and they would take their memory twice.

    Args:
        decay: Of the average, a step.
        use_buffers: Average the buffers too; only for a network whose buffers are floats that never change.
    """

    def __init__(self, decay: float, *, use_buffers: bool) -> None:
        super().__init__(use_buffers=use_buffers, multi_avg_fn=partial(_average, decay))

    def on_fit_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Once the network is on its device, the average follows."""
        assert self._average_model is not None
        module = self._average_model.module
        pairs = list(zip(module.parameters(), pl_module.parameters(), strict=True))
        for averaged, current in pairs:
            averaged.data = averaged.data.to(current.device) if current.requires_grad else current.data
        for own, buffer in zip(module.buffers(), pl_module.buffers(), strict=True):
            own.data = own.data.to(buffer.device)


def _average(
    decay: float, averaged: tuple[torch.Tensor, ...], current: tuple[torch.Tensor, ...], _: torch.Tensor | int
) -> None:
    for mean, now in zip(averaged, current, strict=True):
        if mean.data_ptr() != now.data_ptr():
            mean.copy_(decay * mean + (1 - decay) * now)
