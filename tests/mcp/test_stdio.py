"""MCP over stdio, by the SDK's client and by one that sends rubbish."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters
from PIL import Image

from mm4st_agent.mcp.sizes import MOST_BYTES
from mm4st_agent.runtime import Runtime
from tools import ALL_TOOLS

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.mark.parametrize("mode", ["legacy", "auto"])
def test_a_host_lists_calls_reads_and_asks(stdio: StdioServerParameters, mode: str) -> None:
    steps: list[str] = []

    async def saw(done: float, total: float | None, message: str | None) -> None:
        steps.append(message or "")

    async def talk() -> None:
        async with Client(stdio, mode=mode) as client:
            tools = {tool.name: tool for tool in (await client.list_tools()).tools}
            assert set(tools) == {spec.name for spec in ALL_TOOLS} | {"ask"}
            assert all("as_of" in tool.input_schema["properties"] for tool in tools.values())
            assert {name for name, tool in tools.items() if not tool.annotations.read_only_hint} == {"ask"}

            found = await client.call_tool("find_places", {"dataset": "demo", "query": "S001"})
            expected = Runtime().tool("find_places", {"dataset": "demo", "query": "S001"}).model_dump(mode="json")
            assert found.structured_content == json.loads(found.content[0].text) == expected

            drawn = await client.call_tool("render_series", {"dataset": "demo", "node": "S001"}, progress_callback=saw)
            picture, link = drawn.content[1:]
            assert Image.open(io.BytesIO(base64.b64decode(picture.data))).size[0] > 300
            whole = (await client.read_resource(link.uri)).contents[0]
            assert link.uri.endswith(drawn.structured_content["figure"]["image_id"])
            assert len(base64.b64decode(whole.blob)) == link.size

            refused = await client.call_tool("find_places", {"dataset": "nowhere"})
            assert refused.is_error
            assert "There is no data set 'nowhere'" in refused.content[0].text

            card = json.loads((await client.read_resource("mm4st://dataset/demo")).contents[0].text)
            assert card["sha256"] == Runtime().registry.card("demo").sha256
            assert card["synthetic"]
            assert "mm4st://document/note/capacity-drop" in {r.uri for r in (await client.list_resources()).resources}
            report = await client.get_prompt("morning_report", {"dataset": "demo"})
            assert 'the data set "demo"' in report.messages[0].content.text

    asyncio.run(talk())
    assert steps[0] == "Drawing the series"


def _line(**message: Any) -> str:
    return json.dumps({"jsonrpc": "2.0", **message}) + "\n"


HELLO = {
    "protocolVersion": "2025-06-18",
    "capabilities": {},
    "clientInfo": {"name": "rubbish", "version": "1"},
}


def test_rubbish_breaks_nothing_and_stdout_holds_the_protocol_only(start: Start) -> None:
    sent = [
        "this is no JSON\n",
        "[1, 2\n",
        "\x00\xff\n",
        "{}\n",
        _line(id=1, method="initialize", params=HELLO),
        _line(method="notifications/initialized"),
        _line(id=2, method="no/such/method"),
        _line(id=3, method="tools/call", params={"name": 7, "arguments": []}),
        _line(id=4, method="tools/call", params={"name": "forecast", "arguments": "S001"}),
        _line(id=5, method="tools/call", params={"name": "find_places", "arguments": {"dataset": ["demo"], "x": None}}),
        _line(id=6, method="tools/call", params={"name": "find_places", "arguments": {"dataset": "demo", "as_of": 7}}),
        _line(id=7, method="tools/call", params={"name": "no_such_tool"}),
        _line(id=8, method="resources/read", params={"uri": "file:///etc/passwd"}),
        _line(id=9, method="resources/list", params={"cursor": "-1"}),
        _line(id=10, method="prompts/get", params={"name": "morning_report", "arguments": {"dataset": "x" * 999}}),
        _line(id=11, method="tools/call", params={"name": "find_places", "arguments": {"dataset": "x" * 500_000}}),
        _line(method="notifications/cancelled", params={"requestId": 999}),
        _line(
            id=12, method="tools/call", params={"name": "find_places", "arguments": {"dataset": "demo", "query": "S1"}}
        ),
    ]
    server = start()
    assert server.stdin is not None
    assert server.stdout is not None

    server.stdin.write("".join(sent))
    server.stdin.flush()
    replies = {}
    while not replies.keys() >= {*range(1, 13)}:
        message = json.loads(server.stdout.readline())
        replies[message.get("id")] = message

    assert replies[2]["error"]["code"] == -32601
    assert {replies[n]["error"]["code"] for n in (3, 4, 7, 8, 9, 10)} == {-32602}
    assert "names nothing here" in replies[8]["error"]["message"]
    for n, said in ((5, "Bad arguments for find_places: dataset"), (6, "as_of cannot be 7"), (11, "no data set")):
        assert replies[n]["result"]["isError"]
        assert said in replies[n]["result"]["content"][0]["text"]
        assert len(json.dumps(replies[n])) < MOST_BYTES
    assert not replies[12]["result"].get("isError")
    server.stdin.close()
    assert server.wait(timeout=30) == 0
    assert server.stdout.read() == ""


def test_a_line_that_is_too_long_is_answered_and_the_next_one_is_read(start: Start) -> None:
    long = json.dumps({"name": "find_places", "arguments": {"id": 9, "dataset": "x" * 5_000_000}})
    server = start()
    assert server.stdin is not None
    assert server.stdout is not None

    server.stdin.write(_line(id=1, method="initialize", params=HELLO))
    server.stdin.write(f'{{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{long}}}\n')
    server.stdin.write(f'{{"method":"tools/call","params":{long},"jsonrpc":"2.0","id":"three"}}\n')
    server.stdin.write(f'{{"params":{long}}}\n')
    server.stdin.write(_line(id=4, method="ping"))
    server.stdin.flush()
    replies = [json.loads(server.stdout.readline()) for _ in range(5)]

    refused = [reply for reply in replies if "error" in reply]
    assert [reply["id"] for reply in refused] == [2, "three", None]
    assert all("more than 1,048,576 bytes" in reply["error"]["message"] for reply in refused)
    assert {reply["id"] for reply in replies if "result" in reply} == {1, 4}
    server.stdin.close()
    assert server.wait(timeout=30) == 0


def test_options_of_http_are_refused_without_it(start: Start, tmp_path: Path) -> None:
    server = start("--port", "0")

    assert server.wait(timeout=30) == 2
    assert server.stderr is not None
    assert "--port and --token-file are for --http" in server.stderr.read()
