"""A session gives Python programs the tools: same checks, same numbers, same errors."""

from __future__ import annotations

import asyncio
import inspect
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mm4st_agent as mm4st
from mm4st_agent.api.calls import ARGUMENTS, METHODS
from mm4st_agent.api.session import Session
from mm4st_agent.toolspec import ToolSpec
from tools import ALL_TOOLS
from tools.changes import RemoveSensor

NOT_OF_TOOLS = {"aask", "ask", "acall", "areadings", "at", "call", "langchain_tools", "openai_functions", "readings"}


@pytest.mark.parametrize("spec", ALL_TOOLS, ids=lambda spec: spec.name)
def test_every_tool_has_a_method_with_its_arguments_and_defaults(spec: ToolSpec) -> None:
    method = METHODS.get(spec.name, spec.name)
    parameters = list(inspect.signature(getattr(Session, method)).parameters.values())[1:]

    fields = {name: field for name, field in spec.input_model.model_fields.items() if name != "dataset"}
    assert {ARGUMENTS.get(p.name, p.name) for p in parameters} == set(fields)
    for parameter in parameters:
        field = fields[ARGUMENTS.get(parameter.name, parameter.name)]
        default = inspect.Parameter.empty if field.is_required() else field.default
        assert parameter.default == default, parameter.name
        assert f"{parameter.name}: " in inspect.getdoc(getattr(Session, method)), "the docstring says what it is"
    returned = inspect.signature(getattr(Session, method)).return_annotation
    assert returned == f"Result[{spec.output_model.__name__}]"


def test_every_method_is_of_a_tool_and_has_an_awaited_twin() -> None:
    public = {name for name, value in vars_of(Session).items() if callable(value) and not name.startswith("_")}
    methods = {METHODS.get(spec.name, spec.name) for spec in ALL_TOOLS}

    assert public == methods | {f"a{name}" for name in methods} | NOT_OF_TOOLS
    for name in methods:
        twin = getattr(Session, f"a{name}")
        assert inspect.iscoroutinefunction(twin)
        assert inspect.signature(twin) == inspect.signature(getattr(Session, name))


def vars_of(cls: type) -> dict[str, object]:
    return {name: value for part in reversed(cls.__mro__[:-1]) for name, value in vars(part).items()}


def test_a_method_says_what_the_tool_says_at_the_same_clock(session: Session) -> None:
    result = session.forecast("S039", horizon_min=30)

    args = {"dataset": "demo", "node": "S039", "minutes": 30, "start_in_minutes": 0}
    assert result.args == args
    assert result.out == session.runtime.tool("forecast", args, "2025-10-22T07:40")
    assert (result.tool, result.dataset) == ("forecast", "demo")
    assert result.as_of == pd.Timestamp("2025-10-22T07:40", tz="Europe/Lisbon")
    assert session.at("2025-09-20T12:00").query("S022").out.last_time.isoformat() <= "2025-09-20T11:55:00+01:00"


@pytest.mark.parametrize("place", ["S039", " s039 ", "station S039", "Central Park southbound"])
def test_places_as_people_write_them(session: Session, place: str) -> None:
    assert session.query(place).out.node == "S039"


def test_a_place_may_be_a_number(real_data: Path, tmp_path: Path) -> None:
    orange = mm4st.open("pems-orange", data_dir=real_data, home=tmp_path)

    assert orange.query(1205330).out == orange.query("1205330").out
    assert list(orange.readings(1205330, hours=1).columns) == ["1205330"]


def test_arguments_may_come_from_pandas(session: Session) -> None:
    moment = pd.Timestamp("2025-10-21T12:00", tz="Europe/Lisbon")
    change = RemoveSensor(kind="remove_sensor", node="S038")

    result = session.query("S039", hours=np.float64(2), until=moment)

    assert result.out == session.query("S039", hours=2, until="2025-10-21T12:00").out
    assert json.loads(json.dumps(result.args)) == result.args
    named = session.what_if("S039", [{"kind": "remove_sensor", "node": "Reservoir southbound"}], horizon_min=15)
    assert named.out == session.what_if("S039", [change], horizon_min=15).out


def test_bad_arguments_get_our_errors_with_what_would_work(session: Session) -> None:
    with pytest.raises(mm4st.UsageError, match=r"no station 'S999'\. Perhaps S099 \(Lighthouse northbound\)"):
        session.forecast("S999")
    with pytest.raises(mm4st.UsageError, match=r"no station 'Harbour'\. Perhaps S075 \(Harbour Bridge northbound\)"):
        session.compare("S039", "Harbour")
    with pytest.raises(mm4st.UsageError, match=r"'S038 or S039' may be several places"):
        session.forecast("S038 or S039")
    with pytest.raises(mm4st.UsageError, match=r"horizon_min: .*\(got 0\)\. It takes node, horizon_min"):
        session.forecast("S039", horizon_min=0)
    with pytest.raises(mm4st.UsageError, match="no station 'S998'"):
        session.what_if("S039", [{"kind": "remove_sensor", "node": "S998"}])
    with pytest.raises(mm4st.ToolError, match="no channel 'flux'"):
        session.forecast("S039", channel="flux")
    with pytest.raises(mm4st.UsageError, match="Did you mean 'demo'"):
        mm4st.open("dmo")
    with pytest.raises(mm4st.UsageError, match="outside the data"):
        mm4st.open("demo", as_of="2031-01-01")
    with pytest.raises(mm4st.UsageError, match="chat_model"):
        mm4st.open("demo", chat_model="gpt")  # type: ignore[arg-type]


