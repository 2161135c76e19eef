"""Results: values with units, tables, pictures, and what a notebook shows."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import pytest

import mm4st_agent as mm4st
from mm4st_agent.agent.answer import Answer, Citation, Claim
from mm4st_agent.api.display import answer_html, shown
from mm4st_agent.api.session import Session
from mm4st_agent.api.tables import tables_of, to_pandas, to_xarray
from mm4st_agent.toolspec import Measured, Quantity, ToolOut, Unit

PNG = b"\x89PNG\r\n\x1a\n"


def test_values_have_their_units(session: Session) -> None:
    result = session.query("S039", channel="speed")

    assert result["last"] == Quantity(result.out.last, "km/h")
    assert result["coverage"].unit == "%"
    assert result["last_time"].unit == "time"
    assert result.quantities == result.out.quantities()
    assert result.to_json() == result.out.model_dump(mode="json")
    assert f"{result.out.mean} km/h" in repr(result)
    with pytest.raises(mm4st.UsageError, match=r"no value at 'maen'\. Such as: "):
        result["maen"]


def test_a_forecast_is_a_table_over_local_time(session: Session) -> None:
    result = session.forecast("S039", horizon_min=30)
    frame, steps = result.to_pandas(), result.out.steps

    assert frame.index.name == "time"
    assert str(frame.index.tz) == "Europe/Lisbon"
    assert list(frame.index) == [pd.Timestamp(step.time) for step in steps]
    assert frame["median"].tolist() == [step.median for step in steps]
    assert frame.attrs["units"] == dict.fromkeys(["low", "median", "high", "baseline"], "vehicles/5 min")

    data = result.to_xarray()
    assert data["median"].dims == ("time",)
    assert data["median"].attrs["units"] == "vehicles/5 min"
    assert data.attrs["time_zone"] == "Europe/Lisbon"
    local = pd.DatetimeIndex(data["time"].to_numpy()).tz_localize("UTC").tz_convert("Europe/Lisbon")
    assert list(local) == list(frame.index)


def test_the_table_is_chosen_by_name(session: Session) -> None:
    result = session.describe()

    assert result.tables[0] == "channels"
    assert result.to_pandas()["name"].tolist() == [channel.name for channel in result.out.channels]
    assert len(result.to_pandas("kinds")) == len(result.out.kinds)
    with pytest.raises(mm4st.UsageError, match=r"no table 'nodes'\. It holds: channels, "):
        result.to_pandas("nodes")
    with pytest.raises(mm4st.UsageError, match=r"holds no table.*session\.readings"):
        session.query("S039").to_xarray()


class _Cell(ToolOut):
    label: str
    unit: str
    value: Measured
    share: Annotated[float | None, Unit("%")]


class _Row(ToolOut):
    time: datetime
    seen: datetime | None
    level: Measured
    flags: list[int]
    cell: _Cell | None


class _Out(ToolOut):
    unit: str
    empty: list[_Row]
    rows: list[_Row]


def test_tables_hold_what_rows_may_hold(session: Session) -> None:
    summer, winter = "2025-10-25T23:30:00Z", "2025-10-26T01:30:00Z"  # the clock changes between them
    rows = [
        {"time": summer, "seen": None, "level": None, "flags": [1, 2], "cell": None},
        {
            "time": winter, "seen": winter, "level": None, "flags": [],
            "cell": {"label": "a", "unit": "h", "value": 2.0, "share": None},
        },
    ]  # fmt: skip
    tables = tables_of(_Out.model_validate({"unit": "km/h", "empty": [], "rows": rows}))
    zone = session.panel.zone

    assert list(tables) == ["rows"]
    frame = to_pandas(tables["rows"], zone)
    assert [moment.isoformat() for moment in frame.index] == ["2025-10-26T00:30:00+01:00", "2025-10-26T01:30:00+00:00"]
    assert frame.index[1] - frame.index[0] == pd.Timedelta(hours=2)
    assert frame["level"].dtype == np.float64
    assert frame["seen"].isna().tolist() == [True, False]
    assert str(frame["seen"].dt.tz) == "Europe/Lisbon"
    assert frame["flags"].tolist() == ["1, 2", ""]
    assert frame["cell.value"].tolist()[1] == 2.0
    assert frame.attrs["units"] == {"level": "km/h", "cell.value": "h", "cell.share": "%"}
    data = to_xarray(tables["rows"], zone)
    assert data["cell.value"].attrs["units"] == "h"
    assert data["time"].to_numpy()[1] - data["time"].to_numpy()[0] == np.timedelta64(2, "h")


CALLS = {
    "describe": (), "find_places": ("Harbour",), "query": ("S039",), "rank_places": (), "check_quality": (),
    "compare": ("S039", "S038"), "detect_patterns": ("S039",), "render": ("S039",), "render_map": (),
    "retrieve": ("collision",), "forecast": ("S039",), "rank_forecasts": (), "find_analogs": ("S039",),
    "what_if": ("S039", [{"kind": "remove_sensor", "node": "S038"}]), "explain": ("S039",), "backtest": ("S039",),
    "plan_route": ("S039", "S005"), "plan_capacity": ("travel-info", 300.0), "assess_hazard": (),
}  # fmt: skip


@pytest.mark.parametrize("method", CALLS)
def test_every_result_is_shown_and_turned_into_tables(session: Session, method: str) -> None:
    result = getattr(session, method)(*CALLS[method])

    html = result._repr_html_()
    assert f"<b>{result.tool}</b>" in html
    assert len(re.findall("<img ", html)) == len(result.pictures) == len(result.out.images())
    _is_self_contained(html)
    for name in result.tables:
        assert len(result.to_pandas(name)) == len(getattr(result.out, name))
        assert dict(result.to_xarray(name).sizes).popitem()[1] == len(getattr(result.out, name))
    for picture in result.pictures:
        assert picture.png.startswith(PNG)
        assert picture.path.read_bytes() == picture.png
    json.dumps(result.to_json(), allow_nan=False)
    json.dumps(result.args)


def _is_self_contained(html: str) -> None:
    assert not re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?(?!data:image/png;base64,|["'])""", html)
    assert "<script" not in html


