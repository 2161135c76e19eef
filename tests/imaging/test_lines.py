from __future__ import annotations

import itertools
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.dates import date2num

from mm4st_agent.errors import UsageError
from mm4st_agent.imaging.figure import BLUE, GREY, HEIGHT_PX, VERMILLION, WIDTH_PX, number
from mm4st_agent.imaging.lines import draw_forecast, draw_line

ZONE = "US/Pacific"
STEPS = 288


def series(steps: int = STEPS) -> tuple[pd.DatetimeIndex, np.ndarray, np.ndarray]:
    times = pd.date_range("2022-01-24T07:30", periods=steps, freq="5min", tz=ZONE)
    wave = 200 + 150 * np.sin(np.arange(steps) / 40) + np.random.default_rng(1).normal(0, 9, steps)
    return times, np.round(wave, 1).astype(np.float32), np.zeros(steps, dtype=bool)


def line(**changes):
    times, values, imputed = series()
    arguments = {
        "times": times, "values": values, "imputed": imputed, "usual": None, "title": "Station 7: traffic flow",
        "unit": "vehicles/5 min", "time_zone": ZONE, "synthetic": False,
    }  # fmt: skip
    return draw_line(**arguments | changes)


def forecast(horizon: int = 12, **changes):
    times, values, imputed = series(72)
    ahead = pd.date_range(times[-1] + times.freq, periods=horizon, freq="5min")
    median = 300 + np.arange(horizon, dtype=float)
    arguments = {
        "times": times, "values": values, "imputed": imputed, "forecast_times": ahead,
        "quantiles": median[:, None] + np.array([-40.5, -20, 0, 20, 40.25]), "baseline": median[::-1] - 5,
        "baseline_name": "the same time last week", "title": "Station 7: traffic flow", "unit": "vehicles/5 min",
        "time_zone": ZONE, "synthetic": False,
    }  # fmt: skip
    return draw_forecast(**arguments | changes)


def near(image: np.ndarray, colour: str, tolerance: int = 60) -> np.ndarray:
    return np.abs(image - np.array(to_rgb(colour)) * 255).sum(axis=2) < tolerance


def columns(sheet, times: pd.DatetimeIndex) -> np.ndarray:
    """Pixel columns of time stamps."""
    utc = times.tz_convert("UTC").tz_localize(None).to_numpy()
    return sheet.axes.transData.transform(np.column_stack([date2num(utc), np.zeros(len(times))]))[:, 0]


def plot_area(sheet, image: np.ndarray) -> np.ndarray:
    """The rows of the picture inside the axes."""
    box, height = sheet.axes.bbox, image.shape[0]
    return image[int(height - box.y1) + 2 : int(height - box.y0) - 2]


def legend_of(sheet) -> list[str]:
    return [text.get_text() for legend in sheet.figure.legends for text in legend.get_texts()]


def tick_words(sheet) -> list[str]:
    low, high = sheet.axes.get_xlim()
    ticks = sheet.axes.xaxis.get_major_ticks()
    return [tick.label1.get_text() for tick in ticks if low <= tick.get_loc() <= high]


def test_a_picture_has_the_size_title_and_words_that_were_asked_for(sheets, pixels, check_layout) -> None:
    picture = line(usual=series()[1] + 10)

    assert pixels(picture.png).shape == (HEIGHT_PX, WIDTH_PX, 3)
    assert picture.title == "Station 7: traffic flow"
    (sheet,) = sheets
    assert sheet.axes.get_ylabel() == "vehicles/5 min"
    assert legend_of(sheet) == ["measured", "usual for this time of the week"]
    assert len(sheet.axes.lines) == 2
    check_layout(sheet)


def test_missing_steps_are_a_gap_without_any_line(sheets, pixels) -> None:
    times, values, _ = series()
    values[100:140] = np.nan
    values[0:3] = np.nan

    image = pixels(line(values=values).png)

    (sheet,) = sheets
    blue = near(plot_area(sheet, image), BLUE).any(axis=0)
    x = columns(sheet, times)
    assert not blue[int(x[100]) : int(x[139])].any()
    assert blue[int(x[10]) : int(x[98])].all()
    assert blue[int(x[142]) : int(x[286])].all()
    assert "missing, 43 of 288 steps" in legend_of(sheet)


