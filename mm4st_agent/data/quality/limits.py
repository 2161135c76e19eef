"""What a quantity cannot physically be, by its unit and its name. What is not in the table has no limits."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mm4st_agent.data.card import Channel


@dataclass(frozen=True)
class Limits:
    """Lowest and highest possible value, in the channel's own unit; None is no limit."""

    low: float | None
    high: float | None


# Units are compared in lower case, with '³' for '^3' or '3' and the micro sign as 'u'. Where a unit serves
# several quantities, the name of the channel must hold one of the words.
_TABLE: tuple[tuple[str, str, Limits], ...] = (
    # Road traffic. No road vehicle in ordinary traffic is faster; legal limits end at 140 km/h.
    (r"mph|mi/h", r"speed|velocity", Limits(0, 125)),
    (r"km/h|kph|kmh", r"speed|velocity", Limits(0, 200)),
    (r"1|", r"occupancy", Limits(0, 1)),
    (r"%|percent|per cent", r"occupancy|humidity|^rh$|cloud cover", Limits(0, 100)),
    # Weather: World Meteorological Organization, World Weather and Climate Extremes Archive.
    (r"°c|degc|celsius|c", r"temp|dew", Limits(-89.2, 56.7)),
    (r"°f|degf|fahrenheit|f", r"temp|dew|tmax|tmin|^t$", Limits(-128.6, 134.1)),
    (r"m/s", r"wind|gust|wspm", Limits(0, 113.2)),
    (r"hpa|mbar|mb", r"pres", Limits(300, 1089.4)),
    (r"mm", r"rain|precip", Limits(0, 1825)),
    (r"mm/h", r"rain|precip", Limits(0, 305)),
    (r"in|inch|inches|in/day", r"rain|precip", Limits(0, 71.9)),
    # Air. Generous: beyond the range of ambient instruments; dust storms do carry thousands of µg/m³ of PM10.
    (r"ug/m³", r"pm_?2[._]?5", Limits(0, 1500)),
    (r"ug/m³", r"pm_?10", Limits(0, 10_000)),
    (r"ug/m³", r"^co$|carbon monoxide", Limits(0, 58_000)),
    (r"ug/m³", r"^(no|no2|nox|o3|so2)$|ozone|oxide", Limits(0, 5_000)),
    (r"ppm|ppb|ug/m³|mg/m³", r"", Limits(0, None)),
    # Counts. The most that a road can carry is taken as ten lanes of 2,500 vehicles an hour; the Highway Capacity
    # Manual has 2,400 for one lane of a freeway.
    (r"(vehicles?|veh|requests?|tokens?|trips?|visits?|people|passengers?|bikes?|counts?)(/.*| per .*)?", r"",
     Limits(0, None)),
)  # fmt: skip
_LANES_FULL_PER_H = 25_000.0
_PER_TIME = re.compile(r"veh(?:icles?)?\s*(?:/|per)\s*(\d*)\s*(s|min|h|hour|minutes)\b")
_HOURS = {"s": 1 / 3600, "min": 1 / 60, "minutes": 1 / 60, "h": 1.0, "hour": 1.0}


def limits_of(channel: Channel) -> Limits:
    """The limits of a channel; none where its unit or name is unknown.

    >>> limits_of(Channel(name="flow", unit="vehicles/5 min")).high
    2083.0
    """
    unit = _plain_unit(channel.unit)
    words = f"{channel.name} {channel.title}".lower()
    for units, named, limits in _TABLE:
        if re.fullmatch(units, unit) and any(re.search(named, word) for word in (words, channel.name.lower())):
            per = _PER_TIME.fullmatch(unit)
            if per is not None:
                return Limits(0, float(round(_LANES_FULL_PER_H * int(per[1] or 1) * _HOURS[per[2]])))
            return limits
    return Limits(None, None)


def _plain_unit(unit: str) -> str:
    plain = unit.strip().lower().replace("µ", "u").replace("μ", "u")
    return re.sub(r"/m(\^3|3)$", "/m³", plain)
