"""The present turn of a thread, as the embedded chat model reads it from the messages."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

from mm4st_agent.agent.chat import Session
from mm4st_agent.errors import UsageError


@dataclass(frozen=True)
class Result:
    """One finished tool call: its arguments, and its reply or its error."""

    tool: str
    args: dict[str, Any]
    reply: dict[str, Any]

    @property
    def evidence(self) -> str:
        return str(self.reply["evidence"])

    @property
    def error(self) -> dict[str, str] | None:
        """`{kind, message, hint}` of a call that failed."""
        error: dict[str, str] | None = self.reply.get("error")
        return error


@dataclass(frozen=True)
class Turn:
    """The latest question and what the tools have said to it so far."""

    session: Session
    question: str
    results: list[Result] = field(default_factory=list)
    earlier_node: str | None = None
    """The place that the thread spoke of last, before this question."""

    def result(self, tool: str, **args: Any) -> Result | None:
        """The latest call of `tool` whose arguments include `args`."""
        for result in reversed(self.results):
            if result.tool == tool and args.items() <= result.args.items():
                return result
        return None


def read_turn(messages: Sequence[BaseMessage]) -> Turn:
    """Find the session, the latest question, and the tool replies after it.

    Raises:
        UsageError: the messages hold no session or no question.
    """
    session = next((m.additional_kwargs.get("session") for m in messages if isinstance(m, SystemMessage)), None)
    asked = [n for n, m in enumerate(messages) if isinstance(m, HumanMessage)]
    if session is None or not asked:
        raise UsageError("The embedded chat model needs a session message and a question.")
    start = asked[-1]
    calls = {
        call["id"]: call
        for m in messages
        if isinstance(m, AIMessage)
        for call in m.tool_calls
        if call["id"] is not None
    }
    results = [
        Result(calls[m.tool_call_id]["name"], calls[m.tool_call_id]["args"], json.loads(m.text))
        for m in messages[start + 1 :]
        if isinstance(m, ToolMessage)
    ]
    nodes = [
        call["args"]["node"]
        for m in messages[:start]
        if isinstance(m, AIMessage)
        for call in m.tool_calls
        if call["args"].get("node")
    ]
    return Turn(
        session=Session.model_validate(session),
        question=messages[start].text,
        results=results,
        earlier_node=nodes[-1] if nodes else None,
    )
