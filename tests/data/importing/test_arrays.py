"""NumPy files and BasicTS folders, written here by NumPy itself."""

from __future__ import annotations

import json
import zipfile
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from mm4st_agent.data.importing import arrays, npy
from mm4st_agent.data.importing.arrays import read_basicts, read_npz
from mm4st_agent.data.importing.draft import Source
from mm4st_agent.data.importing.options import ImportOptions
from mm4st_agent.errors import DataError, UsageError

DATED = ImportOptions(start=datetime(2018, 1, 1), step_s=300)


def whole(source: Source) -> dict[str, np.ndarray]:
    blocks = list(source.blocks())
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


@pytest.fixture
def cube() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(50, 7, 3)).astype(np.float32)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_data_of_time_node_channel_as_in_astgcn(tmp_path: Path, cube: np.ndarray, save: object) -> None:
    save(tmp_path / "PEMS04.npz", data=cube)  # type: ignore[operator]

    source = read_npz(tmp_path / "PEMS04.npz", DATED)

    assert [c.name for c in source.channels] == ["channel-1", "channel-2", "channel-3"]
    assert source.node_ids == tuple("0123456")
    assert source.stamps is None
    for i, values in enumerate(whole(source).values()):
        np.testing.assert_array_equal(values, cube[:, :, i])
    assert whole(source).keys() == whole(source).keys(), "each pass starts anew"


def test_features_are_named_by_the_options(tmp_path: Path, cube: np.ndarray) -> None:
    np.savez(tmp_path / "a.npz", data=cube)

    named = DATED.model_copy(update={"channels": ("flow", "occupancy", "speed")})
    source = read_npz(tmp_path / "a.npz", named)

    np.testing.assert_array_equal(whole(source)["speed"], cube[:, :, 2])
    with pytest.raises(UsageError, match=r"2 channels are named .* 3 features"):
        read_npz(tmp_path / "a.npz", DATED.model_copy(update={"channels": ("flow", "speed")}))


@pytest.mark.parametrize("order", ["C", "F"])
def test_blocks_are_rows_in_order(
    tmp_path: Path, cube: np.ndarray, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrays, "BLOCK_BYTES", 7 * 8 * 3 * 12)
    np.savez_compressed(tmp_path / "a.npz", data=np.asarray(cube, order=order))  # type: ignore[call-overload]
    np.save(tmp_path / "a.npy", np.asarray(cube, order=order))  # type: ignore[call-overload]

    for name in ("a.npz", "a.npy"):
        source = read_npz(tmp_path / name, DATED)

        assert [len(block["channel-1"]) for block in source.blocks()] == [12, 12, 12, 12, 2]
        np.testing.assert_array_equal(whole(source)["channel-3"], cube[:, :, 2])


