"""`mm4st train`, `backtest` and `bench`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import click
from click.core import ParameterSource

from mm4st_agent.cli.common import dataset_option, examples, json_option, open_runtime, print_json
from mm4st_agent.cli.completion import complete_dataset
from mm4st_agent.errors import UsageError

FUSIONS = (
    "attention", "plain", "addition", "multiplication", "concatenation", "cross-attention", "gating", "graph",
    "contrastive",
)  # fmt: skip
LAYOUTS = ("strip", "raster", "dayfold")
OF_COMPARISON = ("channel", "models", "seeds", "shots", "which", "max_minutes", "backbone", "fresh", "recorded")
"""Options of `bench forecast --dataset`."""
OF_AGENT = ("half", "limit", "failures")
"""Options of `bench agent` and, without the second, of `bench claims`."""
OF_APP = ("users", "questions", "think")
"""Options of `bench app`."""


@click.command(
    epilog=examples(
        "mm4st train --dataset demo --channel speed",
        "mm4st train --dataset demo --backbone numeric --max-minutes 5 --json",
    )
)
@dataset_option
@click.option("--channel", help="The quantity to forecast; the data set's main one by default.")
@click.option(
    "--backbone",
    metavar="numeric|pico|nano|PATH",
    default="pico",
    show_default=True,
    help="What reads text, picture and series: a transformer from scratch, or the folder of a downloaded "
    "vision-language model. 'numeric' is without: readings alone.",
)
@click.option("--history", type=click.IntRange(1, 512), help="Steps that are read.  [default: as --horizon]")
@click.option(
    "--horizon",
    type=click.IntRange(1, 512),
    help="Steps that are forecast.  [default: 24 where a step is an hour or longer, else 12]",
)
@click.option(
    "--shots",
    type=click.FloatRange(0, 1, min_open=True),
    default=1.0,
    show_default=True,
    help="Share of the training part that is seen.",
)
@click.option("--shots-from", type=click.Choice(["first", "last"]), default="last", show_default=True, help="Its end.")
@click.option("--fusion", type=click.Choice(FUSIONS), help="How the modalities meet.  [default: attention]")
@click.option("--layout", type=click.Choice(LAYOUTS), help="Of the picture.  [default: strip]")
@click.option("--devices", type=click.IntRange(min=1), default=1, show_default=True, help="GPUs, or processes.")
@click.option("--max-minutes", type=click.FloatRange(min=0, min_open=True), default=60.0, show_default=True)
@click.option("--max-epochs", type=click.IntRange(min=1), default=60, show_default=True)
@click.option(
    "--base-epochs",
    type=click.IntRange(min=0),
    help="Of these: the numeric branch learns alone, many times faster.  [default: 8, at most half of them]",
)
@click.option("--seed", type=int, default=0, show_default=True)
@json_option
def train(
    dataset: str,
    channel: str | None,
    backbone: str,
    history: int | None,
    horizon: int | None,
    fusion: str | None,
    layout: str | None,
    base_epochs: int | None,
    max_epochs: int,
    as_json: bool,
    **training: Any,
) -> None:
    """Train the forecaster of one channel. Stopped half-way, the same command goes on."""
    runtime = open_runtime()
    panel = runtime.registry.open(dataset)
    name = panel.channel(channel).name
    given = {"fusion": fusion, "layout": layout}
    options = _options(backbone, {option: value for option, value in given.items() if value is not None})

    from mm4st_agent.forecaster.config import usual_steps
    from mm4st_agent.forecaster.train_config import BASE_EPOCHS
    from mm4st_agent.forecaster.training import TrainConfig, train_checkpoint

    horizon = horizon or usual_steps(panel.step_s)
    numeric = {"history": history or horizon, "horizon": horizon}
    network = {"numeric": numeric, **options} if options else numeric
    if base_epochs is None:
        base_epochs = min(BASE_EPOCHS, max_epochs // 2) if options else 0
    training |= {"base_epochs": base_epochs, "max_epochs": max_epochs}
    out = runtime.checkpoints / f"{panel.name}-{name}"
    config = TrainConfig.model_validate({"network": network, **training})
    card = train_checkpoint(panel, name, out=out, config=config)
    if as_json:
        print_json({"checkpoint": str(out), **card.model_dump(mode="json")})
    else:
        click.echo(f"Checkpoint: {out}")


def _options(backbone: str, options: dict[str, str]) -> dict[str, Any]:
    """The fields of an ST-VLM's config that are not the default; none for the numeric branch alone.

    Raises:
        UsageError: there is no such backbone, or it has no such option.
    """
    if backbone == "numeric":
        if options:
            name, value = next(iter(options.items()))
            raise UsageError(
                f"The backbone 'numeric' reads no text and no picture, so it has no {name} {value!r}.",
                f"Leave --{name} out, or use --backbone pico.",
            )
        return {}
    if backbone not in ("pico", "nano"):
        folder = Path(backbone).expanduser().resolve()
        if not folder.is_dir():
            raise UsageError(
                f"There is no backbone {backbone!r}: it is not a folder.",
                "Use numeric, pico, nano, or the folder of a downloaded vision-language model.",
            )
        backbone = str(folder)
    return {"backbone": backbone, **options}


@click.command(epilog=examples("mm4st backtest --dataset demo", "mm4st backtest --dataset demo --channel speed --json"))
@dataset_option
@click.option("--channel", help="The quantity; the data set's main one by default.")
@json_option
def backtest(dataset: str, channel: str | None, as_json: bool) -> None:
    """Compare the forecaster with its baselines on the test part of the data."""
    from mm4st_agent.forecaster.backtest import print_table, run_backtest

    runtime = open_runtime()
    panel = runtime.registry.open(dataset)
    chosen = panel.channel(channel)
    report = run_backtest(panel, chosen, runtime.forecaster(panel, chosen))
    if as_json:
        print_json(report.to_json())
    else:
        print_table(report)


@click.command(
    epilog=examples(
        "mm4st bench forecast",
        "mm4st bench forecast --dataset pems-orange --models modalities --recorded",
        "mm4st bench agent --half dev --failures",
        "mm4st bench app --users 20 --json",
    )
)
@click.argument(
    "what",
    type=click.Choice(
        ["forecast", "modalities", "latency", "imaging", "explain", "what-if", "agent", "claims", "app", "batch"]
    ),
)
@click.option(
    "--dataset",
    shell_complete=complete_dataset,
    help="Compare ST-VLM with the peers on this data set, for 'forecast'; ask only about this one, for 'agent'.",
)
@click.option("--channel", help="The quantity; the data set's main one by default.")
@click.option(
    "--models",
    help="Names of the models, with commas between them; 'modalities', 'fusions' and 'ranks' stand for several.",
)
@click.option("--seeds", type=click.IntRange(min=1), default=3, show_default=True)
@click.option("--shots", type=click.FloatRange(0, 1, min_open=True, max_open=True), help="Share of the training part.")
@click.option("--which", type=click.Choice(["first", "last"]), default="first", show_default=True, help="Of --shots.")
@click.option("--max-minutes", type=click.FloatRange(min=0, min_open=True), help="Training budget of each run.")
@click.option(
    "--backbone",
    type=click.Path(exists=True, file_okay=False, path_type=Path, resolve_path=True),
    help="Folder of a vision-language model, for the models 'ranks'.",
)
@click.option("--fresh", is_flag=True, help="Also make the runs that are on record.")
@click.option("--recorded", is_flag=True, help="Make no run; show what is on record.")
@click.option(
    "--half", type=click.Choice(["dev", "test"]), default="dev", show_default=True, help="For 'agent' and 'claims'."
)
@click.option("--limit", type=click.IntRange(min=1), help="Questions spread over the half, for 'agent'.")
@click.option("--failures", is_flag=True, help="Also show what was not as expected, for 'agent' and 'claims'.")
@click.option("--users", type=click.IntRange(min=1), default=20, show_default=True, help="People at once, for 'app'.")
@click.option("--questions", type=click.IntRange(min=1), default=200, show_default=True, help="In all, for 'app'.")
@click.option(
    "--think",
    type=click.FloatRange(min=0),
    default=15.0,
    show_default=True,
    help="Mean seconds between an answer and the next question, for 'app'.",
)
@json_option
def bench(
    what: str,
    dataset: str | None,
    channel: str | None,
    models: str | None,
    seeds: int,
    shots: float | None,
    which: Literal["first", "last"],
    max_minutes: float | None,
    backbone: Path | None,
    fresh: bool,
    recorded: bool,
    half: Literal["dev", "test"],
    limit: int | None,
    failures: bool,
    users: int,
    questions: int,
    think: float,
    as_json: bool,
) -> None:
    """Measure WHAT against a peer in the same run; a ratio above 1 means that we are ahead."""
    if what == "app":
        _refuse(
            (*OF_COMPARISON, *OF_AGENT, "dataset"), "'bench app' takes no {option}.", "Try: mm4st bench app --users 20"
        )
        _bench_app(users, questions, think, as_json)
        return
    _refuse(OF_APP, f"'bench {what}' takes no {{option}}.", "Leave it out, or bench 'app'.")
    if what == "agent":
        _refuse(OF_COMPARISON, "'bench agent' takes no {option}.", "Try: mm4st bench agent --half dev --failures")
        _bench_agent(half, dataset, limit, failures, as_json)
        return
    if what == "claims":
        others = (*OF_COMPARISON, "dataset", "limit")
        _refuse(others, "'bench claims' takes no {option}.", "Try: mm4st bench claims --half test --failures")
        _bench_claims(half, failures, as_json)
        return
    _refuse(OF_AGENT, f"'bench {what}' takes no {{option}}.", "Leave it out, or bench 'agent' or 'claims'.")
    if dataset is None:
        _refuse(
            OF_COMPARISON,
            "{option} needs a data set.",
            "Try: mm4st bench forecast --dataset NAME {option} ...",
        )
        from eval.bench import print_rows
        from eval.bench.batch import bench_batch, print_batch

        report = bench_batch(open_runtime()) if what == "batch" else _measured(what)
        if as_json:
            print_json(report)
        else:
            (print_batch if what == "batch" else print_rows)(report)
        return
    if what != "forecast":
        raise UsageError(f"'bench {what}' takes no data set.", "Leave --dataset out, or bench 'forecast'.")

    from eval.bench import forecast
    from eval.bench.records import Shots
    from eval.bench.side_by_side import print_side_by_side, side_by_side_report

    panel = open_runtime().registry.open(dataset)
    names = tuple(name.strip() for name in models.split(",")) if models is not None else None
    amount = None if shots is None else Shots(share=shots, which=which)
    if recorded:
        records = forecast.recorded(panel, channel, names, shots=amount, results=forecast.RESULTS)
    else:
        records = forecast.run_side_by_side(
            panel,
            channel,
            names,
            seeds=seeds,
            shots=amount,
            minutes=max_minutes,
            backbone=backbone,
            fresh=fresh,
            results=forecast.RESULTS,
        )
    table = side_by_side_report(records)
    if as_json:
        print_json(table)
    else:
        print_side_by_side(table, panel.step_s)


def _measured(what: str) -> dict[str, Any]:
    """The report of a benchmark that needs no data set."""
    from eval.bench import bench_forecast, bench_imaging
    from eval.bench.explanations import bench_explanations
    from eval.bench.latency import bench_latency
    from eval.bench.swaps import bench_modalities
    from eval.bench.what_if import bench_what_if

    match what:
        case "forecast":
            return bench_forecast(open_runtime())
        case "modalities":
            return bench_modalities(open_runtime())
        case "latency":
            return bench_latency(open_runtime())
        case "explain":
            return bench_explanations(open_runtime())
        case "what-if":
            return bench_what_if(open_runtime())
        case _:
            return bench_imaging()


def _bench_agent(
    half: Literal["dev", "test"], dataset: str | None, limit: int | None, failures: bool, as_json: bool
) -> None:
    from eval.bench import print_rows
    from eval.bench.agent import bench_agent
    from eval.bench.agent_scores import print_failures, print_groups

    report = bench_agent(open_runtime().settings, half, dataset=dataset, limit=limit, failures=failures)
    if as_json:
        print_json(report)
        return
    print_failures(report.get("failures", []))
    print_groups(report)
    print_rows(report)
    for name, count in report["skipped"].items():
        click.echo(f"{count} questions on {name!r} were not asked: its data are not here.", err=True)


def _bench_claims(half: Literal["dev", "test"], failures: bool, as_json: bool) -> None:
    from eval.bench import print_rows
    from eval.bench.claims import bench_claims, print_claims

    report = bench_claims(half, failures=failures)
    if as_json:
        print_json(report)
        return
    print_claims(report)
    print_rows(report)


def _bench_app(users: int, questions: int, think_s: float, as_json: bool) -> None:
    from eval.bench import print_rows
    from eval.bench.app import bench_app

    report = bench_app(open_runtime(), users=users, questions=questions, think_s=think_s)
    if as_json:
        print_json(report)
        return
    print_rows(report)
    for text in report["failures"] + report["mixed"]:
        click.echo(text, err=True)
    before, after = report["load"]
    click.echo(f"Load of the machine: {before:.1f} before, {after:.1f} after.", err=True)


def _refuse(names: tuple[str, ...], message: str, hint: str) -> None:
    """Options that a benchmark does not read must not be dropped in silence.

    Raises:
        UsageError: one of them was given.
    """
    context = click.get_current_context()
    for name in names:
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            option = "--" + name.replace("_", "-")
            raise UsageError(message.format(option=option), hint.format(option=option))