def test_time_stamps_that_are_left_out_are_a_gap_too(sheets, pixels) -> None:
    times, values, imputed = series()
    kept = np.r_[0:100, 140:STEPS]

    image = pixels(line(times=times[kept], values=values[kept], imputed=imputed[kept]).png)

    (sheet,) = sheets
    x = columns(sheet, times)
    assert not near(plot_area(sheet, image), BLUE).any(axis=0)[int(x[101]) : int(x[138])].any()


def test_a_reading_between_two_gaps_is_a_dot(sheets, pixels) -> None:
    times, values, _ = series()
    values[100:140] = np.nan
    values[120] = 333.0

    image = pixels(line(values=values).png)

    (sheet,) = sheets
    blue = near(plot_area(sheet, image), BLUE).any(axis=0)
    assert blue[int(columns(sheet, times)[120])]


def test_imputed_steps_are_grey_and_named_never_the_colour_of_readings(sheets, pixels, check_layout) -> None:
    times, _, imputed = series()
    imputed[60:120] = True

    image = pixels(line(imputed=imputed).png)

    (sheet,) = sheets
    area, x = plot_area(sheet, image), columns(sheet, times)
    inside = slice(int(x[62]), int(x[117]))
    assert not near(area, BLUE).any(axis=0)[inside].any()
    assert near(area, GREY).any(axis=0)[inside].mean() > 0.5
    assert legend_of(sheet) == ["measured", "imputed by the source, 60 of 288 steps"]
    check_layout(sheet)


def test_the_alt_text_tells_the_numbers_of_the_data() -> None:
    _, values, imputed = series()
    values[:2] = np.nan
    values[7] = 1234.5
    values[9] = -3.25
    imputed[20:25] = True
    imputed[0] = True

    alt = line(values=values, imputed=imputed).alt

    assert "first " + number(values[2]) + " at 2022-01-24 07:40" in alt
    assert "last " + number(values[-1]) + " at 2022-01-25 07:25" in alt
    assert "lowest -3.25 at 2022-01-24 08:15" in alt
    assert "highest 1,234.5 at 2022-01-24 08:05" in alt
    assert alt.endswith("2 of 288 steps missing, 5 imputed.")
    assert "unit vehicles/5 min" in alt
    assert "US/Pacific" in alt
    assert "Synthetic" not in alt


def test_synthetic_data_say_so_inside_the_picture_and_in_words(sheets, pixels) -> None:
    real, made = line(), line(synthetic=True)

    corner = np.s_[:60, WIDTH_PX // 2 :]
    assert near(pixels(made.png)[corner], VERMILLION).sum() > 500
    assert near(pixels(real.png)[corner], VERMILLION).sum() == 0
    assert made.alt == "Synthetic data. " + real.alt


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.full(STEPS, np.nan), "no reading from 2022-01-24 07:30"),
        (np.full(STEPS, np.inf), "288 of 288 steps missing"),
        (np.full(STEPS, 5.0), "lowest 5 at 2022-01-24 07:30, highest 5 at 2022-01-24 07:30"),
        (np.zeros(STEPS), "highest 0 at"),
        (np.linspace(-8, -3, STEPS), "lowest -8 at 2022-01-24 07:30, highest -3 at 2022-01-25 07:25"),
        (np.linspace(0, 4e9, STEPS), "highest 4,000,000,000 at"),
        (np.linspace(1e-6, 2e-6, STEPS), "highest 2e-06 at"),
        (np.full(STEPS, 0.001), "highest 0.001 at"),
    ],
)
def test_unusual_values_are_drawn(values, words, sheets, check_layout) -> None:
    assert words in line(values=values).alt
    check_layout(sheets[0])
    low, high = sheets[0].axes.get_ylim()
    known = values[np.isfinite(values)]
    if known.size:
        assert low <= known.min()
        assert high > known.max()
        assert high - low < 100 * max(np.ptp(known), abs(known.max()), 0.1)


