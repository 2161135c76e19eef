"""How far what-if claims of a checkpoint were true, where the truth is known: a small record beside its weights."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from mm4st_agent.errors import DataError

SCORES_FILE = "what_if.json"
USEFUL = 0.95
"""Claims are useful where their error is at most this share of that of claiming nothing."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class EffectScore(_Record):
    """Claimed against true effects of causes of one kind on the total of the span.

    Attributes:
        kind: Of cause, in words, such as 'rain'.
        causes: How many.
        effects: Claims that were scored: places and moments of all causes.
        error: Mean absolute error of the claims.
        nothing_error: The same of the claim that nothing has an effect.
        direction: Share of the claims other than 0 that have the right sign, in %; None where there is none.
    """

    kind: str
    causes: int
    effects: int
    error: float
    nothing_error: float
    direction: float | None

    @property
    def useful(self) -> bool:
        """Whether the claims were clearly closer to the truth than claiming nothing."""
        return self.error <= USEFUL * self.nothing_error


class EffectScores(_Record):
    """Of one checkpoint; written by `python -m eval.bench.what_if`.

    Attributes:
        trained: When the checkpoint was made, so that the scores of another one are not taken for its own.
        unit: Of the errors.
        minutes: Length of the span.
        truth: What the truth was, in words.
    """

    trained: datetime
    unit: str
    minutes: int
    truth: str
    scores: tuple[EffectScore, ...]


def read_scores(folder: Path, trained: datetime) -> EffectScores | None:
    """The record of a checkpoint; None where its claims were never scored.

    Args:
        folder: Of the checkpoint.
        trained: When it was made, by its card.

    Raises:
        DataError: the record is broken.
    """
    path = folder / SCORES_FILE
    if not path.is_file():
        return None
    try:
        found = EffectScores.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValidationError) as err:
        hint = "Remove it, or write it again: python -m eval.bench.what_if."
        raise DataError(f"{path} is no record of what-if scores.", hint) from err
    return found if found.trained == trained else None


def write_scores(folder: Path, scores: EffectScores) -> None:
    """Put the record beside the weights."""
    text = json.dumps(scores.model_dump(mode="json"), indent=1, allow_nan=False)
    (folder / SCORES_FILE).write_text(text + "\n", encoding="utf-8")
