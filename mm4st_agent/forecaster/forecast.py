"""What a forecaster gives, and what every forecaster can do. Light to import."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mm4st_agent.data.card import Channel
from mm4st_agent.data.panel import Panel
from mm4st_agent.errors import DataError, UsageError


@dataclass(frozen=True)
class AggregateForecast:
    """The sum (or mean, see the channel's `aggregation`) over all forecast steps, in `unit`.

    `low` and `high` are its own 80 % interval, not sums of the steps' ends.
    """

    median: float
    low: float
    high: float
    baseline: float
    unit: str


@dataclass(frozen=True)
class BacktestSummary:
    """How the forecaster did earlier over as many steps, in the channel's unit; None is undefined.

    Attributes:
        mae: Of what leads the forecast.
        baseline_mae: Of the best baseline, on the same cells.
        best_baseline: Its name.
        coverage80: Share of truths in the 80 % interval of single steps, in %.
        total_coverage80: The same for the total over these steps.
        where: On which data, in words.
    """

    mae: float | None
    baseline_mae: float | None
    best_baseline: str
    coverage80: float | None
    total_coverage80: float | None
    where: str


@dataclass(frozen=True)
class Forecast:
    """The coming steps of one node.

    Attributes:
        times: `(H,)` zone-aware stamps of the steps that follow the panel's end.
        quantiles: `(H, 5)` at .1 .25 .5 .75 .9, in the channel's unit.
        baseline: `(H,)` of the best baseline, in the channel's unit; NaN where it has none.
        total: Over the H steps.
        model: What the quantiles come from: the trained model, or a baseline that did better.
        in_sample: The forecast was made for a time that training or validation has seen.
        trained_until: End of the validation part; None without a trained checkpoint.
        warnings: Sentences that belong beside the numbers.
    """

    node: str
    channel: Channel
    times: pd.DatetimeIndex
    quantiles: NDArray[np.float32]
    baseline: NDArray[np.float32]
    baseline_name: str
    total: AggregateForecast
    model: str
    in_sample: bool
    trained_until: pd.Timestamp | None
    backtest: BacktestSummary
    warnings: tuple[str, ...]


class Forecaster(Protocol):
    """Anything that forecasts the nodes of a panel from what the panel holds."""

    @property
    def name(self) -> str: ...

    @property
    def max_horizon(self) -> int:
        """The most steps ahead."""
        ...

    def predict(self, panel: Panel, nodes: Sequence[str], channel: str | None, horizon: int) -> list[Forecast]:
        """Forecast the `horizon` steps that follow the last reading of `panel`.

        Args:
            panel: Cut at the moment of the forecast; nothing later is read.
            nodes: Ids.
            channel: None is the main one.
            horizon: Steps, 1 .. `max_horizon`.

        Raises:
            UsageError: unknown node or channel, a horizon out of range, too few readings.
            DataError: the forecaster does not fit the panel, or a node was never measured.
        """
        ...


def total_unit(channel: Channel) -> str:
    """Unit of the sum or mean over several steps."""
    return (channel.total_unit or channel.unit) if channel.aggregation == "sum" else channel.unit


def check_horizon(panel: Panel, horizon: int, longest: int) -> None:
    """Refuse a horizon that the forecaster does not reach."""
    if 1 <= horizon <= longest:
        return
    raise UsageError(
        f"A horizon of {horizon} steps ({duration(horizon * panel.step)}) is out of range for {panel.name!r}.",
        f"Ask for 1 to {longest} steps, at most {duration(longest * panel.step)}.",
    )


def check_readings(panel: Panel, needed: int) -> None:
    """Refuse a panel that was cut before it holds `needed` steps."""
    if len(panel.times) >= needed:
        return
    first = panel.start + (needed - 1) * panel.step
    raise UsageError(
        f"At {panel.end:%Y-%m-%dT%H:%M} {panel.name!r} has {len(panel.times)} readings; a forecast needs {needed}.",
        f"Choose a time from {first:%Y-%m-%dT%H:%M} on.",
    )


def check_measured(panel: Panel, channel: Channel, node: str, observed: NDArray[np.float32]) -> None:
    """Refuse a node without a single measured reading in `observed` `(T, N)`: any forecast would be invented."""
    measured = np.asarray(np.isfinite(observed).any(axis=0))
    position = panel.position(node)
    if measured[position]:
        return
    others = np.flatnonzero(measured)
    near = others[np.argsort(np.abs(others - position), kind="stable")[:3]]
    raise DataError(
        f"{panel.card.place_word.capitalize()} {node} of {panel.name!r} has no measured {channel.label} "
        f"up to {panel.end:%Y-%m-%d %H:%M}; what its source shows there is imputed.",
        f"Choose another one, such as {', '.join(panel.node_ids[i] for i in near)}." if len(near) else "",
    )


def duration(span: pd.Timedelta) -> str:
    """A span in words, such as '1 hour' or '25 minutes'."""
    for unit, seconds in (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1)):
        count = span.total_seconds() / seconds
        if count >= 1 and count == int(count):
            return f"{int(count)} {unit}{'' if count == 1 else 's'}"
    return f"{span.total_seconds():g} seconds"
