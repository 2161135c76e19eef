"""`mm4st forecast` on the demo city and on a data set that nobody trained a model for."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pyarrow.parquet as pq
import pytest
import xarray as xr
from click.testing import CliRunner, Result

from mm4st_agent.batch import record
from mm4st_agent.batch.folder import MANIFEST_FILE, begin, block_path
from mm4st_agent.batch.job import Job, job_of
from mm4st_agent.batch.record import errors_so_far
from mm4st_agent.batch.run import BatchManifest, run_batch
from mm4st_agent.batch.table import KEY, LEVELS
from mm4st_agent.batch.worker import Worker
from mm4st_agent.cli.batch import forecast as command
from mm4st_agent.cli.common import Commands
from mm4st_agent.data.card import Channel, DataCard
from mm4st_agent.data.panel import Panel
from mm4st_agent.errors import DataError, UsageError
from mm4st_agent.forecaster import recent, windowing
from mm4st_agent.forecaster.prediction import TrainedForecaster
from mm4st_agent.forecaster.scoring import track_record
from mm4st_agent.runtime import Runtime
from mm4st_agent.settings import load_settings

CHANNEL = "no2"
"""At the 24 air stations, of 149 nodes."""


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    return Runtime(load_settings(home=tmp_path_factory.mktemp("batch-home")))


@pytest.fixture(scope="module")
def whole(runtime: Runtime, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, BatchManifest]:
    """All air stations in one block."""
    out = tmp_path_factory.mktemp("whole") / "no2"
    return out, run_batch(runtime, job_of(runtime, "demo", channel=CHANNEL), out)


@pytest.fixture
def own(tmp_path: Path) -> Runtime:
    """Three nodes of a data set of one's own, the second of which was never measured."""
    hours = pd.date_range("2026-03-01", periods=24 * 21, freq="h")
    wave = 50 + 10 * np.sin(np.arange(len(hours)) / 24 * 2 * np.pi)
    values = np.stack([wave, np.full(len(hours), np.nan), wave + 5], axis=1).astype(np.float32)
    ids = np.array(["north", "dead", "south"], dtype=object)
    card = DataCard(
        name="own", title="Own", source="a test", licence="CC0-1.0", time_zone="Europe/Berlin",
        channels=(Channel(name="speed", unit="km/h"),),
    )  # fmt: skip
    data = xr.Dataset({"speed": (("time", "node"), values)}, coords={"time": hours, "node": ids})
    made = Runtime(load_settings(home=tmp_path / "home"))
    made.registry.add(Panel(card=card, data=data))
    return made


def _rows(folder: Path) -> pd.DataFrame:
    return pd.read_parquet(folder).drop(columns="block")


def _all_at_once(runtime: Runtime, job: Job) -> pd.DataFrame:
    whole = runtime.registry.open(job.dataset)
    panel = whole.until(job.as_of)
    forecaster = runtime.forecaster(whole, whole.channel(job.channel))
    found = forecaster.predict(panel, job.nodes, job.channel, job.horizon)
    values = np.concatenate([forecast.quantiles for forecast in found])
    table = pd.DataFrame(values, columns=list(LEVELS))
    table["baseline"] = np.concatenate([forecast.baseline for forecast in found])
    table["node"] = np.repeat([forecast.node for forecast in found], job.horizon)
    return table


def test_rows_units_and_zone(whole: tuple[Path, BatchManifest]) -> None:
    out, manifest = whole
    schema = pq.read_schema(block_path(out, 0))
    about = json.loads(schema.metadata[KEY])
    rows = _rows(out)

    assert about["unit"] == "µg/m³"
    assert schema.field("median").metadata == {b"unit": "µg/m³".encode(), b"quantile": b"0.5"}
    assert str(rows["time"].dt.tz) == "UTC"
    assert about["time_zone"] == "Europe/Lisbon"
    assert len(rows) == manifest.rows == 24 * manifest.job.horizon
    assert rows["horizon_min"].unique().tolist() == [5.0 * step for step in range(1, manifest.job.horizon + 1)]
    assert rows["time"].min() == rows["as_of"].iloc[0] == pd.Timestamp("2025-10-22T06:40Z")  # 07:40 in Lisbon
    assert (np.diff(rows[list(LEVELS)].to_numpy(), axis=1) >= 0).all()


