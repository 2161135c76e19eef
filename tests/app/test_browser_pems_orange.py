"""The whole page on real data: freeway loop detectors, by two people who sign in, at a desk and on a phone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import Browser, Page, expect

from mm4st_agent.web.about import EXAMPLES
from mm4st_agent.web.accounts import PasswordHash, write_accounts

pytestmark = pytest.mark.browser

PATIENCE_S = 120
PASSWORD = "a long enough sentence"
STATION = "1205330"


@pytest.fixture
def served(real_data: Path, serve: Callable[..., Any], tmp_path: Path) -> Iterator[Any]:
    write_accounts(tmp_path / "people", {name: PasswordHash.of(PASSWORD) for name in ("ann", "bob")})
    home = tmp_path / "home"
    home.mkdir()
    with serve(home, data_dir=real_data, auth_file=tmp_path / "people") as running:
        yield running


def _signed_in(browser: Browser, address: str, name: str, width: int = 1440, height: int = 900) -> Page:
    expect.set_options(timeout=PATIENCE_S * 1000)
    context = browser.new_context(viewport={"width": width, "height": height})
    context.set_default_timeout(PATIENCE_S * 1000)
    page = context.new_page()
    page.goto(address)
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#facts strong")).to_be_visible()
    return page


def _choose_data(page: Page) -> None:
    page.get_by_label("Data set", exact=True).click()
    page.get_by_role("option", name="pems-orange").click()
    expect(page.locator("#facts")).to_contain_text("Orange County")


def _answered(page: Page, count: int = 1) -> str:
    expect(page.locator("#chat .answer .footer")).to_have_count(count)
    expect(page.locator("#question").get_by_test_id("submit-button")).to_be_visible()
    return page.locator("#chat .answer .footer").last.inner_text()


def test_orange_county_from_question_to_export(
    browser: Browser, served: Any, unfold: Callable[..., None], tmp_path: Path
) -> None:
    page = _signed_in(browser, served.url, "ann")
    _choose_data(page)
    page.get_by_role("button", name=EXAMPLES["pems-orange"][0]).click()
    assert "data pems-orange as of" in _answered(page)

    page.locator("#chat a.claim.verified").filter(has_text="vehicles").first.click()
    expect(page.locator("#evidence")).to_contain_text("Supported by the evidence")
    expect(page.locator("#evidence")).to_contain_text(STATION)
    chart = page.locator("#chat figure.chart").first
    chart.scroll_into_view_if_needed()
    expect(chart.locator("svg").first).to_be_visible()

    unfold(page, "This conversation")
    page.locator("#conversation input").fill("Evening on the freeway")
    page.get_by_role("button", name="Rename").click()
    expect(page.get_by_label("Evening on the freeway")).to_be_checked()
    with page.expect_download() as download:
        page.get_by_role("link", name="Web page with pictures").click()
    download.value.save_as(tmp_path / "saved.html")
    assert STATION in (tmp_path / "saved.html").read_text()

    phone = _signed_in(browser, page.url, "ann", 390, 844)
    assert "data pems-orange" in _answered(phone)
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    phone.locator("#question textarea").fill("And how busy is it now compared with normal?")
    phone.locator("#question textarea").press("Enter")
    _answered(phone, 2)
    expect(phone.locator("#chat .answer").last).to_contain_text(STATION)

    stranger = _signed_in(browser, page.url, "bob")
    expect(stranger.get_by_text("What would you like to know?")).to_be_visible()
    expect(stranger.get_by_label("Evening on the freeway")).to_have_count(0)
    for each in (page, phone, stranger):
        each.context.close()


def test_orange_county_map_clock_and_own_data_beside(browser: Browser, served: Any, tmp_path: Path) -> None:
    page = _signed_in(browser, served.url, "ann")
    _choose_data(page)
    before = page.get_by_label("Clock").input_value()
    page.get_by_role("button", name="-1 d").click()
    expect(page.get_by_label("Clock")).not_to_have_value(before)
    page.get_by_role("tab", name="Map").click()
    search = page.get_by_role("combobox", name="Find a place")
    search.fill(STATION)
    page.get_by_role("listbox", name="Places").get_by_role("option").first.click()
    expect(page.get_by_label("The chosen place").locator("svg")).to_be_visible()
    expect(page.locator("#question textarea")).to_have_value(re.compile(STATION))
    page.locator("#question textarea").press("Enter")
    assert page.get_by_label("Clock").input_value()[:10] in _answered(page)

    times = pd.date_range("2025-03-01", periods=24 * 21, freq="h")
    day = 50 + 30 * np.sin(2 * np.pi * times.hour / 24)
    pd.DataFrame({"time": times, "Ramp": day.round(1)}).to_csv(tmp_path / "ramp.csv", index=False)
    page.get_by_role("button", name="Bring your own data").click()
    page.locator(".upload input[type=file]").set_input_files(tmp_path / "ramp.csv")
    page.get_by_role("button", name="Store").click()
    expect(page.locator("#facts")).to_contain_text("ramp")
    page.locator("#question textarea").fill("How is Ramp now compared with its usual level?")
    page.locator("#question textarea").press("Enter")
    assert "data ramp as of 2025-03-21" in _answered(page)

    other = _signed_in(browser, served.url, "bob")
    other.get_by_label("Data set", exact=True).click()
    expect(other.get_by_role("option", name="pems-orange")).to_be_visible()
    expect(other.get_by_role("option", name="ramp")).to_have_count(0)
    for each in (page, other):
        each.context.close()
