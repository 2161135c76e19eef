"""The command line other programs rely on: JSON, streams and exit codes."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mm4st_agent.cli import main


def _run(*args: str) -> Result:
    return CliRunner().invoke(main, args)


def _json(*args: str) -> Any:
    done = _run(*args, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_ask_prints_the_contract() -> None:
    answer = _json("ask", "How fast will traffic be at D05 in 30 minutes?")

    assert list(answer) == [
        "question", "answer", "claims", "evidence", "figures", "citations", "warnings", "chat_model", "dataset",
        "as_of", "thread", "seconds",
    ]  # fmt: skip
    assert {"text", "kind", "value", "unit", "status", "evidence"} <= set(answer["claims"][0])
    assert {"id", "tool", "args", "as_of", "values", "texts", "images", "seconds"} <= set(answer["evidence"][0])


def test_ask_prints_an_answer_for_people() -> None:
    done = _run("ask", "What data do you have?")

    assert done.exit_code == 0
    assert "24 stations" in done.stdout
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
        (["tool", "run", "forecast", "--args", '{"dataset": "demo", "node": "D99"}'], 2, "usage", "no station 'D99'"),
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

    done = _run("ask", "How busy will D05 be?", "--chat-model", "vllm", "--json")

    error = json.loads(done.stdout)["error"]
    assert (done.exit_code, error["kind"]) == (4, "server")
    assert address in error["message"]
    assert "make serve-vlm" in error["hint"]


def test_tools_are_listed_with_their_schemas() -> None:
    tools = {tool["name"]: tool for tool in _json("tool", "list")}

    assert set(tools) == {
        "describe_dataset", "find_places", "query_series", "render_series", "retrieve_context", "forecast",
    }  # fmt: skip
    for tool in tools.values():
        assert tool["description"]
        assert "as_of" not in tool["input_schema"]["properties"]  # the clock is not the model's to set
        assert tool["output_schema"]["properties"]


def test_a_tool_runs_at_the_clock() -> None:
    args = json.dumps({"dataset": "demo", "node": "D22"})

    reply = _json("tool", "run", "query_series", "--args", args, "--as-of", "2025-09-20T12:00")

    assert reply["last_time"] <= "2025-09-20T11:55:00+01:00"


def test_data_list_and_describe() -> None:
    assert {"demo", "pems-orange", "los-loop"} <= {row["name"] for row in _json("data", "list")["datasets"]}

    described = _json("data", "describe", "demo")

    assert {
        "name", "nodes", "channels", "start", "end", "step_s", "missing_share", "imputed_share", "events", "edges",
        "licence", "source", "sha256",
    } <= set(described)  # fmt: skip
    assert described["nodes"] == 24
    assert described["end"] == "2025-09-28T23:55:00+01:00"
    assert _json("data", "describe", "demo", "--as-of", "2025-09-02T00:00")["end"] == "2025-09-01T23:55:00+01:00"


def _write_csv(path: Path, bad: str = "") -> Path:
    rows = [f"2026-03-{1 + h // 24:02d}T{h % 24:02d}:00,{20 + h % 24},{30 + h % 24}" for h in range(24 * 10)]
    if bad:
        rows[5] = bad
    path.write_text("time,north,south\n" + "\n".join(rows) + "\n")
    return path


def test_own_data_can_be_imported_and_asked_about(tmp_path: Path) -> None:
    path = _write_csv(tmp_path / "air.csv")

    assert _json("data", "import", str(path), "--name", "my-air", "--unit", "ug/m3")["nodes"] == 2

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

    described = _json("data", "import", str(path), "--name", "pm", "--unit", "ug/m3", *options)

    assert described["channels"][0]["name"] == "pm25"
    assert (described["place_word"], described["step_s"]) == ("district", 86400)
    assert described["start"].startswith("2026-02-01")


@pytest.mark.parametrize(
    ("bad", "names"),
    [("yesterday,1,2", ["row 7", "'yesterday'", "time"]), ("2026-03-01T05:00,1,many", ["row 7", "'many'", "south"])],
)
def test_a_bad_cell_is_named(tmp_path: Path, bad: str, names: list[str]) -> None:
    path = _write_csv(tmp_path / "air.csv", bad)

    done = _run("data", "import", str(path), "--name", "my-air", "--json")

    message = json.loads(done.stdout)["error"]["message"]
    assert done.exit_code == 3
    assert all(name in message for name in names), message
    assert "my-air" not in {row["name"] for row in _json("data", "list")["datasets"]}


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
