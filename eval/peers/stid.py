"""STID: spatial and temporal identities in front of a residual MLP."""

from __future__ import annotations

import torch
from torch import nn

from eval.peers.inputs import Batch

_EMBEDDING = 32
_BLOCKS = 3
_DROPOUT = 0.15


class Stid(nn.Module):
    """`(B, history, N)` to `(B, horizon, N)`.

    Args:
        nodes: N.
        history: Steps before the origin.
        horizon: Steps ahead.
        per_day: Slots in one day.
        days: Kinds of day.
        extras: Calendar inputs of a node, which join its history; 0 in the paper.

    Source:
        Shao et al. (2022), arXiv:2208.05233, embedding size 32, three blocks.
    """

    def __init__(self, nodes: int, history: int, horizon: int, *, per_day: int, days: int = 7, extras: int = 0) -> None:
        super().__init__()
        self.per_day, self.days = per_day, days
        width = 4 * _EMBEDDING
        self.series = nn.Linear(3 * history + extras, _EMBEDDING)
        self.node = nn.Parameter(nn.init.xavier_uniform_(torch.empty(nodes, _EMBEDDING)))
        self.slot = nn.Parameter(nn.init.xavier_uniform_(torch.empty(per_day, _EMBEDDING)))
        self.day = nn.Parameter(nn.init.xavier_uniform_(torch.empty(days, _EMBEDDING)))
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Dropout(_DROPOUT), nn.Linear(width, width))
            for _ in range(_BLOCKS)
        )
        self.head = nn.Linear(width, horizon)

    def forward(self, batch: Batch) -> torch.Tensor:
        windows, _, nodes = batch.value.shape
        moment = torch.cat([batch.slot / self.per_day, batch.day / self.days], dim=1)
        past = [batch.value.transpose(1, 2), moment[:, None].expand(-1, nodes, -1), batch.calendar]
        z = torch.cat(
            [
                self.series(torch.cat(past, dim=-1)),
                self.node.expand(windows, -1, -1),
                self.slot[batch.slot[:, -1]][:, None].expand(-1, nodes, -1),
                self.day[batch.day[:, -1]][:, None].expand(-1, nodes, -1),
            ],
            dim=-1,
        )
        for block in self.blocks:
            z = z + block(z)
        forecast: torch.Tensor = self.head(z)
        return forecast.transpose(1, 2)
