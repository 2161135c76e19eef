"""What the methods of a session give: a tool's reply with its clock, units, tables and pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import pandas as pd

from mm4st_agent.api import tables
from mm4st_agent.errors import UsageError
from mm4st_agent.imaging.store import ImageStore
from mm4st_agent.toolspec import Passage, Quantity, ToolOut

if TYPE_CHECKING:
    import xarray as xr

OutT = TypeVar("OutT", bound=ToolOut, covariant=True)


@dataclass(frozen=True)
class Picture:
    """A picture that a tool drew; a notebook shows it."""

    image_id: str
    title: str
    alt: str
    _store: ImageStore = field(repr=False)

    @property
    def png(self) -> bytes:
        """Its bytes.

        Raises:
            UsageError: it was removed from the home.
        """
        return self._store.get(self.image_id)

    @property
    def path(self) -> Path:
        """Its file in the home.

        Raises:
            UsageError: it was removed from the home.
        """
        return self._store.path(self.image_id)

    def save(self, path: str | Path) -> Path:
        """Write it to a file of one's own.

        Raises:
            UsageError: the file cannot be written.
        """
        target = Path(path)
        try:
            target.write_bytes(self.png)
        except OSError as err:
            raise UsageError(f"{target} cannot be written: {err.strerror or err}.", "Choose another place.") from err
        return target

    def _repr_png_(self) -> bytes:
        return self.png


@dataclass(frozen=True, repr=False)
class Result(Generic[OutT]):
    """The reply of one tool.

    >>> import mm4st_agent as mm4st
    >>> result = mm4st.open("demo").query("S039")
    >>> result["last"].unit
    'vehicles/5 min'

    Attributes:
        out: The reply itself, with a field for each value.
        tool: Who replied.
        args: What it was asked, as `mm4st tool run` takes it.
        as_of: The clock; nothing later was seen.
    """

    out: OutT
    tool: str
    args: Mapping[str, Any]
    dataset: str
    as_of: pd.Timestamp
    _store: ImageStore

    @cached_property
    def quantities(self) -> dict[str, Quantity]:
        """Every number, time and id by its path, such as `steps[0].median`, with its unit."""
        return self.out.quantities()

    def __getitem__(self, path: str) -> Quantity:
        """One of the quantities.

        Raises:
            UsageError: the reply has no number, time or id there.
        """
        if path not in self.quantities:
            close = [known for known in self.quantities if path.split("[")[0] in known] or list(self.quantities)
            raise UsageError(f"The reply of {self.tool} has no value at {path!r}.", f"Such as: {', '.join(close[:8])}.")
        return self.quantities[path]

    @property
    def pictures(self) -> list[Picture]:
        """What the tool drew."""
        return [Picture(image.image_id, image.title, image.alt, self._store) for image in self.out.images()]

    @property
    def passages(self) -> list[Passage]:
        """The texts that the reply quotes, with their sources."""
        return self.out.passages()

    @property
    def warnings(self) -> list[str]:
        """What must be said along with the numbers."""
        return list(getattr(self.out, "warnings", []))

    @cached_property
    def _tables(self) -> dict[str, tables.Table]:
        return tables.tables_of(self.out)

    @property
    def tables(self) -> list[str]:
        """Which tables the reply holds, the main one first; empty ones are not named."""
        return list(self._tables)

    def to_pandas(self, table: str | None = None) -> pd.DataFrame:
        """One of its tables.

        Args:
            table: One of `tables`; None is the first.

        Returns:
            A row a row. Times are aware, in the zone of the data, and a column `time` is the index.
            `attrs["units"]` names the unit of each column that has one.

        Raises:
            UsageError: the reply holds no such table.
        """
        return tables.to_pandas(tables.chosen(self._tables, table, self.tool), self._zone)

    def to_xarray(self, table: str | None = None) -> xr.Dataset:
        """One of its tables.

        Args:
            table: One of `tables`; None is the first.

        Returns:
            A variable a column with its `units`, over `time`, or `row` where the rows have none. Times are UTC
            without a zone, which xarray lacks; the attribute `time_zone` names that of the data.

        Raises:
            UsageError: the reply holds no such table.
        """
        return tables.to_xarray(tables.chosen(self._tables, table, self.tool), self._zone)

    @property
    def _zone(self) -> tzinfo:
        assert self.as_of.tzinfo is not None, "the clock of a panel is aware"
        return self.as_of.tzinfo

    def to_json(self) -> dict[str, Any]:
        """The reply as `mm4st tool run --json` prints it."""
        return self.out.model_dump(mode="json")

    def __repr__(self) -> str:
        numbers = {path: q for path, q in self.quantities.items() if q.unit not in ("id", "time")}
        main = getattr(self.out, "unit", "")
        first = sorted(numbers.items(), key=lambda item: item[1].unit != main)
        values = [f"{path}={quantity.value} {quantity.unit}".rstrip() for path, quantity in first]
        more = ", ..." if len(values) > _SHOWN else ""
        return (
            f"<{self.tool} of {self.dataset} as of {self.as_of:%Y-%m-%dT%H:%M%z}: {', '.join(values[:_SHOWN])}{more}>"
        )

    def _repr_html_(self) -> str:
        from mm4st_agent.api.display import result_html

        return result_html(self)


_SHOWN = 6
