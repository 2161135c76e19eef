"""Orders of nodes on a line: permutations always, neighbours near, and as quick as a city needs."""

import time

import numpy as np
import pytest
from scipy import sparse
from scipy.spatial import cKDTree

from mm4st_agent.errors import DataError
from mm4st_agent.imaging.space_order import closeness, fiedler_order, hilbert_order, inverse, kd_order


def near_graph(places: np.ndarray, neighbours: int = 4) -> sparse.csr_array:
    """Each node linked with its nearest ones, with the Gaussian weights that road graphs come with."""
    apart, to = cKDTree(places).query(places, neighbours + 1)
    source = np.repeat(np.arange(len(places)), neighbours)
    weight = np.exp(-np.square(apart[:, 1:] / apart[:, 1:].std())).ravel()
    return sparse.csr_array((weight, (source, to[:, 1:].ravel())), shape=(len(places),) * 2)


@pytest.mark.parametrize("size", [3, 40, 500])
def test_fiedler_finds_a_shuffled_road_from_end_to_end(size: int) -> None:
    road = np.random.default_rng(size).permutation(size)
    graph = sparse.csr_array((np.ones(size - 1), (road[:-1], road[1:])), shape=(size, size))
    order = fiedler_order(graph)
    assert order.tolist() in (road.tolist(), road[::-1].tolist())
    assert closeness(graph, order, rows=1) == 1.0
    np.testing.assert_array_equal(fiedler_order(graph), order)
    np.testing.assert_array_equal(fiedler_order(sparse.csr_array(graph.T)), order)


def test_unconnected_parts_stand_one_after_the_other_the_largest_first() -> None:
    graph = sparse.csr_array((np.ones(3), ([1, 4, 3], [3, 6, 5])), shape=(7, 7))
    assert fiedler_order(graph).tolist() == [1, 3, 5, 4, 6, 0, 2]
    assert fiedler_order(sparse.csr_array((4, 4))).tolist() == [0, 1, 2, 3]
    assert fiedler_order(sparse.csr_array((1, 1))).tolist() == [0]


def test_weights_of_many_orders_of_magnitude_are_no_trouble() -> None:
    size = 300
    weight = np.logspace(0, -30, size - 1)
    graph = sparse.csr_array((weight, (np.arange(size - 1), np.arange(1, size))), shape=(size, size))
    order = fiedler_order(graph)
    assert sorted(order) == list(range(size))
    assert closeness(graph, order, rows=8) > 0.9


@pytest.mark.parametrize("of_places", [hilbert_order, kd_order])
def test_orders_of_places_keep_a_grid_together(of_places) -> None:
    side = 16
    places = np.stack(np.meshgrid(np.arange(side), np.arange(side), indexing="ij"), axis=-1).reshape(-1, 2)
    order = of_places(places)
    jumps = np.abs(np.diff(places[order], axis=0)).sum(axis=1)
    assert sorted(order) == list(range(side**2))
    assert jumps.mean() < 2
    if of_places is hilbert_order:
        assert (jumps == 1).all()


@pytest.mark.parametrize("of_places", [hilbert_order, kd_order])
def test_nodes_in_one_place_or_none_keep_the_node_order(of_places) -> None:
    assert of_places(np.full((3, 2), 4.2)).tolist() == [0, 1, 2]
    assert of_places(np.array([[np.nan, 1], [1, 1], [np.nan, np.nan]])).tolist() == [1, 0, 2]
    assert of_places(np.full((2, 2), np.nan)).tolist() == [0, 1]
    with pytest.raises(DataError, match=r"\(3, 3\)"):
        of_places(np.zeros((3, 3)))


def test_every_order_is_far_closer_than_chance() -> None:
    places = np.random.default_rng(2).random((600, 2))
    graph = near_graph(places)
    chance = closeness(graph, np.random.default_rng(3).permutation(600))
    for order in (fiedler_order(graph), hilbert_order(places), kd_order(places)):
        assert closeness(graph, order) > 5 * chance


def test_closeness_is_the_share_of_the_weight_and_undefined_without_edges() -> None:
    graph = sparse.csr_array((np.array([3.0, 1.0, 9.0]), ([0, 0, 2], [1, 3, 2])), shape=(4, 4))
    assert closeness(graph, np.arange(4), rows=1) == pytest.approx(0.75)
    assert closeness(graph, np.array([3, 0, 1, 2]), rows=1) == 1.0
    assert closeness(sparse.csr_array((3, 3)), np.arange(3)) is None
    with pytest.raises(DataError, match="3 nodes"):
        closeness(graph, np.arange(3))


def test_an_order_must_name_each_row_once() -> None:
    assert inverse(np.array([2, 0, 1])).tolist() == [1, 2, 0]
    for wrong in ([0, 0], [1, 2], [[0, 1]]):
        with pytest.raises(DataError, match="every row once"):
            inverse(np.array(wrong))


def test_what_is_no_graph_is_refused() -> None:
    with pytest.raises(DataError, match=r"\(2, 3\)"):
        fiedler_order(sparse.csr_array((2, 3)))
    for weight in (-1.0, np.nan, np.inf):
        with pytest.raises(DataError, match="weight"):
            fiedler_order(sparse.csr_array((np.array([weight]), ([0], [1])), shape=(2, 2)))


def test_a_city_of_8600_nodes_is_ordered_in_seconds() -> None:
    places = np.random.default_rng(0).random((8600, 2))
    graph = near_graph(places)
    began = time.process_time()
    orders = [fiedler_order(graph), hilbert_order(places), kd_order(places)]
    assert time.process_time() - began < 10
    for order in orders:
        assert closeness(graph, order, rows=64) > 0.9
