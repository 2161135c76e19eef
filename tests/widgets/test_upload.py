"""The widget for data of one's own in a real Chromium, on a small page with the real routes and the real runtime."""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

pytestmark = pytest.mark.browser

PATIENCE_S = 90
HOURS = [datetime(2024, 3, 1) + timedelta(hours=i) for i in range(24 * 14)]

SERVER = """
import asyncio, socket, sys
import gradio as gr, uvicorn
from fastapi import FastAPI
from mm4st_agent.runtime import Runtime
from mm4st_agent.web import uploads
from mm4st_agent.web.markup import script
from mm4st_agent.widgets.upload import upload_panel

runtime = Runtime()

def runtime_for(user):
    return runtime

async def answer(question, name):
    return (await runtime.ask(question, dataset=name)).answer

with gr.Blocks() as page:
    with gr.Row():
        with gr.Column(scale=1, min_width=320):
            panel = upload_panel(runtime_for)
        with gr.Column(scale=2, min_width=320):
            chosen = gr.Textbox(label="Data set")
            question = gr.Textbox(label="Question")
            said = gr.Markdown(elem_id="said")

    def choose(event: gr.EventData, request: gr.Request):
        return panel.dataset(event, request.username) or "unknown"

    panel.html.submit(choose, None, chosen)
    question.submit(answer, [question, chosen], said)

server = FastAPI()

@server.middleware("http")
async def whose(request, call_next):
    request.state.user = None
    return await call_next(request)

server.include_router(uploads.router(runtime_for))
gr.mount_gradio_app(server, page, path="/", css=script("upload.css"), footer_links=[])
listener = socket.create_server(("127.0.0.1", 0))
print(f"http://127.0.0.1:{listener.getsockname()[1]}/", flush=True)
uvicorn.Server(uvicorn.Config(server, log_level="warning")).run([listener])
"""


