"""The map in a real Chromium: a small Gradio page around the widget, the real routes, real data."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import gradio as gr
import numpy as np
import pandas as pd
import pytest
import uvicorn
import xarray as xr
from fastapi import FastAPI
from playwright.sync_api import Browser, Page, expect

from mm4st_agent.data.card import Channel, DataCard
from mm4st_agent.data.panel import Panel
from mm4st_agent.runtime import Runtime
from mm4st_agent.settings import load_settings
from mm4st_agent.web import maps
from mm4st_agent.web.markup import script
from mm4st_agent.widgets.network_map import ChosenNode, map_value, network_map

pytestmark = pytest.mark.browser

PATIENCE_S = 60
CLOCK = "2024-03-02T12:00"
STEPS = 2 * 288
KNOWN = 288 + 144
GAP, LOW, HIGH = 3, 0, 15
"""Nodes of the town at the clock: without a reading, the lowest, the highest."""


def town(name: str, columns: int, rows: int) -> Panel:
    """Streets on a grid; readings grow with the node's number and the time of day, and never exceed it."""
    count = columns * rows
    x, y = (each.ravel() for each in np.meshgrid(np.arange(columns), np.arange(rows)))
    values = np.linspace(10, 90, count)[None, :] + np.linspace(0, 10, STEPS)[:, None]
    values[KNOWN - 1, GAP] = np.nan
    values[KNOWN:] = 9_999.0  # after the clock
    ids = [f"N{at:04d}" for at in range(count)]
    numbers = np.arange(count).reshape(rows, columns)
    pairs = [(numbers[:, :-1], numbers[:, 1:]), (numbers[:-1], numbers[1:]), (numbers[:-1, :-1], numbers[1:, 1:])]
    source, target = (np.concatenate([pair[end].ravel() for pair in pairs]) for end in (0, 1))
    data = xr.Dataset(
        {name: (("time", "node"), values.astype(np.float32), {"units": unit}) for name, unit in CHANNELS.items()},
        coords={
            "time": pd.date_range("2024-03-01", periods=STEPS, freq="5min"),
            "node": ids,
            "name": ("node", [f"{a} & <img src=x onerror=boom()> {b}" for a, b in zip(x, y, strict=True)]),
            "lat": ("node", 48 + 0.002 * y),
            "lon": ("node", 11 + 0.003 * x),
        },
    )
    channels = tuple(Channel(name=key, unit=unit, title=f"traffic {key}") for key, unit in CHANNELS.items())
    card = DataCard(
        name=name, title="A <i>town</i>", source="made by a test", licence="CC0-1.0", place_word="station",
        time_label="start", channels=channels,
    )  # fmt: skip
    edges = pd.DataFrame({"source": np.array(ids)[source], "target": np.array(ids)[target], "weight": 1.0})
    return Panel(card, data, edges)


CHANNELS = {"flow": "vehicles/5 min", "speed": "km/h"}


def page_of(runtime: Runtime) -> FastAPI:
    """A data set box, a clock, the question that a click fills, and the map in a second tab."""

    def told(event: gr.EventData) -> str:
        return ChosenNode.of(event).text

    with gr.Blocks() as blocks:
        dataset = gr.Textbox("town", label="Data set", elem_id="dataset")
        clock = gr.Textbox(CLOCK, label="Clock", elem_id="clock")
        question = gr.Textbox(label="Question", elem_id="question", interactive=True)
        with gr.Tabs():
            with gr.Tab("Evidence"):
                gr.Markdown("Nothing yet.")
            with gr.Tab("Map"):
                shown = network_map(elem_id="map")
        shown.select(told, None, question)
        gr.on(
            [blocks.load, dataset.submit, clock.submit],
            lambda name, when: map_value(name or None, when),
            [dataset, clock],
            shown,
            trigger_mode="always_last",
        )
    server = FastAPI()
    server.include_router(maps.router(lambda user: runtime))
    head = f"<style>{script('map.css')}</style>"
    return gr.mount_gradio_app(server, blocks, path="/", head=head, enable_monitoring=False)


