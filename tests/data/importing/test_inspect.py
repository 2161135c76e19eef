"""The three stations together: from a path to a panel, with places, edges and events beside the readings."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mm4st_agent.data.importing.inspect import draft_panel, inspect
from mm4st_agent.data.importing.options import ImportOptions
from mm4st_agent.data.store import open_panel, store_draft
from mm4st_agent.errors import DataError, UsageError

WIDE = "time,a,b\n2022-01-01 00:00,1,2\n2022-01-01 00:05,3,NA\n2022-01-01 00:10,5,6\n"


def test_a_table_with_all_that_stands_beside_it(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(WIDE)
    (tmp_path / "places.csv").write_text("id,name,lat,lon\na,North,1,2\nb,South,1.01,2\n")
    (tmp_path / "edges.csv").write_text("from,to,cost\na,b,1.5\nb,a,3\n")
    event = {"text": "crash", "time": "2022-01-01T00:05", "node": "b"}
    (tmp_path / "events.jsonl").write_text(json.dumps(event) + "\n")
    options = ImportOptions(
        channel="speed",
        units={"speed": "km/h"},
        nodes=tmp_path / "places.csv",
        edges=tmp_path / "edges.csv",
        events=tmp_path / "events.jsonl",
    )

    draft = inspect(tmp_path / "t.csv", "mine", options)

    panel = draft_panel(draft)
    assert panel.place("a") == "sensor a (North)"
    assert panel.adjacency().nnz == 2
    assert [(one.text, one.node) for one in panel.events] == [("crash", "b")]
    assert sorted(panel.card.files) == ["edges.csv", "events.jsonl", "places.csv", "t.csv"]
    statuses = {finding.what: finding.status for finding in draft.findings}
    assert statuses["time zone"] == "assumed"
    assert statuses["time step"] == "inferred"
    assert statuses["unit of speed"] == "stated"


def test_looking_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(WIDE)
    before = hashlib.sha256((tmp_path / "t.csv").read_bytes()).hexdigest()

    draft_panel(inspect(tmp_path / "t.csv", "mine"))

    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]
    assert hashlib.sha256((tmp_path / "t.csv").read_bytes()).hexdigest() == before


def test_what_is_stored_is_what_was_shown(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(
        "time,PM2.5,TEMP\n2022-01-01 00:00,1,7\n2022-01-01 02:00,NA,8\n2022-01-01 01:00,4,9\n"
    )
    draft = inspect(tmp_path / "t.csv", "mine")

    store_draft(draft, tmp_path / "stored")

    shown, stored = draft_panel(draft), open_panel(tmp_path / "stored")
    np.testing.assert_array_equal(stored.values(), shown.values())
    np.testing.assert_array_equal(stored.covariates["TEMP"].values, shown.covariates["TEMP"].values)
    assert stored.card == shown.card
    assert stored.times.equals(shown.times)
    assert stored.node_ids == ["t"]


@pytest.mark.parametrize(
    ("options", "message"),
    [({"time_zone": "Mars/Olympus"}, "no time zone"), ({"channels": ("x",)}, "'x'")],
)
def test_options_that_cannot_be_are_refused(tmp_path: Path, options: dict[str, object], message: str) -> None:
    (tmp_path / "t.csv").write_text(WIDE)

    with pytest.raises(UsageError, match=message):
        inspect(tmp_path / "t.csv", "mine", ImportOptions.model_validate(options))


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises((DataError, UsageError), match="gone"):
        inspect(tmp_path / "gone.csv", "mine")


# -- real files ------------------------------------------------------------------------------


def test_a_real_station_file(real_data: Path) -> None:
    path = real_data / "beijing_air" / "PRSA_Data_Aotizhongxin_20130301-20170228.csv.gz"
    raw = pd.read_csv(path, na_values=["NA", " "])

    panel = draft_panel(inspect(path, "air", ImportOptions(time_zone="Asia/Shanghai")))

    assert panel.node_ids == ["Aotizhongxin"]
    assert (panel.times[0], len(panel.times)) == (pd.Timestamp("2013-03-01", tz="Asia/Shanghai"), 35064)
    for name in ("PM2.5", "PM10", "SO2", "NO2", "CO", "O3"):
        np.testing.assert_array_equal(panel.values(name)[:, 0], raw[name].to_numpy(dtype=np.float32))
        assert panel.channel(name).unit == "µg/m³"
    for name in ("TEMP", "PRES", "DEWP", "RAIN", "WSPM"):
        np.testing.assert_array_equal(panel.covariates[name].values, raw[name].to_numpy(dtype=np.float32))
    assert np.isnan(panel.values("SO2")[74, 0])


def test_a_real_table_without_stamps(real_data: Path) -> None:
    path = real_data / "los_loop" / "los_speed.csv"
    options = ImportOptions(start=pd.Timestamp("2012-03-01").to_pydatetime(), step_s=300, time_zone="US/Pacific")

    panel = draft_panel(inspect(path, "los", options))

    np.testing.assert_array_equal(panel.values("speed"), pd.read_csv(path).to_numpy(dtype=np.float32))
    assert panel.node_ids[:2] == ["773869", "767541"]


def test_real_load_of_a_service(real_data: Path) -> None:
    for path in sorted((real_data / "nab_cloud" / "realAWSCloudwatch").glob("*cpu*.csv")):
        raw = pd.read_csv(path, parse_dates=["timestamp"]).drop_duplicates("timestamp", keep="last")

        panel = draft_panel(inspect(path, "cpu"))

        assert panel.step_s == 300
        at = panel.data.indexes["time"].get_indexer(pd.DatetimeIndex(raw["timestamp"]).as_unit("ns"))
        np.testing.assert_array_equal(panel.values()[at, 0], raw["value"].to_numpy(dtype=np.float32))