def table(stamp: str = "%Y-%m-%dT%H:%M") -> str:
    rows = [
        f"{t:{stamp}},{40 + 20 * math.sin(i / 3.82):.1f},{55 + 9 * math.cos(i / 3.82):.1f}" for i, t in enumerate(HOURS)
    ]
    return "\n".join(["time,North gate,South gate", *rows]) + "\n"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[tuple[str, int]]:
    """The address of the page and the process that serves it; it logs no traceback."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("MM4ST_")}
    env |= {"MM4ST_HOME": str(home), "MM4ST_MAX_UPLOAD_MB": "60", "GRADIO_ANALYTICS_ENABLED": "False"}
    log = home / "server.log"
    with (
        log.open("w") as stderr,
        subprocess.Popen(
            [sys.executable, "-c", SERVER], stdout=subprocess.PIPE, stderr=stderr, env=env, text=True, cwd=home
        ) as process,
    ):
        assert process.stdout is not None
        try:
            address = process.stdout.readline().strip()
            assert address.startswith("http://"), log.read_text()
            yield address, process.pid
        finally:
            process.terminate()
    assert "Traceback" not in log.read_text(), log.read_text()


Opener = Callable[..., Page]


@pytest.fixture
def opened(browser: Browser, server: tuple[str, int]) -> Iterator[Opener]:
    """Opens the page; none may log an error of its own, or ask another host for anything."""
    expect.set_options(timeout=PATIENCE_S * 1000)
    pages: list[Page] = []
    faults: list[str] = []

    def open_page(width: int = 1440, height: int = 900, zone: str = "Europe/Berlin") -> Page:
        context = browser.new_context(viewport={"width": width, "height": height}, timezone_id=zone)
        context.set_default_timeout(PATIENCE_S * 1000)
        page = context.new_page()
        pages.append(page)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda sent: None if _is_ours(sent.url, server[0]) else faults.append(sent.url))
        page.goto(server[0])
        expect(page.locator(".upload .limit")).to_contain_text("At most 60 MB.")
        return page

    yield open_page
    for page in pages:
        page.context.close()
    assert faults == []


def _is_ours(address: str, ours: str) -> bool:
    return address.startswith((ours, "data:", "blob:"))


def send(page: Page, name: str, data: bytes) -> None:
    file = {"name": name, "mimeType": "text/csv", "buffer": data}
    page.locator(".upload input[type=file]").set_input_files(file)  # type: ignore[arg-type]


def title(page: Page) -> str:
    """The heading of what there is to decide, once it is there."""
    heading = page.locator(".upload .work h3")
    expect(heading).to_be_visible()
    expect(heading).to_be_focused()
    return heading.inner_text()


def remains(home: Path) -> list[Path]:
    return list((home / "uploads").iterdir()) if (home / "uploads").is_dir() else []


def test_a_csv_is_sent_corrected_stored_and_asked_about(opened: Opener, home: Path) -> None:
    page, before = opened(), remains(home)
    send(page, "Gates of the park.csv", table().encode())

    assert title(page) == "How Gates of the park.csv was understood"
    work = page.locator(".upload .work")
    expect(work.locator("dl.facts")).to_contain_text("2 (sensor North gate, South gate)")
    expect(work.locator("ul.found").first).to_contain_text("Time zone: UTC")
    expect(work.get_by_role("img", name=re.compile("North gate over the whole time, from 20 to 60"))).to_be_visible()
    expect(work.locator(".rows")).to_contain_text("2024-03-01T00:00")

    store = work.get_by_role("button", name="Store and ask")
    work.get_by_role("button", name="Use Europe/Berlin").click()
    expect(store).to_be_disabled()
    expect(work.locator(".changed")).to_be_visible()
    work.get_by_label("What was measured").fill("visitors")
    work.get_by_label("Unit of value").fill("people/h")
    work.get_by_role("button", name="Look again").click()
    expect(work.locator("dl.facts")).to_contain_text("visitors [people/h]")
    expect(work.locator("dl.facts")).to_contain_text("Europe/Berlin")
    expect(work.get_by_label("Name of the data set")).to_have_value("gates-of-the-park")
    work.get_by_role("button", name="Store and ask").click()

    expect(page.get_by_label("Data set", exact=True)).to_have_value("gates-of-the-park")
    expect(page.locator(".upload .status")).to_have_text("gates-of-the-park is stored. You can ask about it now.")
    expect(page.locator(".upload .own")).to_contain_text("gates-of-the-park")
    assert remains(home) == before
    question = page.get_by_label("Question", exact=True)
    question.fill("What was the highest reading of South gate in the last 24 hours?")
    question.press("Enter")
    expect(page.locator("#said")).to_contain_text("64")
    expect(page.locator("#said")).to_contain_text("South gate")

    page.get_by_role("button", name="Delete gates-of-the-park", exact=True).click()
    expect(page.locator(".upload .status")).to_contain_text("Delete gates-of-the-park for good?")
    page.get_by_role("button", name="Delete gates-of-the-park for good").click()
    expect(page.locator(".upload .own")).to_have_text("None yet.")
    assert not any((home / "data").iterdir())


def test_a_broken_csv_names_the_row_which_can_be_left_out(opened: Opener) -> None:
    page = opened(width=390, height=844)
    send(page, "broken.csv", (table() + "Total,13000,18000\n").encode())

    assert title(page) == "broken.csv cannot be used as it is"
    failure = page.locator(".upload .failure")
    expect(failure).to_contain_text("broken.csv, row 338, column 'time': 'Total' is not a time stamp.")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    failure.get_by_role("button", name="Leave row 338 out and look again").click()

    expect(page.locator(".upload ul.found").last).to_contain_text("Rows left out: 338")
    for part in (".facts", ".rows", ".store", ".curve >> nth=0"):
        assert page.locator(f".upload .work {part}").evaluate("node => node.getBoundingClientRect().right") <= 390, part
    page.get_by_role("button", name="Discard").click()
    expect(page.locator(".upload .status")).to_have_text("Cancelled; nothing was kept.")


def test_dates_that_could_be_either_are_one_click(opened: Opener) -> None:
    page = opened()
    rows = "".join(f"{t:%d/%m/%Y %H:%M},{i}\n" for i, t in enumerate(HOURS[: 24 * 9]))
    send(page, "flow.csv", f"date,flow\n{rows}".encode())
    assert title(page) == "How are the dates of flow.csv written?"

    page.get_by_role("button", name="01/03/2024 00:00 is 1 March 2024").click()

    expect(page.locator(".upload .facts")).to_contain_text("2024-03-01 00:00 to 2024-03-09 23:00")
    page.get_by_role("button", name="Discard").click()


def test_a_too_large_file_is_not_sent_and_would_be_refused(opened: Opener, home: Path, tmp_path: Path) -> None:
    page, before = opened(), remains(home)
    large = tmp_path / "large.csv"
    with large.open("wb") as file:
        file.truncate(61 * 2**20)
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)

    page.locator(".upload input[type=file]").set_input_files(large)

    expect(page.locator(".upload .status")).to_contain_text("large.csv has 61.0 MB; at most 60 MB are taken.")
    assert not [address for address in sent if "mm4st/uploads" in address]
    refused = page.evaluate(
        """async () => {
            const body = new Blob([new Uint8Array(61 * 2 ** 20)]);
            const answer = await fetch(`mm4st/uploads?id=${'0'.repeat(32)}&name=x.csv`, {method: 'POST', body});
            return [answer.status, (await answer.json()).message];
        }"""
    )
    assert refused == [413, "The file has 61.0 MB; at most 60 MB are taken."]
    assert remains(home) == before


def test_a_wrong_kind_of_file_is_told_so(opened: Opener, home: Path) -> None:
    page, before = opened(), remains(home)

    send(page, "page.csv", b"<!DOCTYPE html><title>Sign in</title>")

    expect(page.locator(".upload .status")).to_contain_text("'page.csv' is a web page (HTML), not a table")
    expect(page.get_by_role("button", name="Choose a file")).to_be_focused()
    assert remains(home) == before


def test_cancelling_while_it_is_sent_or_read_leaves_nothing(opened: Opener, home: Path) -> None:
    page, before = opened(), remains(home)
    cancel = page.get_by_role("button", name="Cancel")
    held: list[Route] = []
    sending = re.compile(r"/mm4st/uploads\?id=")
    page.route(sending, lambda route: held.append(route))
    send(page, "slow.csv", table().encode())
    expect(page.locator(".upload .status")).to_contain_text("Sending slow.csv")
    expect(cancel).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".upload .status")).to_have_text("Cancelled; nothing was kept.")
    assert len(held) == 1
    page.unroute(sending)
    # The whole file has arrived, but the page has not heard of it yet.
    page.route(sending, lambda route: (route.fetch(), held.append(route)))
    send(page, "arrived.csv", table().encode())
    deadline = time.monotonic() + PATIENCE_S
    while remains(home) == before and time.monotonic() < deadline:
        page.wait_for_timeout(50)
    page.keyboard.press("Enter")
    expect(page.locator(".upload .status")).to_have_text("Cancelled; nothing was kept.")
    page.unroute(sending)

    rows = "\n".join(
        f"{datetime(2000, 1, 1) + timedelta(minutes=5 * i):%Y-%m-%d %H:%M}{',1.5' * 60}" for i in range(60_000)
    )
    send(page, "large.csv", ("\n".join([",".join(["time", *(f"S{k}" for k in range(60))]), rows])).encode())
    expect(page.locator(".upload .status")).to_contain_text(re.compile("Reading|Checking"))
    cancel.click()

    expect(page.locator(".upload .status")).to_have_text("Cancelled; nothing was kept.")
    expect(page.locator(".upload .drop")).to_be_visible()
    deadline = time.monotonic() + PATIENCE_S
    while remains(home) != before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert remains(home) == before


def test_the_keyboard_alone_is_enough_and_a_reload_goes_on(opened: Opener) -> None:
    page = opened()
    choose = page.get_by_role("button", name="Choose a file")
    with page.expect_file_chooser() as chooser:
        choose.press("Enter")
    file = {"name": "keys.csv", "mimeType": "text/csv", "buffer": table().encode()}
    chooser.value.set_files(file)  # type: ignore[arg-type]
    assert title(page) == "How keys.csv was understood"

    page.reload()

    assert title(page) == "How keys.csv was understood"
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.name") == "name":
            break
    page.keyboard.press("Enter")
    expect(page.get_by_label("Data set", exact=True)).to_have_value("keys")
    send(page, "keys.csv", table().encode())
    title(page)
    name = page.get_by_label("Name of the data set")
    expect(name).to_have_value("keys-2")
    name.fill("keys")
    name.press("Enter")
    expect(page.locator(".upload .problem")).to_have_text("There is a data set 'keys' already. Choose another name.")
    page.get_by_role("button", name="Discard").click()


def test_a_file_can_be_dropped(opened: Opener) -> None:
    page = opened()
    carried = page.evaluate_handle(
        """text => {
            const carried = new DataTransfer();
            carried.items.add(new File([text], '<b>dropped</b>.csv'));
            return carried;
        }""",
        table(),
    )

    page.locator(".upload .drop").dispatch_event("drop", {"dataTransfer": carried})

    assert title(page) == "How <b>dropped</b>.csv was understood"
    page.get_by_role("button", name="Discard").click()


def test_a_large_file_takes_little_memory_of_the_server(
    opened: Opener, server: tuple[str, int], tmp_path: Path
) -> None:
    page = opened()
    large = tmp_path / "large.csv"
    line = b"2024-01-01T00:00,1\n"
    with large.open("wb") as file:
        file.write(b"time,a\n")
        for _ in range(50):
            file.write(line * (2**20 // len(line)))
    before = _peak_mb(server[1])

    page.locator(".upload input[type=file]").set_input_files(large)
    assert title(page) == "large.csv cannot be used as it is"  # all rows have one stamp

    assert _peak_mb(server[1]) - before < 15
    page.get_by_role("button", name="Send another file").click()


def _peak_mb(pid: int) -> float:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024