def main(home: Path) -> None:
    """Serve the page until it is ended; the port is the first line that is printed."""
    runtime = Runtime(load_settings(home=home))
    runtime.registry.add(town("town", 4, 4))
    runtime.registry.add(town("city", 100, 80))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sys.stdout.write(f"{listener.getsockname()[1]}\n")
        sys.stdout.flush()
        uvicorn.Server(uvicorn.Config(page_of(runtime), log_level="warning")).run([listener])


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The page's address; its server logs no traceback."""
    folder = tmp_path_factory.mktemp("page")
    log, env = folder / "page.log", os.environ | {"GRADIO_ANALYTICS_ENABLED": "False"}
    command = [sys.executable, str(Path(__file__)), str(folder / "home")]
    with (
        log.open("w") as stderr,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, env=env, text=True) as process,
    ):
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        assert port, log.read_text()
        yield f"http://127.0.0.1:{port}/"
        process.terminate()
    assert "Traceback" not in log.read_text(), log.read_text()


@dataclass
class Visit:
    """One page, the map's requests, and what went wrong."""

    page: Page
    asked: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def see_map(self, dataset: str = "town") -> None:
        self.page.get_by_role("tab", name="Map").click()
        if dataset != "town":
            self.put("dataset", dataset)
        expect(self.page.locator(f".mm4st-map[data-shown={dataset}]")).to_be_visible()
        expect(self.page.locator(".map-said")).to_contain_text("2 Mar 11:55–12:00")

    def put(self, box: str, text: str) -> None:
        self.page.locator(f"#{box} textarea").fill(text)
        self.page.locator(f"#{box} textarea").press("Enter")

    def question(self) -> str:
        return self.page.locator("#question textarea").input_value()

    def spot(self, node: str) -> tuple[float, float]:
        """Where the ring around a node is, which choosing it shows, in pixels of the page."""
        self.page.get_by_role("combobox", name="Find a place").fill(node)
        self.page.keyboard.press("Enter")
        box = self.page.locator(".map-chosen").bounding_box()
        assert box is not None
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


Open = Callable[..., Visit]


@pytest.fixture
def visit(browser: Browser, url: str) -> Iterator[Open]:
    opened: list[Visit] = []

    def enter(width: int = 1440, height: int = 1100, theme: str = "light", touch: bool = False) -> Visit:
        context = browser.new_context(viewport={"width": width, "height": height}, has_touch=touch)
        context.set_default_timeout(PATIENCE_S * 1000)
        expect.set_options(timeout=PATIENCE_S * 1000)
        one = Visit(context.new_page())
        opened.append(one)
        one.page.on("pageerror", lambda error: one.faults.append(str(error)))
        one.page.on("request", lambda request: one.asked.append(request.url) if "/mm4st/map/" in request.url else None)
        one.page.goto(f"{url}?__theme={theme}")
        expect(one.page.get_by_role("tab", name="Map")).to_be_visible()
        return one

    yield enter
    for one in opened:
        one.page.context.close()
        assert one.faults == []


def test_a_click_on_a_node_fills_the_question_and_shows_its_day(visit: Open) -> None:
    seen = visit()
    assert seen.asked == [], "nothing is fetched before the map is seen"
    seen.see_map()
    x, y = seen.spot("N0006")
    seen.page.get_by_role("combobox", name="Find a place").fill("N0000")
    seen.page.keyboard.press("Enter")
    expect(seen.page.locator("#question textarea")).to_have_value("station N0000")

    seen.page.mouse.click(x, y)

    expect(seen.page.locator("#question textarea")).to_have_value("station N0006")
    day = seen.page.locator(".map-place")
    expect(day).to_contain_text("Station N0006 (2 & <img src=x onerror=boom()> 1)")
    expect(day).to_contain_text("49.5 vehicles/5 min, 2 Mar 11:55–12:00")
    expect(day.get_by_role("img")).to_have_attribute(
        "aria-label",
        "traffic flow, vehicles/5 min: lowest 44.5, highest 49.5, last 49.5 at 2 Mar 11:55–12:00.",
    )
    assert len(seen.asked) == 1
    assert seen.page.locator("#map img").count() == 0


