"""Plain tables become panels; what is wrong with a table is said with its row, column and value."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mm4st_agent.data.card import file_sha256
from mm4st_agent.data.formats import read_table
from mm4st_agent.data.panel import Panel
from mm4st_agent.errors import DataError, UsageError

WIDE = "time,a,b\n2022-01-01 00:00,1,2\n2022-01-01 00:05,3,NA\n2022-01-01 00:10,5,6\n"


def read(folder: Path, text: str, **options: Any) -> Panel:
    path = folder / "table.csv"
    path.write_text(text, encoding="utf-8")
    return read_table(path, name="mine", **options)


def fails(folder: Path, text: str, **options: Any) -> str:
    with pytest.raises(DataError) as caught:
        read(folder, text, **options)
    return str(caught.value)


def test_wide_table(tmp_path: Path) -> None:
    panel = read(tmp_path, WIDE, unit="mph", channel="speed", time_zone="US/Pacific")

    assert panel.node_ids == ["a", "b"]
    assert panel.step_s == 300
    assert panel.times[0] == pd.Timestamp("2022-01-01T00:00", tz="US/Pacific")
    assert panel.card.channels[0].unit == "mph"
    np.testing.assert_array_equal(panel.values("speed"), np.array([[1, 2], [3, np.nan], [5, 6]], dtype=np.float32))
    assert panel.card.files == {"table.csv": file_sha256(tmp_path / "table.csv")}
    assert not panel.imputed().any()


def test_rows_are_sorted_and_gaps_filled_with_nan(tmp_path: Path) -> None:
    text = "time,a\n2022-01-01 00:20,5\n2022-01-01 00:00,1\n2022-01-01 00:05,2\n2022-01-01 00:10,3\n"

    panel = read(tmp_path, text)

    np.testing.assert_array_equal(panel.values()[:, 0], np.array([1, 2, 3, np.nan, 5], dtype=np.float32))


def test_long_table_equals_wide(tmp_path: Path) -> None:
    long = (
        "time,sensor_id,value\n"
        "2022-01-01 00:05,a,3\n2022-01-01 00:00,a,1\n2022-01-01 00:00,b,2\n2022-01-01 00:10,b,6\n2022-01-01 00:10,a,5\n"
    )

    panel = read(tmp_path, long)

    wide = read(tmp_path, WIDE)
    assert panel.node_ids == wide.node_ids
    np.testing.assert_array_equal(panel.values(), wide.values())
    assert panel.times.equals(wide.times)


def test_layout_can_be_forced(tmp_path: Path) -> None:
    text = "time,where,value\n2022-01-01,x,1\n2022-01-02,x,2\n"

    assert read(tmp_path, text, layout="long").node_ids == ["x"]
    assert "'x' is not a number" in fails(tmp_path, text)
    assert "has three" in fails(tmp_path, "time,a,b,c\n2022-01-01,1,2,3\n", layout="long")


def test_gzip_semicolons_byte_order_mark_and_blank_lines(tmp_path: Path) -> None:
    path = tmp_path / "table.csv.gz"
    path.write_bytes(gzip.compress(("\ufeff" + WIDE.replace(",", ";").replace("\n", "\n\n")).encode()))

    np.testing.assert_array_equal(read_table(path, name="mine").values(), read(tmp_path, WIDE).values())


@pytest.mark.parametrize("index", [True, False])
def test_parquet(tmp_path: Path, index: bool) -> None:
    frame = pd.DataFrame(
        {"a": [1.0, np.nan, 3.0], "b": [4, 5, 6]},
        index=pd.date_range("2022-01-01", periods=3, freq="h", tz="Asia/Tokyo"),
    )
    (frame if index else frame.reset_index(names="time")).to_parquet(tmp_path / "t.parquet")

    panel = read_table(tmp_path / "t.parquet", name="mine", time_zone="Asia/Tokyo")

    assert panel.times[0] == pd.Timestamp("2021-12-31T15:00", tz="UTC")
    np.testing.assert_array_equal(panel.values(), np.array([[1, 4], [np.nan, 5], [3, 6]], dtype=np.float32))


def test_offsets_beat_the_time_zone(tmp_path: Path) -> None:
    text = "time,a\n2022-01-01T00:00+01:00,1\n2022-01-01T00:00Z,2\n2022-01-01T02:00+01:00,3\n"

    panel = read(tmp_path, text, time_zone="US/Pacific")

    assert panel.times[0] == pd.Timestamp("2021-12-31T23:00Z")
    assert panel.step_s == 3600


def test_the_repeated_hour_in_autumn_is_told_apart_by_order(tmp_path: Path) -> None:
    text = "time,a\n2022-10-30 01:00,1\n2022-10-30 02:00,2\n2022-10-30 02:00,3\n2022-10-30 03:00,4\n"

    panel = read(tmp_path, text, time_zone="Europe/Zurich")

    assert panel.step_s == 3600
    np.testing.assert_array_equal(panel.values()[:, 0], np.float32([1, 2, 3, 4]))
    message = fails(tmp_path, text.replace("2022-10-30 02:00,3\n", ""), time_zone="Europe/Zurich")
    assert "row 3" in message
    assert "occurs twice" in message


def test_the_missing_hour_in_spring_is_refused(tmp_path: Path) -> None:
    text = "time,a\n2022-03-27 01:00,1\n2022-03-27 02:30,2\n"

    message = fails(tmp_path, text, time_zone="Europe/Zurich")

    assert "row 3" in message
    assert "does not exist in Europe/Zurich" in message


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ["is empty"]),
        ("time,a\n", ["no rows"]),
        ("time\n2022-01-01\n", ["only the column 'time'"]),
        ("a,b\n1,2\n3,4\n", ["no time column", "a, b"]),
        ("time,a\n2022-01-01,1\nyesterday,2\n", ["row 3", "'time'", "'yesterday'", "ISO 8601"]),
        ("time,a\n2022-01-01,1\n,2\n", ["row 3", "'time'", "''"]),
        ("time,a\n2022-01-01,1\n\n2022-01-02,ten\n", ["row 4", "'a'", "'ten'"]),
        ("time,a\n2022-01-01,1\n2022-01-02,inf\n", ["row 3", "'inf'"]),
        ('time,a\n2022-01-01,1\n2022-01-02,"1,5"\n', ["row 3", "'1,5'", "point"]),
        ("time,a\n2022-01-01,1\n2022-01-01,2\n2022-01-02,2\n", ["rows 2, 3", "2022-01-01T00:00:00", "2 times"]),
        ("time,node,value\n2022-01-01,x,1\n2022-01-01,x,2\n", ["rows 2, 3", "'x'"]),
        ("time,node,value\n2022-01-01,x,1\n2022-01-02,,2\n", ["row 3", "node is empty"]),
        ("time,a\n2022-01-01,1\n", ["one time stamp"]),
        ("time,a,a\n2022-01-01,1,2\n", ["'a' is empty or appears twice"]),
        ("time,a\n2022-01-01,1\n2022-01-02,1,3\n", ["line 3"]),
        ("time,a\n2022-01-01T00:00,1\n2022-01-01T00:05Z,1\n", ["row 3", "has a zone or lacks one"]),
        (
            "time,a\n2022-01-01,1\n2022-01-02,1\n2022-01-03,1\n2022-01-03T07:00,1\n",
            ["2022-01-03T07:00:00", "off the grid"],
        ),
        (
            "time,a\n" + "".join(f"2022-01-01 00:{m:02d},1\n" for m in range(9)) + "2202-01-01 00:00,1\n",
            ["longest gap", "2202-01-01", "Is a stamp wrong?"],
        ),
        ("time,a\n25/12/2022,1\n26/12/2022,1\n", ["row 2", "'25/12/2022'", "time_format"]),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, parts: list[str]) -> None:
    message = fails(tmp_path, text)

    assert "table.csv" in message
    for part in parts:
        assert part in message


def test_a_time_format_reads_other_stamps(tmp_path: Path) -> None:
    panel = read(tmp_path, "date,a\n03/04/2022,1\n04/04/2022,2\n", time_format="%d/%m/%Y")

    assert panel.times[0] == pd.Timestamp("2022-04-03", tz="UTC")


def test_files_that_are_no_tables(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_bytes(b"not parquet")
    (tmp_path / "x.csv.gz").write_bytes(b"not gzip")
    (tmp_path / "x.csv").write_bytes(b"time,a\n\xff\xfe,1\n")
    (tmp_path / "x.xlsx").write_bytes(b"")

    for name, part in [
        ("x.parquet", "not a readable Parquet file"),
        ("x.csv.gz", "not a readable CSV"),
        ("x.csv", "not a readable CSV"),
        ("x.xlsx", "neither CSV nor Parquet"),
        ("gone.csv", "There is no file"),
    ]:
        with pytest.raises(DataError, match=part):
            read_table(tmp_path / name, name="mine")


def test_zones_are_checked(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no time zone 'Mars/Olympus'"):
        read_table(tmp_path / "x.csv", name="mine", time_zone="Mars/Olympus")


def test_upper_case_extensions_are_read(tmp_path: Path) -> None:
    (tmp_path / "UP.CSV").write_text(WIDE)
    (tmp_path / "UP.CSV.GZ").write_bytes(gzip.compress(WIDE.encode()))
    read(tmp_path, WIDE).data["value"].to_pandas().rename_axis("time").to_parquet(tmp_path / "UP.PARQUET")

    for name in ("UP.CSV", "UP.CSV.GZ", "UP.PARQUET"):
        assert read_table(tmp_path / name, name="mine").values().shape == (3, 2)


@pytest.mark.parametrize("nodes", ["ab", "aa"])
def test_a_long_table_with_a_further_column_is_told(tmp_path: Path, nodes: str) -> None:
    minute = 0 if nodes == "ab" else 5
    text = f"time,station,flow,speed\n2022-01-01 00:00,{nodes[0]},1,60\n2022-01-01 00:0{minute},{nodes[1]},2,50\n"

    message = fails(tmp_path, text)

    assert "column 'station', but has further columns: speed." in message
    assert "time, station and flow" in message


def test_a_wide_table_may_have_a_column_called_like_a_node(tmp_path: Path) -> None:
    text = "time,site,b,c\n2022-01-01 00:00,1,2,3\n2022-01-01 00:05,4,5,6\n"

    assert read(tmp_path, text).node_ids == ["site", "b", "c"]


def test_the_card_says_what_the_importer_said(tmp_path: Path) -> None:
    card = read(tmp_path, WIDE, domain="traffic", place_word="station", time_label="start", channel="speed").card

    assert (card.domain, card.place_word, card.time_label) == ("traffic", "station", "start")
    assert card.channels[0].name == "speed"


def test_steps_are_named_in_words(tmp_path: Path) -> None:
    rows = "".join(f"2022-01-01 00:{minute:02d},1\n" for minute in (0, 5, 10, 15, 17))

    assert "off the grid of 5 minutes that" in fails(tmp_path, "time,a\n" + rows)


def test_a_table_without_any_reading_is_refused(tmp_path: Path) -> None:
    assert "holds no reading" in fails(tmp_path, "time,a\n2022-01-01 00:00,\n2022-01-01 00:05,NA\n")
    assert np.isnan(read(tmp_path, "time,a,b\n2022-01-01 00:00,,1\n2022-01-01 00:05,NA,2\n").values()[:, 0]).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channel": "time"}, "'time' cannot name what was measured"),
        ({"channel": " "}, "' ' cannot name what was measured"),
        ({"time_format": "%Q"}, "'%Q' is not a time format"),
        ({"time_format": "%d/%Z%z"}, "is not a time format"),
    ],
)
def test_options_that_cannot_be_are_refused(tmp_path: Path, options: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read(tmp_path, WIDE, **options)
