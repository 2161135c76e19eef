"""Where the nodes are: sensor tables and GeoJSON, aligned to the nodes that have readings; what is nearest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mm4st_agent.data.importing.cells import listed, pick, plain, read_cells, short, texts
from mm4st_agent.data.importing.draft import Finding
from mm4st_agent.data.importing.geojson import is_geojson, read_geojson
from mm4st_agent.data.importing.values import numbers
from mm4st_agent.errors import DataError

EARTH_KM = 6371.0088
"""Mean radius."""
LAT_NAMES = ("lat", "latitude", "gps_lat", "stop_lat")
LON_NAMES = ("lon", "lng", "long", "longitude", "gps_lon", "gps_lng", "gps_long", "stop_lon")
ID_NAMES = (
    "id", "node", "node_id", "sensor", "sensor_id", "station", "station_id", "detector", "detector_id", "site",
    "site_id", "device", "device_id", "link_id", "code",
)  # fmt: skip
POSITION_NAMES = ("index", "node", "position", "no", "row", "id", "node_id")
"""Columns that may count the nodes from 0 instead of naming them."""
COLUMNS = {
    "name": ("name", "node_name", "station_name", "sensor_name", "site_name", "title", "label"),
    "kind": ("kind", "type", "node_type", "station_type", "category"),
    "freeway": ("freeway", "fwy", "route"),
    "direction": ("direction", "dir", "heading"),
    "road": ("road", "road_name", "street"),
    "postmile": ("abs_pm", "absolute_postmile", "postmile", "post_mile", "milepost", "mile_post", "pm"),
    "lanes": ("lanes", "num_lanes", "lane_count"),
    "city": ("city", "town"),
    "elevation": ("elevation", "altitude", "elev", "elevation_m"),
    "land_use": ("land_use", "landuse"),
}
"""What a panel says of a node beside its coordinates, and what tables call it; an earlier name is preferred."""
NUMBERS = ("postmile", "lanes", "elevation")

_TIES = 8
"""How many nodes at one place are told apart by what they observed."""
_PROJECTED = 1000.0
_DEGREES = "Give WGS84 degrees, such as lat 34.15 and lon -118.32."


def read_places(path: Path, node_ids: Sequence[str]) -> tuple[pd.DataFrame, tuple[Finding, ...]]:
    """Read what is known of each node.

    A row belongs to the node whose id it has in any column (the one that has most of the ids), or else to the node
    at the position that it counts from 0.

    Args:
        path: A table (CSV, TSV, xlsx, JSON lines, Parquet), or GeoJSON.
        node_ids: `(N,)` of the readings.

    Returns:
        `(N)` rows indexed by node id: `lat`, `lon` (degrees, NaN unknown), and of `COLUMNS` those that the table
        has ('' and NaN unknown).

    Raises:
        DataError: no column names the nodes, a node has two different rows, or a coordinate is impossible; the
            message names row, column and value.
    """
    table = read_geojson(path).drop(columns="geometry") if is_geojson(path) else read_cells(path)
    findings: list[Finding] = []
    keys = _keys(path, table, node_ids, findings)
    table, keys = _one_row_each(path, table, keys)
    places = _known_columns(path, table, findings)
    places.index = pd.Index(keys, name="id", dtype=object)
    inside = places.index.isin(list(node_ids))
    if not inside.all():
        others = f"{listed(places.index[~inside])} have no readings."
        findings.append(Finding("places left out", f"{(~inside).sum():,} rows", others, "inferred"))
    absent = [node for node in node_ids if node not in places.index]
    if absent:
        findings.append(
            Finding("places unknown", f"{len(absent):,} nodes", f"{path.name} lacks {listed(absent)}.", "inferred")
        )
    aligned = places.reindex(pd.Index(list(node_ids), name="id", dtype=object))
    for column in aligned.columns.difference(["lat", "lon", *NUMBERS]):
        aligned[column] = aligned[column].fillna("").astype(object)
    return aligned, tuple(findings)


def read_place_list(path: Path) -> tuple[pd.DataFrame, tuple[Finding, ...]]:
    """Read places that no readings name: the ids are those of the table's id column, or the row's position from 0.

    Returns:
        As `read_places`, a row for each row of the table.

    Raises:
        DataError: as `read_places`, or there are no coordinates.
    """
    table = read_geojson(path).drop(columns="geometry") if is_geojson(path) else read_cells(path)
    column = pick(table, ID_NAMES)
    ids = [str(i) for i in range(len(table))] if column is None else list(texts(table[column]))
    if len(set(ids)) < len(ids):
        twice = next(i for i in ids if ids.count(i) > 1)
        raise DataError(f"{path}: {short(twice)} names two places in the column {column!r}.", "Ids must be unique.")
    findings: list[Finding] = []
    places = _known_columns(path, table, findings)
    if "lat" not in places or places["lat"].isna().all():
        raise DataError(f"{path} has no coordinates; its columns are {listed(table.columns)}.", _DEGREES)
    return places.set_axis(pd.Index(ids, name="id", dtype=object)), tuple(findings)


def coordinates(
    path: Path, table: pd.DataFrame, findings: list[Finding]
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Latitude and longitude of each row in degrees, NaN unknown; None where the table has no such columns.

    A place at exactly 0, 0 counts as unknown.

    Raises:
        DataError: a value is no number, out of range, projected, swapped with its partner, or lacks it.
    """
    lat_column, lon_column = pick(table, LAT_NAMES), pick(table, LON_NAMES)
    if lat_column is None and lon_column is None:
        return None
    if lat_column is None or lon_column is None:
        raise DataError(
            f"{path} has the column {lat_column or lon_column!r} without its partner.", "Both lat and lon are needed."
        )
    lat, lon = numbers(path, table[lat_column]), numbers(path, table[lon_column])
    far = np.maximum(np.abs(lat), np.abs(lon)) > _PROJECTED
    wrong = (np.abs(lat) > 90) | (lon < -180) | (lon > 360)
    half = np.isnan(lat) != np.isnan(lon)
    for bad, message, hint in (
        (far, "are no degrees: these look like projected metres.", _DEGREES),
        (
            wrong & (np.abs(lat) <= 360) & (np.abs(lon) <= 90),
            "look swapped: a latitude lies within ±90.",
            "Exchange the names of the two columns.",
        ),
        (wrong, "lie outside ±90 and ±180 degrees.", _DEGREES),
        (half, "are only half a place.", "Give both, or neither."),
    ):
        if bad.any():
            at = int(np.flatnonzero(bad)[0])
            raise DataError(
                f"{path}, row {table.index[at]}: {lat_column} {lat[at]:g} and {lon_column} {lon[at]:g} {message}", hint
            )
    null = (lat == 0) & (lon == 0)
    if null.any():
        rows = f"rows {listed(table.index[null])} are at 0, 0, which trackers write for an unknown place."
        findings.append(Finding("place 0, 0", f"{null.sum():,} rows of {path.name}", rows, "mended"))
        lat, lon = np.where(null, np.nan, lat), np.where(null, np.nan, lon)
    return lat, np.where(lon > 180, lon - 360, lon)


