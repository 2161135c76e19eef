"""The composition root: settings -> data, tools, chat model, graph. Nothing else chooses implementations."""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from mm4st_agent.data.card import Channel
from mm4st_agent.data.panel import Panel
from mm4st_agent.data.personal import PersonalRegistry
from mm4st_agent.data.registry import Registry
from mm4st_agent.demo_city.panel import demo_panel
from mm4st_agent.errors import UsageError
from mm4st_agent.forecaster.prediction import Forecaster, forecaster_for, shipped_checkpoints
from mm4st_agent.imaging.store import ImageStore
from mm4st_agent.knowledge.index import KnowledgeIndex
from mm4st_agent.knowledge.personal import PersonalKnowledge
from mm4st_agent.knowledge.place import ChromaServer, Place
from mm4st_agent.knowledge.windows import WindowIndex
from mm4st_agent.settings import ChatModelName, Settings, load_settings
from mm4st_agent.toolspec import ToolOut, ToolSpec
from tools import ALL_TOOLS
from tools.context import ToolContext

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from opentelemetry.trace import Tracer

    from mm4st_agent.agent.answer import Answer
    from mm4st_agent.agent.chat import ChatModel, Session
    from mm4st_agent.agent.conversations import Conversations
    from mm4st_agent.agent.run_events import RunEvent
    from mm4st_agent.agent.threads import Threads

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
        self._people: dict[str, Runtime] = {}
        self._adding, self._loading = threading.Lock(), threading.Lock()

    # -- data, pictures, texts, forecasters ---------------------------------------------------

    @cached_property
    def registry(self) -> Registry:
        return Registry(self.settings.data_dir, self.settings.home / "data", {"demo": demo_panel})

    @cached_property
    def images(self) -> ImageStore:
        return ImageStore(self.settings.ready_home() / "images")

    @cached_property
    def knowledge(self) -> KnowledgeIndex:
        return KnowledgeIndex(self._index("knowledge"))

    @cached_property
    def windows(self) -> WindowIndex:
        return WindowIndex(self._index("windows"))

    def _index(self, folder: str) -> Place:
        """Where an index of texts or windows lies."""
        url = self.settings.chroma_url
        return self.settings.ready_home() / folder if url is None else ChromaServer(url, self._owner)

    @cached_property
    def conversations(self) -> Conversations:
        from mm4st_agent.agent.conversations import FILE, Conversations

        return Conversations(self.settings.ready_home() / FILE, self.threads)

    @property
    def threads(self) -> Threads:
        """Where the agent's threads are kept."""
        from mm4st_agent.agent.conversations import THREADS_FILE

        url = self.settings.postgres_url
        if url is None:
            return self.settings.home / THREADS_FILE
        from mm4st_agent.agent.threads import PostgresThreads  # LangGraph takes a second to import

        return PostgresThreads(url, self._owner)

    @property
    def _owner(self) -> str | None:
        """Whose things these are, on servers that everyone shares; None is nobody in particular."""
        return None

    @property
    def checkpoints(self) -> Path:
        """Where trained checkpoints go; one here wins over a shipped one of the same name."""
        return self.settings.ready_home() / "checkpoints"

    @cached_property
    def _forecasters(self) -> dict[tuple[str, str, str], Forecaster]:
        return {}

    def forecaster(self, panel: Panel, channel: Channel) -> Forecaster:
        """The trained forecaster of a channel, or the best baseline where none was trained."""
        key = (panel.name, panel.card.sha256, channel.name)  # a data set of one's own may come again under its name
        with self._loading:
            if key not in self._forecasters:
                self._forecasters[key] = forecaster_for(panel, channel, [self.checkpoints, shipped_checkpoints()])
            return self._forecasters[key]

    # -- tools --------------------------------------------------------------------------------

    @property
    def tools(self) -> dict[str, ToolSpec[Any, Any, Any]]:
        return {spec.name: spec for spec in ALL_TOOLS}

    def tool_context(
        self, as_of: str | None = None, forecaster_for: Callable[[Panel, Channel], Forecaster] | None = None
    ) -> ToolContext:
        found = forecaster_for or self.forecaster
        return ToolContext(self.registry, self.images, self.knowledge, found, as_of, self.windows)

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
        instead_of_last: bool = False,
    ) -> AsyncGenerator[RunEvent]:
        """Answer one question, telling each step; the last event is `Answered`.

        An answer with `choices` asks which of them is meant; the thread's next question is the reply.
        A question that was not refused is kept among the `conversations`, however it ends.

        Args:
            question: In plain English; or the reply, a choice's number or words of the person's own.
            dataset: A registered data set; None takes the settings' one.
            as_of: The clock; without a zone it is local time of the data. None is the data's `now`.
            chat_model: Which chat model answers; there is no fallback to another.
            thread: Goes on with an earlier conversation; None starts a new one.
            instead_of_last: The thread is put back to before its last question, and this one takes its place; a
                thread without questions just goes on.

        Raises:
            UsageError: an empty question, an unknown data set, a clock outside the data, a thread that is in use.
            DataError: the data set's files are missing or broken.
            ServerError: the chat model's server does not answer.
            AgentError: the chat model did not come to an answer.
        """
        from mm4st_agent.agent.answer import compose
        from mm4st_agent.agent.budgets import Budgets
        from mm4st_agent.agent.chat import AgentContext
        from mm4st_agent.agent.manifest import Forecasters, record
        from mm4st_agent.agent.recording import recorded
        from mm4st_agent.agent.run import run_agent
        from mm4st_agent.agent.run_events import Answered, Finished
        from mm4st_agent.agent.tracing import TracedTurn

        started = time.perf_counter()
        question = _checked_question(question)
        whole = await asyncio.to_thread(self.registry.open, dataset or self.settings.dataset)
        panel, session = await asyncio.to_thread(_known, whole, whole.moment(as_of or whole.now))
        clock = panel.end.isoformat(timespec="minutes")
        thread = thread or uuid.uuid4().hex[:12]
        told = question if self.settings.tracing == "questions" else None
        traced = TracedTurn(self._tracer, thread=thread, dataset=panel.name, as_of=clock, question=told)
        recording = recorded(self.conversations, thread, question, panel.name, instead_of_last=instead_of_last)
        async with traced, recording as turn:
            forecasters = Forecasters(self.forecaster)
            chat = await asyncio.to_thread(self._chat_model, chat_model or self.settings.chat_model)
            context = AgentContext(
                chat=traced.watched(chat),
                tools=self.tools,
                tool_context=self.tool_context(clock, forecasters),
                session=session,
                budgets=Budgets.of(self.settings),
            )
            run = run_agent(
                {"question": question, "dataset": panel.name, "as_of": clock},
                context,
                threads=self.threads,
                thread=thread,
                recursion_limit=self.settings.recursion_limit,
                turn=turn.n,
                again=instead_of_last,
            )
            state: Mapping[str, Any] = {}
            async with aclosing(run) as events:  # who stops listening stops the run
                async for event in events:
                    traced.saw(event)
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
                turn=turn.n,
            )
            answer = await asyncio.to_thread(
                record,
                answer,
                state["ledger"],
                forecasters.used,
                data_sha256=panel.card.sha256,
                settings=self.settings,
            )
            answer = await turn.answered(answer)
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
        self.knowledge.search("warm up", panel=panel.until(panel.now), limit=1)
        self._forecast_once(panel, panel.channel())

    def load_forecasters(self) -> Iterator[Channel]:
        """Load all that forecasts on the default data set, so that memory is taken at the start and not by answers.

        Yields:
            Each channel once its forecaster is ready; whoever takes no more leaves the rest to the answers.
        """
        panel = self.registry.open(self.settings.dataset)
        for channel in panel.card.channels:
            self._forecast_once(panel, channel)
            yield channel

    def _forecast_once(self, panel: Panel, channel: Channel) -> None:
        known = panel.until(panel.now)
        self.forecaster(panel, channel).predict(known, known.nodes_of(channel.name)[:1], channel.name, 1)

    @cached_property
    def _tracer(self) -> Tracer | None:
        from mm4st_agent.agent.tracing import open_tracer

        return open_tracer(self.settings.tracing)

    def _chat_model(self, name: ChatModelName) -> ChatModel:
        return self._embedded if name == "embedded" else self._vllm

    @cached_property
    def _embedded(self) -> ChatModel:
        from mm4st_agent.agent.backends.embedded import embedded_chat_model
        from mm4st_agent.agent.chat import ChatModel
        from mm4st_agent.knowledge.embedding import minilm

        def encode(texts: Sequence[str]) -> Any:
            return minilm().encode(texts)

        return ChatModel("embedded", embedded_chat_model(encode), rewrites=False)

    def callable(self) -> list[ToolSpec[Any, Any, Any]]:
        """What a served chat model may call: every tool, and the question back."""
        from mm4st_agent.agent.clarify import CLARIFY_SPEC

        return [*self.tools.values(), CLARIFY_SPEC]

    @cached_property
    def _vllm(self) -> ChatModel:
        from mm4st_agent.agent.backends.vllm import served_chat_model
        from mm4st_agent.agent.fence import fenced

        served = served_chat_model(self.settings, self.callable(), self.images.get)
        return replace(
            served,
            wire=lambda messages: served.wire(fenced(messages)),
            sees=self.settings.vllm_max_images > 0,
            streams=True,
        )

    # -- people -------------------------------------------------------------------------------

    def of_user(self, name: str | None) -> Runtime:
        """The runtime of one signed-in person, the same each time; None, nobody in particular, gives this one.

        Threads, pictures, manifests and imported data of a person lie in a folder of that person, and nobody else's
        runtime opens them. What everyone sees anyway is shared: the other data sets, their forecasters and
        texts, and the embedded chat model. Embeddings of windows are found only by the sha256 of their data.

        Raises:
            UsageError: the name cannot be a person's.
        """
        if name is None:
            return self
        with self._adding:
            if name not in self._people:
                self._people[name] = _PersonalRuntime(name, self)
            return self._people[name]


