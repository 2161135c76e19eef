from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mm4st_agent.forecaster.stvlm.regions import Regions
from mm4st_agent.forecaster.stvlm.series import SegmentPool, SeriesTokens, masked_softmax


def regions_of(nodes: int, patch: int = 3, limit: int = 4, seed: int = 0) -> Regions:
    patches = -(-nodes // patch)
    segments = min(patches, limit)
    order = np.random.default_rng(seed).permutation(nodes)
    return Regions(order, patch, np.arange(patches) * segments // patches, np.eye(segments, dtype=np.float32))


def one_by_one(pool: SegmentPool, items: torch.Tensor, members: list[list[int]]) -> torch.Tensor:
    """The pooling segment by segment and head by head, with keys and values made of the items."""
    inside = items.shape[-1]
    values = pool.value.weight.reshape(-1, pool.heads, inside)
    normal = pool.norm(items)
    tokens = []
    for segment, own in enumerate(members):
        token = (pool.query[segment] + pool.value.bias).expand(len(items), -1)
        for head in range(pool.heads):
            scores = torch.zeros(len(items), len(own))
            if pool.key is not None:
                keys = slice(head * inside, (head + 1) * inside)
                query = pool.key.weight[keys] @ pool.query[segment] + pool.key.bias[keys]
                scores = normal[:, own] @ query / math.sqrt(inside)
            token = token + (scores.softmax(-1)[..., None] * (normal[:, own] @ values[:, head].T)).sum(1)
        tokens.append(token)
    return torch.stack(tokens, dim=1)


@pytest.mark.parametrize("nodes", [1, 7, 25])
def test_pooling_is_that_of_each_segment_alone(nodes: int) -> None:
    torch.manual_seed(0)
    regions = regions_of(nodes)
    series = SeriesTokens(regions, 10, 16)
    for parameter in series.parameters():
        torch.nn.init.normal_(parameter)
    states = torch.randn(2, nodes, 10)

    found = series(states)

    members = [np.flatnonzero(regions.of_node == m).tolist() for m in range(regions.segments)]
    assert found.shape == (2, regions.segments, 16)
    torch.testing.assert_close(found, one_by_one(series.pool, states, members), rtol=1e-4, atol=1e-4)


def test_a_token_hears_of_its_own_nodes_only() -> None:
    torch.manual_seed(0)
    regions = regions_of(25)
    series = SeriesTokens(regions, 10, 16)
    states = torch.randn(1, 25, 10)
    changed = states.clone()
    changed[0, 11] += torch.randn(10)

    moved = (series(changed) - series(states)).abs().amax(-1)[0] > 1e-6

    assert moved.nonzero().flatten().tolist() == [regions.of_node[11]]


def test_an_item_may_serve_two_segments_and_a_segment_may_have_none() -> None:
    torch.manual_seed(0)
    pool = SegmentPool(np.array([0, 2, 2, 0]), np.array([1, 1, 0, 2]), 3, 6, 8)
    items = torch.randn(2, 3, 6, requires_grad=True)

    found = pool(items)
    found.square().sum().backward()

    torch.testing.assert_close(
        found[:, [0, 2]], one_by_one(pool, items, [[1, 2], [], [0, 1]])[:, [0, 2]], rtol=1e-5, atol=1e-6
    )
    torch.testing.assert_close(found[:, 1], (pool.query[1] + pool.value.bias).expand(2, -1))
    assert items.grad is not None
    assert items.grad.isfinite().all()


@pytest.mark.parametrize("nodes", [1, 25])
def test_every_weight_gets_a_gradient_and_nothing_else_is_stored(nodes: int) -> None:
    torch.manual_seed(0)
    series = SeriesTokens(regions_of(nodes), 10, 16)

    series(torch.randn(2, nodes, 10)).square().sum().backward()

    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in series.parameters())
    assert set(series.state_dict()) == {name for name, _ in series.named_parameters()}


def test_a_masked_softmax_sums_to_one_over_what_is_there() -> None:
    scores = torch.tensor([[1.0, 2.0, 3e38], [1.0, 2.0, 3.0]], requires_grad=True)

    found = masked_softmax(scores, torch.tensor([[True, True, False], [False, False, False]]))
    found[:, 0].sum().backward()

    torch.testing.assert_close(found[0], torch.tensor([1 / (1 + math.e), math.e / (1 + math.e), 0]))
    assert not found[1].any()
    assert scores.grad is not None
    assert scores.grad.isfinite().all()
