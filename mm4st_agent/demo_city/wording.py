"""Places, times, lanes and things in plain words, and the spelling of people in a hurry."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mm4st_agent.demo_city.network import Network
from mm4st_agent.demo_city.phrases import ABBREVIATIONS
from mm4st_agent.demo_city.records import Cause

_CAPITALS, _TYPO, _HURRIED = 0.03, 0.05, 0.06
"""Shares of the texts that are all in capitals, have a typo, or are abbreviated."""
_NARROWING = 0.749
"""A degree of longitude over a degree of latitude, at 41.5 degrees north."""


class Places:
    """What people call the city's places, and which sensor is near."""

    def __init__(self, network: Network) -> None:
        self._links, self._junctions, self._venues = network.links, network.junctions["name"], network.venues
        self._sensors = network.links[network.links["sensor"]]

    def words_of(self, link: str) -> tuple[dict[str, str], str]:
        """The fields `road`, `spot` and `direction` of a link, and its place in words."""
        entry = self._links.loc[link]
        road, direction = str(entry["road"]), str(entry["direction"])
        spot = str(entry["name"]).removesuffix(direction).strip()
        if spot == road:
            spot = str(self._junctions[entry["target"]])
        fields = {"road": road, "spot": spot, "direction": direction, "Direction": capital(direction)}
        return fields, f"{road} {direction} at {spot}"

    def start_of(self, link: str) -> str:
        """The name of the junction where a link begins."""
        return str(self._junctions[self._links["source"][link]])

    def junction_of(self, venue: str) -> str:
        """The name of the junction by which people reach a venue."""
        return str(self._junctions[self._venues["junction"][venue]])

    def anywhere(self, chance: np.random.Generator) -> str:
        """Some sensed link."""
        return str(self._sensors.index[int(chance.integers(0, len(self._sensors)))])

    def elsewhere(self, link: str, chance: np.random.Generator) -> str:
        """A sensed link of another road."""
        others = self._sensors[self._sensors["road"] != self._links["road"][link]]
        return str(others.index[int(chance.integers(0, len(others)))])

    def nearest(self, link: str) -> str:
        """The link's own sensor, or the one that is nearest to its middle."""
        return link if link in self._sensors.index else self._near(self._links["lat"][link], self._links["lon"][link])

    def sensor_at(self, venue: str) -> str:
        """The sensor that is nearest to a venue."""
        return self._near(self._venues["lat"][venue], self._venues["lon"][venue])

    def closed(self, cause: Cause, link: str, share: float) -> str:
        """What of the road is closed when `share` of its capacity is left, as a clause."""
        return closed_lanes(int(self._links["lanes"][link]), share, works=cause.kind == "works")

    def _near(self, lat: float, lon: float) -> str:
        north = self._sensors["lat"].to_numpy(dtype=np.float64) - lat
        east = (self._sensors["lon"].to_numpy(dtype=np.float64) - lon) * _NARROWING
        return str(self._sensors.index[int(np.argmin(np.round(north * north + east * east, 12)))])


def style(text: str, chance: np.random.Generator) -> str:
    """Now and then all in capitals, with a typo, or abbreviated."""
    draw = chance.random()
    if draw < _CAPITALS:
        return text.upper()
    if draw < _CAPITALS + _TYPO:
        spots = [i for i in range(1, len(text) - 2) if text[i - 1 : i + 3].isalpha() and text[i] != text[i + 1]]
        at = spots[int(chance.integers(0, len(spots)))]
        return text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    if draw < _CAPITALS + _TYPO + _HURRIED:
        for long, short in ABBREVIATIONS:
            text = text.replace(long, short)
    return text


def closed_lanes(lanes: int, share: float, *, works: bool) -> str:
    """What of a road is closed when `share` of its capacity is left, as a clause.

    A closed lane takes more than its share of the capacity, since those who pass it slow down.

    >>> closed_lanes(3, 0.49, works=False)
    'one of three lanes is closed'
    """
    shut = int(lanes * (1.0 - share) + 0.4)
    if share < 0.08:
        return "the road is closed"
    if shut == 0:
        return "the lanes are narrower than usual" if works else "the hard shoulder is blocked"
    if shut >= lanes:
        return "traffic passes in turns"
    numbers = ("no", "one", "two", "three", "four", "five", "six")
    return f"{numbers[shut]} of {numbers[lanes]} lanes {'is' if shut == 1 else 'are'} closed"


def with_article(thing: str) -> str:
    """'collision' becomes 'a collision'; what cannot be counted stays as it is."""
    last = thing.split()[-1].lower()
    if last in ("debris", "works", "ice", "smoke", "flooding") or last.endswith(("s", "ing")):
        return thing
    return ("an " if thing[0].lower() in "aeiou" else "a ") + thing


def capital(text: str) -> str:
    """As at the start of a sentence."""
    return text[0].upper() + text[1:]


def clock(time: pd.Timestamp) -> str:
    """Such as '17:30'."""
    return f"{time.hour:02d}:{time.minute:02d}"


def day(time: pd.Timestamp) -> str:
    """Such as 'Tuesday 16 September', in English whatever the system speaks."""
    return f"{time.day_name()} {time.day} {time.month_name()}"


def day_and_clock(time: pd.Timestamp) -> str:
    """Such as 'Tuesday 16 September, 17:30'."""
    return f"{day(time)}, {clock(time)}"
