"""Covariates before a window: what was measured up to its origin, and what is known ahead of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from mm4st_agent.data.panel import KNOWN_FUTURE, Panel
from mm4st_agent.forecaster.stvlm.fact_statistics import FactStatistics, Spread
from mm4st_agent.forecaster.stvlm.lines import POINTS, Line, measure

UNUSUAL = 2.0
"""Beyond so many standard deviations a covariate is told before the log."""
_MOVING = 0.5
"""A smaller change over the history, in standard deviations, is none."""
_NEAR = 0.5
"""Nearer to its mean, in standard deviations, a covariate is neither high nor low."""
_ANGLES = frozenset({"°", "deg", "degree", "degrees"})
_FLAG = "1"
"""Unit of a covariate that is 0 or 1, such as a school holiday."""


class Covariate(NamedTuple):
    """One covariate at the steps of the panel.

    Attributes:
        values: `(T',)` or `(T', N)` the latest value at each step, in its unit; NaN is missing.
        mean: `(T',)` over the nodes; of an angle, of its sine and cosine.
        ahead: Whether it is known ahead of time.
    """

    label: str
    unit: str
    values: NDArray[np.float32]
    mean: NDArray[np.float32]
    spread: Spread
    ahead: bool

    @property
    def angle(self) -> bool:
        return self.unit in _ANGLES

    @property
    def flag(self) -> bool:
        return self.unit == _FLAG


@dataclass(frozen=True)
class WeatherFacts:
    """Covariates of a panel, such as weather and school holidays.

    Attributes:
        history: Steps over which a change is told.
        horizon: Steps over which a covariate that is known ahead is told.
    """

    covariates: tuple[Covariate, ...]
    history: int
    horizon: int

    @classmethod
    def of(cls, panel: Panel, statistics: FactStatistics, times: pd.DatetimeIndex, history: int, horizon: int) -> Self:
        """Read the covariates of `panel` that the training part had, at the zone-aware `times` `(T',)`."""
        stamps = times.tz_convert("UTC").tz_localize(None)
        found = [
            _covariate(panel.covariates[name], stamps, spread)
            for name, spread in statistics.covariates.items()
            if name in panel.covariates.data_vars
        ]
        return cls(tuple(found), history, horizon)

    def lines(self, origin: int) -> list[Line]:
        """The unusual ones first."""
        unusual, plain = self.lines_at(origin)
        return unusual + plain

    def lines_at(self, origin: int) -> tuple[list[Line], list[Line]]:
        """What is unusual, and the rest; in each the furthest from its mean first."""
        said = [(self._strength(c, origin), self._text(c, origin), c.flag) for c in self.covariates]
        ranked = sorted((item for item in said if item[1]), key=lambda item: -item[0])
        lines = [
            (strength, Line(text, None, "calendar" if flag else "weather")) for strength, text, flag in ranked if text
        ]
        return (
            [line for strength, line in lines if strength >= UNUSUAL],
            [line for strength, line in lines if strength < UNUSUAL],
        )

    def _text(self, covariate: Covariate, origin: int) -> str | None:
        """None where there is nothing to say."""
        value = self._value(covariate, origin)
        if not np.isfinite(value):
            return None
        if covariate.flag:
            return covariate.label if value > 0 else None
        mean, std = covariate.spread
        strength = (value - mean) / std
        if value == 0 and abs(strength) < _NEAR:
            return None  # no rain, as usual
        if covariate.angle:
            return f"{covariate.label} {POINTS[round(value / 45) % 8]}"
        text = (
            f"{covariate.label} {measure(value, std)} {covariate.unit}{' ahead' * covariate.ahead}{_degree(strength)}"
        )
        if covariate.ahead:
            return text
        change = value - self._earlier(covariate, origin)
        if np.isfinite(change) and abs(change) >= _MOVING * std:
            text += ", rising" if change > 0 else ", falling"
        return text

    def _strength(self, covariate: Covariate, origin: int) -> float:
        """Distance from the mean in standard deviations; an angle has none, a flag that is raised is unusual."""
        value = self._value(covariate, origin)
        if not np.isfinite(value) or covariate.angle:
            return 0.0
        if covariate.flag:
            return UNUSUAL * float(value > 0)
        return abs(value - covariate.spread[0]) / covariate.spread[1]

    def _value(self, covariate: Covariate, origin: int) -> float:
        """Mean over the horizon if it is known ahead, else the latest one before the origin."""
        if covariate.ahead:
            ahead = covariate.mean[origin : origin + self._reach(covariate)]
            known = ahead[np.isfinite(ahead)]
            return float(known.mean()) if len(known) else float("nan")
        return float(covariate.mean[origin - 1]) if origin > 0 else float("nan")

    def _reach(self, covariate: Covariate) -> int:
        """Steps that are read ahead; the mean of directions is none."""
        return 1 if covariate.angle else self.horizon

    def _earlier(self, covariate: Covariate, origin: int) -> float:
        return float(covariate.mean[origin - self.history]) if origin >= self.history else float("nan")

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns of `numbers`."""
        out: list[str] = []
        for c in self.covariates:
            out += [f"{c.label} {part}" for part in (("sine", "cosine") if c.angle else ("value", "change"))]
        return tuple(out)

    def numbers(self, origin: int) -> NDArray[np.float32]:
        """`(N, F)` or `(1, F)`: standardised value and change over the history; sine and cosine of an angle."""
        columns: list[NDArray[np.floating]] = []
        for c in self.covariates:
            value = self._at_nodes(c, origin)
            if c.angle:
                columns += [np.sin(np.deg2rad(value)), np.cos(np.deg2rad(value))]
                continue
            mean, std = c.spread
            earlier = c.values[origin - self.history] if origin >= self.history else np.full_like(value, np.nan)
            columns += [(value - mean) / std, np.zeros_like(value) if c.ahead else (value - earlier) / std]
        if not columns:
            return np.zeros((1, 0), dtype=np.float32)
        table = np.stack(np.broadcast_arrays(*map(np.atleast_1d, columns)), axis=-1)
        return np.asarray(np.nan_to_num(table), dtype=np.float32)

    def _at_nodes(self, covariate: Covariate, origin: int) -> NDArray[np.floating]:
        """`()` or `(N,)` the same as `_value`."""
        if not covariate.ahead:
            return np.asarray(covariate.values[origin - 1] if origin > 0 else np.full_like(covariate.values[0], np.nan))
        ahead = covariate.values[origin : origin + self._reach(covariate)]
        seen = np.isfinite(ahead)
        total = np.where(seen, ahead, 0).sum(axis=0)
        return np.where(seen.any(axis=0), total / np.maximum(seen.sum(axis=0), 1), np.nan)


