"""The Markov transition field: how likely the level of one moment is followed by that of another."""

from __future__ import annotations

import numpy as np
import torch

from mm4st_agent.imaging.tensors import kernels
from mm4st_agent.imaging.tensors.method import Method, canvas, checked
from mm4st_agent.imaging.tensors.resize import firsts, outer_mask, pooling

BINS = 8
"""Levels: quantile bins of the series itself."""


def mtf(
    series: torch.Tensor, size: tuple[int, int] | None = None, bins: int = BINS, *, out: torch.Tensor | None = None
) -> torch.Tensor:
    """Probability of the one-step transition from the level at the row's time to that at the column's.

    Levels are quantile bins; transitions over a missing step are not counted, and a level that is never left
    has probability 0 throughout. Where the size is below T, a pixel is the mean of its block of the field.

    Args:
        series: `(B, T)`, any unit, NaN is missing.
        size: (H, W), at most T each to stay exact; above T steps are repeated. None is (T, T).
        bins: Number of levels, at least 2.
        out: Memory to draw into.

    Returns:
        `(B, 2, H, W)`: probabilities in [0, 1] and the mask.

    Raises:
        DataError: `series` is not `(B, T)`, or is empty.

    Source:
        Wang and Oates (2015), arXiv:1506.00327, section 2.2.
    """
    series = checked(series, 2).detach()
    batch, length = series.shape
    height, width = size or (length, length)
    image = canvas(series, (batch, 2, height, width), out)
    if series.device.type != "cpu":
        return _by_torch(series, bins, image)
    values = series.numpy()
    kernels.markov(values, np.sort(values, axis=1), bins, firsts(length, height), firsts(length, width), image.numpy())
    return image


def _by_torch(series: torch.Tensor, bins: int, image: torch.Tensor) -> torch.Tensor:
    """The same as `kernels.markov`, on any device."""
    seen = ~series.isnan()
    height, width = image.shape[2:]
    inner = torch.linspace(0, 1, bins + 1, device=series.device)[1:-1]
    # Equal edges leave levels between them empty, which changes no probability.
    edges = torch.nanquantile(series, inner, dim=1).T.contiguous().nan_to_num()
    level = torch.searchsorted(edges, series.nan_to_num().contiguous(), right=True)
    member = torch.nn.functional.one_hot(level, bins).to(series.dtype) * seen[:, :, None]
    transitions = torch.bmm(member[:, :-1].transpose(1, 2), member[:, 1:])
    leaving = transitions.sum(dim=2, keepdim=True)
    probability = transitions / leaving.where(leaving > 0, 1.0)
    rows, row_share = _pooled(member, seen, height)
    columns, share = _pooled(member, seen, width)
    image[:, 0] = torch.bmm(torch.bmm(rows, probability), columns.transpose(1, 2))
    outer_mask(row_share, share, image[:, 1])
    return image


def _pooled(member: torch.Tensor, seen: torch.Tensor, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """`(B, size, bins)` mean membership of the readings of each segment, and `(B, size)` shares of readings."""
    length = member.shape[1]
    if size == length:
        return member, seen.to(member.dtype)
    if size > length:
        nearest = (torch.arange(size, device=member.device) * length) // size
        return member[:, nearest], seen[:, nearest].to(member.dtype)
    pool = pooling(length, size).to(member.device)
    share = seen.to(member.dtype) @ pool
    total = torch.einsum("btq,ts->bsq", member, pool)
    return total / share.clamp(min=1e-12)[:, :, None], share.clamp(max=1.0)


MTF = Method(
    "mtf", "Markov transition field", mtf, spatial=False, low=0.0, high=1.0,
    orientation="rows: the time that a transition leaves from, columns: the time it leads to; 0 is the oldest step",
    loses="level, scale and most of the order of the steps: only which levels follow each other is kept",
    differentiable=False, source="Wang and Oates (2015), arXiv:1506.00327",
)  # fmt: skip
