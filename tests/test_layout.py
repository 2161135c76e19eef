"""The packages are ours from any directory, and importing them does no work."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "lightning", "matplotlib", "chromadb", "gradio", "langgraph", "transformers", "sentence_transformers")


def _python(code: str, cwd: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, check=True, timeout=120, capture_output=True, text=True
    )
    return done.stdout.strip()


def test_plain_top_level_packages_are_ours_from_a_foreign_directory(tmp_path: Path) -> None:
    modules = "app, eval, mm4st_agent, prompts, tools"
    code = f"import {modules}; print(*[m.__file__ for m in ({modules})])"

    for file in _python(code, tmp_path).split():
        assert Path(file).is_relative_to(ROOT)


def test_starting_the_command_line_loads_nothing_heavy(tmp_path: Path) -> None:
    code = f"import sys, mm4st_agent.cli, mm4st_agent.runtime; print(*[m for m in {HEAVY} if m in sys.modules])"

    assert _python(code, tmp_path) == ""


def test_importing_leaves_no_files(tmp_path: Path) -> None:
    _python("import mm4st_agent.runtime, tools, prompts, eval, app", tmp_path)

    assert list(tmp_path.iterdir()) == []
