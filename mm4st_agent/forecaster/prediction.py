"""Forecasting with a trained checkpoint, and finding the checkpoint of a channel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mm4st_agent.data.card import Channel
from mm4st_agent.data.panel import Panel
from mm4st_agent.errors import DataError
from mm4st_agent.forecaster.baselines import BASELINES, FUNCTIONS, History, title_at
from mm4st_agent.forecaster.calibration import Residuals, aggregate
from mm4st_agent.forecaster.card import CheckpointCard, TestErrors
from mm4st_agent.forecaster.checkpoint import CARD_FILE, Checkpoint, load, read_card
from mm4st_agent.forecaster.forecast import (
    AggregateForecast,
    BacktestSummary,
    Forecast,
    Forecaster,
    check_horizon,
    check_measured,
    check_readings,
    duration,
    total_unit,
)
from mm4st_agent.forecaster.measured import channel_at, head_of, measuring
from mm4st_agent.forecaster.recent import Widths
from mm4st_agent.forecaster.rolling import BaselineForecaster
from mm4st_agent.forecaster.slots import extended
from mm4st_agent.forecaster.standing import Record, Standing, Standings

__all__ = [
    "AggregateForecast",
    "BacktestSummary",
    "BaselineForecaster",
    "Forecast",
    "Forecaster",
    "TrainedForecaster",
    "find_checkpoint",
    "forecaster_for",
    "shipped_checkpoints",
]

Array = NDArray[np.float32]
DRIFT = 1.5
"""From so many times the error of the backtest on, that of the last two days is worth a warning."""


def shipped_checkpoints() -> Path:
    """The folder of the checkpoints that come with this package."""
    return Path(__file__).parent / "checkpoints"


def find_checkpoint(folders: Sequence[Path], dataset: str, channel: str) -> Path | None:
    """The checkpoint `<dataset>-<channel>` in the first folder that has it."""
    for folder in folders:
        found = folder / f"{dataset}-{channel}"
        if (found / CARD_FILE).is_file():
            return found
    return None


def forecaster_for(panel: Panel, channel: Channel, folders: Sequence[Path]) -> Forecaster:
    """The trained forecaster of a channel, or the best baseline where none was trained.

    Raises:
        DataError: the checkpoint's card is broken, or belongs to another data set.
    """
    found = find_checkpoint(folders, panel.name, channel.name)
    return BaselineForecaster() if found is None else TrainedForecaster(found)


class TrainedForecaster:
    """A trained network.

    The weights are read at the first forecast, together with their own card: a training may have replaced
    the folder since `card` was read. It stays safe to use from several threads.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.card: CheckpointCard = read_card(folder)
        self._standings = Standings()

    @property
    def name(self) -> str:
        return self.card.model

    @property
    def max_horizon(self) -> int:
        return self.card.network.horizon

    @property
    def needed_readings(self) -> int:
        return self.card.network.history

    @cached_property
    def checkpoint(self) -> Checkpoint:
        """Card, weights and what was estimated beside them.

        Raises:
            DataError: a file or tensor is missing, broken or unknown.
        """
        return load(self.folder)

    def check(self, panel: Panel, channel: Channel) -> None:
        """Refuse a panel whose channel, nodes or step are not those of the checkpoint.

        Raises:
            DataError: they differ; the message says in what.
        """
        card = self.checkpoint.card
        differs = (
            f"is for the channel {card.channel!r}, not {channel.name!r}"
            if card.channel != channel.name
            else f"has steps of {card.step_s} s, the data of {panel.step_s} s"
            if card.step_s != panel.step_s
            else f"has {len(card.node_ids)} nodes that are not the {len(panel.node_ids)} of the data, in this order"
            if list(card.node_ids) != panel.node_ids
            else f"counts in {card.unit}, the data in {channel.unit}"
            if card.unit != channel.unit
            else None
        )
        if differs is not None:
            raise DataError(
                f"The checkpoint {self.folder.name!r} {differs}.",
                f"Train it again: mm4st train --dataset {panel.name} --channel {channel.name}.",
            )

    def predict(
        self, panel: Panel, nodes: Sequence[str], channel: str | None, horizon: int, skip: int = 0
    ) -> list[Forecast]:
        """See `Forecaster.predict`.

        Where a baseline had the lower MAE over the same steps in the track record up to the panel's end, its
        values lead: the quantiles are the baseline plus the quantiles of its errors on the validation part,
        and a warning says so. The interval of the total after skipped steps uses the calibration factor, or the
        baseline's errors, of as many steps that begin at once; how often it held was not measured.
        """
        shape = self.checkpoint.card.network
        chosen = channel_at(panel, nodes[0], channel) if nodes else panel.channel(channel)
        for node in nodes[1:]:
            channel_at(panel, node, chosen.name)
        panel = measuring(panel, chosen)
        self.check(panel, chosen)
        check_horizon(panel, horizon, skip, shape.horizon)
        check_readings(panel, shape.history)
        asked = list(dict.fromkeys(nodes))
        observed, positions = panel.only(asked).observed(chosen.name), [panel.position(node) for node in asked]
        for node, readings in zip(asked, observed.T, strict=True):
            check_measured(panel, chosen, node, readings)
        history, origin = self._history(panel, observed, skip + horizon), np.array([len(observed)])
        standing = self.standing(panel)
        fan = self.checkpoint.fan(panel, standing.widths)[: skip + horizon, positions]
        ahead = _Ahead(
            history,
            fan,
            {name: FUNCTIONS[name](history, origin, skip + horizon)[0] for name in BASELINES},
            {name: residuals.only(positions) for name, residuals in self.checkpoint.residuals.items()},
            self.checkpoint.card.calibration.total(fan[skip:], chosen.aggregation),
            standing.record,
            standing.recent,
            horizon,
            skip,
        )
        return [self._forecast(panel, chosen, node, asked.index(node), ahead) for node in nodes]

    def widths(self, panel: Panel) -> Widths:
        """The correction of the intervals at the end of `panel`, which has the checkpoint's nodes and no others."""
        return self.standing(panel).widths

    def standing(self, panel: Panel) -> Standing:
        """What was known at the end of `panel`, which has the checkpoint's nodes and no others."""
        return self._standings.of(self.checkpoint, panel)

    def _history(self, panel: Panel, observed: Array, horizon: int) -> History:
        """For the baselines; slot means are of the training part, as far as it lies before the panel's end."""
        times, card = panel.times, self.checkpoint.card
        first = int(times.searchsorted(pd.Timestamp(card.train.start)))
        known = slice(first, first + card.train.steps)
        return History.of(
            observed,
            extended(times, horizon),
            step_s=panel.step_s,
            holidays=panel.card.holidays,
            known=known,
        )

    def _forecast(self, panel: Panel, channel: Channel, node: str, position: int, ahead: _Ahead) -> Forecast:
        card = self.checkpoint.card
        record, horizon, skip = ahead.record, ahead.horizon, ahead.skip
        origin = len(ahead.history.observed)
        usable = tuple(n for n in BASELINES if np.isfinite(ahead.points[n][skip:, position]).all()) or BASELINES
        baseline = usable[-1] if record is None else ahead.best(usable)
        leads = card.model if record is None else ahead.best((card.model, baseline))
        calibration, aggregation, points = card.calibration, channel.aggregation, ahead.points[baseline]
        if leads == card.model:
            quantiles = ahead.fan[skip:, position]
            band = ahead.band[position]
        else:
            residuals, own = ahead.residuals[baseline].only([position]), points[:, [position]]
            quantiles = residuals.fan(own, calibration.lowest)[skip:, 0]
            (band,) = residuals.total(own[skip:], aggregation, calibration.lowest)
        low, median, high = band.tolist()
        until = pd.Timestamp(card.validation.end).tz_convert(panel.zone)
        point = points[skip:, position]
        found = Forecast(
            node=node,
            channel=channel,
            times=ahead.history.times[origin + skip :],
            quantiles=quantiles,
            baseline=point,
            baseline_name=baseline,
            baseline_title=title_at(baseline, ahead.history, origin, horizon, skip, position),
            total=AggregateForecast(
                median, low, high, float(aggregate(point, aggregation, axis=0)), total_unit(channel)
            ),
            model=leads,
            in_sample=panel.end < until,
            trained_until=until,
            backtest=ahead.summary(leads, baseline),
            warnings=(),
        )
        return replace(found, warnings=tuple(self._warnings(panel, found, position, ahead)))

    def _warnings(self, panel: Panel, found: Forecast, position: int, ahead: _Ahead) -> Iterator[str]:
        card, node, channel, until = self.checkpoint.card, found.node, found.channel, found.trained_until
        if ahead.record is None:
            yield "No forecast that was over by then tells how good the model is at this time."
        elif found.baseline_leads:
            ours = ahead.record[0].by_step[card.model].mae_over(ahead.horizon, ahead.skip)
            later = f", {duration(ahead.skip * panel.step_s)} ahead" if ahead.skip else ""
            yield (
                f"Over {duration(ahead.horizon * panel.step_s)}{later}, {found.baseline_title} was closer in the "
                f"backtest than {card.model} (MAE {found.backtest.mae:.3g} against {ours:.3g} {channel.unit}), so its "
                "values are given, with its own earlier errors as interval."
            )
        if (ratio := found.backtest.recent_ratio) is not None and ratio >= DRIFT:
            yield (
                f"Over the last two days the mean absolute error was {found.backtest.recent_mae:.3g} {channel.unit}, "
                f"{ratio:.1f} times that of the backtest: something has changed, so trust this forecast less."
            )
        if found.in_sample:
            yield (
                f"The model was trained and tuned on data until {until:%Y-%m-%d %H:%M}, so at "
                f"{panel.end:%Y-%m-%d %H:%M} it has an advantage that it would not have had then."
            )
        if card.data_sha256 != panel.card.sha256:
            yield (
                f"The model was trained on another version of {panel.name!r}; its backtest may not hold. "
                f"To train it again: mm4st train --dataset {panel.name} --channel {channel.name}."
            )
        history = card.network.history
        measured = int(np.isfinite(ahead.history.observed[-history:, position]).sum())
        span, place = duration(history * panel.step_s), head_of(panel, node)
        if measured == 0:
            yield f"{place} has no measured reading in the last {span}; its usual level and its neighbours stand in."
        elif 2 * measured < history:
            yield f"{place} has only {measured} measured readings of {history} in the last {span}."


