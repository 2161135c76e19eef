"""Every model on the same test windows and cells, with imputed cells masked."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mm4st_agent.data.card import Channel
from mm4st_agent.data.panel import Panel
from mm4st_agent.data.windows import Split, split_time, window_starts
from mm4st_agent.errors import DataError
from mm4st_agent.forecaster import metrics
from mm4st_agent.forecaster.baselines import BASELINES, FUNCTIONS, History, truth_at
from mm4st_agent.forecaster.calibration import PARTS, Aggregation, Calibration, Residuals, aggregate, lowest_value
from mm4st_agent.forecaster.card import Period, Row, StepErrors, TestErrors, TotalRow
from mm4st_agent.forecaster.config import HIGH, LOW, MEDIAN
from mm4st_agent.forecaster.forecast import total_unit
from mm4st_agent.forecaster.slots import Slots, extended

Array = NDArray[np.float32]
Predict = Callable[[NDArray[np.intp]], Array]
"""Origins `(W,)` to quantiles `(W, H, N, 5)` in the channel's unit."""

_SHOWN = (3, 6, 12, 24, 48)
"""Horizon steps that get a row of their own."""
MAX_CELLS = 40_000_000
"""Larger parts are evaluated on every second, third, ... window."""


class Windows(NamedTuple):
    """What is forecast to be checked.

    Attributes:
        origins: `(W,)` first forecast steps, evenly spaced.
        stride: Steps from one to the next.
    """

    origins: NDArray[np.intp]
    stride: int


