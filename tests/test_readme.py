"""The README's first screen, and its commands and code as they stand."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


COMMANDS = [line for block in _blocks("bash") for line in block.splitlines() if line and "speeds.csv" not in block]
OWN_DATA = [line for block in _blocks("bash") if "speeds.csv" in block for line in block.splitlines()]
ELSEWHERE = {
    "app": "tests/app/test_browser.py starts it",
    "ask --batch": "tests/test_batch_questions.py asks many",
    "mcp": "tests/mcp talks to it",
    "bench": "tests/test_bench.py measures the demo",
    "--chat-model vllm": "tests/vllm asks a served model",
}


def _environment() -> dict[str, str]:
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def _run(words: list[str], environment: dict[str, str], cwd: Path = ROOT) -> str:
    program = shutil.which(words[0], path=environment["PATH"])
    assert program is not None, f"{words[0]} is not installed"
    done = subprocess.run(
        [program, *words[1:]], cwd=cwd, env=environment, capture_output=True, text=True, timeout=250, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_first_screen_is_a_sentence_a_picture_and_two_commands() -> None:
    lines = [line for line in README.splitlines() if line.strip()]

    assert lines[0] == "# mm4st"
    assert lines[1].count(". ") == 0
    assert lines[1].endswith(".")
    picture = re.fullmatch(r"!\[(.+)\]\((.+\.png)\)", lines[2])
    assert picture is not None
    assert (ROOT / picture[2]).read_bytes().startswith(b"\x89PNG")
    assert lines[3] == "```bash"
    assert [line.split("#")[0].strip() for line in lines[4:6]] == ["make run", "make test"]


@pytest.mark.parametrize("command", dict.fromkeys(COMMANDS))
def test_commands_run_as_written(command: str, tmp_path: Path) -> None:
    words, environment = shlex.split(command, comments=True), _environment()
    for part, where in ELSEWHERE.items():
        if f" {part}" in f" {' '.join(words)}":
            pytest.skip(where)
    if words[0].startswith("MM4ST_DATA_DIR="):
        if "MM4ST_DATA_DIR" not in os.environ:
            pytest.skip("MM4ST_DATA_DIR is not set to a folder with the known data sets")
        environment["MM4ST_DATA_DIR"] = str(Path(os.environ["MM4ST_DATA_DIR"]).resolve())
        words.pop(0)
    if words[0] == "make":  # what `make` runs is tested here and elsewhere; this tests that it would run it
        words.insert(1, "--dry-run")

    assert _run(words, environment, ROOT if words[0] == "make" else tmp_path).strip()


def test_own_data_from_import_to_training(tmp_path: Path) -> None:
    rows = (f"2026-03-{1 + h // 24:02d}T{h % 24:02d}:00,{60 - h % 24},{50 + h % 24}" for h in range(24 * 28))
    (tmp_path / "speeds.csv").write_text("time,north,south\n" + "\n".join(rows) + "\n")

    said = [_run(shlex.split(command), _environment(), tmp_path) for command in OWN_DATA]

    assert '"nodes": 2' in said[0]
    assert "km/h" in said[1]
    assert "Checkpoint:" in said[2]


def test_the_python_code_runs(tmp_path: Path) -> None:
    (code,) = _blocks("python")

    total, header, _, *rows = _run([sys.executable, "-c", code], _environment(), tmp_path).splitlines()

    value = re.fullmatch(r"Quantity\(value=([\d.]+), unit='vehicles'\)", total)
    assert value is not None, total
    assert 0 < float(value[1]) < 1200  # the collision holds traffic back
    assert header.split() == ["low", "median", "high", "baseline"]
    assert rows[0].startswith("2025-10-22 07:40:00+01:00")
    assert len(rows) == 5
