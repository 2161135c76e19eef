"""CSV and its relatives in blocks of rows: comma, semicolon, tab or bar; plain or gzipped; UTF-8 or UTF-16."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.csv as pa_csv  # type: ignore[import-untyped]

from mm4st_agent.data.importing.draft import Finding
from mm4st_agent.data.importing.rows import MAX_COLUMNS, SAMPLE_ROWS, Rows, Table, rows_of
from mm4st_agent.data.importing.textfile import chunks, record
from mm4st_agent.data.importing.values import MISSING, looks_numeric, stripped
from mm4st_agent.errors import DataError

SAMPLE_BYTES = 2 * 2**20
"""How much of the first rows the layout is told from."""
SUFFIXES = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz")

_SEPARATORS = "\t;,|"
_WORDS = sorted({form for word in MISSING for form in (word, word.upper(), word.capitalize())} | {"NaN"})


class DelimitedTable(Table):
    """A text file of rows.

    Args:
        path: The file.

    Raises:
        DataError: it is empty, holds NUL bytes, a line without end, or is neither UTF-8 nor UTF-16.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        found: list[Finding] = []
        parts = chunks(path)
        first = next(parts, b"")
        parts.close()
        begin, self._skipped, self._first_row, header = self._header(first, found)
        lines = [header, *_lines(first[self._skipped :], 20)]
        self.separator = _separator(lines)
        fields = header.count(self.separator) + 1
        if fields > MAX_COLUMNS:
            raise DataError(
                f"{path} has {fields:,} columns; at most {MAX_COLUMNS:,} are read.",
                "Use the long layout: time, node, value.",
            )
        names = [name.strip() for name in self._split(header)]
        below = [self._split(line) for line in lines[1:]]
        if self._is_headless(names, below):
            why = "The first row holds readings like those below it, so the columns are numbered from 0."
            found.append(Finding("header", "none", why, "inferred"))
            names = [str(i) for i in range(len(names))]
            self._first_row, self._skipped = self._first_row - 1, begin
        elif names[0] == "" and len(names) > 1 and "index" not in names:
            names[0] = "index"
        self.columns = tuple(names)
        if self.separator in ";\t|" and any(
            re.fullmatch(r"[+-]?\d+,\d+", cell.strip()) for row in below for cell in row
        ):
            self.decimal = ","
            found.append(Finding("decimal sign", "comma", "The cells hold numbers such as 1,5.", "inferred"))
        self.findings = tuple(found)

    @cached_property
    def sample(self) -> pd.DataFrame:
        parts = chunks(self.path)
        first = next(parts, b"")[self._skipped :] or next(parts, b"")
        parts.close()
        end = 0
        for _ in range(SAMPLE_ROWS):
            at = first.find(b"\n", end)
            if at < 0 or end > SAMPLE_BYTES:
                break
            end = at + 1
        # A quoted line break may be cut in two here, so an odd quote takes the rest of the chunk.
        part = first[:end] if end and first.count(b'"', 0, end) % 2 == 0 else first
        frame = self._text(part, self._first_row).iloc[:SAMPLE_ROWS]
        return frame[~_is_blank(frame)]

    def rows(self, numeric: Sequence[str], cells: Sequence[str] = ()) -> Iterator[Rows]:
        row = self._first_row
        for i, chunk in enumerate(chunks(self.path)):
            body = chunk[self._skipped :] if i == 0 else chunk
            if not body:
                continue
            block, read = self._parse(body, row, numeric, cells)
            row += read
            yield block

    def _parse(self, body: bytes, row: int, numeric: Sequence[str], cells: Sequence[str]) -> tuple[Rows, int]:
        """One chunk; as numbers at once where all cells are plain, else by way of text, which can name the cell."""
        types = {name: pa.float64() for name in numeric} | {name: pa.string() for name in cells}
        try:
            table = self._read(body, row, types)
        except pa.ArrowInvalid:
            frame = self._text(body, row)
            kept = frame[~_is_blank(frame)]
            return rows_of(self.path, kept, numeric, cells, self.decimal), len(frame)
        text = table.select(list(cells)).to_pandas()
        text.index = pd.RangeIndex(row, row + len(text))
        values = table.select(list(numeric)).to_pandas().to_numpy(dtype=np.float64).reshape(len(text), len(numeric))
        suspect = np.isnan(values).all(axis=1) & (text == "").all(axis=1).to_numpy(dtype=bool)
        if suspect.any() or np.isinf(values).any():
            frame = self._text(body, row)
            full = ~_is_blank(frame)
            if np.isinf(values).any():
                rows_of(self.path, frame[full], numeric, cells, self.decimal)
            return Rows(frame.index[full].to_numpy(dtype=np.int64), values[full.to_numpy()], text[full]), len(frame)
        return Rows(text.index.to_numpy(dtype=np.int64), values, text), len(text)

    def _text(self, body: bytes, row: int) -> pd.DataFrame:
        frame = self._read(body, row, {name: pa.string() for name in self.columns}).to_pandas()
        frame.index = pd.RangeIndex(row, row + len(frame))
        return cast(pd.DataFrame, frame)

    def _read(self, body: bytes, row: int, types: dict[str, Any]) -> Any:
        if not body:
            return pa.table({name: pa.array([], type=kind) for name, kind in types.items()})
        uneven: list[Any] = []

        def note(bad: Any) -> str:
            uneven.append(bad)
            return "skip"

        table = pa_csv.read_csv(
            pa.BufferReader(body),
            read_options=pa_csv.ReadOptions(
                column_names=list(self.columns), use_threads=False, block_size=max(len(body) + 1, 1024)
            ),
            parse_options=pa_csv.ParseOptions(
                delimiter=self.separator, newlines_in_values=True, ignore_empty_lines=False, invalid_row_handler=note
            ),
            convert_options=pa_csv.ConvertOptions(
                column_types=types,
                include_columns=list(types),
                null_values=_WORDS,
                strings_can_be_null=False,
                decimal_point=self.decimal,
                check_utf8=False,
            ),
        )
        if uneven:
            bad = uneven[0]
            raise DataError(
                f"{self.path}, row {row + (bad.number or 1) - 1}: it has {bad.actual_columns} fields, where the header "
                f"has {bad.expected_columns}.",
                "Write an empty field for a missing reading; quote text that holds the separator.",
            )
        return table

    def _header(self, first: bytes, found: list[Finding]) -> tuple[int, int, int, str]:
        """Where the header begins and ends, the number of the first row below it, and its text."""
        position, row = 0, 1
        while position < len(first):
            begin = position
            line = record(first, begin)
            position += len(line)
            if line.strip() and not line.lstrip().startswith(b"#"):
                try:
                    return begin, position, row + 1, line.decode("utf-8").strip("\r\n")
                except UnicodeDecodeError:
                    why = "The header is not UTF-8; it was read as Windows-1252."
                    found.append(Finding("encoding", "Windows-1252", why, "assumed"))
                    return begin, position, row + 1, line.decode("cp1252", errors="replace").strip("\r\n")
            row += 1
        raise DataError(f"{self.path} is empty.")

    def _split(self, line: str) -> list[str]:
        try:
            return next(csv.reader([line], delimiter=self.separator, skipinitialspace=True), [])
        except csv.Error as err:
            raise DataError(f"{self.path} is not a readable CSV file: {err}.") from err

    def _is_headless(self, names: list[str], below: list[list[str]]) -> bool:
        """Whether the first row is all numbers and no row of ids: ids are whole, differ, and are unlike the rest."""
        if not below or not looks_numeric(stripped(pd.Series(names))).all():
            return False
        ids = all(name.isdigit() for name in names) and len(set(names)) == len(names)
        if not ids:
            return True
        cells = pd.Series([cell for row in below for cell in row])
        readings = pd.to_numeric(cells, errors="coerce")
        fractions = bool((readings % 1 > 0).any())
        larger = min(map(float, names)) > 2 * readings.abs().max()
        return not (fractions or larger or (len(names) > 1 and _counts(names)))


def _lines(data: bytes, count: int) -> list[str]:
    found: list[str] = []
    position = 0
    while position < len(data) and len(found) < count and position < SAMPLE_BYTES:
        line = record(data, position)
        position += len(line)
        if line.strip():
            found.append(line.decode("utf-8", errors="replace").strip("\r\n"))
    return found


def _separator(lines: list[str]) -> str:
    """The first of tab, semicolon, comma, bar that stands as often in each line; else the header's most frequent."""
    for separator in _SEPARATORS:
        counts = {line.count(separator) for line in lines}
        if len(counts) == 1 and counts != {0}:
            return separator
    return max(_SEPARATORS, key=lines[0].count) if any(s in lines[0] for s in _SEPARATORS) else ","


def _counts(names: list[str]) -> bool:
    """Whether the names count 0, 1, 2, ... or 1, 2, 3, ...: a header of node numbers."""
    return [int(name) for name in names] in ([*range(len(names))], [*range(1, len(names) + 1)])


def _is_blank(frame: pd.DataFrame) -> pd.Series:
    """Rows in which every cell is empty."""
    blank = pd.Series(True, index=frame.index)
    for column in frame.columns:
        blank &= frame[column].str.strip() == ""
        if not blank.any():
            break
    return blank
