"""The whole of ST-VLM: what reaches what, what it costs, and what it does without a modality."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from mm4st_agent.forecaster.config import MEDIAN, NumericConfig
from mm4st_agent.forecaster.inputs import Batch
from mm4st_agent.forecaster.stvlm.config import FusionName, StVlmConfig
from mm4st_agent.forecaster.stvlm.model import StVlm
from mm4st_agent.forecaster.stvlm.regions import Regions
from mm4st_agent.forecaster.stvlm.tokens import EVERYWHERE, Modality, StBatch, TextBatch

NODES, WINDOWS = 20, 3
SMALL = StVlmConfig(
    numeric=NumericConfig(hidden=24, blocks=1, identity=4, eigenvectors=3, dropout=0),
    patch=4,
    text_tokens=16,
    modality_dropout=0,
)


def regions_of(nodes: int, config: StVlmConfig) -> Regions:
    """Nodes along a road, each segment linked to the next."""
    patches = -(-nodes // config.patch)
    segments = min(patches, config.segments)
    road = np.eye(segments) + 0.3 * (np.eye(segments, k=1) + np.eye(segments, k=-1))
    of_patch = np.arange(patches) * segments // patches
    return Regions(np.arange(nodes), config.patch, of_patch, road.astype(np.float32))


def model_of(config: StVlmConfig, nodes: int = NODES) -> StVlm:
    torch.manual_seed(0)
    words = torch.randint(1, 4096, (nodes, 6))
    return StVlm(config, regions_of(nodes, config), torch.randn(nodes, config.numeric.eigenvectors), words)


def batch_of(config: StVlmConfig, nodes: int = NODES, windows: int = WINDOWS, tokens: int = 16) -> StBatch:
    draw = torch.Generator().manual_seed(1)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=draw)

    history = normal(windows, config.history, nodes, 4)
    history[..., 1] = 1
    ids = torch.randint(1, 4096, (windows, tokens), generator=draw)
    line = (torch.arange(tokens) // 8).expand(windows, -1)
    node = torch.where(line % 2 == 0, EVERYWHERE, 7)
    weekday = torch.zeros(windows, dtype=torch.int64)
    numeric = Batch(
        history, normal(windows, config.horizon, nodes), normal(windows, 8), weekday, normal(windows, nodes, 2)
    )
    return StBatch(numeric, TextBatch(ids, line, node))


def truth_of(config: StVlmConfig) -> torch.Tensor:
    truth = torch.randn(WINDOWS, config.horizon, NODES, generator=torch.Generator().manual_seed(2))
    truth[:, :, ::5] = torch.nan
    return truth


def awaken(model: StVlm) -> StVlm:
    """Move the weights that start at 0 and would hide what lies behind them."""
    torch.manual_seed(3)
    for weight in (model.head.head.weight, model.numeric.head.weight):
        weight.data += 0.3 * torch.randn(weight.shape)
    return model


@pytest.mark.parametrize("fusion", get_args(FusionName))
def test_the_loss_reaches_every_weight(fusion: str) -> None:
    config = SMALL.model_copy(update={"fusion": fusion})
    model = awaken(model_of(config))

    loss = model.loss(batch_of(config), truth_of(config))
    torch.autograd.backward(loss)

    assert torch.isfinite(loss)
    for name, weight in model.named_parameters():
        assert weight.grad is not None, name
        assert torch.isfinite(weight.grad).all(), name
        assert weight.grad.abs().max() > 0, name
    for encoder in (model.text, model.vision, model.series, model.words):
        assert encoder is not None
        assert sum(float(w.grad.square().sum()) for w in encoder.parameters() if w.grad is not None) > 1e-8


@pytest.mark.parametrize("fusion", ["attention", "addition", "cross-attention"])
@pytest.mark.parametrize("modality", list(Modality))
def test_a_swapped_modality_changes_the_forecast(fusion: str, modality: Modality) -> None:
    config = SMALL.model_copy(update={"fusion": fusion})
    model, batch = awaken(model_of(config)).eval(), batch_of(config)
    if modality == Modality.TEXT:
        other = batch._replace(text=TextBatch(*(part.roll(1, 0) for part in batch.text)))
    elif modality == Modality.SERIES:
        other = batch._replace(numeric=Batch(*(part.roll(1, 0) for part in batch.numeric)))
    else:
        other = batch

    with torch.no_grad():
        before = model(batch)
        if modality == Modality.VISION:  # the picture is drawn from the same history; swap what the encoder gives
            assert model.vision is not None
            model.vision.register_forward_hook(lambda _module, _args, tokens: tokens.roll(1, 0))
        after = model(other)

    assert ((before - after).abs().amax((1, 2, 3)) > 1e-4).all()


@pytest.mark.parametrize("fusion", get_args(FusionName))
def test_it_forecasts_without_text_and_without_a_picture(fusion: str) -> None:
    config = SMALL.model_copy(update={"fusion": fusion})
    model, batch = awaken(model_of(config)).eval(), batch_of(config)
    ids = batch.text.ids.clone()
    ids[1] = 0
    silent = batch._replace(text=batch.text._replace(ids=ids))
    wordless = batch._replace(text=TextBatch(*(part[:, :0] for part in batch.text)))

    with torch.no_grad():
        whole, one, none = (model(given) for given in (batch, silent, wordless))

    for found in (one, none):
        assert torch.isfinite(found).all()
        assert (found.diff(dim=-1) >= 0).all()
    torch.testing.assert_close(one[[0, 2]], whole[[0, 2]], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(one[1], none[1], atol=1e-4, rtol=1e-4)
    assert (one[1] - whole[1]).abs().max() > 1e-4
    blind = awaken(model_of(config.model_copy(update={"vision": "none", "text_tokens": 0}))).eval()
    with torch.no_grad():
        out = blind.read(wordless)
    assert torch.isfinite(out.quantiles).all()
    assert (out.tokens.modality == Modality.SERIES).all()


def test_a_silent_network_is_forecast() -> None:
    model, batch = awaken(model_of(SMALL)).eval(), batch_of(SMALL)
    history = torch.zeros_like(batch.numeric.history)

    with torch.no_grad():
        found = model(batch._replace(numeric=batch.numeric._replace(history=history)))

    assert torch.isfinite(found).all()
    assert (found.diff(dim=-1) >= 0).all()


def test_at_first_it_is_the_numeric_branch() -> None:
    model, batch = model_of(SMALL).eval(), batch_of(SMALL)

    with torch.no_grad():
        out = model.read(batch)

    assert torch.equal(out.quantiles, out.base)
    assert torch.equal(out.base, model.numeric(batch.numeric))


def test_training_drops_whole_modalities() -> None:
    config = SMALL.model_copy(update={"modality_dropout": 0.5})
    model = model_of(config)
    batch = batch_of(config, windows=200)
    torch.manual_seed(4)

    tokens = model.read(batch).tokens

    dropped = []
    for modality in (Modality.TEXT, Modality.VISION):
        present = tokens.present[:, tokens.modality == modality]
        assert (present.all(1) | ~present.any(1)).all()
        dropped.append(~present.any(1))
    assert tokens.present[:, tokens.modality == Modality.SERIES].all()
    text, vision = dropped
    assert 70 < int(text.sum()) < 130
    assert 70 < int(vision.sum()) < 130
    assert 25 < int((text & vision).sum()) < 80
    assert model.eval().read(batch).tokens.present.all()


def test_the_numeric_branch_keeps_an_error_of_its_own() -> None:
    model, batch, truth = awaken(model_of(SMALL)).eval(), batch_of(SMALL), truth_of(SMALL)
    seen = torch.isfinite(truth)

    loss = model.loss(batch, truth)
    out = model.read(batch)

    tau = torch.tensor([0.1, 0.25, 0.5, 0.75, 0.9])
    error = truth[seen][:, None] - out.quantiles[seen]
    pinball = torch.where(error > 0, tau * error, (tau - 1) * error).sum(-1)
    base = (truth - out.base[..., MEDIAN])[seen].abs().mean()
    expected = (error[:, MEDIAN].abs() + pinball).mean() + 0.3 * base
    torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize(("backbone", "least", "most"), [("pico", 1e6, 3e6), ("nano", 8e6, 12e6)])
def test_parameters(backbone: str, least: float, most: float) -> None:
    for nodes in (170, 3532):
        model = model_of(StVlmConfig(backbone=backbone), nodes)

        assert least < sum(weight.numel() for weight in model.parameters()) <= most


@pytest.mark.parametrize("backbone", ["pico", "nano"])
def test_the_cost_is_linear_and_small_per_node(backbone: str) -> None:
    config = StVlmConfig(backbone=backbone)
    cost = {}
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # its kernels are not counted
    try:
        for nodes in (170, 883, 3532, 7064):
            model = model_of(config, nodes).eval()
            with torch.no_grad(), FlopCounterMode(display=False) as counter:
                model(batch_of(config, nodes, windows=1, tokens=config.text_tokens))
            cost[nodes] = counter.get_total_flops()
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)

    assert cost[3532] <= 6 * cost[170]
    # All three have as many segments, and what a node adds is the same.
    slope = (cost[3532] - cost[883]) / (3532 - 883)
    assert (cost[7064] - cost[3532]) / 3532 == pytest.approx(slope, rel=0.02)
