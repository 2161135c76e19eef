"""The shape of the numeric branch; light to import."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
"""Levels of every forecast, in this order."""
LOW, MEDIAN, HIGH = 0, 2, 4
"""Positions of the 80 % interval's ends and of the point forecast in `QUANTILES`."""
MODEL_NAME = "st-vlm-numeric"
"""Of the numeric branch alone."""


def usual_steps(step_s: int) -> int:
    """Steps of a history, and of a forecast, unless told otherwise: 24 where a step is an hour or longer, else 12."""
    return 24 if step_s >= 3600 else 12


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
