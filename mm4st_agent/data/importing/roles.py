"""What the files of a folder are for, told from their content: readings, sensors, edges, events, weather, ..."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Literal

import numpy as np
import pandas as pd

from mm4st_agent.data.importing.safety import DAMAGED, reason
from mm4st_agent.data.importing.workbook import reading_workbook
from mm4st_agent.errors import DataError

Role = Literal["readings", "nodes", "edges", "matrix", "events", "trajectories", "places", "windows", "pickle", "other"]
"""'places' is GeoJSON of anything but points; 'windows' are labelled spans by file name, as in NAB."""

GLIMPSE_ROWS = 40
GLIMPSE_BYTES = 2**20
"""A first line longer than this is no table."""

TIME_COLUMN = re.compile(r"(^|[_ ])(time|timestamp|datetime|date|date_time|ts|year)($|[_ (])", re.IGNORECASE)
ID_COLUMN = re.compile(r"(^|[_ ])(id|ids|node|sensor|station|detector|site|index|code|name)($|[_ ])", re.IGNORECASE)
LAT_COLUMN, LON_COLUMN = (
    re.compile(r"^(lat|latitude)$", re.IGNORECASE),
    re.compile(r"^(lon|lng|long|longitude)$", re.IGNORECASE),
)
ROAD_COLUMN = re.compile(r"^(fwy|freeway|highway|route|abs[_ ]?pm|postmile|pm|mile ?post)$", re.IGNORECASE)
FROM_COLUMN = re.compile(r"^(from|source|src|start|origin|i|u|node1)([_ ]?(id|node|sensor))?$", re.IGNORECASE)
TO_COLUMN = re.compile(r"^(to|target|dst|dest|end|destination|j|v|node2)([_ ]?(id|node|sensor))?$", re.IGNORECASE)
TEXT_COLUMN = re.compile(
    r"^(description|text|message|summary|title|event|incident|remarks?|details|comment|headline)$", re.I
)
MOVING_COLUMN = re.compile(
    r"^(id|object|vehicle|taxi|trip|user|car|driver|track|trajectory|speed|heading|bearing|alt|altitude|accuracy)"
    r"([_ ]?id)?$",
    re.IGNORECASE,
)
_COUNTER = re.compile(r"^(no\.?|row|unnamed: 0|)$", re.IGNORECASE)
_STAMP = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}")
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_EMPTY = {"", "na", "n/a", "nan", "null", "none"}


@dataclass(frozen=True)
class Glimpse:
    """The first rows of a table as text.

    Attributes:
        lines: Of the whole file, with the header; 0 where that is not known.
    """

    path: Path
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    lines: int

    @property
    def headless(self) -> bool:
        """Whether the first line is data already: numbers, of which some repeat or have a point."""
        return all(_NUMBER.fullmatch(c) for c in self.header) and (
            len(set(self.header)) < len(self.header) or any("." in c for c in self.header)
        )

    def column(self, pattern: re.Pattern[str]) -> int | None:
        """Where the first column stands whose name has the pattern."""
        return next((i for i, name in enumerate(self.header) if pattern.search(name)), None)

    def cells(self, column: int) -> list[str]:
        return [row[column] for row in self.rows if column < len(row)]

    def numeric(self, column: int) -> bool:
        cells = [c for c in self.cells(column) if c.lower() not in _EMPTY]
        return bool(cells) and all(_NUMBER.fullmatch(c) for c in cells)

    @property
    def time_column(self) -> int | None:
        """A column called like a time, or one of dates."""
        named = self.column(TIME_COLUMN)
        if named is not None:
            return named
        dated = (i for i in range(min(3, len(self.header))) if self.rows and all(map(_STAMP.match, self.cells(i))))
        return next(dated, None)


def role_of(path: Path) -> Role:
    """What a file is for, by its content; names of files do not matter.

    Raises:
        DataError: a table cannot be read.
    """
    name = path.name.lower().removesuffix(".gz")
    if name.endswith((".pkl", ".pickle")):
        return "pickle"
    if name.endswith((".npy", ".npz", ".h5", ".hdf5", ".hdf", ".nc", ".nc4", ".cdf")):
        return _array_role(path)
    if name.endswith((".json", ".geojson", ".jsonl")):
        return _json_role(path)
    if name.endswith((".csv", ".tsv", ".parquet", ".xlsx")) or (name.endswith(".txt") and _is_table(path)):
        seen = glimpse(path)
        return "other" if seen is None else table_role(seen)
    return "other"


def table_role(seen: Glimpse) -> Role:
    """What a table is for, by its columns and shape."""
    width = len(seen.header)
    lat, lon, time = seen.column(LAT_COLUMN), seen.column(LON_COLUMN), seen.time_column
    if _is_square(seen):
        return "matrix"
    if width <= 6 and seen.column(FROM_COLUMN) is not None and seen.column(TO_COLUMN) is not None and lat is None:
        return "edges"
    if lat is not None and lon is not None and time is not None:
        rest = [name for i, name in enumerate(seen.header) if i not in (lat, lon, time)]
        moving = rest and all(MOVING_COLUMN.search(name) for name in rest) and not _stand_still(seen, lat, lon)
        return "trajectories" if moving else "readings"
    if time is not None and seen.column(TEXT_COLUMN) is not None:
        return "events"
    if time is None and ((lat is not None and lon is not None) or _is_node_table(seen)):
        return "nodes"
    numbers = sum(seen.numeric(i) for i in range(width))
    if (time is not None and width >= 2) or (numbers == width and seen.lines > 3):
        return "readings"
    return "other"


def glimpse(path: Path) -> Glimpse | None:
    """The first rows of a CSV (packed or not), Parquet or Excel file; None where it has no rows.

    Raises:
        DataError: it cannot be read, or its first line has no end.
    """
    name = path.name.lower()
    try:
        if name.endswith(".parquet"):
            return _parquet_glimpse(path)
        if name.endswith(".xlsx"):
            with reading_workbook(path):
                table = pd.read_excel(path, nrows=GLIMPSE_ROWS, dtype=str, keep_default_na=False)
            rows = tuple(tuple(str(c) for c in row) for row in table.itertuples(index=False))
            return Glimpse(path, tuple(map(str, table.columns)), rows, 0) if rows else None
        return _text_glimpse(path)
    except DAMAGED as err:
        raise DataError(f"{path} is not a readable table: {reason(err)}.") from err


def _parquet_glimpse(path: Path) -> Glimpse | None:
    import pyarrow.parquet as pq  # type: ignore[import-untyped]

    file = pq.ParquetFile(path)
    batch = next(file.iter_batches(GLIMPSE_ROWS), None)
    if batch is None:
        return None
    table = batch.to_pandas().reset_index() if batch.to_pandas().index.name else batch.to_pandas()
    rows = tuple(tuple("" if pd.isna(c) else str(c) for c in row) for row in table.itertuples(index=False))
    return Glimpse(path, tuple(map(str, table.columns)), rows, file.metadata.num_rows + 1)


def _text_glimpse(path: Path) -> Glimpse | None:
    with gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb") as file:
        head = []
        for number in range(1, GLIMPSE_ROWS + 2):
            line = file.readline(GLIMPSE_BYTES)
            if len(line) == GLIMPSE_BYTES and not line.endswith(b"\n"):
                raise ValueError(f"its line {number} is longer than {GLIMPSE_BYTES:,} bytes")
            if line.strip():
                head.append(line)
        if not head:
            return None
        if b"\r" in head[0].rstrip(b"\r\n") and b'"' not in head[0]:
            raise ValueError("its lines end with a carriage return alone; save it with ordinary line ends")
        lines = len(head) + sum(block.count(b"\n") for block in iter(lambda: file.read(2**20), b""))
    text = b"".join(head).decode("utf-8-sig", "replace")
    separator = max(",;\t", key=text.splitlines()[0].count)
    cells = [tuple(c.strip() for c in row) for row in csv.reader(io.StringIO(text), delimiter=separator) if row]
    return Glimpse(path, cells[0], tuple(cells[1:]), lines)


def _is_square(seen: Glimpse) -> bool:
    """N rows of N numbers; with a header or a column of ids, one more of these."""
    width, lines = len(seen.header), seen.lines
    if width < 2 or not seen.rows or not all(seen.numeric(i) for i in range(1, width)):
        return False
    if seen.headless:
        return lines == width
    labelled = not seen.numeric(0) or seen.header[0] == ""
    if labelled:
        return lines == width and set(seen.cells(0)) <= set(seen.header[1:])
    return lines == width + 1 and seen.column(TIME_COLUMN) is None


def _stand_still(seen: Glimpse, lat: int, lon: int) -> bool:
    """Whether things that appear again are where they were: sensors with their places in each row."""
    ids = seen.column(ID_COLUMN) if seen.column(ID_COLUMN) is not None else seen.column(MOVING_COLUMN)
    if ids is None:
        return False
    rows = [row for row in seen.rows if len(row) > max(ids, lat, lon)]
    things, places = {row[ids] for row in rows}, {(row[ids], row[lat], row[lon]) for row in rows}
    return len(rows) > len(things) == len(places)


def _is_node_table(seen: Glimpse) -> bool:
    """A row a sensor: an id that does not repeat, beside words or places along a road."""
    ids = [i for i, name in enumerate(seen.header) if ID_COLUMN.search(name)]
    unique = any(len(set(seen.cells(i))) == len(seen.rows) for i in ids)
    words = any(not seen.numeric(i) for i in range(len(seen.header)))
    return unique and len(seen.header) >= 2 and (words or seen.column(ROAD_COLUMN) is not None)


def _is_table(path: Path) -> bool:
    """Whether a .txt has the same number of separators in all of its first lines."""
    seen = _text_glimpse(path)
    return (
        seen is not None
        and len(seen.header) > 1
        and len({len(r) for r in (seen.header, *seen.rows)}) == 1 < len(seen.rows)
    )


def _array_role(path: Path) -> Role:
    """A lone square array is a matrix of the nodes; any other array file has readings."""
    if path.suffix.lower() != ".npy":
        return "readings"
    from mm4st_agent.data.importing.npy import npy_shape

    shape = npy_shape(path)
    return "matrix" if len(shape) == 2 and shape[0] == shape[1] else "readings"


def _json_role(path: Path) -> Role:
    if path.suffix.lower() == ".jsonl":
        return "events"
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError, RecursionError):
        return "other"
    if isinstance(value, dict) and value.get("type") == "FeatureCollection" and isinstance(value.get("features"), list):
        kinds = {str((f.get("geometry") or {}).get("type")) for f in value["features"] if isinstance(f, dict)}
        return "nodes" if kinds == {"Point"} else "places"
    spans = isinstance(value, dict) and value and all(
        isinstance(v, list) and all(isinstance(w, list) and len(w) == 2 for w in v) for v in value.values()
    )  # fmt: skip
    return "windows" if spans and any(value.values()) else "other"


def node_ids_of(path: Path, known: tuple[str, ...]) -> tuple[str, ...] | None:
    """The ids that a sensor table gives its rows: of its columns of different ids the one that names most `known`.

    Args:
        path: A table; GeoJSON and what cannot be read gives None.
        known: Ids of the readings; where none is named, the first column called like an id counts.

    Returns:
        One id a row, in the order of a column that counts the rows from 0, or else of the file.
    """
    if not path.name.lower().removesuffix(".gz").endswith((".csv", ".tsv", ".txt", ".parquet", ".xlsx")):
        return None
    table = whole_table(path)
    best: tuple[int, tuple[str, ...]] | None = None
    order = list(range(len(table)))
    positions = set(map(str, order))
    for name in table.columns:
        ids = tuple(table[name].str.strip())
        told = ID_COLUMN.search(str(name)) or _COUNTER.search(str(name))
        if len(set(ids)) < len(ids) or LAT_COLUMN.search(str(name)) or LON_COLUMN.search(str(name)):
            continue
        if told and set(ids) == positions:
            # It says where a node stands, but is no id that anybody knows.
            order = np.argsort([int(position) for position in ids]).tolist()
            score = 0
        elif told or set(ids) & set(known):
            score = 1 + len(set(ids) & set(known))
        else:
            continue
        if best is None or score > best[0]:
            best = (score, ids)
    return None if best is None else tuple(best[1][row] for row in order)


def whole_table(path: Path) -> pd.DataFrame:
    """A small table as text.

    Raises:
        DataError: it cannot be read.
    """
    name = path.name.lower()
    try:
        if name.endswith(".parquet"):
            return pd.read_parquet(path).astype(str)
        if name.endswith(".xlsx"):
            with reading_workbook(path):
                return pd.read_excel(path, dtype=str, keep_default_na=False)
        return pd.read_csv(path, sep=None, engine="python", dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except DAMAGED as err:
        raise DataError(f"{path} is not a readable table: {reason(err)}.") from err


def place_of(path: PurePath) -> str:
    """A file's name without its endings."""
    return PurePath(path.name.removesuffix(".gz")).stem
