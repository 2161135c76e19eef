"""The tables in a tool's reply, with the unit of each column."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

import pandas as pd
import xarray as xr
from pydantic import BaseModel

from mm4st_agent.errors import UsageError
from mm4st_agent.toolspec import ToolOut, Unit, UnitOf

TIME = "time"
"""The column that becomes the index."""
_MAIN = ("steps", "ranking", "channels", "worst")
"""Which table is meant where a reply holds several; else its first."""


@dataclass(frozen=True)
class Table:
    """Rows of a reply.

    Attributes:
        name: The field of the reply that holds them.
        rows: Column to value; a column that is an object of its own has its name before those of its fields.
        units: Column to unit, for those that have one and the same in all rows.
    """

    name: str
    rows: Sequence[Mapping[str, Any]]
    units: Mapping[str, str]


def tables_of(out: ToolOut) -> dict[str, Table]:
    """Every list of rows in a reply by its field, the main one first; lists inside a row are left out."""
    found = {
        name: _table(name, value, _texts(out, {}))
        for name in type(out).model_fields
        if isinstance(value := getattr(out, name), list) and value and isinstance(value[0], BaseModel)
    }
    first = next((name for name in _MAIN if name in found), None)
    return {first: found[first], **found} if first else found


def chosen(tables: Mapping[str, Table], name: str | None, tool: str) -> Table:
    """The table of this name, or the main one.

    Raises:
        UsageError: there is none.
    """
    if not tables:
        raise UsageError(
            f"This reply of {tool} holds no table.",
            "Its values are in `quantities` and `out`; readings are in `session.readings(...)`.",
        )
    if name is None:
        return next(iter(tables.values()))
    if name not in tables:
        raise UsageError(f"This reply of {tool} holds no table {name!r}.", f"It holds: {', '.join(tables)}.")
    return tables[name]


def to_pandas(table: Table, zone: tzinfo) -> pd.DataFrame:
    """A row a row; times are aware, in `zone`, and `time` is the index; `attrs["units"]` has the columns' units."""
    frame = pd.DataFrame(list(table.rows))
    for column in frame:
        if any(isinstance(value, datetime) for value in frame[column]):
            frame[column] = pd.to_datetime(frame[column], utc=True).dt.tz_convert(zone)
        elif all(value is None or type(value) in (int, float) for value in frame[column]):
            frame[column] = pd.to_numeric(frame[column])  # None is undefined: NaN
    if TIME in frame:
        frame = frame.set_index(TIME)
    frame.attrs["units"] = dict(table.units)
    return frame


def to_xarray(table: Table, zone: tzinfo) -> xr.Dataset:
    """A variable a column with its `units`, over `time` or `row`; times are UTC without a zone, as in a `Panel`."""
    frame = to_pandas(table, zone)
    if isinstance(frame.index, pd.DatetimeIndex):
        frame.index = frame.index.tz_convert("UTC").tz_localize(None)
    else:
        frame.index.name = "row"
    for column in frame.select_dtypes("datetimetz"):
        frame[column] = frame[column].dt.tz_convert("UTC").dt.tz_localize(None)
    data = frame.to_xarray()
    for column, unit in table.units.items():
        if column in data:
            data[column].attrs["units"] = unit
    return data.assign_attrs(time_zone=str(zone))


def _table(name: str, rows: Sequence[BaseModel], outer: Mapping[str, str]) -> Table:
    cells = [{column: (value, unit) for column, value, unit in _cells(row, "", outer)} for row in rows]
    units: dict[str, set[str]] = {}
    for row in cells:
        for column, (_, unit) in row.items():
            units.setdefault(column, set()).add(unit)
    return Table(
        name=name,
        rows=[{column: value for column, (value, _) in row.items()} for row in cells],
        units={column: unit for column, (unit, *others) in units.items() if unit and not others},
    )


def _cells(model: BaseModel, prefix: str, outer: Mapping[str, str]) -> Iterator[tuple[str, Any, str]]:
    """Column, value and unit; `outer` has the texts that may name a unit."""
    texts = _texts(model, outer)
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        mark = next((mark for mark in field.metadata if isinstance(mark, (Unit, UnitOf))), None)
        unit = mark.name if isinstance(mark, Unit) else texts.get(mark.field, "") if mark else ""
        if isinstance(value, BaseModel):
            yield from _cells(value, f"{prefix}{name}.", texts)
        elif not isinstance(value, (list, tuple)):
            yield f"{prefix}{name}", value, unit
        elif not any(isinstance(item, BaseModel) for item in value):
            yield f"{prefix}{name}", ", ".join(map(str, value)), unit


def _texts(model: BaseModel, outer: Mapping[str, str]) -> dict[str, str]:
    own = {name: value for name in type(model).model_fields if isinstance(value := getattr(model, name), str)}
    return {**outer, **own}
