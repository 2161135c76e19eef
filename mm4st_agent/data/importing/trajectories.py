"""Moving objects: tables of their positions, and readings of the places where they pass."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mm4st_agent.data.importing.cells import listed, pick, read_cells, short, texts
from mm4st_agent.data.importing.draft import BLOCK_BYTES, Block, Finding, Source, SourceChannel
from mm4st_agent.data.importing.moments import read_times
from mm4st_agent.data.importing.options import ImportOptions
from mm4st_agent.data.importing.places import (
    LAT_NAMES,
    LON_NAMES,
    coordinates,
    read_place_list,
)
from mm4st_agent.data.importing.roles import MOVING_COLUMN
from mm4st_agent.data.importing.tables import open_table
from mm4st_agent.data.importing.times import zone_of
from mm4st_agent.data.importing.values import looks_numeric, numbers
from mm4st_agent.data.mobility import (
    MAX_GAP_S,
    MAX_SPEED_KMH,
    Steps,
    flow_of,
    legs_of,
    nearest_of,
    points_of,
    speed_of,
)
from mm4st_agent.errors import DataError

_MOVERS = ("object", "vehicle", "taxi", "trip", "track", "trajectory", "car", "bus", "driver", "user", "device")
OBJECT_NAMES = (*(name + end for name in _MOVERS for end in ("", "_id", "_no", "_number")), "mmsi", "id", "uid")
TIME_NAMES = ("time", "timestamp", "datetime", "date_time", "gps_time", "date", "ts", "t")
CELL_KM = 1.0
MAX_CELLS = 2000
STEPS_S = (300, 600, 900, 1800, 3600, 86_400)
"""Time steps to choose from: the first that is not shorter than the usual time between two fixes."""
MAX_READINGS = 200_000_000

_KM_PER_DEGREE = 111.195
_DATED = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([T ].*)?")


def holds_trajectories(path: Path) -> bool:
    """Whether a table holds positions of objects that move: object, time, lat, lon.

    Raises:
        DataError: it is no table, or is damaged.
    """
    sample = open_table(path, ImportOptions()).sample
    if _headless(sample) is not None:
        return True
    columns = [pick(sample, names) for names in (OBJECT_NAMES, TIME_NAMES, LAT_NAMES, LON_NAMES)]
    if None in columns:
        return False
    rest = [str(column) for column in sample.columns if column not in columns]
    places = sample[[columns[0], *columns[2:]]].drop_duplicates()
    if places[columns[0]].duplicated().any():
        return True
    # Several things that come again where they were are sensors with their places in each row.
    still = len(places) > 1 and sample[columns[0]].duplicated().any()
    return not still and all(MOVING_COLUMN.search(name) for name in rest)


def read_tracks(path: Path, zone: ZoneInfo, time_format: str | None = None) -> tuple[pd.DataFrame, tuple[Finding, ...]]:
    """Read the positions of moving objects.

    Args:
        path: A table with an object, a time, a latitude and a longitude a row, in any order; or without a header
            (as T-Drive), where the columns are told by what they hold.
        zone: Of times without an offset.
        time_format: strftime pattern; None infers it.

    Returns:
        Columns `object` (text), `time` (zone-aware), `lat`, `lon` (degrees), by object and time; rows without a
        place, and further rows of an object at the same time, are left out.

    Raises:
        DataError: a column is missing, or a cell cannot be read; the message names row, column and value.
    """
    table = read_cells(path)
    findings: list[Finding] = []
    if (names := _headless(table)) is not None:
        first = pd.DataFrame([table.columns], columns=table.columns, index=[1])
        table = pd.concat([first, table]).set_axis(names, axis=1)
        table = table.rename(columns=_which_is_which(path, table))
        why = "the first row is data; columns are told by what they hold."
        findings.append(Finding("columns of tracks", ", ".join(table.columns), why, "inferred"))
    who, when = pick(table, OBJECT_NAMES), pick(table, TIME_NAMES)
    point = coordinates(path, table, findings)
    if who is None or when is None or point is None:
        raise DataError(
            f"{path} lacks columns of moving objects; it has {listed(table.columns, 12)}.",
            "Name them object, time, lat and lon.",
        )
    objects = texts(table[who])
    if (objects == "").any():
        raise DataError(f"{path}, row {objects.index[objects == ''][0]}, column {who!r}: the object is empty.")
    times = read_times(path, table[when], zone, time_format, findings, option="time_format")
    tracks = pd.DataFrame({"object": objects, "time": times, "lat": point[0], "lon": point[1]})
    nowhere = tracks["lat"].isna()
    if nowhere.any():
        what = f"{nowhere.sum():,} fixes"
        findings.append(Finding("fixes left out", what, f"rows {listed(tracks.index[nowhere])}: no place.", "mended"))
    tracks = tracks[~nowhere].sort_values(["object", "time"], kind="stable")
    twice = tracks.duplicated(["object", "time"])
    if twice.any():
        why = f"rows {listed(tracks.index[twice])}: an object is at one place at a time; its first row counts."
        findings.append(Finding("fixes left out", f"{twice.sum():,} fixes", why, "mended"))
    tracks = tracks[~twice].reset_index(drop=True)
    if tracks.empty:
        raise DataError(f"{path} holds no position.")
    count = tracks["object"].nunique()
    findings.append(
        Finding("tracks", f"{len(tracks):,} fixes of {count:,} objects", f"by {who!r} and {when!r}.", "inferred")
    )
    return tracks, tuple(findings)


def read_trajectories(path: Path, options: ImportOptions) -> Source:
    """Flow and speed at places, from the positions of moving objects.

    The places are the nearest ones of `options.nodes` within `options.event_distance` km, or else the cells of a
    grid of 1 km, made coarser until at most `MAX_CELLS` are visited.

    Returns:
        Channels `flow` (objects that enter the place in a step) and `speed` (km/h, distance over time of all objects
        there); both NaN in steps without any fix at all, speed also where nobody was. Stamps are zone-aware: the
        start of a step, or its end where the options say that stamps are instants.

    Raises:
        DataError: as `read_tracks`, or there are too many places and steps.

    Source:
        Zhang et al. (2017), arXiv:1610.00081, the inflow of definition 2; Edie (1963), Discussion of traffic stream
        measurements and definitions, for the speed.
    """
    zone = zone_of(options.time_zone)
    tracks, found = read_tracks(path, zone, options.time_format)
    findings = list(found)
    legs = legs_of(tracks, MAX_SPEED_KMH, MAX_GAP_S)
    for what, left_out, why in (
        ("jumps left out", legs.jumps, f"they would need more than {MAX_SPEED_KMH:g} km/h."),
        ("gaps left out", legs.gaps, f"more than {MAX_GAP_S / 60:g} minutes lie between the two fixes."),
    ):
        if left_out:
            findings.append(Finding(what, f"{left_out:,} pairs of fixes", why, "mended"))
    step_s = options.step_s or _usual_step(tracks, findings)
    files: tuple[Path, ...] = (path,)
    if options.nodes is not None:
        nodes, more = read_place_list(options.nodes)
        findings += more
        files = (path, options.nodes)
        at, _ = nearest_of(nodes, options.event_distance).locate(*points_of(tracks))
        outside = f"{(at < 0).sum():,} fixes are farther than {options.event_distance:g} km from all of them."
        findings.append(Finding("places", f"{len(nodes):,} of {options.nodes.name}", outside, "stated"))
    else:
        nodes, at = _grid(tracks, findings)
    first, last = tracks["time"].min(), tracks["time"].max()
    first = pd.Timestamp(first.date()).tz_localize(zone, ambiguous=True, nonexistent="shift_forward")
    count = int((last - first) / pd.Timedelta(seconds=step_s)) + 2
    bins = Steps(first, pd.Timedelta(seconds=step_s), count, options.time_label == "start")
    seen = np.bincount(bins.of(tracks["time"]), minlength=count) > 0
    span = slice(int(seen.argmax()), count - int(seen[::-1].argmax()))
    size = (span.stop - span.start) * len(nodes)
    if size > MAX_READINGS:
        raise DataError(
            f"{path} gives {size:,} readings at {len(nodes):,} places; at most {MAX_READINGS:,} can be made.",
            "State a longer step_s, or fewer places with nodes.",
        )
    bins = Steps(bins.stamps[span.start], bins.step, span.stop - span.start, bins.by_start)
    flow, speed = flow_of(legs, at, bins, len(nodes)), speed_of(legs, at, bins, len(nodes))
    flow[~seen[span]] = np.nan
    stamps = pd.Series(bins.stamps, index=pd.RangeIndex(1, bins.count + 1), name="time")

    def blocks() -> Iterator[Block]:
        rows = max(1, BLOCK_BYTES // (4 * len(nodes)))
        for k in range(0, bins.count, rows):
            yield {"flow": flow[k : k + rows], "speed": speed[k : k + rows]}

    every = f"{step_s / 60:g} min" if step_s % 60 == 0 else f"{step_s:g} s"
    return Source(
        path=path,
        files=files,
        stamps=stamps,
        node_ids=tuple(str(node) for node in nodes.index),
        channels=(SourceChannel("flow", f"objects/{every}"), SourceChannel("speed", "km/h")),
        blocks=blocks,
        nodes=nodes,
        findings=tuple(findings),
    )


def _usual_step(tracks: pd.DataFrame, findings: list[Finding]) -> float:
    gaps = tracks.groupby("object", sort=False)["time"].diff().dt.total_seconds()
    usual = float(gaps.median()) if gaps.notna().any() else 0.0
    step = next((s for s in STEPS_S if s >= usual), STEPS_S[-1])
    why = f"the usual time between two fixes of an object is {usual:g} s."
    findings.append(Finding("time step", f"{step / 60:g} min", why, "inferred"))
    return float(step)


def _grid(tracks: pd.DataFrame, findings: list[Finding]) -> tuple[pd.DataFrame, NDArray[np.int64]]:
    """The visited cells of a grid as nodes, and the cell of each fix."""
    lat, lon = points_of(tracks)
    south, west = lat.min(), lon.min()
    stretch = max(float(np.cos(np.radians(np.median(lat)))), 0.01)
    size = CELL_KM
    while True:
        high, wide = size / _KM_PER_DEGREE, size / _KM_PER_DEGREE / stretch
        rows, columns = np.floor((lat - south) / high), np.floor((lon - west) / wide)
        codes, at = np.unique(rows * 1_000_000 + columns, return_inverse=True)
        if len(codes) <= MAX_CELLS:
            break
        size *= 2
    row, column = np.divmod(codes.astype(np.int64), 1_000_000)
    nodes = pd.DataFrame(
        {"kind": "grid cell", "lat": south + (row + 0.5) * high, "lon": west + (column + 0.5) * wide},
        index=pd.Index([f"r{r:03}c{c:03}" for r, c in zip(row, column, strict=True)], name="id", dtype=object),
    )
    nodes["name"] = [f"cell at {y:.3f}, {x:.3f}" for y, x in zip(nodes["lat"], nodes["lon"], strict=True)]
    why = f"no places are given; at most {MAX_CELLS:,} cells, from {CELL_KM:g} km on."
    findings.append(Finding("places", f"{len(nodes):,} visited cells of {size:g} km", why, "assumed"))
    return nodes, np.asarray(at, dtype=np.int64)


# -- tables without a header ----------------------------------------------------------------


def _headless(table: pd.DataFrame) -> list[str] | None:
    """Numbers as names, where the first row of four columns is data: an object, a time and two coordinates."""
    first = pd.Series([str(column) for column in table.columns])
    if len(first) == 4 and first.str.fullmatch(_DATED).sum() == 1 and _decimals(first).sum() in (2, 3):
        return ["0", "1", "2", "3"]
    return None


def _which_is_which(path: Path, table: pd.DataFrame) -> dict[str, str]:
    first = table.iloc[0].astype(str)
    time = next(c for c in table.columns if _DATED.fullmatch(first[c]))
    points = [c for c in table.columns if c != time and _decimals(first[[c]]).all()][-2:]
    who = next(c for c in table.columns if c != time and c not in points)
    wide = [c for c in points if (np.abs(numbers(path, table[c])) > 90).any()]
    if len(wide) != 1:
        raise DataError(
            f"{path} has no header, and {short(tuple(first[points]))} does not tell latitude from longitude.",
            "Add a header: object,time,lat,lon.",
        )
    lat = next(c for c in points if c != wide[0])
    return {who: "object", time: "time", lat: "lat", wide[0]: "lon"}


def _decimals(cells: pd.Series) -> pd.Series:
    return looks_numeric(cells) & cells.str.contains(".", regex=False)
