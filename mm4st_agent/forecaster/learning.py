"""What Lightning is given: batches, loss, optimiser, devices and progress."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import EarlyStopping, RichProgressBar
from lightning.pytorch.strategies import DDPStrategy
from numpy.typing import NDArray
from torch.optim.lr_scheduler import LambdaLR

from mm4st_agent.errors import UsageError
from mm4st_agent.forecaster.config import MEDIAN, NumericConfig
from mm4st_agent.forecaster.networks import AnyInputs, Network
from mm4st_agent.forecaster.numeric import NumericBranch
from mm4st_agent.forecaster.stvlm.config import StVlmConfig
from mm4st_agent.forecaster.stvlm.hub import HubBackbone
from mm4st_agent.forecaster.train_config import TrainConfig

MONITOR = "validation_mae"
_WARM_UP_EPOCHS = 2
_PATIENT_STEPS = 400
"""Twice the memory of the average that is validated; a few-shot epoch has only some."""


@dataclass(frozen=True)
class Material:
    """What is learned from.

    Attributes:
        inputs: Of the whole series, each training step with the profile that the other steps give it.
        plain: The same with the stored profile, for the validation.
        truth: `(T, N)` scaled; NaN is missing.
        train: `(W,)` origins of the training windows.
        validation: `(V,)` origins of the validation windows.
        std: Of the channel.
        unit: Of the channel.
    """

    inputs: AnyInputs
    plain: AnyInputs
    truth: torch.Tensor
    train: NDArray[np.intp]
    validation: NDArray[np.intp]
    std: float
    unit: str

    def batch(self, origins: torch.Tensor, config: TrainConfig) -> tuple[Any, torch.Tensor]:
        """Training windows and their truths `(B, H, N)`."""
        return cut(self.inputs, self.truth, origins, config)


def cut(inputs: AnyInputs, truth: torch.Tensor, origins: torch.Tensor, config: TrainConfig) -> tuple[Any, torch.Tensor]:
    """The windows whose first forecast step is at `origins` `(B,)`, and their truths `(B, H, N)`."""
    shape = config.network
    ahead = torch.arange(shape.horizon)
    return inputs.windows(origins, shape.history, shape.horizon), truth[origins[:, None] + ahead]


class Windows:
    """Batches of windows and their truths, cut from tensors that are already in memory.

    Several devices divide each batch among them; one that does not divide evenly is filled up with its first windows.

    Args:
        material: What they are cut from.
        config: Shape and size of a batch.
        trainer: Knows the epoch, and which of how many devices this one is.
        learning: The training windows, in a new order each epoch; otherwise the validation windows.
        first: Number of the trainer's first epoch.
    """

    def __init__(
        self, material: Material, config: TrainConfig, trainer: lightning.Trainer, *, learning: bool, first: int
    ) -> None:
        self._material, self._config, self._trainer = material, config, trainer
        self._learning, self._first = learning, first
        origins = material.train if learning else material.validation
        self._origins = torch.from_numpy(origins.astype(np.int64))

    def __len__(self) -> int:
        return -(-len(self._origins) // self._config.batch_windows)

    def __iter__(self) -> Iterator[tuple[Any, torch.Tensor]]:
        trainer, config, origins = self._trainer, self._config, self._origins
        epoch = self._first + trainer.current_epoch
        if self._learning:
            generator = torch.Generator().manual_seed(epoch_seed(config.seed, epoch))
            origins = origins[torch.randperm(len(origins), generator=generator)]
        inputs = self._material.inputs if self._learning else self._material.plain
        if numeric_alone(config, epoch):
            inputs = getattr(inputs, "numeric", inputs)
        for batch in torch.split(origins, config.batch_windows):
            whole = -(-len(batch) // trainer.world_size) * trainer.world_size
            own = batch[torch.arange(whole) % len(batch)][trainer.global_rank :: trainer.world_size]
            yield cut(inputs, self._material.truth, own, config)


class Training(lightning.LightningModule):
    """Loss and optimiser. Every epoch's randomness comes from the seed and the epoch's number.

    Args:
        config: Of the training.
        network: Learns.
        std: Of the channel.
        batches: Of an epoch.
        first: Number of the trainer's first epoch.
    """

    def __init__(self, config: TrainConfig, network: Network, std: float, batches: int, first: int = 0) -> None:
        super().__init__()
        self.config, self.network, self.std, self.batches, self.first = config, network, std, batches, first
        self._pruning: dict[str, Any] | None = None

    @property
    def learner(self) -> Network:
        """The network, or its numeric branch in the epochs when that learns alone."""
        alone = numeric_alone(self.config, self.first + self.current_epoch)
        return self.network if isinstance(self.network, NumericBranch) or not alone else self.network.numeric

    @property
    def adapted(self) -> HubBackbone | None:
        """The pretrained backbone, where the network has one."""
        backbone = getattr(self.network, "backbone", None)
        return backbone if isinstance(backbone, HubBackbone) else None

    def on_train_start(self) -> None:
        if self.adapted is not None and self._pruning is not None:
            self.adapted.resume_pruning(self._pruning)

    def on_train_epoch_start(self) -> None:
        torch.manual_seed(epoch_seed(self.config.seed, self.first + self.current_epoch, self.global_rank))

    def training_step(self, batch: tuple[Any, torch.Tensor], _: int) -> torch.Tensor:
        return self.learner.loss(*batch)

    def on_train_batch_end(self, *_: Any) -> None:
        if self.adapted is not None:
            self.adapted.allocate(self.global_step)

    def validation_step(self, batch: tuple[Any, torch.Tensor], _: int) -> None:
        error = (self.learner(batch[0])[..., MEDIAN] - batch[1]).abs() * self.std
        seen = torch.isfinite(error)
        mae = error[seen].mean() if seen.any() else error.new_zeros(())
        several = self.trainer.world_size > 1
        if several or seen.any():  # several devices meet here, each must come
            self.log(MONITOR, mae, batch_size=int(seen.sum()), prog_bar=True, sync_dist=several)

    def configure_optimizers(self) -> Any:
        config, network = self.config, self.network
        if isinstance(network, NumericBranch):
            return torch.optim.AdamW(self.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
        numeric = list(network.numeric.parameters())
        known = set(numeric)
        fused = [weight for weight in network.parameters() if weight.requires_grad and weight not in known]
        groups = [
            {"params": numeric, "lr": config.learning_rate},
            {"params": fused, "lr": config.fusion_learning_rate},
        ]
        optimizer = torch.optim.AdamW(groups, weight_decay=config.weight_decay)
        start = max(0, config.base_epochs - self.first) * self.batches
        steps = min(config.warm_up_steps, _WARM_UP_EPOCHS * self.batches)

        def warm_up(step: int) -> float:
            return min(1.0, (max(0, step - start) + 1) / (steps + 1))

        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": LambdaLR(optimizer, [lambda _: 1.0, warm_up]), "interval": "step"},
        }

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if self.adapted is not None:
            checkpoint["pruning"] = self.adapted.pruning()  # not part of the weights

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self._pruning = checkpoint.get("pruning")


class Patience(EarlyStopping):
    """Stops after so many epochs without a better validation error, and not before so many steps without one.

    Epochs in which the numeric branch learns alone do not count: what is to be chosen has not begun to learn.

    Args:
        config: Of the training.
        windows: That are learned from.
        first: Number of the trainer's first epoch.
    """

    def __init__(self, config: TrainConfig, windows: int, first: int = 0) -> None:
        batches = -(-windows // config.batch_windows)
        super().__init__(MONITOR, patience=max(config.patience, -(-_PATIENT_STEPS // batches)))
        self._config, self._first = config, first

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """See the base class."""
        if not numeric_alone(self._config, self._first + trainer.current_epoch):
            super().on_train_epoch_end(trainer, pl_module)


class Bar(RichProgressBar):
    """Shows the validation error in the unit of the data."""

    def __init__(self, unit: str) -> None:
        super().__init__(leave=False, console_kwargs={"stderr": True})
        self._unit = unit

    def get_metrics(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> dict[str, Any]:
        """See the base class."""
        shown: dict[str, Any] = dict(super().get_metrics(trainer, pl_module))
        mae = shown.pop(MONITOR, None)
        return shown if mae is None else {**shown, "val MAE": f"{mae:.3g} {self._unit}"}


def numeric_alone(config: TrainConfig, epoch: int) -> bool:
    """Whether only the numeric branch of an ST-VLM learns."""
    return epoch < config.base_epochs


def devices(config: TrainConfig) -> dict[str, Any]:
    """Which devices the trainer gets, how they work together, and in which precision.

    Raises:
        UsageError: there are fewer GPUs than are asked for.
    """
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    count = max(1, gpus) if config.devices == "auto" else config.devices
    if 0 < gpus < count:
        raise UsageError(f"{count} devices are asked for, and there are {gpus} GPUs.", f"Use --devices {gpus}.")
    several = DDPStrategy(start_method="spawn", find_unused_parameters=True)
    return {
        "accelerator": "gpu" if gpus else "cpu",
        "devices": count,
        "strategy": several if count > 1 else "auto",
        "precision": "bf16-mixed" if half_precision(config.network, gpus) else "32-true",
    }


def half_precision(network: NumericConfig | StVlmConfig, gpus: int) -> bool:
    """Whether it helps: an ST-VLM learns 1.5 times faster on a processor that multiplies bfloat16, its weights alike.

    A pretrained backbone does so on a GPU only.
    """
    if isinstance(network, NumericConfig):
        return False
    if gpus:
        return True
    return network.shape is not None and multiplies_bfloat16()


def multiplies_bfloat16() -> bool:
    """Whether this processor does so, at several times the speed of float32."""
    able = torch.cpu.get_capabilities()
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))


def epoch_seed(seed: int, epoch: int, rank: int = 0) -> int:
    """Of an epoch on a device."""
    return int(np.random.SeedSequence([abs(seed), epoch, *([rank] if rank else [])]).generate_state(1)[0])
