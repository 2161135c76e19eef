"""The picture of a window, in floats, and the vision tokens that a windowed transformer reads from it."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from mm4st_agent.errors import UsageError
from mm4st_agent.forecaster.stvlm.config import Layout
from mm4st_agent.forecaster.stvlm.regions import Positions, Regions
from mm4st_agent.forecaster.stvlm.series import SegmentPool
from mm4st_agent.forecaster.stvlm.tokens import StBatch
from mm4st_agent.imaging.space_order import hilbert_order, inverse
from mm4st_agent.imaging.tensors.raster import Grid, raster

PICTURE = ("value", "change", "contrast", "deviation", "measured")
"""Channels of a picture: scaled reading, reading minus the one before, deviation minus that of the measured
neighbours in the graph, deviation from the profile, 1 if measured. The first four are 0 where a reading that
they need is missing."""
EARLIER_DAYS = 7
"""A day-fold picture shows so many unless told otherwise: a week holds the same weekday."""
_SIDE = 4
"""Pixels of the side of a raster's patch."""


def picture(batch: StBatch, regions: Regions, layout: Layout, grid: Grid | None = None) -> torch.Tensor:
    """Draw the windows of a batch.

    Args:
        batch: The history, and for 'dayfold' the earlier days, missing cells marked by `measured` 0.
        regions: The order of the rows.
        layout: How the nodes and steps are laid out.
        grid: Pixels of the nodes; for 'raster'.

    Returns:
        `(B, C, rows, columns)` floats, scaled as the history is, 0 where missing.
        'strip': C as in `PICTURE`; rows are nodes in the order of `regions`, filled up to whole patches with missing
        ones; columns are the steps of the history, the oldest first.
        'dayfold': the strip, and to its left, with a column a step, the earlier days, the oldest first, each with
        the steps of its history and then of its horizon. No difference in time is taken between two days.
        'raster': C = 5 * history, for each of `PICTURE` a channel a step, the oldest first; north is up. A pixel
        holds the mean over its nodes that have the channel's reading; `measured` is their share.

    Raises:
        UsageError: the batch lacks the earlier days, or there is no grid, where the layout needs them.
    """
    history = batch.numeric.history
    if layout == "strip":
        return _strip(history, regions)
    if layout == "dayfold":
        if batch.days is None:
            raise UsageError("The layout 'dayfold' needs earlier days, and the windows have none.", "Use 'strip'.")
        days = [_strip(day, regions) for day in batch.days.flip(1).unbind(1)]
        return torch.cat([*days, _strip(history, regions)], dim=-1)
    if grid is None:
        raise UsageError("The layout 'raster' needs a grid, and none is given.", "Lay one, or use 'strip'.")
    channels, known = _channels(history)
    windows, _, _, steps = channels.shape
    pixels = raster(torch.where(known, channels, torch.nan).flatten(0, 1), grid=grid)[:, :steps]
    return pixels.reshape(windows, -1, *grid.size)


