"""Every format goes the public way: looked at, stored, opened again, with the readings, times and nodes of the file."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import sparse

from mm4st_agent.data.importing.inspect import inspect
from mm4st_agent.data.importing.options import ImportOptions
from mm4st_agent.data.panel import Panel
from mm4st_agent.data.registry import Registry

STEPS = pd.date_range("2022-03-01", periods=48, freq="30min")
IDS = ["n1", "n2", "n3"]
DATED = ImportOptions(start=datetime(2022, 3, 1), step_s=1800)


def readings() -> np.ndarray:
    """`(48, 3)` with two decimals, one of them missing."""
    values = np.random.default_rng(0).normal(50, 9, (48, 3)).round(2)
    values[5, 1] = np.nan
    return values


def frame() -> pd.DataFrame:
    return pd.DataFrame(readings(), STEPS.rename("time"), IDS)


def long() -> pd.DataFrame:
    return frame().reset_index().melt("time", var_name="station", value_name="speed")


def cube() -> xr.Dataset:
    data = xr.Dataset({"speed": (("time", "station"), readings(), {"units": "km/h"})}, {"time": STEPS, "station": IDS})
    return data.assign_coords(lat=("station", [1.0, 2.0, 3.0]), lon=("station", [5.0, 6.0, 7.0]))


def imported(path: Path, options: ImportOptions | None = None) -> Panel:
    folder = Path(os.environ["MM4ST_HOME"]) / "data"
    Registry(None, folder, {}).add_draft(inspect(path, "city", options))
    return Registry(None, folder, {}).open("city")


def _stations(folder: Path) -> None:
    """A gzipped file a station, its stamps in four columns, as the Beijing set."""
    folder.mkdir()
    for i, name in enumerate(IDS):
        hours = pd.DatetimeIndex(pd.date_range("2022-03-01", periods=48, freq="h"))
        table = pd.DataFrame({"year": hours.year, "month": hours.month, "day": hours.day, "hour": hours.hour})
        table["PM2.5"], table["TEMP"], table["station"] = readings()[:, i], np.arange(48.0), name
        table.to_csv(folder / f"PRSA_{name}_2022.csv.gz", index=False)


def _basicts(folder: Path) -> None:
    folder.mkdir()
    day = np.broadcast_to((np.arange(48) % 48 / 48)[:, None], (48, 3))
    np.stack([readings(), day], axis=-1).astype("<f4").tofile(folder / "data.dat")
    about = {"shape": [48, 3, 2], "frequency (minutes)": 30, "feature_description": ["speed", "time of day"]}
    (folder / "desc.json").write_text(json.dumps(about))


def _astgcn(folder: Path) -> None:
    """Three features, and the roads as distances between positions."""
    folder.mkdir()
    np.savez(folder / "pems.npz", data=np.stack([readings(), 2 * readings(), readings() / 100], axis=-1))
    (folder / "distance.csv").write_text("from,to,cost\n0,1,310.6\n1,2,330.9\n")


def _zarr(path: Path, version: int) -> None:
    with warnings.catch_warnings():  # Zarr has not settled yet how version 3 writes text.
        warnings.simplefilter("ignore")
        cube().to_zarr(path, consolidated=False, zarr_format=version)


WIDE: dict[str, Callable[[Path], object]] = {
    "a.csv": lambda path: frame().to_csv(path),
    "a.tsv": lambda path: frame().to_csv(path, sep="\t"),
    "a.csv.gz": lambda path: frame().to_csv(path),
    "semicolons.csv": lambda path: frame().to_csv(path, sep=";", decimal=","),
    "a.parquet": lambda path: frame().to_parquet(path),
    "a.xlsx": lambda path: frame().to_excel(path),
    "long.csv": lambda path: long().to_csv(path, index=False),
    "long.tsv": lambda path: long().to_csv(path, index=False, sep="\t"),
    "long.parquet": lambda path: long().to_parquet(path, index=False),
    "long.xlsx": lambda path: long().to_excel(path, index=False),
    "metr-la.h5": lambda path: frame().to_hdf(path, key="df"),
    "table.h5": lambda path: frame().to_hdf(path, key="df", format="table"),
    "a.npz": lambda path: np.savez(path, speed=readings(), timestamps=STEPS.to_numpy(), node_id=np.array(IDS)),
    "a.nc": lambda path: cube().to_netcdf(path, engine="h5netcdf"),
    "classic.nc": lambda path: cube().to_netcdf(path, engine="scipy"),
    "a.zarr": lambda path: _zarr(path, 3),
    "old.zarr": lambda path: _zarr(path, 2),
}


@pytest.mark.parametrize("name", WIDE)
def test_stamped_readings_return(tmp_path: Path, name: str) -> None:
    WIDE[name](tmp_path / name)

    panel = imported(tmp_path / name, ImportOptions(time_zone="Asia/Tokyo"))

    assert panel.node_ids == IDS
    assert (panel.times == STEPS.tz_localize("Asia/Tokyo")).all()
    np.testing.assert_array_equal(panel.values(), readings().astype(np.float32))


@pytest.mark.parametrize(
    ("name", "make", "channels"),
    [("pems", _astgcn, ["channel-1", "channel-2", "channel-3"]), ("basicts", _basicts, ["speed"])],
)
def test_unstamped_folders_return(tmp_path: Path, name: str, make: Callable[[Path], None], channels: list[str]) -> None:
    make(tmp_path / name)

    panel = imported(tmp_path / name, DATED)

    assert [channel.name for channel in panel.card.channels] == channels
    assert (panel.times == STEPS.tz_localize("UTC")).all()
    for scale, channel in zip((1, 2, 0.01), channels, strict=False):
        np.testing.assert_allclose(panel.values(channel), readings() * scale, rtol=1e-6)
    if name == "pems":
        assert panel.edges[["source", "target", "distance"]].to_numpy().tolist() == [
            ["0", "1", 310.6],
            ["1", "2", 330.9],
        ]


def test_a_folder_of_station_files_returns(tmp_path: Path) -> None:
    _stations(tmp_path / "air")

    panel = imported(tmp_path / "air", ImportOptions(time_zone="Asia/Shanghai"))

    assert panel.node_ids == IDS
    assert panel.times[0] == pd.Timestamp("2022-03-01T00:00+08:00")
    assert panel.channel().unit == "µg/m³"
    np.testing.assert_array_equal(panel.values("PM2.5"), readings().astype(np.float32))
    assert list(panel.covariates) == ["TEMP"]
    np.testing.assert_array_equal(panel.covariates["TEMP"].to_numpy().reshape(48, -1)[:, 0], np.arange(48))


@pytest.mark.parametrize("suffix", [".csv", ".geojson", ".xlsx"])
def test_places_of_sensors_in_every_format(tmp_path: Path, suffix: str) -> None:
    frame().to_csv(tmp_path / "a.csv")
    table = pd.DataFrame({"id": IDS[::-1], "name": ["C", "B", "A"], "lat": [3.5, 2.5, 1.5], "lon": [13.0, 12.0, 11.0]})
    path = tmp_path / f"places{suffix}"
    if suffix == ".csv":
        table.to_csv(path, index=False)
    elif suffix == ".xlsx":
        table.to_excel(path, index=False)
    else:
        features = [
            {
                "type": "Feature",
                "properties": {"id": row.id, "name": row.name},
                "geometry": {"type": "Point", "coordinates": [row.lon, row.lat]},
            }
            for row in table.itertuples(index=False)
        ]
        path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))

    panel = imported(tmp_path / "a.csv", ImportOptions(nodes=path))

    assert panel.nodes[["name", "lat", "lon"]].to_numpy().tolist() == [
        ["A", 1.5, 11.0],
        ["B", 2.5, 12.0],
        ["C", 3.5, 13.0],
    ]


WEIGHTS = np.array([[0, 0.5, 0], [0.25, 0, 1], [0, 0, 0]])
EDGES: dict[str, Callable[[Path], object]] = {
    "list.csv": lambda path: path.write_text("source,target,weight\nn1,n2,0.5\nn2,n1,0.25\nn2,n3,1\n"),
    "positions.csv": lambda path: path.write_text("from,to,weight\n0,1,0.5\n1,0,0.25\n1,2,1\n"),
    "bare.csv": lambda path: np.savetxt(path, WEIGHTS, delimiter=","),
    "labelled.csv": lambda path: pd.DataFrame(WEIGHTS, IDS, IDS).to_csv(path),
    "a.npy": lambda path: np.save(path, WEIGHTS),
    "a.npz": lambda path: np.savez(path, adj=WEIGHTS),
    "sparse.npz": lambda path: sparse.save_npz(path, sparse.csr_matrix(WEIGHTS)),
}


@pytest.mark.parametrize("name", EDGES)
def test_links_in_every_format(tmp_path: Path, name: str) -> None:
    frame().to_csv(tmp_path / "a.csv")
    EDGES[name](tmp_path / name)

    panel = imported(tmp_path / "a.csv", ImportOptions(edges=tmp_path / name))

    np.testing.assert_array_equal(panel.adjacency().toarray(), WEIGHTS)


PLACES = "id,freeway,abs_pm,lat,lon\nn1,I5-N,10.0,41.50,-12.0\nn2,I5-N,12.0,41.52,-12.0\nn3,I5-S,10.1,41.54,-12.0\n"
LOGS = {
    "ids.csv": "time,text,node\n2022-03-01T08:00,Crash,n2\n",
    "distance.csv": "time,text,lat,lon\n2022-03-01T08:00,Crash,41.521,-12.001\n",
    "postmile.csv": "time,text,freeway,abs_pm\n2022-03-01T08:00,Crash,I5-N,11.7\n",
    "ids.jsonl": '{"time": "2022-03-01T08:00", "text": "Crash", "node": "n2"}\n',
    "distance.jsonl": '{"time": "2022-03-01T08:00+00:00", "text": "Crash", "lat": 41.521, "lon": -12.001}\n',
    "postmile.jsonl": '{"time": "2022-03-01 08:00", "text": "Crash", "freeway": "I5-N", "abs_pm": 11.7}\n',
}


@pytest.mark.parametrize("name", LOGS)
def test_events_find_their_node_in_every_format(tmp_path: Path, name: str) -> None:
    frame().to_csv(tmp_path / "a.csv")
    (tmp_path / "places.csv").write_text(PLACES)
    (tmp_path / name).write_text(LOGS[name])

    panel = imported(tmp_path / "a.csv", ImportOptions(nodes=tmp_path / "places.csv", events=tmp_path / name))

    [event] = panel.events
    assert (event.text, event.node) == ("Crash", "n2")
    assert event.start == pd.Timestamp("2022-03-01T08:00", tz="UTC")


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_tracks_stand_beside_readings_or_become_them(tmp_path: Path, suffix: str) -> None:
    minutes = pd.date_range("2022-03-01T08:00", periods=31, freq="min")
    tracks = pd.DataFrame({"taxi_id": "t1", "time": minutes, "lat": np.linspace(41.5, 41.54, 31), "lon": -12.0})
    path = tmp_path / f"tracks{suffix}"
    tracks.to_csv(path, index=False) if suffix == ".csv" else tracks.to_parquet(path, index=False)
    (tmp_path / "places.csv").write_text(PLACES)
    frame().to_csv(tmp_path / "a.csv")

    beside = imported(tmp_path / "a.csv", ImportOptions(trajectories=path))
    assert beside.trajectories is not None
    assert beside.trajectories["object"].unique().tolist() == ["t1"]
    np.testing.assert_allclose(beside.trajectories["lat"], tracks["lat"])
    assert (beside.trajectories["time"] == minutes.tz_localize("UTC")).all()

    Registry(None, Path(os.environ["MM4ST_HOME"]) / "data", {}).remove("city")
    made = imported(path, ImportOptions(nodes=tmp_path / "places.csv", step_s=1800))
    assert made.node_ids == ["n1", "n2", "n3"]
    assert np.nansum(made.values("flow")[:, 1:]) == 2
    # 0.04 degrees of latitude in half an hour.
    np.testing.assert_allclose(np.nanmean(made.values("speed")), 0.04 * 111.195 * 2, rtol=0.01)


def test_static_layers_stay_as_they_are(tmp_path: Path) -> None:
    frame().to_csv(tmp_path / "a.csv")
    (tmp_path / "poi.csv").write_text("name,kind,lat,lon\nStadium,venue,41.5,-12\n")
    line = {"type": "LineString", "coordinates": [[-12, 41.5], [-12, 41.54]]}
    feature = {"type": "Feature", "properties": {"lanes": 2}, "geometry": line}
    (tmp_path / "roads.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    static = {"poi": tmp_path / "poi.csv", "roads": tmp_path / "roads.geojson"}

    panel = imported(tmp_path / "a.csv", ImportOptions(static=static))

    assert panel.static["poi"][["name", "lat", "lon"]].to_numpy().tolist() == [["Stadium", 41.5, -12]]
    assert panel.static["roads"]["lanes"].tolist() == [2]
    assert json.loads(str(panel.static["roads"]["geometry"].iloc[0])) == line
