"""One-dimensional orders of nodes that keep neighbours together: by graph (Fiedler) or by place (Hilbert, KD-tree)."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph
from scipy.sparse.linalg import LinearOperator, lobpcg, splu

from mm4st_agent.errors import DataError
from mm4st_agent.imaging.ordering import Positions

_DENSE = 64
"""Components up to this size are solved densely: the sparse solvers need room to iterate."""
_SHIFT = 1e-8
"""Of the Laplacian's diagonal, whose largest weight is 1: makes it invertible."""
_GUARDED = 4
"""Vectors that are sought together: the later ones speed up the first."""
_HILBERT_BITS = 16


def fiedler_order(adjacency: sparse.csr_array) -> Positions:
    """Order nodes by the Fiedler vector: the smoothest way to lay a graph on a line.

    Unconnected parts stand one after the other, the largest first, equal ones by their first node. The sign is
    set so that the end with the lower node number comes first.

    Args:
        adjacency: `(N, N)` weights, at least 0; read as undirected, self-links are ignored.

    Returns:
        `(N,)` positions: entry r is the node of row r; the same at every call.

    Raises:
        DataError: the matrix is not square, is empty, or has a weight that is negative or not finite.

    Source:
        Fiedler (1973), doi:10.21136/CMJ.1973.101168.
    """
    weights = _undirected(adjacency)
    parts, label = csgraph.connected_components(weights, directed=False)
    size, first = np.bincount(label), np.full(parts, len(label))
    np.minimum.at(first, label, np.arange(len(label)))
    members = np.split(np.argsort(label, kind="stable"), np.cumsum(size)[:-1])
    return np.concatenate([_along_fiedler(weights, members[part]) for part in np.lexsort((first, -size))])


def hilbert_order(places: NDArray[np.floating]) -> Positions:
    """Order nodes along a Hilbert curve through their places; neighbours on the curve are neighbours on the map.

    Args:
        places: `(N, 2)` latitude and longitude in degrees, or metres; both axes are scaled alike.

    Returns:
        `(N,)` positions; nodes in the same place, and those without one (NaN, last), keep the node order.

    Raises:
        DataError: `places` is not `(N, 2)`, or is empty.

    Source:
        Hilbert (1891), doi:10.1007/BF01199431.
    """
    known, placed = _placed(places)
    span = np.ptp(placed, axis=0).max() if len(placed) else 0.0
    unit = (placed - placed.min(axis=0, initial=np.inf)) / (span or 1.0)
    cell = (unit * (2**_HILBERT_BITS - 1)).astype(np.int64)
    return _known_first(known, np.argsort(_along_hilbert(cell[:, 1], cell[:, 0]), kind="stable"))


