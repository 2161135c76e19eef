from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mm4st_agent.data.panel import Panel
from mm4st_agent.errors import DataError, UsageError
from mm4st_agent.forecaster.checkpoint import CARD_FILE, read_card
from mm4st_agent.forecaster.config import MODEL_NAME
from mm4st_agent.forecaster.prediction import (
    BaselineForecaster,
    Forecaster,
    TrainedForecaster,
    find_checkpoint,
    forecaster_for,
    shipped_checkpoints,
)
from mm4st_agent.forecaster.scoring import track_record
from mm4st_agent.forecaster.slots import extended, slots_of

AS_OF = "2022-02-04T07:00"  # in the test part, which begins on 2022-01-31


@pytest.fixture(scope="module")
def forecaster(trained: Path) -> TrainedForecaster:
    return TrainedForecaster(trained)


def garbled_after(panel: Panel, as_of: str) -> Panel:
    """The same panel with another future."""
    data = panel.data.copy(deep=True)
    known = len(panel.until(as_of).times)
    data["flow"][known:] = 9999.0
    data["imputed"][known:] = False
    return dataclasses.replace(panel, data=data)


@pytest.mark.parametrize("make", [lambda t: TrainedForecaster(t), lambda t: BaselineForecaster()])
def test_no_forecaster_sees_beyond_as_of(panel: Panel, trained: Path, make: Callable[[Path], Forecaster]) -> None:
    before = make(trained).predict(panel.until(AS_OF), ["A", "C"], "flow", 12)
    after = make(trained).predict(garbled_after(panel, AS_OF).until(AS_OF), ["A", "C"], "flow", 12)

    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one.quantiles, other.quantiles)
        np.testing.assert_array_equal(one.baseline, other.baseline)
        assert one.total == other.total
        assert np.isfinite(one.quantiles).all()


@pytest.mark.parametrize("make", [lambda t: TrainedForecaster(t), lambda t: BaselineForecaster()])
def test_imputed_cells_do_not_reach_a_forecast(panel: Panel, trained: Path, make: Callable[[Path], Forecaster]) -> None:
    data = panel.data.copy(deep=True)
    data["flow"] = data["flow"].where(~data["imputed"], 5000.0).assign_attrs(panel.data["flow"].attrs)
    other = dataclasses.replace(panel, data=data)
    as_of = panel.times[-385]  # node C has imputed cells just before

    one, two = (make(trained).predict(given.until(as_of), ["C"], None, 6)[0] for given in (panel, other))

    np.testing.assert_array_equal(one.quantiles, two.quantiles)
    np.testing.assert_array_equal(one.baseline, two.baseline)


def test_a_forecast_is_complete_and_consistent(panel: Panel, forecaster: TrainedForecaster) -> None:
    cut = panel.until(AS_OF)

    found = forecaster.predict(cut, ["B"], None, 4)[0]

    assert found.times.tolist() == [pd.Timestamp(AS_OF, tz="US/Pacific") + k * panel.step for k in range(4)]
    assert (np.diff(found.quantiles, axis=1) >= 0).all()
    assert (found.model, found.in_sample, found.warnings) == (MODEL_NAME, False, ())
    total = found.total
    assert total.unit == "vehicles"
    assert total.median == pytest.approx(found.quantiles[:, 2].sum(), rel=1e-5)
    assert found.quantiles[:, 0].sum() < total.low < total.median < total.high < found.quantiles[:, 4].sum()
    assert total.baseline == pytest.approx(found.baseline.sum(), rel=1e-5)
    assert found.backtest.mae is not None
    assert found.backtest.baseline_mae is not None
    assert found.backtest.mae < found.backtest.baseline_mae
    assert found.trained_until == pd.Timestamp("2022-01-31", tz="US/Pacific")


def test_it_is_the_forecast_that_the_backtest_scored(panel: Panel, forecaster: TrainedForecaster) -> None:
    checkpoint, origins = forecaster.checkpoint, np.array([40, 300, 1400, 1555, 1668])
    times = extended(panel.times, 12)
    slots = slots_of(times, panel.step_s, "US")
    whole = checkpoint.intervals(checkpoint.inputs(panel, panel.observed(), slots), panel.observed(), slots)(origins)

    for expected, origin in zip(whole, origins, strict=True):
        found = forecaster.predict(panel.until(panel.times[origin]), list("ABCD"), None, 12)
        np.testing.assert_allclose(np.stack([f.quantiles for f in found], axis=1), expected[:, :4], rtol=1e-4)


