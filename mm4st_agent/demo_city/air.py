"""PM2.5 and NO2 at 24 air stations: emissions of the traffic, plumes of near links, a box for the rest.

Three parts add up at a station. The *near* part is the plume of each link that lies not far upwind. The *box*
is the city's air, mixed up to the mixing height and aired by the wind, so that it remembers the last hours.
The *background* is what the wind brings in; it drifts over days. Rain washes out PM2.5, not NO2. The random
numbers depend on the seed alone, so two runs that differ in traffic differ by the true effect of it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from numba import njit

from mm4st_agent.demo_city.chance import stream
from mm4st_agent.demo_city.dispersion import M_PER_DEGREE, disperse, metres, narrowing, plumes
from mm4st_agent.demo_city.network import Network
from mm4st_agent.demo_city.records import Array, Traffic, Weather

STATIONS = 24
ROADSIDE = 11
"""So many stations stand at the kerb of busy roads; the others at some distance from the junctions."""

_KERB_M, _AWAY_M = 22.0, 190.0
_WASHOUT_S, _WASHOUT_POWER = 8.4e-5, 0.79
"""Scavenging coefficient in 1/s at 1 mm/h, and how it grows with the rain."""


def air_stations(network: Network) -> pd.DataFrame:
    """Where the air is measured: at the kerb of busy roads, and away from traffic in each kind of quarter.

    Returns:
        Indexed by `A01`..`A24`, with `name`, `kind` ('air station'), `lat`, `lon` and `land_use`.
    """
    rows = [*_kerbs(network), *_quarters(network)]
    return pd.DataFrame(rows, index=[f"A{number:02d}" for number in range(1, len(rows) + 1)])


def simulate_air(network: Network, traffic: Traffic, weather: Weather, step_s: float, seed: int) -> dict[str, Array]:
    """Simulate the air that this traffic and weather make; no measurement noise.

    Args:
        network: Its links in the order of the columns of `traffic`.
        traffic: T steps.
        weather: The same T steps.
        step_s: Length of a step.
        seed: Of the background's drift and of the turbulence; neither depends on traffic or weather.

    Returns:
        `pm25` and `no2`, each `(T, 24)` in µg/m³ in the order of `air_stations`, at least 0, never missing,
        rounded to 0.01.

    Source:
        Emission by speed in the form of the EMEP/EEA air pollutant emission inventory guidebook (2019),
        chapter 1.A.3.b, Tier 3 (COPERT); the fleet is invented. Gaussian plume with Briggs' urban dispersion
        (Hanna, Briggs and Hosker 1982, Handbook on Atmospheric Diffusion). Below-cloud scavenging as a power
        of the rain rate (Maryon et al. 1996; reviewed by Duhanyan and Roustan 2011, doi:10.1016/
        j.atmosenv.2011.09.002). NO2 from NOx in the form of Romberg et al. (1996), updated by Düring et al.
        (2011), doi:10.1127/0941-2948/2011/0491.
    """
    stations = air_stations(network)
    steps = len(weather.rain)
    vehicles = traffic.density * (network.links["lanes"] * network.links["length_km"]).to_numpy(dtype=np.float64)
    nox, pm25 = _emissions(vehicles, traffic.speed, _NOX, _PM25)
    x, y = metres(_city(network.junctions), network.junctions)
    extent_m = round(math.sqrt(float(np.ptp(x) + 2000.0) * float(np.ptp(y) + 2000.0)), 3)
    from_land = np.array([round(0.5 + 0.5 * math.sin(math.radians(wind)), 9) for wind in weather.wind_from.tolist()])
    outside_nox = (4.0 + 8.0 * _levels(seed, "gases", steps, step_s)) * (0.6 + 0.8 * from_land)
    outside_pm = (5.5 + 10.0 * _levels(seed, "particles", steps, step_s)) * (0.7 + 0.6 * from_land)
    washout = np.array([round(_WASHOUT_S * rate**_WASHOUT_POWER, 12) for rate in weather.rain.tolist()])
    near_nox, near_pm, far_nox, far_pm = disperse(
        nox, pm25, plumes(network, stations), weather.wind_speed, weather.wind_from, weather.mixing_height,
        weather.temperature, washout, outside_nox, outside_pm, extent_m, float(step_s),
    )  # fmt: skip
    turbulence = np.column_stack([_flutter(seed, station, steps, step_s) for station in stations.index])
    all_nox = far_nox[:, None] * (0.8 + 0.2 * turbulence) + near_nox * turbulence
    all_pm = far_pm[:, None] * (0.9 + 0.1 * turbulence) + near_pm * turbulence
    return {
        "pm25": np.round(all_pm, 2),
        "no2": np.round(all_nox * (_NO2_MOST / (all_nox + _NO2_HALF) + _NO2_DIRECT), 2),
    }


# Emission: (alpha v^2 + beta v + gamma + delta / v) / (epsilon v^2 + zeta v + eta), g/km at v km/h.
_NOX = (2.0e-4, -2.8e-2, 1.6, 10.0, 0.0, 0.0, 1.0)
"""Cars, vans, buses and lorries of the invented, rather old fleet together."""
_PM25 = (6.4e-6, -9.6e-4, 0.09, 0.4, 0.0, 0.0, 1.0)
"""Exhaust, and wear of brakes, tyres and road."""
_SLOWEST_KMH = 10.0
"""The curves hold from here on; slower vehicles emit by the hour as at this speed, as engines that idle."""
_NO2_MOST, _NO2_HALF, _NO2_DIRECT = 32.0, 38.0, 0.19


@njit(cache=True)
def _emissions(vehicles: Array, speed: Array, nox: tuple[float, ...], pm25: tuple[float, ...]) -> tuple[Array, Array]:
    """`(T, L)` g/s from vehicles on the link and their speed in km/h."""
    out_nox, out_pm = np.empty_like(vehicles), np.empty_like(vehicles)
    for t in range(vehicles.shape[0]):
        for link in range(vehicles.shape[1]):
            v = max(speed[t, link], _SLOWEST_KMH)
            km_per_s = vehicles[t, link] * v / 3600.0
            out_nox[t, link] = km_per_s * per_km(v, nox)
            out_pm[t, link] = km_per_s * per_km(v, pm25)
    return out_nox, out_pm


@njit(cache=True)
def per_km(speed: float, curve: tuple[float, ...]) -> float:
    """Emission of one vehicle in g/km at `speed` km/h of at least `_SLOWEST_KMH`, by the guidebook's form."""
    a, b, c, d, e, f, g = curve
    return (a * speed * speed + b * speed + c + d / speed) / (e * speed * speed + f * speed + g)