def test_the_manifest_says_what_it_came_from(whole: tuple[Path, BatchManifest], runtime: Runtime) -> None:
    out, manifest = whole
    read = BatchManifest.model_validate_json((out / MANIFEST_FILE).read_bytes())

    assert read == manifest
    assert read.job.data_sha256 == runtime.registry.open("demo").card.sha256
    assert read.job.forecaster.checkpoint == "demo-no2"
    assert len(read.job.forecaster.weights_sha256 or "") == 64
    assert sum(read.about.led_by.values()) == read.forecast == 24
    assert read.about.synthetic


def test_blocks_give_the_numbers_of_all_nodes_at_once(
    whole: tuple[Path, BatchManifest], runtime: Runtime, tmp_path: Path
) -> None:
    cut = run_batch(runtime, job_of(runtime, "demo", channel=CHANNEL, block=5), tmp_path / "cut")
    few = run_batch(runtime, job_of(runtime, "demo", channel=CHANNEL, nodes=["A07", "A03"]), tmp_path / "few")
    rows, expected = _rows(whole[0]), _all_at_once(runtime, whole[1].job)

    pd.testing.assert_frame_equal(rows[expected.columns], expected, check_exact=True)
    assert cut.blocks == 5
    pd.testing.assert_frame_equal(_rows(tmp_path / "cut"), rows)
    assert few.forecast == 2
    picked = pd.concat([rows[rows["node"] == node] for node in ("A07", "A03")], ignore_index=True)
    pd.testing.assert_frame_equal(_rows(tmp_path / "few"), picked)


@pytest.mark.parametrize(("name", "as_of"), [("pm25", "2025-10-24T12:00"), ("no2", "2025-10-17T00:00")])
def test_what_leads_is_decided_by_the_errors_of_the_track_record(runtime: Runtime, name: str, as_of: str) -> None:
    """The network of PM2.5 reads texts, too; on 17 October the test part has not begun."""
    panel = runtime.registry.open("demo").until(as_of)
    channel = panel.channel(name)
    forecaster = runtime.forecaster(panel, channel)
    assert isinstance(forecaster, TrainedForecaster)
    whole = track_record(forecaster.checkpoint, panel.of(name))
    lean = errors_so_far(forecaster.checkpoint, panel.of(name))

    assert whole is not None
    assert lean is not None
    assert (lean.windows, lean.stride, lean.cells) == (whole[0].windows, whole[0].stride, whole[0].cells)
    for model, errors in whole[0].by_step.items():
        assert lean.by_step[model].mae == pytest.approx(errors.mae, rel=1e-5)
        assert lean.by_step[model].cells == errors.cells


