"""`mm4st ...`: data to stdout, messages and progress to stderr, `--json` prints one JSON object.

Exit codes: 0 ok, 2 bad use, 3 bad data, 4 a server is unreachable, 1 a bug.
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mm4st_agent.errors import MM4STError, UsageError

if TYPE_CHECKING:
    from mm4st_agent.agent.answer import Answer
    from mm4st_agent.runtime import Runtime

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
as_of_option = click.option("--as-of", metavar="T", help="The clock, e.g. 2022-01-25T07:30; nothing later is visible.")
dataset_option = click.option("--dataset", metavar="D", required=True, help="A registered data set.")
chat_model_option = click.option(
    "--chat-model", type=click.Choice(["embedded", "vllm"]), help="Which chat model answers."
)


class _Commands(click.Group):
    """Turns every error into one sentence (or one JSON object) and the exit code of its kind."""

    def main(self, args: Sequence[str] | None = None, *rest: Any, **options: Any) -> Any:
        given = list(sys.argv[1:] if args is None else args)
        as_json = "--json" in given
        try:
            return super().main(given, *rest, **{**options, "standalone_mode": False})
        except click.exceptions.Abort:
            sys.exit(130)
        except BrokenPipeError:  # the reader of our output, such as `head`, has seen enough
            sys.stdout = None
            sys.exit(0)
        except click.ClickException as err:
            if as_json:
                _print_json(UsageError(err.format_message()).to_json())
            else:
                err.show()
            sys.exit(err.exit_code)
        except MM4STError as err:
            if as_json:
                _print_json(err.to_json())
            else:
                click.echo(f"Error: {err}", err=True)
            sys.exit(err.exit_code)
        except Exception as err:  # noqa: BLE001 - the last resort: a bug, shown whole
            traceback.print_exc()
            if as_json:
                _print_json({"error": {"kind": "bug", "message": repr(err), "hint": "Please report it."}})
            sys.exit(1)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="mm4st")
def main() -> None:
    """Answer questions about spatio-temporal data; every number can be traced."""


# -- questions --------------------------------------------------------------------------------


@main.command()
@click.argument("question")
@click.option("--dataset", metavar="D", help="A registered data set; the demo by default.")
@as_of_option
@chat_model_option
@click.option("--thread", metavar="ID", help="Go on with an earlier conversation.")
@json_option
def ask(
    question: str, dataset: str | None, as_of: str | None, chat_model: Any, thread: str | None, as_json: bool
) -> None:
    """Answer QUESTION."""
    import asyncio

    runtime = _runtime()
    answer = asyncio.run(
        runtime.ask(
            question,
            dataset=dataset,
            as_of=as_of,
            chat_model=chat_model,
            thread=thread,
            on_event=_show_step,
        )
    )
    if as_json:
        _print_json(answer.to_json())
    else:
        _print_answer(answer)


def _show_step(event: Any) -> None:
    from mm4st_agent.agent.run_events import ToolFinished

    if isinstance(event, ToolFinished):
        entry = event.evidence
        click.echo(
            f"  {entry.id}  {entry.tool}  {entry.seconds:.2f} s{'  ' + entry.error if entry.error else ''}", err=True
        )


def _print_answer(answer: Answer) -> None:
    from rich.console import Console
    from rich.markdown import Markdown

    console = Console()
    console.print(Markdown(answer.answer))
    for figure in answer.figures:
        console.print(f"Figure: {figure.path}", soft_wrap=True, highlight=False)
    for citation in answer.citations:
        when = f", {citation.published_at:%Y-%m-%d %H:%M}" if citation.published_at else ""
        console.print(f"Source \\[{citation.evidence}]: {citation.source}{when}", highlight=False)
    for warning in answer.warnings:
        console.print(f"Note: {warning}", highlight=False, markup=False)
    console.print(
        f"Answered by {answer.chat_model}; data {answer.dataset} as of {answer.as_of}; thread {answer.thread}; "
        f"{answer.seconds:.1f} s",
        style="dim",
        highlight=False,
    )


# -- tools ------------------------------------------------------------------------------------


@main.group()
def tool() -> None:
    """The tools that the agent calls."""


@tool.command("list")
@json_option
def tool_list(as_json: bool) -> None:
    """Show every tool."""
    specs = _runtime().tools.values()
    if as_json:
        _print_json([spec.to_json() for spec in specs])
        return
    for spec in specs:
        click.echo(f"{spec.name:18} {spec.description}")


@tool.command("run")
@click.argument("name")
@click.option("--args", "args_json", default="{}", metavar="JSON", help="The tool's arguments as a JSON object.")
@as_of_option
@json_option
def tool_run(name: str, args_json: str, as_of: str | None, as_json: bool) -> None:
    """Call the tool NAME."""
    try:
        args = json.loads(args_json)
    except ValueError as err:
        raise UsageError(f"--args is not JSON: {err}.", 'Write it as \'{"dataset": "demo"}\'.') from err
    if not isinstance(args, dict):
        raise UsageError(f"--args is {args_json}, not a JSON object.", 'Write it as \'{"dataset": "demo"}\'.')
    reply = _runtime().tool(name, args, as_of).model_dump(mode="json")
    _print_json(reply, indent=None if as_json else 2)


# -- data -------------------------------------------------------------------------------------


@main.group()
def data() -> None:
    """The data sets."""


@data.command("list")
@json_option
def data_list(as_json: bool) -> None:
    """Show the registered data sets."""
    registry = _runtime().registry
    rows = [
        {"name": name, "title": registry.card(name).title, "available": registry.available(name)}
        for name in registry.names()
    ]
    if as_json:
        _print_json({"datasets": rows})
        return
    for row in rows:
        click.echo(f"{row['name']:14} {'' if row['available'] else '(files missing) '}{row['title']}")


@data.command("describe")
@click.argument("name")
@as_of_option
@json_option
def data_describe(name: str, as_of: str | None, as_json: bool) -> None:
    """Describe the data set NAME: all of it, or what was known at --as-of."""
    reply = _runtime().tool("describe_dataset", {"dataset": name}, as_of or "end").model_dump(mode="json")
    _print_json(reply, indent=None if as_json else 2)


@data.command("import")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--name", required=True, help="What to call it; letters, digits and '-'.")
@click.option("--time-zone", default="UTC", show_default=True, help="Zone of the time stamps, e.g. US/Pacific.")
@click.option("--unit", default="", help="Unit of the values, e.g. mph.")
@click.option("--layout", type=click.Choice(["auto", "wide", "long"]), default="auto", show_default=True)
@click.option("--channel", default="value", show_default=True, help="What was measured, e.g. speed.")
@click.option(
    "--time-label",
    type=click.Choice(["start", "instant"]),
    default="instant",
    show_default=True,
    help="start: a stamp begins the interval that its reading covers, and is known only when that is over.",
)
@click.option("--time-format", help="How stamps are written where not ISO 8601, e.g. '%d/%m/%Y %H:%M'.")
@click.option("--domain", default="general", show_default=True, help="What the data are about, e.g. traffic.")
@click.option("--place-word", default="sensor", show_default=True, help="What a place is called, e.g. station.")
@json_option
def data_import(path: Path, name: str, as_json: bool, **options: Any) -> None:
    """Import the CSV or Parquet file PATH: wide (time, one column a node) or long (time, node, value)."""
    import numpy as np

    from mm4st_agent.data.formats import read_table

    runtime = _runtime()
    runtime.registry.check_new(name)
    panel = read_table(path, name=name, **options)
    if len(empty := np.flatnonzero(np.isnan(panel.values()).all(axis=0))):
        click.echo(f"Note: there is no reading at all in {', '.join(panel.node_ids[i] for i in empty)}.", err=True)
    runtime.registry.add(panel)
    reply = runtime.tool("describe_dataset", {"dataset": name}).model_dump(mode="json")
    _print_json(reply, indent=None if as_json else 2)


# -- the forecaster ---------------------------------------------------------------------------


@main.command()
@dataset_option
@click.option("--channel", help="The quantity to forecast; the data set's main one by default.")
@click.option("--max-minutes", type=click.FloatRange(min=0, min_open=True), default=10.0, show_default=True)
@click.option("--max-epochs", type=click.IntRange(min=1), default=60, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@json_option
def train(dataset: str, channel: str | None, max_minutes: float, max_epochs: int, seed: int, as_json: bool) -> None:
    """Train the forecaster of one channel. Stopped half-way, the same command goes on."""
    from mm4st_agent.forecaster.training import TrainConfig, train_checkpoint

    runtime = _runtime()
    panel = runtime.registry.open(dataset)
    name = panel.channel(channel).name
    out = runtime.checkpoints / f"{panel.name}-{name}"
    config = TrainConfig(max_minutes=max_minutes, max_epochs=max_epochs, seed=seed)
    card = train_checkpoint(panel, name, out=out, config=config)
    if as_json:
        _print_json({"checkpoint": str(out), **card.model_dump(mode="json")})
    else:
        click.echo(f"Checkpoint: {out}")


@main.command()
@dataset_option
@click.option("--channel", help="The quantity; the data set's main one by default.")
@json_option
def backtest(dataset: str, channel: str | None, as_json: bool) -> None:
    """Compare the forecaster with its baselines on the test part of the data."""
    from mm4st_agent.forecaster.backtest import print_table, run_backtest

    runtime = _runtime()
    panel = runtime.registry.open(dataset)
    chosen = panel.channel(channel)
    report = run_backtest(panel, chosen, runtime.forecaster(panel, chosen))
    if as_json:
        _print_json(report.to_json())
    else:
        print_table(report)


@main.command()
@click.argument("what", type=click.Choice(["forecast"]))
@json_option
def bench(what: str, as_json: bool) -> None:
    """Measure WHAT against a peer in the same run; a ratio above 1 means that we are ahead."""
    from eval.bench import bench_forecast, print_rows

    report = bench_forecast(_runtime())
    if as_json:
        _print_json(report)
    else:
        print_rows(report)


# -- servers ----------------------------------------------------------------------------------


@main.command()
def app() -> None:
    """Open the chat in a browser (loopback only by default)."""
    from app import launch

    launch(_runtime())


@main.command("serve-vlm")
@click.option(
    "--model",
    default="HuggingFaceTB/SmolVLM-256M-Instruct",
    show_default=True,
    help="A folder with weights, or a name on the model hub.",
)
@click.option("--port", type=click.IntRange(1, 65535), default=8000, show_default=True)
@click.option("--tool-parser", default="hermes", show_default=True, help="vLLM's parser of this model's tool calls.")
@click.option("--chat-template", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def serve_vlm(model: str, port: int, tool_parser: str, chat_template: Path | None) -> None:
    """Serve a vision-language model with vLLM, on loopback, until interrupted."""
    import os
    import signal
    import subprocess

    from mm4st_agent.agent.backends.serve import server_command, server_environment
    from mm4st_agent.errors import ServerError

    command = server_command(model, port=port, tool_parser=tool_parser, chat_template=chat_template)
    click.echo(f"Serving {model} at http://127.0.0.1:{port}/v1; ask with --chat-model vllm.", err=True)
    code = subprocess.run(command, env={**os.environ, **server_environment(model)}, check=False).returncode
    if code not in (0, -signal.SIGINT, -signal.SIGTERM):
        raise ServerError(
            f"The server of {model!r} stopped with code {code}; its log above says why.",
            "Without access to the model hub, give a folder with weights: mm4st serve-vlm --model PATH.",
        )


def _runtime() -> Runtime:
    import gc

    from mm4st_agent.runtime import Runtime

    # Importing torch and its kin makes objects that stay; looking through them again and again
    # for garbage took a fifth of the time to the first answer.
    gc.set_threshold(100_000, 50, 50)
    return Runtime()


def _print_json(value: Any, indent: int | None = None) -> None:
    click.echo(json.dumps(value, allow_nan=False, ensure_ascii=False, indent=indent))
