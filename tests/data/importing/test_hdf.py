"""HDF5 files as pandas (through PyTables) and h5py write them."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from mm4st_agent.data.importing import hdf
from mm4st_agent.data.importing.draft import Source
from mm4st_agent.data.importing.hdf import read_hdf
from mm4st_agent.data.importing.options import ImportOptions
from mm4st_agent.errors import DataError, UsageError

DATED = ImportOptions(start=datetime(2018, 1, 1), step_s=300)


@pytest.fixture
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    index = pd.date_range("2012-03-01", periods=40, freq="5min")
    values = rng.normal(60, 5, (40, 3))
    values[3, 1] = np.nan
    return pd.DataFrame(values, index=index, columns=["773869", "767541", "767542"])


def whole(source: Source, name: str = "value") -> np.ndarray:
    return np.concatenate([block[name] for block in source.blocks()])


@pytest.mark.parametrize("layout", ["fixed", "table"])
@pytest.mark.parametrize("zone", [None, "US/Pacific"])
def test_a_frame_comes_back(tmp_path: Path, frame: pd.DataFrame, layout: str, zone: str | None) -> None:
    frame = frame if zone is None else frame.tz_localize(zone)
    frame.to_hdf(tmp_path / "metr-la.h5", key="df", format=layout)  # type: ignore[call-overload]

    source = read_hdf(tmp_path / "metr-la.h5", ImportOptions())

    assert source.node_ids == ("773869", "767541", "767542")
    assert source.stamps is not None
    assert (pd.DatetimeIndex(source.stamps) == frame.index).all()
    assert str(source.stamps.dt.tz) == str(zone)
    np.testing.assert_array_equal(whole(source), frame.to_numpy())


def test_several_blocks_of_types_keep_the_order_of_the_columns(tmp_path: Path, frame: pd.DataFrame) -> None:
    mixed = frame.fillna(0).astype({"767541": int, "767542": "float32"})
    mixed.to_hdf(tmp_path / "a.h5", key="df")

    np.testing.assert_array_equal(whole(read_hdf(tmp_path / "a.h5", ImportOptions())), mixed.to_numpy(dtype=float))


def test_whole_numbers_as_column_names(tmp_path: Path, frame: pd.DataFrame) -> None:
    numbered = frame.set_axis([400001, 400002, 400003], axis=1)
    for layout in ("fixed", "table"):
        path = tmp_path / f"{layout}.h5"
        numbered.to_hdf(path, key="df", format=layout)  # type: ignore[call-overload]
        assert read_hdf(path, ImportOptions()).node_ids == ("400001", "400002", "400003")


def test_blocks_are_rows_in_order(tmp_path: Path, frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hdf, "BLOCK_BYTES", 8 * 3 * 15)
    for layout in ("fixed", "table"):
        path = tmp_path / f"{layout}.h5"
        frame.to_hdf(path, key="df", format=layout)  # type: ignore[call-overload]
        source = read_hdf(path, ImportOptions(channel="speed"))
        assert [len(block["speed"]) for block in source.blocks()] == [15, 15, 10]
        np.testing.assert_array_equal(whole(source, "speed"), frame.to_numpy())


def test_several_frames_need_a_member(tmp_path: Path, frame: pd.DataFrame) -> None:
    frame.to_hdf(tmp_path / "a.h5", key="speed")
    (frame * 2).to_hdf(tmp_path / "a.h5", key="flow")

    with pytest.raises(DataError, match="flow, speed") as caught:
        read_hdf(tmp_path / "a.h5", ImportOptions())
    assert "--member" in caught.value.hint
    np.testing.assert_array_equal(whole(read_hdf(tmp_path / "a.h5", ImportOptions(member="/flow"))), frame * 2)
    with pytest.raises(UsageError, match="'occupancy'"):
        read_hdf(tmp_path / "a.h5", ImportOptions(member="occupancy"))


def test_a_frame_of_objects_is_refused_not_unpickled(tmp_path: Path, frame: pd.DataFrame) -> None:
    words = frame.astype(object).assign(**{"767541": [("a",)] * len(frame)})
    with pytest.warns(pd.errors.PerformanceWarning):
        words.to_hdf(tmp_path / "a.h5", key="df")

    with pytest.raises(DataError, match="pickle"):
        read_hdf(tmp_path / "a.h5", ImportOptions())


def test_names_that_are_more_than_a_list_of_text_are_refused(tmp_path: Path, frame: pd.DataFrame) -> None:
    frame.to_hdf(tmp_path / "a.h5", key="df", format="table")
    with h5py.File(tmp_path / "a.h5", "a") as file:
        file["df/table"].attrs["values_block_0_kind"] = np.bytes_(b"cos\nsystem\n(S'touch ran'\ntR.")

    with pytest.raises(DataError, match=r"GLOBAL.*runs whatever"):
        read_hdf(tmp_path / "a.h5", ImportOptions())


@pytest.mark.parametrize("features", [1, 2])
def test_a_plain_data_set(tmp_path: Path, features: int) -> None:
    values = np.random.default_rng(0).normal(size=(30, 4, features)).astype(np.float32)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("raw/speed_mph", data=values if features > 1 else values[:, :, 0], compression="gzip")
        file["note"] = "hello"

    source = read_hdf(tmp_path / "a.h5", DATED)

    assert source.stamps is None
    assert source.node_ids == ("0", "1", "2", "3")
    names = [c.name for c in source.channels]
    assert names == (["speed"] if features == 1 else ["channel-1", "channel-2"])
    assert source.channels[0].unit == "mph"
    np.testing.assert_array_equal(whole(source, names[-1]), values[:, :, -1])
    with pytest.raises(DataError, match="no time stamps"):
        read_hdf(tmp_path / "a.h5", ImportOptions())


def test_what_is_no_hdf5(tmp_path: Path) -> None:
    (tmp_path / "a.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + b"\0" * 30)
    with h5py.File(tmp_path / "empty.h5", "w"):
        pass

    with pytest.raises(DataError, match="not a readable HDF5"):
        read_hdf(tmp_path / "a.h5", ImportOptions())
    with pytest.raises(DataError, match="it holds nothing"):
        read_hdf(tmp_path / "empty.h5", ImportOptions())
