"""What every benchmark reports: rows of ours against a peer's, measured in the same run."""

from __future__ import annotations

import os
import platform
from typing import Any, Literal, TypedDict

from mm4st_agent.provenance import source_commit


class BenchRow(TypedDict):
    """One comparison; `ratio` is above 1 where we are ahead, and None where either figure is undefined."""

    name: str
    ours: float | None
    peer: float | None
    peer_name: str
    ratio: float | None
    unit: str
    better: Literal["lower", "higher"]


def compared(
    name: str,
    ours: float | None,
    peer: float | None,
    peer_name: str,
    unit: str,
    better: Literal["lower", "higher"] = "lower",
) -> BenchRow:
    """A row with its ratio."""
    ahead, behind = (peer, ours) if better == "lower" else (ours, peer)
    ratio = ahead / behind if ahead is not None and behind else None
    return BenchRow(name=name, ours=ours, peer=peer, peer_name=peer_name, ratio=ratio, unit=unit, better=better)


def report_of(rows: list[Any], **more: Any) -> dict[str, Any]:
    """`{rows, commit, machine}` and what else the benchmark tells."""
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    return {"rows": rows, "commit": source_commit(), "machine": machine, **more}


def print_rows(report: dict[str, Any]) -> None:
    """Print the rows for people, on stdout."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"commit {report['commit']}, {report['machine']}")
    more = {name: key for name, key in _MORE.items() if any(row.get(key) for row in report["rows"])}
    for column in ("what", "ours", "peer", "peer's name", "ratio", "unit", *more):
        words = column in ("what", "peer's name", "missed")
        table.add_column(column, justify="left" if words else "right", no_wrap=not words)
    for row in report["rows"]:
        ours, peer, ratio = (_cell(row[key]) for key in ("ours", "peer", "ratio"))
        rest = (_cell(row.get(key)) for key in more.values())
        table.add_row(row["name"], ours, peer, row["peer_name"], ratio, row["unit"], *rest)
    Console().print(table)


_MORE = {"fill share": "fill_share", "peak MB": "peak_mb", "missed": "missed"}
"""Columns that only some benchmarks measure, and their keys."""


def _cell(value: float | list[str] | None) -> str:
    if isinstance(value, list):
        return "; ".join(value)
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
