"""The page has no fault that axe-core finds (WCAG AA); and the check does find faults."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

pytestmark = pytest.mark.browser

PAGE = """<!doctype html><html lang="en"><title>A page</title><main>
<div id="wrong"><img src="data:," /><p style="color: #999; background: #fff">pale</p><button></button></div>
<div id="right"><img src="data:," alt="a graph" /><p style="color: #333; background: #fff">dark</p>
<button>Stop</button></div></main></html>"""
FADING = """<!doctype html><html lang="en"><title>A page</title><style>
@keyframes fade { from { color: #eee } } p { color: #333; animation: fade 0.5s } div { animation: fade 1s infinite }
</style><main><p>soon dark</p><div></div></main></html>"""


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    opened = browser.new_page()
    yield opened
    opened.close()


def test_each_fault_is_a_line(page: Page, faults_of_access: Callable[..., list[str]]) -> None:
    page.set_content(PAGE)

    faults = sorted(faults_of_access(page))

    assert [line.split(",")[0] for line in faults] == ["button-name", "color-contrast", "image-alt"]
    assert "2.84" in next(line for line in faults if line.startswith("color-contrast"))
    assert faults_of_access(page, within="#right") == []
    assert len(faults_of_access(page, within="#wrong")) == 3


def test_what_still_fades_in_is_waited_for(page: Page, faults_of_access: Callable[..., list[str]]) -> None:
    page.set_content(FADING)

    assert faults_of_access(page) == []


@pytest.mark.parametrize(
    ("width", "dark"),
    [
        pytest.param(1440, False, id="1440-light"),
        pytest.param(390, True, id="390-dark"),
        pytest.param(1440, True, id="1440-dark", marks=pytest.mark.slow),
        pytest.param(390, False, id="390-light", marks=pytest.mark.slow),
    ],
)
def test_the_app_is_accessible(visits: Any, faults_of_access: Callable[..., list[str]], width: int, dark: bool) -> None:
    visit = visits.open(width=width, dark=dark)
    page = visit.page
    assert faults_of_access(page) == []

    visit.ask("How much traffic will station S096 carry over the next hour?")
    visit.answer()
    expect(page.locator("#chat figure.chart").first).to_be_attached()
    assert faults_of_access(page) == []

    page.locator("#chat a.claim").first.click()
    expect(page.locator("#evidence")).to_contain_text("Supported by the evidence")
    assert faults_of_access(page) == []
    page.get_by_role("tab", name="Map").click()
    expect(page.get_by_role("application")).to_be_visible()
    assert faults_of_access(page) == []
    if width > 1000:
        for part in ("This conversation", "About these data", "Bring your own data"):
            page.get_by_role("button", name=part).click()
        assert faults_of_access(page) == []
