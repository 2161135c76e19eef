"""Folders of one table a place, and weather beside the readings."""

from __future__ import annotations

import gzip
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mm4st_agent.data.importing.draft import Source
from mm4st_agent.data.importing.folders import read_station_folder, with_covariates
from mm4st_agent.data.importing.options import ImportOptions
from mm4st_agent.errors import DataError, UsageError


def frame(source: Source, name: str) -> pd.DataFrame:
    values = np.concatenate([block[name] for block in source.blocks()])
    assert source.stamps is not None
    return pd.DataFrame(values, index=pd.to_datetime(source.stamps.to_numpy()), columns=list(source.node_ids))


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


HEADER = '"No","year","month","day","hour","PM2.5","SO2","TEMP","wd","station"\n'


def test_station_files_as_the_beijing_set_comes(tmp_path: Path) -> None:
    east = HEADER + "".join(f'{i + 1},2013,3,1,{i},{i + 0.5},{2 * i},-0.{i},"N","East"\n' for i in range(5))
    west = HEADER + '1,2013,3,1,3,NA, ,1.5,"SW","West"\n2,2013,3,1,4,7,8,NA,NA,"West"\n3,2013,3,1,5,9,1,2,"E","West"\n'
    files = [write(tmp_path, "Data_East_2013.csv.gz", east), write(tmp_path, "Data_West_2013.csv.gz", west)]

    source = read_station_folder(tmp_path, files, ImportOptions())

    assert set(source.node_ids) == {"East", "West"}
    assert [c.name for c in source.channels] == ["PM2.5", "SO2"]
    pm, so2 = frame(source, "PM2.5"), frame(source, "SO2")
    assert list(pm.index) == list(pd.date_range("2013-03-01", periods=6, freq="h"))
    np.testing.assert_array_equal(pm["East"], [0.5, 1.5, 2.5, 3.5, 4.5, np.nan])
    np.testing.assert_array_equal(pm["West"], [np.nan, np.nan, np.nan, np.nan, 7, 9])
    assert np.isnan(so2.loc["2013-03-01 03:00", "West"]), "a blank cell is missing"
    assert source.covariates["TEMP"].dims == ("row", "node")
    wind = pd.DataFrame(source.covariates["wd"].to_numpy(), columns=list(source.node_ids))
    np.testing.assert_array_equal(wind["West"], [np.nan] * 3 + [225, np.nan, 90])
    assert source.files == tuple(files)
    assert any(f.what == "left out" and "No" in f.value for f in source.findings)


def test_places_are_called_by_their_files_without_what_all_share(tmp_path: Path) -> None:
    text = "time,flow,speed\n2020-01-01T00:00,1,2\n2020-01-01T01:00,3,4\n"
    files = [write(tmp_path, f"city_{name}_2020.csv", text) for name in ("north_gate", "port")]

    source = read_station_folder(tmp_path, files, ImportOptions())

    assert source.node_ids == ("north_gate", "port")
    np.testing.assert_array_equal(frame(source, "speed"), [[2, 2], [4, 4]])


def test_series_at_different_offsets_go_to_the_step_that_they_lie_in(tmp_path: Path) -> None:
    files = []
    for name, first in [
        ("cpu_a1", "2014-02-14 14:27"),
        ("cpu_b2", "2014-02-14 14:30"),
        ("NetIn_c3", "2014-02-14 14:34"),
    ]:
        stamps = pd.date_range(first, periods=30, freq="5min")
        rows = "".join(f"{stamp},{i}\n" for i, stamp in enumerate(stamps))
        files.append(write(tmp_path, f"{name}.csv", "timestamp,value\n" + rows))

    whole = read_station_folder(tmp_path, files, ImportOptions())
    assert frame(whole, "value").loc["2014-02-14 14:30"].tolist() == [1.0, 0.0, 0.0]
    assert any(f.what == "stamps moved" and "3 different offsets" in f.why for f in whole.findings)

    apart = read_station_folder(tmp_path, files, ImportOptions(channels=("cpu", "net_in")))
    assert [(c.name, c.kinds) for c in apart.channels] == [("cpu", ("cpu",)), ("net_in", ("net_in",))]
    assert apart.nodes is not None
    assert apart.nodes["kind"].to_dict() == {"cpu_a1": "cpu", "cpu_b2": "cpu", "NetIn_c3": "net_in"}
    assert frame(apart, "cpu")["NetIn_c3"].isna().all()
    assert frame(apart, "net_in")["NetIn_c3"].notna().sum() == 30
    with pytest.raises(UsageError, match=r"None of the channels disk is a column of cpu_a1\.csv or part of its name"):
        read_station_folder(tmp_path, files, ImportOptions(channels=("disk",)))


