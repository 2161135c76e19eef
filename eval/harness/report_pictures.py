"""The report's pictures, as SVG that stands in the page; words in it are text."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

if TYPE_CHECKING:
    from eval.harness.record import RunRecord, Score

OURS, BASELINE, SPREAD = "#1f5f99", "#c4621a", "#9db7d1"
_INCHES = 7.2
MOST_KINDS = 25
"""So many kinds of item are drawn."""


def scores_picture(record: RunRecord) -> str:
    """Score with its interval, and the baseline, by suite."""
    return _dots([(suite.name, suite) for suite in record.suites], "Score by suite, with its 95 % interval")


def kinds_picture(record: RunRecord) -> str:
    """The same by kind of item, those below 1, from the lowest on."""
    kinds = [(kind.score, suite, kind) for suite in record.suites for kind in suite.kinds]
    below = [(score, suite, kind) for score, suite, kind in kinds if score is not None and score < 1]
    weakest = sorted(below, key=lambda row: row[0])[:MOST_KINDS]
    rows = [(f"{suite.name}: {kind.kind} ({kind.scored})", kind) for _, suite, kind in weakest]
    return _dots(rows, "Score by kind of item, with its 95 % interval")


def costs_picture(record: RunRecord) -> str:
    """Seconds a question, by suite: each item a dot, and the mean."""
    names = [suite.name for suite in record.suites if any(one.suite == suite.name for one in record.items)]
    figure = Figure(figsize=(_INCHES, 0.9 + 0.34 * len(names)), layout="constrained")
    axes = figure.subplots()
    for place, name in enumerate(names):
        took = [one.seconds / len(one.questions) for one in record.items if one.suite == name]
        axes.scatter(took, [place] * len(took), s=16, color=SPREAD, alpha=0.6, linewidths=0)
        axes.scatter([sum(took) / len(took)], [place], s=42, color=OURS, zorder=3)
    axes.set_xscale("log")
    axes.set_xlabel("seconds a question; the dark dot is the mean")
    return _finished(figure, axes, names, "Seconds a question, by suite")


def _dots(rows: Sequence[tuple[str, Score]], title: str) -> str:
    figure = Figure(figsize=(_INCHES, 0.9 + 0.3 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for place, (_, score) in enumerate(rows):
        if score.low is not None and score.high is not None:
            axes.plot([score.low, score.high], [place, place], color=SPREAD, linewidth=5, solid_capstyle="round")
        if score.baseline is not None:
            axes.scatter([score.baseline], [place], marker="D", s=34, color=BASELINE, zorder=3)
        if score.score is not None:
            axes.scatter([score.score], [place], s=46, color=OURS, zorder=4)
    axes.scatter([], [], s=46, color=OURS, label="score")
    axes.scatter([], [], marker="D", s=34, color=BASELINE, label="baseline")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False, fontsize=9, borderaxespad=0)
    axes.set_xlim(-0.03, 1.03)
    axes.set_xlabel("score, 0 to 1")
    return _finished(figure, axes, [name for name, _ in rows], title)


def _finished(figure: Figure, axes: object, names: list[str], title: str) -> str:
    from matplotlib.axes import Axes

    assert isinstance(axes, Axes)
    axes.set_yticks(range(len(names)), names, fontsize=9)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(axis="x", color="#e3e3e3")
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="y", length=0)
    return _svg(figure, title)


def _svg(figure: Figure, title: str) -> str:
    import matplotlib as mpl

    page = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": title}):
        figure.savefig(page, format="svg", metadata={"Date": None, "Title": title})
    drawn = page.getvalue()
    return drawn[drawn.index("<svg") :].replace("<svg ", f'<svg role="img" aria-label="{title}" ', 1)
