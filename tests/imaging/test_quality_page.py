"""The quality page: one file, nothing in it is markup of the data, and its pictures say what they show."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from numpy.typing import NDArray
from PIL import Image

from mm4st_agent.data.card import Channel, DataCard
from mm4st_agent.data.panel import MASK, Panel
from mm4st_agent.data.quality import assess
from mm4st_agent.imaging import quality_pictures
from mm4st_agent.imaging.figure import Sheet
from mm4st_agent.imaging.quality_page import MOST_ROWS, quality_page

EVIL = '<script>alert("1")</script> & $x^2$'


def made(nodes: int = 6, days: int = 14, *, name: str = "", title: str = "Made", channels: int = 1) -> Panel:
    """A daily wave with noise; each channel has a mask of imputed cells, all False."""
    rng = np.random.default_rng(nodes)
    steps = 288 * days
    ids = np.array([f"n{i}" for i in range(nodes)], dtype=object)
    names = np.array([name or node for node in ids], dtype=object)
    wave = 100 + 50 * np.sin(np.arange(steps) / 288 * 2 * np.pi)[:, None]
    time = pd.date_range("2024-03-04", periods=steps, freq="5min").as_unit("ns")
    kinds = [Channel(name=f"c{i}", unit="km/h", title=f"speed {i}") for i in range(channels)]
    data = xr.Dataset(
        {
            c.name: (
                ("time", "node"),
                (wave + rng.normal(0, 4, (steps, nodes))).astype(np.float32),
                {"units": c.unit, MASK: "imputed"},
            )
            for c in kinds
        }
        | {"imputed": (("time", "node"), np.zeros((steps, nodes), dtype=bool))},
        coords={"time": time, "node": ids, "name": ("node", names)},
    )
    card = DataCard(name="made", title=title, source="s", licence="l", time_zone="Europe/Lisbon", channels=tuple(kinds))
    return Panel(card=card, data=data)


def page_of(panel: Panel) -> str:
    return quality_page(panel, assess(panel))


class Reader(HTMLParser):
    """Tags in order, the text of the page, and its pictures."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.words = ""
        self.images: list[dict[str, str | None]] = []
        self.urls: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "img":
            self.images.append(dict(attrs))
        self.urls += [value for key, value in attrs if key in ("src", "href", "action") and value]

    def handle_data(self, data: str) -> None:
        if self.lasttag != "style":
            self.words += data


def with_faults(panel: Panel) -> Panel:
    values = panel.data["c0"].to_numpy()
    values[500:620, 0] = 77.0
    values[1500, 1] -= 90
    values[1000:1700, 2] = np.nan
    values[:, 3] = np.nan
    panel.data["imputed"].to_numpy()[200:800, 4] = True
    return panel


def test_the_page_is_one_file_and_says_the_report() -> None:
    panel = with_faults(made())
    report = assess(panel)
    seen = Reader(quality_page(panel, report))

    assert all(url.startswith("data:image/png;base64,") for url in seen.urls)
    assert not {"script", "link", "iframe", "object"} & set(seen.tags)
    for sentence in report.verdict:
        assert sentence in seen.words
    for fault in report.channels[0].faults:
        assert fault.sentence in seen.words
    assert "2024-03-04 00:00 to 2024-03-17 23:55, Europe/Lisbon, one step is 5 minutes" in seen.words
    assert len(seen.images) >= 5  # map, hours, nodes, stuck, spike
    for image in seen.images:
        assert len(image["alt"] or "") > 40
        png = base64.b64decode((image["src"] or "").partition(",")[2], validate=True)
        with Image.open(io.BytesIO(png)) as picture:
            assert picture.format == "PNG"
            assert picture.size[0] == 1280


def test_names_are_text_not_markup() -> None:
    panel = with_faults(made(name=EVIL, title=f"City {EVIL}"))
    card = panel.card.model_copy(update={"channels": (Channel(name="c0", unit="<b>", title=EVIL),)})
    page = page_of(Panel(card=card, data=panel.data))

    seen = Reader(page)
    assert "script" not in seen.tags
    assert "b" not in seen.tags
    assert EVIL in seen.words
    assert not re.search(r'alt="[^"]*<', page)


def test_a_complete_set_has_no_picture_of_gaps() -> None:
    seen = Reader(page_of(made()))

    assert seen.images == []
    assert "Every reading of speed 0 is there, and none is marked as filled in." in seen.words
    assert "Findings" not in seen.words


