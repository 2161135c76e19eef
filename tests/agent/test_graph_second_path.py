"""A chat model that sees pictures is checked by what the readings say; the tools and the data are real."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from langchain_core.messages import AIMessage
from langchain_core.messages.tool import tool_call

from mm4st_agent.agent.chat import Session
from mm4st_agent.data.panel import Panel
from mm4st_agent.data.registry import Registry
from mm4st_agent.imaging.store import ImageStore
from tools.context import ToolContext
from tools.detect_patterns import DETECT_PATTERNS
from tools.render_series import RENDER_SERIES

TOOLS = {spec.name: spec for spec in (RENDER_SERIES, DETECT_PATTERNS)}
AS_OF = "2025-09-18T17:30+01:00"
STRAIGHT = "S001 rises over the last day [E2]."


def _straight(panel: Panel, slope: float) -> Panel:
    """The flow of S001 goes straight up or down, with one spike in its last day."""
    data = panel.data.copy(deep=True)
    rng = np.random.default_rng(3)
    steps = np.arange(len(panel.times))
    values = 1000 + slope * steps + rng.standard_normal(len(steps))
    values[np.flatnonzero(panel.times <= pd.Timestamp("2025-09-18T08:00+01:00"))[-1]] += 500
    data["flow"].values[:, 0] = values
    return dataclasses.replace(panel, data=data)


@pytest.fixture
def look(converse: Callable[..., Any], city_of: Callable[[], Panel], tmp_path: Path) -> Callable[..., Any]:
    def _look(text: str, slope: float = 0.1, sees: bool = True, **args: Any) -> Any:
        panel = _straight(city_of(), slope)
        registry = Registry(None, tmp_path / "none", {"city": lambda: panel})
        nothing: Any = None
        context = ToolContext(registry, ImageStore(tmp_path / "images"), nothing, nothing, AS_OF, nothing)
        call = tool_call(name="render_series", args={"dataset": "city", "node": "S001", **args}, id="c1")
        ask = partial(converse, AIMessage("", tool_calls=[call]), AIMessage(text), tools=TOOLS, tool_context=context)
        session = Session.of(panel.until(AS_OF))
        return ask(session=session, dataset="city", as_of=AS_OF, rewrites=False, sees=sees)

    return _look


def test_a_window_that_is_seen_is_measured_too(look: Callable[..., Any]) -> None:
    _, state, model = look(STRAIGHT)

    assert [(e.id, e.tool) for e in state["ledger"][1:]] == [("E2", "render_series"), ("E3", "detect_patterns")]
    assert state["ledger"][2].args == {"dataset": "city", "node": "S001", "hours": 24.0}
    told = json.loads(model.heard[1][-1].text)
    assert told["measured"]["evidence"] == "E3"
    assert told["measured"]["trend"]["kind"] == "linear"
    assert len(model.heard[1][-1].artifact["images"]) == 1  # its own picture is not shown


def test_one_that_sees_nothing_needs_no_second_path(look: Callable[..., Any]) -> None:
    _, state, _ = look("S001 falls [E2].", sees=False)

    assert [e.tool for e in state["ledger"]] == ["question", "render_series"]
    assert state["warnings"] == []


def test_a_picture_of_many_places_is_not_measured(look: Callable[..., Any]) -> None:
    _, state, _ = look("Something falls [E2].", node=None, method="heatmap")

    assert [e.tool for e in state["ledger"]] == ["question", "render_series"]


@pytest.mark.parametrize(
    ("text", "slope", "warning"),
    [
        ("S001 falls over the last day [E2].", 0.1, "as falling; the readings say rising [E3]"),
        ("S001 rises over the last day [E2].", -0.1, "as rising; the readings say falling [E3]"),
        ("The flow is steady [E2].", 0.1, "as steady; the readings say rising [E3]"),
        ("It rises all along. There are no anomalies. [E2]", 0.1, "as without anomalies; the readings say 1 [E3]"),
        ("It rises. The flow repeats every hour [E2].", 0.1, "as with a cycle of 1 h; the readings say none [E3]"),
        ("It rises, with a level shift [E2].", 0.1, "as with lasting changes; the readings say none [E3]"),
    ],
)
def test_what_the_readings_do_not_say_is_a_warning(
    look: Callable[..., Any], text: str, slope: float, warning: str
) -> None:
    _, state, _ = look(text, slope)

    assert state["warnings"] == [f"The picture was read {warning}."]


@pytest.mark.parametrize(
    "text",
    [
        STRAIGHT,
        "It does not fall [E2].",
        "S002 falls [E2].",
        "It will fall tomorrow [E2].",
        "In the evening it falls [E2].",
        "It rises and there is a spike [E2]. It has no cycle.",
        "It fell, then it rose [E2].",
        "The forecast falls [E9].",
    ],
)
def test_what_agrees_or_is_about_something_else_is_no_warning(look: Callable[..., Any], text: str) -> None:
    _, state, _ = look(text)

    assert state["warnings"] == []


def test_no_picture_and_no_array_enters_the_thread(look: Callable[..., Any], tmp_path: Path) -> None:
    look(STRAIGHT)

    stored = (tmp_path / "t.sqlite").read_bytes()
    assert b"render_series" in stored
    assert b"\x89PNG" not in stored
    assert b"base64" not in stored
    assert b"numpy" not in stored
