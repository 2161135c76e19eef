"""`mm4st bench forecast` with a data set: the side-by-side comparison from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from eval.bench import forecast
from mm4st_agent.cli import main


def _bench(*args: str) -> Result:
    return CliRunner().invoke(main, ["bench", "forecast", *args])


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(forecast, "RESULTS", tmp_path / "results")
    return tmp_path / "results"


def test_runs_are_made_recorded_and_shown_again(results: Path) -> None:
    wanted = ["--dataset", "demo", "--channel", "requests", "--models", "slot-mean, last-value", "--json"]

    made = _bench(*wanted)

    assert made.exit_code == 0, made.output
    report: dict[str, Any] = json.loads(made.stdout)
    assert {"rows", "commit", "machine"} <= set(report)
    assert [model["model"] for model in report["models"]] == ["last-value", "slot-mean"]
    assert report["unit"] == "requests/min"
    assert {path.name for path in results.iterdir()} == {
        "demo-requests-last-value-s0.json", "demo-requests-slot-mean-s0.json",
    }  # fmt: skip
    shown = json.loads(_bench(*wanted, "--recorded").stdout)
    assert shown["models"] == report["models"]


def test_without_a_record_there_is_nothing_to_show(results: Path) -> None:
    done = _bench("--dataset", "demo", "--recorded", "--json")

    assert done.exit_code == 3
    error = json.loads(done.stdout)["error"]
    assert "no record of flow of 'demo'" in error["message"]
    assert error["hint"] == "Run it without --recorded."


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--shots", "0.1"], "--shots needs a data set"),
        (["--recorded"], "--recorded needs a data set"),
        (["--dataset", "demo", "--models", "gpt"], "No model 'gpt' is compared"),
        (["--dataset", "demo", "--shots", "1.5"], "1.5 is not in the range"),
        (["--dataset", "demo", "--channel", "rain"], "has no channel 'rain'"),
    ],
)
def test_bad_use_exits_with_2(args: list[str], message: str, results: Path) -> None:
    done = _bench(*args, "--json")

    assert done.exit_code == 2
    assert message in json.loads(done.stdout)["error"]["message"]
    assert not results.exists()


def test_imaging_takes_no_data_set() -> None:
    done = CliRunner().invoke(main, ["bench", "imaging", "--dataset", "demo", "--json"])

    assert done.exit_code == 2
    assert "takes no data set" in json.loads(done.stdout)["error"]["message"]
