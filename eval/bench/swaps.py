"""`mm4st bench modalities`: what a trained ST-VLM loses when its text or its picture is another window's, or none.

Nothing is trained: the same weights forecast the same test windows with one modality exchanged. It shows what the
network reads, not what it could do without; for that the controls are trained (`bench forecast --models modalities`).
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from eval.bench.report import BenchRow, compared, report_of

if TYPE_CHECKING:
    from eval.bench.harness import Task
    from eval.bench.records import Subset
    from mm4st_agent.forecaster.checkpoint import Checkpoint
    from mm4st_agent.runtime import Runtime

SWAPS: dict[str, dict[str, str]] = {
    "another window's text": {"told": "other"},
    "always the same text": {"told": "constant"},
    "another window's picture": {"shown": "other"},
    "a blank picture": {"shown": "blank"},
}
MOST_WINDOWS = 600
"""Of the test part, evenly spaced; each is forecast once for each swap, and once as it is."""


def bench_modalities(runtime: Runtime, *, dataset: str = "demo", most: int = MOST_WINDOWS) -> dict[str, Any]:
    """Exchange the modalities of every trained ST-VLM of a data set, on its test windows.

    Returns:
        `{rows, commit, machine}`: MAE as it is against MAE with the exchange, for all cells and each kind of event
        window; each row has the difference and its 95 % interval (paired block bootstrap by day). Channels whose
        forecaster reads neither text nor picture are left out.
    """
    from eval.bench.bootstrap import mae_difference
    from eval.bench.harness import Task
    from mm4st_agent.forecaster.prediction import TrainedForecaster
    from mm4st_agent.forecaster.stvlm.model import StVlm

    panel = runtime.registry.open(dataset)
    rows: list[BenchRow] = []
    for channel in panel.card.channels:
        forecaster = runtime.forecaster(panel, channel)
        if not isinstance(forecaster, TrainedForecaster) or not isinstance(forecaster.checkpoint.network, StVlm):
            continue
        task = Task.of(panel, channel.name, most=most)
        real = _scored(task, forecaster.checkpoint, {})
        for title, swap in SWAPS.items():
            for subset, other in _scored(task, forecaster.checkpoint, swap).items():
                gap = mae_difference([real[subset].days], [other.days])
                row = compared(
                    f"{dataset} {channel.name}: test MAE, {subset}", real[subset].total.mae, other.total.mae, title,
                    channel.unit,
                )  # fmt: skip
                interval = {"difference": gap.mean, "low": gap.low, "high": gap.high, "days": gap.days}
                rows.append({**row, **interval})  # type: ignore[typeddict-item]
    return report_of(rows)


def _scored(task: Task, checkpoint: Checkpoint, swap: dict[str, str]) -> dict[str, Subset]:
    """By kind of window, the figures of the checkpoint with a modality exchanged."""
    from eval.bench.harness import scored
    from mm4st_agent.forecaster.stvlm.preparation import StInputs

    course = task.course
    inputs = checkpoint.inputs(course.panel, course.observed, course.history.slots)
    assert isinstance(inputs, StInputs)
    inputs = dataclasses.replace(inputs, config=inputs.config.model_copy(update=swap), _texts={})

    return scored(task, checkpoint.intervals(inputs, course.observed, course.history.slots).calibrated)
