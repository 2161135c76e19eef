"""Forecasts without training: the baseline that did best lately, with the errors it made as interval."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mm4st_agent.data.card import Channel
from mm4st_agent.data.panel import Panel
from mm4st_agent.errors import DataError
from mm4st_agent.forecaster import metrics
from mm4st_agent.forecaster.baselines import BASELINES, FUNCTIONS, SLOT_MEAN, History, title_at, truth_at
from mm4st_agent.forecaster.calibration import Residuals, lowest_value
from mm4st_agent.forecaster.forecast import (
    AggregateForecast,
    BacktestSummary,
    Forecast,
    check_horizon,
    check_measured,
    check_readings,
    total_unit,
)
from mm4st_agent.forecaster.measured import channel_at, head_of
from mm4st_agent.forecaster.slots import extended

CHECKED_SHARE = 0.2
"""Of the steps before the forecast: the last ones, on which the baselines are compared."""
CHECKS = 300
"""Forecast origins in that part, evenly spaced."""
FEW_CHECKS = 30


class BaselineForecaster:
    """For a channel that nobody trained a model for.

    The three baselines forecast from `CHECKS` moments of the last fifth of what is known; for each node
    the one with the lowest MAE leads, and the quantiles of its errors there make the interval. The slot
    means of the check come from before the checked part, those of the forecast from everything known.
    """

    name = "baseline"
    max_horizon = 12
    needed_readings = 3 * max_horizon

    def predict(
        self, panel: Panel, nodes: Sequence[str], channel: str | None, horizon: int, skip: int = 0
    ) -> list[Forecast]:
        """See `Forecaster.predict`."""
        check_horizon(panel, horizon, skip, self.max_horizon)
        check_readings(panel, self.needed_readings)
        return [_forecast(panel, channel_at(panel, node, channel), node, horizon, skip) for node in nodes]


def _forecast(panel: Panel, channel: Channel, node: str, horizon: int, skip: int) -> Forecast:
    """Forecast one node from its own readings, the only ones that are read; checked over the same steps ahead."""
    observed = panel.only([node]).observed(channel.name)
    check_measured(panel, channel, node, observed[:, 0])
    end, reach = len(observed), skip + horizon
    first = end - max(reach, int(end * CHECKED_SHARE))
    origins = np.unique(np.linspace(first, end - reach, CHECKS).astype(np.int64))
    truth, past = truth_at(observed, origins, reach)[:, skip:], _history(panel, observed, reach, first)
    checked = {name: FUNCTIONS[name](past, origins, reach)[:, skip:] for name in BASELINES}
    errors = {name: metrics.mae(truth, values) for name, values in checked.items()}
    now = _history(panel, observed, reach, end)
    ahead = {name: FUNCTIONS[name](now, np.array([end]), reach)[0, skip:] for name in BASELINES}
    usable = [name for name in BASELINES if np.isfinite(ahead[name]).all() and errors[name] is not None]
    if not usable:
        raise DataError(
            f"{head_of(panel, node)} of {panel.name!r} has too few measured readings "
            f"before {panel.end:%Y-%m-%d %H:%M} to check any forecast.",
            "Choose a later time or another place.",
        )
    best = min(usable, key=lambda name: errors[name] or 0.0)
    title = title_at(best, now, end, horizon, skip, 0)
    checked_title = title_at(best, past, first, end - first, 0, 0) if best == SLOT_MEAN else title
    residuals = Residuals.fit(truth, checked[best], channel.aggregation)
    lowest = lowest_value(observed)
    low, median, high = residuals.total(ahead[best], channel.aggregation, lowest)[0].tolist()
    checks = int((np.isfinite(truth) & np.isfinite(checked[best])).any(axis=1).sum())
    return Forecast(
        node=node,
        channel=channel,
        times=now.times[end + skip :],
        quantiles=residuals.fan(ahead[best], lowest)[:, 0],
        baseline=ahead[best][:, 0],
        baseline_name=best,
        baseline_title=title,
        total=AggregateForecast(median, low, high, median, total_unit(channel)),
        model=best,
        in_sample=False,
        trained_until=None,
        backtest=BacktestSummary(
            mae=errors[best],
            baseline_mae=errors[best],
            best_baseline=best,
            coverage80=None,
            total_coverage80=None,
            where=f"{checks} forecasts made from {now.times[first]:%Y-%m-%d} on, before this one",
        ),
        warnings=_warnings(panel, channel, title, checked_title, checks),
    )


def _history(panel: Panel, observed: NDArray[np.float32], horizon: int, known: int) -> History:
    """With slot means of the first `known` steps."""
    return History.of(
        observed,
        extended(panel.times, horizon),
        step_s=panel.step_s,
        holidays=panel.card.holidays,
        known=slice(0, known),
    )


def _warnings(panel: Panel, channel: Channel, title: str, checked_title: str, checks: int) -> tuple[str, ...]:
    said = [
        f"No trained model for {channel.label} of {panel.name!r}: this is a baseline, {title}. "
        f"To train one: mm4st train --dataset {panel.name} --channel {channel.name}."
    ]
    if checked_title != title:
        said.append(f"The interval rests on the errors of {checked_title}, for want of earlier weeks.")
    if checks < FEW_CHECKS:
        said.append(f"The interval rests on only {checks} earlier forecasts.")
    return tuple(said)
