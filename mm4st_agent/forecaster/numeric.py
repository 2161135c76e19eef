"""The numeric branch of ST-VLM: one residual MLP over each node's history, identity, place and time."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from mm4st_agent.forecaster.config import MEDIAN, QUANTILES, NumericConfig
from mm4st_agent.forecaster.inputs import CHANNELS, HARMONICS, LEVEL_DAYS, Batch
from mm4st_agent.forecaster.slots import DAY_TYPES


class NumericBranch(nn.Module):
    """z_n = W[MLP(x_n, mask_n); id_n; W_L lambda_n; time of day; day type], residual blocks, quantile head.

    The median starts from a base, the profile plus a share of the recent deviation from it that
    shrinks with the horizon; the network adds to it. Upper and lower quantiles are cumulative
    softplus steps away from the median, so they cannot cross.

    Source:
        Shao et al. (2022), arXiv:2208.05233 (STID): identities and a plain residual MLP.
    """

    def __init__(self, config: NumericConfig, eigenvectors: torch.Tensor) -> None:
        super().__init__()
        self.config = config
        c, nodes = config, len(eigenvectors)
        self.eigenvectors: torch.Tensor
        self.register_buffer("eigenvectors", eigenvectors)
        self.series = nn.Linear(len(CHANNELS) * c.history + c.horizon + len(LEVEL_DAYS), c.hidden)
        self.identity = nn.Embedding(nodes, c.identity)
        self.place = nn.Linear(c.eigenvectors, 16)
        self.time_of_day = nn.Linear(2 * HARMONICS, 16)
        self.day_type = nn.Embedding(DAY_TYPES, 8)
        self.mix = nn.Linear(c.hidden + c.identity + 16 + 16 + 8, c.hidden)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Linear(c.hidden, c.hidden), nn.ReLU(), nn.Dropout(c.dropout), nn.Linear(c.hidden, c.hidden)
            )
            for _ in range(c.blocks)
        )
        self.head = nn.Linear(c.hidden, c.horizon * len(QUANTILES))
        self.share = nn.Parameter(torch.linspace(2, 0, c.horizon))
        nn.init.normal_(self.identity.weight, std=0.1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, batch: Batch) -> torch.Tensor:
        """Scaled quantiles `(B, horizon, N, 5)`, increasing along the last axis."""
        return self.fan(batch, self.steps(self.states(batch)))

    def loss(self, batch: Batch, truth: torch.Tensor) -> torch.Tensor:
        """See `masked_loss`."""
        return masked_loss(self(batch), truth)

    def states(self, batch: Batch) -> torch.Tensor:
        """`(B, N, hidden)` of the nodes, after the residual blocks."""
        windows, _, nodes, _ = batch.history.shape
        past = batch.history.permute(0, 2, 3, 1).flatten(2)
        series = functional.gelu(self.series(torch.cat([past, batch.profile.transpose(1, 2), batch.level], dim=-1)))
        node = torch.cat([self.identity.weight, self.place(self.eigenvectors)], dim=-1)
        moment = torch.cat([self.time_of_day(batch.time_of_day), self.day_type(batch.day_type)], dim=-1)
        z: torch.Tensor = self.mix(
            torch.cat(
                [series, node.expand(windows, -1, -1), moment[:, None].expand(-1, nodes, -1)],
                dim=-1,
            )
        )
        for block in self.blocks:
            z = z + block(z)
        return z

    def steps(self, states: torch.Tensor) -> torch.Tensor:
        """`(B, horizon, N, 5)` what the head adds: to the base for the median, to the gaps for the others."""
        added: torch.Tensor = self.head(states)
        return added.reshape(*added.shape[:2], self.config.horizon, len(QUANTILES)).transpose(1, 2)

    def fan(self, batch: Batch, steps: torch.Tensor) -> torch.Tensor:
        """Scaled quantiles `(B, horizon, N, 5)` from `steps` of the same shape; they cannot cross."""
        median = self._base(batch) + steps[..., MEDIAN]
        gaps = functional.softplus(steps - 1)
        q25, q75 = median - gaps[..., 1], median + gaps[..., 3]
        return torch.stack([q25 - gaps[..., 0], q25, median, q75, q75 + gaps[..., 4]], dim=-1)

    def _base(self, batch: Batch) -> torch.Tensor:
        measured, deviation = batch.history[..., 1], batch.history[..., 2]
        age = torch.arange(self.config.history - 1, -1, -1, device=measured.device)
        weight = measured * 0.5 ** age[:, None]
        recent = (deviation * weight).sum(1) / weight.sum(1).clamp(min=1e-6)
        return batch.profile + torch.sigmoid(self.share)[:, None] * recent[:, None]


def masked_loss(quantiles: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Masked MAE of the median plus the pinball loss of all quantiles.

    Args:
        quantiles: `(..., 5)`.
        truth: `(...)`, NaN where nothing was measured; such cells add nothing.
    """
    seen = torch.isfinite(truth)
    error = truth[seen][:, None] - quantiles[seen]
    tau = torch.tensor(QUANTILES, device=error.device)
    pinball = torch.maximum(tau * error, (tau - 1) * error).sum(-1)
    return (error[:, MEDIAN].abs() + pinball).sum() / seen.sum().clamp(min=1)
