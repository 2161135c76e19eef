"""The chat as a person meets it: the real server, a real Chromium, the demo data."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

import app

pytestmark = pytest.mark.browser

CHROMIUM = shutil.which("chromium")
SWITCHES = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
PATIENCE_S = 60
EXAMPLE = app.EXAMPLES["demo"][0]


class SilentServer:
    """A chat model server that takes requests and never answers one."""

    def __init__(self) -> None:
        self._asked, self._left = threading.Semaphore(0), threading.Semaphore(0)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1"
        threading.Thread(target=self._serve, daemon=True).start()

    def was_asked(self) -> bool:
        return self._asked.acquire(timeout=PATIENCE_S)

    def was_left(self) -> bool:
        """Whether the request that was taken last is given up."""
        return self._left.acquire(timeout=PATIENCE_S)

    def _serve(self) -> None:
        with contextlib.suppress(OSError):  # the listener was closed
            while True:
                connection, _ = self._listener.accept()
                with connection, contextlib.suppress(ConnectionResetError):
                    connection.recv(1)
                    self._asked.release()
                    while connection.recv(65536):
                        pass
                self._left.release()

    def close(self) -> None:
        self._listener.close()


@pytest.fixture(scope="module")
def silent_server() -> Iterator[SilentServer]:
    server = SilentServer()
    yield server
    server.close()


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory, silent_server: SilentServer) -> Iterator[str]:
    """The address of the app, served by `mm4st app` from a home of its own; it logs no traceback."""
    home = tmp_path_factory.mktemp("home")
    knobs = {"HOME": home, "PORT": 0, "VLLM_URL": silent_server.url, "VLLM_MODEL": "silent", "VLLM_MAX_IMAGES": 0}
    env = {name: value for name, value in os.environ.items() if not name.startswith("MM4ST_")}
    env |= {f"MM4ST_{name}": str(value) for name, value in knobs.items()}
    log = home / "app.log"
    command = [str(Path(sys.executable).with_name("mm4st")), "app"]
    with log.open("w") as stderr, subprocess.Popen(command, stdout=stderr, stderr=stderr, env=env, cwd=home) as process:
        try:
            yield _address(process, log)
        finally:
            process.terminate()
    assert "Traceback" not in log.read_text(), log.read_text()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and process.poll() is None:
        if found := re.search(r"http://127\.0\.0\.1:\d+/", log.read_text()):
            return found[0]
        time.sleep(0.05)
    raise AssertionError(f"the app did not start: {log.read_text()}")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("there is no chromium on this machine")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=list(SWITCHES))
        yield chromium
        chromium.close()


@dataclass
class Visit:
    """One person's browser session, and what went wrong in it."""

    page: Page
    faults: list[str] = field(default_factory=list)

    def ask(self, question: str) -> None:
        box = self.page.locator("#question textarea")
        box.fill(question)
        box.press("Enter")

    def answer(self, count: int = 1) -> str:
        """What the footer of the `count`-th answer says, once it is there."""
        footer = self.page.locator("#chat .footer")
        expect(footer).to_have_count(count)
        return footer.last.inner_text()


class Visits:
    """Opens sessions; none may log an error or ask another host for anything."""

    def __init__(self, browser: Browser, url: str) -> None:
        self._browser, self._url = browser, url
        self._visits: list[Visit] = []

    def open(self, width: int = 1440, height: int = 900) -> Visit:
        context = self._browser.new_context(viewport={"width": width, "height": height})
        context.set_default_timeout(PATIENCE_S * 1000)
        visit = Visit(context.new_page())
        self._visits.append(visit)
        page, faults = visit.page, visit.faults
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda request: None if self._is_ours(request.url) else faults.append(request.url))
        page.goto(self._url)
        expect(page.locator("#facts strong")).to_be_visible()
        return visit

    def _is_ours(self, address: str) -> bool:
        return address.startswith((self._url, "data:", "blob:"))

    def close(self) -> list[str]:
        for visit in self._visits:
            visit.page.context.close()
        return [fault for visit in self._visits for fault in visit.faults]


@pytest.fixture
def visits(browser: Browser, url: str) -> Iterator[Visits]:
    expect.set_options(timeout=PATIENCE_S * 1000)
    opened = Visits(browser, url)
    yield opened
    assert opened.close() == []


