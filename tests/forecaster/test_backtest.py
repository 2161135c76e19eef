from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mm4st_agent.data.panel import Panel
from mm4st_agent.errors import DataError
from mm4st_agent.forecaster import evaluation, metrics
from mm4st_agent.forecaster.backtest import print_table, run_backtest
from mm4st_agent.forecaster.baselines import BASELINES
from mm4st_agent.forecaster.config import MODEL_NAME
from mm4st_agent.forecaster.prediction import BaselineForecaster, TrainedForecaster


def with_imputed_cells(panel: Panel, value: float) -> Panel:
    data = panel.data.copy(deep=True)
    data["flow"] = data["flow"].where(~data["imputed"], value).assign_attrs(panel.data["flow"].attrs)
    return dataclasses.replace(panel, data=data)


def test_it_repeats_the_errors_of_the_card(panel: Panel, trained: Path) -> None:
    forecaster = TrainedForecaster(trained)

    report = run_backtest(panel, panel.channel(), forecaster)

    assert report.errors.cells == forecaster.card.errors.cells
    for row, stated in zip(report.errors.rows, forecaster.card.errors.rows, strict=True):
        assert (row.model, row.horizon) == (stated.model, stated.horizon)
        found, expected = (
            [getattr(r, name) for name in ("mae", "rmse", "mape", "mase", "coverage80", "width80")]
            for r in (row, stated)
        )
        assert found == pytest.approx(expected, rel=1e-4)


def test_totals_agree_between_the_table_and_the_steps(panel: Panel, trained: Path) -> None:
    errors = run_backtest(panel, panel.channel(), TrainedForecaster(trained)).errors

    for row in errors.total:
        assert errors.by_step[row.model].total_coverage80[row.steps - 1] == row.coverage80
    for row in errors.rows:
        if row.horizon != "all":
            assert errors.by_step[row.model].mae[row.horizon - 1] == row.mae
        else:
            assert errors.by_step[row.model].mae_over(12) == pytest.approx(row.mae, rel=1e-5)


def test_imputed_cells_change_no_metric(panel: Panel, trained: Path) -> None:
    forecaster = TrainedForecaster(trained)

    reports = [
        run_backtest(with_imputed_cells(panel, value), panel.channel(), forecaster).to_json() for value in (0.0, 1e6)
    ]

    assert reports[0] == reports[1]


def test_json_holds_every_model_at_every_horizon_without_nan(panel: Panel, trained: Path) -> None:
    report = run_backtest(panel, panel.channel(), TrainedForecaster(trained)).to_json()

    text = json.dumps(report, allow_nan=False)
    rows = json.loads(text)["rows"]
    assert [(row["model"], row["horizon"]) for row in rows] == [
        (model, horizon) for model in (MODEL_NAME, *BASELINES) for horizon in (3, 6, 12, "all")
    ]
    assert set(rows[0]) == {"model", "horizon", "mae", "rmse", "mape", "mase", "coverage80", "width80"}
    assert report["train"]["end"] == report["validation"]["start"]
    assert [(row["model"], row["steps"]) for row in report["total"]] == [
        (model, steps) for model in (MODEL_NAME, *BASELINES) for steps in (3, 6, 12)
    ]
    assert report["total"][0]["unit"] == "vehicles"


def test_a_row_by_hand(panel: Panel) -> None:
    """The last value at step 3, computed without any of our window code."""
    report = run_backtest(panel, panel.channel(), BaselineForecaster())
    row = next(row for row in report.errors.rows if (row.model, row.horizon) == ("last_value", 3))

    observed, misses = panel.observed(), []
    carried = observed.copy()
    for step in range(1, len(carried)):
        carried[step] = np.where(np.isfinite(carried[step]), carried[step], carried[step - 1])
    for origin in range(1344 + 12, 1680 - 11):
        misses.append(np.abs(observed[origin + 2] - carried[origin - 1]))
    assert row.mae == pytest.approx(float(np.nanmean(misses)), rel=1e-5)
    train = observed[:1176]
    season = metrics.season_steps(1176, 1800)
    scale = [np.nanmean(np.abs(train[season:, n] - train[:-season, n])) for n in range(4)]
    assert season == 336
    assert row.mase == pytest.approx(float(np.nanmean(np.stack(misses)[:, :4] / scale)), rel=1e-5)


def test_data_too_short_for_a_baseline_leave_it_undefined(panel_of: Callable[..., Panel]) -> None:
    panel = panel_of(days=6)

    report = run_backtest(panel, panel.channel(), BaselineForecaster())

    last_week = [row for row in report.errors.rows if row.model == "same_slot_last_week"]
    others = [row for row in report.errors.rows if row.model != "same_slot_last_week"]
    assert all(row.mae is None and row.coverage80 is None for row in last_week)
    assert all(row.mae is not None for row in others)
    assert any("same_slot_last_week has no value" in note for note in report.notes)
    json.dumps(report.to_json(), allow_nan=False)


def test_data_too_short_for_a_backtest_say_how_much_is_needed(panel_of: Callable[..., Panel]) -> None:
    panel = panel_of(days=4)

    with pytest.raises(DataError, match=r"'tiny' has 192 time steps; training and backtest need 232"):
        run_backtest(panel, panel.channel(), BaselineForecaster())


def test_a_wide_panel_is_scored_on_at_least_one_window(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "MAX_CELLS", 12)  # less than one window of five nodes

    errors = run_backtest(panel, panel.channel(), BaselineForecaster()).errors

    assert (errors.windows, errors.stride) == (1, 313)


def test_the_table_is_for_people(panel: Panel, trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    print_table(run_backtest(panel, panel.channel(), TrainedForecaster(trained)))

    said = capsys.readouterr().out
    assert "traffic flow in vehicles/30 min" in said
    assert said.count(MODEL_NAME) >= 4
    assert "90 min" in said
    assert "\u2026" not in said  # nothing is cut off at 80 columns
    assert "missing or imputed" in said


def test_a_panel_that_ends_before_the_test_part(panel: Panel, trained: Path) -> None:
    with pytest.raises(DataError, match=r"has 10 time steps; .* needs 12 before it and 12 for itself"):
        run_backtest(panel.until("2022-01-31T05:00"), panel.channel(), TrainedForecaster(trained))
