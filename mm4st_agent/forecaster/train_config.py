"""How a network is trained; light to import."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from mm4st_agent.forecaster.config import NumericConfig
from mm4st_agent.forecaster.stvlm.config import StVlmConfig

BASE_EPOCHS = 8
"""`TrainConfig.base_epochs` of an ST-VLM that is trained for use."""


class TrainConfig(BaseModel):
    """How to train; the same data, channel and config continue an interrupted training."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    network: NumericConfig | StVlmConfig = NumericConfig()
    shares: tuple[float, float, float] = (0.7, 0.1, 0.2)
    """Of the time axis: training, validation, test, in this order."""
    shots: float = Field(1.0, gt=0, le=1)
    """Share of the training part that is seen, in one piece."""
    shots_from: Literal["first", "last"] = "last"
    """Which end of the training part that piece is."""
    batch_windows: int = Field(32, ge=1)
    """Windows a step, each with all nodes."""
    learning_rate: float = Field(1e-3, gt=0)
    fusion_learning_rate: float = Field(5e-4, gt=0)
    """Of all of ST-VLM but its numeric branch."""
    warm_up_steps: int = Field(200, ge=0)
    """Over so many steps, or two epochs if those are fewer, `fusion_learning_rate` grows from 0."""
    weight_decay: float = Field(1e-4, ge=0)
    averaging: float = Field(0.995, ge=0, lt=1)
    """Decay of the exponential moving average of the weights, a step; the average is what is kept."""
    patience: int = Field(8, ge=1)
    """Epochs without a better validation MAE before it stops."""
    max_epochs: int = Field(60, ge=1)
    base_epochs: int = Field(0, ge=0)
    """Of ST-VLM: in so many epochs the numeric branch learns alone, which is many times faster."""
    frozen_epochs: int = Field(2, ge=1)
    """Of a pretrained backbone: for so many epochs after those, the new modules learn before there are adapters."""
    max_minutes: float | None = Field(None, gt=0)
    """No epoch starts after this much training time, interruptions not counted; None: no limit."""
    devices: Annotated[int, Field(ge=1)] | Literal["auto"] = 1
    """GPUs where there are any, otherwise processes; the windows of a step are divided among them. 'auto': all GPUs."""
    seed: int = 0
