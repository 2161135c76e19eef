"""`mm4st train`, `backtest` and `bench`."""

from __future__ import annotations

import click

from mm4st_agent.cli.common import dataset_option, json_option, open_runtime, print_json


@click.command()
@dataset_option
@click.option("--channel", help="The quantity to forecast; the data set's main one by default.")
@click.option("--max-minutes", type=click.FloatRange(min=0, min_open=True), default=10.0, show_default=True)
@click.option("--max-epochs", type=click.IntRange(min=1), default=60, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@json_option
def train(dataset: str, channel: str | None, max_minutes: float, max_epochs: int, seed: int, as_json: bool) -> None:
    """Train the forecaster of one channel. Stopped half-way, the same command goes on."""
    from mm4st_agent.forecaster.training import TrainConfig, train_checkpoint

    runtime = open_runtime()
    panel = runtime.registry.open(dataset)
    name = panel.channel(channel).name
    out = runtime.checkpoints / f"{panel.name}-{name}"
    config = TrainConfig(max_minutes=max_minutes, max_epochs=max_epochs, seed=seed)
    card = train_checkpoint(panel, name, out=out, config=config)
    if as_json:
        print_json({"checkpoint": str(out), **card.model_dump(mode="json")})
    else:
        click.echo(f"Checkpoint: {out}")


@click.command()
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


@click.command()
@click.argument("what", type=click.Choice(["forecast", "imaging"]))
@json_option
def bench(what: str, as_json: bool) -> None:
    """Measure WHAT against a peer in the same run; a ratio above 1 means that we are ahead."""
    from eval.bench import bench_forecast, bench_imaging, print_rows

    report = bench_forecast(open_runtime()) if what == "forecast" else bench_imaging()
    if as_json:
        print_json(report)
    else:
        print_rows(report)
