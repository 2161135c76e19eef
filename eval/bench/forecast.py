"""`mm4st bench forecast`: shipped forecasters against the baselines, or one data set side by side with peers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eval.bench.report import BenchRow, compared, report_of
from mm4st_agent.errors import DataError
from mm4st_agent.runtime import Runtime

if TYPE_CHECKING:
    from eval.bench.records import Record, Shots
    from eval.peers.outcome import Report
    from mm4st_agent.data.panel import Panel

RESULTS = Path(__file__).parents[1] / "results"
"""The records that come with the source."""


def bench_forecast(runtime: Runtime) -> dict[str, Any]:
    """Compare every trained forecaster with each baseline, by test MAE over all its steps.

    The forecaster and the baselines run now, on the same windows and measured cells of the test part.

    Returns:
        `{rows, commit, machine}`; data sets whose files are missing here are left out.
    """
    from mm4st_agent.forecaster.backtest import run_backtest
    from mm4st_agent.forecaster.prediction import TrainedForecaster

    rows: list[BenchRow] = []
    for name in runtime.registry.names():
        if not runtime.registry.available(name):
            continue
        panel = runtime.registry.open(name)
        for channel in panel.card.channels:
            forecaster = runtime.forecaster(panel, channel)
            if not isinstance(forecaster, TrainedForecaster):
                continue
            errors = {
                row.model: row.mae
                for row in run_backtest(panel, channel, forecaster).errors.rows
                if row.horizon == "all"
            }
            ours = errors.pop(forecaster.name)
            rows += [
                compared(f"{name} {channel.name}: test MAE over all steps", ours, mae, peer, channel.unit)
                for peer, mae in errors.items()
            ]
    return report_of(rows)


def run_side_by_side(
    panel: Panel,
    channel: str | None = None,
    models: tuple[str, ...] | None = None,
    *,
    seeds: int = 1,
    shots: Shots | None = None,
    minutes: float | None = None,
    backbone: Path | None = None,
    fresh: bool = False,
    results: Path = RESULTS,
) -> list[Record]:
    """Train and test the models, each with each seed; a run is recorded when it is done, so Ctrl-C keeps it.

    A run that is on record with the same data and config is not made again, whatever its commit, unless its
    training was cut off by a smaller budget than `minutes`.

    Args:
        panel: The whole data set.
        channel: None is the main one.
        models: Names of `MODELS`; None takes all that run on such data.
        seeds: 0 .. seeds - 1; a model without randomness runs once.
        shots: Use only so much of the training part.
        minutes: Training budget of each run.
        backbone: Folder of a pretrained vision-language model, for the models that adapt one.
        fresh: Make every run again.
        results: Folder of the records.

    Raises:
        UsageError: there is no such channel or model.
        DataError: the data are too short.
    """
    from eval.bench.harness import Task, run
    from eval.bench.models import chosen
    from eval.bench.records import read_record, record_file, write_record

    picked = chosen(models, few_shot=shots is not None)
    task = Task.of(panel, channel, shots, None if backbone is None else str(backbone))
    plan = [(name, seed) for name, model in picked.items() for seed in range(seeds if model.seeded else 1)]
    done = []
    with _progress(len(plan)) as begin:
        for name, seed in plan:
            model = picked[name]
            report = begin(f"{model.title}, seed {seed}", model.ours)
            config = model.config(task)
            path = results / record_file(panel.name, task.course.channel.name, name, seed, shots)
            if not fresh and path.is_file():
                known = read_record(path)
                if known.answers({"data_sha256": panel.card.sha256, "config": config}, minutes):
                    done.append(known)
                    continue
            record = run(task, name, config, model.fit, seed=seed, minutes=minutes, report=report)
            write_record(record, results)
            done.append(record)
    return done


def recorded(
    panel: Panel,
    channel: str | None = None,
    models: tuple[str, ...] | None = None,
    *,
    shots: Shots | None = None,
    results: Path = RESULTS,
) -> list[Record]:
    """The records of earlier runs of this data set; nothing is trained.

    Raises:
        UsageError: there is no such channel or model.
        DataError: there is no record, or one is of other data.
    """
    from eval.bench.models import chosen, compared_models
    from eval.bench.records import read_records

    picked = compared_models() if models is None else chosen(models, few_shot=True)
    name = panel.channel(channel).name
    found = read_records(results, panel.name, name, shots, picked)
    amount = f" with {shots.share:g} of the training part ({shots.which})" if shots else ""
    if not found:
        raise DataError(
            f"There is no record of {name} of {panel.name!r}{amount} in {results}.", "Run it without --recorded."
        )
    if other := [record for record in found if record.data_sha256 != panel.card.sha256]:
        raise DataError(f"{results / other[0].file} was made with another version of the data.", "Run it with --fresh.")
    return found


@contextmanager
def _progress(runs: int) -> Iterator[Callable[[str, bool], Report]]:
    """A bar on stderr; yields what begins the next run and gives what that run reports to.

    It makes way for a training that shows a bar of its own.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        whole = bar.add_task("", total=runs)
        begun = 0

        def begin(title: str, own_bar: bool) -> Report:
            nonlocal begun
            (bar.stop if own_bar else bar.start)()
            bar.update(whole, completed=begun, description=title)
            begun += 1

            def report(epochs: float, best: float | None) -> None:
                error = "" if best is None else f", validation MAE {best:.4g}"
                bar.update(whole, description=f"{title}: epoch {epochs:.2f}{error}")

            return report

        yield begin
