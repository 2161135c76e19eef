"""Running the tool calls of one message: each gets a reply, and an entry in the ledger when a tool ran."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from typing import Any

from langchain_core.messages import AnyMessage, ToolMessage
from langchain_core.messages.tool import ToolCall
from langgraph.runtime import Runtime
from pydantic import ValidationError

from mm4st_agent.agent import ledger, second_path
from mm4st_agent.agent.budgets import call_key, same_call
from mm4st_agent.agent.chat import AgentContext
from mm4st_agent.agent.clarify import CLARIFY, CLARIFY_SPEC, ClarifyIn
from mm4st_agent.agent.ledger import Evidence
from mm4st_agent.agent.replies import reply_text
from mm4st_agent.agent.run_events import ToolFinished, ToolStarted
from mm4st_agent.agent.tool_threads import run_aside
from mm4st_agent.errors import ToolError
from mm4st_agent.toolspec import ToolOut

LEAST_S = 1.0
"""A tool gets at least so long, however little of the question's time is left."""


async def run_calls(
    calls: Sequence[ToolCall], *, earlier: Sequence[Evidence], first: int, runtime: Runtime[AgentContext]
) -> tuple[list[AnyMessage], list[Evidence]]:
    """Run calls side by side; known failures become replies, bugs are raised.

    A call that was made before is answered from the ledger. A question back to the person gets no
    reply here unless it cannot be put; of several, only the first is.

    Args:
        calls: Of one message.
        earlier: The ledger's entries of the present question.
        first: Position in the ledger of the next entry.
        runtime: What the tools work with, and where the steps are told.

    Returns:
        The replies, and the new entries in the order of their ids.
    """
    ids = (ledger.entry_id(n) for n in count(first))
    known = {same_call(entry.tool, entry.args): entry for entry in earlier}
    fresh: dict[str, tuple[ToolCall, str]] = {}
    asking: ToolCall | None = None
    for call in calls:
        if call["name"] == CLARIFY and asking is None and _can_be_put(call):
            asking = call
        elif call_key(call) not in known and call_key(call) not in fresh:
            fresh[call_key(call)] = (call, next(ids))
    done = await asyncio.gather(*(_run(call, id_, runtime) for call, id_ in fresh.values()))
    looks = [*_looks(fresh.values(), [entry for _, entry in done], runtime.context)]
    second = await asyncio.gather(
        *(_run(_measure(call, args), id_, runtime) for (call, args), id_ in zip(looks, ids, strict=False))
    )
    measured = {
        call["id"]: {"note": second_path.NOTE, "evidence": entry.id, **reply}
        for (call, _), (reply, entry) in zip(looks, second, strict=True)
    }
    replies = dict(zip(fresh, done, strict=True))
    messages: list[AnyMessage] = []
    for call in calls:
        if call is asking:
            continue
        key = call_key(call)
        if key in fresh and fresh[key][0] is call:
            reply, entry = replies[key]
            reply = {**reply, "measured": measured[call["id"]]} if call["id"] in measured else reply
            artifact = {"images": [image.model_dump() for image in entry.images]} if entry.images else None
        else:
            entry = known.get(key) or replies[key][1]
            reply, artifact = _repeated(entry), None
            _tell(call, entry, runtime)
        text = reply_text(entry.id, reply)
        messages.append(ToolMessage(text, tool_call_id=call["id"] or entry.id, name=call["name"], artifact=artifact))
    return messages, [entry for _, entry in [*done, *second]]


async def _run(call: ToolCall, entry_id: str, runtime: Runtime[AgentContext]) -> tuple[dict[str, Any], Evidence]:
    """One call: its reply for the chat model, and its entry."""
    context, name, args = runtime.context, call["name"], call["args"]
    spec = CLARIFY_SPEC if name == CLARIFY else context.tools.get(name)
    as_of = context.session.as_of
    limit_s = min(context.budgets.tool_s, max(context.budgets.seconds - context.elapsed_s, LEAST_S))
    runtime.stream_writer(ToolStarted(call["id"] or entry_id, name, _title(name, context), args))
    started = time.perf_counter()
    reply: dict[str, Any]
    try:
        if spec is None:
            raise ToolError(f"There is no tool {name!r}.", f"Known: {', '.join([*context.tools, CLARIFY])}.")
        try:
            out: ToolOut = await run_aside(limit_s, spec.run, args, context.tool_context)
        except TimeoutError as err:
            raise ToolError(
                f"{name} took longer than {limit_s:.3g} s and was given up.", "Ask for less: a shorter time, one place."
            ) from err
    except ToolError as err:
        reply, seconds = dict(err.to_json()), time.perf_counter() - started
        entry = ledger.from_error(entry_id, name, args, as_of, err, seconds)
    else:
        reply, seconds = out.model_dump(mode="json"), time.perf_counter() - started
        entry = ledger.within_bounds(ledger.from_reply(entry_id, name, args, as_of, out, seconds))
    runtime.stream_writer(ToolFinished(call["id"] or entry_id, entry))
    return reply, entry


def _tell(call: ToolCall, entry: Evidence, runtime: Runtime[AgentContext]) -> None:
    """The step of a call that nothing runs for."""
    call_id, name = call["id"] or entry.id, call["name"]
    runtime.stream_writer(ToolStarted(call_id, name, _title(name, runtime.context), call["args"]))
    runtime.stream_writer(ToolFinished(call_id, entry.model_copy(update={"seconds": 0.0})))


def _repeated(entry: Evidence) -> dict[str, Any]:
    """The reply to a call that was made before, from the ledger."""
    values = {path: f"{value.value} {value.unit}".strip() for path, value in entry.values.items()}
    note = (
        f"This is the same call as the one that gave {entry.id}, whose whole reply is above. "
        "Calling again gives nothing new: answer from it, or call with other arguments."
    )
    return {"note": note, "error": entry.error} if entry.error else {"note": note, "values": values}


def _looks(
    calls: Iterable[tuple[ToolCall, str]], entries: Sequence[Evidence], context: AgentContext
) -> Iterator[tuple[ToolCall, dict[str, Any]]]:
    """The calls that drew a place for a chat model that sees, each with the arguments that measure the same window."""
    look, measure = context.tools.get(second_path.LOOK), context.tools.get(second_path.MEASURE)
    if not context.chat.sees or look is None or measure is None:
        return
    for (call, _), entry in zip(calls, entries, strict=True):
        if entry.tool == second_path.LOOK and entry.error is None:
            args = second_path.arguments(call["args"], look, measure)
            if args is not None:
                yield call, args


def _measure(call: ToolCall, args: dict[str, Any]) -> ToolCall:
    return ToolCall(name=second_path.MEASURE, args=args, id=f"{call['id']}-measured", type="tool_call")


def _can_be_put(call: ToolCall) -> bool:
    try:
        ClarifyIn.model_validate(call["args"])
    except ValidationError:
        return False
    return True


def _title(name: str, context: AgentContext) -> str:
    spec = context.tools.get(name)
    return spec.title or spec.name if spec else name
