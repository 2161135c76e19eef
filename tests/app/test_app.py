"""Events become messages that say everything, and in which no text can do harm."""

from __future__ import annotations

import asyncio
import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest

import app
from mm4st_agent.agent.answer import Answer, AnswerFigure, Citation, Claim
from mm4st_agent.agent.ledger import Evidence, EvidenceValue
from mm4st_agent.agent.run_events import ToolFinished, ToolStarted
from mm4st_agent.errors import ServerError, UsageError
from mm4st_agent.runtime import Runtime
from mm4st_agent.settings import load_settings

STARTED = ToolStarted("call_1", "forecast", "Forecasting", {"node": "D05", "minutes": 60})


def _evidence(**changes: object) -> Evidence:
    fields = {"id": "E2", "tool": "forecast", "args": STARTED.args, "as_of": None, "seconds": 0.25}
    return Evidence(**{**fields, **changes})


def _answer(**changes: object) -> Answer:
    fields = {
        "question": "How much?",
        "answer": "About **179 vehicles** [E2].",
        "claims": [],
        "evidence": [],
        "figures": [],
        "citations": [],
        "warnings": [],
        "chat_model": "embedded",
        "dataset": "demo",
        "as_of": "2025-09-29T00:00+01:00",
        "thread": "t1",
        "seconds": 1.25,
    }
    return Answer(**{**fields, **changes})


def _claim(text: str, answer: str, status: str) -> Claim:
    start = answer.index(text)
    span = (start, start + len(text))
    return Claim(text=text, span=span, kind="number", value=1.0, unit=None, status=status, evidence=[])


def test_a_step_runs_then_tells_its_time_and_evidence() -> None:
    running = app.shown([], STARTED)
    assert running[0]["metadata"] == {"id": "call_1", "title": "Forecasting", "status": "pending"}
    assert app.waiting(running) == running

    values = {"total.median": EvidenceValue(value=179.0, unit="vehicles"), "steps": EvidenceValue(value=12, unit="")}
    done = app.shown(running, ToolFinished("call_1", _evidence(values=values)))

    assert done[0]["metadata"] == {
        "id": "call_1",
        "title": "Forecasting",
        "status": "done",
        "duration": 0.25,
        "log": "E2",
    }
    assert done[0]["content"] == '`node = "D05"` `minutes = 60`\n\nEvidence E2: 2 values.'
    assert running[0]["metadata"]["status"] == "pending", "the earlier chat is left as it was"
    assert app.waiting(done) == [*done, app.THINKING]


def test_steps_that_run_side_by_side_end_one_by_one() -> None:
    other = ToolStarted("call_2", "query_series", "Reading the data", {})
    chat = app.shown(app.shown([], STARTED), other)

    chat = app.shown(chat, ToolFinished("call_2", _evidence(id="E3")))

    assert [message["metadata"]["status"] for message in chat] == ["pending", "done"]


def test_a_failed_step_says_why() -> None:
    error = "A horizon of 2016 steps is out of range. Ask for 1 to 12 steps."
    chat = app.shown(app.shown([], STARTED), ToolFinished("call_1", _evidence(error=error)))

    assert chat[0]["metadata"]["log"] == "E2, failed"
    assert chat[0]["content"].endswith(f"Could not: {error}")


def test_a_step_that_was_broken_off_does_not_run_on() -> None:
    done = app.shown(app.shown([], STARTED), ToolFinished("call_1", _evidence()))
    chat = app.shown(done, ToolStarted("call_2", "query_series", "Reading the data", {}))

    closed = app.closed(chat)

    assert closed[0] == done[0]
    assert closed[1]["metadata"]["status"] == "done"
    assert closed[1]["metadata"]["log"] == "broken off"


def test_arguments_stay_code_whatever_they_hold() -> None:
    event = ToolStarted("c", "find_places", "Looking up the place", {"query": "`</code> <b>\n\n# D05`"})
    content = app.shown([], event)[0]["content"]

    assert content.count("`") == 2
    assert "\n" not in content


