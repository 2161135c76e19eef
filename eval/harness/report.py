"""One self-contained HTML page about a run, to be read in five minutes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment

from eval.harness.record import Asked, RunRecord, SuiteScore
from eval.harness.report_page import PAGE
from eval.harness.report_pictures import cost_rows, kind_rows, score_rows
from eval.harness.shown import number
from eval.harness.statistics import LEAST_ITEMS
from mm4st_agent.agent.manifest import write_whole
from mm4st_agent.errors import UsageError

WORST = 20
WEAK, WEAKEST = 0.75, 5
"""A kind of item that scores less is weak; so many of them are named at the top."""
LONGEST_ANSWER = 1500
"""Characters of an answer on the page."""


def write_report(record: RunRecord, path: Path) -> Path:
    """Write the page.

    Raises:
        UsageError: there is no folder to write it to.
    """
    if not path.parent.is_dir():
        raise UsageError(f"There is no folder {path.parent}.", "Make it, or give another --out.")
    write_whole(path, page_of(record).encode(), mode=0o644)
    return path


def page_of(record: RunRecord) -> str:
    """The page as HTML; it needs no other file, and no script."""
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"number": number, "percent": _percent}
    return environment.from_string(PAGE).render(
        run=record,
        verdicts=[(suite, _verdict(suite)) for suite in record.suites],
        short=_short(record),
        scores=score_rows(record),
        kinds=kind_rows(record),
        costs=cost_rows(record),
        worst=[_shown(one) for one in worst_items(record.items)],
        missing=[one for one in record.items if one.status != "scored"],
        total=len(record.items),
        seconds=sum(one.seconds for one in record.items),
    )


def worst_items(items: Sequence[Asked], count: int = WORST) -> list[Asked]:
    """Failed ones first, then the lowest scores; the suites take turns, so that none fills the list."""
    below = [one for one in items if one.status == "failed" or (one.value is not None and one.value < 1)]
    ranks: dict[str, int] = {}
    turns: list[tuple[float, int, Asked]] = []
    for one in sorted(below, key=lambda one: (one.value is not None, one.value or 0.0, one.id)):
        turn = ranks[one.suite] = ranks.get(one.suite, -1) + 1
        turns.append((turn, len(turns), one))
    chosen = [one for *_, one in sorted(turns, key=lambda turn: turn[:2])[:count]]
    return sorted(chosen, key=lambda one: (one.value is not None, one.value or 0.0))


def _verdict(suite: SuiteScore) -> str:
    """How the suite stands against its baseline, in words."""
    gain, low, high = (suite.gain[name] for name in ("mean", "low", "high"))
    if suite.score is None:
        return "no score"
    if gain is None:
        return "no baseline"
    if low is None or high is None:
        return "too few items to tell"
    if low > 0:
        return "above the baseline"
    return "below the baseline" if high < 0 else "not told apart from the baseline"


def _short(record: RunRecord) -> list[str]:
    """What the run says, in a few sentences: where the agent beats its baselines, where not, and where it is weak."""
    suites: dict[str, list[str]] = {}
    for suite in record.suites:
        suites.setdefault(_verdict(suite), []).append(suite.name)
    said = [f"{words.capitalize()}: {', '.join(names)}." for words, names in suites.items()]
    kinds = [(kind.score, suite.name, kind) for suite in record.suites for kind in suite.kinds]
    weak = sorted(
        (score, f"{name}, {kind.kind}: {score:.2f} over {kind.scored}")
        for score, name, kind in kinds
        if score is not None and score < WEAK and kind.scored >= LEAST_ITEMS
    )
    if weak:
        said.append(f"Weakest kinds of item: {'; '.join(words for _, words in weak[:WEAKEST])}.")
    lost = [
        f"{count} {status}"
        for status in ("failed", "unscored")
        if (count := sum(getattr(suite, status) for suite in record.suites))
    ]
    said.append(f"Items without a score, which count in no average: {', '.join(lost) or 'none'}.")
    return said


def _shown(one: Asked) -> dict[str, object]:
    answer = one.answer or ""
    cut = len(answer) > LONGEST_ANSWER
    return {
        "one": one,
        "answer": answer[:LONGEST_ANSWER] + (" ..." if cut else ""),
        "expect": json.dumps(one.expect, ensure_ascii=False, indent=1),
    }


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.0f} %"
