"""Data sets that a suite makes: written as CSV and imported as a person's own data are."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pandas as pd

from mm4st_agent.data.importing.inspect import inspect
from mm4st_agent.data.importing.options import ImportOptions
from mm4st_agent.data.panel import Panel
from mm4st_agent.runtime import Runtime


def stored(
    runtime: Runtime,
    name: str,
    readings: pd.DataFrame,
    *,
    nodes: pd.DataFrame | None = None,
    events: pd.DataFrame | None = None,
    options: ImportOptions,
) -> Panel:
    """The imported data set of this name; imported now where it is not there yet.

    Args:
        runtime: Whose registry keeps it.
        name: Of the data set.
        readings: A row a time, or a row a time and node, as `options` say.
        nodes: Sensor table.
        events: Log with `text`, `start`, `end`, `published_at`.
        options: What is stated about the files.
    """
    registry = runtime.registry
    if name not in registry.names():
        with tempfile.TemporaryDirectory() as made:
            beside = {}
            for layer, table in (("nodes", nodes), ("events", events)):
                if table is not None:
                    beside[layer] = Path(made) / f"{layer}.csv"
                    table.to_csv(beside[layer], index=False)
            path = Path(made) / "readings.csv"
            readings.to_csv(path, index=False)
            registry.add_draft(inspect(path, name, options.model_copy(update=beside)))
    return registry.open(name)
