"""A forecast before and after a change; past windows upon the present."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mm4st_agent.errors import UsageError
from mm4st_agent.imaging.overlays import draw_analogs, draw_change
from mm4st_agent.imaging.readings import Trace

ZONE = "Europe/Lisbon"
COMMON = {"unit": "vehicles/5 min", "time_zone": ZONE, "synthetic": True}


def times(first: str, steps: int) -> pd.DatetimeIndex:
    return pd.date_range(first, periods=steps, freq="5min", tz=ZONE)


def fan(median: np.ndarray, half: float) -> np.ndarray:
    return np.stack([median - half, median, median + half], axis=1)


def change(steps: int = 12, apart: float = 4.0):
    median = np.linspace(50, 60, steps)
    return draw_change(
        history=Trace("now", times("2025-10-22 06:40", 24), 40 + np.arange(24.0)),
        times=times("2025-10-22 08:40", steps),
        before=fan(median, 5),
        after=fan(median + apart * np.arange(1, steps + 1), 6),
        difference=fan(apart * np.arange(1, steps + 1), 1.0 if apart else 0.0),
        changes="without the readings of station 8",
        title="What if: flow at station 7",
        **COMMON,
    )


def analogs(labels: int = 5, steps: int = 12):
    present = np.where(np.arange(12) == 3, np.nan, 40 + np.arange(12.0))
    return draw_analogs(
        present=Trace("now", times("2025-10-22 06:40", 12), present),
        analogs=[(f"Wed {n:02d} Oct 07:45", np.linspace(38 + n, 70 + n, 12 + steps)) for n in range(labels)],
        times=times("2025-10-22 07:40", steps),
        forecast=fan(np.linspace(52, 60, steps), 4),
        title="Station 7: flow, now and when it was most like now",
        **COMMON,
    )


def test_the_change_is_drawn_and_told(sheets, check_layout) -> None:
    picture = change()

    (sheet,) = sheets
    upper, lower = (row[0] for row in sheet.panels)
    drawn = [line.get_ydata() for line in upper.lines if len(line.get_ydata()) == 12]
    assert any(np.allclose(y, np.linspace(50, 60, 12)) for y in drawn)
    assert any(np.allclose(y, np.linspace(50, 60, 12) + 4 * np.arange(1, 13)) for y in drawn)
    low, high = lower.get_ylim()
    assert low == -high
    assert "without the readings of station 8" in picture.alt
    assert "median 50 to 60 as it is, 54 to 108 with the change" in picture.alt
    assert "largest difference 48 vehicles/5 min at 2025-10-22 09:35, from 47 to 49" in picture.alt
    check_layout(sheet)


def test_no_change_is_told_as_none(sheets, check_layout) -> None:
    assert "nothing changes: median 50 to 60" in change(apart=0.0).alt
    check_layout(sheets[0])


def test_one_step_ahead(sheets, check_layout) -> None:
    assert "largest difference 4" in change(steps=1).alt
    assert "What came next" in analogs(2, steps=1).alt
    for sheet in sheets:
        check_layout(sheet)


@pytest.mark.parametrize("labels", [1, 5, 12])
def test_analogs_lie_upon_the_present(sheets, check_layout, labels: int) -> None:
    picture = analogs(labels)

    (sheet,) = sheets
    assert sum(len(line.get_ydata()) == 24 for line in sheet.axes.lines) == labels
    assert picture.alt.startswith("Synthetic data. Past windows upon the present")
    assert picture.alt.count("Oct 07:45: ") == labels
    assert "forecast median 52 to 60" in picture.alt
    check_layout(sheet)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(UsageError, match="short has the shape"):
        draw_analogs(
            present=Trace("now", times("2025-10-22 06:40", 12), np.ones(12)),
            analogs=[("short", np.ones(3))],
            times=times("2025-10-22 07:40", 12),
            forecast=fan(np.ones(12), 1),
            title="t",
            **COMMON,
        )
    with pytest.raises(UsageError, match="not after the history's end"):
        draw_analogs(
            present=Trace("now", times("2025-10-22 06:40", 12), np.ones(12)),
            analogs=[],
            times=times("2025-10-22 07:00", 12),
            forecast=fan(np.ones(12), 1),
            title="t",
            **COMMON,
        )
