"""Entries of a log as tools hand them on, and those that ran near a node in a span of time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from mm4st_agent.forecaster.measured import distances_km
from mm4st_agent.toolspec import Passage
from tools.retrieve_context import BESIDE_KM, neighbourhood

if TYPE_CHECKING:
    from mm4st_agent.data.events import Event
    from mm4st_agent.data.panel import Panel

HOPS = 2
"""So many edges away from the node an entry counts."""


def passage_of(panel: Panel, entry: Event) -> Passage:
    """The whole entry, in the log's words."""
    return Passage(
        doc_id=f"{panel.name}/{entry.id}",
        text=entry.text,
        source=entry.source,
        span=(0, len(entry.text)),
        published_at=entry.published_at.to_pydatetime(),
        place=entry.place or None,
    )


def entries_near(panel: Panel, node: str, first: pd.Timestamp, last: pd.Timestamp) -> list[Event]:
    """Entries on what ran between two moments, within two edges of a node or in the whole area, oldest first.

    Around a node that no edge reaches, those at nodes within 2 km count. An entry whose source gives no end counts by
    its start.
    """
    near = _near(panel, node)
    title = panel.card.title.casefold()
    return [
        entry
        for entry in panel.events
        if entry.start < last
        and (entry.end or (last if entry.end_known else entry.start)) >= first
        and (entry.node in near if entry.node else bool(entry.place) and entry.place.casefold() in title)
    ]


def _near(panel: Panel, node: str) -> set[str]:
    if node in {*panel.edges["source"], *panel.edges["target"]}:
        return set(neighbourhood(panel, node, HOPS))
    away = distances_km(panel, node)
    return {node} | {other for other, km in zip(panel.node_ids, away.tolist(), strict=True) if km <= BESIDE_KM}
