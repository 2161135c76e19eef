"""A person's conversations as chat messages: asked, followed while an answer is under way, and read again later."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from mm4st_agent.errors import UsageError
from mm4st_agent.web.answers import (
    Message,
    closed,
    count_messages,
    failed,
    said,
    sentence,
    shown,
    turn_messages,
    waiting,
)
from mm4st_agent.web.runs import Run, Runs

if TYPE_CHECKING:
    from mm4st_agent.agent.conversations import Turn
    from mm4st_agent.runtime import Runtime

Rating = Literal["up", "down"]

_THREAD = re.compile(r"[\w-]{1,64}")


@dataclass(frozen=True)
class View:
    """What the page shows of a conversation.

    Attributes:
        messages: As Gradio's chatbot takes them.
        ratings: Of each block of messages between those of the person, in order, as far as they were rated.
        busy: An answer is under way.
        refused: The question, where it was not even asked; the person may want to change it.
    """

    messages: list[Message]
    ratings: list[Rating | None]
    busy: bool = False
    refused: str = ""


class Talk:
    """The conversations of one person."""

    def __init__(self, runtime: Runtime, runs: Runs, user: str | None) -> None:
        self._runtime = runtime
        self._runs = runs
        self._user = user

    def turns(self, thread: str | None) -> list[Turn]:
        """What was asked and answered; nothing where the conversation is new or gone."""
        if not thread:
            return []
        try:
            return self._runtime.conversations.turns(thread)
        except UsageError:
            return []

    def about(self, thread: str) -> tuple[str, str | None, str | None]:
        """A conversation's name, data set and latest clock; no name where there is no such conversation."""
        run = self._runs.get((self._user, thread))
        turns = self.turns(thread)
        if not turns and run is None:
            return "", None, None
        answers = [turn.answer for turn in turns if turn.answer is not None]
        if answers:
            return thread, answers[-1].dataset, answers[-1].as_of[:16]
        known = {conversation.thread: conversation.dataset for conversation in self._runtime.conversations.list()}
        return thread, known.get(thread), None

    async def ask(
        self, question: str, thread: str | None, *, instead_of_last: bool = False, **options: Any
    ) -> AsyncIterator[View]:
        """Ask in a conversation and follow the answer.

        Args:
            question: The person's words.
            thread: The conversation.
            instead_of_last: The question takes the place of the last one.
            options: What `Runtime.stream` takes besides.
        """
        before = await asyncio.to_thread(self.turns, thread)
        before = before[:-1] if instead_of_last else before
        stream = self._runtime.stream(question, thread=thread, instead_of_last=instead_of_last, **options)
        try:
            run = self._runs.start((self._user, thread or ""), question, stream, before)
        except UsageError as err:
            yield View([*read(before), failed(err)], ratings(before), refused=question)
            return
        async for view in self._followed(run):
            yield view

    async def follow(self, thread: str | None) -> AsyncIterator[View]:
        """Show a conversation, and the answer that is under way in it to its end."""
        run = self._runs.get((self._user, thread or ""))
        if run is None:
            turns = await asyncio.to_thread(self.turns, thread)
            yield View(read(turns), ratings(turns))
            return
        async for view in self._followed(run):
            yield view

    def stop(self, thread: str | None) -> None:
        """Stop the answer that is under way in a conversation."""
        self._runs.stop((self._user, thread or ""))

    async def _followed(self, run: Run) -> AsyncIterator[View]:
        messages = [*read(run.before), *([said(run.question)] if run.question.strip() else [])]
        rated = ratings(run.before)
        yield View(waiting(messages), rated, busy=True)
        async for event in run.follow():
            messages = shown(messages, event)
            yield View(waiting(messages), rated, busy=True)
        error = await run.outcome()
        if isinstance(error, asyncio.CancelledError):
            messages = [*closed(messages), sentence("Stopped.")]
        elif error is not None:
            messages = [*closed(messages), failed(error)]
        refused = run.question if isinstance(error, UsageError) and not run.events else ""
        yield View(messages, rated, refused=refused)


def read(turns: Sequence[Turn]) -> list[Message]:
    """All messages of some turns."""
    return [message for turn in turns for message in turn_messages(turn)]


def ratings(turns: Sequence[Turn]) -> list[Rating | None]:
    """One for each block of messages between those of the person."""
    return [turn.rating for turn in turns if count_messages(turn) > 1]


def turn_at(turns: Sequence[Turn], index: int) -> Turn | None:
    """The turn that the message at a position of `read(turns)` belongs to."""
    for turn in turns:
        index -= count_messages(turn)
        if index < 0:
            return turn
    return None


def new_thread() -> str:
    """A name for a conversation that nobody else has."""
    return uuid.uuid4().hex[:12]


def known_thread(text: str | None) -> str:
    """The thread that an address names; nothing where it cannot be one."""
    return text if text and _THREAD.fullmatch(text) else ""
