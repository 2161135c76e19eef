"""What a server's failures become; the servers here only fail."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from langchain_core.exceptions import ModelAPIError

from mm4st_agent.agent.backends.vllm import ServerBusyError, probe_images, vllm_chat_model
from mm4st_agent.errors import ServerError, UsageError
from mm4st_agent.settings import Settings


@contextmanager
def _answering(reply: bytes) -> Iterator[str]:
    """A server that answers every request with these bytes and hangs up; yields its root."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.wfile.write(reply)

        do_GET = do_POST

        def log_message(self, *args: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        worker = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        worker.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1"
        finally:
            server.shutdown()
            worker.join()


def _http(status: str, body: str, kind: str = "application/json") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


def _invoke(settings: Settings) -> None:
    vllm_chat_model(settings).invoke("hello")


def _ainvoke(settings: Settings) -> None:
    asyncio.run(vllm_chat_model(settings).ainvoke("hello"))


def _stream(settings: Settings) -> None:
    list(vllm_chat_model(settings).stream("hello"))


def _astream(settings: Settings) -> None:
    async def collect() -> None:
        async for _ in vllm_chat_model(settings).astream("hello"):
            pass

    asyncio.run(collect())


CALLS = pytest.mark.parametrize("call", [_invoke, _ainvoke, _stream, _astream])
Call = Callable[[Settings], None]


@pytest.fixture
def dead_url() -> str:
    """An address where nobody answers: the port was ours and is closed again."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}/v1"


@CALLS
@pytest.mark.parametrize("model", [None, "some-model"])
def test_a_dead_server_is_named_with_what_to_do(call: Call, model: str | None, dead_url: str) -> None:
    with pytest.raises(ServerError) as caught:
        call(Settings(vllm_url=dead_url, vllm_model=model))

    assert caught.value.exit_code == 4
    assert dead_url in caught.value.message
    assert "make serve-vlm" in caught.value.hint
    assert "MM4ST_VLLM_URL" in caught.value.hint


@CALLS
def test_a_server_that_hangs_up_is_a_server_error(call: Call) -> None:
    with _answering(b"") as url, pytest.raises(ServerError, match="broke off its answer") as caught:
        call(Settings(vllm_url=url, vllm_model="m"))

    assert not isinstance(caught.value, ModelAPIError)


@CALLS
def test_a_slow_server_is_a_server_error(call: Call) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        with pytest.raises(ServerError, match="took too long") as caught:
            call(Settings(vllm_url=url, vllm_model="m", timeout_s=0.2))

    assert "MM4ST_TIMEOUT_S" in caught.value.hint


@CALLS
@pytest.mark.parametrize("status", ["429 Too Many Requests", "503 Service Unavailable"])
def test_a_busy_server_may_be_asked_again(call: Call, status: str) -> None:
    reply = _http(status, '{"error": {"message": "full house"}}')

    with _answering(reply) as url, pytest.raises(ServerBusyError, match="full house") as caught:
        call(Settings(vllm_url=url, vllm_model="m"))

    assert caught.value.exit_code == 4
    assert isinstance(caught.value, ModelAPIError)


@CALLS
@pytest.mark.parametrize(
    ("status", "said", "hint"),
    [
        ("400 Bad Request", "At most 4 image(s) may be provided", ""),
        ("404 Not Found", "The model `m` does not exist", "MM4ST_VLLM_MODEL"),
        ("401 Unauthorized", "refused the key", "MM4ST_VLLM_API_KEY"),
    ],
)
def test_a_refusal_carries_the_servers_own_words(call: Call, status: str, said: str, hint: str) -> None:
    reply = _http(status, json.dumps({"error": {"message": said}}))

    with _answering(reply) as url, pytest.raises(UsageError) as caught:
        call(Settings(vllm_url=url, vllm_model="m"))

    assert said in caught.value.message
    assert hint in caught.value.hint


@pytest.mark.parametrize("call", [_stream, _astream])
def test_an_error_amid_a_stream_is_a_server_error(call: Call) -> None:
    chunk = {"id": "1", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": "he"}}]}
    body = f"data: {json.dumps(chunk)}\n\n" + 'data: {"error": {"message": "the engine died", "code": 500}}\n\n'

    with _answering(_http("200 OK", body, "text/event-stream")) as url, pytest.raises(ServerError) as caught:
        call(Settings(vllm_url=url, vllm_model="m"))

    assert "the engine died" in caught.value.message


def test_the_only_model_is_found() -> None:
    with _answering(_http("200 OK", '{"data": [{"id": "one"}]}')) as url:
        assert vllm_chat_model(Settings(vllm_url=url)).model_name == "one"


@pytest.mark.parametrize(
    ("reply", "hint"),
    [
        (_http("200 OK", '{"data": [{"id": "one"}, {"id": "two"}]}'), "MM4ST_VLLM_MODEL to one of ['one', 'two']"),
        (_http("200 OK", "<html>hello</html>", "text/html"), "MM4ST_VLLM_URL"),
        (_http("404 Not Found", "{}"), "MM4ST_VLLM_URL"),
    ],
)
def test_a_model_that_cannot_be_found_is_asked_for(reply: bytes, hint: str) -> None:
    with _answering(reply) as url, pytest.raises(UsageError) as caught:
        vllm_chat_model(Settings(vllm_url=url))

    assert hint in caught.value.hint


def _reply(prompt_tokens: int = 1, **message: Any) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": None, **message}, "finish_reason": "stop"}
    usage = {"prompt_tokens": prompt_tokens, "completion_tokens": 1, "total_tokens": prompt_tokens + 1}
    return _http("200 OK", json.dumps({"id": "1", "object": "chat.completion", "choices": [choice], "usage": usage}))


def test_a_server_that_drops_pictures_is_found_out() -> None:
    with _answering(_reply(prompt_tokens=100)) as url, pytest.raises(UsageError, match="ignores pictures") as caught:
        probe_images(vllm_chat_model(Settings(vllm_url=url, vllm_model="m")), placement="user")

    assert "MM4ST_VLLM_MAX_IMAGES=0" in caught.value.hint


@pytest.mark.parametrize("call", [_invoke, _ainvoke])
def test_a_call_without_named_arguments_is_a_server_error(call: Call) -> None:
    tool_call = {"id": "1", "type": "function", "function": {"name": "draw", "arguments": "2.5"}}

    with _answering(_reply(tool_calls=[tool_call])) as url, pytest.raises(ServerError, match=r"2\.5"):
        call(Settings(vllm_url=url, vllm_model="m"))