def test_one_point_is_a_dot(sheets, pixels, check_layout) -> None:
    times, values, imputed = (part[:1] for part in series())

    image = pixels(line(times=times, values=values, imputed=imputed).png)

    assert near(plot_area(sheets[0], image), BLUE).sum() > 20
    check_layout(sheets[0])


def test_nothing_measured_says_so_in_the_picture(sheets) -> None:
    line(values=np.full(STEPS, np.nan))

    assert [text.get_text() for text in sheets[0].axes.texts] == ["no reading in this window"]
    assert legend_of(sheets[0]) == ["missing, 288 of 288 steps"]


def test_the_axis_runs_in_the_local_time_of_the_zone(sheets) -> None:
    times = series()[0]
    line(times=times.tz_convert("UTC"))
    line(time_zone="Asia/Kolkata")

    here, there = (sheet.axes.get_xlabel() for sheet in sheets)
    assert here == "Mon 24 Jan 07:30 to Tue 25 Jan 2022 07:25, local time (US/Pacific)"
    assert there == "Mon 24 Jan 21:00 to Tue 25 Jan 2022 20:55, local time (Asia/Kolkata)"
    assert [word.split("\n")[0] for word in tick_words(sheets[0])] == [
        f"{h:02d}:00" for h in (9, 12, 15, 18, 21, 0, 3, 6)
    ]
    assert [word.split("\n")[1].strip() for word in tick_words(sheets[0])][5] == "Tue 25 Jan"


@pytest.mark.parametrize(
    ("start", "freq", "steps"),
    [
        ("2022-03-12T20:00", "5min", 144),  # clocks go forward in this night
        ("2022-11-05T20:00", "15min", 48),  # and back in this one
        ("2022-01-01", "1h", 336),
        ("2021-12-30", "1h", 96),
        ("2013-03-01", "1D", 1460),
        ("2022-01-24T07:30", "5min", 3),
        ("2022-01-24T23:00", "5min", 24),
        ("2022-01-24T07:30", "1s", 90),
    ],
)
def test_ticks_are_round_local_times_for_any_span(start, freq, steps, sheets, check_layout) -> None:
    times = pd.date_range(start, periods=steps, freq=freq, tz=ZONE)
    line(times=times, values=np.arange(steps, dtype=float), imputed=np.zeros(steps, dtype=bool))

    words = tick_words(sheets[0])
    assert 3 <= len(words) <= 10
    assert all(one != other for one, other in itertools.pairwise(words))
    check_layout(sheets[0])


@pytest.mark.parametrize(
    "changes",
    [
        {"title": "Station 1205330 on the northbound freeway near the long named interchange " * 4},
        {"title": "W" * 200, "synthetic": True},
        {"title": "price in $ and another $ at 50 % _{x}\n\tЖ 交通 🚗", "unit": "$/h · $"},
        {"title": "", "unit": "vehicles per five minutes and lane in the direction of travel " * 3},
        {"usual": np.arange(STEPS, dtype=float), "synthetic": True, "imputed": np.arange(STEPS) % 5 == 0,
         "values": np.where(np.arange(STEPS) % 7, 3.0, np.nan)},
    ],
)  # fmt: skip
def test_words_of_any_length_and_script_fit(changes, sheets, check_layout) -> None:
    line(**changes)

    check_layout(sheets[0])


def test_a_forecast_has_a_fan_a_baseline_and_its_origin(sheets, check_layout) -> None:
    picture = forecast(origin=pd.Timestamp("2022-01-24T21:30Z"))

    (sheet,) = sheets
    assert legend_of(sheet) == [
        "measured", "forecast median", "50 % interval", "80 % interval", "baseline: the same time last week",
    ]  # fmt: skip
    assert len(sheet.axes.collections) == 2
    assert [text.get_text() for text in sheet.axes.texts] == ["origin 13:30"]
    upright = [drawn for drawn in sheet.axes.lines if len(set(drawn.get_xdata())) == 1]
    assert len(upright) == 1
    check_layout(sheet)
    assert picture.alt.endswith(
        "Forecast from 2022-01-24 13:30 to 2022-01-24 14:25: median 300 to 311, 80 % interval within 259.5 to 351.25, "
        "baseline (the same time last week) 295 to 306."
    )