def test_a_picture_is_shown_and_saved(session: Session, tmp_path: Path) -> None:
    picture = session.render("S039", hours=6).pictures[0]

    assert picture._repr_png_() == picture.png
    assert picture.save(tmp_path / "picture.png").read_bytes() == picture.png
    with pytest.raises(mm4st.UsageError, match="cannot be written"):
        picture.save(tmp_path / "nowhere" / "picture.png")


def test_a_notebook_shows_an_answer_without_asking_the_network() -> None:
    claim = Claim(text="5", span=(0, 1), kind="number", value=5, unit=None, status="verified", evidence=["E1"])
    answer = Answer(
        question="?",
        answer="**5**\n\n| a |\n|---|\n| 6 |\n\n"
        "<script>alert(1)</script> ![x](http://a.example/x.png) [y](http://b.example) <http://c.example>",
        claims=[claim], evidence=[], figures=[], warnings=["a < b"], chat_model="vllm", dataset="demo",
        citations=[Citation(doc_id="d", text="t", source="<i>s</i>", span=(0, 1), evidence="E1")],
        as_of="2025-10-22T07:40+01:00", thread="t", seconds=0.1, choices=["<b>one</b>"],
    )  # fmt: skip

    html = shown(answer)._repr_html_()

    assert html == answer_html(answer)
    assert "<strong>5</strong>" in html
    assert "<td>6</td>" in html
    assert "1 of 1 statements verified" in html
    assert "a &lt; b" in html
    for bad in ("<script", "<img", "<a ", "<i>", "<b>"):
        assert bad not in html
    assert repr(shown(answer)) == repr(answer)


# -- for other agents -----------------------------------------------------------------------------


def test_openai_functions_are_strict(session: Session) -> None:
    functions = {tool["function"]["name"]: tool for tool in session.openai_functions()}

    assert set(functions) == set(session.runtime.tools)
    for tool in functions.values():
        assert tool["type"] == "function"
        assert tool["function"]["strict"] is True
        assert tool["function"]["description"]
        assert "dataset" not in tool["function"]["parameters"]["properties"]
        for schema in _schemas(tool["function"]["parameters"]):
            assert not set(schema) & {"oneOf", "allOf", "not", "default", "discriminator", "patternProperties"}
            if schema.get("type") == "object":
                assert schema["additionalProperties"] is False
                assert set(schema["required"]) == set(schema["properties"])


