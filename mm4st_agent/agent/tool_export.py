"""The tools for agents that other people wrote: as OpenAI functions and as LangChain tools."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable
from copy import deepcopy
from typing import Any, Protocol

from langchain_core.tools import BaseTool, StructuredTool, ToolException

from mm4st_agent.agent.backends.wire import strict_tool
from mm4st_agent.errors import MM4STError
from mm4st_agent.toolspec import Json, ToolSpec

LangChainTools = list[BaseTool]
"""What `langchain_tools` gives, for modules that do not know LangChain."""
GIVEN = "dataset"
"""The argument that whoever exports the tools has set already."""


class Reply(Protocol):
    """What a call gives."""

    def to_json(self) -> Json:
        """The reply without pixels."""
        ...


def openai_functions(specs: Iterable[ToolSpec[Any, Any, Any]]) -> list[Json]:
    """Strict functions: every argument is required, and says its default in words."""
    return [_plain_unions(strict_tool(_described(spec))) for spec in specs]


def langchain_tools(
    specs: Iterable[ToolSpec[Any, Any, Any]],
    call: Callable[[str, Json], Reply],
    acall: Callable[[str, Json], Awaitable[Reply]],
) -> LangChainTools:
    """LangChain tools that call `call(name, arguments)`; their artifact is what it gives."""
    return [_langchain_tool(spec, call, acall) for spec in specs]


def _langchain_tool(
    spec: ToolSpec[Any, Any, Any],
    call: Callable[[str, Json], Reply],
    acall: Callable[[str, Json], Awaitable[Reply]],
) -> BaseTool:
    def run(**args: Any) -> tuple[str, Reply]:
        try:
            reply = call(spec.name, args)
        except MM4STError as err:
            raise _told(err) from err
        return _text(reply.to_json()), reply

    async def arun(**args: Any) -> tuple[str, Reply]:
        try:
            reply = await acall(spec.name, args)
        except MM4STError as err:
            raise _told(err) from err
        return _text(reply.to_json()), reply

    return StructuredTool.from_function(
        func=run,
        coroutine=arun,
        name=spec.name,
        description=spec.description,
        args_schema=_described(spec)["input_schema"],
        response_format="content_and_artifact",
        handle_tool_error=True,
    )


def _described(spec: ToolSpec[Any, Any, Any]) -> Json:
    tool = deepcopy(spec.to_json())
    schema = tool["input_schema"]
    schema["properties"].pop(GIVEN, None)
    schema["required"] = [name for name in schema.get("required", []) if name != GIVEN]
    return tool


def _plain_unions(schema: Any) -> Any:
    """The schema with `anyOf` for `oneOf`, which strict functions do not take."""
    if isinstance(schema, list):
        return [_plain_unions(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        "anyOf" if key == "oneOf" else key: _plain_unions(part)
        for key, part in schema.items()
        if not (key == "discriminator" and "oneOf" in schema)
    }


def _told(err: MM4STError) -> ToolException:
    return ToolException(_text(err.to_json()))


def _text(reply: Json) -> str:
    return json.dumps(reply, ensure_ascii=False, allow_nan=False)