def kd_order(places: NDArray[np.floating]) -> Positions:
    """Order nodes by the leaves of a balanced KD-tree: halves of the longer axis, from low to high.

    Args:
        places: `(N, 2)`, as for `hilbert_order`.

    Returns:
        `(N,)` positions; nodes without a place (NaN) come last.

    Raises:
        DataError: `places` is not `(N, 2)`, or is empty.

    Source:
        Bentley (1975), doi:10.1145/361002.361007.
    """
    known, placed = _placed(places)
    ordered: list[Positions] = []
    waiting = [np.arange(len(placed))]
    while waiting:
        group = waiting.pop()
        if len(group) <= 1:
            ordered.append(group)
            continue
        axis = int(np.argmax(np.ptp(placed[group], axis=0)))
        group = group[np.argsort(placed[group, axis], kind="stable")]
        waiting += [group[len(group) // 2 :], group[: len(group) // 2]]
    return _known_first(known, np.concatenate(ordered))


def closeness(adjacency: sparse.csr_array, order: Positions, rows: int = 8) -> float | None:
    """Share of the edge weight between nodes that stand at most `rows` rows apart, 0..1; None without edges.

    Args:
        adjacency: `(N, N)` weights, at least 0; self-links are ignored.
        order: `(N,)` positions, as the orders here give them.
        rows: How near is near; the height of a patch, for example.

    Raises:
        DataError: as for `fiedler_order`, or `order` is no permutation of the nodes.
    """
    weights = _undirected(adjacency).tocoo()
    row = inverse(order)
    if len(row) != weights.shape[0]:
        raise DataError(f"An order of {len(row)} nodes does not fit a graph of {weights.shape[0]}.", "Order them all.")
    source, target = weights.coords
    near = np.abs(row[source] - row[target]) <= rows
    total = float(weights.data.sum())
    return float(weights.data[near].sum()) / total if total > 0 else None


def inverse(order: Positions) -> Positions:
    """`(N,)` row of each node.

    Raises:
        DataError: `order` is no permutation of 0 .. N - 1.
    """
    order = np.asarray(order)
    if order.ndim != 1 or not np.array_equal(np.sort(order), np.arange(order.size)):
        raise DataError(
            f"An order of {order.size} entries does not name every row once.", "Give a permutation of 0 .. N - 1."
        )
    row = np.empty(len(order), dtype=np.intp)
    row[order] = np.arange(len(order))
    return row


def _undirected(adjacency: sparse.csr_array) -> sparse.csr_array:
    rows, columns = adjacency.shape
    if rows != columns or rows == 0:
        raise DataError(f"A graph of shape {(rows, columns)} cannot be ordered.", "Give (N, N), N at least 1.")
    weights = sparse.csr_array(adjacency.astype(np.float64))
    if weights.nnz and not (np.isfinite(weights.data).all() and weights.data.min() >= 0):
        raise DataError("The graph has a weight that is negative or not a number.", "Give weights of at least 0.")
    both = sparse.csr_array(weights + weights.T)
    both.setdiag(0)
    both.eliminate_zeros()
    return both


def _along_fiedler(weights: sparse.csr_array, members: Positions) -> Positions:
    """One connected part along its Fiedler vector."""
    if len(members) <= 2:
        return members
    graph = weights[members][:, members]
    graph.data /= graph.data.max()
    laplacian = sparse.csr_array(sparse.diags_array(graph.sum(axis=1)) - graph)
    vector = _dense(laplacian) if len(members) <= _DENSE else _sparse(laplacian)
    # Nodes that the symmetry of the graph holds equal differ by rounding only: they keep the node order.
    rounded = np.round(vector / np.abs(vector).max(), 9)
    if np.argmin(rounded) > np.argmax(rounded):
        rounded = -rounded
    return members[np.argsort(rounded, kind="stable")]


def _dense(laplacian: sparse.csr_array) -> NDArray[np.float64]:
    return np.linalg.eigh(laplacian.toarray())[1][:, 1]


def _sparse(laplacian: sparse.csr_array) -> NDArray[np.float64]:
    """The second eigenvector by LOBPCG, with a factorisation of the Laplacian as its preconditioner.

    Lanczos (`eigsh`) does not converge where weights differ by many orders of magnitude, as Gaussian ones do.
    """
    size = laplacian.shape[0]
    shifted = sparse.csc_array(laplacian + _SHIFT * sparse.eye_array(size))
    factors = splu(shifted, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    nearly_inverse = LinearOperator((size, size), matvec=factors.solve, matmat=factors.solve, dtype=np.float64)
    start = np.random.default_rng(0).standard_normal((size, _GUARDED))
    with warnings.catch_warnings():
        # Not converged to the last digit is still an order.
        warnings.simplefilter("ignore", UserWarning)
        found = lobpcg(
            laplacian, start, M=nearly_inverse, Y=np.ones((size, 1)), largest=False, tol=1e-7, maxiter=60
        )  # fmt: skip
    return np.asarray(found[1][:, np.argmin(found[0])], dtype=np.float64)


def _placed(places: NDArray[np.floating]) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    places = np.asarray(places, dtype=np.float64)
    if places.ndim != 2 or places.shape[1] != 2 or not len(places):
        raise DataError(f"Places of shape {places.shape} cannot be ordered.", "Give (N, 2), N at least 1.")
    known = np.isfinite(places).all(axis=1)
    return known, places[known]


def _known_first(known: NDArray[np.bool_], order: Positions) -> Positions:
    return np.concatenate([np.flatnonzero(known)[order], np.flatnonzero(~known)])


def _along_hilbert(x: NDArray[np.int64], y: NDArray[np.int64]) -> NDArray[np.int64]:
    """`(N,)` distance along the curve of cells of a grid with `2**_HILBERT_BITS` cells a side."""
    distance = np.zeros(len(x), dtype=np.int64)
    for bit in reversed(range(_HILBERT_BITS)):
        side = 1 << bit
        right, up = (x & side) > 0, (y & side) > 0
        distance += side * side * ((3 * right) ^ up)
        # Each quarter holds a smaller curve; the two lower ones are turned.
        x, y = x & (side - 1), y & (side - 1)
        turned = right & ~up
        x, y = np.where(turned, side - 1 - x, x), np.where(turned, side - 1 - y, y)
        x, y = np.where(up, x, y), np.where(up, y, x)
    return distance
