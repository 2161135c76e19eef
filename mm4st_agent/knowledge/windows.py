"""Embeddings of past windows in Chroma, made when they are first asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from mm4st_agent.knowledge.place import Place

if TYPE_CHECKING:
    import chromadb
    from chromadb.api.types import Metadata, Where

BATCH = 1000
LOCK_TIMEOUT_S = 120.0

Vectors = NDArray[np.float32]
Embed = Callable[[Sequence[int]], Vectors]
"""Gives `(W, D)` for W origins."""


@dataclass(frozen=True, slots=True)
class WindowKey:
    """What an embedding depends on besides its time: another value of any of these is another collection.

    Attributes:
        data: sha256 of the data set.
        model: Digest of the network that embeds.
    """

    data: str
    channel: str
    model: str
    node: str

    @property
    def collection(self) -> str:
        """Its name in Chroma."""
        return "windows-" + hashlib.sha256(repr(astuple(self)).encode()).hexdigest()[:40]


class WindowIndex:
    """Stored embeddings. They can be deleted at any time: each can be made again.

    Several threads may share one, and several processes one folder, where writers wait for each other, or one server.
    Chroma filters and keeps the vectors; whoever asks compares them, all of them, so that the answer is exact.

    Args:
        path: A folder for this index alone, made when missing; or a server.
    """

    def __init__(self, path: Place) -> None:
        self.path = path

    def vectors(self, key: WindowKey, origins: Sequence[int], embed: Embed) -> Vectors:
        """The embeddings of these windows; those that are not stored are made and stored.

        Nothing that began after the last of `origins` is read, whatever is stored.

        Args:
            key: Of the network, the data and the node.
            origins: `(W,)` when the windows end and their forecasts begin: seconds since 1970-01-01 UTC, increasing.
            embed: Makes embeddings; called with the origins that are missing, in their order, if any is.

        Returns:
            `(W, D)` in the order of `origins`.

        Raises:
            UsageError: the folder cannot be made or written.
            DataError: what it holds is broken, or another process writes to it for minutes.
            ServerError: the server does not answer.
        """
        from mm4st_agent.knowledge.chroma import open_vectors

        collection = open_vectors(self.path, key.collection)
        known = self._stored(collection, origins[0], origins[-1])
        missing = [origin for origin in origins if origin not in known]
        if missing:
            fresh = embed(missing)
            self._store(collection, missing, fresh)
            known.update(zip(missing, fresh, strict=True))
        return np.stack([known[origin] for origin in origins])

    def _stored(self, collection: chromadb.Collection, first: int, last: int) -> dict[int, Vectors]:
        """What is stored from `first` to `last`; nothing where another process has just written some of it.

        Chroma keeps what it read first and then fails with "Error finding id".
        """
        from chromadb.errors import InternalError

        from mm4st_agent.knowledge.chroma import readable_errors

        span = cast("Where", {"$and": [{"origin": {"$gte": first}}, {"origin": {"$lte": last}}]})
        with readable_errors(self.path):
            try:
                found = collection.get(where=span, include=["embeddings"])
            except InternalError:
                return {}
        return dict(zip(map(int, found["ids"]), np.asarray(found["embeddings"], dtype=np.float32), strict=True))

    def _store(self, collection: chromadb.Collection, origins: Sequence[int], vectors: Vectors) -> None:
        from mm4st_agent.knowledge.chroma import writing

        with writing(self.path, "index of windows", LOCK_TIMEOUT_S):
            for start in range(0, len(origins), BATCH):
                part = origins[start : start + BATCH]
                facts: list[Metadata] = [{"origin": origin} for origin in part]
                collection.upsert([str(origin) for origin in part], vectors[start : start + BATCH], facts)