def _city(junctions: pd.DataFrame) -> pd.DataFrame:
    """The junctions that have a zone of the city."""
    return junctions[~junctions["land_use"].isin(["", "outside"])]


def _kerbs(network: Network) -> list[dict[str, object]]:
    """At the right-hand kerb of links with much capacity, half-way along, far from each other."""
    links, junctions = network.links, network.junctions
    outside = junctions.index[junctions["land_use"] == "outside"]
    inside = links[~links["source"].isin(outside) & ~links["target"].isin(outside)]
    worth = inside["capacity_vph"].to_numpy(dtype=np.float64) * np.where(inside["land_use"] == "", 0.4, 1.0)
    rows = []
    for link in _spread(inside, worth, inside.index, ROADSIDE):
        entry = inside.iloc[link]
        ends = junctions.loc[[str(entry["source"]), str(entry["target"])]]
        (x0, x1), (y0, y1) = metres(ends, ends)
        length = math.sqrt((x1 - x0) ** 2 + (y1 - y0) ** 2)
        east, north = (x1 + _KERB_M * 2 * (y1 - y0) / length) / 2, (y1 - _KERB_M * 2 * (x1 - x0) / length) / 2
        name = f"{str(entry['name']).removesuffix(str(entry['direction'])).strip()} roadside air station"
        rows.append(_row(name, ends.iloc[0], east, north, str(entry["land_use"])))
    return rows


def _quarters(network: Network) -> list[dict[str, object]]:
    """Away from junctions, in each kind of quarter before any comes twice."""
    junctions = _city(network.junctions)
    rows = []
    chosen = _spread(junctions, np.ones(len(junctions)), junctions["land_use"], STATIONS - ROADSIDE)
    for number, junction in enumerate(chosen):
        turn = 2.399963 * number  # the golden angle: no two to the same side
        entry = junctions.iloc[junction]
        east, north = _AWAY_M * math.cos(turn), _AWAY_M * math.sin(turn)
        rows.append(_row(f"{entry['name']} air station", entry, east, north, str(entry["land_use"])))
    return rows


def _row(name: str, origin: pd.Series[Any], east: float, north: float, land_use: str) -> dict[str, object]:
    lat = round(float(origin["lat"]) + north / M_PER_DEGREE, 5)
    lon = round(float(origin["lon"]) + east / (M_PER_DEGREE * narrowing(float(origin["lat"]))), 5)
    return {"name": name, "kind": "air station", "lat": lat, "lon": lon, "land_use": land_use}


def _spread(places: pd.DataFrame, worth: Array, kinds: pd.Index | pd.Series, count: int) -> list[int]:
    """The positions of `count` places, each kind before any comes twice: next is what is worth most, far off."""
    x, y = metres(places, places)
    kind = np.asarray(kinds, dtype=object)
    chosen = [int(np.argmax(worth))]
    gap = np.hypot(x - x[chosen[0]], y - y[chosen[0]])
    while len(chosen) < min(count, len(places)):
        score = np.round(worth / worth.max() * np.sqrt(gap), 3)
        score[chosen] = -1.0
        fresh = ~np.isin(kind, kind[chosen])
        if fresh.any():
            score[~fresh] = -1.0
        chosen.append(int(np.argmax(score)))
        gap = np.minimum(gap, np.hypot(x - x[chosen[-1]], y - y[chosen[-1]]))
    return chosen


def _levels(seed: int, name: str, steps: int, step_s: float) -> Array:
    """`(T,)` between 0 and 1: a level a day, straight lines between."""
    per_day = 86_400.0 / step_s
    levels = stream(seed, f"air/outside/{name}").random(int(steps / per_day) + 2)
    at = np.arange(steps) / per_day
    day = at.astype(np.intp)
    return np.asarray(levels[day] + (levels[day + 1] - levels[day]) * (at - day), dtype=np.float64)


def _flutter(seed: int, station: str, steps: int, step_s: float) -> Array:
    """`(T,)` around 1: gusts and passing lorries, remembered for about half an hour."""
    draws = 2.0 * stream(seed, f"air/turbulence/{station}").random(steps) - 1.0
    return _remember(draws, min(step_s / 1800.0, 1.0))


@njit(cache=True)
def _remember(draws: Array, forget: float) -> Array:
    out = np.empty_like(draws)
    state = 0.0
    for t in range(len(draws)):
        state += forget * (draws[t] - state)
        out[t] = 1.0 + 0.9 * state
    return out