def test_an_example_is_answered_with_steps_picture_and_evidence(visits: Visits) -> None:
    visit = visits.open()
    page = visit.page
    expect(page.locator("#facts")).to_contain_text("Synthetic data")

    page.get_by_role("button", name=EXAMPLE).click()
    footer = visit.answer()

    assert "answered by embedded · data demo as of 2025-" in footer
    steps = page.locator("#chat .thought-group")
    times = steps.locator(".duration").all_inner_texts()
    assert len(times) >= 4
    assert all(re.fullmatch(r"E\d+ \(\d+\.\d(ms|s)\)", text) for text in times), times
    steps.filter(has_text="Forecasting").get_by_role("button").first.click()
    expect(steps.filter(has_text="Forecasting")).to_contain_text('node = "S096"')
    picture = page.locator("#chat figure img").first
    expect(picture).to_have_js_property("complete", True)
    assert picture.evaluate("image => image.naturalWidth") > 600
    assert picture.get_attribute("alt")
    expect(page.locator("#chat .warnings")).to_contain_text("synthetic")
    expect(page.locator("#chat .sources cite").first).to_be_visible()
    expect(page.locator("#chat .evidence").first).to_be_visible()
    expect(page.locator("#question").get_by_test_id("submit-button")).to_be_visible()


def test_a_session_keeps_its_thread_and_shares_it_with_nobody(visits: Visits) -> None:
    one, other = visits.open(), visits.open()
    one.ask(EXAMPLE)
    other.ask("How complete are the data?")
    first, stranger = one.answer(), other.answer()
    one.ask("Were there any incidents near it?")
    second = one.answer(2)
    one.page.get_by_role("button", name="New conversation").click()
    expect(one.page.get_by_text("What would you like to know?")).to_be_visible()
    one.ask("hello")
    fresh = one.answer()

    threads = [footer.rsplit("thread ", 1)[1] for footer in (first, second, stranger, fresh)]
    assert threads[0] == threads[1]
    assert len(set(threads)) == 3


@pytest.mark.parametrize(
    ("question", "clock", "said"),
    [
        ("", "", "The question is empty."),
        ("How busy is station D99 now?", "", "D99"),
        ("How busy is station S039 now?", "2031-01-01T00:00", "as_of 2031-01-01T00:00 is outside the data of 'demo'."),
        ("How busy is station S039 now?", "noon-ish", "'noon-ish' is not a point in time."),
    ],
)
def test_a_bad_question_gets_a_clear_sentence(visits: Visits, question: str, clock: str, said: str) -> None:
    visit = visits.open()
    visit.page.get_by_label("Clock").fill(clock)

    visit.ask(question)

    reply = visit.page.locator("#chat [data-testid=bot]").filter(has_text=said)
    expect(reply.last).to_be_visible()
    expect(visit.page.locator("#question").get_by_test_id("submit-button")).to_be_visible()
    assert not re.search(r"Traceback|Error|File \"", visit.page.locator("#chat").inner_text())


def test_stop_cancels_the_answer_and_leaves_others_alone(visits: Visits, silent_server: SilentServer) -> None:
    stuck, other = visits.open(), visits.open()
    stuck.page.get_by_label("vLLM").check()
    stuck.ask(EXAMPLE)
    assert silent_server.was_asked()
    expect(stuck.page.locator("#chat")).to_contain_text("Thinking")

    other.ask(EXAMPLE)
    assert "answered by embedded" in other.answer()

    stuck.page.get_by_role("button", name="Stop").click()
    expect(stuck.page.locator("#chat .sentence")).to_have_text("Stopped.")
    assert silent_server.was_left()

    stuck.page.get_by_label("Embedded").check()
    stuck.ask("How complete are the data?")
    assert "answered by embedded" in stuck.answer()


def test_closing_the_page_cancels_the_answer(visits: Visits, silent_server: SilentServer) -> None:
    visit = visits.open()
    visit.page.get_by_label("vLLM").check()
    visit.ask(EXAMPLE)
    assert silent_server.was_asked()

    visit.page.close()

    assert silent_server.was_left()


def test_it_fits_a_phone(visits: Visits) -> None:
    visit = visits.open(width=390, height=844)
    visit.page.get_by_role("button", name=EXAMPLE).click()
    visit.answer()

    right_edge = "node => node.getBoundingClientRect().right"
    for part in ("#chat figure img >> nth=0", "#chat .footer", "#chat .thought-group >> nth=0", "#question"):
        assert visit.page.locator(part).evaluate(right_edge) <= 390, part
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= 390
    expect(visit.page.locator("#question textarea")).to_be_in_viewport()


def test_the_page_loads_nothing_from_elsewhere_and_takes_no_upload(browser: Browser, url: str) -> None:
    page = browser.new_page()
    page.goto(url)
    expect(page.locator("#facts strong")).to_be_visible(timeout=PATIENCE_S * 1000)

    blocked = page.evaluate(
        """() => new Promise(done => {
            document.addEventListener('securitypolicyviolation', event => done(event.blockedURI));
            new Image().src = 'http://pictures.invalid/x.png';
        })"""
    )
    file = {"name": "a.txt", "mimeType": "text/plain", "buffer": b"hello"}
    upload = page.request.post(f"{url}gradio_api/upload", multipart={"files": file})
    stored = page.request.get(f"{url}gradio_api/file={Path(app.__file__).resolve()}")
    page.close()

    assert blocked == "http://pictures.invalid/x.png"
    assert upload.status == 413
    assert stored.status == 403
