"""What the graph needs of a chat model, and what the model is told about the data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage, AnyMessage, SystemMessage
from langchain_core.runnables import Runnable
from pydantic import BaseModel, ConfigDict

import prompts
from mm4st_agent.data.panel import Panel
from mm4st_agent.toolspec import ToolSpec


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
    as_of: str
    """ISO 8601 with the offset of the data's zone."""
    time_zone: str
    step_s: int

    @classmethod
    def of(cls, panel: Panel) -> Session:
        """Describe a panel that was cut at the clock."""
        examples = panel.nodes.iloc[:3]
        named = {str(node): str(row.get("name", node)) for node, row in examples.iterrows()}
        return cls(
            dataset=panel.name,
            title=panel.card.title,
            domain=panel.card.domain,
            synthetic=panel.card.synthetic,
            place_word=panel.card.place_word,
            places=[node if name == node else f"{node} ({name})" for node, name in named.items()],
            place_ids=list(named),
            channels=[{"name": c.name, "title": c.label, "unit": c.unit} for c in panel.card.channels],
            as_of=panel.end.isoformat(timespec="minutes"),
            time_zone=panel.card.time_zone,
            step_s=panel.step_s,
        )

    def message(self) -> SystemMessage:
        """The system message: prose for language models, the same facts as fields for the embedded one."""
        return SystemMessage(
            prompts.load("system").render(session=self), additional_kwargs={"session": self.model_dump()}
        )


@dataclass(frozen=True)
class ChatModel:
    """A chat model with the tools bound to it.

    Attributes:
        name: Shown with every answer.
        model: Takes the wired messages; replies with text or tool calls.
        wire: Turns the thread's messages into what goes to the model (pictures by id become
            pixels here, and only here).
    """

    name: str
    model: Runnable[LanguageModelInput, AIMessage]
    wire: Callable[[Sequence[AnyMessage]], list[AnyMessage]] = list


@dataclass(frozen=True)
class AgentContext:
    """What the nodes work with; given to each run, never stored in a thread."""

    chat: ChatModel
    tools: dict[str, ToolSpec[Any, Any, Any]]
    tool_context: Any
    session: Session
