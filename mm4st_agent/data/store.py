"""A panel on disk: a folder with `card.yaml`, Zarr arrays, `nodes.csv`, `edges.csv`, `events.jsonl`."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
import yaml
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from mm4st_agent.data.card import DataCard, read_card
from mm4st_agent.data.chunks import ArraySpec, Blocks, chunk_shape, write_arrays
from mm4st_agent.data.events import Event, read_events, write_events
from mm4st_agent.data.importing.draft import Draft
from mm4st_agent.data.panel import EDGE_COLUMNS, MASK, Panel
from mm4st_agent.errors import DataError, UsageError

NODE_TYPES = "node_types"
"""Attribute of the arrays: the dtype of each column of `nodes.csv`, which CSV cannot say."""
IMPUTED = "imputed"
"""The mask of a draft: one for all channels."""

Progress = Callable[[int, int], None]
"""Called with the time steps that are done, and how many there are."""


def save_panel(panel: Panel, folder: Path) -> None:
    """Write the whole panel; `folder` appears only when it is complete.

    Raises:
        UsageError: `folder` exists or is being written, or the panel was cut by `until` and so lacks its later part.
    """
    if panel.as_of is not None:
        raise UsageError(f"{panel.name!r} was cut at {panel.as_of}; only a whole panel is saved.")
    specs = [
        ArraySpec(str(name), variable.dtype, variable.attrs)
        for name, variable in panel.data.data_vars.items()
        if variable.dims == ("time", "node") and variable.dtype.kind in "bfiu"
    ]
    streamed = [spec.name for spec in specs]
    frame = panel.data.drop_vars([*streamed, *(name for name in panel.data.coords if name != "time")])
    with _partial(folder) as partial:
        _write_arrays(partial, frame, panel.nodes, specs, _panel_blocks(panel, streamed))
        _write_beside(
            partial, panel.card, panel.covariates, panel.edges, panel.events, panel.static, panel.trajectories
        )


def store_draft(draft: Draft, folder: Path, *, progress: Progress | None = None) -> None:
    """Stream the draft's blocks to disk; `folder` appears only when it is complete.

    About 64 MiB of readings are in memory at a time, however large the set. A folder that a killed import left
    behind is cleared first.

    Args:
        draft: What to store.
        folder: Must not exist.
        progress: Called with the time steps that are on disk, and how many there are.

    Raises:
        UsageError: `folder` exists or is being written.
        DataError: a file of the draft cannot be read any more.
    """
    mask = {MASK: IMPUTED} if draft.has_mask else {}
    specs = [
        ArraySpec(channel.name, np.dtype(np.float32), {"units": channel.unit, **mask})
        for channel in draft.card.channels
    ]
    if draft.has_mask:
        specs.append(ArraySpec(IMPUTED, np.dtype(bool), {}))
    frame = xr.Dataset(coords={"time": draft.time.as_unit("ns")})
    layers = draft.layers
    edges = layers.edges if layers.edges is not None else pd.DataFrame(columns=list(EDGE_COLUMNS))
    with _partial(folder) as partial:
        _write_arrays(partial, frame, draft.nodes, specs, _draft_blocks(draft), progress)
        _write_beside(partial, draft.card, draft.covariates, edges, layers.events, layers.static, layers.trajectories)


def open_panel(folder: Path) -> Panel:
    """Open what `save_panel` or `store_draft` wrote; arrays are read when they are used.

    Raises:
        DataError: the folder is not a panel, or a part of it is missing or broken.
    """
    again = f"Delete the folder {folder} and import the data again."
    if not (folder / "card.yaml").is_file():
        raise DataError(f"{folder} holds no panel: card.yaml is missing.", again)
    try:
        return _read(read_card(folder / "card.yaml"), folder)
    except DataError as err:
        raise DataError(err.message, again) from err
    except (OSError, KeyError, ValueError) as err:
        raise DataError(f"The panel in {folder} is damaged: {str(err).rstrip('.')}.", again) from err


def remove_panel(folder: Path) -> None:
    """Delete a stored panel. It goes out of sight first, so that half of one is never seen."""
    with held(folder):
        shutil.rmtree(_hidden(folder), ignore_errors=True)
        folder.rename(_hidden(folder))
        shutil.rmtree(_hidden(folder))


# -- complete or not there --------------------------------------------------------------------


@contextmanager
def _partial(folder: Path) -> Iterator[Path]:
    """A hidden folder to write into, which becomes `folder` when all went well and vanishes when not."""
    if folder.exists():
        raise UsageError(f"{folder} exists already.", "Choose another name, or delete it first.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    clear_leftovers(folder.parent)
    with held(folder):
        partial = _hidden(folder)
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        try:
            yield partial
            partial.rename(folder)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise


def clear_leftovers(parent: Path) -> None:
    """Delete what killed imports left under `parent`; folders that a living process writes stay."""
    for partial in parent.glob(".*.partial"):
        lock = FileLock(partial.with_suffix(".lock"), timeout=0)
        try:
            with lock:
                shutil.rmtree(partial, ignore_errors=True)
                Path(lock.lock_file).unlink(missing_ok=True)
        except Timeout:
            continue


def _hidden(folder: Path) -> Path:
    return folder.parent / f".{folder.name}.partial"


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold `folder` against other processes; the lock ends with the process, however it ends."""
    lock = FileLock(folder.parent / f".{folder.name}.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as err:
        raise UsageError(f"Another process is writing {folder}.", "Wait for it, or choose another name.") from err
    try:
        yield
    finally:
        Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()


# -- its parts --------------------------------------------------------------------------------


def _write_arrays(
    folder: Path,
    frame: xr.Dataset,
    nodes: pd.DataFrame,
    specs: list[ArraySpec],
    blocks: Blocks,
    progress: Progress | None = None,
) -> None:
    types = {str(name): _type_name(column) for name, column in nodes.items()}
    frame = frame.assign_attrs({NODE_TYPES: types}).drop_encoding()
    write_arrays(folder / "arrays.zarr", frame, len(nodes), specs, blocks, progress)
    nodes.rename_axis("id").to_csv(folder / "nodes.csv")


def _write_beside(
    folder: Path,
    card: DataCard,
    covariates: xr.Dataset,
    edges: pd.DataFrame,
    events: tuple[Event, ...],
    static: Mapping[str, pd.DataFrame],
    trajectories: pd.DataFrame | None,
) -> None:
    """All but readings and nodes; the card last, as the folder is a data set by it."""
    if covariates.data_vars:
        bare = covariates.drop_vars("node", errors="ignore").drop_encoding()
        bare.to_zarr(folder / "covariates.zarr", mode="w-", consolidated=False)
    edges.to_csv(folder / "edges.csv", index=False)
    write_events(events, folder / "events.jsonl")
    for name, layer in static.items():
        if not name or Path(name).name != name:
            raise UsageError(f"{name!r} cannot name a static layer.", "Use a word such as 'poi'.")
        (folder / "static").mkdir(exist_ok=True)
        layer.to_parquet(folder / "static" / f"{name}.parquet")
    if trajectories is not None:
        trajectories.to_parquet(folder / "trajectories.parquet")
    text = yaml.safe_dump(card.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    (folder / "card.yaml").write_text(text, encoding="utf-8")


def _panel_blocks(panel: Panel, names: list[str]) -> Blocks:
    steps, nodes = panel.data.sizes["time"], panel.data.sizes["node"]
    rows, _ = chunk_shape(steps, nodes)
    for first in range(0, steps, rows):
        yield first, {name: panel.data[name][first : first + rows].to_numpy() for name in names}


def _draft_blocks(draft: Draft) -> Blocks:
    try:
        yield from draft.blocks()
    except OSError as err:
        raise DataError(f"The files of {draft.card.name!r} cannot be read any more: {err}.") from err


def _read(card: DataCard, folder: Path) -> Panel:
    arrays = xr.open_zarr(folder / "arrays.zarr", chunks=None, consolidated=False)
    types = arrays.attrs.pop(NODE_TYPES)
    text = pd.read_csv(folder / "nodes.csv", dtype=str, keep_default_na=False, index_col="id")
    ids = text.index.to_numpy(dtype=object)
    coords = {name: ("node", _column(text[name], kind)) for name, kind in types.items()}
    covariates = xr.Dataset()
    if (folder / "covariates.zarr").exists():
        covariates = xr.open_zarr(folder / "covariates.zarr", chunks=None, consolidated=False)
        covariates = covariates[sorted(covariates.data_vars)]  # a folder's own order differs from reading to reading
        if "node" in covariates.dims:
            covariates = covariates.assign_coords(node=ids)
    tracks = folder / "trajectories.parquet"
    return Panel(
        card=card,
        data=arrays.assign_coords(node=ids, **coords),
        edges=_read_edges(folder / "edges.csv"),
        events=read_events(folder / "events.jsonl"),
        covariates=covariates,
        static={path.stem: pd.read_parquet(path) for path in sorted((folder / "static").glob("*.parquet"))},
        trajectories=pd.read_parquet(tracks) if tracks.is_file() else None,
    )


def _read_edges(path: Path) -> pd.DataFrame:
    """Ids stay text as written; the other columns are numbers."""
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    numbers = [name for name in table.columns if name not in ("source", "target")]
    return table.assign(**{name: _column(table[name], "float64") for name in numbers})


def _type_name(column: pd.Series) -> str:
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "biuf":
        return str(column.dtype)
    is_number = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    return "float64" if is_number else "text"


def _column(values: pd.Series, kind: str) -> NDArray[Any]:
    """One column of `nodes.csv` in its own type; an empty number is NaN."""
    if kind == "text":
        return values.to_numpy(dtype=object)
    if kind == "bool":
        return (values == "True").to_numpy()
    return values.replace("", "nan").to_numpy().astype(kind)
