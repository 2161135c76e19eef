"""What flows through the graph."""

from __future__ import annotations

from typing import Annotated, TypedDict

from langchain_core.messages import AnyMessage
from langgraph.graph.message import add_messages

from mm4st_agent.agent.answer import Claim
from mm4st_agent.agent.ledger import Evidence, append


class AgentInput(TypedDict):
    """What one question brings to the thread."""

    question: str
    dataset: str
    as_of: str
    """The clock, ISO 8601 with zone."""


class AgentState(AgentInput):
    """The thread: what was said, and what is known."""

    messages: Annotated[list[AnyMessage], add_messages]
    """Questions, tool calls, tool replies (text; pictures by id in `artifact`), answers; old turns in short."""
    ledger: Annotated[list[Evidence], append]
    first_message: int
    """Position in `messages` of this question."""
    first_evidence: int
    """Position in the ledger of this question's first entry."""
    model_calls: int
    tool_calls: int
    tokens: int
    """Spent on this question; tokens as far as the chat model's server counts them."""
    repairs: int
    """How often this question's model output could not be read."""
    draft: str
    """A text with unsupported claims that went back to the chat model, once a question; empty before."""
    stopped: str
    """Which budget, or what else, ended the question (`budgets.REASONS`); empty where nothing did."""
    answered: bool
    """Whether the latest question came to its end."""
    text: str
    """The checked answer to the latest question."""
    claims: list[Claim]
    warnings: list[str]
    """What the graph itself has to say about the answer."""
