"""How what the traffic emits reaches the air stations: plumes of near links, a box for the rest, a background.

Plain loops in a fixed order and tables rounded to nine digits, so that every machine sums alike.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from numba import njit

from mm4st_agent.demo_city.network import KM_PER_DEGREE, Network
from mm4st_agent.demo_city.records import Array

M_PER_DEGREE = 1000.0 * KM_PER_DEGREE
REACH_M = 1500.0
"""Plumes are followed so far; what is older belongs to the box."""

_POINT_M = 25.0
"""A link emits from points this far apart."""
_DIRECTIONS = 72
_STABLE_M, _NEUTRAL_M, _UNSTABLE_M = 150.0, 500.0, 1200.0
"""Mixing heights that stand for the stability classes E-F, D and C."""
_SIGMA_Y = (0.11, 0.16, 0.22)
_SIGMA_Z = ((0.08, 0.0015), (0.14, 0.0003), (0.20, 0.0))
_START_Y_M, _START_Z_M = 12.0, 3.5
"""Traffic itself stirs the air over the road."""
_MINOR_STREETS = 1.2
"""Traffic of streets outside the network, as a share of the network's; it goes into the box."""
_CALM_M_S, _TURNING_M_S = 0.7, 0.9
"""The air never moves slower; and at this wind half of a plume is turned to all sides."""
_GROUND_WIND = 0.6
"""Wind between houses over wind at 10 m."""
_FRESH_AIR_S = 6 * 3600.0
"""The background follows the air outside, which rain does not reach, within this time."""

# g/(s km2) of all that is not traffic: port, kitchens, industry; and per degree below 15 degrees: heating.
_OTHER_NOX, _OTHER_PM25 = 0.10, 0.02
_HEATING_NOX, _HEATING_PM25 = 0.006, 0.006


def narrowing(lat: float) -> float:
    """A degree of longitude over a degree of latitude."""
    return round(math.cos(math.radians(lat)), 9)


def metres(places: pd.DataFrame, origin: pd.DataFrame) -> tuple[Array, Array]:
    """Metres east and north of the first place of `origin`, rounded to the centimetre."""
    lat0, lon0 = float(origin["lat"].iloc[0]), float(origin["lon"].iloc[0])
    east = (places["lon"].to_numpy(dtype=np.float64) - lon0) * M_PER_DEGREE * narrowing(lat0)
    north = (places["lat"].to_numpy(dtype=np.float64) - lat0) * M_PER_DEGREE
    return np.round(east, 2), np.round(north, 2)


def plumes(network: Network, stations: pd.DataFrame) -> Array:
    """`(3, D, S, L)` µg/m³ at each station per g/s of each link and per 1/(m/s) of wind, by stability and wind.

    Entry d is for wind from 360 d / D degrees; the classes are E-F, D and C.
    """
    links, junctions = network.links, network.junctions
    x, y = metres(junctions, junctions)
    place = {junction: number for number, junction in enumerate(junctions.index)}
    source = np.array([place[junction] for junction in links["source"]])
    target = np.array([place[junction] for junction in links["target"]])
    station_x, station_y = metres(stations, junctions)
    winds = [2.0 * math.pi * number / _DIRECTIONS for number in range(_DIRECTIONS)]
    to_x = np.array([round(-math.sin(wind), 9) for wind in winds])
    to_y = np.array([round(-math.cos(wind), 9) for wind in winds])
    table = _plume_table(x[source], y[source], x[target], y[target], station_x, station_y, to_x, to_y)
    return np.round(table, 9)


@njit(cache=True)
def _plume_table(
    x0: Array, y0: Array, x1: Array, y1: Array, station_x: Array, station_y: Array, to_x: Array, to_y: Array
) -> Array:
    table = np.zeros((len(_SIGMA_Z), len(to_x), len(station_x), len(x0)))
    for link in range(len(x0)):
        along_x, along_y = x1[link] - x0[link], y1[link] - y0[link]
        points = max(1, int(math.sqrt(along_x * along_x + along_y * along_y) / _POINT_M))
        for point in range(points):
            share = (point + 0.5) / points
            px, py = x0[link] + share * along_x, y0[link] + share * along_y
            for s in range(len(station_x)):
                east, north = station_x[s] - px, station_y[s] - py
                if east * east + north * north > REACH_M * REACH_M:
                    continue
                for d in range(len(to_x)):
                    down = east * to_x[d] + north * to_y[d]
                    if down <= 0.0:
                        continue
                    across = east * to_y[d] - north * to_x[d]
                    for c in range(len(_SIGMA_Z)):
                        wide = _START_Y_M + _SIGMA_Y[c] * down / math.sqrt(1.0 + 0.0004 * down)
                        high = _START_Z_M + _SIGMA_Z[c][0] * down / math.sqrt(1.0 + _SIGMA_Z[c][1] * down)
                        ratio = across / wide
                        if ratio * ratio < 30.0:
                            plume = 1e6 * math.exp(-0.5 * ratio * ratio) / (math.pi * wide * high)
                            table[c, d, s, link] += plume / points
    return table


