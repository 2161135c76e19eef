"""What the page offers before anything is asked: examples that work, what the data are, and a start that can fail."""

from __future__ import annotations

import asyncio
import socket
import threading
from pathlib import Path

import pytest

import app
from mm4st_agent.agent.answer import Answer
from mm4st_agent.errors import UsageError
from mm4st_agent.runtime import Runtime
from mm4st_agent.settings import load_settings
from mm4st_agent.web import about
from mm4st_agent.web.runs import Runs


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    return Runtime(load_settings(home=tmp_path_factory.mktemp("home")))


@pytest.mark.parametrize("question", about.EXAMPLES["demo"])
def test_the_demo_examples_work(question: str, runtime: Runtime) -> None:
    _works(asyncio.run(runtime.ask(question)))


@pytest.mark.parametrize("question", about.EXAMPLES["pems-orange"])
def test_the_orange_examples_work(question: str, real_data: Path, runtime: Runtime) -> None:
    _works(asyncio.run(runtime.ask(question, dataset="pems-orange")))


@pytest.mark.parametrize("name", ["los-loop", "sz-taxi", "beijing-air"])
def test_the_examples_of_any_data_set_work(name: str, real_data: Path, runtime: Runtime) -> None:
    for question in about.example_questions(runtime.registry.open(name)):
        _works(asyncio.run(runtime.ask(question, dataset=name)))


def test_the_data_are_said_to_be_synthetic(runtime: Runtime) -> None:
    panel = runtime.registry.open("demo")

    assert about.data_line(panel).startswith('<span class="synthetic">Synthetic data</span> <strong>Port Alder')
    assert "simulation" in about.welcome(panel)
    assert "Licence" in about.data_card(panel)


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ("", "What is expected at station S096 over the next hour?"),
        ("Why is it slow at", "Why is it slow at station S096"),
        ("Compare S001 with", "Compare S001 with station S096"),
        ("How is station S096 now?", "How is station S096 now?"),
    ],
)
def test_a_place_joins_what_was_written(written: str, asked: str, runtime: Runtime) -> None:
    panel = runtime.registry.open("demo")

    assert about.with_place(panel, written, "station S096") == asked


def test_a_taken_port_is_named_with_the_variable_that_changes_it(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=rf"127\.0\.0\.1, port {port}.*MM4ST_PORT"):
            app.launch(Runtime(load_settings(port=port, home=tmp_path)))


def test_an_unknown_data_set_stops_the_start() -> None:
    with pytest.raises(UsageError, match=r"no data set 'dmeo'\. Did you mean 'demo'\?"):
        app.build(runtime := Runtime(load_settings(dataset="dmeo")), runtime.of_user, Runs(), threading.Event())


def _works(answer: Answer) -> None:
    assert [e.error for e in answer.evidence if e.error] == []
    assert [e.tool for e in answer.evidence if e.tool != "question"]
    assert [c.text for c in answer.claims if c.status == "unsupported"] == []
    assert any(f"{e.id}]" in answer.answer for e in answer.evidence), answer.answer
