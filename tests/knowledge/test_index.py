from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from mm4st_agent.data.events import Event
from mm4st_agent.data.panel import Panel
from mm4st_agent.data.registry import Registry
from mm4st_agent.knowledge.index import KnowledgeIndex
from mm4st_agent.knowledge.store import Hit, KnowledgeStore

NOON = pd.Timestamp("2024-03-04 12:00", tz="UTC")
OTHER_PROCESS = """
import pathlib, sys
from mm4st_agent.knowledge.store import Document, KnowledgeStore
store = KnowledgeStore(pathlib.Path(sys.argv[1]))
known = store.digests()
assert "note/capacity-drop" in known
store.upsert([Document("tiny/stranger", "event", "A stranger's entry", "log", dataset="tiny")])
"""


def _comparable(hit: Hit) -> Hit:
    """The last digits of an embedding depend on the texts that were embedded with it."""
    return dataclasses.replace(hit, similarity=round(hit.similarity, 4))


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> KnowledgeIndex:
    """One index for all panels and clocks of this file, as a person's home has one."""
    return KnowledgeIndex(tmp_path_factory.mktemp("home") / "knowledge")


def test_events_and_notes_are_found_together(index: KnowledgeIndex, panel: Panel) -> None:
    hits = index.search("What does code 1179 mean?", panel=panel)

    assert {"tiny/crash", "note/chp-codes"} <= {hit.doc_id for hit in hits[:3]}
    crash = next(hit for hit in hits if hit.doc_id == "tiny/crash")
    assert crash.event == panel.events[2]
    assert crash.text == panel.events[2].text[slice(*crash.span)]
    assert crash.heading == "at a"


def test_kind_chooses(index: KnowledgeIndex, panel: Panel) -> None:
    assert {hit.kind for hit in index.search("collision", panel=panel, kind="event", limit=20)} == {"event"}
    assert {hit.kind for hit in index.search("collision", panel=panel, kind="note", limit=20)} == {"note"}
    assert index.search("collision", panel=None, kind="event") == []


def test_only_the_events_asked_for(index: KnowledgeIndex, panel: Panel) -> None:
    hits = index.search("tanker", panel=panel, events=panel.events[:1], kind="event")

    assert [hit.doc_id for hit in hits] == ["tiny/hazard"]
    assert index.search("tanker", panel=panel, events=[], kind="event") == []


def test_a_later_event_is_never_seen_however_well_it_matches(index: KnowledgeIndex, panel: Panel) -> None:
    query = "overturned tanker on fire, all lanes closed"
    assert index.search(query, panel=panel)[0].doc_id == "tiny/tanker"

    hits = index.search(query, panel=panel.until(NOON), limit=40)
    assert {hit.doc_id for hit in hits if hit.kind == "event"} == {"tiny/hazard", "tiny/works", "tiny/crash"}


def test_a_later_end_is_never_shown(index: KnowledgeIndex, panel: Panel) -> None:
    def end_of_works(hits: list) -> pd.Timestamp | None:
        return next(hit.event.end for hit in hits if hit.doc_id == "tiny/works")

    assert end_of_works(index.search("roadworks", panel=panel)) == pd.Timestamp("2024-03-04 13:00", tz="UTC")
    assert end_of_works(index.search("roadworks", panel=panel.until(NOON))) is None


def test_nothing_that_was_indexed_later_changes_an_earlier_answer(tmp_path: Path, panel: Panel) -> None:
    whole, cut = KnowledgeIndex(tmp_path / "whole"), KnowledgeIndex(tmp_path / "cut")
    whole.search("anything", panel=panel)

    for moment in (pd.Timestamp(f"2024-03-04 {hour:02}:00", tz="UTC") for hour in (6, 9, 14)):
        early = panel.until(moment)
        seen, expected = (index.search("lanes closed by a fire", panel=early, limit=9) for index in (whole, cut))
        assert [_comparable(hit) for hit in seen] == [_comparable(hit) for hit in expected]


def test_only_new_or_changed_events_are_written(tmp_path: Path, panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    upsert = KnowledgeStore.upsert

    def watched(store: KnowledgeStore, documents: list) -> None:
        written.extend(document.id for document in documents)
        upsert(store, documents)

    monkeypatch.setattr(KnowledgeStore, "upsert", watched)
    index = KnowledgeIndex(tmp_path)
    index.search("x", panel=panel.until(NOON), kind="event")
    assert written == ["tiny/hazard", "tiny/works", "tiny/crash"]

    written.clear()
    index.search("x", panel=panel, kind="event")
    KnowledgeIndex(tmp_path).search("x", panel=panel, kind="event")
    assert written == ["tiny/tanker"]

    written.clear()
    corrected = dataclasses.replace(panel.events[0], text="1125A-Animal Hazard")
    edited = dataclasses.replace(panel, events=(corrected, *panel.events[1:]))
    hits = index.search("animal", panel=edited, kind="event")
    assert written == ["tiny/hazard"]
    assert hits[0].text == "1125A-Animal Hazard"


def test_an_event_that_left_the_log_is_not_shown(index: KnowledgeIndex, panel: Panel) -> None:
    index.search("x", panel=panel)
    shorter = dataclasses.replace(panel, events=panel.events[:2])

    assert {hit.doc_id for hit in index.search("tanker crash", panel=shorter, kind="event")} == {
        "tiny/hazard",
        "tiny/works",
    }


def test_an_event_without_words_does_no_harm(index: KnowledgeIndex, panel: Panel) -> None:
    silent = dataclasses.replace(panel.events[0], id="silent", text=" ")
    hits = index.search("hazard", panel=dataclasses.replace(panel, events=(silent, *panel.events)), kind="event")

    assert "tiny/silent" not in {hit.doc_id for hit in hits}
    assert len(hits) == 4


def test_another_process_may_write_between_two_searches(tmp_path: Path, panel: Panel) -> None:
    index = KnowledgeIndex(tmp_path)
    index.search("collision", panel=panel)
    subprocess.run([sys.executable, "-c", OTHER_PROCESS, str(tmp_path)], check=True, timeout=120)
    stranger = Event("stranger", "A stranger's entry", NOON, None, NOON, "log", "a")
    wider = dataclasses.replace(panel, events=(*panel.events, stranger))

    hit = index.search("an unknown person wrote this", panel=wider, kind="event")[0]

    assert hit.doc_id == "tiny/stranger"


def test_pems_orange_incidents_are_found_by_code_and_by_meaning(real_data: Path, tmp_path: Path) -> None:
    panel = Registry(real_data, tmp_path / "imported", {}).open("pems-orange").until("2022-01-25T07:30")
    index = KnowledgeIndex(tmp_path / "index")

    by_code = index.search("20002", panel=panel, kind="event", limit=5)
    by_meaning = index.search("a vehicle is burning", panel=panel, kind="event", limit=5)

    assert all("20002" in hit.text for hit in by_code)
    assert any("Fire" in hit.text for hit in by_meaning)
    assert all(hit.event is not None and hit.event.published_at <= panel.end for hit in [*by_code, *by_meaning])
