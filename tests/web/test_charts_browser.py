"""Charts in a real Chromium: a real answer of a real runtime on a page with the app's security policy."""

from __future__ import annotations

import asyncio
import html
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse
from playwright.sync_api import Browser, Locator, Page, Route, expect

from mm4st_agent.agent.answer import Answer
from mm4st_agent.runtime import Runtime
from mm4st_agent.settings import load_settings
from mm4st_agent.web import charts, files
from mm4st_agent.web.forecasts import chart_of, forecasts
from mm4st_agent.web.served import Part

pytestmark = pytest.mark.browser

PATIENCE_S = 60
POLICY = "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'"
STYLE = "body { font-family: sans-serif } body.dark { background: #0b0f19; color: #fff } img { max-width: 720px }"
QUESTION = "How much traffic will station S096 carry over the next hour?"
PAGE = """<!doctype html><html lang="en"><head><title>t</title><link rel="icon" href="data:,">
<meta name="viewport" content="width=device-width"><style>{style}</style>
<link rel="stylesheet" href="{css}"><script src="{js}" defer></script></head>
<body><div id="above" style="height: {above}px"></div><main>{figures}</main><p id="after">after</p></body></html>"""


@dataclass(frozen=True)
class Site:
    """The served page and what is on it."""

    url: str
    answer: Answer
    part: Part

    @property
    def figure(self) -> str:
        (picture,) = [f for f in self.answer.figures if chart_of(self.answer, f.evidence) == 0]
        source = f"mm4st/pictures/{picture.image_id}.png"
        image = f'<a href="{source}"><img src="{source}" alt="{html.escape(picture.alt)}"></a>'
        return f'<figure class="chart" id="{self.part}">{image}<figcaption>{picture.title}</figcaption></figure>'


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, chromium: str) -> Iterator[Site]:
    runtime = Runtime(load_settings(home=tmp_path_factory.mktemp("charts") / "home"))
    answer = asyncio.run(runtime.ask(QUESTION))
    part = Part("chart", answer.thread, answer.turn, 0)
    app = FastAPI()

    @app.middleware("http")
    async def known(request: Request, go_on: Callable[[Request], Any]) -> Response:
        request.state.user = None
        reply: Response = await go_on(request)
        reply.headers["Content-Security-Policy"] = POLICY
        return reply

    @app.get("/", response_class=HTMLResponse)
    def page(above: int = 0, turn: int = 1) -> str:
        figures = served.figure.replace(str(part), str(Part("chart", answer.thread, turn, 0)))
        where = {name: files.address(f"chart.{name}") for name in ("css", "js")}
        return PAGE.format(style=STYLE, above=above, figures=figures, **where)

    app.include_router(charts.router(lambda user: runtime))
    app.include_router(files.router(lambda user: runtime))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + PATIENCE_S
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    served = Site(f"http://127.0.0.1:{port}/", answer, part)
    yield served
    server.should_exit = True
    thread.join(PATIENCE_S)


@dataclass
class Visit:
    """A page, what was asked for from it, and what went wrong in it."""

    page: Page
    site: Site
    asked: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @property
    def figure(self) -> Locator:
        return self.page.locator("figure.chart")

    def open(self, query: str = "") -> None:
        self.page.goto(f"{self.site.url}{query}")

    def drawn(self) -> Locator:
        plot = self.page.locator("figure.chart-drawn .chart-plot .main-svg").first
        expect(plot).to_be_visible()
        return self.figure

    def count(self, words: str) -> int:
        return sum(words in address for address in self.asked)

    def line_colour(self, shows: str) -> str:
        colour: str = self.page.evaluate(
            "shows => document.querySelector('.chart-plot > div').data.find(t => t.meta === shows).line.color", shows
        )
        return colour

    def visible(self) -> list[str]:
        shown: list[str] = self.page.evaluate(
            "document.querySelector('.chart-plot > div').data.filter(t => t.visible).map(t => t.meta)"
        )
        return shown


@pytest.fixture
def visit(site: Site, browser: Browser) -> Iterator[Visit]:  # in this order: Playwright runs a loop of its own
    expect.set_options(timeout=PATIENCE_S * 1000)
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(PATIENCE_S * 1000)
    found = Visit(context.new_page(), site)
    found.page.on("request", lambda request: found.asked.append(request.url))
    found.page.on("pageerror", lambda error: found.faults.append(str(error)))
    found.page.on("console", lambda said: found.faults.append(said.text) if said.type == "error" else None)
    yield found
    context.close()


def test_the_chart_takes_the_pictures_place_without_a_jump(visit: Visit) -> None:
    visit.page.add_init_script(
        """window.jumps = [];
        new PerformanceObserver(list => list.getEntries().forEach(entry => window.jumps.push(entry.value)))
            .observe({type: 'layout-shift', buffered: true})"""
    )
    visit.open()
    figure = visit.drawn()

    expect(figure.locator("img")).to_be_hidden()
    expect(figure.get_by_role("group", name="Forecast plot")).to_be_visible()
    assert figure.evaluate("figure => figure.offsetHeight") == 528
    assert visit.page.evaluate("window.jumps.reduce((sum, jump) => sum + jump, 0)") < 0.1
    assert all(address.startswith((visit.site.url, "data:")) for address in visit.asked)
    assert visit.faults == []


