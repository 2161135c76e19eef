"""Signing in: the page, sessions, delays after failures, and the guard that lets nobody else through."""

from __future__ import annotations

import hashlib
import html
import ipaddress
import math
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.datastructures import Headers, QueryParams
from starlette.requests import cookie_parser

from mm4st_agent.errors import DataError
from mm4st_agent.web.accounts import Accounts, PasswordHash
from mm4st_agent.web.markup import script
from mm4st_agent.web.served import PREFIX
from mm4st_agent.web.talk import known_thread

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

SIGN_IN = f"/{PREFIX}/sign-in"
SIGN_OUT = f"/{PREFIX}/sign-out"
COOKIE = "mm4st-session"
SESSION_S = 12 * 3600.0
LONGEST_FORM = 8192
"""Bytes."""

SIGN_OUT_FORM = f'<form class="sign-out" method="post" action="{SIGN_OUT[1:]}"><button>Sign out</button></form>'
"""For the page, whose addresses are relative to its own."""

WRONG = "The name or the password is wrong."
CLOSED = "Nobody can sign in at the moment. Whoever runs this app finds the reason in its log."


# -- sessions ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Session:
    name: str
    hashed: PasswordHash
    ends: float


class Sessions:
    """Who is signed in, in memory: a restart asks everyone to sign in again.

    A session ends by itself, and as soon as its person is removed from the accounts or gets another password.

    Args:
        accounts: Who may have a session.
        now: Seconds on a clock that never goes back.
    """

    def __init__(self, accounts: Accounts, now: Callable[[], float] = time.monotonic) -> None:
        self._accounts, self._now = accounts, now
        self._open: dict[bytes, _Session] = {}  # by digest: whoever reads the memory has no cookie
        self._changing = threading.Lock()

    def start(self, name: str, hashed: PasswordHash) -> str:
        """The token of a new session."""
        token, now = secrets.token_urlsafe(32), self._now()
        with self._changing:
            self._open = {key: session for key, session in self._open.items() if session.ends > now}
            self._open[_digest(token)] = _Session(name, hashed, now + SESSION_S)
        return token

    def user(self, token: str) -> str | None:
        """Whose session this is; nobody's while the accounts cannot be read."""
        session = self._open.get(_digest(token))
        if session is None or session.ends <= self._now():
            return None
        try:
            known = self._accounts.people().get(session.name)
        except DataError:
            return None
        return session.name if known == session.hashed else None

    def end(self, token: str) -> None:
        with self._changing:
            self._open.pop(_digest(token), None)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


# -- delays after failures --------------------------------------------------------------------

FREE_BY_NAME, FREE_BY_ADDRESS = 5, 20
"""Failures without a delay; an office may share one address."""
LONGEST_DELAY_S = 900.0
FORGET_S = 3600.0
MOST_KEYS = 10_000


class Attempts:
    """Delays that double with each failure, for a name and for an address.

    An attempt counts as a failure until it has succeeded, so many at the same time gain nothing. Names that nobody
    has count as well: a delay says nothing about who has an account.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._failed: dict[tuple[str, str], tuple[int, float]] = {}  # how often, and when last; oldest first

    def begin(self, name: str, address: str) -> float:
        """Note an attempt.

        Returns:
            Seconds to wait before it may be made; 0 where it was noted and may be made now.
        """
        now, keys = self._now(), _keys(name, address)
        wait = max(self._wait(key, free, now) for key, free in keys)
        if wait > 0:
            return wait
        for key, _ in keys:
            count, last = self._failed.pop(key, (0, now))
            self._failed[key] = (1 if now - last > FORGET_S else count + 1, now)
        while len(self._failed) > MOST_KEYS:
            del self._failed[next(iter(self._failed))]
        return 0.0

    def succeeded(self, name: str, address: str) -> None:
        """Take back what `begin` noted; earlier failures of the name are forgotten, those of the address are not."""
        (by_name, _), (by_address, _) = _keys(name, address)
        self._failed.pop(by_name, None)
        if by_address in self._failed:
            count, last = self._failed[by_address]
            self._failed[by_address] = (count - 1, last)

    def _wait(self, key: tuple[str, str], free: int, now: float) -> float:
        count, last = self._failed.get(key, (0, now))
        delay = min(2.0 ** min(count - free, 20), LONGEST_DELAY_S) if count >= free else 0.0
        return max(0.0, last + delay - now)


def _keys(name: str, address: str) -> tuple[tuple[tuple[str, str], int], tuple[tuple[str, str], int]]:
    return (("name", name), FREE_BY_NAME), (("address", _network(address)), FREE_BY_ADDRESS)


def _network(address: str) -> str:
    """An IPv6 connection has 2**64 addresses of its own; they count as one."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((parsed, 64), strict=False)) if parsed.version == 6 else address


# -- the way in -------------------------------------------------------------------------------


