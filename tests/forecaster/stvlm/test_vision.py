from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from mm4st_agent.data.panel import Panel
from mm4st_agent.errors import UsageError
from mm4st_agent.forecaster.inputs import CHANNELS, HARMONICS, LEVEL_DAYS, Batch, Preparation
from mm4st_agent.forecaster.slots import extended, slots_of
from mm4st_agent.forecaster.stvlm.config import Layout, StVlmConfig
from mm4st_agent.forecaster.stvlm.head import NodeHead
from mm4st_agent.forecaster.stvlm.regions import Regions
from mm4st_agent.forecaster.stvlm.series import SeriesTokens
from mm4st_agent.forecaster.stvlm.tokens import EVERYWHERE, Modality, StBatch, TextBatch, Tokens
from mm4st_agent.forecaster.stvlm.vision import PICTURE, VisionEncoder, picture
from mm4st_agent.imaging.space_order import fiedler_order
from mm4st_agent.imaging.tensors.raster import Grid, grid_of
from mm4st_agent.imaging.tensors.strip import unstrip

HISTORY, HORIZON, WIDTH, DAYS = 6, 4, 16, 2
VALUE, CHANGE, CONTRAST, DEVIATION, MEASURED = range(len(PICTURE))


def regions_of(nodes: int, patch: int = 4, limit: int = 64) -> Regions:
    patches = -(-nodes // patch)
    segments = min(patches, limit)
    order = np.random.default_rng(3).permutation(nodes)
    return Regions(order, patch, np.arange(patches) * segments // patches, np.eye(segments, dtype=np.float32))


def readings(*shape: int, missing: float = 0.2) -> torch.Tensor:
    """`(..., 4)` as `inputs.CHANNELS`, missing cells 0."""
    cells = torch.randn(*shape, len(CHANNELS))
    cells[..., 1] = (torch.rand(shape) >= missing).float()
    cells[..., :3] *= cells[..., 1:2]
    return cells


def batch_of(nodes: int, windows: int = 2, missing: float = 0.2, days: int = DAYS) -> StBatch:
    torch.manual_seed(nodes)
    numeric = Batch(
        readings(windows, HISTORY, nodes, missing=missing),
        torch.randn(windows, HORIZON, nodes),
        torch.randn(windows, 2 * HARMONICS),
        torch.zeros(windows, dtype=torch.int64),
        torch.randn(windows, nodes, len(LEVEL_DAYS)),
    )
    nothing = torch.zeros(windows, 0, dtype=torch.int64)
    return StBatch(
        numeric,
        TextBatch(nothing, nothing, nothing),
        readings(windows, days, HISTORY + HORIZON, nodes, missing=missing),
    )


def grid(nodes: int) -> Grid:
    """On 10 x 12 pixels, which are no whole patches; one node of 13 has no place, some share a pixel."""
    places = np.random.default_rng(4).uniform(52, 52.1, size=(nodes, 2))
    places[: nodes // 13] = np.nan
    return grid_of(places, (10, 12))


def encoder(nodes: int, layout: Layout = "strip", *, regions: Regions | None = None) -> VisionEncoder:
    torch.manual_seed(0)
    return VisionEncoder(
        regions or regions_of(nodes), WIDTH, history=HISTORY, horizon=HORIZON, layout=layout, grid=grid(nodes),
        days=DAYS, dropout=0,
    ).eval()  # fmt: skip


def test_a_strip_gives_the_history_back() -> None:
    batch, regions = batch_of(13), regions_of(13)

    found = picture(batch, regions, "strip")

    assert found.shape == (2, len(PICTURE), 16, HISTORY)
    assert found.dtype == torch.float32
    value, measured = batch.numeric.history[..., 0], batch.numeric.history[..., 1]
    back = unstrip(found[:, [VALUE, MEASURED], :13], regions.order).transpose(1, 2)
    torch.testing.assert_close(back, torch.where(measured > 0, value, torch.nan), equal_nan=True, rtol=0, atol=0)
    assert not found[:, :, 13:].any()


def test_the_channels_of_a_strip_are_those_of_its_nodes() -> None:
    batch, regions = batch_of(9), regions_of(9)

    found = picture(batch, regions, "strip")

    history = batch.numeric.history[1].numpy()
    changes = contrasts = 0
    for row, node in enumerate(regions.order):
        for step in range(HISTORY):
            value, measured, deviation, near = history[step, node]
            before = history[step - 1, node] if step else np.zeros(4, np.float32)
            changed = value - before[0] if measured and before[1] else 0.0
            contrast = deviation - near if measured else 0.0
            expected = [value, changed, contrast, deviation, measured]
            np.testing.assert_allclose(found[1, :, row, step], expected, rtol=1e-6, atol=1e-7)
            changes, contrasts = changes + (changed != 0), contrasts + (contrast != 0)
    assert min(changes, contrasts) > 20


def test_real_windows_are_drawn_in_the_fiedler_order(panel_of: Callable[..., Panel]) -> None:
    panel = panel_of()
    slots = slots_of(extended(panel.times, HORIZON), panel.step_s, "US")
    observed = panel.observed()
    train = slots_of(panel.times[:1000], panel.step_s, "US")
    inputs = Preparation.fit(panel, observed[:1000], train, 3).inputs(observed, slots)
    origin = len(observed) - 382  # the gap of node C lies within
    numeric = inputs.windows(torch.tensor([origin]), HISTORY, HORIZON)
    regions = Regions.of(panel, StVlmConfig(patch=2))

    found = picture(batch_of(5)._replace(numeric=numeric), regions, "strip")[0]

    rows = fiedler_order(panel.adjacency())
    seen = np.isfinite(observed[origin - HISTORY : origin])
    np.testing.assert_array_equal(found[MEASURED, :5], seen.T[rows])
    assert not found[:, rows.tolist().index(4)].any()  # never measured
    assert not found[:, rows.tolist().index(2)].any()  # in its gap
    # Node D has neighbours C and E only, neither of which was measured, so it differs from nothing.
    alone = found[:, rows.tolist().index(3)]
    assert alone[DEVIATION].any()
    assert not alone[CONTRAST].any()


def test_a_day_fold_shows_the_earlier_days_to_the_left() -> None:
    batch, regions = batch_of(13), regions_of(13)
    assert batch.days is not None

    found = picture(batch, regions, "dayfold")

    day = HISTORY + HORIZON
    assert found.shape == (2, len(PICTURE), 16, DAYS * day + HISTORY)
    torch.testing.assert_close(found[..., DAYS * day :], picture(batch, regions, "strip"))
    order = torch.from_numpy(regions.order)
    for place, ago in enumerate(reversed(range(DAYS))):
        shown = found[..., place * day : (place + 1) * day]
        torch.testing.assert_close(shown[:, VALUE, :13], batch.days[:, ago, :, order, 0].transpose(1, 2))
        assert not shown[:, CHANGE, :, 0].any()


def test_a_raster_holds_the_means_of_the_nodes_of_each_pixel() -> None:
    batch, on = batch_of(40), grid(40)

    found = picture(batch, regions_of(40), "raster", on).reshape(2, len(PICTURE), HISTORY, -1)

    strip = picture(batch, Regions(np.arange(40), 1, np.arange(40), np.eye(40, dtype=np.float32)), "strip")
    assert on.colliding > 0
    for pixel in range(10 * 12):
        here = np.flatnonzero(on.pixel == pixel)
        shown = found[..., pixel]
        if not here.size:
            assert not shown.any()
            continue
        nodes = strip[:, :, here]
        torch.testing.assert_close(shown[:, MEASURED], nodes[:, MEASURED].mean(1))
        total, count = nodes[:, VALUE].sum(1), nodes[:, MEASURED].sum(1)
        torch.testing.assert_close(shown[:, VALUE], torch.where(count > 0, total / count.clamp(min=1), 0))


@pytest.mark.parametrize("layout", ["strip", "dayfold", "raster"])
def test_what_was_not_measured_does_not_show(layout: Layout) -> None:
    batch = batch_of(13)
    assert batch.days is not None
    network = encoder(13, layout)
    before = network(batch)
    for cells in (batch.numeric.history, batch.days):
        cells[..., 0][cells[..., 1] == 0] = 1e6
        cells[..., 2][cells[..., 1] == 0] = 1e6

    torch.testing.assert_close(network(batch), before, rtol=0, atol=0)


@pytest.mark.parametrize("layout", ["strip", "dayfold", "raster"])
@pytest.mark.parametrize("nodes", [1, 13, 200])
def test_every_segment_gets_a_token(layout: Layout, nodes: int) -> None:
    network, batch = encoder(nodes, layout), batch_of(nodes)

    found = network(batch)

    assert found.shape == (2, -(-nodes // 4), WIDTH)
    assert found.isfinite().all()
    network(batch_of(nodes, missing=1.0)).square().sum().backward()  # nothing measured at all
    assert all(p.grad is None or p.grad.isfinite().all() for p in network.parameters())


def test_ten_thousand_nodes_give_as_many_tokens_as_the_limit() -> None:
    network = encoder(10_000, regions=regions_of(10_000, 8, 64))

    assert network(batch_of(10_000, windows=1)).shape == (1, 64, WIDTH)


@pytest.mark.parametrize("layout", ["strip", "dayfold", "raster"])
@pytest.mark.parametrize("limit", [64, 7])  # a patch a segment, or several
def test_gradients_reach_every_weight(layout: Layout, limit: int) -> None:
    network = encoder(200, layout, regions=regions_of(200, limit=limit)).train()
    target = torch.randn(2, min(50, limit), WIDTH)

    functional.mse_loss(network(batch_of(200)), target).backward()

    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("layout", ["strip", "dayfold", "raster"])
def test_another_picture_gives_other_tokens(layout: Layout) -> None:
    batch = batch_of(40)
    assert batch.days is not None
    swapped = batch._replace(
        numeric=batch.numeric._replace(history=batch.numeric.history.flip(0)), days=batch.days.flip(0)
    )
    network = encoder(40, layout)

    assert (network(batch) - network(swapped)).abs().amax(-1).min() > 1e-3


@pytest.mark.parametrize(("patches", "shift"), [(1, 0), (1, 4), (8, 4), (19, 0), (19, 4), (21, 4)])
def test_attention_stays_within_its_window(patches: int, shift: int) -> None:
    network = encoder(13)
    x = torch.randn(2, patches, WIDTH)
    layer = network.layers[0]

    found = network._in_windows(layer, x, shift)

    borders = [0, *range(8 - shift, patches, 8), patches]
    alone = [layer(x[:, a:b]) for a, b in pairwise(borders)]
    torch.testing.assert_close(found, torch.cat(alone, dim=1), rtol=1e-5, atol=1e-5)


def test_shifted_windows_carry_a_reading_across_a_border() -> None:
    network, batch = encoder(200), batch_of(200, missing=0)
    changed = batch.numeric.history.clone()
    changed[:, :, regions_of(200).order[7 * 4], 0] += 1  # in the last patch of the first window

    after = network(batch._replace(numeric=batch.numeric._replace(history=changed)))

    moved = ((after - network(batch)).abs().amax(dim=(0, 2)) > 1e-6).nonzero().flatten().tolist()
    assert moved == list(range(12))  # its window of 8, and the shifted window 4 .. 11 of the second layer


def test_a_raster_segment_reads_the_patches_of_its_nodes_only() -> None:
    regions, on = regions_of(40, patch=10), grid(40)
    network = encoder(40, "raster", regions=regions)
    network.layers = torch.nn.ModuleList()  # no exchange between patches
    batch = batch_of(40, missing=0)
    node = 17
    changed = batch.numeric.history.clone()
    changed[:, :, node, 0] += 1

    after = network(batch._replace(numeric=batch.numeric._replace(history=changed)))

    def patch_of(pixel: int) -> tuple[int, int]:
        return pixel // 12 // 4, pixel % 12 // 4

    shared = [n for n in range(40) if on.pixel[n] >= 0 and patch_of(on.pixel[n]) == patch_of(on.pixel[node])]
    moved = ((after - network(batch)).abs().amax(dim=(0, 2)) > 1e-6).nonzero().flatten().tolist()
    assert moved == sorted({int(regions.of_node[n]) for n in shared})


def test_stored_weights_give_the_same_tokens() -> None:
    batch, first = batch_of(40), encoder(40)
    torch.manual_seed(1)
    second = VisionEncoder(regions_of(40), WIDTH, history=HISTORY, horizon=HORIZON, layout="strip").eval()

    second.load_state_dict(first.state_dict())

    torch.testing.assert_close(second(batch), first(batch), rtol=0, atol=0)
    assert set(first.state_dict()) == {name for name, _ in first.named_parameters()}


@pytest.mark.parametrize("nodes", [13, 200])
def test_without_gradients_the_tokens_are_the_same(nodes: int) -> None:
    network, batch = encoder(nodes), batch_of(nodes)

    with torch.inference_mode():
        found = network(batch)

    torch.testing.assert_close(found.clone(), network(batch).detach(), rtol=1e-4, atol=1e-5)


def test_what_a_layout_needs_is_said() -> None:
    batch, regions = batch_of(13), regions_of(13)
    with pytest.raises(UsageError, match="'dayfold' needs earlier days"):
        picture(batch._replace(days=None), regions, "dayfold")
    with pytest.raises(UsageError, match="'raster' needs a grid"):
        picture(batch, regions, "raster")
    nowhere = grid_of(np.full((13, 2), np.nan))
    with pytest.raises(UsageError, match="'raster' needs coordinates"):
        VisionEncoder(regions, WIDTH, history=HISTORY, horizon=HORIZON, layout="raster", grid=nowhere)
    with pytest.raises(UsageError, match="36 columns does not fit an encoder of 26"):
        encoder(13, "dayfold")(batch_of(13, days=3))


def cost_of(nodes: int) -> int:
    """Floating-point operations of vision, series and head for one window, with 64 text tokens."""
    regions = regions_of(nodes, 8, 64)
    hidden, width, text = 24, 32, 64
    vision = VisionEncoder(regions, width, history=HISTORY, horizon=HORIZON, layout="strip")
    series, head = SeriesTokens(regions, hidden, width), NodeHead(regions, hidden, width, HORIZON)
    states, about = torch.randn(1, nodes, hidden), torch.arange(regions.segments)
    segment = torch.cat([torch.full((text,), EVERYWHERE), about, about])[None]
    parts = [(Modality.TEXT, text), (Modality.VISION, regions.segments), (Modality.SERIES, regions.segments)]
    modality = torch.cat([torch.full((count,), kind) for kind, count in parts])
    with FlopCounterMode(display=False) as counter:
        seen, heard = vision(batch_of(nodes, windows=1)), series(states)
        values = torch.cat([torch.randn(1, text, width), seen, heard], dim=1)
        head(states, values, Tokens(values, modality, torch.ones(segment.shape, dtype=torch.bool), segment))
    return int(counter.get_total_flops())


def test_the_cost_grows_linearly_with_the_nodes() -> None:
    full = [cost_of(512 * times) for times in (2, 3, 4)]  # 512 nodes are 64 whole segments, and whole windows
    a_node = (full[1] - full[0]) / 512

    assert full[2] - full[1] == full[1] - full[0]
    # In between, patches, segments and windows are filled up to at most the next step of the line.
    for nodes in (883, 1400, 3532):
        assert cost_of(nodes) <= full[0] + a_node * (512 * math.ceil(nodes / 512) - 1024)
    # Below 512 nodes there are fewer tokens to read, so a node costs less than later.
    assert cost_of(512) - cost_of(170) <= a_node * (512 - 170) * 1.5
