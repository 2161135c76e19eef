"""Words for quantities: those that name one, those that name all of a domain, and those that only hint at one."""

from __future__ import annotations

from dataclasses import dataclass

QUANTITIES: dict[str, tuple[str, ...]] = {
    "speed": (
        "speed",
        "speeds",
        "fast",
        "faster",
        "fastest",
        "slow",
        "slower",
        "slowest",
        "slowly",
        "slowing",
        "slow-moving",
        "velocity",
        "velocities",
        "mph",
        "km/h",
        "kmh",
        "km/hr",
        "kph",
        "miles an hour",
        "miles per hour",
        "kilometres an hour",
        "kilometres per hour",
        "kilometers per hour",
        "how quick",
        "how quickly",
        "quicker",
        "quickest",
        "pace",
        "crawl",
        "crawling",
        "crawls",
        "at a crawl",
        "swiftly",
    ),
    "flow": (
        "flow",
        "flows",
        "volume",
        "volumes",
        "vehicles",
        "vehicle",
        "cars",
        "car",
        "throughput",
        "veh/h",
        "traffic count",
        "traffic counts",
        "automobiles",
        "motorists",
    ),
    "occupancy": ("occupancy", "occupancies", "occupied"),
    "rain": ("rain", "raining", "rainy", "rainfall", "precipitation"),
    "temperature": ("temperature", "temperatures", "hot", "warm", "cold", "degrees"),
    "wind": ("wind", "windy"),
    "humidity": ("humidity",),
    "snow": ("snow",),
    "fog": ("fog",),
    "sunshine": ("sunny", "sunshine"),
    "price": ("price", "prices", "cost", "costs", "fare", "fares", "toll", "tolls"),
    "capacity": ("capacity",),
    "travel time": (
        "travel time",
        "travel times",
        "journey time",
        "delay",
        "delays",
        "how long does it take",
        "how long do i need",
        "how long will it take",
        "how many minutes does it take",
        "eta",
    ),
    "density": ("density",),
    "lorries": (
        "truck",
        "trucks",
        "lorry",
        "lorries",
        "buses",
        "bicycles",
        "bicycle",
        "bikes",
        "cyclists",
        "pedestrians",
        "walkers",
    ),
    "emissions": ("emissions", "co2", "carbon dioxide"),
    "noise": (
        "noise level",
        "noise levels",
        "decibel",
        "decibels",
        "loud",
        "loudness",
        "street noise",
        "traffic noise",
    ),
    "parking": ("parking", "parking space", "parking spaces", "parking lot"),
    "pm25": (
        "pm2.5",
        "pm25",
        "pm 2.5",
        "fine particles",
        "fine particulate matter",
        "fine dust",
        "fine particle",
        "fine particulates",
    ),
    "pm10": ("pm10", "pm 10", "coarse particles"),
    "no2": ("no2", "nitrogen dioxide", "nitrogen"),
    "ozone": ("ozone", "o3"),
    "so2": ("so2", "sulphur dioxide", "sulfur dioxide"),
    "co": ("carbon monoxide",),
    "aqi": ("aqi", "air quality index"),
    "requests": (
        "requests",
        "reqs",
        "req/min",
        "reqs/min",
        "request rate",
        "request count",
        "request counts",
        "request numbers",
        "request load",
        "request volume",
        "hit rate",
        "queries",
        "information service",
        "info service",
        "travel info",
        "travel information",
        "servers",
        "server load",
    ),
    "tokens": ("tokens",),
    "cpu": ("cpu", "processor"),
    "latency": ("latency", "response time"),
    "replicas": ("replicas",),
    "memory": ("memory",),
}
"""Words that name one quantity; a data set that does not measure it cannot answer."""


UNITS = {
    "°c": "temperature", "°f": "temperature", "degc": "temperature", "celsius": "temperature", "km/h": "speed",
    "mph": "speed", "kph": "speed", "mm": "rain", "mm/h": "rain",
}  # fmt: skip
"""The quantity of a channel whose name and title tell none."""


@dataclass(frozen=True)
class Field:
    """A domain: words that name its quantities in general, these quantities, and what its notes are filed under."""

    domain: str
    words: tuple[str, ...]
    members: tuple[str, ...]
    notes: str


_AIR_WORDS = (
    "air quality", "air pollution", "pollution", "pollutants", "polluted", "smog", "the air", "worst air", "best air",
    "bad air", "clean air", "cleanest air", "dirtiest air",
    "cleaner air", "dirtier air", "better air", "worse air", "fresh air", "good air",
    "air is", "air at", "air in", "air near",
)  # fmt: skip
FIELDS = (
    Field(
        "traffic",
        ("traffic", "jam", "jams", "jammed", "congestion", "congested"),
        ("speed", "flow", "occupancy"),
        "traffic",
    ),
    Field("particles", ("particulate matter", "particulates", "particles", "dust"), ("pm25", "pm10"), "air"),
    Field("air", _AIR_WORDS, ("pm25", "pm10", "no2", "ozone", "so2", "co", "aqi"), "air"),
    Field("weather", ("weather",), ("rain", "temperature", "wind", "humidity", "snow", "fog", "sunshine"), "rain"),
    Field("cloud", (), ("requests", "tokens", "cpu", "latency", "replicas", "memory"), "cloud"),
)
HINTS = {
    "flow": (
        "busy",
        "busier",
        "busiest",
        "quiet",
        "quieter",
        "quietest",
        "carry",
        "many",
        "count",
        "counts",
        "heavy",
        "heavier",
        "heaviest",
        "rammed",
        "packed",
        "empty",
        "emptier",
        "emptiest",
    ),
    "speed": (
        "jam",
        "jams",
        "jammed",
        "congested",
        "congestion",
        "gridlock",
        "gridlocked",
        "standstill",
        "stop-and-go",
        "tailback",
        "tailbacks",
        "moving",
        "stuck in traffic",
        "free-flowing",
        "freely",
        "sluggish",
    ),
    "requests": ("load", "loads", "usage", "demand"),
    "occupancy": ("full", "fuller", "fullest"),
}
"""Words that only hint at a quantity; where it is not measured, the data set's main one is meant."""
GENERAL = frozenset(
    {
        "a", "air", "all", "an", "and", "at", "average", "by", "city", "concentration", "count", "daily", "data",
        "fine", "for", "from", "hourly", "in", "information", "level", "levels", "matter", "mean", "measured", "number",
        "of", "on", "per", "quality", "rate", "service", "services", "the", "time", "to", "total", "traffic", "travel",
        "value", "values", "with",
    }
)  # fmt: skip
"""Words of a channel's title that do not tell it from the others."""
LOW_IS_BAD = frozenset({"speed", "sunshine"})
"""Quantities of which the lowest value is the worst."""
