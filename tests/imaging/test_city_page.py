from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mm4st_agent.demo_city.city import City
from mm4st_agent.imaging.city_map import kilometres, link_lines
from mm4st_agent.imaging.city_page import draw_city_page, draw_map, draw_queue, main, queue_to_show
from mm4st_agent.imaging.figure import BLUE, INK, WIDTH_PX


@pytest.fixture(scope="module")
def city() -> City:
    return City(start="2025-09-15", days=7)


def colour(pixels: np.ndarray, code: str) -> np.ndarray:
    return (np.abs(pixels - [int(code[i : i + 2], 16) for i in (1, 3, 5)]).max(axis=-1)) < 12


def test_the_page_has_four_legible_pictures(city, tmp_path: Path, sheets, pixels, check_layout) -> None:
    files = draw_city_page(city, tmp_path / "docs")

    assert [file.name for file in files] == [f"demo-city-{name}.png" for name in ("map", "week", "queue", "air")]
    for file in files:
        image = pixels(file.read_bytes())
        assert image.shape[1] == WIDTH_PX
        assert colour(image, BLUE).sum() + colour(image, INK).sum() > 500
    assert len(sheets) == 4
    for sheet in sheets:
        check_layout(sheet)


def test_the_map_is_the_same_each_time(city) -> None:
    moment = pd.Timestamp("2025-09-16 08:00", tz=city.time.tz)

    assert draw_map(city, moment).png == draw_map(city, moment).png


def test_the_night_is_free_and_the_morning_is_not(city, pixels) -> None:
    night, morning = (
        draw_map(city, pd.Timestamp(f"2025-09-16 {clock}", tz=city.time.tz)) for clock in ("03:00", "08:00")
    )

    assert "at 03:00 0 of 124 links below half" in night.alt
    assert "at 08:00 0 of 124" not in morning.alt
    assert colour(pixels(night.png), BLUE).sum() > colour(pixels(morning.png), BLUE).sum() * 0.5
    assert colour(pixels(morning.png), "#E69F00").sum() > 2 * colour(pixels(night.png), "#E69F00").sum()


def test_links_keep_to_the_right_of_their_road(city) -> None:
    network = city.network
    lines = dict(zip(network.links.index, link_lines(network), strict=True))
    east, north = kilometres(network.links["lat"], network.links["lon"])

    for number, link in enumerate(network.links.index):
        start, end = lines[link]
        sensor = np.array([east[number], north[number]])
        along, across = end - start, sensor - (start + end) / 2
        # 130 m off the middle in the picture, where the sensor is 40 m off: both on the right
        assert np.hypot(*across) == pytest.approx(0.09, abs=0.01)
        assert along[0] * across[1] - along[1] * across[0] > 0


def test_the_queue_is_that_of_an_incident_with_and_without_it(city, sheets) -> None:
    incident = queue_to_show(city)

    picture = draw_queue(city, incident)

    assert incident.kind == "incident"
    with_it, without = sheets[0].figure.axes[:2]
    there, gone = (axes.collections[0].get_array().reshape(-1) for axes in (with_it, without))
    assert there.shape == gone.shape
    effect = city.without(incident.id).effect("speed")
    road = city.network.links.loc[incident.link, ["road", "direction"]]
    columns = city.network.links.index[(city.network.links[["road", "direction"]] == road).all(axis=1)]
    assert (there - gone).min() == pytest.approx(effect[columns].to_numpy().min(), abs=0.51)
    assert f"{-effect[columns].to_numpy().min():.0f} km/h" in picture.alt


def test_the_command_explains_itself(capfd) -> None:
    assert main([]) == 2
    assert "Usage: python -m mm4st_agent.imaging.city_page FOLDER" in capfd.readouterr().err
