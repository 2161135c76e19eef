"""Gramian angular fields: a series as the cosines (or sines) of summed (or differing) angles."""

from __future__ import annotations

import torch

from mm4st_agent.imaging.tensors import kernels
from mm4st_agent.imaging.tensors.method import Method, canvas, checked, follows_gradients
from mm4st_agent.imaging.tensors.resize import segment_means

_SOURCE = "Wang and Oates (2015), arXiv:1506.00327"
_ORIENTATION = "rows and columns: time; row 0 and column 0 are the oldest step"
_Means = tuple[torch.Tensor, torch.Tensor]
"""`(B, size)` segment means, NaN where nothing was read, and shares of readings."""
_SMALLEST = 1e-12
"""Under the root of 1 - x^2: the gradient is 0, rather than infinite, at the series' extremes."""


def gasf(series: torch.Tensor, size: tuple[int, int] | None = None, *, out: torch.Tensor | None = None) -> torch.Tensor:
    """`cos(phi_i + phi_j)` with `cos(phi) = x` scaled to [-1, 1].

    The scaling takes level and scale away: `a*x + b` (a > 0) gives the same picture. A constant series is
    drawn as the middle of its range (x = 0), so all pixels are -1.

    Args:
        series: `(B, T)`, any unit, NaN is missing.
        size: (H, W); None is (T, T). Longer series are reduced to segment means first.
        out: Memory to draw into.

    Returns:
        `(B, 2, H, W)`: the field in [-1, 1] and the mask.

    Raises:
        DataError: `series` is not `(B, T)`, or is empty.

    Source:
        Wang and Oates (2015), arXiv:1506.00327, the summation field.

    >>> gasf(torch.tensor([[20.0, 60.0]]))[0, 0].round().tolist()
    [[1.0, -1.0], [-1.0, 1.0]]
    """
    return _field(series, size, out, difference=False)


def gadf(series: torch.Tensor, size: tuple[int, int] | None = None, *, out: torch.Tensor | None = None) -> torch.Tensor:
    """`sin(phi_i - phi_j)` with `cos(phi) = x` scaled to [-1, 1]; see `gasf`. A constant series gives 0.

    Args:
        series: `(B, T)`, any unit, NaN is missing.
        size: (H, W); None is (T, T).
        out: Memory to draw into.

    Returns:
        `(B, 2, H, W)`: the field in [-1, 1], antisymmetric where H = W, and the mask.

    Raises:
        DataError: `series` is not `(B, T)`, or is empty.

    Source:
        Wang and Oates (2015), arXiv:1506.00327, the difference field.
    """
    return _field(series, size, out, difference=True)


def _field(
    series: torch.Tensor, size: tuple[int, int] | None, out: torch.Tensor | None, *, difference: bool
) -> torch.Tensor:
    series = checked(series, 2)
    height, width = size or (series.shape[1],) * 2
    rows = segment_means(series, height)
    columns = rows if width == height else segment_means(series, width)
    if follows_gradients(series) or series.device.type != "cpu":
        return _by_torch(rows, columns, out, difference=difference)
    image = canvas(series, (len(series), 2, height, width), out)
    (row_means, row_share), (means, share) = ([part.numpy() for part in parts] for parts in (rows, columns))
    kernels.gramian(row_means, row_share, means, share, difference, image.numpy())
    return image


def _by_torch(rows: _Means, columns: _Means, out: torch.Tensor | None, *, difference: bool) -> torch.Tensor:
    (row_cos, row_sin), (cos, sin) = _polar(*rows), _polar(*columns)
    left = torch.stack((row_sin, -row_cos) if difference else (row_cos, -row_sin), dim=2)
    field = torch.bmm(left, torch.stack((cos, sin), dim=1))
    image = torch.stack([field, rows[1][:, :, None] * columns[1][:, None, :]], dim=1)
    return image if out is None else canvas(field, tuple(image.shape), out).copy_(image)


def _polar(means: torch.Tensor, share: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """`(B, size)` cosines and sines of the angles, both 0 where nothing was read."""
    low = means.nan_to_num(nan=torch.inf).amin(dim=1, keepdim=True)
    high = means.nan_to_num(nan=-torch.inf).amax(dim=1, keepdim=True)
    span = high - low
    seen = share > 0
    # A NaN would come back through the gradient of `span`, though `where` never shows it.
    filled = torch.where(seen, means, low)
    scaled = torch.where(span > 0, (filled - low) / span.where(span > 0, 1.0) * 2 - 1, 0.0)
    cosine = torch.where(seen, scaled, 0.0)
    sine = torch.where(seen, (1 - cosine * cosine).clamp(min=_SMALLEST).sqrt(), 0.0)
    return cosine, sine


GASF = Method(
    "gasf", "Gramian angular summation field", gasf, spatial=False, low=-1.0, high=1.0, orientation=_ORIENTATION,
    loses="level and scale; the direction of time is kept by the order only", differentiable=True, source=_SOURCE,
)  # fmt: skip
GADF = Method(
    "gadf", "Gramian angular difference field", gadf, spatial=False, low=-1.0, high=1.0, orientation=_ORIENTATION,
    loses="level and scale", differentiable=True, source=_SOURCE,
)  # fmt: skip
