"""Where nodes are drawn on the page's map: at their coordinates, or schematically where they have none."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mm4st_agent.data.panel import Panel

Array = NDArray[np.float64]
Pairs = NDArray[np.int64]

WIDE = 10_000
"""Of a schematic, in units of its own."""
MOST_LAID_OUT = 400
"""Linked nodes that are laid out by their links, in about a second; more of them stand in rows."""

_M_PER_DEGREE = 111_195.0


@dataclass(frozen=True)
class Places:
    """What is drawn before any value is known.

    Attributes:
        x: `(N,)` to the right; NaN is a node without a place, which is not drawn.
        y: `(N,)` downward.
        links: `(L, 2)` positions of linked nodes, each pair once.
        metres: Whether the units are metres and north is up; else the places are schematic.
        rows: Names of horizontal lines, and where they lie.
        note: What must be known about the places, as a sentence; empty for a plain map.
    """

    x: Array
    y: Array
    links: Pairs
    metres: bool
    note: str
    rows: tuple[tuple[str, float], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Whole numbers; null is a node without a place."""
        drawn = self.links[~np.isnan(self.x[self.links]).any(axis=1)]
        return {
            "x": [None if math.isnan(x) else round(x) for x in self.x],
            "y": [None if math.isnan(y) else round(y) for y in self.y],
            "links": drawn.ravel().tolist(),
            "rows": [[name, round(y)] for name, y in self.rows],
            "metres": self.metres,
            "note": self.note,
        }


def place_nodes(panel: Panel) -> Places:
    """By coordinates, else by freeway and postmile, else by the links, else in rows."""
    nodes, links, word = panel.nodes, _links(panel), panel.card.place_word
    x, y = _metres(nodes)
    if (lost := int(np.isnan(x).sum())) < len(nodes):
        note = f"{lost:,} {word}{' is' if lost == 1 else 's are'} not drawn, for want of coordinates." if lost else ""
        return Places(x, y, links, metres=True, note=note)
    if {"freeway", "postmile"} <= set(nodes.columns) and nodes["postmile"].notna().any():
        return _along_roads(nodes, word)
    if len(links) and len(nodes) <= MOST_LAID_OUT:
        x, y = _by_links(links.tobytes(), len(nodes))
        note = f"The data have no coordinates: positions are schematic, and linked {word}s stand near each other."
        return Places(x, y, links, metres=False, note=note)
    x, y = _in_rows(panel, links)
    note = f"The data have no coordinates: the {word}s stand in rows, and where they stand means nothing."
    if len(links):
        note = f"The data have no coordinates: the {word}s stand in rows, linked ones close to each other."
    return Places(x, y, links[:0], metres=False, note=note)


def _links(panel: Panel) -> Pairs:
    """Each linked pair once, whatever its direction."""
    index = panel.data.indexes["node"]
    ends = [index.get_indexer(pd.Index(panel.edges[end].astype(str))) for end in ("source", "target")]
    pairs = np.sort(np.column_stack(ends).astype(np.int64).reshape(-1, 2), axis=1)
    return np.unique(pairs[(pairs[:, 0] >= 0) & (pairs[:, 0] != pairs[:, 1])], axis=0)


def _metres(nodes: pd.DataFrame) -> tuple[Array, Array]:
    """Metres east of the most western node and south of the middle; NaN where a coordinate is unknown."""
    nowhere = np.full(len(nodes), np.nan)
    if not {"lat", "lon"} <= set(nodes.columns):
        return nowhere, nowhere
    lat, lon = (nodes[column].to_numpy(dtype=np.float64) for column in ("lat", "lon"))
    known = (np.abs(lat) <= 90) & (np.abs(lon) <= 180)
    if not known.any():
        return nowhere, nowhere
    lat, lon = np.where(known, lat, np.nan), np.where(known, lon, np.nan)
    if np.nanmax(lon) - np.nanmin(lon) > 180:  # on both sides of the date line
        lon = lon % 360
    middle = (np.nanmin(lat) + np.nanmax(lat)) / 2
    east = (lon - np.nanmin(lon)) * math.cos(math.radians(middle))
    return east * _M_PER_DEGREE, (middle - lat) * _M_PER_DEGREE


def _along_roads(nodes: pd.DataFrame, word: str) -> Places:
    """A row a freeway and direction, as in the schematic pictures; directions of one freeway are in line."""
    freeway, postmile = nodes["freeway"].astype(str), nodes["postmile"].astype(np.float64)
    names = sorted(freeway.unique())
    miles = postmile - postmile.groupby(freeway.str.split("-").str[0]).transform("min")
    x = miles.to_numpy() * WIDE / (float(miles.max()) or 1.0)
    height = 0.75 * WIDE / len(names)
    row = freeway.map({name: row for row, name in enumerate(names)}).to_numpy(dtype=np.float64)
    y = np.where(np.isnan(x), np.nan, row * height)
    order = np.lexsort((x, row))
    order = order[~np.isnan(x[order])]
    beside = row[order][1:] == row[order][:-1]
    links = np.column_stack([order[:-1], order[1:]])[beside].astype(np.int64)
    note = f"The data have no coordinates: each line is a road, with its {word}s by the mile. It is not a map."
    rows = tuple((name, at * height) for at, name in enumerate(names))
    return Places(x, y, links, metres=False, note=note, rows=rows)


@lru_cache(maxsize=8)
def _by_links(pairs: bytes, nodes: int) -> tuple[Array, Array]:
    """Distances on the page like those along the links; unconnected parts side by side, the largest first.

    Source:
        Kamada and Kawai (1989), doi:10.1016/0020-0190(89)90102-6.
    """
    import networkx as nx

    graph: nx.Graph[int] = nx.Graph()
    graph.add_nodes_from(range(nodes))
    ends = np.frombuffer(pairs, dtype=np.int64).tolist()
    graph.add_edges_from(zip(ends[::2], ends[1::2], strict=True))
    parts = sorted(nx.connected_components(graph), key=lambda part: (-len(part), min(part)))
    spots = np.zeros((nodes, 2))
    wide, left, top, row = max(math.sqrt(nodes), math.sqrt(len(parts[0]))) * 1.3, 0.0, 0.0, 0.0
    for part in parts:
        side = math.sqrt(len(part))
        if left and left + side > wide:
            left, top, row = 0.0, top + row, 0.0
        members = sorted(part)
        laid = nx.kamada_kawai_layout(graph.subgraph(members)) if len(members) > 1 else {members[0]: np.zeros(2)}
        spots[members] = np.array([laid[node] for node in members]) * 0.45 * side + (left + side / 2, top + side / 2)
        left, row = left + side, max(row, side)
    spots -= spots.min(axis=0)
    spots *= WIDE / (float(np.ptp(spots[:, 0])) or 1.0)
    return spots[:, 0], spots[:, 1]


def _in_rows(panel: Panel, links: Pairs) -> tuple[Array, Array]:
    """Row by row, every other one backwards, in an order that keeps linked nodes together."""
    from mm4st_agent.imaging.space_order import fiedler_order

    count = len(panel.node_ids)
    order = fiedler_order(panel.adjacency()) if len(links) else np.arange(count)
    columns = math.ceil(math.sqrt(count * 4 / 3))
    row, column = np.divmod(np.arange(count), columns)
    column = np.where(row % 2, columns - 1 - column, column)
    x, y = np.empty(count), np.empty(count)
    x[order], y[order] = column * WIDE / columns, row * WIDE / columns
    return x, y
