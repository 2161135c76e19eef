"""The controls that a modality is measured against: each lacks what is in question, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from mm4st_agent.data.panel import Panel
from mm4st_agent.errors import UsageError
from mm4st_agent.forecaster.checkpoint import load
from mm4st_agent.forecaster.config import NumericConfig
from mm4st_agent.forecaster.networks import build, inputs_of, prepare
from mm4st_agent.forecaster.slots import extended, slots_of
from mm4st_agent.forecaster.stvlm.config import StVlmConfig
from mm4st_agent.forecaster.stvlm.controls import FACT_COLUMNS, FactTokens, elsewhere
from mm4st_agent.forecaster.stvlm.model import StVlm
from mm4st_agent.forecaster.stvlm.preparation import StInputs
from mm4st_agent.forecaster.stvlm.tokens import EVERYWHERE, Modality, StBatch
from mm4st_agent.forecaster.train_config import TrainConfig
from mm4st_agent.forecaster.training import train_checkpoint

CONFIG = StVlmConfig(
    numeric=NumericConfig(hidden=16, blocks=1, identity=4, eigenvectors=3, dropout=0),
    patch=2,
    text_tokens=40,
    modality_dropout=0,
)
ORIGINS = torch.tensor([700, 748, 1200])
CONTROLS: list[dict[str, Any]] = [
    {"told": "other"}, {"told": "constant"}, {"told": "numbers"},
    {"shown": "other"}, {"shown": "blank"}, {"vision": "nodes"},
]  # fmt: skip


def read(panel: Panel, **control: Any) -> tuple[StVlm, StInputs]:
    config = CONFIG.model_copy(update=control)
    slots = slots_of(extended(panel.times, 12), panel.step_s, "US")
    found = prepare(panel, panel.observed(), slots, slice(0, 1176), config)
    inputs = inputs_of(found, config, panel, panel.channel(), panel.observed(), slots)
    torch.manual_seed(0)
    network = build(config, found)
    assert isinstance(network, StVlm)
    assert isinstance(inputs, StInputs)
    network.head.head.weight.data.normal_(std=0.3)  # they start at 0, and hide what lies behind them
    network.numeric.head.weight.data.normal_(std=0.3)
    return network, inputs


def test_elsewhere_is_always_the_same_earlier_window_and_spreads_over_all() -> None:
    origins = torch.arange(12, 5000)

    found = elsewhere(origins, 12)

    assert torch.equal(found, elsewhere(origins, 12))
    assert torch.equal(found[[5]], elsewhere(origins[[5]], 12))
    assert ((found >= 12) & (found <= origins)).all()
    share = ((found - 12) / (origins - 12).clamp(min=1))[100:]
    assert share.histc(10, 0, 1).min() > 0.8 * len(share) / 10
    assert abs(np.corrcoef(share[:-1], share[1:])[0, 1]) < 0.5


def test_what_each_control_is_given(panel: Panel) -> None:
    _, own = read(panel)
    real = own.windows(ORIGINS, 12, 12)

    def given(**control: Any) -> StBatch:
        return read(panel, **control)[1].windows(ORIGINS, 12, 12)

    other = own.text(elsewhere(ORIGINS, 12))
    assert torch.equal(given(told="other").text.ids, other.ids)
    assert not torch.equal(other.ids[:, :20], real.text.ids[:, :20])
    constant = given(told="constant").text.ids
    assert (constant == constant[0]).all()
    facts = given(told="numbers").facts
    assert facts is not None
    assert torch.equal(facts[1], torch.from_numpy(own.facts.numeric_facts(748)))
    shown = given(shown="other").shown
    assert shown is not None
    assert torch.equal(shown, own.numeric.windows(elsewhere(ORIGINS, 12), 12, 12).history)
    blank = given(shown="blank").shown
    assert blank is not None
    assert not blank.any()
    for control in CONTROLS:
        for one, same in zip(given(**control).numeric, real.numeric, strict=True):
            assert torch.equal(one, same), control


@pytest.mark.parametrize("control", CONTROLS, ids=str)
def test_each_control_learns(panel: Panel, control: dict[str, Any]) -> None:
    network, inputs = read(panel, **control)
    batch = inputs.windows(ORIGINS, 12, 12)

    torch.autograd.backward(network.train().loss(batch, torch.randn(3, 12, len(panel.node_ids))))

    idle = [
        name for name, weight in network.named_parameters() if weight.grad is None or not weight.grad.abs().max() > 0
    ]
    expected = ["vision.embed.weight"] if control == {"shown": "blank"} else []
    if network.about is not None and (batch.text.node == EVERYWHERE).all():
        expected += ["about.weight", "about.bias"]
    assert idle == expected


def test_facts_as_numbers_take_the_place_of_the_text(panel: Panel) -> None:
    network, inputs = read(panel, told="numbers")
    batch = inputs.windows(ORIGINS, 12, 12)
    assert batch.facts is not None

    with torch.no_grad():
        before = network.eval().read(batch)
        other = network(batch._replace(facts=batch.facts.roll(1, 0)))
        unread = network(batch._replace(text=batch.text._replace(ids=batch.text.ids.roll(1, 0))))

    text = before.tokens.modality == Modality.TEXT
    assert int(text.sum()) == network.regions.segments
    assert (before.tokens.segment[:, text] >= 0).all()
    assert ((before.quantiles - other).abs().amax((1, 2, 3)) > 1e-5).all()
    assert torch.equal(before.quantiles, unread)


def test_pixels_of_a_node_reach_the_token_of_its_segment_alone(panel: Panel) -> None:
    network, inputs = read(panel, vision="nodes")
    batch = inputs.windows(ORIGINS, 12, 12)
    assert network.vision is not None
    changed = batch.numeric.history.clone()
    changed[:, :, 2, 0] += 1

    with torch.no_grad():
        before = network.eval().vision(batch)
        after = network.vision(batch._replace(numeric=batch.numeric._replace(history=changed)))

    moved = (before - after).abs().amax((0, 2)) > 1e-6
    assert moved.nonzero().flatten().tolist() == [network.regions.of_node[2]]


def test_too_many_facts_are_refused(panel: Panel) -> None:
    network, _ = read(panel)

    with pytest.raises(UsageError, match=f"{FACT_COLUMNS + 1} numeric facts"):
        FactTokens(network.regions, 16)(torch.zeros(1, len(panel.node_ids), FACT_COLUMNS + 1))


def test_a_control_comes_back_from_its_checkpoint(panel: Panel, tmp_path: Path) -> None:
    shape = CONFIG.model_copy(update={"told": "numbers", "shown": "other"})
    config = TrainConfig(network=shape, max_epochs=1, batch_windows=128)

    train_checkpoint(panel, out=tmp_path / "x", config=config, progress=False)
    found = load(tmp_path / "x")

    assert found.card.network == shape
    assert isinstance(found.network, StVlm)
    assert found.network.facts is not None


@pytest.mark.parametrize("control", [{"vision": "nodes"}, {"shown": "other"}])
def test_the_picture_of_a_control_is_a_strip(control: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="controls of the picture have no layout 'dayfold'"):
        StVlmConfig(layout="dayfold", **control)
