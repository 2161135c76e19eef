"""Which model did better so far, in memory that does not grow with the length of the data.

`scoring.track_record` holds the whole series of all nodes, and its inputs, at once. Of what it finds, a batch needs
only the mean absolute errors, which say what leads. Here the network sees some windows at a time, with no more history
than they read, and the baselines some nodes at a time.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mm4st_agent.data.panel import Panel
from mm4st_agent.data.windows import window_starts
from mm4st_agent.errors import DataError
from mm4st_agent.forecaster.baselines import BASELINES, FUNCTIONS, History, truth_at
from mm4st_agent.forecaster.card import StepErrors, TestErrors
from mm4st_agent.forecaster.checkpoint import Checkpoint
from mm4st_agent.forecaster.config import MEDIAN
from mm4st_agent.forecaster.evaluation import MAX_CELLS
from mm4st_agent.forecaster.measured import observed_in
from mm4st_agent.forecaster.scoring import LEAST_WINDOWS, RECORD_WINDOWS, parts
from mm4st_agent.forecaster.slots import extended, slots_of

Array = NDArray[np.float32]

WINDOWS = 24
"""Windows that the network sees at a time."""
NODES = 64
"""Nodes that the baselines see at a time."""


def errors_so_far(checkpoint: Checkpoint, panel: Panel) -> TestErrors | None:
    """The mean absolute errors that `track_record` finds; what else it measures is None, or left out.

    Args:
        checkpoint: Fits the panel, which its forecaster has checked.
        panel: Cut at the moment of the forecast, with the nodes of the checkpoint.

    Returns:
        None: too few forecasts were over by then.

    Raises:
        DataError: the part that counts holds no measured reading.
    """
    split, shape = parts(checkpoint, panel), checkpoint.card.network
    for part in (split.test, split.validation):
        if part.stop - part.start >= shape.history + shape.horizon + LEAST_WINDOWS - 1:
            starts = window_starts(part, shape.history, shape.horizon) + shape.history
            affordable = max(1, MAX_CELLS // (shape.horizon * len(panel.node_ids)))
            stride = -(-len(starts) // min(affordable, RECORD_WINDOWS))
            return _errors(checkpoint, panel, split.train, starts[::stride], stride)
    return None


def _errors(checkpoint: Checkpoint, panel: Panel, train: slice, origins: NDArray[np.intp], stride: int) -> TestErrors:
    model, horizon = checkpoint.card.model, checkpoint.card.network.horizon
    chunks = np.array_split(origins, -(-len(origins) // WINDOWS))
    medians = np.concatenate([_medians(checkpoint, panel, some) for some in chunks])
    measured, known = 0, dict.fromkeys(BASELINES, 0)
    for _, truth, points in _blocks(checkpoint, panel, train, origins):
        there = np.isfinite(truth)
        measured += int(there.sum())
        for name in BASELINES:
            known[name] += int(np.isfinite(points[name])[there].sum())
    if not measured:
        raise DataError(
            f"No forecast of {panel.name!r} that was over by {panel.end:%Y-%m-%d %H:%M} has a measured reading.",
            "Choose another channel or another time.",
        )
    kept = [name for name in BASELINES if known[name] >= measured / 2]  # as `evaluate` does, lest it empty the table
    sums = {name: np.zeros(horizon) for name in (model, *kept)}
    cells = np.zeros(horizon, dtype=np.int64)
    for positions, truth, points in _blocks(checkpoint, panel, train, origins):
        counts = np.isfinite(truth) & np.all([np.isfinite(points[name]) for name in kept], axis=0)
        cells += counts.sum(axis=(0, 2))
        for name, found in (*((name, points[name]) for name in kept), (model, medians[:, :, positions])):
            sums[name] += np.abs(truth - found, dtype=np.float64).sum(axis=(0, 2), where=counts)
    undefined = (None,) * horizon
    by_step = {
        name: StepErrors(
            mae=tuple(float(s / n) if n else None for s, n in zip(sums[name], cells, strict=True))
            if name in sums
            else undefined,
            coverage80=undefined,
            cells=tuple(cells.tolist()),
            total_coverage80=undefined,
        )
        for name in (model, *BASELINES)
    }
    return TestErrors(
        rows=(), total=(), by_step=by_step, mape_floor=0, season_steps=0, windows=len(origins), stride=stride,
        cells=int(cells.sum()),
    )  # fmt: skip


def _medians(checkpoint: Checkpoint, panel: Panel, origins: NDArray[np.intp]) -> Array:
    """`(W, H, N)` what the network says of windows near to each other, from the readings that it needs for them."""
    from mm4st_agent.forecaster.inputs import steps_read  # brings torch, which baselines do without

    card = checkpoint.card
    first = max(0, int(origins[0]) - steps_read(card.network.history, panel.step_s))
    read = slice(first, int(origins[-1]) + card.network.horizon)  # what begins at an origin is placed by its steps
    cut = dataclasses.replace(panel, data=panel.data.isel(time=read))
    slots = slots_of(extended(cut.times, card.network.horizon), panel.step_s, panel.card.holidays)
    inputs = checkpoint.inputs(cut, observed_in(panel, card.channel, read), slots)
    return card.calibration.bounded(checkpoint.quantiles(inputs, origins - first)[..., MEDIAN])


def _blocks(
    checkpoint: Checkpoint, panel: Panel, train: slice, origins: NDArray[np.intp]
) -> Iterator[tuple[NDArray[np.intp], Array, dict[str, Array]]]:
    """Positions of some nodes, what was measured at the forecast steps `(W, H, n)`, and what each baseline said."""
    card, ids = checkpoint.card, panel.node_ids
    times = extended(panel.times, card.network.horizon)
    for positions in np.array_split(np.arange(len(ids)), -(-len(ids) // NODES)):
        observed = panel.only([ids[position] for position in positions]).observed(card.channel)
        history = History.of(observed, times, step_s=panel.step_s, holidays=panel.card.holidays, known=train)
        truth = truth_at(observed, origins, card.network.horizon)
        points = {name: FUNCTIONS[name](history, origins, card.network.horizon) for name in BASELINES}
        yield positions, truth, {name: card.calibration.bounded(point) for name, point in points.items()}
