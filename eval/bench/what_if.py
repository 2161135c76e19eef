"""`mm4st bench what-if`: effects that `what_if` claims for events of the demo city, against the simulator's own.

`python -m eval.bench.what_if` writes the same figures beside the checkpoints, so that `what_if` can say them.

When a cause is in the log and acts, the trained model forecasts with and without its entries (and, of a shower, the
rain that is measured); the difference is the claim. The simulator runs the city again without the cause; that
difference over the same steps is the truth. Its peer is the claim that nothing has an effect. The readings up to that
moment hold what the cause has done already, in both forecasts: a claim can only be about what the words add.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eval.bench.report import BenchRow, compared, report_of
from mm4st_agent.errors import DataError, UsageError
from mm4st_agent.runtime import Runtime

if TYPE_CHECKING:
    from pathlib import Path

    from mm4st_agent.data.card import Channel
    from mm4st_agent.data.events import Event
    from mm4st_agent.data.panel import Panel
    from mm4st_agent.demo_city.city import City
    from mm4st_agent.forecaster.prediction import TrainedForecaster

CHANNELS = ("flow", "speed")
MINUTES = 60
"""How long a span is forecast."""
MOMENTS_MIN = (0, 30, 60, 90)
"""So long after a cause is both logged and acting, its effect is claimed."""
KINDS = {"rain": "rain", "event": "announced events", "incident": "incidents"}
"""What the causes are called in the record; all of them together would speak of the most frequent kind only."""
COIN = 50.0
"""Share of directions that a coin hits, in %."""


@dataclass(frozen=True)
class Effects:
    """Claimed and true effects of causes of one kind.

    Attributes:
        causes: How many.
        claimed: `(P,)` of each affected node at each moment: the total over the span with the cause less the
            total without it.
        true: `(P,)` the simulator's.
    """

    kind: str
    causes: int
    claimed: NDArray[np.float64]
    true: NDArray[np.float64]

    @property
    def error(self) -> float:
        """Mean absolute error of the claims."""
        return float(np.abs(self.claimed - self.true).mean())

    @property
    def nothing_error(self) -> float:
        """Mean absolute error of claiming 0."""
        return float(np.abs(self.true).mean())

    @property
    def told(self) -> int:
        """Pairs for which an effect is claimed at all."""
        return int((self.claimed != 0).sum())

    @property
    def agreement(self) -> float | None:
        """Share of the claimed effects that have the right direction, in %; None where none is claimed."""
        told = self.claimed != 0
        return 100 * float((np.sign(self.claimed) == np.sign(self.true))[told].mean()) if told.any() else None


def bench_what_if(runtime: Runtime, channels: Sequence[str] = CHANNELS) -> dict[str, Any]:
    """Score the claimed effects of the demo city's causes in the checkpoint's test part.

    Returns:
        `{rows, commit, machine}`.

    Raises:
        UsageError: no model was trained for a channel.
        DataError: no cause that was logged had an effect.
    """
    from mm4st_agent.forecaster.forecast import total_unit

    rows: list[BenchRow] = []
    for channel, forecaster, every in _scored(runtime, channels):
        unit, subject = total_unit(channel), f"demo {channel.name}, {forecaster.name}"
        for found in every:
            pairs = f"{found.kind} ({found.causes} causes, {len(found.true)} effects, {found.told} claimed)"
            rows += [
                compared(
                    f"{subject}: error of the effect over the next hour, {pairs}",
                    found.error,
                    found.nothing_error,
                    "no effect",
                    unit,
                ),
                compared(f"{subject}: right direction, {pairs}", found.agreement, COIN, "a coin", "%", "higher"),
            ]
    return report_of(rows)


def record_scores(runtime: Runtime, channels: Sequence[str] = CHANNELS) -> list[Path]:
    """Write the same figures beside the checkpoints.

    Returns:
        The folders of the checkpoints.

    Raises:
        UsageError: no model was trained for a channel.
        DataError: no cause that was logged had an effect.
    """
    from mm4st_agent.forecaster.effect_scores import EffectScore, EffectScores, write_scores
    from mm4st_agent.forecaster.forecast import total_unit

    folders = []
    for channel, forecaster, every in _scored(runtime, channels):
        scores = [
            EffectScore(
                kind=KINDS[found.kind],
                causes=found.causes,
                effects=len(found.true),
                error=float(f"{found.error:.4g}"),
                nothing_error=float(f"{found.nothing_error:.4g}"),
                direction=None if found.agreement is None else round(found.agreement, 1),
            )
            for found in every
            if found.kind in KINDS
        ]
        record = EffectScores(
            trained=forecaster.card.created,
            unit=total_unit(channel),
            minutes=MINUTES,
            truth="the simulator's own run without the cause",
            scores=tuple(scores),
        )
        write_scores(forecaster.folder, record)
        folders.append(forecaster.folder)
    return folders


def _scored(runtime: Runtime, channels: Sequence[str]) -> Iterator[tuple[Channel, TrainedForecaster, list[Effects]]]:
    """Each channel of the demo city, its model, and the effects of the causes in the test part."""
    from mm4st_agent.demo_city.city import City
    from mm4st_agent.forecaster.prediction import TrainedForecaster

    panel, city = runtime.registry.open("demo"), City()
    for name in channels:
        channel = panel.channel(name)
        forecaster = runtime.forecaster(panel, channel)
        if not isinstance(forecaster, TrainedForecaster):
            raise UsageError(f"No model was trained for {name} of the demo city.", "mm4st train --dataset demo")
        yield channel, forecaster, effects(panel, channel, forecaster, city)


def effects(panel: Panel, channel: Channel, forecaster: TrainedForecaster, city: City) -> list[Effects]:
    """Claims and truth by kind of cause, and of all kinds together.

    A node is affected where the true effect over the span reaches, step by step on average, what the city counts as
    one (`THRESHOLD`).

    Args:
        panel: Of the city, whole.
        channel: Of the checkpoint.
        forecaster: Trained on an earlier part of the panel.
        city: What the panel was made of.

    Raises:
        DataError: no cause that was logged had an effect.
    """
    from rich.console import Console
    from rich.progress import track

    from mm4st_agent.demo_city.city import LINGER

    begin, end = forecaster.card.test.start, panel.end - _steps(panel) * panel.step
    pairs: dict[str, list[tuple[NDArray[np.float64], NDArray[np.float64]]]] = {}
    entries = _first_entries(panel, city)
    for entry in track(entries, f"{channel.label}: causes", console=Console(stderr=True), transient=True):
        cause = city.cause_of(entry.id)
        assert cause is not None
        if cause.end + LINGER < begin or max(cause.start, entry.published_at) > end:
            continue
        acts = city.without(entry.id).time
        if not len(acts):
            continue
        since = max(acts[0], entry.published_at)
        moments = [since + pd.Timedelta(minutes=minutes) for minutes in MOMENTS_MIN]
        found = [
            _effect(panel.until(moment.to_pydatetime()), channel, forecaster, city, entry, cause.kind)
            for moment in moments
            if begin <= moment <= end and moment <= acts[-1]
        ]
        if any(len(true) for _, true in found):
            claimed, true = (np.concatenate(parts) for parts in zip(*found, strict=True))
            pairs.setdefault(cause.kind, []).append((claimed, true))
    if not pairs:
        raise DataError(
            f"No cause that the log of {panel.name!r} tells of in the test part acted on {channel.label}.",
            "This benchmark needs the demo city's own data and checkpoint.",
        )
    by_kind = {**pairs, "all": [pair for found in pairs.values() for pair in found]} if len(pairs) > 1 else pairs
    return [
        Effects(kind, len(found), np.concatenate([c for c, _ in found]), np.concatenate([t for _, t in found]))
        for kind, found in by_kind.items()
    ]


def _first_entries(panel: Panel, city: City) -> list[Event]:
    """The first entry about each cause that the log tells of."""
    first: dict[str, Event] = {}
    for entry in sorted(panel.events, key=lambda event: event.published_at):
        cause = city.cause_of(entry.id)
        if cause is not None:
            first.setdefault(cause.id, entry)
    return list(first.values())


def _steps(panel: Panel) -> int:
    return MINUTES * 60 // panel.step_s


def _effect(
    known: Panel, channel: Channel, forecaster: TrainedForecaster, city: City, entry: Event, kind: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """`(P,)` claimed and true effects on the total over the span after the end of `known`, of the affected nodes."""
    from mm4st_agent.demo_city.city import THRESHOLD
    from mm4st_agent.forecaster.calibration import aggregate
    from mm4st_agent.forecaster.counterfactual import Counterfactuals, Edit, with_covariate, without_event
    from mm4st_agent.forecaster.measured import measuring
    from mm4st_agent.forecaster.slots import extended

    steps = _steps(known)
    ahead = extended(known.times, steps)[-steps:]
    change = city.without(entry.id).effect(channel.name).reindex(ahead, fill_value=0.0)
    affected = change.columns[change.abs().mean().to_numpy() >= THRESHOLD[channel.name]].tolist()
    if not affected:
        return np.zeros(0), np.zeros(0)
    forecaster.check(measuring(known, channel), channel)
    runs = Counterfactuals(forecaster.checkpoint, known, channel, affected, steps)
    edits: list[Edit] = [partial(without_event, event=entry.id)]
    if kind == "rain":
        edits.append(partial(with_covariate, name="rain_mm_h", value=0.0))
    without = runs.after(*edits)
    claimed = (runs.before.total[:, 1] - without.total[:, 1]).astype(np.float64)
    return claimed, aggregate(change[affected].to_numpy(dtype=np.float64), channel.aggregation, axis=0)  # type: ignore[return-value]


if __name__ == "__main__":
    for folder in record_scores(Runtime()):
        sys.stdout.write(f"{folder}\n")
