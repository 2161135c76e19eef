"""Replays for people: tables, sentences, and the picture of a backtest."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from eval.replay.again import Replay, unequal
from eval.replay.rolled import Moment, Rolled, Score
from eval.replay.truth import ForecastScore
from mm4st_agent.data.panel import Panel

if TYPE_CHECKING:
    from mm4st_agent.imaging.figure import Picture

_MOST_CHANGES = 8
"""Lines that one entry gets; `--json` has all of them."""
_LONGEST = 60
_WIDTH = 100


def print_replay(found: Replay) -> None:
    """Print what became of each ledger entry, and what else differs."""
    from rich.console import Console

    console = Console(highlight=False, markup=False, soft_wrap=True)
    console.print(f"{found.question}\n{found.dataset} as of {found.as_of}\n")
    for entry in found.entries:
        rest = f"; {entry.claims} claims rest on it" if entry.status == "changed" else ""
        console.print(f"{entry.id:4} {entry.tool:18} {entry.status}{rest}")
        for change in entry.changes[:_MOST_CHANGES]:
            console.print(f"       {change.what} {change.path}: {_brief(change.then)} -> {_brief(change.now)}")
        if len(entry.changes) > _MOST_CHANGES:
            console.print(f"       and {len(entry.changes) - _MOST_CHANGES} more (--json shows them)")
    for difference in found.differs:
        then, now = difference.then, difference.now
        both = isinstance(then, dict) and isinstance(now, dict)
        for part, before, after in unequal(then, now) if both else [("", then, now)]:
            name = f"{difference.what} {difference.name} {part}".rstrip()
            console.print(f"{name}: {_brief(before)} -> {_brief(after)}")
    console.print(f"\n{verdict(found)}")


def verdict(found: Replay) -> str:
    """The outcome in one sentence or two."""
    calls = len(found.entries)
    if calls == 0:
        told = "The answer called no tool, so there is no evidence to compare."
    elif found.changed == 0:
        told = f"All {calls} entries of the ledger are the same."
    else:
        told = (
            f"{found.changed} of {calls} entries changed; {found.claims_at_stake} of {found.claims} claims of the "
            "answer rest on them."
        )
    kinds = Counter(difference.what for difference in found.differs)
    if kinds:
        named = ", ".join(f"{kind} ({n})" if n > 1 else kind for kind, n in kinds.items())
        told += f" Also different from then: {named}."
    return told


def print_rolled(found: Rolled) -> None:
    """Print a row a moment, and the totals in words."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for name in ("as of", "place"):
        table.add_column(name, no_wrap=True)
    for name in ("forecast", "80 % interval", "came", "MAE", "baseline", "inside", "claims", "s"):
        table.add_column(name, justify="right", no_wrap=True)
    for moment in found.moments:
        for row in _rows(moment):
            table.add_row(*row)
    # Figures that are cut off would be worse than lines that wrap.
    console = Console(width=max(Console().width, _WIDTH), highlight=False, markup=False, soft_wrap=True)
    console.print(f"{found.question}\n{found.dataset}, answered by {found.chat_model}\n")
    console.print(table)
    console.print("\nforecast, interval and came: total or mean of the span; MAE and inside: its steps.\n")
    for line in totals(found):
        console.print(line)
    if found.picture is not None:
        console.print(f"Picture: {found.picture}")


def totals(found: Rolled) -> list[str]:
    """The outcome in sentences."""
    lines = [_total(score) for score in found.scores] or ["No answer held a forecast to compare with the truth."]
    counts = f"{len(found.moments)} moments: {found.answered} answered, {found.refused} refused, {found.failed} failed"
    shares = "no claim was made" if found.verified_share is None else f"{found.verified_share:.3g} % verified"
    pace = "" if found.seconds is None else f"; {found.seconds:.1f} s an answer (median)"
    lines.append(f"{counts}. Claims: {found.claims}, {shares}{pace}.")
    failures = Counter(moment.error for moment in found.moments if moment.error is not None)
    lines += [f"Failed {n} times: {error}" for error, n in failures.most_common(3)]
    return lines


