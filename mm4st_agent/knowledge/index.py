"""`KnowledgeIndex`: the shipped notes and the events of each panel, searched as of a moment."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from mm4st_agent.data.events import Event
from mm4st_agent.data.panel import Panel
from mm4st_agent.knowledge.notes import shipped_notes
from mm4st_agent.knowledge.place import Place
from mm4st_agent.knowledge.store import Document, Hit, Kind, KnowledgeStore


class KnowledgeIndex:
    """Indexes what a search needs when it needs it; what is there already costs nothing.

    The store keeps an event's words, place and date of publication, never its end. What a hit
    says of the event comes from the panel of the search, so a panel that was cut earlier shows
    no later end, whatever was indexed before.

    Args:
        path: A folder for the index alone, or a server. What is there can be deleted at any time.
    """

    def __init__(self, path: Place) -> None:
        self._store = KnowledgeStore(path)
        self._stored: dict[str, str] = {}
        self._indexing = threading.Lock()

    def search(
        self,
        query: str,
        *,
        panel: Panel | None,
        events: Sequence[Event] | None = None,
        kind: Kind | Literal["any"] = "any",
        limit: int = 5,
    ) -> list[Hit]:
        """The best notes and events, best first, one passage of each.

        Args:
            query: A question or a few words, in English.
            panel: Whose events to search, as known at its own clock; None searches the notes alone.
            events: Only these of the panel's events.
            kind: Only events, or only notes.
            limit: At most so many hits.

        Raises:
            UsageError: the index folder cannot be made or written.
            DataError: what it holds is broken.
            ServerError: the server does not answer.
        """
        known = {} if panel is None else {_event_id(panel, event): event for event in panel.events}
        if panel is not None and events is not None:
            asked = {_event_id(panel, event) for event in events}
            known = {doc_id: event for doc_id, event in known.items() if doc_id in asked}
        documents = [] if kind == "event" else list(shipped_notes())
        if panel is not None and kind != "note":
            documents += [_document(panel, doc_id, event) for doc_id, event in known.items()]
        self._ensure(documents)
        hits = self._store.search(
            query,
            dataset=None if panel is None else panel.name,
            as_of=None if panel is None else panel.as_of,
            kind=kind,
            doc_ids=[document.id for document in documents],
            limit=limit,
        )
        return [_with_event(hit, known.get(hit.doc_id)) for hit in hits]

    def _ensure(self, documents: Sequence[Document]) -> None:
        """Store those of the documents that are not stored in this form."""
        with self._indexing:
            wanted = [document for document in documents if document.text.strip()]
            if self._missing(wanted):
                self._stored = self._store.digests()
            if missing := self._missing(wanted):
                self._store.upsert(missing)
                self._stored.update({document.id: document.digest for document in missing})

    def _missing(self, documents: Sequence[Document]) -> list[Document]:
        return [document for document in documents if self._stored.get(document.id) != document.digest]


def _event_id(panel: Panel, event: Event) -> str:
    return f"{panel.name}/{event.id}"


def _document(panel: Panel, doc_id: str, event: Event) -> Document:
    heading = ", ".join(part for part in (event.kind, event.place) if part)
    return Document(doc_id, "event", event.text, event.source, heading, panel.name, event.published_at)


def _with_event(hit: Hit, event: Event | None) -> Hit:
    return hit if event is None else replace(hit, event=event, published_at=event.published_at)
