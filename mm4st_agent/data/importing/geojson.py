"""GeoJSON: a row a feature, its properties as text, and one point that stands for its geometry."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mm4st_agent.data.importing.cells import cell_text, parse_json, read_text, short
from mm4st_agent.data.importing.rows import MAX_COLUMNS
from mm4st_agent.errors import DataError

GEOJSON_SUFFIXES = (".geojson", ".json")
MAX_FEATURES = 1_000_000

_WGS84 = ("CRS84", "4326")


def is_geojson(path: Path) -> bool:
    """Whether the name says so."""
    return path.name.lower().removesuffix(".gz").endswith(GEOJSON_SUFFIXES)


def read_geojson(path: Path) -> pd.DataFrame:
    """Read a FeatureCollection in WGS84 degrees.

    A line is stood for by the point half-way along it, an area by the centroid of its outer ring, several points
    by their mean.

    Returns:
        A row a feature, indexed 1, 2, ...: its properties as text; `id` where features have one; `lat`, `lon`
        (degrees, NaN where a feature has no geometry); `geometry`, the geometry's GeoJSON.

    Raises:
        DataError: it is not such a collection, or a feature is malformed; the message names the feature.
    """
    if not path.is_file():
        raise DataError(f"There is no file {path}.")
    found = parse_json(path, read_text(path))
    if not isinstance(found, dict) or found.get("type") != "FeatureCollection":
        kind = found.get("type") if isinstance(found, dict) else type(found).__name__
        raise DataError(f"{path} is no GeoJSON FeatureCollection but {short(kind)}.", "Give a FeatureCollection.")
    crs = json.dumps(found.get("crs"))
    if found.get("crs") is not None and not any(name in crs for name in _WGS84):
        raise DataError(f"{path} has the coordinate system {short(crs)}.", "Give WGS84 degrees (EPSG:4326).")
    features = found.get("features")
    if not isinstance(features, list) or not features:
        raise DataError(f"{path} has no features.")
    if len(features) > MAX_FEATURES:
        raise DataError(f"{path} has {len(features):,} features; at most {MAX_FEATURES:,} can be read.")
    rows = [_row(path, number, feature) for number, feature in enumerate(features, start=1)]
    points = {name: [row.pop(name) for row in rows] for name in ("lat", "lon")}
    table = pd.DataFrame(rows, index=pd.RangeIndex(1, len(rows) + 1), dtype="str").fillna("")
    if len(table.columns) > MAX_COLUMNS:
        raise DataError(f"{path} has {len(table.columns):,} properties; at most {MAX_COLUMNS:,} can be read.")
    return table.assign(**{name: np.array(values, dtype=np.float64) for name, values in points.items()})


def _row(path: Path, number: int, feature: object) -> dict[str, Any]:
    where = f"{path}, feature {number}"
    if not isinstance(feature, dict) or feature.get("type") != "Feature":
        raise DataError(f"{where}: {short(feature)} is no Feature.")
    properties, geometry = feature.get("properties") or {}, feature.get("geometry")
    if not isinstance(properties, dict):
        raise DataError(f"{where}: the properties {short(properties)} are no object.")
    row: dict[str, Any] = {} if feature.get("id") is None else {"id": cell_text(feature["id"])}
    row |= {cell_text(key): cell_text(value) for key, value in properties.items()}
    if geometry is None:
        return row | {"geometry": "", "lat": np.nan, "lon": np.nan}
    if not isinstance(geometry, dict):
        raise DataError(f"{where}: the geometry {short(geometry)} is no object.")
    lat, lon = _middle(where, geometry)
    return row | {"geometry": json.dumps(geometry), "lat": lat, "lon": lon}


def _middle(where: str, geometry: dict[str, Any]) -> tuple[float, float]:
    kind, coordinates = geometry.get("type"), geometry.get("coordinates")
    if kind == "Point":
        points = _points(where, [coordinates])
        return float(points[0, 1]), float(points[0, 0])
    if kind == "MultiPoint":
        mean = _points(where, coordinates).mean(axis=0)
        return float(mean[1]), float(mean[0])
    if kind == "LineString":
        return _halfway([_points(where, coordinates)])
    if kind == "MultiLineString":
        return _halfway([_points(where, line) for line in _parts(where, coordinates)])
    if kind == "Polygon":
        return _centroid([_points(where, next(_parts(where, coordinates)))])
    if kind == "MultiPolygon":
        return _centroid([_points(where, next(_parts(where, area))) for area in _parts(where, coordinates)])
    raise DataError(f"{where}: a geometry of the type {short(kind)} has no place.", "Give points, lines or polygons.")


def _parts(where: str, coordinates: object) -> Iterator[Any]:
    if not isinstance(coordinates, list) or not coordinates:
        raise DataError(f"{where}: the coordinates {short(coordinates)} are no list of lines or rings.")
    return iter(coordinates)


def _points(where: str, coordinates: object) -> NDArray[np.float64]:
    """`(P, 2)` longitude and latitude."""
    if not isinstance(coordinates, list) or not coordinates:
        raise DataError(f"{where}: the coordinates {short(coordinates)} are no list of points.")
    for point in coordinates:
        is_point = isinstance(point, list) and len(point) >= 2
        if not (is_point and all(type(x) in (int, float) and abs(x) < 1e9 for x in point[:2])):
            raise DataError(f"{where}: {short(point)} is no point.", "Write [longitude, latitude].")
    return np.array([[float(x) for x in point[:2]] for point in coordinates])


def _halfway(lines: list[NDArray[np.float64]]) -> tuple[float, float]:
    """The point half-way along the longest of the lines."""
    lengths = [np.hypot(*(np.diff(line, axis=0) * _scale(line)).T) for line in lines]
    longest = int(np.argmax([length.sum() for length in lengths]))
    line, along = lines[longest], np.concatenate([[0.0], np.cumsum(lengths[longest])])
    lon, lat = (np.interp(along[-1] / 2, along, line[:, axis]) for axis in (0, 1))
    return float(lat), float(lon)


def _scale(line: NDArray[np.float64]) -> NDArray[np.float64]:
    """A degree of longitude is shorter than one of latitude."""
    return np.array([np.cos(np.radians(np.clip(line[:, 1].mean(), -89.9, 89.9))), 1.0])


def _centroid(rings: list[NDArray[np.float64]]) -> tuple[float, float]:
    """The centroid of the largest of the rings; of its corners where it encloses nothing."""
    best, area = rings[0].mean(axis=0), 0.0
    for ring in rings:
        origin = ring[0]
        x, y = (ring - origin).T
        cross = x * np.roll(y, -1) - np.roll(x, -1) * y
        if abs(cross.sum()) / 2 > area:
            area = abs(cross.sum()) / 2
            best = origin + [((c + np.roll(c, -1)) * cross).sum() / (3 * cross.sum()) for c in (x, y)]
    return float(best[1]), float(best[0])
