"""The evidence panel's HTML: what it says of a claim, a source and an entry, and that it says nothing unescaped."""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from mm4st_agent.agent.answer import Answer, Citation
from mm4st_agent.agent.claims import check
from mm4st_agent.agent.conversations import Conversations
from mm4st_agent.agent.ledger import Evidence, EvidenceValue
from mm4st_agent.toolspec import ImageHandle, Passage
from mm4st_agent.web.evidence import EMPTY, GONE, empty_panel, panel, part_html
from mm4st_agent.web.served import Part

CLOCK = "2025-10-22T07:40+01:00"
NASTY = "<script>alert(1)</script> \" ' & <b>x</b>"
SAFE = "&lt;script&gt;alert(1)&lt;/script&gt;"
PUBLISHED = datetime.fromisoformat("2025-10-22T07:18+01:00")


def series() -> Evidence:
    values = {
        "node": EvidenceValue(value="S096", unit="id"),
        "recent": EvidenceValue(value=41.3333, unit="vehicles/5 min"),
        "usual": EvidenceValue(value=77.1587, unit="vehicles/5 min"),
        **{f"steps[{n}].time": EvidenceValue(value=f"2025-10-22T08:{n:02d}+01:00", unit="time") for n in range(12)},
        **{f"steps[{n}].median": EvidenceValue(value=20.5 + n, unit="vehicles/5 min") for n in range(12)},
        "mixed[0].size": EvidenceValue(value=1.0, unit="km"),
        "mixed[1].size": EvidenceValue(value=2.0, unit="h"),
        "near[0]": EvidenceValue(value="S001", unit="id"),
        "near[1]": EvidenceValue(value="S002", unit="id"),
    }
    return Evidence(
        id="E1", tool="query_series", args={"node": "S096", "covers_from": CLOCK, "note": NASTY}, as_of=CLOCK,
        values=values, words={"channel": "flow", "exact": True, "remark": NASTY}, warnings=[f"Mind {NASTY}"],
        images=[ImageHandle(image_id="a" * 64, title=f"Flow {NASTY}", alt=f"Alt {NASTY}")], seconds=2.019,
    )  # fmt: skip


def log() -> Evidence:
    passage = Passage(
        doc_id="demo/1", text="A collision at Castle Hill. Traffic passes in turns.", source=f"Desk {NASTY}",
        span=(0, 52), published_at=PUBLISHED, place="Castle Hill",
    )  # fmt: skip
    words: dict[str, str | bool] = {"notes[0].title": f"Title {NASTY}", "notes[0].passage.doc_id": "demo/1"}
    return Evidence(id="E2", tool="retrieve_context", args={}, as_of=CLOCK, words=words, texts=[passage], seconds=0.1)


def broken() -> Evidence:
    return Evidence(id="E3", tool="forecast", args={}, as_of=None, error=f"No place. {NASTY}", seconds=0.0)


def an_answer(text: str, **more: Any) -> Answer:
    evidence = [series(), log(), broken()]
    checked = check(text, evidence)
    cited = Citation(**log().texts[0].model_dump(), evidence="E2")
    given: dict[str, Any] = {
        "question": f"How busy? {NASTY}", "answer": checked.text, "claims": checked.claims, "evidence": evidence,
        "figures": [], "citations": [cited], "warnings": [], "chat_model": "embedded", "dataset": "demo",
        "as_of": CLOCK, "thread": "talk", "seconds": 1.0, "turn": 1,
    }  # fmt: skip
    return Answer(**{**given, **more})


def about(answer: Answer, words: str) -> str:
    """What is said of the claim with these words."""
    (index,) = [n for n, claim in enumerate(answer.claims) if claim.text == words]
    html = part_html(answer, Part("claim", "talk", 1, index))
    assert html is not None
    assert "<script" not in html
    assert "<b>" not in html
    return html


def test_a_number_comes_with_its_value_its_place_and_its_call() -> None:
    html = about(an_answer("At S096 it was 41.3 vehicles/5 min [E1]."), "41.3 vehicles/5 min")

    assert '<h2 tabindex="-1">41.3 vehicles/5 min</h2>' in html
    assert "✓ Supported by the evidence." in html
    assert "It is this value, rounded as written:" in html
    assert '<th scope="row">mean of the latest readings</th><td>41.3333 vehicles/5 min</td>' in html
    assert "<h3>Reading the data</h3>" in html
    assert "<dt>place</dt><dd>S096</dd>" in html
    assert "<dt>covers from</dt><dd>2025-10-22 07:40</dd>" in html
    assert "<dt>known up to</dt><dd>2025-10-22 07:40</dd>" in html
    assert "<dt>took</dt><dd>2.0 s</dd>" in html
    assert 'href="#entry-talk-1-0"' in html


