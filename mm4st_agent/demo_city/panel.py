"""`demo_panel`: four weeks of synthetic traffic whose causes are known, on two crossing roads.

Flow is demand (node, time of day, weekday, school holiday, day level, AR noise) cut by incidents; speed falls
with load, rain and incidents. Everything is drawn from one seed, so the panel is the same on each machine.
"""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from mm4st_agent.data.card import Channel, DataCard
from mm4st_agent.data.events import Event
from mm4st_agent.data.panel import KNOWN_FUTURE, MASK, Panel

CARD = DataCard(
    name="demo",
    title="Port Alder, an invented city (synthetic data)",
    source="Simulated by mm4st_agent.demo_city; no real place, person or measurement",
    licence="CC0-1.0",
    domain="traffic",
    place_word="station",
    time_zone="Europe/Lisbon",
    time_label="start",
    now=datetime(2025, 9, 25, 7, 40),
    channels=(
        Channel(name="flow", unit="vehicles/5 min", title="traffic flow", aggregation="sum", total_unit="vehicles"),
        Channel(name="speed", unit="km/h", title="speed"),
    ),
    synthetic=True,
    notes=(
        "Synthetic: every reading, incident and rain shower is simulated.",
        "Port Alder does not exist; its coordinates lie in the open Atlantic.",
        "School holidays are from 22 to 28 September 2025. About 1 % of the cells are missing, some are imputed.",
    ),
)

Array = NDArray[np.float64]

DAYS, SLOTS = 28, 288
AHEAD_DAYS = 7
"""How far the calendar reaches beyond the readings."""
HOLIDAY_WEEK = 3
_ROADS = (
    ("eastbound", "westbound", ("Harbour Bridge", "Fish Market", "Station Square", "City Hall", "Stadium", "Airport")),
    ("northbound", "southbound", ("South Gate", "University", "Old Town", "Central Park", "Hospital", "Hill Tunnel")),
)
_PER_ROAD = 6
_KINDS = (
    ("Two cars collided at {place}; one of two lanes is blocked.", 0.50, 45),
    ("A lorry broke down at {place}; the right lane is closed.", 0.60, 60),
    ("Debris on the road at {place}; traffic slows down.", 0.75, 25),
    ("Emergency repair of a burst water pipe at {place}; one lane is open.", 0.45, 100),
)
"""Words, share of the flow that still passes, typical minutes."""
_CAPACITY_SHARE = 0.82
"""Demand above this share of a node's peak slows traffic down."""


