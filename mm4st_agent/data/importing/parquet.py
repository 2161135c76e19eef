"""Parquet files in blocks of rows, however large their row groups are."""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import pandas as pd
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
from numpy.typing import NDArray

from mm4st_agent.data.importing.draft import BLOCK_BYTES
from mm4st_agent.data.importing.rows import MAX_COLUMNS, SAMPLE_ROWS, Rows, Table
from mm4st_agent.data.importing.safety import DAMAGED, reason
from mm4st_agent.data.importing.values import numbers
from mm4st_agent.errors import DataError

MAX_GROUP_BYTES = 256 * 2**20
"""A row group that unpacks to more is read a few columns at a time, and turned in a temporary file."""


class ParquetTable(Table):
    """A Parquet file; a time index that pandas stored counts as a column.

    Raises:
        DataError: it is not readable, or a column holds lists or structures.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_file():
            raise DataError(f"There is no file {path}.")
        with self._reading(), self._open() as file:
            schema = file.schema_arrow
            groups = [file.metadata.row_group(i) for i in range(file.metadata.num_row_groups)]
            self._group_bytes = max((group.total_byte_size for group in groups), default=0)
            self._length = file.metadata.num_rows
        if len(schema) > MAX_COLUMNS:
            raise DataError(
                f"{path} has {len(schema):,} columns; at most {MAX_COLUMNS:,} are read.",
                "Use the long layout: time, node, value.",
            )
        for field in schema:
            if pa.types.is_nested(field.type):
                raise DataError(f"{path}: the column {field.name!r} holds lists or structures.", "Flatten it first.")
        self._types = {field.name: field.type for field in schema}
        self._stored = {self._name(field): field.name for field in schema}
        self.columns = tuple(self._name(field) for field in schema)

    def _name(self, field: Any) -> str:
        if field.name.startswith("__index_level_"):
            return "time" if pa.types.is_timestamp(field.type) else "index"
        return str(field.name).strip()

    @cached_property
    def sample(self) -> pd.DataFrame:
        with self._reading(), self._open() as file:
            batch = next(file.iter_batches(batch_size=SAMPLE_ROWS), None) if self._small else self._few(file)
        frame = pd.DataFrame(columns=list(self.columns)) if batch is None else _frame(batch)
        frame.columns = list(self.columns)
        frame.index = pd.RangeIndex(1, len(frame) + 1)
        return frame

    @property
    def _small(self) -> bool:
        return self._group_bytes <= MAX_GROUP_BYTES

    def _few(self, file: Any) -> Any:
        """The first rows, read some columns at a time."""
        parts = [
            next(file.iter_batches(batch_size=SAMPLE_ROWS, columns=part)) for part in self._parts(list(self._types))
        ]
        columns = [column for part in parts for column in part.columns]
        return pa.RecordBatch.from_arrays(columns, names=[name for part in parts for name in part.schema.names])

    def rows(self, numeric: Sequence[str], cells: Sequence[str] = ()) -> Iterator[Rows]:
        if self._small:
            yield from self._plain(numeric, cells)
        else:
            yield from self._turned(numeric, cells)

    def _plain(self, numeric: Sequence[str], cells: Sequence[str]) -> Iterator[Rows]:
        wanted = [self._stored[name] for name in (*numeric, *cells)]
        size = max(1, BLOCK_BYTES // (8 * max(len(wanted), 1)))
        row = 1
        with self._open() as file:
            batches = file.iter_batches(batch_size=size, columns=wanted)
            while True:
                with self._reading():
                    batch = next(batches, None)
                if batch is None:
                    return
                index = pd.RangeIndex(row, row + len(batch))
                values = np.empty((len(batch), len(numeric)))
                for i, name in enumerate(numeric):
                    values[:, i] = self._numbers(batch.column(self._stored[name]), name, row)
                text = _frame(batch.select([self._stored[name] for name in cells]))
                text.columns, text.index = list(cells), index
                row += len(batch)
                yield Rows(index.to_numpy(dtype=np.int64), values, text)

    def _turned(self, numeric: Sequence[str], cells: Sequence[str]) -> Iterator[Rows]:
        """Columns by way of a temporary file in which a block of rows lies together."""
        text = pd.concat([block.cells for block in self._plain((), cells)]) if cells else None
        width = len(numeric)
        length = max(1, BLOCK_BYTES // (8 * max(width, 1)))
        spool = cast(IO[bytes], tempfile.TemporaryFile())  # noqa: SIM115
        close = weakref.finalize(self, spool.close)
        try:
            done = 0
            for part in self._parts([self._stored[name] for name in numeric]) if width else ():
                names = numeric[done : done + len(part)]
                row = 0
                for block in self._plain(names, ()):
                    self._scatter(spool, block.values, row, done, width, length)
                    row += len(block.values)
                done += len(part)
            for start in range(0, self._length, length):
                size = min(length, self._length - start)
                spool.seek(start * width * 8)
                values = np.frombuffer(spool.read(size * width * 8), dtype=np.float64).reshape(width, size).T
                index = pd.RangeIndex(start + 1, start + size + 1)
                found = pd.DataFrame(index=index) if text is None else text.iloc[start : start + size]
                yield Rows(index.to_numpy(dtype=np.int64), values, found)
        finally:
            close()

    def _scatter(
        self, spool: IO[bytes], values: NDArray[np.float64], row: int, column: int, width: int, length: int
    ) -> None:
        """Write `(r, c)` values that begin at `row` and `column` to where their blocks of rows lie, columns first."""
        done = 0
        while done < len(values):
            block, within = divmod(row + done, length)
            size = min(length, self._length - block * length)
            count = min(size - within, len(values) - done)
            base = block * length * width * 8
            piece = np.ascontiguousarray(values[done : done + count].T)
            if count == size:
                spool.seek(base + column * size * 8)
                spool.write(piece.tobytes())
            else:
                for i, series in enumerate(piece):
                    spool.seek(base + ((column + i) * size + within) * 8)
                    spool.write(series.tobytes())
            done += count

    def _parts(self, names: list[str]) -> list[list[str]]:
        """Groups of columns whose row group stays small."""
        count = max(1, len(self._types) * MAX_GROUP_BYTES // (4 * max(self._group_bytes, 1)))
        return [names[i : i + count] for i in range(0, len(names), count)]

    def _numbers(self, column: Any, name: str, row: int) -> NDArray[np.float64]:
        kind = column.type
        if pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind):
            found = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
            if not np.isinf(found).any():
                return cast("NDArray[np.float64]", found)
        elif pa.types.is_null(kind):
            return np.full(len(column), np.nan)
        series = column.to_pandas()
        series.name, series.index = name, pd.RangeIndex(row, row + len(series))
        return numbers(self.path, series, self.decimal)

    def _open(self) -> Any:
        return pq.ParquetFile(self.path, pre_buffer=False)

    def _reading(self) -> _Reading:
        return _Reading(self.path)


class _Reading:
    """Turns what a damaged file raises into our error."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, err: BaseException | None, trace: object) -> None:
        if isinstance(err, (pa.ArrowException, *DAMAGED)):
            raise DataError(f"{self.path} is not a readable Parquet file: {reason(err)}.") from err


def _frame(batch: Any) -> pd.DataFrame:
    return cast(pd.DataFrame, batch.to_pandas(ignore_metadata=True))