def test_a_value_of_a_list_is_named_by_its_rank_and_time() -> None:
    html = about(an_answer("At 08:06 it was 26.5 vehicles/5 min [E1]."), "26.5 vehicles/5 min")

    assert '<th scope="row">steps, 7th: median (at 2025-10-22 08:06)</th><td>26.5 vehicles/5 min</td>' in html


def test_each_status_is_told_in_words() -> None:
    answer = an_answer("The usual at S096 is 78.7 vehicles/5 min [E1]. It was 987 vehicles/5 min [E1].")

    assert "~ Corrected by us" in about(answer, "77.2 vehicles/5 min")
    made_up = about(answer, "987 vehicles/5 min")
    assert "⚠ No support found." in made_up
    assert "origin" not in made_up


def test_a_comparison_and_a_quotation_lead_to_what_they_rest_on() -> None:
    answer = an_answer('The flow at S096 is lower than usual [E1]. It says "Traffic passes in turns." [E2].')

    compared = about(answer, "lower than usual")
    assert "It follows from:" in compared
    assert compared.count("<td>") == 2
    quoted = about(answer, '"Traffic passes in turns."')
    assert "<blockquote><p>A collision at Castle Hill. Traffic passes in turns.</p>" in quoted
    assert "2025-10-22 07:18" in quoted


def test_what_rests_on_no_single_value_says_so() -> None:
    answer = an_answer("At S096 it was 41.3 vehicles/5 min [E1].")
    other = answer.claims[-1].model_copy(update={"kind": "direction", "value": "up", "text": "new", "span": (0, 0)})
    html = part_html(answer.model_copy(update={"claims": [other]}), Part("claim", "talk", 1, 0))

    assert html is not None
    assert "It rests on this step as a whole (E1), not on one value of it." in html


def test_a_source_comes_with_its_title_date_and_place_in_the_document() -> None:
    html = part_html(an_answer("Nothing."), Part("source", "talk", 1, 0))

    assert html is not None
    assert f"Title {SAFE}" in html
    assert "2025-10-22 07:18 · Castle Hill · E2" in html
    assert "Characters 1 to 52 of the text “demo/1”." in html
    assert "<blockquote><p>A collision at Castle Hill." in html
    assert 'href="#entry-talk-1-1"' in html
    assert "<script" not in html


def test_an_entry_shows_all_it_found_as_tables() -> None:
    html = part_html(an_answer("Nothing."), Part("entry", "talk", 1, 0))

    assert html is not None
    assert "E1: Reading the data" in html
    assert '<th scope="row">near</th><td>S001, S002</td>' in html
    assert '<th scope="row">exact</th><td>yes</td>' in html
    assert "<summary>steps: 12 rows</summary>" in html
    assert '<th scope="col">median <small>vehicles/5 min</small></th>' in html
    assert '<tr><th scope="row">12</th><td>2025-10-22 08:11</td><td>31.5</td></tr>' in html
    assert "<td>1 km</td>" in html
    assert "<td>2 h</td>" in html
    assert f'<img src="mm4st/pictures/{"a" * 64}.png" alt="Alt {SAFE}' in html
    assert f"<li>Mind {SAFE}" in html
    assert "<script" not in html
    assert "<b>" not in html


def test_a_failed_step_shows_its_error() -> None:
    html = part_html(an_answer("Nothing."), Part("entry", "talk", 1, 2))

    assert html is not None
    assert f"⚠ That did not work: No place. {SAFE}" in html


@pytest.fixture
def conversations(tmp_path: Path) -> Conversations:
    kept = Conversations(tmp_path / "conversations.sqlite")
    lock = kept.hold("talk")
    assert lock is not None
    answer = an_answer("At S096 it was 41.3 vehicles/5 min [E1].")
    kept.finish("talk", kept.begin("talk", answer.question, "demo"), answer)
    kept.fail("talk", kept.begin("talk", "?", "demo"), "No.")
    lock.release()
    return kept


def test_the_panel_finds_the_stored_turn(conversations: Conversations) -> None:
    html = panel(conversations, "#claim-talk-1-1")

    assert 'data-part="claim-talk-1-1"' in html
    assert "41.3333 vehicles/5 min" in html
    assert "Back to the answer" in html


@pytest.mark.parametrize(
    "link",
    ["#claim-talk-1-99", "#claim-talk-2-0", "#claim-talk-9-0", "#claim-other-1-0", "#chart-talk-1-0", "#x", "", NASTY],
)
def test_a_part_that_is_not_there_gives_a_plain_sentence(conversations: Conversations, link: str) -> None:
    html = panel(conversations, link)

    assert re.sub(r"<[^>]+>", "", html) == f"Evidence{GONE}"
    assert json.dumps(link)[1:-1] not in html or not link


def test_the_empty_panel_says_what_it_is_for() -> None:
    assert re.sub(r"<[^>]+>", "", empty_panel()) == f"Evidence{EMPTY}"
