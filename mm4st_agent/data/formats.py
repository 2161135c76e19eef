"""`read_table`: a panel from a plain CSV or Parquet file, wide or long."""

from __future__ import annotations

import gzip
import re
import zlib
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from mm4st_agent.data.card import Channel, DataCard, file_sha256
from mm4st_agent.data.panel import Panel
from mm4st_agent.errors import DataError, UsageError

Layout = Literal["auto", "wide", "long"]

TIME_NAMES = ("time", "timestamp", "datetime", "date", "date_time", "ts")
NODE_NAMES = ("node", "sensor", "station", "detector", "device", "site", "id")
COORDINATES = ("time", "node", "name", "kind", "lat", "lon")
MISSING = ("", "na", "n/a", "nan", "null", "none")
"""What counts as a missing reading, in any case; anything else must be a number."""
MAX_SPARSITY = 100
"""Refuse a file that would grow by more than this factor when its gaps are filled: a stamp is wrong."""

_OFFSET = re.compile(r"[T ]\d{2}.*(?:Z|[+-]\d{2}(?::?\d{2})?)$", re.IGNORECASE)
_ISO_HINT = "Write ISO 8601 such as 2022-01-25T07:30, or pass time_format such as '%d/%m/%Y %H:%M'."


def read_table(
    path: Path,
    *,
    name: str,
    time_zone: str = "UTC",
    unit: str = "",
    layout: Layout = "auto",
    channel: str = "value",
    time_format: str | None = None,
    time_label: Literal["start", "instant"] = "instant",
    domain: str = "general",
    place_word: str = "sensor",
) -> Panel:
    """Read one channel from a table with time stamps.

    Rows may come in any order. The step is the most frequent one; rows that are absent become NaN.

    Args:
        path: `.csv`, `.csv.gz` (comma, semicolon or tab) or `.parquet`. Wide: a time column and one column a
            node. Long: time, node, value. Empty, NA, NaN, N/A, null and None are missing readings.
        name: Of the new data set; `Registry.check_new` says which are free.
        time_zone: Of stamps without an offset.
        unit: Of the readings.
        layout: 'auto' reads three columns of which one is called node, sensor, station, ... as long.
        channel: What the readings are called.
        time_format: strftime pattern; None reads ISO 8601 only, since 03/04/2022 could be either.
        time_label: Whether a stamp marks the start of its interval.
        domain: What the data are about, such as 'traffic'.
        place_word: What a node is called, such as 'station'.

    Returns:
        Panel of shape `(T, N)`, float32, NaN where there is no reading.

    Raises:
        UsageError: there is no such time zone or time format, or the channel cannot be called so.
        DataError: the file cannot be read as such a table; the message names the row (the header is row 1),
            the column and the value.
    """
    zone = _zone(time_zone)
    if not channel.strip() or channel in COORDINATES:
        raise UsageError(
            f"{channel!r} cannot name what was measured.",
            f"Use a word such as 'speed'; not one of {', '.join(COORDINATES)}.",
        )
    table = _load(path)
    time_column = _time_column(path, table)
    others = [column for column in table.columns if column != time_column]
    node_column = next((c for c in others if _plain(c).removesuffix("_id") in NODE_NAMES), others[0])
    if layout == "auto":
        is_long = len(others) == 2 and _plain(node_column).removesuffix("_id") in NODE_NAMES
    else:
        is_long = layout == "long"
    if is_long and len(others) != 2:
        raise DataError(f"{path} has {len(table.columns)} columns; the long layout has three: time, node, value.")
    if not is_long:
        _refuse_wider_long(path, table, time_column, others)

    if is_long:
        value_column = next(c for c in others if c != node_column)
        values = _pivot(path, table, time_column, node_column, value_column, zone, time_format)
    else:
        times = _times(path, table[time_column], zone, time_format)
        _refuse_duplicates(path, times.to_frame("time"))
        numbers = {column: _numbers(path, table[column]) for column in others}
        values = pd.DataFrame(numbers, index=pd.DatetimeIndex(times))
    if values.isna().all(axis=None):
        raise DataError(f"{path} holds no reading: every cell is empty.", "Give at least one column with numbers.")
    values = _regular(path, values)
    ids = values.columns.to_numpy(dtype=object)
    card = DataCard(
        name=name,
        title=name,
        source=f"imported from {path.name}",
        licence="not stated",
        domain=domain,
        place_word=place_word,
        time_zone=time_zone,
        time_label=time_label,
        channels=(Channel(name=channel, unit=unit),),
        files={path.name: file_sha256(path)},
    )
    data = xr.Dataset(
        {channel: (("time", "node"), values.to_numpy(dtype=np.float32), {"units": unit})},
        coords={
            "time": pd.DatetimeIndex(values.index).tz_localize(None).as_unit("ns"),
            "node": ids,
            "name": ("node", ids),
            "kind": ("node", np.full(len(ids), "", dtype=object)),
            "lat": ("node", np.full(len(ids), np.nan)),
            "lon": ("node", np.full(len(ids), np.nan)),
        },
    )
    return Panel(card=card, data=data)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as err:
        raise UsageError(f"There is no time zone {name!r}.", "Use an IANA name such as 'US/Pacific'.") from err


