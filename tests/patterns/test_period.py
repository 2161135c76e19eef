import numpy as np
import pytest

from mm4st_agent.errors import DataError, UsageError
from mm4st_agent.patterns.period import dominant_periods, fold_period

STEP_S = 300


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(11)


@pytest.mark.parametrize("steps", [12, 37.3, 288])
def test_a_cycle_is_found_to_the_hundredth_with_its_shape(rng: np.random.Generator, steps: float) -> None:
    t = np.arange(2016)
    (period,) = dominant_periods(50 + 9 * np.sin(2 * np.pi * t / steps) + 3 * rng.normal(size=t.size), STEP_S)

    assert period.steps == pytest.approx(steps, rel=0.01)
    assert period.hours == pytest.approx(period.steps / 12, rel=1e-4)
    assert period.waveform == "sine"
    assert 0.7 < period.strength < 0.9  # 40.5 of 49.5
    assert period.confidence > 0.95


def test_two_cycles_are_both_found_strongest_first(rng: np.random.Generator) -> None:
    t = np.arange(2016)
    values = 3 * np.sin(2 * np.pi * t / 288) + np.sin(2 * np.pi * t / 31) + 0.3 * rng.normal(size=t.size)

    assert [period.steps for period in dominant_periods(values, STEP_S)] == pytest.approx([288, 31], rel=0.01)


def test_a_cycle_whose_half_is_the_strongest_line_is_not_halved(rng: np.random.Generator) -> None:
    t = np.arange(2016)
    values = 3 * np.sin(4 * np.pi * t / 288) + 2 * np.sin(2 * np.pi * t / 288 + 1) + 0.5 * rng.normal(size=t.size)

    assert dominant_periods(values, STEP_S)[0].steps == pytest.approx(288, rel=0.01)


@pytest.mark.parametrize("length", [300, 1000, 2016])
def test_noise_of_any_colour_and_a_trend_have_no_cycle(rng: np.random.Generator, length: int) -> None:
    found = 0
    for _ in range(30):
        noise = rng.normal(size=length)
        for values in (noise, np.cumsum(noise), noise + 0.01 * np.arange(length)):
            found += bool(dominant_periods(values, STEP_S))
    assert found <= 1


def test_a_gap_does_not_move_the_period(rng: np.random.Generator) -> None:
    t = np.arange(2016)
    values = np.sin(2 * np.pi * t / 48) + 0.3 * rng.normal(size=t.size)
    values[500:900] = np.nan
    values[rng.random(t.size) < 0.1] = np.nan

    assert dominant_periods(values, STEP_S)[0].steps == pytest.approx(48, rel=0.01)


def test_the_fold_is_the_period_then_the_day_then_the_square(rng: np.random.Generator) -> None:
    t = np.arange(600)
    noise = rng.normal(size=t.size)
    assert fold_period(np.sin(2 * np.pi * t / 40) + 0.1 * noise, STEP_S)[::2] == (40, "period")
    assert fold_period(noise, STEP_S) == (288, 0.0, "day")
    assert fold_period(noise, 7_000) == (25, 0.0, "square")  # 7,000 s do not divide the day
    assert fold_period(noise[:200], STEP_S) == (15, 0.0, "square")  # shorter than a day


@pytest.mark.parametrize("values", [[3.0], [np.nan] * 5, np.full(100, 7.0), np.arange(5)])
def test_series_that_cannot_have_a_cycle_have_none(values: list[float]) -> None:
    assert dominant_periods(values, STEP_S) == ()
    assert fold_period(values, STEP_S).reason == "square"


def test_bad_input_is_named() -> None:
    with pytest.raises(DataError, match=r"\(2, 3\)"):
        dominant_periods(np.zeros((2, 3)), STEP_S)
    with pytest.raises(UsageError, match="step_s is 0"):
        fold_period([1, 2, 3], 0)
