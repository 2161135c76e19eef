"""`mm4st bench explain`: what explanations name in the demo city, against what truly acted there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import fmean, median
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from eval.bench.report import compared, report_of
from mm4st_agent.demo_city.city import LINGER, THRESHOLD, City
from mm4st_agent.errors import UsageError
from mm4st_agent.forecaster.prediction import TrainedForecaster

if TYPE_CHECKING:
    from mm4st_agent.data.card import Channel
    from mm4st_agent.data.panel import Panel
    from mm4st_agent.demo_city.records import Cause
    from mm4st_agent.forecaster.explanation import Explanation
    from mm4st_agent.runtime import Runtime

CASES = 24
STRONG = 4.0
"""A case is a node whose mean true effect is at least this many times the city's threshold for an effect."""
PER_CAUSE = 3
"""At most so many cases about one cause."""
EVERY = pd.Timedelta(minutes=15)
"""Moments between which a case is drawn."""


@dataclass(frozen=True)
class Case:
    """A forecast of a node on which something acts that was published.

    Attributes:
        cause: Id of what acts most over the span of the forecast.
        effects: Cause to its true effect on the total of the span, of all that act.
        touched: Nodes on which `cause` acted over the history of the forecast.
    """

    node: str
    as_of: pd.Timestamp
    cause: str
    effects: dict[str, float]
    touched: frozenset[str]


@dataclass(frozen=True)
class Score:
    """What an explanation says of a case.

    Attributes:
        told: Texts that the model read, and how many of them are about what acts most.
        event_hit: Whether the text with the largest effect is about it; None where that is not told, or nothing else.
        pairs: Claimed and true effect of each thing that was told; texts about nothing have the true effect 0.
        sensor_hit: Whether the sensor with the largest effect is one that it acted on; None where no sensor has one.
        sensor_chance: The same of a sensor drawn from those that have an effect.
    """

    told: int
    about: int
    event_hit: bool | None
    pairs: tuple[tuple[float, float], ...]
    sensor_hit: bool | None
    sensor_chance: float | None
    faithful: bool
    seconds: float


def bench_explanations(
    runtime: Runtime, *, channel: str = "speed", cases: int = CASES, seed: int = 0, city: City | None = None
) -> dict[str, Any]:
    """Explain forecasts of the demo city at nodes on which a published cause acts, and score them by the truth.

    The moments lie after everything that the checkpoint was trained and tuned on. Three things are measured:

    - top-1 event: does the text with the largest effect tell what truly acts most there; chance is a text drawn from
      those that the model read. Cases in which they are all about it, or none is, leave no choice and do not count;
    - rank correlation of claimed and true effects over all that was told in all cases; chance is 0;
    - top-1 sensor: did the cause truly act on the sensor with the largest effect; chance is a sensor drawn from those
      that have an effect. A model that reads no text is scored on this one only.

    Args:
        runtime: Gives the demo city's panel and the forecaster.
        channel: 'speed' or 'flow'.
        cases: At most so many; fewer where fewer are found.
        seed: Of the cases and of the random removals.
        city: The simulated city behind the panel; None simulates it, which takes some seconds.

    Returns:
        `{rows, cases, commit, machine, ...}`; figures that cannot be told are None, and `notes` say why.

    Raises:
        UsageError: no such channel at the roads, no trained forecaster, or no case after its training.
    """
    from mm4st_agent.forecaster.explanation import explain

    panel = runtime.registry.open("demo")
    chosen = panel.channel(channel)
    if channel not in ("speed", "flow"):
        raise UsageError(f"Explanations of {channel!r} are not scored.", "Take 'speed' or 'flow'.")
    forecaster = runtime.forecaster(panel, chosen)
    if not isinstance(forecaster, TrainedForecaster):
        raise UsageError(
            f"There is no trained model for {channel} of the demo city.",
            f"Train one: mm4st train --dataset demo --channel {channel}.",
        )
    with _progress() as report:
        truth = city or City()
        truth.simulate(lambda done, whole: report("simulating the city", done, whole))
        drawn = draw_cases(truth, panel, chosen, forecaster, cases, seed)
        if not drawn:
            raise UsageError(
                f"Nothing that was published acts on {channel} after the training.", "Train on a shorter part."
            )
        scores = []
        for number, case in enumerate(drawn):
            report("explaining", number, len(drawn))
            started = time.perf_counter()
            seen = panel.until(case.as_of.isoformat())
            found = explain(forecaster, seen, case.node, channel, forecaster.max_horizon, seed=seed)
            scores.append(score(found, case, truth, time.perf_counter() - started))
    return summary(scores, forecaster.name, channel, seed)


