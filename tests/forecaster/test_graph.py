from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from mm4st_agent.forecaster.graph import laplacian_eigenvectors, neighbour_mean


def ring(nodes: int) -> sparse.csr_array:
    following = (np.arange(nodes) + 1) % nodes
    return sparse.csr_array((np.ones(nodes), (np.arange(nodes), following)), shape=(nodes, nodes))


def path(nodes: int) -> sparse.csr_array:
    return sparse.csr_array(np.diag(np.ones(nodes - 1), 1))


@pytest.mark.parametrize("nodes", [12, 700])  # dense solver, sparse solver
def test_columns_are_smooth_eigenvectors_of_the_normalised_laplacian(nodes: int) -> None:
    found = laplacian_eigenvectors(path(nodes), 3).astype(np.float64)

    symmetric = path(nodes).toarray() + path(nodes).toarray().T
    scale = 1 / np.sqrt(symmetric.sum(axis=1))
    laplacian = np.eye(nodes) - scale[:, None] * symmetric * scale
    smallest = np.sort(np.linalg.eigvalsh(laplacian))[1:4]
    np.testing.assert_allclose(laplacian @ found, found * smallest, atol=1e-4)
    np.testing.assert_allclose((found**2).mean(axis=0), 1, rtol=1e-4)
    size = np.abs(found)
    first = (size > 0.999 * size.max(axis=0)).argmax(axis=0)  # both ends of a path are largest, in rounding's order
    assert (found[first, range(3)] > 0).all()


def test_direction_does_not_matter() -> None:
    np.testing.assert_array_equal(laplacian_eigenvectors(path(9)), laplacian_eigenvectors(path(9).T.tocsr()))


def test_what_the_graph_does_not_have_is_zero() -> None:
    assert not laplacian_eigenvectors(sparse.csr_array((5, 5))).any()
    assert not laplacian_eigenvectors(sparse.csr_array((1, 1))).any()
    few = laplacian_eigenvectors(ring(4), 16)
    assert few.shape == (4, 16)
    assert few[:, :3].any(axis=0).all()
    assert not few[:, 3:].any()


def test_neighbour_mean_averages_both_directions() -> None:
    weights = neighbour_mean(path(3)).toarray()

    np.testing.assert_allclose(weights, [[0, 1, 0], [0.5, 0, 0.5], [0, 1, 0]])
    assert not neighbour_mean(sparse.csr_array((2, 2))).toarray().any()
