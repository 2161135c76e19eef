from __future__ import annotations

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest

from mm4st_agent.demo_city.air import _NOX as NOX
from mm4st_agent.demo_city.air import air_stations, per_km, simulate_air
from mm4st_agent.demo_city.dispersion import disperse, plumes
from mm4st_agent.demo_city.network import Network, build_network
from mm4st_agent.demo_city.records import Traffic, Weather

STEP_S = 300.0


def steady_weather(steps: int, *, wind_from: float = 270.0, wind: float = 4.0, rain: float = 0.0) -> Weather:
    def same(value: float) -> np.ndarray:
        return np.full(steps, value)

    return Weather(same(rain), same(wind), same(wind_from), same(600.0), same(16.0))


def steady_traffic(network: Network, steps: int, *, load: float = 0.6, slow: float = 1.0) -> Traffic:
    free = network.links["free_speed_kmh"].to_numpy(dtype=float)
    lanes = network.links["lanes"].to_numpy(dtype=float)
    flow = load * network.links["capacity_vph"].to_numpy(dtype=float)
    speed = slow * free
    rows = np.ones((steps, 1))
    return Traffic(rows * flow / 12, rows * speed, rows * flow / speed / lanes, rows * np.zeros(len(free)))


@pytest.fixture
def network() -> Network:
    return build_network()


def test_the_stations_stand_at_24_different_places_of_the_city(network: Network) -> None:
    stations = air_stations(network)

    assert list(stations.index) == [f"A{n:02d}" for n in range(1, 25)]
    assert stations["name"].is_unique
    assert not stations.duplicated(["lat", "lon"]).any()
    assert set(stations["kind"]) == {"air station"}
    uses = set(network.junctions["land_use"]) - {"", "outside"}
    assert uses <= set(stations["land_use"])
    for side in ("lat", "lon"):
        city = network.junctions.loc[network.junctions["land_use"] != "outside", side]
        assert stations[side].between(city.min() - 0.004, city.max() + 0.004).all()


def test_a_kerb_station_is_beside_its_road(network: Network) -> None:
    kerb = air_stations(network).loc["A04"]
    ends = network.junctions.loc[["J01", "J15"]]

    assert kerb["name"] == "Harbour Bridge roadside air station"
    assert abs(kerb["lat"] - ends["lat"].mean()) * 111_200 < 30
    assert abs(kerb["lon"] - ends["lon"].mean()) * 111_200 * 0.749 < 30


def test_emission_by_speed_is_the_guidebooks_form() -> None:
    # 2e-4 * 2500 - 2.8e-2 * 50 + 1.6 + 10 / 50
    assert per_km(50.0, NOX) == pytest.approx(0.9, abs=1e-12)
    assert per_km(12.0, NOX) > 2 * per_km(50.0, NOX)  # stop-and-go
    assert per_km(120.0, NOX) > per_km(75.0, NOX)


def one_link(length_m: float) -> Network:
    """A road to the east of `length_m`, whose middle is the origin of the metres."""
    degree = 1 / 111_200.0
    half = length_m / 2 * degree / math.cos(math.radians(41.5))
    junctions = pd.DataFrame(
        {"name": ["a", "b"], "lat": [41.5, 41.5], "lon": [-12 - half, -12 + half], "land_use": "centre"},
        index=["a", "b"],
    )
    links = pd.DataFrame({"source": ["a"], "target": ["b"]}, index=["S001"])
    return dataclasses.replace(build_network(), links=links, junctions=junctions)


def test_a_plume_is_the_gaussian_of_briggs() -> None:
    north = 500.0
    station = pd.DataFrame({"lat": [41.5 + north / 111_200], "lon": [-12.0]})

    table = plumes(one_link(20.0), station)  # shorter than 25 m: a point

    wide = 12 + 0.16 * north / math.sqrt(1 + 0.0004 * north)
    high = 3.5 + 0.14 * north / math.sqrt(1 + 0.0003 * north)
    assert table.shape == (3, 72, 1, 1)
    from_south = table[1, 36, 0, 0]
    assert from_south == pytest.approx(1e6 / (math.pi * wide * high), rel=1e-4)
    across = north * math.sin(math.radians(5)) / (12 + 0.16 * north * math.cos(math.radians(5)) / math.sqrt(1.2))
    assert table[1, 37, 0, 0] == pytest.approx(from_south * math.exp(-0.5 * across**2), rel=0.01)
    assert table[1, 0, 0, 0] == 0  # wind from the north carries it away
    assert table[0, 36, 0, 0] > table[1, 36, 0, 0] > table[2, 36, 0, 0]  # stable air dilutes least


