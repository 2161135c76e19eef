"""A draft in plain facts, for whoever shows it: the terminal, a program, the page."""

from __future__ import annotations

import dataclasses
from typing import Any

import pandas as pd

from mm4st_agent.data.importing.draft import Draft
from mm4st_agent.data.importing.grid import in_words

SHOWN = 3
"""Nodes that are named as examples."""


def local_times(draft: Draft) -> pd.DatetimeIndex:
    """`(T,)` the draft's time steps in its own zone."""
    return draft.time.tz_localize("UTC").tz_convert(draft.card.time_zone)


def draft_json(draft: Draft) -> dict[str, Any]:
    """What would be stored, as `--dry-run --json` prints it."""
    times = local_times(draft)
    return {
        "name": draft.card.name,
        "nodes": len(draft.nodes),
        "start": times[0].isoformat(),
        "end": times[-1].isoformat(),
        "step_s": (times[1] - times[0]).total_seconds(),
        "channels": [{"name": channel.name, "unit": channel.unit} for channel in draft.card.channels],
        "findings": [dataclasses.asdict(finding) for finding in draft.findings],
    }


def facts_of(draft: Draft) -> list[tuple[str, str]]:
    """What would be stored, as pairs of what and value; what the draft lacks is left out."""
    card, layers, times = draft.card, draft.layers, local_times(draft)
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
