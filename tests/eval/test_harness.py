"""Every model of the comparison gets the same data and is tested on the same cells; its record tells it all."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eval.bench import models
from eval.bench.forecast import RESULTS, recorded, run_side_by_side
from eval.bench.harness import Fitted, Task
from eval.bench.models import MODELS, Model
from eval.bench.records import ALL, Record, Shots, read_record, write_record
from eval.bench.side_by_side import print_side_by_side, side_by_side_report
from mm4st_agent.data.panel import Panel
from mm4st_agent.errors import DataError, UsageError
from mm4st_agent.forecaster import metrics
from mm4st_agent.forecaster.baselines import slot_mean, truth_at
from mm4st_agent.forecaster.evaluation import MAX_CELLS

SHORT = 0.0005


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="module")
def records(road: Panel, results: Path) -> dict[str, Record]:
    """One seed of a baseline, a regression, a network and our own."""
    names = ("slot-mean", "ridge", "dlinear", "st-vlm-numeric")
    done = run_side_by_side(road, "flow", names, minutes=SHORT, results=results)
    return {record.model: record for record in done}


def test_the_parts_are_those_of_the_backtest(road: Panel) -> None:
    task = Task.of(road, None)
    steps = len(road.times)

    assert (task.history, task.horizon) == (12, 12)
    assert task.course.split.train == slice(0, round(0.7 * steps))
    assert task.course.split.test == slice(round(0.8 * steps), steps)
    origins, stride = task.test
    assert stride == 1
    assert (origins[0], origins[-1]) == (round(0.8 * steps) + 12, steps - 12)
    assert len(origins) * 12 * 5 < MAX_CELLS
    assert (task.train[0], task.train[-1]) == (12, round(0.7 * steps) - 12)


def test_hourly_data_are_forecast_for_a_day(road_of: Any) -> None:
    task = Task.of(road_of(step="1h"), None)

    assert (task.history, task.horizon) == (24, 24)


@pytest.mark.parametrize("which", ["first", "last"])
def test_few_shots_are_one_piece_with_as_much_for_validation(road: Panel, which: Any) -> None:
    whole, few = Task.of(road, None), Task.of(road, None, Shots(share=0.1, which=which))
    train = whole.course.split.train
    shots = round(0.1 * train.stop)

    assert few.course.split.train == (slice(0, shots) if which == "first" else slice(train.stop - shots, train.stop))
    assert few.course.split.validation == slice(train.stop, train.stop + shots)
    np.testing.assert_array_equal(few.test[0], whole.test[0])
    # Slot means of the shots only.
    assert not np.array_equal(few.course.history.means.table, whole.course.history.means.table)


def test_shots_too_few_for_a_window_are_refused(road: Panel) -> None:
    with pytest.raises(DataError, match="does not fit"):
        _ = Task.of(road, None, Shots(share=0.01)).train


def test_a_record_holds_the_errors_on_every_measured_test_cell(road: Panel, records: dict[str, Record]) -> None:
    task, record = Task.of(road, None), records["slot-mean"]
    origins = task.test[0]
    truth = truth_at(task.course.observed, origins, 12)
    forecast = slot_mean(task.course.history, origins, 12)

    total = record.subsets[ALL].total

    assert total.cells == np.isfinite(truth).sum()
    assert total.mae == pytest.approx(metrics.mae(truth, forecast))
    assert total.rmse == pytest.approx(metrics.rmse(truth, forecast))
    assert total.mape == pytest.approx(metrics.mape(truth, forecast, record.mape_floor))
    assert record.subsets[ALL].steps[11].mae == pytest.approx(metrics.mae(truth[:, 11], forecast[:, 11]))
    assert total.coverage80 is None
    assert record.parameters is None
    assert record.latency_ms is None


def test_the_days_of_a_record_add_up_to_its_error(records: dict[str, Record]) -> None:
    for record in records.values():
        assert set(record.subsets) == {ALL, "incidents", "rain"}
        for subset in record.subsets.values():
            sums, cells = (sum(day[k] for day in subset.days.values()) for k in (0, 1))
            assert cells == subset.total.cells
            assert sums / cells == pytest.approx(subset.total.mae, rel=1e-4)


def test_all_models_are_tested_on_the_same_cells_and_only_ours_has_an_interval(records: dict[str, Record]) -> None:
    cells = {name: {k: s.total.cells for k, s in record.subsets.items()} for name, record in records.items()}

    assert all(found == cells["slot-mean"] for found in cells.values())
    assert 50 < (records["st-vlm-numeric"].subsets[ALL].total.coverage80 or 0) < 100
    assert records["dlinear"].subsets[ALL].total.coverage80 is None
    for name in ("dlinear", "st-vlm-numeric"):
        assert records[name].stopped == "budget"
        assert records[name].budget_minutes == SHORT
        assert records[name].validation_mae
        assert records[name].latency_ms
    assert records["dlinear"].parameters == 2 * (12 * 12 + 12)
    assert records["ridge"].subsets[ALL].total.mae < records["dlinear"].subsets[ALL].total.mae


def test_a_run_on_record_is_not_made_again_unless_asked(road: Panel, records: dict[str, Record], results: Path) -> None:
    def again(**options: Any) -> Record:
        (record,) = run_side_by_side(road, "flow", ("dlinear",), results=results, **{"minutes": SHORT, **options})
        return record

    assert again() == records["dlinear"]
    assert again(minutes=SHORT / 2) == records["dlinear"]
    longer = again(minutes=2 * SHORT)
    assert longer.created > records["dlinear"].created
    assert again(minutes=2 * SHORT, fresh=True).created > longer.created


def test_other_data_are_another_run(road: Panel, tmp_path: Path) -> None:
    card = road.card.model_copy(update={"title": "Another road"})
    other = dataclasses.replace(road, card=card)
    (first,) = run_side_by_side(road, None, ("slot-mean",), results=tmp_path)

    with pytest.raises(DataError, match="another version of the data"):
        recorded(other, results=tmp_path)
    (second,) = run_side_by_side(other, None, ("slot-mean",), results=tmp_path)

    assert second.data_sha256 != first.data_sha256
    assert recorded(other, results=tmp_path) == [second]


def test_stopping_keeps_the_runs_that_are_done(road: Panel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(task: Task, seed: int, minutes: float | None, report: Any) -> Fitted:
        raise KeyboardInterrupt

    monkeypatch.setattr(
        models, "MODELS", {"slot-mean": MODELS["slot-mean"], "slow": Model("slow", stopped, lambda task: {})}
    )
    with pytest.raises(KeyboardInterrupt):
        run_side_by_side(road, None, ("slot-mean", "slow"), results=tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["road-flow-slot-mean-s0.json"]
    assert [record.model for record in recorded(road, results=tmp_path, models=("slot-mean",))] == ["slot-mean"]


def test_names_that_stand_for_several_models() -> None:
    names = list(models.chosen(("modalities", "ridge"), few_shot=False))

    assert {"ridge", "st-vlm-pico", *models.MODALITIES} == set(names)
    assert not {*models.MODALITIES, *models.FUSIONS, *models.RANKS} & set(models.compared_models())
    with pytest.raises(UsageError, match="No model 'wavelet'") as caught:
        models.chosen(("wavelet",), few_shot=False)
    assert "modalities" in caught.value.hint


def test_each_control_differs_from_ours_in_one_thing(road: Panel) -> None:
    task = Task.of(road, None, backbone="a/folder")
    ours = models.MODELS["st-vlm-pico"].config(task)

    for name, control in {**models.MODALITIES, **models.FUSIONS}.items():
        config = control.config(task)
        network, own = config.pop("network"), dict(ours["network"])
        assert config == {key: value for key, value in ours.items() if key != "network"}, name
        changed = {key for key in network if network[key] != own.get(key)}
        assert len(changed) == (2 if name == "series-only" else 1), name
    rules = [models.MODELS[name].config(task)["network"]["ranks"] for name in models.RANKS]
    assert rules == ["adaptive", "uniform", "random", "adalora", "none"]


def test_rules_for_ranks_need_a_backbone(road: Panel) -> None:
    with pytest.raises(UsageError, match="none is given") as caught:
        models.RANKS["ranks-uniform"].config(Task.of(road, None))
    assert "--backbone" in caught.value.hint


def test_a_network_runs_once_a_seed_and_a_baseline_once(road: Panel, tmp_path: Path) -> None:
    done = run_side_by_side(
        road, None, ("last-value", "dlinear"), seeds=2, shots=Shots(share=0.1), minutes=0.01, results=tmp_path
    )

    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "road-flow-dlinear-shots0.1first-s0.json",
        "road-flow-dlinear-shots0.1first-s1.json",
        "road-flow-last-value-shots0.1first-s0.json",
    ]
    report = side_by_side_report(done)
    assert [(m["model"], m["seeds"]) for m in report["models"]] == [("last-value", [0]), ("dlinear", [0, 1])]
    assert report["models"][1]["mae_sd"] is not None
    assert report["rows"] == []
    with pytest.raises(DataError, match="no record of flow of 'road' in"):
        recorded(road, results=tmp_path)


def test_ours_learns_from_the_same_few_shots(road: Panel, tmp_path: Path) -> None:
    shots = Shots(share=0.1, which="last")

    (record,) = run_side_by_side(road, None, ("st-vlm-numeric",), shots=shots, minutes=0.005, results=tmp_path)

    assert (record.config["shots"], record.config["shots_from"]) == (0.1, "last")
    assert record.train.steps == record.validation.steps == round(0.1 * Task.of(road, None).course.split.train.stop)
    assert record.shots == shots


def test_the_report_compares_ours_with_each_peer(
    records: dict[str, Record], capsys: pytest.CaptureFixture[str]
) -> None:
    report = side_by_side_report(list(records.values()))

    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert [model["model"] for model in report["models"]] == list(records)
    rows = {(row["peer_name"], row["name"].split("MAE, ")[1]): row for row in report["rows"]}
    assert set(rows) == {
        (peer, cells)
        for peer in ("slot-mean", "ridge", "dlinear")
        for cells in ("all windows", "event windows (incidents)", "event windows (rain)")
    }
    row = rows["dlinear", "all windows"]
    assert row["ratio"] == pytest.approx(row["peer"] / row["ours"])
    assert row["difference"] == pytest.approx(row["ours"] - row["peer"], abs=1e-4)
    assert row["low"] <= row["difference"] <= row["high"]
    assert rows["dlinear", "event windows (rain)"]["low"] is None or row["days"] > 1
    print_side_by_side(report, 1800)
    assert "vehicles/30 min" in capsys.readouterr().out


def test_a_model_that_leaves_a_measured_cell_out_is_refused(
    road: Panel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fit(task: Task, seed: int, minutes: float | None, report: Any) -> Fitted:
        return Fitted(lambda origins: np.full((len(origins), 12, 5), np.float32(np.nan)))

    monkeypatch.setattr(models, "MODELS", {"silent": Model("silent", fit, lambda task: {})})
    with pytest.raises(DataError, match="no value for some measured cells"):
        run_side_by_side(road, None, ("silent",), results=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_model_is_refused_with_the_known_ones(road: Panel, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'stidd'") as refused:
        run_side_by_side(road, None, ("stidd",), results=tmp_path)
    assert "stid" in str(refused.value.hint)


def test_slow_peers_run_on_few_shots_only_unless_named() -> None:
    assert "staeformer" not in models.chosen(None, few_shot=False)
    assert "staeformer" in models.chosen(None, few_shot=True)
    assert list(models.chosen(("staeformer",), few_shot=False)) == ["staeformer"]


def test_a_broken_record_is_named(records: dict[str, Record], tmp_path: Path) -> None:
    path = write_record(records["ridge"], tmp_path)
    assert read_record(path) == records["ridge"]
    path.write_text(path.read_text(encoding="utf-8").replace('"seed": 0', '"seed": "x"'), encoding="utf-8")

    with pytest.raises(DataError, match="seed"):
        read_record(path)


def test_the_records_that_come_with_the_source_are_whole() -> None:
    paths = sorted(RESULTS.glob("*.json"))

    assert paths
    for path in paths:
        record = read_record(path)
        assert record.file == path.name
        assert record.model in MODELS
        assert len(record.subsets[ALL].steps) == record.horizon
        for subset in record.subsets.values():
            assert sum(cells for _, cells in subset.days.values()) == subset.total.cells
