"""Answers run by themselves: pages come and go, a stop ends them, and one conversation has one at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, cast

import pytest

from mm4st_agent.agent.run_events import RunEvent, ToolStarted
from mm4st_agent.errors import UsageError
from mm4st_agent.web.runs import Run, Runs

KEY = (None, "t1")


class Source:
    """A stream that goes on when it is told to, and knows how it ended."""

    def __init__(self) -> None:
        self.next: asyncio.Queue[RunEvent | Exception | None] = asyncio.Queue()
        self.closed = False

    async def stream(self) -> AsyncGenerator[RunEvent]:
        try:
            while (item := await self.next.get()) is not None:
                if isinstance(item, Exception):
                    raise item
                yield item
        finally:
            self.closed = True


def step(name: str) -> ToolStarted:
    return ToolStarted(name, "forecast", "Forecasting", {})


async def names(run: Run, count: int | None = None) -> list[str]:
    found = []
    async for event in run.follow():
        found.append(cast("Any", event).call_id)
        if len(found) == count:
            break
    return found


def test_every_page_sees_all_events_whenever_it_comes() -> None:
    async def scene() -> list[list[str]]:
        source, runs = Source(), Runs()
        run = runs.start(KEY, "q", source.stream())
        early = asyncio.create_task(names(run))
        source.next.put_nowait(step("a"))
        left = await names(run, count=1)
        late = asyncio.create_task(names(run))
        source.next.put_nowait(step("b"))
        source.next.put_nowait(None)
        assert await run.outcome() is None
        return [await early, left, await late, await names(run)]

    assert asyncio.run(scene()) == [["a", "b"], ["a"], ["a", "b"], ["a", "b"]]


def test_a_run_outlives_its_watchers_and_ends_by_stop() -> None:
    async def scene() -> tuple[BaseException | None, bool, Run | None]:
        source, runs = Source(), Runs()
        run = runs.start(KEY, "q", source.stream())
        watcher = asyncio.create_task(names(run))
        source.next.put_nowait(step("a"))
        await names(run, count=1)
        watcher.cancel()
        assert runs.get(KEY) is run
        runs.stop(KEY)
        return await run.outcome(), source.closed, runs.get(KEY)

    outcome, closed, left = asyncio.run(scene())

    assert isinstance(outcome, asyncio.CancelledError)
    assert closed
    assert left is None


def test_an_error_is_the_outcome_and_frees_the_conversation(caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> BaseException | None:
        source, runs = Source(), Runs()
        run = runs.start(KEY, "q", source.stream())
        source.next.put_nowait(ValueError("no"))
        outcome = await run.outcome()
        again = runs.start(KEY, "q", Source().stream())
        again.task.cancel()
        return outcome

    assert isinstance(asyncio.run(scene()), ValueError)
    assert "bug" in caplog.text


def test_one_conversation_has_one_run_and_others_their_own() -> None:
    async def scene() -> None:
        runs = Runs()
        runs.start(KEY, "q", Source().stream())
        runs.start(("ann", "t1"), "q", Source().stream())
        with pytest.raises(UsageError, match="still under way"):
            runs.start(KEY, "other", Source().stream())
        runs.stop(KEY)
        runs.stop(("ann", "t1"))

    asyncio.run(scene())
