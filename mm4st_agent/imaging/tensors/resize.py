"""From T steps to the rows or columns of a picture, with what of each rests on readings."""

from __future__ import annotations

import itertools
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray


def segment_means(series: torch.Tensor, size: int | None) -> tuple[torch.Tensor, torch.Tensor]:
    """Piecewise aggregate approximation: the mean of the readings in each of `size` segments.

    Where `size` is above T each step is repeated instead, as nearest neighbour.

    Args:
        series: `(B, T)` float32, NaN is missing.
        size: How many segments; None is T.

    Returns:
        `(B, size)` means, NaN where a segment has no reading, and `(B, size)` shares of readings, 0..1.

    Source:
        Keogh et al. (2001), doi:10.1007/PL00011669.
    """
    seen = ~series.isnan()
    length = series.shape[1]
    if size is None or size == length:
        return series, seen.to(series.dtype)
    if size > length:
        nearest = (torch.arange(size, device=series.device) * length) // size
        return series[:, nearest], seen[:, nearest].to(series.dtype)
    pool = pooling(length, size).to(series.device)
    complete = bool(seen.all())
    share = series.new_ones(len(series), size) if complete else seen.to(series.dtype) @ pool
    # Sums of values near zero lose less to float32: the segment means of x - c, with c added again.
    known = series.detach()
    centre = known.mean(dim=1, keepdim=True) if complete else known.nanmean(dim=1, keepdim=True).nan_to_num()
    if complete:
        return (series - centre) @ pool + centre, share
    total = torch.where(seen, series - centre, 0.0) @ pool
    means = torch.where(share > 0, total / share.clamp(min=1e-12) + centre, torch.nan)
    return means, share.clamp(max=1.0)


@lru_cache(maxsize=32)
def pooling(length: int, size: int) -> torch.Tensor:
    """`(T, size)` weights; each column takes the mean of its segment, segments differ by at most one step."""
    bounds = [segment * length // size for segment in range(size + 1)]
    weights = torch.zeros(length, size)
    for segment, (first, end) in enumerate(itertools.pairwise(bounds)):
        weights[first:end, segment] = 1 / (end - first)
    return weights


@lru_cache(maxsize=32)
def firsts(length: int, size: int) -> NDArray[np.int64]:
    """`(size + 1,)` first step of each segment and the end of the last; where steps are repeated, `(size,)` steps."""
    return np.arange(size + 1 if size <= length else size, dtype=np.int64) * length // size


def outer_mask(rows: torch.Tensor, columns: torch.Tensor, out: torch.Tensor) -> None:
    """Write `rows[i] * columns[j]` into `out`; 1 everywhere is written without the product.

    Args:
        rows: `(B, H)` shares, 0..1.
        columns: `(B, W)` shares, 0..1.
        out: `(B, H, W)`, overwritten.
    """
    if bool((rows == 1).all()) and bool((columns == 1).all()):
        out.fill_(1.0)
    else:
        torch.mul(rows[:, :, None], columns[:, None, :], out=out)
