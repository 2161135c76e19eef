"""HDF5: pandas frames as in DCRNN's METR-LA (fixed and table format), and plain data sets; read with h5py alone."""

from __future__ import annotations

import pickletools
import zoneinfo
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mm4st_agent.data.importing.arrays import as_readings, need_start, numbered, split_unit, unfit
from mm4st_agent.data.importing.draft import BLOCK_BYTES, Block, Finding, Source, SourceChannel
from mm4st_agent.data.importing.options import ImportOptions
from mm4st_agent.data.importing.safety import WHY_NO_PICKLE, reason
from mm4st_agent.errors import DataError, UsageError

_DAMAGED = (OSError, LookupError, RuntimeError, ValueError, TypeError, AttributeError, OverflowError, MemoryError)
"""What h5py raises at damaged files."""
_TEXT_OPCODES = {"SHORT_BINUNICODE", "BINUNICODE", "UNICODE", "STRING", "BINSTRING", "SHORT_BINSTRING"}
_NUMBER_OPCODES = {"INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1"}
_LIST_OPCODES = {
    "PROTO", "FRAME", "EMPTY_LIST", "MARK", "LIST", "APPEND", "APPENDS", "MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT",
    "STOP",
}  # fmt: skip


def read_hdf(path: Path, options: ImportOptions) -> Source:
    """Read one frame or data set of an HDF5 file as it lies there.

    Args:
        path: `.h5`: a pandas frame of shape (time, node), or a data set (T, N) or (T, N, C).
        options: `member` is the key, needed where there are several.

    Returns:
        Rows as in the file; a frame's index are the stamps, its columns the node ids.

    Raises:
        DataError: it is not HDF5, holds no such table or several, is packed by a filter that is not here, or keeps
            its names as a pickle; or the data set has no stamps and the options give none.
        UsageError: the file has no key `options.member`.
    """
    try:
        with h5py.File(path, "r") as file:
            found: dict[str, str] = {}
            file.visititems(partial(_collect, found))
            key = _choose(path, found, options.member)
            read = {"fixed": _fixed, "table": _table, "plain": _plain}[found[key]]
            return read(path, file, key, options)
    except _DAMAGED as err:
        raise DataError(
            f"{path} is not a readable HDF5 file: {reason(err)}.",
            "If a compression filter is missing, save it with gzip or without compression.",
        ) from err


def _collect(found: dict[str, str], name: str, item: h5py.Group | h5py.Dataset) -> None:
    """Note what can be read: frames by their group, data sets outside of frames."""
    if any(name.startswith(f"{frame}/") for frame in found):
        return
    kind = _decode(item.attrs.get("pandas_type", b""))
    if kind == "frame":
        found[name] = "fixed"
    elif kind == "frame_table":
        found[name] = "table"
    elif isinstance(item, h5py.Dataset) and item.ndim in (2, 3) and item.dtype.kind in "iuf":
        found[name] = "plain"


def _choose(path: Path, found: Mapping[str, str], member: str | None) -> str:
    keys = ", ".join(found) or "nothing"
    if member is not None:
        if member.strip("/") not in found:
            raise UsageError(f"{path} has no table {member!r}.", f"It has {keys}.")
        return member.strip("/")
    if len(found) != 1:
        hint = "Say which one with --member." if found else "Give a pandas frame (time, node), or a 2-D data set."
        raise DataError(f"{path} should hold one table of readings; it holds {keys}.", hint)
    return next(iter(found))


# -- the three kinds ----------------------------------------------------------------------


def _fixed(path: Path, file: h5py.File, key: str, options: ImportOptions) -> Source:
    """`DataFrame.to_hdf(format='fixed')`: axis0 the columns, axis1 the index, and blocks of like columns."""
    group = file[key]
    if "axis1" not in group or group["axis1"].ndim != 1 or "axis1_label0" in group:
        raise DataError(f"{path}: the frame {key!r} has an index of several levels.", "Reset the index and save again.")
    columns = _axis(path, group["axis0"])
    place = {column: i for i, column in enumerate(columns)}
    parts = []
    for number in range(int(group.attrs.get("nblocks", 0))):
        values = group[f"block{number}_values"]
        if values.dtype.kind not in "iuf":
            raise DataError(f"{path}: columns of {key!r} hold {_dtype_words(values)}, not numbers.")
        at = np.array([place[item] for item in _axis(path, group[f"block{number}_items"])], dtype=int)
        if values.shape != (len(group["axis1"]), len(at)):
            raise DataError(f"{path}: {values.name} has the shape {values.shape}, unlike its labels.")
        parts.append((values.name, at))
    if not parts:
        raise DataError(f"{path}: the frame {key!r} is empty.")
    return _frame(path, key, _axis(path, group["axis1"]), columns, partial(_fixed_blocks, path, parts), options)


