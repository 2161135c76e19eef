"""STAEformer: a plain transformer over time, then over nodes, on adaptive embeddings."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from eval.peers.inputs import WEEKDAYS, Batch

_INPUT = 24
_CALENDAR = 24
_ADAPTIVE = 80
_WIDTH = _INPUT + 2 * _CALENDAR + _ADAPTIVE
_FORWARD = 256
_HEADS = 4
_LAYERS = 3
_DROPOUT = 0.1


class _Layer(nn.Module):
    """Self-attention along the second last axis of `(B, R, L, width)`, then a feed-forward network; norms behind."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Linear(_WIDTH, _WIDTH) for _ in range(4))
        self.forward_net = nn.Sequential(nn.Linear(_WIDTH, _FORWARD), nn.ReLU(), nn.Linear(_FORWARD, _WIDTH))
        self.norm_attention, self.norm_forward = nn.LayerNorm(_WIDTH), nn.LayerNorm(_WIDTH)
        self.dropout = nn.Dropout(_DROPOUT)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        heads = [part(x).unflatten(-1, (_HEADS, -1)).transpose(2, 3) for part in (self.query, self.key, self.value)]
        mixed = functional.scaled_dot_product_attention(*heads).transpose(2, 3).flatten(3)
        x = self.norm_attention(x + self.dropout(self.out(mixed)))
        out: torch.Tensor = self.norm_forward(x + self.dropout(self.forward_net(x)))
        return out


class StaeFormer(nn.Module):
    """`(B, history, N)` to `(B, horizon, N)`.

    Args:
        nodes: N.
        history: Steps before the origin.
        horizon: Steps ahead.
        per_day: Slots in one day.

    Source:
        Liu et al. (2023), arXiv:2308.10425: three temporal and three spatial layers of width 152.
    """

    def __init__(self, nodes: int, history: int, horizon: int, *, per_day: int) -> None:
        super().__init__()
        self.input = nn.Linear(3, _INPUT)
        self.slot = nn.Embedding(per_day, _CALENDAR)
        self.day = nn.Embedding(WEEKDAYS, _CALENDAR)
        self.adaptive = nn.Parameter(nn.init.xavier_uniform_(torch.empty(history, nodes, _ADAPTIVE)))
        self.in_time = nn.ModuleList(_Layer() for _ in range(_LAYERS))
        self.in_space = nn.ModuleList(_Layer() for _ in range(_LAYERS))
        self.head = nn.Linear(history * _WIDTH, horizon)
        self.per_day = per_day

    def forward(self, batch: Batch) -> torch.Tensor:
        windows, _, nodes = batch.value.shape
        moment = torch.stack([batch.slot / self.per_day, batch.day.float()], dim=-1)
        moment = moment[:, :, None].expand(-1, -1, nodes, -1)
        calendar = torch.cat([self.slot(batch.slot), self.day(batch.day)], dim=-1)
        x = torch.cat(
            [
                self.input(torch.cat([batch.value[..., None], moment], dim=-1)),
                calendar[:, :, None].expand(-1, -1, nodes, -1),
                self.adaptive.expand(windows, -1, -1, -1),
            ],
            dim=-1,
        )
        x = x.transpose(1, 2)  # (B, N, history, width)
        for layer in self.in_time:
            x = layer(x)
        x = x.transpose(1, 2)
        for layer in self.in_space:
            x = layer(x)
        forecast: torch.Tensor = self.head(x.transpose(1, 2).flatten(2))
        return forecast.transpose(1, 2)
