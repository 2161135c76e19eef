"""What `detect_patterns` says, as typed numbers; None is undefined, a time is None where none were given."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from mm4st_agent.patterns.period import Period


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Trend(_Part):
    """A lasting rise or fall; 'none' for a random walk, which only looks like one, and for levels that jump.

    Attributes:
        slope_per_hour: Mean slope of the fitted curve (unit of the series an hour); of the best line for 'none'.
        p_value: Chance of so good a fit without a trend, the noise being autocorrelated.
        start, end: The fitted curve at the first and the last step.
    """

    kind: Literal["none", "linear", "exponential", "logarithmic"]
    slope_per_hour: float | None
    p_value: float | None
    start: float | None
    end: float | None


class Seasonality(_Part):
    """How the cycles join the level: added to it, or in proportion to it; None where it cannot be told.

    Attributes:
        strength: Share of the variance about the trend or the levels that the cycles explain; 0..1.
        swing: From the lowest to the highest point of all cycles together, in the unit of the series.
    """

    mode: Literal["additive", "multiplicative"] | None
    strength: float
    swing: float


class Change(_Part):
    """A step at which the level or the spread becomes another and stays.

    Attributes:
        step: First step after the change.
        before, after: Mean ('level') or standard deviation of the noise ('variance') on either side, up to the
            next change, in the unit of the series; the cycles are taken out.
    """

    kind: Literal["level", "variance"]
    step: int
    time: datetime | None
    before: float
    after: float


class Regimes(_Part):
    """A series that switches back and forth between a few states.

    Attributes:
        by: What tells the states apart.
        states: Their levels or standard deviations, lowest first.
        shares: Share of the steps in each.
        switches: How often it changes.
    """

    by: Literal["level", "variance"]
    states: tuple[float, ...]
    shares: tuple[float, ...]
    switches: int


class Anomaly(_Part):
    """A stretch that does not fit the rest.

    Attributes:
        kind: 'spike' (at most three steps), 'excursion' (longer, off the usual course), 'flip' (cycles upside down),
            'flat' (one value repeated) or 'clipped' (one value repeated, at the lowest or highest reading).
        start, end: First and last step.
        size: Deviation from the neighbours ('spike') or mean deviation from the usual course ('excursion'), the
            repeated value ('flat', 'clipped'), or the factor on the usual cycle ('flip', near -1).
    """

    kind: Literal["spike", "excursion", "flip", "flat", "clipped"]
    start: int
    end: int
    start_time: datetime | None
    end_time: datetime | None
    size: float


class Volatility(_Part):
    """How much of a step cannot be foreseen.

    Attributes:
        level: Standard deviation of the one-step innovations, in the unit of the series.
        clustered: Whether large ones come together (p below 0.001).
        p_value: Of Engle's test for that, five lags.
    """

    level: float
    clustered: bool
    p_value: float | None


class Noise(_Part):
    """Colour of what is left without cycles, trend and levels.

    Attributes:
        order: Of the autoregression or the moving average.
        coefficients: Lag 1 first.
        lag1: Autocorrelation at lag 1; for a random walk, of its steps.
    """

    kind: Literal["white", "ar", "ma", "random walk"]
    order: int
    coefficients: tuple[float, ...]
    lag1: float


class Relation(_Part):
    """How two series move together, cycles, trends and memory of each taken out first.

    Attributes:
        related: Whether they do (p below 0.01).
        lag: Steps by which `other` follows (negative: leads), where they agree best.
        lag_low, lag_high: Lags next to it that agree as well, within the error of a correlation.
        lag_hours: `lag` in hours.
        p_value: Chance of so high a correlation at any lag without a relation.
        at_zero, at_lag: Correlation of the innovations.
        plain_at_zero, plain_at_lag: Correlation of the readings as they are: common trends and cycles count too.
        granger: Which one helps to foresee the other (p below 0.01).
        p_forward, p_backward: Of the test that `other` does not depend on the past of `values`, and the reverse.
    """

    related: bool
    lag: int
    lag_low: int
    lag_high: int
    lag_hours: float
    p_value: float
    at_zero: float
    at_lag: float
    plain_at_zero: float
    plain_at_lag: float
    granger: Literal["none", "forward", "backward", "both"]
    p_forward: float | None
    p_backward: float | None


class Patterns(_Part):
    """What a series does, in numbers.

    Attributes:
        steps, known: Length, and how many steps have a reading.
        notes: How gaps were treated, and why a part is undefined.
    """

    steps: int
    known: int
    step_s: float
    trend: Trend | None
    periods: tuple[Period, ...]
    seasonality: Seasonality | None
    changes: tuple[Change, ...]
    regimes: Regimes | None
    anomalies: tuple[Anomaly, ...]
    volatility: Volatility | None
    noise: Noise | None
    relation: Relation | None
    notes: tuple[str, ...]
