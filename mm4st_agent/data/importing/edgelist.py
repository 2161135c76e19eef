"""How the nodes are linked: edge lists and adjacency matrices, of weights or of distances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mm4st_agent.data.importing.cells import listed, pick, plain, read_cells, short, texts
from mm4st_agent.data.importing.draft import Finding
from mm4st_agent.data.importing.matrix import NO_PICKLE, first_row, is_text, matrix_blocks, matrix_edges
from mm4st_agent.data.importing.safety import PICKLE_SUFFIXES, WHY_NO_PICKLE
from mm4st_agent.data.importing.values import numbers
from mm4st_agent.errors import DataError

ENDS = ("", "_id", "_node", "_sensor", "_station")
SOURCE_NAMES = tuple(
    f"{n}{end}" for n in ("from", "source", "src", "start", "origin", "i", "u", "node1") for end in ENDS
)
TARGET_NAMES = tuple(
    f"{n}{end}" for n in ("to", "target", "dst", "dest", "destination", "end", "j", "v", "node2") for end in ENDS
)
DISTANCE_NAMES = ("cost", "distance", "dist", "length", "km", "miles", "metres", "meters")
WEIGHT_NAMES = ("weight", "w", "similarity", "adjacency", "strength")
UNITS = {
    "m": "m",
    "metres": "m",
    "meters": "m",
    "km": "km",
    "mi": "mile",
    "mile": "mile",
    "miles": "mile",
    "ft": "ft",
    "feet": "ft",
    "s": "s",
    "min": "min",
    "minutes": "min",
}
MIN_WEIGHT = 0.1
"""Of all pairs; the threshold that DCRNN published for its kernel."""


def read_edges(
    path: Path, node_ids: Sequence[str], units: Mapping[str, str] | None = None
) -> tuple[pd.DataFrame, tuple[Finding, ...]]:
    """Read directed edges between the nodes.

    Distances become weights exp(-(d / sigma)^2), sigma being the standard deviation of the distances between
    different nodes. Road links all stay. A list of pairs is cut at weights of 0.1: pairs it is, where it has more
    entries than a road map could have, 6 N - 12 (Euler: a planar graph of N nodes has at most 3 N - 6 edges, here
    counted both ways).

    Args:
        path: An edge list (CSV and the like: from, to and, where known, a distance or a weight; by node id or by
            position from 0), or an N x N matrix (CSV without or with ids, .npy, .npz): entries within 0..1 are
            weights, others distances; 0, NaN and infinity mean no edge.
        node_ids: `(N,)`.
        units: The unit of the distances under 'distance' or the column's name, where the person states it.

    Returns:
        Columns `source`, `target` (node ids), `weight` in (0, 1], and `distance` where there are any; no edge from
        a node to itself, none twice.

    Raises:
        DataError: it is neither, does not fit the nodes, or holds an impossible number; the message names row,
            column and value. Also a pickle, which is never opened.

    Source:
        Li et al. (2018), arXiv:1707.01926, the Gaussian kernel of section 4 (DCRNN).
    """
    if path.name.lower().endswith(PICKLE_SUFFIXES):
        raise DataError(f"{path} is a Python pickle, which is never opened: {WHY_NO_PICKLE}.", NO_PICKLE)
    if not path.is_file():
        raise DataError(f"There is no file {path}.")
    findings: list[Finding] = []
    blocks = None if _is_list(path) else matrix_blocks(path, node_ids)
    is_distance: bool | None = None
    unit = ""
    if blocks is not None:
        edges = matrix_edges(path, blocks)
        findings.append(Finding("edges", "a matrix", "0, NaN and infinity mean no edge.", "inferred"))
    else:
        edges, is_distance, unit = _from_list(path, node_ids, findings)
    if is_distance is None:
        is_distance = bool((edges["value"] > 1).any())
        what = "distances" if is_distance else "weights"
        findings.append(
            Finding("edge values", what, f"they reach {edges['value'].max():g}; weights lie within 0..1.", "inferred")
        )
    edges = _without_loops_and_repeats(edges, is_distance, findings)
    edges = _weighted(path, edges, len(node_ids), findings) if is_distance else _checked_weights(path, edges, findings)
    if is_distance:
        _say_unit(unit or (units or {}).get("distance", ""), bool(unit), findings)
    if edges.empty:
        raise DataError(f"{path} links no two of the nodes.", "Leave it out if the nodes are not linked.")
    ids = np.array(node_ids, dtype=object)
    _say_direction(edges, len(ids), findings)
    named = {"source": ids[edges["i"].to_numpy()], "target": ids[edges["j"].to_numpy()]}
    values = {name: edges[name].to_numpy() for name in ("weight", "distance") if name in edges}
    return pd.DataFrame(named | values), tuple(findings)


# -- edge lists -----------------------------------------------------------------------------


def _is_list(path: Path) -> bool:
    """Whether its header names two ends."""
    if not is_text(path):
        return path.suffix.lower() not in (".npy", ".npz")
    header = {plain(cell) for cell in first_row(path)}
    return bool(header & set(SOURCE_NAMES)) and bool(header & set(TARGET_NAMES))


def _from_list(path: Path, node_ids: Sequence[str], findings: list[Finding]) -> tuple[pd.DataFrame, bool | None, str]:
    """Columns i, j (positions), value; whether the values are distances (None: not said), and their unit."""
    table = read_cells(path)
    source, target = pick(table, SOURCE_NAMES), pick(table, TARGET_NAMES)
    if source is None or target is None:
        # A list without a header has its columns numbered.
        if list(table.columns) not in (["0", "1"], ["0", "1", "2"]):
            raise DataError(
                f"{path} is no edge list and no matrix of {len(node_ids)} x {len(node_ids)} numbers: its columns are "
                f"{listed(table.columns)}.",
                "Name the columns from, to and distance (or weight), or give a square matrix in the node order.",
            )
        source, target = "0", "1"
    i, j = _positions(path, table, source, target, node_ids, findings)
    rest = [str(column) for column in table.columns if column not in (source, target)]
    column, is_distance, unit = _value_column(table, rest)
    value = np.ones(len(table)) if column is None else numbers(path, table[column])
    bad = np.isnan(value) | (value < 0)
    if column is not None and bad.any():
        row = table.index[bad][0]
        raise DataError(
            f"{path}, row {row}, column {column!r}: {short(table.loc[row, column])} is no distance or weight.",
            "Give a number that is not negative, or leave the row out.",
        )
    if column is None:
        findings.append(Finding("edge values", "1", "the list has neither distances nor weights.", "assumed"))
    elif is_distance is not None:
        what = "distances" if is_distance else "weights"
        findings.append(Finding("edge values", what, f"by the name of the column {column!r}.", "inferred"))
    inside = (i >= 0) & (j >= 0)
    edges = pd.DataFrame({"i": i[inside], "j": j[inside], "value": value[inside]}, index=table.index[inside])
    return edges, is_distance, unit


def _value_column(table: pd.DataFrame, rest: Sequence[str]) -> tuple[str | None, bool | None, str]:
    """The column of the distances or weights, whether it holds distances, and the unit that its name states."""
    for column in rest:
        words = plain(column).split("_")
        unit = next((UNITS[word] for word in words[1:] or words if word in UNITS), "")
        if any(word in DISTANCE_NAMES for word in words):
            return column, True, unit
        if words[0] in WEIGHT_NAMES:
            return column, False, ""
    third = pick(table[list(rest)], ("2", "value"))
    return third, False if third is None else None, ""


def _positions(
    path: Path, table: pd.DataFrame, source: str, target: str, node_ids: Sequence[str], findings: list[Finding]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Both ends of each row as positions in the node order, -1 for what is no node."""
    ends = [texts(table[column]) for column in (source, target)]
    index = pd.Index(list(node_ids), dtype=object)
    by_id = [np.asarray(index.get_indexer(pd.Index(end, dtype=object)), dtype=np.int64) for end in ends]
    counts = [pd.to_numeric(end, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan) for end in ends]
    counted = [np.where((n == np.round(n)) & (n >= 0) & (n < len(index)), n, -1).astype(np.int64) for n in counts]
    as_ids, as_positions = (int(((i >= 0) & (j >= 0)).sum()) for i, j in (by_id, counted))
    if as_positions > as_ids and as_positions == len(table):
        findings.append(
            Finding(
                "edge ends",
                "positions from 0",
                f"all {len(table):,} rows fit the {len(index)} nodes; as node ids {as_ids:,} do.",
                "inferred",
            )
        )
        return counted[0], counted[1]
    if as_ids == 0:
        wrong = next((end.iloc[k] for k in range(len(table)) for end in ends if end.iloc[k] not in index), "")
        hint = f"Ids here are such as {listed(node_ids, 3)}; positions count from 0 to {len(index) - 1}."
        raise DataError(f"{path}: no row links two of the nodes; {short(wrong)} is none, for instance.", hint)
    findings.append(Finding("edge ends", "node ids", f"{as_ids:,} of {len(table):,} rows name two nodes.", "inferred"))
    if as_ids < len(table):
        unknown = sorted({cell for end, at in zip(ends, by_id, strict=True) for cell in end[at < 0]})
        findings.append(
            Finding(
                "edges left out",
                f"{len(table) - as_ids:,} rows",
                f"{len(unknown):,} of their ends have no readings: {listed(unknown)}.",
                "inferred",
            )
        )
    return by_id[0], by_id[1]


