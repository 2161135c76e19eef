"""Logs of events: whatever their columns are called, in the words of the source, each at its nearest node."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mm4st_agent.data.events import Event
from mm4st_agent.data.importing.cells import listed, pick, plain, read_cells, short, texts
from mm4st_agent.data.importing.draft import Finding
from mm4st_agent.data.importing.moments import read_times
from mm4st_agent.data.importing.places import (
    COLUMNS,
    ID_NAMES,
    LAT_NAMES,
    LON_NAMES,
    NearestNodes,
    coordinates,
    first_of_nearest,
)
from mm4st_agent.data.importing.values import numbers
from mm4st_agent.errors import DataError

MAX_EVENTS = 500_000
MAX_TEXT = 4000
"""Characters of an event's text that are kept."""
START_NAMES = (
    "start", "start_time", "starts", "start_date", "starttime", "begin", "begin_time", "begins", "begun", "from",
    "time", "timestamp", "datetime", "date_time", "date", "occurred_at", "occurred", "event_time",
)  # fmt: skip
END_NAMES = (
    "end", "end_time", "ends", "end_date", "endtime", "until", "to", "finish", "cleared_at", "cleared", "closed_at",
)  # fmt: skip
PUBLISHED_NAMES = (
    "published_at", "published", "issued_at", "issued", "reported_at", "reported", "posted_at", "posted",
    "announced_at", "created_at",
)  # fmt: skip
TITLE_NAMES = ("title", "headline", "subject", "event_name")
TEXT_NAMES = (
    "text", "description", "message", "body", "summary", "details", "comment", "comments", "remark", "remarks", "note",
    "notes", "event", "incident",
)  # fmt: skip
PLACE_NAMES = ("place", "location", "where", "venue", "address", "location_text")
KIND_NAMES = ("kind", "type", "category", "event_type", "incident_type")
SOURCE_NAMES = ("source", "publisher", "agency", "provider")
NODE_NAMES = tuple(name for name in ID_NAMES if name not in ("id", "code"))
DURATION_UNITS = {
    "s": 1, "sec": 1, "secs": 1, "second": 1, "seconds": 1, "m": 60, "min": 60, "mins": 60, "minute": 60,
    "minutes": 60, "h": 3600, "hr": 3600, "hrs": 3600, "hour": 3600, "hours": 3600, "d": 86_400, "day": 86_400,
    "days": 86_400,
}  # fmt: skip
"""Seconds."""
MAX_DURATION_S = 100 * 365.25 * 86_400

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]+")
"""Control characters, and those that change the direction of writing; tab and newline are kept."""


