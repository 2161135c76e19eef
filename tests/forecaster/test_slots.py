from __future__ import annotations

import pandas as pd

from mm4st_agent.forecaster.slots import HOLIDAY, extended, slots_of


def test_slots_of_a_week_in_local_time() -> None:
    times = pd.date_range("2022-01-03", periods=2 * 7 * 48, freq="30min", tz="US/Pacific")

    slots = slots_of(times, 1800)

    assert slots.per_day == 48
    assert slots.of_week.tolist() == [*range(336), *range(336)]
    assert slots.day.tolist() == [slots.day[0] + step // 48 for step in range(672)]
    assert slots.week.tolist() == [slots.week[0]] * 336 + [slots.week[0] + 1] * 336


def test_a_slot_keeps_its_hour_when_clocks_change() -> None:
    times = pd.date_range("2022-03-12T12:00", periods=2, freq="23h", tz="US/Pacific")  # DST starts on March 13

    slots = slots_of(times, 3600)

    assert slots.of_day.tolist() == [12, 12]
    assert slots.weekday.tolist() == [5, 6]


def test_only_named_calendars_have_holidays() -> None:
    times = pd.date_range("2022-01-16", periods=3, freq="D", tz="US/Pacific")  # the 17th is Martin Luther King Day

    assert slots_of(times, 86_400, "US").day_type.tolist() == [6, HOLIDAY, 1]
    assert slots_of(times, 86_400).day_type.tolist() == [6, 0, 1]


def test_a_holiday_on_a_weekend_counts_on_its_date_and_on_the_day_off() -> None:
    times = pd.date_range("2021-12-30", periods=4, freq="D", tz="US/Pacific")  # New Year's Day is a Saturday

    assert slots_of(times, 86_400, "US").day_type.tolist() == [3, HOLIDAY, HOLIDAY, 6]
    assert slots_of(times[2:], 86_400, "US").day_type.tolist() == [HOLIDAY, 6]


def test_steps_longer_than_a_day_have_one_slot_a_day() -> None:
    times = pd.date_range("2022-01-03", periods=3, freq="7D", tz="UTC")

    slots = slots_of(times, 7 * 86_400)

    assert (slots.per_day, slots.of_week.tolist()) == (1, [0, 0, 0])


def test_extended_goes_on_across_a_clock_change() -> None:
    times = pd.date_range("2022-03-13T00:00", periods=2, freq="h", tz="US/Pacific")

    ahead = extended(times, 2)

    assert [f"{time:%H:%M}" for time in ahead] == ["00:00", "01:00", "03:00", "04:00"]
