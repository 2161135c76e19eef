"""Local time along an axis: which ticks are named, and when they are looked for again."""

from __future__ import annotations

import pandas as pd
import pytest
from matplotlib.figure import Figure

from mm4st_agent.imaging.timeaxis import days, time_axis


@pytest.mark.parametrize("max_ticks", [4, 5, 9])
def test_every_tick_of_a_week_is_named(max_ticks: int) -> None:
    axes = Figure(figsize=(8, 4)).subplots()
    time_axis(
        axes, pd.date_range("2025-10-15T07:40", periods=2016, freq="5min", tz="Europe/Lisbon"), max_ticks=max_ticks
    )

    low, high = axes.get_xlim()
    locations, labels = axes.get_xticks(), [label.get_text() for label in axes.get_xticklabels()]
    shown = [label for at, label in zip(locations, labels, strict=True) if low <= at <= high]
    assert len(shown) >= 2
    assert all(shown)


def test_new_limits_bring_new_ticks() -> None:
    axes = Figure(figsize=(8, 4)).subplots()
    times = pd.date_range("2025-10-15", periods=2016, freq="5min", tz="Europe/Lisbon")
    time_axis(axes, times)
    week = list(axes.get_xticks())

    first = days(times)[0]
    axes.set_xlim(first, first + 0.25)

    assert list(axes.get_xticks()) != week
    assert all(first - 0.1 <= tick <= first + 0.35 for tick in axes.get_xticks())
    axes.set_xlim(first, days(times)[-1])
    assert len(axes.get_xticks()) >= 5
