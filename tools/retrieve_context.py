"""`retrieve_context`: what a data set's log and the shipped notes say, in their own words."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
import pandas as pd
from pydantic import Field, StringConstraints

from mm4st_agent.forecaster.measured import distances_km, word_of, words_of
from mm4st_agent.toolspec import Passage, ToolIn, ToolOut, ToolSpec, Unit, UnitOf
from tools.context import cut_at
from tools.readings import given

if TYPE_CHECKING:
    from mm4st_agent.data.events import Event
    from mm4st_agent.data.panel import Panel
    from mm4st_agent.knowledge.store import Hit
    from tools.context import ToolContext

MIN_SIMILARITY = 0.3
"""Cosine below which a note is about something else: eight off-topic questions reached 0.30 at most."""

BESIDE_KM = 2.0
"""Around a node that no edge reaches, events at nodes up to so far away are near."""
AHEAD = timedelta(hours=24)
"""How far ahead an announcement still matters now."""


class RetrieveContextIn(ToolIn):
    """Find logged events near a place, and domain notes, that can explain what the data show."""

    dataset: str = Field(description="Name of the data set.")
    query: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)] = Field(
        description="What to look for, in English, such as 'collision blocking lanes'."
    )
    node: str | None = Field(
        None,
        description="Node id; only events at it or within `hops` of it are searched. Around a node that no edge "
        "reaches, such as an air station beside the roads, those within 2 km. Events of the whole area count too.",
    )
    hops: int = Field(2, ge=0, le=20, description="How many edges away from `node` an event may be, either direction.")
    hours: float = Field(
        24, gt=0, le=8760, description="Only events that began, ran or ended in so many hours before `until`."
    )
    until: datetime | None = Field(
        None,
        description="Where the window ends, local time of the data, never later than now; leave out for now, "
        "which adds what is announced for the next 24 hours.",
    )
    kind: Literal["any", "event", "note"] = Field("any", description="Which kind of text to search.")
    limit: int = Field(5, ge=1, le=20, description="At most so many events, and at most so many notes.")


class EventHit(ToolOut):
    """An entry of the data set's log."""

    passage: Passage
    kind: str = Field(description="What sort of entry, such as 'weather warning'; '' where its source does not say.")
    start: datetime
    minutes_before: Annotated[int, Unit("min")] = Field(description="From its start to as_of; negative: ahead.")
    ongoing: bool | None = Field(
        description="It has begun and no end was logged by as_of; null where its source gives no end."
    )
    node: Annotated[str | None, Unit("id")] = Field(description="The node nearest to it.")
    distance: Annotated[float | None, UnitOf("distance_unit")] = Field(description="Of the event from that node.")
    distance_unit: str
    hops: int | None = Field(
        description="Edges between that node and the node asked for; null when none was, or where no edge leads there."
    )
    away: Annotated[float | None, Unit("km")] = Field(
        description="Between that node and the node asked for, where no edge leads there; null elsewhere."
    )


class NoteHit(ToolOut):
    """A piece of general knowledge with its source."""

    title: str
    passage: Passage


class RetrieveContextOut(ToolOut):
    """Events, best first by relevance, closeness and time together; notes, best first by relevance."""

    as_of: datetime
    until: datetime = Field(description="Where the window of the events ends: as_of, or earlier where asked.")
    node: Annotated[str | None, Unit("id")]
    hours: Annotated[float, Unit("h")]
    events_found: int = Field(description="Events of the window that passed the filters.")
    events_announced: int = Field(description="Further ones, announced for the 24 hours after the clock.")
    events_logged: int = Field(description="Events in the whole log by as_of; 0 where there is no log.")
    events: list[EventHit] = Field(description="The best of those found and announced.")
    notes: list[NoteHit]


def retrieve_context(args: RetrieveContextIn, ctx: ToolContext) -> RetrieveContextOut:
    """Search the log near a node, and the notes.

    Events are ranked by reciprocal rank fusion of three orders: relevance to the query, hops
    from the node, and time between their start and the end of the window.
    """
    panel = ctx.panel(args.dataset)
    until = cut_at(panel, args.until).end
    near = None if args.node is None else _around(panel, args.node, args.hops)
    found: list[Event] = []
    hits: list[Hit] = []
    notes: list[Hit] = []
    if args.kind != "note":
        found = _within(panel, None if near is None else near.keys(), until, args.hours)
        relevant = ctx.knowledge.search(args.query, panel=panel, events=found, kind="event", limit=len(found))
        hits = _rank_events(relevant, near, until)[: args.limit]
    if args.kind != "event":
        notes = ctx.knowledge.search(args.query, panel=panel, kind="note", limit=args.limit)
    return RetrieveContextOut(
        as_of=panel.end.to_pydatetime(),
        until=until.to_pydatetime(),
        node=args.node,
        hours=args.hours,
        events_found=sum(event.start <= until for event in found),
        events_announced=sum(event.start > until for event in found),
        events_logged=len(panel.events),
        events=[_event_hit(hit, panel, near) for hit in hits],
        notes=[NoteHit(title=hit.heading, passage=_passage(hit)) for hit in notes if hit.similarity >= MIN_SIMILARITY],
    )


