"""`demo_panel`: the data set of the simulated city that comes with the package, and its card."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from mm4st_agent.data.card import Channel, DataCard
from mm4st_agent.data.panel import Panel
from mm4st_agent.data.store import open_panel

ROAD, AIR, SERVICE = "road station", "air station", "service"

CARD = DataCard(
    name="demo",
    title="Port Alder, an invented city (synthetic data)",
    source="Simulated by mm4st_agent.demo_city; no real place, person or measurement",
    licence="CC0-1.0",
    domain="traffic",
    place_word="station",
    time_zone="Europe/Lisbon",
    time_label="start",
    now=datetime(2025, 10, 22, 7, 40),
    channels=(
        Channel(
            name="flow",
            unit="vehicles/5 min",
            title="traffic flow",
            aggregation="sum",
            total_unit="vehicles",
            kinds=(ROAD,),
        ),
        Channel(name="speed", unit="km/h", title="speed", kinds=(ROAD,)),
        Channel(name="pm25", unit="µg/m³", title="PM2.5", kinds=(AIR,)),
        Channel(name="no2", unit="µg/m³", title="NO2", kinds=(AIR,)),
        Channel(name="requests", unit="requests/min", title="travel information requests", kinds=(SERVICE,)),
    ),
    synthetic=True,
    notes=(
        "Synthetic: every reading, incident, concert and rain shower is simulated, and its effects are known.",
        "Port Alder does not exist; its coordinates lie in the open Atlantic.",
        "School holidays until 7 September and from 4 to 12 October 2025. About 1 % of the cells are missing, some "
        "outages were filled with the usual value (imputed).",
        "Some texts are late, wrong or beside the point, and a few try to give instructions to an AI.",
    ),
)
"""Without `files`, which say what was simulated: the shipped card has them."""

SHIPPED = Path(__file__).parent / "shipped"


def demo_panel() -> Panel:
    """Open the 60 days of Port Alder from 1 September 2025 in 5-minute steps.

    Returns:
        Channels `flow` (vehicles/5 min) and `speed` (km/h) at 124 road stations, `pm25` and `no2` (µg/m³) at 24 air
        stations, `requests` (requests/min) of the service 'travel-info'; NaN where missing or not measured at that
        kind of node. Covariates of the weather up to the end and `school_holiday` (0 or 1) a week ahead; texts as
        events, whose ids `City.without` takes; land use, roads and venues as static layers; 2,000 probe trajectories.

    Raises:
        DataError: the shipped files are damaged.
    """
    return open_panel(SHIPPED)
