"""The README's first screen, and its commands as they stand."""

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
COMMANDS = [
    line
    for block in re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
    for line in block.replace("\\\n", " ").splitlines()
    if line and not line.startswith("#")
]
ELSEWHERE = {"git": "fetching needs the network", "cd": "changes the directory"}
LONG = {
    "app": "tests/app/test_browser.py starts it",
    "serve-vlm": "tests/vllm serves a model",
    "train": "tests/forecaster trains a checkpoint",
    "bench": "tests/test_bench.py measures the demo",
}


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
    words = shlex.split(command, comments=True)
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    while "=" in words[0]:
        name, value = words.pop(0).split("=", 1)
        if name == "MM4ST_DATA_DIR":
            if "MM4ST_DATA_DIR" not in os.environ:
                pytest.skip("MM4ST_DATA_DIR is not set to a folder with the known data sets")
            value = str(Path(os.environ["MM4ST_DATA_DIR"]).resolve())
        environment[name] = value
    if words[0] in ELSEWHERE:
        pytest.skip(ELSEWHERE[words[0]])
    if words[0] == "make":
        words.insert(1, "--dry-run")
    else:
        assert words[0] == "mm4st"
        if words[1] in LONG:
            words = [*words[:2], "--help"]
    program = shutil.which(words[0], path=environment["PATH"])
    assert program is not None, f"{words[0]} is not installed"

    done = subprocess.run(
        [program, *words[1:]], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=200, check=False
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