def _schemas(node: Any) -> Any:
    """Every schema inside one; the names of properties are not keywords."""
    yield node
    for group in ("properties", "$defs"):
        for part in node.get(group, {}).values():
            yield from _schemas(part)
    for part in node.get("anyOf", []):
        yield from _schemas(part)
    if "items" in node:
        yield from _schemas(node["items"])


def test_what_a_model_asks_for_is_called(session: Session) -> None:
    # As strict functions are called: every argument is there, null where it is left out.
    asked = '{"node": "S039", "channel": null, "minutes": 30, "start_in_minutes": 0}'

    assert session.call("forecast", asked).out == session.forecast("S039", horizon_min=30).out
    assert session.call("describe_dataset").out == session.describe().out
    assert session.call("describe_dataset", {"dataset": "demo"}).out == session.describe().out
    for name, args, said in (
        ("forcast", "{}", "There is no tool 'forcast'"),
        ("forecast", "{", "not JSON"),
        ("forecast", "[]", "not a JSON object"),
        ("forecast", {"dataset": "pems-orange", "node": "1"}, "This session is on 'demo'"),
        ("forecast", {"node": "S039", "hour": 1}, "hour: Extra inputs"),
        ("forecast", {"node": 1.5}, "node: Input should be a valid string"),
    ):
        with pytest.raises(mm4st.MM4STError, match=said):
            session.call(name, args)


def test_langchain_tools_answer_tool_calls(session: Session) -> None:
    from langchain_core.messages import ToolMessage
    from langchain_core.tools import BaseTool
    from langchain_core.utils.function_calling import convert_to_openai_tool

    tools = {tool.name: tool for tool in session.langchain_tools()}
    assert set(tools) == set(session.runtime.tools)
    assert all(isinstance(tool, BaseTool) for tool in tools.values())
    told = convert_to_openai_tool(tools["forecast"])["function"]  # what `bind_tools` sends
    assert told["parameters"]["required"] == ["node"]
    assert told["parameters"]["properties"]["minutes"]["default"] == 60

    def call(**args: Any) -> dict[str, Any]:
        return {"type": "tool_call", "id": "c1", "name": "forecast", "args": args}

    good = tools["forecast"].invoke(call(node="S039", minutes=30))
    assert isinstance(good, ToolMessage)
    assert (good.status, good.tool_call_id) == ("success", "c1")
    assert json.loads(good.content) == session.forecast("S039", horizon_min=30).to_json()
    assert isinstance(good.artifact, mm4st.Result)
    assert asyncio.run(tools["forecast"].ainvoke(call(node="S039", minutes=30))).content == good.content

    for args, said in (({"node": "S999"}, "no station 'S999'"), ({}, "node: Field required")):
        for bad in (tools["forecast"].invoke(call(**args)), asyncio.run(tools["forecast"].ainvoke(call(**args)))):
            assert bad.status == "error"
            assert said in json.loads(bad.content)["error"]["message"]


def test_a_langgraph_agent_runs_with_the_tools(session: Session) -> None:
    """A graph of somebody else's, with LangGraph's own tool node."""
    from langchain_core.messages import AIMessage, ToolMessage
    from langgraph.graph import END, START, MessagesState, StateGraph
    from langgraph.prebuilt import ToolNode

    def model(state: MessagesState) -> dict[str, Any]:
        if isinstance(state["messages"][-1], ToolMessage):
            return {"messages": [AIMessage(json.loads(state["messages"][-1].content)["unit"])]}
        call = {"type": "tool_call", "id": "c1", "name": "query_series", "args": {"node": "S039"}}
        return {"messages": [AIMessage("", tool_calls=[call])]}

    graph = StateGraph(MessagesState)
    graph.add_node("model", model)
    graph.add_node("tools", ToolNode(session.langchain_tools()))
    graph.add_edge(START, "model")
    graph.add_conditional_edges("model", lambda state: "tools" if state["messages"][-1].tool_calls else END)
    graph.add_edge("tools", "model")

    said = graph.compile().invoke({"messages": [("user", "In what unit is S039 measured?")]})

    assert said["messages"][-1].text == "vehicles/5 min"
