"""The univariate heatmap (a series folded by its period) and the multivariate one (a row a node), with inverses."""

from __future__ import annotations

import math

import torch

from mm4st_agent.imaging.tensors import kernels
from mm4st_agent.imaging.tensors.method import Method, canvas, checked, follows_gradients
from mm4st_agent.imaging.tensors.resize import firsts, pooling

_SOURCE = "Ni et al. (2025), arXiv:2502.08869, section 3.1 (heatmaps)"


def uvh(
    series: torch.Tensor,
    size: tuple[int, int] | None = None,
    period: int | None = None,
    *,
    out: torch.Tensor | None = None,
) -> torch.Tensor:
    """Fold each series: a row a period, the oldest first; the unit of the series is kept.

    Args:
        series: `(B, T)`, any unit, NaN is missing.
        size: (H, W); None is (ceil(T / period), period).
        period: In steps; None takes sqrt(T), rounded up: find it with `mm4st_agent.patterns.period` first.
        out: Memory to draw into.

    Returns:
        `(B, 2, H, W)`: readings and the mask. The last row is filled up with missing steps.

    Raises:
        DataError: `series` is not `(B, T)`, or is empty.
    """
    series = checked(series, 2)
    batch, length = series.shape
    period = period or math.ceil(math.sqrt(length))
    rows = -(-length // period)
    padded = torch.nn.functional.pad(series, (0, rows * period - length), value=torch.nan)
    return image_of(padded.reshape(batch, rows, period), size, out)


def unfold(image: torch.Tensor) -> torch.Tensor:
    """The series of a `uvh` of natural size: `(B, rows * period)`, NaN where missing, also after the last step."""
    return readings_of(image).flatten(1)


def mvh(series: torch.Tensor, size: tuple[int, int] | None = None, *, out: torch.Tensor | None = None) -> torch.Tensor:
    """A row a node, a column a step; the unit of the series is kept.

    Args:
        series: `(B, N, T)`, any unit, NaN is missing.
        size: (H, W); None is (N, T).
        out: Memory to draw into.

    Returns:
        `(B, 2, H, W)`: readings and the mask.

    Raises:
        DataError: `series` is not `(B, N, T)`, or is empty.
    """
    return image_of(checked(series, 3), size, out)


def readings_of(image: torch.Tensor) -> torch.Tensor:
    """`(B, H, W)` readings of an image of natural size, NaN where its mask is 0."""
    return torch.where(image[:, 1] > 0, image[:, 0], torch.nan)


def image_of(grid: torch.Tensor, size: tuple[int, int] | None, out: torch.Tensor | None = None) -> torch.Tensor:
    """`(B, H, W)` readings with NaN as `(B, 2, H, W)`; where `size` is smaller, means of the readings of each block."""
    if not follows_gradients(grid) and grid.device.type == "cpu":
        height, width = size or grid.shape[1:]
        image = canvas(grid, (len(grid), 2, height, width), out)
        firsts_of = firsts(grid.shape[1], height), firsts(grid.shape[2], width)
        kernels.blocks(grid.numpy(), *firsts_of, image.numpy())
        return image
    image = _by_torch(grid, size)
    return image if out is None or image.requires_grad else canvas(grid, tuple(image.shape), out).copy_(image)


def _by_torch(grid: torch.Tensor, size: tuple[int, int] | None) -> torch.Tensor:
    """The same as `kernels.blocks`, on any device and differentiable."""
    seen = ~grid.isnan()
    complete = bool(seen.all())
    filled = grid if complete else torch.where(seen, grid, 0.0)
    share = grid.new_ones(()).expand(len(grid), *(size or grid.shape[1:])) if complete else seen.to(grid.dtype)
    if size is not None and size != tuple(grid.shape[1:]):
        filled = _resized(filled, size)
        if not complete:
            share = _resized(share, size)
            filled = torch.where(share > 0, filled / share.clamp(min=1e-12), 0.0)
            share = share.clamp(max=1.0)
    return torch.stack([filled, share], dim=1)


def _resized(grid: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Block means along an axis that shrinks, nearest neighbour along one that grows."""
    height, width = grid.shape[1:]
    if size[0] < height:
        row = torch.arange(height, device=grid.device)
        # The segments of `pooling`: row r lies in the last one that begins at or before it.
        segment = ((row + 1) * size[0] - 1) // height
        total = grid.new_zeros(len(grid), size[0], width).index_add(1, segment, grid)
        grid = total / torch.bincount(segment, minlength=size[0]).to(grid.dtype)[:, None]
    if size[1] < width:
        grid = grid @ pooling(width, size[1]).to(grid.device)
    # What grows comes last, rows after columns: whole rows are copied faster than single pixels.
    for axis, target in ((2, size[1]), (1, size[0])):
        if target > grid.shape[axis]:
            grid = grid.index_select(axis, (torch.arange(target, device=grid.device) * grid.shape[axis]) // target)
    return grid


UVH = Method(
    "uvh", "univariate heatmap", uvh, spatial=False, low=-math.inf, high=math.inf,
    orientation="rows: periods, row 0 is the oldest; columns: steps within the period",
    loses="nothing at natural size", differentiable=True, source=_SOURCE, decode=unfold,
)  # fmt: skip
MVH = Method(
    "mvh", "multivariate heatmap", mvh, spatial=True, low=-math.inf, high=math.inf,
    orientation="rows: nodes in the order given; columns: time, column 0 is the oldest step",
    loses="nothing at natural size; where nodes lie", differentiable=True, source=_SOURCE, decode=readings_of,
)  # fmt: skip
