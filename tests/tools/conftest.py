"""A small panel that mixes kinds of node, with values that are easy to reckon with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mm4st_agent.data.card import Channel, DataCard
from mm4st_agent.data.events import Event
from mm4st_agent.data.panel import MASK, Panel
from mm4st_agent.data.registry import Registry
from mm4st_agent.forecaster.prediction import Forecaster, forecaster_for, shipped_checkpoints
from mm4st_agent.forecaster.rolling import BaselineForecaster
from mm4st_agent.imaging.store import ImageStore
from mm4st_agent.knowledge.index import KnowledgeIndex
from tools.context import ToolContext

NODES = (
    ("S001", "Harbour Bridge", "road station", 41.500, -12.000),
    ("S002", "Fish Market", "road station", 41.505, -12.000),
    ("S003", "Old Town northbound", "road station", 41.510, -12.000),
    ("S004", "Airport", "road station", 41.560, -12.000),
    ("A01", "Quay Gardens", "air station", 41.502, -12.002),
    ("A02", "Old Town", "air station", 41.511, -12.002),
    ("A03", "University Hill", "air station", 41.530, -12.030),
    ("travel-info", "Travel information", "service", np.nan, np.nan),
)
CHANNELS = (
    Channel(name="flow", unit="vehicles/15 min", title="traffic flow", aggregation="sum", kinds=("road station",)),
    Channel(name="pm25", unit="µg/m³", title="PM2.5", kinds=("air station",)),
    Channel(name="no2", unit="µg/m³", title="nitrogen dioxide", kinds=("air station",)),
    Channel(name="requests", unit="requests/min", title="requests", kinds=("service",)),
)
START, DAYS, PER_DAY = pd.Timestamp("2025-09-01"), 28, 96


def make_mixed() -> Panel:
    """Four weeks from Monday on, in UTC; a reading is its node's position times 100, and grows by 1 with each week.

    A02 has no reading on the last day; the last reading of S002 is imputed.
    """
    times = pd.date_range(START, periods=DAYS * PER_DAY, freq="15min")
    week = np.arange(len(times)) // (7 * PER_DAY)
    kinds = np.array([kind for _, _, kind, _, _ in NODES])
    values = np.arange(1, len(NODES) + 1) * 100.0 + week[:, None]
    data = {c.name: np.where(np.isin(kinds, c.kinds), values, np.nan).astype(np.float32) for c in CHANNELS}
    data["pm25"][-PER_DAY:, 5] = np.nan
    imputed = np.zeros(values.shape, dtype=bool)
    imputed[-1, 1] = True
    variables = {
        c.name: (("time", "node"), data[c.name], {"units": c.unit, **({MASK: "imputed"} if c.name == "flow" else {})})
        for c in CHANNELS
    }
    ids, names, _, lat, lon = map(list, zip(*NODES, strict=True))
    noon = (START + pd.Timedelta(days=27, hours=12)).tz_localize("UTC")
    return Panel(
        card=DataCard(
            name="mixed",
            title="A mixed panel (made for a test)",
            source="made by a test",
            licence="CC0-1.0",
            place_word="station",
            channels=CHANNELS,
            time_label="start",
        ),
        data=xr.Dataset(
            {**variables, "imputed": (("time", "node"), imputed)},
            coords={
                "time": times.as_unit("ns"),
                "node": np.array(ids, dtype=object),
                "name": ("node", np.array(names, dtype=object)),
                "kind": ("node", kinds.astype(object)),
                "lat": ("node", np.array(lat)),
                "lon": ("node", np.array(lon)),
            },
        ),
        edges=pd.DataFrame({"source": ["S001", "S002"], "target": ["S002", "S003"], "weight": [1.0, 0.5]}),
        events=(
            Event("one", "Collision, one lane is blocked.", noon, None, noon, "desk", "S001", "Harbour Bridge", 0.1,
                  "km", kind="bulletin"),
            Event("two", "Strong wind is expected.", noon, None, noon, "met office", "S004", "Airport", None, "km",
                  kind="weather warning"),
        ),
    )  # fmt: skip


@pytest.fixture(scope="session")
def shipped_forecaster() -> Callable[[Panel, Channel], Forecaster]:
    """The shipped forecasters of data sets as they are; one process has one of each, whoever asks."""
    kept: dict[tuple[str, str], Forecaster] = {}

    def of(panel: Panel, channel: Channel) -> Forecaster:
        key = (panel.card.sha256, channel.name)
        if key not in kept:
            kept[key] = forecaster_for(panel, channel, [shipped_checkpoints()])
        return kept[key]

    return of


@pytest.fixture(scope="session")
def mixed() -> Panel:
    return make_mixed()


@pytest.fixture
def context_of(tmp_path: Path) -> Callable[..., ToolContext]:
    """The tools' context over one panel, with the baseline as forecaster."""

    def make(panel: Panel, as_of: str | None = None) -> ToolContext:
        registry = Registry(None, tmp_path / "none", {panel.name: lambda: panel})
        images, knowledge = ImageStore(tmp_path / "images"), KnowledgeIndex(tmp_path / "knowledge")
        return ToolContext(registry, images, knowledge, cast(Any, lambda *_: BaselineForecaster()), as_of)

    return make