@dataclass(frozen=True)
class Nearness:
    """How near a node is: in edges, or in km where no edge leads there; inf is unknown."""

    hops: int | None = None
    km: float = math.inf


def _around(panel: Panel, node: str, hops: int) -> dict[str, Nearness] | None:
    """The nodes whose events are near a node; None is every node.

    In a panel with edges a node without any stands beside the network: those near it by their coordinates count.
    Where it is the only one of its kind, such as an information service, or has no coordinates, it serves all.

    Raises:
        UsageError: there is no such node.
    """
    panel.position(node)
    linked = {*panel.edges["source"], *panel.edges["target"]}
    if not linked or node in linked:
        return {other: Nearness(hops=n) for other, n in neighbourhood(panel, node, hops).items()}
    away = distances_km(panel, node)
    if not np.isfinite(away).any() or words_of(panel).count(word_of(panel, node)) == 1:
        return None
    within = zip(panel.node_ids, away.tolist(), strict=True)
    return {node: Nearness(hops=0)} | {o: Nearness(km=km) for o, km in within if km <= BESIDE_KM and o != node}


def neighbourhood(panel: Panel, node: str, hops: int) -> dict[str, int]:
    """Nodes within `hops` edges of `node`, in either direction, with their number of hops.

    Raises:
        UsageError: there is no such node.
    """
    import networkx as nx

    graph = nx.from_pandas_edgelist(panel.edges)
    graph.add_node(node)
    return {str(near): int(n) for near, n in nx.single_source_shortest_path_length(graph, node, cutoff=hops).items()}


def _within(panel: Panel, nodes: Collection[str] | None, until: pd.Timestamp, hours: float) -> list[Event]:
    """Events that were under way in the window; with those announced for the next day when it ends at the clock."""
    since = until - pd.Timedelta(hours=hours)
    latest = until + AHEAD if until == panel.end else until
    return [
        event
        for event in panel.events
        if event.start <= latest
        and (event.start > since or _last_known(event, until) > since)
        and (nodes is None or event.node in nodes or _of_the_whole_area(panel, event))
    ]


def _last_known(event: Event, until: pd.Timestamp) -> pd.Timestamp:
    """The last moment up to `until` at which the event is known to have run."""
    if event.end is not None:
        return event.end
    return until if event.end_known else event.start


def _of_the_whole_area(panel: Panel, event: Event) -> bool:
    """Whether an event without a node is about all of the data: their title has its place, such as the city's name."""
    return event.node is None and bool(event.place) and event.place.casefold() in panel.card.title.casefold()


def _rank_events(hits: Sequence[Hit], near: dict[str, Nearness] | None, until: pd.Timestamp) -> list[Hit]:
    from mm4st_agent.knowledge.ranking import ranks, reciprocal_rank_fusion

    events = {hit.doc_id: hit.event for hit in hits if hit.event is not None}
    fused = reciprocal_rank_fusion(
        ranks({hit.doc_id: hit.score for hit in hits}),
        ranks({key: -abs((event.start - until).total_seconds()) for key, event in events.items()}),
        ranks({key: -_far(near[event.node]) for key, event in events.items() if event.node} if near else {}),
    )
    return sorted(hits, key=lambda hit: -fused[hit.doc_id])


def _far(nearness: Nearness) -> float:
    return nearness.km if nearness.hops is None else nearness.hops


def _event_hit(hit: Hit, panel: Panel, near: dict[str, Nearness] | None) -> EventHit:
    event = hit.event
    assert event is not None
    nearness = near[event.node] if near is not None and event.node is not None else Nearness()
    return EventHit(
        passage=_passage(hit),
        kind=event.kind,
        start=event.start.to_pydatetime(),
        minutes_before=int((panel.end - event.start).total_seconds() // 60),
        ongoing=event.end is None and event.start <= panel.end if event.end_known else None,
        node=event.node,
        distance=event.distance,
        distance_unit=event.distance_unit,
        hops=nearness.hops,
        away=given(nearness.km, 3),
    )


def _passage(hit: Hit) -> Passage:
    return Passage(
        doc_id=hit.doc_id,
        text=hit.text,
        source=hit.source,
        span=hit.span,
        published_at=None if hit.published_at is None else hit.published_at.to_pydatetime(),
        place=hit.event.place or None if hit.event is not None else None,
    )


RETRIEVE_CONTEXT = ToolSpec(
    "retrieve_context", RetrieveContextIn, RetrieveContextOut, retrieve_context, title="Searching notes and events"
)
