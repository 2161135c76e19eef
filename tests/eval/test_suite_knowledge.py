"""The knowledge suite: relevant texts were published by the clock, and a later one undoes a score."""

from __future__ import annotations

import asyncio
from datetime import datetime

import pandas as pd
import pytest

from eval.suites.knowledge import EARLY, NOTES, SUITE
from eval.suites.knowledge_questions import NOTE_QUESTIONS
from eval.suites.suite import Item
from mm4st_agent.agent.answer import Answer, Citation
from mm4st_agent.agent.ledger import Evidence
from mm4st_agent.knowledge.notes import CORPUS
from mm4st_agent.runtime import Runtime
from mm4st_agent.toolspec import Passage


@pytest.fixture(scope="module")
def items(runtime: Runtime) -> list[Item]:
    return SUITE.items("dev", runtime)


def passage(doc_id: str, published: str = "2025-09-10T08:00+01:00") -> Passage:
    return Passage(doc_id=doc_id, text=doc_id, source="s", span=(0, 1), published_at=datetime.fromisoformat(published))


def answer_of(found: list[Passage], cited: list[Passage]) -> Answer:
    entry = Evidence(id="E1", tool="retrieve_context", args={}, as_of=None, texts=found, seconds=0.0)
    return Answer(
        question="?", answer="", claims=[], evidence=[entry], figures=[], warnings=[], chat_model="t", dataset="demo",
        citations=[Citation(**text.model_dump(), evidence="E1") for text in cited], thread="t", seconds=0.0,
        as_of="2025-09-10T09:00+01:00",
    )  # fmt: skip


def item_of(*relevant: str, kind: str = "demo log") -> Item:
    return Item(id="i", questions=("?",), dataset="demo", family="f", kind=kind, expect={"relevant": list(relevant)})


def test_items_are_the_same_each_time_and_the_halves_share_nothing(runtime: Runtime, items: list[Item]) -> None:
    other = SUITE.items("test", runtime)

    assert items == SUITE.items("dev", runtime)
    assert not {item.family for item in items} & {item.family for item in other}
    assert not {item.questions for item in items} & {item.questions for item in other}
    logged = [[pd.Timestamp(i.as_of) for i in half if i.as_of is not None] for half in (items, other)]
    assert max(logged[0]) < min(logged[1])


def test_each_note_is_asked_about(items: list[Item]) -> None:
    assert set(NOTE_QUESTIONS) == {path.stem for path in CORPUS.glob("*.md")}
    assert sum(item.kind == NOTES for item in items) == len(NOTE_QUESTIONS)


def test_what_is_relevant_was_published_by_the_clock(runtime: Runtime, items: list[Item]) -> None:
    panel = runtime.registry.open("demo")
    early = 0
    for item in (i for i in items if i.as_of is not None):
        known = {f"demo/{event.id}" for event in panel.until(item.as_of).events}
        assert set(item.expect["relevant"]) <= known
        assert bool(item.expect["relevant"]) == (item.kind != EARLY)
        early += item.kind == EARLY
    assert early == 8


def test_recall_rank_and_precision(runtime: Runtime) -> None:
    found = [passage("demo/x"), passage("demo/a"), passage("note/n"), passage("demo/b")]
    answer = answer_of(found, [passage("demo/a"), passage("demo/x")])

    scored = SUITE.score(item_of("demo/a", "demo/c"), [answer], runtime)

    assert scored is not None
    assert scored.details == {"recall_at_5": 0.5, "mrr": 0.5, "citation_precision": 0.5, "leaked": 0.0}
    assert scored.value == pytest.approx(0.5)
    notes = SUITE.score(item_of("note/n", kind=NOTES), [answer], runtime)
    assert notes is not None
    assert notes.details["mrr"] == 1.0  # the first of the notes, whatever events stand before it


def test_a_text_from_after_the_clock_undoes_the_score(runtime: Runtime) -> None:
    leaked = [passage("demo/a"), passage("demo/b", "2025-09-10T09:01+01:00")]

    scored = SUITE.score(item_of("demo/a"), [answer_of(leaked, leaked[:1])], runtime)

    assert scored is not None
    assert (scored.value, scored.details["leaked"]) == (0.0, 1.0)
    assert "demo/b" in scored.why


def test_the_baseline_takes_the_latest_texts(runtime: Runtime, items: list[Item]) -> None:
    item = next(i for i in items if i.kind == "demo log")
    known = runtime.registry.open("demo").until(item.as_of).events
    latest = [f"demo/{e.id}" for e in sorted(known, key=lambda e: e.published_at)[-5:]]

    scored = SUITE.baseline(item, runtime)

    assert scored is not None
    right = sum(doc_id in latest for doc_id in item.expect["relevant"])
    assert scored.details["citation_precision"] == right / 5


def test_the_embedded_model_is_scored(runtime: Runtime, items: list[Item]) -> None:
    item = next(i for i in items if i.expect["relevant"] == ["note/rain-capacity"])

    answer = asyncio.run(runtime.ask(item.questions[0], dataset=item.dataset, as_of=item.as_of))
    scored = SUITE.score(item, [answer], runtime)

    assert scored is not None
    assert (scored.value, scored.details["leaked"]) == (1.0, 0.0)
