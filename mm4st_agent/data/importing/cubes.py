"""NetCDF and Zarr through xarray: time by station, or time by a grid of which every cell is a node."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from mm4st_agent.data.importing.arrays import as_readings, need_start, numbered
from mm4st_agent.data.importing.draft import BLOCK_BYTES, Block, Finding, Source, SourceChannel
from mm4st_agent.data.importing.options import ImportOptions
from mm4st_agent.data.importing.safety import reason
from mm4st_agent.data.panel import MASK
from mm4st_agent.errors import DataError, UsageError

MAX_CELLS = 100_000
"""Of a grid: more nodes than this are a raster, not a sensor network."""

TIME_NAMES = ("time", "valid_time", "date", "datetime", "timestamp", "t")
_DAMAGED = (
    OSError, ValueError, LookupError, TypeError, RuntimeError, ImportError, AttributeError, ArithmeticError, EOFError,
    AssertionError, MemoryError, struct.error,
)  # fmt: skip
"""What the readers of these formats raise at damaged files."""
LAT_NAMES, LON_NAMES = ("lat", "latitude"), ("lon", "longitude", "lng", "long")


def read_cube(path: Path, options: ImportOptions) -> Source:
    """Read the variables over time and place of a NetCDF file or Zarr store, a block of rows at a time.

    `_FillValue`, `missing_value`, `scale_factor` and CF times are honoured. Of a grid, every cell with any
    reading is a node 'lat,lon'; cells that are always empty (the sea) are dropped and counted.

    Args:
        path: `.nc` (NetCDF 4 or classic) or a Zarr folder.
        options: `member` or `channels` picks variables.

    Returns:
        Rows as in the file; units from the variables' attributes.

    Raises:
        DataError: it cannot be read, no variable runs over time and place, or the grid is larger than `MAX_CELLS`.
        UsageError: the options name a variable that it does not have.
    """
    with _open(path) as data:
        time = _time_dim(path, data)
        mains, findings = _mains(path, data, time, options)
        steps = data.sizes[time]
        if not all(data[mains[0]].shape):
            raise DataError(f"{path} holds no reading: {mains[0]} has the shape {data[mains[0]].shape}.")
        spatial = [str(dim) for dim in data[mains[0]].dims if dim != time]
        places = _Places(path, data, spatial, findings)
        kept = places.kept(path, time, mains, findings)
        node_ids = tuple(places.ids[kept].tolist())
        has_stamps = time in data.coords or time in data.variables
        if not has_stamps:
            need_start(path, steps, options)
        stamps = pd.Series(data[time].to_numpy(), name=time) if has_stamps else None
        mask = _mask(data, mains)
        if mask is not None:
            why = f"the attribute {MASK} of {mains[0]} names it: where it is true, nobody measured."
            findings.append(Finding("imputed cells", mask, why, "stated"))
        rest = [str(v) for v in data.data_vars if v not in mains and v != mask]
        covariates = {v: data[v] for v in rest if data[v].dims == (time,) and data[v].dtype.kind in "iuf"}
        for name in rest:
            if name not in covariates and set(data[name].dims) - set(spatial):
                why = f"{data[name].dtype} over {', '.join(map(str, data[name].dims))} is no reading of a place."
                findings.append(Finding("left out", name, why, "inferred"))
        channels = tuple(SourceChannel(name, *_words(data[name])) for name in mains)
        rows = max(1, BLOCK_BYTES // (8 * len(places.ids)))
        return Source(
            path=path,
            files=tuple(sorted(p for p in path.rglob("*") if p.is_file())) if path.is_dir() else (path,),
            stamps=stamps,
            node_ids=node_ids,
            channels=channels,
            blocks=partial(_blocks, path, time, tuple(mains), tuple(spatial), kept, rows, mask),
            observed=mask,
            covariates=xr.Dataset(
                {k: ("row", v.to_numpy().astype(float), dict(_units(v))) for k, v in covariates.items()}
            ),
            nodes=places.table(kept),
            findings=tuple(findings),
        )


class _Places:
    """The nodes: stations along one dimension, or the cells of a grid."""

    def __init__(self, path: Path, data: xr.Dataset, dims: list[str], findings: list[Finding]) -> None:
        shape = tuple(data.sizes[dim] for dim in dims)
        count = int(np.prod(shape, dtype=object)) if shape else 1
        self.dims, self.is_grid = dims, len(dims) > 1
        if self.is_grid and count > MAX_CELLS:
            raise DataError(
                f"{path} is a grid of {' x '.join(map(str, shape))} = {count:,} cells; "
                f"at most {MAX_CELLS:,} can be nodes.",
                f"Cut out a region or coarsen it first, such as data.coarsen({dims[0]}=4, {dims[1]}=4, "
                "boundary='trim').mean() with xarray.",
            )
        lat, lon = (_coordinate(data, names, dims, shape) for names in (LAT_NAMES, LON_NAMES))
        columns: dict[str, NDArray[Any]] = {}
        if lat is not None and lon is not None:
            columns = {"lat": lat.astype(np.float64), "lon": lon.astype(np.float64)}
        for name, variable in data.variables.items():
            own = variable.dims == tuple(dims) and not self.is_grid and name not in dims
            if own and str(name).lower() not in (*LAT_NAMES, *LON_NAMES) and variable.dtype.kind in "iufbOUST":
                columns[str(name)] = _plain(variable.to_numpy())
        if self.is_grid and columns:
            pairs = zip(columns["lat"], columns["lon"], strict=True)
            self.ids = np.array([f"{_degrees(a)},{_degrees(o)}" for a, o in pairs], dtype=object)
            findings.append(
                Finding("nodes", f"{count} cells", f"the grid {' x '.join(dims)}, called 'lat,lon'.", "inferred")
            )
        elif self.is_grid:
            self.ids = np.array([",".join(map(str, at)) for at in np.ndindex(*shape)], dtype=object)
            findings.append(
                Finding("nodes", f"{count} cells", f"the grid {' x '.join(dims)}, by position.", "inferred")
            )
        elif dims and dims[0] in data.variables:
            self.ids = np.array([str(i) for i in _plain(data[dims[0]].to_numpy()).tolist()], dtype=object)
        else:
            self.ids = self._named(columns, dims, count, findings)
        self.columns = columns
        if len(set(self.ids.tolist())) < len(self.ids):
            twice = pd.Index(self.ids)[pd.Index(self.ids).duplicated()][0]
            raise DataError(f"{path}: the place {twice!r} appears twice along {dims}.", "Node ids must be unique.")

    def _named(
        self, columns: dict[str, NDArray[Any]], dims: list[str], count: int, findings: list[Finding]
    ) -> NDArray[np.object_]:
        """Ids from a column of different texts that is named like the dimension or as an id, else numbers."""
        for name, values in columns.items():
            told = "id" in name.lower().split("_") or any(dim.lower() in name.lower() for dim in dims)
            if told and values.dtype.kind in "iuO" and len({str(v) for v in values.tolist()}) == count:
                findings.append(
                    Finding("node ids", name, "a variable with a different value for each place.", "inferred")
                )
                del columns[name]
                return np.array([str(v) for v in values.tolist()], dtype=object)
        return np.array(numbered(count, findings), dtype=object)

    def kept(self, path: Path, time: str, mains: list[str], findings: list[Finding]) -> NDArray[np.int_]:
        """Positions of the places that count: all stations, but of a grid only cells with any reading."""
        everything = np.arange(len(self.ids))
        if not self.is_grid:
            return everything
        seen = np.zeros(len(self.ids), dtype=bool)
        rows = max(1, BLOCK_BYTES // (8 * len(self.ids)))
        for block in _blocks(path, time, tuple(mains), tuple(self.dims), everything, rows):
            for values in block.values():
                seen |= ~np.isnan(values).all(axis=0)
            if seen.all():
                break
        if not seen.any():
            raise DataError(f"{path} holds no reading: every cell is empty.")
        if not seen.all():
            why = "they have no reading at any time, as over the sea or outside a region."
            findings.append(Finding("cells dropped", f"{(~seen).sum()} of {len(seen)}", why, "mended"))
        return np.flatnonzero(seen)

    def table(self, kept: NDArray[np.int_]) -> pd.DataFrame | None:
        if not self.columns:
            return None
        return pd.DataFrame({k: v[kept] for k, v in self.columns.items()}, index=pd.Index(self.ids[kept], name="id"))


def _open(path: Path) -> xr.Dataset:
    try:
        if path.is_dir():
            return xr.open_dataset(path, engine="zarr", chunks=None, decode_timedelta=False, consolidated=False)
        with path.open("rb") as file:
            classic = file.read(3) == b"CDF"
        if not classic:
            # h5netcdf leaves a file that it cannot open half made, which complains when it is collected.
            with h5py.File(path, "r") as file5:
                file5.attrs.get("_nc3_strict")
        return xr.open_dataset(path, engine="scipy" if classic else "h5netcdf", chunks=None, decode_timedelta=False)
    except _DAMAGED as err:
        kind = "Zarr store" if path.is_dir() else "NetCDF file"
        raise DataError(
            f"{path} is not a readable {kind}: {reason(err)}.",
            "Times must be of the standard calendar, as CF states them.",
        ) from err


def _time_dim(path: Path, data: xr.Dataset) -> str:
    dims = [str(dim) for dim in data.dims]
    dated = [dim for dim in dims if dim in data.variables and data[dim].dtype.kind == "M"]
    named = [dim for dim in dims if dim.lower() in TIME_NAMES]
    if not dated and not named:
        raise DataError(f"{path} has no dimension of time; it has {', '.join(dims) or 'none'}.", "Call it 'time'.")
    return (dated or named)[0]


def _mains(path: Path, data: xr.Dataset, time: str, options: ImportOptions) -> tuple[list[str], list[Finding]]:
    """The variables that are channels: those asked for, or all over time and the same places."""
    found = {
        str(name): frozenset(variable.dims) - {time}
        for name, variable in data.data_vars.items()
        if time in variable.dims and variable.dtype.kind in "iuf" and 1 <= len(variable.dims) - 1 <= 2
    }
    wanted = (options.member,) if options.member else options.channels
    for name in wanted or ():
        if name not in found:
            raise UsageError(f"{path} has no variable {name!r} over time and place.", f"It has {', '.join(found)}.")
    if not found:
        sizes = "; ".join(f"{name} {tuple(v.dims)}" for name, v in data.data_vars.items()) or "nothing"
        raise DataError(
            f"{path} holds no variable over {time} and place; it holds {sizes}.",
            "A variable needs the dimensions time and station, or time, lat and lon; choose a level first.",
        )
    names = list(wanted or found)
    dims = {found[name] for name in names}
    if len(dims) > 1:
        groups = "; ".join(f"{', '.join(map(str, d))}: {', '.join(n for n in names if found[n] == d)}" for d in dims)
        raise DataError(f"{path} holds variables over different places: {groups}.", "Choose one with --member.")
    return names, []


def _mask(data: xr.Dataset, mains: list[str]) -> str | None:
    """The variable that says of each cell whether it was imputed, as the channels' CF attribute names it."""
    named = {str(data[name].attrs.get(MASK)) for name in mains}
    mask = named.pop() if len(named) == 1 else ""
    fits = mask in data.data_vars and data[mask].dtype.kind == "b" and set(data[mask].dims) == set(data[mains[0]].dims)
    return mask if fits else None


