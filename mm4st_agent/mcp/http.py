"""Streamable HTTP on loopback: who has no token, comes from another site or sends too much is turned away."""

from __future__ import annotations

import hmac
import logging
import re
import secrets
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn
from mcp.server.lowlevel import Server
from starlette.datastructures import Headers
from starlette.responses import JSONResponse

from mm4st_agent.errors import UsageError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

PATH = "/mcp"
HOST = "127.0.0.1"
MOST_BODY_BYTES = 1024 * 1024
LEAST_TOKEN = 16
"""Characters of a bearer token."""
_GRACE_S = 3


def new_token() -> str:
    """One that nobody guesses."""
    return secrets.token_urlsafe(32)


def read_token(file: Path) -> str:
    """The token of a file that holds nothing else.

    Raises:
        UsageError: the file cannot be read, or what it holds is too short or not a token. The text is not told.
    """
    try:
        token = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as err:
        reason = err.strerror if isinstance(err, OSError) else "it is not plain text"
        raise UsageError(f"The token file {file} cannot be read: {reason}.", "Write one token into it.") from err
    if len(token) < LEAST_TOKEN or not re.fullmatch(r"[\w.~+/=-]+", token):
        raise UsageError(
            f"The token file {file} holds no token of at least {LEAST_TOKEN} letters, digits and '-._~+/='.",
            "Make one: python -c 'import secrets; print(secrets.token_urlsafe(32))'.",
        )
    return token


def listen(port: int) -> socket.socket:
    """Take a port of this machine that no other machine reaches; 0 takes a free one.

    Raises:
        UsageError: the port cannot be used.
    """
    try:
        return socket.create_server((HOST, port))
    except OSError as err:
        raise UsageError(
            f"Port {port} of {HOST} cannot be used: {err.strerror or err}.", "Give another --port; 0 takes a free one."
        ) from err


def http_app(server: Server[Any], token: str) -> ASGIApp:
    """The application, at `/mcp`.

    Host and Origin are checked by the SDK, which takes names of this machine only.
    """
    return Gate(server.streamable_http_app(host=HOST, max_request_body_size=MOST_BODY_BYTES), token)


async def serve(app: ASGIApp, listening: socket.socket) -> None:
    """Serve until Ctrl-C or SIGTERM."""
    # One line for each refused request; what it was is in the reply.
    logging.getLogger("mcp.server.transport_security").setLevel(logging.ERROR)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        ws="none",
        lifespan="on",
        timeout_graceful_shutdown=_GRACE_S,
    )
    with listening:
        await uvicorn.Server(config).serve(sockets=[listening])


class Gate:
    """Lets through what carries the token and says that it is short enough; the rest is not read."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self.app = app
        self._expected = f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get("authorization", "").encode("latin-1")
        if not hmac.compare_digest(given, self._expected):
            said = "This needs the bearer token that `mm4st mcp --http` showed when it started, or of its --token-file."
            await _refusal(401, said, {"WWW-Authenticate": "Bearer"})(scope, receive, send)
            return
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > MOST_BODY_BYTES:
            said = f"The request has {length[:20]} bytes; at most {MOST_BODY_BYTES} are read."
            await _refusal(413, said)(scope, receive, send)
            return
        await self.app(scope, receive, send)


def _refusal(status: int, said: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    body = {"error": {"kind": "usage", "message": said, "hint": ""}}
    return JSONResponse(body, status_code=status, headers={**(headers or {}), "Connection": "close"})
