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
        self.start = nn.Linear(2, _WIDTH)
        self.gated = nn.ModuleList(nn.Linear(2 * _WIDTH, 2 * _WIDTH) for _ in _DILATIONS)
        mixed = (_HOPS * (len(self.transitions) + 1) + 1) * _WIDTH
        self.graph = nn.ModuleList(nn.Linear(mixed, _WIDTH) for _ in _DILATIONS)
        self.skip = nn.ModuleList(nn.Linear(_WIDTH, _SKIP) for _ in _DILATIONS)
        self.norm = nn.ModuleList(nn.BatchNorm1d(_WIDTH) for _ in _DILATIONS)
        self.end = nn.Sequential(nn.ReLU(), nn.Linear(_SKIP, _END), nn.ReLU(), nn.Linear(_END, horizon))

    def forward(self, batch: Batch) -> torch.Tensor:
        # (N, B, T, C): so the convolutions are products with the last axis, and a graph is one with the first.
        nodes = batch.value.shape[2]
        moment = (batch.slot / self.per_day).expand(nodes, -1, -1)
        x = torch.stack([batch.value.permute(2, 0, 1), moment], dim=-1)
        x = functional.pad(x, (0, 0, max(0, 1 + sum(_DILATIONS) - x.shape[2]), 0))
        learnt = torch.softmax(functional.relu(self.source @ self.target), dim=1)
        hops = _powers(torch.cat([self.transitions, learnt[None]]))
        x = self.start(x)
        skipped: torch.Tensor | None = None
        for dilation, gated, graph, skip, norm in zip(
            _DILATIONS, self.gated, self.graph, self.skip, self.norm, strict=True
        ):
            content, gate = gated(torch.cat([x[:, :, :-dilation], x[:, :, dilation:]], dim=-1)).chunk(2, dim=-1)
            z = torch.tanh(content) * torch.sigmoid(gate)
            # Only the last step reaches the output, so only it is carried along the skips.
            last = skip(z[:, :, -1])
            skipped = last if skipped is None else skipped + last
            z = functional.dropout(_diffused(z, hops, graph), _DROPOUT, self.training)
            x = z + x[:, :, -z.shape[2] :]
            x = norm(x.flatten(0, 2)).view_as(x)
        forecast: torch.Tensor = self.end(skipped)
        return forecast.permute(1, 2, 0)


def _diffused(z: torch.Tensor, hops: torch.Tensor, graph: nn.Module) -> torch.Tensor:
    """`graph` of `(N, B, T, C)` and of its means over the hops `(K, N, N)`, stacked along C.

    The product with the weights comes first, so that all hops are one product more.
    """
    assert isinstance(graph, nn.Linear)
    own, *others = torch.split(graph.weight.T, z.shape[-1])
    weighed = z.flatten(0, 2) @ torch.stack(others)  # (K, N * B * T, C)
    spread = hops.transpose(0, 1).flatten(1) @ weighed.reshape(hops.shape[0] * hops.shape[1], -1)
    return functional.linear(z, own.T, graph.bias) + spread.view_as(z)


def _powers(graphs: torch.Tensor) -> torch.Tensor:
    """`(G * hops, N, N)`: for each graph `(G, N, N)` the means over one hop, two hops and so on."""
    powers = [graphs]
    for _ in range(_HOPS - 1):
        powers.append(graphs @ powers[-1])
    return torch.stack(powers, dim=1).flatten(0, 1)


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
