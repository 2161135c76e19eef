"""Messages of the chat: steps, drafts, and answers in which every claim is a link."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mm4st_agent.agent.answer import Answer, AnswerFigure, Citation, Claim
from mm4st_agent.agent.claims import check
from mm4st_agent.agent.conversations import Turn
from mm4st_agent.agent.ledger import Evidence, EvidenceValue, from_person, from_question
from mm4st_agent.agent.run_events import Answered, Drafted, ToolFinished, ToolStarted
from mm4st_agent.errors import UsageError
from mm4st_agent.web import answers
from mm4st_agent.web.answers import (
    BUG,
    STOPPED,
    THINKING,
    UNREAD,
    Message,
    answer_html,
    answered,
    closed,
    count_messages,
    failed,
    question_of,
    said,
    shown,
    turn_messages,
    waiting,
)
from mm4st_agent.web.prose import Mark, to_html
from mm4st_agent.web.served import Part

CLOCK = "2025-10-22T07:40+01:00"
NASTY = "<script>alert(1)</script> <img src=x onerror=alert(2)> \"quoted\" 'too' & `code` **bold**\n\nnext"


class Reader(HTMLParser):
    """Which links there are with their words, all text, and whether tags close in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.links: dict[str, str] = {}
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.ids += [value for name, value in attrs if name == "id" and value]
        if tag not in ("img", "br", "hr"):
            assert tag != "a" or all(name != "a" for name, _ in self.open)
            self.open.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        for _, attrs in self.open:
            if href := attrs.get("href"):
                self.links[href] = self.links.get(href, "") + data


def entry(id_: str, tool: str = "query_series", **more: Any) -> Evidence:
    values = {
        "recent": EvidenceValue(value=41.3333, unit="vehicles/5 min"),
        "usual": EvidenceValue(value=77.1587, unit="vehicles/5 min"),
        "node": EvidenceValue(value="S096", unit="id"),
    }
    args = {"dataset": "demo", "node": "S096", "hours": 24}
    given = {"args": args, "as_of": CLOCK, "values": values, "words": {"channel": "flow"}, "seconds": 0.25}
    return Evidence(id=id_, tool=tool, **{**given, **more})


def question(id_: str = "E1") -> Evidence:
    return from_question(id_, "How busy?", {"dataset": "demo", "place_ids": ["S096"], "channels": []}, CLOCK)


def picture(id_: str, evidence: str, title: str = "Flow") -> AnswerFigure:
    return AnswerFigure(image_id=id_, title=title, alt=f"Alt of {title}", evidence=evidence, path=f"/secret/{id_}.png")


def answer_of(text: str, evidence: Sequence[Evidence], claims: Sequence[Claim] | None = None, **more: Any) -> Answer:
    if claims is None:
        checked = check(text, evidence)
        text, claims = checked.text, checked.claims
    given: dict[str, Any] = {
        "question": "How busy?", "answer": text, "claims": list(claims), "evidence": list(evidence), "figures": [],
        "citations": [], "warnings": [], "chat_model": "embedded", "dataset": "demo", "as_of": CLOCK,
        "thread": "t-1", "seconds": 3.21, "turn": 4,
    }  # fmt: skip
    return Answer(**{**given, **more})


def turn_of(answer: Answer | None, **more: Any) -> Turn:
    given: dict[str, Any] = {"n": 4, "question": "How busy?", "asked_at": datetime.now(UTC), "state": "answered"}
    return Turn(**{**given, "answer": answer, **more})


def claim(text: str, words: str, status: str = "verified") -> Claim:
    start = text.index(words)
    return Claim.model_validate(
        {
            "text": words, "span": (start, start + len(words)), "kind": "number", "value": 1.0, "unit": None,
            "status": status, "evidence": [] if status == "unsupported" else ["E2"],
        }
    )  # fmt: skip


def linked(text: str, *claims: Claim) -> Reader:
    return Reader(answer_html(answer_of(text, [question(), entry("E2")], claims), 4))


# -- steps ------------------------------------------------------------------------------------


def test_a_step_says_what_runs_with_what_and_how_it_ended() -> None:
    args = {"node": "S096", "covers_from": CLOCK, "places": ["S001", "S002"], "exact": True, "other": None}
    chat = shown([], ToolStarted("c1", "query_series", "Reading the data", args))

    assert chat[0]["metadata"] == {"id": "c1", "title": "Reading the data", "status": "pending"}
    assert Reader(chat[0]["content"]).text == ("place: S096covers from: 2025-10-22 07:40places: S001, S002exact: yes")

    chat = shown(chat, ToolFinished("c1", entry("E2")))
    assert chat[0]["metadata"]["status"] == "done"
    assert (chat[0]["metadata"]["duration"], chat[0]["metadata"]["log"]) == (0.25, "E2")
    assert "Found: 3 values. It is kept as E2." in chat[0]["content"]


