"""`mm4st bench`: what we do against a peer, both measured in the same run; a ratio above 1 means we are ahead."""

from __future__ import annotations

import os
import platform
from typing import Any, TypedDict

from mm4st_agent.provenance import source_commit
from mm4st_agent.runtime import Runtime


class BenchRow(TypedDict):
    """One comparison; `ratio` is None where either figure is undefined."""

    name: str
    ours: float | None
    peer: float | None
    peer_name: str
    ratio: float | None
    unit: str
    better: str


def bench_forecast(runtime: Runtime) -> dict[str, Any]:
    """Compare every trained forecaster with each baseline, by test MAE over all its steps.

    The forecaster and the baselines run now, on the same windows and measured cells of the test part.

    Returns:
        `{rows, commit, machine}`; data sets whose files are missing here are left out.
    """
    from mm4st_agent.forecaster.backtest import run_backtest
    from mm4st_agent.forecaster.prediction import TrainedForecaster

    rows: list[BenchRow] = []
    for name in runtime.registry.names():
        if not runtime.registry.available(name):
            continue
        panel = runtime.registry.open(name)
        for channel in panel.card.channels:
            forecaster = runtime.forecaster(panel, channel)
            if not isinstance(forecaster, TrainedForecaster):
                continue
            errors = {
                row.model: row.mae
                for row in run_backtest(panel, channel, forecaster).errors.rows
                if row.horizon == "all"
            }
            ours = errors.pop(forecaster.name)
            rows += [
                _row(f"{name} {channel.name}: test MAE over all steps", ours, mae, peer, channel.unit)
                for peer, mae in errors.items()
            ]
    return {"rows": rows, "commit": source_commit(), "machine": _machine()}


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


def _row(name: str, ours: float | None, peer: float | None, peer_name: str, unit: str) -> BenchRow:
    ratio = peer / ours if ours and peer is not None else None
    return BenchRow(name=name, ours=ours, peer=peer, peer_name=peer_name, ratio=ratio, unit=unit, better="lower")


def _machine() -> str:
    return f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
