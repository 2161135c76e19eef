"""Keep a turn in its conversation from its question to its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from mm4st_agent.agent.answer import Answer
from mm4st_agent.agent.conversations import Conversations
from mm4st_agent.errors import MM4STError, UsageError

T = TypeVar("T")

_TRIES, _PAUSE_S = 5, 0.02
"""Who only looks whether a thread is held holds it for a moment; so long that is waited for."""
_BUG = "Something went wrong inside mm4st. Ask again, or in other words."


class Recording:
    """The turn that is being answered. A write that fails loses no answer: it only warns.

    Attributes:
        n: Which question of the conversation it is; 0 where it cannot be kept.
        problem: Why it cannot be kept, as a sentence; None while all is well.
        ended: Whether its end is written.
    """

    def __init__(self, conversations: Conversations, thread: str) -> None:
        self.n = 0
        self.problem: str | None = None
        self.ended = False
        self._kept = conversations
        self._thread = thread

    async def begin(self, question: str, dataset: str, *, instead_of_last: bool) -> None:
        """Write that it is asked."""
        n = await self._try(lambda: self._kept.begin(self._thread, question, dataset, instead_of_last=instead_of_last))
        self.n = n or 0

    async def answered(self, answer: Answer) -> Answer:
        """Write the answer; what comes back warns where that could not be done."""
        await self.end(lambda: self._kept.finish(self._thread, self.n, answer))
        if self.problem is None:
            return answer
        warning = f"This answer is not kept in the conversation: {self.problem}"
        return answer.model_copy(update={"warnings": [*answer.warnings, warning]})

    async def failed(self, message: str) -> None:
        """Write why there is no answer."""
        await self.end(lambda: self._kept.fail(self._thread, self.n, message))

    async def stopped(self) -> None:
        """Write that nobody waits for it any more."""
        await self.end(lambda: self._kept.stop(self._thread, self.n))

    async def end(self, write: Callable[[], None]) -> None:
        """Write an end, if a beginning was written and no end yet."""
        if self.n and not self.ended:
            self.ended = True
            await self._try(write)

    async def _try(self, write: Callable[[], T]) -> T | None:
        try:
            return await asyncio.to_thread(write)
        except UsageError as err:
            self.problem = err.message
            return None


@asynccontextmanager
async def recorded(
    conversations: Conversations, thread: str, question: str, dataset: str, *, instead_of_last: bool = False
) -> AsyncGenerator[Recording]:
    """Keep a turn from its question to its end, however it ends; nobody else answers in its thread meanwhile.

    Args:
        conversations: Where it is kept.
        thread: Goes on, or begins.
        question: The person's words.
        dataset: What it is about.
        instead_of_last: The turn takes the place of the last one.

    Raises:
        UsageError: another answer is under way in the thread.
    """
    recording = Recording(conversations, thread)
    async with _alone(conversations, thread):
        try:
            await recording.begin(question, dataset, instead_of_last=instead_of_last)
            yield recording
        except MM4STError as err:
            await recording.failed(str(err))
            raise
        except Exception:
            await recording.failed(_BUG)
            raise
        finally:  # what neither was answered nor failed was cancelled, or nobody listens any more
            await recording.stopped()


@asynccontextmanager
async def _alone(conversations: Conversations, thread: str) -> AsyncGenerator[None]:
    """Hold a thread against other answers, also of other processes: its ledger has one author at a time."""
    for _ in range(_TRIES):
        if (lock := conversations.hold(thread)) is not None:
            break
        await asyncio.sleep(_PAUSE_S)
    else:
        raise UsageError(
            f"An answer in the conversation {thread!r} is still under way.", "Wait for it, or start a new one."
        )
    try:
        yield
    finally:
        lock.release()
