from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mm4st_agent.errors import UsageError
from mm4st_agent.imaging.folded import draw_folded

ZONE = "US/Pacific"


def folded(values: np.ndarray, start: str = "2024-06-03", freq: str = "15min", **changes):
    times = pd.date_range(start, periods=len(values), freq=freq, tz=ZONE)
    arguments = {
        "times": times, "values": values, "imputed": np.zeros(len(values), dtype=bool), "title": "Station 7: flow",
        "unit": "mph", "time_zone": ZONE, "synthetic": False,
    }  # fmt: skip
    return draw_folded(**arguments | changes)


def daily(days: float) -> np.ndarray:
    steps = np.arange(round(96 * days))
    return 100 + 50 * np.sin(2 * np.pi * steps / 96) + np.random.default_rng(0).normal(0, 2, len(steps))


def cells(sheet) -> np.ndarray:
    (image,) = sheet.axes.images
    return np.ma.filled(image.get_array(), np.nan)


def rows_of(sheet) -> list[str]:
    return [label.get_text() for label in sheet.axes.get_yticklabels()]


def test_days_are_rows_of_the_local_calendar_with_the_period_and_its_confidence(sheets, check_layout) -> None:
    values = daily(7)
    picture = folded(values, start="2024-06-03T06:00")

    (sheet,) = sheets
    grid = cells(sheet)
    assert grid.shape == (8, 96)
    assert rows_of(sheet)[0] == "Mon 03 Jun"
    assert np.isnan(grid[0, :24]).all()
    np.testing.assert_allclose(grid[0, 24:], values[:72])
    np.testing.assert_allclose(grid[1], values[72:168])
    assert "dominant period is 1 day (confidence 1.00)" in picture.alt
    check_layout(sheet)


def test_clock_changes_leave_an_hour_blank_or_mean_it(sheets) -> None:
    spring, autumn = np.arange(23 * 4.0), np.arange(25 * 4.0)
    folded(spring, start="2024-03-10", period_s=86_400 - 3600)
    folded(np.append(spring, np.arange(96.0)), start="2024-03-10", period_s=86_400)
    folded(autumn, start="2024-11-03", period_s=86_400)

    _, skipped, repeated = sheets
    row = cells(skipped)[0]
    assert np.isnan(row[8:12]).all()  # 02:00 to 03:00
    assert row[7] == 7
    assert row[12] == 8
    row = cells(repeated)[0]
    assert row[4] == (4 + 8) / 2  # 01:00, twice
    assert row[8] == 12
    assert row[95] == 99


def test_other_periods_start_at_the_first_step(sheets, check_layout) -> None:
    steps = np.arange(600)
    picture = folded(np.sin(2 * np.pi * steps / 20), freq="15min")

    (sheet,) = sheets
    assert cells(sheet).shape == (30, 20)
    assert "each a period of 5 h" in picture.alt
    check_layout(sheet)


def test_a_series_without_a_period_falls_back_to_days_and_says_so() -> None:
    picture = folded(np.random.default_rng(3).normal(size=96 * 5))

    assert "no period was found, so a row is a day" in picture.alt


def test_weeks_start_on_monday(sheets, check_layout) -> None:
    folded(daily(20), start="2024-06-05", period_s=7 * 86_400)

    (sheet,) = sheets
    assert rows_of(sheet)[:2] == ["from 03 Jun", "from 10 Jun"]
    assert np.isnan(cells(sheet)[0, : 2 * 96 // 2]).all()
    check_layout(sheet)


def test_missing_and_imputed_steps_are_named_and_hatched(sheets, pixels, check_layout) -> None:
    values = daily(7)
    values[200:240] = np.nan
    imputed = np.zeros(len(values), dtype=bool)
    imputed[300:320] = True

    picture = folded(values, imputed=imputed)

    (sheet,) = sheets
    legend = [text.get_text() for box in sheet.figure.legends for text in box.get_texts()]
    assert legend == ["missing, 40 of 672 steps", "imputed by the source, 20 of 672 steps"]
    image, box = pixels(picture.png), sheet.axes.bbox
    row = int(image.shape[0] - box.y1 + box.height * 2.5 / 7)
    columns = [int(box.x0 + box.width * step / 96) for step in (200 - 192 + 1, 240 - 192 - 1)]
    assert (np.ptp(image[row, columns[0] : columns[1]], axis=1) <= 6).all()
    check_layout(sheet)


@pytest.mark.parametrize("values", [np.full(200, np.nan), np.full(200, 3.0), np.array([1.0, 2.0])])
def test_no_reading_a_constant_and_two_steps_are_drawn(values, sheets, check_layout) -> None:
    assert "nan" not in folded(values).alt.lower()
    check_layout(sheets[0])


@pytest.mark.parametrize("period_s", [60.0, 1e9, float("nan")])
def test_a_period_that_does_not_fit_is_refused(period_s) -> None:
    with pytest.raises(UsageError, match="does not fit"):
        folded(daily(2), period_s=period_s)


def test_more_rows_than_fit_are_refused() -> None:
    with pytest.raises(UsageError, match="1000 rows"):
        folded(np.arange(2000.0), period_s=1800)
