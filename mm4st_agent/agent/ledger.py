"""The evidence ledger: each tool result becomes an entry `E1`, `E2`, ... that answers point to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from itertools import accumulate, islice
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict

from mm4st_agent.errors import MM4STError
from mm4st_agent.toolspec import ImageHandle, Passage, ToolOut

T = TypeVar("T")

MOST_VALUES = 5000
"""Of one entry; so many words and labels, too."""
MOST_CHARS = 200_000
"""Of all texts, and of all labels, of one entry."""
LONGEST_WORDS = 120
"""Characters; a longer text is no short one."""


class EvidenceValue(BaseModel):
    """A number with its unit, a time (`unit == "time"`, ISO 8601) or an identifier (`unit == "id"`)."""

    model_config = ConfigDict(frozen=True)

    value: float | int | str
    unit: str


class Evidence(BaseModel):
    """What one tool call said, and as of when.

    Attributes:
        values: Every number, time and id of the reply by its path.
        words: Every other short text and every yes or no of the reply by its path, such as `trend`: "rising".
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
    words: dict[str, str | bool] = {}
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


def from_person(id_: str, tool: str, args: dict[str, Any], as_of: str, answer: str) -> Evidence:
    """Make the entry of a question back to the person; what they said is no value, so it supports no number."""
    return Evidence(id=id_, tool=tool, args={**args, "answer": answer}, as_of=as_of, seconds=0.0)


def from_reply(
    id_: str, tool: str, args: dict[str, Any], as_of: str | None, reply: ToolOut, seconds: float
) -> Evidence:
    """Make the entry of a call that succeeded."""
    content = reply.model_dump(mode="json")
    values = {p: EvidenceValue(value=q.value, unit=q.unit) for p, q in reply.quantities().items()}
    return Evidence(
        id=id_,
        tool=tool,
        args=args,
        as_of=as_of,
        values=values,
        words={path: word for path, word in _words(content, "") if path not in values},
        texts=reply.passages(),
        images=reply.images(),
        labels=sorted(set(_texts(content))),
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


def within_bounds(entry: Evidence) -> Evidence:
    """The entry itself, or its beginning with a warning where a reply holds more than a thread should keep."""
    kept: dict[str, Sized] = {
        "values": dict(islice(entry.values.items(), MOST_VALUES)),
        "words": dict(islice(entry.words.items(), MOST_VALUES)),
        "texts": _first(entry.texts, lambda passage: len(passage.text)),
        "labels": _first(entry.labels[:MOST_VALUES], len),
    }
    lost: int = sum(len(getattr(entry, name)) - len(part) for name, part in kept.items())
    if not lost:
        return entry
    warning = f"The reply of {entry.tool} [{entry.id}] was too large: {lost:,} of its values and texts are not kept."
    return entry.model_copy(update={**kept, "warnings": [*entry.warnings, warning]})


def append(ledger: list[Evidence], entries: Iterable[Evidence]) -> list[Evidence]:
    """State reducer: entries are added, never changed or removed."""
    return [*ledger, *entries]


def _first(items: Sequence[T], size: Callable[[T], int]) -> list[T]:
    """The items from the first on that have at most `MOST_CHARS` characters together."""
    ends = accumulate(size(item) for item in items)
    return [item for item, end in zip(items, ends, strict=True) if end <= MOST_CHARS]


def _words(node: Any, path: str) -> Iterator[tuple[str, str | bool]]:
    if isinstance(node, bool) or (isinstance(node, str) and len(node) <= LONGEST_WORDS):
        yield path, node
    elif isinstance(node, dict):
        for name, child in node.items():
            yield from _words(child, f"{path}.{name}" if path else name)
    elif isinstance(node, list):
        for index, child in enumerate(node):
            yield from _words(child, f"{path}[{index}]")


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        for child in node.values():
            yield from _texts(child)
    elif isinstance(node, list):
        for child in node:
            yield from _texts(child)
