"""A draft for people at a terminal: what would be stored, and how it was understood."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mm4st_agent.data.importing.draft import Draft


def show_draft(draft: Draft) -> None:
    """Draw what would be stored, and how it was understood, on stderr."""
    from rich.console import Console
    from rich.table import Table

    from mm4st_agent.data.importing.summary import facts_of

    console = Console(stderr=True)
    about = Table(
        title=_plain(f"{draft.card.name}: {draft.card.title}"), box=None, show_header=False, title_justify="left"
    )
    for row in facts_of(draft):
        about.add_row(*map(_plain, row))
    console.print(about)
    if not draft.findings:
        return
    table = Table("", title="How it was understood", title_justify="left", box=None)
    for header in ("what", "value", "why"):
        table.add_column(header, overflow="fold")
    styles = {"stated": "dim", "inferred": "", "assumed": "yellow", "mended": "magenta"}
    for status, style in styles.items():
        for finding in (finding for finding in draft.findings if finding.status == status):
            table.add_row(status, *map(_plain, (finding.what, finding.value, finding.why)), style=style)
    console.print(table)


def _plain(text: str) -> Any:
    """Text for the terminal: no markup, and no control characters that a file brought."""
    from rich.text import Text

    return Text("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text))
