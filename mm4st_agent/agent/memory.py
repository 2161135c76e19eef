"""What a thread remembers of its older turns: a few sentences each; the ledger forgets nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from langchain_core.messages import AIMessage, AnyMessage, BaseMessage, HumanMessage, RemoveMessage

_SENTENCES = 2
_CHARS = 400
"""Of an answer that is told in short, so much is kept, cut at the end of a sentence where one ends before."""


def shortened(messages: Sequence[AnyMessage], most_chars: int) -> list[BaseMessage]:
    """The changes that tell old turns in short: the question and the answer's first sentences, with their marks.

    The latest turn is kept whole, and so are those before it while all of them together have at
    most `most_chars` characters.

    Args:
        messages: Finished turns, oldest first; each begins with its question.
        most_chars: Of tool calls, replies and answers.

    Returns:
        Messages for the thread's reducer: removals, and answers in place of those of the same id.
    """
    starts = [n for n, message in enumerate(messages) if isinstance(message, HumanMessage)]
    turns = [messages[start:end] for start, end in pairwise([*starts, len(messages)])]
    changes: list[BaseMessage] = []
    size = 0
    for age, turn in enumerate(reversed(turns)):
        size += sum(_size(message) for message in turn)
        if age and size > most_chars and len(turn) > 2:
            changes += _in_short(turn)
    return changes


def first_sentences(text: str) -> str:
    """The beginning of an answer, its evidence marks included."""
    flat = " ".join(text.split())
    ends = [found.end() for found in re.finditer(r"[.!?](?:\s*\[E[^\]]*\])*(?=\s|$)", flat)]
    fitting = [end for end in ends[:_SENTENCES] if end <= _CHARS]
    if fitting:
        return flat[: fitting[-1]]
    return flat if len(flat) <= _CHARS else f"{flat[:_CHARS]}..."


def _in_short(turn: Sequence[AnyMessage]) -> list[BaseMessage]:
    _, *between, answer = turn
    removed = (RemoveMessage(id=message.id or "") for message in between)
    return [*removed, AIMessage(first_sentences(answer.text), id=answer.id)]


def _size(message: AnyMessage) -> int:
    calls = message.tool_calls if isinstance(message, AIMessage) else []
    return len(message.text) + sum(len(str(call["args"])) for call in calls)
