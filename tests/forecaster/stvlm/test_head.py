from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mm4st_agent.forecaster.stvlm import head as head_module
from mm4st_agent.forecaster.stvlm.head import NodeHead
from mm4st_agent.forecaster.stvlm.regions import Regions
from mm4st_agent.forecaster.stvlm.tokens import EVERYWHERE, Modality, Tokens

NODES, HIDDEN, WIDTH, HORIZON, TEXT = 13, 10, 16, 6, 5
AFFINITY = np.array([[1, 0.5, 0], [0.5, 1, 0.1], [0, 0.1, 1]], dtype=np.float32)


def regions() -> Regions:
    return Regions(np.random.default_rng(1).permutation(NODES), 3, np.array([0, 0, 1, 1, 2]), AFFINITY)


def tokens_of(windows: int = 2) -> Tokens:
    """Five text tokens, the second about segment 2 and the last one padding in the first window; 3 + 3 others."""
    segment = torch.tensor([EVERYWHERE, 2, EVERYWHERE, EVERYWHERE, EVERYWHERE, 0, 1, 2, 0, 1, 2]).expand(windows, -1)
    present = torch.ones(segment.shape, dtype=torch.bool)
    present[0, TEXT - 1] = False
    modality = torch.tensor([Modality.TEXT] * TEXT + [Modality.VISION] * 3 + [Modality.SERIES] * 3)
    return Tokens(torch.randn(*segment.shape, WIDTH), modality, present, segment)


def trained(horizon: int = HORIZON) -> NodeHead:
    """A head whose weights are all different from 0."""
    torch.manual_seed(0)
    head = NodeHead(regions(), HIDDEN, WIDTH, horizon).eval()
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return head


def test_an_untrained_head_adds_nothing_and_learns() -> None:
    torch.manual_seed(0)
    head = NodeHead(regions(), HIDDEN, WIDTH, HORIZON, dropout=0)
    states, tokens = torch.randn(2, NODES, HIDDEN), tokens_of()
    descent = torch.optim.SGD(head.parameters(), lr=0.1)

    steps, reading = head(states, tokens.values, tokens)
    assert steps.shape == (2, HORIZON, NODES, 5)
    assert reading.shape == (2, NODES, tokens.values.shape[1])
    assert not steps.any()
    (steps - 1).square().sum().backward()
    assert head.head.weight.grad is not None
    assert head.head.weight.grad.abs().max() > 0
    descent.step()
    descent.zero_grad()
    (head(states, tokens.values, tokens)[0] - 1).square().sum().backward()

    for name, parameter in head.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_a_node_reads_as_the_equations_say() -> None:
    head, tokens, states = trained(), tokens_of(), torch.randn(2, NODES, HIDDEN)
    fused = torch.randn_like(tokens.values)

    steps, reading = head(states, fused, tokens)

    inner = head.query.out_features
    each = inner // head.heads
    segment, window = regions().of_node, 0
    key, value = head.key_value(head.tokens(fused[window])).split(inner, dim=-1)
    there = tokens.present[window].nonzero().flatten().tolist()
    for node in (0, 7):
        query = head.query(head.before(states[window, node]))
        found, shares = [], torch.zeros(tokens.values.shape[1])
        for h in range(head.heads):
            own = slice(h * each, (h + 1) * each)
            scores = []
            for j in there:
                about = int(tokens.segment[window, j])
                overlap = 1.0 if about == EVERYWHERE else float(AFFINITY[segment[node], about])
                closeness = head.affinity_weight[h] * math.log(0.01 + overlap)
                scores.append(query[own] @ key[j, own] / math.sqrt(each) + closeness)
            weights = torch.stack(scores).softmax(0)
            shares[there] += weights / head.heads
            found.append(weights @ value[there][:, own])
        state = states[window, node] + head.read(torch.cat(found))
        added = head.head(state + head.mlp(state)).reshape(HORIZON, 5) * torch.sigmoid(head.gate)[:, None]
        torch.testing.assert_close(steps[window, :, node], added, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(reading[window, node], shares, rtol=1e-4, atol=1e-6)


def test_what_is_not_there_is_not_read() -> None:
    head, tokens, states = trained(), tokens_of(), torch.randn(2, NODES, HIDDEN)
    disturbed = tokens.values.clone()
    disturbed[~tokens.present] = 1e6

    steps, reading = head(states, tokens.values, tokens)

    torch.testing.assert_close(head(states, disturbed, tokens)[0], steps)
    assert not reading[0, :, TEXT - 1].any()
    assert (reading[1] > 0).all()
    torch.testing.assert_close(reading.sum(-1), torch.ones(2, NODES))


def test_a_window_without_tokens_gets_nothing() -> None:
    head, tokens = trained(), tokens_of()
    tokens.present[1] = False
    states = torch.randn(2, NODES, HIDDEN, requires_grad=True)

    steps, reading = head(states, tokens.values, tokens)
    steps.square().sum().backward()

    assert steps[0].abs().min() > 0
    assert not steps[1].any()
    assert not reading[1].any()
    assert states.grad is not None
    assert states.grad.isfinite().all()


def test_swapped_tokens_change_the_forecast() -> None:
    head, tokens, states = trained(), tokens_of(), torch.randn(2, NODES, HIDDEN)

    steps, _ = head(states, tokens.values, tokens)
    swapped, _ = head(states, tokens.values.flip(0), tokens)

    assert ((steps - swapped).abs().amax(dim=(1, 3)) > 1e-3).all()


def test_at_first_a_node_reads_linked_segments_more() -> None:
    torch.manual_seed(0)
    head = NodeHead(regions(), HIDDEN, WIDTH, HORIZON).eval()
    tokens = tokens_of()

    with torch.no_grad():
        head.query.weight.zero_()
        head.query.bias.zero_()
        _, reading = head(torch.randn(2, NODES, HIDDEN), tokens.values, tokens)

    node = int(np.flatnonzero(regions().of_node == 0)[0])
    own, linked, unlinked = reading[1, node, TEXT : TEXT + 3]
    assert own > linked > unlinked > 0
    torch.testing.assert_close(reading[1, node, 0], own)  # text about the whole network


@pytest.mark.parametrize("held", [2**25, 1])  # all weights kept, or computed again on the way back
def test_reading_in_parts_changes_nothing(held: int, monkeypatch: pytest.MonkeyPatch) -> None:
    head, tokens = trained().double(), tokens_of()
    states, fused = torch.randn(2, NODES, HIDDEN).double().requires_grad_(), tokens.values.double()

    def learn() -> list[torch.Tensor]:
        head.zero_grad()
        states.grad = None
        steps, reading = head(states, fused, tokens)
        (steps.square().sum() + reading.square().sum()).backward()
        assert states.grad is not None
        return [steps, reading, states.grad, *(p.grad for p in head.parameters() if p.grad is not None)]

    whole = learn()
    cells_of_a_node = 2 * head.heads * tokens.values.shape[1]
    monkeypatch.setattr(head_module, "_CACHED", 4 * cells_of_a_node)
    monkeypatch.setattr(head_module, "_HELD", held)

    for before, after in zip(whole, learn(), strict=True):
        torch.testing.assert_close(after, before)


def test_the_weights_alone_are_stored() -> None:
    head = NodeHead(regions(), HIDDEN, WIDTH, HORIZON)

    assert set(head.state_dict()) == {name for name, _ in head.named_parameters()}
