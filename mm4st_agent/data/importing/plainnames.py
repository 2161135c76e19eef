"""Names from a file that a terminal, a table or a prompt can show: one line, nothing invisible that acts."""

from __future__ import annotations

import dataclasses
import re
import unicodedata
from collections.abc import Hashable

from mm4st_agent.data.importing.draft import Finding, Source
from mm4st_agent.errors import DataError

MAX_NAME = 200
"""Characters of the id of a node."""

_TURNING = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Marks that show text in another order than it is written."""


def plain_name(name: str) -> str:
    """The name in one line: blanks and line breaks are one space; control characters and marks of order go."""
    kept = "".join(c for c in _TURNING.sub("", name) if c.isspace() or unicodedata.category(c) != "Cc")
    return " ".join(kept.split())


def with_plain_ids(source: Source) -> Source:
    """The source with ids of nodes that can be shown; what had to be changed is a finding.

    Raises:
        DataError: an id is too long to be one, or two would be the same.
    """
    longest = max(source.node_ids, key=len, default="")
    if len(longest) > MAX_NAME:
        raise DataError(
            f"{source.path}: the node id {longest[:40]!r}... has {len(longest):,} characters; at most {MAX_NAME} are "
            "read.",
            "Call it something short, and put the rest into the sensor table as its name.",
        )
    ids = tuple(map(plain_name, source.node_ids))
    if ids == source.node_ids:
        return source
    changed = [(old, new) for old, new in zip(source.node_ids, ids, strict=True) if old != new]
    for old, new in changed:
        if not new or ids.count(new) > 1:
            raise DataError(
                f"{source.path}: without its control characters the node id {old!r} is empty, or that of another node.",
                "Ids must differ.",
            )
    renamed: dict[Hashable, str] = dict(changed)
    nodes = None if source.nodes is None else source.nodes.rename(index=renamed)
    why = f"They had line breaks, control characters or several blanks, such as {changed[0][0]!r}."
    found = Finding("node ids", f"{len(changed):,} in one line", why, "mended")
    return dataclasses.replace(source, node_ids=ids, nodes=nodes, findings=(*source.findings, found))