class Gate:
    """Everything of an app with accounts: who is signed in, the page to sign in on, and the way out."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self.sessions = Sessions(accounts)
        self._attempts = Attempts()
        self._checking = CapacityLimiter(2)  # each check takes 32 MiB and a quarter of a second of a core

    def router(self) -> APIRouter:
        """The sign-in page and its form, and signing out."""
        router = APIRouter()
        router.add_api_route(SIGN_IN, self._page, methods=["GET"])
        router.add_api_route(SIGN_IN, self._sign_in, methods=["POST"])
        router.add_api_route(SIGN_OUT, self._sign_out, methods=["POST"])
        return router

    async def _page(self, request: Request) -> Response:
        return _home(request) if request.state.user is not None else sign_in_page()

    async def _sign_in(self, request: Request) -> Response:
        form = await _form(request)
        name, password = form.get("name", "").strip().lower()[:64], form.get("password", "")
        address = request.client.host if request.client else ""
        if not name or not password:
            return sign_in_page("Type your name and your password.", name=name, status=400)
        if (wait_s := self._attempts.begin(name, address)) > 0:
            said = f"There were too many attempts. Try again in {_duration(wait_s)}."
            return sign_in_page(said, name=name, status=429, headers={"Retry-After": str(math.ceil(wait_s))})
        try:
            hashed = await to_thread.run_sync(self._accounts.check, name, password, limiter=self._checking)
        except DataError:
            return sign_in_page(CLOSED, name=name, status=503)
        if hashed is None:
            return sign_in_page(WRONG, name=name, status=401)
        self._attempts.succeeded(name, address)
        self.sessions.end(request.cookies.get(COOKIE, ""))
        return self._with_cookie(_home(request), request, self.sessions.start(name, hashed), int(SESSION_S))

    async def _sign_out(self, request: Request) -> Response:
        self.sessions.end(request.cookies.get(COOKIE, ""))
        return self._with_cookie(RedirectResponse(SIGN_IN, status_code=303), request, "", 0)

    @staticmethod
    def _with_cookie(response: Response, request: Request, token: str, max_age: int) -> Response:
        secure = request.url.scheme == "https"
        response.set_cookie(COOKIE, token, max_age=max_age, httponly=True, samesite="strict", secure=secure)
        return response


def sign_in_page(
    error: str = "", *, name: str = "", status: int = 200, headers: dict[str, str] | None = None
) -> HTMLResponse:
    """The page, with what was wrong and the name that was typed."""
    alert = f'<p id="error" role="alert">{html.escape(error)}</p>' if error else ""
    page = script("login.html").replace("{{error}}", alert).replace("{{name}}", html.escape(name))
    return HTMLResponse(page, status_code=status, headers={"Cache-Control": "no-store", **(headers or {})})


def _home(request: Request) -> Response:
    """The page, at the conversation that the person came for."""
    return RedirectResponse(f"/{_conversation(request.query_params)}", status_code=303)


def _conversation(query: Mapping[str, str]) -> str:
    """Of an address only the conversation is carried on, so that nobody can be sent elsewhere."""
    thread = known_thread(query.get("thread"))
    return f"?thread={thread}" if thread else ""


def _duration(seconds: float) -> str:
    minutes = math.ceil(seconds / 60)
    return f"{math.ceil(seconds)} seconds" if seconds <= 90 else f"{minutes} minutes"


async def _form(request: Request) -> dict[str, str]:
    """What a plain HTML form sent; nothing where it is longer than any that we show."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LONGEST_FORM:
            return {}
    try:
        fields = parse_qs(body.decode(), max_num_fields=8)
    except ValueError:  # no UTF-8, or too many fields
        return {}
    return {key: values[0] for key, values in fields.items()}


class SignedIn:
    """Sets `request.state.user`, and lets nobody through who is not signed in.

    Args:
        app: What is behind.
        gate: Who is signed in; None is an app without accounts.
    """

    def __init__(self, app: ASGIApp, gate: Gate | None) -> None:
        self.app, self.gate = app, gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        user = None
        if self.gate is not None:
            token = cookie_parser(headers.get("cookie", "")).get(COOKIE)
            user = self.gate.sessions.user(token) if token else None
        scope.setdefault("state", {})["user"] = user
        if self.gate is None or user is not None or scope["path"] == SIGN_IN:
            await self.app(scope, receive, send)
            return
        await _refusal(scope, headers)(scope, receive, send)


def _refusal(scope: Scope, headers: Headers) -> Response:
    """A person who opens a page is sent to sign in; a script that asks for data is told."""
    if scope["method"] in ("GET", "HEAD") and "text/html" in headers.get("accept", ""):
        query = _conversation(QueryParams(scope["query_string"])) if scope["path"] == "/" else ""
        return RedirectResponse(SIGN_IN + query, status_code=303)
    return JSONResponse({"error": "Not signed in."}, status_code=401)
