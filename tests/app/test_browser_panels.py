"""Beside the chat: evidence, map, clock, data of one's own, chat models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import Browser, expect

pytestmark = pytest.mark.browser

FORECAST = "How much traffic will station S096 carry over the next hour?"


def test_a_number_tells_where_it_comes_from(visits: Any) -> None:
    visit = visits.open()
    page = visit.page
    visit.ask(FORECAST)
    visit.answer()
    number = page.locator("#chat a.claim.verified").filter(has_text="vehicles").first

    number.click()
    panel = page.locator("#evidence")
    expect(panel).to_contain_text("Supported by the evidence")
    expect(panel).to_contain_text("Forecasting")
    expect(panel).to_contain_text("2025-10-22 07:40")
    expect(panel).to_contain_text(number.inner_text().split()[0])

    page.locator("#chat a.mark").first.focus()
    page.keyboard.press("Enter")
    expect(panel).not_to_contain_text("Supported by the evidence")


def test_a_place_of_the_map_goes_into_the_question(visits: Any) -> None:
    visit = visits.open()
    page = visit.page
    page.get_by_role("tab", name="Map").click()
    search = page.get_by_role("combobox", name="Find a place")
    search.fill("S096")
    page.get_by_role("listbox", name="Places").get_by_role("option").click()

    expect(page.locator("#question textarea")).to_have_value(
        "What is expected at road station S096 over the next hour?"
    )
    expect(page.get_by_label("The chosen place")).to_contain_text("S096")
    expect(page.get_by_label("The chosen place").locator("svg")).to_be_visible()

    page.locator("#question textarea").press("Enter")
    visit.answer()
    expect(page.locator("#chat .answer")).to_contain_text("S096")


def test_the_clock_moves_and_the_answer_with_it(visits: Any) -> None:
    visit = visits.open()
    page = visit.page
    page.get_by_role("button", name="-1 d").click()
    expect(page.get_by_label("Clock")).to_have_value("2025-10-21T07:40")
    page.get_by_role("button", name="+1 h").click()
    expect(page.get_by_label("Clock")).to_have_value("2025-10-21T08:40")

    visit.ask("How busy is station S039 now?")
    assert "as of 2025-10-21 08:40" in visit.answer()

    page.get_by_role("button", name="Now").click()
    expect(page.get_by_label("Clock")).to_have_value("2025-10-22T07:40")


def test_data_of_ones_own_are_seen_confirmed_and_asked_about(
    browser: Browser, serve: Callable[..., Any], visiting: Callable[..., Any], tmp_path: Path
) -> None:
    times = pd.date_range("2024-03-01", periods=24 * 21, freq="h")
    day = 50 + 30 * np.sin(2 * np.pi * times.hour / 24)
    table = pd.DataFrame({"time": times, "North": day.round(1), "South": (day / 2).round(1)})
    file = tmp_path / "counts.csv"
    table.to_csv(file, index=False)
    home = tmp_path / "home"
    home.mkdir()
    with serve(home) as served:
        visits = visiting(browser, served.url)
        visit = visits.open()
        page = visit.page
        page.get_by_role("button", name="Bring your own data").click()
        page.locator(".upload input[type=file]").set_input_files(file)
        expect(page.locator(".upload .work")).to_contain_text("North")
        page.get_by_role("button", name="Store").click()
        expect(page.locator("#facts")).to_contain_text("counts")

        visit.ask("How is North now compared with its usual level?")
        assert "data counts as of 2024-03-21" in visit.answer()
        assert visits.close() == []


def test_a_chat_model_that_cannot_be_reached_is_told_before_and_when_it_is_asked(
    browser: Browser, serve: Callable[..., Any], visiting: Callable[..., Any], tmp_path: Path
) -> None:
    with serve(tmp_path, vllm_url="http://127.0.0.1:9/v1") as served:
        visits = visiting(browser, served.url)
        visit = visits.open()
        visit.page.get_by_label("vLLM").check()
        expect(visit.page.locator("#model-state")).to_contain_text("Not reachable")

        visit.ask(FORECAST)
        expect(visit.page.locator("#chat .sentence")).to_contain_text("http://127.0.0.1:9/v1")

        visit.page.get_by_label("Embedded").check()
        expect(visit.page.locator("#model-state")).to_contain_text("Ready")
        visit.ask("How busy is station S039 now?")
        visit.answer()
        assert visits.close() == []


def test_a_full_disk_costs_the_memory_of_an_answer_and_nothing_else(
    browser: Browser, serve: Callable[..., Any], visiting: Callable[..., Any], tmp_path: Path
) -> None:
    import resource

    with serve(tmp_path) as served:
        visits = visiting(browser, served.url)
        visit = visits.open()
        visit.ask("How busy is station S039 now?")
        visit.answer()
        unlimited = resource.prlimit(served.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(
            served.process.pid, resource.RLIMIT_FSIZE, (1, unlimited[1])
        )  # a write fails as on a full disk

        visit.page.get_by_role("button", name="New conversation").click()
        expect(visit.page.get_by_text("What would you like to know?")).to_be_visible()
        visit.ask("How busy is station S045 now?")
        expect(visit.page.locator("#chat")).to_contain_text("disk")

        resource.prlimit(served.process.pid, resource.RLIMIT_FSIZE, unlimited)
        visit.faults.clear()  # of requests that needed the disk
        visit.page.get_by_role("button", name="New conversation").click()
        expect(visit.page.get_by_text("What would you like to know?")).to_be_visible()
        visit.ask("How busy is station S045 now?")
        visit.answer()
        assert visits.close() == []
