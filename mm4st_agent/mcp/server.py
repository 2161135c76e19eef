"""The MCP server: what it offers, and who answers which request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError

import prompts
from mm4st_agent import __version__
from mm4st_agent.errors import MM4STError
from mm4st_agent.mcp import resources
from mm4st_agent.mcp.asking import ASK, ask, described_ask
from mm4st_agent.mcp.calls import answered, call_tool, described
from mm4st_agent.mcp.prompting import PROMPTS, rendered
from mm4st_agent.mcp.sizes import WholeReplies, told
from mm4st_agent.runtime import Runtime

Context = ServerRequestContext[Any, Any]
Paged = types.PaginatedRequestParams | None
P = ParamSpec("P")
T = TypeVar("T")


def mcp_server(runtime: Runtime) -> Server[dict[str, Any]]:
    """A server over the tools of a runtime; stdio and HTTP serve the same one."""
    replies = WholeReplies()

    async def list_tools(context: Context, params: Paged) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[*map(described, runtime.tools.values()), described_ask()])

    async def call(context: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        name, arguments, report = params.name, params.arguments or {}, context.session.report_progress

        async def say(seconds: float, what: str) -> None:
            await report(seconds, message=what)

        if name == ASK:
            return await answered(name, ask(runtime, replies, arguments, say))
        if name in runtime.tools:
            return await answered(name, call_tool(runtime, replies, name, arguments, say))
        known = ", ".join([*runtime.tools, ASK])
        raise MCPError(types.INVALID_PARAMS, f"There is no tool {name[:100]!r}. Known: {known}.")

    async def list_resources(context: Context, params: Paged) -> types.ListResourcesResult:
        return await _aside(resources.listed, runtime, params.cursor if params else None)

    async def list_templates(context: Context, params: Paged) -> types.ListResourceTemplatesResult:
        return types.ListResourceTemplatesResult(resource_templates=resources.templates())

    async def read(context: Context, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
        return await _aside(resources.read, runtime, replies, str(params.uri))

    async def list_prompts(context: Context, params: Paged) -> types.ListPromptsResult:
        return types.ListPromptsResult(prompts=list(PROMPTS))

    async def get_prompt(context: Context, params: types.GetPromptRequestParams) -> types.GetPromptResult:
        return await _aside(rendered, params.name, params.arguments or {})

    here = [name for name in runtime.registry.names() if runtime.registry.available(name)]
    return Server(
        "mm4st",
        version=__version__,
        title="mm4st: spatio-temporal data",
        instructions=prompts.load("mcp_instructions").render(datasets=here),
        on_list_tools=list_tools,
        on_call_tool=call,
        on_list_resources=list_resources,
        on_list_resource_templates=list_templates,
        on_read_resource=read,
        on_list_prompts=list_prompts,
        on_get_prompt=get_prompt,
    )


async def _aside(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function that may read files in a thread; what a person can mend becomes an error of the protocol."""
    try:
        return await asyncio.to_thread(function, *args, **kwargs)
    except MM4STError as err:
        raise MCPError(types.INVALID_PARAMS, told(err)) from err
