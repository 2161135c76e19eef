"""The graph's nodes: each a plain function of the state."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, RemoveMessage, ToolMessage
from langchain_core.messages.tool import ToolCall
from langgraph.runtime import Runtime
from langgraph.types import interrupt

import prompts
from mm4st_agent.agent import claims, ledger, memory, partial, second_path
from mm4st_agent.agent.answer import Claim
from mm4st_agent.agent.budgets import REASONS, UNREADABLE, this_turn, tokens_of
from mm4st_agent.agent.chat import AgentContext
from mm4st_agent.agent.clarify import ClarifyIn, chosen
from mm4st_agent.agent.drafting import reply_of
from mm4st_agent.agent.state import AgentInput, AgentState
from mm4st_agent.agent.tool_calls import run_calls
from mm4st_agent.errors import UsageError

MAX_REPAIRS = 2


def open_question(state: AgentState, runtime: Runtime[AgentContext]) -> dict[str, Any]:
    """Put the question behind the thread's finished turns; what a stopped run left half-said goes."""
    messages = state["messages"]
    finished = messages if state.get("answered", True) else messages[: state["first_message"]]
    left = [RemoveMessage(id=m.id or "") for m in messages[len(finished) :]]
    short = memory.shortened(finished, runtime.context.budgets.history_chars)
    first = len(state["ledger"])
    facts = runtime.context.session.model_dump()
    return {
        "messages": [*left, *short, HumanMessage(state["question"])],
        "ledger": [ledger.from_question(ledger.entry_id(first), state["question"], facts, state["as_of"])],
        "first_message": len(finished) - sum(isinstance(m, RemoveMessage) for m in short),
        "first_evidence": first,
        "model_calls": 0,
        "tool_calls": 0,
        "tokens": 0,
        "repairs": 0,
        "draft": "",
        "stopped": "",
        "answered": False,
        "text": "",
        "claims": [],
        "warnings": [],
    }


async def plan(state: AgentState, runtime: Runtime[AgentContext]) -> dict[str, Any]:
    """Ask the chat model what to do next: tool calls, or the answer; nothing when a budget is spent."""
    context = runtime.context
    stopped = context.budgets.spent(state, context.elapsed_s)
    if stopped:
        return {"stopped": stopped}
    messages = [context.session.message(), *state["messages"]]
    limit = asyncio.timeout(context.budgets.seconds - context.elapsed_s)
    try:
        async with limit:
            reply = await reply_of(context.chat, context.chat.wire(messages), runtime.stream_writer)
    except TimeoutError:
        if not limit.expired():
            raise
        return {"stopped": "seconds"}
    spent = {"model_calls": state["model_calls"] + 1, "tokens": state["tokens"] + tokens_of(reply)}
    stopped = context.budgets.refused(state, reply)
    return {**spent, "stopped": stopped} if stopped else {**spent, "messages": [reply]}


def after_plan(state: AgentState) -> Literal["act", "repair", "conclude", "verify"]:
    """Route on what the chat model said; a draft that was not mended is the answer."""
    if state["stopped"]:
        return "verify" if state["draft"] else "conclude"
    reply = _last_reply(state)
    if reply.tool_calls and not reply.invalid_tool_calls:
        return "act"
    if not _faults(reply) or state["draft"]:
        return "verify"
    return "conclude" if state["repairs"] >= MAX_REPAIRS else "repair"


async def act(state: AgentState, runtime: Runtime[AgentContext]) -> dict[str, Any]:
    """Run the tool calls side by side; known failures go to the chat model, bugs stop the run."""
    calls = _last_reply(state).tool_calls
    earlier = state["ledger"][state["first_evidence"] :]
    messages, entries = await run_calls(calls, earlier=earlier, first=len(state["ledger"]), runtime=runtime)
    return {"messages": messages, "ledger": entries, "tool_calls": state["tool_calls"] + len(calls)}


def after_act(state: AgentState) -> Literal["ask", "plan"]:
    """A question back to the person is the call that has no reply yet."""
    return "ask" if _unanswered(state) else "plan"


def ask(state: AgentState, runtime: Runtime[AgentContext]) -> dict[str, Any]:
    """Stop until the person has said what is meant; the node runs again from its top when they have."""
    call = _unanswered(state)[0]
    asked = ClarifyIn.model_validate(call["args"])
    answer = chosen(interrupt(asked.model_dump()), asked.choices)
    as_of = runtime.context.session.as_of
    entry = ledger.from_person(ledger.entry_id(len(state["ledger"])), call["name"], asked.model_dump(), as_of, answer)
    text = json.dumps({"evidence": entry.id, "answer": answer}, ensure_ascii=False)
    message = ToolMessage(text, tool_call_id=call["id"] or entry.id, name=call["name"])
    return {"messages": [message], "ledger": [entry], "as_of": as_of}


