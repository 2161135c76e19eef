"""A conversation as one file: it keeps what was said and by what it is supported, and depends on nothing else."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from fastapi import FastAPI, Request, Response
from fastapi.testclient import TestClient
from markdown_it import MarkdownIt
from PIL import Image

from mm4st_agent.agent.answer import Answer, AnswerFigure, Citation
from mm4st_agent.agent.claims import check
from mm4st_agent.agent.ledger import Evidence, EvidenceValue
from mm4st_agent.agent.manifest import record
from mm4st_agent.runtime import Runtime
from mm4st_agent.settings import load_settings
from mm4st_agent.toolspec import ImageHandle
from mm4st_agent.web.exports import as_json, file_name, markdown, page, router

CLOCK = "2025-10-22T07:40+01:00"
NASTY = (
    "<script>alert(1)</script> <img src=http://x.invalid/a.png> ![p](http://x.invalid/b.png) [l](javascript:alert(1))"
)
VOID = ("img", "br", "hr", "meta")


class Reader(HTMLParser):
    """A page's links, ids, pictures and text; its tags close in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.targets: list[str] = []
        self.pictures: list[dict[str, str | None]] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        self.ids += [value for name, value in attrs if name == "id" and value]
        self.targets += [value for name, value in attrs if name == "href" and value]
        self.pictures += [given] if tag == "img" else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    return Runtime(load_settings(home=tmp_path))


def png() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 3), "red").save(buffer, "png")
    return buffer.getvalue()


def an_answer(runtime: Runtime, thread: str, *, kept: bool = True) -> Answer:
    """With a claim of each status, a picture, a source and nasty words in every place."""
    image = runtime.images.put(png()) if kept else "f" * 64
    handle = ImageHandle(image_id=image, title=f"Flow {NASTY}", alt=f"Alt {NASTY}")
    values = {
        "node": EvidenceValue(value="S096", unit="id"),
        "usual": EvidenceValue(value=77.1587, unit="vehicles/5 min"),
        "recent": EvidenceValue(value=41.3333, unit="vehicles/5 min"),
    }
    entry = Evidence(
        id="E1", tool="query_series", args={"node": "S096", "note": NASTY}, as_of=CLOCK, values=values,
        words={"channel": "flow", "remark": NASTY}, images=[handle], warnings=[NASTY], seconds=0.5,
    )  # fmt: skip
    text = (
        "At S096 the **usual** is 78.7 vehicles/5 min [E1].\n\n| now |\n|---|\n| 41.3 vehicles/5 min [E1] |\n\n"
        f"It was 987 vehicles/5 min [E1].\n\n{NASTY}\n\n[ref]: http://x.invalid/c"
    )
    checked = check(text, [entry])
    assert {claim.status for claim in checked.claims} == {"verified", "corrected", "unsupported"}
    figure = AnswerFigure(**handle.model_dump(), evidence="E1", path=f"/secret/{image}.png")
    cited = Citation(doc_id="d", text=f"Text {NASTY}", source=f"Desk {NASTY}", span=(0, 9), evidence="E1")
    return Answer(
        question=f"How busy? {NASTY}", answer=checked.text, claims=checked.claims, evidence=[entry], figures=[figure],
        citations=[cited], warnings=[f"Mind {NASTY}"], chat_model="embedded", dataset="demo", as_of=CLOCK,
        thread=thread, seconds=1.5, turn=1, choices=[f"Or {NASTY}"],
    )  # fmt: skip


def keep(runtime: Runtime, thread: str, answer: Answer | None, question: str = "") -> None:
    """Write a turn as a run does: with its answer, or as one that failed."""
    lock = runtime.conversations.hold(thread)
    assert lock is not None
    n = runtime.conversations.begin(thread, question or (answer.question if answer else "?"), "demo")
    if answer is None:
        runtime.conversations.fail(thread, n, f"No such place. {NASTY}")
    else:
        runtime.conversations.finish(thread, n, answer)
    lock.release()


@pytest.fixture
def kept(runtime: Runtime) -> Runtime:
    """With a thread of an answer and a failure."""
    keep(runtime, "talk", an_answer(runtime, "talk"))
    keep(runtime, "talk", None, "And S999?")
    return runtime


def test_the_page_needs_nothing_else_and_all_its_links_lead_within_it(kept: Runtime) -> None:
    html = page(f"Title {NASTY}", kept.conversations.turns("talk"), kept.images.get)
    read = Reader(html)

    assert html.startswith('<!doctype html>\n<html lang="en">')
    assert len(read.ids) == len(set(read.ids))
    assert read.targets
    assert {target.removeprefix("#") for target in read.targets} <= set(read.ids)
    assert [picture["src"] for picture in read.pictures] == [
        f"data:image/png;base64,{base64.b64encode(png()).decode()}"
    ]
    assert all(picture["alt"] for picture in read.pictures)
    assert not {"script", "iframe", "link", "button"} & set(read.tags)
    assert "secret" not in html
    assert "url(" not in html
    assert "Alt <script>alert(1)</script>" in str(read.pictures[0]["alt"])


