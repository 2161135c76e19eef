"""Everything that stands beside the readings, in one call."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from mm4st_agent.data.importing.draft import Source, SourceChannel
from mm4st_agent.data.importing.layers import read_layers, read_static
from mm4st_agent.data.importing.options import ImportOptions
from mm4st_agent.errors import DataError, UsageError

UTC = ZoneInfo("UTC")


@pytest.fixture
def source(tmp_path: Path) -> Source:
    readings = np.ones((4, 3), dtype=np.float32)
    return Source(
        path=tmp_path / "readings.csv",
        files=(tmp_path / "readings.csv",),
        stamps=None,
        node_ids=("a", "b", "c"),
        channels=(SourceChannel("flow"),),
        blocks=lambda: iter([{"flow": readings}]),
    )


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_nothing_named_is_nothing_read(source: Source) -> None:
    layers = read_layers(ImportOptions(), source, UTC)

    assert (layers.nodes, layers.edges, layers.trajectories) == (None, None, None)
    assert (layers.events, dict(layers.static), layers.files, layers.findings) == ((), {}, (), ())


def test_all_kinds_of_data_have_their_place(source: Source, tmp_path: Path) -> None:
    points = [
        {"type": "Feature", "properties": {"id": i}, "geometry": {"type": "Point", "coordinates": [13.0 + k / 10, 52]}}
        for k, i in enumerate("abc")
    ]
    options = ImportOptions(
        nodes=write(tmp_path / "n.geojson", json.dumps({"type": "FeatureCollection", "features": points})),
        edges=write(tmp_path / "e.csv", "from,to,distance_km\na,b,7\nb,c,7\n"),
        events=write(tmp_path / "v.jsonl", '{"start": "2024-05-01", "text": "fair", "lat": 52.001, "lon": 13.2}'),
        trajectories=write(tmp_path / "t.csv", "object,time,lat,lon\nx,2024-05-01 08:00,52,13\n"),
        static={"poi": write(tmp_path / "poi.csv", "name,kind,lat,lon\nZoo,park,52.1,13.1\n")},
    )

    layers = read_layers(options, source, UTC)

    assert layers.nodes is not None
    assert layers.nodes["lon"].tolist() == [13.0, 13.1, 13.2]
    assert layers.edges is not None
    assert layers.edges["weight"].tolist() == [1.0, 1.0]
    # The event finds its node by the coordinates that another file gives.
    assert [(e.node, e.distance, e.distance_unit) for e in layers.events] == [("c", 0.111, "km")]
    assert layers.trajectories is not None
    assert layers.trajectories["object"].tolist() == ["x"]
    assert layers.static["poi"]["name"].tolist() == ["Zoo"]
    assert [path.name for path in layers.files] == ["n.geojson", "e.csv", "v.jsonl", "t.csv", "poi.csv"]
    assert {"places", "edges", "events", "tracks", "static layer 'poi'"} <= {f.what for f in layers.findings}


def test_places_in_the_file_of_the_readings_are_enough_for_events(source: Source, tmp_path: Path) -> None:
    nodes = pd.DataFrame({"lat": ["52", "53", "54"], "lon": ["13", "13", "13"]}, index=["a", "b", "c"])
    path = write(tmp_path / "v.csv", "time,text,lat,lon\n2024-05-01,x,53.001,13\n")

    layers = read_layers(ImportOptions(events=path), dataclasses.replace(source, nodes=nodes), UTC)

    assert layers.events[0].node == "b"


def test_readings_are_looked_at_only_to_settle_a_tie(source: Source, tmp_path: Path) -> None:
    share = np.array([[0, 100, 0], [0, 100, 0]])
    passes = []

    def blocks():
        passes.append(1)
        return iter([{"flow": np.ones((2, 3)), "observed": share}])

    source = dataclasses.replace(source, observed="observed", blocks=blocks)
    nodes = write(tmp_path / "n.csv", "id,freeway,postmile\na,I5-N,10\nb,I5-N,10\nc,I5-N,20\n")
    apart = write(tmp_path / "apart.csv", "time,text,freeway,abs_pm\n2024-05-01,x,I5-N,19.5\n")
    tied = write(tmp_path / "tied.csv", "time,text,freeway,abs_pm\n2024-05-01,x,I5-N,10.5\n")

    assert read_layers(ImportOptions(nodes=nodes, events=apart), source, UTC).events[0].node == "c"
    assert passes == []
    assert read_layers(ImportOptions(nodes=nodes, events=tied), source, UTC).events[0].node == "b"


def test_a_static_layer_stays_as_it_is(tmp_path: Path) -> None:
    path = write(tmp_path / "land.csv", "code,zone,area,seats,lat,lng\n007,park,1.5,3,52,13\n012,port,,4,52.5,13.5\n")

    layer, _ = read_static(path, "land use")

    assert layer["code"].tolist() == ["007", "012"]
    assert layer["seats"].dtype == np.int64
    np.testing.assert_array_equal(layer["area"], [1.5, np.nan])
    assert layer[["lat", "lon"]].to_numpy().tolist() == [[52, 13], [52.5, 13.5]]
    layer.to_parquet(tmp_path / "land.parquet")


def test_a_road_network_keeps_its_geometry(tmp_path: Path) -> None:
    line = {"type": "LineString", "coordinates": [[13, 52], [13, 54]]}
    feature = {"type": "Feature", "properties": {"lanes": 2, "name": "Ring"}, "geometry": line}
    path = write(tmp_path / "r.geojson", json.dumps({"type": "FeatureCollection", "features": [feature]}))

    layer, _ = read_static(path, "roads")

    assert json.loads(layer.loc[0, "geometry"]) == line
    assert layer.loc[0, ["lanes", "name", "lat", "lon"]].tolist() == [2, "Ring", 53.0, 13.0]


@pytest.mark.parametrize("name", ["../roads", "", "a/b", ".hidden", "x" * 80, "a\nb"])
def test_a_layer_cannot_be_called_like_a_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be called"):
        read_static(write(tmp_path / "a.csv", "a,b\n1,2\n"), name)


def test_a_bad_place_in_a_layer_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="row 3: lat 91"):
        read_static(write(tmp_path / "a.csv", "name,lat,lon\nx,1,2\ny,91,2\n"), "poi")


@pytest.mark.parametrize("role", ["nodes", "edges", "events", "trajectories"])
@pytest.mark.parametrize(
    "content", [b"", b"\x00\x01\x02", b"a,b\n1", b"\xff\xfea,b", b'"', b"x" * 3_000_000, b"{}", b"lat,lon\n1,2\n"]
)
@pytest.mark.parametrize(
    "suffix", [".csv", ".jsonl", ".xlsx", ".parquet", ".csv.gz", ".geojson", ".npz", ".pkl", ".exe"]
)
def test_no_file_leads_to_anything_but_a_clear_error(
    source: Source, tmp_path: Path, role: str, content: bytes, suffix: str
) -> None:
    path = tmp_path / f"file{suffix}"
    path.write_bytes(content)

    with pytest.raises(DataError, match="file"):
        read_layers(ImportOptions(**{role: path}), source, UTC)


@pytest.mark.parametrize("role", ["nodes", "edges", "events", "trajectories"])
def test_a_missing_file_is_named(source: Source, tmp_path: Path, role: str) -> None:
    with pytest.raises(DataError, match=r"There is no file .*absent\.csv"):
        read_layers(ImportOptions(**{role: tmp_path / "absent.csv"}), source, UTC)
