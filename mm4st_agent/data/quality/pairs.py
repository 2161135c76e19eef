"""Neighbours whose readings contradict each other, and nodes that are copies of one another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mm4st_agent.data.panel import Panel

NEAREST = 3
"""Where there are no edges, a node's neighbours are so many nearest by coordinates."""
LEAST_PAIRS = 6
"""Fewer pairs do not say what is usual."""
LEAST_BINS = 48
USUAL_AGREEMENT = 0.5
"""Three of four neighbouring pairs must correlate at least so well before any can stand out."""
FAR_BELOW = 0.7
"""How far below these three of four a pair's correlation contradicts."""
LEAST_RATIO = 2.0
MOST_BINS = 2048
_AT_ONCE = 512


@dataclass(frozen=True)
class Contradiction:
    """Two neighbours (positions): `correlation`, and `usual`, what three of four pairs exceed; or a ratio of counts."""

    source: int
    target: int
    value: float
    usual: float
    kind: Literal["correlation", "ratio"]


def neighbours(panel: Panel, ids: list[str]) -> tuple[NDArray[np.intp], bool]:
    """`(E, 2)` positions among `ids` of neighbouring nodes, each pair once, and whether they are directed links.

    The panel's edges between different nodes; without edges each node's nearest ones by great circle.
    """
    index = pd.Index(ids)
    if len(panel.edges):
        ends = np.stack([index.get_indexer(pd.Index(panel.edges[end].astype(str))) for end in ("source", "target")], 1)
        ends = ends[(ends >= 0).all(axis=1) & (ends[:, 0] != ends[:, 1])]
        both = {tuple(pair) for pair in ends.tolist()}
        directed = not any((b, a) in both for a, b in both)
    else:
        ends, directed = _nearest(panel, ids), False
    key = np.sort(ends, axis=1)
    _, first = np.unique(key, axis=0, return_index=True) if len(ends) else (None, np.empty(0, dtype=np.intp))
    return ends[np.sort(first)], directed


def _nearest(panel: Panel, ids: list[str]) -> NDArray[np.intp]:
    none = np.empty((0, 2), dtype=np.intp)
    if "lat" not in panel.data.coords or "lon" not in panel.data.coords:
        return none
    where = pd.Index(panel.node_ids).get_indexer(pd.Index(ids))
    places = np.stack([np.asarray(panel.data.coords[axis].to_numpy(), float)[where] for axis in ("lat", "lon")], 1)
    known = np.flatnonzero(np.isfinite(places).all(axis=1))
    if len(known) < 2:
        return none
    from sklearn.neighbors import BallTree

    tree = BallTree(np.radians(places[known]), metric="haversine")
    found = tree.query(np.radians(places[known]), k=min(NEAREST + 1, len(known)), return_distance=False)
    pairs = [(known[i], known[j]) for i, row in enumerate(found) for j in row if i != j]
    return np.array(pairs, dtype=np.intp).reshape(-1, 2)


def contradictions(
    binned: NDArray[np.float32], pairs: NDArray[np.intp], *, directed: bool, counts: bool
) -> list[Contradiction]:
    """Pairs that are incompatible, by two rules.

    1. Where neighbours agree (three of four pairs have a correlation of at least `USUAL_AGREEMENT`), a pair whose
       correlation lies `FAR_BELOW` beneath these three of four contradicts itself.
    2. What is counted must go on: along a directed link that is the only one out of its source and the only one
       into its target, the ratio of the medians may differ from the usual ratio by `LEAST_RATIO` and by four
       robust standard deviations (in logarithms), not by more. Ramps that are not measured are within that.

    Args:
        binned: `(N, B)` mean reading in each of B equal stretches of time, in the channel's unit; NaN is unknown.
        pairs: `(E, 2)` positions, each pair once.
        directed: Whether pairs run from source to target.
        counts: Whether the channel counts what passes.
    """
    if len(pairs) < LEAST_PAIRS or binned.shape[1] < LEAST_BINS:
        return []
    alike = np.concatenate([_correlation(binned[part[:, 0]], binned[part[:, 1]]) for part in _chunks(pairs)])
    found = []
    if np.isfinite(alike).sum() >= LEAST_PAIRS:
        usual = float(np.nanquantile(alike, 0.25))
        if usual >= USUAL_AGREEMENT:
            odd = np.flatnonzero(alike < usual - FAR_BELOW)
            found += [
                Contradiction(int(pairs[i, 0]), int(pairs[i, 1]), float(alike[i]), usual, "correlation") for i in odd
            ]
    if directed and counts:
        found += _broken_flow(binned, pairs)
    return found


def _broken_flow(binned: NDArray[np.float32], pairs: NDArray[np.intp]) -> list[Contradiction]:
    nodes = len(binned)
    out, into = np.bincount(pairs[:, 0], minlength=nodes), np.bincount(pairs[:, 1], minlength=nodes)
    single = pairs[(out[pairs[:, 0]] == 1) & (into[pairs[:, 1]] == 1)]
    if len(single) < LEAST_PAIRS:
        return []
    ratio = np.full(len(single), np.nan)
    for row, (source, target) in enumerate(single):
        both = np.isfinite(binned[source]) & np.isfinite(binned[target])
        if np.count_nonzero(both) >= LEAST_BINS:
            first, second = np.median(binned[source, both]), np.median(binned[target, both])
            ratio[row] = np.log(second / first) if first > 0 and second > 0 else np.nan
    known = ratio[np.isfinite(ratio)]
    if len(known) < LEAST_PAIRS:
        return []
    usual = float(np.median(known))
    spread = 1.4826 * float(np.median(np.abs(known - usual)))
    odd = np.flatnonzero(np.abs(ratio - usual) > max(np.log(LEAST_RATIO), 4 * spread))
    return [
        Contradiction(int(single[i, 0]), int(single[i, 1]), float(np.exp(ratio[i])), float(np.exp(usual)), "ratio")
        for i in odd
    ]


def _chunks(pairs: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    return [pairs[first : first + _AT_ONCE] for first in range(0, len(pairs), _AT_ONCE)]


def _correlation(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float64]:
    """`(E,)` Pearson correlation of the rows over what both know; NaN where that is too little or constant."""
    both = np.isfinite(one) & np.isfinite(other)
    count = both.sum(axis=1)
    safe = np.maximum(count, 1)[:, None]
    a, b = np.where(both, one, 0.0).astype(np.float64), np.where(both, other, 0.0).astype(np.float64)
    a, b = (np.where(both, side - side.sum(axis=1, keepdims=True) / safe, 0.0) for side in (a, b))
    size = np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    known = (count >= LEAST_BINS) & (size > 0)
    return np.asarray(np.divide((a * b).sum(axis=1), size, out=np.full(len(size), np.nan), where=known))
