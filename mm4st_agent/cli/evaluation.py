"""`mm4st eval`: suites of questions with known answers, for an agent and a chat model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from mm4st_agent.cli.common import examples, json_option, print_json, progress_bar
from mm4st_agent.errors import UsageError

if TYPE_CHECKING:
    from eval.harness.record import RunRecord

half_option = click.option(
    "--half", type=click.Choice(["dev", "test"]), default="dev", show_default=True, help="Which half of the items."
)


@click.group(name="eval", epilog=examples("mm4st eval list", "mm4st eval run honesty --limit 20"))
def evaluation() -> None:
    """Ask suites of questions with known answers, and score the agent's."""
    try:
        import inspect_ai  # noqa: F401
    except ImportError as err:
        raise UsageError("inspect_ai is not installed.", "Install it: pip install 'mm4st[eval]'.") from err


@evaluation.command("list", epilog=examples("mm4st eval list --json"))
@json_option
def list_suites(as_json: bool) -> None:
    """List the suites, and what each measures."""
    from eval.suites import load_suite, suite_names

    suites = [load_suite(name) for name in suite_names()]
    rows = [{"name": s.name, "measures": s.measures, "baseline_name": s.baseline_name} for s in suites]
    if as_json:
        print_json({"suites": rows})
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("suite", "measures", "baseline")
    for row in rows:
        table.add_row(row["name"], row["measures"], row["baseline_name"])
    Console().print(table)


@evaluation.command(
    epilog=examples(
        "mm4st eval run planning --half test",
        "mm4st eval run all --half test --limit 40 --json",
        "mm4st eval run questions.jsonl --chat-model vllm:NAME",
    )
)
@click.argument("target", metavar="SUITE|all|FILE.jsonl")
@click.option(
    "--chat-model",
    metavar="M",
    default="embedded",
    show_default=True,
    help="embedded; vllm; vllm:NAME; or the root of an OpenAI-compatible server, URL or URL#NAME.",
)
@half_option
@click.option("--limit", type=click.IntRange(min=1), help="So many items of each suite, all kinds among them.")
@click.option("--epochs", type=click.IntRange(min=1), default=1, show_default=True, help="How often each is asked.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the agent.")
@click.option("--max-samples", type=click.IntRange(min=1), help="Asked at the same time.")
@click.option("--fresh", is_flag=True, help="Ask again what was asked already.")
@json_option
def run(
    target: str,
    chat_model: str,
    half: Literal["dev", "test"],
    limit: int | None,
    epochs: int,
    seed: int,
    max_samples: int | None,
    fresh: bool,
    as_json: bool,
) -> None:
    """Run a suite, all suites, or one of your own from a file.

    A run that was stopped goes on where it was when the same command is given again.
    """
    from eval.harness.options import Options
    from eval.harness.run import run_suites
    from mm4st_agent.settings import load_settings

    options = Options(target, chat_model, half, limit, epochs, seed, max_samples, fresh)
    answered = "Nothing is answered yet"
    try:
        with progress_bar("Questions") as advance:

            def progress(done: int, total: int | None) -> None:
                nonlocal answered
                answered = f"{done} of {total} questions are answered"
                advance(done, total)

            record = run_suites(load_settings(), options, progress=progress)
    except KeyboardInterrupt:
        again = "without --fresh goes" if fresh else "goes"
        click.echo(f"Stopped. {answered}; the same command {again} on from there.", err=True)
        raise
    if as_json:
        print_json(record.to_json())
        return
    from eval.harness.shown import print_scores

    print_scores(record)


@evaluation.command(epilog=examples("mm4st eval compare FIRST SECOND"))
@click.argument("runs", nargs=2, metavar="RUN RUN")
@json_option
def compare(runs: tuple[str, str], as_json: bool) -> None:
    """Compare two runs, item by item, over the items that both scored."""
    from eval.harness.compare import compared_runs
    from eval.harness.shown import print_comparison

    first, second = (_record(run) for run in runs)
    comparison = compared_runs(first, second)
    if as_json:
        print_json(comparison.to_json())
    else:
        print_comparison(comparison)


@evaluation.command(epilog=examples("mm4st eval report RUN --out report.html"))
@click.argument("run")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="The page; report.html by default.")
@json_option
def report(run: str, out: Path | None, as_json: bool) -> None:
    """Write one HTML page about a run: tables, pictures, the worst items."""
    from eval.harness.report import write_report

    path = write_report(_record(run), out or Path("report.html"))
    if as_json:
        print_json({"report": str(path)})
    else:
        click.echo(str(path))


@evaluation.command(epilog=examples("mm4st eval guard"))
@json_option
@click.option("--write", is_flag=True, help="Record the scores that are found as the new floors.")
def guard(write: bool, as_json: bool) -> None:
    """Run the small fixed sample that `make check` runs, and hold the scores against their floors."""
    from eval.harness.guard import run_guard, write_floors
    from eval.harness.shown import print_guard
    from mm4st_agent.settings import load_settings

    with progress_bar("Questions") as progress:
        found = run_guard(load_settings(), progress=progress)
    if write:
        click.echo(f"Wrote {write_floors(found)}.", err=True)
    if as_json:
        print_json(found.to_json())
    else:
        print_guard(found)
    if found.below and not write:
        raise click.exceptions.Exit(1)


@evaluation.command(epilog=examples("mm4st eval view"))
@click.argument("run", required=False)
@click.option("--port", type=click.IntRange(1, 65535), default=7575, show_default=True)
def view(run: str | None, port: int) -> None:
    """Open a run's logs, or all runs', in inspect's viewer."""
    from inspect_ai import view as open_viewer

    from eval.harness.record import RUNS, run_folder
    from mm4st_agent.settings import load_settings

    home = load_settings().home
    folder = run_folder(run, home) if run is not None else home / RUNS
    if not folder.is_dir():
        raise UsageError(f"There is no run {run!r}." if run else "There is no run yet.", "See `mm4st eval run --help`.")
    open_viewer(log_dir=str(folder), port=port)


def _record(run: str) -> RunRecord:
    from eval.harness.record import read_record
    from mm4st_agent.settings import load_settings

    return read_record(run, load_settings().home)
