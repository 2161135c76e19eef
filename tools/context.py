"""What a tool may touch: panels as of a moment, pictures, texts, forecasters. Nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

from mm4st_agent.data.card import Channel
from mm4st_agent.data.panel import Panel
from mm4st_agent.data.registry import Registry
from mm4st_agent.forecaster.prediction import Forecaster
from mm4st_agent.imaging.store import ImageStore
from mm4st_agent.knowledge.index import KnowledgeIndex


@dataclass(frozen=True)
class ToolContext:
    """Given to every tool call; made by the runtime, never by a chat model.

    Attributes:
        as_of: The clock. Text without a zone is local time of the data; None is the data's end.
    """

    registry: Registry
    images: ImageStore
    knowledge: KnowledgeIndex
    forecaster_for: Callable[[Panel, Channel], Forecaster]
    as_of: str | None = None

    def panel(self, dataset: str) -> Panel:
        """The data set as it was known at `as_of`.

        Raises:
            UsageError: no such data set, or `as_of` is outside it.
            DataError: its files are missing or broken.
        """
        return self.registry.open(dataset).until(self.as_of)

    def at(self, as_of: str | None) -> Self:
        """The same context with another clock."""
        return replace(self, as_of=as_of)