def test_an_early_moment_is_in_sample_and_says_so(panel: Panel, forecaster: TrainedForecaster) -> None:
    found = forecaster.predict(panel.until("2022-01-20T07:00"), ["A"], None, 12)[0]

    assert found.in_sample
    assert any("trained and tuned on data until 2022-01-31 00:00" in warning for warning in found.warnings)


def test_a_silent_station_is_forecast_with_a_warning(panel: Panel, forecaster: TrainedForecaster) -> None:
    silent = forecaster.predict(panel.until(panel.times[-382]), ["C"], None, 12)[0]
    thin = forecaster.predict(panel.until(panel.times[-392]), ["C"], None, 12)[0]

    assert np.isfinite(silent.quantiles).all()
    assert any("Station C has no measured reading in the last 6 hours" in warning for warning in silent.warnings)
    assert any("Station C has only 4 measured readings of 12" in warning for warning in thin.warnings)


@pytest.mark.parametrize("make", [lambda t: TrainedForecaster(t), lambda t: BaselineForecaster()])
def test_bad_questions_get_one_clear_sentence(panel: Panel, trained: Path, make: Callable[[Path], Forecaster]) -> None:
    forecaster, cut = make(trained), panel.until(AS_OF)

    with pytest.raises(
        UsageError, match=r"for 'tiny' reaches 6 hours \(12 steps\) ahead; 390 minutes is too far.*at most 6 hours"
    ):
        forecaster.predict(cut, ["A"], None, 13)
    with pytest.raises(UsageError, match="0 steps"):
        forecaster.predict(cut, ["A"], None, 0)
    with pytest.raises(UsageError, match="7 hours is too far"):
        forecaster.predict(cut, ["A"], None, 4, skip=10)
    with pytest.raises(UsageError, match="too far"):
        forecaster.predict(cut, ["A"], None, 10**15)
    with pytest.raises(UsageError, match="no station 'Z'"):
        forecaster.predict(cut, ["Z"], None, 3)
    with pytest.raises(
        DataError,
        match=r"Station E of 'tiny' has no measured traffic flow.*shows there is imputed.*such as D, C, B",
    ):
        forecaster.predict(cut, ["E"], None, 3)
    with pytest.raises(UsageError, match="has 6 time steps; a forecast needs"):
        forecaster.predict(panel.until("2022-01-03T03:00"), ["A"], None, 3)


def test_the_hint_for_too_few_readings_holds(panel: Panel, forecaster: TrainedForecaster) -> None:
    with pytest.raises(UsageError) as caught:
        forecaster.predict(panel.until("2022-01-03T03:00"), ["A"], None, 3)

    first = caught.value.hint.split("from ")[1].split(" ")[0]
    assert forecaster.predict(panel.until(first), ["A"], None, 3)


@pytest.mark.parametrize("make", [lambda t: TrainedForecaster(t), lambda t: BaselineForecaster()])
def test_data_that_are_too_short_as_a_whole_say_so(
    panel: Panel, trained: Path, make: Callable[[Path], Forecaster]
) -> None:
    forecaster, short = make(trained), dataclasses.replace(panel, data=panel.data.isel(time=slice(0, 8)))

    with pytest.raises(DataError, match=rf"it has 8 time steps, and a forecast needs {forecaster.needed_readings}\."):
        forecaster.predict(short, ["A"], None, 3)


def test_an_empty_column_is_called_empty(panel: Panel, forecaster: TrainedForecaster) -> None:
    data = panel.data.copy(deep=True)
    data["flow"][:, 0] = np.nan
    data["imputed"][:, 0] = False

    with pytest.raises(DataError, match=r"Station A .* up to 2022-02-04 07:00; it is empty in the data"):
        forecaster.predict(dataclasses.replace(panel, data=data).until(AS_OF), ["A"], None, 3)


def test_a_later_span_is_the_end_of_the_whole_one(panel: Panel, forecaster: TrainedForecaster) -> None:
    cut = panel.until(AS_OF)

    whole, later = (forecaster.predict(cut, ["B"], None, n, skip)[0] for n, skip in ((12, 0), (4, 8)))

    assert later.times.tolist() == whole.times[8:].tolist()
    np.testing.assert_array_equal(later.quantiles, whole.quantiles[8:])
    assert later.total.median == pytest.approx(later.quantiles[:, 2].sum(), rel=1e-5)
    assert later.quantiles[:, 0].sum() < later.total.low < later.total.high < later.quantiles[:, 4].sum()
    assert later.backtest.total_coverage80 is None
    record = track_record(forecaster.checkpoint, cut)
    assert record is not None
    assert later.backtest.mae == pytest.approx(np.mean(record[0].by_step[MODEL_NAME].mae[8:]), rel=0.02)
    assert later.baseline_title == "the usual for this time of the week"


