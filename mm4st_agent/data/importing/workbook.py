"""One sheet of a workbook as a table of text cells; formulas are never evaluated."""

from __future__ import annotations

import datetime
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import Any

import pandas as pd

from mm4st_agent.data.importing.draft import Finding
from mm4st_agent.data.importing.rows import MAX_COLUMNS, FrameTable
from mm4st_agent.data.importing.safety import DAMAGED, check_archive, reason
from mm4st_agent.errors import DataError, UsageError

MAX_CELLS = 20_000_000
"""A larger sheet is to be saved as CSV or Parquet, which can be read in parts."""


def read_sheet(path: Path, member: str | None = None) -> FrameTable:
    """Read a sheet: the one called `member`, or the first that holds anything.

    Raises:
        UsageError: there is no such sheet.
        DataError: it is not readable, too large, or a formula has no stored result; the message names the cell.
    """
    import openpyxl

    if not path.is_file():
        raise DataError(f"There is no file {path}.")
    check_archive(path)
    with reading_workbook(path), ExitStack() as opened:
        stored = openpyxl.load_workbook(path, read_only=True, data_only=True)
        opened.callback(stored.close)
        written = openpyxl.load_workbook(path, read_only=True, data_only=False)
        opened.callback(written.close)
        names = list(stored.sheetnames)
        if member is not None and member not in names:
            raise UsageError(f"{path} has no sheet {member!r}.", f"Its sheets: {', '.join(names)}.")
        for name in names if member is None else [member]:
            frame = _frame(path, name, stored[name], written[name])
            if not frame.empty:
                why = f"The workbook has the sheets {', '.join(names)}; the first that holds anything is read."
                found = (Finding("sheet", name, why, "stated" if member else "inferred"),) if len(names) > 1 else ()
                return FrameTable(path, frame, found)
        raise DataError(f"{path} is empty: no sheet has a header and rows.")


@contextmanager
def reading_workbook(path: Path) -> Iterator[None]:
    """Turns what a damaged workbook raises into our error; what openpyxl cannot show (styles, charts) is no matter.

    Raises:
        DataError: the workbook is damaged.
    """
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="openpyxl")
            yield
    except DAMAGED as err:
        raise DataError(f"{path} is not a readable workbook: {reason(err)}.") from err


def _frame(path: Path, name: str, stored: Any, written: Any) -> pd.DataFrame:
    """The cells as text, indexed by row number; rows without any cell are left out."""
    header: list[str] | None = None
    rows: list[list[str]] = []
    index: list[int] = []
    cells = 0
    pairs = zip(stored.iter_rows(), written.iter_rows(), strict=False)
    for number, (values, sources) in enumerate(pairs, start=1):
        if len(values) > MAX_COLUMNS:
            raise DataError(f"{path}, sheet {name!r}: {len(values):,} columns; at most {MAX_COLUMNS:,} are read.")
        row = [_text(path, name, value, source) for value, source in zip(values, sources, strict=False)]
        if not any(row):
            continue
        if header is None:
            while row and not row[-1]:
                row.pop()
            header = row
            if header[0] == "" and len(header) > 1 and "index" not in header:
                header[0] = "index"
            continue
        cells += len(row)
        if cells > MAX_CELLS:
            raise DataError(f"{path}, sheet {name!r} has more than {MAX_CELLS:,} cells.", "Save it as CSV or Parquet.")
        if any(row[len(header) :]):
            raise DataError(f"{path}, row {number}: a cell stands to the right of the header's last column.")
        rows.append(list(islice(chain(row, [""] * len(header)), len(header))))
        index.append(number)
    return pd.DataFrame(rows, columns=header or [], index=pd.Index(index, dtype="int64"), dtype="str")


def _text(path: Path, sheet: str, cell: Any, source: Any) -> str:
    value = cell.value
    if value is None:
        if getattr(source, "data_type", None) == "f" and source.value is not None:
            raise DataError(
                f"{path}, sheet {sheet!r}, cell {source.coordinate}: the formula {str(source.value)[:60]!r} has no "
                "stored result, and formulas are not evaluated.",
                "Open and save the workbook in a spreadsheet program, or save it as CSV.",
            )
        return ""
    if isinstance(value, datetime.datetime):
        return value.date().isoformat() if value.time() == datetime.time() else value.isoformat(sep=" ")
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, float):
        return repr(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    return str(value).strip()
