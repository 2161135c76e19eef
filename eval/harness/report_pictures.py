"""Where the marks of the report's pictures lie: shares of a row's width, so that the rows fit windows of any width."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eval.harness.record import RunRecord, Score

MOST_KINDS = 25
"""So many kinds of item are drawn."""


@dataclass(frozen=True)
class Row:
    """A line of a picture of scores, which are drawn from 0 to 1.

    Attributes:
        name: What was scored.
        note: More on it, such as how many items.
    """

    name: str
    note: str
    score: Score


@dataclass(frozen=True)
class CostRow:
    """A line of the picture of seconds; places are shares of the width, on a scale of decades.

    Attributes:
        places: Of each item.
        mean: Place of the mean, whose `seconds` are of one question.
    """

    name: str
    places: list[float]
    mean: float
    seconds: float


@dataclass(frozen=True)
class Costs:
    """The picture of seconds.

    Attributes:
        ticks: Words and place of each power of ten.
    """

    rows: list[CostRow]
    ticks: list[tuple[str, float]]


def score_rows(record: RunRecord) -> list[Row]:
    """A row for each suite."""
    return [Row(suite.name, _items(suite.scored), suite) for suite in record.suites]


def kind_rows(record: RunRecord) -> list[Row]:
    """A row for each kind of item below 1, the lowest first."""
    kinds = [(kind.score, suite.name, kind) for suite in record.suites for kind in suite.kinds]
    below = [(score, suite, kind) for score, suite, kind in kinds if score is not None and score < 1]
    weakest = sorted(below, key=lambda row: row[0])[:MOST_KINDS]
    return [Row(f"{suite}: {kind.kind}", _items(kind.scored), kind) for _, suite, kind in weakest]


def cost_rows(record: RunRecord) -> Costs:
    """Seconds a question, by suite: each item, and their mean."""
    took: dict[str, list[float]] = {}
    for one in record.items:
        took.setdefault(one.suite, []).append(max(one.seconds / len(one.questions), 0.001))
    every = [seconds for group in took.values() for seconds in group]
    if not every:
        return Costs([], [])
    low, high = math.floor(math.log10(min(every))), math.ceil(math.log10(max(every)))
    high = max(high, low + 1)

    def place(seconds: float) -> float:
        return (math.log10(seconds) - low) / (high - low)

    rows = [CostRow(name, [place(s) for s in group], place(_mean(group)), _mean(group)) for name, group in took.items()]
    return Costs(rows, [(f"{10**power:g} s", place(10.0**power)) for power in range(low, high + 1)])


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _items(count: int) -> str:
    return f"{count} item{'' if count == 1 else 's'}"
