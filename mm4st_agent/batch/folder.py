"""The folder of a batch forecast: `_job.json`, a Parquet file a block, and at the end `_manifest.json`.

Names that begin with `_` are no data to readers of Parquet folders, and `block=N` becomes a column for them.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from mm4st_agent.agent.manifest import write_whole
from mm4st_agent.batch.job import Job
from mm4st_agent.batch.table import About, about_of
from mm4st_agent.errors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa  # type: ignore[import-untyped]

JOB_FILE = "_job.json"
MANIFEST_FILE = "_manifest.json"
READABLE = 0o644


def begin(folder: Path, job: Job) -> None:
    """Make the folder ready for a job; blocks of the same job that are there stay.

    Raises:
        UsageError: it holds another forecast, or something else, or cannot be written.
    """
    known = folder / JOB_FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if known.exists():
            _check_same(folder, Job.model_validate_json(known.read_bytes()), job)
            return
        if any(not path.name.startswith(".") for path in folder.iterdir()):
            raise UsageError(f"The folder {folder} is not empty, and holds no forecast of ours.", "Name another --out.")
        write_whole(known, job.model_dump_json(indent=1).encode() + b"\n", READABLE)
    except ValidationError as err:
        raise UsageError(f"{known} is not what a forecast writes.", "Name another --out.") from err
    except OSError as err:
        raise UsageError(f"The folder {folder} cannot be used: {err.strerror or err}.", "Name another --out.") from err


def _check_same(folder: Path, known: Job, job: Job) -> None:
    differs = [name for name in Job.model_fields if getattr(known, name) != getattr(job, name)]
    if differs:
        raise UsageError(
            f"The folder {folder} holds a forecast with another {', '.join(differs)}.",
            "Name another --out, or delete the folder.",
        )


def block_path(folder: Path, block: int) -> Path:
    """Where a block lies."""
    return folder / f"block={block:05d}" / "part-0.parquet"


def finished(folder: Path, block: int) -> tuple[About, int] | None:
    """What a block that is there says of its rows, and how many; None where it is to be made."""
    try:
        return about_of(block_path(folder, block))
    except (OSError, ValueError):
        return None


def write_block(folder: Path, block: int, table: pa.Table) -> None:
    """Write a block under a temporary name and rename it, so that it is there whole or not at all.

    Raises:
        UsageError: the folder cannot be written.
    """
    import pyarrow.parquet as pq  # type: ignore[import-untyped]

    path = block_path(folder, block)
    try:
        path.parent.mkdir(exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".tmp")
        os.close(handle)
        temporary = Path(name)
        try:
            pq.write_table(table, temporary, compression="zstd")
            temporary.chmod(READABLE)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as err:
        raise UsageError(f"The folder {folder} cannot be used: {err.strerror or err}.", "Name another --out.") from err


def clear_leftovers(folder: Path) -> None:
    """Delete what killed workers left half-written; only when no worker runs."""
    for path in folder.glob("block=*/.*.tmp"):
        path.unlink(missing_ok=True)
