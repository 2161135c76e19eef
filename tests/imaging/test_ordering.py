from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from mm4st_agent.imaging.ordering import along_links, hub, nearest


def graph(size: int, *links: tuple[int, int, float]) -> sparse.csr_array:
    dense = np.zeros((size, size))
    for source, target, weight in links:
        dense[source, target] = weight
    return sparse.csr_array(dense)


# Two roads, 0 > 1 > 2 > 3 and, against the node order, 7 > 6 > 5 > 4; a turn from 1 to 6; 8 stands alone.
ROADS = graph(9, (0, 1, 0.5), (1, 2, 0.4), (2, 3, 0.5), (7, 6, 0.5), (6, 5, 0.5), (5, 4, 0.5), (1, 6, 0.9))


def test_nearest_counts_links_in_both_directions() -> None:
    assert nearest(ROADS, 2, 4).tolist() == [2, 1, 3, 0]
    assert set(nearest(ROADS, 2, 5).tolist()) == {2, 1, 3, 0, 6}


def test_nearest_gives_unlinked_nodes_last_and_every_node_once() -> None:
    everything = nearest(ROADS, 0, 100).tolist()

    assert everything[-1] == 8
    assert sorted(everything) == list(range(9))
    assert nearest(ROADS, 8, 3).tolist() == [8, 7, 6]


def test_roads_stay_together_and_read_downstream() -> None:
    assert along_links(ROADS, np.arange(9)).tolist() == [0, 1, 2, 3, 6, 5, 4, 7, 8]


def test_a_fork_without_a_neighbour_in_the_node_order_follows_the_heaviest_link() -> None:
    fork = graph(6, (0, 2, 0.2), (0, 4, 0.9), (2, 3, 0.5), (4, 5, 0.5))

    assert along_links(fork, np.array([0, 2, 3, 4, 5])).tolist() == [0, 4, 5, 2, 3]


def test_loops_self_links_and_missing_links_are_no_trouble() -> None:
    ring = graph(4, (0, 1, 1), (1, 2, 1), (2, 0, 1), (3, 3, 1))

    assert along_links(ring, np.array([2, 0, 3, 1])).tolist() == [3, 0, 1, 2]
    assert along_links(graph(3), np.array([2, 0, 1])).tolist() == [0, 1, 2]
    assert along_links(ROADS, np.array([5])).tolist() == [5]


@pytest.mark.parametrize("seed", range(5))
def test_the_order_is_a_permutation_of_any_graph(seed: int) -> None:
    rng = np.random.default_rng(seed)
    dense = sparse.csr_array(rng.random((30, 30)) * (rng.random((30, 30)) < 0.1))
    members = rng.choice(30, 17, replace=False)

    assert sorted(along_links(dense, members).tolist()) == sorted(members.tolist())


def test_the_hub_has_the_most_links() -> None:
    assert hub(ROADS) == 1
    assert hub(graph(3)) == 0
