import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mm4st_agent.errors import DataError
from mm4st_agent.patterns.detect import detect_patterns

STEP_S = 300.0


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def test_a_trend_has_its_slope_an_hour_and_a_walk_has_none(rng: np.random.Generator) -> None:
    t = np.arange(1200)
    trend = detect_patterns(0.02 * t + rng.normal(size=t.size), STEP_S).trend
    walk = detect_patterns(np.cumsum(rng.normal(size=t.size)), STEP_S)

    assert trend is not None
    assert trend.kind == "linear"
    assert trend.slope_per_hour == pytest.approx(0.24, rel=0.05)
    assert walk.trend is not None
    assert walk.trend.kind == "none"
    assert walk.noise is not None
    assert walk.noise.kind == "random walk"


def test_a_level_jump_is_placed_in_time_in_spite_of_the_cycle(rng: np.random.Generator) -> None:
    t = np.arange(1200)
    values = 5 * np.sin(2 * np.pi * t / 48) + 4 * (t >= 700) + rng.normal(size=t.size)
    times = pd.date_range("2022-03-01", periods=t.size, freq="5min", tz="America/Los_Angeles")

    (change,) = detect_patterns(values, STEP_S, times=times).changes

    assert change.kind == "level"
    assert abs(change.step - 700) <= 5
    assert change.time == times[change.step]
    assert change.after - change.before == pytest.approx(4, abs=0.4)


def test_anomalies_are_told_apart(rng: np.random.Generator) -> None:
    t = np.arange(2016)
    values = 50 + 10 * np.sin(2 * np.pi * t / 96) + rng.normal(size=t.size)
    values[200] += 15
    values[600:640] = values[599]
    values[1000:1010] -= 8
    values[1400:1520] = 100 - values[1400:1520]

    found = {a.kind: (a.start, a.end) for a in detect_patterns(values, STEP_S).anomalies}

    assert found["spike"] == (200, 200)
    assert found["flat"] == (599, 639)
    assert found["excursion"] == pytest.approx((1000, 1009), abs=2)
    assert found["flip"] == pytest.approx((1400, 1519), abs=6)
    assert len(found) == 4


def test_a_reading_repeated_every_night_is_no_cut_off(rng: np.random.Generator) -> None:
    t = np.arange(2016)
    values = np.maximum(0.0, 10 * np.sin(2 * np.pi * t / 288) + rng.normal(size=t.size) * (t % 288 < 144))

    assert not [a for a in detect_patterns(values, STEP_S).anomalies if a.kind in {"flat", "clipped"}]


def test_the_lag_has_the_sign_of_who_follows(rng: np.random.Generator) -> None:
    source = rng.normal(size=1100)
    first, second = source[50:1050], source[43:1043] + 0.3 * rng.normal(size=1000)  # the second is 7 steps late

    forward = detect_patterns(first, STEP_S, other=second).relation
    backward = detect_patterns(second, STEP_S, other=first).relation

    assert forward is not None
    assert backward is not None
    assert (forward.lag, forward.granger) == (7, "forward")
    assert (backward.lag, backward.granger) == (-7, "backward")
    assert forward.lag_hours == pytest.approx(7 / 12)
    assert forward.at_lag == pytest.approx(1 / np.sqrt(1.09), abs=0.03)
    assert abs(forward.at_zero) < 0.1


def test_two_rising_series_correlate_but_are_not_related(rng: np.random.Generator) -> None:
    rise = np.linspace(0, 20, 800)
    relation = detect_patterns(rise + rng.normal(size=800), STEP_S, other=2 * rise + rng.normal(size=800)).relation

    assert relation is not None
    assert relation.plain_at_zero > 0.9
    assert not relation.related
    assert relation.granger == "none"


def test_a_gap_is_stated_and_changes_nothing_else(rng: np.random.Generator) -> None:
    t = np.arange(1500)
    values = 6 * np.sin(2 * np.pi * t / 48) + 0.01 * t + rng.normal(size=t.size)
    values[100] += 12
    values[400:600] = np.nan
    values[900] = np.inf

    found = detect_patterns(values, STEP_S)

    assert found.known == 1299
    assert found.notes == ("201 of 1500 steps are missing; they were left out, not filled in",)
    assert [(a.kind, a.start) for a in found.anomalies] == [("spike", 100)]
    assert found.periods[0].steps == pytest.approx(48, rel=0.01)
    assert found.trend is not None
    assert found.trend.slope_per_hour == pytest.approx(0.12, rel=0.1)
    assert found.changes == ()


@pytest.mark.parametrize(
    "values", [[1.0], [np.nan] * 40, np.full(60, 2.5), [np.inf, 1, 2], np.r_[np.full(40, np.nan), np.arange(10)]]
)
def test_what_cannot_be_measured_is_none_with_a_reason(values: list[float]) -> None:
    found = detect_patterns(values, STEP_S, other=values)

    assert (found.trend, found.noise, found.volatility, found.relation) == (None, None, None, None)
    assert found.notes


@pytest.mark.parametrize("length", [16, 17, 24, 40, 64, 100])
def test_short_series_are_answered(rng: np.random.Generator, length: int) -> None:
    for values in (rng.normal(size=length), np.arange(length) % 4, np.r_[np.zeros(length - 1), 1], np.arange(length)):
        for missing in (0, length // 3):
            series = np.asarray(values, dtype=float)
            series[:missing:2] = np.nan
            found = detect_patterns(series, STEP_S, other=rng.normal(size=length))
            json.loads(found.model_dump_json(), parse_constant=pytest.fail)


def test_series_without_noise_are_answered() -> None:
    t = np.arange(600)
    for values in (np.sin(2 * np.pi * t / 50), np.where(t % 60 < 30, 1.0, 4.0), 2.0 * t, 1e9 + t % 24, (t > 300) * 1.0):
        found = detect_patterns(values, STEP_S, other=values)
        json.loads(found.model_dump_json(), parse_constant=pytest.fail)


def test_bad_input_is_named() -> None:
    with pytest.raises(DataError, match="other has 3 steps, values 4"):
        detect_patterns([1, 2, 3, 4], STEP_S, other=[1, 2, 3])
    with pytest.raises(DataError, match="2 time stamps for 4 steps"):
        detect_patterns([1, 2, 3, 4], STEP_S, times=pd.date_range("2022", periods=2, tz="UTC"))


def test_a_real_week_repeats_by_the_day_and_has_the_incident_of_that_tuesday() -> None:
    if "MM4ST_DATA_DIR" not in os.environ:
        pytest.skip("MM4ST_DATA_DIR is not set: no real data")
    from mm4st_agent.data.known import known_card, read_known

    panel = read_known(Path(os.environ["MM4ST_DATA_DIR"]), known_card("pems-orange"))
    week = slice(2016, 4032)
    found = detect_patterns(panel.observed()[week, 40], panel.step_s, times=panel.times[week])

    assert found.periods[0].hours == 24
    assert found.periods[0].strength > 0.8
    dips = [a for a in found.anomalies if a.kind == "excursion" and a.size < -200]
    assert [f"{dip.start_time:%a %H}" for dip in dips if dip.start_time] == ["Tue 16"]  # 450 to 200 vehicles, 45 min
