"""Text from outside inside our HTML."""

from __future__ import annotations

import html
from pathlib import Path

STATIC = Path(__file__).parent / "static"
"""Scripts and styles that the page loads."""


def plain(text: str) -> str:
    """Text for inside an HTML block or attribute: no tags, no line that would end the block."""
    return html.escape(" ".join(text.split()))


def script(name: str) -> str:
    """The text of one of our scripts."""
    return (STATIC / name).read_text(encoding="utf-8")