def test_the_bands_span_their_quantiles(sheets) -> None:
    forecast()

    inner, outer = (band.get_paths()[0].get_extents() for band in sheets[0].axes.collections)
    assert (inner.y0, inner.y1) == (280.0, 331.0)
    assert (outer.y0, outer.y1) == (259.5, 351.25)
    low, high = sheets[0].axes.get_ylim()
    assert low <= 259.5
    assert high > 351.25


def test_without_an_origin_the_last_reading_is_it(sheets) -> None:
    forecast()

    assert [text.get_text() for text in sheets[0].axes.texts] == ["origin 13:25"]


@pytest.mark.parametrize(
    "changes",
    [
        {"values": np.full(72, np.nan)},
        {"quantiles": np.full((12, 5), np.nan)},
        {"baseline": np.full(12, np.nan)},
        {"horizon": 1},
        {"horizon": 288},
        {"imputed": np.ones(72, dtype=bool), "synthetic": True},
        {"baseline_name": "a method with an unusually long name that somebody made up " * 2},
    ],
)
def test_unusual_forecasts_are_drawn(changes, sheets, check_layout) -> None:
    forecast(**changes)

    check_layout(sheets[0])


def test_an_undefined_forecast_is_told_as_such() -> None:
    assert "13:30 to 2022-01-24 14:25: undefined" in forecast(quantiles=np.full((12, 5), np.nan)).alt
    assert forecast(baseline=np.full(12, np.nan)).alt.endswith("baseline (the same time last week) undefined.")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"values": np.zeros(3)}, r"values has the shape \(3,\).*\(288,\)"),
        ({"imputed": np.zeros(3, dtype=bool)}, "imputed has the shape"),
        ({"usual": np.zeros((STEPS, 1))}, "usual has the shape"),
        ({"time_zone": "US/Nowhere"}, "There is no time zone 'US/Nowhere'"),
        ({"times": series()[0].tz_localize(None)}, "have no time zone"),
        ({"times": series()[0][::-1]}, "do not increase"),
        ({"times": series()[0][:0], "values": np.zeros(0), "imputed": np.zeros(0, dtype=bool)}, "no time step"),
    ],
)
def test_input_that_cannot_be_drawn_is_refused(changes, message) -> None:
    with pytest.raises(UsageError, match=re.compile(message)):
        line(**changes)


def test_a_forecast_inside_its_history_or_of_another_shape_is_refused() -> None:
    with pytest.raises(UsageError, match="not after the history's end"):
        forecast(forecast_times=series(84)[0][60:72])
    with pytest.raises(UsageError, match=r"quantiles has the shape \(12, 3\).*\(12, 5\)"):
        forecast(quantiles=np.zeros((12, 3)))


def test_four_threads_draw_what_one_draws() -> None:
    titles = [f"Station {i}: traffic flow" for i in range(8)]
    alone = [line(title=title).png for title in titles] + [forecast(title=title).png for title in titles]

    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(line, title=title) for title in titles]
        jobs += [pool.submit(forecast, title=title) for title in titles]
        together = [job.result().png for job in jobs]

    assert together == alone
    assert len(set(alone)) == 16


def test_drawing_changes_nothing_global() -> None:
    code = """
import sys, matplotlib, numpy as np, pandas as pd
def state():  # not dict(rcParams): asking for the backend that way imports pyplot
    return {name: dict.__getitem__(matplotlib.rcParams, name) for name in matplotlib.rcParams}
before = state()
from mm4st_agent.imaging.heatmap import draw_heatmap
from mm4st_agent.imaging.lines import draw_line
times = pd.date_range("2022-01-01", periods=9, freq="1h", tz="UTC")
common = dict(title="t", unit="u", time_zone="UTC", synthetic=False)
draw_line(times=times, values=np.arange(9.0), imputed=np.zeros(9, bool), usual=None, **common)
draw_heatmap(times=times, values=np.ones((9, 1)), node_labels=["a"], highlight=None, **common)
assert state() == before
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=120)
