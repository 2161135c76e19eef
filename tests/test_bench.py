"""`mm4st bench forecast` measures now, and its ratios are what they say."""

from __future__ import annotations

import pytest

from eval.bench import bench_forecast
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
