"""Which model did better so far, in memory that does not grow with the length of the data.

`scoring.track_record` holds the whole series of all nodes, and its inputs, at once. Of what it finds, a batch needs
only the mean absolute errors, which say what leads. Here the network sees some windows at a time, with no more history
than they read, and the baselines some nodes at a time; between the two, what the network said lies in a file.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import IO

import numpy as np
from numpy.typing import NDArray

from mm4st_agent.data.panel import Panel
from mm4st_agent.data.windows import window_starts
from mm4st_agent.errors import DataError
from mm4st_agent.forecaster.baselines import BASELINES, FUNCTIONS, History, truth_at
from mm4st_agent.forecaster.card import StepErrors, TestErrors
from mm4st_agent.forecaster.checkpoint import Checkpoint
from mm4st_agent.forecaster.config import MEDIAN
from mm4st_agent.forecaster.evaluation import MAX_CELLS, few
from mm4st_agent.forecaster.scoring import LEAST_WINDOWS, RECORD_WINDOWS, parts
from mm4st_agent.forecaster.slots import extended, slots_of

Array = NDArray[np.float32]

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
            slots = slots_of(panel.times, panel.step_s)
            windows = few(starts, min(affordable, RECORD_WINDOWS), slots)
            return _errors(checkpoint, panel, split.train, *windows)
    return None


def _errors(checkpoint: Checkpoint, panel: Panel, train: slice, origins: NDArray[np.intp], stride: int) -> TestErrors:
    with tempfile.TemporaryFile() as file:
        medians = Medians(file, len(origins), checkpoint.card.network.horizon, len(panel.node_ids))
        _foresee(checkpoint, panel, origins, medians)
        return _compared(checkpoint, panel, train, origins, stride, medians)


def _foresee(checkpoint: Checkpoint, panel: Panel, origins: NDArray[np.intp], medians: Medians) -> None:
    """Write what the network says of the windows."""
    from mm4st_agent.forecaster.windowing import in_pieces  # brings torch, which baselines do without

    first = 0
    for fan in in_pieces(checkpoint, panel, origins):
        medians.put(first, checkpoint.card.calibration.bounded(fan[..., MEDIAN]))
        first += len(fan)


def _compared(
    checkpoint: Checkpoint, panel: Panel, train: slice, origins: NDArray[np.intp], stride: int, medians: Medians
) -> TestErrors:
    model, horizon = checkpoint.card.model, medians.horizon
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
    for block, truth, points in _blocks(checkpoint, panel, train, origins):
        counts = np.isfinite(truth) & np.all([np.isfinite(points[name]) for name in kept], axis=0)
        cells += counts.sum(axis=(0, 2))
        for name, found in (*((name, points[name]) for name in kept), (model, medians.of(block))):
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


class Medians:
    """What a network said of some windows, `(W, H, N)` in a file: written by windows, read by blocks of `NODES` nodes.

    Args:
        file: Open for both, empty; closed by the caller.
        windows: W.
        horizon: H.
        nodes: N.
    """

    def __init__(self, file: IO[bytes], windows: int, horizon: int, nodes: int) -> None:
        self._file, self.windows, self.horizon, self.nodes = file, windows, horizon, nodes

    def put(self, first: int, values: Array) -> None:
        """Write `(w, H, N)` of the windows from `first` on."""
        for start in range(0, self.nodes, NODES):
            part = np.ascontiguousarray(values[..., start : start + NODES], dtype=np.float32)
            self._file.seek(self.horizon * (self.windows * start + first * part.shape[-1]) * part.itemsize)
            self._file.write(part.tobytes())

    def of(self, block: slice) -> Array:
        """`(W, H, n)` of one block, `slice(k * NODES, (k + 1) * NODES)`."""
        width = min(block.stop, self.nodes) - block.start
        shape = self.windows, self.horizon, width
        size = np.dtype(np.float32).itemsize
        self._file.seek(self.horizon * self.windows * block.start * size)
        return np.frombuffer(self._file.read(size * int(np.prod(shape))), dtype=np.float32).reshape(shape)


def _blocks(
    checkpoint: Checkpoint, panel: Panel, train: slice, origins: NDArray[np.intp]
) -> Iterator[tuple[slice, Array, dict[str, Array]]]:
    """The place of some nodes, what was measured at the forecast steps `(W, H, n)`, and what each baseline said."""
    card, ids = checkpoint.card, panel.node_ids
    times = extended(panel.times, card.network.horizon)
    for start in range(0, len(ids), NODES):
        block = slice(start, start + NODES)
        observed = panel.only(ids[block]).observed(card.channel)
        history = History.of(observed, times, step_s=panel.step_s, holidays=panel.card.holidays, known=train)
        truth = truth_at(observed, origins, card.network.horizon)
        points = {name: FUNCTIONS[name](history, origins, card.network.horizon) for name in BASELINES}
        yield block, truth, {name: card.calibration.bounded(point) for name, point in points.items()}
