"""The one place that opens Chroma: its client, its embedding function, its errors.

Importing this module imports Chroma and registers the embedding function, which must
happen before a stored collection is opened: Chroma would otherwise fall back to a model
that it downloads.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import chromadb
from chromadb.api.types import Documents, EmbeddingFunction, Embeddings, Space
from chromadb.config import Settings
from chromadb.errors import ChromaError
from chromadb.utils.embedding_functions import register_embedding_function

from mm4st_agent.errors import DataError
from mm4st_agent.knowledge.embedding import minilm
from mm4st_agent.settings import unusable

COLLECTION = "passages"
_CLIENTS: dict[Path, chromadb.api.ClientAPI] = {}
_OPENING = threading.Lock()


@register_embedding_function
class MiniLMEmbedding(EmbeddingFunction[Documents]):
    """`MiniLM` as Chroma wants it."""

    def __init__(self) -> None:
        pass

    def __call__(self, input: Documents) -> Embeddings:
        return list(minilm().encode(input))

    @staticmethod
    def name() -> str:
        return "mm4st_minilm"

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> MiniLMEmbedding:
        return MiniLMEmbedding()

    def get_config(self) -> dict[str, Any]:
        return {}

    def default_space(self) -> Space:
        return "cosine"


def open_collection(path: Path) -> chromadb.Collection:
    """Open the collection of the index at `path`, which is made if it is not there.

    Raises:
        UsageError: the folder cannot be made or written.
        DataError: what it holds is not a Chroma database.
    """
    return _opened(path, COLLECTION, MiniLMEmbedding())


def open_vectors(path: Path, name: str) -> chromadb.Collection:
    """Open a collection of vectors that come with what is stored; see `open_collection`.

    Its space is Euclidean: for the cosine, Chroma would keep vectors of length 1 and give them back rounded.
    """
    return _opened(path, name, None)


def _opened(path: Path, name: str, embedding: MiniLMEmbedding | None) -> chromadb.Collection:
    path = path.expanduser().resolve()
    with _OPENING, readable_errors(path):
        path.mkdir(parents=True, exist_ok=True)
        if path not in _CLIENTS:
            _CLIENTS[path] = chromadb.PersistentClient(path, settings=Settings(anonymized_telemetry=False))
        return _CLIENTS[path].get_or_create_collection(
            name,
            embedding_function=cast("EmbeddingFunction[Any] | None", embedding),
            configuration={"hnsw": {"space": "l2" if embedding is None else "cosine"}},
        )


@contextmanager
def readable_errors(path: Path) -> Iterator[None]:
    """Turn what Chroma and the file system raise into one sentence.

    Raises:
        UsageError: the folder cannot be made or written.
        DataError: Chroma cannot use what the folder holds.
    """
    try:
        yield
    except OSError as err:
        raise unusable(path, err) from err
    except ChromaError as err:
        if not os.access(path, os.W_OK):
            raise unusable(path, PermissionError(errno.EACCES, os.strerror(errno.EACCES))) from err
        raise DataError(
            f"The index at {path} cannot be used: {str(err).rstrip('.')}.",
            "Delete that folder; it is rebuilt from its sources when it is next needed.",
        ) from err
