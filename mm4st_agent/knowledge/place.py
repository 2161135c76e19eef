"""Where an index lies: in a folder, or on a Chroma server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from mm4st_agent.settings import without_login


@dataclass(frozen=True)
class ChromaServer:
    """Collections on a server, which many processes and machines may share.

    Attributes:
        url: May have a user and a password, which nothing shows.
        owner: Whose collections: a person's name, or None for what everyone sees.
    """

    url: SecretStr
    owner: str | None = None

    def collection(self, name: str) -> str:
        """The name of a collection there; Chroma takes no two dots in a row, and a person's name has small letters.

        >>> ChromaServer(SecretStr("http://chroma:8000"), "jane..doe").collection("passages")
        'passages-of-janeDOTDOTdoe'
        """
        return name if self.owner is None else f"{name}-of-{self.owner.replace('.', 'DOT')}"

    def __str__(self) -> str:
        return f"Chroma server at {without_login(self.url)}"


Place = Path | ChromaServer
"""A folder is for one index alone, and is made when missing."""


def collection_name(place: Place, name: str) -> str:
    """The name of a collection in a place."""
    return place.collection(name) if isinstance(place, ChromaServer) else name