class VisionEncoder(nn.Module):
    """Picture -> patches of floats -> transformer in windows of patches -> one token a segment.

    A patch of a strip is `regions.patch` nodes times all columns; one of a raster is 4 x 4 pixels times all steps,
    and those without a node are left out. Patches follow each other in the order of the regions, or along a
    Hilbert curve over the raster. Attention stays within windows of consecutive patches, which every second layer
    shifts by half, so the cost is linear in the nodes. A segment reads the patches that hold its nodes.

    Source:
        Dosovitskiy et al. (2021), arXiv:2010.11929 (patches as tokens); Liu et al. (2021), arXiv:2103.14030
        (shifted windows).
    """

    def __init__(
        self,
        regions: Regions,
        width: int,
        *,
        history: int,
        horizon: int,
        layout: Layout,
        layers: int = 2,
        window: int = 8,
        grid: Grid | None = None,
        days: int = EARLIER_DAYS,
        heads: int = 4,
        dropout: float = 0.1,
    ) -> None:
        """Build the encoder for windows of `history` steps and, for 'dayfold', so many earlier `days`.

        Raises:
            UsageError: the layout is 'raster' and no node has a pixel.
        """
        super().__init__()
        self.regions, self.layout, self.grid, self.window = regions, layout, grid, window
        if layout == "raster":
            if grid is None or not (grid.pixel >= 0).any():
                raise UsageError("The layout 'raster' needs coordinates, and no node has any.", "Use 'strip'.")
            self.size, pixels, channels = (_SIDE, _SIDE), _SIDE**2, len(PICTURE) * history
            shown, segment, patch = _raster_patches(grid, regions)
        else:
            columns = history + (days * (history + horizon) if layout == "dayfold" else 0)
            self.size, pixels, channels = (regions.patch, columns), regions.patch * columns, len(PICTURE)
            shown = patch = np.arange(len(regions.of_patch))
            segment = regions.of_patch
        self.shown: torch.Tensor
        self.register_buffer("shown", torch.from_numpy(shown), persistent=False)
        # Half the width, as in the text branch: a quarter of the cost, and the patches grow with the nodes.
        inner = heads * max(4, width // (2 * heads))
        self.embed = nn.Linear(channels * pixels, inner)
        self.position = nn.Parameter(0.02 * torch.randn(len(shown), inner))
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                inner, heads, 2 * inner, dropout, functional.gelu, batch_first=True, norm_first=True
            )
            for _ in range(layers)
        )
        self.pool = SegmentPool(segment, patch, regions.segments, inner, width)

    def forward(self, batch: StBatch) -> torch.Tensor:
        """`(B, M, width)`, a vision token a segment.

        Raises:
            UsageError: the earlier days of the batch are not as many as those of the encoder.
        """
        image = picture(batch, self.regions, self.layout, self.grid)
        if self.layout != "raster" and image.shape[-1] != self.size[1]:
            raise UsageError(
                f"A picture of {image.shape[-1]} columns does not fit an encoder of {self.size[1]}.",
                "Give the encoder the history, horizon and number of earlier days of the windows.",
            )
        x = self.embed(_patches(image, self.size)[:, self.shown]) + self.position
        for depth, layer in enumerate(self.layers):
            x = self._in_windows(layer, x, depth % 2 * (self.window // 2))
        tokens: torch.Tensor = self.pool(x)
        return tokens

    def _in_windows(self, layer: nn.Module, x: torch.Tensor, shift: int) -> torch.Tensor:
        """Apply `layer` `(B, P, d)` within windows, the first of which begins `shift` patches before the first."""
        patches = x.shape[1]
        after = -(patches + shift) % self.window
        padding = torch.ones(shift + patches + after, dtype=torch.bool, device=x.device)
        padding[shift : shift + patches] = False
        windows = functional.pad(x, (0, 0, shift, after)).reshape(-1, self.window, x.shape[2])
        masks = padding.reshape(-1, self.window).repeat(len(x), 1)
        seen: torch.Tensor = layer(windows, src_key_padding_mask=masks)
        return seen.reshape(len(x), len(padding), -1)[:, shift : shift + patches]


def _channels(history: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """`(B, 5, N, T)` see `PICTURE`, and where each is known, from `(B, T, N, 4)`, see `inputs.CHANNELS`."""
    value, measured, deviation, neighbours = history.permute(3, 0, 2, 1).unbind()
    seen = measured > 0
    before = functional.pad(seen, (1, -1))
    change = value - functional.pad(value, (1, -1))
    # A mean of exactly 0 says that no neighbour was measured.
    known = torch.stack([seen, seen & before, seen & (neighbours != 0), seen, torch.ones_like(seen)], dim=1)
    channels = torch.stack([value, change, deviation - neighbours, deviation, measured], dim=1)
    return torch.where(known, channels, 0.0), known


def _strip(history: torch.Tensor, regions: Regions) -> torch.Tensor:
    """`(B, 5, rows, T)` from `(B, T, N, 4)`."""
    order = torch.as_tensor(regions.order, device=history.device)
    missing = -len(order) % regions.patch
    return functional.pad(_channels(history)[0][:, :, order], (0, 0, 0, missing))


def _patches(image: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """`(B, patches, C * height * width)` row by row; what the last ones lack is 0."""
    height, width = size
    image = functional.pad(image, (0, -image.shape[3] % width, 0, -image.shape[2] % height))
    windows, channels, rows, columns = image.shape
    blocks = image.reshape(windows, channels, rows // height, height, columns // width, width)
    return blocks.permute(0, 2, 4, 1, 3, 5).reshape(windows, -1, channels * height * width)


def _raster_patches(grid: Grid, regions: Regions) -> tuple[Positions, Positions, Positions]:
    """Patches that hold a node, along a Hilbert curve; then segment and (position of the) patch, for each pair."""
    across = -(-grid.size[1] // _SIDE)
    placed = np.flatnonzero(grid.pixel >= 0)
    row, column = np.divmod(grid.pixel[placed], grid.size[1])
    held, patch = np.unique(row // _SIDE * across + column // _SIDE, return_inverse=True)
    curve = hilbert_order(np.stack(np.divmod(held, across), axis=1).astype(np.float64))
    pairs = np.unique(np.stack([regions.of_node[placed], inverse(curve)[patch]], axis=1), axis=0)
    return held[curve], pairs[:, 0], pairs[:, 1]