def test_a_failed_step_says_why() -> None:
    chat = shown([], ToolStarted("c1", "forecast", "Forecasting", {}))
    chat = shown(chat, ToolFinished("c1", entry("E2", values={}, error=f"No such place. {NASTY}")))

    assert chat[0]["metadata"]["log"] == "E2, failed"
    assert "That did not work: No such place." in Reader(chat[0]["content"]).text
    assert "<script" not in chat[0]["content"]
    assert "\n" not in chat[0]["content"]


def test_only_the_step_that_ended_changes() -> None:
    chat: list[Message] = []
    for name in ("a", "b"):
        chat = shown(chat, ToolStarted(name, "forecast", "Forecasting", {}))
    chat = shown(chat, ToolFinished("b", entry("E3")))

    assert [m["metadata"]["status"] for m in chat] == ["pending", "done"]
    assert waiting(chat) == chat
    assert [m["metadata"].get("log") for m in closed(chat)] == ["broken off", "E3"]
    assert waiting(closed(chat))[-1] == THINKING


def test_a_draft_is_labelled_and_gives_way() -> None:
    chat = shown([said("How busy?")], Drafted("It is **41"))
    chat = shown(chat, Drafted(f"It is **41** vehicles. {NASTY}"))

    assert len(chat) == 2
    assert UNREAD in chat[1]["content"]
    assert "<strong>41</strong>" in chat[1]["content"]
    assert "<script" not in chat[1]["content"]
    assert waiting(chat) == chat
    assert shown(chat, Drafted("")) == chat[:1]
    assert closed(chat) == chat[:1]
    assert shown(chat, ToolStarted("c", "forecast", "Forecasting", {}))[1]["metadata"]["id"] == "c"
    answer = answer_of("41.3 vehicles/5 min [E2].", [question(), entry("E2")])
    assert shown(chat, Answered(answer)) == [chat[0], answered(answer)]


def test_errors_are_sentences_and_bugs_are_only_named(caplog: pytest.LogCaptureFixture) -> None:
    assert failed(UsageError("No <b>.", "Try `x`."))["content"] == '<p class="sentence">No &lt;b&gt;. Try `x`.</p>'
    assert BUG in Reader(failed(ZeroDivisionError("secret"))["content"]).text
    assert "secret" in caplog.text


# -- a stored turn ----------------------------------------------------------------------------


def test_a_stored_turn_looks_as_it_did_while_it_ran() -> None:
    old, new = entry("E2"), entry("E4", tool="forecast", args={"node": "S096"})
    answer = answer_of("41.3 vehicles/5 min [E2, E4].", [old, question("E3"), new])
    live = [said("How busy?")]
    for event in (
        ToolStarted("call-1", "forecast", "Forecasting", {"node": "S096"}),
        ToolFinished("call-1", new),
        Answered(answer),
    ):
        live = shown(live, event)

    stored = turn_messages(turn_of(answer))

    assert stored[1]["metadata"].pop("id") == "E4"
    assert live[1]["metadata"].pop("id") == "call-1"
    assert stored == live


def test_the_steps_before_a_question_back_belong_to_the_turn_before() -> None:
    asked = from_person("E3", "clarify", {"question": "Which?"}, CLOCK, "S096")
    answer = answer_of(
        "It is 41.3 vehicles/5 min [E4].", [question(), entry("E2", tool="find_places"), asked, entry("E4")]
    )

    assert [m["metadata"]["id"] for m in turn_messages(turn_of(answer)) if "metadata" in m] == ["E4"]


@pytest.mark.parametrize(
    ("state", "message", "told"),
    [
        ("running", None, []),
        ("stopped", None, [STOPPED]),
        ("failed", "No <data>.", ["No <data>."]),
        ("failed", None, [BUG]),
    ],
)
def test_a_turn_without_an_answer_says_what_came_instead(state: str, message: str | None, told: list[str]) -> None:
    messages = turn_messages(turn_of(None, state=state, message=message))

    assert [Reader(m["content"]).text for m in messages] == ["How busy?", *told]
    assert count_messages(turn_of(None, state=state, message=message)) == len(messages)


