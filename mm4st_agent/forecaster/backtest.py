"""The backtest: a trained forecaster and the baselines on the test part, as a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mm4st_agent.data.card import Channel
from mm4st_agent.data.panel import Panel
from mm4st_agent.data.windows import split_time
from mm4st_agent.forecaster.card import Period, Row, TestErrors
from mm4st_agent.forecaster.evaluation import Course, baseline_residuals, check_length, evaluate
from mm4st_agent.forecaster.forecast import Forecaster, duration
from mm4st_agent.forecaster.measured import measuring
from mm4st_agent.forecaster.prediction import BaselineForecaster, TrainedForecaster
from mm4st_agent.forecaster.scoring import parts, score
from mm4st_agent.forecaster.train_config import TrainConfig

if TYPE_CHECKING:
    from rich.table import Table

_BASELINE_HISTORY = 12
"""History steps of a window when no network sets them, so that the windows stay the same."""


@dataclass(frozen=True)
class BacktestReport:
    """Errors on the test part, in the channel's unit; imputed and missing cells count nowhere."""

    dataset: str
    channel: Channel
    step_s: int
    train: Period
    validation: Period
    test: Period
    errors: TestErrors
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """`{dataset, channel, rows, train, test, ...}` as `mm4st backtest --json` prints it."""
        errors = self.errors.model_dump(mode="json", exclude={"by_step", "notes"})
        return {
            "dataset": self.dataset,
            "channel": self.channel.name,
            "unit": self.channel.unit,
            "step_s": self.step_s,
            "rows": errors.pop("rows"),
            "train": self.train.model_dump(mode="json"),
            "validation": self.validation.model_dump(mode="json"),
            "test": self.test.model_dump(mode="json"),
            **errors,
            "notes": list(self.notes),
        }


def run_backtest(panel: Panel, channel: Channel, forecaster: Forecaster) -> BacktestReport:
    """Score a forecaster and the three baselines on the same windows and cells of the test part.

    With a checkpoint the parts are those of its card; without one, the first 70 % train the slot means,
    10 % give the baselines' intervals, and 20 % test. Row `h` is the error at horizon step h alone;
    "all" is the mean over all steps. The trained model's intervals are calibrated, and the baselines'
    made of their errors, on the validation part.

    Raises:
        DataError: the checkpoint does not fit the panel, or the data are too short.
    """
    panel = measuring(panel, channel)
    if isinstance(forecaster, TrainedForecaster):
        return _trained(panel, channel, forecaster)
    horizon, shares = BaselineForecaster.max_horizon, TrainConfig().shares
    check_length(panel, shares, _BASELINE_HISTORY, horizon)
    split = split_time(len(panel.times), shares)
    course = Course.of(panel, channel, split, horizon)
    residuals = baseline_residuals(course, _BASELINE_HISTORY, horizon)
    errors = evaluate(course, course.windows(split.test, _BASELINE_HISTORY, horizon), horizon, residuals, None)
    untrained = f"No trained model; to train one: mm4st train --dataset {panel.name} --channel {channel.name}."
    return _report(course, errors, (untrained,))


def _trained(panel: Panel, channel: Channel, forecaster: TrainedForecaster) -> BacktestReport:
    checkpoint = forecaster.checkpoint
    forecaster.check(panel, channel)
    course, errors = score(checkpoint, panel, parts(checkpoint, panel))
    other = f"The model was trained on another version of {panel.name!r}."
    return _report(course, errors, (other,) if checkpoint.card.data_sha256 != panel.card.sha256 else ())


def _report(course: Course, errors: TestErrors, notes: tuple[str, ...]) -> BacktestReport:
    unmeasured = ~np.isfinite(course.observed[course.split.test])
    masked = (
        f"{100 * float(unmeasured.mean()):.1f} % of the test part's cells are missing or imputed and count nowhere."
    )
    return BacktestReport(
        dataset=course.panel.name,
        channel=course.channel,
        step_s=course.panel.step_s,
        train=course.period(course.split.train),
        validation=course.period(course.split.validation),
        test=course.period(course.split.test),
        errors=errors,
        notes=(*notes, *errors.notes, masked),
    )


def print_table(report: BacktestReport) -> None:
    """Print the errors for people, on stdout."""
    from rich.console import Console

    console = Console()
    errors, channel = report.errors, report.channel
    console.print(
        f"{report.dataset}: {channel.label} in {channel.unit}, tested on "
        f"{report.test.start:%Y-%m-%d %H:%M} .. {report.test.end:%Y-%m-%d %H:%M}",
        highlight=False,
    )
    table = _table("model", "ahead", "MAE", "RMSE", "MAPE %", "MASE", "in 80 %", "width")
    for horizon in dict.fromkeys(row.horizon for row in errors.rows):
        rows = [row for row in errors.rows if row.horizon == horizon]
        best = min((row.mae for row in rows if row.mae is not None), default=None)
        for row in rows:
            table.add_row(*_cells(row, report.step_s), style="bold" if row.mae == best is not None else None)
        table.add_section()
    console.print(table)
    longest = max(row.steps for row in errors.total)
    word = "sum" if channel.aggregation == "sum" else "mean"
    span = duration(longest * report.step_s)
    console.print(f"The {word} over {span} in {errors.total[0].unit}:", highlight=False)
    totals = _table("model", "MAE", "in 80 %", "width")
    for total in (row for row in errors.total if row.steps == longest):
        totals.add_row(total.model, *map(_number, (total.mae, total.coverage80, total.width80)))
    console.print(totals)
    console.print(
        f"{errors.windows} windows, {errors.cells} cells. 'in 80 %' is the share of truths inside the 80 % interval, "
        f"'width' its mean width. MAPE leaves out truths below {errors.mape_floor:.3g} "
        f"{channel.unit}; MASE divides by the training error of repeating the reading of {errors.season_steps} "
        "steps before.",
        highlight=False,
    )
    for note in report.notes:
        console.print(f"Note: {note}", highlight=False, markup=False)


def _table(first: str, *numbers: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column(first, no_wrap=True)
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _cells(row: Row, step_s: int) -> tuple[str, ...]:
    ahead = "all" if row.horizon == "all" else f"{row.horizon * step_s / 60:g} min"
    values = (row.mae, row.rmse, row.mape, row.mase, row.coverage80, row.width80)
    return (row.model, ahead, *map(_number, values))


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
