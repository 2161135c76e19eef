"""A folder of one table a place, read as one long table; and daily weather held over the steps of readings."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mm4st_agent.data.importing.draft import Finding, Source
from mm4st_agent.data.importing.layout import clock_text, layout_of
from mm4st_agent.data.importing.options import ImportOptions
from mm4st_agent.data.importing.quantities import canonical_unit, quantity
from mm4st_agent.data.importing.roles import glimpse, place_of, whole_table
from mm4st_agent.data.importing.rows import Rows, Table
from mm4st_agent.data.importing.tables import open_table
from mm4st_agent.data.importing.times import parse
from mm4st_agent.data.panel import KNOWN_FUTURE
from mm4st_agent.errors import DataError, UsageError

TIME, PLACE = "time", "station"
_DATE = r"(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}(?:[T ]+\d{1,2}:\d{2}(?::\d{2})?)?)"
_QUANTITY = re.compile(r"\s*([-+]?\d+(?:\.\d+)?)\s*([^\d\s.,+-][^\d]*?)?\s*")
_EMPTY = ("", "na", "n/a", "nan", "null", "none", "-", "--")


def read_station_folder(folder: Path, files: Sequence[Path], options: ImportOptions) -> Source:
    """Read tables with the same columns, one for each place, as one long table.

    A place is called by the column of the files that names it, or else by its file, without what all names share.
    Files may cover different spans. Where their stamps lie at different offsets within one step, each goes to the
    step that it lies in. `options.channels` may say which quantity each file holds: the one that its name contains.

    Args:
        folder: Named in errors and the source.
        files: Tables with one header.
        options: As for one table.

    Raises:
        DataError: a file cannot be read, or its rows say nothing.
        UsageError: an option names what no file has.
    """
    table = Stations(folder, files, options)
    stated = {"time_column": TIME, "node_column": table.node, "time_format": None, "layout": table.kind}
    inner = options.model_copy(update=stated)
    layout = layout_of(table, inner)
    layout = dataclasses.replace(layout, findings=(*table.findings, *layout.findings))
    source: Source
    if layout.kind == "records":
        from mm4st_agent.data.importing.records import read_records

        source = read_records(table, layout, inner)
    else:
        from mm4st_agent.data.importing.long import read_long

        source = read_long(table, layout, inner)
    if table.quantities:
        kinds = dict(zip(table.names, table.quantities, strict=True))
        nodes = pd.DataFrame({"kind": [kinds[node] for node in source.node_ids]}, pd.Index(source.node_ids, name="id"))
        channels = tuple(dataclasses.replace(channel, kinds=(channel.name,)) for channel in source.channels)
        source = dataclasses.replace(source, channels=channels, nodes=nodes)
    return dataclasses.replace(source, path=folder, files=tuple(files))


class Stations(Table):
    """The rows of many files with the same columns, one file after the other, under parsed stamps.

    Attributes:
        kind: 'records' where a row of a file is an occurrence, else 'long'.
        node: The column that names the place.
        names: What each file's place is called; () where a column says it.
        quantities: What each file measures; () where the columns say it.
    """

    def __init__(self, folder: Path, files: Sequence[Path], options: ImportOptions) -> None:
        self.path = folder
        self._tables = [open_table(path, options) for path in files]
        first = self._tables[0]
        self.decimal = first.decimal
        self.quantities = _quantities_by_file(files, first.columns, options)
        self._options = options.model_copy(update={"channels": None}) if self.quantities else options
        self._layout = layout_of(first, self._options)
        self.kind = "records" if self._layout.kind == "records" else "long"
        found = list(first.findings)
        if self.kind == "records":
            found += [each for each in self._layout.findings if each.what == "layout"]
        self.names = () if self._layout.node else _place_names(files, found)
        self.node = self._layout.node or PLACE
        used = {*self._layout.time, TIME}
        rest = [column for column in first.columns if column not in used]
        if self.quantities:
            rest = [*dict.fromkeys(self.quantities)]
            why = "The name of each file contains one of --channels; each place measures this alone."
            found.append(Finding("channels", ", ".join(rest), why, "stated"))
        self.columns = (TIME, *([PLACE] if self.names else []), *rest)
        self._step: pd.Timedelta | None = None
        self._step = self._common_step(found)
        self.findings = tuple(found)

    @cached_property
    def sample(self) -> pd.DataFrame:
        cells = self._tables[0].sample
        stamps = self._stamps(self._tables[0], cells)
        value = self._layout.values[0]
        columns: dict[str, object] = {TIME: stamps}
        for column in self.columns[1:]:
            if column == PLACE and self.names:
                columns[column] = self.names[0]
            else:
                columns[column] = cells[value if self.quantities else column]
        return pd.DataFrame(columns, index=cells.index)

    def rows(self, numeric: Sequence[str], cells: Sequence[str] = ()) -> Iterator[Rows]:
        above = 0
        value = self._layout.values[0]
        for i, table in enumerate(self._tables):
            wanted = [value] if self.quantities and numeric else numeric
            texts = [column for column in cells if column != TIME and not (column == PLACE and self.names)]
            last = 0
            for block in table.rows(wanted, [*self._layout.time, *texts]):
                found = block.cells[texts].copy()
                if TIME in cells:
                    found[TIME] = self._stamps(table, block.cells)
                if PLACE in cells and self.names:
                    found[PLACE] = self.names[i]
                values = block.values
                if self.quantities:
                    own = np.array([name == self.quantities[i] for name in numeric], dtype=bool)
                    values = np.where(own, values, np.nan) if numeric else values
                last = int(block.numbers[-1]) if len(block.numbers) else last
                found.index = pd.Index(block.numbers + above)
                yield Rows(block.numbers + above, values, found[list(cells)])
            above += last

    def _stamps(self, table: Table, cells: pd.DataFrame) -> pd.Series:
        text = clock_text(cells, self._layout.time).rename("+".join(self._layout.time))
        stamps, _ = parse(table.path, text, self._options.time_format)
        return stamps if self._step is None else stamps.dt.floor(self._step)

    def _common_step(self, found: list[Finding]) -> pd.Timedelta | None:
        """The step of regular files whose stamps lie at different offsets within it."""
        steps, offsets = set(), set()
        for table in self._tables:
            stamps = pd.concat([self._stamps(table, block.cells) for block in table.rows((), self._layout.time)])
            ns = np.unique(pd.DatetimeIndex(stamps).as_unit("ns").asi8)
            sizes, counts = np.unique(np.diff(ns), return_counts=True)
            if not len(sizes) or counts.max() < 0.5 * counts.sum():
                return None
            step = int(sizes[counts.argmax()])
            inside, counts = np.unique(ns % step, return_counts=True)
            steps.add(step)
            offsets.add(int(inside[counts.argmax()]))
        if len(steps) != 1 or len(offsets) == 1:
            return None
        common = pd.Timedelta(steps.pop(), "ns")
        why = (
            f"The files lie at {len(offsets)} different offsets within the step of {common.total_seconds():g} s; each "
            "stamp goes to the beginning of the step that it lies in."
        )
        found.append(Finding("stamps moved", f"to full steps of {common.total_seconds():g} s", why, "mended"))
        return common


def _place_names(files: Sequence[Path], findings: list[Finding]) -> tuple[str, ...]:
    """The files' names without the words that all share at their beginning and end."""
    stems = [place_of(path) for path in files]
    words = [re.split(r"([_\- .])", stem) for stem in stems]
    first = last = 0
    shortest = min(map(len, words))
    while first < shortest - 1 and len({w[first] for w in words}) == 1:
        first += 1
    while last < shortest - first - 1 and len({w[-1 - last] for w in words}) == 1:
        last += 1
    names = ["".join(w[first : len(w) - last]).strip("_- .") for w in words]
    names = names if all(names) and len(set(names)) == len(names) else stems
    if len(set(names)) < len(names):
        names = [path.as_posix() for path in files]
    findings.append(Finding("node ids", f"{names[0]} .. {names[-1]}", "The names of the files.", "inferred"))
    return tuple(names)


