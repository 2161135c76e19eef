"""`mm4st bench latency`: how long a forecast of all nodes takes, and how many windows a second a batch gives."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eval.bench.report import BenchRow, compared, report_of

if TYPE_CHECKING:
    from mm4st_agent.data.card import Channel
    from mm4st_agent.data.panel import Panel
    from mm4st_agent.forecaster.prediction import TrainedForecaster
    from mm4st_agent.runtime import Runtime

GOAL_MS = 60.0
"""A warm forecast of all nodes should take no longer, in the median."""
FORECASTS = 30
BATCH = 128
"""Windows that run together."""
NETWORK_SIZES = "pems-orange"
"""Its 81 sensors are measured too, where the data are here."""


def bench_latency(runtime: Runtime) -> dict[str, Any]:
    """Time the shipped forecasters of the demo city and, where its data are here, pico on the sensors of pems-orange.

    A forecast is of all nodes, every step and quantile and the total, for the tool's caller; it is warm: the same
    moment was asked about before, so that what is known of earlier forecasts is at hand. The weights do not change
    how long it takes, so those of pems-orange are trained on a twentieth of the data for one epoch.

    Returns:
        `{rows, commit, machine}`: the median of 30 forecasts against the goal of 60 ms, and windows a second in
        batches of 128 against one at a time.
    """
    from mm4st_agent.forecaster.prediction import TrainedForecaster

    rows: list[BenchRow] = []
    panel = runtime.registry.open("demo")
    for channel in panel.card.channels:
        forecaster = runtime.forecaster(panel, channel)
        if isinstance(forecaster, TrainedForecaster):
            rows += _rows(forecaster, panel, channel)
    if runtime.registry.available(NETWORK_SIZES):
        with tempfile.TemporaryDirectory() as folder:
            rows += _fresh(runtime.registry.open(NETWORK_SIZES), Path(folder))
    return report_of(rows)


def _fresh(panel: Panel, folder: Path) -> list[BenchRow]:
    from mm4st_agent.forecaster.prediction import TrainedForecaster
    from mm4st_agent.forecaster.stvlm.config import StVlmConfig
    from mm4st_agent.forecaster.train_config import TrainConfig
    from mm4st_agent.forecaster.training import train_checkpoint

    channel = panel.channel()
    config = TrainConfig(network=StVlmConfig(), shots=0.05, max_epochs=1)
    train_checkpoint(panel, channel.name, out=folder / "checkpoint", config=config, progress=False)
    return _rows(TrainedForecaster(folder / "checkpoint"), panel, channel)


def _rows(forecaster: TrainedForecaster, panel: Panel, channel: Channel) -> list[BenchRow]:
    from mm4st_agent.forecaster.measured import measuring
    from mm4st_agent.forecaster.slots import slots_of

    checkpoint = forecaster.checkpoint
    shape, now = checkpoint.card.network, panel.until(panel.now)
    ids = np.array(checkpoint.card.node_ids)
    nodes = ids[np.isfinite(now.only(ids.tolist()).observed(channel.name)).any(axis=0)].tolist()
    waited = _median_s(lambda: forecaster.predict(now, nodes, channel.name, shape.horizon))

    part = measuring(panel, channel)
    slots = slots_of(part.times, part.step_s, part.card.holidays)
    inputs = checkpoint.inputs(part, part.observed(channel.name), slots)
    last = len(part.times) - shape.horizon
    origins = np.arange(last - BATCH, last)
    batch = BATCH / _median_s(lambda: checkpoint.quantiles(inputs, origins), times=5)
    single = 1 / _median_s(lambda: checkpoint.quantiles(inputs, origins[:1]))
    about = f"{panel.name} {channel.name}, {forecaster.name}, {len(nodes)} nodes"
    return [
        compared(f"{about}: warm forecast, p50", 1000 * waited, GOAL_MS, "the goal", "ms"),
        compared(f"{about}: in batches of {BATCH}", batch, single, "one at a time", "windows/s", "higher"),
    ]


def _median_s(call: Callable[[], object], times: int | None = None) -> float:
    """Median seconds of a call, after one that is not counted."""
    call()
    spent = []
    for _ in range(times or FORECASTS):
        started = time.perf_counter()
        call()
        spent.append(time.perf_counter() - started)
    return statistics.median(spent)
