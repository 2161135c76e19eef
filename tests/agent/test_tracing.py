"""Spans of a whole answer, taken by OpenTelemetry's own in-memory exporter; the chat model is scripted."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.messages.tool import tool_call
from langchain_core.outputs import ChatGeneration, ChatResult
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from pydantic import Field

from mm4st_agent.agent.backends.wire import to_wire
from mm4st_agent.agent.chat import ChatModel
from mm4st_agent.agent.tracing import LONGEST_TEXT, open_tracer
from mm4st_agent.data.panel import Panel
from mm4st_agent.data.registry import Registry
from mm4st_agent.errors import ServerError, UsageError
from mm4st_agent.runtime import Runtime
from mm4st_agent.settings import load_settings

SECRET = "my grandmother's way to the Fish Market"
QUESTION = f"Draw the last day at S002, {SECRET}!"


class _Scripted(BaseChatModel):
    """Stands for a served model; an exception in its script is raised, as a server's failure would be."""

    script: list[Any]
    heard: list[list[BaseMessage]] = Field(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        self.heard.append(list(messages))
        said = self.script[len(self.heard) - 1]
        if isinstance(said, Exception):
            raise said
        return ChatResult(generations=[ChatGeneration(message=said)])


def _call(name: str, call_id: str, **args: Any) -> AIMessage:
    usage: Any = {"input_tokens": 1200, "output_tokens": 34, "total_tokens": 1234}
    return AIMessage("", tool_calls=[tool_call(name=name, args=args, id=call_id)], usage_metadata=usage)


Ask = Callable[..., tuple[list[ReadableSpan], _Scripted]]


@pytest.fixture
def ask(tmp_path: Path, city_of: Callable[..., Panel]) -> Ask:
    def _ask(*script: Any, tracing: str = "on", fails: type[Exception] | None = None) -> Any:
        exporter, provider = InMemorySpanExporter(), TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        runtime = Runtime(load_settings(dataset="city", tracing=tracing))
        city, model = city_of(), _Scripted(script=list(script))
        runtime.registry = Registry(None, tmp_path / "data", {"city": lambda: city})
        runtime._tracer = provider.get_tracer("test")
        wire = partial(to_wire, images=runtime.images.get, placement="user", limit=4)
        runtime._embedded = ChatModel("scripted", model, wire)
        if fails is None:
            asyncio.run(runtime.ask(QUESTION, thread="t-1"))
        else:
            with pytest.raises(fails):
                asyncio.run(runtime.ask(QUESTION, thread="t-1"))
        return list(exporter.get_finished_spans()), model

    return _ask


PICTURE = _call("render_series", "c1", dataset="city", node="S002", channel="flow")


def _told(span: ReadableSpan) -> str:
    return repr([span.name, span.attributes, span.events, span.status.description])


def test_a_turn_holds_its_model_calls_and_tool_calls(ask: Ask) -> None:
    spans, _ = ask(PICTURE, AIMessage("Here it is [E2]."))

    assert [span.name for span in spans] == [
        "chat scripted", "execute_tool render_series", "chat scripted", "invoke_agent mm4st",
    ]  # fmt: skip
    first, tool, _, turn = spans
    assert turn.context is not None
    assert turn.parent is None
    for span in spans[:-1]:
        assert span.parent is not None
        assert span.parent.span_id == turn.context.span_id
    told = dict(turn.attributes or {})
    assert told["gen_ai.conversation.id"] == "t-1"
    assert told["mm4st.dataset"] == "city"
    assert dict(first.attributes or {})["gen_ai.usage.input_tokens"] == 1200
    assert dict(first.attributes or {})["gen_ai.usage.output_tokens"] == 34
    assert dict(tool.attributes or {})["gen_ai.tool.call.id"] == "c1"
    assert dict(tool.attributes or {})["mm4st.images"] == 1
    seconds = dict(tool.attributes or {})["mm4st.seconds"]
    assert isinstance(seconds, float)
    assert (tool.end_time or 0) - (tool.start_time or 0) == pytest.approx(1e9 * seconds, abs=1e6)
    assert all(span.status.status_code is StatusCode.UNSET for span in spans)


def test_no_picture_and_no_words_of_the_question_are_in_any_span(ask: Ask) -> None:
    spans, model = ask(PICTURE, AIMessage("Here it is [E2]."))

    sent = repr([message.content for message in model.heard[1]])
    assert "base64" in sent, "the picture went to the model"
    assert SECRET in sent
    for span in spans:
        assert len(_told(span)) < 2000
        for hidden in ("base64", "iVBOR", SECRET, "S002"):
            assert hidden not in _told(span)


def test_the_question_is_told_only_when_that_is_asked_for(ask: Ask) -> None:
    spans, _ = ask(AIMessage("x" * 5000), tracing="questions")

    assert dict(spans[-1].attributes or {})["mm4st.question"] == QUESTION


@pytest.mark.parametrize(("tracing", "description"), [("on", None), ("questions", "'S999'")])
def test_a_tool_that_fails_is_an_error_whose_words_may_be_the_persons(
    ask: Ask, tracing: str, description: str | None
) -> None:
    missing = _call("render_series", "c1", dataset="city", node="S999")

    spans, _ = ask(missing, AIMessage("There is no such station."), tracing=tracing)

    tool = spans[1]
    assert tool.status.status_code is StatusCode.ERROR
    assert dict(tool.attributes or {})["error.type"] == "ToolError"
    if description is None:
        assert tool.status.description is None
    else:
        assert description in (tool.status.description or "")


def test_a_model_that_fails_ends_its_span_and_the_turn_with_an_error(ask: Ask) -> None:
    spans, _ = ask(ServerError(f"Nobody answers about {SECRET}."), fails=ServerError)

    assert [span.name for span in spans] == ["chat scripted", "invoke_agent mm4st"]
    assert [dict(span.attributes or {})["error.type"] for span in spans] == ["ServerError", "ServerError"]
    assert all(SECRET not in _told(span) for span in spans)


def test_a_name_that_a_model_made_up_cannot_make_a_span_large(ask: Ask) -> None:
    spans, _ = ask(_call("z" * 9000, "c" * 9000), AIMessage("There is no such tool."))

    assert len(_told(spans[1])) < 6 * LONGEST_TEXT


def test_nothing_is_imported_or_made_when_tracing_is_off() -> None:
    code = (
        "import sys, mm4st_agent.runtime as r; import mm4st_agent.agent.tracing; assert r.Runtime()._tracer is None; "
        "print(*[name for name in sys.modules if name.startswith('opentelemetry')])"
    )

    done = subprocess.run([sys.executable, "-c", code], check=True, timeout=120, capture_output=True, text=True)

    assert done.stdout.strip() == ""


def test_tracing_without_the_extra_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)

    with pytest.raises(UsageError, match="MM4ST_TRACING is 'on'") as caught:
        open_tracer("on")

    assert "mm4st[otel]" in caught.value.hint


@pytest.fixture
def collector() -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """An OTLP collector that keeps what it is sent."""
    got: list[tuple[str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", got
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("service", [None, "city-hall"])
def test_spans_go_where_the_standard_variables_say(
    service: str | None, collector: tuple[str, list[tuple[str, bytes]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    url, got = collector
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
    if service is not None:
        monkeypatch.setenv("OTEL_SERVICE_NAME", service)

    tracer: Any = open_tracer("on")
    tracer.start_span("invoke_agent mm4st").end()
    tracer.span_processor.shutdown()

    path, body = got[0]
    assert path == "/v1/traces"
    spans = ExportTraceServiceRequest.FromString(body).resource_spans[0]
    assert spans.scope_spans[0].spans[0].name == "invoke_agent mm4st"
    named = {a.key: a.value.string_value for a in spans.resource.attributes}
    assert named["service.name"] == (service or "mm4st")