def demo_panel(seed: int = 7) -> Panel:
    """Simulate 24 stations of an invented city in 5-minute steps, 2025-09-01 .. 2025-09-28.

    Args:
        seed: Same seed, same panel.

    Returns:
        Channels `flow` (vehicles/5 min) and `speed` (km/h), both with about 1 % missing cells (NaN) and some
        imputed ones (mask `imputed`); covariates `rain_mm_h` (mm/h, known only up to now) and `school_holiday`
        (0 or 1, known ahead); edges with `distance` in km; incidents as events.
    """
    rng = np.random.default_rng(seed)
    time = pd.date_range("2025-09-01", periods=DAYS * SLOTS, freq="5min", tz=CARD.time_zone)
    nodes = _nodes()
    edges = _edges(nodes)
    rain = _rain(rng)
    holiday = np.repeat(np.arange(DAYS + AHEAD_DAYS) // 7 == HOLIDAY_WEEK, SLOTS)
    peak = rng.uniform(180, 420, len(nodes))
    demand = _demand(rng, nodes, peak, holiday[: len(time)])
    events, passing, slowing = _incidents(rng, time, nodes, edges)

    flow = rng.poisson(demand * passing).astype(np.float64)
    load = np.clip(demand / peak / _CAPACITY_SHARE, 0, None)
    free_speed = rng.uniform(62, 88, len(nodes))
    wet = 1 - 0.12 * np.clip(rain / 4, 0, 1)[:, None] - 0.05 * (rain > 0)[:, None]
    speed = free_speed / (1 + 0.35 * load**4) * wet * slowing + _ar(rng, demand.shape, 0.7, 1.2)
    speed = np.clip(speed, 4, None).round(1)

    imputed = _fill_outages(rng, flow, speed)
    missing = rng.random(flow.shape) < 0.01
    flow[missing], speed[missing] = np.nan, np.nan
    imputed &= ~missing
    utc = time.tz_convert("UTC").tz_localize(None).as_unit("ns")
    ahead = pd.date_range(utc[0], periods=len(holiday), freq="5min", unit="ns")
    return Panel(
        card=CARD,
        data=xr.Dataset(
            {
                c.name: (("time", "node"), values.astype(np.float32), {"units": c.unit, MASK: "imputed"})
                for c, values in zip(CARD.channels, (flow, speed), strict=True)
            },
            coords={
                "time": utc,
                "node": nodes.index.to_numpy(dtype=object),
                **{name: ("node", nodes[name].to_numpy(dtype=object if name in _TEXT else None)) for name in nodes},
            },
        ).assign(imputed=(("time", "node"), imputed)),
        edges=edges,
        events=events,
        covariates=xr.Dataset(
            {
                "rain_mm_h": (
                    "time",
                    np.concatenate([rain, np.full(len(ahead) - len(rain), np.nan)]).astype(np.float32),
                    {"units": "mm/h", "long_name": "rain", KNOWN_FUTURE: False},
                ),
                "school_holiday": (
                    "time",
                    holiday.astype(np.float32),
                    {"units": "1", "long_name": "school holiday", KNOWN_FUTURE: True},
                ),
            },
            coords={"time": ahead},
        ),
    )


_TEXT = ("name", "kind", "road", "direction")


def _nodes() -> pd.DataFrame:
    """24 stations: six places on each road, both directions, numbered along the direction of travel."""
    rows = []
    for road, (forth, back, places) in enumerate(_ROADS):
        for direction in (forth, back):
            ordered = places if direction == forth else places[::-1]
            for place in ordered:
                along = 0.013 * (places.index(place) - 2.5)
                side = 0.0008 if direction == forth else -0.0008
                lat, lon = (41.5 - side, -12.0 + 1.3 * along) if road == 0 else (41.5 + along, -12.0 + side)
                rows.append(
                    {
                        "name": f"{place} {direction}",
                        "kind": "road station",
                        "lat": round(lat, 5),
                        "lon": round(lon, 5),
                        "road": ("Harbour Road", "Park Avenue")[road],
                        "direction": direction,
                    }
                )
    return pd.DataFrame(rows, index=[f"D{number:02d}" for number in range(1, len(rows) + 1)])


def _edges(nodes: pd.DataFrame) -> pd.DataFrame:
    """Along each direction, and turns where the roads cross (between the third and fourth place)."""
    ids = nodes.index.to_numpy()
    links = [(start + i, start + i + 1) for start in range(0, len(ids), _PER_ROAD) for i in range(_PER_ROAD - 1)]
    before, after = (2, 8, 14, 20), (3, 9, 15, 21)
    links += [(a, b) for a in before for b in after if (a // 12) != (b // 12)]
    source, target = np.array(links).T
    distance = _km(nodes, source, target)
    return pd.DataFrame(
        {
            "source": ids[source],
            "target": ids[target],
            "weight": np.exp(-((distance / distance.max()) ** 2)),
            "distance": distance.round(3),
        }
    )


def _km(nodes: pd.DataFrame, source: NDArray[np.intp], target: NDArray[np.intp]) -> Array:
    lat, lon = nodes["lat"].to_numpy(), nodes["lon"].to_numpy()
    north = 111.2 * (lat[target] - lat[source])
    east = 111.2 * np.cos(np.radians(41.5)) * (lon[target] - lon[source])
    return np.asarray(np.hypot(north, east), dtype=np.float64)


def _rain(rng: np.random.Generator) -> Array:
    """`(T,)` mm/h: dry spells and showers of some hours."""
    rain = np.zeros(DAYS * SLOTS)
    for start in np.sort(rng.choice(DAYS * 24, size=18, replace=False)) * 12:
        hours = int(rng.integers(1, 7))
        amount = np.repeat(rng.gamma(2.0, 1.2, hours), 12)[: len(rain) - start]
        rain[start : start + len(amount)] = amount
    return rain.round(1)


def _demand(rng: np.random.Generator, nodes: pd.DataFrame, peak: Array, holiday: NDArray[np.bool_]) -> Array:
    """`(T, N)` vehicles/5 min that want to pass."""
    hour = np.arange(SLOTS)[:, None] / 12
    inbound = np.isin(nodes["direction"], ["eastbound", "northbound"])
    morning = np.where(inbound, 1.0, 0.6) * np.exp(-(((hour - 8) / 1.3) ** 2))
    evening = np.where(inbound, 0.6, 1.0) * np.exp(-(((hour - 17.3) / 1.7) ** 2))
    midday = 0.38 * np.exp(-(((hour - 13) / 4.5) ** 4))
    workday = 0.06 + 0.5 * morning + 0.5 * evening + midday
    weekend = 0.07 + 0.5 * np.exp(-(((hour - 14.5) / 4.2) ** 2))
    shape = np.where((np.arange(DAYS) % 7 >= 5)[:, None, None], weekend, workday)
    shape[np.arange(DAYS) % 7 == 4] *= 1.05
    level = 1 + 0.05 * rng.standard_normal((DAYS, 1, 1)) + 0.03 * rng.standard_normal((DAYS, 1, len(nodes)))
    demand = (shape * level).reshape(-1, len(nodes))
    early = (np.arange(len(demand)) % SLOTS < 10 * 12) & holiday
    demand = demand * np.where(early, 0.75, 1.0)[:, None] * np.exp(_ar(rng, demand.shape, 0.9, 0.025))
    return np.asarray(demand * peak, dtype=np.float64)


def _ar(rng: np.random.Generator, shape: tuple[int, ...], memory: float, scale: float) -> Array:
    """First-order autoregressive noise along time, with innovations of `scale`."""
    from scipy.signal import lfilter  # half a second to import, and only the demo needs it

    return np.asarray(lfilter([scale], [1, -memory], rng.standard_normal(shape), axis=0), dtype=np.float64)


def _incidents(
    rng: np.random.Generator, time: pd.DatetimeIndex, nodes: pd.DataFrame, edges: pd.DataFrame
) -> tuple[tuple[Event, ...], Array, Array]:
    """Incidents between 06:00 and 21:00, and the factors `(T, N)` on flow and on speed.

    An incident cuts both at its node; 10 minutes later and weaker at each node one step upstream, and
    again at two steps. It fades within about 20 minutes after its end.
    """
    passing, slowing = np.ones((len(time), len(nodes))), np.ones((len(time), len(nodes)))
    upstream = {node: edges.loc[edges["target"] == node, "source"].tolist() for node in nodes.index}
    days = np.sort(rng.integers(0, DAYS, 48))
    events = []
    for number, day in enumerate(days, start=1):
        node = str(rng.choice(nodes.index))
        words, factor, typical = _KINDS[rng.choice(len(_KINDS), p=[0.4, 0.25, 0.25, 0.1])]
        first = int(day * SLOTS + rng.integers(6 * 12, 21 * 12))
        minutes = int(5 * round(typical * rng.lognormal(0, 0.35) / 5)) + 5
        place = str(nodes.loc[node, "name"])
        events.append(
            Event(
                id=f"demo-{number:03d}",
                text=words.format(place=place),
                start=time[first],
                end=time[first] + pd.Timedelta(minutes=minutes),
                published_at=time[first] + pd.Timedelta(minutes=int(rng.integers(3, 13))),
                source="Port Alder traffic desk (synthetic)",
                node=node,
                place=place,
                distance=0.0,
                distance_unit="km",
            )
        )
        reached = {node: 0}
        for hop in (1, 2):
            for near in [n for n, h in reached.items() if h == hop - 1]:
                reached.update({n: hop for n in upstream[near] if n not in reached})
        for name, hop in reached.items():
            pulse = _pulse(len(time), first + 2 * hop, minutes // 5)
            column = nodes.index.get_loc(name)
            passing[:, column] *= 1 - (1 - factor) * 0.6**hop * pulse
            slowing[:, column] *= 1 - (1 - factor * 0.8) * 0.7**hop * pulse
    return tuple(sorted(events, key=lambda event: event.start)), passing, slowing


def _pulse(steps: int, first: int, length: int) -> Array:
    """1 from `first` for `length` steps, then fading to nothing."""
    pulse = np.zeros(steps)
    pulse[first : first + length] = 1
    tail = np.exp(-np.arange(1, 13) / 4)[: max(0, steps - first - length)]
    pulse[first + length : first + length + len(tail)] = tail
    return pulse


def _fill_outages(rng: np.random.Generator, flow: Array, speed: Array) -> NDArray[np.bool_]:
    """Fill six outages of some hours with the node's own mean for the slot, in place; return the mask."""
    imputed = np.zeros(flow.shape, dtype=bool)
    for column in rng.choice(flow.shape[1], size=6, replace=False):
        first = int(rng.integers(SLOTS, len(flow) - 2 * SLOTS))
        imputed[first : first + int(rng.integers(6 * 12, 24 * 12)), column] = True
    for values in (flow, speed):
        kept = np.where(imputed, np.nan, values).reshape(DAYS, SLOTS, -1)
        mean = np.tile(np.nanmean(kept, axis=0), (DAYS, 1))
        values[imputed] = mean[imputed].round(1)
    return imputed
