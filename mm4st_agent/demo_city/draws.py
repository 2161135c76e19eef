"""What happens in the city, drawn from its seed: incidents, road works, concerts and matches, rain, school holidays.

Each thing has random numbers of its own, so that nothing changes when another is taken away.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
import pandas as pd

from mm4st_agent.demo_city.chance import stream
from mm4st_agent.demo_city.network import Network
from mm4st_agent.demo_city.records import Array, Cause, CauseKind
from mm4st_agent.demo_city.weather import rain_spells

INCIDENTS_PER_DAY = 3
"""At most; each comes with a chance of `_INCIDENT_CHANCE`."""
_INCIDENT_CHANCE = (0.85, 0.65, 0.4)
_WEEKEND_CHANCE = 0.6
"""Factor on it on a Saturday or Sunday."""
_HOURS = (6, 7, 8, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 17, 18, 19, 20, 22)
"""An incident begins in one of these hours."""
_WORKS_CHANCE = 0.3
"""Chance that road works begin on a workday."""
_ROUND_THE_CLOCK = ("cable works", "water main renewal", "kerb rebuilding", "tram track removal")
_NO_WORKS = ("Harbour Bridge", "Alder Ring", "City Wall Road", "Port Road", "University Avenue")
"""Nobody works on these roads: the first must not be narrowed, the others have been done."""

HOLIDAYS = (("summer holidays", "2025-06-28", "2025-09-08"), ("autumn break", "2025-10-04", "2025-10-13"))
"""School holidays: first day, and the day on which school begins again."""


class _Incident(NamedTuple):
    words: str
    weight: int
    minutes: tuple[int, int]
    """The shortest and the longest that it takes."""
    blocks: int
    """Lanes; 0 is the hard shoulder."""


_INCIDENTS = (
    _Incident("collision", 4, (30, 95), 1),
    _Incident("broken-down lorry", 3, (35, 110), 1),
    _Incident("broken-down car", 3, (15, 45), 1),
    _Incident("debris on the road", 2, (15, 35), 1),
    _Incident("burst water pipe", 1, (80, 170), 1),
    _Incident("minor accident on the shoulder", 2, (20, 60), 0),
    _Incident("serious collision", 1, (60, 120), 2),
)
_LEFT = {(1, 0): 0.81, (1, 1): 0.30, (2, 0): 0.81, (2, 1): 0.35, (2, 2): 0.18, (3, 0): 0.83, (3, 1): 0.49, (3, 2): 0.17}
"""Share of the capacity that is left by lanes of the road and lanes that are blocked.

