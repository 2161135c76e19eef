"""Moving objects: their tables, and the flows, speeds and trips that they make."""

from __future__ import annotations

import time
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mm4st_agent.data.card import Channel, DataCard
from mm4st_agent.data.importing.options import ImportOptions
from mm4st_agent.data.importing.trajectories import holds_trajectories, read_tracks, read_trajectories
from mm4st_agent.data.mobility import node_flows, node_speeds, od_matrix
from mm4st_agent.data.panel import Panel
from mm4st_agent.errors import DataError, UsageError

UTC = ZoneInfo("UTC")
KM = 1 / 111.195
"""Degrees of latitude."""
START = pd.Timestamp("2024-05-01T08:00", tz="UTC")


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def drive(name: str, minutes: list[float], km: list[float]) -> pd.DataFrame:
    """Fixes of one object that drives north along 13 degrees east from the equator."""
    stamps = [START + pd.Timedelta(minutes=m) for m in minutes]
    return pd.DataFrame({"object": name, "time": stamps, "lat": [k * KM for k in km], "lon": 13.0})


def panel(*drives: pd.DataFrame, label: str = "start") -> Panel:
    """Nodes at 0, 2 and 4 km; six steps of five minutes from 08:00."""
    ids = np.array(["n0", "n2", "n4"], dtype=object)
    times = pd.date_range("2024-05-01T08:00", periods=6, freq="5min")
    data = xr.Dataset(
        {"flow": (("time", "node"), np.zeros((6, 3), dtype=np.float32), {"units": "1"})},
        coords={
            "time": times,
            "node": ids,
            "lat": ("node", np.array([0, 2, 4]) * KM),
            "lon": ("node", np.full(3, 13.0)),
        },
    )
    card = DataCard(
        name="toy",
        title="toy",
        source="test",
        licence="none",
        time_label=label,  # type: ignore[arg-type]
        channels=(Channel(name="flow", unit="1"),),
    )
    return Panel(card=card, data=data, trajectories=pd.concat(drives) if drives else None)


def test_tracks_are_sorted_and_repeats_left_out(tmp_path: Path) -> None:
    path = write(
        tmp_path / "t.csv",
        "Vehicle_ID,Timestamp,Latitude,Longitude\n2,2024-05-01 08:05,1,2\n1,2024-05-01 08:05,1.1,2\n"
        "1,2024-05-01 08:00,1,2\n1,2024-05-01 08:05,9,9\n2,2024-05-01 08:10,0,0\n",
    )

    tracks, findings = read_tracks(path, ZoneInfo("Asia/Shanghai"))

    assert tracks["object"].tolist() == ["1", "1", "2"]
    assert tracks["lat"].tolist() == [1.0, 1.1, 1.0]
    assert tracks["time"].iloc[0] == pd.Timestamp("2024-05-01T08:00+08:00")
    assert str(tracks["time"].dt.tz) == "Asia/Shanghai"
    assert [f.why[:7] for f in findings if f.what == "fixes left out"] == ["rows 6:", "rows 5:"]


def test_a_table_without_a_header_is_told_by_what_it_holds(tmp_path: Path) -> None:
    path = write(
        tmp_path / "366.txt",
        "366,2008-02-02 15:36:08,116.51172,39.92123\n366,2008-02-02 15:46:08,116.51135,39.93883\n",
    )

    assert holds_trajectories(path)
    tracks, _ = read_tracks(path, UTC)

    assert tracks["object"].tolist() == ["366", "366"]
    assert tracks["lat"].tolist() == [39.92123, 39.93883]
    assert tracks["lon"].tolist() == [116.51172, 116.51135]


