"""`mm4st bench batch`: nodes a second and peak memory of `mm4st forecast --all-nodes`, for more and more nodes."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from eval.bench.report import report_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mm4st_agent.data.importing.draft import Draft
    from mm4st_agent.runtime import Runtime

REAL = "pems-orange"
"""Its 81 sensors, where the data are here; all other sizes are synthetic."""
SIZES = (81, 1_000, 8_600)
"""8,600 is the size of the largest public network of traffic sensors."""
DAYS = 28
TRAINED_DAYS = 8
STEP_S = 900
_ROWS = 256
_DEGREE = 3
"""Each synthetic node has edges to so many that follow it."""


def bench_batch(runtime: Runtime, sizes: tuple[int, ...] = SIZES) -> dict[str, Any]:
    """Forecast every node, each size in a process of its own, with and without a trained model.

    The synthetic panels hold 28 days in steps of 15 minutes. Their models are ST-VLM pico after one epoch on a
    few windows of the first 8 days: how long a forecast takes does not depend on the weights.

    Returns:
        `{rows, commit, machine}`, a row a forecaster and size: nodes a second of the whole run, from opening the data
        to the manifest; after the first block, when all that is shared was made; for each second of processor time,
        which other programs change little; and the memory of the process before and at its highest.
    """
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        if runtime.registry.available(REAL):
            rows.append(_measured(home, REAL, runtime.settings.data_dir))
        for nodes in sizes:
            _in_a_process("store", str(home), str(nodes))
            rows.append(_measured(home, name_of(nodes), None))
            _in_a_process("train", str(home), str(nodes))
            rows.append(_measured(home, name_of(nodes), None))
    return report_of(rows)


def print_batch(report: dict[str, Any]) -> None:
    """Print the rows for people, on stdout."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"commit {report['commit']}, {report['machine']}")
    table.add_column("what")
    for title in _COLUMNS:
        table.add_column(title, justify="right")
    for row in report["rows"]:
        cells = ("-" if row[key] is None else f"{row[key]:,.5g}" for key in _COLUMNS.values())
        table.add_row(row["name"] + (" (synthetic)" if row["synthetic"] else ""), *cells)
    Console().print(table)


_COLUMNS = {
    "nodes": "nodes",
    "seconds": "seconds",
    "nodes/s": "nodes_per_s",
    "after the first block": "nodes_per_s_after_first_block",
    "a CPU second": "nodes_per_cpu_s",
    "peak MB": "peak_mb",
    "before MB": "before_mb",
}


def name_of(nodes: int) -> str:
    """Of the synthetic data set with so many nodes."""
    return f"synthetic-{nodes}"


def synthetic(nodes: int, days: int = DAYS) -> Draft:
    """A made-up network: daily and weekly rhythm, noise that passes on to the next node, 1 % missing."""
    from mm4st_agent.data.card import Channel, DataCard
    from mm4st_agent.data.importing.draft import Draft, Layers

    steps = days * 86_400 // STEP_S
    ids = pd.Index([f"N{number:05d}" for number in range(nodes)])
    near = [(here, (here + jump) % nodes, 1 / jump) for here in range(nodes) for jump in range(1, _DEGREE + 1)]
    edges = pd.DataFrame([(ids[a], ids[b], weight) for a, b, weight in near], columns=["source", "target", "weight"])
    card = DataCard(
        name=name_of(nodes),
        title=f"{nodes:,} invented sensors (synthetic)",
        source="eval/bench/batch.py",
        licence="CC0-1.0",
        time_label="start",
        channels=(Channel(name="flow", unit="vehicles/15 min", aggregation="sum", total_unit="vehicles"),),
        synthetic=True,
    )

    def blocks() -> Iterator[tuple[int, dict[str, NDArray[np.float32]]]]:
        rng = np.random.default_rng(nodes)
        for first in range(0, steps, _ROWS):
            yield first, {"flow": _flow(rng, first, min(_ROWS, steps - first), nodes)}

    return Draft(
        card=card,
        time=pd.date_range("2026-03-02", periods=steps, freq=f"{STEP_S}s"),
        nodes=pd.DataFrame({"name": ids, "kind": "", "lat": np.nan, "lon": np.nan}, index=ids),
        blocks=blocks,
        layers=Layers(edges=edges),
    )


