"""Training with Lightning, from a panel to a checkpoint."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mm4st_agent.data.card import Channel
from mm4st_agent.data.panel import Panel
from mm4st_agent.data.windows import few_shot, split_time, window_starts
from mm4st_agent.errors import DataError, UsageError
from mm4st_agent.forecaster import checkpoint as checkpoints
from mm4st_agent.forecaster.card import CheckpointCard, PretrainedBase
from mm4st_agent.forecaster.config import NumericConfig
from mm4st_agent.forecaster.evaluation import Course, baseline_residuals, calibrate, check_length, evaluate
from mm4st_agent.forecaster.fitting import Fitted, fit
from mm4st_agent.forecaster.inputs import Preparation
from mm4st_agent.forecaster.learning import Material
from mm4st_agent.forecaster.measured import measuring
from mm4st_agent.forecaster.networks import Prepared, Shape, base_sha256, inputs_of, name_of, prepare, quantiles_at
from mm4st_agent.forecaster.recent import Intervals, in_turn
from mm4st_agent.forecaster.recovery import Workspace, array_sha256, only_training
from mm4st_agent.forecaster.train_config import TrainConfig
from mm4st_agent.provenance import source_commit

__all__ = ["NumericConfig", "TrainConfig", "train_checkpoint"]


def train_checkpoint(
    panel: Panel,
    channel: str | None = None,
    *,
    out: Path,
    config: TrainConfig = TrainConfig(),  # noqa: B008 - frozen
    progress: bool = True,
) -> CheckpointCard:
    """Train a network on one channel and write the checkpoint.

    Time is split first (training, validation, test); scaler, profile and slot means come from the
    training part, early stopping and interval calibration from the validation part, and the errors
    in the card from the test part. Missing and imputed cells count in none of them.

    Killed half-way, the same call goes on from the last whole epoch, and ends with the same weights.

    Args:
        panel: The whole data set; only the nodes that measure the channel enter.
        channel: None is the main one.
        out: Folder of the checkpoint; replaced when the training is complete, not before.
        config: Shape and training; the seed decides everything random.
        progress: Show a progress bar on stderr.

    Raises:
        UsageError: there is no such channel, the shots hold no window, the network cannot be made of these data, or
            another training writes to `out` now.
        DataError: the data are too short, or hold no measured reading to learn from; or the pretrained backbone is
            missing or broken.
        KeyboardInterrupt: Ctrl-C, after a sentence on stderr that says how to go on.
    """
    chosen = panel.channel(channel)
    panel = measuring(panel, chosen)
    check_length(panel, config.shares, config.network.history, config.network.horizon)
    with only_training(out):
        try:
            return _train(panel, chosen, out, config, progress)
        except KeyboardInterrupt:
            sys.stderr.write("Stopped; the same command goes on after the last whole epoch.\n")
            raise


def _train(panel: Panel, channel: Channel, out: Path, config: TrainConfig, progress: bool) -> CheckpointCard:
    network = config.network
    base = base_sha256(network)
    split = few_shot(split_time(len(panel.times), config.shares), config.shots, config.shots_from)
    _check_shots(panel, config, split.train)
    course = Course.of(panel, channel, split, network.horizon)
    _check(course, network)
    workspace = Workspace(out, _arguments(course, config, base))
    workspace.open()
    preparation = prepare(panel, course.observed, course.history.slots, course.split.train, network)
    material = _material(course, preparation, network)
    fitted = fit(material, preparation, config, workspace.folder, progress=progress)
    if torch.cuda.is_available():
        fitted.network.cuda()

    def predict(origins: NDArray[np.intp]) -> NDArray[np.float32]:
        return quantiles_at(fitted.network, preparation, material.plain, origins)

    calibration = calibrate(course, predict, network.history, network.horizon)
    slots, steps = course.history.slots, (network.history, network.horizon)
    pieces = in_turn(predict, network.horizon, len(panel.node_ids))
    intervals = Intervals(pieces, calibration, course.observed, slots, *steps)
    residuals, windows = baseline_residuals(course, *steps), course.windows(course.split.test, *steps)
    card = CheckpointCard(
        model=name_of(network),
        dataset=panel.name,
        channel=course.channel.name,
        unit=course.channel.unit,
        step_s=panel.step_s,
        node_ids=tuple(panel.node_ids),
        data_sha256=panel.card.sha256,
        synthetic=panel.card.synthetic,
        config=config,
        train=course.period(course.split.train),
        validation=course.period(course.split.validation),
        test=course.period(course.split.test),
        calibration=calibration,
        errors=evaluate(course, windows, network.horizon, residuals, (name_of(network), intervals, calibration)),
        epochs=fitted.epochs,
        best_validation_mae=fitted.best_mae,
        minutes=round(fitted.minutes, 4),
        parameters=sum(p.numel() for p in fitted.network.parameters()),
        created=datetime.now(UTC),
        commit=source_commit(),
        versions=_versions(),
        pretrained=_pretrained(network, base, fitted),
    )
    checkpoints.save(checkpoints.Checkpoint(card, fitted.network.cpu(), preparation, residuals), out)
    workspace.close()
    return card


def _material(course: Course, preparation: Prepared, shape: Shape) -> Material:
    panel, slots, train = course.panel, course.history.slots, course.split.train
    numeric = preparation if isinstance(preparation, Preparation) else preparation.numeric
    others = numeric.training_profile(course.train, slots, slots.only(train), panel.step_s, train.start)

    def origins(part: slice) -> NDArray[np.intp]:
        return window_starts(part, shape.history, shape.horizon) + shape.history

    return Material(
        inputs=inputs_of(preparation, shape, panel, course.channel, course.observed, slots, profile=others),
        plain=inputs_of(preparation, shape, panel, course.channel, course.observed, slots),
        truth=torch.from_numpy(preparation.scaler.transform(course.observed)),
        train=origins(train),
        validation=origins(course.split.validation),
        std=preparation.scaler.std,
        unit=course.channel.unit,
    )


def _pretrained(shape: Shape, sha256: str | None, fitted: Fitted) -> PretrainedBase | None:
    if sha256 is None or isinstance(shape, NumericConfig):
        return None
    return PretrainedBase(path=shape.backbone, sha256=sha256, adapters=fitted.adapters)


def _check_shots(panel: Panel, config: TrainConfig, train: slice) -> None:
    """Refuse shots in which no whole window lies."""
    window, steps = config.network.history + config.network.horizon, train.stop - train.start
    if steps < window:
        least = np.ceil(100 * window / (steps / config.shots)) / 100
        raise UsageError(
            f"{config.shots:g} of the training part of {panel.name!r} are {steps} time steps, and a window needs "
            f"{window}.",
            f"Use more shots, {min(1.0, least):g} at least.",
        )


def _check(course: Course, shape: Shape) -> None:
    """Refuse data from which nothing can be learned or checked; the first history of a part is never forecast."""
    for name in ("train", "validation", "test"):
        part: slice = getattr(course.split, name)
        if not np.isfinite(course.observed[part.start + shape.history : part.stop]).any():
            period = course.period(part)
            raise DataError(
                f"The {name} part of {course.panel.name!r}, {period.start:%Y-%m-%d %H:%M} to "
                f"{period.end:%Y-%m-%d %H:%M}, holds no measured {course.channel.label} to forecast.",
                "Use another channel or data without such a gap.",
            )


def _arguments(course: Course, config: TrainConfig, base: str | None) -> dict[str, Any]:
    """What makes two trainings the same one; the time budget does not."""
    return {
        "config": config.model_dump(mode="json", exclude={"max_minutes", "max_epochs"}),
        "channel": course.channel.name,
        "nodes": course.panel.node_ids,
        "start": course.panel.times[0].isoformat(),
        "series": array_sha256(course.observed),
        "pretrained": base,
        "versions": _versions(),
    }


def _versions() -> dict[str, str]:
    return {name: version(name) for name in ("mm4st", "torch", "lightning", "numpy", "safetensors")}
