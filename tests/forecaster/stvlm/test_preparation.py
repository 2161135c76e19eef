"""What ST-VLM reads of a series."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from mm4st_agent.data.panel import Panel
from mm4st_agent.forecaster.config import NumericConfig
from mm4st_agent.forecaster.networks import inputs_of, prepare, prepared, shapes_of
from mm4st_agent.forecaster.slots import extended, slots_of
from mm4st_agent.forecaster.stvlm.config import StVlmConfig
from mm4st_agent.forecaster.stvlm.preparation import StInputs, StPreparation
from mm4st_agent.forecaster.stvlm.tokens import EVERYWHERE

CONFIG = StVlmConfig(numeric=NumericConfig(hidden=16, blocks=1, identity=4, eigenvectors=3), patch=2, text_tokens=40)
ORIGINS = torch.tensor([700, 712, 748, 1200, 1500])


def read(panel: Panel, config: StVlmConfig = CONFIG) -> tuple[StPreparation, StInputs]:
    slots = slots_of(extended(panel.times, 12), panel.step_s, "US")
    found = prepare(panel, panel.observed(), slots, slice(0, 1176), config)
    inputs = inputs_of(found, config, panel, panel.channel(), panel.observed(), slots)
    assert isinstance(found, StPreparation)
    assert isinstance(inputs, StInputs)
    return found, inputs


def test_different_windows_have_different_texts(panel: Panel) -> None:
    _, inputs = read(panel)

    text = inputs.windows(ORIGINS, 12, 12).text

    assert len({tuple(row) for row in text.ids.tolist()}) == len(ORIGINS)
    assert text.present.sum(dim=1).min() > 10
    assert text.ids.shape[1] <= CONFIG.text_tokens
    assert ((text.line == -1) == ~text.present).all()
    assert (text.node[~text.present] == EVERYWHERE).all()


def test_a_window_is_the_same_alone_and_among_others(panel: Panel) -> None:
    _, inputs = read(panel)
    together = inputs.windows(ORIGINS, 12, 12).text
    _, fresh = read(panel)

    for row, origin in enumerate(ORIGINS):
        alone = fresh.windows(origin[None], 12, 12).text
        length = alone.ids.shape[1]
        for whole, part in zip(together, alone, strict=True):
            assert torch.equal(whole[row, :length], part[0])
        assert not together.present[row, length:].any()


def test_what_is_stored_comes_back(panel: Panel) -> None:
    found, inputs = read(panel)
    arrays = found.to_arrays()

    again = prepared(CONFIG, arrays, len(panel.node_ids))

    shapes = shapes_of(CONFIG, len(panel.node_ids))
    assert arrays.keys() == shapes.keys()
    for name, array in arrays.items():
        assert all(want in (None, got) for want, got in zip(shapes[name], array.shape, strict=True)), name
    assert isinstance(again, StPreparation)
    for name, array in again.to_arrays().items():
        np.testing.assert_array_equal(array, arrays[name], err_msg=name)
    slots = slots_of(extended(panel.times, 12), panel.step_s, "US")
    reread: Any = inputs_of(again, CONFIG, panel, panel.channel(), panel.observed(), slots)
    for one, other in zip(inputs.windows(ORIGINS, 12, 12).text, reread.windows(ORIGINS, 12, 12).text, strict=True):
        assert torch.equal(one, other)


def test_earlier_days_are_the_same_slots(panel: Panel) -> None:
    _, inputs = read(panel, CONFIG.model_copy(update={"layout": "dayfold"}))
    origin = 900

    days = inputs.windows(torch.tensor([origin]), 12, 12).days

    assert days is not None
    assert days.shape == (1, 7, 24, 5, 4)
    for back in range(7):
        first = origin - (back + 1) * 48 - 12
        assert torch.equal(days[0, back], inputs.numeric.history[first : first + 24])
    early = inputs.windows(torch.tensor([60]), 12, 12).days
    assert early is not None
    assert early[0, 0].any()
    assert not early[0, 1:].any()  # before the first reading


@pytest.mark.parametrize("tokens", [0, 3])
def test_no_room_for_a_line_is_no_text(panel: Panel, tokens: int) -> None:
    _, inputs = read(panel, CONFIG.model_copy(update={"text_tokens": tokens}))

    assert inputs.windows(ORIGINS, 12, 12).text.ids.shape == (5, 0)
