"""Every test gets its own home and seed; none reads the person's environment."""

from __future__ import annotations

import os
import random
from pathlib import Path

import numpy as np
import pytest


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
