"""How often `detect_patterns` is right on series nobody tuned it for: `python -m mm4st_agent.patterns.testbed`.

Seeds 0 to 99 are for development. The published figures come from `REPORT_SEED`, on which nothing was tuned.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import cast

import numpy as np

from mm4st_agent.patterns.detect import detect_patterns
from mm4st_agent.patterns.generated import GENERATORS, Answer, Case
from mm4st_agent.patterns.report import Anomaly, Patterns

REPORT_SEED = 20_000
PER_KIND = 100
STEP_S = 300.0


def _number(answer: Answer, name: str) -> float:
    return float(cast(float, answer[name]))


def _quiet(found: Patterns) -> bool:
    """No trend, no cycle, no change of level and no anomaly: nothing but noise."""
    trend = found.trend is not None and found.trend.kind != "none"
    levels = any(change.kind == "level" for change in found.changes)
    return not (trend or found.periods or levels or found.anomalies)


def _period(found: Patterns, case: Case) -> bool:
    true = _number(case.answer, "period")
    return bool(found.periods) and abs(found.periods[0].steps / true - 1) <= 0.02


def _wave(found: Patterns, case: Case) -> bool:
    assert found.trend is not None
    return _period(found, case) and found.periods[0].waveform == case.answer["waveform"] and found.trend.kind == "none"


def _colour(kind: str) -> Callable[[Patterns, Case], bool]:
    def right(found: Patterns, case: Case) -> bool:
        return found.noise is not None and found.noise.kind == kind and _quiet(found)

    return right


def _clustered(found: Patterns, case: Case) -> bool:
    return found.volatility is not None and found.volatility.clustered


def _trend(kind: str) -> Callable[[Patterns, Case], bool]:
    def right(found: Patterns, case: Case) -> bool:
        if found.trend is None or found.trend.kind != kind or found.trend.slope_per_hour is None:
            return False
        rise = found.trend.slope_per_hour * (found.steps - 1) * STEP_S / 3600
        return abs(rise / _number(case.answer, "rise") - 1) <= 0.25

    return right


def _mode(found: Patterns, case: Case) -> bool:
    return _period(found, case) and found.seasonality is not None and found.seasonality.mode == case.answer["mode"]


def _change(kind: str, near: float) -> Callable[[Patterns, Case], bool]:
    def right(found: Patterns, case: Case) -> bool:
        (true,) = cast(list[int], case.answer["changes"])
        steps = [change.step for change in found.changes if change.kind == kind]
        quiet = kind == "level" or all(change.kind == kind for change in found.changes)
        return quiet and len(steps) == 1 and abs(steps[0] - true) <= near * found.steps

    return right


def _regimes(found: Patterns, case: Case) -> bool:
    regimes = found.regimes
    if regimes is None or regimes.by != "level" or len(regimes.states) != 2:
        return False
    low, high, switches = (_number(case.answer, name) for name in ("low", "high", "switches"))
    near = 0.2 * (high - low)
    levels = abs(regimes.states[0] - low) <= near and abs(regimes.states[1] - high) <= near
    return levels and abs(regimes.switches - switches) <= max(1, 0.2 * switches)


def _spikes(found: Patterns, case: Case) -> bool:
    true = cast(list[int], case.answer["steps"])
    said = [anomaly for anomaly in found.anomalies if anomaly.kind == "spike"]
    hits = sum(any(a.start <= step <= a.end for a in said) for step in true)
    return 2 * hits / (len(true) + len(said)) >= 0.8 if said else False


def _stretch(kinds: tuple[str, ...], share: float) -> Callable[[Patterns, Case], bool]:
    def overlap(anomaly: Anomaly, case: Case) -> float:
        first, last = _number(case.answer, "first"), _number(case.answer, "last")
        common = min(anomaly.end, last) - max(anomaly.start, first) + 1
        return max(0.0, common) / (max(anomaly.end, last) - min(anomaly.start, first) + 1)

    def right(found: Patterns, case: Case) -> bool:
        said = [anomaly for anomaly in found.anomalies if anomaly.kind in kinds]
        levels = any(change.kind == "level" for change in found.changes)
        return not levels and len(said) == 1 and overlap(said[0], case) >= share

    return right


def _lag(found: Patterns, case: Case) -> bool:
    relation = found.relation
    return relation is not None and relation.related and abs(relation.lag - _number(case.answer, "lag")) <= 1


def _granger(found: Patterns, case: Case) -> bool:
    return found.relation is not None and found.relation.granger == case.answer["granger"]


def _unrelated(found: Patterns, case: Case) -> bool:
    return found.relation is not None and not found.relation.related


_QUIET = "and no trend, cycle, level change or anomaly is reported"

RULES: Mapping[str, tuple[str, Callable[[Patterns, Case], bool]]] = MappingProxyType(
    {
        "sine": ("strongest period within 2 %, waveform named, no trend", _wave),
        "square": ("strongest period within 2 %, waveform named, no trend", _wave),
        "sawtooth": ("strongest period within 2 %, waveform named, no trend", _wave),
        "random walk": (f"noise is a random walk, {_QUIET}", _colour("random walk")),
        "ar": (f"noise is AR, {_QUIET}", _colour("ar")),
        "ma": (f"noise is MA, {_QUIET}", _colour("ma")),
        "white noise": (f"noise is white, {_QUIET}", _colour("white")),
        "volatility clustering": ("volatility is clustered", _clustered),
        "linear trend": ("kind of trend, whole rise within 25 %", _trend("linear")),
        "exponential trend": ("kind of trend, whole rise within 25 %", _trend("exponential")),
        "logarithmic trend": ("kind of trend, whole rise within 25 %", _trend("logarithmic")),
        "additive seasonality": ("strongest period within 2 %, mode named", _mode),
        "multiplicative seasonality": ("strongest period within 2 %, mode named", _mode),
        "level shift": ("one level change, within 1 % of the length", _change("level", 0.01)),
        "regime switching": ("two states within 20 % of their gap, switches within 20 % or 1", _regimes),
        "variance change": (
            "one variance change, within 3 % of the length, and no level change",
            _change("variance", 0.03),
        ),
        "spikes": ("F1 score of the spikes at least 0.8", _spikes),
        "excursion": (
            "one excursion, overlap with the true one at least 0.7, and no level change",
            _stretch(("excursion",), 0.7),
        ),
        "flip": ("one flip, overlap with the true one at least 0.7, and no level change", _stretch(("flip",), 0.7)),
        "cut-off": (
            "one cut-off, overlap with the true one at least 0.9, and no level change",
            _stretch(("flat", "clipped"), 0.9),
        ),
        "lagged pair": ("related, lag within 1 step", _lag),
        "granger": ("direction", _granger),
        "unrelated pair": ("not related", _unrelated),
    }
)
"""When an answer counts as right, in words and as a test."""


def case_of(kind: str, seed: int, index: int) -> Case:
    """The generated case number `index` of a kind; the same for the same arguments."""
    return GENERATORS[kind](np.random.default_rng([seed, list(GENERATORS).index(kind), index]))


def is_right(kind: str, case: Case) -> bool:
    """Whether `detect_patterns` is right about the case, by the rule of its kind."""
    return RULES[kind][1](detect_patterns(case.values, STEP_S, other=case.other), case)


def accuracy(
    seed: int = REPORT_SEED, per_kind: int = PER_KIND, advance: Callable[[], None] | None = None
) -> dict[str, tuple[int, int]]:
    """Right and asked, by kind.

    Args:
        seed: Of the generated series.
        per_kind: How many of each kind.
        advance: Called after each series, for a progress bar.
    """
    counts = {}
    for kind in GENERATORS:
        right = 0
        for index in range(per_kind):
            right += is_right(kind, case_of(kind, seed, index))
            if advance is not None:
                advance()
        counts[kind] = right, per_kind
    return counts


def main(arguments: list[str] | None = None) -> None:
    """Print the table (or one JSON object) on stdout; the progress bar goes to stderr."""
    from rich.console import Console
    from rich.progress import Progress

    parser = argparse.ArgumentParser(prog="python -m mm4st_agent.patterns.testbed", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    parser.add_argument("--seed", type=int, default=REPORT_SEED)
    parser.add_argument("--per-kind", type=int, default=PER_KIND)
    chosen = parser.parse_args(arguments)
    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("detecting", total=len(GENERATORS) * chosen.per_kind)
        counts = accuracy(chosen.seed, chosen.per_kind, lambda: progress.advance(task))
    rows = [
        {"kind": kind, "right": right, "asked": asked, "accuracy": round(right / asked, 4), "rule": RULES[kind][0]}
        for kind, (right, asked) in counts.items()
    ]
    if chosen.json:
        reply = {"seed": chosen.seed, "rows": rows}
        sys.stdout.write(json.dumps(reply, allow_nan=False) + "\n")
        return
    for row in rows:
        sys.stdout.write(
            f"{row['kind']:<28}{row['right']:>4} of {row['asked']:<4}{row['accuracy']:>7.0%}  {row['rule']}\n"
        )


if __name__ == "__main__":
    main()
