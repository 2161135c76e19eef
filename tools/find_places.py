"""`find_places`: which nodes a person means by an id, a name, a freeway, a postmile, or nearly so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import numpy as np
import pandas as pd
from pydantic import Field

from mm4st_agent.errors import ToolError, UsageError
from mm4st_agent.forecaster.measured import channels_at, distances_km, kind_of, measuring
from mm4st_agent.toolspec import Measured, ToolIn, ToolOut, ToolSpec, Unit
from tools.beside import Direction, placed_beside
from tools.place_words import MIN_SCORE, SUGGESTIONS, plain, rank
from tools.readings import given

if TYPE_CHECKING:
    from mm4st_agent.data.panel import Panel
    from tools.context import ToolContext

_NEIGHBOURS = 3
_ATTRIBUTE_UNITS = {"postmile": "mile", "lanes": "lanes"}


class FindPlacesIn(ToolIn):
    """Find which stations or sensors a person means: by id, name, freeway and direction, postmile, or similar."""

    dataset: str = Field(description="Registered data set name, such as 'pems-orange'.")
    query: str | None = Field(
        None,
        min_length=1,
        max_length=500,
        description="What the person said, such as '1205330' or 'SR 57 southbound'; leave out with `beside`.",
    )
    beside: str | None = Field(None, description="Id of a place whose neighbours are wanted, the next one first.")
    direction: Direction | None = Field(
        None, description="Where the neighbours lie, seen from `beside`, such as 'north' or 'upstream'; None: anywhere."
    )
    kind: str | None = Field(None, description="Only places of this kind, such as 'air station'; None: of any.")
    channel: str | None = Field(None, description="Only places that measure this quantity, such as 'pm25'; None: any.")
    limit: int = Field(5, ge=1, le=20, description="At most so many matches.")


class Attribute(ToolOut):
    """One number that belongs to a place, such as its postmile."""

    name: str
    value: Measured
    unit: str


class PlaceMatch(ToolOut):
    """One node that the query may mean."""

    id: Annotated[str, Unit("id")]
    name: str
    kind: str = Field(description="What sort of place, such as 'air station'; '' where the data name none.")
    channels: list[str] = Field(description="What it measures; the first is meant where a question names none.")
    description: str
    exact: bool = Field(
        description="The query holds this id, or names this place in full (places can share a name). False: similar."
    )
    score: Annotated[float, Unit("score")] = Field(description="How well it fits, 0..100; 100 where exact.")
    away: Annotated[float | None, Unit("km")] = Field(
        description="From the place in `beside`; None where this place itself fits the query, or without coordinates."
    )
    lat: Annotated[float | None, Unit("degree")]
    lon: Annotated[float | None, Unit("degree")]
    attributes: list[Attribute]
    upstream: Annotated[list[str], Unit("id")] = Field(description="Nearest ids that feed into it, at most 3.")
    downstream: Annotated[list[str], Unit("id")] = Field(description="Nearest ids that it feeds into, at most 3.")
    neighbours: Annotated[list[str], Unit("id")] = Field(
        description="Nearest ids linked both ways, so that neither is upstream; at most 3."
    )


class FindPlacesOut(ToolOut):
    """Best match first; empty when nothing fits."""

    dataset: str
    query: str
    found: int = Field(description="How many fit before the limit.")
    matches: list[PlaceMatch]
    unknown_ids: Annotated[list[str], Unit("id")] = Field(
        description="Parts of the query that look like an id and are none; then the matches are only suggestions."
    )
    beside: Annotated[str | None, Unit("id")] = Field(
        description="The place whose neighbours the matches are: the one asked for, or the one that the query names, "
        "where it is of another kind or measures something else."
    )
    direction: Direction | None = Field(description="Where the neighbours were looked for.")


def find_places(args: FindPlacesIn, ctx: ToolContext) -> FindPlacesOut:
    """Rank the nodes of a panel, those of the kind and channel that are asked for, by how well they fit the query.

    With `beside`, those of its own kind beside that place are ranked instead.
    """
    panel = ctx.panel(args.dataset)
    kind = None if args.kind is None else _known_kind(panel, args.kind)
    if args.beside is not None:
        return _neighbours(args, panel, args.beside, kind)
    if args.query is None or args.direction is not None:
        raise UsageError(
            f"A search needs a query{'' if args.direction is None else ', or a place that lies beside it'}.",
            "Give query, such as 'SR 57', or beside with the id of a place.",
        )
    everywhere = panel.nodes
    nodes = _fitting(panel, everywhere, kind, args.channel)
    query = _without_quantities(args.query, panel)
    scores, exact, unknown = rank(query, nodes, kind)
    order = sorted(np.flatnonzero(scores > 0), key=lambda i: (not exact[i], -scores[i], i))
    ids = list(nodes.index)
    found: list[Found] = [(ids[i], bool(exact[i]), float(scores[i]), None) for i in order]
    beside, unknown = None, [word for word in unknown if word.casefold() not in map(str.casefold, panel.node_ids)]
    if len(nodes) < len(everywhere) and not unknown and scores.max() < MIN_SCORE:
        beside = _best(query, everywhere)
        found = [] if beside is None else _nearest(panel, beside, ids)
    return FindPlacesOut(
        dataset=panel.name,
        query=args.query,
        found=len(found),
        matches=[_match(panel, everywhere, *one) for one in found[: args.limit]],
        unknown_ids=unknown,
        beside=beside,
        direction=None,
    )


def _neighbours(args: FindPlacesIn, panel: Panel, node: str, kind: str | None) -> FindPlacesOut:
    """The places beside a node, of its kind unless another one is asked for.

    Raises:
        UsageError: there is no such node.
    """
    own = kind_of(panel, node)
    nodes = _fitting(panel, panel.nodes, kind or own or None, args.channel)
    found = placed_beside(panel, node, args.direction, [str(other) for other in nodes.index])
    return FindPlacesOut(
        dataset=panel.name,
        query=args.query or "",
        found=len(found),
        matches=[_match(panel, panel.nodes, one, False, score, km) for one, score, km in found[: args.limit]],
        unknown_ids=[],
        beside=node,
        direction=args.direction,
    )


def _known_kind(panel: Panel, asked: str) -> str:
    """The kind that is meant, written in any case, in the plural, or by a part that no other kind has.

    Raises:
        ToolError: no kind of the panel is meant.
    """
    kinds = sorted({str(kind) for kind in panel.nodes["kind"]} - {""}) if "kind" in panel.nodes else []
    words = plain(asked).removesuffix("s")
    close = [kind for kind in kinds if words == plain(kind)] or [kind for kind in kinds if words in plain(kind)]
    if len(close) != 1:
        known = f"Known: {', '.join(kinds)}." if kinds else "Its places have no kinds; leave it out."
        raise ToolError(f"{panel.name!r} has no kind of place {asked!r}.", known)
    return close[0]


def _fitting(panel: Panel, nodes: pd.DataFrame, kind: str | None, channel: str | None) -> pd.DataFrame:
    """The rows of `nodes` of this kind that measure this channel.

    Raises:
        UsageError: there is no such channel.
        ToolError: no place of the kind measures it.
    """
    if channel is not None:
        nodes = nodes.loc[measuring(panel, panel.channel(channel)).node_ids]
    if kind is None:
        return nodes
    of_kind = nodes[nodes["kind"] == kind]
    if of_kind.empty:
        kinds = ", ".join(sorted(set(nodes["kind"])))
        raise ToolError(f"No {kind} of {panel.name!r} measures {channel}.", f"These do: {kinds}.")
    return of_kind


def _without_quantities(query: str, panel: Panel) -> str:
    """The query without names of channels, which have the make-up of an id, such as pm25."""
    names = {name.casefold() for channel in panel.card.channels for name in (channel.name, channel.label)}
    kept = [word for word in query.split() if word.strip(".,;:?!'\"()").casefold() not in names]
    return " ".join(kept) or query


Found = tuple[str, bool, float, float | None]
"""Id, whether exact, score, km from the place that was named instead."""


def _best(query: str, nodes: pd.DataFrame) -> str | None:
    """The one place that the query names best; None where none fits."""
    scores, _, unknown = rank(query, nodes)
    return None if unknown or scores.max() < MIN_SCORE else [*map(str, nodes.index)][int(np.argmax(scores))]


def _nearest(panel: Panel, node: str, fitting: Sequence[str]) -> list[Found]:
    """The fitting places by their distance from a node; none where coordinates are missing."""
    away = dict(zip(panel.node_ids, distances_km(panel, node).tolist(), strict=True))
    known = sorted((away[other], other) for other in fitting if np.isfinite(away[other]))
    return [(other, False, 0.0, distance) for distance, other in known[:SUGGESTIONS]]


def _match(panel: Panel, nodes: pd.DataFrame, node: str, exact: bool, score: float, away: float | None) -> PlaceMatch:
    row = nodes.iloc[panel.position(node)]
    sources = panel.edges[panel.edges["target"] == node].sort_values("weight", ascending=False, kind="stable")
    targets = panel.edges[panel.edges["source"] == node].sort_values("weight", ascending=False, kind="stable")
    feeds, fed = list(sources["source"]), list(targets["target"])
    both = [other for other in feeds if other in fed]
    numbers = [c for c in nodes.columns if c not in ("lat", "lon") and pd.api.types.is_numeric_dtype(nodes[c])]
    return PlaceMatch(
        id=node,
        name=panel.place_name(node),
        kind=kind_of(panel, node),
        channels=[channel.name for channel in channels_at(panel, node)],
        description=_describe(row),
        exact=exact,
        score=round(score, 1),
        away=given(away, 3),
        lat=given(row["lat"], 10),
        lon=given(row["lon"], 10),
        attributes=[Attribute(name=c, value=given(row[c], 10), unit=_ATTRIBUTE_UNITS.get(c, "")) for c in numbers],
        upstream=[other for other in feeds if other not in both][:_NEIGHBOURS],
        downstream=[other for other in fed if other not in both][:_NEIGHBOURS],
        neighbours=both[:_NEIGHBOURS],
    )


def _describe(row: pd.Series) -> str:
    """One readable line, such as 'I5-N, N OF 57, postmile 106.551, Orange, 4 lanes'."""
    parts = [str(row["freeway"])] if row.get("freeway") else []
    parts.append(str(row["name"]))
    for column, value in row.drop(["name", "kind", "freeway", "lat", "lon"], errors="ignore").items():
        if isinstance(value, str):
            if value and value not in str(row["name"]):
                parts.append(value)
        elif pd.notna(value):
            parts.append(
                f"{value:g} lane{'s' if value != 1 else ''}" if column == "lanes" else f"{column} {value:.10g}"
            )
    return ", ".join(" ".join(part.split()) for part in parts)


FIND_PLACES = ToolSpec("find_places", FindPlacesIn, FindPlacesOut, find_places, title="Looking up the place")
