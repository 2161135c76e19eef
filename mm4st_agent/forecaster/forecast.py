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
from mm4st_agent.forecaster.measured import SUGGESTED, head_of, measuring

SEARCHED = 20
"""So many nodes are read to find others that were measured."""


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
    """How the forecaster did earlier over these steps ahead, in the channel's unit; None is undefined.

    Attributes:
        mae: Of what leads the forecast.
        baseline_mae: Of the best baseline, on the same cells.
        best_baseline: Its name.
        coverage80: Share of truths in the 80 % interval of single steps, in %.
        total_coverage80: The same for the total over these steps; None where they do not begin at once.
        where: On which data, in words.
        recent_mae: As `mae`, over the last two days; None where too little was measured.
    """

    mae: float | None
    baseline_mae: float | None
    best_baseline: str
    coverage80: float | None
    total_coverage80: float | None
    where: str
    recent_mae: float | None = None

    @property
    def recent_ratio(self) -> float | None:
        """How many times the error of the backtest that of the last two days is."""
        return None if self.recent_mae is None or not self.mae else self.recent_mae / self.mae


@dataclass(frozen=True)
class Forecast:
    """The coming steps of one node.

    Attributes:
        times: `(H,)` zone-aware stamps of the steps, which follow the panel's end and those that were skipped.
        quantiles: `(H, 5)` at .1 .25 .5 .75 .9, in the channel's unit.
        baseline: `(H,)` of the best baseline, in the channel's unit; NaN where it has none.
        baseline_title: What the baseline is in words, with what it fell back to, such as "the mean so far".
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
    baseline_title: str
    total: AggregateForecast
    model: str
    in_sample: bool
    trained_until: pd.Timestamp | None
    backtest: BacktestSummary
    warnings: tuple[str, ...]

    @property
    def baseline_leads(self) -> bool:
        """Whether the quantiles are those of the baseline: nothing was trained, or it did worse."""
        return self.model == self.baseline_name


class Forecaster(Protocol):
    """Anything that forecasts the nodes of a panel from what the panel holds."""

    @property
    def name(self) -> str: ...

    @property
    def max_horizon(self) -> int:
        """The most steps ahead."""
        ...

    @property
    def needed_readings(self) -> int:
        """The fewest time steps that it forecasts from."""
        ...

    def predict(
        self, panel: Panel, nodes: Sequence[str], channel: str | None, horizon: int, skip: int = 0
    ) -> list[Forecast]:
        """Forecast `horizon` of the steps that follow the last reading of `panel`.

        Args:
            panel: Cut at the moment of the forecast; nothing later is read.
            nodes: Ids.
            channel: None is the first that a node measures.
            horizon: Steps, at least 1.
            skip: Steps left out before them; together at most `max_horizon`.

        Raises:
            UsageError: unknown node or channel, a node that does not measure it, a horizon out of range, a panel
                cut too early.
            DataError: the forecaster does not fit the panel, the data are too short, or a node was never measured.
        """
        ...


def total_unit(channel: Channel) -> str:
    """Unit of the sum or mean over several steps."""
    return (channel.total_unit or channel.unit) if channel.aggregation == "sum" else channel.unit


def check_horizon(panel: Panel, horizon: int, skip: int, longest: int) -> None:
    """Refuse a span that is empty or that the forecaster does not reach."""
    reach = duration(longest * panel.step_s)
    if horizon < 1 or skip < 0:
        raise UsageError(
            f"A forecast of {horizon} steps after {skip} is not one of what lies ahead.", f"Ask for at most {reach}."
        )
    if skip + horizon > longest:
        raise UsageError(
            f"The forecast for {panel.name!r} reaches {reach} ({longest} step{'' if longest == 1 else 's'}) ahead; "
            f"{duration((skip + horizon) * panel.step_s)} is too far.",
            f"Ask for at most {reach}.",
        )


def check_readings(panel: Panel, needed: int) -> None:
    """Refuse a panel that does not hold `needed` steps, be it cut too early or too short as a whole."""
    found = len(panel.times)
    if found >= needed:
        return
    if panel.as_of is None:
        raise DataError(
            f"{panel.name!r} is too short: it has {found} time steps, and a forecast needs {needed}.",
            "Import a longer table under another name: mm4st data import PATH --name NAME.",
        )
    first = panel.start + (needed - 1) * panel.step
    raise UsageError(
        f"At {panel.end:%Y-%m-%dT%H:%M} {panel.name!r} has {found} time steps; a forecast needs {needed}.",
        f"Choose a time from {first:%Y-%m-%dT%H:%M} on.",
    )


def check_measured(panel: Panel, channel: Channel, node: str, observed: NDArray[np.float32]) -> None:
    """Refuse a node without a single measured reading in `observed` `(T,)`: any forecast would be invented."""
    if np.isfinite(observed).any():
        return
    shown = np.isfinite(panel.only([node]).values(channel.name)).any()
    said = "; what its source shows there is imputed" if shown else "; it is empty in the data"
    near = _measured_near(panel, channel, node)
    raise DataError(
        f"{head_of(panel, node)} of {panel.name!r} has no measured {channel.label} "
        f"up to {panel.end:%Y-%m-%d %H:%M}{said}.",
        f"Choose another one, such as {', '.join(near)}." if near else "",
    )


def _measured_near(panel: Panel, channel: Channel, node: str) -> list[str]:
    """Up to three nodes with a measured reading, nearest in the node order; not many are read to find them."""
    fitting = measuring(panel, channel)
    own = fitting.position(node)
    order = sorted(range(len(fitting.node_ids)), key=lambda other: abs(other - own))[1 : SEARCHED + 1]
    found: list[str] = []
    for other in (fitting.node_ids[position] for position in order):
        if np.isfinite(fitting.only([other]).observed(channel.name)).any():
            found.append(other)
        if len(found) == SUGGESTED:
            break
    return found


def duration(span_s: float) -> str:
    """A span of seconds in words, such as '1 hour' or '25 minutes'."""
    for unit, seconds in (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1)):
        count = span_s / seconds
        if count >= 1 and count == int(count):
            return f"{int(count)} {unit}{'' if count == 1 else 's'}"
    return f"{span_s:g} seconds"
