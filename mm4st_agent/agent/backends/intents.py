"""What a question is after: a logistic regression on its embedding, its words and what they give away.

It is fitted on `examples` by `fitting`, and shipped as `intents.npz`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib import resources
from typing import cast

import numpy as np
from numpy.typing import NDArray

from mm4st_agent.agent.backends.examples import Intent
from mm4st_agent.agent.backends.features import Vocabulary

__all__ = ["Intent", "IntentMatcher", "IntentModel", "shipped"]


@dataclass(frozen=True)
class IntentModel:
    """Weights of a multinomial logistic regression.

    Attributes:
        labels: Of its classes.
        vocabulary: Of the features that stand behind the embedding.
        weights: `(features, classes)`.
        bias: `(classes,)`.
        fitted_on: SHA-256 of the examples.
    """

    labels: tuple[Intent, ...]
    vocabulary: Vocabulary
    weights: NDArray[np.float32]
    bias: NDArray[np.float32]
    fitted_on: str

    def probabilities(
        self, texts: Sequence[str], embedded: NDArray[np.float32], clock: datetime
    ) -> NDArray[np.float32]:
        """Of each class for each text, `(n, classes)`.

        Args:
            texts: Questions with 'the station' for each place.
            embedded: Their embeddings, `(n, d)`.
            clock: Now.
        """
        logits = np.hstack([embedded, self.vocabulary.rows(texts, clock)]) @ self.weights + self.bias
        raised = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares: NDArray[np.float32] = raised / raised.sum(axis=1, keepdims=True)
        return shares


@cache
def shipped() -> IntentModel:
    """The model that comes with the package."""
    with resources.files(__package__).joinpath("intents.npz").open("rb") as file:
        stored = np.load(file, allow_pickle=False)
        vocabulary = Vocabulary(
            tuple(stored["grams"].tolist()), stored["rarity"].astype(np.float32), tuple(stored["cues"].tolist())
        )
        return IntentModel(
            cast("tuple[Intent, ...]", tuple(stored["labels"].tolist())),
            vocabulary,
            stored["weights"].astype(np.float32),
            stored["bias"].astype(np.float32),
            str(stored["fitted_on"]),
        )


class IntentMatcher:
    """Tells how likely it is that a question asks for each of the things that can be asked for.

    Args:
        encode: Texts to L2-normalised embeddings, `(n, d)`.
    """

    def __init__(self, encode: Callable[[Sequence[str]], NDArray[np.float32]]) -> None:
        self._encode = encode

    def likely(self, question: str, clock: datetime) -> Mapping[Intent, float]:
        """The probability of each intent.

        Args:
            question: With 'the station' for each place.
            clock: Now, in the zone of the data.
        """
        model = shipped()
        shares = model.probabilities([question], self._encode([question]), clock)[0]
        return dict(zip(model.labels, shares.tolist(), strict=True))

    def match(self, question: str, clock: datetime) -> Intent:
        """The most probable intent."""
        likely = self.likely(question, clock)
        return max(likely, key=lambda intent: likely[intent])