def test_named_arrays_with_stamps_ids_and_observed_share(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    flow, speed = rng.integers(0, 300, (20, 4)).astype(np.int16), rng.normal(60, 5, (20, 4))
    observed = rng.integers(0, 2, (20, 4)).astype(np.uint8) * 100
    stamps = np.datetime64("2022-01-01T00:00", "m") + 5 * np.arange(20)
    np.savez(
        tmp_path / "a.npz", flow=flow, speed_mph=speed, pct_observed=observed, station_id=np.arange(700, 704),
        timestamps=stamps, lat=np.linspace(33, 34, 4), lon=np.linspace(-118, -117, 4), rain_mm=np.linspace(0, 1, 20),
    )  # fmt: skip

    source = read_npz(tmp_path / "a.npz", ImportOptions())

    assert [(c.name, c.unit) for c in source.channels] == [("flow", None), ("speed", "mph")]
    assert source.node_ids == ("700", "701", "702", "703")
    assert source.stamps is not None
    assert (source.stamps.to_numpy() == stamps).all()
    assert source.observed == "pct_observed"
    blocks = whole(source)
    np.testing.assert_array_equal(blocks["pct_observed"], observed)
    np.testing.assert_array_equal(blocks["flow"], flow)
    assert blocks["speed"].dtype == np.float64
    assert source.nodes is not None
    assert source.nodes.loc["703"].to_dict() == {"lat": 34.0, "lon": -117.0}
    assert source.covariates["rain_mm"].dims == ("row",)
    assert {f.what for f in source.findings} >= {"time stamps", "node ids", "unit", "imputed cells"}

    picked = read_npz(tmp_path / "a.npz", ImportOptions(channels=("speed",)))
    assert [c.name for c in picked.channels] == ["speed"]
    with pytest.raises(UsageError, match=r"no array 'occupancy'.* flow, speed"):
        read_npz(tmp_path / "a.npz", ImportOptions(channels=("occupancy", "flow")))


def test_text_ids_and_text_stamps(tmp_path: Path) -> None:
    stamps = np.array([f"2020-01-0{day}" for day in range(1, 6)])
    np.savez(tmp_path / "a.npz", x=np.ones((5, 2)), dates=stamps, names=np.array(["Alder", "Birch"]))

    source = read_npz(tmp_path / "a.npz", ImportOptions())

    assert source.node_ids == ("Alder", "Birch")
    assert source.stamps is not None
    assert source.stamps.tolist() == stamps.tolist()
    assert [c.name for c in source.channels] == ["value"]


def test_an_adjacency_beside_the_data_is_no_channel(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", data=np.ones((30, 4)), adj=np.eye(4))

    source = read_npz(tmp_path / "a.npz", DATED)

    assert [c.name for c in source.channels] == ["value"]
    assert any(f.value == "adj" and "--edges" in f.why for f in source.findings)


def test_parts_of_one_series_are_ambiguous(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", train=np.ones((30, 4)), test=np.ones((10, 4)))

    with pytest.raises(DataError, match=r"train .*test") as caught:
        read_npz(tmp_path / "a.npz", DATED)
    assert "--member" in caught.value.hint
    assert len(whole(read_npz(tmp_path / "a.npz", DATED.model_copy(update={"member": "test"})))["test"]) == 10


def test_without_stamps_the_start_and_step_are_asked_for(tmp_path: Path, cube: np.ndarray) -> None:
    np.save(tmp_path / "a.npy", cube)

    with pytest.raises(DataError, match=r"no time stamps.* 50 rows") as caught:
        read_npz(tmp_path / "a.npy", ImportOptions())
    assert "--start and --step" in caught.value.hint
    with pytest.raises(DataError) as caught:
        read_npz(tmp_path / "a.npy", ImportOptions(step_s=300))
    assert caught.value.hint.startswith("Give --start:")


def test_objects_are_refused_and_never_unpickled(tmp_path: Path) -> None:
    marker = tmp_path / "ran"

    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[Path]]:
            return Path.touch, (marker,)

    bad = np.array([Bomb()], dtype=object)
    np.savez(tmp_path / "a.npz", data=np.ones((5, 2)), extra=bad)
    np.save(tmp_path / "a.npy", bad, allow_pickle=True)

    for name in ("a.npz", "a.npy"):
        with pytest.raises(DataError, match=r"Python objects.*pickle.*runs whatever"):
            read_npz(tmp_path / name, DATED)
    source = read_npz(tmp_path / "a.npz", DATED.model_copy(update={"member": "data"}))
    assert whole(source)["value"].shape == (5, 2)
    assert not marker.exists()


def test_damaged_files_are_named(tmp_path: Path, cube: np.ndarray) -> None:
    np.savez_compressed(tmp_path / "a.npz", data=cube)
    cut = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(cut[: len(cut) // 2])
    np.save(tmp_path / "a.npy", cube)
    (tmp_path / "cut.npy").write_bytes((tmp_path / "a.npy").read_bytes()[:500])
    flipped = bytearray(cut)
    flipped[len(cut) // 2] ^= 0xFF
    (tmp_path / "flipped.npz").write_bytes(bytes(flipped))

    for name in ("cut.npz", "cut.npy"):
        with pytest.raises(DataError, match=name.replace(".", r"\.")):
            read_npz(tmp_path / name, DATED)
    with pytest.raises(DataError, match="damaged"):
        list(read_npz(tmp_path / "flipped.npz", DATED).blocks())


def test_a_header_that_promises_more_than_there_is(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive, archive.open("data.npy", "w") as file:
        np.lib.format.write_array_header_1_0(  # type: ignore[attr-defined]
            file, {"descr": "<f4", "fortran_order": False, "shape": (10**9, 1000)}
        )
        file.write(b"\0" * 100)

    with pytest.raises(DataError, match="cut off"):
        read_npz(tmp_path / "a.npz", DATED)


def test_a_large_fortran_array_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(npy, "MAX_WHOLE_BYTES", 1000)
    np.savez(tmp_path / "a.npz", data=np.asfortranarray(np.ones((100, 30))))

    with pytest.raises(DataError, match="Fortran") as caught:
        read_npz(tmp_path / "a.npz", DATED)
    assert "ascontiguousarray" in caught.value.hint


def test_nothing_that_runs_over_time_and_nodes(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.ones((9, 12, 4, 1)), y=np.array(["a"]))

    with pytest.raises(DataError, match=r"no array of readings.*x float64 \(9, 12, 4, 1\)"):
        read_npz(tmp_path / "a.npz", DATED)


# -- BasicTS ------------------------------------------------------------------------------


@pytest.fixture
def basicts(tmp_path: Path, cube: np.ndarray) -> Path:
    memory = np.memmap(tmp_path / "data.dat", dtype="float32", mode="w+", shape=cube.shape)
    memory[:] = cube
    memory.flush()
    desc = {
        "name": "PEMS08", "domain": "traffic flow", "shape": list(cube.shape), "num_time_steps": 50, "num_nodes": 7,
        "num_features": 3, "feature_description": ["traffic flow", "time of day", "day of week"], "has_graph": True,
        "frequency (minutes)": 5, "regular_settings": {"NULL_VAL": 0.0},
    }  # fmt: skip
    (tmp_path / "desc.json").write_text(json.dumps(desc))
    (tmp_path / "adj_mx.pkl").write_bytes(b"\x80\x04cos\nsystem\n")
    return tmp_path


def test_basicts_folder(basicts: Path, cube: np.ndarray) -> None:
    source, options = read_basicts(basicts, ImportOptions(start=datetime(2016, 7, 1)))

    assert options.step_s == 300
    assert [(c.name, c.title) for c in source.channels] == [("traffic_flow", "traffic flow")]
    np.testing.assert_array_equal(whole(source)["traffic_flow"], cube[:, :, 0])
    left = {f.value: f.why for f in source.findings if f.what == "left out"}
    assert left.keys() == {"time of day", "day of week", "adj_mx.pkl"}
    assert "never opened" in left["adj_mx.pkl"]


def test_basicts_folder_needs_a_start_and_a_whole_file(basicts: Path) -> None:
    with pytest.raises(DataError) as caught:
        read_basicts(basicts, ImportOptions())
    assert caught.value.hint.startswith("Give --start:")
    (basicts / "data.dat").write_bytes(b"\0" * 40)
    with pytest.raises(DataError, match="40 bytes, but the shape 50 x 7 x 3"):
        read_basicts(basicts, ImportOptions(start=datetime(2016, 7, 1)))
    (basicts / "desc.json").write_text('{"shape": [1, 2]}')
    with pytest.raises(DataError, match=r"desc\.json does not describe"):
        read_basicts(basicts, ImportOptions(start=datetime(2016, 7, 1)))
