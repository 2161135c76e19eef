"""Some windows of a long and wide panel, without holding the days before them of all nodes at once."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mm4st_agent.data.panel import Panel
from mm4st_agent.forecaster.inputs import LEVEL_DAYS, steps_read
from mm4st_agent.forecaster.measured import observed_in
from mm4st_agent.forecaster.networks import levels_of
from mm4st_agent.forecaster.recent import windows_at_once
from mm4st_agent.forecaster.slots import extended, slots_of

if TYPE_CHECKING:
    from mm4st_agent.forecaster.checkpoint import Checkpoint

Array = NDArray[np.float32]

_NODES = 128
"""Nodes whose days before a window are read at a time."""
_WINDOWS = 24
"""Windows whose days before are read at a time."""


def in_pieces(checkpoint: Checkpoint, panel: Panel, origins: NDArray[np.intp]) -> Iterator[Array]:
    """Uncalibrated quantiles `(w, H, N, 5)` in the channel's unit, of a few windows and then of the next ones.

    They are those of `Checkpoint.quantiles` with the inputs of the whole series.

    Args:
        checkpoint: Fits the panel.
        panel: With the nodes of the checkpoint and no others.
        origins: `(W,)` first forecast steps, in order.
    """
    at_once = windows_at_once(checkpoint.card.network.horizon, len(panel.node_ids))
    for first in range(0, len(origins), _WINDOWS):
        near = origins[first : first + _WINDOWS]
        levels = _levels_at(checkpoint, panel, near)
        for begin in range(0, len(near), at_once):
            some = slice(begin, begin + at_once)
            yield _quantiles(checkpoint, panel, near[some], levels[some])


def _quantiles(checkpoint: Checkpoint, panel: Panel, origins: NDArray[np.intp], levels: Array) -> Array:
    card, shape = checkpoint.card, checkpoint.card.network
    first = max(0, int(origins[0]) - _steps_shown(checkpoint, panel))
    read = slice(first, int(origins[-1]) + shape.horizon)  # what begins at an origin is placed by its steps
    cut = dataclasses.replace(panel, data=panel.data.isel(time=read))
    observed = observed_in(panel, card.channel, read)
    level = np.full((len(observed) + 1, len(panel.node_ids), len(LEVEL_DAYS)), np.nan, dtype=np.float32)
    level[origins - first] = levels
    slots = slots_of(extended(cut.times, shape.horizon), panel.step_s, panel.card.holidays)
    return checkpoint.quantiles(checkpoint.inputs(cut, observed, slots, level=level), origins - first)


def _levels_at(checkpoint: Checkpoint, panel: Panel, origins: NDArray[np.intp]) -> Array:
    """`(W, N, 2)` see `Inputs.level`, of windows that start at `origins` `(W,)`, in order."""
    card = checkpoint.card
    first = max(0, int(origins[0]) - steps_read(card.network.history, panel.step_s))
    read = slice(first, max(int(origins[-1]), first + 1))
    slots = slots_of(panel.times[read], panel.step_s, panel.card.holidays)
    levels = np.empty((len(origins), len(panel.node_ids), len(LEVEL_DAYS)), dtype=np.float32)
    for start in range(0, levels.shape[1], _NODES):
        nodes = slice(start, start + _NODES)
        some = dataclasses.replace(panel, data=panel.data.isel(node=nodes))
        found = levels_of(checkpoint.preparation, observed_in(some, card.channel, read), slots, nodes)
        levels[:, nodes] = found[origins - first]
    return levels


def _steps_shown(checkpoint: Checkpoint, panel: Panel) -> int:
    """How many steps before the origin a window holds; a day-fold picture shows the days before, too."""
    shape = checkpoint.card.network
    days = getattr(shape, "layout", None) == "dayfold"
    return steps_read(shape.history, panel.step_s) if days else max(2, shape.history)