def _plain(column: str) -> str:
    return column.strip().lower().replace(" ", "_")


def _load(path: Path) -> pd.DataFrame:
    """The table, indexed by the row number in the file; columns of a CSV stay text."""
    if not path.is_file():
        raise DataError(f"There is no file {path}.")
    kind = path.name.lower()
    if kind.endswith(".parquet"):
        try:
            table = pd.read_parquet(path)
        except (OSError, ValueError) as err:
            raise DataError(f"{path} is not a readable Parquet file: {str(err).rstrip('.')}.") from err
        if isinstance(table.index, pd.DatetimeIndex):
            table = table.reset_index(names=str(table.index.name or "time"))
        table.columns = [str(column) for column in table.columns]
        table.index = pd.RangeIndex(1, len(table) + 1)
    elif kind.endswith((".csv", ".csv.gz")):
        table = _load_csv(path)
    else:
        raise DataError(f"{path} is neither CSV nor Parquet.", "Give a .csv, .csv.gz or .parquet file.")
    if table.empty:
        raise DataError(f"{path} has no rows below its header.")
    if len(table.columns) < 2:
        raise DataError(
            f"{path} has only the column {table.columns[0]!r}.",
            "A time column and at least one with readings are needed.",
        )
    named = pd.Index(table.columns)
    if "" in named or named.has_duplicates:
        wrong = named[named.duplicated()][0] if named.has_duplicates else ""
        raise DataError(f"{path}, row 1: the column name {wrong!r} is empty or appears twice.", "Names must differ.")
    return table


def _load_csv(path: Path) -> pd.DataFrame:
    try:
        with (gzip.open if path.suffix.lower() == ".gz" else open)(path, "rt", encoding="utf-8-sig") as file:
            separator = max(",;\t", key=next((line for line in file if line.strip()), "").count)
        table = pd.read_csv(
            path,
            header=None,
            sep=separator,
            dtype=str,
            keep_default_na=False,
            skip_blank_lines=False,
            skipinitialspace=True,
            encoding="utf-8-sig",
            compression="gzip" if path.suffix.lower() == ".gz" else None,
        ).fillna("")
    except pd.errors.EmptyDataError as err:
        raise DataError(f"{path} is empty.") from err
    except (pd.errors.ParserError, UnicodeDecodeError, OSError, EOFError, zlib.error) as err:
        raise DataError(f"{path} is not a readable CSV file: {str(err).strip().rstrip('.')}.") from err
    table.index = pd.RangeIndex(1, len(table) + 1)
    table = table[(table != "").any(axis=1)]
    header, table = table.iloc[0], table.iloc[1:]
    return table.set_axis([str(column).strip() for column in header], axis=1)


