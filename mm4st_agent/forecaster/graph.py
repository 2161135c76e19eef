"""Where a node stands in the road graph, as numbers that need no coordinates."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

_SMALL = 600
"""Up to this many nodes a dense solver is faster, and exact."""
_ALIKE = 1e-3
"""Entries of an eigenvector that differ by this share of the largest count as equally large: a solver's rounding
would decide between them, and with it the column's sign."""


def laplacian_eigenvectors(adjacency: sparse.csr_array, count: int = 16) -> NDArray[np.float32]:
    """Eigenvectors of the symmetrised normalised Laplacian, smoothest first.

    Args:
        adjacency: `(N, N)` weights; direction is dropped by taking the larger of both.
        count: How many; the constant one is skipped.

    Returns:
        `(N, count)`, each column with mean square 1 and its first largest entry positive, so that the same
        graph gives the same signs; columns that the graph does not have (few nodes, no edges) are 0.

    Source:
        Dwivedi and Bresson (2020), arXiv:2012.09699, section 2.
    """
    nodes = adjacency.shape[0]
    out = np.zeros((nodes, count), dtype=np.float32)
    symmetric = adjacency.maximum(adjacency.T)
    degree = np.asarray(symmetric.sum(axis=1)).ravel()
    usable = min(count, nodes - 1)
    if usable < 1 or not degree.any():
        return out
    inverse = np.where(degree > 0, 1 / np.sqrt(np.where(degree > 0, degree, 1)), 0)
    scaled = sparse.diags_array(inverse) @ symmetric @ sparse.diags_array(inverse)
    laplacian = sparse.diags_array((degree > 0).astype(np.float64)) - scaled
    if nodes <= _SMALL:
        vectors = np.linalg.eigh(laplacian.toarray())[1][:, 1 : usable + 1]
    else:
        # The largest of 2I - L are the smallest of L, and Lanczos finds the largest ones well.
        shifted = (2 * sparse.eye_array(nodes) - laplacian).tocsr()
        values, found = sparse.linalg.eigsh(shifted, k=usable + 1, v0=np.ones(nodes))
        vectors = found[:, np.argsort(-values)][:, 1:]
    size = np.abs(vectors)
    peak = (size > (1 - _ALIKE) * size.max(axis=0)).argmax(axis=0)  # the first, as symmetric graphs have several
    vectors = vectors * np.sign(vectors[peak, np.arange(vectors.shape[1])]) * np.sqrt(nodes)
    out[:, : vectors.shape[1]] = vectors
    return out


def neighbour_mean(adjacency: sparse.csr_array) -> sparse.csr_array:
    """`(N, N)` weights with which a node's row averages its neighbours, upstream and downstream alike.

    Rows sum to 1, or to 0 where a node has no neighbour.
    """
    symmetric = adjacency.maximum(adjacency.T)
    degree = np.asarray(symmetric.sum(axis=1)).ravel()
    inverse = np.where(degree > 0, 1 / np.where(degree > 0, degree, 1), 0)
    weights = sparse.csr_array(sparse.diags_array(inverse) @ symmetric)
    weights.sort_indices()
    return weights
