"""Embeddings of windows, and which past windows are taken as like the present."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from mm4st_agent.data.panel import Panel
from mm4st_agent.forecaster import networks
from mm4st_agent.forecaster.analogs import Grid, candidates, digest, embeddings, most_alike
from mm4st_agent.forecaster.checkpoint import Checkpoint, load
from mm4st_agent.forecaster.config import NumericConfig
from mm4st_agent.forecaster.slots import Slots, extended, slots_of
from mm4st_agent.forecaster.stvlm.config import StVlmConfig

PER_DAY, HISTORY, HORIZON = 48, 12, 12


@pytest.fixture(scope="module")
def checkpoint(trained: Path) -> Checkpoint:
    return load(trained)


def slots(panel: Panel, ahead: int = 1) -> Slots:
    return slots_of(extended(panel.times, ahead), panel.step_s, panel.card.holidays)


def with_values(panel: Panel, values: np.ndarray) -> Panel:
    flow = panel.data["flow"].copy(data=values.astype(np.float32))
    return dataclasses.replace(panel, data=panel.data.assign(flow=flow))


@pytest.mark.parametrize("node", ["A", "C", "E"])
def test_an_embedding_is_the_networks_own_state(checkpoint: Checkpoint, panel: Panel, node: str) -> None:
    origins = np.array([400, 777, len(panel.times)])

    found = embeddings(checkpoint, panel, panel.channel(), node, origins)

    inputs = checkpoint.inputs(panel, panel.observed("flow"), slots(panel, HORIZON))
    with torch.inference_mode():
        states = checkpoint.network.states(inputs.windows(torch.from_numpy(origins), HISTORY, HORIZON))
    assert found == pytest.approx(states[:, panel.position(node)].numpy(), abs=1e-5)


def test_an_embedding_reads_nothing_after_its_origin(checkpoint: Checkpoint, panel: Panel) -> None:
    values = panel.values("flow")
    later = values.copy()
    later[800:] = 500.0
    origins = np.array([799, 800, 801])

    one, two = (embeddings(checkpoint, with_values(panel, v), panel.channel(), "B", origins) for v in (values, later))

    assert (one[:2] == two[:2]).all()
    assert (one[2] != two[2]).any()


def test_a_planted_repetition_is_found(checkpoint: Checkpoint, panel: Panel) -> None:
    """The last twelve readings are those of two weeks before, at all nodes: a burst such as no other day has."""
    values = panel.values("flow").copy()
    then = len(values) - 14 * PER_DAY
    burst = values[then - HISTORY : then] * 2 + 60
    values[then - HISTORY : then] = values[-HISTORY:] = burst
    values[then : then + HORIZON] = np.nan_to_num(values[then : then + HORIZON], nan=50)  # measured, every step
    planted = with_values(panel, values)
    origins = candidates(Grid(HISTORY, None), slots(planted), planted.observed("flow")[:, 1], HISTORY, HORIZON)
    vectors = embeddings(checkpoint, planted, planted.channel(), "B", np.append(origins, len(values)))

    found = most_alike(vectors[:-1], vectors[-1], origins, HISTORY + HORIZON, 3)

    assert origins[found[0][0]] == then
    assert found[0][1] > 0.97
    assert found[0][1] > found[1][1] + 0.05


def test_candidates_end_before_the_present_begins(panel: Panel) -> None:
    observed = np.ones(500, dtype=np.float32)
    observed[100:104] = np.nan

    found = candidates(Grid(1, None), slots(panel).only(slice(0, 501)), observed, 12, 6)

    assert found[0] == 12
    assert found[-1] == 500 - 12 - 6
    left_out = sorted(set(range(12, 483)) - set(found.tolist()))
    assert left_out == list(range(95, 104))  # every step of the outcome was measured


def test_a_window_that_was_hardly_measured_is_none(panel: Panel) -> None:
    observed = np.ones(300, dtype=np.float32)
    observed[100:150] = np.nan

    found = candidates(Grid(1, None), slots(panel).only(slice(0, 301)), observed, 12, 6)

    assert 150 not in found
    assert 155 not in found
    assert 156 in found  # six of its twelve readings


def test_a_grid_around_the_time_of_day(panel: Panel) -> None:
    part = slots(panel)
    now = len(panel.times) - 5

    found = Grid(2, 3).positions(part.only(slice(0, now + 1)), now - 24)

    gap = np.abs(part.of_day[found] - part.of_day[now])
    assert (found % 2 == 0).all()
    assert np.minimum(gap, PER_DAY - gap).max() == 3
    assert len(found) == pytest.approx(4 * now / PER_DAY, abs=4)  # one and three slots away


def test_the_grid_of_a_checkpoint(checkpoint: Checkpoint) -> None:
    assert Grid.of(checkpoint, 300) == Grid(3, None)
    assert Grid.of(checkpoint, 3600) == Grid(1, None)


def test_neighbours_in_time_count_once() -> None:
    angles = np.array([0.0, 0.01, 0.02, 0.5, 1.0, 3.0])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    origins = np.array([10, 11, 12, 40, 41, 90])

    found = most_alike(vectors, vectors[0], origins, 5, 9)

    assert [row for row, _ in found] == [0, 3, 5]
    assert found[0][1] == pytest.approx(1)
    assert found[1][1] > found[2][1]
    assert most_alike(vectors, vectors[0], origins, 5, 2) == found[:2]


def test_what_does_not_vary_says_nothing() -> None:
    vectors = np.array([[7.0, 1.0], [7.0, -1.0]], dtype=np.float32)

    found = most_alike(vectors, np.array([9.0, 1.0], dtype=np.float32), np.array([0, 50]), 5, 2)

    assert found == [(0, pytest.approx(1)), (1, pytest.approx(-1))]


def test_the_digest_follows_the_weights(trained: Path, panel_of: Callable[..., Panel]) -> None:
    one, two = load(trained), load(trained)
    assert digest(one) == digest(two)

    three = load(trained)
    with torch.no_grad():
        next(three.network.parameters()).view(-1)[0] += 1

    assert digest(three) != digest(one)


def test_st_vlm_gives_the_nodes_state_and_the_fused_token_of_its_segment(checkpoint: Checkpoint, panel: Panel) -> None:
    config = StVlmConfig(numeric=NumericConfig(hidden=16, blocks=1, identity=4, eigenvectors=3), patch=2, segments=2)
    torch.manual_seed(0)
    preparation = networks.prepare(panel, panel.observed("flow"), slots(panel), slice(0, 20 * PER_DAY), config)
    network = networks.build(config, preparation).eval()
    trained = checkpoint.card.config.model_copy(update={"network": config})
    card = checkpoint.card.model_copy(update={"config": trained})
    whole = Checkpoint(card, network, preparation, checkpoint.residuals)
    origins = np.array([500, 777, len(panel.times)])

    found = embeddings(whole, panel, panel.channel(), "D", origins)

    inputs = whole.inputs(panel, panel.observed("flow"), slots(panel, HORIZON))
    with torch.inference_mode():
        batch = inputs.windows(torch.from_numpy(origins), HORIZON, HISTORY)
        out = network.read(batch)
        state = network.numeric.states(batch.numeric)[:, 3] + network.words()[3]
        token = out.fused[:, -len(preparation.regions.affinity) :][:, int(preparation.regions.of_node[3])]
    assert found == pytest.approx(torch.cat([state, token], dim=1).numpy(), abs=1e-5)
    assert Grid.of(whole, 300) == Grid(6, 12)
    later = with_values(panel, np.where(np.arange(len(panel.times))[:, None] >= 777, 300.0, panel.values("flow")))
    assert embeddings(whole, later, panel.channel(), "D", origins)[:2] == pytest.approx(found[:2], abs=1e-5)
