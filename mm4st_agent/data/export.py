"""One channel of a panel as a table that every other program reads."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd

from mm4st_agent.data.chunks import chunk_shape
from mm4st_agent.data.panel import Panel
from mm4st_agent.errors import UsageError

SUFFIXES = (".csv", ".csv.gz", ".parquet")
TIME = "time"


def export_table(
    panel: Panel, path: Path, channel: str | None = None, *, progress: Callable[[int, int], None] | None = None
) -> None:
    """Write a column `time` and one column a node that measures the channel; `path` appears when it is complete.

    Args:
        panel: Of any size; a part at a time is in memory.
        path: `.csv`, `.csv.gz` (ISO 8601 local time with its offset; a missing reading is empty) or `.parquet`
            (zone-aware time, float32 readings, missing is NaN).
        channel: None is the main one. Readings are in its unit, imputed cells included.
        progress: Called with the time steps that are written, and how many there are.

    Raises:
        UsageError: there is no such channel, or `path` exists, has another suffix or cannot be written.
    """
    part = panel.of(channel)
    if not path.name.lower().endswith(SUFFIXES):
        raise UsageError(f"{path} has none of the suffixes {', '.join(SUFFIXES)}.", "They say which format to write.")
    if path.exists():
        raise UsageError(f"{path} exists already.", "Choose another name, or delete it first.")
    partial = path.with_name(f".{path.name}.part")
    write = _write_parquet if path.suffix.lower() == ".parquet" else _write_csv
    try:
        write(_tables(part, channel, progress), partial)
        partial.rename(path)
    except OSError as err:
        raise UsageError(f"{path} cannot be written: {err.strerror}.", "Choose a file in a folder of yours.") from err
    finally:
        partial.unlink(missing_ok=True)


def _tables(panel: Panel, channel: str | None, progress: Callable[[int, int], None] | None) -> Iterator[pd.DataFrame]:
    """The table in parts, oldest first, indexed by local time."""
    variable, times = panel.data[panel.channel(channel).name], panel.times
    rows, _ = chunk_shape(*variable.shape)
    for first in range(0, len(times), rows):
        values = variable[first : first + rows].to_numpy()
        yield pd.DataFrame(values, times[first : first + rows].rename(TIME), panel.node_ids)
        if progress is not None:
            progress(min(first + rows, len(times)), len(times))


def _write_csv(tables: Iterator[pd.DataFrame], path: Path) -> None:
    zipped = path.name.endswith(".gz.part")
    with (gzip.open if zipped else open)(path, "wt", encoding="utf-8", newline="") as file:
        for number, table in enumerate(tables):
            stamps = pd.Index([stamp.isoformat() for stamp in table.index], name=TIME)
            table.set_index(stamps).to_csv(file, header=number == 0)


def _write_parquet(tables: Iterator[pd.DataFrame], path: Path) -> None:
    import pyarrow as pa  # type: ignore[import-untyped]
    import pyarrow.parquet as pq  # type: ignore[import-untyped]

    writer: pq.ParquetWriter | None = None
    try:
        for table in tables:
            rows = pa.Table.from_pandas(table.reset_index(), preserve_index=False)
            writer = writer or pq.ParquetWriter(path, rows.schema)
            writer.write_table(rows)
    finally:
        if writer is not None:
            writer.close()
