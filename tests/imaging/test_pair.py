from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mm4st_agent.errors import UsageError
from mm4st_agent.imaging.pair import draw_pair
from mm4st_agent.imaging.readings import Trace

ZONE = "US/Pacific"


def trace(label: str, values: np.ndarray, start: str = "2024-06-03", freq: str = "5min") -> Trace:
    return Trace(label, pd.date_range(start, periods=len(values), freq=freq, tz=ZONE), values)


def pair(first: Trace, second: Trace):
    return draw_pair(first=first, second=second, title="Station 7: flow", unit="mph", time_zone=ZONE, synthetic=False)


def wave(steps: int = 288) -> np.ndarray:
    return 60 + 10 * np.sin(np.arange(steps) / 20)


def test_the_difference_is_told_in_numbers_on_shared_scales(sheets, check_layout) -> None:
    picture = pair(trace("before", wave()), trace("after", wave() - 6, start="2024-06-10"))

    (sheet,) = sheets
    upper, lower = (row[0] for row in sheet.panels)
    assert upper.get_ylim() == lower.get_ylim()
    assert np.ptp(upper.get_xlim()) == pytest.approx(np.ptp(lower.get_xlim()))
    assert "mph: -6, -9." in picture.alt
    assert "step by step 6 apart on average, at most -6; correlation 1.00" in picture.alt
    assert any("-6" in text.get_text() for text in sheet.figure.texts)
    check_layout(sheet)


def test_windows_of_different_length_keep_one_time_scale_and_tell_only_means(sheets, check_layout) -> None:
    picture = pair(trace("A", wave()), trace("B", wave(100)))

    (sheet,) = sheets
    upper, lower = (row[0] for row in sheet.panels)
    assert np.ptp(upper.get_xlim()) == pytest.approx(np.ptp(lower.get_xlim()))
    assert "step by step" not in picture.alt
    check_layout(sheet)


def test_a_gap_stays_a_gap_and_is_left_out_of_the_difference(sheets) -> None:
    gappy = wave() + 1
    gappy[50:100] = np.nan

    picture = pair(trace("A", wave()), trace("B", gappy))

    assert "50 of 288 steps missing" in picture.alt
    assert "step by step 1 apart" in picture.alt
    legend = [text.get_text() for box in sheets[0].figure.legends for text in box.get_texts()]
    assert "missing" in legend


def test_a_side_without_readings_is_said(sheets, check_layout) -> None:
    picture = pair(trace("A", wave()), trace("B", np.full(288, np.nan)))

    assert "one of the two has no reading" in picture.alt
    (said,) = sheets[0].panels[1][0].texts
    assert said.get_text() == "no reading in this window"
    assert said.get_bbox_patch().get_facecolor() == (1, 1, 1, 1)  # the other line runs behind it
    check_layout(sheets[0])


def test_different_steps_are_refused() -> None:
    with pytest.raises(UsageError, match="300 s and 900 s"):
        pair(trace("A", wave()), trace("B", wave(), freq="15min"))