def read_eventlog(
    path: Path,
    nodes: pd.DataFrame,
    zone: ZoneInfo,
    *,
    max_distance: float = 1.0,
    time_format: str | None = None,
    observed_share: Callable[[], NDArray[np.float64]] | None = None,
) -> tuple[tuple[Event, ...], tuple[Finding, ...]]:
    """Read a log, a row an event. Its texts are data: they are kept, and never acted upon.

    An event's node is the one that it names; else the nearest by latitude and longitude; else the nearest of the
    same freeway and direction by absolute postmile; else none.

    Args:
        path: A table (CSV, TSV, JSON lines, xlsx, Parquet) with a start and a text; further columns as they are.
        nodes: `(N)` rows indexed by node id: where known `lat`, `lon` (degrees), `freeway`, `postmile` (miles).
        zone: Of times without an offset.
        max_distance: Farther away than this an event has no node; miles by postmile, km by latitude and longitude.
        time_format: strftime pattern; None reads ISO 8601, or the one usual order that fits every row.
        observed_share: Gives `(N,)` shares of readings that were measured; of nodes at one distance, the better
            observed one is taken. Asked for only where there are such.

    Returns:
        Events, oldest first; an end that is negative, earlier than its start or not given is not known.

    Raises:
        DataError: there is no start or text, or a cell cannot be read; the message names row, column and value.
        UsageError: `time_format` is no time format.
    """
    table = read_cells(path)
    if len(table) > MAX_EVENTS:
        raise DataError(f"{path} has {len(table):,} events; at most {MAX_EVENTS:,} can be read.", "Cut it in time.")
    findings: list[Finding] = []
    log = _Log(path, table)
    start = read_times(path, _start(log), zone, time_format, findings)
    end = _ends(log, start, zone, time_format, findings)
    published = log.take(PUBLISHED_NAMES)
    known = start if published is None else read_times(path, published, zone, time_format, findings, optional=True)
    known = known.fillna(start)
    places, place, about = _places(log, nodes, max_distance, observed_share, findings)
    text, kind = _texts(log, place, about, findings)
    ids, source = _ids(log, findings)
    findings.append(Finding("events", f"{len(table):,} rows", f"read from {', '.join(log.taken)}.", "inferred"))
    rest = [str(column) for column in table.columns if column not in log.taken]
    if rest:
        findings.append(
            Finding("columns of events left out", listed(rest, 12), "no use is known for them.", "inferred")
        )
    silent = [row for row, words in zip(table.index, text, strict=True) if not words]
    if silent:
        findings.append(
            Finding("events left out", f"{len(silent):,} rows", f"rows {listed(silent)} say nothing.", "mended")
        )
    whole = zip(
        ids, text, start, end, known, source, places.ids, place, places.distance, places.unit, kind, strict=True
    )
    events = [
        Event(
            id=one,
            text=words,
            start=begun,
            end=None if pd.isna(over) else over,
            published_at=seen,
            source=origin,
            node=node,
            place=where,
            distance=None if np.isnan(away) else round(float(away), 3),
            distance_unit=unit,
            end_known=not pd.isna(over),
            kind=sort,
        )
        for one, words, begun, over, seen, origin, node, where, away, unit, sort in whole
        if words
    ]
    return tuple(sorted(events, key=lambda event: (event.start, event.id))), tuple(findings)


class _Log:
    """A table and which of its columns have found a meaning."""

    def __init__(self, path: Path, table: pd.DataFrame) -> None:
        self.path, self.table, self.taken = path, table, list[str]()

    def take(self, names: Sequence[str]) -> pd.Series | None:
        """The column called so, unless it has another meaning already."""
        column = pick(self.table.drop(columns=self.taken), names)
        if column is None:
            return None
        self.taken.append(column)
        found: pd.Series = self.table[column]
        return found

    def words(self, names: Sequence[str]) -> list[str] | None:
        """The column called so as text without control characters."""
        column = self.take(names)
        return None if column is None else [_CONTROL.sub(" ", cell).strip() for cell in texts(column)]


# -- when -----------------------------------------------------------------------------------


def _start(log: _Log) -> pd.Series:
    start = log.take(START_NAMES)
    if start is None:
        raise DataError(
            f"{log.path} has no column that says when an event starts; it has {listed(log.table.columns, 12)}.",
            f"Call it one of {listed(START_NAMES, 6)}.",
        )
    return start


def _ends(log: _Log, start: pd.Series, zone: ZoneInfo, time_format: str | None, findings: list[Finding]) -> pd.Series:
    """Ends in the zone; NaT where the log gives none, or one before the start."""
    column = log.take(END_NAMES)
    if column is not None:
        end = read_times(log.path, column, zone, time_format, findings, optional=True)
    else:
        name = next((c for c in log.table.columns if plain(c).split("_")[0] == "duration"), None)
        if name is None:
            return pd.Series(pd.NaT, index=start.index, dtype=start.dtype)
        log.taken.append(str(name))
        end = start + _durations(log.path, log.table[name])
    before = end < start
    if before.any():
        rows = f"rows {listed(start.index[before])}: the end counts as not known."
        findings.append(Finding("ends before their start", f"{before.sum():,}", rows, "mended"))
    return end.mask(before)