def test_the_pointer_names_a_node_with_value_unit_and_time(visit: Open) -> None:
    seen = visit()
    seen.see_map()
    x, y = seen.spot("N0015")
    seen.page.mouse.move(x - 200, y - 100)
    expect(seen.page.locator(".map-tip")).to_be_hidden()

    seen.page.mouse.move(x + 2, y)

    tip = seen.page.locator(".map-tip div")
    expect(tip).to_have_text(
        ["3 & <img src=x onerror=boom()> 3", "97.5 vehicles/5 min", "station N0015, 2 Mar 11:55–12:00"]
    )


def test_missing_looks_unlike_low(visit: Open) -> None:
    seen = visit()
    seen.see_map()
    colours = {}
    spots = {node: seen.spot(f"N{node:04d}") for node in (LOW, GAP, HIGH)}
    for node, (x, y) in spots.items():
        colours[node] = seen.page.evaluate(
            """([x, y]) => {
                const layer = document.querySelector('.map-nodes'), box = layer.getBoundingClientRect();
                return [...layer.getContext('2d').getImageData(x - box.x, y - box.y, 1, 1).data];
            }""",
            [x, y],
        )

    purple, yellow = ([68, 1, 84], [253, 231, 37])
    assert np.abs(np.subtract(colours[LOW][:3], purple)).max() < 30
    assert np.abs(np.subtract(colours[HIGH][:3], yellow)).max() < 40
    assert colours[GAP][:3] == [248, 250, 252], "hollow: the ground shows"
    expect(seen.page.locator(".map-none")).to_have_text("no measured reading")
    expect(seen.page.locator(".map-said")).to_contain_text("15 of 16 stations have a value")


def test_the_slider_goes_back_a_day_and_never_beyond_the_clock(visit: Open) -> None:
    seen = visit()
    seen.see_map()
    slider, said = seen.page.get_by_role("slider", name="Time of the readings"), seen.page.locator(".map-said")
    expect(said).to_contain_text("Highest 97.5 vehicles/5 min at N0015, lowest 17.5 vehicles/5 min at N0000")

    slider.press("End")
    slider.press("ArrowRight")
    expect(slider).to_have_attribute("aria-valuetext", "2 Mar 11:55–12:00")
    slider.press("Home")
    expect(slider).to_have_attribute("aria-valuetext", "1 Mar 12:00–12:05")
    expect(said).to_contain_text("1 Mar 12:00–12:05: 16 stations. Highest 92.5")
    seen.put("clock", "2024-03-02T06:00")

    expect(slider).to_have_attribute("aria-valuetext", "2 Mar 05:55–06:00")
    expect(said).to_contain_text("Highest 96.2")


def test_playing_runs_to_the_clock(visit: Open) -> None:
    seen = visit()
    seen.see_map()
    slider = seen.page.get_by_role("slider", name="Time of the readings")
    for _ in range(3):
        slider.press("ArrowLeft")

    seen.page.get_by_role("button", name="Play").click()

    expect(seen.page.locator(".map-time output")).to_have_text("2 Mar 11:55–12:00 (latest)")
    expect(seen.page.get_by_role("button", name="Play")).to_be_visible()