@dataclass(frozen=True)
class _Ahead:
    """What the forecasts of the N nodes that are asked for share; arrays reach from the panel's end to the span's.

    Attributes:
        fan: `(skip + horizon, N, 5)` calibrated quantiles.
        points: By baseline, `(skip + horizon, N)`.
        residuals: By baseline.
        band: `(N, 3)` of the total from the fan.
        recent: Errors of the last two days.
    """

    history: History
    fan: Array
    points: Mapping[str, Array]
    residuals: Mapping[str, Residuals]
    band: Array
    record: Record
    recent: TestErrors | None
    horizon: int
    skip: int

    @cached_property
    def _chosen(self) -> dict[tuple[str, ...], str]:
        return {}

    @cached_property
    def _summaries(self) -> dict[tuple[str, str], BacktestSummary]:
        return {}

    def best(self, models: tuple[str, ...]) -> str:
        """Which of them did best over the span in the track record, which there is; most nodes ask the same."""
        assert self.record is not None
        if models not in self._chosen:
            self._chosen[models] = self.record[0].best(models, self.horizon, self.skip)
        return self._chosen[models]

    def summary(self, leads: str, baseline: str) -> BacktestSummary:
        """What the track record says of the model that leads."""
        if (leads, baseline) not in self._summaries:
            self._summaries[leads, baseline] = _summary(self, leads, baseline)
        return self._summaries[leads, baseline]


def _summary(ahead: _Ahead, leads: str, baseline: str) -> BacktestSummary:
    if ahead.record is None:
        return BacktestSummary(None, None, baseline, None, None, "no earlier forecasts")
    (record, where), horizon, skip = ahead.record, ahead.horizon, ahead.skip
    errors = record.by_step[leads]
    return BacktestSummary(
        mae=errors.mae_over(horizon, skip),
        baseline_mae=record.by_step[baseline].mae_over(horizon, skip),
        best_baseline=baseline,
        coverage80=errors.coverage80_over(horizon, skip),
        total_coverage80=None if skip else errors.total_coverage80[horizon - 1],
        where=where,
        recent_mae=None if ahead.recent is None else ahead.recent.by_step[leads].mae_over(horizon, skip),
    )
