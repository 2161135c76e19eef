"""The question sets: what is asked, and what a good answer rests on."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from eval.bench.agent_matching import Call
from mm4st_agent.agent.backends.examples import Intent
from mm4st_agent.errors import DataError

QUESTIONS = Path(__file__).parents[1] / "questions"

Half = Literal["dev", "test"]
Label = Intent


class ExpectedCall(BaseModel):
    """A tool call that a good answer rests on, with the arguments that matter."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tool: str | dict[Literal["any"], list[str]]
    args: dict[str, Any]


class Question(BaseModel):
    """One line of a question set; `eval/questions/README.md` says what each field means."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    family: str = Field(pattern=r"^[^/]+/.+$")
    dataset: str
    before: list[str]
    question: str
    intents: list[Label | list[Label]]
    calls: list[ExpectedCall]
    clarify: Literal["place", "quantity", "horizon"] | None

    @property
    def manner(self) -> str:
        """How it is said: the last part of its family."""
        return self.family.rsplit("/", 1)[-1]

    @property
    def topic(self) -> str:
        """The intent that the question counts for: its only one, or 'several'."""
        if len(self.intents) != 1:
            return "several"
        only = self.intents[0]
        return only if isinstance(only, str) else only[0]

    @property
    def expected(self) -> list[Call]:
        """The calls as the matching takes them."""
        return [Call(call.tool, call.args) for call in self.calls]


def load_questions(half: Half, folder: Path = QUESTIONS) -> list[Question]:
    """Read one half of the question sets.

    Raises:
        DataError: the file is missing, or a line of it is not a question.
    """
    path = folder / f"{half}.jsonl"
    if not path.is_file():
        raise DataError(f"There is no question set {path}.", "It comes with the source tree; run from a checkout.")
    questions, ids = [], set()
    for n, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            question = Question.model_validate_json(line)
        except ValidationError as err:
            first = err.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "the line"
            raise DataError(f"Line {n} of {path.name} is not a question: {where}: {first['msg']}.") from err
        if question.id in ids:
            raise DataError(f"Line {n} of {path.name} has the id {question.id!r} of an earlier line.")
        ids.add(question.id)
        questions.append(question)
    return questions