def _flow(rng: np.random.Generator, first: int, steps: int, nodes: int) -> NDArray[np.float32]:
    hours = (first + np.arange(steps)) * STEP_S / 3600
    wave = 60 + 40 * np.sin((hours - 9) / 24 * 2 * np.pi)
    wave *= np.where(hours // 24 % 7 >= 5, 0.6, 1.0)
    noise = rng.standard_normal((steps, nodes)).astype(np.float32)
    noise += 0.5 * np.roll(noise, 1, axis=1)
    flow = np.maximum(0, wave[:, None] * (1 + 0.1 * noise)).astype(np.float32)
    return np.where(rng.random(flow.shape) < 0.01, np.float32(np.nan), flow)


def _measured(home: Path, dataset: str, data_dir: Path | None) -> dict[str, Any]:
    return _in_a_process("forecast", str(home), dataset, *([] if data_dir is None else [str(data_dir)]))


def _in_a_process(*words: str) -> dict[str, Any]:
    """Run one step on its own, so that the memory of another does not count."""
    done = subprocess.run(
        [sys.executable, "-m", "eval.bench.batch", *words], stdout=subprocess.PIPE, text=True, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    if found:
        sys.stderr.write(done.stdout + "\n")
    return found


def _store(home: str, nodes: str) -> dict[str, Any]:
    from mm4st_agent.data.store import store_draft

    draft = synthetic(int(nodes))
    store_draft(draft, Path(home) / "data" / draft.card.name)
    return {}


def _train(home: str, nodes: str) -> dict[str, Any]:
    from mm4st_agent.forecaster.stvlm.config import StVlmConfig
    from mm4st_agent.forecaster.train_config import TrainConfig
    from mm4st_agent.forecaster.training import train_checkpoint

    runtime = _runtime(home)
    whole = runtime.registry.open(name_of(int(nodes)))
    panel = dataclasses.replace(whole, data=whole.data.isel(time=slice(0, TRAINED_DAYS * 86_400 // STEP_S)))
    out = runtime.checkpoints / f"{panel.name}-{panel.channel().name}"
    config = TrainConfig(network=StVlmConfig(), shots=0.1, max_epochs=1)
    train_checkpoint(panel, None, out=out, config=config, progress=False)
    return {}


def _forecast(home: str, dataset: str, data_dir: str | None = None) -> dict[str, Any]:
    import time

    from mm4st_agent.batch.job import job_of
    from mm4st_agent.batch.run import run_batch
    from mm4st_agent.memory import stay_level

    stay_level()  # as the command does
    runtime = _runtime(home, data_dir)
    started, first, busy = time.perf_counter(), 0.0, time.process_time()
    before = _peak_mb()

    def progress(done: int, total: int) -> None:
        nonlocal first
        if done == 1:  # all that the blocks share was made by then
            first = time.perf_counter()

    with tempfile.TemporaryDirectory(dir=home) as out:
        manifest = run_batch(runtime, job_of(runtime, dataset), Path(out), progress=progress)
    ended = time.perf_counter()
    nodes, after = manifest.forecast, manifest.forecast - min(manifest.job.block, manifest.forecast)
    return {
        "name": f"{dataset}, {manifest.job.forecaster.model}",
        "nodes": nodes,
        "synthetic": manifest.about.synthetic,
        "steps": runtime.registry.open(dataset).data.sizes["time"],
        "seconds": round(ended - started, 2),
        "nodes_per_s": round(nodes / (ended - started), 1),
        "nodes_per_s_after_first_block": round(after / (ended - first), 1) if after else None,
        "nodes_per_cpu_s": round(nodes / (time.process_time() - busy), 1),
        "peak_mb": round(_peak_mb(), 0),
        "before_mb": round(before, 0),
    }


def _runtime(home: str, data_dir: str | None = None) -> Runtime:
    from mm4st_agent.runtime import Runtime
    from mm4st_agent.settings import load_settings

    return Runtime(load_settings(home=Path(home), data_dir=None if data_dir is None else Path(data_dir)))


def _peak_mb() -> float:
    # Not `getrusage`: its peak outlives `exec`, so it would be that of the process which started this one.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


if __name__ == "__main__":
    step, *given = sys.argv[1:]
    steps: dict[str, Callable[..., dict[str, Any]]] = {"store": _store, "train": _train, "forecast": _forecast}
    sys.stdout.write(json.dumps(steps[step](*given)))
