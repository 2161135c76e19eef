"""DLinear: one linear map for the trend and one for the rest, shared by all nodes."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from eval.peers.inputs import Batch

_KERNEL = 25


class DLinear(nn.Module):
    """`(B, history, N)` to `(B, horizon, N)`; reads only the series.

    Source:
        Zeng et al. (2023), arXiv:2205.13504: moving average over 25 steps, the ends repeated, weights shared.
    """

    def __init__(self, history: int, horizon: int) -> None:
        super().__init__()
        self.trend = nn.Linear(history, horizon)
        self.rest = nn.Linear(history, horizon)
        for part in (self.trend, self.rest):
            nn.init.constant_(part.weight, 1 / history)

    def forward(self, batch: Batch) -> torch.Tensor:
        x = batch.value.transpose(1, 2)
        reach = (_KERNEL - 1) // 2
        trend = functional.avg_pool1d(functional.pad(x, (reach, reach), mode="replicate"), _KERNEL, stride=1)
        forecast: torch.Tensor = self.trend(trend) + self.rest(x - trend)
        return forecast.transpose(1, 2)
