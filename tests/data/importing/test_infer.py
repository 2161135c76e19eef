"""Which numbers mean 'no reading' is told from the readings, and true zeros stay."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from mm4st_agent.data.importing.infer import missing_codes, surveys
from mm4st_agent.data.importing.quantities import quantity, quantity_in, split_unit, unit_in_name

HOURS = np.arange(24 * 60)


def codes(values: NDArray[np.floating], zero_is_ordinary: bool | None = None) -> dict[float, str]:
    single = np.asarray(values, dtype=np.float32)
    single = single[:, None] if single.ndim == 1 else single
    found = surveys([(0, {"x": single})], ("x",), *single.shape)
    return missing_codes(found["x"], zero_is_ordinary)


def daily(rng: np.random.Generator, low: float, high: float, noise: float, nodes: int = 4) -> NDArray[np.float64]:
    """A quantity that swings between low at night and high at day."""
    wave = (1 - np.cos(2 * np.pi * HOURS / 24)) / 2
    return (low + (high - low) * wave)[:, None] + rng.normal(0, noise, (len(HOURS), nodes))


def test_zeros_within_high_readings_are_missing() -> None:
    rng = np.random.default_rng(0)
    speed = daily(rng, 65, 45, 3)
    speed[rng.random(speed.shape) < 0.05] = 0

    why = codes(speed)

    assert set(why) == {0.0}
    assert "(5." in why[0.0] or "(4." in why[0.0]


def test_a_day_of_zeros_of_one_node_is_missing() -> None:
    speed = daily(np.random.default_rng(0), 65, 45, 3, nodes=50)
    speed[100:124, 17] = 0

    assert set(codes(speed)) == {0.0}


def test_a_traffic_jam_that_stands_still_is_no_gap() -> None:
    """The speed goes to 0 and comes back through low speeds."""
    rng = np.random.default_rng(0)
    speed = daily(rng, 65, 55, 2)
    for start in range(17, len(HOURS) - 12, 24):
        speed[start : start + 9] = np.array([35, 18, 6, 0, 0, 0, 5, 15, 38])[:, None] + rng.random((9, 4)) * 0.1
        speed[start + 3 : start + 6] = 0

    assert codes(speed) == {}


@pytest.mark.parametrize("mean", [0.3, 1.5, 4.0])
def test_small_counts_have_true_zeros(mean: float) -> None:
    assert codes(np.random.default_rng(0).poisson(mean, (2000, 5))) == {}


def test_night_flow_has_true_zeros() -> None:
    rng = np.random.default_rng(0)
    flow = rng.poisson(np.maximum(daily(rng, 0.5, 200, 0), 0.01))

    assert (flow == 0).mean() > 0.01
    assert codes(flow) == {}


def test_rain_has_true_zeros() -> None:
    rng = np.random.default_rng(0)
    rain = np.where(rng.random((3000, 5)) < 0.1, rng.gamma(0.6, 2, (3000, 5)), 0)

    assert codes(rain) == {}
    assert codes(rain.round(1)) == {}


def test_radiation_at_night_is_a_true_zero() -> None:
    sun = np.maximum(np.sin(2 * np.pi * np.arange(24 * 6 * 20) / 144), 0) * 800

    assert (sun == 0).mean() > 0.4
    assert codes(sun) == {}


def test_bursts_of_a_service_have_true_zeros() -> None:
    rng = np.random.default_rng(0)
    load = np.where(rng.random((3000, 3)) < 0.3, rng.lognormal(10, 2, (3000, 3)), 0)

    assert codes(load) == {}


def test_a_signed_quantity_has_true_zeros() -> None:
    temperature = daily(np.random.default_rng(0), -8, 8, 1).round()

    assert (temperature == 0).any()
    assert codes(temperature) == {}


@pytest.mark.parametrize("code", [-1, -9, -99, -999, -9999, 999, 9999, 99999, -200])
def test_codes_far_from_all_readings(code: float) -> None:
    rng = np.random.default_rng(0)
    speed = daily(rng, 65, 45, 3)
    speed[rng.random(speed.shape) < 0.01] = code

    assert set(codes(speed)) == {float(code)}


def test_two_codes_at_once() -> None:
    rng = np.random.default_rng(0)
    speed = daily(rng, 65, 45, 3)
    speed[rng.random(speed.shape) < 0.01] = 0
    speed[rng.random(speed.shape) < 0.01] = -1

    assert set(codes(speed)) == {0.0, -1.0}


@pytest.mark.parametrize("low", [-30.0, -3.0])
def test_minus_one_and_minus_nine_may_be_degrees(low: float) -> None:
    temperature = daily(np.random.default_rng(0), low, 20, 1).round()
    temperature[5:8] = -1

    assert codes(temperature) == {}


def test_a_large_reading_is_no_code() -> None:
    flow = daily(np.random.default_rng(0), 10, 950, 30)
    flow[100:103] = 999

    assert codes(flow) == {}


def test_a_known_quantity_keeps_its_zeros() -> None:
    rng = np.random.default_rng(0)
    flow = daily(rng, 300, 400, 3)
    flow[rng.random(flow.shape) < 0.05] = 0

    assert codes(flow, zero_is_ordinary=True) == {}
    assert set(codes(flow)) == {0.0}


# -- real sets -------------------------------------------------------------------------------


def test_real_taxi_speeds(real_data: Path) -> None:
    with np.load(real_data / "sz_taxi" / "SZ_taxi.npz") as arrays:
        why = codes(arrays["data"][..., 0])

    assert set(why) == {0.0}
    assert "24.8%" in why[0.0]


def test_real_traffic(real_data: Path) -> None:
    with np.load(real_data / "pems_orange" / "orange_traffic.npz") as arrays:
        assert codes(arrays["flow"]) == {}
        assert codes(arrays["occupancy"]) == {}
        assert codes(arrays["speed_mph"]) == {}


def test_real_weather(real_data: Path) -> None:
    with np.load(real_data / "noaa_rain" / "noaa_1990_1993.npz") as arrays:
        for name in ("precip_in", "tmax_F", "tmin_F"):
            assert codes(arrays[name]) == {}
    for path in sorted((real_data / "beijing_air").glob("PRSA*")):
        table = pd.read_csv(path, na_values=["NA", " "])
        for name in ("PM2.5", "PM10", "SO2", "NO2", "CO", "O3", "TEMP", "PRES", "DEWP", "RAIN", "WSPM"):
            assert codes(table[name].to_numpy()) == {}, (path.name, name)


def test_real_cloud_load(real_data: Path) -> None:
    for path in sorted((real_data / "nab_cloud" / "realAWSCloudwatch").glob("*.csv")):
        assert codes(pd.read_csv(path)["value"].to_numpy()) == {}, path.name


# -- names -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("PM2.5", "pm25"),
        ("Speed (km/h)", "speed"),
        ("speed_mph", "speed"),
        ("Relative Humidity", "humidity"),
        ("WSPM", "wind_speed"),
        ("is_holiday", "holiday"),
        ("flow_12", None),
        ("A12", None),
        ("Main St (north)", None),
    ],
)
def test_quantities_by_name(name: str, key: str | None) -> None:
    known = quantity(name)

    assert (known.key if known is not None else None) == key


@pytest.mark.parametrize(
    ("name", "bare", "unit"),
    [
        ("speed (km/h)", "speed", "km/h"),
        ("temp[C]", "temp", "°C"),
        ("PM2.5 (ug/m3)", "PM2.5", "µg/m³"),
        ("speed_mph", "speed_mph", "mph"),
        ("speed", "speed", None),
        ("sensor (a)", "sensor (a)", None),
    ],
)
def test_units_by_name(name: str, bare: str, unit: str | None) -> None:
    assert split_unit(name)[0] == bare
    assert unit_in_name(name) == unit


def test_a_quantity_in_the_name_of_a_file() -> None:
    known = quantity_in("los_speed")

    assert known is not None
    assert known.key == "speed"
    assert quantity_in("flow-and-speed") is None
    assert quantity_in("table") is None
