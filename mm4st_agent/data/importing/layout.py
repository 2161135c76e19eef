"""Which column of a table is the time, which the node, and which hold readings, covariates or neither."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from typing import Literal

import pandas as pd

from mm4st_agent.data.importing.columns import Sample
from mm4st_agent.data.importing.draft import Finding
from mm4st_agent.data.importing.options import ImportOptions
from mm4st_agent.data.importing.quantities import COORDINATES, COUNTERS, plain, quantity, repeated_quantity
from mm4st_agent.data.importing.rows import Table
from mm4st_agent.data.importing.values import is_missing, looks_numeric, stripped
from mm4st_agent.errors import DataError, UsageError

TIME_NAMES = (
    "time", "timestamp", "datetime", "date_time", "ts", "time_stamp", "date", "stamp", "period", "utc", "local_time",
    "starttime", "start_time", "date_from", "measured_at", "recorded_at", "created_at", "valid_time", "epoch",
)  # fmt: skip
NODE_NAMES = ("node", "sensor", "station", "detector", "device", "site", "id", "location", "host", "instance", "link",
              "road", "segment", "zone", "region", "entity", "vm", "service")  # fmt: skip
NAMES = ("name", "station_name", "sensor_name", "site_name", "node_name")
DATE_PARTS = ("year", "month", "day", "hour", "minute", "second")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Layout:
    """How a table is to be read.

    Attributes:
        kind: wide: `values` are nodes. single: `values` are channels of one place. long: `values` are channels of the
            place in `node`. records: a row an occurrence; `values` are summed.
        time: The columns that make a stamp: one; a date and a time; or year, month, day, ...; () for none.
        node: The node column.
        values: Columns of readings, in the order of the file.
        covariates: Columns that are no readings but act on them.
        compass: Those of `covariates` that hold compass points.
        flags: Those of `covariates` that hold true/false.
        about: Columns that say what a node is: lat, lon, name.
        findings: What was inferred.
    """

    kind: Literal["wide", "single", "long", "records"]
    time: tuple[str, ...]
    node: str | None = None
    values: tuple[str, ...]
    covariates: tuple[str, ...] = ()
    compass: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    about: dict[str, str] = dataclasses.field(default_factory=dict)
    findings: tuple[Finding, ...] = ()


def layout_of(table: Table, options: ImportOptions) -> Layout:
    """Tell the layout from names, the first rows, and what the options state.

    Raises:
        UsageError: an option names a column that is not there.
        DataError: there is no time column, or no column of readings.
    """
    return _Columns(table, options).layout()


class _Columns:
    def __init__(self, table: Table, options: ImportOptions) -> None:
        self.table, self.options = table, options
        self.sample = Sample(table)
        self.findings: list[Finding] = []
        self.time: tuple[str, ...] = ()
        stated = [options.time_column, options.node_column, *(options.covariates or ())]
        for name in stated:
            if name is not None and name not in table.columns:
                raise UsageError(f"{table.path} has no column {name!r}.", f"Its columns: {_some(table.columns)}.")

    def layout(self) -> Layout:
        time = self.time = self._time()
        rest = [column for column in self.table.columns if column not in time]
        if not time:
            return self._without_time(rest)
        rest = self._without_counters(rest)
        if not rest:
            if self.options.layout == "records":
                return self._records(time, None, [])
            raise DataError(
                f"{self.table.path} has only the column {time[0]!r}.",
                "A time column and at least one with readings are needed.",
            )
        node = self._node(rest)
        kind: str = self.options.layout
        if kind == "auto":
            kind = self._kind(time, node, rest)
        if kind == "wide":
            return self._wide(time, rest)
        if kind == "records":
            return self._records(time, node, [column for column in rest if column != node])
        if node is None:
            if self.options.layout == "long" and len(rest) == 2:
                node = rest[0]
            else:
                return self._split("single", time, None, rest)
        values = [column for column in rest if column != node]
        if not values:
            raise DataError(f"{self.table.path} has no column with readings beside {time[0]!r} and {node!r}.")
        return self._split("long", time, node, values)

    # -- the time ------------------------------------------------------------------------

    def _time(self) -> tuple[str, ...]:
        columns, path = self.table.columns, self.table.path
        if self.options.time_column is not None:
            return (self.options.time_column,)
        by_plain = {plain(column): column for column in reversed(columns)}
        if all(part in by_plain for part in ("year", "month", "day")):
            parts = tuple(by_plain[part] for part in DATE_PARTS if part in by_plain)
            why = "These columns together make the stamp."
            self.findings.append(Finding("time column", ", ".join(parts), why, "inferred"))
            return parts
        if "date" in by_plain and "time" in by_plain and self.sample.is_clock(by_plain["time"]):
            why = "These two columns together make the stamp."
            both = (by_plain["date"], by_plain["time"])
            self.findings.append(Finding("time column", ", ".join(both), why, "inferred"))
            return both
        for name in TIME_NAMES:
            if name in by_plain:
                return (by_plain[name],)
        dated = [column for column in columns[:50] if self.sample.is_dated(column)]
        if dated:
            why = "It is the first column that holds dates."
            self.findings.append(Finding("time column", dated[0], why, "inferred"))
            return (dated[0],)
        if self.options.start is not None and self.options.step_s is not None:
            return ()
        if all(self.sample.is_numeric(column) for column in columns[:50]):
            raise DataError(
                f"{path} has no time column; its columns are {_some(columns)}.",
                "Say when it begins and its step in seconds, such as --start 2012-03-01 --step 300; or call the time "
                f"column one of {', '.join(TIME_NAMES[:5])}.",
            )
        raise DataError(
            f"{path} has no time column; its columns are {_some(columns)}.",
            f"Call it one of {', '.join(TIME_NAMES[:7])}, or name it: --time-column NAME.",
        )

    # -- the layout ----------------------------------------------------------------------

    def _node(self, rest: Sequence[str]) -> str | None:
        if self.options.node_column is not None:
            return self.options.node_column
        for name in NODE_NAMES:
            for column in rest:
                bare = plain(column).removesuffix("_id").removesuffix("_name")
                if (bare == name or plain(column) == f"{name}id") and not self.sample.is_row_id(column, self.time):
                    return column
        return None

    def _kind(self, time: tuple[str, ...], node: str | None, rest: Sequence[str]) -> str:
        if node is not None:
            text = stripped(self.sample.rows[node])
            repeats = bool(self.sample.stamps(time).duplicated().any())
            if len(rest) == 2 or repeats or not looks_numeric(text).any() or (len(text) > 1 and text.nunique() == 1):
                kind = "records" if self.options.step_s is None and self.sample.is_irregular(time, node) else "long"
                self._say_layout(kind, f"the column {node!r} names the node of each row")
                return kind
        if self.sample.is_irregular(time, None):
            self._say_layout("records", "the stamps have no common step, so a row is taken as one occurrence")
            return "records"
        known = [column for column in rest if quantity(column)]
        channels = [column for column in known if quantity(column).role == "channel"]  # type: ignore[union-attr]
        others = [column for column in rest if quantity(column) is None and self.sample.is_numeric(column)]
        keys = {quantity(column).key for column in known}  # type: ignore[union-attr]
        if len(rest) == 1 and plain(rest[0]) in ("value", "values", "reading"):
            return "long"
        if known and len(keys) == len(known) and (not others or len(channels) >= max(2, len(others))):
            self._say_layout("one place", f"the columns are quantities ({_some(known)}), not nodes")
            return "long"
        why = "the readings stand in a column a node" if len(rest) > 1 else "there is one column of readings"
        self._say_layout("wide", why)
        return "wide"

    def _say_layout(self, value: str, why: str) -> None:
        self.findings.append(Finding("layout", value, f"{why[:1].upper()}{why[1:]}.", "inferred"))

    # -- its columns ---------------------------------------------------------------------

    def _without_time(self, rest: Sequence[str]) -> Layout:
        if self.options.layout in ("long", "records"):
            raise DataError(f"{self.table.path} has no time column; its columns are {_some(rest)}.")
        why = "No column holds stamps; the first row is at the stated start, each further one a step later."
        self.findings.append(Finding("time column", "none", why, "stated"))
        known = [column for column in rest if quantity(column)]
        if self.options.layout == "auto" and len(known) == len(rest) and len(rest) > 1:
            self._say_layout("one place", f"the columns are quantities ({_some(known)}), not nodes")
            return self._split("single", (), None, rest)
        return self._wide((), rest)

    def _wide(self, time: tuple[str, ...], rest: Sequence[str]) -> Layout:
        stated = self.options.covariates
        if stated is not None:
            covariates = [column for column in rest if column in stated]
        else:
            weather = [c for c in rest if (known := quantity(c)) is not None and known.role == "covariate"]
            covariates = [] if len(weather) == len(rest) or repeated_quantity(rest) else weather
            if covariates:
                why = "They are called like weather or calendar, among columns that are not."
                self.findings.append(Finding("covariates", ", ".join(covariates), why, "inferred"))
        nodes = [column for column in rest if column not in covariates]
        if not nodes:
            raise DataError(f"{self.table.path} has no column with readings.", "Not all columns can be covariates.")
        return self._made("wide", time, None, nodes, covariates, {})

    def _records(self, time: tuple[str, ...], node: str | None, rest: Sequence[str]) -> Layout:
        numeric = [column for column in rest if self.sample.is_numeric(column)]
        self._leave_out([column for column in rest if column not in numeric])
        if self.options.channels is not None:
            numeric = [column for column in numeric if column in self.options.channels]
        return self._made("records", time, node, numeric, [], {})

    def _split(
        self, kind: Literal["single", "long"], time: tuple[str, ...], node: str | None, rest: Sequence[str]
    ) -> Layout:
        """Channels, covariates, what describes the node, and text that is left out."""
        about: dict[str, str] = {}
        if node is not None:
            for column in rest:
                role = COORDINATES.get(plain(column)) or ("name" if plain(column) in NAMES else None)
                if role is not None and role not in about and column not in (self.options.channels or ()):
                    about[role] = column
        rest = [column for column in rest if column not in about.values()]
        covariates = list(self.options.covariates or ())
        usable = [c for c in rest if c in covariates or self.sample.is_numeric(c) or self._is_worded(c)]
        if self.options.channels is not None:
            unknown = [name for name in self.options.channels if name not in rest]
            if unknown:
                raise UsageError(f"{self.table.path} has no column {unknown[0]!r}.", f"Its columns: {_some(rest)}.")
            values = list(self.options.channels)
            usable = [column for column in usable if column not in values]
            covariates = covariates or usable
        else:
            if self.options.covariates is None:
                covariates = [c for c in usable if self._is_covariate(c)]
                measured = [c for c in usable if c not in covariates and self.sample.is_numeric(c)]
                if not measured:
                    covariates = [c for c in covariates if not self.sample.is_numeric(c)]
                elif covariates:
                    why = "They are called like weather or calendar, among columns that are not."
                    self.findings.append(Finding("covariates", ", ".join(covariates), why, "inferred"))
            values = [c for c in usable if c not in covariates and self.sample.is_numeric(c)]
        self._leave_out([c for c in rest if c not in values and c not in covariates])
        if not values:
            column = rest[0] if rest else (node or time[0])
            text = stripped(self.sample.rows[column])
            row = text.index[~is_missing(text)]
            shown = f", row {row[0]}, column {column!r}: {text[row[0]]!r} is not a number" if len(row) else ""
            raise DataError(f"{self.table.path}{shown or ' has no column with readings'}.", "Readings must be numbers.")
        return self._made(kind, time, node, values, covariates, about)

    def _made(
        self,
        kind: Literal["wide", "single", "long", "records"],
        time: tuple[str, ...],
        node: str | None,
        values: Sequence[str],
        covariates: Sequence[str],
        about: dict[str, str],
    ) -> Layout:
        compass = tuple(c for c in covariates if self.sample.is_compass(c))
        if compass:
            why = "Words such as NNW became degrees clockwise from north; calm and variable winds are missing."
            self.findings.append(Finding("compass points", ", ".join(compass), why, "mended"))
        return Layout(
            kind=kind,
            time=time,
            node=node,
            values=tuple(values),
            covariates=tuple(covariates),
            compass=compass,
            flags=tuple(c for c in covariates if self.sample.is_flag(c)),
            about=about,
            findings=tuple(self.findings),
        )

    def _without_counters(self, rest: Sequence[str]) -> list[str]:
        """Without columns that only number the rows."""
        asked = {self.options.node_column, *(self.options.channels or ()), *(self.options.covariates or ())}
        counters = []
        for column in rest:
            if plain(column) in COUNTERS and column not in asked and self.sample.is_counter(column):
                counters.append(column)
        if counters and len(counters) < len(rest):
            why = "It only numbers the rows."
            self.findings.append(Finding("left out", ", ".join(counters), why, "inferred"))
            return [column for column in rest if column not in counters]
        return list(rest)

    def _leave_out(self, columns: Sequence[str]) -> None:
        if columns:
            why = "These columns hold no numbers." if not self.options.channels else "They are not among the channels."
            self.findings.append(Finding("left out", ", ".join(columns), why, "inferred"))

    def _is_covariate(self, column: str) -> bool:
        known = quantity(column)
        return (known is not None and known.role == "covariate") or self._is_worded(column)

    def _is_worded(self, column: str) -> bool:
        return self.sample.is_compass(column) or self.sample.is_flag(column)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:6]) + (f", ... ({len(names)})" if len(names) > 6 else "")


def clock_text(cells: pd.DataFrame, time: tuple[str, ...]) -> pd.Series:
    """The stamp of each row from its one column, its date and time, or its year, month, day, ..."""
    if len(time) == 1:
        return cells[time[0]]
    if len(time) == 2:
        date, clock = (stripped(cells[column]) for column in time)
        clock = clock.str.replace(re.compile(r"^(\d{1,2})\.(\d{2})"), r"\1:\2", regex=True)
        clock = clock.str.replace(re.compile(r":(\d{2})\.(\d{2})$"), r":\1:\2", regex=True)
        return (date + " " + clock).str.strip()
    parts = [stripped(cells[column]).str.replace(r"\.0+$", "", regex=True).str.zfill(2) for column in time]
    text = parts[0] + "-" + parts[1] + "-" + parts[2]
    if len(parts) > 3:
        text = text + " " + parts[3] + ":" + (parts[4] if len(parts) > 4 else "00")
    return text + (":" + parts[5] if len(parts) > 5 else "")