def test_a_turn_is_written_once_and_again_where_it_looks_different(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    write = answers.answer_html

    def note(answer: Answer, turn: int) -> str:
        written.append(answer.answer)
        return write(answer, turn)

    monkeypatch.setattr(answers, "answer_html", note)
    answer = answer_of("Once 41.3 vehicles/5 min [E2].", [question(), entry("E2")])

    first = turn_messages(turn_of(answer))
    first[-1]["content"] = "changed by who got it"
    second = turn_messages(turn_of(answer))
    told = turn_messages(turn_of(answer.model_copy(update={"warnings": ["Old readings."]})))

    assert len(written) == 2
    assert "Once" in second[-1]["content"]
    assert "Old readings." in told[-1]["content"]
    assert count_messages(turn_of(answer)) == len(second) == 3


def test_the_persons_words_stay_their_words() -> None:
    message = said(NASTY)

    assert Reader(message["content"]).tags == []
    assert question_of(message["content"]) == NASTY.strip()


# -- claims -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "It is 41 now.",
        "**41** vehicles",
        "**It is 41 now**",
        "- one\n- 41\n  - 41b",
        "1. 41\n2. two",
        "| a | b |\n|---|---|\n| x \\| y | **41** |",
        "| 41 | b |\n|---|---|\n| 1 | 2 |",
        "# 41 vehicles",
        "> quoted 41",
        "run `x = 41` then",
        "```\nx = 41\n\ny\n```",
        "a\\* 41 \\_b",
        "~~gone~~ 41",
        "line\n41\nline",
        "[41](http://elsewhere.invalid/41)",
        "![41](http://elsewhere.invalid/x.png)",
        "[41]: http://elsewhere.invalid/",
        "<b>41</b>",
        "41\r\nnext",
        "old\rmac\r\n\r\n41",
        "    41 indented",
    ],
)
def test_a_claim_is_a_link_wherever_it_stands(text: str) -> None:
    page = linked(text, claim(text, "41"))

    assert page.links == {"#claim-t-1-4-0": "41"}
    assert not {"img", "b"} & set(page.tags)


def test_a_claim_across_markup_stays_one_link_in_well_formed_pieces() -> None:
    text = "It is **41 vehicles** per *hour* now"
    page = linked(text, claim(text, "41 vehicles** per *hour"))

    assert page.links == {"#claim-t-1-4-0": "41 vehicles per hour"}


def test_claims_side_by_side_and_over_each_other_all_have_a_link() -> None:
    text = "S096 (Castle Hill 12) 4142"
    spans = ("S096 (Castle Hill 12)", "12", "41", "42", "41", "096 (Cas")
    page = linked(text, *(claim(text, words) for words in spans))

    said_by = [page.links[f"#claim-t-1-4-{n}"] for n in range(len(spans))]
    assert (
        said_by == ["S(tle Hill )".replace("(", ""), "12", "41", "42", "+", "096 (Cas"] or said_by[0] == "Stle Hill )"
    )
    assert page.text.startswith("S096 (Castle Hill 12) 41+42")


def test_each_status_is_told_without_colour() -> None:
    text = "now 41, then 42, later 43 [unsupported]. A liar writes 44 [unsupported]."
    html = answer_html(
        answer_of(
            text,
            [question(), entry("E2")],
            [claim(text, "41"), claim(text, "42", "corrected"), claim(text, "43", "unsupported"), claim(text, "44")],
        ),
        4,
    )

    assert '<a class="claim verified" href="#claim-t-1-4-0" role="button">41</a>,' in html
    assert re.search(r'<a class="claim corrected"[^>]*>42</a><sup class="flag"[^>]*>~</sup>,', html)
    assert re.search(
        r'<a class="claim unsupported"[^>]*><s>43</s></a> <strong class="flag">⚠ unsupported</strong>\.', html
    )
    assert "44</a> [unsupported]." in html


def test_evidence_marks_are_links_where_there_is_such_an_entry() -> None:
    page = linked("It is so [E1, E2]. And so [E9].")

    assert page.links == {"#entry-t-1-4-0": "E1", "#entry-t-1-4-1": "E2"}
    assert "[E1, E2]" in page.text
    assert "[E9]" in page.text


def test_a_real_check_leads_to_a_link_for_each_claim() -> None:
    text = f"**S096** has 41.3 vehicles/5 min [E2], and 987 vehicles/5 min [E2].\n\n{NASTY}"
    answer = answer_of(text, [question(), entry("E2")])
    page = Reader(answer_html(answer, 4))

    assert {c.status for c in answer.claims} == {"verified", "unsupported"}
    for n, one in enumerate(answer.claims):
        assert page.links[f"#{Part('claim', 't-1', 4, n)}"] == one.text
    assert "script" not in page.tags
    assert "\n" not in answer_html(answer, 4)