def _quantities_by_file(files: Sequence[Path], columns: Sequence[str], options: ImportOptions) -> tuple[str, ...]:
    """What each file measures where the stated channels are no columns but words of the files' names."""
    wanted = options.channels
    if wanted is None or any(name in columns for name in wanted):
        return ()
    found = []
    for path in files:
        fits = [name for name in wanted if _letters(name) in _letters(path.name)]
        if not fits:
            raise UsageError(
                f"None of the channels {', '.join(wanted)} is a column of {path.name} or part of its name.",
                f"Its columns are {', '.join(columns)}.",
            )
        found.append(max(fits, key=len))
    return tuple(found)


def _letters(text: str) -> str:
    return re.sub(r"[\W_]+", "", text).lower()


# -- weather and calendars ----------------------------------------------------------------


def with_covariates(source: Source, paths: Sequence[Path], options: ImportOptions) -> Source:
    """Add tables over time of the whole area: each value holds from its stamp to the next one.

    Args:
        source: The readings.
        paths: Tables with a time column, one row a time (a day, an hour).
        options: `start` and `step_s` date readings without stamps; `time_zone` is that of both.

    Returns:
        The source with a covariate `(row,)` for each column of numbers, also such as '18°'; NaN where the table says
        nothing. Text columns are left out, and findings say so.

    Raises:
        DataError: a table cannot be read.
    """
    rows = _local_rows(source, options)
    covariates, findings, files = source.covariates.copy(), list(source.findings), list(source.files)
    taken = {*map(str, covariates.data_vars), *(channel.name for channel in source.channels)}
    for path in paths:
        columns, stamps = _numbers_over_time(path, findings)
        if stamps is None:
            continue
        at = stamps.searchsorted(rows, side="right") - 1
        step = pd.Timedelta(np.median(np.diff(stamps.asi8)), stamps.unit) if len(stamps) > 1 else pd.Timedelta(days=1)
        held = (at >= 0) & (rows < stamps[np.maximum(at, 0)] + step)
        for name, (values, unit) in columns.items():
            unique = name if name not in taken else f"{path.stem}-{name}"
            taken.add(unique)
            known = quantity(name)
            attrs: dict[str, object] = {} if unit is None else {"units": unit}
            if known is not None and known.ahead:
                attrs[KNOWN_FUTURE] = True
            covariates[unique] = ("row", np.where(held, values[at], np.nan), attrs)
        files.append(path)
        why = (
            f"{path.name} has a row each {_in_words(step)}; a value holds until the next one, so it is there before "
            "that time is over."
        )
        findings.append(Finding("covariates", ", ".join(columns), why, "assumed"))
    return dataclasses.replace(source, covariates=covariates, findings=tuple(findings), files=tuple(files))


