"""What the intent model sees of a question beside its embedding: its words, pairs of them, and what they give away."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mm4st_agent.agent.backends.contrasts import contrast
from mm4st_agent.agent.backends.decisions import decision
from mm4st_agent.agent.backends.generalities import general
from mm4st_agent.agent.backends.looks import look
from mm4st_agent.agent.backends.probes import probe
from mm4st_agent.agent.backends.rankings import ranking
from mm4st_agent.agent.backends.times import tense_of, time_span

CUE_WEIGHT = 0.3
"""A cue against a row of embeddings or of words, each of which has length 1."""
TERSE = 5
"""A question of no more words."""
_PLACE = re.compile(r"\bthe (?:station|sensor)\b", re.IGNORECASE)
_TOKEN = re.compile(r"\d+|[^\W\d_]+(?:['’][^\W\d_]+)?|[?!]")


def grams(text: str) -> set[str]:
    """The words of a text and the pairs of neighbours, numbers as '0'.

    >>> sorted(grams("At 9?"))
    ['0', '0 ?', '?', 'at', 'at 0']
    """
    words = ["0" if word.isdigit() else word.casefold() for word in _TOKEN.findall(text)]
    return {*words, *(f"{first} {second}" for first, second in pairwise(words))}


def cues(text: str, clock: datetime) -> set[str]:
    """What else a text gives away: its time, its tense, and the words that the other readers know.

    Args:
        text: A question with 'the station' for each place.
        clock: Now.
    """
    span, seen, asked = time_span(text, clock), look(text), probe(text).kind
    places = len(_PLACE.findall(text))
    found = {
        f"time:{span.side(clock) or ('now' if span.now else 'none')}",
        f"tense:{tense_of(text)}",
        f"places:{min(places, 2)}",
        f"probe:{asked}",
        *(f"aspect:{aspect}" for aspect in seen.aspects),
    }
    if seen.method is not None:
        found.add(f"method:{seen.method if seen.method in ('auto', 'line') else 'named'}")
    if seen.map:
        found.add("look:map")
    if ranking(text) is not None:
        found.add("reads:ranking")
    if contrast(text, clock) is not None:
        found.add("reads:contrast")
    if (decided := decision(text)) is not None:
        found.add(f"decides:{decided}")
    if not places and general(text):
        found.add("reads:general")
    if len(text.split()) <= TERSE:
        found.add("reads:terse")
    return found


@dataclass(frozen=True)
class Vocabulary:
    """The words, pairs and cues that count.

    Attributes:
        grams: Words and pairs of words.
        rarity: How much each of them counts, `(len(grams),)`; a rare one more.
        cues: Names of cues.
    """

    grams: tuple[str, ...]
    rarity: NDArray[np.float32]
    cues: tuple[str, ...]

    def rows(self, texts: Sequence[str], clock: datetime) -> NDArray[np.float32]:
        """Features of texts, `(n, len(grams) + len(cues))`; those of the words have length 1, or 0 with none known."""
        at = {name: column for column, name in enumerate((*self.grams, *self.cues))}
        rows = np.zeros((len(texts), len(at)), np.float32)
        for row, text in zip(rows, texts, strict=True):
            known = [at[gram] for gram in grams(text) if gram in at]
            row[known] = self.rarity[known]
            row[known] /= max(float(np.linalg.norm(row[known])), 1e-6)
            row[[at[cue] for cue in cues(text, clock) if cue in at]] = CUE_WEIGHT
        return rows
