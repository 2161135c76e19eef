"""One worker: opens its data once, then forecasts and writes block after block."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mm4st_agent.agent.manifest import used_forecaster
from mm4st_agent.batch.folder import write_block
from mm4st_agent.batch.job import Job
from mm4st_agent.batch.shared import Outlook, SharedForecaster
from mm4st_agent.batch.table import table_of
from mm4st_agent.data.panel import MASK, Panel
from mm4st_agent.errors import DataError
from mm4st_agent.forecaster.prediction import TrainedForecaster
from mm4st_agent.runtime import Runtime

if TYPE_CHECKING:
    from mm4st_agent.forecaster.forecast import Forecast


class Worker:
    """Forecasts blocks of one job. What it holds does not grow with the number of blocks.

    Args:
        runtime: Finds the data set and the forecaster.
        job: What is asked.
        outlook: Of the trained forecaster; None where there is none.
        folder: Where the blocks go.

    Raises:
        DataError: the data set or the forecaster is not the job's: this machine has another version.
    """

    def __init__(self, runtime: Runtime, job: Job, outlook: Outlook | None, folder: Path) -> None:
        whole = runtime.registry.open(job.dataset)
        self._job, self._folder = job, folder
        self._panel = whole.until(job.as_of)
        forecaster = runtime.forecaster(whole, whole.channel(job.channel))
        used = used_forecaster(job.dataset, job.channel, forecaster)
        if (whole.card.sha256, used) != (job.data_sha256, job.forecaster):
            raise DataError(
                f"This worker has another version of {job.dataset!r}, or another forecaster of it, than the run.",
                "Let MM4ST_HOME and MM4ST_DATA_DIR be the same shared folders on every machine.",
            )
        self._shared = outlook is not None
        if outlook is not None and isinstance(forecaster, TrainedForecaster):
            forecaster = SharedForecaster(forecaster, outlook)
        self._forecaster = forecaster

    def __call__(self, block: int) -> int:
        """Write one block whole; returns its rows."""
        nodes = self._job.nodes_of(block)
        panel = self._panel if self._shared else _read(self._panel, nodes, self._job.channel)
        left_out: dict[str, str] = {}
        found = self._forecasts(panel, nodes, left_out)
        table = table_of(self._panel, self._job, found, left_out)
        write_block(self._folder, block, table)
        return int(table.num_rows)

    def _forecasts(self, panel: Panel, nodes: Sequence[str], left_out: dict[str, str]) -> list[Forecast]:
        """Of the nodes that were ever measured; the others go to `left_out`, found by halving."""
        try:
            return self._forecaster.predict(panel, nodes, self._job.channel, self._job.horizon)
        except DataError as err:
            if len(nodes) == 1:
                left_out[nodes[0]] = err.message
                return []
        middle = len(nodes) // 2
        first = self._forecasts(panel, nodes[:middle], left_out)
        return first + self._forecasts(panel, nodes[middle:], left_out)


def _read(panel: Panel, nodes: Sequence[str], channel: str) -> Panel:
    """The block alone, in memory: a baseline looks at one node after the other, and each would read whole chunks."""
    part = panel.only(nodes)
    wanted = (channel, part.data[channel].attrs.get(MASK))
    read = {name: part.data[name].load() for name in wanted if name is not None}
    return dataclasses.replace(part, data=part.data.assign(read))
