from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mm4st_agent.demo_city.network import Network, build_network
from mm4st_agent.demo_city.probes import MOST_FIXES, trajectories
from mm4st_agent.demo_city.records import Traffic

ZONE = "Europe/Lisbon"


@pytest.fixture
def network() -> Network:
    return build_network()


@pytest.fixture
def day() -> pd.DatetimeIndex:
    return pd.date_range("2025-09-15", periods=288, freq="5min", tz=ZONE)


def traffic(network: Network, steps: int, share: float = 1.0) -> Traffic:
    speed = np.tile(share * network.links["free_speed_kmh"].to_numpy(dtype=float), (steps, 1))
    return Traffic(speed, speed, np.full(speed.shape, 10.0), np.zeros(speed.shape))


def metres(table: pd.DataFrame, lat: float | pd.Series, lon: float | pd.Series) -> pd.Series:
    return np.hypot((table["lat"] - lat) * 111_200, (table["lon"] - lon) * 111_200 * 0.749)


def test_each_probe_reports_every_half_minute_or_minute(network: Network, day: pd.DatetimeIndex) -> None:
    table = trajectories(network, traffic(network, 288), day, seed=7, count=200)

    assert list(table.columns) == ["object", "time", "lat", "lon"]
    assert table["object"].nunique() == 200
    assert table["object"].iloc[0] == "probe-0001"
    assert str(table["time"].dt.tz) == ZONE
    gaps = table.groupby("object")["time"].diff().dropna().dt.total_seconds()
    last = table.groupby("object").cumcount(ascending=False) == 0
    on_the_way = gaps[~last[gaps.index]]
    assert on_the_way.between(29, 61).all()
    assert (gaps > 0).mean() > 0.99
    assert gaps.max() <= 61
    assert table.groupby("object").size().max() <= MOST_FIXES + 1
    assert table["time"].between(day[0], day[-1] + pd.Timedelta(minutes=5)).all()


def test_fixes_lie_on_the_network(network: Network, day: pd.DatetimeIndex) -> None:
    table = trajectories(network, traffic(network, 288), day, seed=7, count=50)
    ends = [network.junctions.loc[network.links[end], ["lat", "lon"]].to_numpy() for end in ("source", "target")]
    middle = network.links[["lat", "lon"]].to_numpy()
    scale = np.array([111_200, 111_200 * 0.749])

    def nearest(fix: np.ndarray) -> float:
        best = np.inf
        for start, end in ((ends[0], middle), (middle, ends[1])):
            a, b = (start - fix) * scale, (end - fix) * scale
            along = b - a
            t = np.clip(-(a * along).sum(1) / (along**2).sum(1), 0, 1)
            best = min(best, np.linalg.norm(a + t[:, None] * along, axis=1).min())
        return best

    assert max(nearest(fix) for fix in table[["lat", "lon"]].to_numpy()) < 18  # 12 m of scatter each way


def test_probes_move_with_the_traffic(network: Network, day: pd.DatetimeIndex) -> None:
    free, slow = (trajectories(network, traffic(network, 288, share), day, seed=7, count=60) for share in (1.0, 0.5))

    def pace(table: pd.DataFrame) -> float:
        """km/h over all steps on the way, as the crow flies from fix to fix."""
        before = table.groupby("object")[["time", "lat", "lon"]].shift()
        way = metres(table, before["lat"], before["lon"])
        return float(3.6 * way.sum() / (table["time"] - before["time"]).dt.total_seconds().sum())

    assert pace(slow) == pytest.approx(0.5 * pace(free), rel=0.08)
    assert 45 < pace(free) < 95


def test_probes_start_when_and_where_people_do(network: Network, day: pd.DatetimeIndex) -> None:
    table = trajectories(network, traffic(network, 288), day, seed=7, count=1500)
    first = table.groupby("object").first()
    hour = first["time"].dt.hour

    assert (hour == 8).sum() > 5 * (hour == 3).sum()
    morning = first[hour.between(6, 8)]
    homes = network.junctions[network.junctions["land_use"].isin(["residential", "outside"])]
    near = [metres(homes, row["lat"], row["lon"]).min() < 30 for _, row in morning.iterrows()]
    assert np.mean(near) > 0.6


def test_a_blocked_road_is_avoided(network: Network, day: pd.DatetimeIndex) -> None:
    clear = traffic(network, 288)
    speed = clear.speed.copy()
    bridges = network.links["road"].isin(["Harbour Bridge", "Mill Bridge"]).to_numpy()
    speed[:, bridges] = 2.0
    jammed = Traffic(clear.flow, speed, clear.density, clear.queue)
    sensors = network.links[bridges]

    def crossings(table: pd.DataFrame) -> int:
        # between a quarter and three quarters of the way over
        return sum(int((metres(table, s["lat"], s["lon"]) < 350).sum()) for _, s in sensors.iterrows())

    with_jam = crossings(trajectories(network, jammed, day, seed=7, count=400))
    assert with_jam < 0.2 * crossings(trajectories(network, clear, day, seed=7, count=400))


def test_the_same_seed_drives_the_same_way(network: Network, day: pd.DatetimeIndex) -> None:
    one, two, other = (trajectories(network, traffic(network, 288), day, seed=s, count=20) for s in (7, 7, 8))

    pd.testing.assert_frame_equal(one, two)
    assert not one["lat"].head(20).equals(other["lat"].head(20))
