"""The app as tests meet it: the real server, a real Chromium, and a check of how accessible a page is."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect

PATIENCE_S = 120


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


@dataclass
class Served:
    """A running app."""

    url: str
    home: Path
    process: subprocess.Popen[bytes]


@contextlib.contextmanager
def serving(home: Path, **knobs: object) -> Iterator[Served]:
    """Run `mm4st app` on a home; it logs no traceback."""
    knobs = {"HOME": home, "PORT": 0, **knobs}
    env = {name: value for name, value in os.environ.items() if not name.startswith("MM4ST_")}
    env |= {f"MM4ST_{name}": str(value) for name, value in knobs.items()}
    log = home / "app.log"
    command = [str(Path(sys.executable).with_name("mm4st")), "app"]
    with log.open("w") as stderr, subprocess.Popen(command, stdout=stderr, stderr=stderr, env=env, cwd=home) as process:
        try:
            yield Served(_address(process, log), home, process)
        finally:
            process.terminate()
    assert "Traceback" not in log.read_text(), log.read_text()


@pytest.fixture(scope="session")
def serve() -> Callable[..., contextlib.AbstractContextManager[Served]]:
    """Runs an app of the test's own: `with serve(home, vllm_url=...) as served`."""
    return lambda home, **knobs: serving(home, **{name.upper(): value for name, value in knobs.items()})


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, silent_server: SilentServer) -> Iterator[Served]:
    """The app that most tests visit; its served chat model never answers."""
    silent = {"VLLM_URL": silent_server.url, "VLLM_MODEL": "silent", "VLLM_MAX_IMAGES": 0}
    with serving(tmp_path_factory.mktemp("home"), **silent) as app:
        yield app


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and process.poll() is None:
        if found := re.search(r"http://127\.0\.0\.1:\d+/", log.read_text()):
            return found[0]
        time.sleep(0.05)
    raise AssertionError(f"the app did not start: {log.read_text()}")


TWO_FRAMES = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"


def _unfolded(page: Page, name: str) -> None:
    page.get_by_role("button", name=name).click()
    page.evaluate(TWO_FRAMES)


@pytest.fixture(scope="session")
def unfold() -> Callable[[Page, str], None]:
    """Opens an accordion and waits until a person sees it: until its first frame Gradio still sets what is in it."""
    return _unfolded


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
        footer = self.page.locator("#chat .answer .footer")
        expect(footer).to_have_count(count)
        expect(self.page.locator("#question").get_by_test_id("submit-button")).to_be_visible()
        return footer.last.inner_text()

    @property
    def thread(self) -> str:
        """The conversation that the address names, once it names one."""
        expect(self.page).to_have_url(re.compile(r"thread=\w"))
        return dict(parse_qsl(urlsplit(self.page.url).query)).get("thread", "")


def _is_fault(message: ConsoleMessage) -> bool:
    """Gradio's own script may cancel an event before it knows its id, which its server refuses (422)."""
    return message.type == "error" and not message.location["url"].endswith(("/cancel", "/reset"))


class Visits:
    """Opens sessions; none may log an error or ask another host for anything."""

    def __init__(self, browser: Browser, url: str) -> None:
        self._browser, self._url = browser, url
        self._visits: list[Visit] = []

    def open(self, width: int = 1440, height: int = 900, *, thread: str = "", dark: bool = False) -> Visit:
        look: Literal["dark", "light"] = "dark" if dark else "light"
        context = self._browser.new_context(viewport={"width": width, "height": height}, color_scheme=look)
        context.set_default_timeout(PATIENCE_S * 1000)
        visit = Visit(context.new_page())
        self._visits.append(visit)
        page, faults = visit.page, visit.faults
        page.on(
            "console",
            lambda message: faults.append(f"{message.text} {message.location}") if _is_fault(message) else None,
        )
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda request: None if self._is_ours(request.url) else faults.append(request.url))
        page.goto(f"{self._url}?thread={thread}" if thread else self._url)
        expect(page.locator("#facts strong")).to_be_visible()
        return visit

    def _is_ours(self, address: str) -> bool:
        return address.startswith((self._url, "data:", "blob:"))

    def close(self) -> list[str]:
        for visit in self._visits:
            visit.page.context.close()
        return [fault for visit in self._visits for fault in visit.faults]


@pytest.fixture(scope="session")
def visiting() -> Callable[[Browser, str], Visits]:
    """Opens sessions with an app of the test's own; the test closes them."""
    expect.set_options(timeout=PATIENCE_S * 1000)
    return Visits


@pytest.fixture
def visits(browser: Browser, served: Served) -> Iterator[Visits]:
    expect.set_options(timeout=PATIENCE_S * 1000)
    opened = Visits(browser, served.url)
    yield opened
    assert opened.close() == []


# -- access -----------------------------------------------------------------------------------

_RUN_AXE = """async ({ within, tags }) => {
    const reading = { runOnly: { type: 'tag', values: tags }, resultTypes: ['violations'] };
    const { violations } = await axe.run(within ?? document, reading);
    return violations;
}"""

_AT_REST = """() => document.getAnimations().every(animation =>
    animation.playState !== 'running' || animation.effect.getComputedTiming().iterations === Infinity)"""
"""Colours are read as they are at that moment: what still fades in would be called too pale."""

WCAG_AA = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa")


@pytest.fixture(scope="session")
def faults_of_access() -> Callable[..., list[str]]:
    """Runs axe-core in a page: `faults_of_access(page, within="#chat")` is a list of lines, one for each element.

    A line is `rule, impact, selector: what is wrong`. Invisible parts are not looked at, so open what can be opened.
    """
    if find_spec("axe_playwright_python") is None:
        pytest.skip("axe-core is not installed: pip install axe-playwright-python")
    script = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")

    def run(page: Page, within: str | None = None, tags: tuple[str, ...] = WCAG_AA) -> list[str]:
        page.evaluate(script)
        page.wait_for_function(_AT_REST)
        found = page.evaluate(_RUN_AXE, {"within": within, "tags": list(tags)})
        return [line for violation in found for line in _lines(violation)]

    return run


def _lines(violation: dict[str, Any]) -> list[str]:
    rule, impact = violation["id"], violation["impact"]
    return [f"{rule}, {impact}, {_selector(node['target'])}: {_reason(node)}" for node in violation["nodes"]]


def _selector(target: list[Any]) -> str:
    """Where it is; a shadow root or frame has a list of selectors of its own."""
    return " ".join(part if isinstance(part, str) else " ".join(part) for part in target)


def _reason(node: dict[str, Any]) -> str:
    checks = [*node["any"], *node["all"], *node["none"]]
    return "; ".join(check["message"] for check in checks) or node["failureSummary"]