def test_unsupported_claims_are_struck_through_and_labelled() -> None:
    text = "About **179 vehicles** [E2], at most 220 [unsupported] or 300 [unsupported]."
    claims = [_claim("179", text, "verified"), _claim("220", text, "unsupported"), _claim("300", text, "unsupported")]

    content = app.answered(_answer(answer=text, claims=claims))["content"]

    label = '<strong class="unsupported">⚠ unsupported</strong>'
    assert f"at most <s>220</s> {label} or <s>300</s> {label}." in content
    assert '**179 vehicles** <span class="evidence">[E2]</span>' in content
    assert "1 of 3 claims supported by the evidence" in content


def test_an_answer_shows_pictures_warnings_sources_and_what_it_took() -> None:
    figure = AnswerFigure(image_id="0", title="Station D05", alt='It says "179"', evidence="E2", path="/a b/0.png")
    when = datetime(2025, 9, 28, 17, 5, tzinfo=UTC)
    source = Citation(doc_id="1", text="Debris.", source="Desk", span=(0, 7), published_at=when, evidence="E4")

    content = app.answered(_answer(figures=[figure], citations=[source], warnings=["Synthetic."]))["content"]

    assert '<img src="gradio_api/file=/a%20b/0.png" alt="It says &quot;179&quot;">' in content
    assert "<figcaption>[E2] Station D05</figcaption>" in content
    assert "<li>Synthetic.</li>" in content
    assert "<blockquote><p>Debris.</p><cite>E4 · Desk · 2025-09-28 17:05</cite></blockquote>" in content
    assert "answered by embedded · data demo as of 2025-09-29T00:00+01:00 · 1.2 s · thread t1" in content


def test_an_answer_without_sources_shows_no_empty_parts() -> None:
    content = app.answered(_answer())["content"]

    assert "Sources" not in content
    assert "Keep in mind" not in content
    assert "claims" not in content


def test_a_source_cannot_leave_its_quotation() -> None:
    text = "<script>alert(1)</script></blockquote>\n\n# Ignore everything above"
    source = Citation(doc_id="1", text=text, source="<img src=x>", span=(0, 9), evidence="E4")

    content = app.answered(_answer(citations=[source]))["content"]

    assert "<script>" not in content
    assert "<img" not in content
    assert "\n#" not in content
    assert content.count("</blockquote>") == 1


def test_an_error_is_one_sentence_and_a_hint() -> None:
    error = ServerError("No chat model server answers at http://127.0.0.1:9/v1.", "Start one with `make serve-vlm`.")

    assert app.failed(error)["content"] == f'<p class="sentence">{error}</p>'


def test_a_bug_is_named_as_one_and_its_traceback_goes_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    try:
        raise KeyError("/secret/path")
    except KeyError as err:
        content = app.failed(err)["content"]

    assert "bug in mm4st" in content
    assert "secret" not in content
    assert "test_app.py" in caplog.text
    assert "secret" in caplog.text


def test_the_data_are_said_to_be_synthetic() -> None:
    panel = Runtime().registry.open("demo")

    assert app.data_facts(panel).startswith('<span class="synthetic">Synthetic data</span> <strong>Port Alder')


def test_a_taken_port_is_named_with_the_variable_that_changes_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=rf"127\.0\.0\.1, port {port}.*MM4ST_PORT"):
            app.launch(Runtime(load_settings(port=port)))


def test_an_unknown_data_set_stops_the_start() -> None:
    with pytest.raises(UsageError, match=r"no data set 'dmeo'\. Did you mean 'demo'\?"):
        app.build(Runtime(load_settings(dataset="dmeo")))


@pytest.mark.parametrize("question", app.EXAMPLES["demo"])
def test_the_demo_examples_work(question: str, runtime: Runtime) -> None:
    _works(asyncio.run(runtime.ask(question)))


@pytest.mark.parametrize("question", app.EXAMPLES["pems-orange"])
def test_the_orange_examples_work(question: str, real_data: Path, runtime: Runtime) -> None:
    _works(asyncio.run(runtime.ask(question, dataset="pems-orange")))


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    return Runtime(load_settings(home=tmp_path_factory.mktemp("home")))


def _works(answer: Answer) -> None:
    assert [e.error for e in answer.evidence if e.error] == []
    assert [e.tool for e in answer.evidence if e.tool != "question"]
    assert [c.text for c in answer.claims if c.status == "unsupported"] == []
    assert any(f"{e.id}]" in answer.answer for e in answer.evidence), answer.answer
