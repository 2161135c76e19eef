"""Pictures of the page, to be looked at: `pytest tests/app/test_screenshots.py --screenshots FOLDER` keeps them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser

QUESTION = "How much traffic will station S096 carry over the next hour, and why?"


@pytest.mark.parametrize(
    ("name", "width", "height", "dark"),
    [("chat", 1440, 1000, False), ("dark", 1440, 1000, True), ("phone", 390, 844, False)],
)
def test_every_state_of_the_page_can_be_seen(
    visits: Any, screenshots: Path, name: str, width: int, height: int, dark: bool
) -> None:
    visit = visits.open(width, height, dark=dark)
    page = visit.page
    expect(page.get_by_text("What would you like to know?")).to_be_visible()
    pictures = [_taken(page, screenshots / f"{name}-empty.png")]

    visit.ask(QUESTION)
    visit.answer()
    pictures.append(_taken(page, screenshots / f"{name}-answered.png"))
    number = page.locator("#chat a.claim.verified").filter(has_text="vehicles").first
    number.scroll_into_view_if_needed()
    chart = page.locator("#chat figure.chart").first
    chart.scroll_into_view_if_needed()
    expect(chart.locator("svg").first).to_be_visible()
    number.click()
    expect(page.locator("#evidence")).to_contain_text("Supported by the evidence")
    page.locator("#chat .answer").evaluate("answer => answer.scrollIntoView()")
    pictures.append(_taken(page, screenshots / f"{name}.png"))

    page.get_by_role("tab", name="Map").click()
    page.get_by_role("combobox", name="Find a place").fill("S096")
    page.get_by_role("listbox", name="Places").get_by_role("option").click()
    expect(page.get_by_label("The chosen place").locator("svg")).to_be_visible()
    pictures.append(_taken(page, screenshots / f"{name}-map.png"))

    assert len({picture.read_bytes() for picture in pictures}) == 4, "two states look the same"


def _taken(page: Page, path: Path) -> Path:
    page.wait_for_function("() => document.getAnimations().every(animation => animation.playState !== 'running')")
    page.screenshot(path=path)
    return path
