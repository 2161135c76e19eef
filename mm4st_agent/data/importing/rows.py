"""`Table`: a file of rows and named columns that is read in blocks of rows, whatever its format."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mm4st_agent.data.importing.draft import Finding
from mm4st_agent.errors import DataError

MAX_COLUMNS = 100_000
SAMPLE_ROWS = 500
"""How many of the first rows the layout is told from."""


@dataclasses.dataclass(frozen=True, slots=True)
class Rows:
    """A block of rows.

    Attributes:
        numbers: `(r,)` row number of each in the file; the header is row 1.
        values: `(r, k)` the numeric columns that were asked for; NaN is missing.
        cells: The other columns that were asked for, as they are, indexed by row number.
    """

    numbers: NDArray[np.int64]
    values: NDArray[np.float64]
    cells: pd.DataFrame


class Table(abc.ABC):
    """Rows of a file.

    Attributes:
        path: The file.
        columns: Their names, unique and not empty.
        findings: What was inferred about the format.
        decimal: The decimal sign of text cells.
    """

    path: Path
    columns: tuple[str, ...]
    findings: tuple[Finding, ...] = ()
    decimal: str = "."

    @abc.abstractmethod
    def rows(self, numeric: Sequence[str], cells: Sequence[str] = ()) -> Iterator[Rows]:
        """A fresh pass over the rows, those without any cell left out.

        Raises:
            DataError: the file is damaged, or a cell of a numeric column holds no number.
        """

    @property
    @abc.abstractmethod
    def sample(self) -> pd.DataFrame:
        """The first rows of all columns as they are, indexed by row number."""

    def check(self) -> None:
        """Refuse what no layout can be told from.

        Raises:
            DataError: too many columns, a name twice or empty, or no rows.
        """
        named = pd.Index(self.columns)
        if len(named) > MAX_COLUMNS:
            raise DataError(
                f"{self.path} has {len(named):,} columns; at most {MAX_COLUMNS:,} are read.",
                "Use the long layout: time, node, value.",
            )
        if "" in named or named.has_duplicates:
            wrong = named[named.duplicated()][0] if named.has_duplicates else ""
            raise DataError(
                f"{self.path}, row 1: the column name {wrong!r} is empty or appears twice.", "Names must differ."
            )
        if self.sample.empty:
            raise DataError(f"{self.path} has no rows below its header.")


class FrameTable(Table):
    """A table that is in memory, such as a sheet."""

    def __init__(self, path: Path, frame: pd.DataFrame, findings: tuple[Finding, ...] = ()) -> None:
        self.path = path
        self.frame = frame
        self.columns = tuple(str(column) for column in frame.columns)
        self.findings = findings

    @property
    def sample(self) -> pd.DataFrame:
        return self.frame.iloc[:SAMPLE_ROWS]

    def rows(self, numeric: Sequence[str], cells: Sequence[str] = ()) -> Iterator[Rows]:
        yield rows_of(self.path, self.frame, numeric, cells, self.decimal)


def rows_of(path: Path, frame: pd.DataFrame, numeric: Sequence[str], cells: Sequence[str], decimal: str) -> Rows:
    """The columns of a frame that is indexed by row number.

    Raises:
        DataError: a cell of a numeric column holds no number.
    """
    from mm4st_agent.data.importing.values import numbers

    values = np.empty((len(frame), len(numeric)))
    for i, column in enumerate(numeric):
        values[:, i] = numbers(path, frame[column], decimal)
    return Rows(frame.index.to_numpy(dtype=np.int64), values, frame[list(cells)])