def _fixed_blocks(path: Path, parts: list[tuple[str, NDArray[np.int_]]], channel: str, width: int) -> Iterator[Block]:
    with h5py.File(path, "r") as file:
        values = [(file[name], at) for name, at in parts]
        total = values[0][0].shape[0]
        rows = _rows(width)
        for first in range(0, total, rows):
            count = min(rows, total - first)
            whole = all(item.dtype.itemsize <= 4 and item.dtype.kind == "f" for item, _ in values)
            block = np.full((count, width), np.nan, dtype=np.float32 if whole else np.float64)
            for item, at in values:
                block[:, at] = _slice(path, item, first, count)
            yield {channel: block}


def _table(path: Path, file: h5py.File, key: str, options: ImportOptions) -> Source:
    """`DataFrame.to_hdf(format='table')`: one record a row, with the index and blocks of values as fields."""
    table = file[key]["table"]
    fields: list[str] = []
    columns: list[str | int] = []
    for field in table.dtype.names[1:]:
        base = table.dtype[field].base
        if base.kind not in "iuf":
            raise DataError(f"{path}: the column {field!r} of {key!r} holds text, not numbers.")
        fields.append(field)
        names = table.attrs.get(f"{field}_kind")
        labels = _pickled_names(path, names) if names is not None else [field]
        if len(labels) != int(np.prod(table.dtype[field].shape)):
            raise DataError(
                f"{path}: {field!r} of {key!r} has the shape {table.dtype[field].shape}, unlike its labels."
            )
        columns += labels
    kind = _decode(table.attrs.get("index_kind", b""))
    index = _index(path, table["index"], kind, _pickled_zone(path, file[key].attrs.get("info", b"")))
    return _frame(path, key, index, columns, partial(_table_blocks, path, table.name, tuple(fields)), options)


def _table_blocks(path: Path, name: str, fields: tuple[str, ...], channel: str, width: int) -> Iterator[Block]:
    with h5py.File(path, "r") as file:
        table = file[name]
        rows = _rows(width)
        for first in range(0, len(table), rows):
            part = _slice(path, table, first, min(rows, len(table) - first))
            yield {channel: as_readings(np.concatenate([part[f].reshape(len(part), -1) for f in fields], axis=1))}


def _frame(
    path: Path,
    key: str,
    index: NDArray[Any],
    columns: list[Any],
    blocks: Callable[[str, int], Iterator[Block]],
    options: ImportOptions,
) -> Source:
    ids = tuple(str(column) for column in columns)
    twice = next((i for i in ids if ids.count(i) > 1), None) if len(set(ids)) < len(ids) else None
    if twice is not None:
        raise DataError(f"{path}: two columns of {key!r} are called {twice!r}.", "Node ids must be unique.")
    channel = options.channel or (options.channels or ("value",))[0]
    return Source(
        path=path,
        files=(path,),
        stamps=pd.Series(index, name="index"),
        node_ids=ids,
        channels=(SourceChannel(channel),),
        blocks=partial(blocks, channel, len(ids)),
        findings=(
            Finding("layout", key, "a pandas frame: its index are the time stamps, its columns the nodes.", "stated"),
        ),
    )


def _plain(path: Path, file: h5py.File, key: str, options: ImportOptions) -> Source:
    """A bare data set (T, N) or (T, N, C)."""
    data = file[key]
    steps, width = data.shape[:2]
    features = data.shape[2] if data.ndim == 3 else 1
    need_start(path, steps, options)
    names = options.channels or ((options.channel,) if options.channel else None)
    if names is not None and len(names) != features:
        raise unfit(names, features, path)
    stem, unit = split_unit(key.rpartition("/")[2])
    if names is None:
        names = (stem,) if features == 1 else tuple(f"channel-{i + 1}" for i in range(features))
    findings = [Finding("layout", key, f"a data set of {steps} rows, {width} nodes.", "inferred")]
    return Source(
        path=path,
        files=(path,),
        stamps=None,
        node_ids=numbered(width, findings),
        channels=tuple(SourceChannel(name, unit) for name in names),
        blocks=partial(_plain_blocks, path, key, tuple(names)),
        findings=tuple(findings),
    )


