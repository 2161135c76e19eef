from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from mm4st_agent.data.panel import Panel
from mm4st_agent.forecaster.baselines import BASELINES, FUNCTIONS, History, SlotMeans, title_at
from mm4st_agent.forecaster.slots import extended, slots_of

STEP_S = 6 * 3600  # four steps a day, 28 a week


def history(observed: np.ndarray, known: int, start: str = "2022-01-03", zone: str = "UTC") -> History:
    times = pd.date_range(start, periods=len(observed), freq="6h", tz=zone)
    return History.of(observed, extended(times, 4), step_s=STEP_S, holidays=None, known=slice(0, known))


def weeks(*levels: float) -> np.ndarray:
    """One node; slot s of week w holds 100 * level_w + s."""
    return np.concatenate([100 * level + np.arange(28.0) for level in levels])[:, None].astype(np.float32)


def test_last_value_skips_what_was_not_measured() -> None:
    observed = np.array([[1.0, np.nan], [2.0, np.nan], [np.nan, np.nan], [9.0, 9.0]], dtype=np.float32)

    found = FUNCTIONS["last_value"](history(observed, 2), np.array([1, 3]), 2)

    assert found[:, :, 0].tolist() == [[1, 1], [2, 2]]
    assert np.isnan(found[:, :, 1]).all()


def test_same_slot_last_week_by_hand() -> None:
    observed = weeks(1, 2, 3)
    observed[28 + 6] = np.nan  # missing last week: the week before stands in

    found = FUNCTIONS["same_slot_last_week"](history(observed, 28), np.array([56 + 5]), 3)

    assert found[0, :, 0].tolist() == [205, 106, 207]


def test_same_slot_last_week_is_undefined_in_the_first_week() -> None:
    assert np.isnan(FUNCTIONS["same_slot_last_week"](history(weeks(1), 28), np.array([8]), 4)).all()


def test_same_slot_last_week_keeps_the_hour_when_clocks_change() -> None:
    observed = weeks(1, 2)
    there = history(observed, 28, start="2022-03-07", zone="US/Pacific")  # Monday; DST starts on Sunday the 13th
    monday = there.times.get_loc(pd.Timestamp("2022-03-14T13:00", tz="US/Pacific"))

    found = FUNCTIONS["same_slot_last_week"](there, np.array([monday]), 1)

    assert np.isnan(found).all()  # 13:00 did not exist in last week's grid of 00, 06, 12, 18: nothing is made up


def test_slot_mean_averages_the_training_part_only() -> None:
    found = FUNCTIONS["slot_mean"](history(weeks(1, 3, 50), 56), np.array([60]), 2)

    assert found[0, :, 0].tolist() == [204, 205]


def test_slot_mean_falls_back_to_the_slot_of_the_day_then_to_the_node() -> None:
    observed = weeks(1)
    observed[5] = np.nan
    day = [observed[step, 0] for step in range(1, 28, 4) if step != 5]
    times = pd.date_range("2022-01-03", periods=28, freq="6h", tz="UTC")
    slots = slots_of(times, STEP_S)

    assert SlotMeans.fit(observed, slots).table[5, 0] == pytest.approx(np.mean(day))

    observed[1::4] = np.nan
    assert SlotMeans.fit(observed, slots).table[5, 0] == pytest.approx(np.nanmean(observed))

    observed[:] = np.nan
    assert np.isnan(SlotMeans.fit(observed, slots).table).all()


def test_a_title_says_what_the_slot_mean_fell_back_to() -> None:
    observed = weeks(1, 2)
    observed[1::28] = np.nan

    def title(horizon: int, skip: int = 0) -> str:
        return title_at("slot_mean", history(observed, 56), 56, horizon, skip, 0)

    assert title(1) == "the usual for this time of the week"
    assert title(2) == title(1, skip=1) == "the usual for this time of day"
    assert title(1, skip=2) == "the usual for this time of the week"
    observed[1::4] = np.nan
    assert title(2) == "the mean so far"
    observed[0] = np.nan
    assert title(1) == "the same time of an earlier week"


def test_a_title_says_when_last_week_was_not_measured() -> None:
    observed = weeks(1, 2, 3)
    observed[28 + 6] = np.nan
    there = history(observed, 28)

    assert title_at("same_slot_last_week", there, 56 + 5, 1, 0, 0) == "the same time last week"
    assert title_at("same_slot_last_week", there, 56 + 5, 2, 0, 0) == "the same time of an earlier week"
    assert title_at("same_slot_last_week", there, 56 + 5, 1, 1, 0) == "the same time of an earlier week"


@pytest.mark.parametrize("name", BASELINES)
def test_a_baseline_never_looks_ahead(name: str, panel: Panel) -> None:
    observed = panel.observed("flow")
    train, origin = int(0.7 * len(observed)), int(0.8 * len(observed))
    future = observed.copy()
    future[origin:] = np.random.default_rng(1).uniform(1e5, 1e6, future[origin:].shape)

    def forecast(values: np.ndarray) -> np.ndarray:
        times = extended(panel.times, 12)
        given = History.of(values, times, step_s=panel.step_s, holidays="US", known=slice(0, train))
        return FUNCTIONS[name](given, np.arange(origin - 50, origin + 1), 12)

    before = forecast(observed)

    assert np.isfinite(before[:, :, :4]).mean() > 0.9
    np.testing.assert_array_equal(before[-1], forecast(future)[-1])


@pytest.mark.parametrize("name", BASELINES)
def test_a_cut_panel_gives_the_same_as_the_whole_one(name: str, panel: Panel) -> None:
    train = int(0.7 * len(panel.times))

    def forecast(given: Panel, origin: int) -> np.ndarray:
        times = extended(given.times, 12)
        known = History.of(given.observed(), times, step_s=given.step_s, holidays="US", known=slice(0, train))
        return FUNCTIONS[name](known, np.array([origin]), 12)

    for origin in (train, train + 101):
        cut = panel.until(panel.times[origin])
        assert len(cut.times) == origin
        np.testing.assert_array_equal(forecast(cut, origin), forecast(panel, origin))


def test_imputed_cells_are_not_read(panel_of: Callable[..., Panel]) -> None:
    panel = panel_of()
    changed = panel.data.copy(deep=True)
    changed["flow"] = changed["flow"].where(~changed["imputed"], 12345.0)
    changed["flow"].attrs = panel.data["flow"].attrs
    other = Panel(card=panel.card, data=changed, edges=panel.edges)

    np.testing.assert_array_equal(panel.observed(), other.observed())
    assert (panel.values() != other.values()).any()
