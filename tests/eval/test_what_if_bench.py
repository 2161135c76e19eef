"""The score of claimed effects: by hand, and on two days of the demo city."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eval.bench.what_if import Effects, effects
from mm4st_agent.demo_city.city import City
from mm4st_agent.demo_city.panel import demo_panel
from mm4st_agent.errors import DataError
from mm4st_agent.forecaster.prediction import TrainedForecaster, shipped_checkpoints


def test_errors_and_directions() -> None:
    found = Effects("incident", 2, np.array([10.0, -5.0, 0.0]), np.array([20.0, 5.0, -30.0]))

    assert found.error == pytest.approx((10 + 10 + 30) / 3)
    assert found.nothing_error == pytest.approx(55 / 3)
    assert found.told == 2
    assert found.agreement == 50
    assert Effects("rain", 1, np.zeros(2), np.ones(2)).agreement is None


@pytest.fixture(scope="module")
def forecaster() -> TrainedForecaster:
    return TrainedForecaster(Path(shipped_checkpoints()) / "demo-flow")


@pytest.fixture(scope="module")
def city() -> City:
    return City()


def test_claims_are_made_of_what_the_log_tells(forecaster: TrainedForecaster, city: City) -> None:
    panel = demo_panel().until("2025-10-20T20:00")

    found = effects(panel, panel.channel("flow"), forecaster, city)

    assert found
    for group in found:
        assert group.claimed.shape == group.true.shape
        assert 0 < group.told <= len(group.claimed)
        assert group.error != group.nothing_error > 0
    assert max(np.abs(group.true).max() for group in found) > 20  # vehicles in an hour


def test_a_part_without_any_effect_is_refused(forecaster: TrainedForecaster, city: City) -> None:
    panel = demo_panel().until("2025-10-19T00:30")

    with pytest.raises(DataError, match="No cause that the log of 'demo' tells of in the test part"):
        effects(panel, panel.channel("flow"), forecaster, city)
