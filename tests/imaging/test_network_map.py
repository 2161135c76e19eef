from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgba

from mm4st_agent.errors import UsageError
from mm4st_agent.imaging.figure import DIVERGING, GREY
from mm4st_agent.imaging.network_map import draw_map

TIMES = pd.date_range("2024-06-03T08:00", periods=3, freq="5min", tz="US/Pacific")


def network(count: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    rng = np.random.default_rng(1)
    nodes = pd.DataFrame(
        {"lat": 34 + rng.uniform(0, 0.2, count), "lon": -118 + rng.uniform(0, 0.3, count)},
        index=[f"n{i}" for i in range(count)],
    )
    edges = pd.DataFrame({"source": nodes.index[:-1], "target": nodes.index[1:]})
    return nodes, edges


def mapped(count: int = 12, **changes):
    nodes, edges = network(count)
    arguments = {
        "nodes": nodes, "edges": edges, "values": np.arange(count, dtype=float), "times": TIMES,
        "title": "Speed", "unit": "mph", "time_zone": "US/Pacific", "synthetic": False,
    }  # fmt: skip
    return draw_map(**arguments | changes)


def names_on(sheet) -> list[str]:
    return [text.get_text() for text in sheet.axes.texts]


@pytest.mark.parametrize("count", [1, 12, 207, 8600])
def test_maps_of_every_size_name_the_extremes_and_have_a_scale_and_a_north_arrow(count, sheets, check_layout) -> None:
    picture = mapped(count)

    (sheet,) = sheets
    names = names_on(sheet)
    assert "N" in names
    assert any(name.endswith((" km", " m")) for name in names)
    assert f"highest {count - 1:,} at n{count - 1}" in picture.alt
    if count > 1:
        assert "n0: 0" in names
    dots = [part for part in sheet.axes.collections if part.get_array() is not None]
    assert sum(len(part.get_offsets()) for part in dots) == count
    check_layout(sheet)


def test_names_leave_the_dots_of_other_nodes_free_where_there_is_room(sheets) -> None:
    at = np.arange(32)
    nodes = pd.DataFrame(
        {"lat": 47 + 0.05 * np.sin(at / 5), "lon": 11 + 0.0132 * at}, index=[f"km {place}" for place in at]
    )
    values = np.where(np.isin(at, [18, 29]), -1.0, np.where(np.isin(at, [20, 23]), 1.0, 0.0))

    mapped(32, nodes=nodes, edges=pd.DataFrame({"source": [], "target": []}), values=values)

    (sheet,) = sheets
    (dots,) = [each for each in sheet.axes.collections if each.get_array() is not None]
    radius = np.sqrt(dots.get_sizes()[0]) / 2 * sheet.figure.dpi / 72
    places = sheet.axes.transData.transform(dots.get_offsets())
    names = [text for text in sheet.axes.texts if text.get_text().startswith("km ")]
    assert len(names) == 4
    for name in names:
        box = name.get_bbox_patch().get_window_extent()
        nearest = np.clip(places, (box.x0, box.y0), (box.x1, box.y1))
        assert (np.hypot(*(places - nearest).T) > 0.8 * radius).all(), name.get_text()


def test_a_narrow_map_has_room_for_long_names_on_both_sides(sheets, check_layout) -> None:
    nodes, edges = network(40)
    nodes["lon"] = -118 + 0.1 * (nodes["lon"] + 118)
    nodes["name"] = [f"Fernleigh Service Station {at}" for at in range(40)]

    picture = mapped(40, nodes=nodes, edges=edges, highlight=["n20"])

    (sheet,) = sheets
    assert sum(name.startswith("Fernleigh") for name in names_on(sheet)) == 5
    assert sheet.axes.get_window_extent().width > 0.75 * sheet.figure.bbox.width
    width = float(picture.alt.split("It is ")[1].split(" km")[0])
    assert width < 15, "of the network, not of the free room beside it"
    check_layout(sheet)


def test_the_scale_bar_is_as_long_as_it_says(sheets) -> None:
    mapped(207)

    (sheet,) = sheets
    (bar,) = [line for line in sheet.axes.lines if line.get_linewidth() == 3]
    (length,) = [name for name in names_on(sheet) if name.endswith(" km")]
    assert np.ptp(bar.get_xdata()) == pytest.approx(float(length.removesuffix(" km")))
    # A degree of longitude at 34.1 degrees north is 92.1 km: 0.3 of it is what the nodes span.
    (dots,) = [part for part in sheet.axes.collections if part.get_array() is not None]
    nodes, _ = network(207)
    assert np.ptp(dots.get_offsets()[:, 0]) == pytest.approx(92.1 * np.ptp(nodes["lon"]), rel=2e-3)
    assert np.ptp(dots.get_offsets()[:, 1]) == pytest.approx(111.2 * np.ptp(nodes["lat"]), rel=2e-3)


def test_missing_nodes_are_hollow_and_grey(sheets) -> None:
    values = np.arange(12.0)
    values[[2, 5]] = np.nan

    picture = mapped(values=values)

    (sheet,) = sheets
    (rings,) = [part for part in sheet.axes.collections if len(part.get_offsets()) == 2]
    assert tuple(rings.get_facecolor()[0]) == to_rgba("white")
    assert tuple(rings.get_edgecolor()[0]) == to_rgba(GREY)
    assert "12 nodes, 2 missing" in picture.alt


def test_changes_have_a_diverging_scale_around_zero(sheets) -> None:
    picture = mapped(values=np.arange(12.0) - 3, change=True)

    (sheet,) = sheets
    (dots,) = [part for part in sheet.axes.collections if part.get_array() is not None]
    assert dots.get_cmap().name == DIVERGING
    assert dots.get_clim() == (-8, 8)
    assert "8 rise and 3 fall" in picture.alt


def test_links_are_drawn_once_for_both_directions_and_highlighted_nodes_named(sheets, check_layout) -> None:
    _, edges = network(12)
    both = pd.concat([edges, edges.rename(columns={"source": "target", "target": "source"})])

    mapped(edges=both, highlight=["n5"])

    (sheet,) = sheets
    assert max(len(part.get_segments()) for part in sheet.axes.collections if hasattr(part, "get_segments")) == 11
    assert "n5: 5" in names_on(sheet)
    check_layout(sheet)


def test_nodes_without_coordinates_are_counted_and_a_set_without_any_is_refused() -> None:
    nodes, _ = network(12)
    nodes.iloc[3, 0] = np.nan
    assert "1 nodes without coordinates" in mapped(nodes=nodes).alt

    with pytest.raises(UsageError, match="None of the 12 nodes has coordinates"):
        mapped(nodes=nodes.assign(lat=np.nan))
    with pytest.raises(UsageError, match="None of the 12 nodes has coordinates"):
        mapped(nodes=nodes.drop(columns=["lat"]))


def test_both_sides_of_the_date_line_are_near(sheets) -> None:
    nodes = pd.DataFrame({"lat": [-17.0, -17.1], "lon": [179.9, -179.9]}, index=["west", "east"])
    mapped(nodes=nodes, edges=pd.DataFrame({"source": [], "target": []}), values=np.array([1.0, 2.0]))

    (dots,) = [part for part in sheets[0].axes.collections if part.get_array() is not None]
    west, east = dots.get_offsets()[np.argsort(dots.get_array()), 0]
    assert 15 < east - west < 30


def test_bad_values_and_unknown_highlights_are_refused() -> None:
    with pytest.raises(UsageError, match="12 nodes need"):
        mapped(values=np.zeros(3))
    with pytest.raises(UsageError, match="'elsewhere'"):
        mapped(highlight=["elsewhere"])
