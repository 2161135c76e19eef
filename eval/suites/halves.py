"""What keeps the two halves apart: a time range and a stream of chance for each; and the order of a half's items."""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from types import MappingProxyType

import numpy as np
import pandas as pd

from eval.suites.suite import Half, Item
from mm4st_agent.data.panel import Panel

SPANS: Mapping[str, Mapping[Half, tuple[str, str]]] = MappingProxyType(
    {
        "demo": {"dev": ("2025-10-19T06:00", "2025-10-24T22:00"), "test": ("2025-10-25T05:00", "2025-10-30T21:00")},
        "pems-orange": {
            "dev": ("2022-01-23T10:00", "2022-01-25T22:00"),
            "test": ("2022-01-26T05:00", "2022-01-28T22:00"),
        },
        "los-loop": {"dev": ("2012-03-06T05:00", "2012-03-06T22:00"), "test": ("2012-03-07T05:00", "2012-03-07T22:00")},
        "sz-taxi": {"dev": ("2015-01-19T05:00", "2015-01-24T22:00"), "test": ("2015-01-26T05:00", "2015-01-31T22:00")},
        "beijing-air": {
            "dev": ("2015-03-01T00:00", "2015-12-31T12:00"),
            "test": ("2016-03-01T00:00", "2016-12-31T12:00"),
        },
    }
)
"""Local times of clocks and of what came after them; of the data sets with a shipped model, after its training."""


def span_of(panel: Panel, half: Half) -> tuple[pd.Timestamp, pd.Timestamp]:
    """First and last moment of a half, in the zone of the data."""
    first, last = SPANS[panel.name][half]
    return pd.Timestamp(first, tz=panel.zone), pd.Timestamp(last, tz=panel.zone)


def chance_of(*names: str) -> np.random.Generator:
    """Random numbers of their own for what these names name, such as a suite, a half and a data set."""
    return np.random.default_rng(zlib.crc32("/".join(names).encode()))


def clock(moment: pd.Timestamp) -> str:
    """As `as_of` takes it, with the offset."""
    return moment.isoformat(timespec="minutes")


def interleaved(items: Iterable[Item]) -> list[Item]:
    """The items with the kinds spread evenly, so that the first few have about the shares of all."""
    kinds: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        kinds[item.kind].append(item)
    places = [((n + 0.5) / len(group), item) for group in kinds.values() for n, item in enumerate(group)]
    return [item for _, item in sorted(places, key=lambda place: place[0])]
