"""The recurrence plot: how far apart the levels of any two moments are."""

from __future__ import annotations

import torch

from mm4st_agent.imaging.tensors.method import Method, canvas, checked, follows_gradients
from mm4st_agent.imaging.tensors.resize import outer_mask, segment_means

_CHUNK = 8
"""Pictures at a time: few enough to stay in the processor's cache for the second pass over them."""


def recurrence(
    series: torch.Tensor, size: tuple[int, int] | None = None, *, out: torch.Tensor | None = None
) -> torch.Tensor:
    """Distance `|x_i - x_j|`, unthresholded, in the unit of the series.

    Args:
        series: `(B, T)`, any unit, NaN is missing.
        size: (H, W); None is (T, T). Longer series are reduced to segment means first.
        out: Memory to draw into.

    Returns:
        `(B, 2, H, W)`: distances, at least 0 and 0 throughout for a constant series, and the mask.

    Raises:
        DataError: `series` is not `(B, T)`, or is empty.

    Source:
        Eckmann, Kamphorst and Ruelle (1987), doi:10.1209/0295-5075/4/9/004.

    >>> recurrence(torch.tensor([[20.0, 60.0]]))[0, 0].tolist()
    [[0.0, 40.0], [40.0, 0.0]]
    """
    series = checked(series, 2)
    height, width = size or (series.shape[1],) * 2
    rows, row_share = segment_means(series, height)
    columns, share = (rows, row_share) if width == height else segment_means(series, width)
    if follows_gradients(series):
        mask = row_share[:, :, None] * share[:, None, :]
        distance = (rows.nan_to_num()[:, :, None] - columns.nan_to_num()[:, None, :]).abs()
        return torch.stack([distance.where(mask > 0, 0.0), mask], dim=1)
    image = canvas(series, (len(series), 2, height, width), out)
    complete = bool((row_share > 0).all()) and bool((share > 0).all())
    for part, i, j in zip(*(torch.split(whole, _CHUNK) for whole in (image, rows, columns)), strict=True):
        torch.sub(i[:, :, None], j[:, None, :], out=part[:, 0])
        part[:, 0].abs_()
        if not complete:
            part[:, 0].nan_to_num_(nan=0.0)
    outer_mask(row_share, share, image[:, 1])
    return image


RECURRENCE = Method(
    "rp", "recurrence plot", recurrence, spatial=False, low=0.0, high=float("inf"),
    orientation="rows and columns: time; row 0 and column 0 are the oldest step",
    loses="level and the sign of changes: x and c - x look the same", differentiable=True,
    source="Eckmann, Kamphorst and Ruelle (1987), doi:10.1209/0295-5075/4/9/004",
)  # fmt: skip
