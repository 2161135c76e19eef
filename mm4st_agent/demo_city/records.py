"""What the parts of the simulated city hand to each other. Time is a step number; the city knows the calendar."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Array = NDArray[np.float64]

CauseKind = Literal["incident", "works", "event", "rain", "holiday"]
"""'event' is a concert or a match; 'works' are road works; 'holiday' is a span of school holidays."""


@dataclasses.dataclass(frozen=True, slots=True)
class Cause:
    """Something that acts on the city and can be taken away again.

    Attributes:
        id: Such as 'incident-017'; the same on every machine.
        start: First moment at which it acts, local time of the city; of an 'event', when the show begins: its
            visitors travel from two hours earlier on.
        end: When it stops acting; what it left behind (a queue) may last longer. Of an 'event', when the show ends;
            its visitors leave within 75 minutes.
        link: Id of the link where it acts; None for what acts on the whole city.
        venue: Name of the venue of an 'event'.
        capacity_share: Share of the link's capacity that is left ('incident', 'works'); 1 elsewhere.
        attendance: People who come ('event'); 0 elsewhere.
        title: In a few words, such as 'collision on Quay Road at Fish Market'.
    """

    id: str
    kind: CauseKind
    title: str
    start: pd.Timestamp
    end: pd.Timestamp
    link: str | None = None
    venue: str | None = None
    capacity_share: float = 1.0
    attendance: int = 0


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Weather:
    """City-wide weather at each of T steps.

    Attributes:
        rain: `(T,)` mm/h.
        wind_speed: `(T,)` m/s.
        wind_from: `(T,)` degrees, where the wind comes from; 0 is north, 90 east.
        mixing_height: `(T,)` m.
        temperature: `(T,)` degrees Celsius.
    """

    rain: Array
    wind_speed: Array
    wind_from: Array
    mixing_height: Array
    temperature: Array


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Traffic:
    """What the traffic model yields for L links at each of T steps; true values, without measurement noise.

    Attributes:
        flow: `(T, L)` vehicles that pass the sensor in the step.
        speed: `(T, L)` km/h, mean over the link, weighted by vehicles; free-flow speed where it is empty.
        density: `(T, L)` vehicles per km and lane, mean over the link.
        queue: `(T, L)` share of the link's cells that are congested, 0..1.
    """

    flow: Array
    speed: Array
    density: Array
    queue: Array


@dataclasses.dataclass(frozen=True, slots=True)
class Effect:
    """What one cause did to one node over a span, from the run with it less the run without it.

    Attributes:
        cause: The cause.
        mean: By channel that the node measures, in the channel's unit: the mean difference over the span.
        largest: By channel: the difference of the step where it is largest in absolute terms, signed.
        share: Of the summed absolute differences that all causes made here, 0..1; in speed at a road sensor, in PM2.5
            at an air station.
    """

    cause: Cause
    mean: Mapping[str, float]
    largest: Mapping[str, float]
    share: float


@dataclasses.dataclass(frozen=True, slots=True)
class Text:
    """A text that somebody in the city published, and the truth about it, which the panel never shows.

    Attributes:
        kind: 'bulletin', 'event listing', 'weather warning', 'maintenance note' or 'notice'.
        place: In words; node is the nearest sensor's id or None.
        cause: Id of the cause that it is about; None for what is about nothing that acts.
        truth: 'true'; 'late' (published after most of it was over), 'wrong' (says a wrong place, time or
            severity), 'irrelevant', or 'injection' (tries to give instructions to an AI).
    """

    id: str
    kind: str
    text: str
    start: pd.Timestamp
    end: pd.Timestamp | None
    published_at: pd.Timestamp
    source: str
    place: str
    node: str | None
    cause: str | None
    truth: Literal["true", "late", "wrong", "irrelevant", "injection"]
