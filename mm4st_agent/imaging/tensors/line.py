"""A line plot as a tensor: the curve's trace in each column, anti-aliased."""

from __future__ import annotations

import torch

from mm4st_agent.imaging.tensors.method import Method, canvas, checked, follows_gradients

SIZE = (224, 224)
HALF_WIDTH = 1.0
"""Of the line, in pixels."""


def line(series: torch.Tensor, size: tuple[int, int] | None = None, *, out: torch.Tensor | None = None) -> torch.Tensor:
    """Draw each series between its own minimum (bottom) and maximum (top).

    A column shows what the curve covers between the halfway points to its neighbours, so no step falls between
    columns. Where readings are missing nothing is drawn and the mask is 0. A constant series runs in the middle.

    Args:
        series: `(B, T)`, any unit, NaN is missing.
        size: (H, W); None is 224 x 224.
        out: Memory to draw into.

    Returns:
        `(B, 2, H, W)`: ink in [0, 1] and the mask, which is the same down each column.

    Raises:
        DataError: `series` is not `(B, T)`, or is empty.

    Source:
        Ni et al. (2025), arXiv:2502.08869, section 3.1 (line plots).
    """
    series = checked(series, 2)
    height, width = size or SIZE
    low = series.nan_to_num(nan=torch.inf).amin(dim=1, keepdim=True)
    high = series.nan_to_num(nan=-torch.inf).amax(dim=1, keepdim=True)
    span = high - low
    seen = ~series.isnan()
    filled = torch.where(seen, series, low)
    share = torch.where(span > 0, (filled - low) / span.where(span > 0, 1.0), 0.5)
    inner = height - 1 - 2 * HALF_WIDTH
    level = torch.where(seen, HALF_WIDTH + (1 - share) * inner, torch.nan)
    top, bottom = _extent(level, width)
    drawn = ~top.isnan()
    top, bottom = (torch.where(drawn, edge, -9.0 * height)[:, None, :] for edge in (top, bottom))
    row = torch.arange(height, device=series.device, dtype=series.dtype)[None, :, None]
    if follows_gradients(series):
        ink = torch.minimum(row - top, bottom - row).add(HALF_WIDTH + 0.5).clamp(0, 1)
        return torch.stack([ink, drawn[:, None, :].expand(-1, height, -1).to(series.dtype)], dim=1)
    image = canvas(series, (len(series), 2, height, width), out)
    for picture, upper, lower in zip(image, top, bottom, strict=True):
        torch.sub(row[0], upper, out=picture[0])
        # The mask's memory holds the other distance until the mask is written.
        torch.sub(lower, row[0], out=picture[1])
        torch.minimum(*picture, out=picture[0]).add_(HALF_WIDTH + 0.5).clamp_(0, 1)
    image[:, 1] = drawn[:, None, :]
    return image


def _extent(level: torch.Tensor, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """`(B, W)` uppermost and lowermost row of the curve in each column, NaN where it has none."""
    length = level.shape[1]
    halfway = (level[:, 1:] + level[:, :-1]) / 2
    # Each step with the way to its neighbours; NaN where a neighbour is missing, which `fmin` passes over.
    before = torch.cat([level[:, :1], halfway], dim=1)
    after = torch.cat([halfway, level[:, -1:]], dim=1)
    upper = torch.fmin(torch.fmin(before, after), level).where(~level.isnan(), torch.nan)
    lower = torch.fmax(torch.fmax(before, after), level).where(~level.isnan(), torch.nan)
    first = torch.arange(width, device=level.device) * length // width
    end = torch.maximum((torch.arange(1, width + 1, device=level.device) * length + width - 1) // width, first + 1)
    top, bottom = upper[:, first], lower[:, first]
    for offset in range(1, int((end - first).max())):
        step = torch.minimum(first + offset, end - 1)
        top, bottom = torch.fmin(top, upper[:, step]), torch.fmax(bottom, lower[:, step])
    return top, bottom


LINE = Method(
    "line", "line plot", line, spatial=False, low=0.0, high=1.0,
    orientation="columns: time, column 0 is the oldest step; rows: level, the top row is the maximum",
    loses="level and scale; what is finer than a pixel", differentiable=True,
    source="Ni et al. (2025), arXiv:2502.08869",
)  # fmt: skip
