"""The shape of the numeric branch and how it is trained; light to import."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
"""Levels of every forecast, in this order."""
LOW, MEDIAN, HIGH = 0, 2, 4
"""Positions of the 80 % interval's ends and of the point forecast in `QUANTILES`."""
MODEL_NAME = "st-vlm-numeric"


class NumericConfig(BaseModel):
    """The shape of the network; a checkpoint rebuilds it from this."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    history: int = Field(12, ge=1, le=512)
    horizon: int = Field(12, ge=1, le=512)
    hidden: int = Field(96, ge=8, le=1024)
    blocks: int = Field(3, ge=1, le=12)
    identity: int = Field(16, ge=1, le=256)
    """Numbers that say which node it is."""
    eigenvectors: int = Field(16, ge=1, le=64)
    """Numbers that say where in the graph it is."""
    dropout: float = Field(0.3, ge=0, lt=1)


class TrainConfig(BaseModel):
    """How to train; the same data, channel and config continue an interrupted training."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    network: NumericConfig = NumericConfig()
    shares: tuple[float, float, float] = (0.7, 0.1, 0.2)
    """Of the time axis: training, validation, test, in this order."""
    batch_windows: int = Field(32, ge=1)
    """Windows a step, each with all nodes."""
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(1e-4, ge=0)
    averaging: float = Field(0.995, ge=0, lt=1)
    """Decay of the exponential moving average of the weights, a step; the average is what is kept."""
    patience: int = Field(8, ge=1)
    """Epochs without a better validation MAE before it stops."""
    max_epochs: int = Field(60, ge=1)
    max_minutes: float | None = Field(None, gt=0)
    """No epoch starts after this much training time, interruptions not counted; None: no limit."""
    seed: int = 0
