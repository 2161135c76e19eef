"""Drafts: what a served model writes is shown while it writes, and its reply stays what it was."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, BaseMessage, HumanMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult

from mm4st_agent.agent.chat import ChatModel
from mm4st_agent.agent.drafting import EVERY_S, reply_of, visible
from mm4st_agent.agent.run_events import Answered, Drafted, RunEvent, ToolFinished, ToolStarted
from mm4st_agent.cli import main
from mm4st_agent.data.panel import Panel
from mm4st_agent.data.registry import Registry
from mm4st_agent.errors import ServerError
from mm4st_agent.runtime import Runtime
from mm4st_agent.settings import load_settings

QUESTION = "What data do you have?"
WAIT = object()
"""In a reply: go on once the test has seen a draft."""
LONGEST_WAIT_S = 60.0


def _delta(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "finish_reason": finish}


def _words(*pieces: Any) -> list[Any]:
    """A reply that is only text."""
    return [*(p if p is WAIT else _delta(content=p) for p in pieces), _delta("stop")]


def _call(arguments: str, finish: str = "tool_calls") -> list[Any]:
    """The call of a tool, in two pieces."""
    half = len(arguments) // 2
    head = {"index": 0, "id": "c1", "type": "function", "function": {"name": "find_places", "arguments": ""}}
    parts = [head, *({"index": 0, "function": {"arguments": a}} for a in (arguments[:half], arguments[half:]))]
    return [*(_delta(tool_calls=[part]) for part in parts), _delta(finish)]


class Server(ThreadingHTTPServer):
    """Speaks as an OpenAI-compatible server; says one reply of `script` a request, the last one again and again."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script: list[Any] = []
        self.asked: list[dict[str, Any]] = []
        self.seen = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        server = self.server
        server.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        reply = server.script[min(len(server.asked), len(server.script)) - 1]
        if isinstance(reply, bytes):
            self.wfile.write(reply)
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for choice in reply:
            if choice is WAIT:
                server.seen.wait(LONGEST_WAIT_S)
                server.seen.clear()
            else:
                self._send({"choices": [choice]})
        self._send({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}})
        self.wfile.write(b"data: [DONE]\n\n")

    def _send(self, part: dict[str, Any]) -> None:
        chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", **part}
        self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
        self.wfile.flush()

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        worker = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        worker.start()
        try:
            yield server
        finally:
            server.shutdown()
            worker.join()


@pytest.fixture
def runtime(server: Server, tmp_path: Path, city_of: Callable[..., Panel]) -> Runtime:
    runtime = Runtime(load_settings(dataset="city", vllm_url=server.url, vllm_model="m", vllm_max_images=0))
    city = city_of()
    runtime.registry = Registry(None, tmp_path / "data", {"city": lambda: city})
    return runtime


def _stream(runtime: Runtime, server: Server, **options: Any) -> list[RunEvent]:
    """All events of a question; each draft lets the server go on."""

    async def collect() -> list[RunEvent]:
        events = []
        async for event in runtime.stream(QUESTION, chat_model="vllm", thread="t", **options):
            events.append(event)
            if isinstance(event, Drafted):
                server.seen.set()
        return events

    return asyncio.run(collect())


def _drafts(events: list[RunEvent]) -> list[str]:
    return [event.text for event in events if isinstance(event, Drafted)]


def test_text_is_shown_while_it_is_written(runtime: Runtime, server: Server) -> None:
    server.script = [_words("Traffic is ", WAIT, "as usual", " today.")]

    *events, last = _stream(runtime, server)

    assert server.asked[0]["stream"] is True
    assert _drafts(events)[0] == "Traffic is"
    assert _drafts(events)[-1] == "Traffic is as usual today."
    assert isinstance(last, Answered)
    assert last.answer.answer == "Traffic is as usual today."
    assert last.answer.chat_model == "vllm/m"


def test_hidden_reasoning_never_appears(runtime: Runtime, server: Server) -> None:
    server.script = [_words("<thi", "nk>They want", " secrets", "</think>", "Traffic ", WAIT, "is fine.<th")]

    *events, last = _stream(runtime, server)

    assert _drafts(events) == ["Traffic", "Traffic is fine."]
    assert isinstance(last, Answered)
    assert last.answer.answer == "Traffic is fine.<th"