def test_many_threads_get_what_one_gets(session: Session, tmp_path: Path) -> None:
    session.forecast("S039", horizon_min=30)  # eight threads would load the same weights eight times
    fresh = mm4st.open("demo", home=tmp_path / "fresh")  # nothing else is loaded yet

    def work(node: str) -> list:
        return [
            fresh.query(node).out,
            fresh.rank_places(limit=3).out,
            fresh.render(node, hours=6).out,
            fresh.check_quality(node).out,
            session.forecast(node, horizon_min=30).out,
        ]

    nodes = ["S039", "S005", "S022", "S038"]
    start = threading.Barrier(8)

    def at_once(node: str) -> list:
        start.wait(60)
        return work(node)

    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(at_once, nodes * 2))

    assert together == [work(node) for node in nodes] * 2


def test_sessions_of_the_same_settings_share_what_is_loaded(tmp_path: Path) -> None:
    first, second = mm4st.open("demo", home=tmp_path), mm4st.open("demo", as_of="2025-09-20T12:00", home=tmp_path)

    assert first.runtime is second.runtime
    assert mm4st.open("demo", home=tmp_path / "other").runtime is not first.runtime


def test_a_question_is_answered_also_inside_a_running_loop(session: Session) -> None:
    question = "What data do you have?"
    outside = session.ask(question)
    steps: list[object] = []

    async def notebook() -> tuple[mm4st.Answer, mm4st.Answer]:
        return session.ask(question, on_event=steps.append), await session.aask(question)

    inside, awaited = asyncio.run(notebook())

    assert isinstance(outside, mm4st.Answer)
    assert outside.answer == inside.answer == awaited.answer
    assert "149 stations" in outside.answer
    assert outside.as_of.startswith("2025-10-22T07:40")
    assert steps


def test_a_conversation_goes_on(session: Session) -> None:
    first = session.ask("How fast is traffic at S005?")
    second = session.ask("And at S006?", thread=first.thread)

    assert (second.thread, second.turn) == (first.thread, 2)
    assert "S006" in second.answer


def test_a_question_that_cannot_be_asked_is_refused(session: Session) -> None:
    with pytest.raises(mm4st.UsageError, match="The question is empty"):
        session.ask(" ")


def test_twins_leave_the_loop_free(session: Session) -> None:
    async def both() -> tuple:
        free = asyncio.Event()
        asyncio.get_running_loop().call_soon(free.set)
        calls = asyncio.gather(session.aforecast("S039", horizon_min=30), session.aquery("S005", hours=2))
        await free.wait()
        return tuple(result.out for result in await calls)

    assert asyncio.run(both()) == (session.forecast("S039", horizon_min=30).out, session.query("S005", hours=2).out)


def test_an_error_of_a_twin_is_ours(session: Session) -> None:
    with pytest.raises(mm4st.UsageError, match="no station 'S999'"):
        asyncio.run(session.aforecast("S999"))


def test_readings_are_the_panels_own(session: Session) -> None:
    frame = session.readings("S039", "Central Park northbound", channel="speed", hours=2)

    assert frame.index.name == "time"
    assert str(frame.index.tz) == "Europe/Lisbon"
    assert frame.index[-1] < session.as_of <= frame.index[-1] + session.panel.step
    assert len(frame) == 24
    assert frame.attrs["units"] == dict.fromkeys(frame.columns, "km/h")
    column = session.panel.position("S039")
    assert frame["S039"].tolist() == session.panel.values("speed")[-24:, column].tolist()
    assert list(session.readings(channel="pm25").columns) == session.panel.nodes_of("pm25")

    filled = session.panel.imputed("flow").sum(axis=0)
    node = session.panel.node_ids[int(filled.argmax())]
    all_of_it, measured = (
        session.readings(node, channel="flow", hours=1e9, measured_only=only)[node] for only in (False, True)
    )
    assert len(all_of_it) == len(session.panel.times)
    assert measured.isna().sum() - all_of_it.isna().sum() == filled.max() > 0
    with pytest.raises(mm4st.UsageError, match=r"hours is -1"):
        session.readings("S039", hours=-1)
    with pytest.raises(mm4st.UsageError, match="hours is nan"):
        session.readings("S039", hours=float("nan"))
