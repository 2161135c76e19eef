"""One run of the side-by-side comparison: a model trained and tested as all others are."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.bench.records import ALL, Figures, Record, Shots, Subset
from eval.bench.report import report_of
from eval.bench.windows_of_events import EventWindows, event_windows
from eval.peers.outcome import Report, Stopped
from mm4st_agent.data.panel import Panel
from mm4st_agent.data.windows import few_shot, split_time, window_starts
from mm4st_agent.errors import DataError
from mm4st_agent.forecaster import metrics
from mm4st_agent.forecaster.baselines import truth_at
from mm4st_agent.forecaster.calibration import lowest_value
from mm4st_agent.forecaster.config import HIGH, LOW, MEDIAN, usual_steps
from mm4st_agent.forecaster.evaluation import Course, Windows, check_length
from mm4st_agent.forecaster.measured import measuring

Array = NDArray[np.float32]
Predict = Callable[[NDArray[np.intp]], Array]
"""Origins `(W,)` to forecasts `(W, H, N)` or quantiles `(W, H, N, 5)` in the channel's unit."""

SHARES = (0.7, 0.1, 0.2)
_TIMED = 50
"""Single windows that are timed, after `_WARM` that are not."""
_WARM = 5
_AT_ONCE = 256


@dataclass(frozen=True)
class Fitted:
    """A trained model.

    Attributes:
        validation_mae: The lowest, in the channel's unit.
        timed: False where the time of a forecast says nothing about the model, as for a baseline.
    """

    predict: Predict
    parameters: int | None = None
    epochs: float | None = None
    stopped: Stopped | None = None
    validation_mae: float | None = None
    timed: bool = True


@dataclass(frozen=True)
class Task:
    """What every model of one comparison gets.

    Attributes:
        panel: The whole data set.
        course: The nodes that measure the channel, with the parts; few-shot parts with `shots`.
        history: Steps that a window has before its origin.
        horizon: Steps ahead.
        backbone: Folder of a pretrained vision-language model, for the models that adapt one.
        most: Test windows, evenly spaced; None takes as many as are affordable.
    """

    panel: Panel
    course: Course
    history: int
    horizon: int
    shots: Shots | None
    backbone: str | None = None
    most: int | None = None

    @classmethod
    def of(
        cls,
        panel: Panel,
        channel: str | None,
        shots: Shots | None = None,
        backbone: str | None = None,
        most: int | None = None,
    ) -> Task:
        """Split in time 70/10/20; 12 steps to 12, or 24 to 24 where a step is an hour or longer.

        Raises:
            UsageError: there is no such channel.
            DataError: the data are too short.
        """
        chosen = panel.channel(channel)
        part = measuring(panel, chosen)
        steps = usual_steps(panel.step_s)
        check_length(part, SHARES, steps, steps)
        split = split_time(len(part.times), SHARES)
        if shots is not None:
            split = few_shot(split, shots.share, shots.which)
        return cls(panel, Course.of(part, chosen, split, steps), steps, steps, shots, backbone, most)

    @cached_property
    def train(self) -> NDArray[np.intp]:
        """Origins of the training windows."""
        return self._origins(self.course.split.train)

    @cached_property
    def validation(self) -> NDArray[np.intp]:
        """Origins of the validation windows."""
        return self._origins(self.course.split.validation)

    @cached_property
    def test(self) -> Windows:
        """The test windows, as the backtest takes them."""
        return self.course.windows(self.course.split.test, self.history, self.horizon, self.most)

    @cached_property
    def events(self) -> list[EventWindows]:
        """The event windows of the test part."""
        return event_windows(self.panel, self.course.panel.node_ids, self.test.origins, self.horizon)

    def _origins(self, part: slice) -> NDArray[np.intp]:
        return window_starts(part, self.history, self.horizon) + self.history


