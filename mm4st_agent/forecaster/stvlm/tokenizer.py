"""Words to ids without a vocabulary file, and prompts of many windows as arrays."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray

from mm4st_agent.forecaster.stvlm.lines import Prompt
from mm4st_agent.forecaster.stvlm.tokens import EVERYWHERE, TextBatch

VOCABULARY = 4096
PADDING = 0
_RATIO = 1.15
"""Numbers whose sizes differ by less than about this share a token."""
_TOKEN = re.compile(
    r"(?P<clock>(?<![\w:])[0-2]?\d:[0-5]\d(?![\w:]))"
    r"|(?P<number>(?:(?<![^\s(\[{,;:/])[-+−])?(?<![\w.])\d+(?:,\d{3})*(?:\.\d+)?(?!\w))"
    r"|(?P<word>\w+(?:['’]\w+)*)"
    r"|(?P<sign>[%°])"
)


class Tokenizer(Protocol):
    """Gives the ids of a text."""

    def encode(self, lines: Sequence[str]) -> list[list[int]]:
        """The ids of each line, none of which is 0, the padding."""


class HashedTokenizer:
    """Lower-cased words hashed to ids; numbers of about the same size, and times within half an hour, share one.

    Two words may share an id: with 4,096 ids and 300 words that befalls about one word in 14.

    Args:
        vocabulary: How many ids there are; ids are 1 .. vocabulary - 1.

    >>> tokens = HashedTokenizer()
    >>> tokens.encode(["speed 100 km/h"]) == tokens.encode(["Speed 102 km/h"])
    True
    """

    def __init__(self, vocabulary: int = VOCABULARY) -> None:
        self.vocabulary = vocabulary

    def encode(self, lines: Sequence[str]) -> list[list[int]]:
        """The ids of each line; an empty list where a line has no word."""
        return [[hashed(piece, self.vocabulary) for piece in pieces(line)] for line in lines]


class HubTokenizer:
    """A tokenizer of Hugging Face, without special tokens; each line ends with a line break.

    Id 0, which is padding here, is left out should the text give it ('!' in some vocabularies).
    """

    def __init__(self, tokenizer: Callable[..., Mapping[str, Any]]) -> None:
        self._tokenizer = tokenizer

    def encode(self, lines: Sequence[str]) -> list[list[int]]:
        """The ids of each line."""
        if not lines:
            return []
        encoded = self._tokenizer([f"{line}\n" for line in lines], add_special_tokens=False)["input_ids"]
        return [[int(token) for token in ids if token != PADDING] for ids in encoded]


def pieces(text: str) -> list[str]:
    """The words of a text, its numbers and times replaced by the names of their buckets.

    >>> pieces("5.2 km by 17:40, 1183-Hazard")
    ['number +12', 'km', 'by', 'clock 17:30', 'number +51', 'hazard']
    """
    return [_bucket(match) for match in _TOKEN.finditer(text)]


def _bucket(match: re.Match[str]) -> str:
    text = match.group()
    if match.lastgroup == "clock":
        hour, minute = text.split(":")
        return f"clock {int(hour):02d}:{'30' if int(minute) >= 30 else '00'}"
    if match.lastgroup != "number":
        return text.lower()
    value = float(text.replace(",", "").replace("−", "-"))
    if value == 0 or not math.isfinite(value):
        return "number 0"
    return f"number {'-' if value < 0 else '+'}{round(math.log(abs(value), _RATIO))}"


@lru_cache(maxsize=65_536)
def hashed(piece: str, vocabulary: int) -> int:
    """An id in 1 .. vocabulary - 1, the same in every process."""
    digest = hashlib.blake2b(piece.encode(), digest_size=8).digest()
    return 1 + int.from_bytes(digest) % (vocabulary - 1)


@dataclass(frozen=True)
class TextTable:
    """The prompts of W windows as token ids.

    Attributes:
        ids: `(W, L)` int32; 0 is padding.
        line: `(W, L)` int16: which line of its prompt a token belongs to; -1 for padding.
        node: `(W, L)` int32: position of the line's node, or `EVERYWHERE`.
    """

    ids: NDArray[np.int32]
    line: NDArray[np.int16]
    node: NDArray[np.int32]

    @classmethod
    def of(cls, prompts: Iterable[Prompt], tokenizer: Tokenizer, limit: int) -> Self:
        """Encode prompts; each different line is encoded once.

        Args:
            prompts: W prompts.
            tokenizer: Gives the ids.
            limit: Most tokens of a prompt. Lines are taken whole and in order, up to the first that does not fit.
        """
        prompts = list(prompts)
        texts = list(dict.fromkeys(line.text for prompt in prompts for line in prompt))
        known = dict(zip(texts, tokenizer.encode(texts), strict=True))
        rows: list[list[tuple[int, int, int]]] = []
        for prompt in prompts:
            row: list[tuple[int, int, int]] = []
            for number, line in enumerate(prompt):
                ids = known[line.text]
                if len(row) + len(ids) > limit:
                    break
                node = EVERYWHERE if line.node is None else line.node
                row += [(token, number, node) for token in ids]
            rows.append(row)
        length = max(map(len, rows), default=0)
        shape = (len(rows), length)
        table = cls(np.zeros(shape, np.int32), np.full(shape, -1, np.int16), np.full(shape, EVERYWHERE, np.int32))
        for number, row in enumerate(rows):
            if row:
                columns = slice(0, len(row))
                table.ids[number, columns], table.line[number, columns], table.node[number, columns] = zip(
                    *row, strict=True
                )
        return table

    def __len__(self) -> int:
        return len(self.ids)

    def at(self, rows: torch.Tensor) -> TextBatch:
        """The prompts of the windows `rows` `(B,)`, padded to the longest of them."""
        chosen = rows.numpy()
        ids = self.ids[chosen]
        length = int((ids != PADDING).sum(axis=1).max(initial=0))
        return TextBatch(
            *(
                torch.from_numpy(part[:, :length].astype(np.int64))
                for part in (ids, self.line[chosen], self.node[chosen])
            )
        )
