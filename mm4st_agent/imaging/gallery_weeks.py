"""The weeks that the gallery draws: one that was measured, and a sine, a trend, an incident and a gap, made up."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from mm4st_agent.data.card import Channel, DataCard
from mm4st_agent.data.panel import Panel
from mm4st_agent.data.registry import Registry

STEPS_PER_DAY = 288
WEEK = 7 * STEPS_PER_DAY
THURSDAY = 3 * STEPS_PER_DAY
INCIDENT_AT, INCIDENT_STEPS = THURSDAY + 100, 40
GAP_AT, GAP_STEPS = THURSDAY, 350
REAL = "pems-orange"
CITY = "demo city"

_SENSORS = 32
_KM_PER_DEGREE = 111.195
_CARD = DataCard(
    name="made-up",
    title="A made-up road of 32 sensors",
    source="mm4st_agent.imaging.gallery_weeks",
    licence="CC0-1.0",
    channels=(Channel(name="speed", unit="km/h", title="speed"),),
    synthetic=True,
)

Array = NDArray[np.float32]


@dataclasses.dataclass(frozen=True, slots=True)
class Week:
    """Monday to Sunday in 5-minute steps.

    Attributes:
        title: The heading, such as 'sine'.
        panel: All nodes of the main channel.
        node: Id of the one that pictures of one series show.
        mapped: What a raster shows: `panel`, or another one where its nodes have no coordinates.
        usual: `(WEEK,)` what is usual at the node, in the unit of the channel; None where no other week is known.
    """

    title: str
    panel: Panel
    node: str
    mapped: Panel
    usual: Array | None = None

    @property
    def mapped_title(self) -> str:
        """The heading of a raster."""
        return self.title if self.mapped is self.panel else CITY

    @property
    def series(self) -> Array:
        """`(WEEK,)` measured readings of the node; NaN is missing or imputed."""
        return np.ascontiguousarray(self.network[self.panel.position(self.node)])

    @property
    def network(self) -> Array:
        """`(N, WEEK)` measured readings of all nodes; NaN is missing or imputed."""
        return np.ascontiguousarray(self.panel.observed().T)


def made_weeks() -> list[Week]:
    """A sine, a trend, an incident and a gap on a road whose sensors are numbered at random, as in most data sets."""
    rng = np.random.default_rng(0)
    step = np.arange(WEEK)
    km = rng.permutation(_SENSORS)
    noise = rng.normal(0, 1, (_SENSORS, WEEK))
    waves = 50 + 20 * np.sin(2 * np.pi * (step - 6 * km[:, None]) / STEPS_PER_DAY)
    upwards = 20 + (10 + 2 * km[:, None]) * step / WEEK + noise
    jam = waves + 5 * noise
    for node in range(_SENSORS):
        # It begins at the middle of the road and moves against the traffic.
        if (upstream := _SENSORS // 2 - km[node]) >= 0:
            begins = INCIDENT_AT + 3 * upstream
            jam[node, begins : begins + INCIDENT_STEPS] *= 0.15 + 0.05 * upstream
    gap = waves + noise
    gap[km < _SENSORS // 2, GAP_AT : GAP_AT + GAP_STEPS] = np.nan
    middle, beginning = (int(np.flatnonzero(km == at)[0]) for at in (_SENSORS // 2, 2))
    weeks = []
    for title, values in (("sine", waves), ("trend", upwards), ("incident", jam), ("gap", gap)):
        panel = _road(values, km)
        weeks.append(Week(title, panel, panel.node_ids[beginning if title == "gap" else middle], panel))
    return weeks


def measured_week(registry: Registry) -> Week:
    """The most complete Monday to Sunday of the real data set, or of the demo city where its files are not here."""
    name = REAL if registry.available(REAL) else "demo"
    whole, city = registry.open(name).of(), registry.open("demo").of()
    first = _fullest_monday(whole)
    panel = _cut(whole, first)
    fullest = int(np.argmax(np.isfinite(panel.observed()).sum(axis=0)))
    title = "Orange County" if name == REAL else CITY
    mapped = _cut(city, _fullest_monday(city))
    # Holidays and all: what the same times of the other weeks were like.
    others = [whole.observed()[at : at + WEEK, fullest] for at in _mondays(whole) if at != first]
    count = np.isfinite(others).sum(axis=0)
    usual = np.divide(np.nansum(others, axis=0), count, out=np.full(WEEK, np.nan), where=count > 0).astype(np.float32)
    return Week(title, panel, panel.node_ids[fullest], mapped, usual)


def _road(values: NDArray[np.float64], km: NDArray[np.int64]) -> Panel:
    """`(32, WEEK)` values as a panel of a winding road with a sensor a kilometre."""
    ids = np.array([f"S{number:02d}" for number in range(_SENSORS)], dtype=object)
    along = ids[np.argsort(km)]
    data = xr.Dataset(
        {"speed": (("time", "node"), values.T.astype(np.float32), {"units": "km/h"})},
        coords={
            "time": pd.date_range("2024-01-01", periods=WEEK, freq="5min"),
            "node": ids,
            "name": ("node", np.array([f"km {at}" for at in km], dtype=object)),
            "lat": ("node", 47 + 0.05 * np.sin(km / 5)),
            "lon": ("node", 11 + km / (_KM_PER_DEGREE * np.cos(np.radians(47)))),
        },
    )
    return Panel(_CARD, data, pd.DataFrame({"source": along[:-1], "target": along[1:], "weight": 1.0}))


def _mondays(panel: Panel) -> list[int]:
    """Where weeks begin that are whole."""
    times = panel.times
    starts = np.flatnonzero((times.day_of_week == 0) & (times.hour == 0) & (times.minute == 0))
    return [int(start) for start in starts if start + WEEK <= len(times)]


def _fullest_monday(panel: Panel) -> int:
    measured = np.isfinite(panel.observed()).sum(axis=1)
    return max(_mondays(panel), key=lambda start: int(measured[start : start + WEEK].sum()))


def _cut(panel: Panel, first: int) -> Panel:
    return dataclasses.replace(panel, data=panel.data.isel(time=slice(first, first + WEEK)))
