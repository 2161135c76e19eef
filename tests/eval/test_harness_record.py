"""Records: means that leave out what has no score, comparisons over what both runs scored, and the report's page."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eval.harness.compare import compared_runs
from eval.harness.guard import Floor, below_floors
from eval.harness.record import (
    RUNS,
    Asked,
    RunRecord,
    SuiteScore,
    cost_of,
    details_of,
    gain_of,
    kinds_of,
    read_record,
    score_of,
    write_record,
)
from eval.harness.report import page_of, worst_items, write_report
from eval.harness.statistics import mean_of
from mm4st_agent.errors import DataError, UsageError


def asked(id_: str = "a", value: float | None = 1.0, **fields: Any) -> Asked:
    usual: dict[str, Any] = {
        "suite": "honesty", "id": id_, "epoch": 1, "kind": "place", "dataset": "demo", "as_of": None,
        "questions": ["How busy is Atlantis?"], "answer": "I do not know.", "expect": {"due": ["decline"]},
        "status": "scored" if value is not None else "failed", "value": value, "why": "because", "baseline": 0.0,
        "model_calls": 2, "tool_calls": 1, "tokens": None, "seconds": 0.5,
    }  # fmt: skip
    return Asked.model_validate({**usual, **fields})


def record(items: list[Asked], **fields: Any) -> RunRecord:
    suites = [
        SuiteScore(
            name=name, measures="What it says.", baseline_name="chance", **score_of(group).model_dump(),
            gain={"mean": gain_of(group).value, "low": gain_of(group).low, "high": gain_of(group).high},
            cost=cost_of(group), details=details_of(group), kinds=kinds_of(group), skipped={}, log="logs/x.eval",
        )
        for name in dict.fromkeys(one.suite for one in items)
        for group in [[one for one in items if one.suite == name]]
    ]  # fmt: skip
    usual: dict[str, Any] = {
        "name": "run", "target": "all", "chat_model": "embedded", "model": "embedded", "half": "dev", "limit": None,
        "epochs": 1, "seed": 0, "commit": "c" * 40, "dirty": False, "created": datetime(2026, 1, 1, tzinfo=UTC),
        "versions": {"python": "3.11"}, "settings": {"seed": 0}, "prompts": {"system": "0"}, "data": {"demo": None},
        "machine": "a machine", "suites": suites, "items": items,
    }  # fmt: skip
    return RunRecord.model_validate({**usual, **fields})


def test_a_failed_item_is_no_zero() -> None:
    items = [asked("a", 1.0), asked("b", 0.5), asked("c", None), asked("d", None, status="unscored")]

    found = score_of(items)

    assert (found.score, found.scored, found.unscored, found.failed) == (0.75, 2, 1, 1)
    assert found.baseline == 0.0


def test_epochs_are_averaged_within_their_item() -> None:
    items = [asked("a", 1.0), asked("a", 0.0, epoch=2), asked("a", None, epoch=3), asked("b", 1.0)]

    found = score_of(items)

    assert (found.score, found.scored, found.failed) == (0.75, 2, 0)


def test_nothing_scored_is_null() -> None:
    found = score_of([asked("a", None)])

    assert (found.score, found.low, found.high, found.baseline) == (None, None, None, None)


def test_the_interval_covers_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)

    covered = sum(
        found.low <= 0.7 <= found.high
        for _ in range(200)
        if (found := mean_of((rng.random(60) < 0.7).astype(float).tolist())).low is not None and found.high is not None
    )

    assert 0.89 <= covered / 200 <= 0.99


def test_the_gain_is_paired_and_leaves_out_items_without_a_baseline() -> None:
    items = [asked("a", 1.0, baseline=0.5), asked("b", 0.5, baseline=0.0), asked("c", 0.0, baseline=None)]

    found = gain_of(items)

    assert (found.value, found.low, found.high, found.of) == (0.5, 0.5, 0.5, 2)


def test_cost_is_of_a_question_and_unknown_tokens_are_null() -> None:
    items = [asked("a", questions=["x?", "y?"], tokens=600), asked("b", None)]

    found = cost_of(items)

    assert (found.model_calls, found.tool_calls, found.tokens) == (pytest.approx(4 / 3), pytest.approx(2 / 3), 300)
    assert cost_of([asked("a")]).tokens is None


def test_details_without_a_value_are_left_out_of_their_mean() -> None:
    items = [asked("a", details={"slots": 1.0, "mrr": None}), asked("b", details={"slots": 0.5})]

    assert details_of(items) == {"slots": 0.75, "mrr": None}


def test_a_record_is_read_by_name_and_by_path(tmp_path: Path) -> None:
    folder = tmp_path / RUNS / "run"
    folder.mkdir(parents=True)
    written = record([asked()])
    write_record(written, folder)

    assert read_record("run", tmp_path) == read_record(str(folder), Path("elsewhere")) == written
    with pytest.raises(UsageError, match=r"no finished run 'rum'\. Known: run\."):
        read_record("rum", tmp_path)
    (folder / "record.json").write_text('{"format": 2}')
    with pytest.raises(DataError, match="is no record of a run: format"):
        read_record("run", tmp_path)


def test_runs_are_compared_over_what_both_scored() -> None:
    first = record([asked("a", 0.0), asked("b", 0.5), asked("c", 1.0), asked("d", None)], name="first")
    second = record(
        [asked("a", 1.0), asked("b", 0.5), asked("c", None), asked("d", 1.0)], name="second", commit="d" * 40
    )

    found = compared_runs(first, second)

    (suite,) = found.suites
    assert (suite.items, suite.only_first, suite.only_second, suite.better, suite.worse) == (2, 1, 1, 1, 0)
    assert (suite.first, suite.second, suite.difference) == (0.25, 0.75, 0.5)
    assert suite.low is not None
    assert suite.low <= 0.5
    assert found.differs == {"commit": ("c" * 40, "d" * 40)}


def test_runs_without_a_common_item_are_refused() -> None:
    with pytest.raises(UsageError, match="No item was scored in both"):
        compared_runs(record([asked("a")]), record([asked("b")]))
    with pytest.raises(UsageError, match="no item is in both"):
        compared_runs(record([asked("a")]), record([asked("a")], half="test"))


def test_a_score_below_its_floor_and_lost_items_are_told() -> None:
    run = record([asked("a", 1.0), asked("b", 0.0), asked("c", None)])

    def floor(limit: int, value: float, scored: int = 2) -> dict[str, Floor]:
        return {"honesty": Floor(limit=limit, scored=scored, score=value, floor=value)}

    assert below_floors(run, floor(3, 0.5)) == []
    assert below_floors(run, floor(3, 0.51)) == ["honesty scores 0.500, below its floor of 0.510."]
    assert below_floors(run, floor(3, 0.5, scored=3)) == ["honesty scored 2 items, not 3; 1 failed."]
    assert below_floors(run, {"planning": floor(3, 0.1)["honesty"]}) == ["planning scored nothing."]


def test_the_worst_items_begin_with_failures_and_let_suites_take_turns() -> None:
    items = [asked(f"h{n}", 0.0) for n in range(30)]
    items += [
        asked("p1", 0.2, suite="planning"),
        asked("p2", None, suite="planning"),
        asked("p3", 1.0, suite="planning"),
    ]

    worst = worst_items(items)

    assert len(worst) == 20
    assert [one.id for one in worst[:2]] == ["p2", "h0"]
    assert "p1" in {one.id for one in worst}
    assert "p3" not in {one.id for one in worst}


def test_the_page_stands_alone_and_shows_words_as_words(tmp_path: Path) -> None:
    evil = asked("x", 0.0, answer="<script>alert(1)</script>", why="It <b>lied</b>.")
    run = record([asked("a"), evil, asked("c", None, why="The server broke off."), asked("d", 0.4, suite="planning")])

    page = write_report(run, tmp_path / "report.html").read_text()

    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "It &lt;b&gt;lied&lt;/b&gt;." in page
    assert 'aria-label="honesty: score 0.500, baseline 0.000"' in page
    assert '<circle class="score" cx="50.0%"' in page
    assert 'aria-label="honesty: 0.50 s a question on average"' in page
    assert not [word for word in ("<link", "<img", "src=", "@import", "url(http") if word in page]
    assert "The server broke off." in page
    with pytest.raises(UsageError, match="There is no folder"):
        write_report(run, tmp_path / "none" / "report.html")


def test_the_page_says_first_where_the_agent_is_weak() -> None:
    strong = [asked(f"h{n}", 1.0) for n in range(4)]
    weak = [asked(f"e{n}", 0.25, suite="explaining", kind="causes", baseline=0.5) for n in range(4)]

    page = page_of(record([*strong, *weak, asked("c", None, suite="safety", kind="leaks")]))

    short = page[page.index("In short") : page.index("How it scores")]
    assert "Above the baseline: honesty." in short
    assert "Below the baseline: explaining." in short
    assert "No score: safety." in short
    assert "Weakest kinds of item: explaining, causes: 0.25 over 4." in short
    assert "Items without a score, which count in no average: 1 failed." in short


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1440])
def test_the_page_fits_wide_and_narrow_windows(width: int, browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    run = record([asked("a"), asked("b", 0.0, answer="x" * 400), asked("d", 0.4, suite="planning", kind="k" * 60)])
    path.write_text(page_of(run))
    page = browser.new_page(viewport={"width": width, "height": 900})

    page.goto(path.as_uri())

    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.get_by_text("The worst 2 items").is_visible()
    pictures = page.locator(".chart li > svg")
    assert pictures.count() == 6
    for box in (picture.bounding_box() for picture in pictures.all()):
        assert box is not None
        assert 0 < box["x"] < box["x"] + box["width"] < width, "nothing of a picture is cut off"
    page.close()
