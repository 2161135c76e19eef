"""One run of the graph within a thread that survives restarts."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import cast

import aiosqlite
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.errors import GraphRecursionError

from mm4st_agent.agent.answer import Claim
from mm4st_agent.agent.chat import AgentContext
from mm4st_agent.agent.graph import build_agent
from mm4st_agent.agent.ledger import Evidence, EvidenceValue
from mm4st_agent.agent.run_events import Finished, ToolFinished, ToolStarted
from mm4st_agent.agent.state import AgentInput
from mm4st_agent.errors import AgentError
from mm4st_agent.toolspec import ImageHandle, Passage

STORED_TYPES = (Evidence, EvidenceValue, Claim, Passage, ImageHandle)
"""Our types inside a stored thread; the checkpointer restores no others."""


LOCK_TIMEOUT_S = 30.0
"""How long a write waits for another process that writes to the same threads."""


async def run_agent(
    question: AgentInput, context: AgentContext, *, threads: Path, thread: str, recursion_limit: int
) -> AsyncGenerator[ToolStarted | ToolFinished | Finished]:
    """Answer one question in a thread; each step is an event, the last one is `Finished`.

    Args:
        question: The words, the data set and the clock.
        context: The chat model, the tools and what they work with.
        threads: SQLite file of all threads; made when missing.
        thread: Which thread goes on.
        recursion_limit: Graph steps before the run is given up.

    Raises:
        AgentError: the chat model did not come to an answer within the limit.
    """
    config: RunnableConfig = {"configurable": {"thread_id": thread}, "recursion_limit": recursion_limit}
    # Each statement commits by itself, so that a run that is stopped half-way holds no lock.
    async with aiosqlite.connect(threads, isolation_level=None, timeout=LOCK_TIMEOUT_S) as connection:
        saver = AsyncSqliteSaver(connection, serde=JsonPlusSerializer(allowed_msgpack_modules=STORED_TYPES))
        agent = build_agent(saver)
        try:
            run = agent.astream(question, config, context=context, stream_mode="custom")
            async with aclosing(cast("AsyncGenerator[ToolStarted | ToolFinished]", run)) as steps:
                async for step in steps:
                    yield step
        except GraphRecursionError as err:
            raise AgentError(
                f"The chat model took {recursion_limit} steps without coming to an answer.",
                "Ask a narrower question, or choose another chat model.",
            ) from err
        yield Finished((await agent.aget_state(config)).values)
