"""A table that stands beside the readings, cell by cell, with its rows numbered as in the file; held at once."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mm4st_agent.data.importing.options import ImportOptions
from mm4st_agent.data.importing.rows import MAX_COLUMNS
from mm4st_agent.data.importing.safety import PICKLE_SUFFIXES, reason, refuse_pickle
from mm4st_agent.data.importing.tables import open_table
from mm4st_agent.data.importing.values import looks_numeric, stripped
from mm4st_agent.errors import DataError

MAX_TABLE_BYTES = 2**30
"""Of the cells of a table beside the readings, or of the text of a JSON file."""
JSON_LINES = (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")

_SMALLER = "Cut it to the time and place that the readings cover."


def read_cells(path: Path) -> pd.DataFrame:
    """Read a table; nothing is interpreted.

    Args:
        path: CSV and its relatives, xlsx, Parquet (see `open_table`), or JSON lines.

    Returns:
        `(rows, columns)`, indexed by the row in the file (the header is row 1). Cells are stripped text, '' where
        empty; columns of a Parquet file keep their types.

    Raises:
        DataError: there is no such file, it is damaged, no text, too large or empty, or its header is unusable.
    """
    if not path.is_file():
        raise DataError(f"There is no file {path}.")
    if path.name.lower().endswith(PICKLE_SUFFIXES):
        refuse_pickle(path)
    if path.name.lower().endswith(JSON_LINES):
        return _json_lines(path)
    table = open_table(path, ImportOptions())
    blocks, size = [], 0
    for rows in table.rows((), table.columns):
        size += int(rows.cells.memory_usage(deep=True).sum())
        if size > MAX_TABLE_BYTES:
            raise DataError(f"{path} holds more than {MAX_TABLE_BYTES / 2**30:.0f} GiB of cells.", _SMALLER)
        blocks.append(rows.cells)
    cells = pd.concat(blocks)
    for column in cells.columns:
        if not pd.api.types.is_string_dtype(cells[column]):
            continue
        cells[column] = stripped(cells[column])
        if table.decimal == ",":
            points = cells[column].str.replace(",", ".")
            if (looks_numeric(points) | (points == "")).all():
                cells[column] = points
    return cells


def read_text(path: Path) -> str:
    """The text of a file, unpacked where it is `.gz`.

    Raises:
        DataError: it is damaged, larger than `MAX_TABLE_BYTES`, or not UTF-8.
    """
    try:
        with gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb") as file:
            raw = file.read(MAX_TABLE_BYTES + 1)
    except (OSError, EOFError, zlib.error) as err:
        raise DataError(f"{path} cannot be read: {reason(err)}.") from err
    if len(raw) > MAX_TABLE_BYTES:
        raise DataError(f"{path} holds more than {MAX_TABLE_BYTES / 2**30:.0f} GiB of text.", _SMALLER)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as err:
        line = raw.count(b"\n", 0, err.start) + 1
        raise DataError(f"{path}, line {line}: 0x{raw[err.start]:02x} is not UTF-8.", "Save it as UTF-8.") from err


def parse_json(path: Path, text: str, where: str = "") -> Any:
    """What a JSON text says.

    Raises:
        DataError: it is not JSON, holds NaN or infinity, or is nested too deeply.
    """

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON")

    try:
        return json.loads(text, parse_constant=refuse)
    except RecursionError as err:
        raise DataError(f"{path}{where}: it is nested too deeply.") from err
    except ValueError as err:
        raise DataError(f"{path}{where}: not readable as JSON: {reason(err)}.") from err


def cell_text(value: object) -> str:
    """A value of a JSON object as the text of a cell."""
    if value is None:
        return ""
    if isinstance(value, str):
        # JSON can name half a surrogate pair, which is no text.
        return value.encode("utf-8", "replace").decode("utf-8").strip()
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return json.dumps(value)


def plain(column: str) -> str:
    """A column's name in lower case with single underscores: 'Abs PM' is 'abs_pm'."""
    return re.sub(r"[\W_]+", "_", str(column).casefold()).strip("_")


def pick(table: pd.DataFrame, names: Iterable[str]) -> str | None:
    """The column that has one of these plain names; an earlier name is preferred."""
    known = {plain(column): str(column) for column in reversed(table.columns)}
    return next((known[name] for name in names if name in known), None)


def texts(column: pd.Series) -> pd.Series:
    """A column as stripped text, '' where empty; whole numbers have no point."""
    if not pd.api.types.is_float_dtype(column):
        return stripped(column)
    values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    cells = ["" if np.isnan(value) else cell_text(float(value)) for value in values]
    return pd.Series(cells, index=column.index, name=column.name, dtype="str")


def short(value: object) -> str:
    """A value as an error shows it."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def listed(items: Iterable[object], most: int = 5) -> str:
    """Such as '2, 5, 9 and 12 more'."""
    names = [str(item) for item in items]
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _json_lines(path: Path) -> pd.DataFrame:
    rows: dict[int, dict[str, str]] = {}
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        row = parse_json(path, line, f", line {number}")
        if not isinstance(row, dict):
            raise DataError(f"{path}, line {number}: {short(row)} is not an object.", "Write one {...} a line.")
        rows[number] = {cell_text(key): cell_text(value) for key, value in row.items()}
    names = dict.fromkeys(name for row in rows.values() for name in row)
    if not names:
        raise DataError(f"{path} has no rows.")
    if len(names) > MAX_COLUMNS:
        raise DataError(f"{path} has {len(names):,} columns; at most {MAX_COLUMNS:,} can be read.")
    columns = {name: [row.get(name, "") for row in rows.values()] for name in names}
    return pd.DataFrame(columns, index=pd.Index(list(rows)), dtype="str")
