"""The one form of every picture for models: what goes in, what comes out, and what is lost on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import torch

from mm4st_agent.errors import DataError, UsageError

CHUNK = 32
"""Series that are encoded at a time: few enough for their pictures to stay in the processor's cache."""


class Encode(Protocol):
    """What draws series; see `Method.encode`."""

    def __call__(
        self, series: torch.Tensor, size: tuple[int, int] | None = None, *, out: torch.Tensor | None = None
    ) -> torch.Tensor: ...


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
            `out`, of at least B pictures, is overwritten and returned; without it (and where gradients are
            followed) memory is taken anew, which can cost more than the drawing.
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
    encode: Encode
    spatial: bool
    low: float
    high: float
    orientation: str
    loses: str
    differentiable: bool
    source: str
    decode: Callable[[torch.Tensor], torch.Tensor] | None = None


def encode_chunked(
    method: Method,
    series: torch.Tensor,
    size: tuple[int, int] | None = None,
    chunk: int = CHUNK,
    *,
    reuse: bool = False,
) -> Iterator[torch.Tensor]:
    """Encode `chunk` series at a time, for sets whose pictures do not fit into memory at once.

    Args:
        method: What draws them.
        series: `(B, T)`, or `(B, N, T)` for a spatial method, any unit, NaN is missing.
        size: (H, W); None is the natural size.
        chunk: How many at a time, at least 1.
        reuse: Whether all chunks are drawn into the same memory, several times as fast: what was yielded is
            overwritten by the next.

    Yields:
        `(up to chunk, C + 1, H, W)`, in the order of `series`.

    Raises:
        UsageError: `chunk` is below 1.
        DataError: `series` has the wrong number of dimensions or no element.
    """
    if chunk < 1:
        raise UsageError(f"Pictures cannot be drawn {chunk} at a time.", "Give a chunk of 1 or more.")
    _check_shape(series, 3 if method.spatial else 2)
    memory: torch.Tensor | None = None
    for part in torch.split(series, chunk):
        image = method.encode(part, size, out=memory)
        if reuse and memory is None and not image.requires_grad:
            memory = image
        yield image


def canvas(series: torch.Tensor, shape: tuple[int, ...], out: torch.Tensor | None) -> torch.Tensor:
    """The memory to draw into: the first pictures of `out`, or new memory of this shape.

    Raises:
        UsageError: `out` does not fit.
    """
    if out is None:
        return series.new_empty(shape)
    if out.shape[1:] != shape[1:] or len(out) < shape[0] or out.dtype != series.dtype or out.device != series.device:
        raise UsageError(
            f"Pictures {shape} do not fit into memory of {out.dtype} {tuple(out.shape)} on {out.device}.",
            f"Give {series.dtype} on {series.device} of that shape, or none.",
        )
    return out[: shape[0]]


def follows_gradients(series: torch.Tensor) -> bool:
    """Whether what is computed from `series` must be differentiable, and so cannot be written in place."""
    return torch.is_grad_enabled() and series.requires_grad


def checked(series: torch.Tensor, dimensions: int) -> torch.Tensor:
    """`series` as float32; infinite values count as missing (NaN).

    Raises:
        DataError: the wrong number of dimensions, or one of length 0.
    """
    _check_shape(series, dimensions)
    series = series.to(torch.float32)
    return torch.where(series.isfinite(), series, torch.nan)


def _check_shape(series: torch.Tensor, dimensions: int) -> None:
    if series.ndim != dimensions or 0 in series.shape:
        wanted = "(B, T)" if dimensions == 2 else "(B, N, T)"
        raise DataError(f"Series of shape {tuple(series.shape)} cannot be drawn.", f"Give {wanted}, none of them 0.")
