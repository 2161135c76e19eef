"""`inspect`: what an import would store, shown before anything is; `draft_panel`: the same as a panel in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from mm4st_agent.data.importing.assemble import Progress, assemble
from mm4st_agent.data.importing.draft import Draft
from mm4st_agent.data.importing.options import ImportOptions
from mm4st_agent.data.importing.times import zone_of
from mm4st_agent.data.panel import EDGE_COLUMNS, MASK, Panel
from mm4st_agent.errors import DataError


def inspect(path: Path, name: str, options: ImportOptions | None = None, *, progress: Progress | None = None) -> Draft:
    """Read what people have, and decide what of it would be stored; nothing is written.

    Args:
        path: A table, an array file, a folder, an archive; see `read_source`.
        name: Of the new data set.
        options: What is stated; the rest is inferred and shown.
        progress: Called with the time steps that were looked at, and how many there are.

    Raises:
        UsageError: an option is invalid or names what is not there.
        DataError: the files cannot be read as a data set; the message says what and where.
    """
    from mm4st_agent.data.importing.layers import read_layers
    from mm4st_agent.data.importing.plainnames import with_plain_ids
    from mm4st_agent.data.importing.readers import read_source

    options = options or ImportOptions()
    zone = zone_of(options.time_zone)
    try:
        source, options = read_source(path, options)
        source = with_plain_ids(source)
        return assemble(name, source, read_layers(options, source, zone), options, progress=progress)
    except OSError as err:
        raise DataError(f"{err.filename or path} cannot be read: {err.strerror or err}.") from err


def draft_panel(draft: Draft) -> Panel:
    """The draft as a panel in memory; large ones are to be stored instead.

    Raises:
        DataError: a file of the draft cannot be read any more.
    """
    shape = (len(draft.time), len(draft.nodes))
    arrays = {channel.name: np.full(shape, np.nan, dtype=np.float32) for channel in draft.card.channels}
    imputed = np.zeros(shape, dtype=bool)
    for start, block in draft.blocks():
        for name, values in block.items():
            target = imputed if name == "imputed" and draft.has_mask else arrays[name]
            target[start : start + len(values)] = values
    mask = {MASK: "imputed"} if draft.has_mask else {}
    variables = {
        channel.name: (("time", "node"), arrays[channel.name], {"units": channel.unit, **mask})
        for channel in draft.card.channels
    }
    coords = {str(column): ("node", draft.nodes[column].to_numpy()) for column in draft.nodes}
    data = xr.Dataset(
        variables, coords={"time": draft.time, "node": draft.nodes.index.to_numpy(dtype=object), **coords}
    )
    if draft.has_mask:
        data = data.assign(imputed=(("time", "node"), imputed))
    layers = draft.layers
    return Panel(
        card=draft.card,
        data=data,
        edges=layers.edges if layers.edges is not None else pd.DataFrame(columns=list(EDGE_COLUMNS)),
        events=layers.events,
        covariates=draft.covariates,
        static=layers.static,
        trajectories=layers.trajectories,
    )
