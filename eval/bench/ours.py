"""Our forecasters in the comparison, trained as `mm4st train` trains them."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.bench.harness import SHARES, Fitted, Predict, Task
from eval.peers.outcome import Stopped
from mm4st_agent.forecaster.checkpoint import Checkpoint, load
from mm4st_agent.forecaster.config import NumericConfig
from mm4st_agent.forecaster.evaluation import Course
from mm4st_agent.forecaster.stvlm.config import StVlmConfig
from mm4st_agent.forecaster.training import TrainConfig, train_checkpoint


def training_config(task: Task, training: dict[str, Any], seed: int, minutes: float | None) -> TrainConfig:
    """The config of a run: `training` over the defaults, and the parts of the task."""
    shots = {} if task.shots is None else {"shots": task.shots.share, "shots_from": task.shots.which}
    return TrainConfig.model_validate({**training, **shots, "shares": SHARES, "seed": seed, "max_minutes": minutes})


def identity(config: TrainConfig) -> dict[str, Any]:
    """What tells trainings of one task apart, without seed and budget; the numeric branch alone has fewer options.

    Controls are named only where there are any.
    """
    left_out = {"seed", "max_minutes", "shares", "devices"}
    if isinstance(config.network, NumericConfig):
        left_out |= {"fusion_learning_rate", "warm_up_steps", "frozen_epochs"}
    told = config.model_dump(mode="json", exclude=left_out)
    for name in ("told", "shown"):
        if isinstance(config.network, StVlmConfig) and told["network"][name] == StVlmConfig.model_fields[name].default:
            del told["network"][name]
    return told


def fit_ours(task: Task, training: dict[str, Any], seed: int, minutes: float | None) -> Fitted:
    """Train a checkpoint on the parts of the task, and forecast with it, its intervals calibrated."""
    config = training_config(task, training, seed, minutes)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "checkpoint"
        channel, progress = task.course.channel.name, sys.stderr.isatty()
        card = train_checkpoint(task.panel, channel, out=out, config=config, progress=progress)
        checkpoint = load(out)
    stopped: Stopped = "patience"
    if card.epochs >= config.max_epochs:
        stopped = "epochs"
    elif minutes is not None and card.minutes >= minutes:
        stopped = "budget"
    predict = predictor(checkpoint, task.course)
    return Fitted(predict, card.parameters, float(card.epochs), stopped, card.best_validation_mae)


def predictor(checkpoint: Checkpoint, course: Course) -> Predict:
    """Origins in the test part to the quantiles `(W, H, N, 5)` of forecasts, in the channel's unit."""
    slots, shape, test = course.history.slots, checkpoint.card.network, course.split.test
    intervals = checkpoint.intervals(checkpoint.inputs(course.panel, course.observed, slots), course.observed, slots)
    recent = intervals.recent(np.arange(test.start + shape.history, test.stop + 1))

    def predict(origins: NDArray[np.intp]) -> NDArray[np.float32]:
        return intervals.following(origins, recent)

    return predict
