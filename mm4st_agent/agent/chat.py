"""What the graph needs of a chat model, and what the model is told about the data."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage, AnyMessage, SystemMessage
from langchain_core.runnables import Runnable
from pydantic import BaseModel, ConfigDict, Field

import prompts
from mm4st_agent.agent.budgets import Budgets
from mm4st_agent.data.panel import Panel
from mm4st_agent.forecaster.measured import measuring
from mm4st_agent.toolspec import ToolSpec

_EXAMPLES = 3
"""So many places are named to a chat model."""


MOST_NAMED = 1000
"""Of data sets with more places no names are listed."""


class Places(BaseModel):
    """Where a channel is measured.

    Attributes:
        kinds: Of node; empty: at every node.
        count: How many nodes.
        places: A few of them, `id (name)`.
        place_ids: Their ids.
    """

    model_config = ConfigDict(frozen=True)

    kinds: list[str]
    count: int
    places: list[str]
    place_ids: list[str]


class Session(BaseModel):
    """The facts that a chat model gets before a question; all come from the data card and the clock."""

    model_config = ConfigDict(frozen=True)

    dataset: str
    title: str
    domain: str
    synthetic: bool
    place_word: str
    places: list[str]
    """A few examples, `id (name)`."""
    place_ids: list[str]
    """Their ids."""
    channels: list[dict[str, str]]
    """`{name, title, unit}`, the main one first."""
    measured: dict[str, Places] = {}
    """By channel; one that is not here is measured everywhere."""
    covariates: list[str] = []
    """Names of what stands beside the readings, such as weather."""
    names: tuple[str, ...] = Field((), exclude=True)
    """Of all places that have one, once each; they tell a name that is written small from other words."""
    as_of: str
    """ISO 8601 with the offset of the data's zone."""
    time_zone: str
    step_s: int

    @classmethod
    def of(cls, panel: Panel) -> Session:
        """Describe a panel that was cut at the clock."""
        nodes = {c.name: measuring(panel, c).node_ids for c in panel.card.channels}
        main = nodes[panel.card.channels[0].name]
        # One of each kind where there are several, so that each can be asked for.
        every = list(dict.fromkeys(node for ids in nodes.values() for node in ids))
        named = [panel.place_name(node) for node in every] if len(every) <= MOST_NAMED else []
        others = list(dict.fromkeys(ids[0] for ids in nodes.values() if ids[0] not in main))
        examples = [*main[: 2 if others else _EXAMPLES], *others]
        return cls(
            dataset=panel.name,
            title=panel.card.title,
            domain=panel.card.domain,
            synthetic=panel.card.synthetic,
            place_word=panel.card.place_word,
            places=_described(panel, examples),
            place_ids=examples,
            channels=[{"name": c.name, "title": c.label, "unit": c.unit} for c in panel.card.channels],
            measured={
                c.name: Places(
                    kinds=list(c.kinds),
                    count=len(nodes[c.name]),
                    places=_described(panel, nodes[c.name][:_EXAMPLES]),
                    place_ids=nodes[c.name][:_EXAMPLES],
                )
                for c in panel.card.channels
                if c.kinds
            },
            covariates=[str(name) for name in panel.covariates.data_vars],
            names=tuple(dict.fromkeys(name for node, name in zip(every, named, strict=False) if name != node)),
            as_of=panel.end.isoformat(timespec="minutes"),
            time_zone=panel.card.time_zone,
            step_s=panel.step_s,
        )

    @property
    def kinds(self) -> list[str]:
        """The kinds of node by which channels are told apart."""
        return list(dict.fromkeys(kind for places in self.measured.values() for kind in places.kinds))

    def word(self, kind: str) -> str:
        """What a node of this kind is called."""
        return kind if kind in self.kinds else self.place_word

    def measures(self, channel: str | None, kind: str) -> bool:
        """Whether nodes of this kind measure the channel; None is whatever they measure."""
        places = None if channel is None else self.measured.get(channel)
        return places is None or kind in places.kinds

    def message(self) -> SystemMessage:
        """The system message: prose for language models, the same facts as fields for the embedded one."""
        return SystemMessage(
            prompts.load("system").render(session=self),
            additional_kwargs={"session": {**self.model_dump(), "names": list(self.names)}},
        )


def _described(panel: Panel, nodes: Sequence[str]) -> list[str]:
    names = {node: panel.place_name(node) for node in nodes}
    return [node if name == node else f"{node} ({name})" for node, name in names.items()]


@dataclass(frozen=True)
class ChatModel:
    """A chat model with the tools bound to it.

    Attributes:
        name: Shown with every answer.
        model: Takes the wired messages; replies with text or tool calls.
        wire: Turns the thread's messages into what goes to the model (pictures by id become
            pixels here, and only here).
        rewrites: Whether it can mend a text when it is told what is wrong with it; templates cannot.
        sees: Whether the pictures reach it, so that it may misread them.
        streams: Whether it writes word by word, so that a draft can be shown.
    """

    name: str
    model: Runnable[LanguageModelInput, AIMessage]
    wire: Callable[[Sequence[AnyMessage]], list[AnyMessage]] = list
    rewrites: bool = True
    sees: bool = False
    streams: bool = False


@dataclass(frozen=True)
class AgentContext:
    """What the nodes work with; given to each run, never stored in a thread."""

    chat: ChatModel
    tools: dict[str, ToolSpec[Any, Any, Any]]
    tool_context: Any
    session: Session
    budgets: Budgets = field(default_factory=Budgets)
    started: float = field(default_factory=time.monotonic)

    @property
    def elapsed_s(self) -> float:
        """Since the question came."""
        return time.monotonic() - self.started
