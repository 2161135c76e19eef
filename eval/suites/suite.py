"""What a suite is: items with known truth, how an answer to one is scored, and what a baseline scores on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from mm4st_agent.agent.answer import Answer
from mm4st_agent.agent.ledger import Evidence
from mm4st_agent.agent.manifest import NO_TOOLS
from mm4st_agent.runtime import Runtime

Half = Literal["dev", "test"]


class Item(BaseModel):
    """One thing that an agent is asked.

    Attributes:
        id: Unique in its suite, and the same each time the item is made.
        questions: What a person says, one message after another in one thread; the last answer counts most.
        dataset: What it is about.
        as_of: The clock; None is the data set's `now`.
        family: What the item is phrased or generated after; no family is in both halves.
        kind: What the scores are grouped by, such as a method or an intent.
        expect: What the suite's own `score` compares with; JSON.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    questions: tuple[str, ...] = Field(min_length=1)
    dataset: str
    as_of: str | None = None
    family: str
    kind: str
    expect: dict[str, Any]


class Scored(BaseModel):
    """How good an answer was.

    Attributes:
        value: From 0 to 1, higher is better.
        details: What the value is made of, such as an error in data units.
        why: A sentence for the report's worst items.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float = Field(ge=0, le=1)
    details: dict[str, float | None] = {}
    why: str = ""


def latest_calls(answer: Answer) -> list[Evidence]:
    """The tool calls of the latest question: what stands behind its last opening entry in the ledger."""
    entries = answer.evidence
    first = max((n for n, entry in enumerate(entries) if entry.tool == "question"), default=-1)
    return [entry for entry in entries[first + 1 :] if entry.tool not in NO_TOOLS]


class Suite(Protocol):
    """One suite. Its methods are pure functions of their arguments, so that a run can be resumed."""

    name: str
    measures: str
    """One sentence: what the score says."""
    baseline_name: str
    """Such as 'chance', 'always naive' or 'most frequent'."""

    def items(self, half: Half, runtime: Runtime) -> list[Item]:
        """Make the items of a half: the same ones each time."""
        ...

    def score(self, item: Item, answers: Sequence[Answer], runtime: Runtime) -> Scored | None:
        """Score the answers to an item's questions; None where it cannot be scored."""
        ...

    def baseline(self, item: Item, runtime: Runtime) -> Scored | None:
        """What the baseline scores on an item; None where it has no score."""
        ...
