"""`PersonalKnowledge`: texts that everyone shares in one index, a person's own in another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from mm4st_agent.data.events import Event
from mm4st_agent.data.panel import Panel
from mm4st_agent.knowledge.index import KnowledgeIndex
from mm4st_agent.knowledge.place import Place
from mm4st_agent.knowledge.store import Hit, Kind


class PersonalKnowledge(KnowledgeIndex):
    """Keeps the events of a person's own data sets in a folder of that person.

    An index names an event by its data set, and two people may both call one "mine"; so only what
    everyone sees anyway goes to the shared one.

    Args:
        path: A folder for this person's index alone, made when there is something for it; or a server.
        shared: The index of what everyone sees.
        is_shared: Whether everyone sees this panel.
    """

    def __init__(self, path: Place, shared: KnowledgeIndex, is_shared: Callable[[Panel], bool]) -> None:
        super().__init__(path)
        self._shared, self._is_shared = shared, is_shared

    def search(
        self,
        query: str,
        *,
        panel: Panel | None,
        events: Sequence[Event] | None = None,
        kind: Kind | Literal["any"] = "any",
        limit: int = 5,
    ) -> list[Hit]:
        shared = panel is None or self._is_shared(panel)
        search = self._shared.search if shared else super().search
        return search(query, panel=panel, events=events, kind=kind, limit=limit)
