from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from mm4st_agent.errors import DataError, UsageError
from mm4st_agent.forecaster.config import NumericConfig
from mm4st_agent.forecaster.inputs import CHANNELS, HARMONICS, LEVEL_DAYS, Batch
from mm4st_agent.forecaster.stvlm.config import StVlmConfig
from mm4st_agent.forecaster.stvlm.hub import HubBackbone
from mm4st_agent.forecaster.stvlm.hub_layouts import load_vlm
from mm4st_agent.forecaster.stvlm.hub_vision import TowerVision, merged_patches
from mm4st_agent.forecaster.stvlm.model import StVlm
from mm4st_agent.forecaster.stvlm.regions import Regions
from mm4st_agent.forecaster.stvlm.tokens import EVERYWHERE, StBatch, TextBatch

TEXT, SEGMENTS, WIDTH = 5, 4, 32
NODES, HISTORY, HORIZON = 14, 6, 4
AFFINITY = 0.3 + 0.7 * torch.eye(SEGMENTS)
TOWERS = ["idefics3", "qwen2_5_vl"]
Folder = Callable[[str], Path]


def regions_of() -> Regions:
    """14 nodes in 7 patches and 4 segments, of which the first holds one patch only."""
    order = np.random.default_rng(3).permutation(NODES)
    return Regions(order, 2, np.array([0, 1, 1, 2, 2, 3, 3]), AFFINITY.numpy())


def batch_of(windows: int = 2) -> StBatch:
    torch.manual_seed(0)
    history = torch.randn(windows, HISTORY, NODES, len(CHANNELS))
    history[..., 1] = 1
    numeric = Batch(
        history,
        torch.randn(windows, HORIZON, NODES),
        torch.randn(windows, 2 * HARMONICS),
        torch.zeros(windows, dtype=torch.int64),
        torch.randn(windows, NODES, len(LEVEL_DAYS)),
    )
    ids = torch.randint(13, 30, (windows, TEXT))
    return StBatch(numeric, TextBatch(ids, torch.zeros_like(ids), torch.full_like(ids, EVERYWHERE)))


def moved(batch: StBatch, node: int, by: float) -> StBatch:
    history = batch.numeric.history.clone()
    history[:, :, node] += by
    return batch._replace(numeric=batch.numeric._replace(history=history))


@pytest.mark.parametrize("layout", TOWERS)
def test_gradients_reach_the_colours_of_the_tower(checkpoints: Folder, layout: str) -> None:
    batch = batch_of()
    batch.numeric.history.requires_grad_()
    vision = TowerVision.load(checkpoints(layout), regions_of(), 20)

    tokens = vision(batch)
    (tokens * torch.randn(tokens.shape)).sum().backward()

    assert tokens.shape == (2, SEGMENTS, 20)
    learned = {name for name, weight in vision.named_parameters() if weight.grad is not None}
    assert learned == {"colours.weight", "colours.bias", "out.weight", "out.bias"} == set(vision.state_dict())
    assert vision.colours.weight.grad.abs().amin() > 0
    assert (batch.numeric.history.grad[..., 0].abs().amax(1) > 0).all(), "the picture shows every node"


@pytest.mark.parametrize("layout", TOWERS)
def test_the_tower_reads_floats(checkpoints: Folder, layout: str) -> None:
    vision = TowerVision.load(checkpoints(layout), regions_of(), 20)
    batch = batch_of()
    plain = vision(batch)

    steps = [(vision(moved(batch, 3, by)) - plain).abs().mean() for by in (1e-3, 1e-2)]

    assert steps[0] > 0
    torch.testing.assert_close(steps[1] / steps[0], torch.tensor(10.0), atol=0, rtol=0.2)


@pytest.mark.parametrize("layout", TOWERS)
def test_the_pixels_of_a_segment_show_its_nodes(checkpoints: Folder, layout: str) -> None:
    vision, regions = TowerVision.load(checkpoints(layout), regions_of(), 20), regions_of()
    colours = torch.zeros(1, 3, NODES, HISTORY)
    colours[0, 0] = torch.from_numpy(regions.of_node[regions.order])[:, None]
    colours[0, 1] = torch.arange(NODES)[:, None]
    colours[0, 2] = torch.arange(HISTORY)

    pixels = vision.pixels(colours)[0]

    cell = vision.tower.cell
    assert pixels.shape == (3, SEGMENTS * cell, 4 * cell)
    torch.testing.assert_close(pixels[0], torch.arange(4.0).repeat_interleave(cell)[:, None].expand(-1, 4 * cell))
    means = pixels[1].reshape(SEGMENTS, -1).mean(1)
    torch.testing.assert_close(means, torch.tensor([0.5, 3.5, 7.5, 11.5]), msg="the mean of a segment's rows")
    assert pixels[2].mean() == pytest.approx(2.5)
    assert (pixels[2].diff(dim=1) >= 0).all()
    swapped = vision(moved(batch_of(), int(regions.order[0]), 2.0)) - vision(batch_of())
    assert swapped.abs().mean((0, 2)).argmax() == 0