# -- from values to weights -----------------------------------------------------------------


def _without_loops_and_repeats(edges: pd.DataFrame, is_distance: bool, findings: list[Finding]) -> pd.DataFrame:
    loops = edges["i"] == edges["j"]
    if loops.any():
        findings.append(
            Finding("edges left out", f"{loops.sum():,} from a node to itself", "they link nothing.", "mended")
        )
    edges = edges[~loops]
    twice = edges.duplicated(["i", "j"], keep=False)
    if not twice.any():
        return edges
    kept = edges.sort_values("value", ascending=is_distance, kind="stable").drop_duplicates(["i", "j"]).sort_index()
    which = "shortest" if is_distance else "strongest"
    findings.append(
        Finding("edges twice", f"{len(edges) - len(kept):,} rows", f"the {which} of each counts.", "mended")
    )
    return kept


def _checked_weights(path: Path, edges: pd.DataFrame, findings: list[Finding]) -> pd.DataFrame:
    above = edges["value"] > 1
    if above.any():
        row = edges.index[above][0]
        raise DataError(
            f"{path}, row {row}: the weight {edges.loc[row, 'value']:g} is above 1.",
            "Divide the weights by the largest; call the column 'distance' if that is what they are.",
        )
    none = edges["value"] == 0
    if none.any():
        findings.append(Finding("edges left out", f"{none.sum():,} of weight 0", "they link nothing.", "mended"))
    return edges[~none].rename(columns={"value": "weight"})