MARKDOWN = st.lists(
    st.sampled_from([*"ab1 2*_`~#>-|\\[]()<&!\n.:\ré☂\0", "\r\n", "```", "| a |\n|---|\n"]), max_size=40
).map("".join)


@given(MARKDOWN, st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)), max_size=5))
def test_marks_change_no_word_of_any_markdown(text: str, spans: list[tuple[int, int]]) -> None:
    inside = [(start, min(start + length, len(text))) for start, length in spans if start < len(text)]
    marks = [Mark(start, end, f'<a href="#{n}">', "</a>") for n, (start, end) in enumerate(inside)]

    plain, marked = Reader(to_html(text)), Reader(to_html(text, marks))

    assert marked.text.replace("+", "") == plain.text.replace("+", "")
    assert "\n" not in to_html(text, marks)
    assert "\0" not in to_html(text, marks)
    for n, mark in enumerate(marks):
        words = marked.links.get(f"#{n}", "")
        told = text[mark.start : mark.end].replace("\0", "�").replace("\r", " ")
        assert words == "+" or set(words) <= set(told)


@given(
    st.lists(
        st.sampled_from(["41", "S096", "5 km", "x.", "**", "*", "`y`", " ", "  ", "\n", "\n\n", "- ", "| "]),
        max_size=25,
    )
)
def test_no_digit_of_a_claim_is_left_without_its_link(pieces: list[str]) -> None:
    text = "".join(pieces)
    marks = [Mark(*m.span(), f'<a href="#{n}">', "</a>") for n, m in enumerate(re.finditer(r"41|S096|5 km", text))]

    page = Reader(to_html(text, marks))

    assert [page.links.get(f"#{n}") for n in range(len(marks))] == [text[m.start : m.end] for m in marks]


# -- what belongs to an answer ----------------------------------------------------------------


def test_pictures_stand_where_they_are_spoken_of_and_each_once() -> None:
    evidence = [
        question(),
        entry("E2"),
        entry("E3", tool="forecast"),
        entry("E4"),
        entry("E5", tool="forecast", error="No."),
    ]
    text = "First [E2].\n\nThen:\n\n- a list [E3, E2]\n- more\n\nThe end."
    figures = [picture("aa", "E3", "Forecast"), picture("bb", "E4", "Unspoken"), picture("cc", "E2", f"Flow {NASTY}")]
    html = answer_html(answer_of(text, evidence, [], figures=figures), 4)

    order = [re.search(pattern, html) for pattern in ("First", "cc.png", "Then", "more", "aa.png", "The end", "bb.png")]
    places = [found.start() for found in order if found is not None]
    assert len(places) == len(order)
    assert places == sorted(places)
    assert html.count("<img") == 3
    assert '<figure class="chart" id="chart-t-1-4-0"><a href="mm4st/pictures/aa.png"' in html
    assert html.count('class="chart"') == 1
    assert 'alt="Alt of Forecast"' in html
    assert "secret" not in html
    assert "script" not in Reader(html).tags


def test_sources_warnings_choices_and_footer_are_told_in_plain_words() -> None:
    passage = {"doc_id": "d", "text": "A collision.", "span": (0, 12), "evidence": "E2"}
    dated = {"published_at": datetime.fromisoformat("2025-10-22T07:18+01:00"), "place": "Castle Hill"}
    citations = [
        Citation(**passage, source=f"Desk {NASTY}", **dated),
        Citation(**passage, source="Book"),
        Citation(**{**passage, "doc_id": "again"}, source="Book"),
    ]
    warnings, choices = [f"Mind {NASTY}"], ["S096 (<b>)", "S097"]
    answer = answer_of("Which?", [question(), entry("E2")], citations=citations, warnings=warnings, choices=choices)
    html = answer_html(answer, 4)
    page = Reader(html)

    assert page.links["#source-t-1-4-0"].startswith("Desk <script>")
    assert page.links["#source-t-1-4-1"] == "Book"
    assert "#source-t-1-4-2" not in page.links
    assert "2025-10-22 07:18 · Castle Hill · E2" in page.text
    assert "undated · E2" in page.text
    assert '<button type="button" class="choice">S096 (&lt;b&gt;)</button>' in html
    assert page.text.endswith("answered by embedded · data demo as of 2025-10-22 07:40 · 3.2 s")
    assert not {"script", "img", "b"} & set(page.tags)
    assert len(page.ids) == len(set(page.ids))
