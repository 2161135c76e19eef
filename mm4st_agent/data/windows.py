"""Splitting time, cutting windows inside one part, and a scaler that only ever saw training data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from mm4st_agent.errors import DataError, UsageError


@dataclass(frozen=True)
class Split:
    """Three consecutive parts of the time positions `0 .. T - 1`, oldest first."""

    train: slice
    validation: slice
    test: slice


def split_time(steps: int, shares: tuple[float, float, float] = (0.7, 0.1, 0.2)) -> Split:
    """Split time before any window is cut, so that no window crosses a border.

    Args:
        steps: Length of the time axis, T.
        shares: Of train, validation and test; positive, together 1.

    Returns:
        The parts; together they cover every position once.

    Raises:
        UsageError: the shares are not positive or do not sum to 1.
        DataError: a part would be empty.

    >>> split_time(100)
    Split(train=slice(0, 70, None), validation=slice(70, 80, None), test=slice(80, 100, None))
    """
    if min(shares) <= 0 or abs(sum(shares) - 1) > 1e-9:
        raise UsageError(f"The shares {shares} are not three positive numbers that sum to 1.", "Try (0.7, 0.1, 0.2).")
    first = round(steps * shares[0])
    second = round(steps * (shares[0] + shares[1]))
    if not 0 < first < second < steps:
        raise DataError(f"{steps} time steps are too few to split into parts of {shares}.")
    return Split(slice(0, first), slice(first, second), slice(second, steps))


def few_shot(split: Split, shots: float, end: Literal["first", "last"] = "last") -> Split:
    """Keep one piece of the training part, and at most as many steps of the validation part.

    Args:
        split: Of all the data.
        shots: Share of the training part, above 0 and at most 1.
        end: Whether the piece is taken from the beginning of the training part, or from its end, which is nearest
            to what is forecast.

    Raises:
        UsageError: `shots` is out of range.

    >>> few_shot(split_time(1000), 0.05)
    Split(train=slice(665, 700, None), validation=slice(700, 735, None), test=slice(800, 1000, None))
    """
    if not 0 < shots <= 1:
        raise UsageError(f"shots={shots} is not a share of the training data.", "Give 0.05, 0.1, or 1 for all.")
    train, validation = split.train, split.validation
    steps = round((train.stop - train.start) * shots)
    kept = slice(train.start, train.start + steps) if end == "first" else slice(train.stop - steps, train.stop)
    tuned = slice(validation.start, min(validation.stop, validation.start + steps))
    return split if shots == 1 else Split(kept, tuned, split.test)


def window_starts(part: slice, history: int, horizon: int) -> NDArray[np.intp]:
    """Where windows of `history + horizon` steps may start so that they lie wholly inside `part`.

    Args:
        part: One part of a `Split`.
        history: Steps that a model sees, at least 1.
        horizon: Steps that it forecasts, at least 1.

    Returns:
        `(W,)` positions of each window's first history step, increasing.

    Raises:
        UsageError: `history` or `horizon` is below 1.
        DataError: no window fits.

    >>> window_starts(slice(70, 80), history=6, horizon=3)
    array([70, 71])
    """
    if history < 1 or horizon < 1:
        raise UsageError(f"history={history} and horizon={horizon} must both be at least 1 step.")
    starts = np.arange(part.start, part.stop - history - horizon + 1, dtype=np.intp)
    if len(starts) == 0:
        raise DataError(
            f"A window of {history} + {horizon} steps does not fit into {part.stop - part.start} time steps.",
            "Use a shorter history or horizon, or longer data.",
        )
    return starts


@dataclass(frozen=True)
class Scaler:
    """Standardises by one mean and one standard deviation, in the channel's unit."""

    mean: float
    std: float

    @classmethod
    def fit(cls, values: NDArray[np.floating]) -> Self:
        """Fit on the training split.

        Args:
            values: `(T, N)` readings of the training split only; NaN (missing, imputed) is ignored.

        Raises:
            DataError: no value is finite, or all are equal.
        """
        seen = np.asarray(values, dtype=np.float64)
        seen = seen[np.isfinite(seen)]
        if len(seen) == 0:
            raise DataError("The training split holds no reading.", "Use another channel or longer data.")
        std = float(seen.std())
        if seen.min() == seen.max():
            raise DataError(f"Every reading of the training split is {seen[0]:g}, so there is nothing to learn.")
        return cls(float(seen.mean()), std)

    def transform(self, values: NDArray[np.floating]) -> NDArray[np.float32]:
        """Dimensionless copy of `values` of any shape; NaN stays NaN."""
        return np.asarray((values - self.mean) / self.std, dtype=np.float32)

    def inverse(self, scaled: NDArray[np.floating]) -> NDArray[np.float32]:
        """Back in the channel's unit."""
        return np.asarray(scaled * self.std + self.mean, dtype=np.float32)
