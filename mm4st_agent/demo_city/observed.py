"""The panel that the city's operators have: what sensors show and texts say, without the truth behind them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from mm4st_agent.data.events import Event
from mm4st_agent.data.panel import KNOWN_FUTURE, MASK, Panel
from mm4st_agent.demo_city.city import SERVICE as SERVICE_ID
from mm4st_agent.demo_city.city import City
from mm4st_agent.demo_city.draws import is_school_holiday
from mm4st_agent.demo_city.network import Network
from mm4st_agent.demo_city.panel import AIR, CARD, ROAD, SERVICE
from mm4st_agent.demo_city.probes import trajectories
from mm4st_agent.demo_city.records import Text
from mm4st_agent.demo_city.sensors import measure

AHEAD_DAYS = 7
"""How far the calendar reaches beyond the readings."""
NEAR_KM = 2.5
"""Distance between neighbours at which an edge weighs a half."""
OUTAGES = {ROAD: (7, 6), AIR: (2, 1), SERVICE: (0, 0)}
"""How many stations of a kind had an outage that was filled, and how many one that stays missing."""


def observe(city: City) -> Panel:
    """Measure the city.

    Args:
        city: Simulated when this reads it.

    Returns:
        The panel whose parts `panel.demo_panel` describes; all in memory.
    """
    nodes = _nodes(city)
    truth = {
        ROAD: {"flow": city.traffic.flow, "speed": city.traffic.speed},
        AIR: {"pm25": city.air["pm25"], "no2": city.air["no2"]},
        SERVICE: {"requests": city.requests[:, None]},
    }
    kind = nodes["kind"].to_numpy()
    blank = np.full((len(city.time), len(nodes)), np.nan)
    imputed = np.zeros(blank.shape, dtype=bool)
    arrays = {}
    for sort, channels in truth.items():
        filled, broken = OUTAGES[sort]
        here = np.flatnonzero(kind == sort)
        shown_here = measure(city.seed, channels, nodes.index[here].tolist(), filled, broken)
        for channel, readings in shown_here.items():
            arrays[channel] = blank.copy()
            arrays[channel][:, here] = readings.values
            imputed[:, here] |= readings.imputed
    utc = city.time.tz_convert("UTC").tz_localize(None).as_unit("ns")
    return Panel(
        card=CARD,
        data=xr.Dataset(
            {
                c.name: (("time", "node"), arrays[c.name].astype(np.float32), {"units": c.unit, MASK: "imputed"})
                for c in CARD.channels
            },
            coords={
                "time": utc,
                "node": nodes.index.to_numpy(dtype=object),
                **{str(name): ("node", column.to_numpy()) for name, column in nodes.items()},
            },
        ).assign(imputed=(("time", "node"), imputed)),
        edges=_edges(city.network),
        events=tuple(sorted(map(_event, city.texts), key=lambda event: (event.start, event.published_at, event.id))),
        covariates=_covariates(city, utc),
        static=_layers(city.network),
        trajectories=trajectories(city.network, city.traffic, city.time, city.seed),
    )


def _nodes(city: City) -> pd.DataFrame:
    """Road stations, air stations, the service; what a kind does not have is '' or NaN."""
    links, stations, centre = city.network.links, city.air_stations, city.network.junctions.loc["J03"]
    columns = ["name", "kind", "lat", "lon", "road", "direction", "lanes", "land_use"]
    road = links.assign(kind=ROAD)[columns]
    air = stations.assign(road="", direction="", lanes=np.nan)[columns]
    service = pd.DataFrame(
        [("Travel information service", SERVICE, centre["lat"], centre["lon"], "", "", np.nan, "business")],
        index=[SERVICE_ID],
        columns=columns,
    )
    table = pd.concat([road.astype({"lanes": float}), air, service])
    texts = [name for name in columns if name not in ("lat", "lon", "lanes")]
    return table.astype({**dict.fromkeys(texts, object), "lat": float, "lon": float})


def _edges(network: Network) -> pd.DataFrame:
    """From each link to those that it leads into, but not back; distance between their sensors along the road."""
    links = network.links
    rows = [
        (first, then, round((links["length_km"][first] + links["length_km"][then]) / 2, 3))
        for first in links.index
        for then in links.index[links["source"] == links["target"][first]]
        if links["target"][then] != links["source"][first]
    ]
    table = pd.DataFrame(rows, columns=["source", "target", "distance"])
    nearness = 1 / (1 + (table["distance"] / NEAR_KM) ** 2)
    return table.assign(weight=nearness.round(6))[["source", "target", "weight", "distance"]]


def _event(text: Text) -> Event:
    return Event(
        id=text.id,
        text=text.text,
        start=text.start,
        end=text.end,
        published_at=text.published_at,
        source=text.source,
        node=text.node,
        place=text.place,
        distance_unit="km",
        end_known=text.end is not None,
        kind=text.kind,
    )


def _covariates(city: City, utc: pd.DatetimeIndex) -> xr.Dataset:
    """Weather up to the end of the readings, the school calendar beyond it."""
    ahead = pd.date_range(utc[0], periods=len(utc) + AHEAD_DAYS * 288, freq=utc[1] - utc[0], unit="ns")
    holiday = is_school_holiday(ahead.tz_localize("UTC").tz_convert(city.time.tz))
    sky = city.weather
    layers = {
        "rain_mm_h": (sky.rain, "mm/h", "rain", False),
        "wind_speed": (sky.wind_speed, "m/s", "wind speed", False),
        "wind_from": (sky.wind_from, "degree", "direction that the wind comes from", False),
        "mixing_height": (sky.mixing_height, "m", "mixing height of the air", False),
        "temperature": (sky.temperature, "°C", "air temperature", False),
        "school_holiday": (holiday, "1", "school holiday", True),
    }
    return xr.Dataset(
        {
            name: (
                "time",
                np.concatenate([values, np.full(len(ahead) - len(values), np.nan)]).astype(np.float32),
                {"units": unit, "long_name": title, KNOWN_FUTURE: known},
            )
            for name, (values, unit, title, known) in layers.items()
        },
        coords={"time": ahead},
    )


def _layers(network: Network) -> dict[str, pd.DataFrame]:
    junctions = network.junctions
    ends = {
        f"{axis}_{end}": junctions.loc[network.links[at], axis].to_numpy()
        for end, at in (("from", "source"), ("to", "target"))
        for axis in ("lat", "lon")
    }
    zones = junctions[junctions["land_use"] != ""]
    return {
        "land_use": zones.reset_index(),
        "road_network": network.links.drop(columns=["lat", "lon", "sensor"]).assign(**ends).reset_index(),
        "venues": network.venues.reset_index(),
    }
