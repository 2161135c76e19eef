"""The server: our routes and the page in one FastAPI application, its guards, and its end."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import uvicorn
from fastapi import APIRouter, FastAPI
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import PlainTextResponse

from mm4st_agent.errors import UsageError
from mm4st_agent.settings import Settings, is_loopback
from mm4st_agent.web.sign_in import SignedIn

if TYPE_CHECKING:
    from fastapi import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from mm4st_agent.runtime import Runtime
    from mm4st_agent.web.served import RuntimeFor
    from mm4st_agent.web.sign_in import Gate

log = logging.getLogger(__name__)

SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'; "
    "base-uri 'self'; object-src 'none'; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}
"""Whatever a text contains, the page loads nothing from another host, and no other site can frame it."""

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1", "[::1]")
GRACE_S = 5
"""So long may a request that is under way take once the server ends; open event streams end at once."""


def web_app(settings: Settings, routers: Sequence[APIRouter] = (), gate: Gate | None = None) -> FastAPI:
    """The application without the page, which is mounted at `/` afterwards.

    Args:
        settings: Where it is served.
        routers: Our routes, each below `/mm4st`.
        gate: Who may come in; None is an app without accounts, whose one person has no name.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, middleware=_guards(settings, gate))
    for router in routers:
        app.include_router(router)
    if gate is not None:
        app.include_router(gate.router())
    return app


def runtimes(runtime: Runtime, gate: Gate | None) -> RuntimeFor:
    """Whose runtime a request works with: with accounts, nothing is open to a request without a name."""

    def of(user: str | None) -> Runtime:
        if gate is not None and user is None:
            raise UsageError("Nobody is signed in.", "Sign in again.")
        return runtime.of_user(user)

    return of


def signed_in_user(request: Request) -> str | None:
    """Who sent the request; this is what Gradio takes as its `auth_dependency` where there are accounts."""
    user: str | None = request.state.user
    return user


def _guards(settings: Settings, gate: Gate | None) -> list[Middleware]:
    """From the outside in."""
    guards = [Middleware(SecurityHeaders)]
    if is_loopback(settings.host):  # another name may be a page of the internet that was pointed here
        names = [*LOOPBACK_NAMES, settings.host, *filter(None, [settings.public_host])]
        guards.append(Middleware(TrustedHostMiddleware, allowed_hosts=names, www_redirect=False))
    return [*guards, Middleware(SameOrigin), Middleware(SignedIn, gate=gate)]


# -- guards -----------------------------------------------------------------------------------


class SecurityHeaders:
    """Adds our headers to every response that does not set them itself."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, with_headers if scope["type"] == "http" else send)


class SameOrigin:
    """Refuses what another site's page makes a browser send, unless it only reads.

    Reading needs no guard: without CORS headers, a browser shows the reply to nobody else.

    Source:
        Go's `http.CrossOriginProtection`: Sec-Fetch-Site where the browser sends it, else Origin against Host.
        What sends neither is no browser.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] not in ("GET", "HEAD", "OPTIONS") and _is_foreign(scope):
            refusal = PlainTextResponse("This request came from another site's page.", status_code=403)
            await refusal(scope, receive, send)
            return
        await self.app(scope, receive, send)


def _is_foreign(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None:
        return site not in ("same-origin", "none")
    return origin is not None and urlsplit(origin).netloc.lower() != headers.get("host", "").lower()


# -- serving ----------------------------------------------------------------------------------


def serve(app: FastAPI, host: str, listening: socket.socket, on_start: Callable[[], None]) -> None:
    """Serve until Ctrl-C or SIGTERM. A second Ctrl-C waits for nothing.

    Args:
        app: What `web_app` made, with the page mounted.
        host: As it was given to `listen`.
        listening: What `listen` opened; it is closed at the end.
        on_start: Called once the page can be opened.
    """
    port = listening.getsockname()[1]
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}/"

    def started() -> None:
        sys.stderr.write(f"The chat is at {url} (Ctrl-C stops it).\n")
        on_start()

    streams = EventStreams(app)
    config = uvicorn.Config(
        streams,
        log_level="warning",
        access_log=False,
        server_header=False,
        ws="none",
        lifespan="on",
        timeout_graceful_shutdown=GRACE_S,
    )
    with listening:
        _Server(config, streams, started).run(sockets=[listening])


def listen(host: str, port: int) -> socket.socket:
    """Take a port before minutes or files are spent on what it is for; 0 takes a free one.

    Raises:
        UsageError: the host or the port cannot be used.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server((str(address[0]), int(address[1])), family=family, backlog=2048)
    except OSError as err:
        reason = err.strerror if isinstance(err, socket.gaierror) else os.strerror(err.errno or 0)
        raise UsageError(
            f"The chat cannot be served at {host}, port {port}: {reason}.",
            "Set MM4ST_PORT to a free port (0 takes any), or MM4ST_HOST to an address of this machine.",
        ) from err


class EventStreams:
    """Knows the event streams that are open, which would keep a server from ending as long as a page is open."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._open: set[asyncio.Task[None]] = set()
        self._ending = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        task: asyncio.Task[None] | None = asyncio.current_task()
        assert task is not None, "a server runs each request as a task"

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start" and _is_event_stream(message):
                self._open.add(task)
            elif message["type"] == "http.response.body" and not message.get("more_body"):
                self._open.discard(task)
            await send(message)

        try:
            await self.app(scope, receive, watched if scope["type"] == "http" else send)
        except asyncio.CancelledError:
            if not self._ending:
                raise
            if task in self._open:
                await send({"type": "http.response.body"})
        finally:
            self._open.discard(task)

    def end(self) -> None:
        """End those that are open, as if their pages had been closed."""
        self._ending = True
        for task in self._open:
            task.cancel()


def _is_event_stream(start: Message) -> bool:
    return Headers(raw=start["headers"]).get("content-type", "").startswith("text/event-stream")


class _Server(uvicorn.Server):
    """Says when it can be reached, ends event streams, and ends the process in order rather than by the signal."""

    def __init__(self, config: uvicorn.Config, streams: EventStreams, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._streams, self._tell = streams, started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._tell()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._streams.end()
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: object) -> None:
        """End in order; a second Ctrl-C ends the process at once. Uvicorn's own raises the signal again at the end."""
        self.should_exit = True
        signal.signal(signal.SIGINT, signal.SIG_DFL)
