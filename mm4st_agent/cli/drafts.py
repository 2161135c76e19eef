"""A draft for people and for programs: what would be stored, and how it was understood."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mm4st_agent.data.importing.draft import Draft

SHOWN = 3
"""Nodes that are named as examples."""


def draft_json(draft: Draft) -> dict[str, Any]:
    """What would be stored, as `--dry-run --json` prints it."""
    import dataclasses

    times = _local_times(draft)
    return {
        "name": draft.card.name,
        "nodes": len(draft.nodes),
        "start": times[0].isoformat(),
        "end": times[-1].isoformat(),
        "step_s": (times[1] - times[0]).total_seconds(),
        "channels": [{"name": channel.name, "unit": channel.unit} for channel in draft.card.channels],
        "findings": [dataclasses.asdict(finding) for finding in draft.findings],
    }


def show_draft(draft: Draft) -> None:
    """Draw what would be stored, and how it was understood, on stderr."""
    from rich.console import Console
    from rich.table import Table

    console = Console(stderr=True)
    about = Table(
        title=_plain(f"{draft.card.name}: {draft.card.title}"), box=None, show_header=False, title_justify="left"
    )
    for row in _facts(draft):
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


def _facts(draft: Draft) -> list[tuple[str, str]]:
    from mm4st_agent.data.importing.grid import in_words

    card, layers, times = draft.card, draft.layers, _local_times(draft)
    shown = ", ".join(map(str, draft.nodes.index[:SHOWN])) + (", ..." if len(draft.nodes) > SHOWN else "")
    facts = [
        ("nodes", f"{len(draft.nodes):,} ({card.place_word} {shown})"),
        ("time", f"{times[0]:%Y-%m-%d %H:%M} to {times[-1]:%Y-%m-%d %H:%M} {card.time_zone}"),
        ("step", f"{in_words((times[1] - times[0]).value)} ({len(times):,} steps)"),
        ("channels", ", ".join(f"{c.name} [{c.unit or 'no unit'}]" for c in card.channels)),
        ("covariates", ", ".join(map(str, draft.covariates.data_vars))),
        ("edges", f"{len(layers.edges):,}" if layers.edges is not None else ""),
        ("events", f"{len(layers.events):,}" if layers.events else ""),
        ("static layers", ", ".join(layers.static)),
        ("trajectories", f"{len(layers.trajectories):,} points" if layers.trajectories is not None else ""),
    ]
    return [(name, value) for name, value in facts if value]


def _local_times(draft: Draft) -> Any:
    return draft.time.tz_localize("UTC").tz_convert(draft.card.time_zone)


def _plain(text: str) -> Any:
    """Text for the terminal: no markup, and no control characters that a file brought."""
    from rich.text import Text

    return Text("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text))
