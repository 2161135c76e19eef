from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mm4st_agent.errors import UsageError
from mm4st_agent.imaging.spectra_pictures import MAX_STEPS, draw_filterbank, draw_scalogram, draw_stft

ZONE = "US/Pacific"
STEPS = 2016
METHODS = [draw_stft, draw_scalogram, draw_filterbank]


def arguments(values: np.ndarray, **changes):
    times = pd.date_range("2024-04-01", periods=len(values), freq="5min", tz=ZONE)
    return {
        "times": times, "values": values, "imputed": np.zeros(len(values), dtype=bool), "title": "Station 7: flow",
        "unit": "mph", "time_zone": ZONE, "synthetic": False,
    } | changes  # fmt: skip


def sine(hours: float, amplitude: float = 30.0) -> np.ndarray:
    return 100 + amplitude * np.sin(2 * np.pi * np.arange(STEPS) / (12 * hours))


def field(sheet) -> tuple[np.ndarray, tuple[float, ...]]:
    (image,) = sheet.panels[1][0].images
    return np.asarray(image.get_array()), tuple(image.get_extent())


@pytest.mark.parametrize("draw", METHODS)
def test_the_ridge_of_a_sine_lies_at_its_period_in_hours(draw, sheets, check_layout) -> None:
    picture = draw(**arguments(sine(4)))

    (sheet,) = sheets
    rows, (_, _, low, high) = field(sheet)
    ridge = low + (rows.mean(axis=1).argmax() + 0.5) * (high - low) / len(rows)
    assert 2**ridge / 3600 == pytest.approx(4, rel=0.12)
    labels = [label.get_text() for label in sheet.panels[1][0].get_yticklabels()]
    assert {"30 min", "1 h", "4 h", "8 h"} <= set(labels)
    assert "Hz" not in picture.alt
    check_layout(sheet)


@pytest.mark.parametrize("draw", [draw_stft, draw_scalogram])
def test_colours_count_the_amplitude_of_a_sine_in_its_unit(draw, sheets) -> None:
    draw(**arguments(sine(4, amplitude=30.0)))

    (sheet,) = sheets
    rows, _ = field(sheet)
    assert rows.max() == pytest.approx(30, rel=0.05)
    assert sheet.panels[1][0].get_title(loc="right") == "colour: amplitude, mph"


def test_decibels_end_at_the_strongest_cell(sheets) -> None:
    draw_filterbank(**arguments(sine(4)))

    rows, _ = field(sheets[0])
    assert rows.max() == 0
    assert rows.min() >= -80


def test_the_level_does_not_leak_into_the_longest_period(sheets) -> None:
    draw_stft(**arguments(np.arange(STEPS) * 0.05))

    rows, _ = field(sheets[0])
    # A window sees the slope within it, 14 a day, not the level around it, up to 100.
    assert rows.max() < 5


@pytest.mark.parametrize("draw", METHODS)
def test_missing_time_is_hatched_and_has_no_colour_of_the_scale(draw, sheets, pixels) -> None:
    values = sine(24)
    values[700:900] = np.nan

    picture = draw(**arguments(values))

    (sheet,) = sheets
    axes, image = sheet.panels[1][0], pixels(picture.png)
    box, height = axes.bbox, image.shape[0]
    left, right = (int(box.x0 + box.width * (step + 0.5) / STEPS) for step in (702, 897))
    gap = image[int(height - box.y1) + 2 : int(height - box.y0) - 2, left:right]
    assert (np.ptp(gap, axis=2) <= 6).mean() > 0.98  # grey, but for a dotted line
    assert "200 of 2016 steps missing" in picture.alt
    beside = image[int(height - box.y1) + 2 : int(height - box.y0) - 2, left - 60 : left - 20]
    assert (np.ptp(beside, axis=2) > 20).mean() > 0.9


@pytest.mark.parametrize("draw", METHODS)
@pytest.mark.parametrize("values", [np.full(300, np.nan), np.full(300, 7.0), np.arange(8.0)])
def test_no_reading_a_constant_and_few_steps_are_drawn(draw, values, sheets, check_layout) -> None:
    picture = draw(**arguments(values))

    assert picture.alt.endswith(".")
    assert "nan" not in picture.alt.lower()
    check_layout(sheets[0])


@pytest.mark.parametrize("draw", METHODS)
@pytest.mark.parametrize("steps", [1, 7, MAX_STEPS + 1])
def test_too_few_or_too_many_steps_are_refused(draw, steps) -> None:
    with pytest.raises(UsageError, match=r"too few|cannot be drawn"):
        draw(**arguments(np.zeros(steps)))


def test_a_window_that_does_not_fit_is_refused() -> None:
    with pytest.raises(UsageError, match="window of 4000 steps"):
        draw_stft(**arguments(sine(4), window=4000))
