from __future__ import annotations

import numpy as np
import pytest

from mm4st_agent.errors import UsageError
from mm4st_agent.imaging.deletion_curve import draw_deletion_curve

NAMED = np.array([0.0, 40.0, 55.0, 61.5])
RANDOM = np.linspace(0.2, 1.0, 30)[:, None] * np.array([0.0, 5.0, 9.0, 12.0])


def draw(named: np.ndarray = NAMED, random: np.ndarray = RANDOM):
    return draw_deletion_curve(
        named=named, random=random, title="Station 7: what moved the forecast of flow", unit="vehicles", synthetic=True
    )


def test_both_curves_are_drawn_and_told(sheets, check_layout) -> None:
    picture = draw()

    (sheet,) = sheets
    named, middle = (line.get_ydata() for line in sheet.axes.lines)
    np.testing.assert_allclose(named, NAMED)
    np.testing.assert_allclose(middle, np.median(RANDOM, axis=0))
    assert "without the 3 named inputs" in picture.alt
    assert "moved 61.5 vehicles in all, the first alone 40" in picture.alt
    assert "30 random draws of as many inputs moved it 7.2 in the median and 11 at the 90th percentile" in picture.alt
    assert picture.alt.startswith("Synthetic data.")
    assert sheet.axes.get_ylim()[1] > 61.5
    check_layout(sheet)


def test_random_inputs_that_move_more_stay_in_the_picture(sheets) -> None:
    draw(named=NAMED / 100)

    assert sheets[0].axes.get_ylim()[1] > np.quantile(RANDOM[:, -1], 0.9)


def test_no_named_input_is_said(sheets, check_layout) -> None:
    picture = draw(np.zeros(1), np.zeros((30, 1)))

    assert "no input moved the forecast" in picture.alt
    assert [text.get_text() for text in sheets[0].axes.texts] == ["no input moved the forecast"]
    check_layout(sheets[0])


@pytest.mark.parametrize(
    ("named", "random", "said"),
    [
        (NAMED, RANDOM[:, :3], "does not fit"),
        (NAMED, RANDOM[:0], "does not fit"),
        (np.zeros(0), np.zeros((3, 0)), "does not fit"),
        (NAMED * np.nan, RANDOM, "not finite"),
    ],
)
def test_what_does_not_fit_is_refused(named: np.ndarray, random: np.ndarray, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        draw(named, random)
