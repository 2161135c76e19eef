"""What `mm4st doctor` asks of a chat model's server: whether pictures, tools and replies reach the model.

A chat template can drop any of them without a word. Each check compares how long the prompt was with and without
the part in question, so it needs no sensible answer, and holds for every model.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Literal

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, SystemMessage, ToolCall, ToolMessage
from pydantic import Field, ValidationError

from mm4st_agent.agent.backends.findings import Finding, examine
from mm4st_agent.agent.backends.profiles import VLLM_VERSION
from mm4st_agent.agent.backends.vllm import (
    ServedModel,
    ServerChatModel,
    bind,
    probe_images,
    probe_question,
    prompt_tokens,
    served_model,
    vllm_chat_model,
)
from mm4st_agent.errors import ServerError, UsageError
from mm4st_agent.settings import Settings
from mm4st_agent.toolspec import Json, ToolIn, ToolOut, ToolSpec

SERVER, TEMPLATE, PICTURES, CALLS, CHOICE, TOGETHER, CONTEXT = (
    "server",
    "chat template",
    "pictures",
    "tool calls",
    "tool calls by choice",
    "pictures with tools",
    "context",
)
_FREE_TOKENS = 2000
"""So much of the context should remain for questions and replies of tools."""
_LONG = " ".join(f"{letter}{number}" for number in range(10) for letter in "abcdef")
_LONG_TOKENS = 30
"""Fewer than `_LONG` takes in any tokenizer: it has 60 words."""
_CHECK_CALLS = 8
"""The most calls of one check; each is a token or a short tool call."""


class NoteColourIn(ToolIn):
    """Note the colour that was asked for. Call it whenever a colour is to be noted."""

    colour: Literal["grey", "green"] = Field(description="Which one.")


class _Noted(ToolOut):
    done: bool = True


_TOOL: ToolSpec[NoteColourIn, _Noted, Any] = ToolSpec(
    "note_colour", NoteColourIn, _Noted, lambda args, context: _Noted()
)
_ASKED = "Note the colour green: call the tool note_colour."


def server_findings(
    settings: Settings, tools: Sequence[ToolSpec[Any, Any, Any]], system: AnyMessage | None = None
) -> Iterator[Finding]:
    """Check the server at `vllm_url`, one finding at a time; where none answers, that is the only one.

    Args:
        settings: Where it is, and how the agent uses it.
        tools: What the agent offers to the model.
        system: What the agent tells the model first.
    """
    found: list[ServedModel] = []
    first = examine(SERVER, lambda: check_server(settings, found), limit_s=30)
    yield first
    if not found:
        return
    limit_s = _CHECK_CALLS * settings.timeout_s
    chat = vllm_chat_model(settings.model_copy(update={"vllm_model": found[0].name}))
    offered = [tool.to_json() for tool in tools]
    yield examine(TEMPLATE, partial(check_template, chat), limit_s=limit_s)
    if settings.vllm_max_images:
        yield examine(PICTURES, partial(check_pictures, chat), limit_s=limit_s)
    yield examine(CALLS, partial(check_calls, chat), limit_s=limit_s)
    yield examine(CHOICE, partial(check_choice, chat), limit_s=limit_s)
    yield examine(TOGETHER, partial(check_together, chat, offered, settings), limit_s=limit_s)
    yield examine(CONTEXT, partial(check_context, chat, offered, settings, system, found[0].context), limit_s=limit_s)


def check_server(settings: Settings, found: list[ServedModel] | None = None) -> Finding:
    """Whether a server answers, and what it serves.

    That none does is a failure only where the settings choose it, and a warning where they name its address.

    Args:
        settings: Where it should be.
        found: Gets what is served there.
    """
    chosen, named = settings.chat_model == "vllm", "vllm_url" in settings.model_fields_set
    try:
        served = served_model(settings)
    except (ServerError, UsageError) as err:
        if chosen:
            return Finding(SERVER, "failed", err.message, err.hint, err.exit_code)
        if named:
            return Finding(SERVER, "warning", f"{err.message} The embedded chat model answers.", err.hint)
        return Finding(SERVER, "ok", "Not set up: the embedded chat model answers.")
    if found is not None:
        found.append(served)
    context = "a context of unknown length" if served.context is None else f"a context of {served.context:,} tokens"
    said = f"{served.name} at {settings.vllm_url}, {served.software}, {context}."
    if served.version is not None and not served.version.startswith(f"{VLLM_VERSION}."):
        return Finding(
            SERVER, "warning", said, f"The profiles of `mm4st serve-vlm` were written for vLLM {VLLM_VERSION}."
        )
    return Finding(SERVER, "ok", said)


def check_template(chat: ServerChatModel) -> Finding:
    """Whether system text, tools, tool calls and replies of tools reach the model."""
    model = bind(chat, [_TOOL.to_json()])

    def turn(*, system: str = "-", argument: str = "-", reply: str = "-") -> list[AnyMessage]:
        call = ToolCall(name=_TOOL.name, args={"colour": argument}, id="check")
        return [SystemMessage(system), HumanMessage("Go."), AIMessage("", tool_calls=[call]),
                ToolMessage(reply, tool_call_id="check"), HumanMessage("Go on.")]  # fmt: skip

    question = [HumanMessage("Go.")]
    short = prompt_tokens(model, turn())
    added = {
        "the tools": prompt_tokens(model, question) - prompt_tokens(chat, question),
        "the system text": prompt_tokens(model, turn(system=_LONG)) - short,
        "earlier tool calls": prompt_tokens(model, turn(argument=_LONG)) - short,
        "the replies of tools": prompt_tokens(model, turn(reply=_LONG)) - short,
    }
    lost = [what for what, tokens in added.items() if tokens < _LONG_TOKENS]
    if lost:
        return Finding(
            TEMPLATE,
            "failed",
            f"The chat template drops {' and '.join(lost)}: they never reach the model.",
            "Serve the model with a template that has them: `mm4st serve-vlm` knows some, --chat-template takes yours.",
            2,
        )
    return Finding(TEMPLATE, "ok", "System text, tools, tool calls and replies of tools reach the model.")


def check_pictures(chat: ServerChatModel) -> Finding:
    """Whether a picture in a question reaches the model."""
    return Finding(PICTURES, "ok", f"A picture of 224 x 224 pixels reaches the model as {probe_question(chat)} tokens.")


def check_calls(chat: ServerChatModel) -> Finding:
    """Whether a call that is asked for comes, and is held to its schema."""
    # A random draw among what the grammar allows: greedy decoding of a poor model can repeat white space for ever.
    model = bind(chat, [_TOOL.to_json()]).bind(tool_choice="required", max_tokens=256, temperature=1)
    reply = model.invoke(_ASKED)
    said = _flaw(reply)
    if said is not None:
        return Finding(CALLS, "failed", said, "Serve it with a tool parser that constrains calls, such as hermes.", 2)
    return Finding(CALLS, "ok", "A call that was required came, and is held to its schema.")


def check_choice(chat: ServerChatModel) -> Finding:
    """Whether the model calls a tool of its own accord when it is told to."""
    reply = bind(chat, [_TOOL.to_json()]).bind(max_tokens=256).invoke(_ASKED)
    said = _flaw(reply)
    if said is not None:
        return Finding(
            CHOICE,
            "warning",
            f"Told to call a tool, the model did not: {said}",
            "It may be too small, or write calls in another form than the server's tool parser reads.",
        )
    return Finding(CHOICE, "ok", "Told to call a tool, the model does.")


def check_together(chat: ServerChatModel, tools: Sequence[Json], settings: Settings) -> Finding:
    """Whether as many pictures as the agent shows reach the model while all tools are offered."""
    limit, placement = settings.vllm_max_images, settings.vllm_tool_images
    if limit == 0:
        return Finding(TOGETHER, "ok", "The agent shows no pictures (MM4ST_VLLM_MAX_IMAGES=0).")
    model = bind(chat, tools)
    one = probe_images(model, placement=placement)
    try:
        probe_images(model, placement=placement, count=limit)
    except UsageError as err:
        return Finding(
            TOGETHER,
            "failed",
            f"One picture reaches the model, {limit} in one request do not: {err.message}",
            "Lower MM4ST_VLLM_MAX_IMAGES, or serve it with --max-images.",
            2,
        )
    said = f"{limit} pictures (placement {placement!r}) and {len(tools)} tools arrive together, {one} tokens a picture."
    return Finding(TOGETHER, "ok", said)


def check_context(
    chat: ServerChatModel, tools: Sequence[Json], settings: Settings, system: AnyMessage | None, context: int | None
) -> Finding:
    """Whether the agent's prompt, its pictures and its answer leave room for a conversation."""
    opening = [*([system] if system is not None else []), HumanMessage("How busy will it be?")]
    model = bind(chat, tools)
    prompt, limit = prompt_tokens(model, opening), settings.vllm_max_images
    try:
        pictures = limit * probe_images(model, placement=settings.vllm_tool_images, size=(1280, 768)) if limit else 0
    except UsageError:  # `check_together` says so
        pictures = 0
    parts = f"{prompt:,} tokens of rules and tools, {pictures:,} of {limit} pictures, {settings.vllm_max_tokens:,} kept"
    if context is None:
        return Finding(CONTEXT, "ok", f"{parts} for an answer; the server does not say how long its context is.")
    free = context - prompt - pictures - settings.vllm_max_tokens
    said = f"{parts} for an answer: {max(free, 0):,} of {context:,} are left for the conversation."
    if free >= _FREE_TOKENS:
        return Finding(CONTEXT, "ok", said)
    hint = "Serve it with a larger --max-model-len, or lower MM4ST_VLLM_MAX_IMAGES or MM4ST_VLLM_MAX_TOKENS."
    return Finding(CONTEXT, "warning" if free > 0 else "failed", said, hint, 0 if free > 0 else 2)


def _flaw(reply: AIMessage) -> str | None:
    """What is wrong with a reply that should be one call of `note_colour`."""
    if len(reply.tool_calls) != 1:
        broken = [call["args"] for call in reply.invalid_tool_calls]
        return f"It sent {len(reply.tool_calls)} calls{f' and could not be read: {broken}' if broken else ''}."
    (call,) = reply.tool_calls
    try:
        NoteColourIn.model_validate(call["args"])
    except ValidationError:
        return f"Its call has the arguments {call['args']}, which the schema does not allow."
    return None if call["name"] == _TOOL.name else f"It called {call['name']!r}, which is no tool."
