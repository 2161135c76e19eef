"""Large sets are imported, opened and read without ever being in memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")

STORE = """
import json, sys, time
from pathlib import Path
import numpy as np, pandas as pd
from mm4st_agent.data.card import Channel, DataCard
from mm4st_agent.data.importing.draft import Draft
from mm4st_agent.data.registry import Registry

def draft(name, steps, nodes, rows=700):
    def blocks():
        rng = np.random.default_rng(3)
        for first in range(0, steps, rows):
            length = min(rows, steps - first)
            yield first, {"speed": rng.integers(0, 700, (length, nodes)).astype(np.float32) / 10}
    ids = pd.Index([f"N{i:05d}" for i in range(nodes)])
    channels = (Channel(name="speed", unit="mph"),)
    card = DataCard(name=name, title=name, source="a test", licence="CC0-1.0", channels=channels)
    table = pd.DataFrame({"name": ids, "kind": "", "lat": np.nan, "lon": np.nan}, index=ids)
    return Draft(card=card, time=pd.date_range("2024-01-01", periods=steps, freq="5min"), nodes=table, blocks=blocks)

def peak_mb():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
"""

MEASURE = """
home, steps, nodes = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
registry = Registry(None, home, {})
registry.add_draft(draft("small", 300, 20))
registry.open("small").values()
before = peak_mb()
started = time.perf_counter()
registry.add_draft(draft("big", steps, nodes))
stored = time.perf_counter()
imported_mb = peak_mb()
panel = registry.open("big")
opened = time.perf_counter()
week = panel.only([panel.node_ids[nodes // 2]]).data["speed"][-2016:].to_numpy()
read = time.perf_counter()
now = panel.data["speed"][-1].to_numpy()
print(json.dumps({
    "array_mb": steps * nodes * 4 / 2**20, "rise_mb": imported_mb - before, "open_rise_mb": peak_mb() - imported_mb,
    "import_s": stored - started, "open_s": opened - stored, "week_s": read - opened,
    "map_s": time.perf_counter() - read, "week": week[:, 0].tolist(), "map": now.tolist(),
}))
"""

CLI = """
import atexit, sys
from pathlib import Path
from mm4st_agent.cli import main

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    print("peak_mb", next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024, file=sys.stderr)

atexit.register(peak)
main()
"""

READ = """
import json, sys, time
from pathlib import Path
import numpy as np
from mm4st_agent.data.registry import Registry
registry = Registry(None, Path(sys.argv[1]), {})
started = time.perf_counter()
panel = registry.open("big")
opened = time.perf_counter()
week = panel.only(["4321"]).data[panel.channel().name][-2016:].to_numpy()
read = time.perf_counter()
history = panel.only(["77"]).values()
print(json.dumps({
    "open_s": opened - started, "week_s": read - opened, "history_s": time.perf_counter() - read,
    "mean": float(np.nanmean(week)),
}))
"""


def _measure(folder: Path, steps: int, nodes: int) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", STORE + MEASURE, str(folder), str(steps), str(nodes)],
        capture_output=True, text=True, check=False, timeout=250,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _readings(steps: int, nodes: int) -> np.ndarray:
    """What `STORE` draws."""
    rng = np.random.default_rng(3)
    parts = [rng.integers(0, 700, (min(700, steps - first), nodes)) for first in range(0, steps, 700)]
    return np.concatenate(parts).astype(np.float32) / 10


def test_memory_does_not_grow_with_the_set(tmp_path: Path) -> None:
    steps, nodes = 288 * 120, 2_000

    found = _measure(tmp_path, steps, nodes)

    assert found["array_mb"] > 260
    assert found["rise_mb"] < 100
    assert found["open_rise_mb"] < 20
    assert found["open_s"] < 1
    assert found["week_s"] < 0.5
    truth = _readings(steps, nodes)
    np.testing.assert_array_equal(np.float32(found["week"]), truth[-2016:, nodes // 2])
    np.testing.assert_array_equal(np.float32(found["map"]), truth[-1])
    files = [path for path in (tmp_path / "big").rglob("*") if path.is_file()]
    assert len(files) < 40  # one for each row of chunks


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_year_of_8600_nodes_from_file_to_one_nodes_week(real_data: Path, tmp_path: Path) -> None:
    source, home = tmp_path / "big.npz", tmp_path / "home"
    _tile(real_data / "los_loop" / "los_speed.csv", source, steps=105_120, nodes=8_600)
    command = [sys.executable, "-c", CLI, "data", "import", str(source), "--name", "big", "--start", "2024-01-01"]
    command += ["--step", "300", "--yes", "--json"]
    environment = {**os.environ, "MM4ST_HOME": str(home)}

    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as killed:
        assert killed.stderr is not None
        assert any(line.startswith("Storing big: ") for line in killed.stderr), "it was done before it said how far"
        killed.kill()
    assert list((home / "data").glob("big*")) == []
    assert list((home / "data").glob(".big.partial")) != []

    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=900)

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["nodes"] == 8_600
    peak_mb = float(done.stderr.splitlines()[-1].split()[1])
    assert peak_mb < 1500
    assert sorted(path.name for path in (home / "data").iterdir()) == ["big"]
    source.unlink()
    read = subprocess.run(
        [sys.executable, "-c", READ, str(home / "data")], capture_output=True, text=True, check=True, timeout=60
    )
    found = json.loads(read.stdout)
    assert found["open_s"] < 1
    assert found["week_s"] < 0.05
    assert found["mean"] > 0


def _tile(speeds: Path, path: Path, steps: int, nodes: int) -> None:
    """A week of 207 detectors repeated over the year and the nodes, with noise; written a block at a time."""
    week = np.loadtxt(speeds, delimiter=",", skiprows=1, dtype=np.float32)
    rng = np.random.default_rng(7)
    with zipfile.ZipFile(path, "w") as archive, archive.open("data.npy", "w", force_zip64=True) as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (steps, nodes, 1)}
        np.lib.format.write_array_header_1_0(file, header)
        for first in range(0, steps, 1000):
            rows = np.arange(first, min(first + 1000, steps)) % len(week)
            tiled = week[rows][:, np.arange(nodes) % week.shape[1]]
            noise = rng.integers(-20, 21, tiled.shape, dtype=np.int8)
            file.write(np.maximum(0, tiled + noise / np.float32(10)).astype("<f4").tobytes())
