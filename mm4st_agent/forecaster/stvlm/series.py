"""Series tokens: the node states of a segment, pooled by attention into one token."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn

from mm4st_agent.forecaster.stvlm.regions import Positions, Regions


class SegmentPool(nn.Module):
    """Attention pooling: the learned query of each segment reads that segment's items and no other.

    An item may belong to several segments. The key projection is applied to the queries and the value projection
    to what was read, which gives the same products as applying them to the items but costs nothing per item.
    A segment without items gives its query. Where no segment has two items there is nothing to weigh, and no key.

    Source:
        Lee et al. (2019), arXiv:1810.00825, section 3.2 (pooling by attention with learned queries).
    """

    def __init__(
        self, segment: Positions, item: Positions, segments: int, inside: int, width: int, *, heads: int = 4
    ) -> None:
        """Item `item[e]` belongs to segment `segment[e]`, for each e; items are `inside` wide, tokens `width`."""
        super().__init__()
        index, present = _members(segment, item, segments)
        self.index: torch.Tensor
        self.present: torch.Tensor
        self.register_buffer("index", index, persistent=False)
        self.register_buffer("present", present, persistent=False)
        self.heads = heads if index.shape[1] > 1 else 1
        self.norm = nn.LayerNorm(inside)
        self.query = nn.Parameter(0.02 * torch.randn(segments, width))
        self.key = nn.Linear(width, heads * inside) if index.shape[1] > 1 else None
        self.value = nn.Linear(self.heads * inside, width)

    def forward(self, items: torch.Tensor) -> torch.Tensor:
        """`(B, M, width)` from items `(B, I, inside)`."""
        segments, most = self.index.shape
        read = self.norm(items)[:, self.index.flatten()].unflatten(1, (segments, most))
        weights = self.present[:, None]
        if self.key is not None:
            key = self.key(self.query).reshape(segments, self.heads, -1) / math.sqrt(items.shape[-1])
            weights = masked_softmax(torch.einsum("bmki,mhi->bmhk", read, key), weights)
        token: torch.Tensor = self.query + self.value((weights.to(read.dtype) @ read).flatten(2))
        return token


class SeriesTokens(nn.Module):
    """One token a segment from the states of its nodes; linear in the nodes."""

    def __init__(self, regions: Regions, hidden: int, width: int) -> None:
        super().__init__()
        nodes = np.arange(len(regions.order))
        self.pool = SegmentPool(regions.of_node, nodes, regions.segments, hidden, width)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """`(B, M, width)` from states `(B, N, hidden)` in the panel's node order."""
        tokens: torch.Tensor = self.pool(states)
        return tokens


def masked_softmax(scores: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
    """Softmax over the last axis where `present` (broadcast to `scores`); all 0 where nothing is present."""
    low = torch.finfo(scores.dtype).min
    return torch.softmax(scores.masked_fill(~present, low), dim=-1) * present


def _members(segment: Positions, item: Positions, segments: int) -> tuple[torch.Tensor, torch.Tensor]:
    """`(M, K)` the items of each segment, and `(M, K)` where there is one; K is that of the largest segment."""
    by_segment = np.argsort(segment, kind="stable")
    segment, item = segment[by_segment], item[by_segment]
    count = np.bincount(segment, minlength=segments)
    rank = np.arange(len(segment)) - (np.cumsum(count) - count)[segment]
    index = np.zeros((segments, count.max()), dtype=np.int64)
    present = np.zeros(index.shape, dtype=bool)
    index[segment, rank], present[segment, rank] = item, True
    return torch.from_numpy(index), torch.from_numpy(present)
