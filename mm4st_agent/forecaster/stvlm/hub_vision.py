"""The vision tower of a pretrained vision-language model, fed with pictures of floats."""

from __future__ import annotations

import os
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mm4st_agent.errors import DataError, UsageError
from mm4st_agent.forecaster.stvlm.config import Layout
from mm4st_agent.forecaster.stvlm.hub_layouts import Pretrained, load_vlm
from mm4st_agent.forecaster.stvlm.regions import Regions
from mm4st_agent.forecaster.stvlm.tokens import StBatch
from mm4st_agent.forecaster.stvlm.vision import PICTURE, picture

_TOWERS = ("idefics3", "smolvlm", "qwen2_5_vl")
_COLUMNS = 4
"""Vectors that a segment gets from the tower, before their mean is taken."""


class TowerVision(Pretrained):
    """The checkpoint's vision tower in place of `VisionEncoder`: one token a segment.

    A 1 x 1 convolution makes three colours of the five channels; all stays in floats, without bounds. The rows of a
    segment and all columns are resampled, by their means over pixels, to as many pixels as become a row of 4 vectors
    of the tower, the mean of which is projected to the token.

    Args:
        vlm: See `load_vlm`.
        regions: Of the network's nodes.
        width: Of the tokens.
        layout: 'strip' or 'dayfold'.

    Raises:
        DataError: the tower is of an unknown layout.
        UsageError: the layout is 'raster', whose rows are not of segments.
    """

    def __init__(self, vlm: Any, regions: Regions, width: int, layout: Layout = "strip") -> None:
        super().__init__()
        if layout == "raster":
            raise UsageError("The vision tower reads rows of nodes, which 'raster' has not.", "Use the layout 'strip'.")
        self.regions, self.layout = regions, layout
        self.tower = Tower(vlm)
        self.freeze(set(self.tower.parameters()))
        self.colours = nn.Conv2d(len(PICTURE), 3, 1)
        self.out = nn.Linear(self.tower.width, width)
        edges = np.searchsorted(regions.of_patch, np.arange(regions.segments + 1)) * regions.patch
        self.rows: torch.Tensor
        self.register_buffer("rows", torch.from_numpy(_resampling(edges, self.tower.cell)), persistent=False)

    @classmethod
    def load(cls, path: str | os.PathLike[str], regions: Regions, width: int, *, layout: Layout = "strip") -> Self:
        """Make it of a checkpoint's folder; see `load_vlm`."""
        return cls(load_vlm(path), regions, width, layout)

    def train(self, mode: bool = True) -> Self:
        """The tower stays in evaluation mode, without dropout."""
        super().train(mode)
        self.tower.eval()
        return self

    def forward(self, batch: StBatch) -> torch.Tensor:
        """`(B, M, width)`, a vision token a segment."""
        colours = self.colours(picture(batch, self.regions, self.layout))
        tokens: torch.Tensor = self.out(self.tower(self.pixels(colours)).mean(2))
        return tokens

    def pixels(self, colours: torch.Tensor) -> torch.Tensor:
        """`(B, 3, M * cell, 4 * cell)` from `(B, 3, rows, columns)`."""
        edges = np.linspace(0, colours.shape[-1], _COLUMNS + 1)
        columns = torch.from_numpy(_resampling(edges, self.tower.cell)).to(colours)
        return self.rows.to(colours) @ colours @ columns.T


class Tower(nn.Module):
    """The vision tower of a checkpoint, fed with floats of any height and width.

    Attributes:
        cell: Pixels of the side of what becomes one vector.
        width: Of the vectors.

    Raises:
        DataError: the layout is another than Idefics3, SmolVLM or Qwen2.5-VL.
    """

    def __init__(self, vlm: Any) -> None:
        super().__init__()
        kind = vlm.config.model_type
        if kind not in _TOWERS:
            raise DataError(f"The vision tower of a {kind!r} is unknown.", f"Known are {', '.join(_TOWERS)}.")
        config = vlm.config.vision_config
        self.merge = config.spatial_merge_size if kind == "qwen2_5_vl" else 1
        self.patch = config.patch_size
        self.cell: int = self.patch * self.merge
        self.width: int = config.out_hidden_size if kind == "qwen2_5_vl" else config.hidden_size
        self.repeats: int | None = config.temporal_patch_size if kind == "qwen2_5_vl" else None
        self.model = vlm.base_model.visual if kind == "qwen2_5_vl" else vlm.base_model.vision_model

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """`(B, rows, columns, width)` of pictures `(B, 3, rows * cell, columns * cell)`."""
        rows, columns = pixels.shape[-2] // self.cell, pixels.shape[-1] // self.cell
        if self.repeats is None:
            seen = self.model(pixel_values=pixels).last_hidden_state
        else:
            grid = torch.tensor([[1, rows * self.merge, columns * self.merge]], device=pixels.device)
            patches = merged_patches(pixels, self.patch, self.merge, self.repeats)
            seen = self.model(patches, grid_thw=grid.expand(len(pixels), -1)).pooler_output
        vectors: torch.Tensor = seen.reshape(len(pixels), rows, columns, -1)
        return vectors


def merged_patches(pixels: torch.Tensor, patch: int, merge: int, repeats: int) -> torch.Tensor:
    """Still pictures as the flat patches that Qwen2.5-VL reads.

    Args:
        pixels: `(B, C, H, W)`.
        patch: Pixels of the side of a patch.
        merge: Patches of the side of a block that becomes one token.
        repeats: Frames of a patch; a still picture fills them all.

    Returns:
        `(B * patches, C * repeats * patch * patch)`, block by block.
    """
    windows, channels, height, width = pixels.shape
    side = patch * merge
    blocks = pixels.reshape(windows, channels, height // side, merge, patch, width // side, merge, patch)
    flat = blocks.permute(0, 2, 5, 3, 6, 1, 4, 7)[:, :, :, :, :, :, None].expand(*[-1] * 6, repeats, -1, -1)
    return flat.reshape(-1, channels * repeats * patch * patch)


def _resampling(edges: NDArray[Any], pixels: int) -> NDArray[np.float32]:
    """Weights `(bands * pixels, rows)` of the mean over each pixel.

    Args:
        edges: `(bands + 1,)` where each band of rows begins, and where the last one ends; not decreasing, from 0.
        pixels: Into how many equal parts a band is cut.
    """
    cuts = np.interp(np.arange((len(edges) - 1) * pixels + 1) / pixels, np.arange(len(edges)), edges)
    row = np.arange(int(edges[-1]))
    covered = np.minimum(cuts[1:, None], row + 1) - np.maximum(cuts[:-1, None], row)
    return np.asarray(np.clip(covered, 0, None) / np.diff(cuts)[:, None], dtype=np.float32)
