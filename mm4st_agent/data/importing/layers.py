"""`read_layers`: what stands beside the readings - places, edges, events, trajectories and static layers."""

from __future__ import annotations

import re
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mm4st_agent.data.events import Event
from mm4st_agent.data.importing.cells import listed, read_cells
from mm4st_agent.data.importing.draft import Finding, Layers, Source
from mm4st_agent.data.importing.edgelist import read_edges
from mm4st_agent.data.importing.eventlog import read_eventlog
from mm4st_agent.data.importing.geojson import is_geojson, read_geojson
from mm4st_agent.data.importing.options import ImportOptions
from mm4st_agent.data.importing.places import coordinates, read_places
from mm4st_agent.data.importing.trajectories import read_tracks
from mm4st_agent.data.importing.values import looks_numeric
from mm4st_agent.errors import DataError, UsageError

MAX_STATIC_ROWS = 1_000_000

_LAYER_NAME = re.compile(r"\w[\w .-]{0,63}")


def read_layers(options: ImportOptions, source: Source, zone: ZoneInfo) -> Layers:
    """Read the files that the options name.

    Args:
        options: `nodes`, `edges`, `events`, `trajectories`, `static`; those that are None are left out.
        source: The readings that they stand beside.
        zone: Of times without an offset.

    Returns:
        Places, edges and events by the node ids of `source`; what was inferred, file by file.

    Raises:
        DataError: a file cannot be read or does not fit the nodes; the message names row, column and value.
        UsageError: a static layer cannot be called so, or a time format is none.
    """
    findings: list[Finding] = []
    places = edges = tracks = None
    events: tuple[Event, ...] = ()
    if options.nodes is not None and options.nodes not in source.files:
        places, found = read_places(options.nodes, source.node_ids)
        findings += found
    if options.edges is not None:
        edges, found = read_edges(options.edges, source.node_ids, options.units)
        findings += found
    if options.events is not None:
        events, found = read_eventlog(
            options.events,
            _known_places(source, places),
            zone,
            max_distance=options.event_distance,
            time_format=options.events_time_format,
            observed_share=lambda: _observed_share(source),
        )
        findings += found
    if options.trajectories is not None:
        time_format = options.time_format if options.trajectories in source.files else None
        tracks, found = read_tracks(options.trajectories, zone, time_format)
        findings += found
    static = {}
    for name, path in options.static.items():
        static[name], found = read_static(path, name)
        findings += found
    given = (options.nodes, options.edges, options.events, options.trajectories, *options.static.values())
    return Layers(
        nodes=places,
        edges=edges,
        events=events,
        static=static,
        trajectories=tracks,
        files=tuple(dict.fromkeys(path for path in given if path is not None)),
        findings=tuple(findings),
    )


def read_static(path: Path, name: str) -> tuple[pd.DataFrame, tuple[Finding, ...]]:
    """Read a layer that does not change, as it is: points of interest, land use, a road network.

    Args:
        path: A table or GeoJSON.
        name: What the layer is called; it becomes a file name.

    Returns:
        Its rows; columns of which every cell is a number or empty are numbers (integers where all are whole, NaN where
        empty); coordinates are `lat`, `lon` in degrees; the geometry of GeoJSON is text.

    Raises:
        UsageError: a layer cannot be called so.
        DataError: the file cannot be read, has too many rows, or an impossible coordinate.
    """
    if not _LAYER_NAME.fullmatch(name):
        raise UsageError(f"A layer cannot be called {name!r}.", "Use letters, digits, '_', '-', '.' and spaces.")
    table = read_geojson(path) if is_geojson(path) else read_cells(path)
    if len(table) > MAX_STATIC_ROWS:
        raise DataError(f"{path} has {len(table):,} rows; at most {MAX_STATIC_ROWS:,} can be kept.", "Cut it in space.")
    findings: list[Finding] = []
    point = coordinates(path, table, findings)
    columns: dict[str, object] = {str(column): _as_it_is(table[column]) for column in table.columns}
    if point is not None:
        columns |= {"lat": point[0], "lon": point[1]}
    layer = pd.DataFrame(columns)
    what = f"{len(layer):,} rows of {path.name}"
    findings.append(Finding(f"static layer {name!r}", what, f"columns {listed(layer.columns, 12)}.", "stated"))
    return layer, tuple(findings)


def _as_it_is(cells: pd.Series) -> NDArray[np.generic] | pd.Series:
    """A column as numbers where all of it are; ids such as 007 stay text."""
    if not pd.api.types.is_string_dtype(cells):
        return cells.reset_index(drop=True)
    empty = cells == ""
    written = looks_numeric(cells) & ~cells.str.fullmatch(r"[+-]?0\d+.*")
    if empty.all() or not (written | empty).all():
        return cells.to_numpy(dtype=object)
    values = pd.to_numeric(cells.mask(empty))
    return values.to_numpy() if values.dtype == np.int64 else values.to_numpy(dtype=np.float64, na_value=np.nan)


def _known_places(source: Source, places: pd.DataFrame | None) -> pd.DataFrame:
    """What is known of each node: by its table, or else by the file of the readings."""
    known = pd.DataFrame(index=pd.Index(source.node_ids, dtype=object))
    if source.nodes is not None:
        known = source.nodes.reindex(known.index)
    for column in () if places is None else places.columns:
        known[column] = places[column]  # type: ignore[index]
    for column in {"lat", "lon", "postmile"} & set(known):
        known[column] = pd.to_numeric(known[column], errors="coerce")
    return known


def _observed_share(source: Source) -> NDArray[np.float64]:
    """`(N,)` share of the readings that were measured; 1 where the source does not say."""
    share = np.zeros(len(source.node_ids))
    if source.observed is None:
        return share + 1
    rows = 0
    for block in source.blocks():
        observed = block[source.observed]
        share += (observed > 0).sum(axis=0)
        rows += len(observed)
    return share / max(rows, 1)
