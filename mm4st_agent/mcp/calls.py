"""Tool calls: a `ToolSpec` as MCP describes it, and a call as MCP answers it."""

from __future__ import annotations

import asyncio
import base64
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import mcp_types as types

from mm4st_agent.agent.tool_threads import run_aside
from mm4st_agent.errors import MM4STError, ToolError
from mm4st_agent.mcp.addresses import address
from mm4st_agent.mcp.sizes import WholeReplies, as_text, fitted, picture_room, small_picture, told
from mm4st_agent.runtime import Runtime
from mm4st_agent.toolspec import ImageHandle, Json, ToolSpec

log = logging.getLogger(__name__)

Report = Callable[[float, str], Awaitable[None]]
"""Tells the host how long a call has taken, in seconds, and what it does; nothing happens where none asked."""

BEAT_S = 1.0
"""How often a call that takes longer says that it still runs."""

AS_OF: Json = {
    "anyOf": [{"type": "string"}, {"type": "null"}],
    "default": None,
    "description": "The clock, such as '2022-01-25T07:30', local time of the data: nothing later is seen, neither a "
    "reading nor a text. Left out, it is the data set's own now.",
}
_BUG = "Something went wrong inside mm4st; its log, on stderr, says what. Other tools and arguments may work."


def described(spec: ToolSpec[Any, Any, Any]) -> types.Tool:
    """A tool as a host sees it: its own arguments and the clock, side by side."""
    form = spec.to_json()
    schema = form["input_schema"]
    return types.Tool(
        name=spec.name,
        title=plain_title(spec.name),
        description=form["description"],
        input_schema={**schema, "properties": {**schema.get("properties", {}), "as_of": AS_OF}},
        output_schema=form["output_schema"],
        annotations=types.ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False),
    )


def plain_title(name: str) -> str:
    """`Find places` of `find_places`."""
    return name.replace("_", " ").capitalize()


async def call_tool(
    runtime: Runtime, replies: WholeReplies, name: str, arguments: Json, report: Report
) -> types.CallToolResult:
    """Call a tool of the runtime in a thread of its own.

    Where the host cancels, nobody waits for the thread any more, and what it gives is dropped.

    Raises:
        ToolError: bad arguments, a known failure inside the tool, or it took too long.
    """
    spec, limit_s = runtime.tools[name], runtime.settings.tool_timeout_s
    args = dict(arguments)
    as_of = args.pop("as_of", None)
    if as_of is not None and not isinstance(as_of, str):
        raise ToolError(f"as_of cannot be {as_of!r}.", "Write it like '2022-01-25T07:30', or leave it out.")
    async with beating(report, spec.title or plain_title(name)):
        try:
            out = await run_aside(limit_s, runtime.tool, name, args, as_of)
        except TimeoutError as err:
            raise ToolError(
                f"{name} took longer than {limit_s:.3g} s and was given up.", "Ask for less: a shorter time, one place."
            ) from err
        return await asyncio.to_thread(result, runtime, replies, out.model_dump(mode="json"), out.images())


def result(runtime: Runtime, replies: WholeReplies, reply: Json, images: Sequence[ImageHandle]) -> types.CallToolResult:
    """A reply with its pictures, no larger than `MOST_BYTES`; what was left out is linked.

    Raises:
        UsageError: the reply cannot be cut far enough.
    """
    kept, cuts = fitted(reply)
    text = as_text(kept)
    content: list[types.ContentBlock] = [types.TextContent(text=text)]
    if cuts:
        whole = as_text(reply)
        said = f"This reply was cut. It has of {'; of '.join(cuts)}. The link leads to the whole."
        link = address("reply", replies.put(whole))
        content += [
            types.TextContent(text=said),
            types.ResourceLink(name="whole-reply", uri=link, mime_type="application/json", size=len(whole.encode())),
        ]
    room = picture_room(_bytes(content) + len(text.encode()), len(images))
    for image in images:
        content += _picture(runtime, image, room)
    return types.CallToolResult(content=content, structured_content=kept)


def _picture(runtime: Runtime, image: ImageHandle, room: int) -> list[types.ContentBlock]:
    png = runtime.images.get(image.image_id)
    small = small_picture(png, room)
    smaller = "" if small is png else " (drawn smaller here; the whole is behind the link)"
    link = types.ResourceLink(
        name=f"{image.image_id[:12]}.png",
        title=image.title,
        description=f"{image.alt}{smaller}",
        uri=address("image", image.image_id),
        mime_type="image/png",
        size=len(png),
    )
    if small is None:
        return [link]
    return [types.ImageContent(data=base64.b64encode(small).decode(), mime_type="image/png"), link]


def _bytes(content: Sequence[types.ContentBlock]) -> int:
    return sum(len(block.model_dump_json(by_alias=True, exclude_none=True).encode()) for block in content)


async def answered(name: str, call: Awaitable[types.CallToolResult]) -> types.CallToolResult:
    """Wait for a call: a known failure becomes a result that says so, a bug one in general words, and is logged."""
    try:
        return await call
    except MM4STError as err:
        said = told(err)
    except Exception:
        log.exception("the tool %s broke", name)
        said = _BUG
    return types.CallToolResult(content=[types.TextContent(text=said)], is_error=True)


@asynccontextmanager
async def beating(report: Report, what: str) -> AsyncIterator[None]:
    """Say what is done, and every `BEAT_S` seconds that it still is."""
    started = time.monotonic()

    async def beat() -> None:
        with suppress(Exception):  # a host that left is told nothing
            await report(0.0, what)
            while True:
                await asyncio.sleep(BEAT_S)
                seconds = time.monotonic() - started
                await report(seconds, f"{what}: {seconds:.0f} s")

    task = asyncio.create_task(beat())
    try:
        yield
    finally:
        task.cancel()
