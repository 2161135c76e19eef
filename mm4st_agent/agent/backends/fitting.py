"""Fit the intent model: `python -m mm4st_agent.agent.backends.fitting` writes `intents.npz` beside this file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from mm4st_agent.agent.backends.examples import Example, Intent, digest, examples
from mm4st_agent.agent.backends.features import Vocabulary, cues, grams
from mm4st_agent.agent.backends.intents import IntentModel

CLOCK = datetime(2024, 5, 15, 7, 40, tzinfo=UTC)
"""When the examples are asked: a Wednesday morning, so that "at nine" lies ahead."""
INVERSE_PENALTY = 10.0
"""scikit-learn's C; of 3, 10 and 30 the best when groups of examples were left out."""
RARELY = 2
"""Words and pairs in fewer examples do not count."""
FOLDS = 8
STORED = Path(__file__).with_name("intents.npz")

Encode = Callable[[Sequence[str]], NDArray[np.float32]]


def fitted(chosen: Sequence[Example], embedded: NDArray[np.float32], penalty: float = INVERSE_PENALTY) -> IntentModel:
    """Fit the model on examples and their embeddings, `(n, d)`."""
    from scipy.sparse import csr_array
    from sklearn.linear_model import LogisticRegression

    texts = [example.text for example in chosen]
    vocabulary = _vocabulary(texts)
    rows = csr_array(np.hstack([embedded, vocabulary.rows(texts, CLOCK)]))
    model = LogisticRegression(C=penalty, max_iter=500, tol=1e-3).fit(rows, [example.intent for example in chosen])
    labels = cast("tuple[Intent, ...]", tuple(model.classes_.tolist()))
    weights, bias = model.coef_.T.astype(np.float32), model.intercept_.astype(np.float32)
    return IntentModel(labels, vocabulary, weights, bias, digest())


def cross_validated(encode: Encode, penalty: float = INVERSE_PENALTY) -> float:
    """The share of examples that are read rightly by a model that saw none that is phrased alike."""
    from sklearn.model_selection import GroupKFold

    chosen = examples()
    embedded = encode([example.text for example in chosen])
    folds = GroupKFold(FOLDS).split(embedded, groups=[example.group for example in chosen])
    return sum(_right(chosen, embedded, train, test, penalty) for train, test in folds) / len(chosen)


def by_author(encode: Encode, penalty: float = INVERSE_PENALTY) -> dict[int, float]:
    """The share of each other author's examples that a model reads rightly that saw none of that author's."""
    chosen = examples()
    embedded = encode([example.text for example in chosen])
    authors = np.array([example.author for example in chosen])
    shares = {}
    for author in sorted(set(authors.tolist()) - {0}):
        train, test = np.flatnonzero(authors != author), np.flatnonzero(authors == author)
        shares[author] = _right(chosen, embedded, train, test, penalty) / len(test)
    return shares


def _right(
    chosen: Sequence[Example],
    embedded: NDArray[np.float32],
    train: NDArray[np.intp],
    test: NDArray[np.intp],
    penalty: float,
) -> int:
    """How many of the examples `test` a model reads rightly that is fitted on those of `train`."""
    model = fitted([chosen[row] for row in train], embedded[train], penalty)
    shares = model.probabilities([chosen[row].text for row in test], embedded[test], CLOCK)
    best = shares.argmax(axis=1)
    return sum(model.labels[label] == chosen[row].intent for row, label in zip(test, best, strict=True))


def store(model: IntentModel, path: Path = STORED) -> None:
    """Write a model."""
    np.savez_compressed(
        path,
        labels=np.array(model.labels),
        grams=np.array(model.vocabulary.grams),
        rarity=model.vocabulary.rarity.astype(np.float16),
        cues=np.array(model.vocabulary.cues),
        weights=model.weights.astype(np.float16),
        bias=model.bias,
        fitted_on=np.array(model.fitted_on),
    )


def _vocabulary(texts: Sequence[str]) -> Vocabulary:
    counted = Counter(gram for text in texts for gram in grams(text))
    chosen = sorted(gram for gram, count in counted.items() if count >= RARELY)
    rarity = 1 + np.log((1 + len(texts)) / (1 + np.array([counted[gram] for gram in chosen])))
    names = sorted({cue for text in texts for cue in cues(text, CLOCK)})
    return Vocabulary(tuple(chosen), rarity.astype(np.float32), tuple(names))


def main() -> None:
    """Fit on all examples and store the model."""
    from mm4st_agent.knowledge.embedding import minilm

    chosen = examples()
    store(fitted(chosen, minilm().encode([example.text for example in chosen])))


if __name__ == "__main__":
    main()
