"""Every test gets its own home and seed; none reads the person's environment."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, sync_playwright

SWITCHES = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Pictures of the page are kept where one asks for it."""
    parser.addoption("--screenshots", type=Path, metavar="FOLDER", help="Keep the browser tests' pictures here.")


@pytest.fixture(scope="session")
def screenshots(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where browser tests leave pictures of the page."""
    folder = request.config.getoption("--screenshots") or tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return Path(folder)


@pytest.fixture(scope="session")
def chromium() -> str:
    """Where Chromium lies."""
    found = shutil.which("chromium")
    if found is None:
        pytest.skip("there is no chromium on this machine")
    return found


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """Ends with its module: while Playwright's event loop runs, no other test can run one of its own."""
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=list(SWITCHES))
        yield opened
        opened.close()


@pytest.fixture(autouse=True)
def _own_home_and_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("MM4ST_") and name != "MM4ST_DATA_DIR":
            monkeypatch.delenv(name)
    monkeypatch.setenv("MM4ST_HOME", str(tmp_path / "home"))
    random.seed(0)
    np.random.seed(0)


@pytest.fixture
def real_data() -> Path:
    """The folder of the known data sets' original files, where there is one."""
    folder = os.environ.get("MM4ST_DATA_DIR")
    if not folder or not Path(folder).is_dir():
        pytest.skip("MM4ST_DATA_DIR is not set to a folder with the known data sets")
    return Path(folder).resolve()
