"""Plain tables become panels with the same values; what is wrong with a table is said with row, column and value."""

from __future__ import annotations

import gzip
import tempfile
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mm4st_agent.data.card import file_sha256
from mm4st_agent.data.importing import long, parquet, spool, textfile
from mm4st_agent.data.importing.assemble import assemble
from mm4st_agent.data.importing.draft import Draft, Layers
from mm4st_agent.data.importing.inspect import draft_panel
from mm4st_agent.data.importing.options import ImportOptions
from mm4st_agent.data.importing.tables import read_tables
from mm4st_agent.data.panel import Panel
from mm4st_agent.errors import DataError, MM4STError, UsageError

WIDE = "time,a,b\n2022-01-01 00:00,1,2\n2022-01-01 00:05,3,NA\n2022-01-01 00:10,5,6\n"


def draft_of(path: Path, **stated: Any) -> Draft:
    options = ImportOptions(**stated)
    return assemble("mine", read_tables(path, options), Layers(), options)


def panel_of(path: Path, **stated: Any) -> Panel:
    return draft_panel(draft_of(path, **stated))


def read(folder: Path, text: str, file: str = "table.csv", **stated: Any) -> Panel:
    (folder / file).write_text(text, encoding="utf-8")
    return panel_of(folder / file, **stated)


def fails(folder: Path, text: str, **stated: Any) -> str:
    with pytest.raises(DataError) as caught:
        read(folder, text, **stated)
    return str(caught.value)


def said(draft: Draft, what: str) -> list[str]:
    return [f"{finding.value}: {finding.why}" for finding in draft.findings if finding.what == what]


# -- wide ------------------------------------------------------------------------------------


def test_wide_table(tmp_path: Path) -> None:
    panel = read(tmp_path, WIDE, units={"speed": "mph"}, channel="speed", time_zone="US/Pacific")

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


def test_a_table_without_stamps_takes_the_stated_start_and_step(tmp_path: Path) -> None:
    text = "773869,767541\n64.5,67\n62.5,68\n"

    panel = read(tmp_path, text, start="2012-03-01", step_s=300, time_zone="US/Pacific")

    assert panel.node_ids == ["773869", "767541"]
    assert panel.times[1] == pd.Timestamp("2012-03-01T00:05", tz="US/Pacific")
    message = fails(tmp_path, text)
    assert "has no time column; its columns are 773869, 767541." in message
    assert "--start 2012-03-01 --step 300" in message


def test_a_table_without_header_is_numbered(tmp_path: Path) -> None:
    panel = read(tmp_path, "64.5,67.1\n62.5,68\n1,2\n", start="2012-03-01", step_s=300)

    assert panel.node_ids == ["0", "1"]
    assert panel.values()[:, 1].tolist() == pytest.approx([67.1, 68, 2])


@pytest.mark.parametrize(
    ("header", "channels", "nodes"),
    [
        ("time,PM2.5,NO2,TEMP,RAIN", ["PM2.5", "NO2"], ["table"]),
        ("time,flow,speed,occupancy,wd", ["flow", "speed", "occupancy", "wd"], ["table"]),
        ("time,temp,rain,humidity,pressure", ["temp", "rain", "humidity", "pressure"], ["table"]),
        ("time,s1,s2,s3,s4", ["value"], ["s1", "s2", "s3", "s4"]),
        ("time,s1,s2,temp,rain", ["value"], ["s1", "s2"]),
        ("time,speed_1,speed_2,speed_3,speed_4", ["speed"], ["speed_1", "speed_2", "speed_3", "speed_4"]),
    ],
)
def test_quantities_of_one_place_are_no_nodes(
    tmp_path: Path, header: str, channels: list[str], nodes: list[str]
) -> None:
    panel = read(tmp_path, header + "\n2022-01-01 00:00,1,2,3,4\n2022-01-01 00:05,5,6,7,8\n")

    names = [channel.name for channel in panel.card.channels if channel.name != "wd"]
    assert names == [name for name in channels if name != "wd"]
    assert panel.node_ids == nodes
    beside = set(header.split(",")[1:]) - set(nodes) - set(names)
    assert beside == {str(name) for name in panel.covariates.data_vars}


