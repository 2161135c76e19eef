"""Stamps become UTC instants on an even grid, and what was mended on the way is said."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mm4st_agent.data.importing.draft import Finding
from mm4st_agent.data.importing.grid import Grid, even_grid, in_short, in_words
from mm4st_agent.data.importing.times import Instants, instants, zone_of
from mm4st_agent.errors import DataError, MM4STError, UsageError

PATH = Path("t.csv")


def read(stamps: list[object] | pd.Series, zone: str = "UTC", time_format: str | None = None) -> Instants:
    series = stamps if isinstance(stamps, pd.Series) else pd.Series(stamps)
    if series.index[0] == 0:
        series = series.set_axis(pd.RangeIndex(2, len(series) + 2)).rename("time")
    return instants(PATH, series, zone_of(zone), time_format)


def utc(found: Instants) -> list[str]:
    return [f"{pd.Timestamp(int(ns)):%Y-%m-%dT%H:%M}" for ns in found.ns[found.kept]]


def grid(stamps: list[str], step_s: float | None = None) -> Grid:
    ns = pd.DatetimeIndex(pd.to_datetime(pd.Series(stamps), format="ISO8601")).as_unit("ns").asi8
    return even_grid(PATH, ns, pd.RangeIndex(2, len(ns) + 2), step_s)


def said(findings: tuple[Finding, ...], what: str) -> str:
    return next((f"{found.value}: {found.why}" for found in findings if found.what == what), "")


# -- reading stamps --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "stamps",
    [
        ["2022-01-25T07:30", "2022-01-25T07:35"],
        ["2022-01-25 07:30:00.0000000", "2022-01-25 07:35:00.0000000"],
        ["2022/01/25 07:30", "2022/01/25 07:35"],
        ["2022/1/25 7:30", "2022/1/25 7:35"],
        ["2022-1-25 7:30:00", "2022-1-25 7:35:00"],
        ["20220125T0730", "20220125T0735"],
        ["2022-01-25T07:30Z", "2022-01-25T07:35Z"],
        ["2022-01-25T08:30+01:00", "2022-01-25T09:35+02:00"],
        [1643095800, 1643096100],
        [1643095800.0, 1643096100.0],
        ["1643095800", "1643096100"],
        [1643095800000, 1643096100000],
        [1643095800 * 10**6, 1643096100 * 10**6],
        [1643095800 * 10**9, 1643096100 * 10**9],
        [202201250730, 202201250735],
        ["20220125073000", "20220125073500"],
        [datetime(2022, 1, 25, 7, 30), datetime(2022, 1, 25, 7, 35)],
        [pd.Timestamp("2022-01-25T08:30+01:00"), pd.Timestamp("2022-01-25T08:35+01:00")],
    ],
)
def test_stamps_in_many_forms(stamps: list[object]) -> None:
    assert utc(read(stamps)) == ["2022-01-25T07:30", "2022-01-25T07:35"]


def test_nanoseconds_are_not_rounded() -> None:
    assert read(["1643095800000000001", "1643095800000000003"]).ns.tolist() == [
        1643095800000000001,
        1643095800000000003,
    ]


def test_dates_of_digits_are_no_epoch() -> None:
    found = read([20120301, 20120302])

    assert utc(found) == ["2012-03-01T00:00", "2012-03-02T00:00"]
    assert "digits of a date" in said(found.findings, "time stamps")


@pytest.mark.parametrize(
    ("stamps", "time_format", "message"),
    [
        (["03/04/2022", "04/04/2022"], None, "row 2, column 'time': '03/04/2022' is not a time stamp. Write ISO 8601"),
        (["2022-01-01", ""], None, "row 3, column 'time': '' is not a time stamp"),
        (["2022-02-30", "2022-03-01"], None, "row 2, column 'time': '2022-02-30'"),
        ([0, 1, 2], None, "row 2, column 'time': 0 is not a time stamp. Epoch numbers"),
        ([1643095800, 5], None, "row 3, column 'time': 5 is not"),
        (["2022-01-01T00:00", "2022-01-01T00:05Z"], None, "row 3, column 'time': '2022-01-01T00:05Z' has a zone"),
        (["2022-01-01", "2022-01-02"], "%d/%m/%Y", "row 2, column 'time': '2022-01-01' is not"),
        (["2022-01-01"], "%Q", "'%Q' is not a time format"),
        (pd.Series(pd.to_datetime(["2022-01-01", None]), index=[2, 3], name="time"), None, "row 3, column 'time': no"),
    ],
)
def test_stamps_that_cannot_be_read(stamps: list[object], time_format: str | None, message: str) -> None:
    with pytest.raises(MM4STError) as caught:
        read(stamps, time_format=time_format)

    assert message in str(caught.value)


def test_an_unknown_zone_is_refused() -> None:
    with pytest.raises(UsageError, match="no time zone 'Mars/Olympus'"):
        zone_of("Mars/Olympus")


# -- clock changes ---------------------------------------------------------------------------


def test_the_repeated_hour_is_told_apart_by_order() -> None:
    clock = ["01:45", "02:00", "02:15", "02:30", "02:45", "02:00", "02:15", "02:30", "02:45", "03:00"]

    found = read([f"2022-10-30 {time}" for time in clock], "Europe/Zurich")

    assert np.diff(found.ns).tolist() == [900 * 10**9] * 9
    assert said(found.findings, "repeated hour").startswith("8 rows")


def test_the_repeated_hour_with_rows_missing() -> None:
    clock = ["01:45", "02:00", "02:45", "02:00", "02:15", "02:30", "03:00"]

    found = read([f"2022-10-30 {time}" for time in clock], "Europe/Zurich")

    assert utc(found)[1:-1] == [f"2022-10-30T0{t}" for t in ("0:00", "0:45", "1:00", "1:15", "1:30")]


def test_the_newest_row_may_come_first() -> None:
    clock = ["01:00", "02:00", "02:30", "02:00", "02:30", "03:00"]
    forward = read([f"2022-10-30 {time}" for time in clock], "Europe/Zurich")

    backward = read([f"2022-10-30 {time}" for time in clock[::-1]], "Europe/Zurich")

    assert backward.ns.tolist() == forward.ns.tolist()[::-1]


def test_a_single_row_of_the_repeated_hour_counts_as_the_first() -> None:
    found = read([f"2022-10-30 0{hour}:00" for hour in (1, 2, 3)], "Europe/Zurich")

    assert utc(found) == ["2022-10-29T23:00", "2022-10-30T00:00", "2022-10-30T02:00"]
    assert "row 3" in said(found.findings, "repeated hour")
    assert "they count as the first" in said(found.findings, "repeated hour")


def test_a_stamp_in_the_skipped_hour_counts_by_the_offset_before() -> None:
    found = read(["2022-03-27 01:30", "2022-03-27 02:00", "2022-03-27 02:30"], "Europe/Zurich")

    assert utc(found) == ["2022-03-27T00:30", "2022-03-27T01:00", "2022-03-27T01:30"]
    assert found.kept.all()
    assert "row 3" in said(found.findings, "skipped hour")


def test_a_skipped_stamp_that_collides_is_dropped() -> None:
    found = read([f"2022-03-27 0{hour}:00" for hour in (1, 2, 3, 4)], "Europe/Zurich")

    assert utc(found) == ["2022-03-27T00:00", "2022-03-27T01:00", "2022-03-27T02:00"]
    assert found.kept.tolist() == [True, False, True, True]
    assert "1 rows were dropped" in said(found.findings, "skipped hour")


def test_half_an_hour_on_lord_howe() -> None:
    """The clock goes from 02:00 to 02:30 there, so 02:10 is 02:40 by the new offset."""
    found = read(["2022-10-02 01:50", "2022-10-02 02:10", "2022-10-02 02:50"], "Australia/Lord_Howe")

    assert np.diff(found.ns).tolist() == [20 * 60 * 10**9, 10 * 60 * 10**9]


def test_a_whole_year_of_local_hours_is_even() -> None:
    true = pd.date_range("2022-01-01", "2022-12-31 23:00", freq="h", tz="US/Pacific")

    found = read(pd.Series(true.tz_localize(None).astype("str"), index=range(2, len(true) + 2)), "US/Pacific")

    np.testing.assert_array_equal(found.ns, true.as_unit("ns").asi8)


def test_local_days_without_a_clock_change_are_where_they_are() -> None:
    found = read(["2021-03-20 11:00", "2021-03-21 11:00", "2021-03-22 11:00"], "Australia/Lord_Howe")

    assert utc(found) == ["2021-03-20T00:00", "2021-03-21T00:00", "2021-03-22T00:00"]
    assert not found.findings


def test_local_days_are_24_hours_and_keep_their_date() -> None:
    days = pd.date_range("2022-01-01", "2022-12-31", freq="D")

    found = read(pd.Series(days, index=range(2, len(days) + 2)), "US/Pacific")

    assert set(np.diff(found.ns)) == {86_400 * 10**9}
    local = pd.DatetimeIndex(found.ns.astype("datetime64[ns]"), tz="UTC").tz_convert("US/Pacific")
    assert (local.tz_localize(None).normalize() == days).all()
    assert "midnight of standard time" in said(found.findings, "days")
    assert not read(pd.Series(days[:30], index=range(30)), "US/Pacific").findings


# -- the grid --------------------------------------------------------------------------------


def test_the_step_is_the_most_frequent_one_and_gaps_stay() -> None:
    found = grid(["2022-01-01 00:00", "2022-01-01 00:05", "2022-01-01 00:20", "2022-01-01 00:10"])

    assert (found.step_ns, found.length, found.cells.tolist()) == (300 * 10**9, 5, [0, 1, 4, 2])
    assert said(found.findings, "gaps").startswith("1 of 5 steps")


def test_a_step_is_found_where_half_of_the_rows_are_absent() -> None:
    stamps = [f"2022-01-01 {m // 60:02d}:{m % 60:02d}" for m in range(0, 600, 5) if m % 15 != 5 or m > 450]

    assert grid(stamps).step_ns == 300 * 10**9


def test_irregular_stamps_go_to_the_nearest_step() -> None:
    stamps = [f"2022-01-01 0{h}:{m:02d}:00" for h in range(3) for m in range(0, 60, 5)]
    stamps[7] = "2022-01-01 00:36:10"

    found = grid(stamps)

    assert found.cells.tolist() == list(range(36))
    why = said(found.findings, "irregular stamps")
    assert why.startswith("1 rows")
    assert "row 9: 2022-01-01T00:36:10 to 2022-01-01T00:35:00 UTC" in why


def test_stamps_that_jitter_find_the_round_step() -> None:
    rng = np.random.default_rng(0)
    times = pd.date_range("2022-01-01", periods=200, freq="10min") + pd.to_timedelta(rng.integers(-9, 10, 200), "s")

    found = grid([str(time) for time in times])

    assert found.step_ns == 600 * 10**9
    assert found.cells.tolist() == list(range(200))
    assert found.time[0] == pd.Timestamp("2022-01-01")


def test_a_stated_step_merges_rows() -> None:
    found = grid([f"2022-01-01 00:{minute:02d}" for minute in range(30)], step_s=600)

    assert found.length == 4
    assert found.time[0] == pd.Timestamp("2022-01-01")
    assert said(found.findings, "irregular stamps").startswith("27 rows")


@pytest.mark.parametrize(
    ("stamps", "step_s", "parts"),
    [
        (["2022-01-01"], None, ["one time stamp, 2022-01-01T00:00:00"]),
        (["2022-01-01 00:00:00.1", "2022-01-01 00:00:00.2", "2022-01-01 00:00:00.3"], None, ["0.1 seconds", "step_s"]),
        ([f"2022-{month:02d}-01" for month in range(1, 13)], None, ["one row a month"]),
        (
            [str(pd.Timestamp("2022-01-01") + pd.Timedelta(minutes=int(m))) for m in np.cumsum(np.arange(50) % 17 * 7)],
            None,
            ["mostly irregular", "--step 300", "--layout records"],
        ),
        ([f"2022-01-01 00:{m:02d}" for m in range(9)] + ["2202-01-01"], None, ["longest gap", "2202-01-01"]),
    ],
)
def test_stamps_without_a_grid(stamps: list[str], step_s: float | None, parts: list[str]) -> None:
    with pytest.raises(DataError) as caught:
        grid(stamps, step_s)

    for part in parts:
        assert part in str(caught.value)


def test_steps_in_words() -> None:
    assert [in_words(s * 10**9) for s in (86_400, 300, 90)] == ["1 day", "5 minutes", "90 seconds"]
    assert [in_short(s * 10**9) for s in (86_400, 300, 3600, 90)] == ["day", "5 min", "h", "90 s"]