def _degree(strength: float) -> str:
    """In words that a small vocabulary shares between all covariates."""
    if abs(strength) < _NEAR:
        return ""
    return f", {'very ' if abs(strength) >= UNUSUAL else ''}{'high' if strength > 0 else 'low'}"


def _covariate(variable: xr.DataArray, stamps: pd.DatetimeIndex, spread: Spread) -> Covariate:
    """The latest value at each stamp, unless a newer one is due by then."""
    axis = variable.indexes["time"]
    tolerance = axis[1] - axis[0] if len(axis) > 1 else None
    aligned = variable.reindex(time=stamps, method="ffill", tolerance=tolerance)
    dims = ("time", "node") if "node" in variable.dims else ("time",)
    values = np.asarray(aligned.transpose(*dims).to_numpy(), dtype=np.float32)
    unit = str(variable.attrs.get("units", ""))
    label = str(variable.attrs.get("long_name") or variable.name).replace("_", " ")
    mean = values if values.ndim == 1 else _over_nodes(values, unit in _ANGLES)
    return Covariate(label, unit, values, mean, spread, bool(variable.attrs.get(KNOWN_FUTURE)))


def _over_nodes(values: NDArray[np.float32], angle: bool) -> NDArray[np.float32]:
    """`(T,)` mean over the nodes that have a value; of an angle in degrees, the direction of the mean vector."""
    seen = np.isfinite(values)
    counts = seen.sum(axis=1)
    kept = np.where(seen, values, 0)
    if angle:
        turn = np.deg2rad(kept)
        sine, cosine = np.where(seen, np.sin(turn), 0).sum(axis=1), np.where(seen, np.cos(turn), 0).sum(axis=1)
        mean = np.rad2deg(np.arctan2(sine, cosine)) % 360
    else:
        mean = kept.sum(axis=1) / np.maximum(counts, 1)
    return np.asarray(np.where(counts > 0, mean, np.nan), dtype=np.float32)
