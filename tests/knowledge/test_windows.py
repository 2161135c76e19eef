"""Embeddings of windows in a real Chroma."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from mm4st_agent.errors import UsageError
from mm4st_agent.knowledge.windows import WindowIndex, WindowKey

KEY = WindowKey("data", "flow", "model", "A")


class Maker:
    """Embeds an origin as numbers that tell it, and notes what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __call__(self, origins: Sequence[int]) -> np.ndarray:
        self.asked += origins
        return np.array([[origin, 1.0, -origin] for origin in origins], dtype=np.float32)


def test_only_what_is_missing_is_made(tmp_path: Path) -> None:
    index, maker = WindowIndex(tmp_path), Maker()

    first = index.vectors(KEY, [100, 300, 500], maker)
    second = index.vectors(KEY, [100, 200, 300, 400], maker)

    assert maker.asked == [100, 300, 500, 200, 400]
    assert first[:, 0].tolist() == [100, 300, 500]
    assert second[:, 0].tolist() == [100, 200, 300, 400]
    assert (index.vectors(KEY, [100, 300, 500], maker) == first).all()
    assert maker.asked == [100, 300, 500, 200, 400]


def test_more_than_a_batch_keeps_its_order(tmp_path: Path) -> None:
    origins = list(range(0, 2500 * 300, 300))
    index, maker = WindowIndex(tmp_path), Maker()
    index.vectors(KEY, origins, maker)

    again = index.vectors(KEY, origins[5:], maker)

    assert again[:, 0].tolist() == origins[5:]
    assert len(maker.asked) == len(origins)


@pytest.mark.parametrize("field", ["data", "channel", "model", "node"])
def test_another_key_is_another_collection(tmp_path: Path, field: str) -> None:
    index, maker = WindowIndex(tmp_path), Maker()
    index.vectors(KEY, [100], maker)

    index.vectors(dataclasses.replace(KEY, **{field: "other"}), [100], maker)

    assert maker.asked == [100, 100]


WRITE = """
import sys, pathlib, numpy as np
from mm4st_agent.knowledge.windows import WindowIndex, WindowKey
key = WindowKey("data", "flow", "model", "A")
WindowIndex(pathlib.Path(sys.argv[1])).vectors(key, [7, 8], lambda o: np.array([[i, 2.0] for i in o], dtype=np.float32))
"""


def test_another_process_finds_them(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", WRITE, str(tmp_path)], check=True, timeout=60)
    maker = Maker()

    assert WindowIndex(tmp_path).vectors(KEY, [7, 8], maker).tolist() == [[7, 2], [8, 2]]
    assert maker.asked == []


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(UsageError, match="cannot be used"):
        WindowIndex(tmp_path / "file").vectors(KEY, [1], Maker())