def test_the_keyboard_alone_is_enough(visit: Open) -> None:
    seen = visit()
    seen.see_map()
    page, find = seen.page, seen.page.get_by_role("combobox", name="Find a place")
    page.get_by_role("tab", name="Map").focus()
    reached = []
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate("document.activeElement.getAttribute('aria-label') || document.activeElement.type")
        )
    for stop in ("select-one", "radio", "text", "Zoom in", "Show everything", "Play", "Time of the readings"):
        assert stop in reached, reached
    assert any(str(stop).startswith("Map of traffic flow") for stop in reached), reached

    find.focus()
    expect(find).to_have_attribute("aria-expanded", "true")
    page.keyboard.type("n001")
    places = page.get_by_role("listbox", name="Places").get_by_role("option")
    expect(places).to_have_count(6)
    page.keyboard.press("ArrowDown")
    expect(places.and_(page.locator("[aria-selected=true]"))).to_contain_text("N0011")
    expect(page.locator(".map-pointed")).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.locator("#question textarea")).to_have_value("station N0011")
    expect(find).to_have_attribute("aria-expanded", "false")

    bar, nodes = page.locator(".map-scale span"), page.locator(".map-nodes")
    far = bar.inner_text()
    nodes.focus()
    for _ in range(6):
        page.keyboard.press("+")
    expect(bar).not_to_have_text(far)
    page.keyboard.press("0")
    expect(bar).to_have_text(far)


def test_wheel_drag_and_double_click_move_the_map(visit: Open) -> None:
    seen = visit()
    seen.see_map()
    x, y = seen.spot("N0005")
    ring, page = seen.page.locator(".map-chosen"), seen.page
    first = ring.bounding_box()
    page.mouse.move(x, y)
    page.mouse.wheel(0, -300)
    page.wait_for_function("[...document.querySelectorAll('.map-moved')].length === 1")
    nearer = ring.bounding_box()
    assert first is not None
    assert nearer is not None
    assert nearer["x"] + nearer["width"] / 2 == pytest.approx(x, abs=1), "what is under the pointer stays there"

    said = seen.question()
    page.mouse.down()
    page.mouse.move(x + 60, y + 30, steps=5)
    page.mouse.up()
    page.wait_for_function(
        "x => Math.abs(document.querySelector('.map-chosen').getBoundingClientRect().x - x) < 1", arg=nearer["x"] + 60
    )
    assert seen.question() == said, "a drag chooses nothing"

    page.mouse.dblclick(x - 180, y + 90)
    page.wait_for_function(
        "x => Math.abs(document.querySelector('.map-chosen').getBoundingClientRect().x - x) < 1", arg=first["x"]
    )


def test_two_fingers_zoom(visit: Open) -> None:
    seen = visit(width=390, height=844, touch=True)
    seen.see_map()
    seen.page.locator(".map-stage").scroll_into_view_if_needed()
    box = seen.page.locator(".map-nodes").bounding_box()
    assert box is not None
    far = seen.page.locator(".map-scale span").inner_text()
    client = seen.page.context.new_cdp_session(seen.page)
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def touch(kind: str, apart: float) -> None:
        points = [{"x": x - apart, "y": y, "id": 0}, {"x": x + apart, "y": y, "id": 1}]
        client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [] if kind == "touchEnd" else points})

    touch("touchStart", 20)
    for apart in range(24, 100, 4):
        touch("touchMove", apart)
    touch("touchEnd", 0)

    expect(seen.page.locator(".map-scale span")).not_to_have_text(far)


def test_the_forecast_change_has_its_own_colours_and_words(visit: Open) -> None:
    seen = visit()
    seen.see_map()
    seen.spot("N0006")
    seen.page.get_by_text("Forecast change", exact=True).click()

    expect(seen.page.locator(".map-place p").first).to_have_text(
        re.compile(r"^[+−]?[\d.]+ expected, from 49\.5 vehicles/5 min, 2 Mar 12:00–13:00$")
    )
    expect(seen.page.locator(".map-what")).to_have_text("Change of traffic flow, vehicles/5 min")
    expect(seen.page.locator(".map-said")).to_contain_text("2 Mar 12:00–13:00: 16 stations")
    expect(seen.page.locator(".map-notes")).to_contain_text("Mean of the forecast for the next hour")
    expect(seen.page.get_by_role("slider")).to_be_hidden()
    seen.page.get_by_text("Readings", exact=True).click()
    expect(seen.page.locator(".map-what")).to_have_text("traffic flow, vehicles/5 min")