def test_text_that_comes_with_a_tool_call_is_taken_back(runtime: Runtime, server: Server) -> None:
    call = _call('{"dataset": "city", "query": "S003"}')
    server.script = [[_delta(content="I will look."), WAIT, *call], _words("It is there.")]

    events = _stream(runtime, server)

    kinds = [type(event) for event in events]
    assert _drafts(events) == ["I will look.", "", "It is there."]
    assert kinds == [Drafted, Drafted, ToolStarted, ToolFinished, Drafted, Answered]
    finished = next(event for event in events if isinstance(event, ToolFinished))
    assert finished.evidence.args["query"] == "S003"
    assert server.asked[1]["messages"][-1]["role"] == "tool"


def test_a_call_alone_is_no_draft(runtime: Runtime, server: Server) -> None:
    server.script = [_call('{"dataset": "city", "query": "S003"}'), _words("It is there.")]

    assert _drafts(_stream(runtime, server)) == ["It is there."]


def test_a_call_that_was_cut_off_is_not_made(runtime: Runtime, server: Server) -> None:
    """LangChain mends the JSON of a streamed call: half of an argument would go to the tool."""
    server.script = [_call('{"dataset": "city", "query": "S0', "length"), _words("I cannot tell.")]

    events = _stream(runtime, server)

    assert not any(isinstance(event, ToolStarted) for event in events)
    assert "not valid JSON" in server.asked[1]["messages"][-1]["content"]


def test_a_busy_server_is_asked_again(runtime: Runtime, server: Server) -> None:
    busy = b"HTTP/1.1 503 Busy\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    server.script = [busy, _words("It is there.")]

    *events, last = _stream(runtime, server)

    assert _drafts(events) == ["It is there."]
    assert isinstance(last, Answered)


@pytest.mark.parametrize("body", ["data: [DONE]\n\n", '{"choices": []}'])
def test_an_empty_answer_is_the_servers_fault(body: str, runtime: Runtime, server: Server) -> None:
    kind = "text/event-stream" if body.startswith("data") else "application/json"
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    server.script = [(head + body).encode()]

    with pytest.raises(ServerError, match="vllm/m sent an empty answer"):
        _stream(runtime, server)


def test_the_embedded_model_writes_at_once(runtime: Runtime) -> None:
    async def collect() -> list[RunEvent]:
        return [event async for event in runtime.stream(QUESTION)]

    assert not _drafts(asyncio.run(collect()))


def test_the_command_line_answers_all_the_same(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server.script = [_words("Traffic is ", "as usual today.")]
    for name, value in {"URL": server.url, "MODEL": "m", "MAX_IMAGES": "0"}.items():
        monkeypatch.setenv(f"MM4ST_VLLM_{name}", value)

    main(["ask", QUESTION, "--chat-model", "vllm", "--json"])

    answer = json.loads(capsys.readouterr().out)
    assert (answer["answer"], answer["turn"]) == ("Traffic is as usual today.", 1)


class _Streamed(BaseChatModel):
    """Says its chunks at once."""

    chunks: list[AIMessageChunk]

    @property
    def _llm_type(self) -> str:
        return "streamed"

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        raise NotImplementedError

    async def _astream(self, *args: Any, **kwargs: Any) -> AsyncIterator[ChatGenerationChunk]:
        for chunk in self.chunks:
            yield ChatGenerationChunk(message=chunk)


def test_drafts_come_not_faster_than_people_read() -> None:
    drafts: list[Drafted] = []
    model = _Streamed(chunks=[AIMessageChunk(content=f"word{n} ") for n in range(3000)])
    started = time.monotonic()

    reply = asyncio.run(reply_of(ChatModel("m", model, streams=True), [HumanMessage("?")], drafts.append))

    assert 2 <= len(drafts) <= (time.monotonic() - started) / EVERY_S + 2
    assert drafts[-1].text == reply.text.strip()
    assert reply.text.split()[-1] == "word2999"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("It is 4.", "It is 4."),
        ("<think>", ""),
        ("<think>Is it", ""),
        ("<think>Is it?</think>It is", "It is"),
        ("Is it?</think>It is", "It is"),
        ("So <think>one</think>it <think>two", "So it"),
        ("a < b", "a < b"),
        ("It is <", "It is"),
        ("It is <think", "It is"),
    ],
)
def test_only_what_is_meant_for_the_person_is_visible(text: str, shown: str) -> None:
    assert visible(text) == shown
