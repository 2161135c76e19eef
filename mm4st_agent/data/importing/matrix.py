"""N x N matrices of how the nodes are linked: CSV, `.npy`, `.npz`; read a block of rows at a time."""

from __future__ import annotations

import csv
import gzip
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from mm4st_agent.data.importing.cells import listed, read_cells, short, texts
from mm4st_agent.data.importing.safety import BROKEN, DAMAGED, WHY_NO_PICKLE, check_archive, reason
from mm4st_agent.data.importing.values import MISSING
from mm4st_agent.errors import DataError

Blocks = Iterator[tuple[int, NDArray[np.float64]]]
"""Pairs of a first row and `(rows, N)` entries, in the node order."""
NO_PICKLE = "Save the matrix as .npy, .npz or CSV (N rows of N numbers), or as an edge list: from,to,distance."
MATRIX_NAMES = re.compile(r"adj|dist|weight|matrix|^w$|^a$|^arr_0$|^data$", re.IGNORECASE)
"""Which of several square arrays is meant."""

_CHUNK_CELLS = 4_000_000
_FIRST_LINE = 2**20


def matrix_blocks(path: Path, node_ids: Sequence[str]) -> Blocks | None:
    """The blocks of an N x N matrix; None where a text file is none, so that it may be an edge list.

    Raises:
        DataError: while reading: it has another size, a cell that is no number, or is damaged.
    """
    count = len(node_ids)
    if not is_text(path):
        return _array_blocks(path, count)
    first = first_row(path)
    before = _columns_before_ids(first, node_ids)
    if before is not None:
        return _labelled_blocks(path, first, before, node_ids)
    if not are_numbers(first) or (len(first) <= 3 and _count_rows(path) != len(first)):
        return None
    if len(first) != count:
        raise DataError(f"{path} has {len(first)} columns; a matrix of the {count} nodes has {count}.")
    return _number_blocks(path, 0, count, skip=0)


def matrix_edges(path: Path, blocks: Blocks) -> pd.DataFrame:
    """The entries that are an edge: columns `i`, `j` (positions), `value` (above 0).

    Raises:
        DataError: an entry is negative, or there is no edge.
    """
    parts = []
    for first, block in blocks:
        bad = block < 0
        if bad.any():
            row, column = np.argwhere(bad)[0]
            raise DataError(
                f"{path}, row {first + row + 1}, column {column + 1}: {block[row, column]:g} is no distance or weight.",
                "Entries must not be negative; 0 means no edge.",
            )
        i, j = np.nonzero(np.isfinite(block) & (block > 0))
        parts.append(pd.DataFrame({"i": i + first, "j": j, "value": block[i, j]}))
    edges = pd.concat(parts, ignore_index=True)
    if edges.empty:
        raise DataError(f"{path} holds no edge: every entry is 0 or unknown.")
    return edges


def is_text(path: Path) -> bool:
    """Whether the name says that it is CSV or the like."""
    return path.name.lower().removesuffix(".gz").endswith((".csv", ".tsv", ".txt"))


def are_numbers(cells: Iterable[object]) -> bool:
    """Whether each cell is a number."""
    try:
        for cell in cells:
            float(str(cell))
    except ValueError:
        return False
    return True


def first_row(path: Path) -> list[str]:
    """The cells of the first line of a text file.

    Raises:
        DataError: it is empty, cannot be read, or its first line has no end.
    """
    try:
        with _open(path) as file:
            line = file.readline(_FIRST_LINE)
    except BROKEN as err:
        raise DataError(f"{path} cannot be read: {reason(err)}.") from err
    if len(line) == _FIRST_LINE:
        raise DataError(f"{path}: its first line is longer than {_FIRST_LINE:,} characters.")
    if not line.strip():
        raise DataError(f"{path} is empty, or its first line is.")
    return [cell.strip() for cell in next(csv.reader([line], delimiter=_separator(line)))]


def _separator(line: str) -> str:
    return max(",;\t ", key=line.count)


def _open(path: Path) -> IO[str]:
    opened = gzip.open if path.suffix.lower() == ".gz" else open
    return cast(IO[str], opened(path, "rt", encoding="utf-8-sig", errors="replace", newline=""))


def _count_rows(path: Path) -> int:
    with _open(path) as file:
        return sum(1 for line in file if line.strip())


def _columns_before_ids(first: Sequence[str], node_ids: Sequence[str]) -> int | None:
    """How many columns stand before the ids in a header of ids; None where it is no such header."""
    for before in (0, 1):
        if len(first) == len(node_ids) + before and set(first[before:]) == set(node_ids):
            return before
    return None