def test_patches_are_those_of_qwens_own_processor() -> None:
    from transformers import Qwen2VLImageProcessorPil

    picture = np.random.default_rng(0).integers(0, 256, (8, 16, 3), dtype=np.uint8)
    processor = Qwen2VLImageProcessorPil(
        patch_size=2, merge_size=2, temporal_patch_size=2, do_resize=False, do_rescale=False, do_normalize=False
    )
    expected = processor(picture, return_tensors="pt")

    found = merged_patches(torch.from_numpy(picture).permute(2, 0, 1)[None].float(), 2, 2, 2)

    assert expected["image_grid_thw"].tolist() == [[1, 4, 8]]
    assert torch.equal(found, expected["pixel_values"].float())


@pytest.mark.parametrize("layout", TOWERS)
def test_the_tower_sees_what_the_whole_model_sees(checkpoints: Folder, layout: str) -> None:
    """On a square picture, the vectors are those that the checkpoint's own path computes."""
    vlm = load_vlm(checkpoints(layout))
    vision = TowerVision(vlm, regions_of(), 20)
    pixels = torch.randn(2, 3, 4 * vision.tower.cell, 4 * vision.tower.cell)

    with torch.no_grad():
        found = vision.tower(pixels)
        if layout == "idefics3":
            expected = vlm.model.get_image_features(pixels[:, None], return_dict=True).last_hidden_state
        else:
            grid = torch.tensor([[1, 8, 8]] * 2)
            expected = torch.stack(vlm.get_image_features(merged_patches(pixels, 4, 2, 2), grid).pooler_output)

    torch.testing.assert_close(found.flatten(1, 2), expected)


def test_towers_and_layouts_that_do_not_fit(checkpoints: Folder) -> None:
    with pytest.raises(DataError, match="vision tower of a 'qwen3_vl' is unknown") as caught:
        TowerVision.load(checkpoints("qwen3_vl"), regions_of(), 20)
    assert "idefics3" in caught.value.hint
    with pytest.raises(UsageError, match="'raster' has not"):
        TowerVision.load(checkpoints("idefics3"), regions_of(), 20, layout="raster")


@pytest.mark.parametrize("layout", TOWERS)
def test_it_learns_within_st_vlm(checkpoints: Folder, layout: str) -> None:
    torch.manual_seed(1)
    backbone = HubBackbone.load(checkpoints(layout), "attention", AFFINITY)
    backbone.adapt(dict.fromkeys(backbone.slots, 1))
    config = StVlmConfig(
        numeric=NumericConfig(hidden=16, blocks=1, identity=4, eigenvectors=2, history=HISTORY, horizon=HORIZON),
        backbone=str(checkpoints(layout)),
        patch=2,
        text_tokens=TEXT,
        modality_dropout=0,
    )
    words = torch.zeros(NODES, 8, dtype=torch.int64)
    model = StVlm(config, regions_of(), torch.randn(NODES, 2), words, backbone=backbone)
    model.vision = TowerVision.load(checkpoints(layout), regions_of(), WIDTH)  # type: ignore[assignment]
    batch, truth = batch_of(), torch.randn(2, HORIZON, NODES)
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2, weight_decay=0)

    losses = []
    for _ in range(12):
        optimizer.zero_grad()
        loss = model.loss(batch, truth)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))

    assert losses[-1] < 0.9 * losses[0]
    changed = {name for name, weight in model.named_parameters() if not torch.equal(weight, before[name])}
    watched = {name for name in before if name.startswith("backbone.") or "colours" in name}
    learned = {name for name, weight in model.named_parameters() if weight.requires_grad}
    assert changed & watched == learned & watched
    assert set(model.state_dict()) & set(before) == learned
