"""The graph's nodes: each a plain function of the state."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import datetime
from typing import Any, Literal

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, RemoveMessage, ToolMessage
from langchain_core.messages.tool import ToolCall
from langgraph.runtime import Runtime

import prompts
from mm4st_agent.agent import claims, ledger
from mm4st_agent.agent.chat import AgentContext
from mm4st_agent.agent.run_events import ToolFinished, ToolStarted
from mm4st_agent.agent.state import AgentState
from mm4st_agent.errors import AgentError, ToolError, UsageError

MAX_REPAIRS = 2


def open_question(state: AgentState, runtime: Runtime[AgentContext]) -> dict[str, Any]:
    """Put the question behind the thread's finished turns; what a stopped run left half-said goes.

    Raises:
        UsageError: the thread knows a later moment, or is about another data set.
    """
    _check_thread(state)
    unfinished = [RemoveMessage(id=m.id or "") for m in _unfinished(state["messages"])]
    first = len(state["ledger"])
    facts = runtime.context.session.model_dump()
    return {
        "messages": [*unfinished, HumanMessage(state["question"])],
        "ledger": [ledger.from_question(ledger.entry_id(first), state["question"], facts, state["as_of"])],
        "first_evidence": first,
        "repairs": 0,
        "text": "",
        "claims": [],
    }


async def plan(state: AgentState, runtime: Runtime[AgentContext]) -> dict[str, Any]:
    """Ask the chat model what to do next: tool calls, or the answer."""
    chat = runtime.context.chat
    messages = [runtime.context.session.message(), *state["messages"]]
    return {"messages": [await chat.model.ainvoke(chat.wire(messages))]}


def after_plan(state: AgentState) -> Literal["act", "repair", "verify"]:
    """Route on what the chat model said."""
    reply = _last_reply(state)
    if reply.tool_calls and not reply.invalid_tool_calls:
        return "act"
    return "repair" if _faults(reply) else "verify"


def repair(state: AgentState) -> dict[str, Any]:
    """Tell the chat model that its last message could not be read."""
    reply = _last_reply(state)
    if state["repairs"] >= MAX_REPAIRS:
        raise AgentError(
            f"The chat model sent {MAX_REPAIRS + 1} messages that could not be read.",
            "Ask again, or choose another chat model.",
        )
    text = prompts.load("repair").render(faults=_faults(reply))
    return {
        "messages": [RemoveMessage(id=reply.id or ""), HumanMessage(text)],
        "repairs": state["repairs"] + 1,
    }


async def act(state: AgentState, runtime: Runtime[AgentContext]) -> dict[str, Any]:
    """Run the tool calls side by side; known failures go to the chat model, bugs stop the run."""
    calls = _last_reply(state).tool_calls
    first = len(state["ledger"])
    runs = [_run(call, ledger.entry_id(first + n), runtime) for n, call in enumerate(calls)]
    done = await asyncio.gather(*runs)
    return {"messages": [message for message, _ in done], "ledger": [entry for _, entry in done]}


async def _run(call: ToolCall, entry_id: str, runtime: Runtime[AgentContext]) -> tuple[ToolMessage, ledger.Evidence]:
    context, name, args = runtime.context, call["name"], call["args"]
    spec = context.tools.get(name)
    call_id = call["id"] or entry_id
    runtime.stream_writer(ToolStarted(call_id, name, spec.title or spec.name if spec else name, args))
    started = time.perf_counter()
    artifact = None
    try:
        if spec is None:
            raise ToolError(f"There is no tool {name!r}.", f"Known: {', '.join(context.tools)}.")
        reply = await asyncio.to_thread(spec.run, args, context.tool_context)
    except ToolError as err:
        seconds = time.perf_counter() - started
        entry = ledger.from_error(entry_id, name, args, context.session.as_of, err, seconds)
        content = {"evidence": entry_id, **err.to_json()}
    else:
        seconds = time.perf_counter() - started
        entry = ledger.from_reply(entry_id, name, args, context.session.as_of, reply, seconds)
        content = {"evidence": entry_id, **reply.model_dump(mode="json")}
        artifact = {"images": [image.model_dump() for image in entry.images]}
    runtime.stream_writer(ToolFinished(call_id, entry))
    text = json.dumps(content, allow_nan=False, ensure_ascii=False)
    return ToolMessage(text, tool_call_id=call_id, name=name, artifact=artifact), entry


def verify(state: AgentState) -> dict[str, Any]:
    """Check every claim of the answer against the ledger, and mark what nothing supports."""
    checked = claims.check(_last_reply(state).text.strip(), state["ledger"], state["first_evidence"])
    return {"text": checked.text, "claims": checked.claims}


def _check_thread(state: AgentState) -> None:
    """What was said at a later clock, or of other data, must not reach this question."""
    for entry in state["ledger"]:
        if entry.tool != "question":
            continue
        if entry.args["dataset"] != state["dataset"]:
            raise UsageError(
                f"This conversation is about {entry.args['dataset']!r}, not {state['dataset']!r}.",
                "Start a new one for another data set.",
            )
        if entry.as_of is not None and datetime.fromisoformat(entry.as_of) > datetime.fromisoformat(state["as_of"]):
            raise UsageError(
                f"This conversation has seen the data until {entry.as_of}; "
                f"at {state['as_of']} it would know the future.",
                "Start a new one to go back in time.",
            )


def _faults(reply: AIMessage) -> list[str]:
    """Why a message without tool calls is no answer either; empty when it is one."""
    faults = [f"the arguments of {call['name']!r} were not valid JSON" for call in reply.invalid_tool_calls]
    if reply.response_metadata.get("finish_reason") == "length":
        faults.append("it was cut off because it was too long")
    elif reply.response_metadata.get("finish_reason") == "tool_calls":
        faults.append("it held a tool call that could not be read")
    elif not faults and not reply.text.strip():
        faults.append("it was empty")
    return faults


def _last_reply(state: AgentState) -> AIMessage:
    last = state["messages"][-1]
    assert isinstance(last, AIMessage), "only the chat model's messages are routed"
    return last


def _unfinished(messages: list[AnyMessage]) -> list[AnyMessage]:
    """What stands behind the last answer in text: a turn that was stopped or failed."""
    for position in range(len(messages) - 1, -1, -1):
        message = messages[position]
        if isinstance(message, AIMessage) and not message.tool_calls and not message.invalid_tool_calls:
            return messages[position + 1 :]
    return messages