def test_parquet_keeps_its_times(tmp_path: Path) -> None:
    drive("a", [0, 1], [0, 1]).to_parquet(tmp_path / "t.parquet")

    tracks, _ = read_tracks(tmp_path / "t.parquet", ZoneInfo("Europe/Berlin"))

    assert tracks["time"].tolist() == [START, START + pd.Timedelta(minutes=1)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,time,lat,lon\na,2024-05-01,1,2\na,later,1,2\n", "row 3.*'later' is not"),
        ("id,time,lat,lon\na,2024-05-01,1,2\n,2024-05-01,1,2\n", "row 3, column 'id': the object is empty"),
        ("id,time,lat,lon\na,2024-05-01,1,x\n", "row 2, column 'lon': 'x' is not a number"),
        ("id,time,lat,lon\na,2024-05-01,95,2\n", "row 2: lat 95"),
        ("id,time,lat,lon\na,2024-05-01,0,0\n", "holds no position"),
        ("id,time,speed\na,2024-05-01,3\n", "lacks columns of moving objects"),
        ("7,2024-05-01 08:00:00,12.5,41.5\n7,2024-05-01 09:00:00,12.6,41.5\n", "does not tell latitude from longitude"),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_tracks(write(tmp_path / "t.csv", text), UTC)


def test_only_what_moves_is_a_trajectory(tmp_path: Path) -> None:
    stations = "station,time,lat,lon,pm25\nA,2024-05-01 08:00,1,2,7\nA,2024-05-01 09:00,1,2,8\n"
    buses = "vehicle,time,lat,lon,pm25\nA,2024-05-01 08:00,1,2,7\nA,2024-05-01 09:00,1.1,2,8\n"

    assert not holds_trajectories(write(tmp_path / "s.csv", stations))
    assert holds_trajectories(write(tmp_path / "b.csv", buses))
    assert not holds_trajectories(write(tmp_path / "w.csv", "time,a,b\n2024-05-01,1,2\n2024-05-02,1,2\n"))


def test_flows_count_entries(tmp_path: Path) -> None:
    # Starts at n0 (no entry), enters n2 at 08:03 and n4 at 08:07, comes back to n2 at 08:13.
    there_and_back = drive("a", [0, 3, 7, 13], [0, 2, 4, 2])
    second = drive("b", [11, 13], [0, 2])

    flows = node_flows(panel(there_and_back, second))

    assert flows.columns.tolist() == ["n0", "n2", "n4"]
    nan = [np.nan] * 3
    np.testing.assert_array_equal(flows.to_numpy(), [[0, 1, 0], [0, 0, 1], [0, 2, 0], nan, nan, nan])


def test_an_instant_covers_the_step_before_it() -> None:
    on_time = drive("a", [0, 5], [0, 2])

    np.testing.assert_array_equal(node_flows(panel(on_time, label="start"))["n2"], [0, 1, *[np.nan] * 4])
    np.testing.assert_array_equal(node_flows(panel(on_time, label="instant"))["n2"], [0, 1, *[np.nan] * 4])
    late = drive("a", [0, 4], [0, 2])
    np.testing.assert_array_equal(node_flows(panel(late, label="start"))["n2"], [1, *[np.nan] * 5])
    np.testing.assert_array_equal(node_flows(panel(late, label="instant"))["n2"], [0, 1, *[np.nan] * 4])


def test_speeds_are_distance_over_time() -> None:
    # Near n2: 0.8 km in 2 minutes, then 0.4 km in 2 minutes: 1.2 km in 4 minutes.
    speeds = node_speeds(panel(drive("a", [0, 2, 4], [1.4, 2.2, 2.6])))

    assert speeds.loc[START, "n2"] == pytest.approx(18.0, rel=1e-4)
    assert np.isnan(speeds.to_numpy()).sum() == 17


def test_jumps_and_gaps_count_for_nothing(tmp_path: Path) -> None:
    jump = drive("a", [0, 1], [0, 4])
    gap = drive("b", [0, 20], [0, 2])

    assert node_speeds(panel(jump, gap)).isna().all(axis=None)
    assert node_flows(panel(jump, gap)).sum().sum() == 0
    assert node_speeds(panel(jump), max_speed_kmh=300)["n4"].max() == pytest.approx(240, rel=1e-4)
    pd.concat([jump, gap]).to_csv(tmp_path / "t.csv", index=False)
    found = {f.what: f.value for f in read_trajectories(tmp_path / "t.csv", ImportOptions()).findings}
    assert found["jumps left out"] == found["gaps left out"] == "1 pairs of fixes"


def test_origins_and_destinations() -> None:
    city = panel(
        drive("a", [0, 5, 10], [0, 2, 4]),
        drive("b", [1, 6], [0, 4]),
        drive("c", [0, 6, 12], [4, 2, 0]),
        drive("d", [3], [2]),
        drive("e", [0, 5, 25, 29], [0, 2, 2, 4]),
        drive("f", [0, 5], [50, 52]),
    )

    trips = od_matrix(city, "2024-05-01T08:00", "2024-05-01T08:30")

    assert trips.loc["n0"].to_dict() == {"n0": 0, "n2": 1, "n4": 2}
    assert trips.loc["n2"].to_dict() == {"n0": 0, "n2": 0, "n4": 1}
    assert trips.loc["n4"].to_dict() == {"n0": 1, "n2": 0, "n4": 0}
    assert od_matrix(city, "2024-05-01T08:00", "2024-05-01T08:07").loc["n0"].to_dict() == {
        "n0": 0,
        "n2": 2,
        "n4": 1,
    }
    known = od_matrix(city.until("2024-05-01T08:15"), "2024-05-01T08:00", "2024-05-01T08:30")
    assert known.to_numpy().sum() == 4


def test_a_span_or_a_panel_that_cannot_be_is_refused() -> None:
    city = panel(drive("a", [0, 5], [0, 2]))

    with pytest.raises(UsageError, match="before it starts"):
        od_matrix(city, "2024-05-01T09:00", "2024-05-01T08:00")
    with pytest.raises(UsageError, match="'noon' is not a point in time"):
        od_matrix(city, "noon", "2024-05-01T08:00")
    with pytest.raises(DataError, match="'toy' has no trajectories"):
        node_flows(panel())


def test_a_grid_of_cells_becomes_a_source(tmp_path: Path) -> None:
    drives = pd.concat([drive("a", [1, 3, 5], [0.1, 1.1, 2.1]), drive("b", [1, 3], [1.2, 0.2])])
    drives.to_csv(tmp_path / "t.csv", index=False)

    source = read_trajectories(tmp_path / "t.csv", ImportOptions(time_label="start"))

    assert source.node_ids == ("r000c000", "r001c000", "r002c000")
    assert [(c.name, c.unit) for c in source.channels] == [("flow", "objects/5 min"), ("speed", "km/h")]
    assert source.stamps is not None
    assert source.stamps.tolist() == [START, START + pd.Timedelta(minutes=5)]
    blocks = list(source.blocks())
    np.testing.assert_array_equal(np.concatenate([b["flow"] for b in blocks]), [[1, 1, 0], [0, 0, 1]])
    speed = np.concatenate([b["speed"] for b in blocks])
    np.testing.assert_allclose(speed, [[30, 30, np.nan], [np.nan, 30, 30]], rtol=1e-3)
    assert source.nodes is not None
    np.testing.assert_allclose(np.diff(source.nodes["lat"]) / KM, 1)
    assert {f.what for f in source.findings} >= {"tracks", "time step", "places"}


def test_places_of_a_table_become_the_nodes(tmp_path: Path) -> None:
    pd.concat([drive("a", [1, 3, 8], [0.1, 2.1, 4]), drive("b", [2], [50])]).to_csv(tmp_path / "t.csv", index=False)
    write(tmp_path / "p.csv", f"id,lat,lon\nS,{0 * KM},13\nT,{2 * KM},13\n")

    source = read_trajectories(
        tmp_path / "t.csv", ImportOptions(nodes=tmp_path / "p.csv", step_s=600, time_label="instant")
    )

    assert source.node_ids == ("S", "T")
    assert source.channels[0].unit == "objects/10 min"
    assert source.stamps is not None
    assert source.stamps.tolist() == [START + pd.Timedelta(minutes=10)]
    np.testing.assert_array_equal(next(source.blocks())["flow"], [[0, 1]])
    assert any("2 fixes are farther than 1 km" in f.why for f in source.findings)


def test_a_million_fixes_take_seconds(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    objects, fixes = 2000, 500
    walk = rng.normal(0, 0.002, (2, objects, fixes)).cumsum(axis=2).round(6)
    stamps = START.tz_localize(None) + pd.to_timedelta(np.arange(fixes), unit="min")
    pd.DataFrame(
        {
            "taxi": np.repeat(np.arange(objects), fixes),
            "time": np.tile(stamps, objects),
            "lat": 39.9 + walk[0].ravel(),
            "lon": 116.4 + walk[1].ravel(),
        }
    ).to_csv(tmp_path / "t.csv", index=False)

    began = time.perf_counter()
    source = read_trajectories(tmp_path / "t.csv", ImportOptions(time_zone="Asia/Shanghai"))

    assert time.perf_counter() - began < 20
    assert sum(np.nansum(b["flow"]) for b in source.blocks()) > 100_000
