"""The evidence panel in a real Chromium, beside a chat with a real answer on the demo data."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import gradio as gr
import pytest
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, Response
from playwright.sync_api import Browser, Locator, Page, expect

from mm4st_agent.agent.answer import Answer
from mm4st_agent.agent.claims import check
from mm4st_agent.agent.conversations import Conversations
from mm4st_agent.runtime import Runtime
from mm4st_agent.settings import load_settings
from mm4st_agent.web.answers import turn_messages
from mm4st_agent.web.evidence import EMPTY, GONE
from mm4st_agent.web.markup import script
from mm4st_agent.widgets.evidence import chosen_text, evidence_panel

pytestmark = pytest.mark.browser

PATIENCE_S = 60
QUESTION = "How busy is station S096 now compared with normal, and were there any incidents?"
POLICY = "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'"
NASTY = "<img src=x onerror=alert(1)> {{value}} ${alert(2)} </script> $$x$$"


def partly_wrong(answer: Answer) -> Answer:
    """As a chat model may write it: right, slightly off, and made up, with markup that is none of ours."""
    recent = next(entry for entry in answer.evidence if "recent" in entry.values)
    value, usual, unit = recent.values["recent"].value, recent.values["usual"].value, recent.values["recent"].unit
    assert isinstance(value, float)
    assert isinstance(usual, float)
    text = (
        f"| Place | Now |\n|---|---|\n| S096 | **{value:.1f} {unit}** [{recent.id}] |\n\n"
        f"- The usual at S096 is {usual * 1.02:.1f} {unit} [{recent.id}].\n"
        f"- It fell by 987 {unit} [{recent.id}].\n\n{NASTY}\n\n[a link](http://elsewhere.invalid/)"
    )
    checked = check(text, answer.evidence)
    changed = {"question": f"And now? {NASTY}", "answer": checked.text, "claims": checked.claims, "figures": []}
    return answer.model_copy(update={**changed, "turn": 2})


def _keep(runtime: Runtime, answer: Answer) -> None:
    lock = runtime.conversations.hold(answer.thread)
    assert lock is not None
    n = runtime.conversations.begin(answer.thread, answer.question, answer.dataset)
    runtime.conversations.finish(answer.thread, n, answer)
    lock.release()


def small_app(runtime: Runtime) -> FastAPI:
    """A chat, the panel in a side bar that opens when something is chosen, and a box for the choice."""
    css = script("answers.css") + script("evidence.css")
    with gr.Blocks(title="panel") as page:
        with gr.Sidebar(position="right", open=False, width=420) as side:
            panel = evidence_panel(lambda _: runtime)
        chat = gr.Chatbot(elem_id="chat", latex_delimiters=[])
        box = gr.Textbox(label="Question", elem_id="box")
        page.load(lambda: [m for t in runtime.conversations.turns("talk") for m in turn_messages(t)], None, chat)
        panel.submit(None, None, side, js="() => ({ open: true, __type__: 'update' })", show_progress="hidden")
        panel.select(chosen_text, None, box)
    app = FastAPI()

    @app.middleware("http")
    async def policy(request: Request, call_next):  # type: ignore[no-untyped-def]
        response = await call_next(request)
        response.headers["Content-Security-Policy"] = POLICY
        return response

    @app.get("/mm4st/pictures/{image_id}.png")
    def picture(image_id: str) -> Response:
        return FileResponse(runtime.images.path(image_id))

    return gr.mount_gradio_app(app, page, path="/", head=f"<style>{css}</style>", allowed_paths=[])


def serve(home: Path) -> None:
    """Serve a thread of three turns: an answer, one that a chat model got partly wrong, and a question back."""
    runtime = Runtime(load_settings(home=home))
    answer = asyncio.run(runtime.ask(QUESTION, thread="talk"))
    _keep(runtime, partly_wrong(answer))
    asyncio.run(runtime.ask("How is traffic at Castle Hill?", thread="talk"))
    listener = socket.create_server(("127.0.0.1", 0))
    app = small_app(runtime)
    print(f"http://127.0.0.1:{listener.getsockname()[1]}/", flush=True)  # noqa: T201 - the test waits for it
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run([listener])


@dataclass
class Served:
    """The page's address, and the same conversations as the server has them."""

    url: str
    conversations: Conversations


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """In a process of its own, which logs no traceback."""
    home = tmp_path_factory.mktemp("home")
    env = {name: value for name, value in os.environ.items() if not name.startswith("MM4ST_")}
    log = home / "server.log"
    command = [sys.executable, __file__, str(home)]
    with (
        log.open("w") as stderr,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, env=env, text=True) as process,
    ):
        assert process.stdout is not None
        try:
            url = process.stdout.readline().strip()
            assert url, log.read_text()
            yield Served(url, Runtime(load_settings(home=home)).conversations)
        finally:
            process.terminate()
    assert "Traceback" not in log.read_text(), log.read_text()


@pytest.fixture
def page(browser: Browser, served: Served) -> Iterator[Page]:
    expect.set_options(timeout=PATIENCE_S * 1000)
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.set_default_timeout(PATIENCE_S * 1000)
    faults: list[str] = []
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("dialog", lambda dialog: faults.append(dialog.message))
    page.goto(served.url)
    expect(page.locator("#chat .answer")).to_have_count(3)
    yield page
    page.close()
    assert faults == []


def panel_of(page: Page) -> Locator:
    return page.locator("#evidence")


def claim(page: Page, words: str) -> Locator:
    return page.locator("#chat a.claim").filter(has_text=words).first


def test_before_anything_is_chosen_it_says_what_it_is_for(page: Page) -> None:
    assert panel_of(page).locator(".empty").text_content() == f"Evidence{EMPTY}"
    assert page.locator("#evidence [role=region], #evidence[role=region]").first.get_attribute("aria-live") == "polite"


