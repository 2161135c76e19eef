"""`mm4st data ...`: list, describe, check, import, get, export and remove data sets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mm4st_agent.cli.common import (
    as_of_option,
    confirm,
    examples,
    json_option,
    open_runtime,
    print_json,
    progress_bar,
)
from mm4st_agent.cli.completion import complete_dataset
from mm4st_agent.cli.drafts import show_draft
from mm4st_agent.cli.importing import data_import, describe, store
from mm4st_agent.errors import UsageError

if TYPE_CHECKING:
    from mm4st_agent.data.quality import QualityReport


@click.group(epilog=examples("mm4st data list", "mm4st data describe demo"))
def data() -> None:
    """The data sets."""


data.add_command(data_import)


@data.command("list", epilog=examples("mm4st data list", "mm4st data list --json | jq -r '.datasets[].name'"))
@json_option
def data_list(as_json: bool) -> None:
    """Show the registered data sets."""
    registry = open_runtime().registry
    rows = [
        {"name": name, "title": registry.card(name).title, "available": registry.available(name)}
        for name in registry.names()
    ]
    if as_json:
        print_json({"datasets": rows})
        return
    for row in rows:
        click.echo(f"{row['name']:16} {'' if row['available'] else '(files missing) '}{row['title']}")


@data.command(
    "describe", epilog=examples("mm4st data describe demo", "mm4st data describe demo --as-of 2025-09-20T12:00 --json")
)
@click.argument("name", shell_complete=complete_dataset)
@as_of_option
@json_option
def data_describe(name: str, as_of: str | None, as_json: bool) -> None:
    """Describe the data set NAME: all of it, or what was known at --as-of."""
    describe(open_runtime(), name, as_json, as_of or "end")


@data.command("quality", epilog=examples("mm4st data quality demo --channel speed --html quality.html"))
@click.argument("name", shell_complete=complete_dataset)
@click.option("--channel", help="One quantity; all of them by default.")
@click.option("--html", type=click.Path(path_type=Path), help="Also write the page with pictures to this file.")
@json_option
def data_quality(name: str, channel: str | None, html: Path | None, as_json: bool) -> None:
    """Check the data set NAME: what is missing, stuck, jumping, impossible or contradictory in it."""
    from mm4st_agent.data.quality import assess

    panel = open_runtime().registry.open(name)
    with progress_bar(f"Checking {panel.name}") as bar:
        report = assess(panel, channel, progress=bar)
    if html is not None:
        from mm4st_agent.imaging.quality_page import quality_page

        _write_text(html, quality_page(panel, report))
        click.echo(f"Page: {html}", err=True)
    if as_json:
        print_json(report.model_dump(mode="json"))
    else:
        _print_quality(report)


def _write_text(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as err:
        raise UsageError(f"{path} cannot be written: {err.strerror}.", "Choose a file in a folder of yours.") from err


def _print_quality(report: QualityReport) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    for sentence in report.verdict:
        click.echo(sentence)
    for channel in report.channels:
        whole = channel.completeness
        click.echo(
            f"\n{whole.title}: {100 * whole.missing_share:.1f} % missing, {100 * whole.imputed_share:.1f} % imputed "
            f"of {whole.cells:,} readings"
        )
        table = Table("fault", "how grave", "what was seen", box=None)
        for fault in channel.faults:
            table.add_row(fault.what, fault.severity, Text(fault.sentence))
        if channel.faults:
            Console().print(table)


@data.command("get", epilog=examples("mm4st data get pems-orange --yes"))
@click.argument("name", shell_complete=complete_dataset)
@click.option("--yes", is_flag=True, help="Download without asking.")
@json_option
def data_get(name: str, yes: bool, as_json: bool) -> None:
    """Store the known data set NAME, from MM4ST_DATA_DIR or downloaded."""
    from mm4st_agent.data.fetch import fetch, missing_originals
    from mm4st_agent.data.known import known_card, known_draft

    runtime = open_runtime()
    card = known_card(name.strip().lower().replace("_", "-"))
    if runtime.registry.stored(card.name):
        raise UsageError(f"{card.name!r} is stored already.", f"mm4st data remove {card.name} removes it.")
    data_dir, downloads = runtime.settings.data_dir, runtime.settings.ready_home() / "originals"
    missing = [file for file in missing_originals(card, data_dir, downloads) if file in card.urls]
    if missing and len(missing) == len(missing_originals(card, data_dir, downloads)) and not yes:
        hosts = sorted({card.urls[file].split("/")[2] for file in missing})
        confirm(f"Download {', '.join(missing)} from {', '.join(hosts)}?", "Nothing was downloaded")
    with progress_bar(f"Downloading {card.name}") as bar:
        folder = fetch(card, data_dir, downloads, lambda _file, done, total: bar(done, total))
    draft = known_draft(card.name, folder)
    show_draft(draft)
    store(runtime, draft)
    describe(runtime, card.name, as_json)


@data.command("remove", epilog=examples("mm4st data remove my-city"))
@click.argument("name", shell_complete=complete_dataset)
@json_option
def data_remove(name: str, as_json: bool) -> None:
    """Delete the imported data set NAME; its original files stay where they are."""
    open_runtime().registry.remove(name)
    if as_json:
        print_json({"removed": name})
    else:
        click.echo(f"Removed {name}.", err=True)


@data.command("export", epilog=examples("mm4st data export demo speeds.parquet --channel speed"))
@click.argument("name", shell_complete=complete_dataset)
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--channel", help="The quantity; the data set's main one by default.")
@json_option
def data_export(name: str, path: Path, channel: str | None, as_json: bool) -> None:
    """Write one channel of the data set NAME to PATH (.csv, .csv.gz or .parquet): a time column and one a node."""
    from mm4st_agent.data.export import export_table

    panel = open_runtime().registry.open(name)
    with progress_bar(f"Writing {path.name}") as bar:
        export_table(panel, path, channel, progress=bar)
    if as_json:
        print_json({"dataset": panel.name, "channel": panel.channel(channel).name, "path": str(path)})
    else:
        click.echo(f"Wrote {path}.", err=True)
