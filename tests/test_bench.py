"""`mm4st bench` measures now, and its ratios are what they say."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from eval.bench import bench_forecast, bench_imaging
from eval.bench.imaging import AHEAD, OF_FILL
from eval.bench.peers import PEERS
from mm4st_agent.errors import UsageError
from mm4st_agent.runtime import Runtime
from mm4st_agent.settings import Settings


def test_ratios_are_the_peers_error_over_ours(tmp_path_factory: pytest.TempPathFactory) -> None:
    runtime = Runtime(Settings(home=tmp_path_factory.mktemp("home"), data_dir=None))

    report = bench_forecast(runtime)

    assert {row["peer_name"] for row in report["rows"]} == {"last_value", "same_slot_last_week", "slot_mean"}
    assert {row["name"].split(":")[0] for row in report["rows"]} == {
        f"demo {channel}" for channel in ("flow", "speed", "pm25", "no2", "requests")
    }
    for row in report["rows"]:
        assert row["better"] == "lower"
        assert row["ratio"] == pytest.approx(row["peer"] / row["ours"])
    assert report["commit"]


@pytest.fixture(scope="module")
def imaging() -> dict[str, Any]:
    return bench_imaging(["line", "gasf", "stft", "strip"], nodes=16, rounds=1, node_counts=(8, 32))


def test_imaging_rates_are_compared_with_a_peer_that_draws_the_same(imaging: dict[str, Any]) -> None:
    rows = {row["name"].split(":")[0]: row for row in imaging["rows"]}

    assert list(rows) == ["line", "gasf", "stft", "strip"]
    assert imaging["threads"] == 1
    assert imaging["fill_images_s"] > 0
    for row in rows.values():
        assert row["unit"] == "images/s"
        assert row["better"] == "higher"
        assert 0 < row["fill_share"]
        assert row["peak_mb"] >= 0
    assert rows["line"]["ratio"] == pytest.approx(rows["line"]["ours"] / rows["line"]["peer"])
    assert rows["line"]["size"] == [224, 224]
    assert rows["stft"]["size"] == [33, 57]
    assert rows["strip"]["ratio"] is None
    assert rows["strip"]["reason"] == "no library draws this picture"
    assert json.loads(json.dumps(imaging, allow_nan=False)) == imaging


def test_a_missed_goal_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(AHEAD, "gasf", 1e6)
    monkeypatch.setitem(OF_FILL, "gasf", 1e6)

    (row,) = bench_imaging(["gasf"], nodes=8, rounds=1, node_counts=(8, 16))["rows"]

    assert any("times the peer, not 1e+06" in missed for missed in row["missed"])
    assert any("of the fill rate, not 1000000.0" in missed for missed in row["missed"])


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
            [sys.executable, "-m", "eval.bench.peak", side, "gasf", "150"],
            capture_output=True, text=True, check=True, timeout=120,
        )  # fmt: skip
        return float(json.loads(done.stdout)["peak_mb"])

    # 150 pictures of 224 x 224 doubles at once, against chunks of 32 of two float32 channels.
    assert peak("peer") > 50
    assert peak("ours") < 30