def far_away(steps: int, nox_g_s: float, **weather: float) -> np.ndarray:
    """NOx of the box alone, with nothing around the city."""
    w, none = steady_weather(steps, **weather), np.zeros(steps)
    nox = np.full((steps, 1), nox_g_s)
    _, _, far, _ = disperse(
        nox, nox, np.zeros((3, 72, 1, 1)), w.wind_speed, w.wind_from, w.mixing_height, w.temperature,
        none, none, none, 10_000.0, STEP_S,
    )  # fmt: skip
    return far


def test_the_box_comes_to_rest_where_airing_balances_emission() -> None:
    with_traffic, without = far_away(600, 50.0, wind=5.0), far_away(600, 0.0, wind=5.0)

    # 2.2 * 50 g/s, minor streets included, through a face of 10 km by 600 m at 0.6 * 5 m/s
    assert (with_traffic - without)[-1] == pytest.approx(110e6 / (10_000 * 600 * 3), rel=1e-6)
    # after the time in which the wind crosses the city, 1 - 1/e of it
    crossing = round(10_000 / 3 / STEP_S)
    share = (with_traffic - without)[crossing] / (with_traffic - without)[-1]
    assert share == pytest.approx(1 - math.exp(-1), abs=0.05)


def test_less_traffic_is_cleaner_only_later_and_most_of_all_downwind(network: Network) -> None:
    steps, cut = 288, 144
    before, weather = steady_traffic(network, steps), steady_weather(steps, wind_from=270.0)
    density = before.density.copy()
    bridge = [network.links.index.get_loc(link) for link in network.links.index[network.links["road"] == "Mill Road"]]
    density[cut:, bridge] = 0.0
    with_it = simulate_air(network, before, weather, STEP_S, seed=7)
    without = simulate_air(network, dataclasses.replace(before, density=density), weather, STEP_S, seed=7)
    effect = with_it["no2"] - without["no2"]

    assert (effect[:cut] == 0).all()
    assert (effect[cut:] >= 0).all()
    assert (effect[-1] > 0).all()  # the box reaches all
    names = air_stations(network)["name"].tolist()
    # Millfield stands 190 m off Mill Road; the port lies upwind of it, across the river.
    assert effect[-1, names.index("Millfield air station")] > 3 * effect[-1, names.index("Port air station")]


def test_a_jam_is_dirtier_than_the_same_flow(network: Network) -> None:
    weather = steady_weather(100)
    free = simulate_air(network, steady_traffic(network, 100), weather, STEP_S, seed=7)
    jam = simulate_air(network, steady_traffic(network, 100, slow=0.2), weather, STEP_S, seed=7)

    assert (jam["no2"][-1] > free["no2"][-1]).all()
    assert (jam["pm25"][-1] > free["pm25"][-1]).all()


def test_rain_washes_out_particles_and_no_gas(network: Network) -> None:
    traffic = steady_traffic(network, 288)
    dry = simulate_air(network, traffic, steady_weather(288), STEP_S, seed=7)
    wet = simulate_air(network, traffic, steady_weather(288, rain=5.0), STEP_S, seed=7)

    assert wet["pm25"][-1].mean() < 0.75 * dry["pm25"][-1].mean()
    np.testing.assert_array_equal(wet["no2"], dry["no2"])


def test_a_low_lid_and_weak_wind_keep_the_dirt_in(network: Network) -> None:
    traffic, fresh = steady_traffic(network, 144), steady_weather(144)
    stale = dataclasses.replace(fresh, mixing_height=np.full(144, 150.0), wind_speed=np.full(144, 1.0))
    night = simulate_air(network, traffic, stale, STEP_S, seed=7)
    day = simulate_air(network, traffic, fresh, STEP_S, seed=7)

    assert night["no2"][-1].mean() > 2 * day["no2"][-1].mean()


def test_a_shorter_run_is_the_beginning_of_a_longer_one(network: Network) -> None:
    long = simulate_air(network, steady_traffic(network, 700), steady_weather(700), STEP_S, seed=7)
    short = simulate_air(network, steady_traffic(network, 290), steady_weather(290), STEP_S, seed=7)

    for channel in ("pm25", "no2"):
        np.testing.assert_array_equal(short[channel], long[channel][:290])


def test_the_same_seed_gives_the_same_air_and_another_seed_another(network: Network) -> None:
    traffic, weather = steady_traffic(network, 50), steady_weather(50)
    one, two, other = (simulate_air(network, traffic, weather, STEP_S, seed=s) for s in (7, 7, 8))

    for channel in ("pm25", "no2"):
        assert one[channel].shape == (50, 24)
        assert one[channel].tobytes() == two[channel].tobytes()
        assert not np.array_equal(one[channel], other[channel])
        assert np.isfinite(one[channel]).all()
        assert (one[channel] > 0).all()
        np.testing.assert_array_equal(one[channel], one[channel].round(2))
