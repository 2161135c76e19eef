"""What one question may cost; when something is spent, the run ends in a partial answer that says so."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AIMessage, AnyMessage
from langchain_core.messages.tool import ToolCall

from mm4st_agent.agent.state import AgentState
from mm4st_agent.settings import Settings

UNREADABLE = "unreadable"
"""What ends a question beside its budgets; so does a loop of identical calls."""
_LOOP = "loop"
REASONS = {
    "tool_calls": "it needed more tool calls than one question may make",
    "model_calls": "it needed more calls of the chat model than one question may make",
    "tokens": "it needed more tokens than one question may use",
    "seconds": "it took longer than one question may take",
    _LOOP: "the chat model kept asking for the same tool call",
    UNREADABLE: "the chat model kept sending messages that could not be read",
}
"""Why a question was ended, by what `AgentState.stopped` says."""

SAME_CALLS = 2
"""So often a question may make the identical call: the second is answered from the ledger, a third is a loop."""


@dataclass(frozen=True)
class Budgets:
    """The limits of one question.

    Attributes:
        tool_calls: Asked for by the chat model.
        model_calls: Of the chat model, repairs included.
        tokens: Prompts and replies together, as the server counts them.
        seconds: From the question, or the reply to a question back, to the answer.
        tool_s: Of one tool call.
        history_chars: Of earlier turns that the chat model gets whole; older turns are told in short.
    """

    tool_calls: int = 24
    model_calls: int = 12
    tokens: int = 300_000
    seconds: float = 300.0
    tool_s: float = 120.0
    history_chars: int = 60_000

    @classmethod
    def of(cls, settings: Settings) -> Budgets:
        """The limits that the settings name."""
        return cls(
            tool_calls=settings.max_tool_calls,
            model_calls=settings.max_model_calls,
            tokens=settings.max_tokens,
            seconds=settings.max_seconds,
            tool_s=settings.tool_timeout_s,
            history_chars=settings.history_chars,
        )

    def spent(self, state: AgentState, elapsed_s: float) -> str:
        """Which budget leaves no further model call; empty while all last."""
        if elapsed_s >= self.seconds:
            return "seconds"
        if state["model_calls"] >= self.model_calls:
            return "model_calls"
        return "tokens" if state["tokens"] >= self.tokens else ""

    def refused(self, state: AgentState, reply: AIMessage) -> str:
        """Why the calls of a reply are not made; empty where they are."""
        made = [call_key(c) for m in this_turn(state) if isinstance(m, AIMessage) for c in m.tool_calls]
        if any(made.count(call_key(call)) >= SAME_CALLS for call in reply.tool_calls):
            return _LOOP
        return "tool_calls" if state["tool_calls"] + len(reply.tool_calls) > self.tool_calls else ""

    def warning(self, stopped: str) -> str:
        """What a partial answer warns of: the reason, and the limit with its setting where it was one."""
        limit = getattr(self, stopped, None)
        setting = f" The limit is {limit:,} (MM4ST_MAX_{stopped.upper()})." if limit is not None else ""
        return f"This answer is partial: {REASONS[stopped]}.{setting}"


def call_key(call: ToolCall) -> str:
    """The same text for the same tool with the same arguments."""
    return same_call(call["name"], call["args"])


def same_call(tool: str, args: dict[str, Any]) -> str:
    """As `call_key`, of an entry's tool and arguments."""
    return f"{tool} {json.dumps(args, sort_keys=True, default=str)}"


def this_turn(state: AgentState) -> list[AnyMessage]:
    """The messages from the present question on."""
    return state["messages"][state["first_message"] :]


def tokens_of(reply: AIMessage) -> int:
    """What the server counted; 0 where it counts nothing."""
    return reply.usage_metadata["total_tokens"] if reply.usage_metadata else 0