class _PersonalRuntime(Runtime):
    """One person's; see `Runtime.of_user`."""

    def __init__(self, name: str, shared: Runtime) -> None:
        super().__init__(shared.settings.of_user(name))
        self._name, self._shared = name, shared

    @property
    def _owner(self) -> str:
        return self._name

    @cached_property
    def registry(self) -> PersonalRegistry:
        return PersonalRegistry(self.settings.home / "data", self._shared.registry)

    @cached_property
    def knowledge(self) -> KnowledgeIndex:
        return PersonalKnowledge(self._index("knowledge"), self._shared.knowledge, self.registry.is_shared)

    @property
    def windows(self) -> WindowIndex:
        return self._shared.windows

    def forecaster(self, panel: Panel, channel: Channel) -> Forecaster:
        shared = self.registry.is_shared(panel)
        return self._shared.forecaster(panel, channel) if shared else super().forecaster(panel, channel)

    @property
    def _tracer(self) -> Tracer | None:
        return self._shared._tracer

    @property
    def _embedded(self) -> ChatModel:
        return self._shared._embedded


@lru_cache(maxsize=8)
def _known(whole: Panel, clock: pd.Timestamp) -> tuple[Panel, Session]:
    """What is known at a clock, and what the chat model is told of it; questions of a conversation share both."""
    from mm4st_agent.agent.chat import Session

    panel = whole.until(clock)
    return panel, Session.of(panel)


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