@njit(cache=True)
def disperse(
    nox: Array, pm25: Array, reaches: Array, wind_speed: Array, wind_from: Array, mixing: Array,
    temperature: Array, washout: Array, outside_nox: Array, outside_pm: Array, extent_m: float, step_s: float,
) -> tuple[Array, Array, Array, Array]:  # fmt: skip
    """Near parts `(T, S)` and the sum of box and background `(T,)`, of NOx and PM2.5 in µg/m³.

    The box holds what the city emits, mixed up to the mixing height and aired by the wind; it is integrated by
    implicit Euler. In weak wind a plume is partly turned to all sides.
    """
    classes, directions, stations, links = reaches.shape
    anyhow = np.zeros((classes, stations, links))  # in a calm the wind turns to all sides
    for c in range(classes):
        for d in range(directions):
            for s in range(stations):
                for link in range(links):
                    anyhow[c, s, link] += reaches[c, d, s, link] / directions
    steps = len(washout)
    near_nox, near_pm = np.zeros((steps, stations)), np.zeros((steps, stations))
    far_nox, far_pm = np.zeros(steps), np.zeros(steps)
    area_km2 = extent_m * extent_m / 1e6
    box_nox, box_pm, back_nox, back_pm = 8.0, 3.0, outside_nox[0], outside_pm[0]
    for t in range(steps):
        wind = max(wind_speed[t] * _GROUND_WIND, _CALM_M_S)
        height = max(mixing[t], 80.0)
        cold = max(15.0 - temperature[t], 0.0)
        sum_nox, sum_pm = 0.0, 0.0
        for link in range(links):
            sum_nox += nox[t, link]
            sum_pm += pm25[t, link]
        fill_nox = (_OTHER_NOX + _HEATING_NOX * cold) * area_km2 + (1.0 + _MINOR_STREETS) * sum_nox
        fill_pm = (_OTHER_PM25 + _HEATING_PM25 * cold) * area_km2 + (1.0 + _MINOR_STREETS) * sum_pm
        per_gram = 1.0 / (area_km2 * height)  # 1e6 µg/g over 1e6 m2/km2
        airing = wind / extent_m
        box_nox = (box_nox + step_s * fill_nox * per_gram) / (1.0 + step_s * airing)
        box_pm = (box_pm + step_s * fill_pm * per_gram) / (1.0 + step_s * (airing + washout[t]))
        renew = step_s / _FRESH_AIR_S
        back_nox = (back_nox + renew * outside_nox[t]) / (1.0 + renew)
        back_pm = (back_pm + renew * outside_pm[t]) / (1.0 + renew + step_s * washout[t])
        far_nox[t], far_pm[t] = back_nox + box_nox, back_pm + box_pm

        calm = 1.0 / (1.0 + (wind / _TURNING_M_S) * (wind / _TURNING_M_S))
        angle = (wind_from[t] % 360.0) * directions / 360.0
        first = int(angle) % directions
        second, turn = (first + 1) % directions, angle - int(angle)
        low = 0 if height < _NEUTRAL_M else 1
        if low == 0:
            lift = min(max((height - _STABLE_M) / (_NEUTRAL_M - _STABLE_M), 0.0), 1.0)
        else:
            lift = min((height - _NEUTRAL_M) / (_UNSTABLE_M - _NEUTRAL_M), 1.0)
        for s in range(stations):
            at_nox, at_pm = 0.0, 0.0
            for link in range(links):
                reach = 0.0
                for c, share in ((low, 1.0 - lift), (low + 1, lift)):
                    straight = (1.0 - turn) * reaches[c, first, s, link] + turn * reaches[c, second, s, link]
                    reach += share * ((1.0 - calm) * straight + calm * anyhow[c, s, link])
                at_nox += reach * nox[t, link]
                at_pm += reach * pm25[t, link]
            near_nox[t, s], near_pm[t, s] = at_nox / wind, at_pm / wind
    return near_nox, near_pm, far_nox, far_pm
