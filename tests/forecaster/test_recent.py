"""Intervals that follow the last two days."""

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from mm4st_agent.forecaster.calibration import Array, Calibration
from mm4st_agent.forecaster.metrics import coverage
from mm4st_agent.forecaster.recent import Intervals, RecentWidths, in_turn
from mm4st_agent.forecaster.slots import extended, slots_of

HORIZON, NODES, DAY = 3, 8, 96
NORMAL = np.array([-1.2816, -0.6745, 0.0, 0.6745, 1.2816], dtype=np.float32)
KEPT = Calibration(steps=((1.0,) * 4,) * HORIZON, totals=((1.0, 1.0),) * HORIZON, lowest=None)


def intervals(observed: Array, level: float = 100.0) -> Intervals:
    """A network that says: normal around the level with a deviation of 1, steps of 15 minutes."""
    times = extended(pd.date_range("2025-03-03", periods=len(observed), freq="15min", tz="UTC"), HORIZON)
    fan = (level + NORMAL)[None, None, None].repeat(HORIZON, 1).repeat(NODES, 2)

    def raw(origins: NDArray[np.intp]) -> Array:
        return fan.repeat(len(origins), 0)

    return Intervals(in_turn(raw, HORIZON, NODES), KEPT, observed, slots_of(times, 900), 12, HORIZON)


def noise(steps: int, deviation: float = 1.0) -> Array:
    return (100 + deviation * np.random.default_rng(5).standard_normal((steps, NODES))).astype(np.float32)


def covered(fan: Array, observed: Array, origins: NDArray[np.intp]) -> float:
    truth = observed[origins[:, None] + np.arange(HORIZON)]
    found = coverage(truth, fan[..., 0], fan[..., 4])
    assert found is not None
    return found


def test_intervals_that_hold_are_kept_nearly_as_they_are() -> None:
    observed = noise(6 * DAY)
    found = intervals(observed).recent(np.arange(3 * DAY, 6 * DAY))

    np.testing.assert_allclose(found.factors, 1, atol=0.2)


def test_they_widen_after_the_noise_has_doubled_and_cover_again() -> None:
    observed = np.concatenate([noise(4 * DAY), noise(4 * DAY, deviation=2.0)])
    follows, later = intervals(observed), np.arange(6 * DAY + 8, 8 * DAY - HORIZON + 1)

    assert covered(follows.calibrated(later), observed, later) < 55
    assert covered(follows(later), observed, later) == pytest.approx(80, abs=3)


def test_sides_and_inner_quantiles_have_their_own_factors() -> None:
    rng = np.random.default_rng(2)
    skewed = (100 + rng.exponential(1.0, (5 * DAY, NODES)) - np.log(2)).astype(np.float32)  # median 100
    factors = intervals(skewed).recent(np.array([5 * DAY - 1])).at(np.array([5 * DAY - 1]))[0]

    expected = [-np.log(q) - np.log(2) for q in (0.9, 0.75, 0.25, 0.1)]
    np.testing.assert_allclose(factors, np.array(expected) / NORMAL[[0, 1, 3, 4]], rtol=0.15)


def test_moments_far_apart_get_the_factors_that_they_get_among_others() -> None:
    observed, few = noise(6 * DAY), np.array([3 * DAY + 2, 4 * DAY, 6 * DAY - 1])
    every = intervals(observed).recent(np.arange(3 * DAY, 6 * DAY))

    found = intervals(observed).recent(few)

    assert found.moments.tolist() == [3 * DAY, 4 * DAY, 6 * DAY - 4]  # the full hours before them
    np.testing.assert_array_equal(found.at(few), every.at(few))
    for origin in few:  # one alone holds no more scores than it needs
        alone = intervals(observed).recent(np.array([origin])).at(np.array([origin]))
        np.testing.assert_allclose(alone, every.at(np.array([origin])), rtol=1e-6)


def test_nothing_that_was_unknown_at_the_moment_counts() -> None:
    observed, origin = noise(5 * DAY), np.array([4 * DAY + 30])
    later = observed.copy()
    later[origin[0] :] = 900
    earlier = observed.copy()
    earlier[origin[0] - 4] = 900

    before = intervals(observed)(origin)

    np.testing.assert_array_equal(intervals(later)(origin), before)
    assert not np.array_equal(intervals(earlier)(origin), before)


def test_many_moments_at_once_are_each_as_alone() -> None:
    observed = noise(5 * DAY, deviation=1.5)
    origins = np.array([3 * DAY, 3 * DAY + 1, 3 * DAY + 5, 5 * DAY - 4])
    follows = intervals(observed)

    together = follows(origins)

    for at, origin in enumerate(origins):
        np.testing.assert_array_equal(together[at], follows(np.array([origin]))[0])


def test_with_little_behind_the_moment_intervals_stay_as_calibrated() -> None:
    observed = noise(3 * DAY, deviation=3.0)
    early = np.array([12 + 11 * 4])
    thin = observed.copy()
    thin[:, 1:] = np.nan
    thin[::2] = np.nan

    for follows, origins in ((intervals(observed), early), (intervals(thin), np.array([3 * DAY - 4]))):
        np.testing.assert_array_equal(follows(origins), follows.calibrated(origins))


def test_no_quantile_crosses_another_or_falls_below_the_lowest() -> None:
    observed = np.abs(noise(5 * DAY, deviation=4.0) - 100).astype(np.float32)
    follows = intervals(observed, level=1.0)
    bounded = Intervals(**{**vars(follows), "calibration": KEPT.model_copy(update={"lowest": 0.0})})
    fan = bounded(np.arange(4 * DAY, 5 * DAY))

    assert (np.diff(fan, axis=-1) >= 0).all()
    assert fan.min() >= 0


def test_before_the_first_moment_nothing_is_changed() -> None:
    found = RecentWidths(np.array([40, 44]), np.array([[2.0] * 4, [3.0] * 4], dtype=np.float32))

    assert found.at(np.array([39, 40, 43, 44, 99]))[:, 0].tolist() == [1, 2, 2, 3, 3]
