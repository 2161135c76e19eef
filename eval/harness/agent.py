"""The agent under test: a runtime in a home of its own that counts what each question costs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langchain_core.callbacks import AsyncCallbackHandler
from pydantic import HttpUrl, ValidationError

from mm4st_agent.data.personal import PersonalRegistry
from mm4st_agent.data.registry import Registry
from mm4st_agent.demo_city.panel import demo_panel
from mm4st_agent.errors import UsageError
from mm4st_agent.knowledge.index import KnowledgeIndex
from mm4st_agent.knowledge.personal import PersonalKnowledge
from mm4st_agent.knowledge.windows import WindowIndex
from mm4st_agent.runtime import Runtime
from mm4st_agent.settings import ChatModelName, Settings

if TYPE_CHECKING:
    from uuid import UUID

    from langchain_core.messages import BaseMessage
    from langchain_core.outputs import LLMResult

    from mm4st_agent.agent.chat import ChatModel

SHARED = "shared"
"""Folder of the evaluations' home with what every run needs and none changes: the index of texts and of windows."""


@dataclass
class Cost:
    """What questions took.

    Attributes:
        tokens: Of prompts and replies, as the server counts them; None where no call told.
    """

    model_calls: int = 0
    tool_calls: int = 0
    tokens: int | None = None
    seconds: float = 0.0


_COST: ContextVar[Cost | None] = ContextVar("cost", default=None)


class EvalRuntime(Runtime):
    """A runtime that leaves the person's home as it is.

    Imported data sets and trained checkpoints are read from the person's home; threads, pictures, manifests and the
    data sets that suites make go to the run's.

    Args:
        person: The person's settings.
        home: The run's folder for them.
        shared: Folder for the indexes that runs share.
    """

    def __init__(self, person: Settings, home: Path, shared: Path) -> None:
        super().__init__(person.model_copy(update={"home": home}))
        self._person, self._indexes = person, shared

    @cached_property
    def registry(self) -> PersonalRegistry:
        persons = Registry(self.settings.data_dir, self._person.home / "data", {"demo": demo_panel})
        return PersonalRegistry(self.settings.home / "data", persons)

    @cached_property
    def knowledge(self) -> KnowledgeIndex:
        shared = KnowledgeIndex(self._indexes / "knowledge")
        return PersonalKnowledge(self.settings.home / "knowledge", shared, self.registry.is_shared)

    @cached_property
    def windows(self) -> WindowIndex:
        return WindowIndex(self._indexes / "windows")

    @property
    def checkpoints(self) -> Path:
        return self._person.home / "checkpoints"

    @contextmanager
    def counting(self, cost: Cost) -> Iterator[None]:
        """Count the model calls of the questions that are asked inside; several tasks may count at once."""
        token = _COST.set(cost)
        try:
            yield
        finally:
            _COST.reset(token)

    def _chat_model(self, name: ChatModelName) -> ChatModel:
        chat = super()._chat_model(name)
        cost = _COST.get()
        if cost is None:
            return chat
        return replace(chat, model=chat.model.with_config(callbacks=[_Counter(cost)]))


class _Counter(AsyncCallbackHandler):
    """Counts the calls of a chat model, and their tokens where the server tells."""

    def __init__(self, cost: Cost) -> None:
        self._cost = cost

    async def on_chat_model_start(
        self, serialized: dict[str, Any], messages: list[list[BaseMessage]], *, run_id: UUID, **kwargs: Any
    ) -> None:
        self._cost.model_calls += 1

    async def on_llm_end(self, response: LLMResult, *, run_id: UUID, **kwargs: Any) -> None:
        message = getattr(response.generations[0][0], "message", None) if response.generations else None
        usage = getattr(message, "usage_metadata", None)
        if usage:
            self._cost.tokens = (self._cost.tokens or 0) + usage["total_tokens"]


def with_chat_model(settings: Settings, words: str) -> Settings:
    """The settings with the chat model that is meant.

    Args:
        settings: The person's.
        words: `embedded`; `vllm`, the server of the settings; `vllm:NAME`, a model there; or the root of any
            OpenAI-compatible server, `http://127.0.0.1:8000/v1`, with `#NAME` behind it where it serves several.

    Raises:
        UsageError: it is none of these.
    """
    if words == "embedded":
        return settings.model_copy(update={"chat_model": "embedded"})
    served: dict[str, Any] = {"chat_model": "vllm"}
    if words == "vllm":
        return settings.model_copy(update=served)
    if name := re.fullmatch(r"vllm:(\S+)", words):
        return settings.model_copy(update={**served, "vllm_model": name[1]})
    if address := re.fullmatch(r"(?:openai:)?(https?://[^#\s]+)(?:#(\S+))?", words):
        try:
            url = HttpUrl(address[1])
        except ValidationError as err:
            raise UsageError(f"{address[1]!r} is no address of a server.", "Such as http://127.0.0.1:8000/v1.") from err
        return settings.model_copy(update={**served, "vllm_url": url, "vllm_model": address[2]})
    raise UsageError(
        f"There is no chat model {words!r}.",
        "Give embedded, vllm, vllm:NAME, or the root of an OpenAI-compatible server such as "
        "http://127.0.0.1:8000/v1#NAME.",
    )


def check_server(settings: Settings) -> str:
    """The name of the chat model that will answer.

    Raises:
        ServerError: its server does not answer.
        UsageError: something else answers there, or it does not serve the model.
    """
    if settings.chat_model == "embedded":
        return "embedded"
    from mm4st_agent.agent.backends.vllm import served_model

    return served_model(settings).name
