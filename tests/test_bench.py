"""`mm4st bench` measures now, and its ratios are what they say."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from eval.bench import bench_forecast, bench_imaging, print_rows
from eval.bench.imaging import AHEAD, OF_FILL, drawing, drawn_size, example_series
from eval.bench.peers import PEERS
from eval.bench.report import compared
from mm4st_agent.data.card import Channel
from mm4st_agent.data.panel import Panel
from mm4st_agent.errors import UsageError
from mm4st_agent.forecaster.prediction import Forecaster, forecaster_for
from mm4st_agent.imaging.tensors.methods import method
from mm4st_agent.runtime import Runtime
from mm4st_agent.settings import Settings


def _check_ratios(report: dict[str, Any], channels: tuple[str, ...]) -> None:
    assert {row["peer_name"] for row in report["rows"]} == {"last_value", "same_slot_last_week", "slot_mean"}
    assert {row["name"].split(":")[0] for row in report["rows"]} == {f"demo {channel}" for channel in channels}
    for row in report["rows"]:
        assert row["better"] == "lower"
        assert row["ratio"] == pytest.approx(row["peer"] / row["ours"])
    assert report["commit"]


def test_ratios_are_the_peers_error_over_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = Runtime(Settings(home=tmp_path, data_dir=None))
    trained = runtime.forecaster

    def only_pm25(panel: Panel, channel: Channel) -> Forecaster:
        return trained(panel, channel) if channel.name == "pm25" else forecaster_for(panel, channel, [])

    monkeypatch.setattr(runtime, "forecaster", only_pm25)

    _check_ratios(bench_forecast(runtime), ("pm25",))


@pytest.mark.slow
def test_every_shipped_forecaster_is_compared(tmp_path: Path) -> None:
    report = bench_forecast(Runtime(Settings(home=tmp_path, data_dir=None)))

    _check_ratios(report, ("flow", "speed", "pm25", "no2", "requests"))


# pyts and librosa compile for a long time when they are imported: parity with them is in tests/imaging/tensors.
@pytest.fixture(scope="module")
def imaging() -> Iterator[dict[str, Any]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(AHEAD, "stft", 1e6)
        patch.setitem(OF_FILL, "stft", 1e6)
        yield bench_imaging(["stft", "strip"], nodes=16, rounds=1, node_counts=(8, 32))


def test_imaging_rates_are_compared_with_a_peer_that_draws_the_same(imaging: dict[str, Any]) -> None:
    stft, strip = imaging["rows"]

    assert (stft["name"], strip["name"]) == ("stft", "strip")
    assert imaging["threads"] == 1
    assert imaging["fill_images_s"] > 0
    for row in imaging["rows"]:
        assert row["unit"] == "images/s"
        assert row["better"] == "higher"
        assert row["fill_share"] > 0
        assert row["chunk_fill_share"] > 0
        assert row["peak_mb"] >= 0
    assert stft["ratio"] == pytest.approx(stft["ours"] / stft["peer"])
    assert stft["size"] == [33, 57]
    assert strip["size"] == [224, 224]
    assert strip["ratio"] is None
    assert strip["reason"] == "no library draws this picture"
    assert json.loads(json.dumps(imaging, allow_nan=False)) == imaging


def test_a_missed_goal_is_named_and_shown(
    imaging: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "300")

    print_rows(imaging)

    missed = imaging["rows"][0]["missed"]
    shown = capsys.readouterr().out
    assert any("times the peer, not 1e+06" in goal for goal in missed)
    assert any("of the fill rate, not 1000000.0" in goal for goal in missed)
    assert all(goal in shown for goal in missed)
    assert all(column in shown for column in ("fill share", "peak MB", "missed"))


@pytest.mark.parametrize("name", ["stft", "cwt"])
def test_a_peer_draws_what_ours_draws(name: str) -> None:
    series = example_series(3)
    theirs = np.asarray(PEERS[name].load()(series))
    # Of a wavelet transform scales come first, the smallest on top as in ours; of the other, frequency 0 does.
    theirs = theirs.swapaxes(0, 1) if name == "cwt" else theirs[:, ::-1]

    ours = method(name).encode(torch.from_numpy(series), drawn_size(name))[:, 0]

    np.testing.assert_allclose(ours, theirs, atol=1e-4 * theirs.max())


def test_drawing_reports_the_bytes_of_all_pictures() -> None:
    assert drawing("gasf", (20, 30))(example_series(50)) == 50 * 2 * 20 * 30 * 4
    assert drawing("strip", (20, 30))(example_series(50)) == 2 * 20 * 30 * 4


def test_a_table_has_no_column_that_was_not_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "300")

    print_rows({"rows": [compared("flow", 12_345.6, None, "last_value", "veh/h")], "commit": "c", "machine": "m"})

    shown = capsys.readouterr().out
    assert "12,346" in shown
    assert not any(column in shown for column in ("fill share", "peak MB", "missed"))


def test_a_peer_that_is_not_installed_is_said_and_not_failed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = replace(PEERS["gasf"], package="a_library_that_nobody_has")
    monkeypatch.setitem(PEERS, "gasf", absent)

    (row,) = bench_imaging(["gasf"], nodes=8, rounds=1, node_counts=(8, 16))["rows"]

    assert row["ours"] > 0
    assert row["peer"] is None
    assert row["ratio"] is None
    assert row["reason"] == "a_library_that_nobody_has is not installed"


def test_an_unknown_imaging_method_is_refused() -> None:
    with pytest.raises(UsageError, match="'gaf'"):
        bench_imaging(["gaf"])


def test_peak_memory_is_that_of_drawing_alone() -> None:
    def peak(side: str) -> float:
        done = subprocess.run(
            [sys.executable, "-m", "eval.bench.peak", side, "cwt", "150"],
            capture_output=True, text=True, check=True, timeout=120,
        )  # fmt: skip
        return float(json.loads(done.stdout)["peak_mb"])

    # 150 pictures of 64 x 288 doubles, 22 MB, of twice as large complex numbers; ours holds 32 float32 ones.
    assert peak("peer") > 44
    assert peak("ours") < 40
