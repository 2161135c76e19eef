"""What a run says while it works; the app turns these into widgets, the CLI into progress lines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mm4st_agent.agent.answer import Answer
from mm4st_agent.agent.ledger import Evidence


@dataclass(frozen=True)
class ToolStarted:
    """A tool call begins."""

    call_id: str
    tool: str
    title: str
    args: dict[str, Any]


@dataclass(frozen=True)
class ToolFinished:
    """A tool call ended; `evidence.error` says if it failed in a known way."""

    call_id: str
    evidence: Evidence


@dataclass(frozen=True)
class Drafted:
    """What a chat model has written so far of its text; nothing in it is checked yet.

    The next one, or the answer, takes its place; an empty one takes it back, as the text was none for the person.
    """

    text: str


@dataclass(frozen=True)
class Finished:
    """The graph came to its end, or to a question back to the person.

    `state` is the thread's state; with such a question it also has `choices`, and the question as its `text`.
    """

    state: Mapping[str, Any]


@dataclass(frozen=True)
class Answered:
    """The run is over."""

    answer: Answer


RunEvent = ToolStarted | ToolFinished | Drafted | Answered
