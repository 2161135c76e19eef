"""The usual level is one function, whoever asks, and it reads nothing of the same week."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from mm4st_agent.demo_city.panel import demo_panel
from mm4st_agent.errors import UsageError
from tools.readings import given, mean_of, usual_level


@pytest.mark.parametrize("steps", [1, 6, 288, 3000])
def test_the_usual_level_is_what_pandas_finds_in_earlier_weeks(steps: int) -> None:
    panel = demo_panel().until("2025-09-22T00:10")

    usual = usual_level(panel, "S039", "flow", steps)

    series = pd.Series(panel.only(["S039"]).observed()[:, 0].astype(float), panel.times)
    weeks = [pd.Timedelta(weeks=k) for k in range(1, 5)]
    near = [pd.Timedelta(minutes=m) for m in (-5, 0, 5)]
    for i in {*range(0, steps, 97), steps - 1}:
        stamp = panel.times[len(panel.times) - steps + i]
        found = series.reindex([stamp - week + shift for week in weeks for shift in near]).dropna()
        assert usual.counts[:, i].sum() == len(found)
        assert usual.means[i] == pytest.approx(found.mean(), nan_ok=True)


def test_a_longer_window_does_not_change_what_is_usual() -> None:
    panel = demo_panel().until("2025-09-20T12:00")

    long, short = (usual_level(panel, "S039", "speed", steps).means for steps in (2000, 12))

    np.testing.assert_array_equal(long[-12:], short)


def test_holidays_and_imputed_readings_do_not_count() -> None:
    panel = demo_panel().until("2025-09-09T12:00")
    holiday = dataclasses.replace(panel, card=panel.card.model_copy(update={"holidays": "US"}))
    masked = panel.data.assign(imputed=panel.data["imputed"] | True)

    # In the week before lies the first Monday of September, a holiday in the United States.
    monday = slice(-36 * 12, -12 * 12 - 1)
    assert np.isfinite(usual_level(panel, "S039", "flow", 36 * 12).means[monday]).all()
    assert np.isnan(usual_level(holiday, "S039", "flow", 36 * 12).means[1:281]).all()
    assert np.isnan(usual_level(dataclasses.replace(panel, data=masked), "S039", "flow", 12).means).all()


def test_an_unknown_node_is_refused() -> None:
    with pytest.raises(UsageError, match="no station 'S999'"):
        usual_level(demo_panel(), "S999", "flow", 3)


def test_numbers_are_rounded_and_never_nan() -> None:
    assert given(1234.56789) == 1234.57
    assert given(1234.56789, 10) == 1234.56789
    assert [given(value) for value in (None, np.nan, np.inf)] == [None, None, None]
    assert mean_of(np.float32([1, np.nan, 4])) == 2.5
    assert mean_of(np.array([np.nan])) is None
