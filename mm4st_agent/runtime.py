"""The composition root: settings -> data, tools, chat model, graph. Nothing else chooses implementations."""

from __future__ import annotations

import asyncio
import hashlib
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from mm4st_agent.data.card import Channel
from mm4st_agent.data.panel import Panel
from mm4st_agent.data.registry import Registry
from mm4st_agent.demo_city.panel import demo_panel
from mm4st_agent.errors import UsageError
from mm4st_agent.forecaster.prediction import Forecaster, forecaster_for, shipped_checkpoints
from mm4st_agent.imaging.store import ImageStore
from mm4st_agent.knowledge.index import KnowledgeIndex
from mm4st_agent.knowledge.windows import WindowIndex
from mm4st_agent.settings import ChatModelName, Settings, load_settings
from mm4st_agent.toolspec import ToolOut, ToolSpec
from tools import ALL_TOOLS
from tools.context import ToolContext

if TYPE_CHECKING:
    from pathlib import Path

    from mm4st_agent.agent.answer import Answer
    from mm4st_agent.agent.chat import ChatModel
    from mm4st_agent.agent.run_events import RunEvent

LONGEST_QUESTION = 4000
"""Characters; a longer question is refused rather than cut."""


class Runtime:
    """Everything that answering needs, made on first use.

    >>> runtime = Runtime()
    >>> runtime.tool("find_places", {"dataset": "demo", "query": "S001"}).matches[0].id
    'S001'
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or load_settings()

    # -- data, pictures, texts, forecasters ---------------------------------------------------

    @cached_property
    def registry(self) -> Registry:
        return Registry(self.settings.data_dir, self.settings.home / "data", {"demo": demo_panel})

    @cached_property
    def images(self) -> ImageStore:
        return ImageStore(self.settings.ready_home() / "images")

    @cached_property
    def knowledge(self) -> KnowledgeIndex:
        return KnowledgeIndex(self.settings.ready_home() / "knowledge")

    @cached_property
    def windows(self) -> WindowIndex:
        return WindowIndex(self.settings.ready_home() / "windows")

    @property
    def checkpoints(self) -> Path:
        """Where trained checkpoints go; one here wins over a shipped one of the same name."""
        return self.settings.ready_home() / "checkpoints"

    @cached_property
    def _forecasters(self) -> dict[tuple[str, str], Forecaster]:
        return {}

    def forecaster(self, panel: Panel, channel: Channel) -> Forecaster:
        """The trained forecaster of a channel, or the best baseline where none was trained."""
        key = (panel.name, channel.name)
        if key not in self._forecasters:
            self._forecasters[key] = forecaster_for(panel, channel, [self.checkpoints, shipped_checkpoints()])
        return self._forecasters[key]

    # -- tools --------------------------------------------------------------------------------

    @property
    def tools(self) -> dict[str, ToolSpec[Any, Any, Any]]:
        return {spec.name: spec for spec in ALL_TOOLS}

    def tool_context(self, as_of: str | None = None) -> ToolContext:
        return ToolContext(self.registry, self.images, self.knowledge, self.forecaster, as_of, self.windows)

    def tool(self, name: str, args: dict[str, Any], as_of: str | None = None) -> ToolOut:
        """Call one tool.

        Raises:
            UsageError: there is no such tool.
            ToolError: bad arguments, or a known failure inside the tool.
        """
        if name not in self.tools:
            raise UsageError(f"There is no tool {name!r}.", f"Known: {', '.join(self.tools)}.")
        reply: ToolOut = self.tools[name].run(args, self.tool_context(as_of))
        return reply

    # -- questions ----------------------------------------------------------------------------

    async def stream(
        self,
        question: str,
        *,
        dataset: str | None = None,
        as_of: str | None = None,
        chat_model: ChatModelName | None = None,
        thread: str | None = None,
    ) -> AsyncGenerator[RunEvent]:
        """Answer one question, telling each step; the last event is `Answered`.

        Args:
            question: In plain English.
            dataset: A registered data set; None takes the settings' one.
            as_of: The clock; without a zone it is local time of the data. None is the data's `now`.
            chat_model: Which chat model answers; there is no fallback to another.
            thread: Goes on with an earlier conversation; None starts a new one.

        Raises:
            UsageError: an empty question, an unknown data set, a clock outside the data.
            DataError: the data set's files are missing or broken.
            ServerError: the chat model's server does not answer.
            AgentError: the chat model did not come to an answer.
        """
        from mm4st_agent.agent.answer import compose
        from mm4st_agent.agent.chat import AgentContext, Session
        from mm4st_agent.agent.run import run_agent
        from mm4st_agent.agent.run_events import Answered, Finished

        started = time.perf_counter()
        question, home = _checked_question(question), self.settings.ready_home()
        whole = await asyncio.to_thread(self.registry.open, dataset or self.settings.dataset)
        panel = whole.until(as_of or whole.now)
        clock = panel.end.isoformat(timespec="minutes")
        thread = thread or uuid.uuid4().hex[:12]
        context = AgentContext(
            chat=await asyncio.to_thread(self._chat_model, chat_model or self.settings.chat_model),
            tools=self.tools,
            tool_context=self.tool_context(clock),
            session=Session.of(panel),
        )
        state: Mapping[str, Any] = {}
        run = run_agent(
            {"question": question, "dataset": panel.name, "as_of": clock},
            context,
            threads=home / "threads.sqlite",
            thread=thread,
            recursion_limit=self.settings.recursion_limit,
        )
        async with _alone(home / "threads", thread), aclosing(run) as events:  # whoever stops listening stops the run
            async for event in events:
                if isinstance(event, Finished):
                    state = event.state
                else:
                    yield event
        answer = compose(
            state,
            synthetic=panel.card.title if panel.card.synthetic else None,
            chat_model=context.chat.name,
            thread=thread,
            seconds=time.perf_counter() - started,
            image_path=self.images.path,
        )
        yield Answered(answer)

    async def ask(self, question: str, *, on_event: Callable[[RunEvent], None] | None = None, **options: Any) -> Answer:
        """Answer one question; takes what `stream` takes."""
        from mm4st_agent.agent.run_events import Answered

        async for event in self.stream(question, **options):
            if on_event is not None:
                on_event(event)
            if isinstance(event, Answered):
                return event.answer
        raise AssertionError("a stream ends with an answer or an error")

    def warm_up(self) -> None:
        """Load what a first answer on the default data set needs; a later answer then takes its own time only."""
        import mm4st_agent.agent.run  # noqa: F401 - LangGraph takes a second to import

        panel = self.registry.open(self.settings.dataset)
        known = panel.until(panel.now)
        self.knowledge.search("warm up", panel=known, limit=1)
        self.forecaster(panel, panel.channel()).predict(known, known.nodes_of()[:1], None, 1)

    def _chat_model(self, name: ChatModelName) -> ChatModel:
        return self._embedded if name == "embedded" else self._vllm

    @cached_property
    def _embedded(self) -> ChatModel:
        from mm4st_agent.agent.backends.embedded import embedded_chat_model
        from mm4st_agent.agent.chat import ChatModel
        from mm4st_agent.knowledge.embedding import minilm

        def encode(texts: Sequence[str]) -> Any:
            return minilm().encode(texts)

        return ChatModel("embedded", embedded_chat_model(encode))

    @cached_property
    def _vllm(self) -> ChatModel:
        from mm4st_agent.agent.backends.vllm import served_chat_model

        return served_chat_model(self.settings, list(self.tools.values()), self.images.get)


@asynccontextmanager
async def _alone(folder: Path, thread: str) -> AsyncGenerator[None]:
    """Hold a thread against other answers, also of other processes: its ledger has one author at a time."""
    folder.mkdir(exist_ok=True)
    lock = FileLock(folder / f"{hashlib.sha256(thread.encode()).hexdigest()[:16]}.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as err:
        raise UsageError(
            f"An answer in the conversation {thread!r} is still under way.", "Wait for it, or start a new one."
        ) from err
    try:
        yield
    finally:
        lock.release()


def _checked_question(question: str) -> str:
    text = question.strip()
    if not text:
        raise UsageError(
            "The question is empty.", "Ask, for example: How much traffic will station S039 carry next hour?"
        )
    if len(text) > LONGEST_QUESTION:
        raise UsageError(
            f"The question has {len(text)} characters; at most {LONGEST_QUESTION} are read.", "Ask it in fewer words."
        )
    return text