def test_a_change_that_cannot_be_had_says_why(visit: Open) -> None:
    seen = visit()
    seen.see_map("city")
    expect(seen.page.get_by_role("radio", name="Forecast change")).to_be_disabled()
    expect(seen.page.locator(".map-notes")).to_contain_text("takes too long for a map")

    seen.put("dataset", "town")
    expect(seen.page.locator(".mm4st-map[data-shown=town]")).to_be_visible()
    seen.put("clock", "2024-03-01T00:30")
    expect(seen.page.locator(".map-time output")).to_contain_text("1 Mar 00:25")
    seen.page.get_by_text("Forecast change", exact=True).click()

    expect(seen.page.locator(".map-message")).to_contain_text("a forecast needs 36. Choose a time from")
    seen.page.get_by_role("button", name="Back to the readings").click()
    expect(seen.page.locator(".map-message")).to_be_empty()


def test_another_channel_keeps_the_chosen_node(visit: Open) -> None:
    seen = visit()
    seen.see_map()
    seen.spot("N0002")

    seen.page.get_by_role("combobox", name="Quantity").select_option("traffic speed")

    expect(seen.page.locator(".map-place p").first).to_contain_text("km/h, 2 Mar 11:55–12:00")
    expect(seen.page.locator(".map-place h4")).to_contain_text("N0002")
    expect(seen.page.locator(".map-legend")).to_contain_text("slow")


def test_errors_and_nothing_are_told_and_can_be_left(visit: Open) -> None:
    seen = visit()
    seen.see_map()
    message = seen.page.locator(".map-message")

    seen.put("dataset", "atlantis")
    expect(message).to_contain_text("There is no data set 'atlantis'.")
    expect(seen.page.get_by_role("button", name="Try again")).to_be_visible()
    seen.put("dataset", "")
    expect(message).to_have_text("Choose a data set to see where its places are.")
    seen.put("dataset", "town")
    expect(seen.page.locator(".map-said")).to_contain_text("15 of 16")
    expect(message).to_be_empty()

    seen.page.route("**/mm4st/map/**", lambda route: route.abort())
    seen.put("clock", "2024-03-02T08:00")
    expect(message).to_contain_text("The server does not answer.")
    seen.page.unroute("**/mm4st/map/**")
    seen.page.get_by_role("button", name="Try again").click()
    expect(seen.page.locator(".map-said")).to_contain_text("2 Mar 07:55–08:00")


def test_it_fits_a_phone(visit: Open) -> None:
    seen = visit(width=390, height=844, theme="dark")
    seen.see_map()
    seen.spot("N0005")

    wide = """() => [...document.querySelectorAll('#map *')].filter(node =>
        node.getBoundingClientRect().right > 390).map(node => node.className)"""
    assert seen.page.evaluate(wide) == []
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= 390


def test_eight_thousand_nodes_are_drawn_swiftly(visit: Open) -> None:
    seen = visit()
    seen.see_map("city")
    expect(seen.page.locator(".map-said")).to_contain_text("7,999 of 8,000 stations have a value")

    frames = seen.page.evaluate(
        """async () => {
            const nodes = document.querySelector('.map-nodes'), slider = document.querySelector('.map-time input');
            const press = key => nodes.dispatchEvent(new KeyboardEvent('keydown', {key, cancelable: true}));
            const slide = at => { slider.value = at; slider.dispatchEvent(new Event('input')); };
            const median = {};
            for (const [what, act] of [['pan', at => press(at % 8 < 4 ? 'ArrowLeft' : 'ArrowRight')],
                                       ['zoom', at => press(at % 8 < 4 ? '+' : '-')], ['slide', slide]]) {
                const times = [];
                let last = await new Promise(requestAnimationFrame);
                for (let at = 0; at < 60; at++) {
                    act(at);
                    const now = await new Promise(requestAnimationFrame);
                    times.push(now - last);
                    last = now;
                }
                median[what] = times.sort((a, b) => a - b)[30];
            }
            return median;
        }"""
    )

    assert max(frames.values()) < 100, frames  # 17 ms each on two free cores; the machine may be busy


if __name__ == "__main__":
    main(Path(sys.argv[1]))
