"""The shape of ST-VLM; light to import."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from mm4st_agent.forecaster.config import NumericConfig

MODEL_NAME = "st-vlm"

FusionName = Literal[
    "attention",
    "plain",
    "addition",
    "multiplication",
    "concatenation",
    "cross-attention",
    "gating",
    "graph",
    "contrastive",
]
"""'attention' is ST-VLM's; 'plain' is layer 0 as it is, the other ones change the tokens before it."""
Layout = Literal["strip", "raster", "dayfold"]
Order = Literal["fiedler", "hilbert", "kd", "given", "random"]


class BackboneConfig(BaseModel):
    """A transformer from scratch."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = Field(128, ge=16)
    layers: int = Field(3, ge=1)
    heads: int = Field(4, ge=1)
    dropout: float = Field(0.1, ge=0, lt=1)


BACKBONES = {"pico": BackboneConfig(), "nano": BackboneConfig(width=256, layers=10, heads=8)}
"""pico: at most 3 M parameters with everything around it; nano: about 10 M."""


class StVlmConfig(BaseModel):
    """The shape of the network; a checkpoint rebuilds it from this."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    numeric: NumericConfig = NumericConfig()
    backbone: str = "pico"
    """'pico', 'nano', or the path of a Hugging Face checkpoint of a vision-language model."""
    fusion: FusionName = "attention"
    layout: Layout = "strip"
    order: Order = "fiedler"
    patch: int = Field(8, ge=1)
    """Nodes of one patch; it spans the whole history."""
    segments: int = Field(64, ge=1)
    """At most so many vision tokens, and as many series tokens."""
    text_tokens: int = Field(96, ge=0, le=512)
    """At most so many in a prompt; later lines are left out whole. 0: no text."""
    vision: bool = True
    modality_dropout: float = Field(0.15, ge=0, lt=1)
    """Chance that a training window goes without its picture, and without its text."""

    @property
    def history(self) -> int:
        return self.numeric.history

    @property
    def horizon(self) -> int:
        return self.numeric.horizon

    @property
    def shape(self) -> BackboneConfig | None:
        """Of a backbone from scratch; None where a checkpoint gives it."""
        return BACKBONES.get(self.backbone)
