"""Graph WaveNet: gated dilated convolutions in time, diffusion over a given and a learnt graph."""

from __future__ import annotations

import numpy as np
import torch
from scipy import sparse
from torch import nn
from torch.nn import functional

from eval.peers.inputs import Batch

_WIDTH = 32
_SKIP = 256
_END = 512
_NODE_VECTOR = 10
_DILATIONS = (1, 2) * 4
_HOPS = 2
_DROPOUT = 0.3


class GraphWaveNet(nn.Module):
    """`(B, history, N)` to `(B, horizon, N)`; reads the series and the time of day.

    The released code also holds a 1 x 1 convolution in each layer (8,448 weights in all) that its own forward pass
    never uses with a graph; it is left out here.

    Args:
        adjacency: `(N, N)` weights from source to target, dimensionless; without edges only the learnt graph is used.
        horizon: Steps ahead.
        per_day: Slots in one day.

    Source:
        Wu et al. (2019), arXiv:1906.00121: forward, backward and self-adaptive transition matrices, two hops.
    """

    def __init__(self, adjacency: sparse.csr_array, horizon: int, *, per_day: int) -> None:
        super().__init__()
        self.per_day = per_day
        nodes = adjacency.shape[0]
        self.transitions: torch.Tensor
        self.register_buffer("transitions", _transitions(adjacency))
        self.source = nn.Parameter(torch.randn(nodes, _NODE_VECTOR))
        self.target = nn.Parameter(torch.randn(_NODE_VECTOR, nodes))
        self.start = nn.Conv2d(2, _WIDTH, 1)
        self.gated = nn.ModuleList(nn.Conv2d(_WIDTH, 2 * _WIDTH, (1, 2), dilation=(1, d)) for d in _DILATIONS)
        mixed = (_HOPS * (len(self.transitions) + 1) + 1) * _WIDTH
        self.graph = nn.ModuleList(nn.Conv2d(mixed, _WIDTH, 1) for _ in _DILATIONS)
        self.skip = nn.ModuleList(nn.Conv2d(_WIDTH, _SKIP, 1) for _ in _DILATIONS)
        self.norm = nn.ModuleList(nn.BatchNorm2d(_WIDTH) for _ in _DILATIONS)
        self.end = nn.Sequential(nn.ReLU(), nn.Conv2d(_SKIP, _END, 1), nn.ReLU(), nn.Conv2d(_END, horizon, 1))

    def forward(self, batch: Batch) -> torch.Tensor:
        nodes = batch.value.shape[2]
        moment = (batch.slot / self.per_day)[..., None].expand(-1, -1, nodes)
        x = torch.stack([batch.value, moment], dim=1).transpose(2, 3)  # (B, 2, N, history)
        x = functional.pad(x, (max(0, 1 + sum(_DILATIONS) - x.shape[-1]), 0))
        learnt = torch.softmax(functional.relu(self.source @ self.target), dim=1)
        graphs = [*self.transitions, learnt]
        x = self.start(x)
        skipped: torch.Tensor | None = None
        for gated, graph, skip, norm in zip(self.gated, self.graph, self.skip, self.norm, strict=True):
            content, gate = gated(x).chunk(2, dim=1)
            z = torch.tanh(content) * torch.sigmoid(gate)
            # Only the last step reaches the output, so only it is carried along the skips.
            last = skip(z[..., -1:])
            skipped = last if skipped is None else skipped + last
            z = functional.dropout(graph(_diffused(z, graphs)), _DROPOUT, self.training)
            x = norm(z + x[..., -z.shape[-1] :])
        forecast: torch.Tensor = self.end(skipped)
        return forecast[..., 0]


def _diffused(z: torch.Tensor, graphs: list[torch.Tensor]) -> torch.Tensor:
    """`(B, C, N, T)` and its means over one and two hops of each graph, stacked along C."""
    out = [z]
    for graph in graphs:
        hop = z
        for _ in range(_HOPS):
            hop = torch.einsum("vw,bcwt->bcvt", graph, hop)
            out.append(hop)
    return torch.cat(out, dim=1)


def _transitions(adjacency: sparse.csr_array) -> torch.Tensor:
    """`(2, N, N)` random walks along and against the edges, each node also a neighbour of itself; `(0, N, N)` if none.

    Rows sum to 1.
    """
    nodes = adjacency.shape[0]
    if adjacency.nnz == 0:
        return torch.zeros(0, nodes, nodes)
    weights = np.asarray(adjacency.toarray(), dtype=np.float32)
    np.fill_diagonal(weights, 1)
    both = np.stack([weights, weights.T])
    return torch.from_numpy(both / both.sum(axis=2, keepdims=True))
