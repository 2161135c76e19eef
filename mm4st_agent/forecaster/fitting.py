"""Fitting the weights of a network, in one stage or two, so that a killed training ends with the same ones."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, Timer
from pydantic import BaseModel, ConfigDict

from mm4st_agent.forecaster.averaging import Averaging
from mm4st_agent.forecaster.card import Adapters
from mm4st_agent.forecaster.learning import MONITOR, Bar, Material, Patience, Training, Windows, devices, epoch_seed
from mm4st_agent.forecaster.networks import Network, Prepared, adapt, build, moved
from mm4st_agent.forecaster.numeric import NumericBranch
from mm4st_agent.forecaster.recovery import BEST, LAST, AtomicCheckpointIO, interruptible, write_whole
from mm4st_agent.forecaster.stvlm.config import StVlmConfig
from mm4st_agent.forecaster.stvlm.hub import HubBackbone
from mm4st_agent.forecaster.stvlm.model import StVlm
from mm4st_agent.forecaster.train_config import TrainConfig

_GRADIENT_NORM = 5.0
_FIRST_STAGE = "first-stage"
_FIRST_STAGE_RECORD = "first-stage.json"
_FIRST_STAGE_SHARE = 0.5
"""Of the time budget, at most."""
_PROBED_BATCHES = 8


@dataclass(frozen=True)
class Fitted:
    """The weights of the best epoch.

    Attributes:
        network: Ready to forecast.
        adapters: Of a pretrained backbone.
        epochs: Of all stages.
        best_mae: On the validation part, in the unit of the channel.
        minutes: Of training, interruptions not counted.
    """

    network: Network
    adapters: Adapters | None
    epochs: int
    best_mae: float
    minutes: float


class _FirstStage(BaseModel):
    """What the first stage of a pretrained backbone ended with, beside its weights."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    adapters: Adapters
    epochs: int
    minutes: float


@dataclass(frozen=True)
class _Stage:
    """A run of Lightning's trainer.

    Attributes:
        folder: Where its state is.
        first: Number of its first epoch.
        epochs: At most so many.
        minutes: No epoch starts after so many.
        choosing: It stops early, and keeps the best epoch.
    """

    folder: Path
    first: int
    epochs: int
    minutes: float | None
    choosing: bool


def fit(material: Material, prepared: Prepared, config: TrainConfig, folder: Path, *, progress: bool) -> Fitted:
    """Train, or go on training from what `folder` holds.

    A pretrained backbone is trained in two stages: the new modules alone, then, with adapters whose ranks come from
    a probe of the loss, all that learns.

    Args:
        material: What is learned from.
        prepared: What was estimated for the network.
        config: Of the training.
        folder: Of this training alone; the arguments that it was made with are those of now.
        progress: Show a progress bar on stderr.

    Raises:
        UsageError: there are not as many devices as asked for, or AdaLoRA has too few steps.
        DataError: the pretrained checkpoint is missing or broken.
    """
    with _quiet(), torch.random.fork_rng():
        torch.manual_seed(config.seed)
        network = build(config.network, prepared)
        first = _first_stage(network, material, config, folder, progress=progress)
        done, spent = (0, 0.0) if first is None else (first.epochs, first.minutes)
        left = None if config.max_minutes is None else max(config.max_minutes - spent, 1e-6)
        stage = _Stage(folder, done, max(1, config.max_epochs - done), left, choosing=True)
        _run(network, material, config, stage, progress=progress)
        best = torch.load(folder / BEST, weights_only=True)
        network.load_state_dict(_weights(best))
    last = torch.load(folder / LAST, weights_only=True)
    return Fitted(
        network.eval(),
        None if first is None else first.adapters,
        done + last["epoch"] + 1,
        float(next(s["best_model_score"] for s in best["callbacks"].values() if s.get("monitor") == MONITOR)),
        spent + _minutes(last),
    )


