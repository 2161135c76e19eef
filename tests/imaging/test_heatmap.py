from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest

from mm4st_agent.errors import UsageError
from mm4st_agent.imaging.figure import HEIGHT_PX, VERMILLION, WIDTH_PX
from mm4st_agent.imaging.heatmap import MAX_COLUMNS, draw_heatmap
from mm4st_agent.imaging.readings import rough

ZONE = "US/Pacific"


def heatmap(steps: int = 96, nodes: int = 12, **changes):
    rng = np.random.default_rng(2)
    arguments = {
        "times": pd.date_range("2022-01-24T07:30", periods=steps, freq="5min", tz=ZONE),
        "values": rng.integers(0, 700, (steps, nodes)).astype(np.float32),
        "node_labels": [f"{1205330 + i} N OF {i}" for i in range(nodes)],
        "highlight": None, "title": "All stations: traffic flow", "unit": "vehicles/5 min", "time_zone": ZONE,
        "synthetic": False,
    }  # fmt: skip
    return draw_heatmap(**arguments | changes), arguments | changes


def cell_box(sheet, image: np.ndarray, steps: slice, row: int, all_steps: int) -> np.ndarray:
    """Pixels of some steps of one row, without their borders."""
    box = sheet.axes.bbox
    rows = sheet.axes.get_ylim()[0] + 0.5
    width, height = box.width / all_steps, box.height / rows
    left, right = box.x0 + steps.start * width, box.x0 + steps.stop * width
    top = image.shape[0] - box.y1 + row * height
    return image[int(top) + 3 : int(top + height) - 3, int(left) + 2 : int(right) - 2]


def is_grey(pixels: np.ndarray) -> np.ndarray:
    return np.ptp(pixels, axis=-1) < 12


def legend_of(sheet) -> list[str]:
    return [text.get_text() for legend in sheet.figure.legends for text in legend.get_texts()]


def test_a_heatmap_names_its_unit_orientation_rows_and_times(sheets, pixels, check_layout) -> None:
    picture, asked = heatmap(order="along the road")

    (sheet,) = sheets
    assert pixels(picture.png).shape == (HEIGHT_PX, WIDTH_PX, 3)
    assert sheet.axes.get_title("right") == "colour: vehicles/5 min"
    assert sheet.axes.get_xlabel() == "Mon 24 Jan 2022 07:30 to 15:25, local time (US/Pacific)"
    assert [label.get_text() for label in sheet.axes.get_yticklabels()] == asked["node_labels"]
    words = [text.get_text() for text in sheet.figure.texts]
    assert "12 rows along the road, first on top; time runs to the right" in words
    assert len(sheet.figure.axes) == 2  # the second is the colour bar
    assert legend_of(sheet) == []
    check_layout(sheet)


def test_each_cell_has_the_colour_of_its_value(sheets, pixels) -> None:
    values = np.zeros((10, 4))
    values[0:5, 0] = 100  # oldest steps of the first row: left end of the top row

    image = pixels(heatmap(10, 4, values=values)[0].png)

    dark, bright = np.array([68, 1, 84]), np.array([253, 231, 37])  # the ends of viridis
    assert np.abs(cell_box(sheets[0], image, slice(0, 5), 0, 10) - bright).max() < 4
    assert np.abs(cell_box(sheets[0], image, slice(5, 10), 0, 10) - dark).max() < 4
    assert np.abs(cell_box(sheets[0], image, slice(0, 5), 3, 10) - dark).max() < 4


def test_missing_cells_are_grey_and_no_colour_of_the_scale(sheets, pixels, check_layout) -> None:
    _, asked = heatmap(20, 5)
    values = asked["values"].copy()
    values[4:12, 2] = np.nan

    picture, _ = heatmap(20, 5, values=values)

    sheet = sheets[-1]
    image = pixels(picture.png)
    missing = cell_box(sheet, image, slice(4, 12), 2, 20)
    assert is_grey(missing).all()
    assert missing.std() > 5  # hatched, not plain
    assert not is_grey(cell_box(sheet, image, slice(4, 12), 1, 20)).any()
    assert legend_of(sheet) == ["missing"]
    check_layout(sheet)


def test_imputed_cells_keep_their_colour_and_are_hatched(sheets, pixels) -> None:
    values = np.full((20, 5), 3.0)
    values[0, 0] = 9.0
    imputed = np.zeros((20, 5), dtype=bool)
    imputed[4:16, 2] = True

    picture, _ = heatmap(20, 5, values=values, imputed=imputed)

    image = pixels(picture.png)
    hatched = cell_box(sheets[0], image, slice(4, 16), 2, 20)
    plain = cell_box(sheets[0], image, slice(4, 16), 3, 20)
    share = (np.abs(hatched - plain[0, 0]).sum(axis=2) < 10).mean()
    assert 0.2 < share < 0.9
    assert plain.std(axis=(0, 1)).max() == 0
    assert legend_of(sheets[0]) == ["imputed by the source"]
    assert picture.alt.endswith("0 of 100 cells missing, 12 imputed.")


def test_the_highlighted_row_is_framed_and_named(sheets, check_layout) -> None:
    _, asked = heatmap(nodes=207)
    heatmap(nodes=207, highlight=asked["node_labels"][100])

    sheet = sheets[-1]
    labels = {label.get_text(): label for label in sheet.axes.get_yticklabels()}
    marked = labels.pop(asked["node_labels"][100])
    assert (marked.get_color(), marked.get_weight()) == (VERMILLION, "bold")
    assert all(label.get_weight() != "bold" for label in labels.values())
    (frame,) = [patch for patch in sheet.axes.patches if patch.get_edgecolor() == marked_colour()]
    assert frame.get_y() <= 99.5
    assert frame.get_y() + frame.get_height() >= 100.5
    assert frame.get_y() + frame.get_height() / 2 == pytest.approx(100)
    check_layout(sheet)


