"""Cut a document into passages that know where they stand in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

MAX_CHARACTERS = 900
"""About 200 word pieces of English, so that a passage with its heading fits into MiniLM's 256."""

_PARAGRAPH_END = re.compile(r"\n\s*\n")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9\"'(\[])")
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Chunk:
    """`document[start:end] == text`; it neither begins nor ends with white space."""

    text: str
    start: int
    end: int


def chunk(document: str, max_characters: int = MAX_CHARACTERS) -> list[Chunk]:
    r"""Cut a document at paragraphs, else sentences, else words, and join neighbours up to the cap.

    Sentences of different paragraphs are never joined. Nothing but white space is left out;
    a word longer than the cap is cut.

    >>> [piece.text for piece in chunk("Flow fell. Speed fell.\n\nIt rained.", max_characters=12)]
    ['Flow fell.', 'Speed fell.', 'It rained.']
    """
    spans: list[tuple[int, int]] = []
    for paragraph in _split(document, 0, len(document), _PARAGRAPH_END):
        joined: list[tuple[int, int]] = []
        for start, end in _pieces(document, *paragraph, max_characters):
            if joined and end - joined[-1][0] <= max_characters:
                joined[-1] = (joined[-1][0], end)
            else:
                joined.append((start, end))
        spans += joined
    return [Chunk(document[start:end], start, end) for start, end in spans]


def _pieces(document: str, start: int, end: int, cap: int) -> Iterator[tuple[int, int]]:
    for sentence in _split(document, start, end, _SENTENCE_END):
        if sentence[1] - sentence[0] <= cap:
            yield sentence
            continue
        for word_start, word_end in _split(document, *sentence, _SPACE):
            for part in range(word_start, word_end, cap):
                yield part, min(part + cap, word_end)


def _split(document: str, start: int, end: int, boundary: re.Pattern[str]) -> Iterator[tuple[int, int]]:
    """The spans between the boundaries, without surrounding white space; empty ones are left out."""
    edges = [start, *(edge for match in boundary.finditer(document, start, end) for edge in match.span()), end]
    for left, right in zip(edges[::2], edges[1::2], strict=True):
        text = document[left:right]
        if text.strip():
            yield left + len(text) - len(text.lstrip()), right - (len(text) - len(text.rstrip()))
