"""BM25 over short texts, and the fusion of several rankings into one."""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Mapping, Sequence
from functools import lru_cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from rank_bm25 import BM25Okapi

Key = TypeVar("Key", bound=Hashable)

RRF_K = 60
_TOKEN = re.compile(r"[^\W\d_]+|\d+")
_STOP_WORDS = frozenset(
    _TOKEN.findall(
        "a about after an and any are as at be been before but by can could did do does for from had has have how "
        "i if in into is it its me more my no not of off on or our out over so some such tell than that the "
        "their them then there these they this those to up was we were what when where which while who why will "
        "with would you your"
    )
)


def tokens(text: str) -> list[str]:
    """Lower-case runs of letters and runs of digits, so that `I5`, `I-5` and `i 5` are the same.

    >>> tokens("Why is the I-5 slow? 1179-Trfc Collision")
    ['5', 'slow', '1179', 'trfc', 'collision']
    """
    return [token for token in _TOKEN.findall(text.lower()) if token not in _STOP_WORDS]


class _BM25(BM25Okapi):  # type: ignore[misc]  # rank_bm25 has no types
    """Okapi BM25 with Lucene's idf, which stays positive for a word that most texts hold."""

    def _calc_idf(self, nd: Mapping[str, int]) -> None:
        self.idf = {w: math.log(1 + (self.corpus_size - n + 0.5) / (n + 0.5)) for w, n in nd.items()}


def bm25(query: str, texts: Sequence[str]) -> NDArray[np.float64]:
    """Score each text against the query; 0 where they share no word.

    Returns:
        `(len(texts),)`, dimensionless, 0 or more.

    Source:
        Robertson and Zaragoza (2009), The Probabilistic Relevance Framework: BM25 and Beyond.
    """
    model = _model(tuple(texts))
    if model is None:
        return np.zeros(len(texts))
    return np.asarray(model.get_scores(tokens(query)), dtype=np.float64)


@lru_cache(maxsize=8)
def _model(texts: tuple[str, ...]) -> _BM25 | None:
    corpus = [tokens(text) for text in texts]
    return _BM25(corpus) if any(corpus) else None


def ranks(scores: Mapping[Key, float]) -> dict[Key, int]:
    """1 for the highest score; equal scores (to 6 digits) share a rank.

    >>> ranks({"a": 0.5, "b": 0.9, "c": 0.5})
    {'b': 1, 'a': 2, 'c': 2}
    """
    order = sorted(scores, key=lambda key: -scores[key])
    found: dict[Key, int] = {}
    for place, key in enumerate(order, start=1):
        tied = place > 1 and math.isclose(scores[key], scores[order[place - 2]], abs_tol=1e-6)
        found[key] = found[order[place - 2]] if tied else place
    return found


def reciprocal_rank_fusion(*rankings: Mapping[Key, int], k: int = RRF_K) -> dict[Key, float]:
    """The sum of `1 / (k + rank)` over the rankings that hold a key.

    Source:
        Cormack, Clarke and Buettcher (2009), Reciprocal rank fusion outperforms Condorcet and
        individual rank learning methods, SIGIR, pages 758-759.
    """
    fused: dict[Key, float] = {}
    for ranking in rankings:
        for key, rank in ranking.items():
            fused[key] = fused.get(key, 0.0) + 1.0 / (k + rank)
    return fused