def test_how_many_nodes_and_windows_are_held_at_a_time_changes_no_number(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = runtime.registry.open("demo").until("2025-10-24T12:00")
    forecaster = runtime.forecaster(panel, panel.channel("pm25"))
    assert isinstance(forecaster, TrainedForecaster)
    checkpoint, panel = forecaster.checkpoint, panel.of("pm25")
    errors, widths = errors_so_far(checkpoint, panel), checkpoint.widths(panel)
    fan = checkpoint.fan(panel, widths)
    for module, name, few in (
        (record, "NODES", 7), (recent, "_CELLS", 5 * fan[..., 0].size), (windowing, "_NODES", 5),
        (windowing, "_WINDOWS", 13),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, few)

    again = errors_so_far(checkpoint, panel)

    assert errors is not None
    assert again is not None
    assert checkpoint.widths(panel) == pytest.approx(widths, rel=1e-5)
    np.testing.assert_array_equal(checkpoint.fan(panel, widths), fan)
    for model, known in errors.by_step.items():
        assert again.by_step[model].cells == known.cells
        assert again.by_step[model].mae == pytest.approx(known.mae, rel=1e-5)


def test_nothing_after_the_clock_counts(runtime: Runtime, tmp_path: Path) -> None:
    job = job_of(runtime, "demo", channel=CHANNEL, as_of="2025-10-20T12:00", nodes=["A03"])
    run_batch(runtime, job, tmp_path / "whole")
    whole = runtime.registry.open("demo")
    cut = Runtime(runtime.settings)
    cut.registry._opened["demo"] = whole.until("2025-10-20T12:00")
    run_batch(cut, job, tmp_path / "cut")

    assert block_path(tmp_path / "whole", 0).read_bytes() == block_path(tmp_path / "cut", 0).read_bytes()


def test_a_stopped_run_goes_on_where_it_was(runtime: Runtime, tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    def stop(done: int, total: int) -> None:
        if done == 2:
            raise Stop

    job = job_of(runtime, "demo", channel=CHANNEL, block=6)
    with pytest.raises(Stop):
        run_batch(runtime, job, tmp_path / "out", progress=stop)
    assert not (tmp_path / "out" / MANIFEST_FILE).exists()
    first = block_path(tmp_path / "out", 0)
    before = first.stat().st_mtime_ns
    block_path(tmp_path / "out", 1).write_bytes(first.read_bytes()[:-100])  # as a broken disk leaves it

    manifest = run_batch(runtime, job, tmp_path / "out")

    assert (manifest.kept, manifest.blocks, manifest.forecast) == (1, 4, 24)
    assert first.stat().st_mtime_ns == before
    assert len(_rows(tmp_path / "out")) == manifest.rows


def test_a_folder_of_another_forecast_is_refused(runtime: Runtime, whole: tuple[Path, BatchManifest]) -> None:
    job = job_of(runtime, "demo", channel=CHANNEL, horizon_min=10)

    with pytest.raises(UsageError, match="another horizon"):
        run_batch(runtime, job, whole[0])


def test_a_folder_with_other_things_is_refused(runtime: Runtime, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")

    with pytest.raises(UsageError, match="not empty"):
        run_batch(runtime, job_of(runtime, "demo", channel=CHANNEL), tmp_path)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["notes.txt"]


def test_baselines_of_own_data_and_a_node_never_measured(own: Runtime, tmp_path: Path) -> None:
    together = run_batch(own, job_of(own, "own"), tmp_path / "one")
    apart = run_batch(own, job_of(own, "own", block=1), tmp_path / "three")
    job = job_of(own, "own", nodes=["north", "south"])

    assert (together.forecast, set(together.about.left_out)) == (2, {"dead"})
    assert "no measured speed" in together.about.left_out["dead"]
    assert apart.about.left_out == together.about.left_out
    rows, expected = _rows(tmp_path / "one"), _all_at_once(own, job)
    pd.testing.assert_frame_equal(rows[expected.columns], expected, check_exact=True)
    pd.testing.assert_frame_equal(_rows(tmp_path / "three"), rows)
    with pytest.raises(DataError, match="No node has a forecast"):
        run_batch(own, job_of(own, "own", nodes=["dead"]), tmp_path / "none")


def test_a_worker_with_another_forecaster_refuses(own: Runtime, tmp_path: Path) -> None:
    job = job_of(own, "own")
    other = job.model_copy(update={"forecaster": job.forecaster.model_copy(update={"model": "st-vlm"})})

    with pytest.raises(DataError, match="another forecaster"):
        Worker(own, other, None, tmp_path)
    with pytest.raises(DataError, match="another version"):
        Worker(own, job.model_copy(update={"data_sha256": "0" * 64}), None, tmp_path)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"nodes": ["Z9"]}, "no station 'Z9'"),
        ({"nodes": ["S001"]}, "does not measure"),
        ({"nodes": []}, "No node"),
        ({"channel": "co2"}, "no channel 'co2'"),
        ({"horizon_min": 10_000}, "too far"),
        ({"as_of": "2031-01-01"}, "outside the data"),
        ({"block": 0}, "holds none"),
    ],
)
def test_what_cannot_be_is_said_before_any_work(runtime: Runtime, asked: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        job_of(runtime, "demo", **{"channel": CHANNEL, **asked})  # type: ignore[arg-type]


def _peak_of_a_block(home: Path, nodes: int) -> int:
    """Bytes that forecasting 32 of so many nodes takes at most, after one block."""
    hours = pd.date_range("2026-03-01", periods=24 * 120, freq="h")
    values = np.random.default_rng(0).normal(50, 5, (len(hours), nodes)).astype(np.float32)
    card = DataCard(
        name=f"wide-{nodes}", title="Wide", source="a test", licence="CC0-1.0",
        channels=(Channel(name="speed", unit="km/h"),),
    )  # fmt: skip
    ids = np.array([f"N{number}" for number in range(nodes)], dtype=object)
    data = xr.Dataset({"speed": (("time", "node"), values)}, coords={"time": hours, "node": ids})
    runtime = Runtime(load_settings(home=home))
    runtime.registry.add(Panel(card=card, data=data))
    job = job_of(runtime, card.name, block=32)
    begin(home / "out", job)
    worker = Worker(runtime, job, None, home / "out")
    worker(0)
    tracemalloc.start()
    worker(1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


def test_the_memory_of_a_block_is_that_of_its_own_nodes(tmp_path: Path) -> None:
    few, many = _peak_of_a_block(tmp_path / "few", 512), _peak_of_a_block(tmp_path / "many", 2048)

    assert many < 1.25 * few


def _call(*words: str) -> Result:
    group = Commands(commands={"forecast": command})
    return CliRunner().invoke(group, ["forecast", *words])


def test_the_command_prints_one_json_object(tmp_path: Path) -> None:
    done = _call("--dataset", "demo", "--channel", CHANNEL, "--nodes", "A01, A02", "--horizon-min", "12",
                 "--out", str(tmp_path / "out"), "--json")  # fmt: skip

    assert done.exit_code == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["forecast"], said["rows"], said["job"]["horizon"]) == (2, 6, 3)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "neither --all-nodes nor --nodes"),
        (("--all-nodes", "--nodes", "A01"), "both --all-nodes and --nodes"),
        (("--all-nodes", "--workers", "3"), "one worker"),
    ],
)
def test_the_command_refuses_what_contradicts(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    done = _call("--dataset", "demo", "--out", str(tmp_path / "out"), *words, "--json")

    assert done.exit_code == 2
    assert said in json.loads(done.stdout)["error"]["message"].replace("Neither", "neither").replace("Both", "both")


def test_ray_missing_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")

    done = _call("--dataset", "demo", "--channel", CHANNEL, "--nodes", "A01", "--out", str(tmp_path / "out"),
                 "--engine", "ray", "--json")  # fmt: skip

    assert done.exit_code == 2
    assert "not installed" in json.loads(done.stdout)["error"]["message"]


RUN = "from mm4st_agent.cli.common import Commands; from mm4st_agent.cli.batch import forecast\n"
RUN += "Commands(commands={'forecast': forecast})()"


@pytest.fixture
def ray_run(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Two workers of Ray in a cluster of its own, on blocks of one node."""
    pytest.importorskip("ray")
    out = tmp_path / "ray"
    words = ["forecast", "--dataset", "demo", "--channel", CHANNEL, "--all-nodes", "--out", str(out), "--block", "1"]
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, *words, "--engine", "ray", "--workers", "2", "--json"],
        env={**os.environ, "RAY_ADDRESS": "local"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    family = psutil.Process(process.pid)
    yield process, out
    if process.poll() is None:
        for child in [*family.children(recursive=True), family]:
            child.kill()
    process.communicate()


def _workers_of(pid: int) -> list[psutil.Process]:
    found = []
    for child in psutil.Process(pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):  # it has ended meanwhile
            if "MapWorker" in " ".join(child.cmdline()):
                found.append(child)
    return found


def test_ray_with_a_worker_killed_gives_the_rows_of_local(
    ray_run: tuple[subprocess.Popen[str], Path], whole: tuple[Path, BatchManifest]
) -> None:
    process, out = ray_run
    workers: list[psutil.Process] = []
    while not (begun := sorted(out.glob("block=*/*.parquet"))) or len(workers) < 2:
        assert process.poll() is None, process.communicate()
        workers = _workers_of(process.pid)
        time.sleep(0.05)  # between two looks
    workers[0].kill()
    assert len(begun) < 24, "the run was over before a worker could be killed"
    stdout, stderr = process.communicate(timeout=120)

    assert process.returncode == 0, stderr
    said = json.loads(stdout)
    assert (said["engine"], said["workers"], said["blocks"], said["forecast"]) == ("ray", 2, 24, 24)
    pd.testing.assert_frame_equal(_rows(out), _rows(whole[0]))
    assert said["about"] == whole[1].about.model_dump(mode="json")
