"""The one form of every picture for models: what goes in, what comes out, and what is lost on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from mm4st_agent.errors import DataError

CHUNK = 64
"""Series that are encoded at a time: what an encoder needs beside its result is bounded by this."""


@dataclass(frozen=True, slots=True)
class Method:
    """One way to see series as a picture.

    Attributes:
        name: Such as 'gasf'; what `render_series` and the benchmark call it.
        title: Such as 'Gramian angular summation field'.
        encode: `(series, size) -> (B, C + 1, H, W)` float32. The last channel is the mask: the share of the pixel
            that rests on readings, 0..1. Other channels are 0 where the mask is 0.
            `series` is `(B, T)` float32 for a method of one series (each a picture), `(B, N, T)` for one of many
            (all N in a picture), any unit, NaN is missing. `size` is (H, W), or None for the natural size.
        spatial: Whether `encode` takes `(B, N, T)`.
        low, high: Range of the pixels of the non-mask channels; infinite where it is not bounded.
        orientation: Where time and frequency run, such as 'rows and columns: time, row 0 is the oldest step'.
        loses: What cannot be told from the picture, such as 'level and scale'.
        differentiable: Whether gradients reach `series` almost everywhere.
        decode: The exact inverse of `encode` at natural size, where there is one: picture -> series.
        source: The publication of the method.
    """

    name: str
    title: str
    encode: Callable[[torch.Tensor, tuple[int, int] | None], torch.Tensor]
    spatial: bool
    low: float
    high: float
    orientation: str
    loses: str
    differentiable: bool
    source: str
    decode: Callable[[torch.Tensor], torch.Tensor] | None = None


def encode_chunked(
    method: Method, series: torch.Tensor, size: tuple[int, int] | None = None, chunk: int = CHUNK
) -> Iterator[torch.Tensor]:
    """Encode `chunk` series at a time, for sets whose pictures do not fit into memory at once.

    Yields:
        `(up to chunk, C + 1, H, W)`, in the order of `series`.

    Raises:
        DataError: `series` has the wrong number of dimensions or no element.
    """
    for part in torch.split(checked(series, 3 if method.spatial else 2), chunk):
        yield method.encode(part, size)


def checked(series: torch.Tensor, dimensions: int) -> torch.Tensor:
    """`series` as float32; infinite values count as missing (NaN).

    Raises:
        DataError: the wrong number of dimensions, or one of length 0.
    """
    if series.ndim != dimensions or 0 in series.shape:
        wanted = "(B, T)" if dimensions == 2 else "(B, N, T)"
        raise DataError(f"Series of shape {tuple(series.shape)} cannot be drawn.", f"Give {wanted}, none of them 0.")
    return torch.where(series.isfinite(), series, torch.nan).to(torch.float32)
