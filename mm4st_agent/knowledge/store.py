"""A store of searchable passages: Chroma for meaning, BM25 for words, fused by rank."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mm4st_agent.data.events import Event
from mm4st_agent.knowledge.chunking import Chunk, chunk
from mm4st_agent.knowledge.embedding import minilm
from mm4st_agent.knowledge.place import Place
from mm4st_agent.knowledge.ranking import bm25, ranks, reciprocal_rank_fusion

if TYPE_CHECKING:
    import chromadb
    from chromadb.api.types import Metadata, Where

Kind = Literal["event", "note"]

BATCH = 1000
LOCK_TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class Document:
    """A text to search, and what it may be filtered by.

    Attributes:
        heading: Searched with each passage but never quoted: a note's title, an event's kind and place.
        dataset: The data set it belongs to; None fits all.
        published_at: Zone-aware; None is undated and visible at any time.
    """

    id: str
    kind: Kind
    text: str
    source: str
    heading: str = ""
    dataset: str | None = None
    published_at: pd.Timestamp | None = None

    @property
    def digest(self) -> str:
        """Changes when anything does that a search reads."""
        parts = (self.kind, self.text, self.source, self.heading, self.dataset, self.published_at)
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Hit:
    """The best passage of one document that a search found.

    Attributes:
        text: `document[span[0]:span[1]]`, in the source's own words.
        score: Reciprocal rank fusion; compare it only within one search.
        similarity: Cosine of query and passage, in [-1, 1].
        event: What is known of the event at the moment of the search; None for a note.
    """

    doc_id: str
    kind: Kind
    text: str
    span: tuple[int, int]
    source: str
    heading: str
    score: float
    similarity: float
    published_at: pd.Timestamp | None
    event: Event | None = None


class KnowledgeStore:
    """Stored passages. They can be deleted at any time: everything in them comes from elsewhere.

    Several threads may share one, and several processes one folder, where writers wait for each other, or one server.

    Chroma filters and keeps the vectors; the cosines are computed here, all of them. Its HNSW
    index would return 16 of 700 matching passages where logs repeat the same words (identical
    vectors), and which 16 would depend on passages that the filter hides.

    Args:
        path: A folder for this store alone, made when missing; or a server.
    """

    def __init__(self, path: Place) -> None:
        self.path = path
        self._vectors: dict[str, NDArray[np.float32]] = {}

    def upsert(self, documents: Sequence[Document]) -> None:
        """Store documents, replacing those with the same id. A blank text has no passages.

        Raises:
            UsageError: the folder cannot be made or written.
            DataError: what it holds is broken, or another process writes to it for minutes.
            ServerError: the server does not answer.
        """
        from mm4st_agent.knowledge.chroma import writing

        ids: list[str] = []
        texts: list[str] = []
        searched: list[str] = []
        facts: list[Metadata] = []
        for document in documents:
            pieces = chunk(document.text)
            for number, piece in enumerate(pieces):
                ids.append(f"{document.id}#{number}@{document.digest}")
                texts.append(piece.text)
                searched.append(_searched(document.heading, piece.text))
                facts.append(_facts(document, piece, len(pieces)))
        vectors = minilm().encode(searched)
        collection = self._collection
        with writing(self.path, "text index", LOCK_TIMEOUT_S):
            of_these = cast("Where", {"doc_id": {"$in": [document.id for document in documents]}})
            outdated = set(collection.get(where=of_these, include=[])["ids"]) - set(ids)
            for start in range(0, len(ids), BATCH):
                part = slice(start, start + BATCH)
                collection.upsert(ids[part], vectors[part], facts[part], texts[part])
            if outdated:
                collection.delete(ids=sorted(outdated))

    def digests(self) -> dict[str, str]:
        """The digest of every document that is stored completely, by document id.

        Raises:
            UsageError, DataError, ServerError: as for `upsert`.
        """
        parts: dict[str, list[Mapping[str, Any]]] = {}
        for facts in self._get(None).values():
            parts.setdefault(facts["doc_id"], []).append(facts)
        return {doc_id: p[0]["digest"] for doc_id, p in parts.items() if len(p) == p[0]["parts"]}

    def search(
        self,
        query: str,
        *,
        dataset: str | None = None,
        as_of: pd.Timestamp | None = None,
        kind: Kind | Literal["any"] = "any",
        doc_ids: Collection[str] | None = None,
        limit: int = 5,
    ) -> list[Hit]:
        """The best passage of each of the `limit` best documents, best first.

        Nothing outside the filters has any influence, not even on BM25's word statistics. Among
        equals the later one comes first.

        Args:
            query: A question or a few words, in English.
            dataset: Documents of this data set and those that fit all; None searches only the latter.
            as_of: Zone-aware. Documents published later are hidden; undated ones never are.
            kind: Hide the other kind.
            doc_ids: Hide all other documents.
            limit: At most so many hits.

        Raises:
            UsageError, DataError, ServerError: as for `upsert`.
        """
        where = _where(dataset, as_of, kind, doc_ids)
        found = self._get(where)
        if not found or limit < 1:
            return []
        lexical = bm25(query, [_searched(facts["heading"], facts["text"]) for facts in found.values()])
        words = {key: score for key, score in zip(found, lexical.tolist(), strict=True) if score > 0}
        meaning = dict(zip(found, self._cosines(query, found).tolist(), strict=True))
        fused = reciprocal_rank_fusion(ranks(meaning), ranks(words))
        order = sorted(fused, key=lambda key: (-fused[key], -found[key].get("published_at", math.inf), key))
        best: dict[str, Hit] = {}
        for key in order:
            facts = found[key]
            if facts["doc_id"] not in best:
                best[facts["doc_id"]] = _hit(facts, fused[key], meaning[key])
        return list(best.values())[:limit]

    def _get(self, where: Where | None) -> dict[str, dict[str, Any]]:
        """Metadata and text of the passages that pass the filter, by passage id."""
        from mm4st_agent.knowledge.chroma import readable_errors

        with readable_errors(self.path):
            found = self._collection.get(where=where, include=["documents", "metadatas"])
        rows = zip(found["ids"], found["metadatas"] or [], found["documents"] or [], strict=True)
        return {key: {**facts, "text": text} for key, facts, text in rows}

    def _cosines(self, query: str, found: Mapping[str, Mapping[str, Any]]) -> NDArray[np.float32]:
        """Similarity of the query to each passage, in their order."""
        new = [key for key in found if key not in self._vectors]
        self._vectors.update(self._stored_vectors(new))
        lost = [key for key in new if key not in self._vectors]
        texts = [_searched(found[key]["heading"], found[key]["text"]) for key in lost]
        self._vectors.update(zip(lost, minilm().encode(texts), strict=True))
        rows = np.stack([self._vectors[key] for key in found])
        return np.asarray(rows @ minilm().encode([query])[0], dtype=np.float32)

    def _stored_vectors(self, keys: list[str]) -> dict[str, NDArray[np.float32]]:
        """Read vectors from Chroma; none where another process wrote some of them after this one read others.

        Chroma keeps what it read first and then fails with "Error finding id".
        """
        from chromadb.errors import InternalError

        if not keys:
            return {}
        try:
            stored = self._collection.get(ids=keys, include=["embeddings"])
        except InternalError:
            return {}
        return dict(zip(stored["ids"], np.asarray(stored["embeddings"], dtype=np.float32), strict=True))

    @cached_property
    def _collection(self) -> chromadb.Collection:
        from mm4st_agent.knowledge.chroma import open_collection

        return open_collection(self.path)


def _searched(heading: str, text: str) -> str:
    return f"{heading}\n{text}" if heading else text


def _facts(document: Document, piece: Chunk, parts: int) -> Metadata:
    """What is stored beside a passage. Chroma has no None: what is absent is left out."""
    facts: dict[str, str | int | float | bool] = {
        "doc_id": document.id,
        "kind": document.kind,
        "dataset": document.dataset or "",
        "source": document.source,
        "heading": document.heading,
        "start": piece.start,
        "end": piece.end,
        "parts": parts,
        "digest": document.digest,
        "dated": document.published_at is not None,
    }
    if document.published_at is not None:
        facts["published_at"] = document.published_at.timestamp()
    return facts


def _where(
    dataset: str | None,
    as_of: pd.Timestamp | None,
    kind: str,
    doc_ids: Collection[str] | None,
) -> Where:
    clauses: list[dict[str, Any]] = [{"dataset": {"$in": ["", dataset or ""]}}]
    if as_of is not None:
        clauses.append({"$or": [{"dated": False}, {"published_at": {"$lte": as_of.timestamp()}}]})
    if kind != "any":
        clauses.append({"kind": kind})
    if doc_ids is not None:
        clauses.append({"doc_id": {"$in": [*doc_ids, ""]}})
    return cast("Where", {"$and": clauses} if len(clauses) > 1 else clauses[0])


def _hit(facts: Mapping[str, Any], score: float, similarity: float) -> Hit:
    seconds = facts.get("published_at")
    return Hit(
        doc_id=facts["doc_id"],
        kind=facts["kind"],
        text=facts["text"],
        span=(facts["start"], facts["end"]),
        source=facts["source"],
        heading=facts["heading"],
        score=score,
        similarity=similarity,
        published_at=None if seconds is None else pd.Timestamp(round(seconds * 1e6), unit="us", tz="UTC"),
    )
