"""Any table comes back as it was: imported, stored, opened, exported and imported again; or a clear error says why."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mm4st_agent.data.export import export_table
from mm4st_agent.data.importing.draft import Draft
from mm4st_agent.data.importing.inspect import inspect
from mm4st_agent.data.importing.options import ImportOptions
from mm4st_agent.data.panel import Panel
from mm4st_agent.data.registry import Registry
from mm4st_agent.errors import DataError

ZONES = ("UTC", "Europe/Lisbon", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe")
STARTS = (
    "2024-03-30T20:00", "2024-10-26T21:00", "2024-11-02T20:00", "2024-04-06T08:00", "2023-12-31T22:00", "1999-02-28",
)  # fmt: skip
"""Of UTC; most of them before a clock change of one of the zones."""
STEPS_S = (1, 60, 300, 900, 1800, 3600, 86_400)
READINGS = st.one_of(
    st.floats(width=32, allow_nan=False, allow_infinity=False),
    st.integers(-1000, 1000).map(float),
    st.sampled_from([0.0, -1.0, -999.0, np.nan]),
)
SETTINGS = settings(derandomize=True, deadline=None, max_examples=20)


@dataclasses.dataclass(frozen=True)
class Table:
    """What a file is written from: `(T, N, C)` readings of 32 bits at `(T,)` instants; NaN is missing."""

    time: pd.DatetimeIndex
    step_s: int
    zone: str
    nodes: list[str]
    channels: list[str]
    readings: NDArray[np.float32]


@st.composite
def tables(draw: st.DrawFn, most_channels: int) -> Table:
    length, width, channels = draw(st.integers(4, 30)), draw(st.integers(2, 4)), draw(st.integers(1, most_channels))
    step_s = draw(st.sampled_from(STEPS_S))
    start = pd.Timestamp(draw(st.sampled_from(STARTS)), tz="UTC")
    ids = st.text(st.characters(codec="utf-8", categories=("L", "Nd", "Pd")), min_size=1, max_size=6)
    nodes = draw(st.lists(ids.map(lambda text: f"n{text}"), min_size=width, max_size=width, unique=True))
    size = length * width * channels
    cells = draw(st.lists(READINGS, min_size=size, max_size=size))
    readings = np.array(cells, dtype=np.float32).reshape(length, width, channels)
    # The first and last rows, and each channel, have a reading, so that the table keeps its span.
    readings[[0, -1]] = np.where(np.isnan(readings[[0, -1]]), np.float32(7), readings[[0, -1]])
    return Table(
        time=pd.date_range(start, periods=length, freq=pd.Timedelta(seconds=step_s)),
        step_s=step_s,
        zone=draw(st.sampled_from(ZONES)),
        nodes=nodes,
        channels=["speed", "occupancy", "wert"][:channels],
        readings=readings,
    )


def stamps(table: Table) -> list[str]:
    return [stamp.isoformat() for stamp in table.time.tz_convert(table.zone)]


def stored(path: Path, folder: Path, options: ImportOptions) -> tuple[Draft, Panel]:
    """Imported, written to disk and opened again, by a registry that has never seen it."""
    draft = inspect(path, "city", options)
    Registry(None, folder, {}).add_draft(draft)
    return draft, Registry(None, folder, {}).open("city")


def same(panel: Panel, table: Table) -> None:
    assert panel.node_ids == table.nodes
    assert [channel.name for channel in panel.card.channels] == table.channels
    assert (panel.times == table.time).all()
    assert len(panel.times) == len(table.time)
    for i, name in enumerate(table.channels):
        np.testing.assert_array_equal(panel.values(name), table.readings[..., i])


def mended(draft: Draft) -> set[str]:
    """What was changed; that large readings keep seven digits is no change of what had 32 bits before."""
    return {finding.what for finding in draft.findings if finding.status == "mended"} - {"precision"}


@SETTINGS
@given(table=tables(1), suffix=st.sampled_from([".csv", ".csv.gz", ".parquet"]))
def test_a_wide_table_returns_as_it_was(table: Table, suffix: str) -> None:
    options = ImportOptions(layout="wide", time_zone=table.zone, channel="speed", missing=(), step_s=table.step_s)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        frame = pd.DataFrame(table.readings[..., 0], columns=table.nodes)
        frame.insert(0, "time", stamps(table))
        frame.to_csv(folder / "in.csv", index=False)

        draft, panel = stored(folder / "in.csv", folder / "first", options)
        same(panel, table)
        assert mended(draft) == set()
        export_table(panel, folder / f"out{suffix}")
        draft, again = stored(folder / f"out{suffix}", folder / "second", options)

        same(again, table)
        assert mended(draft) == set()


@SETTINGS
@given(table=tables(3), shuffled=st.booleans(), seed=st.integers(0, 2**16))
def test_a_long_table_returns_channel_by_channel(table: Table, shuffled: bool, seed: int) -> None:
    options = ImportOptions(
        layout="long", time_zone=table.zone, channels=tuple(table.channels), missing=(), step_s=table.step_s
    )
    length, width, _ = table.readings.shape
    frame = pd.DataFrame(table.readings.reshape(length * width, -1), columns=table.channels)
    frame.insert(0, "station", table.nodes * length)
    frame.insert(0, "time", np.repeat(stamps(table), width))
    if shuffled:
        later = np.random.default_rng(seed).permutation(np.arange(width, len(frame)))
        frame = frame.iloc[[*range(width), *later]]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        frame.to_csv(folder / "in.csv", index=False)

        draft, panel = stored(folder / "in.csv", folder / "first", options)
        same(panel, table)
        assert mended(draft) == set()
        for i, channel in enumerate(table.channels):
            if np.isnan(table.readings[..., i]).all():
                continue
            export_table(panel, folder / f"{channel}.parquet", channel)
            back = ImportOptions(layout="wide", time_zone=table.zone, channel=channel, missing=(), step_s=table.step_s)
            part = dataclasses.replace(table, channels=[channel], readings=table.readings[..., [i]])
            _, again = stored(folder / f"{channel}.parquet", folder / f"second-{i}", back)
            same(again, part)


@SETTINGS
@given(table=tables(1), data=st.data())
def test_rows_that_are_absent_or_repeated_are_said(table: Table, data: st.DataObject) -> None:
    """Of several rows with a stamp the last counts, an empty cell replacing nothing."""
    length = len(table.time)
    absent = data.draw(st.sets(st.integers(1, length - 2), max_size=length // 3))
    repeated = data.draw(st.sets(st.integers(0, length - 1), max_size=4)) - absent
    kept = [row for row in range(length) if row not in absent]
    rows = sorted([*kept, *repeated])
    readings = table.readings[rows, :, 0].copy()
    earlier = np.append(np.diff(rows) == 0, False)
    readings[earlier] = 5
    expected = np.full_like(table.readings, np.nan)
    expected[kept] = table.readings[kept]
    again = sorted(repeated)
    expected[again] = np.where(np.isnan(expected[again]), np.float32(5), expected[again])
    frame = pd.DataFrame(readings, columns=table.nodes)
    frame.insert(0, "time", np.array(stamps(table))[rows])
    options = ImportOptions(layout="wide", time_zone=table.zone, channel="speed", missing=(), step_s=table.step_s)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        frame.to_csv(folder / "in.csv", index=False)

        draft, panel = stored(folder / "in.csv", folder / "data", options)

        same(panel, dataclasses.replace(table, readings=expected))
    said = {finding.what: finding.value for finding in draft.findings}
    assert said.get("gaps") == (f"{len(absent)} of {length} steps" if absent else None)
    assert ("duplicates" in said) == bool(np.isfinite(table.readings[again]).any())


@SETTINGS
@given(table=tables(1))
def test_nothing_that_is_inferred_changes_a_reading_unsaid(table: Table) -> None:
    """Without options: what differs from the file is a missing code that is named among the findings."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        frame = pd.DataFrame(table.readings[..., 0], columns=table.nodes)
        frame.insert(0, "time", stamps(table))
        frame.to_csv(folder / "in.csv", index=False)
        try:
            draft, panel = stored(folder / "in.csv", folder / "data", ImportOptions(layout="wide"))
        except DataError as err:
            assume("holds no reading" in str(err))
            return
        values = panel.values()

    codes = [float(f.value.split()[0]) for f in draft.findings if f.what == "missing code" and "become" in f.why]
    expected = table.readings[..., 0].copy()
    expected[np.isin(expected, np.array(codes, dtype=np.float32))] = np.nan
    assert (panel.times == table.time).all()
    np.testing.assert_array_equal(values, expected)


@pytest.mark.parametrize("zone", ZONES)
def test_a_year_of_local_stamps_with_offsets_returns(tmp_path: Path, zone: str) -> None:
    time = pd.date_range("2024-01-01", "2025-01-01", freq="h", tz="UTC")
    readings = np.random.default_rng(0).normal(50, 9, (len(time), 2, 1)).astype(np.float32)
    table = Table(time, 3600, zone, ["a", "b"], ["speed"], readings)
    frame = pd.DataFrame(readings[..., 0], columns=table.nodes)
    frame.insert(0, "time", stamps(table))
    frame.to_csv(tmp_path / "in.csv", index=False)
    options = ImportOptions(time_zone=zone, channel="speed")

    _, panel = stored(tmp_path / "in.csv", tmp_path / "first", options)
    export_table(panel, tmp_path / "out.csv")
    _, again = stored(tmp_path / "out.csv", tmp_path / "second", options)

    same(panel, table)
    same(again, table)
