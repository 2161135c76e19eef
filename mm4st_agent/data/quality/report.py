"""What a quality check says. As JSON it carries no NaN: undefined is null."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

What = Literal[
    "never measured", "out of range", "duplicate", "wrong clock", "stuck", "outage",
    "contradiction", "level shift", "straight line", "spike",
]  # fmt: skip
"""Kinds of fault, the gravest first."""
Severity = Literal["high", "medium", "low"]


class Part(BaseModel):
    """Frozen, and strict about what it holds."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Fault(Part):
    """One thing that is, or may be, wrong with the readings of a node or of several."""

    what: What
    severity: Severity
    nodes: tuple[str, ...]
    """Ids."""
    start: datetime | None = None
    """Stamp of the first reading concerned; None where it is the whole time."""
    end: datetime | None = None
    """The moment after the last reading concerned: the first that is not."""
    value: float | None = None
    """The number that says how much, in `unit`."""
    unit: str = ""
    count: int = 1
    """How many of this kind the node has; start, end and value are those of the worst."""
    sentence: str


class NodeShare(Part):
    """How complete one node is; shares of its cells, 0..1."""

    node: str
    name: str
    missing_share: float
    imputed_share: float


class HourShare(Part):
    """How complete one hour of the local day, or one weekday (0 is Monday), is; shares 0..1."""

    slot: int
    missing_share: float
    imputed_share: float


class DayShare(Part):
    """How complete one local day is; shares 0..1."""

    day: date
    missing_share: float
    imputed_share: float


class Outage(Part):
    """A run of steps in which a node was not measured: missing, or filled in by the source."""

    node: str
    name: str
    start: datetime
    end: datetime
    """The first moment that is measured again, or the end of the data."""
    hours: float
    filled: bool
    """Whether the source filled in more than half of it."""


class Completeness(Part):
    """What can be said of a channel by counting its cells."""

    name: str
    title: str
    unit: str
    nodes: int
    """That measure the channel."""
    cells: int
    missing: int
    imputed: int
    missing_share: float
    imputed_share: float
    never_measured: tuple[str, ...]
    """Ids of the nodes without a single measured reading."""
    worst_nodes: tuple[NodeShare, ...]
    """The least measured nodes, the worst first; none that is complete."""
    by_hour: tuple[HourShare, ...]
    """24 hours of the local day; () where a step is longer than an hour."""
    by_weekday: tuple[HourShare, ...]
    """Monday first; () where the data are shorter than a week, or a step is longer than a day."""
    worst_days: tuple[DayShare, ...]
    """The least measured days, the worst first; none that is complete."""
    outages: tuple[Outage, ...]
    """The longest, of any length, the longest first."""


class ChannelQuality(Part):
    """One channel: its completeness, its faults, and what could not be tested."""

    completeness: Completeness
    straight_line_share: float | None
    """Measured cells inside straight lines, 0..1: filled linearly, most likely; None where nothing is measured."""
    faults: tuple[Fault, ...]
    """The gravest first; of each kind at most `MAX_FAULTS`."""
    counts: Mapping[What, int] = Field(description="Faults of each kind, also those that `faults` leaves out.")
    not_tested: tuple[str, ...] = ()
    """What these data could not be tested for, and why; one sentence each."""


class QualityReport(Part):
    """The whole data set, as it was known at `end`."""

    dataset: str
    title: str
    synthetic: bool
    start: datetime
    """Stamp of the first reading."""
    end: datetime
    """Stamp of the last reading that was looked at."""
    step_s: int
    time_zone: str
    nodes: int
    place_word: str
    verdict: tuple[str, ...]
    """At most five sentences, the most important first."""
    channels: tuple[ChannelQuality, ...]
