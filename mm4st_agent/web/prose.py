"""Markdown of a chat model as HTML, with links around parts of it that are given by their place in the text.

A chat model's text is not trusted: HTML in it is shown as text, and its links and pictures are not made.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from markdown_it import MarkdownIt
from markdown_it.token import Token

_READER = (
    MarkdownIt("commonmark", {"html": False, "breaks": True, "xhtmlOut": False})
    .enable(["table", "strikethrough"])
    .disable(["link", "image", "autolink", "reference", "html_inline", "html_block", "entity", "code", "text_join"])
)
_LEAST_HEADING = 3
"""The page has headings of its own above."""


@dataclass(frozen=True)
class Mark:
    """A part of the text that is set apart.

    Attributes:
        start: Its first character.
        end: One past its last.
        before: HTML in front of its words, such as an opening tag.
        after: HTML behind them.
        tail: HTML behind the whole, once, where markup divides it.
        shown: HTML instead of its words; None: they stay.
    """

    start: int
    end: int
    before: str = ""
    after: str = ""
    tail: str = ""
    shown: str | None = None


@dataclass(frozen=True)
class Insert:
    """HTML that stands behind the paragraph, list or table that holds a place of the text."""

    at: int
    html: str


def to_html(text: str, marks: Sequence[Mark] = (), inserts: Sequence[Insert] = ()) -> str:
    """Markdown as HTML on one line, as a blank line would end a block of HTML inside Markdown.

    Where marks overlap, each character belongs to the shortest of them; a mark that is left without a character
    stands behind the one that covers it.
    """
    text = re.sub(r"\r(?!\n)", " ", text)  # a line of its own for the reader of Markdown only
    tokens = _READER.parse(text)
    page = _Page(text, marks)
    page.write(tokens)
    return page.with_tails("".join(page.blocks(tokens, inserts)).replace("\n", ""))


@dataclass
class _Page:
    """Puts marks into parsed Markdown, by the place in the source that each character comes from."""

    text: str
    marks: Sequence[Mark]
    _pieces: list[tuple[int, int, int]] = field(init=False)
    """Where the marks do not overlap any more: first, one past the last, and which mark."""
    _starts: list[int] = field(init=False)
    """Of the lines."""

    def __post_init__(self) -> None:
        self._starts = [0, *(found.end() for found in re.finditer("\n", self.text))]
        ranked = sorted(range(len(self.marks)), key=lambda n: self.marks[n].end - self.marks[n].start)
        edges = sorted({edge for mark in self.marks for edge in (mark.start, mark.end)})
        self._pieces = []
        for start, end in pairwise(edges):
            over = [n for n in ranked if self.marks[n].start <= start and self.marks[n].end >= end]
            if over:
                self._pieces.append((start, end, over[0]))

    def with_tails(self, page: str) -> str:
        """Put what stands behind a whole mark behind the last of its pieces."""
        whole = {n: mark.tail for n, mark in enumerate(self.marks)}
        for n in sorted(whole.keys() - {of for _, _, of in self._pieces}):  # nothing of it can be seen
            mark = self.marks[n]
            over = next((of for start, end, of in self._pieces if start < mark.end <= end), None)
            if over is not None:
                whole[over] += f"{mark.before}+{mark.after}{mark.tail}"
        for n, tail in whole.items():
            head, found, rest = page.rpartition(f"\0{n}\0")
            page = head.replace(f"\0{n}\0", "") + (tail if found else "") + rest
        return page

    def blocks(self, tokens: list[Token], inserts: Sequence[Insert]) -> Iterator[str]:
        """The HTML of each block of the text, and what stands behind it."""
        waiting = sorted(inserts, key=lambda insert: insert.at)
        block: list[Token] = []
        for token in tokens:
            block.append(token)
            if token.level == 0 and token.nesting <= 0:
                yield _READER.renderer.render(block, _READER.options, {})
                last = block[0].map[1] if block[0].map is not None else 0
                end = self._starts[last] if last < len(self._starts) else len(self.text)
                while waiting and waiting[0].at < end:
                    yield waiting.pop(0).html
                block = []
        yield from (insert.html for insert in waiting)

    def write(self, tokens: list[Token]) -> None:
        """Change the tokens in place: each text becomes HTML with its marks."""
        cell: int | None = None  # where the last cell of the present table ends
        for token in tokens:
            if token.type == "table_open" and token.map is not None:
                cell = self._starts[token.map[0]]
            elif token.type == "table_close":
                cell = None
            elif token.type in ("heading_open", "heading_close"):
                token.tag = f"h{min(int(token.tag[1]) + _LEAST_HEADING - 1, 6)}"
            elif token.type == "inline" and cell is not None:
                cell = self._inline(token, self._cell(token.content, cell))
            elif token.type == "inline" and token.map is not None:
                self._inline(token, self._lines(token.content, token.map[0]))
            elif token.type == "fence" and token.map is not None:
                code = token.content.rstrip("\n")
                said = self._marked(code, self._lines(code, token.map[0] + 1)).replace("\n", "&#10;")
                token.type, token.content = "html_block", f"<pre><code>{said}</code></pre>"

    def _lines(self, content: str, first: int) -> list[int]:
        """Where each character of a block's text stands: its lines are the ends of the source's lines."""
        places: list[int] = []
        for n, line in enumerate(content.split("\n")):
            start = self._starts[min(first + n, len(self._starts) - 1)]
            source = self.text[start:].partition("\n")[0]
            at = source.rfind(line)
            places += [-1 if at < 0 else start + at + k for k in range(len(line) + 1)]
        return places

    def _cell(self, content: str, start: int) -> list[int]:
        """Where each character of a table's cell stands, behind the cell before; it may hold an escaped bar."""
        pattern = r"\\?".join(f"({re.escape(char)})" for char in content) or "()"
        found = re.compile(pattern).search(self.text, start)
        if found is None:
            return [-1] * (len(content) + 1)
        return [*(found.start(n + 1) for n in range(len(content))), found.end()]

    def _inline(self, token: Token, places: list[int]) -> int:
        """Write one text; gives where it ends in the source."""
        content, at = token.content, 0
        for child in token.children or []:
            sought = child.markup if child.type == "text_special" else child.content or child.markup
            if child.type in ("softbreak", "hardbreak"):
                at = content.find("\n", at) + 1
                continue
            if child.type == "code_inline":
                at = content.find(child.markup, at) + len(child.markup)
            found = content.replace("\n", " ").find(sought, at)
            at = found + len(sought) if found >= 0 else at
            if child.type == "code_inline":
                inner = self._marked(child.content, places[found : found + len(sought)] if found >= 0 else [])
                child.content = f"<code>{inner}</code>"
                at = content.find(child.markup, at) + len(child.markup)
            elif child.type == "text_special":
                child.content = self._marked(child.content, places[at - 1 : at])
            elif child.type == "text":
                child.content = self._marked(child.content, places[found : found + len(sought)] if found >= 0 else [])
            else:
                continue
            child.type = "html_inline"
        return places[-1]

    def _marked(self, words: str, places: Sequence[int]) -> str:
        """Words with the marks around them; the place of a character is -1 where it is not known."""
        if len(places) < len(words):
            return html.escape(words)
        runs: list[tuple[int | None, int, int]] = []
        for k in range(len(words)):
            mark = self._at(places[k])
            if runs and runs[-1][0] == mark:
                runs[-1] = (mark, runs[-1][1], k + 1)
            else:
                runs.append((mark, k, k + 1))
        return "".join(self._run(mark, words[first:end]) for mark, first, end in runs)

    def _run(self, n: int | None, words: str) -> str:
        if n is None:
            return html.escape(words)
        mark = self.marks[n]
        said = html.escape(words) if mark.shown is None else mark.shown
        return f"{mark.before}{said}{mark.after}\0{n}\0"

    def _at(self, place: int) -> int | None:
        return next((n for start, end, n in self._pieces if start <= place < end), None)
