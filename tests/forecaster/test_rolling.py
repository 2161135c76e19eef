from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mm4st_agent.data.panel import Panel
from mm4st_agent.errors import UsageError
from mm4st_agent.forecaster.rolling import BaselineForecaster


def test_it_says_that_nothing_was_trained_and_how_to(panel: Panel) -> None:
    found = BaselineForecaster().predict(panel.until("2022-02-04T07:00"), ["A"], None, 6)[0]

    assert found.model == found.baseline_name
    assert found.trained_until is None
    assert "mm4st train --dataset tiny --channel flow" in found.warnings[0]
    assert found.total.low < found.total.median == found.total.baseline < found.total.high
    assert found.backtest.mae == found.backtest.baseline_mae


def test_the_interval_holds_on_what_follows(panel: Panel) -> None:
    inside = []
    for origin in range(1100, 1660, 19):
        for found in BaselineForecaster().predict(panel.until(panel.times[origin]), list("AB"), None, 6):
            truth = panel.observed()[origin : origin + 6, panel.position(found.node)]
            hit = (truth >= found.quantiles[:, 0]) & (truth <= found.quantiles[:, 4])
            inside.append(np.where(np.isfinite(truth), hit, np.nan))

    assert np.nanmean(inside) == pytest.approx(0.8, abs=0.08)


def test_it_takes_the_baseline_that_did_best(panel: Panel) -> None:
    """Noise around a weekly pattern: repeating last week doubles the noise, the last value ignores the hour."""
    time = np.arange(len(panel.times))
    level = 100 + 80 * np.sin(2 * np.pi * time / 48)[:, None]
    data = panel.data.copy(deep=True)
    data["flow"][:] = level + np.random.default_rng(0).normal(0, 5, (len(time), 5))
    data["imputed"][:] = False

    found = BaselineForecaster().predict(Panel(panel.card, data), ["A"], None, 6)[0]

    assert found.baseline_name == "slot_mean"
    expected = 100 + 80 * np.sin(2 * np.pi * (len(time) + np.arange(6)) / 48)
    np.testing.assert_allclose(found.quantiles[:, 2], expected, atol=12)
    assert found.backtest.mae == pytest.approx(5 * np.sqrt(2 / np.pi) * np.sqrt(1 + 1 / 4), rel=0.15)


def test_too_few_readings_say_from_when_on(panel: Panel) -> None:
    with pytest.raises(UsageError, match=r"needs 36.*from 2022-01-03T18:00 on"):
        BaselineForecaster().predict(panel.until("2022-01-03T12:00"), ["A"], None, 3)

    assert BaselineForecaster().predict(panel.until(pd.Timestamp("2022-01-03T18:00")), ["A"], None, 3)


def test_a_later_span_is_checked_over_the_same_steps(panel: Panel) -> None:
    cut = panel.until("2022-02-04T07:00")

    whole, later = (BaselineForecaster().predict(cut, ["A"], None, n, skip)[0] for n, skip in ((12, 0), (4, 8)))

    assert later.times.tolist() == whole.times[8:].tolist()
    assert len(later.quantiles) == 4
    assert later.total.low < later.total.median == pytest.approx(later.quantiles[:, 2].sum(), rel=1e-5)
    origins = np.unique(np.linspace(len(cut.times) - int(0.2 * len(cut.times)), len(cut.times) - 12, 300).astype(int))
    truth = cut.observed()[origins[:, None] + np.arange(8, 12), [0]]
    known = cut.observed()[: origins[0]]
    assert later.baseline_name == "slot_mean"
    slot = (origins[:, None] + np.arange(8, 12)) % 336
    mean = np.array([np.nanmean(known[s::336, 0]) for s in range(336)])[slot]
    assert later.backtest.mae == pytest.approx(float(np.nanmean(np.abs(truth - mean))), rel=1e-4)


def test_an_interval_from_errors_of_a_fallback_says_so(panel: Panel) -> None:
    """After one week the coming slots have a reading each; the forecasts that were checked had none."""
    time = np.arange(len(panel.times))
    data = panel.data.copy(deep=True)
    data["flow"][:] = (100 + 80 * np.sin(2 * np.pi * time / 48))[:, None] + np.random.default_rng(0).normal(
        0, 2, (1, 5)
    )
    data["imputed"][:] = False

    found = BaselineForecaster().predict(Panel(panel.card, data).until("2022-01-10T00:00"), ["A"], None, 6)[0]

    assert (found.baseline_name, found.baseline_title) == ("slot_mean", "the same time of an earlier week")
    assert any("rests on the errors of the usual for this time of day" in warning for warning in found.warnings)


def test_a_week_that_was_never_seen_is_not_called_usual(panel: Panel) -> None:
    found = BaselineForecaster().predict(panel.until("2022-01-05T09:00"), ["A"], None, 2)[0]

    if found.baseline_name == "slot_mean":
        assert found.baseline_title == "the usual for this time of day"
    assert found.baseline_leads
    assert found.baseline_title in found.warnings[0]
    assert "of the week" not in found.warnings[0]
