"""What routes and widgets agree on: whose runtime a request works with, and how parts of a thread are named."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from mm4st_agent.runtime import Runtime

RuntimeFor = Callable[[str | None], "Runtime"]
"""Gives a signed-in person's runtime, with threads, pictures and imported data of their own; None is the one
person of an app without accounts. Gradio has the name as `request.username`, a route as `request.state.user`."""

PREFIX = "mm4st"
"""Our own routes lie below this path, beside Gradio's; the page names them relative to itself."""

_PART = re.compile(r"#?(claim|source|entry|chart)-([\w-]+)-(\d+)-(\d+)")


@dataclass(frozen=True)
class Part:
    """A piece of one answer that the page can point to.

    Attributes:
        kind: A claim, a cited source, a ledger entry, or a chart.
        thread: The conversation.
        turn: Which question of it, from 1.
        index: Position within the answer's list of that kind, from 0.
    """

    kind: Literal["claim", "source", "entry", "chart"]
    thread: str
    turn: int
    index: int

    def __str__(self) -> str:
        return f"{self.kind}-{self.thread}-{self.turn}-{self.index}"

    @classmethod
    def parse(cls, text: str) -> Part | None:
        """Read what `str` wrote, with or without `#` before it; None where it is something else."""
        found = _PART.fullmatch(text)
        if found is None:
            return None
        kind, thread, turn, index = found.groups()
        return cls(kind, thread, int(turn), int(index))  # type: ignore[arg-type]
