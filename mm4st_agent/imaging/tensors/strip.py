"""The ordered strip: a row a node, neighbours in neighbouring rows, time to the right; with an exact inverse."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray

from mm4st_agent.errors import DataError
from mm4st_agent.imaging.space_order import inverse
from mm4st_agent.imaging.tensors.fold import image_of, readings_of
from mm4st_agent.imaging.tensors.method import Method, checked


def strip(
    series: torch.Tensor,
    size: tuple[int, int] | None = None,
    order: NDArray[np.intp] | None = None,
    *,
    out: torch.Tensor | None = None,
) -> torch.Tensor:
    """Nodes as rows in the given order, time as columns; the unit of the series is kept.

    Args:
        series: `(B, N, T)`, any unit, NaN is missing.
        size: (H, W); None is (N, T). Smaller ones hold the means of their blocks.
        order: `(N,)`, the node of each row, from `mm4st_agent.imaging.space_order`; None is the node order.
        out: Memory to draw into.

    Returns:
        `(B, 2, H, W)`: readings and the mask.

    Raises:
        DataError: `series` is not `(B, N, T)` or is empty, or `order` is no permutation of the nodes.
    """
    series = checked(series, 3)
    if order is not None:
        _check(order, series.shape[1])
        series = series[:, torch.as_tensor(order, device=series.device)]
    return image_of(series, size, out)


def unstrip(image: torch.Tensor, order: NDArray[np.intp] | None = None) -> torch.Tensor:
    """`(B, N, T)` series in the node order of a `strip` of natural size, NaN where missing.

    Raises:
        DataError: `order` is no permutation of the rows.
    """
    readings = readings_of(image)
    if order is None:
        return readings
    return readings[:, torch.as_tensor(_check(order, readings.shape[1]), device=image.device)]


def _check(order: NDArray[np.intp], nodes: int) -> NDArray[np.intp]:
    """The row of each node."""
    if np.shape(order) != (nodes,):
        raise DataError(f"An order of shape {np.shape(order)} does not fit {nodes} nodes.", "Order them all, once.")
    return inverse(order)


STRIP = Method(
    "strip", "ordered node x time strip", strip, spatial=True, low=-math.inf, high=math.inf,
    orientation="rows: nodes in the given order; columns: time, column 0 is the oldest step",
    loses="nothing at natural size; neighbours that the order parts look unrelated", differentiable=True,
    source="Fiedler (1973), doi:10.21136/CMJ.1973.101168 (the order)", decode=unstrip,
)  # fmt: skip
