"""The bytes of `.npy` and `.npz`: headers first, then blocks of rows; nothing is ever unpickled."""

from __future__ import annotations

import tokenize
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from mm4st_agent.data.importing.safety import BROKEN, MAX_WHOLE_BYTES, check_archive, reason
from mm4st_agent.errors import DataError

Array = NDArray[Any]


@dataclass(frozen=True)
class Stored:
    """An array on disk; `rows(n)` yields it n rows at a time, `whole()` at once."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    rows: Callable[[int], Iterator[Array]]

    def whole(self) -> Array:
        parts = list(self.rows(max(1, self.shape[0])))
        return np.concatenate(parts) if parts else np.empty(self.shape, self.dtype)


def stored_arrays(path: Path) -> list[Stored]:
    """Every array of the file; only headers are read.

    Raises:
        DataError: the file is damaged, or an array in Fortran order is too large to turn.
    """
    try:
        if zipfile.is_zipfile(path):
            check_archive(path)
            with zipfile.ZipFile(path) as archive:
                return [_member(path, archive, info) for info in archive.infolist() if info.filename.endswith(".npy")]
        with path.open("rb") as file:
            shape, _, dtype = _header(file)
        if dtype.hasobject:
            return [Stored(path.stem, shape, dtype, partial(memmap_rows, path, shape))]
        np.load(path, mmap_mode="r", allow_pickle=False)
        return [Stored(path.stem, shape, dtype, partial(_npy_rows, path))]
    except (*BROKEN, ValueError, RuntimeError) as err:
        raise DataError(f"{path} is not a readable NumPy file: {reason(err)}.") from err


def _member(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Stored:
    with archive.open(info) as file:
        shape, fortran, dtype = _header(file)
    name = info.filename.removesuffix(".npy")
    size = int(np.prod(shape, dtype=object)) * dtype.itemsize
    if not dtype.hasobject and (size > info.file_size or (fortran and size > MAX_WHOLE_BYTES)):
        if size > info.file_size:
            raise DataError(f"{path}: the array {name!r} is cut off: {shape} {dtype} takes {size:,} bytes.")
        raise DataError(
            f"{path}: the array {name!r} of {size / 2**30:.1f} GiB is stored in Fortran order, column by column.",
            "Save it with np.ascontiguousarray, so that it can be read row by row.",
        )
    return Stored(name, shape, dtype, partial(_zip_rows, path, info.filename, shape, dtype, fortran))


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"version {version} of the .npy format is for structured arrays, which are no readings")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    try:
        return read(file)
    except (SyntaxError, tokenize.TokenError, RecursionError, TypeError) as err:
        raise ValueError(f"its header is damaged ({err})") from err


def _npy_rows(path: Path, rows: int) -> Iterator[Array]:
    # Mapped anew for each block: pages of one map add up to the whole file in memory.
    for first in range(0, npy_shape(path)[0], rows):
        yield np.asarray(np.load(path, mmap_mode="r", allow_pickle=False)[first : first + rows])


def memmap_rows(path: Path, shape: tuple[int, ...], rows: int) -> Iterator[Array]:
    """A raw little-endian float32 file of this shape, `rows` rows at a time."""
    for first in range(0, shape[0], rows):
        yield np.asarray(np.memmap(path, dtype="<f4", mode="r", shape=shape)[first : first + rows])


def _zip_rows(
    path: Path, member: str, shape: tuple[int, ...], dtype: np.dtype[Any], fortran: bool, rows: int
) -> Iterator[Array]:
    try:
        with zipfile.ZipFile(path) as archive, archive.open(member) as file:
            _header(file)
            if fortran:
                whole = np.frombuffer(file.read(), dtype, count=int(np.prod(shape))).reshape(shape, order="F")
                for first in range(0, shape[0], rows):
                    yield whole[first : first + rows]
                return
            row = int(np.prod(shape[1:])) * dtype.itemsize
            for first in range(0, shape[0], rows):
                count = min(rows, shape[0] - first)
                data = file.read(count * row)
                if len(data) < count * row:
                    raise EOFError("it ends too early")
                yield np.frombuffer(data, dtype).reshape(count, *shape[1:])
    except (*BROKEN, RuntimeError) as err:
        raise DataError(f"{path}: the array {member.removesuffix('.npy')!r} is damaged: {err}.") from err


def npy_shape(path: Path) -> tuple[int, ...]:
    """The shape that the header of a `.npy` states.

    Raises:
        DataError: it is no such file.
    """
    try:
        with path.open("rb") as file:
            return _header(file)[0]
    except (OSError, EOFError, ValueError) as err:
        raise DataError(f"{path} is not a readable NumPy file: {reason(err)}.") from err
