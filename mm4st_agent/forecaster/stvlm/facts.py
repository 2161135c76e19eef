"""What is worth saying about one window: its calendar, log, weather and state, as lines of text and as numbers.

Nothing that was not known when the last reading before the window came in is said: a forecaster that is trained on
these lines sees at work what it saw in training.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from mm4st_agent.data.card import Channel
from mm4st_agent.data.panel import Panel
from mm4st_agent.forecaster.inputs import Preparation
from mm4st_agent.forecaster.seasonal import profile_at
from mm4st_agent.forecaster.slots import HOLIDAY, Slots, extended
from mm4st_agent.forecaster.stvlm.fact_statistics import FactStatistics
from mm4st_agent.forecaster.stvlm.lines import FactSource, Line, Prompt
from mm4st_agent.forecaster.stvlm.log_facts import LogFacts
from mm4st_agent.forecaster.stvlm.network_facts import NetworkFacts
from mm4st_agent.forecaster.stvlm.regions import Regions
from mm4st_agent.forecaster.stvlm.weather_facts import WeatherFacts

__all__ = ["FactStatistics", "Facts", "Line", "Prompt"]

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_PARTS = ((6, "night"), (10, "morning"), (15, "midday"), (18, "afternoon"), (24, "evening"))
"""Hour before which a part of the day ends, and its name."""
_SATURDAY = 5
_LARGEST = 10.0
"""Larger numbers are cut: a stuck sensor may be off by hundreds of standard deviations."""


@dataclass(frozen=True)
class Facts:
    """The facts of every window of a series.

    Attributes:
        nodes: How many nodes the panel has.
        calendar: Day, hour and holiday of the first forecast step.
        log: Events.
        weather: Covariates.
        network: Level, trend and anomalies of the readings.
    """

    nodes: int
    calendar: CalendarFacts
    log: LogFacts
    weather: WeatherFacts
    network: NetworkFacts

    @classmethod
    def of(
        cls,
        panel: Panel,
        channel: Channel,
        preparation: Preparation,
        regions: Regions,
        statistics: FactStatistics,
        observed: NDArray[np.float32],
        slots: Slots,
        *,
        history: int,
        horizon: int,
        profile: NDArray[np.float32] | None = None,
    ) -> Self:
        """Read the facts of a panel; a prompt is only written when it is asked for.

        Args:
            panel: Whole, or cut at some moment, whose first steps are those of `observed`; only the nodes that
                measure the channel.
            channel: Whose readings `observed` are.
            preparation: Fitted to the training part.
            regions: Segments of neighbouring nodes of `panel`.
            statistics: Fitted to the training part.
            observed: `(T, N)` measured readings in the channel's unit; NaN is missing or imputed.
            slots: Of T' >= T steps, the first T of which are those of `observed`.
            history: Steps over which a trend is told.
            horizon: Steps that are forecast; events that start later are not told.
            profile: `(T', N)` to use in place of the stored profile, in the channel's unit, as in
                `Preparation.inputs`.
        """
        times = extended(panel.times[: len(observed)], horizon)
        usual = profile_at(preparation.profile, slots) if profile is None else profile
        return cls(
            len(panel.node_ids),
            CalendarFacts(slots, np.asarray(times.month_name()), np.asarray(times.month, dtype=np.int64)),
            LogFacts.of(panel, len(observed), statistics, regions, horizon),
            WeatherFacts.of(panel, statistics, times, history, horizon),
            NetworkFacts.of(
                panel, channel, preparation.scaler, regions, statistics, observed, usual[: len(observed)], history
            ),
        )

    def prompt(self, origin: int) -> Prompt:
        """The facts before the forecast whose first step is `origin`, in 0 .. T, the most informative ones first."""
        unusual, plain = self.weather.lines_at(origin)
        latest, earlier = self.log.lines_at(origin)
        calendar, network = self.calendar.lines(origin), self.network.lines(origin)
        return (*calendar, *unusual, *latest, *plain, *network, *earlier)

    def prompts(self, origins: Sequence[int] | NDArray[np.integer]) -> list[Prompt]:
        """The prompt of each origin."""
        return [self.prompt(int(origin)) for origin in origins]

    @property
    def numeric_names(self) -> tuple[str, ...]:
        """`(F,)` of the columns of `numeric_facts`."""
        return tuple(itertools.chain.from_iterable(source.names for source in self._sources))

    def numeric_facts(self, origin: int) -> NDArray[np.float32]:
        """`(N, F)` what `prompt` says, as numbers of about unit size; 0 where there is nothing to say.

        What is about the whole network is the same at each node. The words of the log have no number: an event
        enters by its kind, its node and its times.
        """
        parts = [source.numbers(origin) for source in self._sources]
        whole = np.concatenate([np.broadcast_to(part, (self.nodes, part.shape[-1])) for part in parts], axis=1)
        return np.asarray(np.clip(whole, -_LARGEST, _LARGEST), dtype=np.float32)

    @property
    def _sources(self) -> tuple[FactSource, ...]:
        return self.calendar, self.log, self.weather, self.network


@dataclass(frozen=True)
class CalendarFacts:
    """Day, hour and holiday of the first forecast step, in local time.

    Attributes:
        month_names: `(T',)`.
        months: `(T',)` 1 .. 12.
    """

    slots: Slots
    month_names: NDArray[np.object_]
    months: NDArray[np.int64]

    def lines(self, origin: int) -> list[Line]:
        """One line about the whole network."""
        minutes = self._hour(origin) * 60
        free = self.slots.day_type[origin] == HOLIDAY
        words = [f"{_DAYS[self.slots.weekday[origin]]} in {self.month_names[origin]}"]
        if self.slots.per_day > 1:
            part = next(name for end, name in _PARTS if minutes < end * 60)
            words.append(f"{int(minutes) // 60:02d}:{int(minutes) % 60:02d}, {part}")
        if free:
            words.append("public holiday")
        elif self.slots.weekday[origin] >= _SATURDAY:
            words.append("weekend")
        return [Line(", ".join(words), None, "calendar")]

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns of `numbers`."""
        return (
            *(f"calendar {day}" for day in _DAYS),
            "calendar holiday",
            *(f"calendar {wave} {cycle}" for cycle in ("day", "half day", "year") for wave in ("sine", "cosine")),
        )

    def numbers(self, origin: int) -> NDArray[np.float32]:
        """`(1, 14)`: day of the week, holiday, time of the day and of the year."""
        day = self._hour(origin) / 24
        angles = 2 * np.pi * np.array([day, 2 * day, (self.months[origin] - 1) / 12])
        waves = np.stack([np.sin(angles), np.cos(angles)], axis=1).ravel()
        free = self.slots.day_type[origin] == HOLIDAY
        row = np.concatenate([np.eye(7)[self.slots.weekday[origin]], [free], waves])
        return row[None].astype(np.float32)

    def _hour(self, origin: int) -> float:
        return 24 * float(self.slots.of_day[origin]) / self.slots.per_day
