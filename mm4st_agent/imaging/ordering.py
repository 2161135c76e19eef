"""Which nodes of a graph become the rows of a picture, and in which order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph

Positions = NDArray[np.intp]


def nearest(adjacency: sparse.csr_array, position: int, limit: int) -> Positions:
    """The nodes with the fewest links to one node, whichever way the links point.

    Args:
        adjacency: `(N, N)`, from row to column, 0 = no link.
        position: The node in the middle, 0 .. N - 1.
        limit: How many nodes, itself included.

    Returns:
        At most `limit` positions, nearest first. Equally near nodes, and those that no link
        reaches, come by how near they stand in the node order.
    """
    hops = csgraph.dijkstra(adjacency, directed=False, unweighted=True, indices=np.array([position]))[0]
    apart = np.abs(np.arange(len(hops)) - position)
    return np.lexsort((apart, hops))[:limit]


def hub(adjacency: sparse.csr_array) -> int:
    """The node with the most links, in and out; the first of several."""
    links = adjacency.astype(bool).astype(np.int64)
    return int(np.argmax(links.sum(axis=0) + links.sum(axis=1)))


def along_links(adjacency: sparse.csr_array, members: Positions) -> Positions:
    """Order nodes so that a road stays together and reads downstream from first to last.

    A depth-first walk: it starts where no link of the group leads to and follows links as far
    as they go, then the branches that it passed. Where a road forks it goes on to the neighbour
    in the node order, as sources list a road's sensors in a row, or else along the heaviest
    (shortest) link. Where nothing is linked, the node order remains.

    Args:
        adjacency: `(N, N)` weights from row to column, 0 = no link, 1 = nearest.
        members: The positions to order.

    Returns:
        The same positions, each once.
    """
    members = np.sort(members)
    links = adjacency[members][:, members].toarray()
    np.fill_diagonal(links, 0)
    starts = np.argsort((links > 0).any(axis=0), kind="stable")
    walked: dict[int, None] = {}
    for start in starts.tolist():
        ahead = [start]
        while ahead:
            node = ahead.pop()
            if node in walked:
                continue
            walked[node] = None
            in_a_row = np.abs(members - members[node]) == 1
            best_last = np.lexsort((links[node], in_a_row))
            ahead += [n for n in best_last.tolist() if links[node, n] > 0 and n not in walked]
    return members[list(walked)]
