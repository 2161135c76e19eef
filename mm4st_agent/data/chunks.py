"""Time x node arrays as Zarr v3, written block by block: one row of chunks in memory, never the whole set.

A chunk suits both ways of reading: in a year of 5-minute readings at 8,600 nodes, one node's history touches 54
chunks and one time's map 129. All chunks of the same time steps lie in one file (a shard).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

NODE_CHUNK = 64
"""Nodes in one chunk, where there are as many."""
CHUNK_CELLS = 2**17
"""Cells in one chunk: 0.5 MiB as float32."""
ROW_BYTES = 64 * 2**20
"""The most that one row of chunks, over all nodes and arrays, holds in memory."""

Blocks = Iterable[tuple[int, Mapping[str, NDArray[np.generic]]]]
"""Pairs of the first time step and array name -> `(t, N)` values; increasing, without overlap."""


@dataclasses.dataclass(frozen=True, slots=True)
class ArraySpec:
    """One array of dims (time, node), before its values are known."""

    name: str
    dtype: np.dtype[Any]
    attributes: Mapping[str, Any]

    @property
    def fill(self) -> Any:
        """What a cell holds that no block names: missing, or not imputed."""
        return np.nan if self.dtype.kind == "f" else self.dtype.type(0)


def chunk_shape(steps: int, nodes: int, cell_bytes: int = 4) -> tuple[int, int]:
    """Time steps and nodes of one chunk.

    Args:
        steps: Length of the time axis, T.
        nodes: N.
        cell_bytes: Of one time step at one node, over all arrays that are written together.

    >>> chunk_shape(105_120, 8_600)
    (1950, 67)
    >>> chunk_shape(35_064, 12)
    (10922, 12)
    >>> chunk_shape(1_000, 1_000_000)
    (16, 8192)
    """
    width = max(1, min(nodes, NODE_CHUNK))
    rows = max(1, min(steps, CHUNK_CELLS // width, ROW_BYTES // (max(nodes, 1) * cell_bytes)))
    return rows, max(1, min(nodes, max(width, CHUNK_CELLS // rows)))


def write_arrays(
    path: Path,
    frame: xr.Dataset,
    nodes: int,
    specs: Iterable[ArraySpec],
    blocks: Blocks,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write a Zarr group that `xarray.open_zarr` reads.

    Args:
        path: Of the group; it must not exist.
        frame: Has the coordinate `time` of length T, and whatever else is small; its attributes become the group's.
        nodes: N.
        specs: The arrays of shape `(T, N)`.
        blocks: Their values. Arrays and time steps that no block names keep the spec's `fill`.
        progress: Called with the time steps that are on disk, and T.
    """
    import zarr  # a quarter of a second that reading a panel from memory need not wait for
    from zarr.codecs import BloscCodec

    specs = list(specs)
    steps = frame.sizes["time"]
    frame.to_zarr(path, mode="w-", consolidated=False, encoding={"time": {"chunks": (steps,)}})
    rows, width = chunk_shape(steps, nodes, sum(spec.dtype.itemsize for spec in specs))
    group = zarr.open_group(path, mode="r+")
    arrays = {
        spec.name: group.create_array(
            spec.name,
            shape=(steps, nodes),
            dtype=spec.dtype,
            chunks=(rows, width),
            shards=(rows, -(-nodes // width) * width) if nodes > width else None,
            compressors=BloscCodec(cname="zstd", clevel=3, shuffle="shuffle"),
            fill_value=spec.fill,
            attributes=dict(spec.attributes),
            dimension_names=("time", "node"),
        )
        for spec in specs
    }
    for first, row in _rows(blocks, specs, steps, nodes, rows):
        last = min(first + rows, steps)
        for name, values in row.items():
            arrays[name][first:last] = values[: last - first]
        if progress is not None:
            progress(last, steps)


def _rows(blocks: Blocks, specs: list[ArraySpec], steps: int, nodes: int, rows: int) -> Blocks:
    """The same values cut at multiples of `rows`; each pair reuses the memory of the one before."""
    row = {spec.name: np.empty((rows, nodes), dtype=spec.dtype) for spec in specs}
    current, done = -1, 0
    for first, block in blocks:
        length = len(next(iter(block.values())))
        assert done <= first <= first + length <= steps, "blocks follow one another inside the time axis"
        done = first + length
        at = first
        while at < done:
            if at // rows != current:
                if current >= 0:
                    yield current * rows, row
                current = at // rows
                for spec in specs:
                    row[spec.name][:] = spec.fill
            stop = min(done, (current + 1) * rows)
            for name, values in block.items():
                row[name][at - current * rows : stop - current * rows] = values[at - first : stop - first]
            at = stop
    if current >= 0:
        yield current * rows, row
