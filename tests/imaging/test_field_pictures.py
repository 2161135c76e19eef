from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mm4st_agent.errors import UsageError
from mm4st_agent.imaging.field_pictures import MAX_SIZE, draw_gramian, draw_markov, draw_recurrence

ZONE = "US/Pacific"


def summation(**arguments):
    return draw_gramian("summation", **arguments)


def difference(**arguments):
    return draw_gramian("difference", **arguments)


METHODS = [summation, difference, draw_markov, draw_recurrence]


def arguments(values: np.ndarray, **changes):
    times = pd.date_range("2024-04-01", periods=len(values), freq="5min", tz=ZONE)
    return {
        "times": times, "values": values, "imputed": np.zeros(len(values), dtype=bool), "title": "Station 7: flow",
        "unit": "mph", "time_zone": ZONE, "synthetic": False,
    } | changes  # fmt: skip


def wave(steps: int = 288) -> np.ndarray:
    return 60 + 10 * np.sin(np.arange(steps) / 20)


def field(sheet) -> np.ma.MaskedArray:
    (image,) = sheet.panels[1][0].images
    return image.get_array()


def test_fields_hold_what_their_definitions_say(sheets) -> None:
    values = wave()
    for draw in METHODS:
        draw(**arguments(values))

    gasf, gadf, mtf, rp = (field(sheet) for sheet in sheets)
    phi = np.arccos(np.clip((values - values.min()) / np.ptp(values) * 2 - 1, -1, 1))
    np.testing.assert_allclose(gasf, np.cos(phi[:, None] + phi[None]), atol=2e-3)
    np.testing.assert_allclose(gadf, np.sin(phi[:, None] - phi[None]), atol=2e-3)
    np.testing.assert_allclose(rp, np.abs(values[:, None] - values[None]), atol=1e-4)
    assert mtf.min() >= 0
    assert mtf.max() <= 1


@pytest.mark.parametrize("draw", METHODS)
def test_time_runs_down_and_to_the_right_with_words_that_do_not_touch(draw, sheets, check_layout) -> None:
    picture = draw(**arguments(wave()))

    (sheet,) = sheets
    axes = sheet.panels[1][0]
    assert axes.yaxis_inverted()
    assert not axes.xaxis_inverted()
    assert axes.get_xlim() == axes.get_ylim()[::-1]
    assert "lowest 50" in picture.alt
    check_layout(sheet)


@pytest.mark.parametrize("draw", METHODS)
def test_missing_steps_are_grey_rows_and_columns(draw, sheets, pixels) -> None:
    values = wave()
    values[100:150] = np.nan

    image = pixels(draw(**arguments(values)).png)

    (sheet,) = sheets
    assert field(sheet).mask[100:150].all()
    assert field(sheet).mask[:, 100:150].all()
    assert not field(sheet).mask[:100, :100].any()
    box = sheet.panels[1][0].bbox
    top, bottom = int(image.shape[0] - box.y1), int(image.shape[0] - box.y0)
    inside = image[top:bottom, int(box.x0) : int(box.x1)]
    share = np.array([102, 148]) / 288
    rows, columns = ((share * size).astype(int) for size in inside.shape[:2])
    assert (np.ptp(inside[rows[0] : rows[1]], axis=2) <= 6).all()
    assert (np.ptp(inside[:, columns[0] : columns[1]], axis=2) <= 6).all()


@pytest.mark.parametrize("draw", METHODS)
def test_more_steps_than_fit_are_pooled_and_the_picture_says_so(draw, sheets) -> None:
    draw(**arguments(wave(2 * MAX_SIZE)))

    (sheet,) = sheets
    assert field(sheet).shape == (MAX_SIZE, MAX_SIZE)
    assert any("cells are means of 2 steps" in text.get_text().replace("\n", " ") for text in sheet.figure.texts)


@pytest.mark.parametrize("draw", METHODS)
@pytest.mark.parametrize("values", [np.full(50, np.nan), np.full(50, 7.0), np.array([1.0, np.nan, 3.0])])
def test_no_reading_a_constant_and_lonely_readings_are_drawn(draw, values, sheets, check_layout) -> None:
    picture = draw(**arguments(values))

    assert "nan" not in picture.alt.lower()
    check_layout(sheets[0])


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(UsageError, match="'product'"):
        draw_gramian("product", **arguments(wave()))  # type: ignore[arg-type]
