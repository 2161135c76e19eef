"""The gallery: its weeks, its page, and that its pictures show what the page says of them."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mm4st_agent.data.registry import Registry
from mm4st_agent.demo_city.panel import demo_panel
from mm4st_agent.imaging import gallery_people as people
from mm4st_agent.imaging.figure import GREY, VERMILLION
from mm4st_agent.imaging.gallery import CELL_PX, SECTIONS, model_sheet, readme
from mm4st_agent.imaging.gallery_weeks import GAP_STEPS, REAL, Week, made_weeks, measured_week
from mm4st_agent.imaging.tensors.methods import METHODS


@pytest.fixture(scope="module")
def weeks(tmp_path_factory: pytest.TempPathFactory) -> list[Week]:
    registry = Registry(None, tmp_path_factory.mktemp("home"), {"demo": demo_panel})
    return [measured_week(registry), *made_weeks()]


def colours(png: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image.convert("RGB"))


def share_of(ink: str, pixels: NDArray[np.uint8]) -> float:
    wanted = np.array([int(ink[at : at + 2], 16) for at in (1, 3, 5)])
    return float((np.abs(pixels.astype(int) - wanted).max(axis=-1) <= 8).mean())


def test_every_method_for_models_stands_in_one_section() -> None:
    assert sorted(name for section in SECTIONS for name in section.methods) == sorted(METHODS)
    assert len({section.name for section in SECTIONS}) == len(SECTIONS)


def test_without_real_data_the_week_is_of_the_demo_city_and_nearly_complete(weeks: list[Week]) -> None:
    assert [week.title for week in weeks] == ["demo city", "sine", "trend", "incident", "gap"]
    assert all(week.series.shape == (2016,) and week.network.shape[1] == 2016 for week in weeks)
    assert np.isfinite(weeks[0].series).mean() > 0.9
    assert all(week.panel.card.synthetic for week in weeks)
    assert (weeks[0].panel.times[0].day_of_week, weeks[0].panel.times[0].hour) == (0, 0)


def test_the_made_weeks_are_what_they_are_called() -> None:
    sine, trend, incident, gap = made_weeks()
    np.testing.assert_allclose(sine.series[288:], sine.series[:-288], atol=1e-4)
    assert np.corrcoef(trend.series, np.arange(2016))[0, 1] > 0.99
    jam = slice(3 * 288 + 100, 3 * 288 + 140)
    assert incident.series[jam].max() < 15 < np.quantile(incident.series, 0.05)
    assert np.flatnonzero(np.isnan(gap.series)).tolist() == list(range(3 * 288, 3 * 288 + GAP_STEPS))


def test_the_real_week_is_of_orange_and_the_usual_level_of_its_other_weeks(real_data, tmp_path) -> None:
    registry = Registry(real_data, tmp_path, {"demo": demo_panel})
    week, whole = measured_week(registry), registry.open(REAL)
    assert (week.title, week.mapped_title) == ("Orange County", "demo city")
    assert week.network.shape[0] == len(whole.node_ids)
    assert np.isfinite(week.series).all()
    assert not week.panel.card.synthetic
    first = int(whole.times.get_loc(week.panel.times[0]))
    readings = whole.observed()[:, whole.position(week.node)]
    earlier = np.stack([readings[first - 2016 : first], readings[first - 4032 : first - 2016]])
    seen = np.isfinite(earlier)
    assert week.usual is not None
    np.testing.assert_array_equal(np.isfinite(week.usual), seen.any(axis=0))
    both = seen.all(axis=0)
    np.testing.assert_allclose(week.usual[both], earlier[:, both].mean(axis=0), rtol=1e-5)


@pytest.mark.parametrize("section", [section for section in SECTIONS if section.draw], ids=lambda each: each.name)
def test_each_picture_of_the_gap_says_what_it_shows(section, weeks: list[Week]) -> None:
    picture = section.draw(weeks[4])
    assert picture.title.startswith("Gap, ")
    assert picture.alt.startswith("Synthetic data. ")
    assert "km/h" in picture.alt
    assert "missing" in picture.alt


def test_the_forecast_is_right_where_every_day_is_alike_and_wide_where_a_jam_was(weeks: list[Week]) -> None:
    _, sine, _, incident, _ = weeks
    ahead = sine.series[people.ORIGIN : people.ORIGIN + people.HORIZON]
    bounds = r"median ([\d.]+) to ([\d.]+), 80 % interval within ([\d.]+) to ([\d.]+)"
    alike = [float(bound) for bound in re.findall(bounds, people.forecast(sine).alt)[0]]
    np.testing.assert_allclose(alike, 2 * [ahead.min(), ahead.max()], atol=1.5)
    median_low, _, low, high = (float(bound) for bound in re.findall(bounds, people.forecast(incident).alt)[0])
    assert low < 10 < 40 < median_low < 75 < high


def test_a_page_shows_the_first_picture_whole_and_the_others_below(weeks: list[Week]) -> None:
    pictures = [people.line(week) for week in weeks]
    png = people.page(pictures)
    pixels, first = colours(png), colours(pictures[0].png)
    assert pixels.shape == (first.shape[0] * 2, first.shape[1], 3)
    assert len(png) < 150_000
    # The palette keeps the rare colours: the mark of synthetic data is still vermillion.
    assert share_of(VERMILLION, pixels[: len(first)]) == pytest.approx(share_of(VERMILLION, first), rel=0.2)
    assert share_of(VERMILLION, pixels[len(first) :]) > 1e-4
    assert np.abs(pixels[: len(first)].astype(int) - first).mean() < 1


def test_a_sheet_has_a_column_a_week_and_a_mask_where_much_is_missing(weeks: list[Week]) -> None:
    pixels = colours(model_sheet(["line", "gasf"], weeks[1:]))
    step = CELL_PX + 8
    cells = [pixels[30 : 30 + CELL_PX, left : left + CELL_PX] for left in range(116, pixels.shape[1], step)]
    assert len(cells) == 5
    missing = share_of(GREY, cells[3])
    assert missing == pytest.approx(GAP_STEPS / 2016, abs=0.01)
    assert share_of("#000000", cells[4]) == pytest.approx(missing, abs=0.01)
    assert share_of("#FFFFFF", cells[4]) == pytest.approx(1 - missing, abs=0.01)
    assert all(share_of(GREY, cell) < 0.01 for cell in cells[:3])


def test_correlations_without_a_reading_are_grey(weeks: list[Week]) -> None:
    pixels = colours(model_sheet(["correlation"], [weeks[4]]))
    # Half of the road has no reading on Thursday: a quarter of the pairs is left.
    assert share_of(GREY, pixels[30 : 30 + CELL_PX, 116 : 116 + CELL_PX]) == pytest.approx(0.75, abs=0.01)


def test_the_page_names_range_orientation_and_loss_of_each_and_the_alternative_texts(weeks: list[Week]) -> None:
    drawn = [section.name for section in SECTIONS if section.draw]
    page = readme(weeks, {name: f"What {name} shows." for name in drawn})
    for name, each in METHODS.items():
        (row,) = [line for line in page.splitlines() if line.startswith(f"| `{name}`")]
        assert each.orientation in row
        assert each.loses in row
    assert "| -1 to 1 |" in page
    assert "| at least 0, unit of the series |" in page
    for section in SECTIONS:
        assert f"\n## {section.title}\n" in page
        assert (f"]({section.name}.png)" in page) == (section.draw is not None)
        assert (f"]({section.name}-model.png)" in page) == bool(section.methods)
    assert all(f"What {name} shows." in page for name in drawn)
    assert max(len(line) for line in page.splitlines() if not line.startswith("|")) <= 120
