"""The two stations on the way from a file to a panel: `Source` (as found) and `Draft` (as it would be stored)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from mm4st_agent.data.card import DataCard
from mm4st_agent.data.events import Event

BLOCK_BYTES = 64 * 2**20
"""About how much a reader holds of one channel at a time."""


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """One thing that an import inferred, assumed or mended; shown before anything is stored.

    Attributes:
        what: Such as 'time zone', 'missing code', 'duplicates'.
        value: Such as 'UTC', '0', '12 rows'.
        why: What it rests on, or by which rule it was resolved, as one sentence.
        status: 'stated' by the person or the file, 'inferred' from the values, 'assumed' for want of anything
            better, 'mended' where the data were changed by a rule.
    """

    what: str
    value: str
    why: str
    status: Literal["stated", "inferred", "assumed", "mended"]


@dataclasses.dataclass(frozen=True, slots=True)
class SourceChannel:
    """A quantity as a file has it; None where the file does not say."""

    name: str
    unit: str | None = None
    title: str | None = None
    kinds: tuple[str, ...] = ()
    """Node kinds at which it is measured; () is all."""


Block = Mapping[str, NDArray[np.floating]]
"""Channel -> `(rows, N)` readings, NaN where the file has none; float32, or float64 where the file holds it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """What a reader found: R rows in the order of the file, N nodes. Nothing is decided yet.

    Attributes:
        path: The file or folder.
        files: Every file that was read, for the card's sha256.
        stamps: `(R,)` as the file has them: text, numbers, naive or zone-aware datetimes. The index is what a
            person would look for: the row number in the file (the header is row 1). None: the file has no stamps.
        node_ids: `(N,)` unique text.
        channels: In the order of the file.
        blocks: Starts a fresh pass over the rows; the blocks follow the file's order, about `BLOCK_BYTES` each.
        covariates: Dims `(row,)` or `(row, node)`, aligned with `stamps`; variables may have `units`.
        observed: A channel of `blocks` that is no quantity but the share of a cell that was measured (as in
            PeMS: 0 % observed = imputed); where it is 0 the cell counts as imputed.
        nodes: Indexed by node id: any of name, kind, lat, lon and further columns.
        findings: What the reader itself inferred.
    """

    path: Path
    files: tuple[Path, ...]
    stamps: pd.Series | None
    node_ids: tuple[str, ...]
    channels: tuple[SourceChannel, ...]
    blocks: Callable[[], Iterator[Block]]
    covariates: xr.Dataset = dataclasses.field(default_factory=xr.Dataset)
    observed: str | None = None
    nodes: pd.DataFrame | None = None
    findings: tuple[Finding, ...] = ()


def _no_frames() -> Mapping[str, pd.DataFrame]:
    return MappingProxyType({})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Layers:
    """What stands beside the readings, whichever file it came from. See `Panel` for the columns."""

    nodes: pd.DataFrame | None = None
    edges: pd.DataFrame | None = None
    events: tuple[Event, ...] = ()
    static: Mapping[str, pd.DataFrame] = dataclasses.field(default_factory=_no_frames)
    trajectories: pd.DataFrame | None = None
    files: tuple[Path, ...] = ()
    findings: tuple[Finding, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Draft:
    """What would be stored: T even time steps, N nodes. Reading it changes nothing on disk.

    Attributes:
        card: Complete, with the sha256 of the files.
        time: `(T,)` UTC instants without a zone, evenly spaced, oldest first.
        nodes: `(N)` rows indexed by node id: name, kind, lat, lon and further columns.
        blocks: Starts a fresh pass: pairs of the first time step and channel -> `(t, N)` float32, NaN is missing;
            increasing, without overlap, each time step at most once (steps that no block names are missing).
            Where the card's channels carry a mask, the mask is an entry `imputed` (bool) of each block.
        has_mask: Whether blocks have that entry.
        findings: All of them, in the order a person should read them.
    """

    card: DataCard
    time: pd.DatetimeIndex
    nodes: pd.DataFrame
    blocks: Callable[[], Iterator[tuple[int, Mapping[str, NDArray[np.generic]]]]]
    has_mask: bool = False
    covariates: xr.Dataset = dataclasses.field(default_factory=xr.Dataset)
    layers: Layers = dataclasses.field(default_factory=Layers)
    findings: tuple[Finding, ...] = ()