def _first_stage(
    network: Network, material: Material, config: TrainConfig, folder: Path, *, progress: bool
) -> _FirstStage | None:
    """Train what is new around a pretrained backbone, then give that its adapters; None where there is none."""
    if isinstance(network, NumericBranch) or not isinstance(network.backbone, HubBackbone):
        return None
    assert isinstance(config.network, StVlmConfig)
    if config.network.ranks == "none":
        return None
    inside, record = folder / _FIRST_STAGE, folder / _FIRST_STAGE_RECORD
    epochs = config.base_epochs + config.frozen_epochs
    if not record.is_file():
        minutes = None if config.max_minutes is None else _FIRST_STAGE_SHARE * config.max_minutes
        _run(network, material, config, _Stage(inside, 0, epochs, minutes, choosing=False), progress=progress)
    last = torch.load(inside / LAST, weights_only=True)
    network.load_state_dict(_weights(last))
    if record.is_file():
        first = _FirstStage.model_validate_json(record.read_text(encoding="utf-8"))
    else:
        steps = -(-len(material.train) // config.batch_windows) * max(1, config.max_epochs - last["epoch"] - 1)
        adapters = _adapters(network, network.backbone, material, config, steps)
        first = _FirstStage(adapters=adapters, epochs=last["epoch"] + 1, minutes=_minutes(last))
        write_whole(record, first.model_dump_json().encode())
    torch.manual_seed(epoch_seed(config.seed, first.epochs))
    adapt(network.backbone, first.adapters)
    return first


def _adapters(network: StVlm, backbone: HubBackbone, material: Material, config: TrainConfig, steps: int) -> Adapters:
    """Decide over the adapters; all rules but 'none' give about as many parameters as 'adaptive'."""
    from mm4st_agent.forecaster.stvlm.adaptive import adaptive_ranks, parameters, probe, random_ranks, uniform_ranks

    assert isinstance(config.network, StVlmConfig)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    order = torch.randperm(len(material.train), generator=torch.Generator().manual_seed(config.seed))
    origins = torch.from_numpy(material.train)[order][: _PROBED_BATCHES * config.batch_windows]
    batches = (material.batch(some, config) for some in torch.split(origins, config.batch_windows))
    network.to(device).eval()
    sensitivity = probe(backbone, batches, lambda batch: network.loss(moved(batch[0], device), batch[1].to(device)))
    network.cpu().train()
    ranks = adaptive_ranks(sensitivity, len(material.train), budget=config.network.rank_budget)
    count = parameters(ranks, backbone.slots)
    match config.network.ranks:
        case "uniform":
            return Adapters(ranks=uniform_ranks(backbone.slots, count))
        case "random":
            return Adapters(ranks=random_ranks(backbone.slots, count, seed=config.seed))
        case "adalora":
            return Adapters(adalora=(count, steps))
        case _:
            return Adapters(ranks=ranks)


def _run(network: Network, material: Material, config: TrainConfig, stage: _Stage, *, progress: bool) -> None:
    """Train through one stage, or go on with it; what comes out is in its folder."""
    callbacks: list[Callback] = [
        *([Bar(material.unit)] if progress else []),
        Averaging(config.averaging, use_buffers=isinstance(network, NumericBranch)),
        *([Patience(config, len(material.train), stage.first)] if stage.choosing else []),
        Timer(None if stage.minutes is None else timedelta(minutes=stage.minutes), interval="epoch"),
    ]
    if stage.choosing:
        # Not `save_weights_only`: it skips the callbacks' hooks, and with them the average that was validated.
        name = BEST.removesuffix(".ckpt")
        callbacks.append(ModelCheckpoint(stage.folder, name, monitor=MONITOR, enable_version_counter=False))
    name = LAST.removesuffix(".ckpt")
    callbacks.append(ModelCheckpoint(stage.folder, name, save_on_train_epoch_end=True, enable_version_counter=False))
    trainer = lightning.Trainer(
        **devices(config),
        max_epochs=stage.epochs,
        gradient_clip_val=_GRADIENT_NORM,
        num_sanity_val_steps=0,
        logger=False,
        enable_model_summary=False,
        enable_progress_bar=progress,
        default_root_dir=stage.folder,
        plugins=[AtomicCheckpointIO()],
        callbacks=callbacks,
    )
    last = stage.folder / LAST
    windows = Windows(material, config, trainer, learning=True, first=stage.first)
    with interruptible(trainer):
        trainer.fit(
            Training(config, network, material.std, len(windows), stage.first),
            windows,
            Windows(material, config, trainer, learning=False, first=stage.first),
            ckpt_path=str(last) if last.is_file() else None,
            weights_only=True,
        )


def _weights(state: dict[str, Any]) -> dict[str, torch.Tensor]:
    """Of the network, from what Lightning wrote."""
    return {name.removeprefix("network."): tensor for name, tensor in state["state_dict"].items()}


def _minutes(state: dict[str, Any]) -> float:
    return float(state["callbacks"]["Timer"]["time_elapsed"]["train"]) / 60


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
