"""The real server with a small page, for tests of what is around the page."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Timer

import pytest

PATIENCE_S = 90


@dataclass
class Served:
    """A running server."""

    url: str
    process: subprocess.Popen[str]
    log: Path
    home: Path


@pytest.fixture(scope="session")
def small_page() -> Callable[..., object]:
    """`with small_page(home, accounts=None, **settings) as served`; it has ended and logged no traceback after."""

    @contextmanager
    def run(home: Path, accounts: Path | None = None, **settings: object) -> Iterator[Served]:
        env = {name: value for name, value in os.environ.items() if not name.startswith("MM4ST_")}
        env |= {f"MM4ST_{name.upper()}": str(value) for name, value in {"home": home, "port": 0, **settings}.items()}
        log = home.with_suffix(".log")
        script = [sys.executable, str(Path(__file__).with_name("small_page.py")), *filter(None, [accounts])]
        with (
            log.open("w") as stderr,
            subprocess.Popen(script, stdout=subprocess.PIPE, stderr=stderr, env=env, text=True) as process,
        ):
            late = Timer(PATIENCE_S, process.kill)
            late.start()
            assert process.stdout is not None
            first = process.stdout.readline()
            late.cancel()
            try:
                assert first == "open\n", log.read_text()
                found = re.search(r"http://\S+/", log.read_text())
                assert found, log.read_text()
                yield Served(found[0], process, log, home)
            finally:
                process.terminate()
                process.wait(PATIENCE_S)
        assert "Traceback" not in log.read_text(), log.read_text()

    return run
