"""The chat as a person meets it: questions, answers, stops, and a phone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from mm4st_agent.web.about import EXAMPLES

pytestmark = pytest.mark.browser

EXAMPLE = EXAMPLES["demo"][0]
FORECAST = "How much traffic will station S096 carry over the next hour?"
STEPS = "#chat .thought-group"


def test_an_example_is_answered_with_steps_chart_and_evidence(visits: Any) -> None:
    visit = visits.open()
    page = visit.page
    expect(page.locator("#facts")).to_contain_text("Synthetic data")

    page.get_by_role("button", name=EXAMPLE).click()
    footer = visit.answer()

    assert "answered by embedded · data demo as of 2025-10-22" in footer
    times = page.locator(f"{STEPS} .duration").all_inner_texts()
    assert len(times) >= 4
    assert all(re.fullmatch(r"E\d+ \(\d+\.\d(ms|s)\)", text) for text in times), times
    page.locator(STEPS).filter(has_text="Forecasting").get_by_role("button").first.click()
    expect(page.locator(STEPS).filter(has_text="Forecasting")).to_contain_text("S096")
    chart = page.locator("#chat figure.chart").first
    chart.scroll_into_view_if_needed()
    expect(chart.locator("svg").first).to_be_visible()
    expect(chart).to_contain_text("Show the numbers")
    expect(chart.locator("img")).to_be_hidden()
    picture = page.locator("#chat figure:not(.chart) img").first
    picture.scroll_into_view_if_needed()
    expect(picture).to_have_js_property("complete", True)
    assert picture.evaluate("image => image.naturalWidth") > 600
    assert all(image.get_attribute("alt") for image in page.locator("#chat img").all())
    expect(page.locator("#chat .warnings")).to_contain_text("synthetic")
    expect(page.locator("#chat .sources cite").first).to_be_visible()


def test_a_session_keeps_its_thread_and_shares_it_with_nobody(visits: Any) -> None:
    one, other = visits.open(), visits.open()
    one.ask(FORECAST)
    other.ask("How complete are the data?")
    one.answer()
    other.answer()
    first, stranger = one.thread, other.thread
    one.ask("Were there any incidents near it?")
    one.answer(2)
    second = one.thread
    one.page.get_by_role("button", name="New conversation").click()
    expect(one.page.get_by_text("What would you like to know?")).to_be_visible()
    expect(one.page).not_to_have_url(re.compile("thread"))
    one.ask("hello")
    one.answer()

    assert first == second
    assert len({first, stranger, one.thread}) == 3


def test_a_new_conversation_can_be_asked_at_once(visits: Any) -> None:
    visit = visits.open()
    page = visit.page
    threads = set()
    for question in ("How busy is station S039 now?", "How busy is station S040 now?", "How busy is station S041 now?"):
        page.get_by_role("button", name="New conversation").click()
        visit.ask(question)

        expect(page.locator("#chat [data-testid=user]")).to_have_text([question])
        visit.answer()
        threads.add(visit.thread)
    assert len(threads) == 3


@pytest.mark.parametrize(
    ("question", "clock", "said"),
    [
        ("", "2025-10-22T07:40", "The question is empty."),
        ("How busy is station D99 now?", "2025-10-22T07:40", "D99"),
        ("How busy is station S039 now?", "2031-01-01T00:00", "as_of 2031-01-01T00:00 is outside the data of 'demo'."),
        ("How busy is station S039 now?", "noon-ish", "'noon-ish' is not a point in time."),
        ("How busy is S039? " * 600, "2025-10-22T07:40", "at most 4000 are read"),
    ],
    ids=["empty", "unknown place", "late clock", "no clock", "10,000 characters"],
)
def test_a_bad_question_gets_a_clear_sentence(visits: Any, question: str, clock: str, said: str) -> None:
    visit = visits.open()
    visit.page.get_by_label("Clock").fill(clock)

    visit.ask(question)

    reply = visit.page.locator("#chat [data-testid=bot]").filter(has_text=said)
    expect(reply.last).to_be_visible()
    expect(visit.page.locator("#question").get_by_test_id("submit-button")).to_be_visible()
    assert not re.search(r"Traceback|Error|File \"", visit.page.locator("#chat").inner_text())


def test_a_refused_question_can_be_mended(visits: Any) -> None:
    visit = visits.open()
    visit.page.get_by_label("Clock").fill("noon")

    visit.ask(FORECAST)

    expect(visit.page.locator("#question textarea")).to_have_value(FORECAST)


def test_stop_cancels_the_answer_and_leaves_others_alone(visits: Any, silent_server: Any) -> None:
    stuck, other = visits.open(), visits.open()
    stuck.page.get_by_label("vLLM").check()
    stuck.ask(EXAMPLE)
    assert silent_server.was_asked()
    expect(stuck.page.locator("#chat")).to_contain_text("Thinking")

    other.ask(FORECAST)
    assert "answered by embedded" in other.answer()

    stuck.page.get_by_role("button", name="Stop").click()
    expect(stuck.page.locator("#chat .sentence")).to_have_text("Stopped.")
    assert silent_server.was_left()

    stuck.page.get_by_label("Embedded").check()
    stuck.ask("How complete are the data?")
    assert "answered by embedded" in stuck.answer()


def test_the_last_question_is_asked_again_or_changed(visits: Any) -> None:
    visit = visits.open()
    page = visit.page
    visit.ask("How busy is station S039 now?")
    visit.answer()

    page.get_by_role("button", name="Retry").click()
    visit.answer()
    expect(page.locator("#chat [data-testid=user]")).to_have_text(["How busy is station S039 now?"])

    page.get_by_role("button", name="Edit").click()
    page.locator("#chat textarea").fill("How busy is station S045 now?")
    page.get_by_role("button", name="Submit").click()
    expect(page.locator("#chat .answer")).to_contain_text("S045")
    visit.answer()
    expect(page.locator("#chat [data-testid=user]")).to_have_text(["How busy is station S045 now?"])


def test_an_answer_is_copied_as_text(visits: Any) -> None:
    visit = visits.open()
    page = visit.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    visit.ask("How busy is station S039 now?")
    visit.answer()

    page.get_by_role("button", name="Copy message").last.click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()

    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("Road station S039 (Central Park southbound")
    assert "<" not in copied
    assert "answered by embedded" in copied


def test_it_fits_a_phone(visits: Any) -> None:
    visit = visits.open(width=390, height=844)
    visit.ask("Give me a table of the speed forecast for S096 for the next half hour")
    visit.answer()

    right_edge = "node => node.getBoundingClientRect().right"
    table = "#chat .answer > table"  # wider than the page, it scrolls by itself
    for part in ("#chat figure >> nth=0", table, "#chat .footer", "#chat .thought-group >> nth=0", "#question"):
        assert visit.page.locator(part).evaluate(right_edge) <= 390, part
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= 390
    expect(visit.page.locator("#question textarea")).to_be_in_viewport()


def test_a_long_answer_is_read_from_its_question_on(visits: Any) -> None:
    visit = visits.open(390, 844)
    page = visit.page
    chat, question = page.locator("#chat .bubble-wrap"), page.locator("#chat .user-row")
    for count in (1, 2):
        visit.ask(FORECAST)
        visit.answer(count)
        page.wait_for_function(
            """([chat, question]) => chat.scrollHeight > 1.5 * chat.clientHeight
                && Math.abs(question.getBoundingClientRect().top - chat.getBoundingClientRect().top) < 2""",
            arg=[chat.element_handle(), question.last.element_handle()],
        )
    chat.hover()
    page.mouse.wheel(0, -300)
    page.wait_for_function("question => question.getBoundingClientRect().top > 300", arg=question.last.element_handle())


def test_the_page_loads_nothing_from_elsewhere_and_gradio_takes_no_upload(browser: Browser, served: Any) -> None:
    page = browser.new_page()
    page.goto(served.url)
    expect(page.locator("#facts strong")).to_be_visible(timeout=60_000)

    blocked = page.evaluate(
        """() => new Promise(done => {
            document.addEventListener('securitypolicyviolation', event => done(event.blockedURI));
            new Image().src = 'http://pictures.invalid/x.png';
        })"""
    )
    file = {"name": "a.txt", "mimeType": "text/plain", "buffer": b"hello"}
    upload = page.request.post(f"{served.url}gradio_api/upload", multipart={"files": file})
    stored = page.request.get(f"{served.url}gradio_api/file={Path(__file__).resolve()}")
    page.close()

    assert blocked == "http://pictures.invalid/x.png"
    assert upload.status == 413
    assert stored.status == 403