def test_a_click_on_a_number_shows_where_it_comes_from_and_the_way_back(page: Page, served: Served) -> None:
    answer = served.conversations.turn("talk", 1).answer
    assert answer is not None
    recent = next(entry.values["recent"] for entry in answer.evidence if "recent" in entry.values)
    number = claim(page, "vehicles/5 min")

    number.click()

    shown = panel_of(page)
    heading = shown.get_by_role("heading", level=2)
    expect(heading).to_have_text(number.inner_text())
    expect(heading).to_be_focused()
    expect(shown).to_contain_text("Supported by the evidence")
    expect(shown).to_contain_text("Reading the data")
    expect(shown).to_contain_text("known up to2025-10-22 07:40")
    expect(shown.locator("table.values td").first).to_have_text(f"{recent.value} {recent.unit}")
    expect(shown.locator("table.values th").first).to_have_text("mean of the latest readings")

    shown.get_by_role("button", name="Back to the answer").click()
    expect(number).to_be_focused()


@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_the_keyboard_alone_is_enough(page: Page, key: str) -> None:
    number = claim(page, "vehicles/5 min")
    number.focus()
    number.press(key)
    heading = panel_of(page).get_by_role("heading", level=2)
    expect(heading).to_be_focused()

    page.keyboard.press("Tab")
    whole = panel_of(page).get_by_role("button", name="Everything this step found")
    expect(whole).to_be_focused()
    page.keyboard.press("Enter")
    expect(panel_of(page).get_by_role("heading", level=2)).to_contain_text(": Reading the data")
    expect(panel_of(page).get_by_role("heading", level=2)).to_be_focused()

    back = panel_of(page).get_by_role("button", name="Back to the answer")
    back.focus()
    back.press("Enter")
    expect(number).to_be_focused()


def test_choosing_the_same_again_moves_the_focus_again(page: Page) -> None:
    number = claim(page, "vehicles/5 min")
    heading = panel_of(page).get_by_role("heading", level=2)
    number.click()
    expect(heading).to_be_focused()
    number.focus()

    number.press("Enter")

    expect(heading).to_be_focused()


def test_marks_and_sources_lead_to_entries_and_passages(page: Page) -> None:
    mark = page.locator("#chat a.mark").first
    mark.click()
    expect(panel_of(page).get_by_role("heading", level=2)).to_have_text(f"{mark.inner_text()}: Reading the data")
    expect(panel_of(page).locator("summary")).to_have_text(re.compile(r"values: \d+ rows"))
    panel_of(page).locator("summary").click()
    expect(panel_of(page).locator("table.values")).to_contain_text("41.3333 vehicles/5 min")

    page.locator("#chat a.source").first.click()
    expect(panel_of(page).locator("blockquote").first).to_contain_text("Castle Hill")
    expect(panel_of(page)).to_contain_text("Characters 1 to")
    expect(panel_of(page)).to_contain_text("2025-10-22 07:")


def test_each_status_has_its_own_sign_and_words(page: Page) -> None:
    wrong = page.locator("#chat a.claim.unsupported").filter(has_text="987").first
    expect(wrong.locator("s")).to_have_count(1)
    expect(page.locator("#chat strong.flag").first).to_have_text("⚠ unsupported")
    wrong.click()
    expect(panel_of(page).locator(".status")).to_contain_text("No support found")

    mended = page.locator("#chat a.claim.corrected")
    expect(mended).to_have_count(1)
    expect(page.locator("#chat sup.flag")).to_have_text("~")
    mended.click()
    expect(panel_of(page).locator(".status")).to_contain_text("Corrected by us")
    kinds = page.evaluate(
        """() => ['verified', 'corrected', 'unsupported'].map(
            name => getComputedStyle(document.querySelector(`#chat a.claim.${name}`)).textDecorationStyle)"""
    )
    assert kinds == ["dotted", "double", "wavy"]


def test_what_others_wrote_is_text(page: Page) -> None:
    expect(page.locator("#chat .answer").nth(1)).to_contain_text("<img src=x onerror=alert(1)> {{value}} ${alert(2)}")
    expect(page.locator("#chat [data-testid=user]").nth(1)).to_contain_text("<img src=x onerror=alert(1)>")
    expect(page.locator("#chat .answer td a.claim").filter(has_text="vehicles")).to_have_count(1)
    expect(page.locator("#chat .answer a[href*=elsewhere]")).to_have_count(0)
    page.locator("#chat .answer").nth(1).locator("a.claim").first.click()
    expect(panel_of(page).locator(".kind")).to_contain_text("${alert(2)} </script> $$x$$")


def test_a_link_to_nothing_gives_a_plain_sentence(page: Page) -> None:
    for link in ("#claim-talk-1-999", "#claim-nobody-1-0", "#entry-talk-77-0", "#claim-talk"):
        page.evaluate(
            """href => {
                const link = Object.assign(document.createElement('a'), { href, id: 'made-up', textContent: 'x' });
                document.querySelector('#made-up')?.remove();
                document.body.prepend(link);
                link.click();
            }""",
            link,
        )
        expect(panel_of(page).locator(".gone")).to_contain_text(GONE)
        page.locator("#chat a.claim").first.click()
        expect(panel_of(page).locator("[data-part]")).to_have_count(1)


def test_a_choice_of_the_answer_can_be_pressed(page: Page) -> None:
    choices = page.locator("#chat button.choice")
    expect(choices).to_have_count(2)

    choices.last.click()

    expect(page.locator("#box textarea")).to_have_value(choices.last.inner_text())


def test_it_fits_a_phone(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    claim(page, "vehicles/5 min").click()

    expect(panel_of(page).get_by_role("heading", level=2)).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
