"""`mm4st data import`: what would be stored is shown, then stored."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mm4st_agent.cli.common import confirm, examples, json_option, open_runtime, print_json, progress_bar
from mm4st_agent.cli.drafts import show_draft
from mm4st_agent.errors import DataError, UsageError

if TYPE_CHECKING:
    from mm4st_agent.data.importing.draft import Draft
    from mm4st_agent.data.importing.options import ImportOptions
    from mm4st_agent.runtime import Runtime

FILE = click.Path(path_type=Path)


@click.command(
    "import",
    epilog=examples(
        "mm4st data import speeds.csv --name my-city --channel speed --unit km/h --time-zone Europe/Lisbon",
        "mm4st data import flows.npz --name my-roads --start 2024-01-01 --step 5min --unit vehicles --edges edges.csv",
        "mm4st data import trips.csv --name my-trips --layout records --dry-run",
    ),
)
@click.argument("path", type=FILE)
@click.option("--name", required=True, help="What to call it; letters, digits and '-'.")
@click.option(
    "--layout",
    type=click.Choice(["auto", "wide", "long", "records"]),
    default="auto",
    show_default=True,
    help="wide: a column a node. long: a row a time and node. records: a row an occurrence, counted by step.",
)
@click.option("--time-column", metavar="COLUMN", help="The column with the time stamps.")
@click.option("--node-column", metavar="COLUMN", help="The column with the nodes of a long table.")
@click.option("--time-format", metavar="FORMAT", help="How stamps are written where not ISO 8601: '%d/%m/%Y %H:%M'.")
@click.option("--time-zone", metavar="ZONE", help="Zone of stamps without an offset, e.g. US/Pacific; UTC otherwise.")
@click.option(
    "--time-label",
    type=click.Choice(["start", "instant"]),
    default="instant",
    show_default=True,
    help="start: a stamp begins the interval that its reading covers, and is known only when that is over.",
)
@click.option("--start", metavar="T", help="First stamp of a file without stamps, e.g. 2024-01-01T00:00 (local time).")
@click.option("--step", metavar="STEP", help="Time step: seconds, or such as 5min or 1h.")
@click.option("--channel", metavar="NAME", help="What was measured, where the file has one quantity, e.g. speed.")
@click.option("--channels", metavar="A,B", help="Which columns or arrays are channels, the main one first.")
@click.option("--covariates", metavar="A,B", help="Which columns are covariates rather than channels.")
@click.option("--unit", "units", multiple=True, metavar="[NAME=]UNIT", help="Unit of a channel or covariate; repeat.")
@click.option("--missing", metavar="0,-1|none", help="Numbers that mean 'no reading', or none.")
@click.option(
    "--duplicates",
    type=click.Choice(["last", "first", "mean", "refuse"]),
    default="last",
    show_default=True,
    help="Which of several rows with the same stamp and node counts.",
)
@click.option("--member", metavar="NAME", help="Which array of an archive, key of an HDF5 file, sheet of a workbook.")
@click.option("--nodes", type=FILE, help="Sensor table (CSV, TSV, xlsx) or GeoJSON.")
@click.option("--edges", type=FILE, help="Edge list, or an adjacency matrix (CSV, npy, npz).")
@click.option("--events", type=FILE, help="Events with text, time and place: CSV or JSONL.")
@click.option("--events-time-format", metavar="FORMAT", help="How the events' times are written where not ISO 8601.")
@click.option("--event-distance", type=float, help="How far from a node an event belongs to it; 1 by default.")
@click.option("--trajectories", type=FILE, help="Moving objects: object, time, lat, lon.")
@click.option("--static", multiple=True, metavar="NAME=FILE", help="A layer that does not change, e.g. poi; repeat.")
@click.option("--title", help="The data set in words.")
@click.option("--source", help="Where it is from.")
@click.option("--licence", help="Under which terms it may be used.")
@click.option("--domain", help="What the data are about, e.g. traffic.")
@click.option("--place-word", help="What a place is called, e.g. station.")
@click.option("--holidays", type=click.Choice(["US"]), help="Whose public holidays are a covariate.")
@click.option("--yes", is_flag=True, help="Store without asking.")
@click.option("--dry-run", is_flag=True, help="Show what would be stored, and stop.")
@json_option
def data_import(path: Path, name: str, yes: bool, dry_run: bool, as_json: bool, **given: Any) -> None:
    """Import PATH: a table, an array file, a folder of station files, NetCDF, Zarr, ... (see --layout).

    What is not stated is inferred and shown first.
    """
    options, bare_unit = import_options(**given)
    runtime = open_runtime()
    runtime.registry.check_new(name)
    draft = _inspect(path, name, options, bare_unit)
    show_draft(draft)
    if dry_run:
        if as_json:
            from mm4st_agent.data.importing.summary import draft_json

            print_json(draft_json(draft))
        return
    if not yes:
        confirm("Store this?", "Nothing was stored")
    store(runtime, draft)
    describe(runtime, name, as_json)


def _inspect(path: Path, name: str, options: ImportOptions, bare_unit: str | None) -> Draft:
    """Look at the file; a unit without a name is that of the one channel, which the file may have to tell."""
    from mm4st_agent.data.importing.inspect import inspect

    try:
        with progress_bar(f"Reading {path.name}") as bar:
            draft = inspect(path, name, options, progress=bar)
            if bare_unit is None:
                return draft
            units = {**options.units, _only_channel(draft, bare_unit): bare_unit}
            return inspect(path, name, options.model_copy(update={"units": units}), progress=bar)
    except OSError as err:
        raise DataError(f"{err.filename or path} cannot be read: {err.strerror or err}.") from err


def _only_channel(draft: Draft, unit: str) -> str:
    channels = [channel.name for channel in draft.card.channels]
    if len(channels) > 1:
        raise UsageError(
            f"--unit {unit} does not say which of {', '.join(channels)} it is the unit of.",
            f"Write --unit {channels[0]}={unit}.",
        )
    return channels[0]


def store(runtime: Runtime, draft: Draft) -> None:
    """Store a draft with a progress bar."""
    with progress_bar(f"Storing {draft.card.name}") as bar:
        runtime.registry.add_draft(draft, progress=bar)


def describe(runtime: Runtime, name: str, as_json: bool, as_of: str = "end") -> None:
    """Print what `describe_dataset` says of the whole set, or of what was known at `as_of`."""
    from rich.console import Console

    with Console(stderr=True).status(f"Counting the readings of {name}"):
        reply = runtime.tool("describe_dataset", {"dataset": name}, as_of).model_dump(mode="json")
    print_json(reply, indent=None if as_json else 2)


# -- options ----------------------------------------------------------------------------------


def import_options(
    *,
    start: str | None,
    step: str | None,
    channels: str | None,
    covariates: str | None,
    units: Sequence[str],
    missing: str | None,
    static: Sequence[str],
    **plain: Any,
) -> tuple[ImportOptions, str | None]:
    """The options as written on the command line, and the one unit that names no channel.

    Raises:
        UsageError: one of them is not what it should be.
    """
    from pydantic import ValidationError

    from mm4st_agent.data.importing.options import ImportOptions

    bare = [unit for unit in units if "=" not in unit]
    if len(bare) > 1:
        raise UsageError(f"--unit is given twice without a name: {bare[0]} and {bare[1]}.", "Write --unit NAME=UNIT.")
    values = {
        **plain,
        "start": _start(start),
        "step_s": _step_s(step),
        "channels": _names(channels),
        "covariates": _names(covariates),
        "units": dict(unit.split("=", 1) for unit in units if "=" in unit),
        "missing": _numbers(missing),
        "static": {name: Path(file) for name, file in (_pair("--static", layer, "poi=poi.csv") for layer in static)},
    }
    try:
        options = ImportOptions(**{name: value for name, value in values.items() if value is not None})
    except ValidationError as err:
        first = err.errors()[0]
        flag = "--" + str(first["loc"][0]).removesuffix("_s").replace("_", "-")
        raise UsageError(f"{flag} cannot be {first['input']!r}.", f"{first['msg']}.") from err
    if bare and options.channel is not None:
        return options.model_copy(update={"units": {**options.units, options.channel: bare[0]}}), None
    return options, bare[0] if bare else None


def _pair(flag: str, text: str, example: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not (separator and name.strip() and value.strip()):
        raise UsageError(f"{flag} {text} is not NAME=VALUE.", f"Write it as {flag} {example}.")
    return name.strip(), value.strip()


def _names(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(name.strip() for name in text.split(",") if name.strip())


def _numbers(text: str | None) -> tuple[float, ...] | None:
    if text is None:
        return None
    if text.strip().lower() == "none":
        return ()
    try:
        numbers = tuple(float(number) for number in text.split(","))
    except ValueError:
        numbers = (math.nan,)
    if not all(map(math.isfinite, numbers)):
        raise UsageError(f"--missing {text} is not a list of numbers.", "Write --missing 0,-1 or --missing none.")
    return numbers


def _start(text: str | None) -> Any:
    from datetime import datetime

    if text is None:
        return None
    try:
        return datetime.fromisoformat(text.strip())
    except ValueError as err:
        raise UsageError(f"--start {text} is not a point in time.", "Write it as 2024-01-01T00:00.") from err


def _step_s(text: str | None) -> float | None:
    import pandas as pd

    if text is None:
        return None
    written = text.strip()
    try:
        step = float(written) if re.fullmatch(r"[\d.]+", written) else pd.Timedelta(written).total_seconds()
    except ValueError as err:
        raise UsageError(f"--step {text} is no time step.", "Write seconds, such as 300, or 5min, 1h, 1d.") from err
    if not step > 0:
        raise UsageError(f"--step {text} is not above 0.", "Write seconds, such as 300, or 5min, 1h, 1d.")
    return step