def _coordinate(
    data: xr.Dataset, names: tuple[str, ...], dims: list[str], shape: tuple[int, ...]
) -> NDArray[np.floating[Any]] | None:
    """A coordinate of each place, flat; along one dimension of the grid or all of them."""
    standard = {"lat": "latitude", "lon": "longitude"}[names[0]]
    for name, variable in data.variables.items():
        told = str(name).lower() in names or variable.attrs.get("standard_name") == standard
        if not told or variable.dtype.kind not in "iuf" or not variable.dims or not set(variable.dims) <= set(dims):
            continue
        whole = xr.DataArray(variable).broadcast_like(xr.DataArray(np.empty(shape), dims=dims))
        return np.asarray(whole.transpose(*dims).to_numpy()).reshape(-1)
    return None


def _blocks(
    path: Path,
    time: str,
    mains: tuple[str, ...],
    dims: tuple[str, ...],
    kept: NDArray[np.int_],
    rows: int,
    mask: str | None = None,
) -> Iterator[Block]:
    with _open(path) as data:
        for first in range(0, data.sizes[time], rows):
            names = (*mains, mask) if mask is not None else mains
            part = data[list(names)].isel({time: slice(first, first + rows)})
            block = {}
            try:
                for name in names:
                    values = part[name].transpose(time, *dims).to_numpy()
                    values = ~values if name == mask else values
                    block[name] = as_readings(values.reshape(len(values), -1)[:, kept])
            except _DAMAGED as err:
                raise DataError(f"{path}: {name} cannot be read: {reason(err)}.") from err
            yield block


def _words(variable: xr.DataArray) -> tuple[str | None, str | None]:
    """Unit and title; a unit of '1' is said so, an absent one is None."""
    title = variable.attrs.get("long_name") or variable.attrs.get("standard_name")
    return _units(variable).get("units"), str(title) if title else None


def _units(variable: xr.DataArray) -> Mapping[str, str]:
    unit = variable.attrs.get("units")
    return {"units": str(unit)} if unit is not None else {}


def _degrees(value: float) -> str:
    """To about a metre.

    >>> _degrees(10.0), _degrees(-33.25)
    ('10', '-33.25')
    """
    return np.format_float_positional(value, precision=5, trim="-")


def _plain(values: NDArray[Any]) -> NDArray[Any]:
    """Text as Python strings; numbers as they are."""
    if values.dtype.kind == "S":
        return np.array([v.decode("utf-8", "replace") for v in values.tolist()], dtype=object)
    return values.astype(object) if values.dtype.kind in "UT" else values
