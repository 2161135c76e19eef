"""Long replies, large pictures, slow and broken tools: what a host gets of them."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import numpy as np
import pytest
from mcp import Client
from PIL import Image

from mm4st_agent.agent.tool_threads import AT_ONCE
from mm4st_agent.errors import UsageError
from mm4st_agent.mcp import calls
from mm4st_agent.mcp.server import mcp_server
from mm4st_agent.mcp.sizes import MOST_BYTES, WholeReplies, fitted
from mm4st_agent.runtime import Runtime
from mm4st_agent.settings import load_settings
from mm4st_agent.toolspec import ImageHandle, Measured, ToolIn, ToolOut, ToolSpec


class _Step(ToolOut):
    time: str
    vehicles: Measured


class _ManyOut(ToolOut):
    unit: str
    steps: list[_Step]
    text: str
    figures: list[ImageHandle]


class _ManyIn(ToolIn):
    """Give much."""

    steps: int = 0
    pictures: int = 0


class _NothingIn(ToolIn):
    """Do something."""


class _NothingOut(ToolOut):
    done: bool = True


class _With(Runtime):
    """A runtime with these tools beside its own."""

    def __init__(self, *more: ToolSpec[Any, Any, Any], **settings: Any) -> None:
        super().__init__(load_settings(**settings))
        self._more = {spec.name: spec for spec in more}

    @property
    def tools(self) -> dict[str, ToolSpec[Any, Any, Any]]:
        return {**super().tools, **self._more}


def _noise(size: int, seed: int) -> bytes:
    """A picture that no PNG makes small."""
    pixels = np.random.default_rng(seed).integers(0, 255, (size, size, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def _many(args: _ManyIn, ctx: Any) -> _ManyOut:
    return _ManyOut(
        unit="vehicles",
        steps=[_Step(time=f"2025-09-01T00:{n % 60:02}", vehicles=n / 7) for n in range(args.steps)],
        text='said "so" ' * (args.steps // 10),
        figures=[
            ImageHandle(image_id=ctx.images.put(_noise(400, n)), title="Noise", alt="Noise.")
            for n in range(args.pictures)
        ],
    )


MANY = ToolSpec("many", _ManyIn, _ManyOut, _many)


def _talk(runtime: Runtime, talk: Callable[[Client], Coroutine[Any, Any, None]], mode: str = "auto") -> None:
    async def connected() -> None:
        async with Client(mcp_server(runtime), mode=mode) as client:
            await talk(client)

    asyncio.run(connected())


def _size(reply: Any) -> int:
    return len(reply.model_dump_json(by_alias=True, exclude_none=True).encode())


@pytest.mark.parametrize(("steps", "pictures"), [(20_000, 0), (20_000, 3), (10, 1), (10, 12)])
def test_a_reply_is_never_longer_than_its_limit_and_the_whole_can_be_read(steps: int, pictures: int) -> None:
    async def talk(client: Client) -> None:
        reply = await client.call_tool("many", {"steps": steps, "pictures": pictures})  # fits the output schema

        assert not reply.is_error
        assert _size(reply) <= MOST_BYTES
        kinds = [block.type for block in reply.content]
        links = [block for block in reply.content if block.type == "resource_link"]
        shown = [block for block in reply.content if block.type == "image"]
        assert kinds[0] == "text"
        assert json.loads(reply.content[0].text) == reply.structured_content
        if steps > 10:
            told = reply.content[1].text
            kept = len(reply.structured_content["steps"])
            assert f"steps: the first {kept:,} of 20,000" in told
            whole = json.loads((await client.read_resource(links[0].uri)).contents[0].text)
            assert len(whole["steps"]) == 20_000
            assert whole["steps"][:kept] == reply.structured_content["steps"]
        assert len([link for link in links if "/image/" in link.uri]) == pictures
        if pictures == 1:
            assert len(shown) == 1
            assert "drawn smaller here" in links[0].description
            assert len((await client.read_resource(links[0].uri)).contents[0].blob) > MOST_BYTES

    _talk(_With(MANY), talk)


@pytest.mark.parametrize(
    ("name", "asked"),
    [("render_map", {}), ("render_series", {"node": "S001", "hours": 336}), ("rank_places", {"limit": 20})],
)
def test_our_own_long_replies_fit(name: str, asked: dict[str, Any]) -> None:
    async def talk(client: Client) -> None:
        reply = await client.call_tool(name, {"dataset": "demo", **asked})

        assert not reply.is_error, reply.content[0].text
        assert _size(reply) <= MOST_BYTES
        assert any(block.type == "image" for block in reply.content) == name.startswith("render")

    _talk(Runtime(), talk)


def test_a_reply_that_cannot_be_cut_is_refused() -> None:
    reply = {f"k{n}": "x" * 900 for n in range(1000)}

    with pytest.raises(UsageError, match="too long to be sent"):
        fitted(reply)


def test_only_the_latest_whole_replies_are_kept() -> None:
    replies = WholeReplies()
    first = replies.put("a" * 20_000_000)
    second = replies.put("b" * 20_000_000)

    assert replies.get(second).startswith("b")
    with pytest.raises(UsageError, match="any more"):
        replies.get(first)


def test_a_bug_is_told_in_general_words_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    def broken(args: _NothingIn, ctx: Any) -> _NothingOut:
        raise KeyError("a secret of the inside")

    async def talk(client: Client) -> None:
        reply = await client.call_tool("broken", {})
        assert reply.is_error
        assert "went wrong inside mm4st" in reply.content[0].text
        assert "secret" not in reply.model_dump_json()

    with caplog.at_level(logging.ERROR):
        _talk(_With(ToolSpec("broken", _NothingIn, _NothingOut, broken)), talk)
    assert "a secret of the inside" in caplog.text


def test_cancelled_calls_make_room_and_long_ones_tell_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """All places where tools run are taken by calls that do not end; once they are cancelled, others run."""
    monkeypatch.setattr(calls, "BEAT_S", 0.05)
    end, begun = threading.Event(), threading.Semaphore(0)
    beats: list[float] = []

    def slow(args: _NothingIn, ctx: Any) -> _NothingOut:
        begun.release()
        end.wait(120)
        return _NothingOut()

    async def saw(done: float, total: float | None, message: str | None) -> None:
        beats.append(done)

    async def talk(client: Client) -> None:
        running = [asyncio.create_task(client.call_tool("slow", {}, progress_callback=saw)) for _ in range(AT_ONCE)]
        for _ in running:
            await asyncio.to_thread(begun.acquire, timeout=30)
        other = asyncio.create_task(client.call_tool("find_places", {"dataset": "demo", "query": "S001"}))
        while len(beats) < 20:
            await asyncio.sleep(0.01)
        assert not other.done()
        for call in running:
            call.cancel()
        found = await asyncio.wait_for(other, 60)
        assert found.structured_content["matches"][0]["id"] == "S001"
        seen = len(beats)
        await client.call_tool("find_places", {"dataset": "demo", "query": "S002"})
        assert len(beats) == seen

    try:
        _talk(_With(ToolSpec("slow", _NothingIn, _NothingOut, slow)), talk, mode="legacy")
    finally:
        end.set()
    assert max(beats) > 0


def test_a_tool_that_takes_too_long_is_given_up() -> None:
    end = threading.Event()

    def slow(args: _NothingIn, ctx: Any) -> _NothingOut:
        end.wait(60)
        return _NothingOut()

    async def talk(client: Client) -> None:
        reply = await client.call_tool("slow", {})
        assert reply.is_error
        assert "slow took longer than 0.2 s" in reply.content[0].text

    try:
        _talk(_With(ToolSpec("slow", _NothingIn, _NothingOut, slow), tool_timeout_s=0.2), talk)
    finally:
        end.set()
