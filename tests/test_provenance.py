from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mm4st_agent import provenance

SAY = "from mm4st_agent.provenance import source_commit; print(source_commit())"


def commit_of(root: Path) -> str:
    done = subprocess.run([sys.executable, "-c", SAY], cwd=root, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.strip()


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_the_commit_says_when_tracked_files_differ(tmp_path: Path) -> None:
    package = tmp_path / "mm4st_agent"
    package.mkdir()
    (package / "__init__.py").touch()
    shutil.copy(provenance.__file__, package)
    assert commit_of(tmp_path) == "None"

    for args in (
        ["init", "-q"],
        ["add", "mm4st_agent/__init__.py"],
        ["-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-qm", "first"],
    ):
        subprocess.run(["git", *args], cwd=tmp_path, check=True, timeout=60)
    clean = commit_of(tmp_path)
    (package / "__init__.py").write_text("changed = True\n")

    assert re.fullmatch("[0-9a-f]{40}", clean)
    assert commit_of(tmp_path) == f"{clean}-dirty"
