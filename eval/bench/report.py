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
    for column in ("what", "ours", "peer", "peer's name", "ratio", "unit"):
        table.add_column(column)
    for row in report["rows"]:
        figures = [f"{row[key]:.4g}" if row[key] is not None else "-" for key in ("ours", "peer", "ratio")]
        table.add_row(row["name"], figures[0], figures[1], row["peer_name"], figures[2], row["unit"])
    Console().print(table)
