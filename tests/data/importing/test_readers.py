"""`read_source`: what a path is, and what the files of a folder are for."""

from __future__ import annotations

import gc
import json
import pickle
import shutil
import tarfile
import zipfile
from datetime import datetime
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mm4st_agent.data.importing.draft import Source
from mm4st_agent.data.importing.options import ImportOptions
from mm4st_agent.data.importing.readers import read_source
from mm4st_agent.data.importing.roles import role_of
from mm4st_agent.errors import DataError

DATED = ImportOptions(start=datetime(2018, 1, 1), step_s=300)
TIMES = pd.date_range("2020-01-01", periods=30, freq="h")


def values(source: Source) -> np.ndarray:
    name = source.channels[0].name
    return np.concatenate([block[name] for block in source.blocks()])


def said(source: Source) -> dict[str, str]:
    return {finding.value: finding.what for finding in source.findings}


def wide(folder: Path, name: str, columns: list[str], rows: int = 30) -> Path:
    rng = np.random.default_rng(len(name))
    table = pd.DataFrame(rng.normal(50, 9, (rows, len(columns))).round(2), columns=columns)
    table.insert(0, "time", TIMES[:rows])
    table.to_csv(folder / name, index=False)
    return folder / name


@pytest.fixture
def city(tmp_path: Path) -> Path:
    """A folder with one of everything, under names that say nothing."""
    folder = tmp_path / "city"
    folder.mkdir()
    wide(folder, "one.csv", ["n1", "n2", "n3"])
    (folder / "two.csv").write_text("sensor_id,latitude,longitude\nn1,1,2\nn2,1.5,2\nn3,1.7,2\n")
    (folder / "three.csv").write_text("from,to,cost\nn1,n2,0.4\nn2,n3,1\n")
    (folder / "four.csv").write_text("start_time,description,node\n2020-01-01T03:00,Crash on the bridge,n1\n")
    (folder / "five.csv").write_text(
        "taxi_id,timestamp,lat,lon\na,2020-01-01T00:00:00,1,2\na,2020-01-01T00:01:00,1,2.1\n"
    )
    (folder / "six.csv").write_text("date,rain\n2020-01-01,0\n2020-01-02,3.5\n")
    shape = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [[[2, 1], [2, 2], [3, 2], [2, 1]]]}}
    (folder / "seven.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [shape]}))
    (folder / "README.txt").write_text("Made for a test.\nNothing else.\n")
    (folder / "adj.pkl").write_bytes(pickle.dumps([1]))
    return folder


def test_the_files_of_a_folder_are_told_apart_by_what_they_hold(city: Path) -> None:
    source, options = read_source(city, ImportOptions())

    assert source.node_ids == ("n1", "n2", "n3")
    assert source.path == city
    assert {city / "one.csv", city / "six.csv"} <= set(source.files)
    found = (options.nodes, options.edges, options.events, options.trajectories)
    assert found == tuple(city / f"{name}.csv" for name in ("two", "three", "four", "five"))
    assert options.static == {"seven": city / "seven.geojson"}
    np.testing.assert_array_equal(source.covariates["rain"], [0.0] * 24 + [3.5] * 6)
    assert said(source)["one.csv"] == "readings"
    assert said(source)["README.txt"] == said(source)["adj.pkl"] == "left out"


def test_what_is_stated_is_never_overruled(city: Path) -> None:
    other = city / "other.csv"
    other.write_text("from,to,cost\nn3,n1,2\n")

    source, options = read_source(city, ImportOptions(edges=other))

    assert options.edges == other
    assert said(source)["three.csv"] == "left out"


def test_a_matrix_is_the_edges_where_it_fits_the_nodes(tmp_path: Path) -> None:
    np.savez(tmp_path / "speed.npz", data=np.ones((40, 5, 1)))
    np.savetxt(tmp_path / "a.csv", np.eye(7), delimiter=",", fmt="%.1f")
    np.savetxt(tmp_path / "b.csv", np.eye(5), delimiter=",", fmt="%.1f")

    source, options = read_source(tmp_path, DATED)

    assert options.edges == tmp_path / "b.csv"
    assert "not of the 5 nodes" in next(f.why for f in source.findings if f.value == "a.csv")
    (tmp_path / "b.csv").unlink()
    np.save(tmp_path / "adj.npy", np.eye(5))
    assert read_source(tmp_path, DATED)[1].edges == tmp_path / "adj.npy"


def test_numbered_nodes_get_the_ids_of_a_sensor_table_of_their_length(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", data=np.ones((40, 3)))
    (tmp_path / "s.csv").write_text("no,station_id,lat,lon\n0,803,1,2\n1,801,1,3\n2,805,1,4\n")

    source, _ = read_source(tmp_path, DATED)

    assert source.node_ids == ("803", "801", "805")
    assert next(f.status for f in source.findings if f.what == "node ids") == "assumed"
    (tmp_path / "s.csv").write_text("no,station_id,lat,lon\n0,803,1,2\n1,801,1,3\n")
    assert read_source(tmp_path, DATED)[0].node_ids == ("0", "1", "2")


def test_a_sensor_table_that_says_which_node_comes_where_is_heeded(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", data=np.ones((40, 3)))
    (tmp_path / "s.csv").write_text("index,station_id,lat,lon\n2,803,1,2\n0,801,1,3\n1,805,1,4\n")

    assert read_source(tmp_path, DATED)[0].node_ids == ("801", "805", "803")


def test_several_files_that_could_be_the_readings_are_ambiguous(tmp_path: Path) -> None:
    flow = wide(tmp_path, "flow.csv", ["S1", "S2", "S3"])
    wide(tmp_path, "speed.csv", ["S1", "S2", "S3"])

    with pytest.raises(DataError, match=r"flow\.csv, speed\.csv") as caught:
        read_source(tmp_path, ImportOptions())
    assert "--member" in caught.value.hint
    source, options = read_source(tmp_path, ImportOptions(member="flow"))
    np.testing.assert_array_equal(values(source), pd.read_csv(flow).iloc[:, 1:])
    assert options.member is None


def test_one_table_a_place(tmp_path: Path) -> None:
    for name in ("north", "south"):
        wide(tmp_path, f"air_{name}.csv", ["PM2.5", "NO2"])

    source, _ = read_source(tmp_path, ImportOptions())

    assert source.node_ids == ("north", "south")
    assert [c.name for c in source.channels] == ["PM2.5", "NO2"]


def test_labelled_spans_by_file_are_events_that_are_known_at_their_end(tmp_path: Path) -> None:
    for name in ("cpu_a", "cpu_b"):
        wide(tmp_path, f"{name}.csv", ["value"])
    spans = {"x/cpu_a.csv": [["2020-01-01 03:00:00", "2020-01-01 05:00:00"]], "x/cpu_b.csv": [], "x/other.csv": []}
    (tmp_path / "labels.json").write_text(json.dumps(spans))

    source, options = read_source(tmp_path, ImportOptions())

    assert source.node_ids == ("a", "b")
    assert options.events is not None
    [event] = [json.loads(line) for line in options.events.read_text().splitlines()]
    assert (event["node"], event["start"], event["end"]) == ("a", "2020-01-01 03:00:00", "2020-01-01 05:00:00")
    assert event["published_at"] == event["end"]
    assert tmp_path / "labels.json" in source.files


def test_tracks_alone_become_flows_and_speeds_at_the_places_beside_them(tmp_path: Path) -> None:
    stamps = pd.date_range("2020-01-01", periods=20, freq="1min")
    track = pd.DataFrame({"taxi_id": "a", "time": stamps, "lat": 41.5, "lon": np.linspace(-12.0, -11.9, 20)})
    track.to_csv(tmp_path / "tracks.csv", index=False)

    alone, options = read_source(tmp_path / "tracks.csv", ImportOptions())
    assert [c.name for c in alone.channels] == ["flow", "speed"]
    assert options.trajectories == tmp_path / "tracks.csv"

    (tmp_path / "places.csv").write_text("id,lat,lon\nwest,41.5,-12.0\neast,41.5,-11.9\n")
    beside, options = read_source(tmp_path, ImportOptions())
    assert beside.node_ids == ("west", "east")
    assert (options.nodes, options.trajectories) == (tmp_path / "places.csv", tmp_path / "tracks.csv")


# -- single files -------------------------------------------------------------------------


def test_formats_are_told_by_their_content(tmp_path: Path) -> None:
    data = np.random.default_rng(0).normal(size=(30, 3))
    np.savez(tmp_path / "a.npz", data=data)
    np.save(tmp_path / "b.npy", data)
    pd.DataFrame(data, TIMES, ["x", "y", "z"]).to_hdf(tmp_path / "c.h5", key="df")
    with h5py.File(tmp_path / "d.hdf5", "w") as file:
        file["data"] = data
    cube = xr.Dataset({"v": (("time", "station"), data)}, coords={"time": TIMES})
    cube.to_netcdf(tmp_path / "e.nc", engine="h5netcdf")
    cube.to_netcdf(tmp_path / "f.h5", engine="h5netcdf")
    cube.to_netcdf(tmp_path / "g.cdf", engine="scipy")
    cube.to_zarr(tmp_path / "h.zarr", consolidated=False)
    table = pd.DataFrame(data, columns=["x", "y", "z"]).assign(time=TIMES)
    table[["time", "x", "y", "z"]].to_csv(tmp_path / "i.csv", index=False)
    table[["time", "x", "y", "z"]].to_parquet(tmp_path / "j.parquet")
    shutil.copy(tmp_path / "a.npz", tmp_path / "k.dat")

    for name in ("a.npz", "b.npy", "c.h5", "d.hdf5", "e.nc", "f.h5", "g.cdf", "h.zarr", "i.csv", "j.parquet", "k.dat"):
        source, _ = read_source(tmp_path / name, DATED)
        np.testing.assert_allclose(values(source), data, err_msg=name)


def test_what_is_no_source(tmp_path: Path) -> None:
    (tmp_path / "adj.pkl").write_bytes(pickle.dumps({"a": 1}))
    (tmp_path / "renamed.csv").write_bytes(pickle.dumps({"a": 1}))
    (tmp_path / "a.geojson").write_text("{}")
    (tmp_path / "empty").mkdir()
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "README.md").write_text("Nothing here.")

    for name, words in [
        ("nowhere.csv", "no file or folder"),
        ("adj.pkl", "never opened"),
        ("renamed.csv", "never opened"),
        ("a.geojson", "holds no readings"),
        ("empty", "holds no file"),
        ("words", "no file of readings"),
    ]:
        with pytest.raises(DataError, match=words):
            read_source(tmp_path / name, ImportOptions())


# -- archives and links -------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_an_archive_is_read_as_its_folder(city: Path, kind: str) -> None:
    path = city.parent / f"city.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for file in city.iterdir():
                archive.write(file, f"inside/{file.name}")
    else:
        with tarfile.open(path, "w:gz") as tar:
            tar.add(city, "inside")

    source, options = read_source(path, ImportOptions())

    assert source.files == (path,)
    assert options.nodes is not None
    folder = options.nodes.parent
    assert options.nodes.read_text() == (city / "two.csv").read_text()
    np.testing.assert_array_equal(values(source), values(read_source(city, ImportOptions())[0]))
    del source
    gc.collect()
    assert not folder.exists()


def test_a_link_out_of_the_folder_is_refused(city: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("time,x\n2020-01-01,1\n")
    (city / "link.csv").symlink_to(tmp_path / "secret.csv")

    with pytest.raises(DataError, match=r"link\.csv is a link that leads out"):
        read_source(city, ImportOptions())


def test_a_link_to_a_folder_outside_is_refused(city: Path, tmp_path: Path) -> None:
    (tmp_path / "private").mkdir()
    (city / "more").symlink_to(tmp_path / "private")

    with pytest.raises(DataError, match="more is a link that leads out"):
        read_source(city, ImportOptions())


# -- roles --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "role"),
    [
        ("time,a,b\n2020-01-01,1,2\n2020-01-02,1,2\n", "readings"),
        ("time,a,b,c\n1577836800,1,2,3\n1577836860,1,2,3\n1577836920,1,2,3\n1577836980,1,2,3\n", "readings"),
        ("time,station,lat,lon,pm25\n2020-01-01,a,1,2,9\n2020-01-01,b,1,3,8\n", "readings"),
        ("vehicle_id,time,lat,lon,speed\nv1,2020-01-01T00:00,1,2,30\n", "trajectories"),
        ("id,time,lat,lon,speed\ns1,2020-01-01,1,2,30\ns2,2020-01-01,1,3,8\ns1,2020-01-02,1,2,3\n", "readings"),
        ("1,0,0.5\n0,1,0.2\n0.5,0.2,1\n", "matrix"),
        (",a,b,c\na,0,1,1\nb,1,0,1\nc,1,1,0\n", "matrix"),
        ("source,target,weight\na,b,1\n", "edges"),
        ("id,name,lat,lon\na,Alder,1,2\n", "nodes"),
        ("ID,Fwy,Abs PM\n1,I5-N,3.4\n2,I5-N,4.4\n", "nodes"),
        ("Start Time,DESCRIPTION\n01-01-22 01:37,Crash\n", "events"),
        ("773869,767541,767542\n60.5,61,62\n60.5,61,62\n60,61,62\n60,61,62\n", "readings"),
        ("just some words\nand more of them\n", "other"),
    ],
)
def test_roles_of_tables(tmp_path: Path, text: str, role: str) -> None:
    (tmp_path / "a.csv").write_text(text)

    assert role_of(tmp_path / "a.csv") == role


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("pems_orange", ImportOptions()),
        ("los_loop", ImportOptions(start=datetime(2012, 3, 1), step_s=300)),
        ("sz_taxi", ImportOptions(start=datetime(2015, 1, 1), step_s=900)),
        ("beijing_air", ImportOptions()),
        ("noaa_rain", ImportOptions()),
        ("nab_cloud", ImportOptions()),
        ("azure_llm_trace", ImportOptions()),
    ],
)
def test_real_folders_with_few_options(real_data: Path, name: str, options: ImportOptions) -> None:
    source, found = read_source(real_data / name, options)

    expected = {
        "pems_orange": (81, 8064, {"nodes", "edges", "events"}),
        "los_loop": (207, 2016, {"nodes", "edges"}),
        "sz_taxi": (156, 2976, {"edges"}),
        "beijing_air": (12, 35064, {"nodes"}),
        "noaa_rain": (328, 1461, {"nodes"}),
        "nab_cloud": (17, 20800, {"events"}),
        "azure_llm_trace": (2, 60, set()),
    }[name]
    filled = {option for option in ("nodes", "edges", "events", "trajectories") if getattr(found, option) is not None}
    assert (len(source.node_ids), len(values(source)), filled) == expected
