"""The shape of ST-VLM; light to import."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

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
RankRule = Literal["adaptive", "uniform", "random", "adalora", "none"]
"""How much rank each adapter of a pretrained backbone gets; all but 'none' have as many parameters as 'adaptive'."""

Vision = Literal["patches", "tower", "nodes", "none"]
"""An encoder from scratch, the vision tower of a pretrained backbone, the control `NodePixels`, or no picture."""
Told = Literal["prompt", "other", "constant", "numbers"]
"""The prompt of the window, or a control: that of another window, of always the same one, its facts as numbers."""
Shown = Literal["own", "other", "blank"]
"""The picture of the window, or a control: that of another window, or nothing measured."""


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
    told: Told = "prompt"
    vision: Vision = "patches"
    shown: Shown = "own"
    layers: int | None = Field(None, ge=1)
    """Of a pretrained language model, the first so many; None is all."""
    ranks: RankRule = "adaptive"
    """Of the adapters of a pretrained backbone."""
    rank_budget: float = Field(256, gt=0)
    """Sum of the ranks at 10,000 training windows, see `adaptive.adaptive_ranks`."""
    modality_dropout: float = Field(0.15, ge=0, lt=1)
    """Chance that a training window goes without its picture, and without its text."""

    @property
    def history(self) -> int:
        return self.numeric.history

    @property
    def horizon(self) -> int:
        return self.numeric.horizon

    @model_validator(mode="after")
    def _fits_the_backbone(self) -> Self:
        if self.shape is not None and self.vision == "tower":
            raise ValueError(f"the backbone {self.backbone!r} has no vision tower; use vision 'patches'")
        if (self.vision == "nodes" and self.layout != "strip") or (self.shown != "own" and self.layout == "dayfold"):
            raise ValueError(f"the controls of the picture have no layout {self.layout!r}; use layout 'strip'")
        if self.shape is not None and self.layers is not None:
            raise ValueError(f"the layers of {self.backbone!r} are fixed; leave 'layers' out")
        return self

    @property
    def shape(self) -> BackboneConfig | None:
        """Of a backbone from scratch; None where a checkpoint gives it."""
        return BACKBONES.get(self.backbone)
