"""What a run over a question set scores, and how it is shown."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eval.bench.agent_matching import Judgement
from eval.bench.agent_questions import Label, Question
from eval.bench.report import compared

GOALS = {"intent accuracy": 0.95, "slot accuracy": 0.95, "whole-plan accuracy": 0.90}
GOAL_P50_S = 1.5

LABELS = {"all_places": "rank", "foresee": "events"}
"""Tasks of the embedded model that the question sets call otherwise."""


@dataclass(frozen=True)
class Outcome:
    """One question and what became of it.

    Attributes:
        question: What was asked, and what a good answer rests on.
        tasks: What the model took it for, a task for each question of the message.
        judgement: Its calls against the expected ones.
        made: The calls in words.
        asked: Whether the answer asked back.
        claims: Claims of the answer by status.
        seconds: Wall-clock time of the answer; None where there was none.
        error: Why there was no answer.
    """

    question: Question
    tasks: tuple[str, ...]
    judgement: Judgement
    made: tuple[str, ...]
    asked: bool
    claims: Mapping[str, int]
    seconds: float | None
    error: str | None = None

    @property
    def intent_right(self) -> bool:
        """Whether each question of the message was read as one of the expected labels, in order."""
        found = _without_repeats(LABELS.get(task, task) for task in self.tasks)
        expected = _without_repeats(self.question.intents)
        return len(found) == len(expected) and all(
            task == label or (isinstance(label, list) and task in label)
            for task, label in zip(found, expected, strict=True)
        )

    @property
    def plan_right(self) -> bool:
        """Whether it made the expected calls with all their arguments, no others, and asked back only where due."""
        return self.error is None and not self.judgement.wrong and self.asked == (self.question.clarify is not None)

    @property
    def faults(self) -> list[str]:
        """Everything that is not as expected, in words."""
        faults = [] if self.error is None else [f"error: {self.error}"]
        if not self.intent_right:
            faults.append(f"read as {', '.join(self.tasks) or 'nothing'}, not {_said(self.question.intents)}")
        faults += self.judgement.wrong
        if self.error is None and self.asked != (self.question.clarify is not None):
            faults.append("asked back" if self.asked else f"did not ask back: {self.question.clarify}")
        return faults


def wilson(right: int, of: int, z: float = 1.96) -> tuple[float, float] | None:
    """The 95 % interval of a share; None where there is nothing to share.

    Source:
        Wilson (1927), "Probable inference, the law of succession, and statistical inference".

    >>> [round(bound, 3) for bound in wilson(9, 10)]
    [0.596, 0.982]
    """
    if of == 0:
        return None
    share = right / of
    middle = share + z * z / (2 * of)
    spread = z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    return (middle - spread) / (1 + z * z / of), (middle + spread) / (1 + z * z / of)


def accuracies(outcomes: Sequence[Outcome]) -> dict[str, tuple[int, int]]:
    """Right ones, and of how many, for each figure that has a goal."""
    return {
        "intent accuracy": (sum(o.intent_right for o in outcomes), len(outcomes)),
        "slot accuracy": (sum(o.judgement.right for o in outcomes), sum(o.judgement.slots for o in outcomes)),
        "whole-plan accuracy": (sum(o.plan_right for o in outcomes), len(outcomes)),
    }


def rows_of(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """The figures against their goals, as rows of a benchmark; shares bring their interval."""
    rows: list[dict[str, Any]] = []
    for name, (right, of) in accuracies(outcomes).items():
        share = right / of if of else None
        low, high = wilson(right, of) or (None, None)
        rows.append(
            {**compared(name, share, GOALS[name], "the goal", "1", "higher"), "low": low, "high": high, "of": of}
        )
    answered = [outcome for outcome in outcomes if outcome.error is None]
    claiming = [outcome for outcome in answered if sum(outcome.claims.values())]
    verified = sum(set(outcome.claims) == {"verified"} for outcome in claiming)
    low, high = wilson(verified, len(claiming)) or (None, None)
    share = verified / len(claiming) if claiming else None
    row = compared("answers all of whose claims are verified", share, None, "", "1", "higher")
    rows.append({**row, "low": low, "high": high, "of": len(claiming)})
    seconds = [outcome.seconds for outcome in answered if outcome.seconds is not None]
    for percent, goal in ((50, GOAL_P50_S), (95, None)):
        took = float(np.percentile(seconds, percent)) if seconds else None
        rows.append(
            {**compared(f"p{percent} of an answer", took, goal, "the goal" if goal else "", "s"), "of": len(seconds)}
        )
    failed = len(outcomes) - len(answered)
    rows.append({**compared("questions without an answer", float(failed), None, "", "questions"), "of": len(outcomes)})
    return rows


def groups_of(outcomes: Sequence[Outcome], key: Callable[[Outcome], str]) -> dict[str, dict[str, Any]]:
    """The accuracies of each group; `[right, of]` by figure."""
    names = [name for name, _ in Counter(key(outcome) for outcome in outcomes).most_common()]
    members = {name: [outcome for outcome in outcomes if key(outcome) == name] for name in names}
    return {
        name: {figure: list(counts) for figure, counts in accuracies(group).items()} for name, group in members.items()
    }


def failure_of(outcome: Outcome) -> dict[str, Any]:
    """A question that is not as expected, for people who mend it."""
    question = outcome.question
    return {
        "id": question.id,
        "family": question.family,
        "dataset": question.dataset,
        "before": question.before,
        "question": question.question,
        "expected": [f"{call.tool} {call.args}" for call in question.calls],
        "found": list(outcome.made),
        "faults": outcome.faults,
    }


def print_groups(report: Mapping[str, Any]) -> None:
    """Print the accuracies by intent and by manner, and the intervals of the shares, on stdout."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{report['asked']} questions, {report['half']}")
    for column in ("share", "", "95 % interval", "of"):
        table.add_column(column, justify="left" if column == "share" else "right")
    for row in report["rows"]:
        if row.get("low") is not None:
            table.add_row(row["name"], f"{row['ours']:.3f}", f"{row['low']:.3f} to {row['high']:.3f}", str(row["of"]))
    Console().print(table)
    for by in ("intent", "manner"):
        table = Table(title=f"by {by}")
        table.add_column(by)
        for name in GOALS:
            table.add_column(name, justify="right")
        for group, counts in report["by"][by].items():
            table.add_row(group, *(f"{right}/{of}" if of else "-" for right, of in counts.values()))
        Console().print(table)


def print_failures(failures: Iterable[Mapping[str, Any]]) -> None:
    """Print each failing question with what was expected and what was found, on stdout."""
    import click

    for failure in failures:
        click.echo(f"\n{failure['id']}  {failure['family']}  [{failure['dataset']}]")
        for earlier in failure["before"]:
            click.echo(f"  before    {earlier}")
        click.echo(f"  question  {failure['question']}")
        for word in ("expected", "found"):
            for call in failure[word] or ["no call"]:
                click.echo(f"  {word:<9} {call}")
        for fault in failure["faults"]:
            click.echo(f"  fault     {fault}")


def _without_repeats(labels: Iterable[Any]) -> list[Any]:
    """One for each run of the same: two places asked about together may be one task or two."""
    kept: list[Any] = []
    for label in labels:
        if not kept or kept[-1] != label:
            kept.append(label)
    return kept


def _said(intents: Sequence[Label | list[Label]]) -> str:
    return ", ".join(intent if isinstance(intent, str) else " or ".join(intent) for intent in intents)