def _durations(path: Path, column: pd.Series) -> pd.Series:
    words = plain(str(column.name)).split("_")[1:]
    unit = next((DURATION_UNITS[word] for word in words if word in DURATION_UNITS), None)
    if unit is None:
        raise DataError(
            f"{path}: the column {column.name!r} does not say its unit.",
            "Call it duration_min, duration_s or duration_h.",
        )
    seconds = numbers(path, column) * unit
    far = np.abs(seconds) > MAX_DURATION_S
    if far.any():
        row = column.index[far][0]
        raise DataError(
            f"{path}, row {row}, column {column.name!r}: {short(column[row])} is more than a century.",
            "Leave the cell empty where the end is not known.",
        )
    return pd.Series(pd.to_timedelta(seconds, unit="s"), index=column.index)


# -- where ----------------------------------------------------------------------------------


class _Places:
    """Where each event is, found step by step; a later step only looks where the earlier ones found nothing."""

    def __init__(self, nodes: pd.DataFrame, count: int) -> None:
        self.nodes = nodes
        self.found = np.full(count, -1, dtype=np.int64)
        self.distance = np.full(count, np.nan)
        self.unit = np.full(count, "mile", dtype=object)
        self.how: list[str] = []

    def add(self, found: NDArray[np.int64], distance: NDArray[np.float64], unit: str, how: str) -> None:
        new = (self.found < 0) & (found >= 0)
        self.found[new], self.distance[new], self.unit[new] = found[new], distance[new], unit
        self.how.append(f"{new.sum():,} {how}")

    @property
    def ids(self) -> list[str | None]:
        ids = self.nodes.index.to_numpy(dtype=object)
        return [None if at < 0 else str(ids[at]) for at in self.found]


def _places(
    log: _Log,
    nodes: pd.DataFrame,
    max_distance: float,
    observed_share: Callable[[], NDArray[np.float64]] | None,
    findings: list[Finding],
) -> tuple[_Places, list[str], list[str]]:
    """Nodes, places in words, and words about the place that are not the place itself."""
    count = len(log.table)
    places = _Places(nodes, count)
    share = observed_share or (lambda: np.ones(len(nodes)))
    nothing = np.full(count, np.nan)
    cells = log.words(PLACE_NAMES)
    named = log.words(NODE_NAMES)
    if named is not None:
        index = pd.Index(list(nodes.index), dtype=object)
        found = np.asarray(index.get_indexer(pd.Index(named, dtype=object)), dtype=np.int64)
        places.add(found, nothing, "mile", "named their node")
    point = coordinates(log.path, log.table, findings)
    if point is not None:
        log.take(LAT_NAMES), log.take(LON_NAMES)
        at = nodes.reindex(columns=["lat", "lon"]).to_numpy(dtype=np.float64)
        found, km = NearestNodes(at[:, 0], at[:, 1], max_distance).locate(*point, share)
        places.add(found, km, "km", f"by latitude and longitude, at most {max_distance:g} km away")
    road, miles = log.words(COLUMNS["freeway"]), log.take(COLUMNS["postmile"])
    along = None
    if road is not None and miles is not None:
        turn = log.words(COLUMNS["direction"]) or [""] * count
        keys = [_road_key(*pair) for pair in zip(road, turn, strict=True)]
        found, away = _along_roads(keys, numbers(log.path, miles), nodes, max_distance, share)
        places.add(found, away, "mile", f"by freeway and postmile, at most {max_distance:g} mile(s) away")
        mark = "abs PM" if plain(str(miles.name)).startswith("abs") else "PM"
        roads = [f"{name} {way}".strip() for name, way in zip(road, turn, strict=True)]
        along = [f"{name} {mark} {at}" if name and at else "" for name, at in zip(roads, texts(miles), strict=True)]
    none = int((places.found < 0).sum())
    how = "; ".join([*places.how, f"{none:,} have none"]) if places.how else "nothing in the log says where."
    findings.append(
        Finding("nodes of events", f"known for {count - none:,} of {count:,}", how.rstrip(".") + ".", "inferred")
    )
    if along is not None:
        return places, along, cells or [""] * count
    return places, cells or named or [""] * count, [""] * count