def few(origins: NDArray[np.intp], most: int, slots: Slots | None = None) -> Windows:
    """At most so many of `origins` `(W,)`, which follow each other, evenly spaced.

    With `slots` they divide the hour, or lie whole hours apart and on full hours, so that who looks back from another
    moment finds the same ones; on full hours `recent` looks back, too.
    """
    stride = -(-len(origins) // most)
    if slots is None:
        return Windows(origins[::stride], stride)
    hour = slots.per_hour
    stride = -(-stride // hour) * hour if stride > hour else next(n for n in range(stride, hour + 1) if hour % n == 0)
    first = int(np.argmax(slots.of_day[origins] % min(stride, hour) == 0))
    return Windows(origins[first::stride], stride)


@dataclass(frozen=True)
class Course:
    """One channel of a panel with its parts: what training and backtest run on.

    Attributes:
        observed: `(T, N)` measured readings; NaN is missing or imputed.
        history: The same, ready for the baselines; slot means are of the training part.
    """

    panel: Panel
    channel: Channel
    split: Split
    observed: Array
    history: History

    @classmethod
    def of(cls, panel: Panel, channel: Channel, split: Split, horizon: int) -> Course:
        """Cut `panel` at `split`; the calendar reaches `horizon` steps further."""
        observed = panel.observed(channel.name)
        times = extended(panel.times, horizon)
        history = History.of(observed, times, step_s=panel.step_s, holidays=panel.card.holidays, known=split.train)
        return cls(panel, channel, split, observed, history)

    @property
    def train(self) -> Array:
        return self.observed[self.split.train]

    def windows(
        self, part: slice, steps: int, horizon: int, most: int | None = None, *, by_clock: bool = False
    ) -> Windows:
        """Windows of `steps` + `horizon` inside `part`, as many as are affordable; see `few`."""
        if part.stop - part.start < steps + horizon:
            raise DataError(
                f"A part of {self.panel.name!r} has {max(0, part.stop - part.start)} time steps; a forecast that can "
                f"be checked needs {steps} before it and {horizon} for itself.",
                f"Train it again on the data as they are: mm4st train --dataset {self.panel.name}.",
            )
        origins = window_starts(part, steps, horizon) + steps
        affordable = max(1, MAX_CELLS // (horizon * self.observed.shape[1]))
        return few(origins, min(affordable, most or affordable), self.history.slots if by_clock else None)

    def period(self, part: slice) -> Period:
        times = self.panel.times[part]
        delay = self.panel.step if self.panel.card.time_label == "start" else pd.Timedelta(0)
        return Period(start=times[0].to_pydatetime(), end=(times[-1] + delay).to_pydatetime(), steps=len(times))


def check_length(panel: Panel, shares: tuple[float, float, float], steps: int, horizon: int) -> None:
    """Refuse data too short to be split into parts that each hold a window of `steps` + `horizon`.

    Raises:
        DataError: it says how many time steps are needed.
    """
    found, window = len(panel.times), steps + horizon
    needed = next(t for t in itertools.count(3 * window) if _shortest(t, shares) >= window)
    if found < needed:
        raise DataError(
            f"{panel.name!r} has {found} time steps; training and backtest need {needed}, so that each part holds "
            f"{steps} steps before a forecast and {horizon} of it.",
            "Import a longer table under another name: mm4st data import PATH --name NAME.",
        )


def _shortest(steps: int, shares: tuple[float, float, float]) -> int:
    try:
        split = split_time(steps, shares)
    except DataError:
        return 0
    return min(len(range(steps)[part]) for part in (split.train, split.validation, split.test))


def calibrate(course: Course, predict: Predict, steps: int, horizon: int) -> Calibration:
    """Fit the interval factors to the validation part, where `predict` gives raw quantiles."""
    origins, _ = course.windows(course.split.validation, steps, horizon)
    truth = truth_at(course.observed, origins, horizon)
    parts = course.history.slots.parts_of_day(origins, horizon, PARTS)
    return Calibration.fit(truth, predict(origins), parts, course.channel.aggregation, lowest_value(course.train))


def baseline_residuals(course: Course, steps: int, horizon: int) -> dict[str, Residuals]:
    """How each baseline erred on the validation part."""
    origins, _ = course.windows(course.split.validation, steps, horizon)
    truth = truth_at(course.observed, origins, horizon)
    return {
        name: Residuals.fit(truth, FUNCTIONS[name](course.history, origins, horizon), course.channel.aggregation)
        for name in BASELINES
    }


def evaluate(
    course: Course,
    windows: Windows,
    horizon: int,
    residuals: Mapping[str, Residuals],
    trained: tuple[str, Predict, Calibration] | None,
) -> TestErrors:
    """Score the baselines and, where there is one, the trained model.

    A cell counts only if it was measured and every model has a value for it. A model that has
    none for most cells is left out instead, with a note, so that it does not empty the table.

    Args:
        course: The data and its parts.
        windows: Of its test part.
        horizon: Steps ahead.
        residuals: Of the baselines, from the validation part.
        trained: Name, quantiles as a forecast gives them and calibration of the trained model.

    Raises:
        DataError: no window holds a measured reading.
    """
    origins, stride = windows
    aggregation, lowest = course.channel.aggregation, lowest_value(course.train)
    truth = truth_at(course.observed, origins, horizon)
    measured = np.isfinite(truth)
    if not measured.any():
        raise DataError(
            f"The test part of {course.panel.name!r} holds no measured {course.channel.label}.",
            "Use another channel or longer data.",
        )
    fans: dict[str, Array] = {}
    totals: dict[str, Callable[[int], Array]] = {}
    if trained is not None:
        name, predict, calibration = trained
        fans[name] = predict(origins)
        totals[name] = _trained_total(calibration, fans[name], aggregation)
    for name in BASELINES:
        point = FUNCTIONS[name](course.history, origins, horizon)
        fans[name] = residuals[name].fan(point, lowest)
        totals[name] = _baseline_total(residuals[name], point, aggregation, lowest)
    notes = []
    left_out = [n for n, fan in fans.items() if np.isfinite(fan[..., MEDIAN])[measured].mean() < 0.5]
    for name in left_out:
        notes.append(
            f"{name} has no value for most test cells (the data are too short for it); its errors are undefined."
        )
        fans[name] = np.full_like(fans[name], np.nan)
    for name in fans.keys() - set(left_out):
        truth = np.where(np.isfinite(fans[name][..., MEDIAN]), truth, np.float32(np.nan))
    season = metrics.season_steps(len(course.train), course.panel.step_s)
    floor, scale = metrics.mape_floor(course.train), metrics.naive_scale(course.train, season)
    shown = [h for h in _SHOWN if h <= horizon] or [horizon]
    rows, total_rows = [], []
    for name, fan in fans.items():
        for h in shown:
            rows.append(_row(name, h, metrics.score(truth[:, h - 1], fan[:, h - 1], floor=floor, scale=scale)))
        rows.append(_row(name, "all", metrics.score(truth, fan, floor=floor, scale=scale)))
        total_rows += [
            _total_row(course.channel, name, h, truth[:, :h], None if name in left_out else totals[name](h))
            for h in shown
        ]
    return TestErrors(
        rows=tuple(rows),
        total=tuple(total_rows),
        by_step={name: _by_step(course.channel, truth, fan, totals[name]) for name, fan in fans.items()},
        mape_floor=floor,
        season_steps=season,
        windows=len(origins),
        stride=stride,
        cells=int(np.isfinite(truth).sum()),
        notes=tuple(notes),
    )


def _trained_total(calibration: Calibration, fan: Array, aggregation: Aggregation) -> Callable[[int], Array]:
    return lambda h: calibration.total(fan[:, :h], aggregation)


def _baseline_total(
    residuals: Residuals, point: Array, aggregation: Aggregation, lowest: float | None
) -> Callable[[int], Array]:
    return lambda h: residuals.total(point[:, :h], aggregation, lowest)


def _row(name: str, horizon: int | Literal["all"], scores: metrics.Scores) -> Row:
    return Row(
        model=name,
        horizon=horizon,
        mae=scores.mae,
        rmse=scores.rmse,
        mape=scores.mape,
        mase=scores.mase,
        coverage80=scores.coverage80,
        width80=scores.width80,
    )


def _total_row(channel: Channel, name: str, steps: int, truth: Array, band: Array | None) -> TotalRow:
    known = aggregate(truth, channel.aggregation, axis=1)
    low, median, high = np.full((3, 1), np.nan) if band is None else np.moveaxis(band, -1, 0)
    return TotalRow(
        model=name,
        steps=steps,
        unit=total_unit(channel),
        mae=metrics.mae(known, median),
        coverage80=metrics.coverage(known, low, high) if band is not None else None,
        width80=metrics.width(known, low, high),
    )


def _by_step(channel: Channel, truth: Array, fan: Array, total: Callable[[int], Array]) -> StepErrors:
    steps = range(truth.shape[1])
    return StepErrors(
        mae=tuple(metrics.mae(truth[:, h], fan[:, h, :, MEDIAN]) for h in steps),
        coverage80=tuple(metrics.coverage(truth[:, h], fan[:, h, :, LOW], fan[:, h, :, HIGH]) for h in steps),
        total_coverage80=tuple(
            _total_row(channel, "", h + 1, truth[:, : h + 1], total(h + 1)).coverage80 for h in steps
        ),
        cells=tuple(int(np.isfinite(truth[:, h]).sum()) for h in steps),
    )
