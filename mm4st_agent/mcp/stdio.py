"""Stdio with a cap: a line that is too long is answered with an error and never held."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import mcp_types as types
from mcp.server.stdio import stdio_server
from mcp.shared.message import SessionMessage

if TYPE_CHECKING:
    import anyio
    from anyio.streams.memory import MemoryObjectSendStream

MOST_LINE_BYTES = 1024 * 1024
"""Of one message, as over HTTP."""
_END_BYTES = 256
_ID = rb'"id"\s*:\s*(?P<id>\d{1,18}|"(?:[^"\\]|\\.){1,100}")'
_ID_BEFORE = re.compile(
    rb'\s*\{\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*)?(?:"method"\s*:\s*"[\w/]+"\s*,\s*)?' + _ID + rb"\s*[,}]"
)
_ID_AFTER = re.compile(rb"[,{]\s*" + _ID + rb'(?:\s*,\s*"jsonrpc"\s*:\s*"2\.0")?\s*\}\s*$')


@asynccontextmanager
async def bounded_stdio() -> AsyncGenerator[tuple[Any, Any]]:
    """`stdio_server` of the SDK, reading lines of `MOST_LINE_BYTES` at most."""
    with _claimed_stdin() as stdin:
        lines = _Lines(stdin)
        async with stdio_server(stdin=cast("anyio.AsyncFile[str]", lines)) as (incoming, outgoing):
            lines.outgoing.set_result(outgoing)
            yield incoming, outgoing


@contextmanager
def _claimed_stdin() -> Generator[BinaryIO]:
    """What comes in, for the protocol alone: what else reads stdin meanwhile finds its end."""
    private = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    try:
        # Never closed: a thread may still wait for a line when the server ends.
        yield os.fdopen(private, "rb", closefd=False)
    finally:
        os.dup2(private, 0)


class _Lines:
    """The lines of a stream, without those that are too long."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.outgoing: asyncio.Future[MemoryObjectSendStream[SessionMessage]] = asyncio.Future()

    def __aiter__(self) -> _Lines:
        return self

    async def __anext__(self) -> str:
        while line := await asyncio.to_thread(self._stream.readline, MOST_LINE_BYTES + 1):
            if len(line) <= MOST_LINE_BYTES or line.endswith(b"\n"):
                return line.decode("utf-8", "replace")
            end = await asyncio.to_thread(self._skip)
            await (await self.outgoing).send(SessionMessage(_refusal(line, line[-_END_BYTES:] + end)))
        raise StopAsyncIteration

    def _skip(self) -> bytes:
        """Read to the end of the line; gives the last bytes of it."""
        end = b""
        while part := self._stream.readline(MOST_LINE_BYTES):
            end = (end + part)[-_END_BYTES:]
            if part.endswith(b"\n"):
                break
        return end


def _refusal(start: bytes, end: bytes) -> types.JSONRPCError:
    """With the id of the request where that stands beside the parameters, as clients write it."""
    found = _ID_BEFORE.match(start) or _ID_AFTER.search(end)
    said = f"The message has more than {MOST_LINE_BYTES:,} bytes, and no longer one is read. Ask for less at a time."
    error = types.ErrorData(code=types.INVALID_REQUEST, message=said)
    return types.JSONRPCError(jsonrpc="2.0", id=_id_of(found), error=error)


def _id_of(found: re.Match[bytes] | None) -> types.RequestId | None:
    if found is None:
        return None
    text = found["id"].decode("utf-8", "replace")
    return text[1:-1] if text.startswith('"') else int(text)
