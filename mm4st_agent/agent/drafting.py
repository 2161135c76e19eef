"""The words of a chat model while it writes: a draft for the person, and at the end the same reply as in one piece."""

from __future__ import annotations

import json
import re
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from typing import Any, cast

from langchain_core.messages import AIMessage, AIMessageChunk, AnyMessage
from langchain_core.messages.tool import invalid_tool_call, tool_call

from mm4st_agent.agent.chat import ChatModel
from mm4st_agent.agent.run_events import Drafted
from mm4st_agent.errors import ServerError

EVERY_S = 0.1
"""So long at least from one draft to the next."""

_EMPTY_STREAM = "No generation chunks were returned"
"""LangChain's word for a server that ended its answer before it began."""
_TAG, _END = "<think>", "</think>"
_THOUGHT = re.compile(rf"{_TAG}.*?(?:{_END}|\Z)", re.DOTALL)


async def reply_of(chat: ChatModel, messages: Sequence[AnyMessage], tell: Callable[[Drafted], None]) -> AIMessage:
    """Ask the chat model; one that streams is heard word by word.

    Args:
        chat: Who is asked.
        messages: As they are wired.
        tell: Takes the drafts; text that turns out to come with a tool call is taken back with an empty one.

    Raises:
        ServerError: the server sent nothing at all.
    """
    if not chat.streams:
        return await chat.model.ainvoke(messages)
    draft, chunks = _Draft(tell), []
    try:
        stream = cast("AsyncIterator[AIMessageChunk]", chat.model.astream(messages))
        async with aclosing(cast("Any", stream)):
            async for chunk in stream:
                chunks.append(chunk)
                draft.add(chunk)
    except ValueError as err:
        if _EMPTY_STREAM not in str(err):
            raise
        raise ServerError(
            f"The server of {chat.name} sent an empty answer.", "It must stream chat completions; its log says more."
        ) from err
    draft.end()
    return _joined(chunks)


class _Draft:
    """What is shown of a text, not more often than people can read."""

    def __init__(self, tell: Callable[[Drafted], None]) -> None:
        self._tell = tell
        self._text = ""
        self._shown = ""
        self._told_at = float("-inf")
        self._calls = False

    def add(self, chunk: AIMessageChunk) -> None:
        self._text += chunk.text
        self._calls = self._calls or bool(chunk.tool_call_chunks)
        if self._calls or time.monotonic() - self._told_at >= EVERY_S:
            self.end()

    def end(self) -> None:
        """Show all that there is, unless it is there already."""
        text = "" if self._calls else visible(self._text)
        if text != self._shown:
            self._shown, self._told_at = text, time.monotonic()
            self._tell(Drafted(text))


def visible(text: str) -> str:
    """A text so far without hidden reasoning, begun or ended, and without a tag that is not written out yet.

    >>> visible("<think>Is it?</think>It is <thi")
    'It is'
    """
    shown = _spoken(text)
    tag = next((n for n in range(len(_TAG) - 1, 0, -1) if shown.endswith(_TAG[:n])), 0)
    return shown[: len(shown) - tag].strip()


def _spoken(text: str) -> str:
    """A text without hidden reasoning; some chat templates open its tag inside the prompt."""
    return _THOUGHT.sub("", text).rpartition(_END)[2]


def _joined(chunks: Sequence[AIMessageChunk]) -> AIMessage:
    """The whole reply, without hidden reasoning; arguments that were cut off are no call (LangChain mends them)."""
    whole = chunks[0] + chunks[1:]
    calls, unreadable = [], []
    for part in whole.tool_call_chunks:
        try:
            args = json.loads(part["args"] or "{}", strict=False)
        except ValueError:
            args = None
        if isinstance(args, dict):
            calls.append(tool_call(name=part["name"] or "", args=args, id=part["id"]))
        else:
            unreadable.append(invalid_tool_call(name=part["name"], args=part["args"], id=part["id"], error=None))
    return AIMessage(
        content=_spoken(whole.content) if isinstance(whole.content, str) else whole.content,
        additional_kwargs=whole.additional_kwargs,
        response_metadata=whole.response_metadata,
        usage_metadata=whole.usage_metadata,
        tool_calls=calls,
        invalid_tool_calls=unreadable,
        id=whole.id,
    )