def _time_column(path: Path, table: pd.DataFrame) -> str:
    for column in table.columns:
        if _plain(column) in TIME_NAMES or pd.api.types.is_datetime64_any_dtype(table[column]):
            return str(column)
    first = table.columns[0]
    if re.match(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}", str(table[first].iloc[0])):
        return str(first)
    raise DataError(
        f"{path} has no time column; its columns are {', '.join(map(str, table.columns[:6]))}.",
        f"Call it one of {', '.join(TIME_NAMES)}, or put it first.",
    )


def _times(path: Path, column: pd.Series, zone: ZoneInfo, time_format: str | None) -> pd.Series:
    """UTC instants, indexed like `column`."""
    if pd.api.types.is_datetime64_any_dtype(column):
        if column.isna().any():
            raise DataError(f"{path}, row {column.index[column.isna()][0]}, column {column.name!r}: no time stamp.")
        return column.dt.tz_convert("UTC") if column.dt.tz is not None else _localize(path, column, zone)
    text = column.astype(str).str.strip()
    has_offset = text.str.contains(_OFFSET) if time_format is None else pd.Series("%z" in time_format, text.index)
    if has_offset.any() and not has_offset.all():
        row = has_offset.index[has_offset != has_offset.iloc[0]][0]
        raise DataError(
            f"{path}, row {row}, column {column.name!r}: {text[row]!r} has a zone or lacks one, unlike the rows above.",
            "Write all stamps with an offset, or none.",
        )
    try:
        parsed = pd.to_datetime(text, format=time_format or "ISO8601", errors="coerce", utc=bool(has_offset.all()))
    except ValueError as err:
        hint = "Use strftime codes, such as '%d/%m/%Y %H:%M'."
        raise UsageError(f"{time_format!r} is not a time format: {err}.", hint) from err
    if parsed.isna().any():
        row = parsed.index[parsed.isna()][0]
        raise DataError(f"{path}, row {row}, column {column.name!r}: {text[row]!r} is not a time stamp.", _ISO_HINT)
    return parsed if has_offset.all() else _localize(path, parsed, zone)


def _localize(path: Path, local: pd.Series, zone: ZoneInfo) -> pd.Series:
    """Local clock times in UTC; the repeated hour in autumn is told apart by the order of the rows."""
    hint = "Write the stamps with their UTC offset, or name the time zone that they were logged in."
    skipped = local.dt.tz_localize(zone, ambiguous=np.zeros(len(local), dtype=bool), nonexistent="NaT").isna()
    if skipped.any():
        row = skipped.index[skipped][0]
        raise DataError(f"{path}, row {row}: {local[row]} does not exist in {zone} (clocks change).", hint)
    try:
        utc: pd.Series = local.dt.tz_localize(zone, ambiguous="infer").dt.tz_convert("UTC")
        return utc
    except ValueError as err:
        twice = local.dt.tz_localize(zone, ambiguous="NaT").isna()
        row = twice.index[twice][0]
        raise DataError(f"{path}, row {row}: {local[row]} occurs twice in {zone} (clocks change).", hint) from err


