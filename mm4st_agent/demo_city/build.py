"""Make the files that `demo_panel` opens: `python -m mm4st_agent.demo_city.build [--out DIR]`."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
from pathlib import Path

import click
import numpy as np
import pandas as pd
import xarray as xr

from mm4st_agent.data.panel import Panel
from mm4st_agent.data.store import open_panel, save_panel
from mm4st_agent.demo_city.city import City
from mm4st_agent.demo_city.observed import observe
from mm4st_agent.demo_city.panel import SHIPPED
from mm4st_agent.demo_city.sensors import DECIMALS
from mm4st_agent.errors import MM4STError, UsageError

_ROWS = 5760
"""Time steps in one chunk: twenty days."""
_COVARIATE_DECIMALS = 1


def digests(panel: Panel) -> dict[str, str]:
    """sha256 of each part of a panel: of decoded values, not of compressed files.

    Readings and covariates count as whole numbers of their last digit, so that it does not matter with which float
    they were read.
    """
    parts: dict[str, bytes | str] = {c.name: _digits(panel.data[c.name], DECIMALS[c.name]) for c in panel.card.channels}
    parts["imputed"] = np.packbits(panel.data["imputed"].to_numpy().astype(bool)).tobytes()
    for name, variable in sorted(panel.covariates.data_vars.items(), key=lambda item: str(item[0])):
        parts[str(name)] = _digits(variable, _COVARIATE_DECIMALS)
    parts["events"] = "\n".join(repr([_text(field) for field in dataclasses.astuple(event)]) for event in panel.events)
    tables = {"nodes": panel.nodes, "edges": panel.edges, "trajectories": panel.trajectories, **panel.static}
    for name, table in tables.items():
        if table is not None:
            parts[name] = table.to_csv(index=name == "nodes", date_format="%Y-%m-%dT%H:%M:%S%z")
    coded = {name: part.encode() if isinstance(part, str) else part for name, part in parts.items()}
    return {f"demo_city/{name}": hashlib.sha256(part).hexdigest() for name, part in coded.items()}


def build(folder: Path, city: City) -> Panel:
    """Simulate, measure and write a city.

    Args:
        folder: Must not exist.
        city: Its traffic is simulated here, if it has not been.

    Returns:
        What was written, opened again; its card records `digests`.

    Raises:
        UsageError: `folder` exists.
    """
    panel = observe(city)
    save_panel(dataclasses.replace(panel, card=panel.card.model_copy(update={"files": digests(panel)})), folder)
    for name, dims in (("arrays", ("time", "node")), ("covariates", ("time",))):
        _pack(folder / f"{name}.zarr", dims)
    return open_panel(folder)


def _text(field: object) -> object:
    """Times as text: a stored one has an offset where the drawn one has a zone."""
    return field.isoformat() if isinstance(field, pd.Timestamp) else field


def _digits(values: xr.DataArray, decimals: int) -> bytes:
    scaled = np.nan_to_num(values.to_numpy().astype(np.float64) * 10**decimals, nan=-99_999.0)
    return bytes(scaled.round().astype("<i4").tobytes())


def _pack(path: Path, dims: tuple[str, ...]) -> None:
    """Store numbers as 16-bit whole numbers of their last digit, which is a third of the size."""
    from zarr.codecs import BloscCodec

    with xr.open_zarr(path, chunks=None, consolidated=False) as opened:
        data = opened.load().drop_encoding()
    encoding: dict[str, dict[str, object]] = {"time": {"chunks": (data.sizes["time"],)}}
    for name, variable in data.data_vars.items():
        rows = (_ROWS, *variable.shape[1:]) if len(dims) > 1 else variable.shape
        encoding[str(name)] = {
            "chunks": rows,
            "compressors": (BloscCodec(cname="zstd", clevel=9, shuffle="bitshuffle"),),
        }
        if variable.dtype.kind == "f":
            scale = 10.0 ** -DECIMALS.get(str(name), _COVARIATE_DECIMALS)
            encoding[str(name)] |= {"dtype": "int16", "_FillValue": -32_768, "scale_factor": scale}
    shutil.rmtree(path)
    data.to_zarr(path, mode="w-", consolidated=False, encoding=encoding)


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=SHIPPED, show_default=False, help="Folder to write.")
@click.option("--replace", is_flag=True, help="Delete the folder first, if it holds a panel.")
def main(out: Path, replace: bool) -> None:
    """Simulate Port Alder and write its data set."""
    from rich.console import Console
    from rich.progress import Progress

    try:
        if replace and (out / "card.yaml").is_file():
            shutil.rmtree(out)
        elif out.exists():
            raise UsageError(f"{out} exists already.", "Choose another folder, or say --replace.")
        city = City()
        with Progress(console=Console(stderr=True)) as bar:
            task = bar.add_task("Simulating the traffic", total=len(city.time))
            city.simulate(lambda done, total: bar.update(task, completed=done, total=total))
            bar.update(bar.add_task("Measuring and writing", total=1), advance=0)
            panel = build(out, city)
    except MM4STError as err:
        raise click.ClickException(str(err)) from err
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    click.echo(
        f"{panel.card.title}: {len(panel.node_ids)} nodes, {len(panel.times)} steps, {size / 1e6:.2f} MB in {out}"
    )
    click.echo(f"sha256 {panel.card.sha256}")


if __name__ == "__main__":
    main()