def _weighted(path: Path, edges: pd.DataFrame, count: int, findings: list[Finding]) -> pd.DataFrame:
    """Distances and the weights that they give."""
    if edges.empty:
        return edges.assign(weight=[], distance=[])
    distance = edges["value"].to_numpy()
    with np.errstate(over="ignore"):
        sigma = float(distance.std())
    if not np.isfinite(sigma):
        raise DataError(
            f"{path}: the distances reach {distance.max():g}, which cannot be.",
            "Leave pairs without a link out, or give them infinity or 0 in a matrix.",
        )
    if sigma > 1e-12 * distance.max():
        # Even the farthest link keeps a weight that is not 0.
        weight = np.maximum(np.exp(-((distance / sigma) ** 2)), np.finfo(np.float64).tiny)
        findings.append(
            Finding(
                "edge weights",
                f"exp(-(d / {sigma:.4g})^2)",
                "the Gaussian kernel of DCRNN; sigma is the standard deviation of the distances.",
                "assumed",
            )
        )
    else:
        weight = np.ones(len(distance))
        findings.append(Finding("edge weights", "1", "all distances are equal.", "assumed"))
    edges = edges.drop(columns="value").assign(weight=weight, distance=distance)
    most = 6 * count - 12 if count >= 3 else count * (count - 1)
    if len(edges) <= most:
        return edges
    kept = edges[edges["weight"] >= MIN_WEIGHT]
    findings.append(
        Finding(
            "edges left out",
            f"{len(edges) - len(kept):,} of a weight below {MIN_WEIGHT}",
            f"{len(edges):,} entries are more than the {most:,} links that a road map of {count} nodes "
            "can have, so these are pairs, not road links (as in DCRNN).",
            "mended",
        )
    )
    return kept


def _say_unit(unit: str, by_name: bool, findings: list[Finding]) -> None:
    if unit:
        why = "by the name of the column." if by_name else "as stated."
        findings.append(Finding("unit of distances", unit, why, "inferred" if by_name else "stated"))
    else:
        why = "nothing states it; weights do not depend on it."
        findings.append(Finding("unit of distances", "unknown", why, "assumed"))


def _say_direction(edges: pd.DataFrame, count: int, findings: list[Finding]) -> None:
    forth = edges["i"].to_numpy(dtype=np.int64) * count + edges["j"].to_numpy(dtype=np.int64)
    back = edges["j"].to_numpy(dtype=np.int64) * count + edges["i"].to_numpy(dtype=np.int64)
    returned = int(np.isin(back, forth).sum())
    how = "both ways" if returned == len(edges) else "directed"
    findings.append(Finding("edges", f"{len(edges):,}, {how}", f"{returned:,} of them have an edge back.", "inferred"))
