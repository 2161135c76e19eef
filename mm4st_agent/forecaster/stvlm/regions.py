"""The order of the nodes in a picture, and the segments of neighbouring nodes that share a token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from mm4st_agent.data.panel import Panel
from mm4st_agent.errors import UsageError
from mm4st_agent.forecaster.stvlm.config import Order, StVlmConfig
from mm4st_agent.imaging.space_order import fiedler_order, hilbert_order, kd_order

Positions = NDArray[np.intp]


@dataclass(frozen=True)
class Regions:
    """Runs of whole patches along an order of the nodes.

    Attributes:
        order: `(N,)` positions of the nodes, from the top row of the picture to the bottom row.
        patch: Nodes of one patch; the last patch may be shorter.
        of_patch: `(P,)` the segment of each patch, not decreasing, from 0.
        affinity: `(M, M)` symmetric, 1 on the diagonal: how closely two segments are linked, in 0 .. 1.
    """

    order: Positions
    patch: int
    of_patch: Positions
    affinity: NDArray[np.float32]

    @classmethod
    def of(cls, panel: Panel, config: StVlmConfig) -> Self:
        """Lay the nodes of `panel` out.

        Raises:
            UsageError: the order needs coordinates that the data lack.
        """
        order = _ordered(panel, config.order)
        patches = -(-len(order) // config.patch)
        segments = min(patches, config.segments)
        of_patch = np.arange(patches) * segments // patches
        return cls(order, config.patch, of_patch, _affinity(panel.adjacency(), order, config.patch, of_patch))

    @property
    def segments(self) -> int:
        return int(self.of_patch[-1]) + 1

    @property
    def of_node(self) -> Positions:
        """`(N,)` the segment of each node, in the panel's node order."""
        out = np.empty(len(self.order), dtype=np.intp)
        out[self.order] = self.of_patch[np.arange(len(self.order)) // self.patch]
        return out


def _ordered(panel: Panel, name: Order) -> Positions:
    nodes = len(panel.node_ids)
    if name == "given":
        return np.arange(nodes)
    if name == "random":
        return np.random.default_rng(0).permutation(nodes)
    if name == "fiedler":
        return fiedler_order(panel.adjacency())
    table = panel.nodes
    if not {"lat", "lon"} <= set(table.columns) or not np.isfinite(table[["lat", "lon"]].to_numpy(dtype=float)).any():
        raise UsageError(f"{panel.name!r} has no coordinates, which the order {name!r} needs.", "Use order 'fiedler'.")
    places = table[["lat", "lon"]].to_numpy(dtype=np.float64)
    return hilbert_order(places) if name == "hilbert" else kd_order(places)


def _affinity(adjacency: sparse.csr_array, order: Positions, patch: int, of_patch: Positions) -> NDArray[np.float32]:
    """Weight of the links between two segments, over the geometric mean of all links at each."""
    segments = int(of_patch[-1]) + 1
    rows = of_patch[np.arange(len(order)) // patch]
    member = sparse.csr_array((np.ones(len(order)), (order, rows)), shape=(len(order), segments))
    weights = adjacency + adjacency.T
    between = (member.T @ weights @ member).toarray()
    total = between.sum(axis=1)
    scale = np.sqrt(np.outer(total, total))
    share = np.divide(between, scale, out=np.zeros_like(between), where=scale > 0)
    np.fill_diagonal(share, 1)
    return np.asarray(np.clip(share, 0, 1), dtype=np.float32)
