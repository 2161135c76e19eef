"""`Panel`: one spatio-temporal data set, and `until(as_of)`, the only way to read it in time."""

from __future__ import annotations

import dataclasses
import re
import zoneinfo
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from types import MappingProxyType

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from scipy import sparse

from mm4st_agent.data.card import Channel, DataCard
from mm4st_agent.data.events import Event
from mm4st_agent.errors import DataError, UsageError

MASK = "ancillary_variables"
"""CF attribute of a channel that names its mask of imputed cells (bool, True = imputed)."""
KNOWN_FUTURE = "known_future"
"""Attribute of a covariate that may be read ahead of `as_of` (a calendar, a schedule)."""
EDGE_COLUMNS = ("source", "target", "weight")
END = "end"
"""As a point in time: the data's end."""

_ISO = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:?\d\d)?)?", re.ASCII)


def _no_frames() -> Mapping[str, pd.DataFrame]:
    return MappingProxyType({})


@dataclasses.dataclass(frozen=True, eq=False)
class Panel:
    """One data set of shape (time, node) with a variable for each channel.

    Attributes:
        card: Source, licence, units, time zone.
        data: Dims `(time, node)`. `time` holds UTC instants without a zone (xarray has no
            zones), evenly spaced, oldest first; read `times` for the zone-aware index.
            `node` holds ids as text; `name`, `kind`, `lat`, `lon` are coordinates on it.
            Channels are floats with a `units` attribute; NaN is missing, never 0.
        edges: Columns `source`, `target` (node ids), `weight` in (0, 1] (1 = nearest),
            and, where known, `distance`. Directed.
        events: Oldest first.
        covariates: Dims `(time,)` or `(time, node)`; may reach beyond the data's end. Those
            with the attribute `known_future` true stay visible after `as_of`.
        static: Layers that do not change: POI, land use, road network, by name.
        trajectories: Columns `object`, `time` (zone-aware), `lat`, `lon`; None where absent.
        as_of: The moment up to which this panel was cut; None when it is whole.
    """

    card: DataCard
    data: xr.Dataset
    edges: pd.DataFrame = dataclasses.field(default_factory=lambda: pd.DataFrame(columns=list(EDGE_COLUMNS)))
    events: tuple[Event, ...] = ()
    covariates: xr.Dataset = dataclasses.field(default_factory=xr.Dataset)
    static: Mapping[str, pd.DataFrame] = dataclasses.field(default_factory=_no_frames)
    trajectories: pd.DataFrame | None = None
    as_of: pd.Timestamp | None = None

    def __post_init__(self) -> None:
        if set(self.data.dims) != {"time", "node"}:
            raise DataError(f"A panel has the dims (time, node); {self.card.name!r} has {tuple(self.data.dims)}.")
        absent = [c.name for c in self.card.channels if c.name not in self.data.data_vars]
        if absent:
            raise DataError(f"The card of {self.card.name!r} names channels that the data lack: {absent}.")
        time = self.data.indexes["time"]
        steps = np.diff(time.to_numpy())
        if len(steps) == 0 or (steps != steps[0]).any() or steps[0] <= np.timedelta64(0):
            raise DataError(
                f"The time stamps of {self.card.name!r} are not evenly spaced and increasing.",
                "Give at least two rows, sorted, one time step apart; leave missing readings empty.",
            )
        if not self.data.indexes["node"].is_unique:
            twice = self.data.indexes["node"][self.data.indexes["node"].duplicated()][0]
            raise DataError(f"The node id {twice!r} appears twice in {self.card.name!r}.", "Ids must be unique.")

    # -- what it holds ------------------------------------------------------------------

    @property
    def name(self) -> str:
        return self.card.name

    @property
    def zone(self) -> zoneinfo.ZoneInfo:
        return zoneinfo.ZoneInfo(self.card.time_zone)

    @property
    def times(self) -> pd.DatetimeIndex:
        """`(T,)` zone-aware time stamps, oldest first."""
        return pd.DatetimeIndex(self.data.indexes["time"]).tz_localize("UTC").tz_convert(self.zone)

    @property
    def step(self) -> pd.Timedelta:
        time = self.data.indexes["time"]
        return pd.Timedelta(time[1] - time[0])

    @property
    def step_s(self) -> int:
        return int(self.step.total_seconds())

    @property
    def node_ids(self) -> list[str]:
        return [str(node) for node in self.data.indexes["node"]]

    @property
    def nodes(self) -> pd.DataFrame:
        """One row a node, indexed by id: `name`, `kind`, `lat`, `lon` and what else the source has."""
        columns = {str(k): v.to_numpy() for k, v in self.data.coords.items() if v.dims == ("node",) and k != "node"}
        return pd.DataFrame(columns, index=pd.Index(self.node_ids, name="id"))

    def channel(self, name: str | None = None) -> Channel:
        """The channel `name`, or the main one.

        Raises:
            UsageError: there is no such channel.
        """
        if name is None:
            return self.card.channels[0]
        for channel in self.card.channels:
            if channel.name == name:
                return channel
        known = ", ".join(c.name for c in self.card.channels)
        raise UsageError(f"{self.name!r} has no channel {name!r}.", f"Known: {known}.")

    def values(self, channel: str | None = None) -> NDArray[np.float32]:
        """`(T, N)` readings in the channel's unit; NaN is missing; imputed cells included."""
        return np.asarray(self.data[self.channel(channel).name].to_numpy(), dtype=np.float32)

    def imputed(self, channel: str | None = None) -> NDArray[np.bool_]:
        """`(T, N)`, True where the source filled a cell that nobody measured."""
        variable = self.data[self.channel(channel).name]
        mask = variable.attrs.get(MASK)
        if mask is None:
            return np.zeros(variable.shape, dtype=bool)
        return np.asarray(self.data[mask].to_numpy(), dtype=bool)

    def observed(self, channel: str | None = None) -> NDArray[np.float32]:
        """`(T, N)` readings that were measured; missing and imputed cells are NaN."""
        return np.where(self.imputed(channel), np.float32(np.nan), self.values(channel))

    def position(self, node: str) -> int:
        """Where the node `node` stands in the node order.

        Raises:
            UsageError: there is no such node.
        """
        found = self._positions.get(node)
        if found is None:
            ids = self.node_ids
            raise UsageError(
                f"{self.name!r} has no {self.card.place_word} {node!r}.",
                f"It has {len(ids)}, such as {', '.join(ids[:3])}; find_places searches them.",
            )
        return found

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {node: position for position, node in enumerate(self.node_ids)}

    @cached_property
    def _names(self) -> list[object]:
        """Of the nodes, as the source gives them."""
        return (
            self.data.coords["name"].to_numpy().tolist()
            if "name" in self.data.coords
            else [None] * len(self._positions)
        )

    @cached_property
    def kinds(self) -> tuple[str, ...]:
        """`(N,)` what sort of place each node is; '' where the data name none."""
        known = (
            self.data.coords["kind"].to_numpy().tolist() if "kind" in self.data.coords else [""] * len(self._positions)
        )
        return tuple(map(str, known))

    def place_name(self, node: str) -> str:
        """The node's name with single spaces; its id where it has none.

        Raises:
            UsageError: there is no such node.
        """
        name = self._names[self.position(node)]
        return (" ".join(name.split()) if isinstance(name, str) else "") or node

    def place(self, node: str) -> str:
        """The node in words, such as `station 1205330 (N OF 57)`.

        Raises:
            UsageError: there is no such node.
        """
        name = self.place_name(node)
        return f"{self.card.place_word} {node}" + (f" ({name})" if name != node else "")

    def adjacency(self) -> sparse.csr_array:
        """`(N, N)` weights from source (row) to target (column); dimensionless, 0 = no edge."""
        ids = self.data.indexes["node"]
        rows = ids.get_indexer(pd.Index(self.edges["source"].astype(str)))
        columns = ids.get_indexer(pd.Index(self.edges["target"].astype(str)))
        weights = self.edges["weight"].to_numpy(dtype=np.float64)
        return sparse.csr_array((weights, (rows, columns)), shape=(len(ids), len(ids)))

    # -- parts of it --------------------------------------------------------------------

    def only(self, nodes: Sequence[str]) -> Panel:
        """The panel of these nodes, in this order; nothing is read from disk for it. Events stay, all of them.

        Raises:
            UsageError: one of them is no node.
        """
        positions = self.data.indexes["node"].get_indexer(pd.Index(list(nodes), dtype=object))
        if (unknown := np.flatnonzero(positions < 0)).size:
            self.position(nodes[unknown[0]])
        inside = self.edges["source"].astype(str).isin(nodes) & self.edges["target"].astype(str).isin(nodes)
        covariates = self.covariates.isel(node=positions) if "node" in self.covariates.dims else self.covariates
        return dataclasses.replace(
            self, data=self.data.isel(node=positions), edges=self.edges[inside], covariates=covariates
        )

    def nodes_of(self, channel: str | None = None) -> list[str]:
        """Ids of the nodes that measure the channel, by the kinds that its card entry names."""
        kinds = self.channel(channel).kinds
        if not kinds:
            return self.node_ids
        kind = self.data.coords["kind"].to_numpy()
        return [node for node, its in zip(self.node_ids, kind, strict=True) if its in kinds]

    def of(self, channel: str | None = None) -> Panel:
        """The panel of the nodes that measure the channel; itself where all do."""
        return self.only(self.nodes_of(channel)) if self.channel(channel).kinds else self

    # -- the clock ----------------------------------------------------------------------

    @property
    def start(self) -> pd.Timestamp:
        """The first moment at which any reading is known."""
        return self.times[0] + self._delay

    @property
    def end(self) -> pd.Timestamp:
        """The moment at which the last reading is known, or `as_of` of a cut panel."""
        return self.as_of if self.as_of is not None else self.times[-1] + self._delay

    @property
    def now(self) -> pd.Timestamp:
        """The clock of a question that names none: the card's, or `end`."""
        return self.end if self.as_of is not None else self.moment(self.card.now)

    @property
    def _delay(self) -> pd.Timedelta:
        return self.step if self.card.time_label == "start" else pd.Timedelta(0)

    def moment(self, when: str | datetime | None) -> pd.Timestamp:
        """Read a point in time; without a zone it is local time of the data, None and 'end' are `end`.

        Args:
            when: ISO 8601: a date, or a date and a time with or without an offset. Nothing is guessed:
                03/04/2022 could be either.

        Raises:
            UsageError: it is not such a time, a clock change skips or repeats it, or it lies outside the data.
        """
        if when is None or when == END:
            return self.end
        moment = self.local(_parsed(when))
        if not self.start <= moment <= self.end:
            raise UsageError(
                f"as_of {when!s} is outside the data of {self.name!r}.",
                f"Choose a time from {self.start:%Y-%m-%dT%H:%M} to {self.end:%Y-%m-%dT%H:%M} ({self.card.time_zone}).",
            )
        return moment

    def local(self, when: datetime) -> pd.Timestamp:
        """`when` in the zone of the data; without a zone it is local time already.

        Raises:
            UsageError: a clock change skips or repeats it.
        """
        if when.tzinfo is not None:
            return pd.Timestamp(when).tz_convert(self.zone)
        # At a clock change, fold 0 has the offset before it and fold 1 the one after it.
        first, second = (
            datetime.combine(when.date(), when.time().replace(fold=fold), tzinfo=self.zone) for fold in (0, 1)
        )
        before, after = first.utcoffset(), second.utcoffset()
        if before is None or after is None or before == after:
            return pd.Timestamp(first)
        text = f"{when:%Y-%m-%dT%H:%M}"
        if before > after:
            raise UsageError(
                f"{text} occurs twice in {self.card.time_zone}: a clock change repeats it.",
                f"Write {first.isoformat(timespec='minutes')} or {second.isoformat(timespec='minutes')}.",
            )
        raise UsageError(
            f"{text} does not exist in {self.card.time_zone}: a clock change skips it.",
            f"Write {(second + (after - before)).isoformat(timespec='minutes')}.",
        )

    def until(self, as_of: str | datetime | None) -> Panel:
        """The panel as it was known at `as_of`: no later reading, event, end of an event, or track.

        A reading stamped with the start of its interval is known only when the interval is over, and so is a
        covariate that is not known ahead.

        Raises:
            UsageError: `as_of` is not a time or lies outside the data.
        """
        moment = self.moment(as_of)
        utc = moment.tz_convert("UTC").tz_localize(None)
        known = int(self.data.indexes["time"].searchsorted(utc - self._delay, side="right"))
        if known < 2:
            raise UsageError(
                f"At {moment:%Y-%m-%dT%H:%M} {self.name!r} has only {known} reading(s).",
                f"Choose a time from {self.times[1] + self._delay:%Y-%m-%dT%H:%M} on.",
            )
        return dataclasses.replace(
            self,
            data=self.data.isel(time=slice(0, known)),
            events=tuple(seen for event in self.events if (seen := event.until(moment)) is not None),
            covariates=_covariates_until(self.covariates, utc - self._delay),
            trajectories=None if self.trajectories is None else self.trajectories[self.trajectories["time"] <= moment],
            as_of=moment,
        )


def _covariates_until(covariates: xr.Dataset, last: pd.Timestamp) -> xr.Dataset:
    """Blank what is not known ahead after the stamp `last`; the time axis stays, as calendars reach further."""
    hidden = [str(k) for k, v in covariates.data_vars.items() if "time" in v.dims and not v.attrs.get(KNOWN_FUTURE)]
    if not hidden:
        return covariates
    return covariates.assign(
        {name: covariates[name].where(covariates["time"] <= last.to_datetime64()) for name in hidden}
    )


def _parsed(when: str | datetime) -> datetime:
    """The time as written.

    Raises:
        UsageError: it is not ISO 8601, or there is no such day or hour.
    """
    try:
        if isinstance(when, datetime) and not pd.isna(when):
            return when
        if isinstance(when, str) and _ISO.fullmatch(when.strip()):
            return datetime.fromisoformat(when.strip())
    except ValueError:
        pass
    raise UsageError(
        f"{str(when)!r} is not a point in time.", "Write it as 2022-01-25T07:30, or as 2022-01-25T07:30+01:00."
    )