def test_a_checkpoint_replaced_before_the_first_forecast_is_not_mixed(
    panel: Panel, trained: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "tiny-flow"
    shutil.copytree(trained, folder)
    forecaster = TrainedForecaster(folder)
    card = read_card(folder)
    factors = {"steps": ((9.0,) * 4,) * 12, "totals": ((9.0,) * 2,) * 12}
    wider = card.calibration.model_copy(update=factors)
    (folder / CARD_FILE).write_text(card.model_copy(update={"calibration": wider}).model_dump_json())

    found = forecaster.predict(panel.until(AS_OF), ["A"], None, 3)[0]

    expected = TrainedForecaster(folder).predict(panel.until(AS_OF), ["A"], None, 3)[0]
    np.testing.assert_array_equal(found.quantiles, expected.quantiles)
    assert found.total == expected.total


def test_a_checkpoint_of_other_data_is_refused(panel: Panel, forecaster: TrainedForecaster) -> None:
    fewer = dataclasses.replace(panel, data=panel.data.isel(node=[0, 1, 2, 3]), edges=panel.edges.iloc[:3])
    turned = dataclasses.replace(panel, data=panel.data.isel(node=[1, 0, 2, 3, 4]))
    hourly = dataclasses.replace(panel, data=panel.data.isel(time=slice(0, None, 2)))

    for other, said in ((fewer, "not the 4 of the data"), (turned, "in this order"), (hourly, "steps of 1800 s")):
        with pytest.raises(DataError, match=said):
            forecaster.predict(other, ["A"], None, 3)


def test_another_version_of_the_data_is_said(panel: Panel, forecaster: TrainedForecaster) -> None:
    other = dataclasses.replace(panel, card=panel.card.model_copy(update={"title": "Another"}))

    warnings = forecaster.predict(other.until(AS_OF), ["A"], None, 3)[0].warnings

    assert any("trained on another version of 'tiny'" in warning for warning in warnings)


def test_a_better_baseline_leads_and_says_so(panel: Panel, trained: Path) -> None:
    week = int(pd.Timedelta(weeks=1) / panel.step)
    repeated = panel.data.isel(time=np.arange(len(panel.times)) % week).assign_coords(time=panel.data["time"])
    same_every_week = dataclasses.replace(panel, data=repeated)

    found = TrainedForecaster(trained).predict(same_every_week.until(AS_OF), ["A"], None, 12)[0]

    assert found.model == found.baseline_name == found.backtest.best_baseline == "same_slot_last_week"
    np.testing.assert_allclose(found.quantiles[:, 2], found.baseline)
    assert found.total.median == pytest.approx(found.total.baseline)
    assert found.backtest.mae == found.backtest.baseline_mae == 0
    assert "the same time last week was closer in the backtest than st-vlm-numeric (MAE 0 " in found.warnings[0]


def test_the_track_record_ends_before_the_forecast(panel: Panel, forecaster: TrainedForecaster) -> None:
    card = forecaster.card
    late, early = panel.until(AS_OF), panel.until(card.test.start)

    after = forecaster.predict(late, ["A"], None, 12)[0].backtest
    before = forecaster.predict(early, ["A"], None, 12)[0].backtest
    first = forecaster.predict(panel.until(card.train.end), ["A"], None, 12)[0]

    assert after.where.endswith(f"to {late.times[-1]:%Y-%m-%d %H:%M}")
    assert after.mae != card.errors.by_step[card.model].mae_over(12)
    assert before.where.endswith(f"to {early.times[-1]:%Y-%m-%d %H:%M}, which also tuned the model")
    assert first.backtest.mae is None
    assert first.warnings[0].startswith("No forecast that was over by then")


def test_the_earlier_folder_wins(panel: Panel, trained: Path, tmp_path: Path) -> None:
    channel = panel.channel()
    home, shipped = tmp_path / "home", tmp_path / "shipped"
    assert find_checkpoint([home, shipped], "tiny", "flow") is None
    assert isinstance(forecaster_for(panel, channel, [home, shipped]), BaselineForecaster)

    shutil.copytree(trained, shipped / "tiny-flow")
    assert find_checkpoint([home, shipped], "tiny", "flow") == shipped / "tiny-flow"

    shutil.copytree(trained, home / "tiny-flow")
    assert find_checkpoint([home, shipped], "tiny", "flow") == home / "tiny-flow"
    assert isinstance(forecaster_for(panel, channel, [home, shipped]), TrainedForecaster)
    assert shipped_checkpoints().name == "checkpoints"
