from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mm4st_agent.data.card import Channel, DataCard
from mm4st_agent.data.panel import Panel
from mm4st_agent.errors import UsageError
from mm4st_agent.forecaster.stvlm.config import StVlmConfig
from mm4st_agent.forecaster.stvlm.regions import Regions
from mm4st_agent.imaging.space_order import fiedler_order


def road(nodes: int, *, links: list[tuple[int, int, float]] | None = None, places: bool = False) -> Panel:
    """A road whose stations stand in a shuffled order in the data, or a panel with the links given."""
    along = np.random.default_rng(5).permutation(nodes)
    if links is None:
        links = [(along[i], along[i + 1], 1.0) for i in range(nodes - 1)]
    coords: dict[str, object] = {
        "time": pd.date_range("2022-01-03", periods=2, freq="30min"),
        "node": np.array([f"n{i}" for i in range(nodes)], dtype=object),
    }
    if places:
        where = np.empty(nodes)
        where[along] = np.arange(nodes)
        coords |= {"lat": ("node", 52 + where / 100), "lon": ("node", np.full(nodes, 13.0))}
    channel = Channel(name="flow", unit="vehicles/h", title="flow", aggregation="mean")
    card = DataCard(
        name="road", title="A road", source="made by a test", licence="CC0-1.0", place_word="station",
        time_zone="Europe/Berlin", time_label="start", channels=(channel,),
    )  # fmt: skip
    data = xr.Dataset({"flow": (("time", "node"), np.ones((2, nodes), np.float32), {"units": "vehicles/h"})}, coords)
    edges = pd.DataFrame([(f"n{a}", f"n{b}", w) for a, b, w in links], columns=["source", "target", "weight"])
    return Panel(card=card, data=data, edges=edges)


@pytest.mark.parametrize(
    ("nodes", "patch", "limit", "segments"), [(1, 8, 64, 1), (20, 3, 64, 7), (20, 3, 4, 4), (170, 8, 64, 22)]
)
def test_segments_are_runs_of_whole_patches(nodes: int, patch: int, limit: int, segments: int) -> None:
    regions = Regions.of(road(nodes), StVlmConfig(patch=patch, segments=limit, order="given"))

    assert regions.segments == segments
    assert len(regions.of_patch) == -(-nodes // patch)
    steps = np.diff(regions.of_patch)
    assert regions.of_patch[0] == 0
    assert set(steps) <= {0, 1}
    sizes = np.bincount(regions.of_patch)
    assert sizes.max() - sizes.min() <= 1
    np.testing.assert_array_equal(regions.of_node, regions.of_patch[np.arange(nodes) // patch])


def test_a_node_is_in_the_segment_of_its_row() -> None:
    regions = Regions.of(road(30), StVlmConfig(patch=4, segments=3, order="random"))

    for row, node in enumerate(regions.order):
        assert regions.of_node[node] == regions.of_patch[row // 4]


def test_rows_follow_the_fiedler_order_of_the_graph() -> None:
    panel = road(40)
    along = np.random.default_rng(5).permutation(40)

    found = Regions.of(panel, StVlmConfig()).order

    np.testing.assert_array_equal(found, fiedler_order(panel.adjacency()))
    assert found.tolist() in (along.tolist(), along[::-1].tolist())


@pytest.mark.parametrize("order", ["hilbert", "kd"])
def test_rows_follow_the_map_where_it_is_asked_for(order: str) -> None:
    along = np.random.default_rng(5).permutation(40)

    found = Regions.of(road(40, places=True), StVlmConfig(order=order)).order

    assert found.tolist() in (along.tolist(), along[::-1].tolist())


@pytest.mark.parametrize("order", ["hilbert", "kd"])
def test_an_order_by_place_needs_places(order: str) -> None:
    with pytest.raises(UsageError, match=f"'road' has no coordinates, which the order '{order}' needs"):
        Regions.of(road(5), StVlmConfig(order=order))


def test_a_random_order_is_the_same_each_time() -> None:
    first, second = (Regions.of(road(30), StVlmConfig(order="random")).order for _ in range(2))

    np.testing.assert_array_equal(first, second)
    assert sorted(first) == list(range(30))
    assert first.tolist() != list(range(30))


def test_affinity_is_the_share_of_the_links_between_two_segments() -> None:
    links = [(0, 1, 1.0), (1, 2, 0.5), (3, 2, 1.0), (3, 4, 0.25)]

    regions = Regions.of(road(6, links=links), StVlmConfig(patch=2, order="given"))

    # Link ends at the three segments: 2 + 0.5, 0.5 + 2 + 0.25, and 0.25.
    first, second = 0.5 / np.sqrt(2.5 * 2.75), 0.25 / np.sqrt(2.75 * 0.25)
    np.testing.assert_allclose(regions.affinity, [[1, first, 0], [first, 1, second], [0, second, 1]], rtol=1e-6)
    assert regions.affinity.dtype == np.float32


def test_without_links_a_segment_is_close_to_itself_only(panel_of: Callable[..., Panel]) -> None:
    regions = Regions.of(panel_of(edges=False), StVlmConfig(patch=2))

    np.testing.assert_array_equal(regions.affinity, np.eye(3))