def _local_rows(source: Source, options: ImportOptions) -> pd.DatetimeIndex:
    """`(R,)` local time of each row of the readings, without a zone."""
    if source.stamps is None:
        start, step = options.start, options.step_s
        if start is None or step is None:
            raise DataError(f"{source.path} has no time stamps.", "Give --start and --step.")
        count = sum(len(next(iter(block.values()))) for block in source.blocks())
        return pd.DatetimeIndex(pd.Timestamp(start).tz_localize(None) + pd.to_timedelta(np.arange(count) * step, "s"))
    stamps, _ = parse(source.path, source.stamps, options.time_format)
    if stamps.dt.tz is not None:
        stamps = stamps.dt.tz_convert(options.time_zone or "UTC").dt.tz_localize(None)
    return pd.DatetimeIndex(stamps)


def _numbers_over_time(
    path: Path, findings: list[Finding]
) -> tuple[dict[str, tuple[NDArray[np.float64], str | None]], pd.DatetimeIndex | None]:
    """The columns that hold numbers, with their units, sorted by their stamps."""
    seen = glimpse(path)
    table = whole_table(path)
    column = table.columns[seen.time_column or 0] if seen is not None else table.columns[0]
    text = table[column].str.extract(_DATE, expand=False).str.replace(r"[/.]", "-", regex=True)
    stamps = pd.to_datetime(text, format="ISO8601", errors="coerce")
    if stamps.isna().any() or stamps.duplicated().any():
        odd = table[column][stamps.isna() | stamps.duplicated()].iloc[0]
        why = f"its time {odd!r} is no date, or comes twice."
        findings.append(Finding("left out", path.name, why, "inferred"))
        return {}, None
    order = np.argsort(stamps.to_numpy(), kind="stable")
    columns = {}
    left = []
    for name in table.columns:
        if name == column:
            continue
        values, unit = _quantities(table[name])
        if values is None or (str(name).lower().startswith(("unnamed", "index")) and pd.Series(values).nunique() < 2):
            left.append(str(name))
        else:
            columns[str(name)] = (values[order], unit)
    if left:
        findings.append(Finding("left out", f"{path.name}: {', '.join(left)}", "They hold no numbers.", "inferred"))
    return columns, pd.DatetimeIndex(stamps.to_numpy()[order])


def _quantities(cells: pd.Series) -> tuple[NDArray[np.float64] | None, str | None]:
    """Numbers with one unit behind them, such as 18°; None where a cell says something else."""
    values = np.full(len(cells), np.nan)
    units = set()
    for i, cell in enumerate(cells):
        if str(cell).strip().lower() in _EMPTY:
            continue
        match = _QUANTITY.fullmatch(str(cell))
        if match is None:
            return None, None
        values[i] = float(match[1])
        units.add((match[2] or "").strip())
    if len(units) != 1:
        return None, None
    unit = units.pop()
    return values, (canonical_unit(unit) or unit) if unit else None


def _in_words(step: pd.Timedelta) -> str:
    return "day" if step == pd.Timedelta(days=1) else "hour" if step == pd.Timedelta(hours=1) else str(step)
