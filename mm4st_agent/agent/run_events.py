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
class Finished:
    """The graph came to its end; `state` is the thread's final state."""

    state: Mapping[str, Any]


@dataclass(frozen=True)
class Answered:
    """The run is over."""

    answer: Answer


RunEvent = ToolStarted | ToolFinished | Answered