def test_it_shows_the_numbers_of_the_evidence(visit: Visit) -> None:
    visit.open()
    figure = visit.drawn()
    (entry,) = forecasts(visit.site.answer)

    summary = figure.get_by_text("Show the numbers")
    summary.focus()
    visit.page.keyboard.press("Enter")

    expect(figure.get_by_role("columnheader")).to_have_text(
        ["Time", "Median", "80 % band", "50 % band", "Baseline", "Measured later"]
    )
    medians = figure.locator("tbody tr td:nth-child(2)").all_inner_texts()
    assert [float(text) for text in medians] == [entry.values[f"steps[{n}].median"].value for n in range(12)]


def test_the_keyboard_hides_and_shows_what_came_later(visit: Visit) -> None:
    visit.open()
    figure = visit.drawn()
    key = figure.get_by_role("button", name="measured later, unseen by the forecast")
    assert "later" in visit.visible()

    key.focus()
    visit.page.keyboard.press("Enter")
    expect(key).to_have_attribute("aria-pressed", "false")
    assert "later" not in visit.visible()

    visit.page.keyboard.press("Space")
    expect(key).to_have_attribute("aria-pressed", "true")
    assert "later" in visit.visible()


def test_it_follows_the_theme(visit: Visit) -> None:
    visit.open()
    visit.drawn()
    by_day = visit.line_colour("median")

    visit.page.evaluate("document.body.classList.add('dark')")

    visit.page.wait_for_function(
        "day => document.querySelector('.chart-plot > div').data.find(t => t.meta === 'median').line.color !== day",
        arg=by_day,
    )
    style = "getComputedStyle(document.querySelector('figure.chart')).getPropertyValue('--chart-median').trim()"
    assert visit.line_colour("median") == visit.page.evaluate(style)


def test_it_follows_the_width_and_fits_a_phone(visit: Visit) -> None:
    visit.open()
    visit.drawn()

    visit.page.set_viewport_size({"width": 390, "height": 844})

    visit.page.wait_for_function("document.querySelector('.chart-plot .main-svg').clientWidth < 390")
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= 390
    edges = visit.figure.locator(".chart-key").evaluate_all("keys => keys.map(k => k.getBoundingClientRect().right)")
    assert len(edges) == 6
    assert max(edges) <= 390


def test_nothing_is_loaded_before_it_is_near(visit: Visit) -> None:
    visit.open("?above=5000")
    expect(visit.figure.locator("img")).to_have_js_property("complete", True)
    visit.page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert visit.count("plotly.min.js") == visit.count("mm4st/charts/") == 0

    visit.figure.scroll_into_view_if_needed()

    visit.drawn()
    assert visit.count("plotly.min.js") == visit.count("mm4st/charts/") == 1


def test_a_message_that_is_rendered_again_keeps_its_chart(visit: Visit) -> None:
    visit.open()
    visit.drawn()
    visit.figure.get_by_role("button", name="80 % band").click()

    visible_at_once = visit.page.evaluate(
        """figure => {
            document.querySelector('main').innerHTML = figure + '<p>more</p>';
            return Promise.resolve().then(() => document.querySelector('figure.chart .chart-plot .main-svg') !== null)
        }""",
        visit.site.figure,
    )

    assert visible_at_once
    expect(visit.figure.locator("img")).to_be_hidden()
    expect(visit.figure.get_by_role("button", name="80 % band")).to_have_attribute("aria-pressed", "false")
    assert visit.figure.locator(".chart-body").count() == 1
    assert visit.count("mm4st/charts/") == 1


def test_a_chart_that_left_the_page_is_freed_and_may_come_again(visit: Visit) -> None:
    visit.open()
    visit.drawn()
    plot = visit.page.evaluate_handle("document.querySelector('.chart-plot > div')")
    assert plot.evaluate("plot => Boolean(plot._fullLayout)")

    visit.page.evaluate("document.querySelector('main').innerHTML = ''")
    visit.page.wait_for_function("plot => !plot._fullLayout", arg=plot)
    visit.page.evaluate("figure => { document.querySelector('main').innerHTML = figure }", visit.site.figure)

    visit.drawn()
    assert visit.count("mm4st/charts/") == visit.count("plotly.min.js") == 1


def _refused(route: Route) -> None:
    route.abort()


@pytest.mark.parametrize("lost", ["plotly", "the network", "the chart"])
def test_the_picture_stays_where_the_chart_fails(visit: Visit, lost: str) -> None:
    if lost == "plotly":
        visit.page.route("**/plotly.min.js", _refused)
    elif lost == "the network":
        visit.page.route(re.compile("mm4st/charts/"), _refused)

    visit.open("?turn=9" if lost == "the chart" else "")

    expect(visit.figure).to_have_class(re.compile("chart-failed"))
    expect(visit.figure.locator("img")).to_be_visible()
    assert visit.figure.locator(".chart-body, details").count() == 0
    uncaught = [fault for fault in visit.faults if not fault.startswith("Failed to load resource")]
    assert uncaught == []


def test_a_warm_chart_is_there_soon(visit: Visit) -> None:
    visit.open()
    visit.drawn()
    visit.open("?above=5000")
    visit.page.wait_for_function("document.querySelector('figure.chart img').complete")

    took_ms = visit.page.evaluate(
        """() => new Promise(done => {
            const figure = document.querySelector('figure.chart'), started = performance.now();
            new MutationObserver(() => {
                if (figure.querySelector('.main-svg .scatterlayer .trace')) done(performance.now() - started);
            }).observe(figure, {childList: true, subtree: true});
            figure.scrollIntoView();
        })"""
    )

    assert took_ms < 5000
