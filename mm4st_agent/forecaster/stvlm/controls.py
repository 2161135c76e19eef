"""What stands in place of a modality when we measure whether that modality pays: another window's, nothing, numbers.

Every control has the tokens, the fusion and the training of the real thing, and lacks just what is in question.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from mm4st_agent.errors import UsageError
from mm4st_agent.forecaster.stvlm.regions import Regions
from mm4st_agent.forecaster.stvlm.series import SegmentPool
from mm4st_agent.forecaster.stvlm.tokens import StBatch
from mm4st_agent.forecaster.stvlm.vision import PICTURE, picture

FACT_COLUMNS = 128
"""Of a batch's numeric facts; what the data do not have is 0."""
_MULTIPLIER = 2_654_435_761
"""Knuth's, near 2^32 divided by the golden ratio: neighbouring numbers are sent far apart."""


def elsewhere(origins: torch.Tensor, history: int) -> torch.Tensor:
    """For each origin `(B,)` another, at least `history` and never later: always the same one, and as if at random."""
    share = (origins * _MULTIPLIER % 2**32).double() / 2**32
    return history + (share * (origins - history).clamp(min=0)).long()


class FactTokens(nn.Module):
    """The facts of the prompt as numbers: an MLP at each node, then one token a segment."""

    def __init__(self, regions: Regions, width: int, *, dropout: float = 0.1) -> None:
        super().__init__()
        inner = width // 2
        self.embed = nn.Sequential(
            nn.Linear(FACT_COLUMNS, inner), nn.GELU(), nn.Dropout(dropout), nn.Linear(inner, inner)
        )
        self.pool = _segments(regions, inner, width)

    def forward(self, facts: torch.Tensor) -> torch.Tensor:
        """`(B, M, width)` from `(B, N, F)`, in the panel's node order.

        Raises:
            UsageError: there are more columns than `FACT_COLUMNS`.
        """
        if facts.shape[-1] > FACT_COLUMNS:
            raise UsageError(
                f"{facts.shape[-1]} numeric facts are more than {FACT_COLUMNS}.", "Give the facts as text."
            )
        tokens: torch.Tensor = self.pool(self.embed(functional.pad(facts, (0, FACT_COLUMNS - facts.shape[-1]))))
        return tokens


class NodePixels(nn.Module):
    """The picture's rows, each through an MLP on its own: the same numbers, and no patch that spans nodes."""

    def __init__(self, regions: Regions, width: int, *, history: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.regions = regions
        inner = width // 2
        self.embed = nn.Sequential(
            nn.Linear(len(PICTURE) * history, inner), nn.GELU(), nn.Dropout(dropout), nn.Linear(inner, inner)
        )
        self.pool = _segments(regions, inner, width)

    def forward(self, batch: StBatch) -> torch.Tensor:
        """`(B, M, width)`, a token a segment."""
        rows = picture(batch, self.regions, "strip")[:, :, : len(self.regions.order)].transpose(1, 2).flatten(2)
        nodes = torch.empty_like(rows)
        nodes[:, torch.as_tensor(self.regions.order, device=rows.device)] = rows
        tokens: torch.Tensor = self.pool(self.embed(nodes))
        return tokens


def _segments(regions: Regions, inside: int, width: int) -> SegmentPool:
    return SegmentPool(regions.of_node, torch.arange(len(regions.order)).numpy(), regions.segments, inside, width)