def test_rows_that_are_occurrences_are_counted_by_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    files = []
    for name in ("trace_code", "trace_chat"):
        seconds = np.sort(rng.uniform(0, 600, 200))
        stamps = pd.Timestamp("2023-11-16 18:00") + pd.to_timedelta(seconds.round(3), "s")
        rows = "".join(f"{stamp},{i % 7}\n" for i, stamp in enumerate(stamps))
        files.append(write(tmp_path, f"{name}.csv", "TIMESTAMP,Tokens\n" + rows))

    source = read_station_folder(tmp_path, files, ImportOptions(step_s=60, channel="requests"))

    assert source.node_ids == ("code", "chat")
    assert frame(source, "requests").sum().tolist() == [200, 200]
    assert frame(source, "Tokens").sum().tolist() == [sum(i % 7 for i in range(200))] * 2


def test_a_bad_cell_is_named_with_its_file_and_row(tmp_path: Path) -> None:
    good = "time,value\n2020-01-01T00:00,1\n2020-01-01T01:00,2\n"
    files = [write(tmp_path, "a.csv", good), write(tmp_path, "b.csv", good + "2020-01-01T02:00,oops\n")]

    with pytest.raises(DataError, match=r"b\.csv, row 4, column 'value': 'oops'"):
        list(read_station_folder(tmp_path, files, ImportOptions()).blocks())


# -- weather beside the readings ----------------------------------------------------------


def readings(steps: int) -> Source:
    return Source(
        path=Path("x.npz"),
        files=(),
        stamps=None,
        node_ids=("0",),
        channels=(),
        blocks=lambda: iter([{"v": np.zeros((steps, 1), dtype=np.float32)}]),
    )


def test_daily_weather_is_held_over_the_day(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "weather.csv",
        "Unnamed: 0,date,MaxTemp,Rain,Sky\n0,2015-01-02 周五,21°,,晴\n0,2015-01-01 周四,18°,2.5mm,晴~多云\n",
    )
    options = ImportOptions(start=datetime(2015, 1, 1, 12), step_s=6 * 3600)

    source = with_covariates(readings(8), [path], options)

    assert set(source.covariates.data_vars) == {"MaxTemp", "Rain"}
    temperature = source.covariates["MaxTemp"]
    assert (temperature.dims, temperature.attrs) == (("row",), {"units": "°"})
    np.testing.assert_array_equal(temperature, [18, 18, 21, 21, 21, 21, np.nan, np.nan])
    np.testing.assert_array_equal(source.covariates["Rain"], [2.5, 2.5] + [np.nan] * 6)
    assert source.covariates["Rain"].attrs == {"units": "mm"}
    left = next(f for f in source.findings if f.what == "left out")
    assert "Sky" in left.value
    assert any(f.what == "covariates" and "before that time is over" in f.why for f in source.findings)


def test_hourly_weather_and_a_calendar(tmp_path: Path) -> None:
    weather = write(tmp_path, "w.csv", "time,wind\n2020-01-01T00:00,3\n2020-01-01T01:00,4\n2020-01-01T02:00,5\n")
    calendar = write(tmp_path, "c.csv", "date,holiday\n2020-01-01,1\n2020-01-02,0\n")
    options = ImportOptions(start=datetime(2020, 1, 1), step_s=1800)

    source = with_covariates(readings(7), [weather, calendar], options)

    np.testing.assert_array_equal(source.covariates["wind"], [3, 3, 4, 4, 5, 5, np.nan])
    np.testing.assert_array_equal(source.covariates["holiday"], [1] * 7)
    assert source.covariates["holiday"].attrs == {"known_future": True}
    assert "known_future" not in source.covariates["wind"].attrs


def test_a_table_without_dates_is_left_out_and_said_so(tmp_path: Path) -> None:
    path = write(tmp_path, "w.csv", "date,wind\nMonday,3\nTuesday,4\n")

    source = with_covariates(readings(3), [path], ImportOptions(start=datetime(2020, 1, 1), step_s=60))

    assert not source.covariates.data_vars
    assert any(f.value == "w.csv" and "'Monday'" in f.why for f in source.findings)