def draw_cases(
    city: City, panel: Panel, channel: Channel, forecaster: TrainedForecaster, count: int, seed: int
) -> list[Case]:
    """Draw moments and nodes at which a cause acts that is published by then, after the checkpoint's training."""
    chance = np.random.default_rng(seed)
    shape, after = forecaster.card.network, pd.Timestamp(forecaster.card.validation.end)
    ahead, before = shape.horizon * panel.step, shape.history * panel.step
    nodes = panel.nodes_of(channel.name)
    found: list[Case] = []
    for cause in city.draws:
        if cause.end + LINGER < after:
            continue
        published = [event.published_at for event in panel.events if city.cause_of(event.id) is cause]
        effect = city.without(cause.id).effect(channel.name) if published else pd.DataFrame()
        if effect.empty:
            continue
        first = max(min(published), after, effect.index[0] - ahead).ceil(EVERY).tz_convert(panel.zone)
        last = min(effect.index[-1], panel.end - ahead)
        strong = []
        for moment in pd.date_range(first, last, freq=EVERY) if first <= last else ():
            span = effect.loc[(effect.index >= moment) & (effect.index < moment + ahead), nodes]
            mean = span.sum().abs() / shape.horizon
            strong += [(moment, str(node)) for node in mean.index[mean >= STRONG * THRESHOLD[channel.name]]]
        for at in chance.permutation(len(strong))[:PER_CAUSE]:
            moment, node = strong[at]
            case = _case(city, channel, node, moment, ahead, before)
            if case.cause == cause.id:  # something else may act there more
                found.append(case)
    order = chance.permutation(len(found))[:count]
    return [found[at] for at in sorted(order)]


def _case(
    city: City, channel: Channel, node: str, moment: pd.Timestamp, ahead: pd.Timedelta, before: pd.Timedelta
) -> Case:
    steps = ahead / (city.time[1] - city.time[0]) if channel.aggregation == "sum" else 1.0
    acting = {
        each.cause.id: each.mean[channel.name] * steps
        for each in city.causes(node, moment.to_pydatetime(), (moment + ahead).to_pydatetime())
    }
    cause = max(acting, key=lambda name: abs(acting[name]))
    effect = city.without(cause).effect(channel.name)
    past = effect.loc[(effect.index >= moment - before) & (effect.index < moment)]
    touched = past.columns[(past.abs() >= THRESHOLD[channel.name]).any()]
    return Case(node, moment, cause, acting, frozenset(map(str, touched)))


def score(found: Explanation, case: Case, city: City, seconds: float) -> Score:
    """Compare one explanation with the truth."""
    claims: dict[str, float] = {}
    about: list[str] = []
    for driver in found.measured:
        if driver.event is not None:
            cause: Cause | None = city.cause_of(driver.event.id)
            name = driver.event.id if cause is None else cause.id
            claims[name] = claims.get(name, 0.0) + driver.effect
            about.append(name)  # in the order of the effects
    sensors = [driver.node for driver in found.measured if driver.kind == "sensor" and driver.effect != 0]
    hits = [node in case.touched for node in sensors]
    return Score(
        told=len(about),
        about=about.count(case.cause),
        event_hit=about[0] == case.cause if 0 < about.count(case.cause) < len(about) else None,
        pairs=tuple((claim, case.effects.get(name, 0.0)) for name, claim in claims.items()),
        sensor_hit=hits[0] if hits else None,
        sensor_chance=fmean(hits) if hits else None,
        faithful=found.test.faithful,
        seconds=seconds,
    )


def summary(scores: Sequence[Score], model: str, channel: str, seed: int) -> dict[str, Any]:
    """The report of `bench_explanations`."""
    told = [each for each in scores if each.event_hit is not None]
    seen = [each for each in scores if each.sensor_hit is not None]
    pairs = [pair for each in scores for pair in each.pairs]
    correlation, p_value = rank_correlation(pairs)
    notes = []
    if not any(each.told for each in scores):
        notes.append(f"{model} reads no text, so it cannot name an event, and claims no effect of one.")
    elif correlation is None:
        notes.append("Too few different effects were claimed for a rank correlation.")
    hit = fmean(bool(each.event_hit) for each in told) if told else None
    event_chance = fmean(each.about / each.told for each in told) if told else None
    sensor_hit = fmean(bool(each.sensor_hit) for each in seen) if seen else None
    sensor_chance = fmean(each.sensor_chance or 0.0 for each in seen) if seen else None
    what = f"demo {channel}: {model}"
    rows = [
        compared(f"{what}, top-1 event is what acts most", hit, event_chance, "chance", "share", "higher"),
        compared(f"{what}, rank correlation of effects", correlation, 0.0, "chance", "rho", "higher"),
        compared(f"{what}, cause acted on top-1 sensor", sensor_hit, sensor_chance, "chance", "share", "higher"),
    ]
    return report_of(
        list(rows),
        model=model,
        channel=channel,
        seed=seed,
        cases=len(scores),
        cases_told=len(told),
        cases_with_sensors=len(seen),
        pairs=len(pairs),
        p_value=p_value,
        faithful_share=fmean(each.faithful for each in scores),
        median_seconds=median(each.seconds for each in scores),
        notes=notes,
    )


def rank_correlation(pairs: Sequence[tuple[float, float]]) -> tuple[float | None, float | None]:
    """Spearman's rank correlation and its p-value; None where fewer than 3 pairs are known or one side is constant."""
    from scipy.stats import spearmanr

    table = np.array(pairs, dtype=np.float64).reshape(-1, 2)
    if len(table) < 3 or (np.ptp(table, axis=0) == 0).any():
        return None, None
    result = spearmanr(table[:, 0], table[:, 1])
    return float(result.statistic), float(result.pvalue)


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """A bar on stderr."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("")

        def report(what: str, done: int, whole: int) -> None:
            bar.update(task, description=what, completed=done, total=whole)

        yield report
