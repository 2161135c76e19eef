"""The documentation: every code block runs, every page is reached, the site builds without a warning."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mm4st_agent.runtime import Runtime
from mm4st_agent.settings import load_settings

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGE = runpy.run_path(str(ROOT / "tests" / "doc_page.py"))
PAGES = sorted(DOCS.rglob("*.md"))
BLOCKS = {page: PAGE["blocks_of"](page) for page in PAGES}
NAMES = [str(page.relative_to(DOCS)) for page in PAGES]
NOT_RUN = {
    f"{page.relative_to(DOCS)}:{block.line}": block.said
    for page, blocks in BLOCKS.items()
    for block in blocks
    if block.mark == "not run"
}
MOST_NOT_RUN = 20
"""Who adds a block that cannot run here raises this, and says why."""


@pytest.fixture(scope="session")
def home_with_index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose text index is made: pages take copies of it, as each would make the same one for seconds."""
    home = tmp_path_factory.mktemp("docs") / "home"
    Runtime(load_settings(home=home)).tool("retrieve_context", {"dataset": "demo", "query": "rain"})
    return home


@pytest.fixture
def run(home_with_index: Path, tmp_path: Path) -> Callable[..., None]:
    """Runs a page in a process of its own, in a folder and a home of its own."""
    home, folder = tmp_path / "home", tmp_path / "here"
    shutil.copytree(home_with_index, home)
    folder.mkdir()
    environment = {**os.environ, "MM4ST_HOME": str(home), "OMP_NUM_THREADS": "1"}

    def of(page: Path, *words: str) -> None:
        done = subprocess.run(
            [sys.executable, "-P", str(ROOT / "tests" / "doc_page.py"), str(page), *words],
            cwd=folder, env=environment, capture_output=True, text=True, check=False,
            timeout=3500 if words else 280,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-6000:]

    return of


@pytest.mark.parametrize("name", NAMES)
def test_every_block_says_what_it_is(name: str) -> None:
    text = (DOCS / name).read_text(encoding="utf-8")
    blocks = BLOCKS[DOCS / name]

    assert len(re.findall(r"^```", text, re.MULTILINE)) == 2 * len(blocks), "a fence is not closed, or is indented"
    assert {block.language for block in blocks} <= {*PAGE["RUN"], *PAGE["SHOWN"]}
    assert "<!-- not run -->" not in text, "say why it is not run"
    for block in blocks:
        assert len(block.said) > 5 or block.mark in ("", "fails"), f"line {block.line}: say why"


@pytest.mark.parametrize("name", [n for n in NAMES if any(PAGE["runs"](b, False) for b in BLOCKS[DOCS / n])])
def test_the_code_of_a_page_runs(name: str, run: Callable[..., None]) -> None:
    run(DOCS / name)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", [n for n in NAMES if any(b.mark == "slow" for b in BLOCKS[DOCS / n])])
def test_the_slow_code_of_a_page_runs(name: str, run: Callable[..., None]) -> None:
    run(DOCS / name, "--slow")


def test_few_blocks_are_not_run(record_property: pytest.RecordProperty) -> None:
    record_property("not_run", "; ".join(f"{where}: {why}" for where, why in NOT_RUN.items()))
    print("\n".join(f"not run: {where}: {why}" for where, why in NOT_RUN.items()))  # noqa: T201 - `pytest -s` lists them

    assert len(NOT_RUN) <= MOST_NOT_RUN, NOT_RUN


def test_the_page_of_settings_is_that_of_the_code() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "doc_settings.py")], capture_output=True, text=True, check=True
    )

    page = DOCS / "reference" / "settings.md"
    assert page.read_text(encoding="utf-8") == done.stdout, f"python tests/doc_settings.py > {page.relative_to(ROOT)}"


def test_the_page_alone_leads_to_a_tool(tmp_path: Path) -> None:
    blocks = BLOCKS[DOCS / "howto" / "add-a-tool.md"]
    code, call = blocks[0].code, blocks[2].commands[0]
    added = blocks[1].code.splitlines()[0]
    name = added.split()[-1]
    shutil.copytree(ROOT / "tools", tmp_path / "tools")
    (tmp_path / "tools" / "time_above.py").write_text(code, encoding="utf-8")
    registry = tmp_path / "tools" / "__init__.py"
    text = registry.read_text(encoding="utf-8").replace("ALL_TOOLS = (", f"{added}\n\nALL_TOOLS = (\n    {name},", 1)
    registry.write_text(text, encoding="utf-8")

    done = subprocess.run(
        [sys.executable, "-c", "from mm4st_agent.cli import main; main()", *shlex.split(call)[1:], "--json"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert len([line for line in code.splitlines() if line.strip()]) < 30
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["above"] == 180.0


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("```python\nx = 1\n```\n\n```python\nassert x == 2\n```\n", "page.md, line 6"),
        ("```sh\nmm4st data describe nowhere\n```\n", "no data set 'nowhere'"),
        ("```console\n$ exit 3\nfine\n```\n", "ended with 3"),
        ("<!-- fails: 2 -->\n```sh\ntrue\n```\n", "ended with 0"),
    ],
)
def test_a_block_that_fails_is_found(page: str, said: str, run: Callable[..., None], tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(page)

    with pytest.raises(AssertionError, match=re.escape(said)):
        run(tmp_path / "page.md")


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    if importlib.util.find_spec("mkdocs") is None:
        pytest.skip("mkdocs is not installed: pip install 'mm4st[docs]'")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=250,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    made = (tmp_path / "site" / "tutorial" / "index.html").read_text(encoding="utf-8")
    assert "fonts.googleapis" not in made
    assert not re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="https?://', made)
