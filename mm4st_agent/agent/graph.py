"""The whole agent on one screen.

    open_question -> plan -> act -> plan -> ... -> verify
                      |                              ^
                      |-> repair -> plan             |
                      `------------------------------'

`plan` is the chat model, asked again when its server is busy; `act` runs tools and writes the
evidence ledger; `repair` answers a message that nobody could read; `verify` checks the text
against the ledger.
"""

from __future__ import annotations

from langchain_core.exceptions import ModelAPIError
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import RetryPolicy

from mm4st_agent.agent import nodes
from mm4st_agent.agent.chat import AgentContext
from mm4st_agent.agent.state import AgentInput, AgentState

Agent = CompiledStateGraph[AgentState, AgentContext, AgentInput, AgentState]


def build_agent(checkpointer: BaseCheckpointSaver[str]) -> Agent:
    """Compile the graph; the chat model, tools and data come with each run's context."""
    graph = StateGraph(AgentState, context_schema=AgentContext, input_schema=AgentInput)
    graph.add_node("open_question", nodes.open_question)
    graph.add_node("plan", nodes.plan, retry_policy=RetryPolicy(retry_on=ModelAPIError))
    graph.add_node("act", nodes.act)
    graph.add_node("repair", nodes.repair)
    graph.add_node("verify", nodes.verify)
    graph.add_edge(START, "open_question")
    graph.add_edge("open_question", "plan")
    graph.add_conditional_edges("plan", nodes.after_plan, ["act", "repair", "verify"])
    graph.add_edge("act", "plan")
    graph.add_edge("repair", "plan")
    graph.add_edge("verify", END)
    return graph.compile(checkpointer=checkpointer)
