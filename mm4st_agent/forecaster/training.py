"""Training with Lightning, from a panel to a checkpoint."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import EarlyStopping, EMAWeightAveraging, ModelCheckpoint, RichProgressBar, Timer
from numpy.typing import NDArray

from mm4st_agent.data.card import Channel
from mm4st_agent.data.panel import Panel
from mm4st_agent.data.windows import few_shot, split_time, window_starts
from mm4st_agent.errors import DataError
from mm4st_agent.forecaster import checkpoint as checkpoints
from mm4st_agent.forecaster.card import CheckpointCard
from mm4st_agent.forecaster.config import MEDIAN, NumericConfig
from mm4st_agent.forecaster.evaluation import Course, baseline_residuals, calibrate, check_length, evaluate
from mm4st_agent.forecaster.inputs import Preparation
from mm4st_agent.forecaster.measured import measuring
from mm4st_agent.forecaster.networks import (
    AnyInputs,
    Network,
    Prepared,
    Shape,
    build,
    inputs_of,
    name_of,
    prepare,
    quantiles_at,
)
from mm4st_agent.forecaster.recovery import (
    BEST,
    LAST,
    AtomicCheckpointIO,
    Workspace,
    array_sha256,
    interruptible,
    only_training,
)
from mm4st_agent.forecaster.train_config import TrainConfig
from mm4st_agent.provenance import source_commit

__all__ = ["NumericConfig", "TrainConfig", "train_checkpoint"]

_MONITOR = "validation_mae"
_GRADIENT_NORM = 5.0


@dataclass(frozen=True)
class _Fitted:
    """Weights of the best epoch, and the inputs they are evaluated on."""

    network: Network
    inputs: AnyInputs
    epochs: int
    best_mae: float
    minutes: float


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
        UsageError: there is no such channel, or another training writes to `out` now.
        DataError: the data are too short, or hold no measured reading to learn from.
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
    split = few_shot(split_time(len(panel.times), config.shares), config.shots, config.shots_from)
    course = Course.of(panel, channel, split, network.horizon)
    _check(course, network)
    workspace = Workspace(out, _arguments(course, config))
    last = workspace.open()
    preparation = prepare(panel, course.observed, course.history.slots, course.split.train, network)
    fitted = _fit(course, preparation, config, workspace.folder, last, progress)

    def predict(origins: NDArray[np.intp]) -> NDArray[np.float32]:
        return quantiles_at(fitted.network, preparation, fitted.inputs, origins)

    calibration = calibrate(course, predict, network.history, network.horizon)
    residuals = baseline_residuals(course, network.history, network.horizon)
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
        errors=evaluate(course, network.history, network.horizon, residuals, (name_of(network), predict, calibration)),
        epochs=fitted.epochs,
        best_validation_mae=fitted.best_mae,
        minutes=round(fitted.minutes, 2),
        parameters=sum(p.numel() for p in fitted.network.parameters()),
        created=datetime.now(UTC),
        commit=source_commit(),
        versions=_versions(),
    )
    checkpoints.save(checkpoints.Checkpoint(card, fitted.network, preparation, residuals), out)
    workspace.close()
    return card


class _Windows:
    """Batches of windows and their truths, cut from tensors that are already in memory.

    Args:
        order: Puts the origins into the order of the coming epoch.
    """

    def __init__(
        self,
        inputs: AnyInputs,
        truth: torch.Tensor,
        origins: NDArray[np.intp],
        config: TrainConfig,
        order: Callable[[torch.Tensor], torch.Tensor] = lambda origins: origins,
    ) -> None:
        self._inputs, self._truth, self._origins = inputs, truth, torch.from_numpy(origins.astype(np.int64))
        self._shape, self._size, self._order = config.network, config.batch_windows, order

    def __len__(self) -> int:
        return -(-len(self._origins) // self._size)

    def __iter__(self) -> Iterator[tuple[Any, torch.Tensor]]:
        ahead = torch.arange(self._shape.horizon)
        for origins in torch.split(self._order(self._origins), self._size):
            batch = self._inputs.windows(origins, self._shape.history, self._shape.horizon)
            yield batch, self._truth[origins[:, None] + ahead]


class _Training(lightning.LightningModule):
    """Loss and optimiser. Every epoch's randomness comes from the seed and the epoch's number."""

    def __init__(self, config: TrainConfig, network: Network, std: float) -> None:
        super().__init__()
        self.config, self.network, self.std = config, network, std

    def on_train_epoch_start(self) -> None:
        torch.manual_seed(_epoch_seed(self.config.seed, self.current_epoch))

    def training_step(self, batch: tuple[Any, torch.Tensor], _: int) -> torch.Tensor:
        alone = self.current_epoch < self.config.base_epochs
        return self.network.loss(*batch, alone=alone)

    def validation_step(self, batch: tuple[Any, torch.Tensor], _: int) -> None:
        error = (self.network(batch[0])[..., MEDIAN] - batch[1]).abs() * self.std
        seen = torch.isfinite(error)
        if seen.any():
            self.log(_MONITOR, error[seen].mean(), batch_size=int(seen.sum()), prog_bar=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=self.config.learning_rate, weight_decay=self.config.weight_decay)


def _fit(
    course: Course, preparation: Prepared, config: TrainConfig, folder: Path, last: Path | None, progress: bool
) -> _Fitted:
    """Train, or go on training; give the weights of the best epoch."""
    shape = config.network
    truth = torch.from_numpy(preparation.scaler.transform(course.observed))
    panel, slots = course.panel, course.history.slots
    plain = inputs_of(preparation, shape, panel, course.channel, course.observed, slots)
    numeric = preparation if isinstance(preparation, Preparation) else preparation.numeric
    train = course.split.train
    others = numeric.training_profile(course.train, slots, slots.only(train), panel.step_s, train.start)
    held_out = inputs_of(preparation, shape, panel, course.channel, course.observed, slots, profile=others)

    with _quiet(), torch.random.fork_rng():
        torch.manual_seed(config.seed)
        network = build(shape, preparation)
        module = _Training(config, network, preparation.scaler.std)
        timer = Timer(None if config.max_minutes is None else timedelta(minutes=config.max_minutes), interval="epoch")
        # Not `save_weights_only`: it skips the callbacks' hooks, and with them the average that was validated.
        best = ModelCheckpoint(folder, BEST.removesuffix(".ckpt"), monitor=_MONITOR, enable_version_counter=False)
        trainer = lightning.Trainer(
            accelerator="cpu",
            devices=1,
            max_epochs=config.max_epochs,
            gradient_clip_val=_GRADIENT_NORM,
            num_sanity_val_steps=0,
            logger=False,
            enable_model_summary=False,
            enable_progress_bar=progress,
            default_root_dir=folder,
            plugins=[AtomicCheckpointIO()],
            callbacks=[
                *([RichProgressBar(leave=False, console_kwargs={"stderr": True})] if progress else []),
                EMAWeightAveraging(decay=config.averaging),
                EarlyStopping(_MONITOR, patience=config.patience),
                timer,
                best,
                ModelCheckpoint(
                    folder, LAST.removesuffix(".ckpt"), save_on_train_epoch_end=True, enable_version_counter=False
                ),
            ],
        )

        def shuffled(origins: torch.Tensor) -> torch.Tensor:
            generator = torch.Generator().manual_seed(_epoch_seed(config.seed, trainer.current_epoch))
            return origins[torch.randperm(len(origins), generator=generator)]

        part = window_starts(course.split.train, shape.history, shape.horizon) + shape.history
        checked = window_starts(course.split.validation, shape.history, shape.horizon) + shape.history
        with interruptible(trainer):
            trainer.fit(
                module,
                _Windows(held_out, truth, part, config, shuffled),
                _Windows(plain, truth, checked, config),
                ckpt_path=None if last is None else str(last),
                weights_only=True,
            )
        module.load_state_dict(torch.load(folder / BEST, weights_only=True)["state_dict"])
    score = best.best_model_score
    assert score is not None
    return _Fitted(network.eval(), plain, trainer.current_epoch, float(score), timer.time_elapsed() / 60)


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


def _arguments(course: Course, config: TrainConfig) -> dict[str, Any]:
    """What makes two trainings the same one; the time budget does not."""
    return {
        "config": config.model_dump(mode="json", exclude={"max_minutes", "max_epochs"}),
        "channel": course.channel.name,
        "nodes": course.panel.node_ids,
        "start": course.panel.times[0].isoformat(),
        "series": array_sha256(course.observed),
        "versions": _versions(),
    }


def _epoch_seed(seed: int, epoch: int) -> int:
    return int(np.random.SeedSequence([abs(seed), epoch]).generate_state(1)[0])


def _versions() -> dict[str, str]:
    return {name: version(name) for name in ("mm4st", "torch", "lightning", "numpy", "safetensors")}


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence Lightning's tips; warnings of anything else pass."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning")
            yield
    finally:
        logger.setLevel(level)
