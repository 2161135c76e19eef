"""The evidence ledger: each tool result becomes an entry `E1`, `E2`, ... that answers point to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from mm4st_agent.errors import MM4STError
from mm4st_agent.toolspec import ImageHandle, Passage, ToolOut


class EvidenceValue(BaseModel):
    """A number with its unit, a time (`unit == "time"`, ISO 8601) or an identifier (`unit == "id"`)."""

    model_config = ConfigDict(frozen=True)

    value: float | int | str
    unit: str


class Evidence(BaseModel):
    """What one tool call said, and as of when.

    Attributes:
        values: Every number, time and id of the reply by its path.
        labels: The reply's short texts, such as place names; an answer may repeat them.
        warnings: What the tool said that a reader must know.
        error: The sentence of a call that failed; such an entry holds no values.
        seconds: Wall-clock time of the call.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    tool: str
    args: dict[str, Any]
    as_of: str | None
    values: dict[str, EvidenceValue] = {}
    texts: list[Passage] = []
    images: list[ImageHandle] = []
    labels: list[str] = []
    warnings: list[str] = []
    error: str | None = None
    seconds: float


def entry_id(position: int) -> str:
    """The id of the entry at a position of the ledger: `E1` is the first."""
    return f"E{position + 1}"


def from_question(id_: str, question: str, facts: Mapping[str, Any], as_of: str) -> Evidence:
    """Make the entry that opens a question: what was asked, of which data, as of when.

    Args:
        id_: The entry's id.
        question: The person's words.
        as_of: The clock, ISO 8601.
        facts: What the chat model was told about the data; its texts may be repeated.
    """
    return Evidence(
        id=id_,
        tool="question",
        args={"question": question, "dataset": facts["dataset"]},
        as_of=as_of,
        values={f"place_ids[{n}]": EvidenceValue(value=i, unit="id") for n, i in enumerate(facts["place_ids"])},
        labels=sorted(set(_texts({**facts, "channels": [c["title"] for c in facts["channels"]]}))),
        seconds=0.0,
    )


def from_reply(
    id_: str, tool: str, args: dict[str, Any], as_of: str | None, reply: ToolOut, seconds: float
) -> Evidence:
    """Make the entry of a call that succeeded."""
    return Evidence(
        id=id_,
        tool=tool,
        args=args,
        as_of=as_of,
        values={p: EvidenceValue(value=q.value, unit=q.unit) for p, q in reply.quantities().items()},
        texts=reply.passages(),
        images=reply.images(),
        labels=sorted(set(_texts(reply.model_dump(mode="json")))),
        warnings=list(getattr(reply, "warnings", [])),
        seconds=round(seconds, 3),
    )


def from_error(
    id_: str, tool: str, args: dict[str, Any], as_of: str | None, error: MM4STError, seconds: float
) -> Evidence:
    """Make the entry of a call that failed in a known way."""
    return Evidence(
        id=id_,
        tool=tool,
        args=args,
        as_of=as_of,
        labels=[text for text in (error.message, error.hint) if text],
        error=str(error),
        seconds=round(seconds, 3),
    )


def append(ledger: list[Evidence], entries: Iterable[Evidence]) -> list[Evidence]:
    """State reducer: entries are added, never changed or removed."""
    return [*ledger, *entries]


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        for child in node.values():
            yield from _texts(child)
    elif isinstance(node, list):
        for child in node:
            yield from _texts(child)
