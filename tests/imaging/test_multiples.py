from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mm4st_agent.errors import UsageError
from mm4st_agent.imaging.multiples import draw_multiples
from mm4st_agent.imaging.readings import Trace

ZONE = "US/Pacific"


def trace(label: str, values: np.ndarray) -> Trace:
    return Trace(label, pd.date_range("2024-06-03", periods=len(values), freq="5min", tz=ZONE), values)


def wave(steps: int = 288) -> np.ndarray:
    return 60 + 10 * np.sin(np.arange(steps) / 20)


def multiples(count: int, **changes):
    traces = [trace(f"station {i} (A LONG NAME {i})", (i + 1) * wave()) for i in range(count)]
    arguments = {"traces": traces, "title": "Flow", "unit": "mph", "time_zone": ZONE, "synthetic": False}
    return draw_multiples(**arguments | changes)


@pytest.mark.parametrize("count", [2, 3, 4, 5, 8, 9, 12])
def test_multiples_share_both_axes_and_name_every_node(count, sheets, check_layout) -> None:
    picture = multiples(count)

    (sheet,) = sheets
    drawn = [axes for row in sheet.panels for axes in row if axes.get_visible()]
    assert len(drawn) == count
    assert len({axes.get_ylim() for axes in drawn}) == 1
    assert len({axes.get_xlim() for axes in drawn}) == 1
    for axes, i in zip(drawn, range(count), strict=True):
        assert axes.get_title(loc="left").replace("\n", " ") == f"station {i} (A LONG NAME {i})"
        assert f"station {i} (A LONG NAME {i}): mean" in picture.alt
    check_layout(sheet)


def test_multiples_draw_a_node_without_readings(sheets, check_layout) -> None:
    picture = multiples(0, traces=[trace("A", wave()), trace("B", np.full(288, np.nan))])

    assert "B: no reading, 288 of 288 steps missing" in picture.alt
    check_layout(sheets[0])


@pytest.mark.parametrize("count", [0, 1, 13])
def test_too_few_or_too_many_series_are_refused(count) -> None:
    with pytest.raises(UsageError, match=f"{count} series"):
        multiples(count)
