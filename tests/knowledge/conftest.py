"""A tiny panel with a log, cut at will."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mm4st_agent.data.card import Channel, DataCard
from mm4st_agent.data.events import Event
from mm4st_agent.data.panel import Panel

DAY = pd.Timestamp("2024-03-04", tz="UTC")


@pytest.fixture
def log() -> tuple[Event, ...]:
    """Four entries on one day; the last one is by far the best match for 'overturned tanker'."""

    def event(name: str, hour: float, text: str, node: str, hours: float) -> Event:
        start = DAY + pd.Timedelta(hours=hour)
        return Event(name, text, start, start + pd.Timedelta(hours=hours), start, f"log {name}", node, f"at {node}")

    return (
        event("hazard", 6, "1125-Traffic Hazard", "a", 0.5),
        event("works", 7, "Roadworks, right lane closed", "b", 6),
        event("crash", 9, "1179-Trfc Collision-1141 Enrt", "a", 1),
        event("tanker", 15, "Overturned tanker on fire, all lanes closed", "b", 3),
    )


@pytest.fixture
def panel(log: tuple[Event, ...]) -> Panel:
    """A day of hours at three nodes."""
    time = pd.date_range(DAY.tz_localize(None), periods=24, freq="h")
    data = xr.Dataset(
        {"flow": (("time", "node"), np.ones((24, 3)), {"units": "vehicles/h"})},
        coords={"time": time, "node": np.array(["a", "b", "c"], dtype=object)},
    )
    card = DataCard(
        name="tiny", title="Tiny", source="test", licence="none", channels=(Channel(name="flow", unit="vehicles/h"),)
    )
    return Panel(card, data, events=log)
