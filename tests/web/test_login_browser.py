"""Signing in as a person meets it: a real Chromium, with and without scripts, light and dark, wide and narrow."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from mm4st_agent.web.accounts import PasswordHash, write_accounts

pytestmark = pytest.mark.browser

PATIENCE_MS = 60_000
PASSWORD = "a long enough sentence"
WRONG = "The name or the password is wrong."


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, browser: Browser, small_page: Any) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("login")
    write_accounts(folder / "people", {"ada": PasswordHash.of(PASSWORD)})
    with small_page(folder / "home", folder / "people") as running:
        yield running


def _visit(browser: Browser, **options: Any) -> BrowserContext:
    context = browser.new_context(**options)
    context.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    return context


def _type(page: Page, name: str, password: str) -> None:
    """With the keyboard alone; the name has the focus from the start."""
    page.keyboard.press("Control+A")
    page.keyboard.type(name)
    page.keyboard.press("Tab")
    page.keyboard.type(password)
    page.keyboard.press("Enter")


def test_a_person_signs_in_asks_by_name_and_signs_out(browser: Browser, served: Any) -> None:
    with _visit(browser) as context:
        page = context.new_page()
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda sent: None if sent.url.startswith((served.url, "data:")) else faults.append(sent.url))
        page.goto(served.url)
        expect(page).to_have_url(f"{served.url}mm4st/sign-in")
        expect(page.get_by_label("Name")).to_be_focused()

        _type(page, "ada", "not this sentence")
        expect(page.get_by_role("alert")).to_have_text(WRONG)
        expect(page.get_by_label("Name")).to_have_value("ada")
        expect(page.get_by_label("Password")).to_have_value("")

        _type(page, "ada", PASSWORD)
        expect(page).to_have_url(served.url)
        page.locator("#in textarea").fill("hello")
        page.locator("#in textarea").press("Enter")
        expect(page.locator("#out textarea")).to_have_value("hello, ada")
        assert page.evaluate("document.cookie") == ""

        page.get_by_role("button", name="Sign out").click()
        expect(page).to_have_url(f"{served.url}mm4st/sign-in")
        page.goto(served.url)
        expect(page).to_have_url(f"{served.url}mm4st/sign-in")
        assert faults == []


def test_a_page_that_stayed_open_after_the_session_ended_does_nothing_more(browser: Browser, served: Any) -> None:
    with _visit(browser) as context:
        page = context.new_page()
        page.goto(served.url)
        _type(page, "ada", PASSWORD)
        box = page.locator("#in textarea")
        expect(box).to_be_visible()
        assert page.evaluate("fetch('mm4st/sign-out', {method: 'POST'}).then(reply => reply.ok)")

        box.fill("hello")
        with page.expect_response(re.compile("queue/join")) as refused:
            box.press("Enter")

        assert refused.value.status == 401
        expect(page.locator("#out textarea")).to_have_value("")


def test_signing_in_needs_no_scripts(browser: Browser, served: Any) -> None:
    with _visit(browser, java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(served.url)
        page.get_by_label("Name").fill("ada")
        page.get_by_label("Password").fill(PASSWORD)
        with page.expect_response(served.url) as home:
            page.get_by_role("button", name="Sign in").click()

        assert home.value.status == 200


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(390, 844), (1440, 900)])
def test_the_page_can_be_read_by_everyone(
    browser: Browser, served: Any, tmp_path: Path, scheme: Any, width: int, height: int
) -> None:
    with _visit(browser, color_scheme=scheme, viewport={"width": width, "height": height}) as context:
        page = context.new_page()
        page.goto(f"{served.url}mm4st/sign-in")
        _type(page, "nobody", "not this sentence")
        expect(page.get_by_role("alert")).to_be_visible()
        page.screenshot(path=tmp_path / f"sign-in-{scheme}-{width}.png")

        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert min(page.evaluate(_CONTRASTS)) >= 4.5
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        button = page.get_by_role("button", name="Sign in")
        expect(button).to_be_focused()
        assert button.evaluate("button => getComputedStyle(button).outlineWidth") == "3px"


_CONTRASTS = """() => {
    const channels = colour => colour.match(/[\\d.]+/g).map(Number);
    const light = colour => channels(colour).slice(0, 3).map(value => value / 255)
        .map(value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
        .reduce((sum, value, at) => sum + value * [0.2126, 0.7152, 0.0722][at], 0);
    const behind = element => {
        const colour = getComputedStyle(element).backgroundColor;
        return (channels(colour)[3] ?? 1) === 0 ? behind(element.parentElement) : colour;
    };
    const texts = [...document.querySelectorAll('h1, p, label, input, button')];
    return texts.map(element => [light(getComputedStyle(element).color), light(behind(element))])
        .map(([one, other]) => (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05));
}"""
"""Contrast of each text with what is behind it, by WCAG 2.2."""
