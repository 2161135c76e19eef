"""Two ways over the blocks: one after the other here, or by Ray Data on this machine or a cluster."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mm4st_agent.batch.job import Job
from mm4st_agent.batch.shared import Outlook
from mm4st_agent.batch.worker import Worker
from mm4st_agent.errors import DataError, MM4STError, ServerError, UsageError
from mm4st_agent.memory import stay_level
from mm4st_agent.runtime import Runtime
from mm4st_agent.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

_ERRORS: dict[str, type[MM4STError]] = {error.kind: error for error in (UsageError, DataError)}
"""What a worker can meet; Ray would wrap it into an error of its own."""


def local(runtime: Runtime, job: Job, outlook: Outlook | None, folder: Path, blocks: Sequence[int]) -> Iterator[int]:
    """Write the blocks in this process; yields each one's rows."""
    worker = Worker(runtime, job, outlook, folder)
    for block in blocks:
        yield worker(block)


class RayWorker:
    """A `Worker` in a process of Ray's, opened with its first block.

    Args:
        paths: Home and data directory; of the settings, no more is needed.
        shared: Of `(job, outlook)` in Ray's object store.
        folder: Where the blocks go.
    """

    def __init__(self, paths: tuple[Path, Path | None], shared: list[Any], folder: Path) -> None:
        self._paths, self._shared, self._folder = paths, shared, folder

    @cached_property
    def _worker(self) -> Worker:
        import ray as cluster

        stay_level()
        home, data_dir = self._paths
        job, outlook = cluster.get(self._shared[0])
        return Worker(Runtime(load_settings(home=home, data_dir=data_dir)), job, outlook, self._folder)

    def __call__(self, batch: Mapping[str, np.ndarray]) -> dict[str, list[Any]]:
        """Ray's form: a batch with the number of one block; an error that the person can mend is returned."""
        (block,) = batch["block"]
        try:
            return {"rows": [self._worker(int(block))], "kind": [""], "message": [""], "hint": [""]}
        except MM4STError as err:
            return {"rows": [0], "kind": [err.kind], "message": [err.message], "hint": [err.hint]}


def ray(
    runtime: Runtime, job: Job, outlook: Outlook | None, folder: Path, blocks: Sequence[int], workers: int
) -> Iterator[int]:
    """Write the blocks with so many workers of Ray; yields each block's rows as it is done.

    The cluster is the one that Ray finds (`RAY_ADDRESS`, or one on this machine), or one made here for the run. A
    worker that dies is replaced, and its block is made again.

    Raises:
        UsageError: Ray is not installed, or the cluster has fewer CPUs than workers.
        ServerError: the cluster does not answer.
    """
    # Before the import, which reads it: nothing is told to anybody about this use of Ray.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    with redirect_stdout(sys.stderr):  # Ray prints there what befell a worker
        yield from _mapped(runtime, job, outlook, folder, blocks, workers)


def _mapped(
    runtime: Runtime, job: Job, outlook: Outlook | None, folder: Path, blocks: Sequence[int], workers: int
) -> Iterator[int]:
    try:
        import ray as cluster
        import ray.data as ray_data
    except ImportError as err:
        raise UsageError(
            "The engine 'ray' needs Ray, which is not installed.",
            "Install it with pip install 'mm4st[ray]', or leave --engine out.",
        ) from err
    opened = not cluster.is_initialized()
    try:
        if opened:
            cluster.init(log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False)
        cores = int(cluster.cluster_resources().get("CPU", 0))  # type: ignore[no-untyped-call]
    except (ConnectionError, RuntimeError, ValueError) as err:
        raise ServerError(
            f"Ray's cluster does not answer: {err}.", "Look at RAY_ADDRESS; unset starts one here."
        ) from err
    try:
        if workers > cores:
            raise UsageError(f"{workers} workers need as many CPUs, and Ray has {cores}.", f"Use --workers {cores}.")
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        ray_data.DataContext.get_current().enable_progress_bars = False
        # In a list, Ray hands over the reference itself; held here, it outlives every worker that is replaced.
        shared = [cluster.put((job, outlook))]
        paths = (runtime.settings.home, runtime.settings.data_dir)
        numbers = ray_data.from_items([{"block": block} for block in blocks], override_num_blocks=len(blocks))
        done = numbers.map_batches(
            RayWorker,
            fn_constructor_args=(paths, shared, folder),
            batch_size=1,
            compute=ray_data.ActorPoolStrategy(size=workers),
            num_cpus=1,
        )
        for row in done.iter_rows():
            if row["kind"]:
                raise _ERRORS[row["kind"]](row["message"], row["hint"])
            yield int(row["rows"])
    finally:
        if opened:
            cluster.shutdown()
