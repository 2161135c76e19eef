"""A small road with a daily rhythm, gaps, incidents and rain, and a runtime that knows no real data."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mm4st_agent.data.card import Channel, DataCard
from mm4st_agent.data.events import Event
from mm4st_agent.data.panel import MASK, Panel
from mm4st_agent.runtime import Runtime
from mm4st_agent.settings import load_settings

IDS = list("ABCDE")
PER_DAY = 48


def make_road(days: int = 28, *, postmiles: bool = True, step: str = "30min") -> Panel:
    """Counts at A, B, C, D (a mile apart on one carriageway) and E (on the other one, never measured).

    An incident at B was reported on the day before the last, at 08:10, and rain fell on the last day at 10:15.
    """
    rng = np.random.default_rng(3)
    times = pd.date_range("2022-01-03", periods=days * PER_DAY, freq=step, tz="US/Pacific")
    hour = np.arange(len(times)) % PER_DAY / 2
    shape = 40 + 60 * np.exp(-(((hour - 8) / 2) ** 2)) + 50 * np.exp(-(((hour - 17) / 2.5) ** 2))
    flow = rng.poisson(shape[:, None] * np.linspace(0.7, 1.4, len(IDS))).astype(np.float32)
    imputed = np.zeros(flow.shape, dtype=bool)
    imputed[:, 4] = True
    imputed[-40:-30, 2] = True
    flow[rng.random(flow.shape) < 0.02] = np.nan
    imputed &= ~np.isnan(flow)
    channel = Channel(
        name="flow", unit="vehicles/30 min", title="traffic flow", aggregation="sum", total_unit="vehicles"
    )
    card = DataCard(
        name="road",
        title="A small road",
        source="made by a test",
        licence="CC0-1.0",
        time_zone="US/Pacific",
        time_label="start",
        channels=(channel,),
    )
    naive = times.tz_convert("UTC").tz_localize(None)
    start = times[(days - 2) * PER_DAY] + pd.Timedelta(hours=8, minutes=5)
    said = start + pd.Timedelta(minutes=5)
    rain = np.zeros(len(times), dtype=np.float32)
    rain[(days - 1) * PER_DAY + 20] = 2.0
    places = {
        "freeway": ("node", np.array(["I5-N"] * 4 + ["I5-S"], dtype=object)),
        "postmile": ("node", [1.0, 2.0, 3.0, 4.5, 2.0]),
    }
    return Panel(
        card=card,
        data=xr.Dataset(
            {
                "flow": (("time", "node"), flow, {"units": channel.unit, MASK: "imputed"}),
                "imputed": (("time", "node"), imputed),
            },
            coords={"time": naive, "node": np.array(IDS, dtype=object), **(places if postmiles else {})},
        ),
        edges=pd.DataFrame(
            {"source": IDS[:3], "target": IDS[1:4], "weight": [1.0, 0.5, 0.3], "distance": [1.0, 1.0, 1.5]}
        ),
        events=(Event("i1", "collision", start, None, said, "a test", node="B", end_known=False),),
        covariates=xr.Dataset({"rain_mm_h": ("time", rain)}, coords={"time": naive}),
    )


@pytest.fixture(scope="session")
def road_of() -> Callable[..., Panel]:
    return make_road


@pytest.fixture(scope="session")
def road() -> Panel:
    return make_road()


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    """With an empty home, for the suites of a module."""
    settings = load_settings(home=tmp_path_factory.mktemp("home"))
    return Runtime(settings.model_copy(update={"data_dir": None}))