def _total(score: Score) -> str:
    if score.mae is None or score.coverage80 is None:
        return f"{score.channel}: {score.forecasts} forecasts, but nothing was measured later to compare with."
    told = (
        f"{score.channel}: MAE {_number(score.mae)} {score.unit} ({score.baseline or 'the best baseline each time'}: "
        f"{_number(score.baseline_mae)}), {score.coverage80:.0f} % of {score.truths} truths inside the 80 % interval"
    )
    if score.total_coverage80 is not None:
        told += f", {score.total_coverage80:.0f} % of {score.totals} whole spans"
    if score.in_sample:
        told += (
            f". {score.in_sample} of {score.forecasts} forecasts lie before the end of the model's training and "
            "tuning, so it has an advantage there"
        )
    return f"{told}."


def _noted(score: Score) -> str:
    """The main figures, short enough for a picture."""
    if score.mae is None or score.coverage80 is None:
        return "Nothing was measured later."
    return (
        f"MAE of the steps: {_number(score.mae)} {score.unit} (baseline {_number(score.baseline_mae)}); "
        f"{score.coverage80:.0f} % of {score.truths} truths inside the 80 % interval."
    )


def _rows(moment: Moment) -> Iterator[list[str]]:
    when = f"{datetime.fromisoformat(moment.as_of):%Y-%m-%d %H:%M}"
    end = [f"{moment.verified}/{moment.claims}", _number(moment.seconds, "{:.1f}")]
    if moment.status != "answered":
        yield [when, moment.status, *[""] * 6, *end]
    elif not moment.forecasts:
        yield [when, "no forecast", *[""] * 6, *end]
    for position, found in enumerate(moment.forecasts):
        total = found.total
        yield [
            when if position == 0 else "",
            found.node,
            _number(total.median),
            f"{_number(total.low)} .. {_number(total.high)}",
            _number(total.truth),
            _number(found.mae),
            _number(found.baseline_mae),
            f"{found.inside}/{found.truths}",
            *(end if position == 0 else ["", ""]),
        ]


def picture_of(found: Rolled, panel: Panel) -> Picture:
    """Forecasts against truths over the moments, of the place and channel that most answers forecast."""
    from mm4st_agent.imaging.replayed import draw_replayed

    counts = Counter((f.node, f.channel) for m in found.moments for f in m.forecasts)
    key = counts.most_common(1)[0][0] if counts else None
    shown = [next((f for f in m.forecasts if (f.node, f.channel) == key), None) for m in found.moments]
    first = next((f for f in shown if f is not None), None)
    parts = _totals_of(shown)
    title, unit, note = found.question, "", f"Asked at {len(found.moments)} past moments."
    if first is not None:
        channel = panel.channel(first.channel)
        words = {"sum": "total", "mean": "mean"}[channel.aggregation]
        title, unit = f"{panel.place(first.node)}: {channel.label}, {words} of each forecast span", first.total.unit
        note += f" {_noted(found.scores[0])}" if len(found.scores) == 1 else ""
    return draw_replayed(
        moments=pd.DatetimeIndex(pd.to_datetime([m.as_of for m in found.moments], utc=True)),
        **parts,
        inside=np.array([np.nan if f is None or not f.truths else 100 * f.inside / f.truths for f in shown]),
        verified=np.array([100 * m.verified / m.claims if m.claims else np.nan for m in found.moments]),
        title=f"{title[:1].upper()}{title[1:]}",
        note=note,
        unit=unit,
        time_zone=panel.card.time_zone,
        synthetic=panel.card.synthetic,
    )


def _totals_of(shown: list[ForecastScore | None]) -> dict[str, Any]:
    names = ("low", "median", "high", "baseline", "truth")
    rows = [[np.nan] * len(names) if f is None else [getattr(f.total, name) for name in names] for f in shown]
    return dict(zip(names, np.array(rows, dtype=np.float64).T, strict=True))


def _number(value: float | None, form: str = "{:.4g}") -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 and form == "{:.4g}" else form.format(value)


def _brief(value: Any) -> str:
    text = "nothing" if value is None else value if isinstance(value, str) else repr(value)
    if re.fullmatch("[0-9a-f]{40,64}", text):  # a hash: its beginning tells it from others
        return text[:12]
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
