"""`mm4st bench forecast`: every trained forecaster against each baseline."""

from __future__ import annotations

from typing import Any

from eval.bench.report import BenchRow, compared, report_of
from mm4st_agent.runtime import Runtime


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
                compared(f"{name} {channel.name}: test MAE over all steps", ours, mae, peer, channel.unit)
                for peer, mae in errors.items()
            ]
    return report_of(rows)
