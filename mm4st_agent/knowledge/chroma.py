"""The one place that opens Chroma: its client, its embedding function, its errors.

Importing this module imports Chroma and registers the embedding function, which must
happen before a stored collection is opened: Chroma would otherwise fall back to a model
that it downloads.
"""

from __future__ import annotations

import base64
import errno
import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote, urlsplit

import chromadb
import httpx
from chromadb.api.client import Client
from chromadb.api.types import Documents, EmbeddingFunction, Embeddings, Space
from chromadb.config import Settings
from chromadb.errors import ChromaError
from chromadb.utils.embedding_functions import register_embedding_function
from filelock import FileLock, Timeout

from mm4st_agent.errors import DataError, ServerError
from mm4st_agent.knowledge.embedding import minilm
from mm4st_agent.knowledge.place import ChromaServer, Place, collection_name
from mm4st_agent.settings import unusable, without_login

COLLECTION = "passages"
_CONNECT_S, _REPLY_S = 5.0, 120.0
_CLIENTS: dict[Place, chromadb.api.ClientAPI] = {}
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


def open_collection(place: Place) -> chromadb.Collection:
    """Open the collection of the index at `place`, which is made if it is not there.

    Raises:
        UsageError: the folder cannot be made or written.
        DataError: what it holds is not a Chroma database.
        ServerError: the server does not answer as one.
    """
    return _opened(place, COLLECTION, MiniLMEmbedding())


def open_vectors(place: Place, name: str) -> chromadb.Collection:
    """Open a collection of vectors that come with what is stored; see `open_collection`.

    Its space is Euclidean: for the cosine, Chroma would keep vectors of length 1 and give them back rounded.
    """
    return _opened(place, name, None)


def server_version(server: ChromaServer) -> str:
    """The version that a server says it has.

    Raises:
        ServerError: it does not answer as one.
    """
    with readable_errors(server):
        root, headers = _answering(server)
        reply = httpx.get(f"{root}/api/v2/version", headers=headers, timeout=_CONNECT_S)
        reply.raise_for_status()
        return reply.text.strip('"')


def _opened(place: Place, name: str, embedding: MiniLMEmbedding | None) -> chromadb.Collection:
    if isinstance(place, Path):
        place = place.expanduser().resolve()
    with _OPENING, readable_errors(place):
        everyone = ChromaServer(place.url) if isinstance(place, ChromaServer) else place
        if everyone not in _CLIENTS:
            _CLIENTS[everyone] = _connected(everyone) if isinstance(everyone, ChromaServer) else _folder(everyone)
        return _CLIENTS[everyone].get_or_create_collection(
            collection_name(place, name),
            embedding_function=cast("EmbeddingFunction[Any] | None", embedding),
            configuration={"hnsw": {"space": "l2" if embedding is None else "cosine"}},
        )


def _folder(path: Path) -> chromadb.api.ClientAPI:
    path.mkdir(parents=True, exist_ok=True)
    return chromadb.PersistentClient(path, settings=Settings(anonymized_telemetry=False))


def _connected(server: ChromaServer) -> Client:
    """Ask first whether there is a Chroma server: Chroma's own client would wait without end."""
    root, headers = _answering(server)
    quiet = Settings(anonymized_telemetry=False)
    client = cast("Client", chromadb.HttpClient(root, headers=headers, settings=quiet))
    client._server._session.timeout = httpx.Timeout(_REPLY_S, connect=_CONNECT_S)  # type: ignore[attr-defined]
    return client


def _answering(server: ChromaServer) -> tuple[str, dict[str, str]]:
    """The address of a server that answers, without the login, and the headers that it wants."""
    parts = urlsplit(server.url.get_secret_value())
    headers = {}
    if parts.username is not None:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = f"Basic {base64.b64encode(login.encode()).decode()}"
    root = without_login(server.url).rstrip("/")
    reply = httpx.get(f"{root}/api/v2/heartbeat", headers=headers, timeout=_CONNECT_S)
    reply.raise_for_status()
    if "nanosecond heartbeat" not in reply.text:
        raise httpx.DecodingError("what answers there is no Chroma server")
    return root, headers


@contextmanager
def writing(place: Place, what: str, timeout_s: float) -> Iterator[None]:
    """Wait until no other process writes there: in a folder, Chroma allows one at a time. A server sees to it itself.

    Args:
        place: Where.
        what: Is there, for the error.
        timeout_s: So long.

    Raises:
        UsageError, ServerError: as for `open_collection`.
        DataError: what is there is broken, or another process writes for minutes.
    """
    with readable_errors(place), ExitStack() as held:
        if isinstance(place, Path):
            lock = FileLock(place / "writing.lock", timeout=timeout_s)
            try:
                held.enter_context(lock)
            except Timeout as err:
                raise DataError(
                    f"Another process has been writing to the {what} at {place} for {timeout_s:g} s.",
                    "Wait for it to end and try again.",
                ) from err
        yield


@contextmanager
def readable_errors(place: Place) -> Iterator[None]:
    """Turn what Chroma, the network and the file system raise into one sentence.

    Raises:
        UsageError: the folder cannot be made or written.
        DataError: Chroma cannot use what the folder holds.
        ServerError: the server cannot be reached, or refuses.
    """
    try:
        yield
    except Exception as err:
        known = isinstance(err, (OSError, ChromaError, httpx.HTTPError))
        if isinstance(place, ChromaServer) and (known or type(err) is Exception):  # as Chroma's client raises a refusal
            raise _unanswered(place, err) from err
        if isinstance(place, ChromaServer) or not known:
            raise
        if isinstance(err, OSError):
            raise unusable(place, err) from err
        if not os.access(place, os.W_OK):
            raise unusable(place, PermissionError(errno.EACCES, os.strerror(errno.EACCES))) from err
        raise DataError(
            f"The index at {place} cannot be used: {str(err).rstrip('.')}.",
            "Delete that folder; it is rebuilt from its sources when it is next needed.",
        ) from err


def _unanswered(server: ChromaServer, err: Exception) -> ServerError:
    if isinstance(err, httpx.HTTPStatusError):
        reason = f"it says {err.response.status_code} {err.response.reason_phrase}"
    else:
        reason = str(err).rstrip(".") or type(err).__name__
    return ServerError(
        f"The {server} does not answer as it should: {reason}.",
        "Start it with `chroma run`, or unset MM4ST_CHROMA_URL to keep the index in the home; it is rebuilt there.",
    )
