"""A person's page without a browser: what Gradio's script sends to the app, and what the page then shows."""

from __future__ import annotations

import asyncio
import html
import json
import re
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self

import httpx2

from mm4st_agent.errors import ServerError
from mm4st_agent.web.answers import THINKING

ANSWER_WITHIN_S = 120.0
"""An answer that takes longer counts as failed."""

Message = dict[str, Any]
"""`{role, content: [{type, text}], metadata: {title, status, ...} | None}`, as the page gets it."""


class AskFailedError(ServerError):
    """A question got no answer."""


@dataclass(frozen=True)
class Reply:
    """What a person saw after one question, and when.

    Attributes:
        chat: The whole conversation.
        thread: Its id, as the page keeps it.
        sign_s: Seconds from sending to the first thing below the question, such as that the chat model thinks.
        step_s: Seconds to the first step that says what is done, or to the answer where it has no step.
        answer_s: Seconds to the last change of the chat.
    """

    chat: tuple[Message, ...]
    thread: str
    sign_s: float
    step_s: float
    answer_s: float

    @property
    def questions(self) -> list[str]:
        """What the page says that this person asked, in turn, without its markup."""
        asked = [text_of(message) for message in self.chat if message["role"] == "user"]
        return [html.unescape(re.sub(r"<[^>]*>", "", text)).strip() for text in asked]

    @property
    def answer(self) -> str:
        """The text of the last message, as HTML and Markdown."""
        return text_of(self.chat[-1])