def run(
    task: Task,
    model: str,
    config: dict[str, Any],
    fit: Callable[[Task, int, float | None, Report], Fitted],
    *,
    seed: int,
    minutes: float | None,
    report: Report,
) -> Record:
    """Train one model and test it on every measured cell of the test windows.

    Raises:
        DataError: the model has no value for a measured cell.
    """
    course, (origins, stride) = task.course, task.test
    started, busy = time.monotonic(), time.process_time()
    fitted = fit(task, seed, minutes, report)
    train_s, cpu_s = time.monotonic() - started, time.process_time() - busy
    latency = _latency_ms(fitted.predict, origins) if fitted.timed else None
    floor = metrics.mape_floor(course.train)
    machine = report_of([])
    commit = machine["commit"]
    return Record(
        dataset=task.panel.name,
        channel=course.channel.name,
        unit=course.channel.unit,
        step_s=task.panel.step_s,
        model=model,
        seed=seed,
        shots=task.shots,
        data_sha256=task.panel.card.sha256,
        history=task.history,
        horizon=task.horizon,
        config=config,
        train=course.period(course.split.train),
        validation=course.period(course.split.validation),
        test=course.period(course.split.test),
        windows=len(origins),
        stride=stride,
        mape_floor=floor,
        parameters=fitted.parameters,
        epochs=fitted.epochs,
        stopped=fitted.stopped,
        budget_minutes=minutes if fitted.stopped else None,
        validation_mae=fitted.validation_mae,
        train_s=round(train_s, 2),
        train_cpu_s=round(cpu_s, 2),
        latency_ms=latency,
        subsets=scored(task, fitted.predict),
        commit=None if commit is None else commit.removesuffix("-dirty"),
        dirty=None if commit is None else commit.endswith("-dirty"),
        created=datetime.now(UTC),
        machine=f"{machine['machine']}, {_threads()} threads for the networks",
        versions={name: version(name) for name in ("mm4st", "torch", "numpy", "scikit-learn")},
    )


def scored(task: Task, predict: Predict) -> dict[str, Subset]:
    """The errors on the test windows, all of them and by kind of event window.

    Raises:
        DataError: there is no value for a measured cell.
    """
    return _subsets(task, _forecasts(task, predict, task.test[0]), metrics.mape_floor(task.course.train))


def _forecasts(task: Task, predict: Predict, origins: NDArray[np.intp]) -> Array:
    """`(W, H, N)` or `(W, H, N, 5)`; nothing below 0 where no training reading is."""
    parts = [predict(chunk) for chunk in np.array_split(origins, max(1, len(origins) // _AT_ONCE))]
    lowest = lowest_value(task.course.train)
    forecast = np.concatenate(parts)
    return forecast if lowest is None else np.maximum(forecast, np.float32(lowest))


def _subsets(task: Task, forecast: Array, floor: float) -> dict[str, Subset]:
    origins = task.test[0]
    truth = truth_at(task.course.observed, origins, task.horizon)
    median = forecast[..., MEDIAN] if forecast.ndim == truth.ndim + 1 else forecast
    if not np.isfinite(median[np.isfinite(truth)]).all():
        raise DataError(
            "The model has no value for some measured cells, so it cannot be compared.", "Leave it out: --models."
        )
    dates = np.asarray(task.course.panel.times[origins].strftime("%Y-%m-%d"))
    kinds = {ALL: ("every measured cell of the test windows", np.ones((1, 1, 1), dtype=bool))}
    kinds |= {kind.name: (kind.description, kind.cells) for kind in task.events}
    return {
        name: _subset(description, np.where(cells, truth, np.float32(np.nan)), forecast, median, dates, floor)
        for name, (description, cells) in kinds.items()
    }


def _subset(
    description: str, truth: Array, forecast: Array, median: Array, dates: NDArray[np.str_], floor: float
) -> Subset:
    fan = forecast if forecast.ndim == truth.ndim + 1 else None

    def figures(steps: int | slice) -> Figures:
        known, point = truth[:, steps], median[:, steps]
        band = None if fan is None else fan[:, steps]
        return Figures(
            cells=int(np.isfinite(known).sum()),
            mae=metrics.mae(known, point),
            rmse=metrics.rmse(known, point),
            mape=metrics.mape(known, point, floor),
            coverage80=None if band is None else metrics.coverage(known, band[..., LOW], band[..., HIGH]),
        )

    error = np.abs(truth - median, dtype=np.float64)
    days = {}
    for date in np.unique(dates):
        own = error[dates == date]
        if cells := int(np.isfinite(own).sum()):
            days[str(date)] = (round(float(np.nansum(own)), 3), cells)
    return Subset(
        description=description,
        total=figures(slice(None)),
        steps=tuple(figures(step) for step in range(truth.shape[1])),
        days=days,
    )


def _latency_ms(predict: Predict, origins: NDArray[np.intp]) -> float:
    """Median over windows spread over the test part, all nodes, everything included but reading the data."""
    seconds = []
    chosen = origins[np.linspace(0, len(origins) - 1, _WARM + _TIMED).astype(int)]
    for origin in chosen:
        started = time.perf_counter()
        predict(np.array([origin], dtype=np.intp))
        seconds.append(time.perf_counter() - started)
    return round(1000 * statistics.median(seconds[_WARM:]), 3)


def _threads() -> int:
    import torch

    return torch.get_num_threads()
