"""OpenTelemetry spans for turns, model calls and tool calls; off unless `MM4ST_TRACING` says otherwise.

Names and attributes follow OpenTelemetry's conventions for generative AI (`invoke_agent`, `chat`,
`execute_tool`, `gen_ai.*`). A span holds names, counts and times: never a picture, a tool's arguments or
reply, or the words of a question unless they are asked for. Where spans go is OpenTelemetry's own affair:
a provider that the process has set up already, or the OTLP exporter, which reads `OTEL_*`.
"""

from __future__ import annotations

import time
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from langchain_core.callbacks import AsyncCallbackHandler

from mm4st_agent.agent.run_events import Finished, ToolFinished
from mm4st_agent.errors import UsageError

if TYPE_CHECKING:
    from uuid import UUID

    from langchain_core.messages import BaseMessage
    from langchain_core.outputs import LLMResult
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, Tracer

    from mm4st_agent.agent.chat import ChatModel

LONGEST_TEXT = 200
"""Characters of any attribute."""


def open_tracer(mode: Literal["off", "on", "questions"]) -> Tracer | None:
    """What makes the spans of this process; None where tracing is off.

    Raises:
        UsageError: tracing is on, but OpenTelemetry is not installed.
    """
    if mode == "off":
        return None
    try:
        from opentelemetry import trace

        if not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
            return trace.get_tracer("mm4st")  # somebody has set up tracing for the whole process
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as err:
        raise UsageError(
            f"MM4ST_TRACING is {mode!r}, but {err.name or 'OpenTelemetry'} is not installed.",
            "Install it: pip install 'mm4st[otel]', or set MM4ST_TRACING=off.",
        ) from err
    named = Resource.create({SERVICE_NAME: "mm4st"}).merge(OTELResourceDetector().detect())
    provider = TracerProvider(resource=named)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider.get_tracer("mm4st")


class TracedTurn:
    """The spans of one answer; does nothing without a tracer.

    `async with turn` is the turn; `watched(chat)` gives each model call a span, and `saw(event)` each tool call.
    """

    def __init__(self, tracer: Tracer | None, *, thread: str, dataset: str, as_of: str, question: str | None) -> None:
        self._tracer = tracer
        self._attributes: dict[str, str] = {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.name": "mm4st",
            "gen_ai.conversation.id": bounded(thread),
            "mm4st.dataset": bounded(dataset),
            "mm4st.as_of": as_of,
        }
        self._tells_words = question is not None
        if question is not None:
            self._attributes["mm4st.question"] = bounded(question)
        self._span: Span | None = None

    async def __aenter__(self) -> Self:
        if self._tracer is not None:
            self._span = self._tracer.start_span("invoke_agent mm4st", attributes=self._attributes)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._span is None:
            return
        if error is not None:
            _fail(self._span, type(error).__name__, str(error) if self._tells_words else "")
        self._span.end()

    def watched(self, chat: ChatModel) -> ChatModel:
        """The chat model, each call of which becomes a span."""
        if self._tracer is None:
            return chat
        model = chat.model.with_config(callbacks=[_ModelCalls(self._tracer, self, chat.name)])
        return replace(chat, model=model)

    def saw(self, event: Any) -> None:
        """Make the span of a tool call that ended, and say how the claims of a finished answer stand."""
        if self._tracer is None or self._span is None:
            return
        if isinstance(event, ToolFinished):
            self._tool(event)
        elif isinstance(event, Finished):
            claims = event.state.get("claims", [])
            self._span.set_attribute("mm4st.claims", len(claims))
            self._span.set_attribute("mm4st.claims.verified", sum(claim.status == "verified" for claim in claims))

    @property
    def context(self) -> Context | None:
        """Makes the turn the parent of a span; handed on by hand, as a generator's steps run in foreign contexts."""
        from opentelemetry.trace import set_span_in_context

        return None if self._span is None else set_span_in_context(self._span)

    def _tool(self, event: ToolFinished) -> None:
        assert self._tracer is not None
        entry, ended = event.evidence, time.time_ns()
        span = self._tracer.start_span(
            f"execute_tool {bounded(entry.tool)}",
            context=self.context,
            start_time=ended - round(entry.seconds * 1e9),
            attributes={
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": bounded(entry.tool),
                "gen_ai.tool.call.id": bounded(event.call_id),
                "mm4st.evidence": entry.id,
                "mm4st.seconds": entry.seconds,
                "mm4st.values": len(entry.values),
                "mm4st.images": len(entry.images),
            },
        )
        if entry.error is not None:
            _fail(span, "ToolError", entry.error if self._tells_words else "")
        span.end(ended)


class _ModelCalls(AsyncCallbackHandler):
    """One span a call of the chat model; what the messages hold is not looked at."""

    def __init__(self, tracer: Tracer, turn: TracedTurn, name: str) -> None:
        self._tracer = tracer
        self._turn = turn
        self._name = name
        self._open: dict[UUID, Span] = {}

    async def on_chat_model_start(
        self, serialized: dict[str, Any], messages: list[list[BaseMessage]], *, run_id: UUID, **kwargs: Any
    ) -> None:
        self._open[run_id] = self._tracer.start_span(
            f"chat {bounded(self._name)}",
            context=self._turn.context,
            attributes={
                "gen_ai.operation.name": "chat",
                "gen_ai.request.model": bounded(self._name),
                "mm4st.messages": sum(map(len, messages)),
            },
        )

    async def on_llm_end(self, response: LLMResult, *, run_id: UUID, **kwargs: Any) -> None:
        span = self._open.pop(run_id, None)
        if span is None:
            return
        message = getattr(response.generations[0][0], "message", None) if response.generations else None
        usage = getattr(message, "usage_metadata", None) or {}
        for name in ("input_tokens", "output_tokens"):
            if name in usage:
                span.set_attribute(f"gen_ai.usage.{name}", usage[name])
        span.set_attribute("mm4st.tool_calls", len(getattr(message, "tool_calls", [])))
        span.end()

    async def on_llm_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        span = self._open.pop(run_id, None)
        if span is not None:
            _fail(span, type(error).__name__, "")
            span.end()


def bounded(text: str) -> str:
    """A text that cannot make a span large."""
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}..."


def _fail(span: Span, kind: str, words: str) -> None:
    from opentelemetry.trace import Status, StatusCode

    span.set_attribute("error.type", kind)
    span.set_status(Status(StatusCode.ERROR, bounded(words) or None))
