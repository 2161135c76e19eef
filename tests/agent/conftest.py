"""A small panel that mixes kinds of node, and a scripted chat model that talks to the real graph."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import Field

from mm4st_agent.agent.budgets import Budgets
from mm4st_agent.agent.chat import AgentContext, ChatModel, Session
from mm4st_agent.agent.run import run_agent
from mm4st_agent.agent.run_events import Finished
from mm4st_agent.data.card import Channel, DataCard
from mm4st_agent.data.events import Event
from mm4st_agent.data.panel import Panel

NODES = (
    ("S001", "Harbour Bridge", "road station", 41.500, -12.000),
    ("S002", "Fish Market", "road station", 41.505, -12.000),
    ("S003", "Old Town northbound", "road station", 41.510, -12.000),
    ("S004", "Old Town southbound", "road station", 41.510, -12.001),
    ("S005", "Airport", "road station", 41.560, -12.000),
    ("A01", "Quay Gardens", "air station", 41.502, -12.002),
    ("A02", "Old Town", "air station", 41.511, -12.002),
    ("A03", "University Hill", "air station", 41.530, -12.030),
    ("travel-info", "Travel information service", "service", np.nan, np.nan),
)
CHANNELS = (
    Channel(
        name="flow", unit="vehicles/5 min", title="traffic flow", aggregation="sum", total_unit="vehicles",
        kinds=("road station",),
    ),
    Channel(name="speed", unit="km/h", title="speed", kinds=("road station",)),
    Channel(name="pm25", unit="µg/m³", title="PM2.5", kinds=("air station",)),
    Channel(name="no2", unit="µg/m³", title="nitrogen dioxide", kinds=("air station",)),
    Channel(name="requests", unit="requests/min", title="load of the travel information service", kinds=("service",)),
)  # fmt: skip
START, WEEKS = pd.Timestamp("2025-09-01", tz="Europe/Lisbon"), 3
CLOCK = "2025-09-18T17:30"


def make_city(bulletin: str = "A lorry broke down at Harbour Bridge; one lane is closed.") -> Panel:
    """Three weeks in 5-minute steps; S001 is slow and A03 dirty before the clock; `bulletin` is an event at S001."""
    rng = np.random.default_rng(5)
    times = pd.date_range(START, periods=WEEKS * 7 * 288, freq="5min")
    hour = times.hour.to_numpy() + times.minute.to_numpy() / 60
    rhythm = 1 + 0.6 * np.exp(-(((hour - 8) / 2) ** 2)) + 0.8 * np.exp(-(((hour - 17.5) / 2) ** 2))
    clock = pd.Timestamp(CLOCK, tz=times.tz)
    late = ((times >= clock - pd.Timedelta("2h")) & (times < clock)).astype(float)
    level = {"flow": 100.0, "speed": 60.0, "pm25": 12.0, "no2": 25.0, "requests": 400.0}
    kinds = np.array([kind for _, _, kind, _, _ in NODES])
    data = {}
    for channel in CHANNELS:
        values = np.full((len(times), len(NODES)), np.nan)
        for column in np.flatnonzero(np.isin(kinds, channel.kinds)):
            shape = 1 / rhythm if channel.name == "speed" else rhythm
            noise = 1 + 0.03 * rng.standard_normal(len(times))
            values[:, column] = level[channel.name] * (1 + 0.1 * column) * shape * noise
        data[channel.name] = values
    data["speed"][:, 0] *= 1 - 0.6 * late
    data["pm25"][:, 7] *= 1 + 1.5 * late
    ids, names, _, lat, lon = map(list, zip(*NODES, strict=True))
    return Panel(
        card=DataCard(
            name="city",
            title="A small invented city (made for a test)",
            source="made by a test",
            licence="CC0-1.0",
            domain="city",
            place_word="station",
            time_zone="Europe/Lisbon",
            time_label="start",
            channels=CHANNELS,
            now=pd.Timestamp(CLOCK).to_pydatetime(),
            synthetic=True,
        ),
        data=xr.Dataset(
            {
                c.name: (("time", "node"), data[c.name].round(1).astype(np.float32), {"units": c.unit})
                for c in CHANNELS
            },
            coords={
                "time": times.tz_convert("UTC").tz_localize(None).as_unit("ns"),
                "node": np.array(ids, dtype=object),
                "name": ("node", np.array(names, dtype=object)),
                "kind": ("node", kinds.astype(object)),
                "lat": ("node", np.array(lat, dtype=float)),
                "lon": ("node", np.array(lon, dtype=float)),
            },
        ),
        edges=pd.DataFrame(
            {"source": ["S001", "S002", "S003"], "target": ["S002", "S003", "S005"], "weight": [1.0, 0.8, 0.5]}
        ),
        events=(
            Event(
                "b1", bulletin, clock - pd.Timedelta("2h"), None, clock - pd.Timedelta("110min"), "Traffic desk",
                "S001", "Harbour Bridge", 0.1, "km", kind="bulletin",
            ),
            Event(
                "n1", "The town library opens late on Friday.", clock - pd.Timedelta("3h"), None,
                clock - pd.Timedelta("4h"), "Town hall", "S003", "Old Town", 0.3, "km", kind="notice",
            ),
        ),
    )  # fmt: skip


@pytest.fixture(scope="session")
def city_of() -> Callable[..., Panel]:
    return make_city


AS_OF = "2022-01-25T07:30-08:00"
SESSION = Session(
    dataset="demo", title="Demo", domain="traffic", synthetic=True, place_word="station",
    places=["D01 (One)"], place_ids=["D01"],
    channels=[{"name": "flow", "title": "flow", "unit": "vehicles/5 min"}],
    as_of=AS_OF, time_zone="US/Pacific", step_s=300,
)  # fmt: skip


class ScriptedChatModel(BaseChatModel):
    """Stands for a served model, whose words a test must choose; it says its script and keeps what it was told.

    A line of the script is a message, a function of the messages that gives one, or an error to raise;
    the last one is said again and again.
    """

    script: list[Any]
    heard: list[list[BaseMessage]] = Field(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        self.heard.append(list(messages))
        said = self.script[min(len(self.heard), len(self.script)) - 1]
        if isinstance(said, Exception):
            raise said
        said = said(messages) if callable(said) else said
        return ChatResult(generations=[ChatGeneration(message=said.model_copy(update={"id": None}))])


@pytest.fixture
def converse(tmp_path: Path) -> Callable[..., tuple[list[Any], dict[str, Any], ScriptedChatModel]]:
    """Ask one question of a scripted chat model: `(steps, the thread's state, the model)`."""

    def _converse(
        *script: Any,
        tools: dict[str, Any],
        question: str = "How many?",
        thread: str = "t",
        limit: int = 60,
        as_of: str = AS_OF,
        dataset: str = "demo",
        budgets: Budgets | None = None,
        session: Session = SESSION,
        tool_context: Any = None,
        **flags: bool,
    ) -> Any:
        model = ScriptedChatModel(script=list(script))
        session = session.model_copy(update={"as_of": as_of, "dataset": dataset})
        chat = ChatModel("scripted", model, **flags)
        context = AgentContext(chat, tools, tool_context, session, budgets or Budgets())
        asked: Any = {"question": question, "dataset": dataset, "as_of": as_of}

        async def collect() -> list[Any]:
            events = run_agent(asked, context, threads=tmp_path / "t.sqlite", thread=thread, recursion_limit=limit)
            return [event async for event in events]

        *steps, last = asyncio.run(collect())
        assert isinstance(last, Finished)
        return steps, dict(last.state), model

    return _converse
