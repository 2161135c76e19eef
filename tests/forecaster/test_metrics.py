from __future__ import annotations

import math

import numpy as np
import pytest

from mm4st_agent.forecaster import metrics

TRUTH = np.array([[10.0, np.nan], [20.0, 4.0], [0.0, 8.0]])
FORECAST = np.array([[12.0, 99.0], [17.0, 5.0], [1.0, 6.0]])


def test_errors_by_hand() -> None:
    assert metrics.mae(TRUTH, FORECAST) == pytest.approx((2 + 3 + 1 + 1 + 2) / 5)
    assert metrics.rmse(TRUTH, FORECAST) == pytest.approx(math.sqrt((4 + 9 + 1 + 1 + 4) / 5))


def test_mape_leaves_out_zeros_and_truths_below_the_floor() -> None:
    assert metrics.mape(TRUTH, FORECAST, floor=0.0) == pytest.approx(100 * (2 / 10 + 3 / 20 + 1 / 4 + 2 / 8) / 4)
    assert metrics.mape(TRUTH, FORECAST, floor=5.0) == pytest.approx(100 * (2 / 10 + 3 / 20 + 2 / 8) / 3)


def test_mape_floor_is_a_twentieth_of_the_mean_size() -> None:
    assert metrics.mape_floor(np.array([-10.0, 30.0, np.nan])) == pytest.approx(1.0)


def test_mase_divides_each_node_by_its_own_seasonal_error() -> None:
    train = np.array([[1.0, 5.0], [2.0, 5.0], [4.0, 5.0], [7.0, 5.0]])

    scale = metrics.naive_scale(train, season=2)

    assert scale[0] == pytest.approx((3 + 5) / 2)
    assert np.isnan(scale[1])  # a constant node has no scale and counts nowhere
    assert metrics.mase(TRUTH, FORECAST, scale) == pytest.approx((2 + 3 + 1) / 3 / 4)


@pytest.mark.parametrize(
    ("days", "step_s", "season"), [(13, 300, 288), (14, 300, 2016), (3, 3600, 24), (90, 86_400, 7), (9, 86_400, 1)]
)
def test_season_is_a_week_from_two_weeks_on(days: int, step_s: int, season: int) -> None:
    assert metrics.season_steps(days * 86_400 // step_s, step_s) == season


def test_coverage_and_width_count_measured_cells_only() -> None:
    low, high = np.array([0.0, 0.0, 0.0, 0.0]), np.array([10.0, 2.0, 10.0, 4.0])
    truth = np.array([10.0, 3.0, np.nan, 1.0])

    assert metrics.coverage(truth, low, high) == pytest.approx(200 / 3)
    assert metrics.width(truth, low, high) == pytest.approx((10 + 2 + 4) / 3)


def test_what_is_undefined_is_none() -> None:
    nothing = np.full((2, 1), np.nan)

    scores = metrics.score(nothing, np.zeros((2, 1, 5)), floor=0.0, scale=np.array([1.0]))

    assert scores == metrics.Scores(0, None, None, None, None, None, None)
    assert metrics.mape(np.array([0.0]), np.array([1.0]), floor=0.0) is None
    assert metrics.mase(TRUTH, FORECAST, np.array([np.nan, np.nan])) is None
