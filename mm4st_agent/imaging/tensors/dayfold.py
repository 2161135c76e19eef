"""The day-fold strip: days x time of day for each node or cluster, stacked from top to bottom."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray

from mm4st_agent.errors import DataError, UsageError
from mm4st_agent.imaging.tensors.fold import image_of, readings_of
from mm4st_agent.imaging.tensors.method import Method, checked

STEPS_PER_DAY = 288


def dayfold(
    series: torch.Tensor,
    size: tuple[int, int] | None = None,
    steps_per_day: int = STEPS_PER_DAY,
    clusters: NDArray[np.intp] | None = None,
    *,
    out: torch.Tensor | None = None,
) -> torch.Tensor:
    """Fold every node's series by days, so that the same time of day stands in one column.

    The days end with the last step; the first day is filled up with missing steps.

    Args:
        series: `(B, N, T)`, any unit, NaN is missing.
        size: (H, W); None is (groups * days, steps_per_day).
        steps_per_day: Steps of a day; a series below one day is one row.
        clusters: `(N,)` number of each node's group, 0 .. K - 1; a group shows the mean of its nodes that were
            read. None draws each node.
        out: Memory to draw into.

    Returns:
        `(B, 2, H, W)`: readings in the unit of the series and the mask. Rows: groups, and in each its days, the
        oldest first.

    Raises:
        DataError: `series` is not `(B, N, T)` or is empty, or `clusters` do not fit it.
        UsageError: `steps_per_day` is below 1.
    """
    series = checked(series, 3)
    if steps_per_day < 1:
        raise UsageError(f"A day of {steps_per_day} steps cannot be drawn.", "Give at least 1, such as 288.")
    if clusters is not None:
        series = cluster_means(series, clusters)
    batch, groups, length = series.shape
    days = -(-length // steps_per_day)
    padded = torch.nn.functional.pad(series, (days * steps_per_day - length, 0), value=torch.nan)
    return image_of(padded.reshape(batch, groups * days, steps_per_day), size, out)


def undayfold(image: torch.Tensor, nodes: int = 1) -> torch.Tensor:
    """`(B, nodes, days * steps_per_day)` of a `dayfold` of natural size, NaN where missing, also before the first step.

    Raises:
        UsageError: the picture's rows are not whole days of so many nodes.
    """
    readings = readings_of(image)
    if nodes < 1 or readings.shape[1] % nodes:
        raise UsageError(f"{readings.shape[1]} rows are not the days of {nodes} nodes.", "Give the number of nodes.")
    return readings.reshape(len(readings), nodes, -1)


def cluster_means(series: torch.Tensor, clusters: NDArray[np.intp]) -> torch.Tensor:
    """`(B, K, T)` mean of the readings of each cluster, NaN where none of its nodes was read; linear in N.

    Args:
        series: `(B, N, T)`, NaN is missing.
        clusters: `(N,)` numbers 0 .. K - 1, each used.

    Raises:
        DataError: `clusters` do not fit.
    """
    clusters = np.asarray(clusters)
    if clusters.shape != (series.shape[1],) or not np.array_equal(np.unique(clusters), np.arange(clusters.max() + 1)):
        raise DataError(
            f"Clusters of shape {clusters.shape} do not number the groups of {series.shape[1]} nodes.",
            "Give each node one of 0 .. K - 1, and leave no number out.",
        )
    group = torch.as_tensor(clusters, device=series.device)
    seen = ~series.isnan()
    empty = series.new_zeros(len(series), int(clusters.max()) + 1, series.shape[2])
    total = empty.index_add(1, group, torch.where(seen, series, 0.0))
    count = empty.index_add(1, group, seen.to(series.dtype))
    return torch.where(count > 0, total / count.clamp(min=1), torch.nan)


DAYFOLD = Method(
    "dayfold", "day-fold strip", dayfold, spatial=True, low=-math.inf, high=math.inf,
    orientation="rows: nodes (or clusters), in each its days, the oldest on top; columns: time of day",
    loses="nothing at natural size; of a cluster, how its nodes differ", differentiable=True,
    source="van Wijk and van Selow (1999), doi:10.1109/INFVIS.1999.801851 (days as rows)", decode=undayfold,
)  # fmt: skip
