"""What a column's name says: the quantity, its unit, whether it is weather or calendar, whether zero is ordinary."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from typing import Literal


@dataclasses.dataclass(frozen=True, slots=True)
class Quantity:
    """A measured quantity that many files name alike.

    Attributes:
        key: The same for all its names.
        names: Lower case, words joined by '_'.
        unit: By convention; '' is dimensionless, None must be stated. '{step}' stands for the time step.
        title: In plain words.
        zero: Whether an exact zero is an ordinary reading; None lets the values decide.
        aggregation: How values add up over time.
        role: 'covariate' acts on what is measured elsewhere (weather, calendar).
        ahead: A covariate that is known ahead, such as a calendar.
    """

    key: str
    names: tuple[str, ...]
    unit: str | None
    title: str
    zero: bool | None = None
    aggregation: Literal["sum", "mean"] = "mean"
    role: Literal["channel", "covariate"] = "channel"
    ahead: bool = False


def _weather(key: str, names: str, unit: str | None, title: str, zero: bool | None = True) -> Quantity:
    return Quantity(key, tuple(names.split()), unit, title, zero, role="covariate")


def _calendar(key: str, names: str) -> Quantity:
    return Quantity(key, tuple(names.split()), "", key.replace("_", " "), True, role="covariate", ahead=True)


def _gas(key: str, names: str, title: str) -> Quantity:
    return Quantity(key, tuple(names.split()), "µg/m³", title)


def _count(key: str, names: str, unit: str | None, title: str) -> Quantity:
    return Quantity(key, tuple(names.split()), unit, title, True, "sum")


QUANTITIES = (
    _count("flow", "flow traffic_flow volume traffic_volume vehicle_count vehicles", "vehicles/{step}",
           "traffic flow"),
    _count("count", "count counts trips rides demand ridership passengers pickups dropoffs inflow outflow", None,
           "count"),
    _count("requests", "requests request_count num_requests invocations", "requests/{step}", "requests"),
    Quantity("speed", ("speed", "speeds", "avg_speed", "mean_speed", "average_speed", "velocity", "speed_mph",
                       "speed_kmh"), None, "speed"),
    Quantity("occupancy", ("occupancy", "occ", "avg_occupancy"), None, "occupancy", True),
    Quantity("travel_time", ("travel_time", "traveltime"), None, "travel time"),
    _gas("pm25", "pm2.5 pm25 pm2_5", "PM2.5"),
    _gas("pm10", "pm10 pm_10", "PM10"),
    _gas("so2", "so2", "sulphur dioxide"),
    _gas("no2", "no2", "nitrogen dioxide"),
    _gas("nox", "nox", "nitrogen oxides"),
    _gas("no", "nitric_oxide", "nitric oxide"),
    _gas("co", "co", "carbon monoxide"),
    _gas("o3", "o3 ozone", "ozone"),
    Quantity("aqi", ("aqi",), "", "air quality index"),
    Quantity("cpu", ("cpu", "cpu_utilization", "cpu_usage", "cpu_util", "cpu_percent"), "%", "CPU utilisation", True),
    Quantity("memory", ("memory", "mem", "memory_usage", "mem_util", "memory_percent"), None, "memory use", True),
    Quantity("latency", ("latency", "response_time", "latency_ms"), None, "latency"),
    Quantity("network", ("network_in", "network_out", "net_in", "net_out", "network"), None, "network traffic", True),
    Quantity("disk", ("disk_write_bytes", "disk_read_bytes", "disk_io"), None, "disk traffic", True),
    Quantity("power", ("power", "load", "energy", "consumption", "electricity"), None, "power", True),
    _weather("temperature", "temp temperature air_temperature tmax tmin maxtemp mintemp t2m", "°C", "air temperature"),
    _weather("dew_point", "dewp dew_point dewpoint", "°C", "dew point"),
    _weather("pressure", "pres pressure air_pressure mslp", "hPa", "air pressure", False),
    _weather("humidity", "humidity relative_humidity rh hum", "%", "relative humidity", False),
    dataclasses.replace(
        _weather("rain", "rain rainfall precip precipitation prcp", "mm", "rain"), aggregation="sum"
    ),
    dataclasses.replace(_weather("snow", "snow snowfall", "mm", "snow"), aggregation="sum"),
    _weather("wind_speed", "wspm wind_speed windspeed wspd ws wind", "m/s", "wind speed"),
    _weather("wind_direction", "wd wdir wind_direction wind_dir winddirection", "°", "wind direction"),
    _weather("visibility", "visibility vis", None, "visibility"),
    _weather("radiation", "radiation solar_radiation ghi irradiance", "W/m²", "solar radiation"),
    _weather("cloud_cover", "cloud_cover clouds cloudiness", None, "cloud cover"),
    _calendar("holiday", "holiday is_holiday holidays school_holiday public_holiday"),
    _calendar("weekend", "weekend is_weekend workday is_workday working_day"),
    _calendar("day_of_week", "day_of_week weekday dayofweek dow"),
    _calendar("hour_of_day", "hour_of_day time_of_day tod"),
)  # fmt: skip

COORDINATES = {
    "lat": "lat", "latitude": "lat", "lon": "lon", "lng": "lon", "long": "lon", "longitude": "lon",
}  # fmt: skip
COUNTERS = ("no", "no.", "index", "row", "row_number", "unnamed:_0", "unnamed_0")
"""What a column that only numbers the rows is called."""

_BY_NAME = {name: quantity for quantity in QUANTITIES for name in quantity.names}
_UNITS = {
    "km/h": "km/h", "kmh": "km/h", "kph": "km/h", "kmph": "km/h", "mph": "mph", "mi/h": "mph", "m/s": "m/s",
    "c": "°C", "°c": "°C", "degc": "°C", "celsius": "°C", "f": "°F", "°f": "°F", "degf": "°F", "fahrenheit": "°F",
    "k": "K", "hpa": "hPa", "mbar": "hPa", "pa": "Pa", "kpa": "kPa", "mm": "mm", "cm": "cm", "in": "in", "inch": "in",
    "m": "m", "km": "km", "mi": "mile", "%": "%", "percent": "%", "ug/m3": "µg/m³", "µg/m3": "µg/m³",
    "μg/m3": "µg/m³", "ug/m³": "µg/m³", "µg/m³": "µg/m³", "μg/m³": "µg/m³", "mg/m3": "mg/m³", "mg/m³": "mg/m³",
    "ppm": "ppm", "ppb": "ppb", "ms": "ms", "s": "s", "sec": "s", "min": "min", "h": "h", "w": "W", "kw": "kW",
    "mw": "MW", "kwh": "kWh", "mwh": "MWh", "v": "V", "w/m2": "W/m²", "w/m²": "W/m²", "deg": "°", "°": "°",
    "bytes": "bytes", "b": "bytes", "kb": "kB", "mb": "MB", "gb": "GB", "veh/h": "vehicles/h", "vph": "vehicles/h",
    "vehicles/h": "vehicles/h", "vehicles": "vehicles", "vehicles/5 min": "vehicles/5 min", "rpm": "requests/min",
    "veh/5min": "vehicles/5 min", "requests/min": "requests/min", "requests/s": "requests/s", "1/s": "1/s",
    "count": "count",
}  # fmt: skip
_BRACKETS = re.compile(r"(.*\S)\s*[\(\[]\s*([^()\[\]]+?)\s*[\)\]]\s*")
_SUFFIX = re.compile(r"(.+)_(mph|kmh|kph|ms|celsius|percent|hpa|mm|ppb|ppm|pct)$")


def plain(name: str) -> str:
    """A name in lower case, with words joined by '_'."""
    return re.sub(r"[\s\-]+", "_", name.strip().lower())


def split_unit(name: str) -> tuple[str, str | None]:
    """A header such as 'speed (km/h)' as its name and unit; None where it has no unit that is known.

    >>> split_unit("temp[C]")
    ('temp', '°C')
    >>> split_unit("Main St (north)")
    ('Main St (north)', None)
    """
    match = _BRACKETS.fullmatch(name)
    if match and (unit := canonical_unit(match[2])) is not None:
        return match[1].strip(), unit
    return name.strip(), None


def canonical_unit(text: str) -> str | None:
    """One spelling for a unit; None where it is not known."""
    return _UNITS.get(text.strip().lower().replace(" ", "")) or _UNITS.get(text.strip().lower())


def quantity(name: str) -> Quantity | None:
    """The quantity that a column name means; the whole name must say it, so `flow_12` means none."""
    bare = plain(split_unit(name)[0])
    found = _BY_NAME.get(bare)
    if found is None and (match := _SUFFIX.fullmatch(bare)):
        found = _BY_NAME.get(match[1])
    return found


def unit_in_name(name: str) -> str | None:
    """The unit that a name such as 'speed_mph' or 'speed (km/h)' states."""
    bare, unit = split_unit(name)
    if unit is None and (match := _SUFFIX.fullmatch(plain(bare))) and match[1] in _BY_NAME:
        unit = {"pct": "%", "ms": "m/s" if _BY_NAME[match[1]].key == "wind_speed" else "ms"}.get(
            match[2], canonical_unit(match[2])
        )
    return unit


def quantity_in(text: str) -> Quantity | None:
    """The one quantity that a file's name holds as a word, such as 'los_speed'; None for none or several."""
    words = re.split(r"[^a-z0-9.]+", text.lower())
    found = {_BY_NAME[word].key: _BY_NAME[word] for word in words if len(word) > 2 and word in _BY_NAME}
    channels = [known for known in found.values() if known.role == "channel"] or list(found.values())
    return channels[0] if len(channels) == 1 else None


def repeated_quantity(names: Iterable[str]) -> Quantity | None:
    """The quantity of columns such as speed_1, speed_2: nodes of one quantity; None where it is not the same."""
    keys = {}
    for name in names:
        bare = plain(split_unit(name)[0])
        known = _BY_NAME.get(bare) or _BY_NAME.get(re.sub(r"[_.]?\d+$", "", bare))
        if known is None:
            return None
        keys[known.key] = known
    return next(iter(keys.values())) if len(keys) == 1 else None