class PageSession:
    """One page of `mm4st app`: keeps the present value of each component, as the browser does.

    Scripts of the page are not run, so a function gets the values as they are.
    """

    def __init__(self, url: str) -> None:
        self._http = httpx2.AsyncClient(base_url=url, timeout=ANSWER_WITHIN_S)
        self._name = secrets.token_hex(6)
        self._values: dict[int, Any] = {}
        self._types: dict[int, str] = {}
        self._functions: list[dict[str, Any]] = []
        self._alive: asyncio.Task[None] | None = None
        self._chat = self._box = self._thread = -1

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str) -> AsyncIterator[Self]:
        """Open the page and let it load; leaving it closes the page.

        Raises:
            AskFailedError: the page lacks the question box, the chat or the id of the conversation, or does not load.
        """
        session = cls(url)
        try:
            async with _in_time("the page"):
                await session._load()
            yield session
        finally:
            if session._alive is not None:
                session._alive.cancel()
                await asyncio.wait([session._alive])
            await session._http.aclose()

    async def ask(self, question: str) -> Reply:
        """Put a question into the box, send it, and watch the chat until nothing more comes.

        Raises:
            AskFailedError: the server refused, failed, or took too long.
        """
        self._values[self._box] = question
        asked = _turns(self._values[self._chat])
        started = time.perf_counter()
        sign_s = step_s = answer_s = None
        async with _in_time(f"the answer to {question!r}"):
            async for changed in self._cascade((self._box, "submit")):
                if self._chat not in changed:
                    continue
                chat, now = self._values[self._chat] or [], time.perf_counter() - started
                below = _below_last_question(chat) if _turns(chat) > asked else []
                if below:
                    sign_s, answer_s = sign_s or now, now
                    if any(_title(message) != _title(THINKING) for message in below):
                        step_s = step_s or now
        if sign_s is None or step_s is None or answer_s is None:
            raise AskFailedError(f"Nothing came below the question {question!r}.", "See the log of the app.")
        return Reply(tuple(self._values[self._chat]), self._values[self._thread], sign_s, step_s, answer_s)

    async def _load(self) -> None:
        config = (await self._http.get("config")).raise_for_status().json()
        self._functions = config["dependencies"]
        named = {}
        for component in config["components"]:
            number, kind, props = component["id"], component["type"], component["props"]
            empty = "" if kind == "textbox" else None  # what the browser makes of a box without text
            self._values[number] = empty if props.get("value") is None else props["value"]
            self._types[number] = kind
            named[props.get("elem_id")] = number
        if missing := {"question", "chat", "thread"} - set(named):
            lacking = ", ".join(sorted(missing))
            raise AskFailedError(f"The page has no part called {lacking}.", "Is this the address of mm4st app?")
        self._box, self._chat, self._thread = named["question"], named["chat"], named["thread"]
        self._alive = asyncio.create_task(self._stay())
        loaded = {target for function in self._functions for target, event in function["targets"] if event == "load"}
        for page in loaded:
            async for _ in self._cascade((page, "load")):
                pass

    async def _stay(self) -> None:
        """The page's sign of life; when it ends, the server runs what belongs to leaving the page."""
        async with self._http.stream("GET", f"gradio_api/heartbeat/{self._name}", timeout=None) as beats:
            async for _ in beats.aiter_bytes():
                pass

    async def _cascade(self, trigger: tuple[int, str]) -> AsyncGenerator[set[int]]:
        """Run what a trigger starts and what follows from that; gives the components changed by each message."""
        waiting = [function for function in self._functions if list(trigger) in function["targets"]]
        done: set[int] = set()
        while waiting:
            function = waiting.pop(0)
            if function["id"] in done:
                continue
            done.add(function["id"])
            changed: set[int] = set()
            if function["backend_fn"]:
                async for part in self._run(function, trigger[0]):
                    changed |= part
                    yield part
            waiting += [
                later
                for later in self._functions
                if later.get("trigger_after") == function["id"]
                or any([component, "change"] in later["targets"] for component in changed)
            ]

    async def _run(self, function: dict[str, Any], trigger: int) -> AsyncGenerator[set[int]]:
        """Run one function of the page, giving the components that each message of its stream changed."""
        # The server keeps the values of `gr.State` itself.
        sent = [None if self._types[number] == "state" else self._values[number] for number in function["inputs"]]
        outputs: list[Any] = []
        call = {"data": sent, "fn_index": function["id"], "session_hash": self._name, "trigger_id": trigger}
        joined = await self._http.post("gradio_api/queue/join", json={**call, "event_data": None})
        if joined.is_error:
            raise AskFailedError(f"The app refused with status {joined.status_code}: {joined.text[:200]}.", "")
        async for message in self._messages():
            if message["msg"] not in ("process_generating", "process_completed"):
                continue
            if not message["success"]:
                said = message["output"].get("error") or "it did not say why"
                raise AskFailedError(f"The app failed: {said}.", "See the log of the app.")
            before, data = outputs, message["output"].get("data", [])
            first_or_last = not outputs or message["msg"] == "process_completed"
            outputs = (
                data if first_or_last else [_changed(old, edits) for old, edits in zip(outputs, data, strict=True)]
            )
            yield self._show(function["outputs"], before, outputs)

    async def _messages(self) -> AsyncGenerator[dict[str, Any]]:
        asked = {"session_hash": self._name}
        async with self._http.stream("GET", "gradio_api/queue/data", params=asked) as stream:
            async for line in stream.aiter_lines():
                if line.startswith("data:"):
                    message = json.loads(line.removeprefix("data:"))
                    if message["msg"] == "close_stream":
                        return
                    if message["msg"] == "unexpected_error":
                        raise AskFailedError(f"The app failed: {message.get('message')}.", "See the log of the app.")
                    yield message

    def _show(self, components: list[int], before: list[Any], after: list[Any]) -> set[int]:
        """Take over the outputs that differ from those of the message before."""
        changed = set()
        for n, (component, output) in enumerate(zip(components, after, strict=False)):
            if n < len(before) and before[n] == output:
                continue
            is_update = isinstance(output, dict) and output.get("__type__") == "update"
            if is_update and "value" not in output:
                continue
            value = output["value"] if is_update else output
            if self._types[component] != "state" and self._values[component] != value:
                self._values[component] = value
                changed.add(component)
        return changed


def text_of(message: Message) -> str:
    """All text of a message."""
    content = message["content"]
    if isinstance(content, str):
        return content
    return "\n".join(part.get("text") or "" for part in content)


def _changed(output: Any, edits: list[Any]) -> Any:
    from gradio_client.utils import apply_diff  # type: ignore[import-untyped]

    return apply_diff(output, edits) if edits else output


def _turns(chat: list[Message] | None) -> int:
    return sum(message["role"] == "user" for message in chat or [])


def _below_last_question(chat: list[Message]) -> list[Message]:
    last = max(n for n, message in enumerate(chat) if message["role"] == "user")
    return chat[last + 1 :]


def _title(message: Message) -> str | None:
    title: str | None = (message.get("metadata") or {}).get("title")
    return title


@asynccontextmanager
async def _in_time(what: str) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            yield
    except TimeoutError as err:
        raise AskFailedError(
            f"Within {ANSWER_WITHIN_S:.0f} s there was not {what}.", "See the log of the app."
        ) from err
    except httpx2.HTTPError as err:
        raise AskFailedError(f"The app broke off {what}: {err}.", "See the log of the app.") from err
