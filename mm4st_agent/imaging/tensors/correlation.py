"""The dynamic correlation image: how the clusters of a network move together, window by window."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from mm4st_agent.errors import UsageError
from mm4st_agent.imaging.tensors.dayfold import STEPS_PER_DAY, cluster_means
from mm4st_agent.imaging.tensors.method import Method, canvas, checked, follows_gradients

CLUSTERS = 32
"""At most; the picture has one row and one column each."""
LEAST_STEPS = 3
"""Two common steps always correlate perfectly."""
_RESOLUTION = 1e-7
"""Of float32: what moves less, relative to its level, is constant."""


def correlation(
    series: torch.Tensor,
    size: tuple[int, int] | None = None,
    window: int = STEPS_PER_DAY,
    clusters: NDArray[np.intp] | None = None,
    *,
    steps_per_day: int = STEPS_PER_DAY,
    out: torch.Tensor | None = None,
) -> torch.Tensor:
    """Pearson's correlation between the mean series of any two clusters, in each window.

    Windows are laid from the last step backwards, without overlap; a series below one window gives one picture
    of all there is. A step counts for a pair where both were read; a pair with fewer than `LEAST_STEPS` such steps, or
    with a constant side, has mask 0. The cost is linear in N: only K means are correlated.

    Args:
        series: `(B, N, T)`, any unit, NaN is missing.
        size: (H, W); None is (K, K). Others take the nearest pair.
        window: In steps, at least a day: correlation over minutes is noise.
        clusters: `(N,)` number of each node's group, 0 .. K - 1, K at most 32; None takes runs of neighbouring
            nodes, so order the nodes first.
        steps_per_day: Steps of a day.
        out: Memory to draw into.

    Returns:
        `(B, windows + 1, H, W)`: correlations in [-1, 1], a channel a window, the oldest first, and the mask: the
        share of the steps that the pairs rest on.

    Raises:
        DataError: `series` is not `(B, N, T)` or is empty, or `clusters` do not fit it.
        UsageError: the window is below a day, or there are more than 32 clusters.

    Source:
        Pearson (1895), doi:10.1098/rspl.1895.0041.
    """
    series = checked(series, 3)
    nodes, length = series.shape[1:]
    if window < steps_per_day:
        raise UsageError(f"A window of {window} steps is below a day.", f"Give at least {steps_per_day} steps.")
    groups = runs(nodes) if clusters is None else np.asarray(clusters)
    if groups.size and groups.max() >= CLUSTERS:
        raise UsageError(
            f"{int(groups.max()) + 1} clusters are too many to draw.", f"Join them to {CLUSTERS} or fewer."
        )
    means = cluster_means(series, groups)
    window = min(window, length)
    windows = length // window
    parts = means[:, :, length - windows * window :]
    parts = parts.reshape(*means.shape[:2], windows, window).transpose(1, 2)
    value, share = _pairwise(parts)
    image = torch.cat([value, share.mean(dim=1, keepdim=True)], dim=1)
    if size is not None:
        have = image.shape[2]
        row, column = (torch.arange(to, device=image.device) * have // to for to in size)
        image = image[..., row[:, None], column]
    if out is None or follows_gradients(series):
        return image
    return canvas(series, tuple(image.shape), out).copy_(image)


def runs(nodes: int, clusters: int = CLUSTERS) -> NDArray[np.intp]:
    """`(N,)` cluster of each node: runs of neighbours in the node order, of equal length but for one node."""
    return np.arange(nodes, dtype=np.intp) * min(clusters, nodes) // nodes


def _pairwise(parts: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """`(B, V, K, W)` -> correlations and shares of common steps, both `(B, V, K, K)`; 0 where undefined."""
    seen = ~parts.isnan()
    # In double: moments about the mean of the common steps are differences of sums.
    read = torch.where(seen, parts, 0.0).double()
    weight = seen.double()
    centre = read.sum(dim=3, keepdim=True) / weight.sum(dim=3, keepdim=True).clamp(min=1)
    x = torch.where(seen, read - centre, 0.0)
    there = weight.transpose(2, 3)
    common = weight @ there
    count = common.clamp(min=1)
    mean = x @ there / count
    variance = (x * x) @ there / count - mean * mean
    covariance = x @ x.transpose(2, 3) / count - mean * mean.transpose(2, 3)
    moves = variance > (_RESOLUTION * centre).square()
    defined = (common >= LEAST_STEPS) & moves & moves.transpose(2, 3)
    spread = torch.where(defined, variance * variance.transpose(2, 3), 1.0).sqrt()
    value = torch.where(defined, covariance / spread, 0.0).clamp(-1, 1)
    return value.to(parts.dtype), torch.where(defined, common / parts.shape[3], 0.0).to(parts.dtype)


CORRELATION = Method(
    "correlation", "cluster-by-cluster dynamic correlation", correlation, spatial=True, low=-1.0, high=1.0,
    orientation="rows and columns: clusters in their order; channels: windows, the oldest first",
    loses="level, scale, time within a window, and the nodes of a cluster", differentiable=True,
    source="Pearson (1895), doi:10.1098/rspl.1895.0041",
)  # fmt: skip
