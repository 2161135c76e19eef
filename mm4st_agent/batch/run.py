"""A batch forecast from the first check to the manifest."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict

from mm4st_agent.agent.manifest import versions, write_whole
from mm4st_agent.batch import engines
from mm4st_agent.batch.folder import MANIFEST_FILE, READABLE, begin, clear_leftovers, finished
from mm4st_agent.batch.job import Job
from mm4st_agent.batch.shared import outlook_of
from mm4st_agent.batch.table import About
from mm4st_agent.errors import DataError, UsageError
from mm4st_agent.forecaster.prediction import TrainedForecaster
from mm4st_agent.runtime import Runtime

Engine = Literal["local", "ray"]


class BatchManifest(BaseModel):
    """What is in the folder, and what it came from; `_manifest.json`.

    Attributes:
        created: When the last block was there.
        seconds: Of this run; blocks that were kept took none of it.
        job: What was asked, with the sha256 of the data and of the checkpoint's files, and the commit.
        about: Unit, zone and clock; node counts and nodes left out are over all blocks.
        forecast: Nodes with a forecast.
        rows: In all files.
        kept: Blocks that an earlier run had written.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    created: AwareDatetime
    seconds: float
    engine: Engine
    workers: int
    job: Job
    about: About
    forecast: int
    rows: int
    blocks: int
    kept: int
    versions: Mapping[str, str]


def run_batch(
    runtime: Runtime,
    job: Job,
    out: Path,
    *,
    engine: Engine = "local",
    workers: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> BatchManifest:
    """Forecast every block that is not there yet, then write the manifest.

    Stopped at any time, the same call goes on with the blocks that are missing.

    Args:
        runtime: Finds the data set and the forecaster.
        job: From `job_of`.
        out: Folder of the result; empty, new, or of the same job.
        engine: 'ray' maps over the blocks with Ray Data.
        workers: Processes of Ray; 1 for 'local'.
        progress: Called with the blocks that are done, and how many there are.

    Raises:
        UsageError: `out` holds something else or cannot be written, Ray is missing, too many workers.
        DataError: the data or the checkpoint are broken or changed, or no node has a forecast.
        ServerError: Ray's cluster does not answer.
    """
    if engine == "local" and workers != 1:
        raise UsageError(f"The engine 'local' has one worker, not {workers}.", "Use --engine ray for more.")
    started = time.monotonic()
    out = out.expanduser().resolve()
    begin(out, job)
    todo = [block for block in range(job.blocks) if finished(out, block) is None]
    kept = job.blocks - len(todo)
    progress(kept, job.blocks)
    if todo:
        whole = runtime.registry.open(job.dataset)
        chosen = whole.channel(job.channel)
        forecaster, panel = runtime.forecaster(whole, chosen), whole.until(job.as_of)
        outlook = outlook_of(forecaster, panel, chosen) if isinstance(forecaster, TrainedForecaster) else None
        rows = (
            engines.local(runtime, job, outlook, out, todo)
            if engine == "local"
            else engines.ray(runtime, job, outlook, out, todo, workers)
        )
        for done, _ in enumerate(rows, kept + 1):
            progress(done, job.blocks)
    clear_leftovers(out)
    manifest = _manifest(out, job, engine, workers, kept, time.monotonic() - started)
    text = manifest.model_dump_json(indent=1)
    write_whole(out / MANIFEST_FILE, text.encode() + b"\n", READABLE)
    return manifest


def _manifest(out: Path, job: Job, engine: Engine, workers: int, kept: int, seconds: float) -> BatchManifest:
    """From what the blocks say themselves, so that it is right for those of earlier runs, too.

    Raises:
        DataError: a block is missing, or no node has a forecast.
    """
    led_by: Counter[str] = Counter()
    left_out: dict[str, str] = {}
    rows = in_sample = 0
    about: About | None = None
    for block in range(job.blocks):
        found = finished(out, block)
        if found is None:
            raise DataError(f"Block {block} of {out} is gone.", "Run the same command again.")
        about, count = found
        led_by.update(about.led_by)
        left_out |= about.left_out
        rows, in_sample = rows + count, in_sample + about.in_sample
    assert about is not None
    if not rows:
        node, reason = next(iter(left_out.items()))
        raise DataError(f"No node has a forecast. Of {node!r}: {reason}", "Choose other nodes or another time.")
    return BatchManifest(
        created=datetime.now(UTC),
        seconds=round(seconds, 3),
        engine=engine,
        workers=workers,
        job=job,
        about=about.model_copy(
            update={"led_by": dict(led_by.most_common()), "left_out": left_out, "in_sample": in_sample}
        ),
        forecast=len(job.nodes) - len(left_out),
        rows=rows,
        blocks=job.blocks,
        kept=kept,
        versions=versions(),
    )