def haversine_km(
    lat: NDArray[np.float64], lon: NDArray[np.float64], to_lat: NDArray[np.float64], to_lon: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Great-circle distance in km between points in degrees; broadcasts, NaN where a point is unknown."""
    phi, to_phi = np.radians(lat), np.radians(to_lat)
    half = np.sin((to_phi - phi) / 2) ** 2
    half = half + np.cos(phi) * np.cos(to_phi) * np.sin(np.radians(np.subtract(to_lon, lon)) / 2) ** 2
    distance: NDArray[np.float64] = 2 * EARTH_KM * np.arcsin(np.sqrt(np.clip(half, 0, 1)))
    return distance


class NearestNodes:
    """Finds the node nearest to a point, on the sphere.

    Args:
        lat: `(N,)` degrees; NaN for nodes without a place, which are never nearest.
        lon: `(N,)` degrees.
        max_km: Farther away than this, no node is near.
    """

    def __init__(self, lat: NDArray[np.float64], lon: NDArray[np.float64], max_km: float) -> None:
        from scipy.spatial import cKDTree

        self._lat, self._lon, self.max_km = lat, lon, max_km
        self._known = np.flatnonzero(np.isfinite(lat) & np.isfinite(lon))
        self._tree = cKDTree(_on_sphere(lat[self._known], lon[self._known])) if len(self._known) else None

    def locate(
        self,
        lat: NDArray[np.float64],
        lon: NDArray[np.float64],
        share: Callable[[], NDArray[np.float64]] | None = None,
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Find the node of each of P points.

        Args:
            lat: `(P,)` degrees, NaN unknown.
            lon: `(P,)` degrees, NaN unknown.
            share: `(N,)` observed share of each node, which decides between nodes at one distance; asked for only
                where there are such.

        Returns:
            `(P,)` positions, -1 where no node is near or the point is unknown, and `(P,)` km, NaN there.
        """
        found, distance = np.full(len(lat), -1, dtype=np.int64), np.full(len(lat), np.nan)
        points = np.flatnonzero(np.isfinite(lat) & np.isfinite(lon))
        if self._tree is None or len(points) == 0:
            return found, distance
        candidates = 1 if share is None else min(_TIES, len(self._known))
        _, nearest = self._tree.query(_on_sphere(lat[points], lon[points]), k=[*range(1, candidates + 1)])
        nodes = self._known[nearest]
        km = haversine_km(lat[points, None], lon[points, None], self._lat[nodes], self._lon[nodes])
        best = np.argmin(km, axis=1)
        if share is not None:
            for k in np.flatnonzero((km <= km.min(axis=1, keepdims=True) + 1e-9).sum(axis=1) > 1):
                order = np.argsort(nodes[k])
                best[k] = order[first_of_nearest(km[k, order], nodes[k, order], share)]
        rows = np.arange(len(points))
        near = km[rows, best] <= self.max_km
        found[points[near]], distance[points[near]] = nodes[rows, best][near], km[rows, best][near]
        return found, distance


def first_of_nearest(
    distance: NDArray[np.float64], nodes: NDArray[np.int64], share: Callable[[], NDArray[np.float64]]
) -> int:
    """Where the smallest distance stands; of equal ones the node with the larger share, then the first.

    Args:
        distance: `(K,)`, K >= 1.
        nodes: `(K,)` positions in the node order, increasing.
        share: `(N,)` observed share of each node; asked for only where there are ties.
    """
    tied = np.flatnonzero(distance <= distance.min() + 1e-9)
    return int(tied[0] if len(tied) == 1 else tied[np.argmax(share()[nodes[tied]])])


def _on_sphere(lat: NDArray[np.float64], lon: NDArray[np.float64]) -> NDArray[np.float64]:
    phi, theta = np.radians(lat), np.radians(lon)
    return np.column_stack([np.cos(phi) * np.cos(theta), np.cos(phi) * np.sin(theta), np.sin(phi)])


def _keys(path: Path, table: pd.DataFrame, node_ids: Sequence[str], findings: list[Finding]) -> list[str]:
    """The node of each row."""
    cells = {str(column): texts(table[column]) for column in table.columns}
    wanted = set(node_ids)
    # max() keeps the first of equals; names of id columns come first.
    order = sorted(cells, key=lambda column: plain(column) not in ID_NAMES)
    shares = {column: len(wanted.intersection(cells[column])) / len(wanted) for column in order}
    best = max(shares, key=lambda column: shares[column])
    if shares[best] >= 0.5 or (shares[best] > 0 and plain(best) in ID_NAMES):
        findings.append(
            Finding(
                "places",
                f"by {best!r} of {path.name}",
                f"the column has {shares[best]:.0%} of the node ids.",
                "inferred",
            )
        )
        return list(cells[best])
    counting = [str(i) for i in range(len(node_ids))]
    for column in cells:
        if plain(column) in POSITION_NAMES and sorted(cells[column]) == sorted(counting):
            findings.append(
                Finding(
                    "places",
                    f"by position in {column!r} of {path.name}",
                    "no column has the node ids; this one counts the nodes from 0.",
                    "assumed",
                )
            )
            return [node_ids[int(cell)] for cell in cells[column]]
    first = table.iloc[0].to_dict()
    raise DataError(
        f"{path}: no column has the node ids ({listed(node_ids, 3)}); its first row is {short(first)}.",
        f"Add a column with the ids, or one called 'index' that counts the nodes 0..{len(node_ids) - 1}.",
    )


def _one_row_each(path: Path, table: pd.DataFrame, keys: list[str]) -> tuple[pd.DataFrame, list[str]]:
    """Equal rows of a node are one; different ones are refused."""
    rows = pd.Series(keys, index=table.index)
    different = rows.duplicated() & ~table.duplicated() & (rows != "")
    if different.any():
        row = different.index[different][0]
        first = rows.index[rows == rows[row]][0]
        raise DataError(f"{path}, rows {first} and {row}: two different rows are for {short(rows[row])}.", "Keep one.")
    keep = ~rows.duplicated() & (rows != "")
    return table[keep], list(rows[keep])


def _known_columns(path: Path, table: pd.DataFrame, findings: list[Finding]) -> pd.DataFrame:
    """The columns that a panel has a name for, in a fixed order."""
    places: dict[str, NDArray[np.float64] | NDArray[np.int64] | NDArray[np.object_]] = {}
    used = {pick(table, LAT_NAMES), pick(table, LON_NAMES), pick(table, ID_NAMES)}
    for name, names in COLUMNS.items():
        column = pick(table, names)
        if column is None or column in used:
            continue
        used.add(column)
        if name not in NUMBERS:
            places[name] = texts(table[column]).to_numpy(dtype=object)
            continue
        values = numbers(path, table[column])
        is_whole = name == "lanes" and not np.isnan(values).any() and (values == np.round(values)).all()
        places[name] = values.astype(np.int64) if is_whole else values
    point = coordinates(path, table, findings)
    if point is not None:
        places["lat"], places["lon"] = point
    rest = [str(c) for c in table.columns if c not in used and plain(c) not in POSITION_NAMES]
    if rest:
        findings.append(
            Finding(
                "columns of places left out",
                listed(rest, 12),
                "a panel has no use for them; give the table as a static layer to keep them.",
                "inferred",
            )
        )
    return pd.DataFrame(places, index=table.index)
