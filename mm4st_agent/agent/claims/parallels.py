"""Lists side by side: of "A, B and C with 1, 2 and 3" each place has the number that stands where it does."""

from __future__ import annotations

import re

from mm4st_agent.agent.claims.reader import Mention

_A_VALUE = r"(?<![\w.,])\d[\d,]*(?:\.\d+)?(?:\s?%|\s[^\s\d,;]{1,12})?"
_RUN = re.compile(rf"{_A_VALUE}(?:,\s+{_A_VALUE})+,?\s+and\s+{_A_VALUE}")
_IN_RUN = re.compile(_A_VALUE)
_JOINS = re.compile(r"\s*(?:,|,?\s*and|&)\s*")
_LEAST_RUN = 3
"""Two of each are told apart elsewhere, as they may be the ends of an interval."""


def parallel_place(text: str, sentence: tuple[int, int], span: tuple[int, int], named: list[Mention]) -> Mention | None:
    """The place of a list before a list of numbers that stands where the number does; None where there are no two such.

    Args:
        text: The answer.
        sentence: Where the sentence of the number starts and ends.
        span: The number.
        named: The places of the sentence, in their order.
    """
    run = next((m for m in _RUN.finditer(text, *sentence) if m.start() <= span[0] < m.end()), None)
    ahead = [mention for mention in named if run is not None and mention.end <= run.start()]
    if run is None or len(ahead) < _LEAST_RUN:
        return None
    row = ahead[-1:]
    for mention in ahead[-2::-1]:
        if not _JOINS.fullmatch(text, mention.end, row[0].start):
            break
        row.insert(0, mention)
    numbers = list(_IN_RUN.finditer(run[0]))
    index = sum(number.end() + run.start() <= span[0] for number in numbers)
    return row[index] if len(row) == len(numbers) and len(row) >= _LEAST_RUN else None
