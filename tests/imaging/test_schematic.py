from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mm4st_agent.data.registry import Registry
from mm4st_agent.errors import UsageError
from mm4st_agent.imaging.schematic import draw_schematic

TIMES = pd.date_range("2024-06-03T08:00", periods=1, freq="5min", tz="US/Pacific")


def roads() -> pd.DataFrame:
    return pd.DataFrame(
        {"freeway": ["I5-N", "I5-N", "I5-S", "SR22-E"], "postmile": [106.0, 108.0, 107.0, 11.0]},
        index=["a", "b", "c", "d"],
    )


def schematic(nodes: pd.DataFrame, values: np.ndarray):
    return draw_schematic(
        nodes=nodes, values=values, times=TIMES, title="Flow", unit="vehicles/5 min", time_zone="US/Pacific",
        synthetic=False, highlight=[nodes.index[0]],
    )  # fmt: skip


def test_a_schematic_places_both_directions_of_a_freeway_on_one_scale(sheets, check_layout) -> None:
    schematic(roads(), np.array([1.0, 2.0, 3.0, np.nan]))

    (sheet,) = sheets
    (dots,) = [part for part in sheet.axes.collections if part.get_array() is not None]
    places = dots.get_offsets()[np.argsort(dots.get_array())].tolist()
    assert places == [[0.0, 0.0], [2.0, 0.0], [1.0, 1.0]]
    assert [label.get_text() for label in sheet.axes.get_yticklabels()] == ["I5-N", "I5-S", "SR22-E"]
    check_layout(sheet)


def test_a_schematic_needs_freeways_and_postmiles() -> None:
    with pytest.raises(UsageError, match="no freeway and postmile"):
        schematic(roads().drop(columns=["postmile"]), np.zeros(4))


def test_the_schematic_of_a_real_network(real_data, tmp_path, sheets, check_layout) -> None:
    panel = Registry(real_data, tmp_path, {}).open("pems-orange")

    picture = schematic(panel.nodes, panel.values("flow")[100])

    assert "Schematic of 8 roads" in picture.alt
    check_layout(sheets[0])
