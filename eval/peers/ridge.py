"""Ridge regression of each node on its own history and the calendar."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mm4st_agent.data.windows import Scaler
from mm4st_agent.forecaster.baselines import truth_at
from mm4st_agent.forecaster.evaluation import Course
from mm4st_agent.forecaster.inputs import HARMONICS
from mm4st_agent.forecaster.slots import DAY_TYPES, Slots

ALPHAS = (0.1, 1.0, 10.0, 100.0, 1000.0)
"""Penalties; the one with the lowest validation MAE is taken."""
_SATURDAY = 5

Array = NDArray[np.float32]


@dataclass(frozen=True)
class RidgeFit:
    """What was fitted.

    Attributes:
        predict: Origins `(W,)` to `(W, H, N)` in the channel's unit.
        alpha: The penalty.
        parameters: Coefficients and intercepts of all nodes.
    """

    predict: Callable[[NDArray[np.intp]], Array]
    alpha: float
    parameters: int


def fit_ridge(
    course: Course, history: int, horizon: int, train: NDArray[np.intp], validation: NDArray[np.intp]
) -> RidgeFit:
    """Fit one regression a node, from its `history` steps and the calendar to its `horizon` steps.

    The calendar is the time of day as sines and cosines, once for work days and once for weekends, and the day type.
    A missing reading enters as the training mean, as it does for the networks.
    """
    scaler = Scaler.fit(course.train)
    scaled = scaler.transform(course.observed)
    filled, calendar = np.nan_to_num(scaled), _calendar(course.history.slots)
    truth = truth_at(scaled, train, horizon)
    checked = truth_at(scaled, validation, horizon)
    best, weights, alpha = np.inf, np.zeros(0), ALPHAS[0]
    for penalty in ALPHAS:
        found = _weights(_features(filled, calendar, train, history), truth, penalty)
        mae = float(np.nanmean(np.abs(_applied(found, filled, calendar, validation, history) - checked)))
        if mae < best:
            best, weights, alpha = mae, found, penalty

    def predict(origins: NDArray[np.intp]) -> Array:
        return scaler.inverse(_applied(weights, filled, calendar, origins, history))

    return RidgeFit(predict, alpha, weights.size)


def _weights(features: Array, truth: Array, alpha: float) -> NDArray[np.float64]:
    """`(N, F + 1, H)` coefficients, the intercept last; 0 for a node without a whole window."""
    from sklearn.linear_model import Ridge

    nodes, columns, horizon = features.shape[1], features.shape[2], truth.shape[1]
    out = np.zeros((nodes, columns + 1, horizon))
    for node in range(nodes):
        rows = np.isfinite(truth[:, :, node]).all(axis=1)
        if rows.any():
            model = Ridge(alpha=alpha).fit(features[rows, node], truth[rows, :, node])
            out[node] = np.vstack([model.coef_.T, model.intercept_])
    return out


def _applied(
    weights: NDArray[np.float64], filled: Array, calendar: Array, origins: NDArray[np.intp], history: int
) -> NDArray[np.float64]:
    features = _features(filled, calendar, origins, history)
    forecast: NDArray[np.float64] = np.einsum("wnf,nfh->whn", features, weights[:, :-1], optimize=True)
    return forecast + weights[:, -1].T


def _features(filled: Array, calendar: Array, origins: NDArray[np.intp], history: int) -> Array:
    """`(W, N, F)`."""
    past = filled[np.asarray(origins)[:, None] + np.arange(-history, 0)].transpose(0, 2, 1)
    moment = np.broadcast_to(calendar[origins][:, None], (*past.shape[:2], calendar.shape[1]))
    return np.concatenate([past, moment], axis=-1)


def _calendar(slots: Slots) -> Array:
    """`(T', 4 * HARMONICS + DAY_TYPES)`."""
    angle = 2 * np.pi * np.outer(slots.of_day / slots.per_day, np.arange(1, HARMONICS + 1))
    wave = np.concatenate([np.sin(angle), np.cos(angle)], axis=1)
    off = (slots.day_type >= _SATURDAY)[:, None]
    kind = slots.day_type[:, None] == np.arange(DAY_TYPES)
    return np.concatenate([wave * ~off, wave * off, kind], axis=1).astype(np.float32)
