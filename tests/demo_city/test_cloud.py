from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mm4st_agent.demo_city.cloud import MOST, requests
from mm4st_agent.demo_city.network import Network, build_network
from mm4st_agent.demo_city.records import Cause, Traffic

ZONE = "Europe/Lisbon"
STEPS = 288


@pytest.fixture
def network() -> Network:
    return build_network()


@pytest.fixture
def monday() -> pd.DatetimeIndex:
    return pd.date_range("2025-09-15", periods=STEPS, freq="5min", tz=ZONE)


def traffic(network: Network, jam: slice | None = None, share: float = 0.2) -> Traffic:
    """Half of the capacity at free speed; in the jam, 40 vehicles per km and lane at a share of it."""
    free = np.tile(network.links["free_speed_kmh"].to_numpy(dtype=float), (STEPS, 1))
    speed, density = free.copy(), np.full(free.shape, 10.0)
    if jam is not None:
        speed[jam, :20] *= share
        density[jam, :20] = 40.0
    return Traffic(density * speed / 12, speed, density, (speed < free).astype(float))


def test_people_ask_before_the_peaks_and_rarely_at_night(network: Network, monday: pd.DatetimeIndex) -> None:
    load = requests(network, traffic(network), (), monday, seed=7)

    assert load.shape == (STEPS,)
    np.testing.assert_array_equal(load, np.floor(load))
    assert load.argmax() / 12 == pytest.approx(7, abs=0.7)
    assert 200 <= load[: 4 * 12].max() <= 400
    assert 1300 <= load.max() <= 2000
    saturday = monday + pd.Timedelta(days=5)
    weekend = requests(network, traffic(network), (), saturday, seed=7)
    assert weekend[7 * 12] < 0.4 * load[7 * 12]


def test_a_jam_is_noticed_some_minutes_later(network: Network, monday: pd.DatetimeIndex) -> None:
    effect = requests(network, traffic(network, jam=slice(120, 150)), (), monday, seed=7) - requests(
        network, traffic(network), (), monday, seed=7
    )
    first, full = effect[120], effect[140:150].mean()

    assert (effect[:120] == 0).all()
    assert full > 100
    # One step of five minutes after the start, of a lag of seven: 5/7 / (1 + 5/7)
    assert first / full == pytest.approx(5 / 12, abs=0.08)
    assert 0 < effect[152] < 0.5 * full
    assert (effect[180:] == 0).all()


def test_visitors_ask_before_the_start_and_after_the_end(network: Network, monday: pd.DatetimeIndex) -> None:
    match = Cause("event-01", "event", "match", monday[228], monday[252], venue="Alder Park", attendance=20_000)
    effect = requests(network, traffic(network), (match,), monday, seed=7) - requests(
        network, traffic(network), (), monday, seed=7
    )
    before, during, after = effect[:228], effect[229:252], effect[252:]

    assert before.sum() * 5 == pytest.approx(0.4 * 20_000, rel=0.05)  # requests/min over steps of five minutes
    assert after.sum() * 5 == pytest.approx(0.4 * 20_000, rel=0.12)
    assert (during == 0).all()
    assert before.argmax() == 228 - 8  # most of all forty minutes before


def test_the_first_rain_makes_people_look(network: Network, monday: pd.DatetimeIndex) -> None:
    rain = Cause("rain-01", "rain", "light rain", monday[150], monday[180])
    dry, wet = (requests(network, traffic(network), causes, monday, seed=7) for causes in ((), (rain,)))

    assert (wet[:150] == dry[:150]).all()
    assert wet[150] / dry[150] == pytest.approx(1.28, abs=0.02)
    assert wet[155] / dry[155] == pytest.approx(1.14, abs=0.02)  # half of it after 25 minutes


def test_holidays_thin_out_the_school_run_only(network: Network, monday: pd.DatetimeIndex) -> None:
    holiday = Cause("holiday-1", "holiday", "break", monday[0], monday[0] + pd.Timedelta(days=7))
    school, free = (requests(network, traffic(network), causes, monday, seed=7) for causes in ((), (holiday,)))
    changed = np.flatnonzero(school != free)

    assert changed.min() >= 6 * 12
    assert changed.max() < 9 * 12
    assert (free <= school).all()


def test_the_service_saturates(network: Network, monday: pd.DatetimeIndex) -> None:
    crowd = Cause("event-01", "event", "all come", monday[120], monday[150], venue="Alder Park", attendance=5_000_000)

    load = requests(network, traffic(network), (crowd,), monday, seed=7)

    assert 0.9 * MOST < load.max() <= MOST


def test_a_shorter_run_is_the_beginning_of_a_longer_one(network: Network, monday: pd.DatetimeIndex) -> None:
    whole = traffic(network, jam=slice(120, 150))
    half = Traffic(whole.flow[:140], whole.speed[:140], whole.density[:140], whole.queue[:140])

    short = requests(network, half, (), monday[:140], seed=7)

    np.testing.assert_array_equal(short, requests(network, whole, (), monday, seed=7)[:140])


def test_the_seed_alone_makes_the_noise(network: Network, monday: pd.DatetimeIndex) -> None:
    one, two, other = (requests(network, traffic(network), (), monday, seed=seed) for seed in (7, 7, 8))

    assert one.tobytes() == two.tobytes()
    assert 0.005 < np.abs(one / other - 1).mean() < 0.15
