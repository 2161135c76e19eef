"""`mm4st bench claims`: how well the claim checker tells supported claims from unsupported ones."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from eval.bench.report import compared, report_of
from mm4st_agent.errors import DataError

if TYPE_CHECKING:
    from mm4st_agent.agent.ledger import Evidence

CLAIMS = Path(__file__).parents[1] / "claims"
Half = Literal["dev", "test"]
GOAL = 0.95
"""Precision and recall that the checker shall reach, each."""


class Sentence(BaseModel):
    """One line of a set; `eval/claims/README.md` says what each field means."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    half: Half
    kind: str
    text: str
    evidence: list[str]
    unsupported: list[str]

    @property
    def wrong(self) -> list[tuple[int, int]]:
        """Where the unsupported claims stand in the text, each as `(start, end)`."""
        return [(at, at + len(words)) for words in self.unsupported for at in [self.text.index(words)]]


class Tally(BaseModel):
    """What became of the claims of some sentences."""

    sentences: int = 0
    found: int = 0
    missed: int = 0
    false: int = 0

    @property
    def precision(self) -> float | None:
        """Share of the flagged claims that are unsupported; None where none was flagged."""
        flagged = self.found + self.false
        return self.found / flagged if flagged else None

    @property
    def recall(self) -> float | None:
        """Share of the unsupported claims that were flagged; None where there is none."""
        unsupported = self.found + self.missed
        return self.found / unsupported if unsupported else None


def load_sentences(half: Half, folder: Path = CLAIMS, name: str = "") -> list[Sentence]:
    """Read one half of the labelled sentences.

    Args:
        half: Which.
        folder: Where it lies.
        name: Its file, where that is not called after the half.

    Raises:
        DataError: the file is missing, a line is no sentence of this half, or it marks words that its text does not
            hold once.
    """
    path = folder / (name or f"{half}.jsonl")
    if not path.is_file():
        raise DataError(f"There is no set of sentences {path}.", "It comes with the source tree; run from a checkout.")
    sentences = []
    for n, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            sentence = Sentence.model_validate_json(line)
        except ValidationError as err:
            raise DataError(f"Line {n} of {path} is no sentence: {err.errors()[0]['msg']}.", "Mend the line.") from None
        if sentence.half != half:
            raise DataError(f"Line {n} of {path} is of the {sentence.half} half.", f"Write {half!r} there.")
        for words in sentence.unsupported:
            if sentence.text.count(words) != 1:
                raise DataError(
                    f"Line {n} of {path} marks {words!r}, which its text holds {sentence.text.count(words)} times.",
                    "Mark words that stand there once.",
                )
        sentences.append(sentence)
    return sentences


def load_evidence(folder: Path = CLAIMS) -> dict[str, Evidence]:
    """The tool replies that the sentences are judged by, by their id.

    Raises:
        DataError: the file is missing.
    """
    from mm4st_agent.agent.ledger import Evidence

    path = folder / "evidence.json"
    if not path.is_file():
        raise DataError(f"There is no evidence {path}.", "It comes with the source tree; run from a checkout.")
    rows = TypeAdapter(list[dict[str, Any]]).validate_json(path.read_bytes())
    entries = [Evidence.model_validate({"seconds": 0.0, **row}) for row in rows]
    return {entry.id: entry for entry in entries}


def flagged(sentence: Sentence, evidence: dict[str, Evidence]) -> list[tuple[int, int]]:
    """Where the checker marks or corrects a claim, each as `(start, end)` in the sentence's own text."""
    from mm4st_agent.agent.claims import MARK, check

    checked = check(sentence.text, [evidence[id_] for id_ in sentence.evidence])
    spans, shift = [], 0
    for claim in checked.claims:
        start, end = claim.span[0] - shift, claim.span[1] - shift
        if claim.status == "unsupported":
            spans.append((start, end))
            shift += len(MARK)
        elif claim.status == "corrected":
            spans.append((start, end))
    return spans


def bench_claims(half: Half = "dev", *, failures: bool = False, folder: Path = CLAIMS) -> dict[str, Any]:
    """Check every sentence of a half against its evidence.

    A claim that is marked or corrected counts as flagged; it is right where it overlaps an unsupported one.

    Args:
        half: Which set: 'dev', which may be looked at while working, or 'test'.
        failures: Also tell each sentence with a missed or falsely flagged claim.
        folder: With `dev.jsonl`, `test.jsonl` and `evidence.json`.

    Returns:
        `{rows, commit, machine, half, sentences, unsupported, milliseconds, by}` and, where wanted, `failures`.

    Raises:
        DataError: the set is missing or broken.
    """
    sentences, evidence = load_sentences(half, folder), load_evidence(folder)
    started = time.perf_counter()
    spans = [flagged(sentence, evidence) for sentence in sentences]
    seconds = time.perf_counter() - started
    by: dict[str, Tally] = {}
    failed = []
    for sentence, marked in zip(sentences, spans, strict=True):
        tally = by.setdefault(sentence.kind, Tally())
        missed = [words for words in sentence.wrong if not _overlap(words, marked)]
        false = [words for words in marked if not _overlap(words, sentence.wrong)]
        tally.sentences += 1
        tally.found += len(sentence.wrong) - len(missed)
        tally.missed += len(missed)
        tally.false += len(false)
        if missed or false:
            said = {
                name: [sentence.text[slice(*words)] for words in some]
                for name, some in (("missed", missed), ("false", false))
            }
            failed.append({"id": sentence.id, "kind": sentence.kind, "text": sentence.text, **said})
    whole = Tally(**sum((Counter(tally.model_dump()) for tally in by.values()), Counter()))
    rows = [
        compared("claims, precision of 'unsupported'", whole.precision, GOAL, "goal", "", "higher"),
        compared("claims, recall of 'unsupported'", whole.recall, GOAL, "goal", "", "higher"),
    ]
    report = report_of(
        rows,
        half=half,
        sentences=len(sentences),
        unsupported=whole.found + whole.missed,
        milliseconds=1000 * seconds / len(sentences),
        by={kind: tally.model_dump() for kind, tally in sorted(by.items())},
    )
    if failures:
        report["failures"] = failed
    return report


def _overlap(one: tuple[int, int], others: Sequence[tuple[int, int]]) -> bool:
    return any(one[0] < end and start < one[1] for start, end in others)


def print_claims(report: dict[str, Any]) -> None:
    """Print each kind of sentence and, where told, each failure, on stdout."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{report['half']} half: {report['sentences']} sentences, {report['unsupported']} unsupported")
    for column in ("kind", "sentences", "found", "missed", "false"):
        table.add_column(column, justify="left" if column == "kind" else "right")
    for kind, tally in report["by"].items():
        table.add_row(kind, *(str(tally[name]) for name in ("sentences", "found", "missed", "false")))
    console = Console()
    console.print(table)
    for failure in report.get("failures", []):
        faults = [f"{name}: {'; '.join(failure[name])}" for name in ("missed", "false") if failure[name]]
        console.print(f"{failure['id']} ({failure['kind']}) {failure['text']} - {', '.join(faults)}", markup=False)
