"""The command line other programs rely on: JSON, streams and exit codes."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from click.testing import CliRunner, Result

from mm4st_agent.cli import main
from mm4st_agent.cli.importing import data_import, import_options
from mm4st_agent.data.importing.options import ImportOptions
from mm4st_agent.data.known import KNOWN
from mm4st_agent.runtime import Runtime


def _run(*args: str, answer: str = "") -> Result:
    return CliRunner().invoke(main, args, input=answer)


def _json(*args: str) -> Any:
    done = _run(*args, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_ask_prints_the_contract() -> None:
    answer = _json("ask", "How fast will traffic be at S005 in 30 minutes?")

    assert list(answer) == [
        "question", "answer", "claims", "evidence", "figures", "citations", "warnings", "chat_model", "dataset",
        "as_of", "thread", "seconds", "choices", "manifest", "turn",
    ]  # fmt: skip
    assert {"text", "kind", "value", "unit", "status", "evidence"} <= set(answer["claims"][0])
    assert {"id", "tool", "args", "as_of", "values", "texts", "images", "seconds"} <= set(answer["evidence"][0])


def test_ask_prints_an_answer_for_people() -> None:
    done = _run("ask", "What data do you have?")

    assert done.exit_code == 0
    assert "149 stations" in done.stdout
    assert "synthetic" in done.stdout
    assert "describe_dataset" in done.stderr


@pytest.mark.parametrize(
    ("args", "code", "kind", "message"),
    [
        (["ask", ""], 2, "usage", "The question is empty."),
        (["ask", "hi", "--as-of", "2031-01-01"], 2, "usage", "outside the data"),
        (["ask", "hi", "--dataset", "dmo"], 2, "usage", "There is no data set 'dmo'."),
        (["ask", "hi", "--chat-model", "gpt"], 2, "usage", "'gpt' is not one of"),
        (["tool", "run", "no_such_tool"], 2, "usage", "There is no tool 'no_such_tool'."),
        (["tool", "run", "forecast", "--args", "{"], 2, "usage", "--args is not JSON"),
        (["tool", "run", "forecast", "--args", "[]"], 2, "usage", "not a JSON object"),
        (["tool", "run", "forecast", "--args", '{"dataset": "demo"}'], 2, "tool", "node: Field required"),
        (["tool", "run", "forecast", "--args", '{"dataset": "demo", "node": "S999"}'], 2, "usage", "no station 'S999'"),
        (["frobnicate"], 2, "usage", "No such command"),
    ],
)
def test_errors_are_json_with_their_exit_code(args: list[str], code: int, kind: str, message: str) -> None:
    done = _run(*args, "--json")

    error = json.loads(done.stdout)["error"]
    assert (done.exit_code, error["kind"]) == (code, kind)
    assert message in error["message"]
    assert "Traceback" not in done.output


def test_errors_for_people_are_one_line_on_stderr() -> None:
    done = _run("ask", "hi", "--dataset", "dmo")

    assert done.exit_code == 2
    assert done.stdout == ""
    assert done.stderr.startswith("Error: There is no data set 'dmo'. Did you mean 'demo'?")
    assert len(done.stderr.strip().splitlines()) == 1


def test_missing_files_are_bad_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MM4ST_DATA_DIR", str(tmp_path))

    done = _run("data", "describe", "pems-orange", "--json")

    assert done.exit_code == 3
    assert "orange_traffic.npz" in json.loads(done.stdout)["error"]["message"]


def test_a_dead_server_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
    monkeypatch.setenv("MM4ST_VLLM_URL", address)

    done = _run("ask", "How busy will S005 be?", "--chat-model", "vllm", "--json")

    error = json.loads(done.stdout)["error"]
    assert (done.exit_code, error["kind"]) == (4, "server")
    assert address in error["message"]
    assert "make serve-vlm" in error["hint"]


def test_tools_are_listed_with_their_schemas() -> None:
    tools = {tool["name"]: tool for tool in _json("tool", "list")}

    assert set(tools) == {
        "describe_dataset", "find_places", "query_series", "rank_places", "compare_series", "render_series",
        "render_map", "detect_patterns", "retrieve_context", "forecast", "backtest", "explain_forecast", "what_if",
        "find_analogs", "rank_forecasts", "check_quality", "plan_route", "plan_capacity", "assess_hazard",
    }  # fmt: skip
    for tool in tools.values():
        assert tool["description"]
        assert "as_of" not in tool["input_schema"]["properties"]  # the clock is not the model's to set
        assert tool["output_schema"]["properties"]


def test_a_tool_runs_at_the_clock() -> None:
    args = json.dumps({"dataset": "demo", "node": "S022"})

    reply = _json("tool", "run", "query_series", "--args", args, "--as-of", "2025-09-20T12:00")

    assert reply["last_time"] <= "2025-09-20T11:55:00+01:00"


def test_data_list_and_describe() -> None:
    assert {"demo", *KNOWN} <= {row["name"] for row in _json("data", "list")["datasets"]}

    described = _json("data", "describe", "demo")

    assert {
        "name", "nodes", "channels", "start", "end", "step_s", "missing_share", "imputed_share", "events", "edges",
        "licence", "source", "sha256",
    } <= set(described)  # fmt: skip
    assert described["nodes"] == 149
    assert described["end"] == "2025-10-30T22:55:00Z"
    assert _json("data", "describe", "demo", "--as-of", "2025-09-02T00:00")["end"] == "2025-09-01T23:55:00+01:00"


def _write_csv(path: Path, bad: str = "") -> Path:
    rows = [f"2026-03-{1 + h // 24:02d}T{h % 24:02d}:00,{20 + h % 24},{30 + h % 24}" for h in range(24 * 10)]
    if bad:
        rows[5] = bad
    path.write_text("time,north,south\n" + "\n".join(rows) + "\n")
    return path


def test_own_data_can_be_imported_and_asked_about(tmp_path: Path) -> None:
    path = _write_csv(tmp_path / "air.csv")

    assert _json("data", "import", str(path), "--name", "my-air", "--unit", "ug/m3", "--yes")["nodes"] == 2

    answer = _json("ask", "What will it be at the sensor north in the next 3 hours?", "--dataset", "my-air")
    forecast = next(entry for entry in answer["evidence"] if entry["tool"] == "forecast")
    assert forecast["values"]["node"]["value"] == "north"
    assert "ug/m3" in answer["answer"]
    assert any("No trained model" in warning for warning in answer["warnings"])
    assert not [c for c in answer["claims"] if c["status"] == "unsupported"]
    again = _run("data", "import", str(path), "--name", "my-air", "--json")
    assert again.exit_code == 2
    assert "already" in json.loads(again.stdout)["error"]["message"]


def test_import_options_reach_the_card(tmp_path: Path) -> None:
    path = tmp_path / "PM.CSV"
    path.write_text("when,A\n" + "\n".join(f"{d:02d}/02/2026 00:00,{d}" for d in range(1, 29)) + "\n")
    options = ["--channel", "pm25", "--time-format", "%d/%m/%Y %H:%M", "--domain", "air", "--place-word", "district"]

    described = _json("data", "import", str(path), "--name", "pm", "--unit", "ug/m3", "--yes", *options)

    assert described["channels"][0]["name"] == "pm25"
    assert (described["place_word"], described["step_s"]) == ("district", 86400)
    assert described["start"].startswith("2026-02-01")


@pytest.mark.parametrize(
    ("bad", "names"),
    [("yesterday,1,2", ["row 7", "'yesterday'", "time"]), ("2026-03-01T05:00,1,many", ["row 7", "'many'", "south"])],
)
def test_a_bad_cell_is_named(tmp_path: Path, bad: str, names: list[str]) -> None:
    path = _write_csv(tmp_path / "air.csv", bad)

    done = _run("data", "import", str(path), "--name", "my-air", "--json", "--yes")

    message = json.loads(done.stdout)["error"]["message"]
    assert done.exit_code == 3
    assert all(name in message for name in names), message
    assert "my-air" not in {row["name"] for row in _json("data", "list")["datasets"]}


# -- what an import shows and asks ------------------------------------------------------------


def test_an_import_is_shown_and_asked_about(tmp_path: Path) -> None:
    path = _write_csv(tmp_path / "air.csv")

    done = _run("data", "import", str(path), "--name", "my-air", "--unit", "ug/m3", answer="y\n")

    assert done.exit_code == 0, done.output
    for shown in ("2 (sensor north, south)", "240 steps", "[ug/m3]", "How it was understood", "Store this? [y/N]"):
        assert shown in done.stderr
    assert json.loads(done.stdout)["nodes"] == 2  # nothing but the reply


@pytest.mark.parametrize(
    ("answer", "said"), [("", "was not answered"), ("n\n", "was answered with 'n'"), ("\n", "not")]
)
def test_without_a_yes_nothing_is_stored(tmp_path: Path, answer: str, said: str) -> None:
    path = _write_csv(tmp_path / "air.csv")

    done = _run("data", "import", str(path), "--name", "my-air", "--json", answer=answer)

    error = json.loads(done.stdout)["error"]
    assert (done.exit_code, error["kind"]) == (2, "usage")
    assert error["message"].startswith("Nothing was stored: the question 'Store this?' ")
    assert said in error["message"]
    assert "--yes" in error["hint"]
    assert "my-air" not in {row["name"] for row in _json("data", "list")["datasets"]}


def test_a_closed_stdin_is_no_answer(tmp_path: Path) -> None:
    path = _write_csv(tmp_path / "air.csv")
    command = f'{sys.executable} -c "from mm4st_agent.cli import main; main()" data import {path} --name my-air <&-'

    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False, timeout=120)

    assert done.returncode == 2, done.stderr
    assert done.stderr.splitlines()[-1].startswith("Error: Nothing was stored: ")


def test_a_dry_run_stores_nothing(tmp_path: Path) -> None:
    path = _write_csv(tmp_path / "air.csv")
    options = ["--unit", "ug/m3", "--time-zone", "Europe/Lisbon", "--dry-run"]

    draft = _json("data", "import", str(path), "--name", "my-air", *options)

    assert list(draft) == ["name", "nodes", "start", "end", "step_s", "channels", "findings"]
    assert (draft["name"], draft["nodes"], draft["step_s"]) == ("my-air", 2, 3600)
    assert (draft["start"], draft["end"]) == ("2026-03-01T00:00:00+00:00", "2026-03-10T23:00:00+00:00")
    assert [channel["unit"] for channel in draft["channels"]] == ["ug/m3"]
    assert all(set(finding) == {"what", "value", "why", "status"} for finding in draft["findings"])
    assert "my-air" not in {row["name"] for row in _json("data", "list")["datasets"]}


def test_every_option_of_an_import_can_be_written() -> None:
    names = {parameter.name for parameter in data_import.params}

    assert set(ImportOptions.model_fields) - {"step_s"} | {"step"} <= names


def test_options_are_read_as_written() -> None:
    written = {
        "start": "2024-01-01", "step": "5min", "channels": "flow, speed", "covariates": "rain", "missing": "0,-1",
        "units": ("flow=veh/5 min", "speed=km/h"), "static": ("poi=a=b.csv",), "title": None, "time_zone": "Asia/Tokyo",
    }  # fmt: skip

    options, bare_unit = import_options(**written)

    assert options == ImportOptions(
        start=datetime(2024, 1, 1), step_s=300, channels=("flow", "speed"), covariates=("rain",), missing=(0, -1),
        units={"flow": "veh/5 min", "speed": "km/h"}, static={"poi": Path("a=b.csv")}, time_zone="Asia/Tokyo",
    )  # fmt: skip
    assert bare_unit is None
    assert import_options(**{**written, "missing": "none", "step": "60"})[0].missing == ()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--step", "often"], "--step often is no time step."),
        (["--step", "-5min"], "--step -5min is not above 0."),
        (["--step", "0"], "--step 0 is not above 0."),
        (["--start", "01/02/2024"], "--start 01/02/2024 is not a point in time."),
        (["--missing", "x"], "--missing x is not a list of numbers."),
        (["--missing", "nan"], "--missing nan is not a list of numbers."),
        (["--static", "poi.csv"], "--static poi.csv is not NAME=VALUE."),
        (["--unit", "mph", "--unit", "km/h"], "--unit is given twice without a name: mph and km/h."),
        (["--event-distance", "-1"], "--event-distance cannot be -1.0."),
        (["--layout", "tall"], "'tall' is not one of"),
        (["--time-zone", "Mars/Base"], "There is no time zone 'Mars/Base'."),
        (["--name", "demo"], "There is a data set 'demo' already."),
    ],
)
def test_a_wrong_option_is_named(tmp_path: Path, args: list[str], message: str) -> None:
    path = _write_csv(tmp_path / "air.csv")

    done = _run("data", "import", str(path), "--name", "my-air", "--json", "--yes", *args)

    error = json.loads(done.stdout)["error"]
    assert (done.exit_code, error["kind"]) == (2, "usage"), done.output
    assert message in error["message"]


def test_a_bare_unit_needs_a_single_channel(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    rows = [f"2026-03-01T{h:02d}:00,{node},{h},{h + 1}" for h in range(24) for node in ("a", "b")]
    path.write_text("time,node,flow,speed\n" + "\n".join(rows) + "\n")

    done = _run("data", "import", str(path), "--name", "x", "--unit", "km/h", "--json", "--yes")

    error = json.loads(done.stdout)["error"]
    assert done.exit_code == 2
    assert error["message"] == "--unit km/h does not say which of flow, speed it is the unit of."
    described = _json("data", "import", str(path), "--name", "x", "--unit", "speed=km/h", "--yes")
    assert {channel["name"]: channel["unit"] for channel in described["channels"]}["speed"] == "km/h"


@pytest.mark.parametrize("content", [None, b""])
def test_a_file_that_is_not_there_or_is_empty_is_bad_data(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "air.csv"
    if content is not None:
        path.write_bytes(content)

    done = _run("data", "import", str(path), "--name", "x", "--json", "--yes")

    assert (done.exit_code, json.loads(done.stdout)["error"]["kind"]) == (3, "data"), done.output


def test_control_characters_of_a_file_do_not_reach_the_terminal(tmp_path: Path) -> None:
    path = _write_csv(tmp_path / "air.csv")
    path.write_text(path.read_text().replace("north", "nor\x1b[31mth[bold]"))

    done = _run("data", "import", str(path), "--name", "x", "--dry-run")

    assert done.exit_code == 0, done.output
    assert "\x1b[31m" not in done.stderr
    assert "[bold]" in done.stderr


# -- export, removal, known sets, quality -----------------------------------------------------


def test_what_was_imported_can_be_exported_imported_again_and_removed(tmp_path: Path) -> None:
    path, out = _write_csv(tmp_path / "air.csv"), tmp_path / "out.csv"
    path.write_text(path.read_text().replace(",25,", ",,", 1))
    _json("data", "import", str(path), "--name", "first", "--channel", "pm25", "--unit", "ug/m3", "--yes")

    assert _json("data", "export", "First", str(out)) == {"dataset": "first", "channel": "pm25", "path": str(out)}
    _json("data", "import", str(out), "--name", "second", "--channel", "pm25", "--unit", "ug/m3", "--yes")

    registry = Runtime().registry
    first, second = registry.open("first"), registry.open("second")
    assert first.data.identical(second.data)
    assert np.isnan(first.values()).sum() == 1
    assert _run("data", "remove", "First").exit_code == 0
    assert {"first", "second"} & {row["name"] for row in _json("data", "list")["datasets"]} == {"second"}
    again = _run("data", "remove", "demo", "--json")
    assert (again.exit_code, "not an imported" in again.output) == (2, True)


KNOWN_SETS = {
    "los-loop": (207, ["speed"]),
    "pems-orange": (81, ["flow", "occupancy", "speed"]),
    "sz-taxi": (156, ["speed"]),
    "beijing-air": (12, ["PM2.5", "PM10", "SO2", "NO2", "CO", "O3"]),
    "noaa-rain": (328, ["precip", "tmax", "tmin"]),
    "azure-llm-trace": (2, ["requests", "ContextTokens", "GeneratedTokens"]),
    "nab-cloud": (17, ["cpu_utilization", "disk_write_bytes", "network_in", "request_count", "asg_anomaly"]),
}


@pytest.mark.parametrize("name", KNOWN_SETS)
def test_known_sets_are_stored_by_one_command(real_data: Path, name: str) -> None:
    nodes, channels = KNOWN_SETS[name]

    described = _json("data", "get", name.upper())

    assert described["nodes"] == nodes
    assert [channel["name"] for channel in described["channels"]] == channels
    again = _run("data", "get", name, "--json")
    assert (again.exit_code, "stored already" in again.output) == (2, True)


def test_a_known_set_that_is_not_here_is_asked_about_before_it_is_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MM4ST_DATA_DIR", raising=False)

    done = _run("data", "get", "azure-llm-trace", "--json")

    error = json.loads(done.stdout)["error"]
    assert done.exit_code == 2
    assert error["message"].startswith("Nothing was downloaded: the question 'Download azure_llm_trace/")


def test_offline_it_says_what_is_missing_and_where_to_put_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MM4ST_DATA_DIR", raising=False)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        for variable in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(variable, f"http://127.0.0.1:{taken.getsockname()[1]}")

    done = _run("data", "get", "azure-llm-trace", "--yes", "--json")

    error = json.loads(done.stdout)["error"]
    assert (done.exit_code, error["kind"]) == (3, "data"), done.output
    assert "lacks azure_llm_trace/AzureLLMInferenceTrace_" in error["message"]
    assert str(tmp_path / "home" / "originals") in error["hint"]


def test_quality_is_json_a_text_and_a_page(tmp_path: Path) -> None:
    report = _json("data", "quality", "demo", "--html", str(tmp_path / "page.html"))

    assert report["dataset"] == "demo"
    assert (tmp_path / "page.html").read_text().lstrip().lower().startswith("<!doctype html>")
    said = _run("data", "quality", "demo", "--channel", "flow")
    assert said.exit_code == 0, said.output
    assert "missing" in said.stdout
    wrong = _run("data", "quality", "demo", "--html", str(tmp_path / "no" / "page.html"), "--json")
    assert (wrong.exit_code, "cannot be written" in wrong.stdout) == (2, True)


def test_starting_the_command_line_imports_little() -> None:
    code = (
        "import sys, mm4st_agent.cli; print(*[m for m in ('numpy', 'pandas', 'pydantic', 'rich') if m in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout.split() == []


def test_an_unusable_home_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    taken = tmp_path / "file"
    taken.write_text("not a folder")
    monkeypatch.setenv("MM4ST_HOME", str(taken / "home"))

    done = _run("ask", "What data do you have?", "--json")

    assert done.exit_code == 2
    assert json.loads(done.stdout)["error"] == {
        "kind": "usage",
        "message": f"The folder {taken / 'home'} cannot be used: Not a directory.",
        "hint": "Set MM4ST_HOME to a folder of your own, on a disk with room.",
    }


def test_the_choices_of_train_are_those_of_the_model() -> None:
    from mm4st_agent.cli.forecasting import FUSIONS, LAYOUTS
    from mm4st_agent.forecaster.stvlm.config import FusionName, Layout

    assert get_args(FusionName) == FUSIONS
    assert get_args(Layout) == LAYOUTS


@pytest.mark.parametrize(
    ("options", "kind", "names"),
    [
        (["--fusion", "magic"], "usage", ["'magic' is not one of", "cross-attention"]),
        (["--layout", "spiral"], "usage", ["'spiral' is not one of", "dayfold"]),
        (["--shots", "0"], "usage", ["0.0 is not in the range 0<x<=1"]),
        (["--shots", "1.5"], "usage", ["1.5 is not in the range 0<x<=1"]),
        (["--backbone", "mega"], "usage", ["There is no backbone 'mega'"]),
        (["--backbone", "numeric", "--fusion", "gating"], "usage", ["'numeric' reads no text", "no fusion 'gating'"]),
        (["--shots", "0.001"], "usage", ["of the training part of 'demo' are 12 time steps", "a window needs 24"]),
        (["--channel", "noise"], "usage", ["no channel 'noise'"]),
    ],
)
def test_train_says_what_is_wrong(options: list[str], kind: str, names: list[str]) -> None:
    done = _run("train", "--dataset", "demo", *options, "--json")

    error = json.loads(done.stdout)["error"]
    assert (done.exit_code, error["kind"]) == (2, kind)
    assert all(name in error["message"] for name in names), error


def test_train_refuses_a_folder_that_is_no_checkpoint(tmp_path: Path) -> None:
    done = _run("train", "--dataset", "demo", "--backbone", str(tmp_path), "--json")

    error = json.loads(done.stdout)["error"]
    assert (done.exit_code, error["kind"]) == (3, "data")
    assert f"There are no weights in {tmp_path}" in error["message"]
    assert "config.json" in error["hint"]


def test_train_ask_and_backtest_with_st_vlm(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    hours = np.arange(24 * 28)
    rows = 20 + 5 * np.sin(hours[:, None] * 2 * np.pi / 24 + np.arange(3)) + rng.normal(size=(len(hours), 3))
    stamps = np.datetime64("2026-02-02T00:00") + hours.astype("timedelta64[h]")
    path = tmp_path / "heat.csv"
    path.write_text(
        "time,a,b,c\n" + "".join(f"{t},{','.join(f'{v:.2f}' for v in r)}\n" for t, r in zip(stamps, rows, strict=True))
    )
    _json("data", "import", str(path), "--name", "heat", "--unit", "°C", "--yes")
    options = ["--max-epochs", "1", "--shots", "0.2", "--shots-from", "first", "--fusion", "gating"]

    done = _run("train", "--dataset", "heat", *options, "--json")

    assert done.exit_code == 0, done.output
    card = json.loads(done.stdout)
    assert card["model"] == "st-vlm"
    assert card["config"]["network"]["backbone"] == "pico"
    assert card["config"]["network"]["fusion"] == "gating"
    assert card["config"]["network"]["numeric"]["horizon"] == 24  # steps of an hour
    assert (card["config"]["shots"], card["config"]["shots_from"]) == (0.2, "first")
    assert card["parameters"] <= 3_000_000
    assert "val MAE" in done.stderr
    assert "°C" in done.stderr
    answer = _json("ask", "How warm will it be at a in 2 hours?", "--dataset", "heat")
    forecast = next(entry for entry in answer["evidence"] if entry["tool"] == "forecast")
    assert forecast["values"]["node"]["value"] == "a"
    assert not [c for c in answer["claims"] if c["status"] == "unsupported"]