def test_options_override_what_names_suggest(tmp_path: Path) -> None:
    text = "time,PM2.5,NO2\n2022-01-01 00:00,1,2\n2022-01-01 00:05,5,6\n"

    assert read(tmp_path, text, layout="wide").node_ids == ["PM2.5", "NO2"]
    panel = read(tmp_path, text, channels=("NO2", "PM2.5"))
    assert [channel.name for channel in panel.card.channels] == ["NO2", "PM2.5"]
    panel = read(tmp_path, text, covariates=("NO2",))
    assert panel.covariates["NO2"].values.tolist() == [2, 6]


def test_units_in_headers(tmp_path: Path) -> None:
    panel = read(tmp_path, "time,speed (km/h),temp[C]\n2022-01-01 00:00,1,2\n2022-01-01 00:05,5,6\n")

    assert (panel.card.channels[0].name, panel.card.channels[0].unit) == ("speed", "km/h")
    assert panel.covariates["temp"].attrs["units"] == "°C"


def test_an_index_column_that_pandas_wrote_is_left_out(tmp_path: Path) -> None:
    pd.DataFrame({"time": pd.date_range("2022-01-01", periods=3, freq="h"), "a": [1.0, 2, 3]}).to_csv(
        tmp_path / "t.csv"
    )
    pd.DataFrame({"a": [1.0, 2, 3]}, index=pd.date_range("2022-01-01", periods=3, freq="h")).to_csv(tmp_path / "i.csv")

    for name in ("t.csv", "i.csv"):
        panel = panel_of(tmp_path / name)
        assert panel.node_ids == ["a"]
        assert panel.values()[:, 0].tolist() == [1, 2, 3]


def test_a_time_column_may_have_any_name(tmp_path: Path) -> None:
    panel = read(tmp_path, "a,when it was\n1,2022-01-01 00:00\n2,2022-01-01 00:05\n")

    assert panel.node_ids == ["a"]
    assert panel.step_s == 300


@pytest.mark.parametrize(
    ("header", "rows"),
    [
        ("year,month,day,hour,a", ["2013,3,1,0,1", "2013,3,1,1,2"]),
        ("Date,Time,a", ["2013-03-01,00:00:00,1", "2013-03-01,01:00:00,2"]),
        ("Date;Time;a", ["2013-03-01;00.00.00;1", "2013-03-01;01.00.00;2"]),
    ],
)
def test_stamps_in_several_columns(tmp_path: Path, header: str, rows: list[str]) -> None:
    panel = read(tmp_path, "\n".join([header, *rows]) + "\n")

    assert panel.times[0] == pd.Timestamp("2013-03-01", tz="UTC")
    assert panel.step_s == 3600
    assert panel.node_ids == ["a"]


def test_covariates_of_words(tmp_path: Path) -> None:
    text = (
        "time,PM2.5,wd,holiday\n2022-01-01 00:00,1,NNW,True\n2022-01-01 00:05,5,,False\n2022-01-01 00:10,5,cv,False\n"
    )

    covariates = read(tmp_path, text).covariates

    np.testing.assert_array_equal(covariates["wd"].values, np.float32([337.5, np.nan, np.nan]))
    assert covariates["holiday"].values.tolist() == [1, 0, 0]
    assert covariates["holiday"].attrs["known_future"]
    assert "known_future" not in covariates["wd"].attrs


# -- long ------------------------------------------------------------------------------------


def test_long_table_equals_wide(tmp_path: Path) -> None:
    text = (
        "time,sensor_id,value\n"
        "2022-01-01 00:05,a,3\n2022-01-01 00:00,a,1\n2022-01-01 00:00,b,2\n2022-01-01 00:10,b,6\n2022-01-01 00:10,a,5\n"
    )

    panel = read(tmp_path, text)

    wide = read(tmp_path, WIDE)
    assert panel.node_ids == wide.node_ids
    np.testing.assert_array_equal(panel.values(), wide.values())
    assert panel.times.equals(wide.times)


