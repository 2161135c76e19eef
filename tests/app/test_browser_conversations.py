"""Conversations that are kept: resumed, renamed, exported, deleted, rated, and seen from two tabs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

pytestmark = pytest.mark.browser

QUESTION = "How busy is station S039 now?"


def test_a_conversation_is_there_again_after_a_restart(
    browser: Browser, serve: Callable[..., Any], visiting: Callable[..., Any], tmp_path: Path
) -> None:
    with serve(tmp_path) as served:
        visits = visiting(browser, served.url)
        visit = visits.open()
        visit.ask(QUESTION)
        footer = visit.answer()
        text = visit.page.locator("#chat .answer").inner_text()
        steps = visit.page.locator("#chat .thought-group").count()
        thread = visit.thread
        assert visits.close() == []
    with serve(tmp_path) as served:
        visits = visiting(browser, served.url)
        visit = visits.open()
        visit.page.get_by_label(QUESTION).check()

        assert visit.answer() == footer
        assert visit.page.locator("#chat .answer").inner_text() == text
        expect(visit.page.locator("#chat .thought-group")).to_have_count(steps)
        assert visit.thread == thread
        visit.ask("And an hour ago?")
        visit.answer(2)
        expect(visit.page.locator("#chat .answer").last).to_contain_text("S039")
        assert visits.close() == []


def test_a_conversation_is_renamed_exported_and_deleted(
    visits: Any, unfold: Callable[..., None], tmp_path: Path
) -> None:
    visit = visits.open()
    page = visit.page
    visit.ask(QUESTION)
    visit.answer()
    thread = visit.thread

    unfold(page, "This conversation")
    page.locator("#conversation input").fill("Morning at S039")
    visit.ask("And an hour ago?")
    visit.answer(2)  # an answer leaves the name that is being typed
    page.get_by_role("button", name="Rename").click()
    expect(page.get_by_label("Morning at S039")).to_be_checked()

    saved = {}
    for name in ("Markdown", "Web page with pictures", "Manifest (JSON)"):
        with page.expect_download() as download:
            page.get_by_role("link", name=name).click()
        saved[name] = tmp_path / download.value.suggested_filename
        download.value.save_as(saved[name])
    assert QUESTION in saved["Markdown"].read_text()
    assert json.loads(saved["Manifest (JSON)"].read_text())["thread"] == thread
    copy = page.context.new_page()
    copy.goto(saved["Web page with pictures"].as_uri())
    expect(copy.get_by_role("heading", name="Morning at S039")).to_be_visible()
    copy.close()

    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("button", name="Delete it for good").click()
    expect(page.get_by_label("Morning at S039")).to_have_count(0)
    expect(page.get_by_text("What would you like to know?")).to_be_visible()
    assert page.request.get(f"{page.url}mm4st/exports/{thread}.md").status == 404


def test_a_rating_is_kept_with_the_manifest(visits: Any, served: Any) -> None:
    visit = visits.open()
    visit.ask(QUESTION)
    visit.answer()

    visit.page.get_by_role("button", name="Like", exact=True).click()

    thread = visit.thread
    again = visits.open(thread=thread)
    again.answer()
    expect(again.page.get_by_role("button", name="Liked")).to_be_visible()
    manifest = next((served.home / "runs").glob(f"*/{thread}-1.json"))
    assert json.loads(manifest.read_text())["rating"] == "up"


def test_an_answer_goes_on_when_the_page_is_loaded_again(visits: Any, silent_server: Any) -> None:
    visit = visits.open()
    page = visit.page
    page.get_by_label("vLLM").check()
    visit.ask(QUESTION)
    assert silent_server.was_asked()
    expect(page.locator("#chat")).to_contain_text("Thinking")

    page.reload()
    visit.faults.clear()  # Gradio's script logs that its own stream was broken off

    expect(page.locator("#chat [data-testid=user]")).to_have_text(QUESTION)
    expect(page.locator("#chat")).to_contain_text("Thinking")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#chat .sentence")).to_have_text("Stopped.")
    assert silent_server.was_left()


def test_two_tabs_see_the_same_answer_and_ask_one_after_the_other(visits: Any, silent_server: Any) -> None:
    one = visits.open()
    one.page.get_by_label("vLLM").check()
    one.ask(QUESTION)
    assert silent_server.was_asked()

    other = visits.open(thread=one.thread)
    expect(other.page.locator("#chat")).to_contain_text("Thinking")
    other.page.get_by_role("button", name="Stop").click()
    expect(one.page.locator("#chat .sentence")).to_have_text("Stopped.")
    assert silent_server.was_left()

    one.page.get_by_label("Embedded").check()
    other.ask(QUESTION)
    other.answer()
    one.ask("And an hour ago?")
    one.answer(2)


def test_an_address_of_nothing_opens_an_empty_page(visits: Any) -> None:
    visit = visits.open(thread="no-such-conversation")

    expect(visit.page.get_by_text("What would you like to know?")).to_be_visible()
    expect(visit.page).not_to_have_url(re.compile("thread"))
