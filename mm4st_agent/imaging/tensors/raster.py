"""The geo-raster: nodes as pixels where they lie on the map, time as channels."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from mm4st_agent.errors import DataError, UsageError
from mm4st_agent.imaging.tensors.method import Method, canvas, checked, follows_gradients

SIZE = (32, 32)


@dataclass(frozen=True, slots=True)
class Grid:
    """Which pixel each node falls into.

    Attributes:
        size: (H, W).
        pixel: `(N,)` row * W + column; -1 for a node without a place.
        colliding: Nodes that share their pixel with another one.
        unplaced: Nodes without a place.
    """

    size: tuple[int, int]
    pixel: NDArray[np.intp]
    colliding: int
    unplaced: int


def grid_of(places: NDArray[np.floating], size: tuple[int, int] = SIZE) -> Grid:
    """Lay a grid over the nodes' bounding box: north is up, east is right, a metre is as long either way.

    Args:
        places: `(N, 2)` latitude and longitude in degrees; NaN is unknown.
        size: (H, W) in pixels.

    Raises:
        DataError: `places` is not `(N, 2)`, or is empty.
        UsageError: a side of the grid is below 1.
    """
    places = np.asarray(places, dtype=np.float64)
    if places.ndim != 2 or places.shape[1] != 2 or not len(places):
        raise DataError(f"Places of shape {places.shape} have no map.", "Give (N, 2) latitudes and longitudes.")
    height, width = size
    if min(size) < 1:
        raise UsageError(f"A grid of {height} x {width} has no pixel.", "Give at least 1 x 1.")
    known = np.isfinite(places).all(axis=1)
    pixel = np.full(len(places), -1, dtype=np.intp)
    if known.any():
        latitude, longitude = places[known].T
        north, east = latitude, longitude * math.cos(math.radians(float(latitude.mean())))
        north, east = north - (north.min() + north.max()) / 2, east - (east.min() + east.max()) / 2
        a_pixel = max(np.ptp(north) / height, np.ptp(east) / width) or 1.0
        row = np.clip(np.floor(height / 2 - north / a_pixel), 0, height - 1)
        column = np.clip(np.floor(width / 2 + east / a_pixel), 0, width - 1)
        pixel[known] = (row * width + column).astype(np.intp)
    crowd = np.bincount(pixel[known], minlength=height * width)
    return Grid((height, width), pixel, int(crowd[crowd > 1].sum()), int((~known).sum()))


def raster(
    series: torch.Tensor,
    size: tuple[int, int] | None = None,
    grid: Grid | None = None,
    steps: int | None = None,
    *,
    out: torch.Tensor | None = None,
) -> torch.Tensor:
    """Write each node into its pixel; a pixel of several nodes holds the mean of those that were read.

    Args:
        series: `(B, N, T)`, any unit, NaN is missing.
        size: (H, W); None is that of the grid. Others take the grid's nearest pixels.
        grid: From `grid_of`; None lays the nodes row by row on the smallest square, which shows no geometry.
        steps: Only the latest ones become channels; None is all T.
        out: Memory to draw into.

    Returns:
        `(B, steps + 1, H, W)`: the readings, a channel a step, the oldest first, in the unit of the series, and
        the mask: the share of its nodes' steps that were read, 0 for a pixel without a node.

    Raises:
        DataError: `series` is not `(B, N, T)` or is empty, or the grid is of other nodes.
        UsageError: `steps` is not within 1 .. T.
    """
    series = checked(series, 3)
    batch, nodes, length = series.shape
    if steps is not None and not 1 <= steps <= length:
        raise UsageError(f"{steps} of {length} steps cannot be drawn.", f"Choose 1 .. {length}.")
    grid = grid or _square(nodes)
    if len(grid.pixel) != nodes:
        raise DataError(f"The grid places {len(grid.pixel)} nodes, the series have {nodes}.", "Lay a grid of them.")
    series = series[:, :, length - (steps or length) :]
    channels = series.shape[2]
    height, width = grid.size
    placed = torch.as_tensor(np.flatnonzero(grid.pixel >= 0), device=series.device)
    pixel = torch.as_tensor(grid.pixel[grid.pixel >= 0], device=series.device)
    shown = series[:, placed]
    seen = ~shown.isnan()
    complete = bool(seen.all())
    crowd = torch.bincount(pixel, minlength=height * width).to(series.dtype)[:, None]
    # `index_add` sums nodes that share a pixel.
    empty = series.new_zeros(batch, height * width, channels)
    total = empty.index_add(1, pixel, shown if complete else torch.where(seen, shown, 0.0))
    count = crowd if complete else empty.index_add(1, pixel, seen.to(series.dtype))
    mean = (total / count.clamp(min=1)).transpose(1, 2).unflatten(2, grid.size)  # type: ignore[no-untyped-call]
    share = (crowd > 0).to(series.dtype) if complete else count.mean(dim=2, keepdim=True) / crowd.clamp(min=1)
    share = share.expand(batch, -1, -1).reshape(batch, 1, height, width)
    if size is not None and size != grid.size:
        row, column = (
            torch.arange(to, device=series.device) * have // to for to, have in zip(size, grid.size, strict=True)
        )
        mean, share = mean[..., row[:, None], column], share[..., row[:, None], column]
    if follows_gradients(series):
        return torch.cat([mean, share], dim=1)
    image = canvas(series, (batch, channels + 1, *mean.shape[2:]), out)
    image[:, :-1], image[:, -1:] = mean, share
    return image


def _square(nodes: int) -> Grid:
    side = math.ceil(math.sqrt(nodes))
    return Grid((side, side), np.arange(nodes, dtype=np.intp), 0, 0)


RASTER = Method(
    "raster", "geo-raster", raster, spatial=True, low=-math.inf, high=math.inf,
    orientation="rows: latitude, north on top; columns: longitude, west on the left; channels: time, oldest first",
    loses="which of the nodes of one pixel read what (they are averaged); distances below a pixel",
    differentiable=True, source="Zhang, Zheng and Qi (2017), arXiv:1610.00081 (grid maps of flows)",
)  # fmt: skip
