"""Sensor tables and GeoJSON, aligned to the nodes."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import openpyxl
import pytest

from mm4st_agent.data.importing.geojson import read_geojson
from mm4st_agent.data.importing.places import NearestNodes, haversine_km, read_place_list, read_places
from mm4st_agent.errors import DataError


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def collection(path: Path, *geometries: object, **properties: list[object]) -> Path:
    features = [
        {"type": "Feature", "geometry": g, "properties": {name: values[i] for name, values in properties.items()}}
        for i, g in enumerate(geometries)
    ]
    return write(path, json.dumps({"type": "FeatureCollection", "features": features}))


def test_rows_are_matched_by_id_in_any_order_and_nodes_without_a_row_stay_unknown(tmp_path: Path) -> None:
    path = write(tmp_path / "s.csv", "sensor_id,Latitude,LONGITUDE\n30,34.3,-118.3\n10,34.1,-118.1\n99,34.9,-118.9\n")

    places, findings = read_places(path, ["10", "20", "30"])

    assert list(places.index) == ["10", "20", "30"]
    np.testing.assert_array_equal(places["lat"], [34.1, np.nan, 34.3])
    np.testing.assert_array_equal(places["lon"], [-118.1, np.nan, -118.3])
    said = {finding.what: f"{finding.value} {finding.why}" for finding in findings}
    assert "'sensor_id'" in said["places"]
    assert "99" in said["places left out"]
    assert "lacks 20" in said["places unknown"]


def test_a_position_column_is_used_where_no_column_has_the_ids(tmp_path: Path) -> None:
    path = write(tmp_path / "s.csv", "index,lat,lon,name\n1,41,2,B\n0,40,1,A\n")

    places, findings = read_places(path, ["north", "south"])

    assert list(places["name"]) == ["A", "B"]
    assert findings[0].status == "assumed"


def test_columns_get_their_plain_names(tmp_path: Path) -> None:
    path = write(
        tmp_path / "s.csv",
        "node,ID,Fwy,CA PM,Abs PM,City,Name,Lanes,Type,HOV\n0,x1,I5-N,34.2,106.5,Orange,LA VETA,4,Mainline,No\n"
        "1,x2,I5-S,34.3,106.6,Orange,,3,Mainline,No\n",
    )

    places, findings = read_places(path, ["x1", "x2"])

    assert places.loc["x1"].to_dict() == {
        "name": "LA VETA",
        "kind": "Mainline",
        "freeway": "I5-N",
        "postmile": 106.5,
        "lanes": 4,
        "city": "Orange",
    }
    assert places["lanes"].dtype == np.int64
    assert places.loc["x2", "name"] == ""
    assert "CA PM, HOV" in {finding.value for finding in findings}


@pytest.mark.parametrize(
    ("separator", "decimal", "suffix"), [(";", ",", ".csv"), ("\t", ".", ".tsv"), (",", ".", ".csv.gz")]
)
def test_separators_decimal_commas_and_gzip(tmp_path: Path, separator: str, decimal: str, suffix: str) -> None:
    rows = [["id", "lat", "lon"], ["a", "52.5", "13.25"], ["b", "52.75", "13.5"]]
    text = "\n".join(separator.join(row) for row in rows)
    text = text.replace(".", decimal) if decimal == "," else text
    path = tmp_path / f"s{suffix}"
    path.write_bytes(gzip.compress(text.encode()) if suffix.endswith("gz") else text.encode("utf-8-sig"))

    places, _ = read_places(path, ["a", "b"])

    assert places[["lat", "lon"]].to_numpy().tolist() == [[52.5, 13.25], [52.75, 13.5]]


def test_a_workbook(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for row in (["Station", "lat", "lon"], [101, 40.5, 116.25], [102, 40.75, 116.5]):
        book.active.append(row)
    book.save(tmp_path / "s.xlsx")

    places, _ = read_places(tmp_path / "s.xlsx", ["101", "102"])

    assert places["lon"].tolist() == [116.25, 116.5]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a,134.1,118.3", "row 3: lat 134.1 and lon 118.3 lie outside"),
        ("a,-118.3,34.1", "row 3: lat -118.3 and lon 34.1 look swapped"),
        ("a,432000.5,4510000", "row 3: lat 432000 and lon 4.51e.06 are no degrees.* projected"),
        ("a,34.1,", "row 3: lat 34.1 and lon nan are only half a place"),
        ("a,north,118", "row 3, column 'lat': 'north' is not a number"),
        ("b,34.2,118", "rows 2 and 3: two different rows are for 'b'"),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, row: str, message: str) -> None:
    path = write(tmp_path / "s.csv", f"id,lat,lon\nb,34.1,118.3\n{row}\n")

    with pytest.raises(DataError, match=message) as caught:
        read_places(path, ["a", "b"])

    assert caught.value.hint


def test_zero_zero_is_no_place_and_is_said(tmp_path: Path) -> None:
    path = write(tmp_path / "s.csv", "id,lat,lon\na,0,0\nb,1.5,2.5\n")

    places, findings = read_places(path, ["a", "b"])

    assert np.isnan(places.loc["a", "lat"])
    assert any(f.status == "mended" and "rows 2 " in f.why for f in findings)


def test_a_table_of_other_sensors_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "s.csv", "id,lat,lon\nx,1,2\ny,3,4\n")

    with pytest.raises(DataError, match=r"no column has the node ids \(a, b\)"):
        read_places(path, ["a", "b"])


@pytest.mark.parametrize(
    ("geometry", "lat", "lon"),
    [
        ({"type": "Point", "coordinates": [13.4, 52.5, 30.0]}, 52.5, 13.4),
        ({"type": "LineString", "coordinates": [[10, 0], [10, 1], [10, 4]]}, 2.0, 10.0),
        ({"type": "MultiLineString", "coordinates": [[[0, 0], [0, 1]], [[5, 0], [5, 3]]]}, 1.5, 5.0),
        ({"type": "Polygon", "coordinates": [[[0, 0], [4, 0], [4, 2], [0, 2], [0, 0]]]}, 1.0, 2.0),
        ({"type": "MultiPoint", "coordinates": [[0, 0], [2, 4]]}, 2.0, 1.0),
    ],
)
def test_geojson_geometries_have_a_middle(tmp_path: Path, geometry: object, lat: float, lon: float) -> None:
    path = collection(tmp_path / "s.geojson", geometry, id=["a"], name=["A"], lanes=[3])

    places, _ = read_places(path, ["a"])

    assert places.loc["a", ["name", "lanes", "lat", "lon"]].tolist() == ["A", 3, pytest.approx(lat), pytest.approx(lon)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"type": "Feature"}', "no GeoJSON FeatureCollection but 'Feature'"),
        ("[1]", "no GeoJSON FeatureCollection but 'list'"),
        ("[" * 100_000, "nested too deeply"),
        ('{"type": "FeatureCollection", "features": []}', "no features"),
        ('{"type": "FeatureCollection", "features": [3]}', "feature 1: 3 is no Feature"),
        (
            '{"type":"FeatureCollection","features":[{"type":"Feature","properties":{},"geometry":'
            '{"type":"Point","coordinates":[1e400, 2]}}]}',
            "feature 1: .* is no point",
        ),
        (
            '{"type":"FeatureCollection","features":[{"type":"Feature","properties":{},"geometry":'
            '{"type":"Circle","coordinates":[1, 2]}}]}',
            "feature 1: a geometry of the type 'Circle'",
        ),
        (
            '{"type":"FeatureCollection","crs":{"properties":{"name":"urn:ogc:def:crs:EPSG::31466"}},"features":[]}',
            "coordinate system",
        ),
        ('{"a": NaN}', "NaN is not JSON"),
    ],
)
def test_hostile_geojson_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_geojson(write(tmp_path / "s.geojson", text))


def test_text_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    (tmp_path / "s.geojson").write_bytes(b'{\n"type": "\xff"}')

    with pytest.raises(DataError, match="line 2: 0xff is not UTF-8"):
        read_geojson(tmp_path / "s.geojson")


def test_a_place_list_has_its_own_ids(tmp_path: Path) -> None:
    places, _ = read_place_list(write(tmp_path / "p.csv", "station,lat,lon\nS1,1,2\nS2,3,4\n"))

    assert list(places.index) == ["S1", "S2"]
    with pytest.raises(DataError, match="no coordinates"):
        read_place_list(write(tmp_path / "q.csv", "station,name\nS1,A\n"))
    with pytest.raises(DataError, match="'S1' names two places"):
        read_place_list(write(tmp_path / "r.csv", "station,lat,lon\nS1,1,2\nS1,3,4\n"))


def test_great_circle_distance() -> None:
    berlin_to_paris = haversine_km(np.array([52.5200]), np.array([13.4050]), np.array([48.8566]), np.array([2.3522]))

    assert berlin_to_paris[0] == pytest.approx(877.5, abs=0.5)


def test_nearest_nodes_equal_a_search_of_all_and_cross_the_date_line() -> None:
    rng = np.random.default_rng(1)
    lat, lon = rng.uniform(-80, 80, 60), rng.uniform(-180, 180, 60)
    lat[7] = lon[7] = np.nan
    at_lat, at_lon = rng.uniform(-80, 80, 200), rng.uniform(-180, 180, 200)

    found, km = NearestNodes(lat, lon, max_km=1500).locate(at_lat, at_lon)

    every = haversine_km(at_lat[:, None], at_lon[:, None], lat, lon)
    shortest = np.nanmin(every, axis=1)
    np.testing.assert_array_equal(found, np.where(shortest <= 1500, np.nanargmin(every, axis=1), -1))
    np.testing.assert_allclose(km[found >= 0], shortest[found >= 0])
    assert 0 < (found < 0).sum() < 200
    across, _ = NearestNodes(np.array([0.0, 0.0]), np.array([179.9, -170.0]), 50).locate(
        np.array([0.0]), np.array([-179.9])
    )
    assert across.tolist() == [0]


def test_of_nodes_at_one_place_the_better_observed_one_is_nearest() -> None:
    nodes = NearestNodes(np.array([1.0, 1.0, 1.0]), np.array([2.0, 2.0, 2.0]), 5)
    point = np.array([1.01]), np.array([2.0])

    assert nodes.locate(*point, lambda: np.array([0.1, 0.9, 0.9]))[0].tolist() == [1]
    assert nodes.locate(*point, lambda: np.ones(3))[0].tolist() == [0]


def test_beijing_stations(real_data: Path) -> None:
    places, _ = read_places(real_data / "beijing_air" / "station_coords.csv", ["Wanliu", "Changping"])

    assert places.loc["Changping", ["lat", "lon"]].tolist() == [40.1952, 116.23]
