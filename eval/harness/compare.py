"""Two runs, item by item: paired differences with 95 % intervals, over the items that both scored."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from eval.harness.record import Asked, RunRecord, cost_of, item_values
from eval.harness.statistics import mean_of
from mm4st_agent.errors import UsageError


@dataclass(frozen=True)
class SuiteDifference:
    """One suite in both runs.

    Attributes:
        first: Mean of the first run over the items that both scored.
        second: The same of the second.
        difference: Second less first.
        low: Of the 95 % interval of the difference; None where there are fewer than two items, as is `high`.
        items: That both scored.
        only_first: That only the first scored, and so count in neither mean.
        better: In the second run.
        worse: In the second run.
        seconds: Of a question, second less first.
    """

    name: str
    first: float | None
    second: float | None
    difference: float | None
    low: float | None
    high: float | None
    items: int
    only_first: int
    only_second: int
    better: int
    worse: int
    seconds: float | None


@dataclass(frozen=True)
class Comparison:
    """Two runs.

    Attributes:
        differs: What the runs differ in, such as the commit, with both values.
    """

    first: str
    second: str
    differs: dict[str, tuple[Any, Any]]
    suites: list[SuiteDifference]

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return asdict(self)


def compared_runs(first: RunRecord, second: RunRecord) -> Comparison:
    """Compare two runs.

    Raises:
        UsageError: they have no suite in common, asked different halves, or no item was scored by both.
    """
    if first.half != second.half:
        raise UsageError(
            f"{first.name} asked the half {first.half!r}, {second.name} the half {second.half!r}: no item is in both.",
            "Run both on the same half.",
        )
    common = [suite.name for suite in first.suites if suite.name in {other.name for other in second.suites}]
    suites = [_difference(name, _of(first, name), _of(second, name)) for name in common]
    if not sum(suite.items for suite in suites):
        raise UsageError(f"No item was scored in both {first.name} and {second.name}.", "Run the same suites.")
    fields = ("chat_model", "model", "commit", "dirty", "seed", "limit", "epochs")
    differs = {name: (getattr(first, name), getattr(second, name)) for name in fields}
    changed = sorted(name for name in {*first.data, *second.data} if first.data.get(name) != second.data.get(name))
    return Comparison(
        first.name,
        second.name,
        {
            **{name: pair for name, pair in differs.items() if pair[0] != pair[1]},
            **({"prompts": ("", "changed")} if first.prompts != second.prompts else {}),
            **({"data": ("", ", ".join(changed))} if changed else {}),
        },
        suites,
    )


def _of(record: RunRecord, suite: str) -> list[Asked]:
    return [one for one in record.items if one.suite == suite]


def _difference(name: str, first: list[Asked], second: list[Asked]) -> SuiteDifference:
    ours, theirs = item_values(first), item_values(second)
    both = [key for key in ours if key in theirs]
    gaps = [theirs[key] - ours[key] for key in both]
    found = mean_of(gaps)
    kept = set(both)
    took = [cost_of([one for one in run if one.key in kept]).seconds for run in (first, second)]
    return SuiteDifference(
        name=name,
        first=mean_of([ours[key] for key in both]).value,
        second=mean_of([theirs[key] for key in both]).value,
        difference=found.value,
        low=found.low,
        high=found.high,
        items=len(both),
        only_first=len(ours) - len(both),
        only_second=len(theirs) - len(both),
        better=sum(gap > 0 for gap in gaps),
        worse=sum(gap < 0 for gap in gaps),
        seconds=None if took[0] is None or took[1] is None else took[1] - took[0],
    )
