"""`mm4st bench modalities` and `mm4st bench latency`, on the shipped forecasters and a few windows."""

from __future__ import annotations

import pytest

from eval.bench import latency
from eval.bench.latency import bench_latency
from eval.bench.swaps import SWAPS, bench_modalities
from mm4st_agent.runtime import Runtime
from mm4st_agent.settings import Settings


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    return Runtime(Settings(home=tmp_path_factory.mktemp("home"), data_dir=None))


def test_exchanged_modalities_change_the_error_of_those_who_read_them(runtime: Runtime) -> None:
    report = bench_modalities(runtime, most=8)

    channels = {row["name"].split(":")[0] for row in report["rows"]}
    assert {"demo flow", "demo speed"} <= channels
    assert "demo requests" not in channels  # the numeric branch reads neither
    for name in channels:
        rows = {row["peer_name"]: row for row in report["rows"] if row["name"] == f"{name}: test MAE, all"}
        assert rows.keys() == SWAPS.keys()
        assert len({row["ours"] for row in rows.values()}) == 1
        for row in rows.values():
            assert row["ratio"] == pytest.approx(row["peer"] / row["ours"])
            assert row["difference"] == pytest.approx(row["ours"] - row["peer"], abs=1e-3)
        assert rows["another window's text"]["peer"] != rows["another window's text"]["ours"]
        assert rows["a blank picture"]["peer"] != rows["a blank picture"]["ours"]


def test_latency_is_measured_for_every_shipped_forecaster(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency, "FORECASTS", 2)
    monkeypatch.setattr(latency, "BATCH", 4)

    rows = bench_latency(runtime)["rows"]

    assert len(rows) == 2 * len(runtime.registry.open("demo").card.channels)
    warm, batch = rows[:2]
    assert warm["name"].startswith("demo flow, st-vlm, 124 nodes")
    assert (warm["peer"], warm["unit"], warm["better"]) == (60, "ms", "lower")
    assert warm["ratio"] == pytest.approx(60 / warm["ours"])
    assert batch["ratio"] == pytest.approx(batch["ours"] / batch["peer"])