def test_the_page_says_where_each_claim_comes_from(kept: Runtime) -> None:
    turns = kept.conversations.turns("talk")
    html = page("Title", turns, kept.images.get)
    text = Reader(html).text

    assert turns[0].answer is not None
    for n, _ in enumerate(turns[0].answer.claims):
        assert html.count(f'id="claim-talk-1-{n}"') == 1
        assert f'href="#claim-talk-1-{n}"' in html
    assert "Supported by the evidence" in text
    assert "usual at this time77.1587 vehicles/5 min" in text
    assert "Corrected by us" in text
    assert "No support found" in text
    assert "No such place. <script>" in text
    assert text.index("And S999?") < text.index("Where each statement comes from")


def test_a_picture_that_is_gone_leaves_its_description(runtime: Runtime) -> None:
    keep(runtime, "talk", an_answer(runtime, "talk", kept=False))
    read = Reader(page("Title", runtime.conversations.turns("talk"), runtime.images.get))

    assert read.pictures == []
    assert "This picture is not kept any more. It showed: Alt <script>" in read.text


def test_markdown_keeps_status_sources_and_warnings_and_makes_no_link_or_picture(kept: Runtime) -> None:
    text = markdown(f"Title {NASTY}", kept.conversations.turns("talk"))
    shown = MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(text)
    read = Reader(shown)

    assert {"a", "img", "script"} & set(read.tags) == set()
    assert "<td>41.3 vehicles/5 min [E1]</td>" in shown
    assert "77.2 vehicles/5 min~ [E1]" in read.text
    assert "987 vehicles/5 min ⚠ unsupported [E1]" in read.text
    assert "[unsupported]" not in text
    assert "Mind <script>alert(1)</script>" in read.text
    assert "Desk <script>" in read.text
    assert "E1 Reading the data (place: S096" in read.text
    assert "[ref]: http://x.invalid/c" in read.text
    assert "secret" not in text


def test_json_holds_the_manifest_or_else_the_answer(runtime: Runtime) -> None:
    answer = an_answer(runtime, "talk")
    recorded = record(answer, answer.evidence, {}, data_sha256=None, settings=runtime.settings)
    assert recorded.manifest is not None
    keep(runtime, "talk", recorded)
    keep(runtime, "talk", answer)
    keep(runtime, "talk", None)
    given = json.loads(json.dumps(as_json("talk", "Title", runtime.conversations.turns("talk")), allow_nan=False))

    with_manifest, without, failure = given["turns"]
    assert with_manifest["manifest"]["answer"]["answer"] == answer.answer
    assert with_manifest["manifest"]["prompts"]
    assert with_manifest["answer"] is None
    assert without["manifest"] is None
    assert Answer.model_validate(without["answer"]).claims == answer.claims
    assert (failure["state"], failure["answer"], failure["manifest"]) == ("failed", None, None)
    assert "secret" not in json.dumps(given)
    assert str(runtime.settings.home) not in json.dumps(given)

    Path(recorded.manifest).unlink()
    gone = as_json("talk", "Title", runtime.conversations.turns("talk"))
    assert gone["turns"][0]["answer"]["answer"] == answer.answer


def client(runtime_for: Callable[[str | None], Runtime]) -> TestClient:
    app = FastAPI()

    @app.middleware("http")
    async def signed_in(request: Request, call_next):  # type: ignore[no-untyped-def]
        request.state.user = request.headers.get("x-user")
        response: Response = await call_next(request)
        return response

    app.include_router(router(runtime_for))
    return TestClient(app)


@pytest.mark.parametrize(
    ("ending", "kind"), [("md", "text/markdown"), ("html", "text/html"), ("json", "application/json")]
)
def test_a_person_gets_their_conversation_as_a_file_and_nobody_elses(
    kept: Runtime, tmp_path: Path, ending: str, kind: str
) -> None:
    other = Runtime(load_settings(home=tmp_path / "other"))
    kept.conversations.rename("talk", 'S096 "today"')
    web = client(lambda user: kept if user == "ann" else other)

    reply = web.get(f"/mm4st/exports/talk.{ending}", headers={"x-user": "ann"})
    theirs = web.get(f"/mm4st/exports/talk.{ending}", headers={"x-user": "bob"})
    unknown = web.get(f"/mm4st/exports/nothing.{ending}", headers={"x-user": "ann"})

    assert reply.status_code == 200
    assert reply.headers["content-disposition"] == f'attachment; filename="mm4st-s096-today.{ending}"'
    assert reply.headers["content-type"] == f"{kind}; charset=utf-8"
    assert "And S999?" in reply.text
    for refused in (theirs, unknown):
        assert refused.status_code == 404
        assert refused.text == "There is no such conversation. It may have been deleted."
        assert refused.headers["content-type"].startswith("text/plain")


def test_a_files_name_has_plain_letters_only() -> None:
    assert file_name("../../etc/passwd\r\nX: y", "t") == "mm4st-etc-passwd-x-y"
    assert file_name("?" * 90, "a/../b") == "mm4st-ab"
    assert len(file_name("x" * 500, "t")) < 80