def test_layout_can_be_forced(tmp_path: Path) -> None:
    text = "time,where,value\n2022-01-01,x,1\n2022-01-02,x,2\n"

    assert read(tmp_path, text, layout="long").node_ids == ["x"]
    assert "'x' is not a number" in fails(tmp_path, text)
    assert read(tmp_path, text, node_column="where").node_ids == ["x"]


def test_a_long_table_of_several_quantities(tmp_path: Path) -> None:
    text = (
        "time,station,lat,lon,flow,speed,temp\n"
        "2022-01-01 00:00,a,1.5,2.5,10,60,7\n2022-01-01 00:00,b,3,4,20,50,7\n2022-01-01 00:05,a,1.5,2.5,30,40,8\n"
    )

    panel = read(tmp_path, text)

    assert [channel.name for channel in panel.card.channels] == ["flow", "speed"]
    assert panel.card.channels[0].aggregation == "sum"
    assert panel.card.channels[0].unit == "vehicles/5 min"
    np.testing.assert_array_equal(panel.values("speed"), np.float32([[60, 50], [40, np.nan]]))
    assert panel.covariates["temp"].dims == ("time",)
    assert panel.nodes["lat"].tolist() == [1.5, 3]


def test_a_covariate_that_differs_between_nodes_keeps_its_nodes(tmp_path: Path) -> None:
    text = "time,station,flow,temp\n2022-01-01 00:00,a,1,7\n2022-01-01 00:00,b,2,9\n2022-01-01 00:05,b,2,9\n"

    temp = read(tmp_path, text).covariates["temp"]

    np.testing.assert_array_equal(temp.values, np.float32([[7, 9], [np.nan, 9]]))


