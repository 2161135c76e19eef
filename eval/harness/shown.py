"""Runs, comparisons and the guard as tables on stdout."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from eval.harness.compare import Comparison
from eval.harness.guard import Found
from eval.harness.record import CostOf, RunRecord, Score

WIDE = 130
"""Columns of a table that is written to a file or a pipe."""


def print_scores(record: RunRecord) -> None:
    """A row for each suite, and one for each of its kinds."""
    dirty = " (dirty)" if record.dirty else ""
    commit = (record.commit or "-")[:12]
    table = Table(title=f"{record.name}: {record.model}, half {record.half}, commit {commit}{dirty}")
    columns = counted(record)
    table.add_column("suite", no_wrap=True)
    for column in ("score", "95 %", "baseline", *columns, "calls", "tokens", "tools", "s"):
        table.add_column(column, justify="right", no_wrap=True)
    for suite in record.suites:
        table.add_row(f"[bold]{suite.name}", *cells(suite, columns), *cost_cells(suite.cost))
        for kind in suite.kinds if len(suite.kinds) > 1 else ():
            table.add_row(f"  {kind.kind}", *cells(kind, columns), style="dim")
    console = _console()
    console.print(table)
    console.print("Model calls, tokens, tool calls and seconds are of one question, on average.", style="dim")
    for suite in record.suites:
        if suite.skipped:
            missing = ", ".join(f"{count} on {name}" for name, count in suite.skipped.items())
            console.print(f"{suite.name}: left out, as the data are not here: {missing}.", highlight=False)
    failed = [one for one in record.items if one.status == "failed"]
    for one in failed[:5]:
        console.print(f"Failed: {one.suite} {one.id}: {one.why[:200]}", highlight=False, markup=False)
    console.print(f"Page: mm4st eval report {record.name}   Logs: mm4st eval view {record.name}", soft_wrap=True)


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=WIDE)


def counted(record: RunRecord) -> list[str]:
    """The counts that tell something: how many were scored, and the others where there are any."""
    return ["scored", *(name for name in ("unscored", "failed") if any(getattr(s, name) for s in record.suites))]


def cells(score: Score, counts: Sequence[str]) -> list[str]:
    """A score, its interval, its baseline and its counts."""
    interval = "-" if score.low is None or score.high is None else f"{score.low:.2f} to {score.high:.2f}"
    return [
        number(score.score),
        interval,
        number(score.baseline),
        *(str(getattr(score, name)) for name in counts),
    ]


def cost_cells(cost: CostOf) -> list[str]:
    """Model calls, tokens, tool calls and seconds a question."""
    return [
        number(cost.model_calls, 1),
        "-" if cost.tokens is None else f"{cost.tokens:,.0f}",
        number(cost.tool_calls, 1),
        number(cost.seconds, 2),
    ]


def number(value: float | None, digits: int = 3) -> str:
    """A number, or a dash where there is none."""
    return "-" if value is None else f"{value:.{digits}f}"


def print_comparison(found: Comparison) -> None:
    """A row for each suite."""
    console = _console()
    table = Table(title=f"{found.second} less {found.first}")
    table.add_column("suite")
    for column in ("first", "second", "difference", "95 %", "items", "better", "worse", "s a question"):
        table.add_column(column, justify="right", no_wrap=True)
    for suite in found.suites:
        interval = "-" if suite.low is None or suite.high is None else f"{suite.low:+.3f} to {suite.high:+.3f}"
        table.add_row(
            suite.name,
            number(suite.first),
            number(suite.second),
            "-" if suite.difference is None else f"{suite.difference:+.3f}",
            interval,
            str(suite.items),
            str(suite.better),
            str(suite.worse),
            "-" if suite.seconds is None else f"{suite.seconds:+.2f}",
        )
    console.print(table)
    for name, (before, after) in found.differs.items():
        console.print(f"{name}: {before} -> {after}", highlight=False, markup=False, soft_wrap=True)


def print_guard(found: Found) -> None:
    """The scores against their floors."""
    console, columns = _console(), counted(found.record)
    table = Table(title=f"Guard: {found.record.model}, half {found.record.half}, demo city")
    table.add_column("suite")
    for column in ("score", "95 %", "baseline", *columns, "floor"):
        table.add_column(column, justify="right")
    for suite in found.record.suites:
        floor = found.floors.floors.get(suite.name)
        table.add_row(suite.name, *cells(suite, columns), number(floor.floor if floor else None))
    console.print(table)
    for words in found.below:
        console.print(f"Below: {words}", highlight=False)
