"""Places beside another one: the next upstream or downstream, or to the north, south, east or west."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from mm4st_agent.errors import ToolError
from mm4st_agent.forecaster.measured import distances_km

if TYPE_CHECKING:
    from mm4st_agent.data.panel import Panel

Direction = Literal["north", "south", "east", "west", "upstream", "downstream"]
_BEARINGS = {"north": 0.0, "east": 90.0, "south": 180.0, "west": 270.0}
_OPPOSITE = {"north": "south", "south": "north", "east": "west", "west": "east"}
_HEADING = re.compile(r"-([NSEW])$")
"""How a freeway says where its traffic goes, such as I5-N."""
CONE = 45.0
"""A place lies to the north within so many degrees of it, on either side."""
SAME_SPOT_KM = 0.2
MOST_LINKS = 4
"""Places further up or down the graph are no neighbours."""


def placed_beside(
    panel: Panel, node: str, direction: Direction | None, fitting: Sequence[str]
) -> list[tuple[str, float, float | None]]:
    """Id, score and km of the fitting places that lie beside a node, the next one first.

    Along the graph, a place fewer links away comes first. By the compass, places that are linked with the node come
    before others, and one at the same spot, such as the other carriageway, is left out. Of linked ones those come
    first that share most with the node, such as its road; then the nearer one. Where the data have no coordinates, the
    heading of the node's freeway tells which way along the graph is north. The first scores 100, all others at most 80.

    Args:
        panel: Cut at the clock.
        node: Its id is known.
        direction: None is any.
        fitting: Ids of the places that may be named.

    Raises:
        ToolError: neither coordinates nor a heading tell where that direction is.
    """
    away = dict(zip(panel.node_ids, distances_km(panel, node).tolist(), strict=True))
    others, coordinates = [other for other in fitting if other != node], np.isfinite(list(away.values())).any()
    if direction in _BEARINGS and not coordinates:
        direction = _along(panel, node, direction)
    forward, back = _linked(panel, node, forward=True), _linked(panel, node, forward=False)
    links = back if direction == "upstream" else forward if direction == "downstream" else {**back, **forward}
    if direction in ("upstream", "downstream") or not coordinates:
        others, far = [other for other in others if other in links], {other: links[other][0] for other in links}
    else:
        turns = _turns(panel, node, direction)
        others = [other for other in others if away[other] > SAME_SPOT_KM and turns[other] <= CONE]
        far = {other: 1 if links.get(other, (0, 0.0))[0] == 1 else 2 for other in others}
    shared = _shared(panel, node, others)

    def rank(other: str) -> tuple[int, int, float, float]:
        distance = away[other] if np.isfinite(away[other]) else 0.0
        return far[other], -shared[other] if other in links else 0, distance, links.get(other, (0, 0.0))[1]

    order = sorted(others, key=rank)
    return [
        (other, 80.0 / place if place else 100.0, away[other] if np.isfinite(away[other]) else None)
        for place, other in enumerate(order)
    ]


def _along(panel: Panel, node: str, direction: str) -> Direction:
    """Which way along the graph a compass direction is, by the heading of the node's freeway.

    Raises:
        ToolError: it has none, or one across.
    """
    row = panel.nodes.iloc[panel.position(node)]
    found = _HEADING.search(str(row.get("freeway", "")))
    heading = next((name for name in _BEARINGS if found and name[0] == found[1].casefold()), None)
    if heading == direction:
        return "downstream"
    if heading is not None and _OPPOSITE[heading] == direction:
        return "upstream"
    raise ToolError(
        f"{panel.name!r} does not tell what lies to the {direction} of {node}: it has no coordinates.",
        "Ask for the next place upstream or downstream." if len(panel.edges) else "Name the place by its id.",
    )


def _linked(panel: Panel, node: str, *, forward: bool) -> dict[str, tuple[int, float]]:
    """By id, how many links along the graph a place is away, and minus the weight of the last of them."""
    ends = ("source", "target") if forward else ("target", "source")
    links: dict[str, list[tuple[str, float]]] = {}
    for here, there, weight in zip(*(panel.edges[end].astype(str) for end in ends), panel.edges["weight"], strict=True):
        links.setdefault(here, []).append((there, -float(weight)))
    found, reached = {}, [node]
    for hops in range(1, MOST_LINKS + 1):
        new: dict[str, float] = {}
        for here in reached:
            for there, order in links.get(here, []):
                if there != node and there not in found:
                    new[there] = min(order, new.get(there, 0.0))
        found.update({there: (hops, order) for there, order in new.items()})
        reached = list(new)
    return found


def _turns(panel: Panel, node: str, direction: str | None) -> dict[str, float]:
    """By id, by how many degrees a node lies off a direction as seen from this one; NaN without coordinates."""
    lat, lon = (np.radians(panel.data.coords[name].to_numpy().astype(np.float64)) for name in ("lat", "lon"))
    at = panel.position(node)
    east = np.sin(lon - lon[at]) * np.cos(lat)
    north = np.cos(lat[at]) * np.sin(lat) - np.sin(lat[at]) * np.cos(lat) * np.cos(lon - lon[at])
    bearing = np.degrees(np.arctan2(east, north))
    off = 0 * bearing if direction is None else np.abs((bearing - _BEARINGS[direction] + 180) % 360 - 180)
    return dict(zip(panel.node_ids, off.tolist(), strict=True))


def _shared(panel: Panel, node: str, others: Sequence[str]) -> dict[str, int]:
    """By id, how many texts about a place, such as its road, are also those of the node."""
    table = panel.nodes.drop(columns=["name", "kind"], errors="ignore").select_dtypes(exclude="number").astype(str)
    own = table.loc[node]
    same = (table.loc[list(others)] == own) & (own != "")
    return {str(other): int(count) for other, count in same.sum(axis=1).items()}