def test_a_long_table_is_cut_and_counted() -> None:
    panel = made(nodes=45, days=3)
    values = panel.data["c0"].to_numpy()
    for node in range(45):
        values[100 + node : 160 + node, node] = 80 + node
    values[600, 7] -= 90  # a rare kind is not crowded out
    seen = Reader(page_of(panel))

    assert seen.tags.count("tr") == 1 + MOST_ROWS
    assert "And 26 more." in seen.words
    assert "jumped down by" in seen.words


def test_what_several_channels_share_is_one_row() -> None:
    panel = made(channels=3)
    for channel in ("c0", "c1", "c2"):
        panel.data[channel].to_numpy()[500:1200, 2] = np.nan
    seen = Reader(page_of(panel))

    assert seen.words.count("was missing for 2.4 days") == 1
    assert "The same holds for speed 1, speed 2." in seen.words
    assert "more." not in seen.words


def test_the_worse_channel_has_its_own_map() -> None:
    panel = made(channels=3)
    panel.data["c2"].to_numpy()[:2000, 1] = np.nan
    alts = [image["alt"] or "" for image in Reader(page_of(panel)).images]

    assert "8.3 % of the readings are missing" in alts[0]


def states(panel: Panel) -> NDArray[np.int8]:
    return quality_pictures._states(panel, assess(panel).channels[0].completeness)[0]


def test_the_map_shows_each_state_where_it_is() -> None:
    panel = made(nodes=5, days=14)
    values = panel.data["c0"].to_numpy()
    values[:2016, 0] = np.nan
    panel.data["imputed"].to_numpy()[2016:, 1] = True
    values[1008:2016, 2] = np.linspace(40, 90, 1008)
    values[::3, 3] = np.nan
    grid = states(panel)

    columns = grid.shape[1]
    half = columns // 2
    assert (grid[0, :half] == 4).all()
    assert (grid[0, half + 1 :] == 0).all()
    assert (grid[1, half + 1 :] == 3).all()
    assert (grid[2, half // 2 + 1 : half - 1] == 2).all()
    assert (grid[3] == 1).all()
    assert (grid[4] == 0).all()


def test_many_nodes_share_rows() -> None:
    panel = made(nodes=500, days=2)
    panel.data["c0"].to_numpy()[:, 250:260] = np.nan
    grid = states(panel)

    assert len(grid) == 100
    assert (grid[[50, 51]] == 4).all()
    assert (np.delete(grid, [50, 51], axis=0) == 0).all()


def test_the_pictures_can_be_read(sheets: list[Sheet], check_layout: Callable[[Sheet], None]) -> None:
    panel = with_faults(made(nodes=40, days=28, name="A rather long name of a place beside the river, northbound"))
    values = panel.data["c0"].to_numpy()
    values[4000:, 7] -= 30
    page_of(panel)

    titles = [sheet.title for sheet in sheets]
    assert len(sheets) == 6
    assert sum("level shift" in title for title in titles) == 1
    for sheet in sheets:
        check_layout(sheet)


def test_synthetic_data_are_marked() -> None:
    panel = with_faults(made())
    marked = Panel(card=panel.card.model_copy(update={"synthetic": True}), data=panel.data)
    seen = Reader(page_of(marked))

    assert "Synthetic data: no real place." in seen.words
    assert all((image["alt"] or "").startswith("Synthetic data. ") for image in seen.images)


@pytest.mark.parametrize("step", ["1h", "1D"])
def test_other_steps_and_cut_panels(step: str) -> None:
    whole = made(days=3)
    time = pd.date_range("2021-01-01", periods=864, freq=step).as_unit("ns")
    panel = Panel(card=whole.card, data=whole.data.assign_coords(time=time))
    panel.data["c0"].to_numpy()[10:60, 1] = np.nan
    panel.data["c0"].to_numpy()[700:, 2] = np.nan
    cut = panel.until(panel.times[600].to_pydatetime())
    seen = Reader(page_of(cut))

    assert "1 hour" in seen.words if step == "1h" else "1 day" in seen.words
    assert f"{panel.times[600]:%Y-%m-%d}" in seen.words
    assert any("n1" in (image["alt"] or "") for image in seen.images)
    assert not any("n2," in (image["alt"] or "") for image in seen.images)