def test_the_order_of_a_long_table_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By node, by time, and shuffled; with many buckets, and through the temporary file."""
    monkeypatch.setattr(long, "BUCKET", 7)
    monkeypatch.setattr(long, "BLOCK_BYTES", 1000)
    monkeypatch.setattr(spool, "MEMORY_BYTES", 1000)
    monkeypatch.setattr(textfile, "CHUNK_BYTES", 4096)
    rng = np.random.default_rng(0)
    times = pd.date_range("2022-01-01", periods=60, freq="15min").astype("str")
    frame = pd.DataFrame([(t, f"n{i}", round(rng.random(), 3)) for i in range(9) for t in times])
    frame.columns = ["time", "node", "value"]
    wide = frame.pivot(index="time", columns="node", values="value").to_numpy(dtype=np.float32)

    for order in (frame, frame.sort_values("time", kind="stable"), frame.sample(frac=1, random_state=1)):
        order.to_csv(tmp_path / "t.csv", index=False)
        panel = panel_of(tmp_path / "t.csv")
        np.testing.assert_array_equal(panel.only([f"n{i}" for i in range(9)]).values(), wide)


def test_the_repeated_hour_of_a_long_table(tmp_path: Path) -> None:
    rows = [(f"2022-10-30 0{hour}:00", node) for hour in (1, 2, 2, 3) for node in "ab"]
    text = "time,node,value\n" + "".join(f"{t},{n},{i}\n" for i, (t, n) in enumerate(rows))
    by_node = "time,node,value\n" + "".join(f"{t},{n},{i}\n" for n in "ab" for i, (t, m) in enumerate(rows) if m == n)

    for each in (text, by_node):
        panel = read(tmp_path, each, time_zone="Europe/Zurich")
        np.testing.assert_array_equal(panel.values(), np.float32([[0, 1], [2, 3], [4, 5], [6, 7]]))


def test_a_wide_table_may_have_a_column_called_like_a_node(tmp_path: Path) -> None:
    text = "time,site,b,c\n2022-01-01 00:00,1,2,3\n2022-01-01 00:05,4,5,6\n"

    assert read(tmp_path, text).node_ids == ["site", "b", "c"]


def test_a_node_with_very_many_rows_at_a_stamp_is_no_long_table(tmp_path: Path) -> None:
    text = "time,node,value\n" + "2022-01-01 00:00,a,1\n" * 150 + "2022-01-01 00:01,a,1\n"

    message = fails(tmp_path, text, layout="long")

    assert "the node 'a' has more than 100 rows" in message
    assert "--layout records" in message


# -- records ---------------------------------------------------------------------------------


def test_records_are_counted_and_summed(tmp_path: Path) -> None:
    text = "t,Tokens\n2023-11-16 18:17:03.9799600,5\n2023-11-16 18:17:59.9,7\n2023-11-16 18:19:00,1\n"

    panel = read(tmp_path, text, "trace.csv", layout="records", channel="requests")

    assert panel.node_ids == ["trace"]
    assert panel.values("requests")[:, 0].tolist() == [2, 0, 1]
    assert panel.values("Tokens")[:, 0].tolist() == [12, 0, 1]
    channel = panel.channel("requests")
    assert (channel.unit, channel.aggregation, channel.total_unit) == ("requests/min", "sum", "requests")
    assert panel.card.time_label == "start"
    assert panel.times[0] == pd.Timestamp("2023-11-16T18:17", tz="UTC")


def test_records_by_node_and_step(tmp_path: Path) -> None:
    text = "time,host,ms\n2023-11-16 18:17,a,5\n2023-11-16 18:18,b,\n2023-11-16 18:24,b,1\n"

    draft = (tmp_path / "t.csv").write_text(text) and draft_of(tmp_path / "t.csv", layout="records", step_s=300)

    panel = draft_panel(draft)
    assert panel.values("count").tolist() == [[1, 1], [0, 1]]
    assert panel.values("ms").tolist() == [[5, 0], [0, 1]]
    assert panel.channel("count").unit == "records/5 min"
    assert said(draft, "empty cells") == ["1 cells: They add nothing to the sums."]


def test_a_trace_of_requests_is_known_by_its_stamps(real_data: Path) -> None:
    draft = draft_of(real_data / "azure_llm_trace" / "AzureLLMInferenceTrace_code.csv")

    panel = draft_panel(draft)
    assert panel.values("count").sum() == 8819
    assert panel.step_s == 60
    assert said(draft, "layout")[0].startswith("records")


# -- files -----------------------------------------------------------------------------------


def test_gzip_semicolons_byte_order_mark_and_blank_lines(tmp_path: Path) -> None:
    path = tmp_path / "table.csv.gz"
    path.write_bytes(gzip.compress(("\ufeff" + WIDE.replace(",", ";").replace("\n", "\n\n")).encode()))

    np.testing.assert_array_equal(panel_of(path).values(), read(tmp_path, WIDE).values())


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le-bom", "utf-16-be-bom"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_encodings_and_line_ends(tmp_path: Path, encoding: str, ending: str) -> None:
    text = WIDE.replace("a,b", "Zürich,b").replace("\n", ending)
    boms = {"utf-16-le-bom": (b"\xff\xfe", "utf-16-le"), "utf-16-be-bom": (b"\xfe\xff", "utf-16-be")}
    bom, name = boms.get(encoding, (b"", encoding))
    (tmp_path / "t.csv").write_bytes(bom + text.encode(name))

    panel = panel_of(tmp_path / "t.csv")

    assert panel.node_ids == ["Zürich", "b"]
    np.testing.assert_array_equal(panel.values(), read(tmp_path, WIDE).values())


def test_a_header_in_windows_1252_is_read_and_said(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(WIDE.replace("a,b", "Zürich,b").encode("cp1252"))

    draft = draft_of(tmp_path / "t.csv")

    assert draft_panel(draft).node_ids == ["Zürich", "b"]
    assert said(draft, "encoding") == ["Windows-1252: The header is not UTF-8; it was read as Windows-1252."]


def test_mixed_encodings_name_the_byte(tmp_path: Path) -> None:
    text = "time,node,value\n2022-01-01,Zürich,1\n".encode() + "2022-01-02,Zürich,1\n".encode("cp1252")
    (tmp_path / "t.csv").write_bytes(text)

    with pytest.raises(DataError, match=f"not UTF-8 at byte {text.index(bytes([0xFC]))}"):
        panel_of(tmp_path / "t.csv")


def test_a_decimal_comma_is_read_and_said(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("time;a;b\n2022-01-01 00:00;1,5;2\n2022-01-01 00:05;-3,25;NA\n")

    draft = draft_of(tmp_path / "t.csv")

    np.testing.assert_array_equal(draft_panel(draft).values(), np.float32([[1.5, 2], [-3.25, np.nan]]))
    assert said(draft, "decimal sign") == ["comma: The cells hold numbers such as 1,5."]


@pytest.mark.parametrize("index", [True, False])
def test_parquet(tmp_path: Path, index: bool) -> None:
    frame = pd.DataFrame(
        {"a": [1.0, np.nan, 3.0], "b": [4, 5, 6]},
        index=pd.date_range("2022-01-01", periods=3, freq="h", tz="Asia/Tokyo"),
    )
    (frame if index else frame.reset_index(names="time")).to_parquet(tmp_path / "t.parquet")

    panel = panel_of(tmp_path / "t.parquet", time_zone="Asia/Tokyo")

    assert panel.times[0] == pd.Timestamp("2021-12-31T15:00", tz="UTC")
    np.testing.assert_array_equal(panel.values(), np.array([[1, 4], [np.nan, 5], [3, 6]], dtype=np.float32))


def test_parquet_of_large_row_groups_is_turned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.random((501, 40)).astype(np.float32), columns=[f"n{i}" for i in range(40)])
    frame.insert(0, "time", pd.date_range("2022-01-01", periods=501, freq="5min"))
    frame.to_parquet(tmp_path / "t.parquet", row_group_size=300)
    whole = panel_of(tmp_path / "t.parquet").values()
    monkeypatch.setattr(parquet, "MAX_GROUP_BYTES", 10_000)
    monkeypatch.setattr(parquet, "BLOCK_BYTES", 20_000)

    turned = panel_of(tmp_path / "t.parquet").values()

    np.testing.assert_array_equal(turned, whole)
    np.testing.assert_array_equal(turned, frame.iloc[:, 1:].to_numpy())


def test_xlsx(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["time", "a", "b"])
    for i in range(3):
        sheet.append([pd.Timestamp("2022-01-01").to_pydatetime() + pd.Timedelta(minutes=5 * i), i + 0.5, None])
    book.create_sheet("notes").append(["nothing"])
    book.save(tmp_path / "t.xlsx")

    draft = draft_of(tmp_path / "t.xlsx")

    np.testing.assert_array_equal(
        draft_panel(draft).values(), np.float32([[0.5, np.nan], [1.5, np.nan], [2.5, np.nan]])
    )
    assert said(draft, "sheet")[0].startswith("Sheet")
    with pytest.raises(UsageError, match="has no sheet 'gone'"):
        panel_of(tmp_path / "t.xlsx", member="gone")


def test_a_formula_without_a_result_names_its_cell(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(["time", "a"])
    book.active.append(["2022-01-01 00:00", 1])
    book.active.append(["2022-01-01 00:05", "=1+1"])
    book.save(tmp_path / "t.xlsx")

    with pytest.raises(DataError, match=r"cell B3: the formula '=1\+1' has no stored result"):
        panel_of(tmp_path / "t.xlsx")


def test_upper_case_extensions_are_read(tmp_path: Path) -> None:
    (tmp_path / "UP.CSV").write_text(WIDE)
    (tmp_path / "UP.CSV.GZ").write_bytes(gzip.compress(WIDE.encode()))
    (tmp_path / "UP.TSV").write_text(WIDE.replace(",", "\t"))
    read(tmp_path, WIDE).data["value"].to_pandas().rename_axis("time").to_parquet(tmp_path / "UP.PARQUET")

    for name in ("UP.CSV", "UP.CSV.GZ", "UP.TSV", "UP.PARQUET"):
        assert panel_of(tmp_path / name).values().shape == (3, 2)


# -- what is wrong ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ["is empty"]),
        ("\n\n", ["is empty"]),
        ("time,a\n", ["no rows"]),
        ("time\n2022-01-01\n", ["only the column 'time'"]),
        ("a,b\n1,2\n3,4\n", ["no time column", "a, b"]),
        ("time,a\n2022-01-01,1\nyesterday,2\n", ["row 3", "'time'", "'yesterday'", "ISO 8601"]),
        ("time,a\n2022-01-01,1\n,2\n", ["row 3", "'time'", "''"]),
        ("time,a\n2022-01-01,1\n\n2022-01-02,ten\n", ["row 4", "'a'", "'ten'"]),
        ("time,a\n2022-01-01,1\n2022-01-02,inf\n", ["row 3", "'inf'"]),
        ("time,a\n2022-01-01,1\n2022-01-02,1e400\n", ["row 3", "'1e400'"]),
        ("time,a\n2022-01-01,1\n2022-01-02,1e39\n", ["row 3", "1e+39", "too large"]),
        ('time,a\n2022-01-01,1\n2022-01-02,"1,5"\n', ["row 3", "'1,5'", "point"]),
        ("time,a\n2022-01-01,1\n2022-01-02,=1+1\n", ["row 3", "'a'", "'=1+1'", "not evaluated"]),
        ("time;a\n2022-01-01;1,5\n2022-01-02;1.500,5\n", ["row 3", "'1.500,5'"]),
        ("time,node,value\n2022-01-01,x,1\n2022-01-02,,2\n", ["row 3", "node is empty"]),
        ("time,a\n2022-01-01,1\n", ["one time stamp"]),
        ("time,a,a\n2022-01-01,1,2\n", ["'a' is empty or appears twice"]),
        ("time,a\n2022-01-01,1\n2022-01-02,1,3\n", ["row 3", "3 fields", "has 2"]),
        ("time,a,b\n2022-01-01,1,2\n2022-01-02,1\n", ["row 3", "2 fields", "has 3"]),
        ("time,a\n2022-01-01T00:00,1\n2022-01-01T00:05Z,1\n", ["row 3", "has a zone or lacks one"]),
        (
            "time,a\n" + "".join(f"2022-01-01 00:{m:02d},1\n" for m in range(9)) + "2202-01-01 00:00,1\n",
            ["longest gap", "2202-01-01", "Is a stamp wrong?"],
        ),
        ("time,a\n25/12/2022,1\n26/12/2022,1\n", ["row 2", "'25/12/2022'", "time_format"]),
        ("time,a\n2022-01-01 00:00,\n2022-01-01 00:05,NA\n", ["holds no reading"]),
        ("time,a\n2022-01-01 00:00,\0\n", ["NUL byte at offset 24"]),
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
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(WIDE.encode() * 100)[:-20])
    (tmp_path / "x.csv").write_bytes(b"time,a\n\xff\xfe,1\n")
    (tmp_path / "x.xlsx").write_bytes(b"")
    (tmp_path / "x.doc").write_bytes(b"")

    for name, part in [
        ("x.parquet", "not a readable Parquet file"),
        ("x.csv.gz", "not a readable CSV"),
        ("cut.csv.gz", "not a readable CSV"),
        ("x.csv", "not UTF-8 at byte 7"),
        ("x.xlsx", "not a readable"),
        ("x.doc", "no table that can be read"),
        ("gone.csv", "There is no file"),
        ("gone.parquet", "There is no file"),
        ("gone.xlsx", "There is no file"),
    ]:
        with pytest.raises(DataError, match=part):
            panel_of(tmp_path / name)


def test_a_table_without_any_reading_in_a_column_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("time,a,b\n2022-01-01 00:00,,1\n2022-01-01 00:05,NA,2\n")

    draft = draft_of(path)

    assert np.isnan(draft_panel(draft).values()[:, 0]).all()
    assert said(draft, "empty nodes") == ["1 of 2: They have no reading at all: a."]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channel": "time"}, "'time' cannot name what was measured"),
        ({"channel": " "}, "' ' cannot name what was measured"),
        ({"time_format": "%Q"}, "'%Q' is not a time format"),
        ({"time_format": "%d/%Z%z"}, "is not a time format"),
        ({"time_zone": "Mars/Olympus"}, "no time zone 'Mars/Olympus'"),
        ({"time_column": "when"}, "has no column 'when'"),
        ({"node_column": "where"}, "has no column 'where'"),
        ({"covariates": ("rain",)}, "has no column 'rain'"),
        ({"units": {"speed": "mph"}}, "no channel or covariate 'speed'"),
    ],
)
def test_options_that_cannot_be_are_refused(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read(tmp_path, WIDE, **options)


# -- hostile files, quickly and in little memory ---------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"x" * (100 * 2**20), "a line of more than 16 MiB"),
        (b"time,a\n" + b"1" * (100 * 2**20), "a line of more than 16 MiB"),
        (b'time,a\n"' + b"1,2\n" * (20 * 2**20), "a quote that never closes"),
        (b'"time,a\n' + b"1,2\n" * (20 * 2**20), "a quote that never closes"),
        (b",".join(b"%d" % i for i in range(10**6)) + b"\n", "1,000,000 columns"),
        (b"\0" * (100 * 2**20), "NUL byte at offset 0"),
    ],
)
def test_a_file_made_to_fill_the_memory(tmp_path: Path, text: bytes, message: str) -> None:
    (tmp_path / "t.csv").write_bytes(text)
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(text, 1))
    del text
    tracemalloc.start()
    try:
        for name in ("t.csv", "t.csv.gz"):
            with pytest.raises(DataError, match=message):
                panel_of(tmp_path / name)
        assert tracemalloc.get_traced_memory()[1] < 150 * 2**20
    finally:
        tracemalloc.stop()


def test_a_cell_with_a_line_break_keeps_the_row_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(textfile, "CHUNK_BYTES", 64)
    rows = "".join(f'2022-01-01 0{i}:00,"a\nb",{i}\n' for i in range(9))

    panel = read(tmp_path, "time,node,value\n" + rows)

    assert panel.node_ids == ["a\nb"]
    assert "row 11" in fails(tmp_path, "time,node,value\n" + rows + "2022-01-01 09:00,x,ten\n")


# -- any table -------------------------------------------------------------------------------

READINGS = st.one_of(st.floats(-1e6, 1e6, width=32), st.just(float("nan")), st.integers(-5, 500).map(float))


@st.composite
def tables(draw: st.DrawFn) -> pd.DataFrame:
    """A wide frame on UTC stamps, with gaps and NaN; its values are exact in 32 bits."""
    step = draw(st.sampled_from(["1min", "5min", "15min", "1h", "1D"]))
    length = draw(st.integers(3, 30))
    nodes = draw(
        st.lists(st.text("abcXYZ0123456789_é ", min_size=1, max_size=6).map(str.strip), min_size=1, max_size=4)
    )
    start = draw(st.datetimes(pd.Timestamp("2021-03-20").to_pydatetime(), pd.Timestamp("2021-11-10").to_pydatetime()))
    times = pd.date_range(pd.Timestamp(start).floor("min"), periods=length, freq=step, tz="UTC")
    names = [f"n{i}{name}".strip() for i, name in enumerate(nodes)]
    cells = draw(st.lists(READINGS, min_size=length * len(names), max_size=length * len(names)))
    frame = pd.DataFrame(np.array(cells).reshape(length, -1), index=times, columns=names)
    keep = np.array(draw(st.lists(st.booleans(), min_size=length, max_size=length)))
    keep[[0, 1, 2]] = True
    return frame[keep]


@settings(max_examples=60, deadline=None)
@given(
    frame=tables(),
    zone=st.sampled_from(["UTC", "Europe/Zurich", "US/Pacific", "Asia/Kolkata", "Australia/Lord_Howe"]),
    local=st.booleans(),
    layout=st.sampled_from(["wide", "long"]),
    kind=st.sampled_from(["csv", "tsv", "csv.gz", "parquet", "xlsx"]),
    shuffle=st.booleans(),
    repeat=st.booleans(),
)
def test_any_table_comes_back_with_the_same_values_or_a_clear_error(
    frame: pd.DataFrame, zone: str, local: bool, layout: str, kind: str, shuffle: bool, repeat: bool
) -> None:
    table = frame.copy()
    # Local stamps of a repeated hour can be told apart by the order of the rows alone.
    local = local and not shuffle and not repeat
    stamps = frame.index.tz_convert(zone).tz_localize(None) if local else frame.index
    table.insert(0, "time", [stamp.isoformat() for stamp in stamps])
    if layout == "long":
        table = table.melt(id_vars="time", var_name="node", value_name="reading")
    if repeat:
        table = pd.concat([table, table.iloc[:2]])
    if shuffle:
        table = table.sample(frac=1, random_state=1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"t.{kind}"
        if kind == "parquet":
            table.to_parquet(path, index=False)
        elif kind == "xlsx":
            table.to_excel(path, index=False)
        else:
            table.to_csv(path, index=False, sep="\t" if kind == "tsv" else ",")
        try:
            draft = draft_of(path, layout=layout, node_column="node" if layout == "long" else None,
                             time_column="time", time_zone=zone, missing=())  # fmt: skip
            panel = draft_panel(draft)
        except MM4STError as error:
            # Nothing but this can be wrong with such a table.
            words = ("holds no reading", "mostly irregular", "longest gap")
            if str(path) in error.message and any(word in error.message for word in words):
                return
            raise
    found = pd.DataFrame(panel.values(), index=panel.times.tz_convert("UTC"), columns=panel.node_ids)
    mended = [finding for finding in draft.findings if finding.status == "mended"]
    if any(finding.what in ("irregular stamps", "days", "repeated hour") for finding in mended):
        return
    expected = frame.astype(np.float32)
    np.testing.assert_array_equal(found.loc[frame.index, list(frame.columns)].to_numpy(), expected.to_numpy())
    assert found.drop(frame.index).isna().all(axis=None)


CELLS = st.sampled_from(
    ["", "1", "-2.5", "1e3", "NA", "ten", "=1+1", "1,5", "inf", "2022-01-01", "2022-01-01 00:05", "1643095800", "a",
     '"', '"a\nb"',
     "NNW", "True", "é", "\0", " ", "1e400", "0x10", "03/04/2022", "9999-12-31", "0001-01-01", "20220101"]
)  # fmt: skip
HEADERS = st.sampled_from(
    ["time", "node", "value", "lat", "year", "month", "day", "flow", "temp", "wd", "id", "", "1", "a"]
)


@settings(max_examples=150, deadline=None)
@given(
    header=st.lists(HEADERS, min_size=1, max_size=4),
    rows=st.lists(st.lists(CELLS, min_size=1, max_size=4), max_size=8),
    separator=st.sampled_from(",;\t"),
    layout=st.sampled_from(["auto", "wide", "long", "records"]),
    start=st.sampled_from([None, "2022-01-01"]),
    tail=st.binary(max_size=6),
)
def test_any_text_is_a_table_or_a_clear_error(
    header: list[str], rows: list[list[str]], separator: str, layout: str, start: str | None, tail: bytes
) -> None:
    text = "\n".join(separator.join(row) for row in [header, *rows])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.csv"
        path.write_bytes(text.encode() + tail)
        try:
            panel = panel_of(path, layout=layout, start=start, step_s=300 if start else None)
        except MM4STError as error:
            if not error.message:
                raise
        else:
            assert np.isfinite(panel.data.to_array().to_numpy()).any()
