"""Questions from end to end on the embedded chat model: real data, real index, real checkpoint."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mm4st_agent.agent.answer import Answer
from mm4st_agent.cli import main
from mm4st_agent.data.events import Event
from mm4st_agent.data.panel import Panel
from mm4st_agent.data.registry import Registry
from mm4st_agent.demo_city.panel import demo_panel
from mm4st_agent.errors import UsageError
from mm4st_agent.runtime import Runtime
from mm4st_agent.settings import load_settings

ORANGE = "How much traffic will station 1205330 carry over the next hour, and why?"
DEMO = "How much traffic will Castle Hill southbound carry over the next hour, and why?"


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    return Runtime(load_settings(home=tmp_path_factory.mktemp("home")))


def _ask(runtime: Runtime, question: str, **options: Any) -> Answer:
    return asyncio.run(runtime.ask(question, **options))


def _evidence(answer: Answer, tool: str) -> Any:
    return next(entry for entry in answer.evidence if entry.tool == tool)


def test_the_main_question_on_real_roads(runtime: Runtime, real_data: Path) -> None:
    answer = _ask(runtime, ORANGE, dataset="pems-orange", as_of="2022-01-25T07:30")

    forecast = _evidence(answer, "forecast")
    values = {path: value.value for path, value in forecast.values.items()}
    assert values["node"] == "1205330"
    assert values["minutes"] == 60
    assert (values["covers_from"], values["covers_until"]) == ("2022-01-25T07:30-08:00", "2022-01-25T08:30-08:00")
    assert values["total.low"] < values["total.median"] < values["total.high"]
    with np.load(real_data / "pems_orange" / "orange_traffic.npz") as arrays:
        start = int(np.flatnonzero(arrays["timestamps"] == np.datetime64("2022-01-25T07:30"))[0])
        truth = arrays["flow"][start : start + 12, list(arrays["station_id"]).index(1205330)].sum()
    assert abs(values["total.median"] - truth) < 0.1 * truth
    assert f"{values['total.median']:,.0f} vehicles" in answer.answer
    assert f"{values['total.baseline']:,.0f} vehicles" in answer.answer
    assert "of the usual" in answer.answer
    assert '"I5 N - Sr57: 1182-Trfc Collision-No Inj"' in answer.answer
    assert {c.status for c in answer.claims} == {"verified"}
    assert all(claim.evidence for claim in answer.claims)
    as_of = pd.Timestamp("2022-01-25T07:30", tz="US/Pacific")
    assert any("CHP incident" in citation.source for citation in answer.citations)
    assert all(c.published_at is None or c.published_at <= as_of for c in answer.citations)
    assert [Path(figure.path).read_bytes()[:4] for figure in answer.figures] == [b"\x89PNG"] * 2  # forecast, test
    assert answer.chat_model == "embedded"
    assert json.dumps(answer.to_json(), allow_nan=False)


def test_the_demo_says_that_it_is_synthetic(runtime: Runtime) -> None:
    answer = _ask(runtime, DEMO)

    assert answer.dataset == "demo"
    assert answer.as_of == "2025-10-22T07:40+01:00"
    assert "S096" in answer.answer
    assert "a collision at Castle Hill" in answer.answer
    assert any("synthetic" in warning for warning in answer.warnings)
    assert {c.status for c in answer.claims} == {"verified"}
    assert answer.figures


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("How much traffic will station S999 carry next hour?", 'no station called "S999"'),
        ("How much traffic will S039 carry in the next 5 hours?", "at most 1 hour"),
        ("How much traffic will S039 carry tomorrow at 9 am?", "at most 1 hour"),
        ("Wie viel Verkehr wird an Station S039 in der nächsten Stunde sein?", "only read English"),
        ("Who won the election?", "outside of what I know"),
        ("How busy will Harbour Bridge be in half an hour?", "Which station do you mean"),
        ("What will happen next hour?", "Which station do you mean"),
        ("hello", "Hello!"),
    ],
)
def test_what_cannot_be_answered_is_said_in_a_sentence(runtime: Runtime, question: str, said: str) -> None:
    answer = _ask(runtime, question)

    assert said in answer.answer
    assert not answer.figures
    assert not [claim for claim in answer.claims if claim.status == "unsupported"]


@pytest.mark.parametrize(
    ("question", "tools", "said"),
    [
        ("Is Castle Hill southbound busier than usual right now?", {"query_series", "render_series"}, "of the usual"),
        ("Were there incidents near Castle Hill southbound today?", {"retrieve_context"}, "collision at Castle Hill"),
        ("What data do you have?", {"describe_dataset"}, "149 stations"),
        ("Which stations are at the Harbour Bridge?", {"find_places"}, "S076"),
        ("What is a capacity drop?", {"retrieve_context"}, "Source:"),
        ("How fast will traffic be at S039 in 30 minutes?", {"forecast"}, "km/h"),
    ],
)
def test_each_kind_of_question_uses_its_tools(runtime: Runtime, question: str, tools: set[str], said: str) -> None:
    answer = _ask(runtime, question)

    assert tools <= {entry.tool for entry in answer.evidence}
    assert said in answer.answer
    assert not [claim for claim in answer.claims if claim.status == "unsupported"]


def test_a_thread_remembers_the_place(runtime: Runtime) -> None:
    first = _ask(runtime, "How much traffic will S039 carry in the next hour?")
    second = _ask(runtime, "And how fast will it be in 30 minutes?", thread=first.thread)

    assert _evidence(second, "forecast").args["node"] == "S039"
    assert second.thread == first.thread
    assert not {e.id for e in first.evidence} & {e.id for e in second.evidence}


@pytest.mark.parametrize(
    ("question", "options", "message"),
    [
        ("  ", {}, "The question is empty"),
        ("x" * 5000, {}, "5000 characters"),
        ("hello", {"dataset": "nowhere"}, "no data set 'nowhere'"),
        ("hello", {"as_of": "2031-01-01"}, "outside the data of 'demo'.*2025-09-01T00:05 to 2025-10-30T23:00"),
        ("hello", {"as_of": "soon"}, "'soon' is not a point in time.*2022-01-25T07:30"),
    ],
)
def test_bad_input_is_refused(runtime: Runtime, question: str, options: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        _ask(runtime, question, **options)


def _with_another_future(panel: Panel, now: pd.Timestamp) -> Panel:
    """The same past; every later reading, event and end of an event is another."""
    later = panel.times + panel.step > now
    data = panel.data.copy(deep=True)
    for channel in panel.card.channels:
        data[channel.name].values[later] = 9999.0
    data["imputed"].values[later] = True
    events = []
    for event in panel.events:
        if event.published_at > now:
            continue
        ended = event.end is not None and event.end <= now
        events.append(event if ended else dataclasses.replace(event, end=now + pd.Timedelta(days=3)))
    start = now + pd.Timedelta(minutes=1)
    events.append(Event("false", "Everything at Castle Hill southbound is closed.", start, None, start, "x", "S096"))
    return dataclasses.replace(panel, data=data, events=tuple(events))


def test_nothing_after_the_clock_changes_an_answer(tmp_path: Path) -> None:
    """A clock that cannot leak: other data after `as_of`, the same answer to the last digit."""
    panel = demo_panel()
    now = pd.Timestamp("2025-10-22T07:40", tz=panel.zone)
    answers = []
    for name, seen in (("true", panel), ("other", _with_another_future(panel, now))):
        runtime = Runtime(load_settings(home=tmp_path / name))
        runtime.__dict__["registry"] = Registry(None, tmp_path / "none", {"demo": lambda seen=seen: seen})
        answer = _ask(runtime, DEMO, as_of="2025-10-22T07:40")
        tools = [e.model_dump(exclude={"seconds"}) for e in answer.evidence]
        answers.append((answer.answer, tools, answer.citations, [f.image_id for f in answer.figures]))

    assert answers[0] == answers[1]


def test_a_stopped_answer_frees_its_thread(runtime: Runtime) -> None:
    async def stop_then_ask() -> Answer:
        stream = runtime.stream(DEMO, thread="stopped")
        await anext(stream)
        with pytest.raises(UsageError, match="'stopped' is still under way"):
            await runtime.ask("What data do you have?", thread="stopped")
        await stream.aclose()
        return await runtime.ask("What data do you have?", thread="stopped")

    answer = asyncio.run(stop_then_ask())

    assert "149 stations" in answer.answer
    assert [entry.tool for entry in answer.evidence] == ["question", "describe_dataset"]


def test_answers_side_by_side_and_cancelled_ones_never_meet_a_lock(runtime: Runtime) -> None:
    async def crowd() -> list[Answer]:
        doomed = [asyncio.create_task(runtime.ask(DEMO, thread=f"doomed {n}")) for n in range(6)]
        for n, task in enumerate(doomed):
            await asyncio.sleep(0)  # let it begin
            asyncio.get_running_loop().call_later(0.02 * n, task.cancel)
        asked = [runtime.ask("What data do you have?", thread=f"kept {n}") for n in range(4)]
        answers = await asyncio.gather(*asked)
        await asyncio.gather(*doomed, return_exceptions=True)
        again = [runtime.ask("What data do you have?", thread=f"doomed {n}") for n in range(6)]
        return [*answers, *await asyncio.gather(*again)]

    answers = asyncio.run(crowd())

    assert len({re.sub(r"E\d+", "", answer.answer) for answer in answers}) == 1


def test_answers_side_by_side_speak_of_their_own_places(runtime: Runtime) -> None:
    nodes = [f"S{n:03}" for n in range(1, 9)]

    async def crowd() -> list[Answer]:
        asked = [
            runtime.ask(f"How busy is {node} right now compared with normal?", thread=f"of {node}") for node in nodes
        ]
        return await asyncio.gather(*asked)

    for node, answer in zip(nodes, asyncio.run(crowd()), strict=True):
        assert node in answer.answer
        assert not {other for other in nodes if other != node and other in answer.answer}
        assert {e.args["node"] for e in answer.evidence if "node" in e.args} == {node}
        assert answer.thread == f"of {node}"


def test_a_place_that_may_be_several_is_asked_about_and_the_reply_goes_on(runtime: Runtime) -> None:
    asked = _ask(runtime, "How busy will Harbour Bridge be in half an hour?")
    answer = _ask(runtime, "2", thread=asked.thread)

    assert "Which station do you mean" in asked.answer
    assert asked.choices[1].startswith("S076")
    assert not [claim for claim in asked.claims if claim.status == "unsupported"]
    assert answer.question == "How busy will Harbour Bridge be in half an hour?"
    assert answer.choices == []
    assert _evidence(answer, "clarify").args["answer"] == asked.choices[1]
    assert _evidence(answer, "forecast").args["node"] == "S076"


def test_loading_the_forecasters_leaves_none_to_load_for_an_answer(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = [channel.name for channel in runtime.load_forecasters()]

    monkeypatch.setattr("mm4st_agent.runtime.forecaster_for", lambda *found: pytest.fail("a forecaster was loaded"))
    panel = runtime.registry.open("demo")
    assert loaded == [channel.name for channel in panel.card.channels]
    for channel in panel.card.channels:
        assert runtime.forecaster(panel, channel)


def test_a_spent_budget_ends_in_a_partial_answer(tmp_path: Path) -> None:
    runtime = Runtime(load_settings(home=tmp_path, max_tool_calls=3))

    answer = _ask(runtime, "How much traffic will S039 carry in the next hour?")

    assert answer.answer.startswith("I could not finish this answer")
    assert re.search(r"\bS039\b.* \[E2\]", answer.answer)
    assert any("The limit is 3 (MM4ST_MAX_TOOL_CALLS)." in warning for warning in answer.warnings)
    assert not [claim for claim in answer.claims if claim.status == "unsupported"]


def test_choices_are_printed_with_numbers_and_the_thread(capsys: pytest.CaptureFixture[str]) -> None:
    main(["ask", "How busy will Harbour Bridge be in half an hour?", "--thread", "bridge"])
    said = capsys.readouterr().out
    main(["ask", "2", "--thread", "bridge", "--json"])
    answer = json.loads(capsys.readouterr().out)

    assert "  2. S076 (Harbour Bridge southbound" in said
    assert "mm4st ask NUMBER --thread bridge" in said
    assert answer["choices"] == []
    assert "S076" in answer["answer"]
