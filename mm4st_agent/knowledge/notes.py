"""The shipped notes: short, sourced pieces of domain knowledge in `corpus/*.md`."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from mm4st_agent.errors import DataError
from mm4st_agent.knowledge.store import Document

CORPUS = Path(__file__).parent / "corpus"


class NoteHeader(BaseModel):
    """The YAML front matter of a note."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    source: str
    """Full citation of the publication or standard that says so."""
    year: int
    tags: tuple[str, ...]


def read_note(path: Path) -> tuple[NoteHeader, str]:
    """Read one note: YAML between two `---` lines, then the text.

    Raises:
        DataError: it has no front matter, or a field is unknown, missing or invalid.
    """
    try:
        _, header, body = path.read_text(encoding="utf-8").split("---\n", 2)
        return NoteHeader.model_validate(yaml.safe_load(header)), body.strip()
    except (ValueError, yaml.YAMLError, ValidationError) as err:
        raise DataError(f"The note {path} is invalid: {err}.", "Compare it with a shipped note.") from err


@cache
def shipped_notes() -> tuple[Document, ...]:
    """Every note of the corpus, undated and of no data set, so that it fits all.

    Raises:
        DataError: a note is invalid.
    """
    notes = []
    for path in sorted(CORPUS.glob("*.md")):
        header, body = read_note(path)
        notes.append(Document(f"note/{path.stem}", "note", body, header.source, heading=header.title))
    return tuple(notes)
