"""One run of the graph within a thread that survives restarts."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import cast

from langchain_core.runnables import RunnableConfig
from langgraph.errors import GraphRecursionError
from langgraph.types import Command, StateSnapshot

from mm4st_agent.agent import claims
from mm4st_agent.agent.chat import AgentContext
from mm4st_agent.agent.clarify import ClarifyIn
from mm4st_agent.agent.graph import build_agent
from mm4st_agent.agent.nodes import check_thread
from mm4st_agent.agent.run_events import Drafted, Finished, ToolFinished, ToolStarted
from mm4st_agent.agent.state import AgentInput
from mm4st_agent.agent.threads import Threads, open_threads, thread_key
from mm4st_agent.errors import AgentError


async def run_agent(
    question: AgentInput,
    context: AgentContext,
    *,
    threads: Threads,
    thread: str,
    recursion_limit: int,
    turn: int = 0,
    again: bool = False,
) -> AsyncGenerator[ToolStarted | ToolFinished | Drafted | Finished]:
    """Answer one question in a thread; each step is an event, the last one is `Finished`.

    Where the thread waits for the person to say what is meant, the words of `question` are what they say.

    Args:
        question: The words, the data set and the clock.
        context: The chat model, the tools and what they work with.
        threads: Where all threads are kept; made ready when new.
        thread: Which thread goes on.
        recursion_limit: Graph steps before the run is given up.
        turn: Which question of the thread this is; 0 where that is not known.
        again: Where the thread's last question is this turn, too, it is taken back first.

    Raises:
        UsageError: the thread knows a later moment, or is about another data set; or the file cannot be used.
        ServerError: the database of the threads does not answer.
        AgentError: the chat model did not come to an answer within the limit.
    """
    key = thread_key(threads, thread)
    config: RunnableConfig = {"configurable": {"thread_id": key}, "recursion_limit": recursion_limit}
    async with open_threads(threads) as saver:
        await saver.begin(key, turn, again=again)
        agent = build_agent(saver)
        before = await agent.aget_state(config)
        check_thread(before.values.get("ledger", []), question)
        said: AgentInput | Command[str] = Command(resume=question["question"]) if before.interrupts else question
        try:
            # "sync": a step is on disk before the next one begins.
            run = agent.astream(said, config, context=context, stream_mode="custom", durability="sync")
            async with aclosing(cast("AsyncGenerator[ToolStarted | ToolFinished | Drafted]", run)) as steps:
                async for step in steps:
                    yield step
        except GraphRecursionError as err:
            raise AgentError(
                f"The chat model took {recursion_limit} steps without coming to an answer.",
                "Ask a narrower question, or choose another chat model.",
            ) from err
        yield Finished(_outcome(await agent.aget_state(config)))


def _outcome(end: StateSnapshot) -> dict[str, object]:
    """The thread's state; where it waits for the person, the question to them is the text."""
    state = dict(end.values)
    if end.interrupts:
        asked = ClarifyIn.model_validate(end.interrupts[0].value)
        checked = claims.check(asked.question, state["ledger"], state["first_evidence"])
        state |= {"text": checked.text, "claims": checked.claims, "choices": asked.choices}
    return state
