"""A small panel with a daily and weekly rhythm, gaps and imputed cells; a small real checkpoint of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mm4st_agent.data.card import Channel, DataCard
from mm4st_agent.data.panel import MASK, Panel
from mm4st_agent.forecaster.config import NumericConfig
from mm4st_agent.forecaster.train_config import TrainConfig

NODES, STEP_MINUTES, DAYS = 5, 30, 35


def make_panel(days: int = DAYS, seed: int = 0, edges: bool = True) -> Panel:
    """Half-hourly counts at five nodes on a road; node E was never measured."""
    rng = np.random.default_rng(seed)
    per_day = 24 * 60 // STEP_MINUTES
    times = pd.date_range("2022-01-03", periods=days * per_day, freq=f"{STEP_MINUTES}min", tz="US/Pacific")
    hour = np.arange(len(times)) % per_day / per_day * 24
    weekday = np.arange(len(times)) // per_day % 7
    shape = 40 + 60 * np.exp(-(((hour - 8) / 2) ** 2)) + 50 * np.exp(-(((hour - 17) / 2.5) ** 2))
    level = np.exp(0.15 * rng.standard_normal((days, 1)).repeat(per_day, axis=0))
    drift = np.zeros((len(times), NODES))
    for step in range(1, len(times)):
        drift[step] = 0.9 * drift[step - 1] + 0.05 * rng.standard_normal(NODES)
    demand = (shape * np.where(weekday >= 5, 0.6, 1))[:, None] * level * np.linspace(0.7, 1.4, NODES) * np.exp(drift)
    flow = rng.poisson(demand).astype(np.float32)
    imputed = np.zeros(flow.shape, dtype=bool)
    imputed[:, 4] = True
    imputed[-400:-380, 2] = True
    imputed[200:230, 1] = True
    flow[rng.random(flow.shape) < 0.02] = np.nan
    imputed &= ~np.isnan(flow)
    channel = Channel(
        name="flow", unit="vehicles/30 min", title="traffic flow", aggregation="sum", total_unit="vehicles"
    )
    card = DataCard(
        name="tiny",
        title="A small road",
        source="made by a test",
        licence="CC0-1.0",
        place_word="station",
        time_zone="US/Pacific",
        time_label="start",
        channels=(channel,),
        holidays="US",
    )
    ids = list("ABCDE")
    return Panel(
        card=card,
        data=xr.Dataset(
            {
                "flow": (("time", "node"), flow, {"units": channel.unit, MASK: "imputed"}),
                "imputed": (("time", "node"), imputed),
            },
            coords={"time": times.tz_convert("UTC").tz_localize(None), "node": np.array(ids, dtype=object)},
        ),
        edges=pd.DataFrame({"source": ids[:-1], "target": ids[1:], "weight": [1.0, 0.5, 1.0, 0.2]})
        if edges
        else pd.DataFrame(columns=["source", "target", "weight"]),
    )


@pytest.fixture(scope="session")
def panel_of() -> Callable[..., Panel]:
    return make_panel


@pytest.fixture(scope="session")
def panel() -> Panel:
    return make_panel()


@pytest.fixture(scope="session")
def config() -> TrainConfig:
    """Small enough to train in a second or two."""
    return TrainConfig(
        network=NumericConfig(hidden=24, blocks=1, identity=4, eigenvectors=3, dropout=0.1),
        max_epochs=6,
        averaging=0.9,
        learning_rate=5e-3,
    )


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, panel: Panel, config: TrainConfig) -> Path:
    """Folder of a real checkpoint of `panel`. Tests copy it before they change it."""
    from mm4st_agent.forecaster.training import train_checkpoint

    out = tmp_path_factory.mktemp("checkpoints") / "tiny-flow"
    train_checkpoint(panel, "flow", out=out, config=config, progress=False)
    return out
