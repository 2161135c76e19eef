"""The side-by-side table, made from records alone."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

from eval.bench.bootstrap import mae_difference
from eval.bench.models import MODELS
from eval.bench.records import ALL, Record
from eval.bench.report import compared, report_of

if TYPE_CHECKING:
    from rich.table import Table

_STEPS = (3, 6, 12, 24)


def side_by_side_report(records: Sequence[Record]) -> dict[str, Any]:
    """`{rows, models, commit, machine, ...}`: each of ours against each peer and ours before it, and all figures.

    Records of one data set, channel and amount of training data. Figures are means over the seeds. Each row carries
    the difference in MAE, ours less the peer's, with its 95 % interval (paired block bootstrap by day).

    Raises:
        DataError: the records were tested on different cells.
    """
    by_model = {name: runs for name in MODELS if (runs := [record for record in records if record.model == name])}
    first = records[0]
    what = f"{first.dataset} {first.channel}" + (f", {first.shots.name}" if first.shots else "")
    rows = []
    names = list(by_model)
    for ours in (name for name in names if MODELS[name].ours):
        for peer in (name for name in names if not MODELS[name].ours or names.index(name) < names.index(ours)):
            for subset in first.subsets:
                mine, theirs = ([run.subsets[subset] for run in by_model[name]] for name in (ours, peer))
                gap = mae_difference([s.days for s in mine], [s.days for s in theirs])
                row = compared(
                    f"{what}: {ours}, test MAE, {_cells(subset)}",
                    _mean([s.total.mae for s in mine]),
                    _mean([s.total.mae for s in theirs]),
                    peer,
                    first.unit,
                )
                interval = {"difference": gap.mean, "low": gap.low, "high": gap.high, "days": gap.days}
                rows.append({**row, "model": ours, "cells": subset, **interval})
    return report_of(
        rows,
        dataset=first.dataset,
        channel=first.channel,
        unit=first.unit,
        shots=None if first.shots is None else first.shots.model_dump(),
        train=first.train.model_dump(mode="json"),
        validation=first.validation.model_dump(mode="json"),
        test=first.test.model_dump(mode="json"),
        windows=first.windows,
        stride=first.stride,
        mape_floor=first.mape_floor,
        subsets={name: {"description": s.description, "cells": s.total.cells} for name, s in first.subsets.items()},
        models=[_figures(name, runs) for name, runs in by_model.items()],
        note="commit and machine are of this call; every record names its own",
    )


def print_side_by_side(report: dict[str, Any], step_s: int) -> None:
    """Print the tables for people, on stdout."""
    from rich.console import Console

    console = Console()
    amount = (
        ""
        if report["shots"] is None
        else f", {report['shots']['which']} {report['shots']['share']:.0%} of the training part"
    )
    console.print(f"{report['dataset']}: {report['channel']} in {report['unit']}{amount}", highlight=False)
    console.print(_errors(report, step_s), "", _costs(report["models"]), "", sep="\n")
    for model in dict.fromkeys(row["model"] for row in report["rows"]):
        console.print(f"{MODELS[model].title} against each peer; below 1, and below 0, it is better:", highlight=False)
        console.print(_comparisons([row for row in report["rows"] if row["model"] == model]), "", sep="\n")
    console.print(
        f"{report['windows']} test windows, {report['subsets'][ALL]['cells']} measured cells. The columns of minutes "
        f"are the MAE at that step alone; MAPE leaves out truths below {report['mape_floor']:.3g} {report['unit']}.",
        highlight=False,
    )
    for name, subset in report["subsets"].items():
        if name != ALL:
            console.print(f"{name}: MAE on {subset['cells']} cells, {subset['description']}.", highlight=False)


def _errors(report: dict[str, Any], step_s: int) -> Table:
    models = report["models"]
    shown = [step for step in _STEPS if step <= len(models[0]["steps"])]
    events = [name for name in report["subsets"] if name != ALL]
    minutes = [f"{step * step_s / 60:g} min" for step in shown]
    table = _table("model", *minutes, "MAE", "RMSE", "MAPE %", *events, "in 80 %")
    table.padding = 0  # so that it fits 80 columns
    known = [model["subsets"][ALL]["mae"] for model in models]
    best = min((mae for mae in known if mae is not None), default=None)
    for model in models:
        total = model["subsets"][ALL]
        values = [model["steps"][step - 1]["mae"] for step in shown] + [total[k] for k in ("mae", "rmse", "mape")]
        values += [model["subsets"][name]["mae"] for name in events] + [total["coverage80"]]
        style = "bold" if best is not None and total["mae"] == best else None
        table.add_row(model["title"], *map(_text, values), style=style)
    return table


def _costs(models: Sequence[dict[str, Any]]) -> Table:
    table = _table("model", "seeds", "MAE sd", "weights", "epochs", "stopped by", "CPU s", "ms")
    for model in models:
        stopped = ", ".join(sorted({why for why in model["stopped"] if why}))
        table.add_row(
            model["title"], str(len(model["seeds"])), _text(model["mae_sd"]), _text(model["parameters"], "{:,}"),
            _text(model["epochs"], "{:.1f}"), stopped or "-", _text(model["train_cpu_s"], "{:.0f}"),
            _text(model["latency_ms"], "{:.2f}"),
        )  # fmt: skip
    return table


def _comparisons(rows: Sequence[dict[str, Any]]) -> Table:
    table = _table("peer", "cells", "ours / peer", "difference", "95 % interval", "days")
    for row in rows:
        share = None if not row["ratio"] else 1 / row["ratio"]
        interval = "-" if row["low"] is None else f"{row['low']:+.2f} .. {row['high']:+.2f}"
        figures = (_text(share, "{:.3f}"), _text(row["difference"], "{:+.2f}"), interval, str(row["days"]))
        table.add_row(MODELS[row["peer_name"]].title, row["cells"], *figures)
    return table


def _table(first: str, *others: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(first, no_wrap=True)
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _figures(name: str, runs: Sequence[Record]) -> dict[str, Any]:
    """Means over the seeds."""
    maes = [run.subsets[ALL].total.mae for run in runs]
    known = [mae for mae in maes if mae is not None]
    latencies = [run.latency_ms for run in runs if run.latency_ms is not None]
    return {
        "model": name,
        "title": MODELS[name].title,
        "ours": MODELS[name].ours,
        "seeds": [run.seed for run in runs],
        "parameters": runs[0].parameters,
        "train_s": fmean(run.train_s for run in runs),
        "train_cpu_s": fmean(run.train_cpu_s for run in runs),
        "validation_mae": _mean([run.validation_mae for run in runs]),
        "epochs": _mean([run.epochs for run in runs]),
        "stopped": [run.stopped for run in runs],
        "latency_ms": fmean(latencies) if latencies else None,
        "mae_sd": stdev(known) if len(known) > 1 else None,
        "subsets": {
            subset: _averaged([run.subsets[subset].total.model_dump() for run in runs]) for subset in runs[0].subsets
        },
        "steps": [
            _averaged([run.subsets[ALL].steps[step].model_dump() for run in runs]) for step in range(runs[0].horizon)
        ],
        "commits": sorted({f"{run.commit}{'-dirty' if run.dirty else ''}" for run in runs}),
        "machines": sorted({run.machine for run in runs}),
    }


def _averaged(figures: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {key: _mean([each[key] for each in figures]) for key in ("mae", "rmse", "mape", "coverage80")}


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known and len(known) == len(values) else None


def _cells(subset: str) -> str:
    return "all windows" if subset == ALL else f"event windows ({subset})"


def _text(value: float | None, form: str = "{:.4g}") -> str:
    return "-" if value is None else form.format(value)
