"""`read_tables`: CSV, TSV, Parquet and xlsx, wide or long or a row an occurrence, into a `Source`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from mm4st_agent.data.importing.delimited import SUFFIXES, DelimitedTable
from mm4st_agent.data.importing.draft import Block, Finding, Source, SourceChannel
from mm4st_agent.data.importing.layout import Layout, clock_text, layout_of
from mm4st_agent.data.importing.options import ImportOptions
from mm4st_agent.data.importing.quantities import quantity_in, repeated_quantity, split_unit, unit_in_name
from mm4st_agent.data.importing.rows import Rows, Table
from mm4st_agent.data.importing.values import degrees, flags, numbers
from mm4st_agent.errors import DataError

DEFAULT_CHANNEL = "value"


def read_tables(path: Path, options: ImportOptions) -> Source:
    """Read one table; a large one is passed over in blocks and never held whole.

    Args:
        path: `.csv`, `.tsv`, `.txt` (comma, semicolon, tab or bar; also `.gz`), `.parquet`, or `.xlsx`. Wide: a time
            column and one column a node, or one column a quantity of a single place. Long: time, node, and a column a
            quantity. Records: a time a row, counted and summed by step.
        options: What is stated; the rest is told from names and the first rows.

    Raises:
        UsageError: an option names what is not there.
        DataError: the file cannot be read as such a table; the message names the row (the header is row 1), the
            column and the value.
    """
    return source_of(open_table(path, options), options)


def source_of(table: Table, options: ImportOptions) -> Source:
    """A source of an open table, as for `read_tables`."""
    layout = layout_of(table, options)
    layout = dataclasses.replace(layout, findings=(*table.findings, *layout.findings))
    if layout.kind == "long":
        from mm4st_agent.data.importing.long import read_long

        return read_long(table, layout, options)
    if layout.kind == "records":
        from mm4st_agent.data.importing.records import read_records

        return read_records(table, layout, options)
    return _by_row(table, layout, options)


def open_table(path: Path, options: ImportOptions) -> Table:
    """The table of a file, by its name.

    Raises:
        UsageError: a workbook has no sheet `options.member`.
        DataError: the file is none of these, is damaged, or has no rows.
    """
    kind = path.name.lower()
    table: Table
    if kind.endswith((".parquet", ".pq")):
        from mm4st_agent.data.importing.parquet import ParquetTable

        table = ParquetTable(path)
    elif kind.endswith((".xlsx", ".xlsm")):
        from mm4st_agent.data.importing.workbook import read_sheet

        table = read_sheet(path, options.member)
    elif kind.endswith(SUFFIXES):
        table = DelimitedTable(path)
    else:
        raise DataError(
            f"{path} is no table that can be read.",
            f"Give one of {', '.join(SUFFIXES)}, .parquet, .xlsx.",
        )
    table.check()
    return table


def place_of(path: Path) -> str:
    """What the one place of a file is called: the file's name without its endings."""
    name = path.name
    for suffix in (".gz", *(suffix.removesuffix(".gz") for suffix in SUFFIXES), ".parquet", ".pq", ".xlsx", ".xlsm"):
        name = name[: -len(suffix)] if name.lower().endswith(suffix) and len(name) > len(suffix) else name
    return name


def _by_row(table: Table, layout: Layout, options: ImportOptions) -> Source:
    """A table in which a row is a time: a column a node, or a column a quantity of one place."""
    names = layout.values
    if layout.kind == "wide":
        channel, unit, found = _wide_channel(table, layout, options)
        channels: tuple[SourceChannel, ...] = (SourceChannel(channel, unit),)
        nodes = names
    else:
        channels, found = tuple(SourceChannel(split_unit(name)[0], unit_in_name(name)) for name in names), ()
        nodes = (place_of(table.path),)
    stamps, covariates = _beside(table, layout)

    def blocks() -> Iterator[Block]:
        for rows in table.rows(names):
            if layout.kind == "wide":
                yield {channels[0].name: rows.values}
            else:
                yield {channel.name: rows.values[:, [i]] for i, channel in enumerate(channels)}

    return Source(
        path=table.path,
        files=(table.path,),
        stamps=stamps,
        node_ids=tuple(nodes),
        channels=channels,
        blocks=blocks,
        covariates=covariates,
        findings=(*layout.findings, *found),
    )


def _wide_channel(table: Table, layout: Layout, options: ImportOptions) -> tuple[str, str | None, tuple[Finding, ...]]:
    """What the nodes of a wide table measure, and its unit: as stated, or by the columns' or the file's name."""
    units = {split_unit(name)[1] for name in layout.values}
    unit = units.pop() if len(units) == 1 else None
    if options.channel is not None:
        return options.channel, unit, ()
    by_columns = repeated_quantity(layout.values)
    known = by_columns or quantity_in(place_of(table.path))
    if known is None:
        return DEFAULT_CHANNEL, unit, ()
    why = f"The name of the {'columns' if by_columns else 'file'} says so."
    return known.key, unit, (Finding("channel", known.key, why, "inferred"),)


def _beside(table: Table, layout: Layout) -> tuple[pd.Series | None, xr.Dataset]:
    """Stamps and covariates of each row, in one pass."""
    if not layout.time and not layout.covariates:
        return None, xr.Dataset()
    plain = [c for c in layout.covariates if c not in layout.compass and c not in layout.flags]
    worded = [c for c in layout.covariates if c not in plain]
    stamps: list[pd.Series] = []
    columns: dict[str, list[NDArray[np.float64]]] = {name: [] for name in layout.covariates}
    for rows in table.rows(plain, (*layout.time, *worded)):
        if layout.time:
            stamps.append(clock_text(rows.cells, layout.time))
        for name, values in covariate_columns(table, layout, plain, rows).items():
            columns[name].append(values)
    covariates = xr.Dataset(
        {
            split_unit(name)[0]: (("row",), np.concatenate(parts).astype(np.float32), units_of(name, layout))
            for name, parts in columns.items()
        }
    )
    return (pd.concat(stamps) if stamps else None), covariates


def covariate_columns(table: Table, layout: Layout, plain: list[str], rows: Rows) -> dict[str, NDArray[np.float64]]:
    """The covariates of a block whose numeric columns end with `plain`, as numbers."""
    offset = rows.values.shape[1] - len(plain)
    found = {name: rows.values[:, offset + i] for i, name in enumerate(plain)}
    for name in layout.covariates:
        if name in layout.compass:
            found[name] = degrees(table.path, rows.cells[name])
        elif name in layout.flags:
            found[name] = flags(table.path, rows.cells[name])
        elif name not in found:
            found[name] = numbers(table.path, rows.cells[name], table.decimal)
    return found


def units_of(name: str, layout: Layout) -> dict[str, str]:
    """The attribute `units` where the column says it."""
    unit = "°" if name in layout.compass else unit_in_name(name)
    return {"units": unit} if unit is not None else {}