def _numbers(path: Path, column: pd.Series) -> NDArray[np.float32]:
    """Readings; NaN where the cell counts as missing."""
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        numbers = column.to_numpy(dtype=np.float64, na_value=np.nan)
        missing = np.isnan(numbers)
    else:
        text = column.astype(str).str.strip()
        missing = (column.isna() | text.str.lower().isin(MISSING)).to_numpy()
        numbers = pd.to_numeric(text.mask(missing), errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    with np.errstate(over="ignore"):
        readings = numbers.astype(np.float32)
    bad = ~missing & ~np.isfinite(readings)
    if bad.any():
        row = column.index[bad][0]
        raise DataError(
            f"{path}, row {row}, column {column.name!r}: {column[row]!r} is not a number.",
            "Use a point for decimals and no thousands separator; leave missing readings empty.",
        )
    return readings


def _refuse_wider_long(path: Path, table: pd.DataFrame, time: str, others: list[str]) -> None:
    """A table with a node column that holds no number, or repeats its stamps, is long with columns too many."""
    node = next((column for column in others if _plain(column).removesuffix("_id") in NODE_NAMES), None)
    if node is None or len(others) <= 2:
        return
    if not table[time].duplicated().any() and pd.to_numeric(table[node], errors="coerce").notna().any():
        return
    value, *further = [column for column in others if column != node]
    raise DataError(
        f"{path} looks long, with the nodes in the column {node!r}, but has further columns: {', '.join(further)}.",
        f"Keep three columns, such as {time}, {node} and {value}; import each further quantity by itself.",
    )


def _pivot(
    path: Path, table: pd.DataFrame, time: str, node: str, value: str, zone: ZoneInfo, time_format: str | None
) -> pd.DataFrame:
    """A long table as one row a time stamp and one column a node, in order of appearance."""
    nodes = table[node].astype(str).str.strip()
    nameless = table[node].isna() | (nodes == "")
    if nameless.any():
        raise DataError(f"{path}, row {nodes.index[nameless][0]}, column {node!r}: the node is empty.")
    # One node at a time: the order of its own rows tells the repeated hour in autumn apart.
    times = pd.concat([_times(path, stamps, zone, time_format) for _, stamps in table[time].groupby(nodes, sort=False)])
    long = pd.DataFrame({"time": times.reindex(table.index), "node": nodes, "value": _numbers(path, table[value])})
    _refuse_duplicates(path, long[["time", "node"]])
    return long.pivot(index="time", columns="node", values="value")[list(nodes.unique())]


def _refuse_duplicates(path: Path, keys: pd.DataFrame) -> None:
    twice = keys.duplicated(keep=False)
    if not twice.any():
        return
    first = keys[twice].iloc[0]
    rows = keys.index[(keys == first).all(axis=1)]
    what = " for node " + repr(first["node"]) if "node" in keys else ""
    raise DataError(
        f"{path}, rows {', '.join(map(str, rows[:5]))}: the time stamp {first['time']:%Y-%m-%dT%H:%M:%S} UTC appears "
        f"{len(rows)} times{what}.",
        "Keep one row for each.",
    )


def _regular(path: Path, values: pd.DataFrame) -> pd.DataFrame:
    """Sorted rows on an even grid of the most frequent step; absent rows are NaN."""
    values = values.sort_index()
    index = pd.DatetimeIndex(values.index)
    if len(index) < 2:
        raise DataError(f"{path} has one time stamp, {index[0]:%Y-%m-%dT%H:%M:%S} UTC.", "At least two are needed.")
    stamps = index.as_unit("ns").asi8
    steps, counts = np.unique(np.diff(stamps), return_counts=True)
    step = int(steps[counts.argmax()])
    phases, counts = np.unique(stamps % step, return_counts=True)
    off = stamps % step != phases[counts.argmax()]
    if off.any():
        raise DataError(
            f"{path}: the time stamp {index[off][0]:%Y-%m-%dT%H:%M:%S} UTC is off the grid of {_in_words(step)} that "
            "most rows follow.",
            "Round or resample the stamps to one step; give days and months in the time zone UTC.",
        )
    length = (stamps[-1] - stamps[0]) // step + 1
    if length > MAX_SPARSITY * len(index):
        gap = int(np.diff(stamps).argmax())
        raise DataError(
            f"{path}: at a step of {_in_words(step)} only {len(index)} of {length} rows are there; the longest gap "
            f"is from {index[gap]:%Y-%m-%dT%H:%M} to {index[gap + 1]:%Y-%m-%dT%H:%M} UTC.",
            "Is a stamp wrong?",
        )
    return values.reindex(pd.date_range(index[0], index[-1], freq=pd.Timedelta(step)))


def _in_words(step_ns: int) -> str:
    """Such as '5 minutes'."""
    for unit, size in (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1)):
        count, rest = divmod(step_ns, size * 10**9)
        if count and not rest:
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return f"{step_ns / 1e9:g} seconds"