def repair(state: AgentState) -> dict[str, Any]:
    """Tell the chat model that its last message could not be read."""
    reply = _last_reply(state)
    text = prompts.load("repair").render(faults=_faults(reply))
    return {
        "messages": [RemoveMessage(id=reply.id or ""), HumanMessage(text)],
        "repairs": state["repairs"] + 1,
    }


def conclude(state: AgentState, runtime: Runtime[AgentContext]) -> dict[str, Any]:
    """Say which budget is spent and what was found, in place of an answer."""
    context, stopped = runtime.context, state["stopped"] or UNREADABLE
    text = partial.answer(state, REASONS[stopped], context.tools)
    return {"messages": [AIMessage(text)], "stopped": stopped, "warnings": [context.budgets.warning(stopped)]}


def verify(state: AgentState) -> dict[str, Any]:
    """Check every claim against the ledger, and mark what nothing supports; of a draft and its mending, the better."""
    last = state["messages"][-1]
    said = [last.text.strip()] if isinstance(last, AIMessage) and not last.tool_calls and not _faults(last) else []
    texts = [*said, *([state["draft"]] if state["draft"] else [])]
    checked = [claims.check(text, state["ledger"], state["first_evidence"]) for text in texts]
    best = min(checked, key=lambda one: len(_unsupported(one.claims)))
    return {"text": best.text, "claims": best.claims}


def after_verify(state: AgentState, runtime: Runtime[AgentContext]) -> Literal["correct", "close"]:
    """One round for unsupported claims, where the chat model can mend a text and a budget is left."""
    context = runtime.context
    again = context.chat.rewrites and not state["draft"] and not state["stopped"] and _unsupported(state["claims"])
    return "correct" if again and not context.budgets.spent(state, context.elapsed_s) else "close"


def correct(state: AgentState) -> dict[str, Any]:
    """Tell the chat model which statements of its text nothing supports."""
    draft = _last_reply(state).text.strip()
    checked = claims.check(draft, state["ledger"], state["first_evidence"])
    text = prompts.load("graph_claims").render(faults=claims.faults(checked))
    return {"messages": [HumanMessage(text)], "draft": draft}


def close(state: AgentState, runtime: Runtime[AgentContext]) -> dict[str, Any]:
    """Leave the question, the tools' replies and the checked answer in the thread, and nothing between."""
    _question, *rest = this_turn(state)
    read = second_path.disagreements(state["text"], state["ledger"][state["first_evidence"] :], runtime.context.tools)
    return {
        "messages": [*(RemoveMessage(id=m.id or "") for m in _asides(rest)), AIMessage(state["text"])],
        "warnings": [*state["warnings"], *read],
        "answered": True,
    }


def check_thread(entries: Sequence[ledger.Evidence], question: AgentInput) -> None:
    """What was said at a later clock, or of other data, must not reach this question.

    Raises:
        UsageError: the thread knows a later moment, or is about another data set.
    """
    for entry in entries:
        if entry.tool == "question" and entry.args["dataset"] != question["dataset"]:
            raise UsageError(
                f"This conversation is about {entry.args['dataset']!r}, not {question['dataset']!r}.",
                "Start a new one for another data set.",
            )
        if entry.as_of is not None and datetime.fromisoformat(entry.as_of) > datetime.fromisoformat(question["as_of"]):
            raise UsageError(
                f"This conversation has seen the data until {entry.as_of}; "
                f"at {question['as_of']} it would know the future.",
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


def _unsupported(found: Sequence[Claim]) -> list[Claim]:
    return [claim for claim in found if claim.status == "unsupported"]


def _unanswered(state: AgentState) -> list[ToolCall]:
    """Tool calls of this question without a reply."""
    turn = this_turn(state)
    answered = {message.tool_call_id for message in turn if isinstance(message, ToolMessage)}
    return [call for m in turn if isinstance(m, AIMessage) for call in m.tool_calls if call["id"] not in answered]


def _asides(messages: Sequence[AnyMessage]) -> list[AnyMessage]:
    """Of a question's messages, those that are neither a tool call nor its reply: drafts, and what we said to them."""
    return [m for m in messages if not isinstance(m, ToolMessage) and not (isinstance(m, AIMessage) and m.tool_calls)]