def _labelled_blocks(path: Path, first: Sequence[str], before: int, node_ids: Sequence[str]) -> Blocks:
    """A matrix under a header of ids, and perhaps beside a column of them, in the node order."""
    header = list(first[before:])
    if before:
        labels = list(texts(read_cells(path).iloc[:, 0]))
        if labels != header:
            raise DataError(f"{path}: rows and columns name the nodes in different orders.", f"Rows: {listed(labels)}.")
    rows = np.concatenate([block for _, block in _number_blocks(path, before, len(header), skip=1)])
    position = {node: k for k, node in enumerate(header)}
    order = np.array([position[node] for node in node_ids])
    yield 0, rows[order][:, order]


def _number_blocks(path: Path, before: int, count: int, skip: int) -> Blocks:
    """The rows after `skip` rows, without the first `before` columns."""
    done = 0
    with _open(path) as file:
        separator = _separator(file.readline(_FIRST_LINE))
    try:
        with pd.read_csv(
            path,
            header=None,
            skiprows=skip,
            sep=separator,
            usecols=range(before, count + before),
            dtype=np.float64,
            chunksize=max(1, _CHUNK_CELLS // count),
            encoding="utf-8-sig",
        ) as reader:
            for chunk in reader:
                yield done, chunk.to_numpy()
                done += len(chunk)
    except (*BROKEN, ValueError) as err:
        raise _bad_cell(path, separator, before, skip, err) from err
    if done != count:
        raise DataError(f"{path} has {done} rows; a matrix of the {count} nodes has {count}.")


def _bad_cell(path: Path, separator: str, before: int, skip: int, cause: Exception) -> DataError:
    """Names the first cell that is no number."""
    try:
        with _open(path) as file:
            for number, row in enumerate(csv.reader(file, delimiter=separator), start=1):
                for column, cell in enumerate(row[before:] if number > skip else (), start=before + 1):
                    if cell.strip().lower() not in MISSING and not are_numbers([cell]):
                        return DataError(
                            f"{path}, row {number}, column {column}: {short(cell)} is not a number.",
                            "A matrix has N rows of N numbers, and nothing else but a header of ids.",
                        )
    except (*BROKEN, csv.Error):
        pass
    return DataError(f"{path} is no matrix of numbers: {str(cause).strip().rstrip('.')}.")


def _array_blocks(path: Path, count: int) -> Blocks:
    """The rows of the N x N array in a .npy or .npz file, or of a matrix that `scipy.sparse.save_npz` wrote."""
    try:
        array = _array(path, count)
    except DAMAGED as err:
        why = reason(err)
        if "pickle" in why.lower() or "python objects" in why.lower():
            why = f"it holds Python objects, which are never opened: {WHY_NO_PICKLE}"
        raise DataError(f"{path} cannot be read: {why}.", NO_PICKLE) from err
    if array.shape != (count, count) or array.dtype.kind not in "biuf":
        raise DataError(
            f"{path} holds {array.dtype} of the shape {array.shape}; {count} nodes need numbers of ({count}, {count}).",
            "Give the matrix of these nodes, in their order.",
        )
    rows = max(1, _CHUNK_CELLS // count)
    for first in range(0, count, rows):
        block = array[first : first + rows]
        yield first, np.asarray(block.toarray() if isinstance(block, sparse.csr_array) else block, dtype=np.float64)


def _array(path: Path, count: int) -> NDArray[np.generic] | sparse.csr_array:
    if path.suffix.lower() == ".npy":
        lone: NDArray[np.generic] = np.load(path, allow_pickle=False, mmap_mode="r")
        return lone
    check_archive(path)
    with np.load(path, allow_pickle=False) as arrays:
        if "indptr" in arrays.files:
            matrix = sparse.csr_array(sparse.load_npz(path))
            matrix.check_format(full_check=True)
            return matrix
        loaded: Mapping[str, NDArray[np.generic]] = {name: arrays[name] for name in arrays.files}
    square = [name for name, array in loaded.items() if array.shape == (count, count)]
    chosen = square if len(square) == 1 else [name for name in square if MATRIX_NAMES.search(name)]
    if len(chosen) != 1:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in loaded.items())
        raise DataError(f"{path} has no single array of the shape ({count}, {count}): {shapes}.", "Save it as .npy.")
    return loaded[chosen[0]]
