"""Which inputs moved a forecast, and the test of that in the same call.

An input's effect is exact: the forecast with it less the forecast without it, all other inputs in place. That says
what the network made of its inputs, not what caused the readings. Where two inputs say the same thing, each alone
may seem idle; the test therefore takes the named ones away together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from mm4st_agent.data.events import Event
from mm4st_agent.data.panel import Panel
from mm4st_agent.errors import UsageError
from mm4st_agent.forecaster.attribution import Part, Window
from mm4st_agent.forecaster.deletion import DeletionTest, delete
from mm4st_agent.forecaster.forecast import Forecast, duration
from mm4st_agent.forecaster.measured import measuring, place_of
from mm4st_agent.forecaster.prediction import TrainedForecaster
from mm4st_agent.forecaster.stvlm.lines import LineKind
from mm4st_agent.forecaster.stvlm.tokens import Modality

NAMED = 8
"""At most so many drivers are named, and tested."""
DRAWS = 30
"""Random removals beside them."""
SCREENED = 32
"""Of more sensors than this, those with the largest gradient times input are measured."""
LEAST = 0.02
"""A driver is named if its effect is more than this share of the largest one."""
_NOISE = 1e-5
"""Relative to the forecast: smaller effects are rounding."""

DriverKind = Literal["sensor", "lag", "usual", "level", "picture"] | LineKind


@dataclass(frozen=True)
class Driver:
    """One input, and what it did to the forecast.

    Attributes:
        kind: Of input: a sensor, a lag, the usual course, the level of the last days, the picture, or a line of the
            prompt by what it tells.
        label: In plain words. An event is told by its kind and date only: its words are its source's.
        removed: What its removal meant.
        effect: The forecast with it less the forecast without it, in the unit of the total.
        node: Id of the sensor, or of the node that the line is about.
        event: The entry of the log that the line tells.
    """

    kind: DriverKind
    label: str
    removed: str
    effect: float
    node: str | None = None
    event: Event | None = None


@dataclass(frozen=True)
class Explanation:
    """What moved a forecast.

    Attributes:
        forecast: As people get it; where a baseline leads, it is not what is explained here.
        model: Whose forecast is explained.
        total: Its median, added up or averaged over the steps, in `unit`.
        unit: Of the total and of all effects.
        shares: How much the node's token read of each modality in the first layer; None where the model cannot tell.
        usual: The usual course of the week. It is most of any forecast and stands apart: what differs today is sought,
            and without it the network is where it never was in training, so that nothing else could be tested.
        measured: Every other driver whose removal was run, the largest absolute effect first.
        named: The first of them, which are tested.
        sensors: How many other sensors were in the window; those that the screening left out are not in `measured`.
        test: Of `named`.
        reads_text: Whether the model is given texts at all.
    """

    forecast: Forecast
    model: str
    total: float
    unit: str
    shares: dict[Modality, float] | None
    usual: Driver
    measured: tuple[Driver, ...]
    named: tuple[Driver, ...]
    sensors: int
    test: DeletionTest
    reads_text: bool


def explain(
    forecaster: TrainedForecaster,
    panel: Panel,
    node: str,
    channel: str | None,
    horizon: int,
    *,
    skip: int = 0,
    draws: int = DRAWS,
    seed: int = 0,
) -> Explanation:
    """Measure which inputs moved the forecast of a node, name the largest, and test them.

    The inputs of the window are taken away one by one: every other sensor (of more than `SCREENED` the most
    sensitive ones), each history step of the node itself, its level, the usual course of the week, each line of the
    prompt, the picture. Then the named ones are taken away one after the other, beside `draws` random orders of
    inputs of the same kinds. The same seed gives the same explanation.

    Args:
        forecaster: With a checkpoint of either kind; the numeric branch reads neither text nor picture.
        panel: Cut at the moment of the forecast.
        node: Id.
        channel: None is the first that the node measures.
        horizon: Steps that are added up or averaged.
        skip: Steps left out before them.
        draws: Random removals, at least 1.
        seed: Of the random removals.

    Raises:
        UsageError: as `Forecaster.predict`, or `draws` is below 1.
        DataError: as `Forecaster.predict`.
    """
    if draws < 1:
        raise UsageError(f"A test against {draws} random removals compares with nothing.", "Take 30 or more.")
    forecast = forecaster.predict(panel, [node], channel, horizon, skip)[0]
    panel = measuring(panel, forecast.channel)
    checkpoint = forecaster.checkpoint
    window = Window.of(checkpoint, panel, forecast.channel, node, slice(skip, skip + horizon))
    parts = window.parts()
    tried = _screened(window, parts)
    whole, *without = window.totals([(), *[(part,) for part in tried]]).tolist()
    drivers = [_driver(window, panel, part, whole - left) for part, left in zip(tried, without, strict=True)]
    usual, order = drivers[0], sorted(range(1, len(tried)), key=lambda at: -abs(drivers[at].effect))
    largest = max((abs(driver.effect) for driver in drivers[1:]), default=0.0)
    least = max(LEAST * largest, _NOISE * abs(whole))
    named = [at for at in order[:NAMED] if abs(drivers[at].effect) > least]
    test = delete(window.totals, [tried[at] for at in named], parts[1:], _kind, draws=draws, seed=seed)
    return Explanation(
        forecast=forecast,
        model=checkpoint.card.model,
        total=whole,
        unit=forecast.total.unit,
        shares=window.shares(),
        measured=tuple(drivers[at] for at in order),
        named=tuple(drivers[at] for at in named),
        usual=usual,
        sensors=sum(part.kind == "sensor" for part in parts),
        test=test,
        reads_text=window.reads_text,
    )


def _kind(part: Part) -> str:
    return part.kind


def _screened(window: Window, parts: list[Part]) -> list[Part]:
    """The parts whose removal gets a run of its own, in their order."""
    sensors = [part for part in parts if part.kind == "sensor"]
    if len(sensors) <= SCREENED:
        return parts
    sensitivity = window.sensitivity()
    strongest = np.argsort([-sensitivity[part.at] for part in sensors], kind="stable")[:SCREENED]
    kept = {sensors[at] for at in strongest}
    return [part for part in parts if part.kind != "sensor" or part in kept]


def _driver(window: Window, panel: Panel, part: Part, effect: float) -> Driver:
    history = window.numeric.history.shape[1]
    if part.kind == "sensor":
        node = panel.node_ids[part.at]
        return Driver("sensor", f"readings at {place_of(panel, node)}", "taken as not measured", effect, node)
    if part.kind == "lag":
        back = history - 1 - part.at
        stamp = panel.times[-1] - back * panel.step
        ago = "the latest" if back == 0 else f"{duration(back * panel.step_s)} before the latest"
        return Driver("lag", f"its own reading of {_clock(stamp)}, {ago}", "taken as not measured", effect)
    if part.kind == "level":
        return Driver("level", "how the last day and week differed from the usual course", "taken as usual", effect)
    if part.kind == "usual":
        return Driver(
            "usual", "the usual course for this time of the week", "the mean of the week put in its place", effect
        )
    if part.kind == "picture":
        return Driver("picture", "the picture of all readings", "left out", effect)
    line, event = window.prompt[part.at], window.events[part.at]
    about = None if line.node is None else panel.node_ids[line.node]
    if event is None:
        label = f"the line “{line.text}”" + (f" about {place_of(panel, about)}" if about else "")
    else:
        published = event.published_at.tz_convert(panel.zone)
        where = f" at {place_of(panel, about)}" if about else ""
        label = f"the {event.kind or 'entry of the log'}{where}, published {_clock(published)}"
    return Driver(line.kind, label, "left out of the prompt", effect, about, event)


def _clock(moment: pd.Timestamp) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"
