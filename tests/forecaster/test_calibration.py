from __future__ import annotations

import numpy as np
import pytest

from mm4st_agent.forecaster.calibration import PARTS, Calibration, Largest, Residuals, lowest_value, share_factor
from mm4st_agent.forecaster.config import QUANTILES

PARTS_OF_DAY = (np.arange(800)[:, None] + np.arange(6)) // 10 % PARTS
LEVELS = np.array([-1.28, -0.67, 0.0, 0.67, 1.28])


def simulated(rng: np.random.Generator, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Truths with errors that last over the horizon; quantiles whose width is off by `scale`."""
    level = rng.uniform(20, 200, (800, 6, 3)).astype(np.float32)
    size = 0.1 * level
    shared, own = rng.standard_normal((800, 1, 3)), rng.standard_normal((800, 6, 3))
    truth = level + size * (0.8 * shared + 0.6 * own)
    return truth.astype(np.float32), (level[..., None] + scale * size[..., None] * LEVELS).astype(np.float32)


def inside(truth: np.ndarray, low: np.ndarray, high: np.ndarray) -> float:
    return float(((truth >= low) & (truth <= high)).mean())


@pytest.mark.parametrize("scale", [0.3, 1.0, 3.0])
def test_intervals_reach_their_share_on_fresh_data(scale: float) -> None:
    rng = np.random.default_rng(0)
    truth, quantiles = simulated(rng, scale)
    calibration = Calibration.fit(truth, quantiles, PARTS_OF_DAY, "sum", lowest=0.0)

    fresh, raw = simulated(rng, scale)
    fan = calibration.apply(raw, PARTS_OF_DAY)
    total = calibration.total(fan, "sum")

    assert (np.diff(fan, axis=-1) >= 0).all()
    assert inside(fresh, fan[..., 0], fan[..., 4]) == pytest.approx(0.8, abs=0.02)
    assert inside(fresh, fan[..., 1], fan[..., 3]) == pytest.approx(0.5, abs=0.03)
    assert inside(fresh.sum(axis=1), total[..., 0], total[..., 2]) == pytest.approx(0.8, abs=0.04)
    assert (total[..., 2] - total[..., 0]).mean() < (fan[..., 4] - fan[..., 0]).sum(axis=1).mean()


def test_the_total_of_a_shorter_span_has_its_own_factor() -> None:
    rng = np.random.default_rng(1)
    truth, quantiles = simulated(rng, 1.0)
    calibration = Calibration.fit(truth, quantiles, PARTS_OF_DAY, "mean", lowest=None)
    fan = calibration.apply(quantiles, PARTS_OF_DAY)

    for steps in (1, 2, 6):
        low, _, high = np.moveaxis(calibration.total(fan[:, :steps], "mean"), -1, 0)
        assert inside(truth[:, :steps].mean(axis=1), low, high) == pytest.approx(0.8, abs=0.03)


def test_nothing_below_the_lowest_value() -> None:
    rng = np.random.default_rng(2)
    truth, quantiles = simulated(rng, 1.0)
    fan = Calibration.fit(truth, quantiles, PARTS_OF_DAY, "sum", lowest=0.0).apply(quantiles - 150, PARTS_OF_DAY)

    assert fan.min() == 0


def test_missing_truths_count_nowhere() -> None:
    rng = np.random.default_rng(3)
    truth, quantiles = simulated(rng, 1.0)
    holes = truth.copy()
    holes[::2] = np.nan

    odd = slice(1, None, 2)
    full = Calibration.fit(truth[odd], quantiles[odd], PARTS_OF_DAY[odd], "sum", None)
    half = Calibration.fit(holes, quantiles, PARTS_OF_DAY, "sum", None)

    assert full == half


def test_each_part_of_the_day_has_its_own_width() -> None:
    rng = np.random.default_rng(4)
    truth, quantiles = simulated(rng, 1.0)
    fresh, raw = simulated(rng, 1.0)
    for some in (quantiles, raw):  # at night the network takes itself for three times as sure
        night = (PARTS_OF_DAY == 0)[..., None, None]
        some[:] = np.where(night, some[..., 2:3] + (some - some[..., 2:3]) / 3, some)

    fan = Calibration.fit(truth, quantiles, PARTS_OF_DAY, "sum", None).apply(raw, PARTS_OF_DAY)

    for part in range(PARTS):
        there = part == PARTS_OF_DAY
        covered = inside(fresh[there], fan[there][..., 0], fan[there][..., 4])
        assert covered == pytest.approx(0.8, abs=0.04), part


def test_a_part_of_the_day_with_few_readings_takes_the_factors_of_the_whole_day() -> None:
    truth, quantiles = simulated(np.random.default_rng(5), 0.5)
    parts = np.where(np.arange(800)[:, None] < 40, 0, 2).repeat(6, axis=1)

    found = Calibration.fit(truth, quantiles, parts, "sum", None)

    assert [len(own) for own in found.parts] == [0, 0, 6, 0]
    fan, whole = found.apply(quantiles, parts), found.model_copy(update={"parts": ()}).apply(quantiles, parts)
    np.testing.assert_array_equal(fan[:40], whole[:40])
    assert (fan[40:] != whole[40:]).any()


def test_residuals_are_quantiles_of_the_baselines_errors() -> None:
    truth = np.arange(-50.0, 51.0, dtype=np.float32)[:, None, None].repeat(2, axis=1)
    truth = np.concatenate([truth, np.full_like(truth, np.nan)], axis=2)  # the second node has no truth

    residuals = Residuals.fit(truth, np.zeros_like(truth), "sum")

    np.testing.assert_allclose(residuals.steps[0, 0], np.quantile(np.arange(-50, 51), QUANTILES))
    np.testing.assert_allclose(residuals.steps[:, 1], residuals.steps[:, 0])
    np.testing.assert_allclose(residuals.totals[1, 0], [-80, 80])
    assert residuals.fan(np.full((2, 2), 10.0, np.float32), lowest=0.0).min() == 0
    low, point, high = residuals.total(np.full((2, 2), 50.0, np.float32), "sum", None)[0]
    assert (low, point, high) == (20, 100, 180)


def test_the_lowest_value_is_zero_only_for_what_is_never_negative() -> None:
    assert lowest_value(np.array([[0.0, np.nan, 3.0]])) == 0.0
    assert lowest_value(np.array([[-0.1, 3.0]])) is None


@pytest.mark.parametrize("beyond", [0.1, 0.25])
@pytest.mark.parametrize("count", [1, 3, 7, 10, 39, 400, 5003])
def test_the_largest_scores_give_the_factor_of_all(count: int, beyond: float) -> None:
    rng = np.random.default_rng(count)
    known = rng.standard_normal(count).astype(np.float32)
    given = np.concatenate([known, np.full(count // 3 + 1, np.nan, dtype=np.float32)])
    rng.shuffle(given)
    largest = Largest(beyond, given.size)

    for some in np.array_split(given, 6):
        largest.add(some)

    assert largest.count == count
    assert largest.factor() == pytest.approx(share_factor(known, beyond), rel=1e-6)


def test_without_scores_an_interval_stays_as_it_is() -> None:
    none = Largest(0.1, 0)
    none.add(np.array([np.nan], dtype=np.float32))

    assert none.factor() == share_factor(np.empty(0, dtype=np.float32), 0.1) == 1
