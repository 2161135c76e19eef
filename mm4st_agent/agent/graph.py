"""The whole agent on one screen.

    open_question -> plan -> act -> plan -> ... -> verify -> close
                      |       `-> ask -> plan       ^  `-> correct -> plan
                      |-> repair -> plan            |
                      |-> conclude -----------------|
                      `-----------------------------'

`plan` is the chat model, asked again when its server is busy; `act` runs tools and writes the evidence
ledger; `ask` stops until the person has said what is meant; `repair` answers a message that nobody could
read; `conclude` says what was found when a budget is spent; `verify` checks the text against the ledger;
`correct` sends a text with unsupported claims back, once.
"""

from __future__ import annotations

from functools import cache

from langchain_core.exceptions import ModelError
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import RetryPolicy

from mm4st_agent.agent import nodes
from mm4st_agent.agent.chat import AgentContext
from mm4st_agent.agent.state import AgentInput, AgentState

Agent = CompiledStateGraph[AgentState, AgentContext, AgentInput, AgentState]


def build_agent(checkpointer: BaseCheckpointSaver[str]) -> Agent:
    """The graph with a checkpointer; the chat model, tools and data come with each run's context."""
    return _compiled().copy({"checkpointer": checkpointer})  # compiling takes 60 ms


@cache
def _compiled() -> Agent:
    graph = StateGraph(AgentState, context_schema=AgentContext, input_schema=AgentInput)
    graph.add_node("open_question", nodes.open_question)
    graph.add_node("plan", nodes.plan, retry_policy=RetryPolicy(max_attempts=3, retry_on=_may_heal))
    graph.add_node("act", nodes.act)
    graph.add_node("ask", nodes.ask)
    graph.add_node("repair", nodes.repair)
    graph.add_node("conclude", nodes.conclude)
    graph.add_node("verify", nodes.verify)
    graph.add_node("correct", nodes.correct)
    graph.add_node("close", nodes.close)
    graph.add_edge(START, "open_question")
    graph.add_edge("open_question", "plan")
    graph.add_conditional_edges("plan", nodes.after_plan, ["act", "repair", "conclude", "verify"])
    graph.add_conditional_edges("act", nodes.after_act, ["ask", "plan"])
    graph.add_edge("ask", "plan")
    graph.add_edge("repair", "plan")
    graph.add_edge("conclude", "verify")
    graph.add_conditional_edges("verify", nodes.after_verify, ["correct", "close"])
    graph.add_edge("correct", "plan")
    graph.add_edge("close", END)
    return graph.compile()


def _may_heal(error: Exception) -> bool:
    """Whether the same call may work a moment later: a server that is busy (429, 5xx); not one that refuses (400)."""
    return isinstance(error, ModelError) and error.is_retryable
