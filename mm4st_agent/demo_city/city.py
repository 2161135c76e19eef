"""`City`: everything that is true about the simulated city, and what would have been without any one cause."""

from __future__ import annotations

import dataclasses
import difflib
import functools
from collections.abc import Callable, Sequence
from datetime import datetime

import numpy as np
import pandas as pd

from mm4st_agent.demo_city.ctm_kernel import STEP_S
from mm4st_agent.demo_city.demand import ARRIVE, LEAVE, Demand
from mm4st_agent.demo_city.draws import draw_causes
from mm4st_agent.demo_city.network import Network, build_network
from mm4st_agent.demo_city.records import Array, Cause, Effect, Text, Traffic, Weather
from mm4st_agent.demo_city.traffic import TrafficModel
from mm4st_agent.demo_city.weather import weather
from mm4st_agent.errors import UsageError

TIME_ZONE = "Europe/Lisbon"
SEED, START, DAYS = 7, "2025-09-01", 60
"""The city that is shipped."""
STEP = pd.Timedelta(seconds=STEP_S)
SAME = 1e-9
"""Two runs are one again when no cell differs by more vehicles than this."""
LINGER = pd.Timedelta(hours=12)
"""`City.causes` looks at what acted up to so long before its span; every night the roads run empty."""
AIR_LINGER = 288
"""The air is followed for so many steps after the traffic is the same again."""
THRESHOLD = {"flow": 2.0, "speed": 0.5, "pm25": 0.1, "no2": 0.1, "requests": 1.0}
"""A cause counts at a node where its largest effect reaches one of these, in the unit of the channel."""
SERVICE = "travel-info"