def marked_colour() -> tuple[float, ...]:
    from matplotlib.colors import to_rgba

    return to_rgba(VERMILLION)


@pytest.mark.parametrize("nodes", [1, 2, 24, 30, 31, 60, 81, 207])
def test_any_number_of_rows_has_legible_labels_that_do_not_touch(nodes, sheets, check_layout) -> None:
    picture, asked = heatmap(nodes=nodes)

    labels = [label.get_text() for label in sheets[0].axes.get_yticklabels()]
    assert set(labels) <= set(asked["node_labels"])
    assert len(labels) >= min(nodes, 20)
    assert sheets[0].figure.bbox.height <= WIDTH_PX
    assert f"{nodes} rows" in picture.alt or nodes == 1
    check_layout(sheets[0])


def test_thinned_labels_are_told(sheets) -> None:
    heatmap(nodes=60)

    assert any("60 rows, first on top, one in 2 named" in text.get_text() for text in sheets[0].figure.texts)


def test_many_steps_are_averaged_into_columns_and_the_picture_says_so(sheets) -> None:
    steps = 3 * MAX_COLUMNS - 1
    values = np.repeat(np.arange(steps, dtype=float)[:, None], 2, axis=1)
    values[0:2, 0] = np.nan
    values[3:6, 0] = np.nan

    heatmap(steps, 2, values=values)

    (image,) = sheets[0].axes.images
    cells = image.get_array()
    assert cells.shape == (2, MAX_COLUMNS)
    assert cells[0, 0] == 2  # of three steps two are missing
    assert cells.mask[0].tolist()[:3] == [False, True, False]
    assert cells[1, :2].tolist() == [1, 4]
    assert cells[1, -1] == (steps - 2 + steps - 1) / 2  # the last column has two steps
    assert image.get_extent()[1] - image.get_extent()[0] == pytest.approx(steps * 5 / 1440)
    assert any("means of 3 steps" in text.get_text() for text in sheets[0].figure.texts)


def test_the_alt_text_tells_the_numbers_of_the_data() -> None:
    _, asked = heatmap()
    values = asked["values"].copy()
    values[5, 3], values[90, 11] = -12.5, 1203.25
    values[7, 2] = np.nan

    alt = heatmap(values=values)[0].alt

    assert "12 rows from 1205330 N OF 0 (top) to 1205341 N OF 11 (bottom), unit vehicles/5 min" in alt
    assert "lowest -12.5 at 1205333 N OF 3, 2022-01-24 07:55" in alt
    assert "highest 1,203.25 at 1205341 N OF 11, 2022-01-24 15:00" in alt
    assert f"mean {rough(float(np.nanmean(values.astype(float))))}, 1 of 1152 cells missing." in alt


@pytest.mark.parametrize(
    "changes",
    [
        {"values": np.full((96, 12), np.nan)},
        {"values": np.full((96, 12), 4.0)},
        {"values": np.zeros((96, 12))},
        {"values": -np.arange(96.0 * 12).reshape(96, 12)},
        {"values": np.where(np.arange(96 * 12).reshape(96, 12) % 3, 5.0, np.inf), "synthetic": True},
        {"steps": 1},
        {"steps": 1, "nodes": 1},
        {"steps": 4032, "nodes": 60, "synthetic": True},
        {"node_labels": [f"a station whose name is very long {i}" for i in range(12)]},
        {"node_labels": [f"交通 $x_{i}$" for i in range(12)], "unit": "$/MWh", "order": "from north to south " * 20},
        {"title": "W" * 200, "unit": "vehicles per five minutes and lane in the direction of travel " * 3},
    ],
)
def test_unusual_panels_are_drawn(changes, sheets, check_layout) -> None:
    picture, _ = heatmap(**changes)

    assert "nan" not in picture.alt
    check_layout(sheets[0])


def test_nothing_measured_says_so_in_the_picture(sheets) -> None:
    heatmap(values=np.full((96, 12), np.nan))

    assert [text.get_text() for text in sheets[0].axes.texts] == ["no reading in this window"]
    assert legend_of(sheets[0]) == ["missing"]
    assert len(sheets[0].figure.axes) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"values": np.zeros((12, 96))}, r"values \(12, 96\) .* do not fit 96 times x 12 labels"),
        ({"imputed": np.zeros((96, 1), dtype=bool)}, r"imputed \(96, 1\) do not fit"),
        ({"node_labels": [], "values": np.zeros((96, 0))}, "at least one node"),
        ({"highlight": "nowhere"}, "No row is labelled 'nowhere'"),
        ({"time_zone": "Mars"}, "There is no time zone 'Mars'"),
        (
            {
                "times": pd.DatetimeIndex(["2022-01-01", "2022-01-02", "2022-01-04"], tz=ZONE),
                "values": np.zeros((3, 12)),
            },
            "not evenly spaced",
        ),
    ],
)
def test_input_that_cannot_be_drawn_is_refused(changes, message) -> None:
    with pytest.raises(UsageError, match=re.compile(message)):
        heatmap(**changes)


def test_four_threads_draw_what_one_draws() -> None:
    titles = [f"District {i}" for i in range(8)]
    alone = [heatmap(title=title)[0].png for title in titles]

    with ThreadPoolExecutor(4) as pool:
        together = [job.result()[0].png for job in [pool.submit(heatmap, title=title) for title in titles]]

    assert together == alone
