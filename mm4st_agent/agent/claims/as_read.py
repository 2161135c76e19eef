"""A text as the checker reads it: numbers that are spelled out in digits, the rows of a table as sentences.

Every span of what is read leads back to the words as they were written.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from mm4st_agent.agent.number_words import COUNT, count_of
from mm4st_agent.agent.quantities import NUMBER, SECONDS, UnitReader, plain

_N = rf"(?:\d+|{COUNT.pattern})"
_AN = rf"(?:an?|{_N})"
_ONE_TO_99 = rf"(?:{COUNT.pattern})"
_SPELLED = re.compile(
    rf"\b(?:(?P<hours>{_AN})\s+hours?(?:,?\s+and|,)?\s+(?P<minutes>{_N}|a\s+quarter|a\s+half)(?P<word>\s+minutes?)?\b"
    r"|(?P<h>(?<![\w.,:])\d+)\s?h(?:ours?)?\s+(?:and\s+)?(?P<min>\d+)\s?min(?:ute)?s?\b"
    rf"|(?P<halved>{_N})\s+and\s+a\s+half\b"
    r"|(?P<quarters>an?|three)[\s-]+quarters?\s+of\s+an\s+hour\b(?!'s)"
    rf"|(?P<dozens>half\s+a|(?!an?\b){_ONE_TO_99})[\s-]+dozen\b"
    rf"|(?P<large>(?:an?|{_ONE_TO_99})(?:\s+(?:and\s+)?(?:hundred|thousand|{_ONE_TO_99}))+)\b(?!-)"
    rf"|(?P<whole>{_ONE_TO_99})\s+point\s+(?P<tenths>{_ONE_TO_99})\b)",
    re.IGNORECASE,
)
_PLACED = re.compile(r"(?<![\w.,])(\d{1,2})(?:st|nd|rd|th)(?=[\s-]+(?:place|rank|spot|position)\b)", re.IGNORECASE)
_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
_HUNDRED = 100
_QUOTED = re.compile(r"\"[^\"\n]*\"|“[^”\n]*”|«[^»\n]*»|\[[^\]\n]*\]")
_ROW = re.compile(r"^[ \t]*\|.*\|[ \t]*$", re.MULTILINE)
_RULE = re.compile(r"[\s|:-]+")
_CELL = re.compile(r"[^|\n]+")


@dataclass(frozen=True)
class _Piece:
    """So many characters of what is read, and the characters that they stand for; their own, or others."""

    start: int
    length: int
    written: int
    size: int
    own: bool


class AsRead:
    """A text in pieces that were taken over, replaced or put in.

    Args:
        written: The text.
        units: Gives what reads the units of its evidence; asked only where there is a table.
    """

    def __init__(self, written: str, units: Callable[[], UnitReader]) -> None:
        tables = _ROW.search(written) is not None
        changes = sorted([*_in_digits(written), *_ordinals(written), *(_rows(written, units()) if tables else ())])
        pieces: list[_Piece] = []
        said: list[str] = []
        at = length = 0
        for start, end, new in changes:
            if start < at:
                continue
            for text, begin, size, own in ((written[at:start], at, start - at, True), (new, start, end - start, False)):
                pieces.append(_Piece(length, len(text), begin, size, own))
                said.append(text)
                length += len(text)
            at = end
        pieces.append(_Piece(length, len(written) - at, at, len(written) - at, own=True))
        self.text = "".join(said) + written[at:]
        self._pieces = [piece for piece in pieces if piece.length]
        self._starts = [piece.start for piece in self._pieces]

    def back(self, span: tuple[int, int]) -> tuple[int, int]:
        """The characters as written that a span of what is read stands for; empty where it was put in."""
        first, last = (self._pieces[max(0, bisect_right(self._starts, at) - 1)] for at in (span[0], span[1] - 1))
        start = first.written + (span[0] - first.start if first.own else 0)
        return start, max(start, last.written + (span[1] - last.start if last.own else last.size))

    def ahead(self, span: tuple[int, int]) -> tuple[int, int]:
        """The characters as read that a span of the written text has become."""
        if span[0] >= span[1]:
            return 0, 0
        pieces = [piece for piece in self._pieces if piece.size]
        first = next(piece for piece in reversed(pieces) if piece.written <= span[0])
        last = next(piece for piece in reversed(pieces) if piece.written < span[1])
        start = first.start + (span[0] - first.written if first.own else 0)
        return start, last.start + (span[1] - last.written if last.own else last.length)

    def put_in(self, span: tuple[int, int]) -> str:
        """What stands only in the text as read at the end of a span."""
        piece = self._pieces[max(0, bisect_right(self._starts, span[1] - 1) - 1)]
        return "" if piece.size else self.text[max(span[0], piece.start) : span[1]]


def _ordinals(text: str) -> Iterator[tuple[int, int, str]]:
    """'5th place' is 'fifth place'."""
    for found in _PLACED.finditer(text):
        n = int(found[1])
        if 0 < n <= len(_ORDINALS):
            yield found.start(1), found.end(), _ORDINALS[n - 1]


def _in_digits(text: str) -> Iterator[tuple[int, int, str]]:
    """'An hour and fifty minutes', 'nine and a half', 'two dozen', 'three hundred and twelve', but in quotations."""
    quoted = [found.span() for found in _QUOTED.finditer(text)]
    for found in _SPELLED.finditer(text):
        if any(start <= found.start() < end for start, end in quoted):
            continue
        if (value := _value(found)) is not None:
            yield (*found.span(), value)


def _value(found: re.Match[str]) -> str | None:
    if found["hours"]:
        part = found["minutes"].lower().split()[-1]
        fraction = {"quarter": 15, "half": 30}.get(part)
        if (fraction is None) != (found["word"] is not None):
            return None  # "an hour and five stations"
        return f"{60 * _number(found['hours']) + (_number(part) if fraction is None else fraction)} minutes"
    if found["h"]:
        return f"{60 * int(found['h']) + int(found['min'])} minutes"
    if found["halved"]:
        return f"{_number(found['halved'])}.5"
    if found["quarters"]:
        return "45 minutes" if found["quarters"].lower() == "three" else "15 minutes"
    if found["dozens"]:
        return str(6 if found["dozens"].lower().startswith("half") else 12 * _number(found["dozens"]))
    if found["large"]:
        return _cardinal(re.sub(r"\band\b", " ", found["large"].lower()).split())
    return f"{_number(found['whole'])}.{_number(found['tenths'])}"


def _cardinal(words: Sequence[str]) -> str | None:
    """'nineteen thousand two hundred eighty-seven'; None for words that are no one number, as in 'one two'."""
    if words[0] in ("a", "an") and len(words) == 2:
        return None  # "a hundred" is read elsewhere
    total = part = 0
    before = ""
    for word in words:
        if word in ("hundred", "thousand") and (part == 0 or (total if word == "thousand" else part >= _HUNDRED)):
            return None  # "between one hundred and two hundred"
        if word == "thousand":
            total, part = 1000 * part, 0
        elif word == "hundred":
            part *= _HUNDRED
        elif before not in ("", "hundred", "thousand"):
            return None
        else:
            part += _number(word)
        before = word
    return str(total + part)


def _number(words: str) -> int:
    said = words.lower()
    return 1 if said in ("a", "an") else int(said) if said.isdecimal() else count_of(said)


def _rows(text: str, units: UnitReader) -> Iterator[tuple[int, int, str]]:
    """The row '| S096 | 28 |' below '| Station | % of usual |' is read as 'S096: 28 % of usual.'."""
    heads: list[str] = []
    below = False
    at = -2
    for row in _ROW.finditer(text):
        follows, at = row.start() == at + 1, row.end()
        cells = [(row.start() + cell.start(), cell[0]) for cell in _CELL.finditer(row[0]) if cell[0].strip()]
        if not follows:
            heads, below = [cell.strip() for _, cell in cells], False
        elif _RULE.fullmatch(row[0]):
            below = True
        elif below:
            yield from _row(cells, heads, units, text)


def _row(
    cells: list[tuple[int, str]], heads: list[str], units: UnitReader, text: str
) -> Iterator[tuple[int, int, str]]:
    if len(cells) != len(heads):  # the first cell of the head may be empty
        heads = ["", *heads] if len(cells) == len(heads) + 1 else [""] * len(cells)
    _, own = _unit(cells[0][1], units)
    for n, ((start, cell), head) in enumerate(zip(cells, heads, strict=True)):
        end = start + len(cell)
        if n and NUMBER.search(cell):
            words, unit = _unit(head, units)
            stripped = cell.strip()
            bare = units.after(stripped, NUMBER.search(stripped).end()).unit is None  # type: ignore[union-attr]
            said = (unit or own) if bare else ""
            inside = start + cell.index(stripped)
            leads = bool(said) and head.casefold().startswith(unit.casefold()) and bool(unit)
            if words and not leads:
                yield inside, inside, f"{words} "
            behind = f" {said}" if said else ""
            if words and leads:
                behind += f" {words}"
            yield inside + len(stripped), inside + len(stripped), behind
        if end < len(text) and text[end] == "|":
            yield end, end + 1, ":" if n == 0 else "." if n == len(cells) - 1 else ","


def _unit(head: str, units: UnitReader) -> tuple[str, str]:
    """The words of a heading without its unit, and the unit as it is written there."""
    for found in re.finditer(r"(?<!\w)[^\s,(]", head):
        unit = units.after(plain(head), found.start())
        if unit.unit is not None and unit.unit not in SECONDS:
            rest = f"{head[: found.start()]} {head[unit.end :]}"
            return " ".join(re.sub(r"[(),]", " ", rest).split()), head[found.start() : unit.end].strip()
    return " ".join(re.sub(r"[(),]", " ", head).split()), ""
