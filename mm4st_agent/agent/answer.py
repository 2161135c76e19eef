"""What a question gets: text, checked claims, figures, citations, warnings."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from mm4st_agent.agent.ledger import Evidence
from mm4st_agent.toolspec import Passage
from prompts import quotable

ClaimKind = Literal["number", "time", "id", "quote", "direction", "comparison", "existence"]
ClaimStatus = Literal["verified", "corrected", "unsupported"]


class Claim(BaseModel):
    """One checkable statement in an answer.

    Attributes:
        text: The words of the claim, as they stand in the answer.
        span: First and one past the last character of `text` in the answer.
        value: The number, or the text of a time, id or quotation.
        unit: As written; None where the answer gives none.
        evidence: Ids of the ledger entries that support it; empty when unsupported.
    """

    model_config = ConfigDict(frozen=True)

    text: str
    span: tuple[int, int]
    kind: ClaimKind
    value: float | str
    unit: str | None
    status: ClaimStatus
    evidence: list[str]


class AnswerFigure(BaseModel):
    """A picture of an answer; `path` is its PNG on this machine."""

    model_config = ConfigDict(frozen=True)

    image_id: str
    title: str
    alt: str
    evidence: str
    path: str


class Citation(Passage):
    """A passage that the answer leans on, and the ledger entry that brought it."""

    evidence: str


class Answer(BaseModel):
    """The `ask --json` contract."""

    model_config = ConfigDict(frozen=True)

    question: str
    answer: str
    claims: list[Claim]
    evidence: list[Evidence]
    figures: list[AnswerFigure]
    citations: list[Citation]
    warnings: list[str]
    chat_model: str
    dataset: str
    as_of: str
    thread: str
    seconds: float
    choices: list[str] = []
    """What may be meant, where the text asks the person which; the next question of the thread answers it."""
    manifest: str | None = None
    """The file from which `mm4st replay` repeats this answer; None where it could not be written."""
    turn: int = 0
    """Which question of the thread this answers, from 1; 0 where unknown."""

    def to_json(self) -> dict[str, Any]:
        """A JSON object without NaN."""
        data: dict[str, Any] = json.loads(self.model_dump_json())
        return data


def compose(
    state: Mapping[str, Any],
    *,
    synthetic: str | None,
    chat_model: str,
    thread: str,
    seconds: float,
    image_path: Callable[[str], Path],
    turn: int = 0,
) -> Answer:
    """Put the answer to the latest question together from the thread's final state.

    Args:
        state: The graph's state at the end, or at a question back to the person, with its `choices`.
        synthetic: The data set's title if it is simulated, which the answer must say.
        chat_model: Who wrote the answer.
        thread: The conversation it belongs to.
        seconds: Wall-clock time from question to answer.
        image_path: Where a picture's PNG lies.
        turn: Which question of the thread it answers; 0 where unknown.
    """
    claims: list[Claim] = state["claims"]
    entries: list[Evidence] = state["ledger"][state["first_evidence"] :]
    cited = {entry_id for claim in claims for entry_id in claim.evidence}
    unsupported = sum(claim.status == "unsupported" for claim in claims)
    warnings = [warning for entry in entries for warning in entry.warnings]
    if synthetic is not None and not any("synthetic" in warning for warning in warnings):
        warnings.insert(0, f"{synthetic}: these data are synthetic and describe no real place.")
    warnings += state["warnings"]
    if unsupported:
        warnings.append(f"{unsupported} statement(s) in this answer have no support in the evidence and are marked.")
    return Answer(
        question=state["question"],
        answer=state["text"],
        claims=claims,
        evidence=[entry for entry in state["ledger"] if entry in entries or entry.id in cited],
        figures=[
            AnswerFigure(**image.model_dump(), evidence=entry.id, path=str(image_path(image.image_id)))
            for entry in entries
            for image in entry.images
        ],
        citations=_citations(state["text"], entries),
        warnings=list(dict.fromkeys(warnings)),
        chat_model=chat_model,
        dataset=state["dataset"],
        as_of=state["as_of"],
        thread=thread,
        seconds=round(seconds, 3),
        choices=state.get("choices", []),
        turn=turn,
    )


def _citations(text: str, entries: Sequence[Evidence]) -> list[Citation]:
    """The passages that the answer quotes; where it quotes none, those of the entries it points to."""
    words = " ".join(text.split())
    found = [(p, e) for e in entries for p in e.texts]
    said = quotable(text)
    quoted = [(p, e) for p, e in found if any(part in said for part in (quotable(p.text), *_sentences(p.text)))]
    pointed = [(p, e) for p, e in found if f"{e.id}]" in words or f"{e.id}," in words]
    unique = {p.doc_id: Citation(**p.model_dump(), evidence=e.id) for p, e in quoted or pointed}
    return list(unique.values())


def _sentences(text: str) -> list[str]:
    return [s for s in re.split(r"(?<=[.!?])\s+", quotable(text)) if len(s) > 20]
