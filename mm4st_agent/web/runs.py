"""Answers under way: each runs by itself, however many pages watch it, also none after a reload."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import TYPE_CHECKING

from mm4st_agent.errors import MM4STError, UsageError
from mm4st_agent.memory import give_back

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from mm4st_agent.agent.conversations import Turn
    from mm4st_agent.agent.run_events import RunEvent

log = logging.getLogger(__name__)

Key = tuple[str | None, str]
"""A person and their conversation."""


class Run:
    """One answer under way, in a task of its own: cancelling the task stops it wherever it stands."""

    def __init__(self, question: str, stream: AsyncGenerator[RunEvent], before: Sequence[Turn] = ()) -> None:
        self.question = question
        self.before = before
        self.events: list[RunEvent] = []
        self._over = False
        self._news = asyncio.Event()
        self.task = asyncio.create_task(self._work(stream))

    async def follow(self) -> AsyncIterator[RunEvent]:
        """All events from the first one on, until the run is over; who stops following changes nothing."""
        seen = 0
        while True:
            news = self._news  # taken before looking, so that nothing falls between
            while seen < len(self.events):
                seen += 1
                yield self.events[seen - 1]
            if self._over:
                return
            await news.wait()

    async def outcome(self) -> BaseException | None:
        """What ended it: None is an answer, `CancelledError` that it was stopped."""
        await asyncio.wait([self.task])
        return asyncio.CancelledError() if self.task.cancelled() else self.task.exception()

    async def _work(self, stream: AsyncGenerator[RunEvent]) -> None:
        try:
            async with aclosing(stream) as events:
                async for event in events:
                    self.events.append(event)
                    self._tell()
        finally:
            self._over = True
            self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()


class Runs:
    """The runs of this process, of one event loop; a conversation has one at a time."""

    def __init__(self) -> None:
        self._running: dict[Key, Run] = {}

    def start(self, key: Key, question: str, stream: AsyncGenerator[RunEvent], before: Sequence[Turn] = ()) -> Run:
        """Begin to answer.

        Args:
            key: Whose conversation, and which.
            question: The person's words.
            stream: The events of the answer; it is closed when the run ends.
            before: The turns that stand above it.

        Raises:
            UsageError: an answer in this conversation is still under way.
        """
        if key in self._running:
            raise UsageError("An answer in this conversation is still under way.", "Wait for it, or stop it.")
        run = self._running[key] = Run(question, stream, before)
        run.task.add_done_callback(lambda task: self._ended(key, task))
        return run

    def get(self, key: Key) -> Run | None:
        return self._running.get(key)

    def stop(self, key: Key) -> None:
        """Stop the run of this conversation, if there is one."""
        if run := self._running.get(key):
            run.task.cancel()

    def _ended(self, key: Key, task: asyncio.Task[None]) -> None:
        del self._running[key]
        if not self._running:
            task.get_loop().run_in_executor(None, give_back)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, MM4STError):
            log.error("A question ended in a bug.", exc_info=error)
