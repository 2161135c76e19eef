"""Tables in which a row is an occurrence (a request, a trip): counted and summed by time step."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mm4st_agent.data.importing.draft import BLOCK_BYTES, Block, Finding, Source, SourceChannel
from mm4st_agent.data.importing.grid import in_short, in_words
from mm4st_agent.data.importing.layout import Layout, clock_text
from mm4st_agent.data.importing.long import codes_of, ids_of
from mm4st_agent.data.importing.options import ImportOptions
from mm4st_agent.data.importing.quantities import split_unit
from mm4st_agent.data.importing.rows import Table
from mm4st_agent.data.importing.tables import place_of
from mm4st_agent.data.importing.times import instants, zone_of
from mm4st_agent.errors import DataError

DEFAULT_STEP_S = 60
COUNT = "count"
MAX_BYTES = 1024 * 2**20
"""Of all counts and sums together."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecordSource(Source):
    """A source whose readings were added up over steps that begin at the stamps; zero is 'none occurred'.

    Attributes:
        step_s: The step.
    """

    step_s: int


def read_records(table: Table, layout: Layout, options: ImportOptions) -> RecordSource:
    """Count the rows of each step and node, and sum their numeric columns.

    Raises:
        DataError: a stamp or number cannot be read, or the steps are too many to hold; the message says which.
    """
    step_s = round(options.step_s) if options.step_s is not None else DEFAULT_STEP_S
    if step_s < 1:
        raise DataError(f"A step of {options.step_s} s is too short.", "Steps of whole seconds are needed.")
    step = step_s * 10**9
    nodes: dict[str, int] = {}
    findings = list(layout.findings)
    low, high, rows = np.iinfo(np.int64).max, np.iinfo(np.int64).min, 0
    for ns, _, found in _instants(table, layout, options, nodes, ()):
        low, high, rows = min(low, int(ns.min())), max(high, int(ns.max())), rows + len(ns)
        findings.extend(each for each in found if each.what not in {known.what for known in findings})
    offset = zone_of(options.time_zone).utcoffset(pd.Timestamp(low).to_pydatetime(warn=False))
    local = int(offset.total_seconds()) * 10**9 if offset is not None else 0
    start = (low + local) // step * step - local
    length = (high - start) // step + 1
    if length * len(nodes) * (1 + len(layout.values)) * 8 > MAX_BYTES:
        raise DataError(
            f"{table.path}: {length:,} steps of {in_words(step)} for {len(nodes):,} nodes are too many.",
            "State a longer step with step_s, such as --step 3600; or leave out the node column.",
        )
    sums = np.zeros((1 + len(layout.values), length * len(nodes)))
    blank = 0
    for ns, node, values in _values(table, layout, options, nodes):
        at = (ns - start) // step * len(nodes) + node
        sums[0] += np.bincount(at, minlength=sums.shape[1])
        for i, column in enumerate(values.T):
            blank += int(np.isnan(column).sum())
            sums[1 + i] += np.bincount(at, weights=np.nan_to_num(column), minlength=sums.shape[1])
    grid = sums.reshape(1 + len(layout.values), length, len(nodes)).astype(np.float32)
    why = f"{rows:,} rows were counted in steps of {in_words(step)}, and {len(layout.values)} columns summed"
    why += " (a step without rows is 0); the first and the last step may be in part only."
    findings.append(Finding("records", f"{rows:,} rows", why, "mended"))
    if options.step_s is None:
        findings.append(Finding("time step", in_words(step), "Nothing states one; --step changes it.", "assumed"))
    if blank:
        findings.append(Finding("empty cells", f"{blank} cells", "They add nothing to the sums.", "mended"))
    channels = _channels(layout, options, step)

    def blocks() -> Iterator[Block]:
        size = max(1, BLOCK_BYTES // (4 * len(nodes)))
        for begin in range(0, length, size):
            yield {channel.name: grid[i, begin : begin + size] for i, channel in enumerate(channels)}

    stamps = pd.Series(pd.DatetimeIndex((start + step * np.arange(length)).astype("datetime64[ns]"), tz="UTC"))
    return RecordSource(
        path=table.path,
        files=(table.path,),
        stamps=stamps,
        node_ids=tuple(nodes),
        channels=channels,
        blocks=blocks,
        findings=tuple(findings),
        step_s=step_s,
    )


def _channels(layout: Layout, options: ImportOptions, step: int) -> tuple[SourceChannel, ...]:
    name = options.channel or COUNT
    word = options.channel or "records"
    sums = [SourceChannel(split_unit(column)[0], split_unit(column)[1], f"sum of {column}") for column in layout.values]
    return (SourceChannel(name, f"{word}/{in_short(step)}", f"{word} per {in_words(step)}"), *sums)


def _instants(
    table: Table, layout: Layout, options: ImportOptions, nodes: dict[str, int], numeric: tuple[str, ...]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], tuple[Finding, ...]]]:
    for ns, node, _, found in _blocks(table, layout, options, nodes, numeric):
        yield ns, node, found


def _values(
    table: Table, layout: Layout, options: ImportOptions, nodes: dict[str, int]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]]:
    for ns, node, values, _ in _blocks(table, layout, options, nodes, layout.values):
        yield ns, node, values


def _blocks(
    table: Table, layout: Layout, options: ImportOptions, nodes: dict[str, int], numeric: tuple[str, ...]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], tuple[Finding, ...]]]:
    """Instants, node numbers and values of the rows."""
    zone = zone_of(options.time_zone)
    cells = list(dict.fromkeys((*layout.time, *((layout.node,) if layout.node else ()))))
    for rows in table.rows(numeric, cells):
        if not len(rows.numbers):
            continue
        read = instants(table.path, clock_text(rows.cells, layout.time), zone, options.time_format)
        if layout.node is None:
            nodes.setdefault(place_of(table.path), 0)
            node = np.zeros(len(rows.numbers), dtype=np.int64)
        else:
            node = codes_of(ids_of(rows.cells[layout.node]).replace("", "unknown"), nodes)
        yield read.ns, node, rows.values, read.findings
