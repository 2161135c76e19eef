"""The node table of a draft: what the sensor table and the file itself say about each node of the readings."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mm4st_agent.data.importing.draft import Finding, Layers, Source
from mm4st_agent.errors import DataError


def node_table(source: Source, layers: Layers, findings: list[Finding]) -> pd.DataFrame:
    """One row a node in the order of the readings: name, kind, lat, lon and what else is known.

    Args:
        source: The readings; its own table of nodes gives way to that of `layers`.
        layers: With the sensor table.
        findings: What does not fit is added.

    Raises:
        DataError: the sensor table describes none of the nodes.
    """
    ids = pd.Index(source.node_ids, name="id", dtype=object)
    known = source.nodes.reindex(ids) if source.nodes is not None else pd.DataFrame(index=ids)
    if layers.nodes is not None:
        table = layers.nodes.set_axis(layers.nodes.index.astype(str))
        lacking, further = ids.difference(table.index, sort=False), table.index.difference(ids, sort=False)
        if len(lacking) == len(ids):
            raise DataError(
                f"The sensor table describes none of the nodes of {source.path}: they are called {_some(ids)}, "
                f"those of the table {_some(table.index)}.",
                "Name the column with the ids as in the readings, or rename them.",
            )
        if len(lacking):
            why = f"The sensor table does not have them: {_some(lacking)}. They stay without a place."
            findings.append(Finding("nodes without a place", f"{len(lacking)} of {len(ids)}", why, "inferred"))
        if len(further):
            why = f"The sensor table has them, but there are no readings of them: {_some(further)}. They are left out."
            findings.append(Finding("nodes without readings", f"{len(further)}", why, "inferred"))
        table = table[~table.index.duplicated()].reindex(ids)
        known = table.combine_first(known)[[*table.columns, *(c for c in known.columns if c not in table.columns)]]
    nodes = pd.DataFrame(index=ids)
    names = known["name"].to_numpy(dtype=object) if "name" in known else ids.to_numpy()
    nodes["name"] = pd.Series(
        [str(n).strip() if isinstance(n, str) and n.strip() else i for n, i in zip(names, ids, strict=True)],
        index=ids, dtype=object,
    )  # fmt: skip
    kinds = known["kind"].to_numpy(dtype=object) if "kind" in known else np.full(len(ids), "", dtype=object)
    nodes["kind"] = pd.Series([k if isinstance(k, str) else "" for k in kinds], index=ids, dtype=object)
    for column in ("lat", "lon"):
        values = pd.to_numeric(known[column], errors="coerce") if column in known else np.nan
        nodes[column] = pd.Series(values, index=ids, dtype=np.float64)
    for column in known.columns:
        if column not in nodes:
            nodes[str(column)] = known[column]
    return nodes


def _some(names: pd.Index) -> str:
    return ", ".join(map(str, names[:3])) + (", ..." if len(names) > 3 else "")
