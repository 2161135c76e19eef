"""Conversation and tools in the form that an OpenAI-compatible server takes: pure functions."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal

from langchain_core.messages import AnyMessage, HumanMessage, ToolMessage
from langchain_core.utils.function_calling import convert_to_openai_tool

from mm4st_agent.errors import UsageError
from mm4st_agent.toolspec import Json

Placement = Literal["user", "native"]

# Limits that xgrammar (0.2.8), with which vLLM constrains calls, ignores or refuses; and a text's length,
# for which it admits raw control characters, so that the call is no JSON. Pydantic checks them on arrival.
_IN_WORDS = ("multipleOf", "uniqueItems", "contains", "minContains", "maxContains", "minLength", "maxLength")
_TYPED = {"type", "enum", "const", "$ref", "anyOf", "oneOf", "allOf"}


def to_wire(
    messages: Sequence[AnyMessage],
    images: Callable[[str], bytes],
    *,
    placement: Placement,
    limit: int,
) -> list[AnyMessage]:
    """Put the pictures that tools made before the model's eyes.

    In the conversation's state a tool message only names them, as
    `artifact={"images": [{"image_id", "title", "alt"}]}`. Servers disagree about pictures in
    tool messages, and reject anything between the replies to parallel calls, so by default
    they follow the last reply in one user message.

    Args:
        messages: The conversation, oldest first; it is not changed.
        images: Gives the PNG of an image id.
        placement: `"user"` as above; `"native"` inside each tool message, for models that look there.
        limit: How many pictures, counted from the latest, are shown; older ones become their alt text.

    Returns:
        Messages to send now, and not to keep.
    """
    hidden = sum(len(_pictures(message)) for message in messages) - limit
    wire: list[AnyMessage] = []
    batch: list[Json] = []
    for message in messages:
        if batch and not isinstance(message, ToolMessage):
            wire.append(HumanMessage(content=list(batch)))
            batch.clear()
        parts: list[Json] = []
        for picture in _pictures(message):
            parts += _alt_parts(picture) if hidden > 0 else _shown_parts(picture, images)
            hidden -= 1
        if parts and placement == "native":
            text = {"type": "text", "text": f"{message.text}\n"}
            wire.append(message.model_copy(update={"content": [text, *parts]}))
        else:
            wire.append(message)
            batch += parts
    if batch:
        wire.append(HumanMessage(content=list(batch)))
    return wire


def strict_tool(tool: Json) -> Json:
    """An OpenAI tool that a server can constrain: all fields required, none open, defaults told in words.

    Args:
        tool: `name`, `description` and `input_schema`, as `ToolSpec.to_json()` gives them.

    Raises:
        UsageError: an argument accepts anything, so no grammar can hold it.
    """
    for path, schema in _subschemas(tool["input_schema"], ""):
        if _is_open(schema):
            raise UsageError(
                f"Argument {path!r} of tool {tool['name']!r} accepts anything, so calls cannot be constrained.",
                "Give it a type; a mapping needs named fields.",
            )
    named = {key: tool[key] for key in ("name", "description", "input_schema")}
    strict = convert_to_openai_tool(named, strict=True)
    parameters = strict["function"]["parameters"]
    parameters.pop("description", None)  # the tool's own, once more
    for _, schema in _subschemas(parameters, ""):
        schema.pop("title", None)
        notes = [f"{key}: {json.dumps(schema.pop(key))}." for key in ("default", *_IN_WORDS) if key in schema]
        if notes:
            schema["description"] = " ".join([schema.get("description", ""), *notes]).strip()
    return strict


def _subschemas(schema: Json, path: str) -> Iterator[tuple[str, Json]]:
    """`schema` and all schemas inside it, with the argument that each is for."""
    yield path, schema
    for group in ("properties", "$defs"):
        for name, part in schema.get(group, {}).items():
            yield from _subschemas(part, f"{path}.{name}".lstrip("."))
    for group in ("anyOf", "oneOf", "allOf", "prefixItems"):
        for part in schema.get(group, []):
            yield from _subschemas(part, path)
    if isinstance(schema.get("items"), dict):
        yield from _subschemas(schema["items"], f"{path}[]")


def _is_open(schema: Json) -> bool:
    kind = schema.get("type")
    if kind == "object":
        return "properties" not in schema
    if kind == "array":
        return not schema.keys() & {"items", "prefixItems"}
    return not schema.keys() & _TYPED


def _pictures(message: AnyMessage) -> list[Json]:
    artifact = message.artifact if isinstance(message, ToolMessage) else None
    return list(artifact.get("images", [])) if isinstance(artifact, Mapping) else []


def _shown_parts(picture: Json, images: Callable[[str], bytes]) -> list[Json]:
    png = base64.b64encode(images(picture["image_id"])).decode("ascii")
    label = f"Picture {picture['image_id'][:8]}: {picture['title']}\n"
    return [
        {"type": "text", "text": label},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{png}"}},
    ]


def _alt_parts(picture: Json) -> list[Json]:
    text = f"Picture {picture['image_id'][:8]}, no longer shown: {picture['alt']}\n"
    return [{"type": "text", "text": text}]