def _road_key(road: str, direction: str) -> str:
    """'I5-N' and 'I-5' with 'North' alike."""
    return "".join(c for c in f"{road}{direction[:1]}".casefold() if c.isalnum())


def _along_roads(
    keys: Sequence[str],
    miles: NDArray[np.float64],
    nodes: pd.DataFrame,
    max_distance: float,
    share: Callable[[], NDArray[np.float64]],
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The node nearest by postmile on the same road and direction, and the miles to it."""
    found, distance = np.full(len(keys), -1, dtype=np.int64), np.full(len(keys), np.nan)
    if not {"freeway", "postmile"} <= set(nodes):
        return found, distance
    turns = nodes["direction"] if "direction" in nodes else [""] * len(nodes)
    roads = np.array([_road_key(str(r), str(t)) for r, t in zip(nodes["freeway"], turns, strict=True)], dtype=object)
    posts = nodes["postmile"].to_numpy(dtype=np.float64)
    positions = {key: np.flatnonzero((roads == key) & np.isfinite(posts)) for key in set(keys) if key}
    for k, (key, mile) in enumerate(zip(keys, miles, strict=True)):
        along = positions.get(key)
        if along is None or len(along) == 0 or np.isnan(mile):
            continue
        away = np.abs(posts[along] - mile)
        best = first_of_nearest(away, along, share)
        if away[best] <= max_distance:
            found[k], distance[k] = along[best], away[best]
    return found, distance


# -- what -----------------------------------------------------------------------------------


def _texts(
    log: _Log, place: Sequence[str], about: Sequence[str], findings: list[Finding]
) -> tuple[list[str], list[str]]:
    """The words of each event, and its kind."""
    count = len(log.table)
    kind = log.words(KIND_NAMES) or [""] * count
    columns = [found for names in (TITLE_NAMES, *((name,) for name in TEXT_NAMES)) if (found := log.words(names))]
    if not columns and not any(kind) and not any(about):
        raise DataError(
            f"{log.path} has no column that says what happened; it has {listed(log.table.columns, 12)}.",
            f"Call it one of {listed(TEXT_NAMES, 5)}.",
        )
    head = columns[:1] if columns and pick(log.table, TITLE_NAMES) else []
    parts = zip(*head, about, *columns[len(head) :], strict=True)
    said = [": ".join(dict.fromkeys(cell for cell in row if cell)) for row in parts]
    said = [words or sort or where for words, sort, where in zip(said, kind, place, strict=True)]
    long = [row for row, words in zip(log.table.index, said, strict=True) if len(words) > MAX_TEXT]
    if long:
        what = f"only their first {MAX_TEXT:,} characters are kept: rows {listed(long)}."
        findings.append(Finding("long texts", f"{len(long):,} events", what, "mended"))
    return [words[:MAX_TEXT] for words in said], kind


def _ids(log: _Log, findings: list[Finding]) -> tuple[list[str], list[str]]:
    """Unique ids, and where each entry comes from."""
    origin = log.words(SOURCE_NAMES) or [""] * len(log.table)
    rows = [f"{log.path.name}, row {row}" for row in log.table.index]
    free = log.table.drop(columns=log.taken)
    column = next((str(c) for c in free.columns if plain(c) == "id" or plain(c).endswith("_id")), None)
    ids = log.words((plain(column),)) if column else None
    if column is None or ids is None or "" in ids or len(set(ids)) < len(ids):
        if column:
            log.taken.remove(column)
            findings.append(Finding("ids of events", "row numbers", f"{column!r} is empty or repeats.", "assumed"))
        return [f"event-{row}" for row in log.table.index], [a or b for a, b in zip(origin, rows, strict=True)]
    noun = plain(column).removesuffix("id").strip("_").replace("_", " ")
    bare = all(one.isdigit() for one in ids)
    prefix = [f"{_road_key(name, '') or 'event'}-" if bare else "" for name in origin]
    named = [
        " ".join(part for part in (name, noun, one) if part) if name else row
        for name, one, row in zip(origin, ids, rows, strict=True)
    ]
    return [before + one for before, one in zip(prefix, ids, strict=True)], named
