"""`mm4st forecast`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from mm4st_agent.cli.common import (
    as_of_option,
    dataset_option,
    examples,
    json_option,
    open_runtime,
    print_json,
    progress_bar,
)
from mm4st_agent.errors import UsageError

if TYPE_CHECKING:
    from mm4st_agent.batch.run import BatchManifest

EXAMPLES = (
    "mm4st forecast --dataset demo --channel speed --all-nodes --out speeds",
    "mm4st forecast --dataset demo --nodes S039,S096 --horizon-min 30 --out two --json",
)


@click.command(epilog=examples(*EXAMPLES))
@dataset_option
@click.option("--channel", metavar="C", help="The quantity; the data set's main one by default.")
@as_of_option
@click.option(
    "--horizon-min",
    type=click.FloatRange(min=0, min_open=True),
    metavar="H",
    help="Minutes ahead, rounded up to whole steps.  [default: as far as the forecaster reaches]",
)
@click.option("--all-nodes", is_flag=True, help="Every node that measures the channel.")
@click.option("--nodes", metavar="A,B", help="These nodes, with commas between their ids.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder of the result.")
@click.option("--engine", type=click.Choice(["local", "ray"]), default="local", show_default=True)
@click.option("--block", type=click.IntRange(min=1), help="Nodes in one file.  [default: 64]")
@click.option("--workers", type=click.IntRange(min=1), help="Processes of Ray.  [default: 2; one for 'local']")
@json_option
def forecast(
    dataset: str,
    out: Path,
    all_nodes: bool,
    nodes: str | None,
    engine: Literal["local", "ray"],
    block: int | None,
    workers: int | None,
    as_json: bool,
    **asked: Any,
) -> None:
    """Forecast many nodes at once, as Parquet files in a folder.

    Stopped half-way, the same command goes on with the files that are missing.
    """
    if all_nodes == (nodes is not None):
        said = "both --all-nodes and --nodes are" if all_nodes else "neither --all-nodes nor --nodes is"
        raise UsageError(f"Which nodes? {said[0].upper()}{said[1:]} given.", "Give one of them: --nodes A,B.")
    chosen = None if nodes is None else [node.strip() for node in nodes.split(",") if node.strip()]

    from mm4st_agent.batch.job import BLOCK, job_of
    from mm4st_agent.batch.run import run_batch
    from mm4st_agent.memory import stay_level

    stay_level()
    runtime = open_runtime()
    job = job_of(runtime, dataset, nodes=chosen, block=block or BLOCK, **asked)
    workers = workers or (2 if engine == "ray" else 1)
    with progress_bar("Forecasting") as progress:
        manifest = run_batch(runtime, job, out, engine=engine, workers=workers, progress=progress)
    if as_json:
        print_json(manifest.model_dump(mode="json"))
    else:
        _print(manifest, out)


def _print(manifest: BatchManifest, out: Path) -> None:
    job, about = manifest.job, manifest.about
    minutes = job.horizon * job.step_s / 60
    click.echo(
        f"{manifest.forecast} of {len(job.nodes)} nodes, {minutes:g} minutes ahead of {job.as_of}, in {about.unit}: "
        f"{manifest.rows:,} rows in {manifest.blocks} files under {out}"
    )
    for model, count in about.led_by.items():
        click.echo(f"  {count} from {model}")
    if manifest.kept:
        click.echo(f"{manifest.kept} files were there already.", err=True)
    if about.synthetic:
        click.echo("The data are synthetic.", err=True)
    if about.in_sample:
        click.echo(
            f"Note: {about.in_sample} nodes were forecast for a time that the training has seen; a forecast of the "
            "real future has not that advantage.",
            err=True,
        )
    for node, reason in about.left_out.items():
        click.echo(f"Left out: {node}: {reason}", err=True)