_CHUNK = 72
"""Steps between two states that are kept."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Counterfactual:
    """What one cause did, at every sensor, over the span in which anything differs.

    Attributes:
        cause: What was taken away.
        time: `(S,)` steps of the span, in the zone of the city.
        converged: Whether the run without it came back to the run with it before the data end.
    """

    cause: Cause
    time: pd.DatetimeIndex
    converged: bool
    _city: City
    _without: Traffic
    _first: int

    def effect(self, channel: str) -> pd.DataFrame:
        """With the cause less without it.

        Args:
            channel: 'flow' (vehicles/5 min), 'speed' (km/h), 'pm25', 'no2' (µg/m³) or 'requests' (requests/min).

        Returns:
            One row a step and one column a node that measures the channel; true values, without the noise of
            measurement. Air and requests reach some hours further than `time`, until which they feel the traffic.

        Raises:
            UsageError: there is no such channel.
        """
        return self._city._effect(self, channel)


class City:
    """A simulated city whose causes are known.

    Everything is drawn from the seed, and each thing has random numbers of its own: a run without one cause has the
    same of everything else. The traffic is simulated when it is first read (some seconds for the whole span).
    """

    def __init__(
        self,
        seed: int = SEED,
        start: str = START,
        days: int = DAYS,
        *,
        network: Network | None = None,
        draws: tuple[Cause, ...] | None = None,
        demand: Demand | None = None,
    ) -> None:
        """Draw what happens.

        Args:
            seed: Same seed, same city, byte for byte, on every machine.
            start: First day, 'YYYY-MM-DD'.
            days: Number of days.
            network: Another city's roads.
            draws: Other causes than those that the seed draws.
            demand: Other traffic than what the land use of the network and the seed make.

        Raises:
            UsageError: `start` is no day, or `days` is below 1.
        """
        if days < 1:
            raise UsageError(f"A city of {days} days has no traffic.", "Give at least one day.")
        try:
            midnight = pd.Timestamp(datetime.strptime(start, "%Y-%m-%d")).tz_localize(TIME_ZONE)
        except (TypeError, ValueError) as err:
            raise UsageError(f"{start!r} is not a day.", "Write it as 2025-09-01.") from err
        self.seed = seed
        self.network = network or build_network()
        self.time = pd.date_range(midnight, periods=days * 86_400 // STEP_S, freq=STEP)
        self.draws = draw_causes(self.network, seed, start, days, TIME_ZONE) if draws is None else draws
        self.weather: Weather = weather(seed, self.time, self.draws)
        self._by_id = {cause.id: cause for cause in self.draws}
        self._model = TrafficModel(self.network, seed, demand)
        self._states = [self._model.roads.empty()]
        self._parts: list[Traffic] = []
        self._removed: dict[str, Counterfactual] = {}

    # -- what happened ------------------------------------------------------------------

    @property
    def traffic(self) -> Traffic:
        """True values for all steps, `(T, L)` in the order of `network.links`."""
        self.simulate()
        if len(self._parts) > 1:
            self._parts = [_joined(self._parts)]
        return self._parts[0]

    def simulate(self, progress: Callable[[int, int], None] | None = None) -> None:
        """Simulate the traffic of the whole span, where that has not been done.

        Args:
            progress: Called with the steps that are done and their number.
        """
        while (done := (len(self._states) - 1) * _CHUNK) < len(self.time):
            steps = slice(done, done + _CHUNK)
            run = self._model.run(self._states[-1], self.time[steps], self.draws, self.weather.rain[steps])
            self._parts.append(run.traffic)
            self._states.append(run.end)
            if progress is not None:
                progress(min(done + _CHUNK, len(self.time)), len(self.time))

    @functools.cached_property
    def air(self) -> dict[str, Array]:
        """True 'pm25' and 'no2', `(T, 24)` µg/m³."""
        from mm4st_agent.demo_city.air import simulate_air

        return simulate_air(self.network, self.traffic, self.weather, STEP_S, self.seed)

    @functools.cached_property
    def air_stations(self) -> pd.DataFrame:
        """Indexed by id, with `name`, `lat`, `lon`."""
        from mm4st_agent.demo_city.air import air_stations

        return air_stations(self.network)

    @functools.cached_property
    def requests(self) -> Array:
        """True load of the travel-information service, `(T,)` requests/min."""
        from mm4st_agent.demo_city.cloud import requests

        return requests(self.network, self.traffic, self.draws, self.time, self.seed)

    @functools.cached_property
    def texts(self) -> tuple[Text, ...]:
        """What was published, with the truth about it."""
        from mm4st_agent.demo_city.texts import write_texts

        return write_texts(self.draws, self.network, self.weather, self.time, self.seed)

    # -- why it happened ----------------------------------------------------------------

    def cause_of(self, event_id: str) -> Cause | None:
        """The cause that a text of the panel is about; None for a text about nothing that acts.

        Args:
            event_id: Id of a cause, or of a text about it such as 'incident-017/2'.
        """
        return self._by_id.get(event_id.partition("/")[0])

    def without(self, event_id: str) -> Counterfactual:
        """Run the same draws again with one cause removed.

        Args:
            event_id: Id of a cause, or of a text about it.

        Raises:
            UsageError: it is neither.
        """
        cause = self.cause_of(event_id)
        if cause is None:
            near = difflib.get_close_matches(event_id, self._by_id, n=3, cutoff=0.0)
            raise UsageError(
                f"{event_id!r} is no cause of this city.", f"It has {len(self._by_id)}, such as {', '.join(near)}."
            )
        if cause.id not in self._removed:
            self._removed[cause.id] = self._rerun(cause)
        return self._removed[cause.id]

    def causes(self, node: str, start: str | datetime, end: str | datetime) -> list[Effect]:
        """What acted on a node in a span, found by taking away one candidate after the other.

        Candidates act within the span or up to `LINGER` before it; those whose largest effect on the node reaches
        `THRESHOLD` in one of its channels are listed.

        Args:
            node: Id of a road sensor, an air station or the service.
            start: Local time of the city, unless it has an offset.
            end: The first moment after the span.

        Returns:
            The largest effect first. Effects of two causes do not add up exactly: a queue has no second tail.

        Raises:
            UsageError: there is no such node, or the span is empty or outside the simulated days.
        """
        channels = self._channels(node)
        first, last = self._step(start), self._step(end)
        if not 0 <= first < last <= len(self.time):
            raise UsageError(
                f"The span from {start} to {end} is empty or outside the city's days.",
                f"They are {self.time[0]:%Y-%m-%dT%H:%M} to {self.time[-1] + STEP:%Y-%m-%dT%H:%M} ({TIME_ZONE}).",
            )
        span = self.time[first:last]
        found = []
        for cause in self.draws:
            begin, until = _acts(cause)
            if begin > span[-1] or until + LINGER < span[0]:
                continue
            counterfactual = self.without(cause.id)
            changes = {}
            for channel in channels:
                change = counterfactual.effect(channel)[node].reindex(span, fill_value=0.0).to_numpy()
                changes[channel] = np.asarray(change, dtype=np.float64)
            if any(np.abs(change).max() >= THRESHOLD[channel] for channel, change in changes.items()):
                found.append((cause, changes))
        sizes = [float(np.abs(changes[channels[-1]]).sum()) for _, changes in found]
        total = sum(sizes)
        effects = [
            Effect(
                cause=cause,
                mean={name: float(x.mean()) for name, x in changes.items()},
                largest={name: float(x[np.abs(x).argmax()]) for name, x in changes.items()},
                share=size / total if total else 0.0,
            )
            for (cause, changes), size in zip(found, sizes, strict=True)
        ]
        return sorted(effects, key=lambda effect: -effect.share)

    # -- inside -------------------------------------------------------------------------

    def _channels(self, node: str) -> tuple[str, ...]:
        """Channels of a node; by the last one effects are compared."""
        if node in self.network.links.index:
            return ("flow", "speed")
        if node in self.air_stations.index:
            return ("no2", "pm25")
        if node == SERVICE:
            return ("requests",)
        raise UsageError(
            f"The city has no node {node!r}.",
            f"Road sensors are S001 to {self.network.links.index[-1]}, air stations A01 to "
            f"{self.air_stations.index[-1]}, the service is {SERVICE!r}.",
        )

    def _step(self, when: str | datetime) -> int:
        """The step that begins at `when` or holds it."""
        try:
            moment = pd.Timestamp(when)
            moment = moment.tz_localize(TIME_ZONE) if moment.tzinfo is None else moment
        except ValueError as err:
            raise UsageError(f"{when!r} is not a point in time.", "Write it as 2025-10-21T08:00.") from err
        return int((moment - self.time[0]) // STEP)

    def _rerun(self, cause: Cause) -> Counterfactual:
        """From the last state before the cause acts until nothing differs any more."""
        base = self.traffic
        others = tuple(other for other in self.draws if other is not cause)
        begin, until = _acts(cause)
        # It may begin before the first day (holidays) or after the last.
        chunk = min(max(int((begin - self.time[0]) // STEP), 0), len(self.time) - 1) // _CHUNK
        first, state, parts = chunk * _CHUNK, self._states[chunk], []
        rain = self._weather_without(cause).rain
        converged = False
        while not converged and (done := chunk * _CHUNK) < len(self.time):
            steps = slice(done, done + _CHUNK)
            run = self._model.run(state, self.time[steps], others, rain[steps])
            parts.append(run.traffic)
            state, chunk = run.end, chunk + 1
            over = chunk * _CHUNK >= len(self.time) or self.time[chunk * _CHUNK] >= until
            converged = over and state.distance(self._states[chunk]) <= SAME
        without = _joined(parts)
        span = slice(first, first + len(without.flow))
        differs = (np.abs(without.flow - base.flow[span]) > SAME) | (np.abs(without.speed - base.speed[span]) > SAME)
        rows = np.flatnonzero(differs.any(axis=1))
        low, high = (int(rows[0]), int(rows[-1]) + 1) if rows.size else (0, 0)
        return Counterfactual(
            cause, self.time[first + low : first + high], converged, self, _part(without, slice(low, high)), first + low
        )

    def _effect(self, counterfactual: Counterfactual, channel: str) -> pd.DataFrame:
        """See `Counterfactual.effect`."""
        first, steps = counterfactual._first, len(counterfactual.time)
        if channel in ("flow", "speed"):
            base = getattr(self.traffic, channel)[first : first + steps]
            change = base - getattr(counterfactual._without, channel)
            return pd.DataFrame(change, index=counterfactual.time, columns=self.network.links.index)
        if channel not in THRESHOLD:
            raise UsageError(f"The city has no channel {channel!r}.", f"Known: {', '.join(THRESHOLD)}.")
        last, cause = min(first + steps + AIR_LINGER, len(self.time)), counterfactual.cause
        traffic = _joined(
            [
                _part(self.traffic, slice(0, first)),
                counterfactual._without,
                _part(self.traffic, slice(first + steps, last)),
            ]
        )
        columns: list[str]
        if channel == "requests":
            from mm4st_agent.demo_city.cloud import requests

            others = tuple(other for other in self.draws if other is not cause)
            values = requests(self.network, traffic, others, self.time[:last], self.seed)[:, None]
            truth, columns = self.requests[:last, None], [SERVICE]
        else:
            from mm4st_agent.demo_city.air import simulate_air

            sky = self._weather_without(cause)
            air = Weather(*(getattr(sky, field.name)[:last] for field in dataclasses.fields(Weather)))
            values = simulate_air(self.network, traffic, air, STEP_S, self.seed)[channel]
            truth, columns = self.air[channel][:last], self.air_stations.index.tolist()
        change = truth - values
        rows = np.flatnonzero((np.abs(change) > SAME).any(axis=1))
        span = slice(int(rows[0]), int(rows[-1]) + 1) if rows.size else slice(0, 0)
        return pd.DataFrame(change[span], index=self.time[span], columns=columns)

    def _weather_without(self, cause: Cause) -> Weather:
        if cause.kind != "rain":
            return self.weather
        return weather(self.seed, self.time, [other for other in self.draws if other is not cause])


def _acts(cause: Cause) -> tuple[pd.Timestamp, pd.Timestamp]:
    """When a cause puts anything on the roads, or takes it off them."""
    if cause.kind != "event":
        return cause.start, cause.end
    return cause.start + pd.Timedelta(minutes=ARRIVE[0]), cause.end + pd.Timedelta(minutes=LEAVE[2])


def _joined(parts: Sequence[Traffic]) -> Traffic:
    return Traffic(
        *(np.concatenate([getattr(part, field.name) for part in parts]) for field in dataclasses.fields(Traffic))
    )


def _part(traffic: Traffic, steps: slice) -> Traffic:
    return Traffic(*(getattr(traffic, field.name)[steps] for field in dataclasses.fields(Traffic)))
