"""MCP over streamable HTTP on loopback: who may come in, and what is answered."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from mm4st_agent.errors import UsageError
from mm4st_agent.mcp.http import MOST_BODY_BYTES, listen, read_token

Post = Callable[..., httpx2.Response]
Start = Callable[..., "subprocess.Popen[str]"]
JSON = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
ASKED = {"question": "How much traffic was there at S001 in the last hour?", "dataset": "demo"}
LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}


@pytest.fixture(scope="module")
def served(start: Start) -> tuple[str, str]:
    """The address of a server, and the token that it showed."""
    server = start("--http", "--port", "0")
    assert server.stderr is not None
    url = re.search(r"http://127\.0\.0\.1:\d+/mcp", server.stderr.readline())
    token = re.fullmatch(r"Header: Authorization: Bearer (\S+)\n", server.stderr.readline())
    assert url is not None
    assert token is not None
    return url[0], token[1]


@pytest.fixture
def post(served: tuple[str, str]) -> Iterator[Callable[..., httpx2.Response]]:
    """Send what is told, with the token."""
    url, token = served
    with httpx2.Client(headers={**JSON, "Authorization": f"Bearer {token}"}, timeout=30) as client:
        yield partial(client.post, url)


@asynccontextmanager
async def connected(served: tuple[str, str], mode: str) -> Any:
    url, token = served
    async with (
        httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=60) as http,
        Client(streamable_http_client(url, http_client=http), mode=mode) as client,
    ):
        yield client


def test_questions_and_calls_side_by_side(served: tuple[str, str]) -> None:
    steps: list[str] = []

    async def saw(done: float, total: float | None, message: str | None) -> None:
        steps.append(message or "")

    async def talk() -> None:
        async with connected(served, "auto") as client:
            assert "find_places" in {tool.name for tool in (await client.list_tools()).tools}
            nodes = [f"S{n:03}" for n in range(1, 9)]
            calls = [client.call_tool("query_series", {"dataset": "demo", "node": node}) for node in nodes]
            answer, *replies = await asyncio.gather(client.call_tool("ask", ASKED, progress_callback=saw), *calls)
            assert [reply.structured_content["node"] for reply in replies] == nodes
            told = answer.structured_content
            assert {claim["status"] for claim in told["claims"]} == {"verified"}
            manifest = json.loads((await client.read_resource(told["manifest"])).contents[0].text)
            assert manifest["answer"]["answer"] == told["answer"]
            assert told["manifest"] in {resource.uri for resource in (await client.list_resources()).resources}

    asyncio.run(talk())
    assert steps[0] == "Answering"
    assert "Reading the data" in steps


def test_a_call_that_is_cancelled_leaves_the_server_at_work(served: tuple[str, str]) -> None:
    async def talk() -> None:
        async with connected(served, "legacy") as client:
            long = asyncio.create_task(client.call_tool("backtest", {"dataset": "demo"}))
            await asyncio.sleep(0)
            found = await client.call_tool("find_places", {"dataset": "demo", "query": "S002"})
            long.cancel()
            with pytest.raises(asyncio.CancelledError):
                await long
            again = await client.call_tool("find_places", {"dataset": "demo", "query": "S002"})
            assert again.structured_content == found.structured_content

    asyncio.run(talk())


@pytest.mark.parametrize(
    ("headers", "status", "said"),
    [
        ({"Authorization": ""}, 401, "needs the bearer token"),
        ({"Authorization": "Bearer wrong-but-long-enough"}, 401, "needs the bearer token"),
        ({"Authorization": "Basic dXNlcjpwYXNz"}, 401, "needs the bearer token"),
        ({"Origin": "https://evil.example"}, 403, "Origin"),
        ({"Host": "evil.example"}, 421, "Host"),
        ({"Content-Type": "text/plain"}, 400, "Content-Type"),
    ],
)
def test_who_is_turned_away(post: Post, headers: dict[str, str], status: int, said: str) -> None:
    reply = post(json=LIST, headers=headers)

    assert reply.status_code == status
    assert said in reply.text


def test_a_body_that_is_too_long_is_refused_before_it_is_sent(served: tuple[str, str]) -> None:
    url, token = served
    connection = HTTPConnection(urlsplit(url).netloc, timeout=30)
    connection.putrequest("POST", "/mcp")
    for name, value in {**JSON, "Authorization": f"Bearer {token}", "Content-Length": MOST_BODY_BYTES + 1}.items():
        connection.putheader(name, str(value))
    connection.endheaders()

    reply = connection.getresponse()

    assert reply.status == 413
    assert f"at most {MOST_BODY_BYTES} are read" in reply.read().decode()
    connection.close()


def test_a_body_of_unknown_length_is_cut_off_where_it_is_too_long(post: Post) -> None:
    reply = post(content=(b"x" * 65_536 for _ in range(MOST_BODY_BYTES // 65_536 + 2)))

    assert reply.status_code == 413


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"no JSON", -32700),
        (b"[]", None),
        (b'{"jsonrpc": "2.0", "id": 1}', None),
        (json.dumps({**LIST, "method": "no/such"}).encode(), None),
        (b"\xff\xfe\x00", -32700),
    ],
)
def test_rubbish_is_an_error_of_the_protocol(post: Post, body: bytes, code: int | None) -> None:
    reply = post(content=body)

    assert 400 <= reply.status_code < 500
    if code is not None:
        assert reply.json()["error"]["code"] == code


def test_a_token_file_is_checked(tmp_path: Path) -> None:
    file = tmp_path / "token"
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        read_token(file)
    file.write_text("short\n")
    with pytest.raises(UsageError, match="holds no token of at least 16") as refused:
        read_token(file)
    assert "short" not in str(refused.value)
    file.write_text("0123456789abcdef\n")
    assert read_token(file) == "0123456789abcdef"


def test_a_port_that_is_taken_is_said() -> None:
    with listen(0) as taken, pytest.raises(UsageError, match="cannot be used: Address already in use"):
        listen(taken.getsockname()[1])
