"""What is drawn: the same for a seed, a longer city begins as a shorter one, rain within the handbook's ranges."""

from __future__ import annotations

import collections
import dataclasses

import numpy as np
import pandas as pd

from mm4st_agent.demo_city.draws import draw_causes, is_school_holiday
from mm4st_agent.demo_city.network import build_network
from mm4st_agent.demo_city.records import Cause
from mm4st_agent.demo_city.weather import RAIN_CLASSES, SPEED_CLASSES, loss, weather

ZONE = "Europe/Lisbon"


def causes(seed: int = 7, days: int = 60) -> tuple[Cause, ...]:
    return draw_causes(build_network(), seed, "2025-09-01", days, ZONE)


def test_every_kind_happens_at_a_plausible_rate() -> None:
    count = collections.Counter(cause.kind for cause in causes())

    assert 70 <= count["incident"] <= 140
    assert 15 <= count["event"] <= 45
    assert 8 <= count["works"] <= 25
    assert 15 <= count["rain"] <= 60
    assert count["holiday"] == 2


def test_causes_have_a_place_and_a_time_and_an_id_of_their_own() -> None:
    network = build_network()
    drawn = causes()

    assert len({cause.id for cause in drawn}) == len(drawn)
    for cause in drawn:
        assert cause.start < cause.end
        if cause.kind in ("incident", "works"):
            assert cause.link in network.links.index
            assert 0.1 < cause.capacity_share < 0.9
        if cause.kind == "event":
            assert cause.venue in network.venues.index
            assert 0 < cause.attendance <= network.venues["seats"][cause.venue]


def test_the_seed_decides_and_a_longer_city_begins_as_a_shorter_one() -> None:
    assert causes() == causes()
    assert causes(seed=8) != causes()
    early = {cause for cause in causes() if cause.end < pd.Timestamp("2025-09-19", tz=ZONE)}
    assert early <= set(causes(days=20))


def test_rain_costs_capacity_and_speed_within_the_ranges_of_the_highway_capacity_manual() -> None:
    rain = np.concatenate([np.linspace(0.01, 2.54, 40), np.linspace(2.55, 6.35, 40), np.linspace(6.36, 30, 40)])
    capacity, speed = loss(rain, RAIN_CLASSES), loss(rain, SPEED_CLASSES)

    # HCM 2010, Exhibit 10-15: 1.17-3.43 %, 5.67-10.10 %, 10.72-17.67 %.
    for part, (least, most) in enumerate([(0.0117, 0.0343), (0.0567, 0.1010), (0.1072, 0.1767)]):
        inside = capacity[40 * part : 40 * part + 40]
        assert least - 1e-9 <= inside.min() <= inside.max() <= most + 1e-9
    # HCM 6th edition, Exhibit 11-21: factors 0.96-0.93 in medium, 0.94-0.91 in heavy rain.
    assert 0 < speed[:40].min() < speed[:40].max() < 0.04
    assert 0.04 <= speed[40:80].min() < speed[40:80].max() <= 0.07 + 1e-9
    assert 0.06 <= speed[80:].min() < speed[80:].max() <= 0.09 + 1e-9
    assert loss(np.zeros(3), RAIN_CLASSES).tolist() == [0, 0, 0]


def test_without_a_spell_only_its_rain_is_gone() -> None:
    time = pd.date_range("2025-09-01", periods=20 * 288, freq="5min", tz=ZONE)
    drawn = causes(days=20)
    spell = [cause for cause in drawn if cause.kind == "rain"][3]
    given, other = weather(7, time, drawn), weather(7, time, [cause for cause in drawn if cause is not spell])
    inside = (time >= spell.start) & (time < spell.end)

    assert (given.rain[inside] >= 0.2).all()
    assert (other.rain[inside] == 0).all()
    assert (given.rain[~inside] == other.rain[~inside]).all()
    for field in dataclasses.fields(given):
        if field.name != "rain":
            assert getattr(given, field.name).tobytes() == getattr(other, field.name).tobytes()


def test_weather_of_an_autumn_by_the_sea() -> None:
    time = pd.date_range("2025-09-01", periods=60 * 288, freq="5min", tz=ZONE)
    sky = weather(7, time, causes())

    assert 0.02 < (sky.rain > 0).mean() < 0.15
    assert sky.rain.max() < 25
    assert 5 < sky.temperature.min() < sky.temperature.max() < 32
    assert 0.5 <= sky.wind_speed.min() < sky.wind_speed.max() < 15
    assert 0 <= sky.wind_from.min() <= sky.wind_from.max() < 360
    afternoon, night = (sky.mixing_height[time.hour == hour].mean() for hour in (14, 3))
    assert afternoon > 2 * night


def test_the_clock_change_does_not_break_the_weather() -> None:
    time = pd.date_range("2025-10-25 20:00", periods=200, freq="5min", tz=ZONE)
    sky = weather(7, time, ())

    assert np.abs(np.diff(sky.temperature)).max() < 1.5
    assert np.abs(np.diff(sky.wind_speed)).max() < 1


def test_school_holidays() -> None:
    days = pd.date_range("2025-09-06 12:00", periods=40, freq="D", tz=ZONE)
    off = is_school_holiday(days)

    assert off[:2].tolist() == [1, 1]
    assert off[2] == 0
    assert days[off == 1][2:].strftime("%m-%d").tolist() == [f"10-{day:02d}" for day in range(4, 13)]
