"""NetCDF files and Zarr stores, written here by xarray."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mm4st_agent.data.importing import cubes
from mm4st_agent.data.importing.cubes import read_cube
from mm4st_agent.data.importing.draft import Source
from mm4st_agent.data.importing.options import ImportOptions
from mm4st_agent.errors import DataError, UsageError

TIMES = pd.date_range("2020-01-01", periods=6, freq="h")


def save(data: xr.Dataset, folder: Path, kind: str) -> Path:
    path = folder / f"a.{kind}"
    if kind == "zarr":
        data.to_zarr(path, consolidated=False, zarr_format=2 if "station" in data.coords else 3)
    else:
        data.to_netcdf(path, engine="h5netcdf" if kind == "nc" else "scipy")
    return path


def whole(source: Source, name: str) -> np.ndarray:
    return np.concatenate([block[name] for block in source.blocks()])


@pytest.fixture
def stations() -> xr.Dataset:
    values = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    values[2, 1] = np.nan
    return xr.Dataset(
        {
            "pm25": (("time", "station"), values, {"units": "ug m-3", "long_name": "fine particles"}),
            "wind": ("time", np.arange(6.0), {"units": "m s-1"}),
            "height": ("station", [10.0, 20.0, 30.0]),
        },
        coords={
            "time": TIMES, "station": ["A01", "A02", "A03"], "lat": ("station", [1.0, 2.0, 3.0]),
            "lon": ("station", [4.0, 5.0, 6.0]),
        },
    )  # fmt: skip


@pytest.fixture
def grid() -> xr.Dataset:
    values = np.random.default_rng(0).normal(280, 5, size=(6, 3, 4)).astype(np.float32)
    values[:, 0, 0] = np.nan
    values[0, 2, 3] = np.nan
    return xr.Dataset(
        {"t2m": (("time", "latitude", "longitude"), values, {"units": "K"})},
        coords={"time": TIMES, "latitude": [50.0, 50.25, 50.5], "longitude": [-1.0, -0.5, 0.0, 0.5]},
    )


@pytest.mark.parametrize("kind", ["nc", "cdf", "zarr"])
def test_time_by_station(tmp_path: Path, stations: xr.Dataset, kind: str) -> None:
    source = read_cube(save(stations, tmp_path, kind), ImportOptions())

    assert source.node_ids == ("A01", "A02", "A03")
    assert [(c.name, c.unit, c.title) for c in source.channels] == [("pm25", "ug m-3", "fine particles")]
    np.testing.assert_array_equal(whole(source, "pm25"), stations["pm25"])
    assert source.stamps is not None
    assert (pd.DatetimeIndex(source.stamps) == TIMES).all()
    assert source.covariates["wind"].attrs == {"units": "m s-1"}
    assert source.nodes is not None
    assert source.nodes.loc["A02"].to_dict() == {"lat": 2.0, "lon": 5.0, "height": 20.0}


@pytest.mark.parametrize("kind", ["nc", "cdf", "zarr"])
def test_cells_of_a_grid_are_nodes_and_the_sea_is_dropped(tmp_path: Path, grid: xr.Dataset, kind: str) -> None:
    source = read_cube(save(grid, tmp_path, kind), ImportOptions())

    assert len(source.node_ids) == 11
    assert source.node_ids[:2] == ("50,-0.5", "50,0")
    assert source.nodes is not None
    assert source.nodes.loc["50.25,0.5"].to_dict() == {"lat": 50.25, "lon": 0.5}
    flat = grid["t2m"].to_numpy().reshape(6, 12)[:, 1:]
    np.testing.assert_array_equal(whole(source, "t2m"), flat)
    assert any(f.what == "cells dropped" and f.value == "1 of 12" for f in source.findings)


def test_a_grid_of_another_order_and_curved_coordinates(tmp_path: Path, grid: xr.Dataset) -> None:
    turned = grid.transpose("longitude", "time", "latitude")
    source = read_cube(save(turned, tmp_path, "nc"), ImportOptions())
    at = source.node_ids.index("50.25,-1")
    np.testing.assert_array_equal(whole(source, "t2m")[:, at], grid["t2m"].sel(latitude=50.25, longitude=-1.0))

    lat, lon = np.meshgrid([50.0, 51.0], [1.0, 2.0, 3.0], indexing="ij")
    curved = xr.Dataset(
        {"rain": (("time", "y", "x"), np.arange(36.0).reshape(6, 2, 3))},
        coords={"time": TIMES, "lat": (("y", "x"), lat), "lon": (("y", "x"), lon)},
    )
    source = read_cube(save(curved, tmp_path, "zarr"), ImportOptions())
    assert source.node_ids == ("50,1", "50,2", "50,3", "51,1", "51,2", "51,3")


def test_packed_values_and_fill_values_are_unpacked(tmp_path: Path, grid: xr.Dataset) -> None:
    path = tmp_path / "a.nc"
    packing = {"dtype": "i2", "scale_factor": 0.01, "add_offset": 280.0, "_FillValue": -32767}
    grid.to_netcdf(path, engine="h5netcdf", encoding={"t2m": packing})

    source = read_cube(path, ImportOptions())

    flat = grid["t2m"].to_numpy().reshape(6, 12)[:, 1:]
    np.testing.assert_allclose(whole(source, "t2m"), flat, atol=0.0051)
    assert np.isnan(whole(source, "t2m")).sum() == 1


def test_blocks_are_rows_in_order(tmp_path: Path, grid: xr.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(grid, tmp_path, "nc")
    monkeypatch.setattr(cubes, "BLOCK_BYTES", 8 * 12 * 4)

    assert [len(block["t2m"]) for block in read_cube(path, ImportOptions()).blocks()] == [4, 2]


def test_a_mask_of_imputed_cells_is_heeded(tmp_path: Path, stations: xr.Dataset) -> None:
    imputed = np.zeros((6, 3), dtype=bool)
    imputed[1, 2] = True
    masked = stations.assign(filled=(("time", "station"), imputed))
    masked["pm25"].attrs["ancillary_variables"] = "filled"

    for kind in ("nc", "zarr"):
        source = read_cube(save(masked, tmp_path, kind), ImportOptions())

        assert [c.name for c in source.channels] == ["pm25"]
        assert source.observed == "filled"
        np.testing.assert_array_equal(whole(source, "filled") == 0, imputed)


def test_a_huge_grid_is_refused_with_a_remedy(
    tmp_path: Path, grid: xr.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cubes, "MAX_CELLS", 11)

    with pytest.raises(DataError, match="3 x 4 = 12 cells") as caught:
        read_cube(save(grid, tmp_path, "nc"), ImportOptions())
    assert "coarsen" in caught.value.hint


def test_variables_are_picked_by_name(tmp_path: Path, stations: xr.Dataset) -> None:
    path = save(stations.assign(no2=stations["pm25"] * 2), tmp_path, "nc")

    assert [c.name for c in read_cube(path, ImportOptions()).channels] == ["pm25", "no2"]
    assert [c.name for c in read_cube(path, ImportOptions(channels=("no2", "pm25"))).channels] == ["no2", "pm25"]
    assert [c.name for c in read_cube(path, ImportOptions(member="no2")).channels] == ["no2"]
    with pytest.raises(UsageError, match="no variable 'o3'"):
        read_cube(path, ImportOptions(member="o3"))


def test_variables_over_different_places_are_ambiguous(tmp_path: Path, stations: xr.Dataset) -> None:
    path = save(stations.assign(flow=(("time", "road"), np.ones((6, 2)))), tmp_path, "nc")

    with pytest.raises(DataError, match="different places") as caught:
        read_cube(path, ImportOptions())
    assert "--member" in caught.value.hint
    assert read_cube(path, ImportOptions(member="flow")).node_ids == ("0", "1")


def test_what_cannot_be_a_panel(tmp_path: Path, stations: xr.Dataset) -> None:
    for name, data, said in [
        ("a", stations.drop_vars("pm25"), "no variable over time and place"),
        ("b", stations.rename(time="moment").drop_vars("moment"), "no dimension of time"),
    ]:
        data.to_netcdf(tmp_path / f"{name}.nc", engine="h5netcdf")
        with pytest.raises(DataError, match=said):
            read_cube(tmp_path / f"{name}.nc", ImportOptions())
    (tmp_path / "c.nc").write_bytes(b"CDF\x01" + b"\xff" * 40)
    (tmp_path / "d.nc").write_bytes(b"nothing of the kind")
    (tmp_path / "e.zarr").mkdir()
    (tmp_path / "e.zarr" / "zarr.json").write_text("{")
    for name in ("c.nc", "d.nc", "e.zarr"):
        with pytest.raises(DataError, match="not a readable"):
            read_cube(tmp_path / name, ImportOptions())


def test_without_stamps_the_start_is_asked_for(tmp_path: Path, stations: xr.Dataset) -> None:
    path = save(stations.drop_vars("time"), tmp_path, "nc")

    with pytest.raises(DataError, match="no time stamps"):
        read_cube(path, ImportOptions())
    assert read_cube(path, ImportOptions(start=datetime(2020, 1, 1), step_s=60)).stamps is None
