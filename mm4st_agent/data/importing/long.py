"""Long tables, a row a time and node, turned into rows of all nodes by way of buckets of stamps."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from mm4st_agent.data.importing.draft import BLOCK_BYTES, Block, Finding, Source, SourceChannel
from mm4st_agent.data.importing.layout import Layout, clock_text
from mm4st_agent.data.importing.options import ImportOptions
from mm4st_agent.data.importing.quantities import split_unit, unit_in_name
from mm4st_agent.data.importing.rows import Table
from mm4st_agent.data.importing.spool import Spool
from mm4st_agent.data.importing.tables import covariate_columns, units_of
from mm4st_agent.data.importing.values import stripped
from mm4st_agent.errors import DataError

BUCKET = 512
"""Stamps in a bucket."""
MAX_REPEATS = 100
"""Rows of one node at one stamp; more are no duplicates but occurrences."""
MAX_NODES = 200_000
MAX_COVARIATE_BYTES = 256 * 2**20
"""Covariates by node that would take more become channels, which are never held whole."""


def read_long(table: Table, layout: Layout, options: ImportOptions) -> Source:
    """Sort the rows of a long table by stamp.

    A row of the source is a stamp; a stamp that a node has twice makes a second row, which holds the repeated readings.

    Raises:
        DataError: a row has no node, a cell no number, or a node more than `MAX_REPEATS` rows at a stamp.
    """
    return _Long(table, layout, options).source()


@dataclasses.dataclass(frozen=True, slots=True)
class _Order:
    """The rows of the source: for each, its stamp, its occurrence, and the first row in the file that belongs to it."""

    stamp: NDArray[np.int64]
    first: NDArray[np.int64]
    starts: NDArray[np.int64]
    """`(S + 1,)` where the rows of each stamp begin."""


class _Long:
    def __init__(self, table: Table, layout: Layout, options: ImportOptions) -> None:
        self.table, self.layout, self.options = table, layout, options
        self.plain = [c for c in layout.covariates if c not in layout.compass and c not in layout.flags]
        self.names = (*layout.values, *layout.covariates)
        fields = [("stamp", "<i8"), ("node", "<i8"), ("row", "<i8"), ("values", "<f4", (len(self.names),))]
        self.spool = Spool(np.dtype(fields))
        self.stamps: dict[object, int] = {}
        self.nodes: dict[str, int] = {}
        self.about: dict[str, dict[str, object]] = {}

    def source(self) -> Source:
        self._sort()
        order = self._order()
        channels = [SourceChannel(split_unit(name)[0], unit_in_name(name)) for name in self.layout.values]
        covariates, kept_as_channels = self._covariates(order)
        findings = list(self.layout.findings)
        if kept_as_channels:
            why = "They are too large to stand beside the readings, so they are channels."
            findings.append(Finding("covariates", ", ".join(kept_as_channels), why, "assumed"))
            channels += [SourceChannel(split_unit(name)[0], unit_in_name(name)) for name in kept_as_channels]
        wanted = [self.names.index(name) for name in (*self.layout.values, *kept_as_channels)]

        def blocks() -> Iterator[Block]:
            for _, dense in self._dense(order, wanted):
                yield {channel.name: dense[i] for i, channel in enumerate(channels)}

        keys = pd.Series(list(self.stamps))
        stamps = keys.iloc[order.stamp].set_axis(pd.Index(order.first))
        stamps.name = self.layout.time[0] if len(self.layout.time) == 1 else None
        return Source(
            path=self.table.path,
            files=(self.table.path,),
            stamps=stamps,
            node_ids=tuple(self.nodes),
            channels=tuple(channels),
            blocks=blocks,
            covariates=covariates,
            nodes=self._about(),
            findings=tuple(findings),
        )

    def _sort(self) -> None:
        layout = self.layout
        worded = [c for c in layout.covariates if c not in self.plain]
        assert layout.node is not None
        cells = list(dict.fromkeys((*layout.time, layout.node, *layout.about.values(), *worded)))
        for rows in self.table.rows((*layout.values, *self.plain), cells):
            nodes = ids_of(rows.cells[layout.node])
            if (nodes == "").any():
                row = nodes.index[nodes == ""][0]
                raise DataError(f"{self.table.path}, row {row}, column {layout.node!r}: the node is empty.")
            records = np.empty(len(nodes), dtype=self.spool.dtype)
            records["stamp"] = codes_of(clock_text(rows.cells, layout.time), self.stamps)
            before = len(self.nodes)
            records["node"] = codes_of(nodes, self.nodes)
            if len(self.nodes) > MAX_NODES:
                raise DataError(
                    f"{self.table.path}, column {layout.node!r}: more than {MAX_NODES:,} nodes.",
                    "Is it the id of a row? Name the node column: --node-column NAME.",
                )
            records["row"] = rows.numbers
            values = rows.values[:, : len(layout.values)]
            beside = covariate_columns(self.table, layout, self.plain, rows)
            everything = np.column_stack([values, *(beside[name] for name in layout.covariates)])
            self._check_size(everything, rows.numbers)
            records["values"] = everything
            self.spool.add(records["stamp"] // BUCKET, records)
            if layout.about:
                self._note(nodes, rows.cells, before)

    def _check_size(self, values: NDArray[np.float64], rows: NDArray[np.int64]) -> None:
        large = np.abs(values) > np.finfo(np.float32).max
        if large.any():
            row, column = np.argwhere(large)[0]
            raise DataError(
                f"{self.table.path}, row {rows[row]}, column {self.names[column]!r}: {values[row, column]:g} is too "
                "large a number.",
                "Readings are stored with 32 bits.",
            )

    def _note(self, nodes: pd.Series, cells: pd.DataFrame, before: int) -> None:
        """Keep what the first row of each new node says about it."""
        fresh = nodes[~nodes.duplicated()]
        for row, node in fresh.items():
            if self.nodes[node] >= before:
                self.about[node] = {role: cells.at[row, column] for role, column in self.layout.about.items()}

    def _about(self) -> pd.DataFrame | None:
        if not self.about:
            return None
        frame = pd.DataFrame.from_dict(self.about, orient="index")
        frame.index.name = "id"
        for role in frame.columns:
            if role != "name":
                frame[role] = pd.to_numeric(frame[role], errors="coerce")
        return frame

    def _order(self) -> _Order:
        count = np.zeros(len(self.stamps), dtype=np.int64)
        firsts: list[NDArray[np.int64]] = []
        for bucket in self.spool.buckets:
            records = self.spool.read(bucket)
            occurrence = self._occurrence(records)
            repeats = int(occurrence.max()) + 1
            if repeats > MAX_REPEATS:
                self._refuse(records, occurrence)
            base = bucket * BUCKET
            size = min(BUCKET, len(self.stamps) - base)
            first = np.full((size, repeats), np.iinfo(np.int64).max)
            np.minimum.at(first, (records["stamp"] - base, occurrence), records["row"])
            there = first != np.iinfo(np.int64).max
            count[base : base + size] = there.sum(axis=1)
            firsts.append(first[there])
        starts = np.concatenate([[0], np.cumsum(count)])
        stamp = np.repeat(np.arange(len(self.stamps)), count)
        return _Order(stamp, np.concatenate(firsts), starts)

    def _occurrence(self, records: NDArray[np.void]) -> NDArray[np.int64]:
        """How many earlier rows have the same stamp and node."""
        key = records["stamp"] * len(self.nodes) + records["node"]
        order = np.argsort(key, kind="stable")
        ordered = key[order]
        new = np.r_[True, ordered[1:] != ordered[:-1]]
        start = np.maximum.accumulate(np.where(new, np.arange(len(key)), 0))
        occurrence = np.empty(len(key), dtype=np.int64)
        occurrence[order] = np.arange(len(key)) - start
        return occurrence

    def _refuse(self, records: NDArray[np.void], occurrence: NDArray[np.int64]) -> None:
        worst = records[int(occurrence.argmax())]
        node, stamp = list(self.nodes)[worst["node"]], list(self.stamps)[worst["stamp"]]
        raise DataError(
            f"{self.table.path}: the node {node!r} has more than {MAX_REPEATS} rows at {stamp!s}, such as row "
            f"{worst['row']}.",
            "If each row is an occurrence to be counted, pass --layout records; else name the node column: "
            "--node-column NAME.",
        )

    def _dense(self, order: _Order, wanted: list[int]) -> Iterator[tuple[int, list[NDArray[np.float32]]]]:
        """Rows of the source in blocks: the first row, and for each wanted column `(r, N)` readings."""
        width = len(self.nodes)
        group: list[int] = []
        rows = 0
        buckets = self.spool.buckets
        for i, bucket in enumerate(buckets):
            group.append(bucket)
            stop = min((bucket + 1) * BUCKET, len(self.stamps))
            rows += int(order.starts[stop] - order.starts[bucket * BUCKET])
            if i + 1 < len(buckets) and rows * width * 4 < BLOCK_BYTES // 2:
                continue
            start = int(order.starts[group[0] * BUCKET])
            dense = [np.full((rows, width), np.nan, dtype=np.float32) for _ in wanted]
            for each in group:
                records = self.spool.read(each)
                at = order.starts[records["stamp"]] + self._occurrence(records) - start
                for target, column in zip(dense, wanted, strict=True):
                    target[at, records["node"]] = records["values"][:, column]
            yield start, dense
            group, rows = [], 0

    def _covariates(self, order: _Order) -> tuple[xr.Dataset, list[str]]:
        """Covariates by row, and by node where the nodes differ; and those that are too large for that."""
        names = self.layout.covariates
        length, width = len(order.stamp), len(self.nodes)
        if not names:
            return xr.Dataset(), []
        if length * width * 4 * len(names) > MAX_COVARIATE_BYTES:
            return xr.Dataset(), list(names)
        wanted = [self.names.index(name) for name in names]
        whole = [np.full((length, width), np.nan, dtype=np.float32) for _ in names]
        for start, dense in self._dense(order, wanted):
            for target, values in zip(whole, dense, strict=True):
                target[start : start + len(values)] = values
        variables = {}
        for name, values in zip(names, whole, strict=True):
            low, high = np.fmin.reduce(values, axis=1), np.fmax.reduce(values, axis=1)
            # The same for all nodes that have it, at any time: it belongs to the time alone.
            shared = width == 1 or not (low < high).any()
            data = (("row",), low) if shared else (("row", "node"), values)
            variables[split_unit(name)[0]] = (*data, units_of(name, self.layout))
        found = xr.Dataset(variables)
        return (found.assign_coords(node=list(self.nodes)) if "node" in found.dims else found), []


def ids_of(column: pd.Series) -> pd.Series:
    """Node ids as text; whole numbers without a decimal point."""
    if pd.api.types.is_float_dtype(column) and (column.dropna() % 1 == 0).all():
        column = column.astype("Int64")
    return stripped(column)


def codes_of(column: pd.Series, known: dict[object, int] | dict[str, int]) -> NDArray[np.int64]:
    """A number for each distinct value, in order of appearance over all blocks; new ones are added to `known`."""
    codes, uniques = pd.factorize(column, use_na_sentinel=False)
    numbers = np.array([known.setdefault(value, len(known)) for value in uniques], dtype=np.int64)
    return numbers[codes]
