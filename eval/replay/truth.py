"""What was measured later than a forecast was made: the only place that reads beyond an answer's clock.

It is called with forecasts that stand in a ledger already, after the answer is finished.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from mm4st_agent.agent.ledger import Evidence
from mm4st_agent.data.panel import Panel
from mm4st_agent.forecaster.calibration import aggregate

FORECAST = "forecast"
"""The tool whose entries are scored."""


class Total(BaseModel):
    """The sum or mean over the span; `truth` is None unless every step was measured."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    unit: str
    low: float | None
    median: float | None
    high: float | None
    baseline: float | None
    truth: float | None


class ForecastScore(BaseModel):
    """One forecast of a ledger against what came.

    Attributes:
        truths: Steps of the forecast that were measured later.
        error: Sum of absolute errors over them, in `unit`; of the baseline on the same steps.
        inside: How many of the truths lay in the 80 % interval.
        baseline_name: In words.
        in_sample: The clock lies before the end of what the model was trained and tuned on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    evidence: str
    node: str
    channel: str
    unit: str
    covers_from: str
    covers_until: str
    steps: int
    truths: int
    error: float
    baseline_error: float
    inside: int
    baseline_name: str
    in_sample: bool
    total: Total

    @property
    def mae(self) -> float | None:
        return self.error / self.truths if self.truths else None

    @property
    def baseline_mae(self) -> float | None:
        return self.baseline_error / self.truths if self.truths else None


@dataclass(frozen=True)
class Truth:
    """Later readings of one data set.

    Attributes:
        panel: Whole, not cut at any clock.
    """

    panel: Panel

    def score(self, entries: Sequence[Evidence]) -> list[ForecastScore]:
        """The forecasts among the entries, each against what was measured; imputed cells are no truth."""
        return [self._score(entry) for entry in entries if entry.tool == FORECAST and entry.error is None]

    @cached_property
    def _series(self) -> dict[tuple[str, str], pd.Series]:
        return {}

    def measured(self, node: str, channel: str, times: pd.DatetimeIndex) -> NDArray[np.float64]:
        """`(H,)` readings at these stamps, in the channel's unit; NaN where nothing was measured."""
        key = (node, channel)
        if key not in self._series:
            readings = self.panel.only([node]).observed(channel)[:, 0].astype(np.float64)
            self._series[key] = pd.Series(readings, index=self.panel.times)
        return np.asarray(self._series[key].reindex(times).to_numpy(), dtype=np.float64)

    def _score(self, entry: Evidence) -> ForecastScore:
        said: dict[str, Any] = {path: value.value for path, value in entry.values.items()}
        node = str(said["node"])
        channel = self.panel.channel(str(entry.words["channel"]))
        stamps = [said[f"steps[{n}].time"] for n in range(_steps(said))]
        times = pd.DatetimeIndex(pd.to_datetime(stamps, utc=True)).tz_convert(self.panel.zone)
        truth = self.measured(node, channel.name, times)
        low, median, high, baseline = (
            np.array([said.get(f"steps[{n}].{name}", np.nan) for n in range(len(times))], dtype=np.float64)
            for name in ("low", "median", "high", "baseline")
        )
        known = np.isfinite(truth) & np.isfinite(median) & np.isfinite(baseline)
        inside = known & (low <= truth) & (truth <= high)
        total = float(aggregate(truth.astype(np.float32), channel.aggregation, axis=0))
        return ForecastScore(
            evidence=entry.id,
            node=node,
            channel=channel.name,
            unit=channel.unit,
            covers_from=said["covers_from"],
            covers_until=said["covers_until"],
            steps=len(times),
            truths=int(known.sum()),
            error=float(np.abs(truth - median)[known].sum()),
            baseline_error=float(np.abs(truth - baseline)[known].sum()),
            inside=int(inside.sum()),
            baseline_name=str(entry.words["baseline_name"]),
            in_sample=bool(entry.words["in_sample"]),
            total=Total(
                unit=entry.values["total.median"].unit if "total.median" in entry.values else channel.unit,
                low=said.get("total.low"),
                median=said.get("total.median"),
                high=said.get("total.high"),
                baseline=said.get("total.baseline"),
                truth=float(f"{total:.6g}") if np.isfinite(total) else None,
            ),
        )


def _steps(said: dict[str, Any]) -> int:
    return sum(path.startswith("steps[") and path.endswith("].time") for path in said)
