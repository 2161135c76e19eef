"""A panel on disk: a folder with `card.yaml`, Zarr arrays, `nodes.csv`, `edges.csv`, `events.jsonl`."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr
import yaml
from numpy.typing import NDArray

from mm4st_agent.data.card import DataCard, read_card
from mm4st_agent.data.events import read_events, write_events
from mm4st_agent.data.panel import Panel
from mm4st_agent.errors import DataError, UsageError

NODE_TYPES = "node_types"
"""Attribute of the arrays: the dtype of each column of `nodes.csv`, which CSV cannot say."""


def save_panel(panel: Panel, folder: Path) -> None:
    """Write the whole panel; `folder` appears only when it is complete.

    Raises:
        UsageError: `folder` exists, or the panel was cut by `until` and so lacks its later part.
    """
    if panel.as_of is not None:
        raise UsageError(f"{panel.name!r} was cut at {panel.as_of}; only a whole panel is saved.")
    if folder.exists():
        raise UsageError(f"{folder} exists already.", "Choose another name, or delete it first.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".partial", dir=folder.parent))
    try:
        _write(panel, partial)
        partial.chmod(0o755)
        partial.rename(folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def open_panel(folder: Path) -> Panel:
    """Open what `save_panel` wrote; arrays are read when they are used.

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


def _write(panel: Panel, folder: Path) -> None:
    nodes = panel.nodes
    types = {str(name): _type_name(column) for name, column in nodes.items()}
    arrays = panel.data.drop_vars([name for name in panel.data.coords if name != "time"])
    arrays = arrays.assign_attrs({NODE_TYPES: types}).drop_encoding()
    arrays.to_zarr(folder / "arrays.zarr", mode="w", consolidated=False)
    if panel.covariates.data_vars:
        covariates = panel.covariates.drop_vars("node", errors="ignore").drop_encoding()
        covariates.to_zarr(folder / "covariates.zarr", mode="w", consolidated=False)
    nodes.to_csv(folder / "nodes.csv")
    panel.edges.to_csv(folder / "edges.csv", index=False)
    write_events(panel.events, folder / "events.jsonl")
    for name, layer in panel.static.items():
        (folder / "static").mkdir(exist_ok=True)
        layer.to_parquet(folder / "static" / f"{name}.parquet")
    if panel.trajectories is not None:
        panel.trajectories.to_parquet(folder / "trajectories.parquet")
    card = yaml.safe_dump(panel.card.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    (folder / "card.yaml").write_text(card, encoding="utf-8")


def _read(card: DataCard, folder: Path) -> Panel:
    arrays = xr.open_zarr(folder / "arrays.zarr", chunks=None, consolidated=False)
    types = arrays.attrs.pop(NODE_TYPES)
    text = pd.read_csv(folder / "nodes.csv", dtype=str, keep_default_na=False, index_col="id")
    ids = text.index.to_numpy(dtype=object)
    coords = {name: ("node", _column(text[name], kind)) for name, kind in types.items()}
    covariates = xr.Dataset()
    if (folder / "covariates.zarr").exists():
        covariates = xr.open_zarr(folder / "covariates.zarr", chunks=None, consolidated=False)
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
    return "text" if pd.api.types.is_string_dtype(column) or column.dtype == object else str(column.dtype)


def _column(values: pd.Series, kind: str) -> NDArray[Any]:
    """One column of `nodes.csv` in its own type; an empty number is NaN."""
    if kind == "text":
        return values.to_numpy(dtype=object)
    if kind == "bool":
        return (values == "True").to_numpy()
    return values.replace("", "nan").to_numpy().astype(kind)