Highway Capacity Manual 2010, Exhibit 10-17, for two and three lanes (shoulder accident, one and two blocked). On one
lane, and with two of two blocked, traffic takes turns past the place.
"""


def draw_causes(network: Network, seed: int, start: str, days: int, zone: str) -> tuple[Cause, ...]:
    """All causes in a span.

    Args:
        network: Where they happen.
        seed: Of the city.
        start: First day.
        days: Number of days.
        zone: Time zone of the city.

    Returns:
        Oldest first within each kind; ids count within a kind.
    """
    dates = pd.date_range(start, periods=days, freq="D", tz=zone)
    return (
        *_holidays(dates),
        *_numbered("works", [cause for day in dates for cause in _works(network, seed, day)], 2),
        *_numbered("event", [cause for day in dates for cause in _events(network, seed, day)], 2),
        *rain_spells(seed, dates),
        *_numbered("incident", [cause for day in dates for cause in _incidents(network, seed, day)], 3),
    )


def is_school_holiday(time: pd.DatetimeIndex) -> Array:
    """`(T,)` 1 on days without school, also beyond the drawn span; weekends of term count as term."""
    off = np.zeros(len(time))
    for _, first, back in HOLIDAYS:
        off[(time >= pd.Timestamp(first, tz=time.tz)) & (time < pd.Timestamp(back, tz=time.tz))] = 1.0
    return off


def _numbered(kind: CauseKind, causes: list[Cause], digits: int) -> list[Cause]:
    """Replace the ids by numbers in the order of the starts."""
    ordered = sorted(causes, key=lambda cause: (cause.start, cause.title))
    return [
        Cause(f"{kind}-{n:0{digits}d}", kind, c.title, c.start, c.end, c.link, c.venue, c.capacity_share, c.attendance)
        for n, c in enumerate(ordered, start=1)
    ]


def _holidays(dates: pd.DatetimeIndex) -> list[Cause]:
    spans = [(name, pd.Timestamp(a, tz=dates.tz), pd.Timestamp(b, tz=dates.tz)) for name, a, b in HOLIDAYS]
    after = dates[-1] + pd.Timedelta(days=1)
    inside = [(name, max(a, dates[0]), b) for name, a, b in spans if a < after and b > dates[0]]
    return [Cause(f"holiday-{n}", "holiday", name, a, b) for n, (name, a, b) in enumerate(inside, start=1)]


def _incidents(network: Network, seed: int, day: pd.Timestamp) -> list[Cause]:
    causes = []
    for number in range(INCIDENTS_PER_DAY):
        draw = stream(seed, f"incident/{day:%Y-%m-%d}/{number}")
        chance, place, hour, minute, kind, length = draw.random(6).tolist()
        if chance > _INCIDENT_CHANCE[number] * (_WEEKEND_CHANCE if day.weekday() >= 5 else 1.0):
            continue
        what = [entry for entry in _INCIDENTS for _ in range(entry.weight)][int(kind * _weight())]
        link = network.links.index[int(np.searchsorted(_exposure(network), place, side="right"))]
        lanes = _lanes(network, link)
        blocked = min(what.blocks, lanes)
        begin = day + pd.Timedelta(hours=_HOURS[int(hour * len(_HOURS))], minutes=5 * int(12 * minute))
        shortest, longest = what.minutes
        minutes = 5 * round((shortest + (longest - shortest) * length * length) / 5)
        causes.append(
            Cause(
                id="",
                kind="incident",
                title=f"{what.words} on {_road(network, link)}",
                start=begin,
                end=begin + pd.Timedelta(minutes=minutes),
                link=link,
                capacity_share=_LEFT[lanes, blocked],
            )
        )
    return causes


def _weight() -> int:
    return sum(entry.weight for entry in _INCIDENTS)


@functools.lru_cache(maxsize=4)
def _exposure(network: Network) -> Array:
    """`(L,)` chance that an incident happens on this link or one before it: by lane kilometres and capacity."""
    links = network.links
    total = np.cumsum((links["capacity_vph"] * links["length_km"]).to_numpy())
    return np.asarray((total / total[-1]).round(9), dtype=np.float64)


def _lanes(network: Network, link: str) -> int:
    return int(network.links["lanes"].loc[[link]].iloc[0])


def _road(network: Network, link: str) -> str:
    """Such as 'North Avenue at Guildhall, southbound'."""
    row = network.links.loc[link]
    place = str(row["name"]).removesuffix(f" {row['direction']}")
    return f"{row['road']} at {place}, {row['direction']}" if place != row["road"] else str(row["name"])


def _works(network: Network, seed: int, day: pd.Timestamp) -> list[Cause]:
    """By day between the peaks, by night, or round the clock for some days on one lane."""
    if day.weekday() >= 5:
        return []
    chance, place, kind, length = stream(seed, f"works/{day:%Y-%m-%d}").random(4).tolist()
    if chance > _WORKS_CHANCE:
        return []
    links = network.links
    wide = links.index[(links["lanes"] >= 2) & ~links["road"].isin(_NO_WORKS)]
    link = str(wide[int(place * len(wide))])
    if kind < 0.3:
        words, share, begin, end = "resurfacing", 0.42, _at(day, 9.5), _at(day, 15.5)
    elif kind < 0.5:
        words, share, begin, end = "night works", 0.35, _at(day, 21), _at(day + pd.Timedelta(days=1), 5)
    else:
        last = day + pd.Timedelta(days=2 + int(3 * length))
        words, share, begin, end = "bridge joint repair", 0.64, _at(day, 6), _at(last, 18)
        if "Bridge" not in str(network.links.at[link, "name"]):
            words = _ROUND_THE_CLOCK[int(chance / _WORKS_CHANCE * len(_ROUND_THE_CLOCK))]
    return [Cause("", "works", f"{words} on {_road(network, link)}", begin, end, link=link, capacity_share=share)]


class _Show(NamedTuple):
    weekdays: tuple[int, ...]
    chance: float
    venue: str
    words: tuple[str, ...]
    hour: float
    hours: float
    filled: tuple[float, float]
    """Smallest and largest share of the seats."""


_SHOWS = (
    _Show((5,), 0.6, "Alder Park", ("league match: Port Alder Rovers against {}",), 18.0, 2.0, (0.6, 1.0)),
    _Show((2,), 0.35, "Alder Park", ("cup match: Port Alder Rovers against {}",), 20.0, 2.0, (0.45, 0.85)),
    _Show((3, 4, 5), 0.3, "Quayside Hall", ("concert: {}",), 21.0, 2.5, (0.6, 1.0)),
    _Show((4, 5), 0.35, "Castle Amphitheatre", ("open-air concert: {}",), 20.5, 2.5, (0.5, 1.0)),
    _Show((1, 2, 3), 0.14, "Millfield Fair", ("trade fair: {}",), 9.5, 8.0, (0.6, 1.0)),
    _Show((4, 5, 6), 0.4, "Royal Theatre", ("play: {}",), 20.0, 2.5, (0.5, 1.0)),
)
_NAMES = {
    "Alder Park": ("Corran United", "Fenwick Town", "Saltburn Athletic", "Leighton City", "Marrow Vale", "Eastholm"),
    "Quayside Hall": ("The Paper Lanterns", "Anna Rowe Quartet", "Night Ferry", "City Philharmonic", "Gold Harbour"),
    "Castle Amphitheatre": ("Summer Strings", "The Long Tide", "Brass on the Hill", "Vera Lund"),
    "Millfield Fair": ("Boats and Engines", "Home and Garden", "Timber Days", "Food and Wine"),
    "Royal Theatre": ("The Lighthouse Keeper", "A Winter Crossing", "Two Sisters", "The Clockmaker"),
}


def _events(network: Network, seed: int, day: pd.Timestamp) -> list[Cause]:
    causes = []
    seats = dict(zip(network.venues.index, network.venues["seats"].tolist(), strict=True))
    for number, show in enumerate(_SHOWS):
        chance, name, filled = stream(seed, f"event/{day:%Y-%m-%d}/{number}").random(3).tolist()
        outdoors = show.venue == "Castle Amphitheatre"
        if day.weekday() not in show.weekdays or chance > show.chance or (outdoors and day.month not in (6, 7, 8, 9)):
            continue
        least, most = show.filled
        names = _NAMES[show.venue]
        begin = _at(day, show.hour)
        causes.append(
            Cause(
                id="",
                kind="event",
                title=f"{show.words[0].format(names[int(name * len(names))])} at {show.venue}",
                start=begin,
                end=begin + pd.Timedelta(hours=show.hours),
                venue=show.venue,
                attendance=10 * round(seats[show.venue] * (least + (most - least) * filled) / 10),
            )
        )
    return causes


def _at(day: pd.Timestamp, hour: float) -> pd.Timestamp:
    """An hour of the wall clock, also on a day of 23 or 25 hours."""
    return day.replace(hour=int(hour), minute=round(60 * (hour % 1)))