def _plain_blocks(path: Path, key: str, names: tuple[str, ...]) -> Iterator[Block]:
    with h5py.File(path, "r") as file:
        data = file[key]
        rows = _rows(data.shape[1] * len(names))
        for first in range(0, data.shape[0], rows):
            part = _slice(path, data, first, min(rows, data.shape[0] - first)).reshape(-1, data.shape[1], len(names))
            yield {name: as_readings(part[:, :, i]) for i, name in enumerate(names)}


# -- pieces -------------------------------------------------------------------------------


def _rows(width: int) -> int:
    return max(1, BLOCK_BYTES // (8 * width))


def _slice(path: Path, data: h5py.Dataset, first: int, count: int) -> NDArray[Any]:
    try:
        return np.asarray(data[first : first + count])
    except _DAMAGED as err:
        raise DataError(
            f"{path}: {data.name} cannot be read: {reason(err)}.",
            "If a compression filter is missing, save it with gzip or without compression.",
        ) from err


def _axis(path: Path, data: h5py.Dataset) -> Any:
    """The labels of an axis: a list of text or numbers, or datetimes."""
    return _index(path, data, _decode(data.attrs.get("kind", b"")), _decode(data.attrs.get("tz", b"")))


def _index(path: Path, data: Any, kind: str, zone: str = "") -> Any:
    if h5py.check_dtype(vlen=data.dtype) is not None or kind == "object" or data.dtype.kind == "O":
        raise DataError(
            f"{path}: the labels {getattr(data, 'name', 'index')} are stored as a pickle, and {WHY_NO_PICKLE}.",
            "Save the frame with text or datetime labels.",
        )
    values = np.asarray(data)
    if kind.startswith("datetime"):
        unit = kind[kind.index("[") + 1 : -1] if "[" in kind else "ns"
        stamps = pd.DatetimeIndex(values.astype(f"datetime64[{unit}]"))
        return stamps.tz_localize("UTC").tz_convert(zone) if zone else stamps
    if values.dtype.kind == "S":
        return [item.decode("utf-8", "replace") for item in values.tolist()]
    return values.tolist()


def _pickled_names(path: Path, pickled: Any) -> list[str | int]:
    """The plain list of names that PyTables wrote as a pickle: its text is read, nothing of it is run.

    Raises:
        DataError: it is more than a list of text and numbers.
    """
    raw = bytes(pickled) if not isinstance(pickled, np.ndarray) else pickled.tobytes()
    names: list[str | int] = []
    try:
        for opcode, argument, _ in pickletools.genops(raw):
            if opcode.name in _TEXT_OPCODES | _NUMBER_OPCODES and argument is not None:
                names.append(argument)
            elif opcode.name not in _LIST_OPCODES:
                raise ValueError(f"it has the opcode {opcode.name}")
    except ValueError as err:
        raise DataError(
            f"{path}: the column names are a pickle of more than plain text ({err}), and {WHY_NO_PICKLE}.",
            "Save it with format='fixed'.",
        ) from err
    return names


def _pickled_zone(path: Path, pickled: Any) -> str:
    """The time zone of the index, which PyTables keeps in a pickled dict; '' where it has none."""
    texts = [
        str(argument) for opcode, argument, _ in pickletools.genops(bytes(pickled)) if opcode.name in _TEXT_OPCODES
    ]
    if "tz" not in texts:
        return ""
    known = zoneinfo.available_timezones()
    zone = next((text for text in texts[texts.index("tz") + 1 :] if text in known), None)
    if zone is None:
        raise DataError(
            f"{path}: the time zone of the index has no name, such as 'US/Pacific'.", "Save the stamps in UTC."
        )
    return zone


def _dtype_words(data: h5py.Dataset) -> str:
    return "Python objects (a pickle)" if data.dtype.kind == "O" else str(data.dtype)


def _decode(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
