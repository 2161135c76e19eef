"""A channel becomes a table that others read, value for value."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mm4st_agent.data import chunks
from mm4st_agent.data.card import Channel, DataCard
from mm4st_agent.data.export import export_table
from mm4st_agent.data.panel import Panel
from mm4st_agent.errors import UsageError

STAMPS = pd.date_range("2024-10-27T00:00", periods=40, freq="15min", tz="Europe/Lisbon")
"""Over the hour that the clocks repeat."""


def _panel() -> Panel:
    rng = np.random.default_rng(0)
    speed = rng.integers(0, 2**32, (40, 3), dtype=np.uint32).view(np.float32).copy()  # floats of every size
    speed[~np.isfinite(speed)] = np.nan
    speed[3, 1] = np.nan
    kinds = np.array(["road", "road", "air"], dtype=object)
    return Panel(
        card=DataCard(
            name="city",
            title="",
            source="",
            licence="",
            time_zone="Europe/Lisbon",
            channels=(Channel(name="speed", unit="km/h"), Channel(name="pm25", unit="µg/m³", kinds=("air",))),
        ),
        data=xr.Dataset(
            {"speed": (("time", "node"), speed), "pm25": (("time", "node"), np.full((40, 3), 8.5, np.float32))},
            coords={
                "time": STAMPS.tz_convert("UTC").tz_localize(None).as_unit("ns"),
                "node": np.array(["007", 'a "b", c', "A01"], dtype=object),
                "kind": ("node", kinds),
            },
        ),
    )


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet"])
def test_the_table_has_every_reading_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    monkeypatch.setattr(chunks, "ROW_BYTES", 7 * 3 * 4)  # several parts
    panel, path, seen = _panel(), tmp_path / f"out{suffix}", []

    export_table(panel, path, progress=lambda *step: seen.append(step))

    table = pd.read_parquet(path) if suffix == ".parquet" else pd.read_csv(path, dtype=str, keep_default_na=False)
    assert list(table.columns) == ["time", "007", 'a "b", c', "A01"]
    assert (pd.to_datetime(table["time"], utc=True) == STAMPS.tz_convert("UTC")).all()
    numbers = table.drop(columns="time").replace("", "nan").to_numpy().astype(np.float64).astype(np.float32)
    np.testing.assert_array_equal(numbers, panel.values())
    assert seen[-1] == (40, 40)
    assert len(seen) > 3
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_times_are_local_with_their_offset(tmp_path: Path) -> None:
    export_table(_panel(), tmp_path / "out.csv", "pm25")

    lines = (tmp_path / "out.csv").read_text().splitlines()
    assert lines[0] == "time,A01"  # the others do not measure it
    assert lines[5] == "2024-10-27T01:00:00+01:00,8.5"
    assert lines[9] == "2024-10-27T01:00:00+00:00,8.5"


@pytest.mark.parametrize(
    ("name", "channel", "message"),
    [
        ("out.xls", None, r"none of the suffixes \.csv, \.csv\.gz, \.parquet"),
        ("there.csv", None, "exists already"),
        ("no/such/folder/out.csv", None, "cannot be written: No such file"),
        ("out.csv", "flow", "no channel 'flow'"),
    ],
)
def test_what_cannot_be_written_is_said(tmp_path: Path, name: str, channel: str | None, message: str) -> None:
    (tmp_path / "there.csv").write_text("mine")

    with pytest.raises(UsageError, match=message):
        export_table(_panel(), tmp_path / name, channel)

    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("there.csv", "mine")]
