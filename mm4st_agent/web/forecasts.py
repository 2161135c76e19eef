"""What a chart of a forecast shows: the ledger's numbers, what was measured before, and what was measured later."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mm4st_agent.errors import DataError, MM4STError
from mm4st_agent.forecaster.config import QUANTILES
from mm4st_agent.forecaster.measured import latest, observed_in
from mm4st_agent.imaging.carried import numbers_in
from tools.forecast import HISTORY_SPANS, ForecastIn

if TYPE_CHECKING:
    from mm4st_agent.agent.answer import Answer
    from mm4st_agent.agent.ledger import Evidence
    from mm4st_agent.data.panel import Panel
    from mm4st_agent.runtime import Runtime

Series = NDArray[np.float64]
LEDGER = ("low", "median", "high", "baseline")
"""What a step of the ledger has."""


def forecasts(answer: Answer) -> list[Evidence]:
    """The forecasts behind an answer, in the ledger's order: the k-th of them, from 0, is its chart k."""
    return [entry for entry in answer.evidence if entry.tool == "forecast" and entry.error is None]


def chart_of(answer: Answer, evidence: str) -> int | None:
    """The position in `forecasts` of the entry with this id; None where it is no forecast."""
    return next((k for k, entry in enumerate(forecasts(answer)) if entry.id == evidence), None)


@dataclass(frozen=True)
class Readings:
    """Values at zone-aware times of the data; NaN is missing."""

    times: pd.DatetimeIndex
    values: Series


@dataclass(frozen=True)
class Forecast:
    """One forecast of the ledger and what was measured around it.

    Attributes:
        clock: When it was made, local time of the data.
        zone: Their time zone in words.
        times: `(H,)` of the steps.
        ledger: `(H,)` each of `LEDGER`, in `unit`; NaN where the ledger has none.
        half: `(H, 2)` the ends of the 50 % band, from the picture that was drawn of the same forecast; None where it
            has none.
        measured: Before the clock, and nothing that was filled in.
        filled: Before the clock, what the source filled in and nobody measured.
        later: Measured after the clock, up to the forecast's end; no forecaster saw it.
        lasts_s: How long a reading lasts from its time on; 0 where it is of that moment.
        missing: Why something is not shown, as sentences.
    """

    entry: Evidence
    clock: pd.Timestamp
    zone: str
    times: pd.DatetimeIndex
    ledger: dict[str, Series]
    half: Series | None
    measured: Readings
    filled: Readings
    later: Readings
    lasts_s: float = 0.0
    missing: tuple[str, ...] = field(default=())

    def word(self, name: str) -> str:
        """A short text of the reply; '' where there is none."""
        return str(self.entry.words.get(name, ""))

    @property
    def unit(self) -> str:
        """Such as `vehicles/5 min`; '' is dimensionless."""
        unit = self.word("unit").strip()
        return "" if unit == "1" else unit


def forecast_of(entry: Evidence, runtime: Runtime) -> Forecast:
    """Read a forecast from its ledger entry; only what was measured is read from the data."""
    ledger = {name: _steps(entry, name) for name in LEDGER}
    half, lost = _half(entry, ledger, runtime)
    try:
        return _beside_readings(entry, ledger, half, lost, runtime)
    except MM4STError as err:
        clock = _clock(entry)
        times = pd.to_datetime(_moments(entry), utc=True).tz_convert(clock.tz)
        zone, nothing = f"UTC{clock.isoformat()[-6:]}", Readings(times[:0], np.array([]))
        missing = (*lost, f"What was measured is not shown. {err.message}")
        return Forecast(entry, clock, zone, times, ledger, half, nothing, nothing, nothing, missing=missing)


def _beside_readings(
    entry: Evidence, ledger: dict[str, Series], half: Series | None, lost: tuple[str, ...], runtime: Runtime
) -> Forecast:
    args = ForecastIn.model_validate(entry.args)
    whole = runtime.registry.open(args.dataset)
    known = whole.until(_clock(entry).to_pydatetime())
    skip, horizon = args.start_in_minutes * 60 // known.step_s, len(ledger["median"])
    times = _ahead(known, skip, horizon)
    node, channel = args.node, known.channel(str(entry.words["channel"]))
    if channel.unit != entry.words["unit"] or list(map(_minute, times)) != list(map(_minute, _moments(entry))):
        raise DataError(f"The data set {args.dataset!r} is another one than when the forecast was made.")
    values, filled = (part[:, 0] for part in latest(known.only([node]), channel.name, HISTORY_SPANS * (skip + horizon)))
    before = known.times[-len(values) :]
    behind = whole.only([node])
    after = slice(len(known.times), len(known.times) + skip + horizon)
    return Forecast(
        entry=entry,
        clock=known.end,
        zone=whole.card.time_zone,
        times=times,
        ledger=ledger,
        half=half,
        measured=Readings(before, np.where(filled, np.nan, values).astype(np.float64)),
        filled=Readings(before, np.where(filled, values, np.nan).astype(np.float64)),
        later=Readings(behind.times[after], observed_in(behind, channel.name, after)[:, 0].astype(np.float64)),
        lasts_s=float(whole.step_s) if whole.card.time_label == "start" else 0.0,
        missing=lost,
    )


def _half(entry: Evidence, ledger: dict[str, Series], runtime: Runtime) -> tuple[Series | None, tuple[str, ...]]:
    """The 50 % band, as the entry's picture carries it; only beside the very numbers of the ledger."""
    try:
        carried = numbers_in(runtime.images.get(entry.images[0].image_id)) if entry.images else None
    except MM4STError:
        carried = None
    if carried is not None and carried.get("levels") == list(QUANTILES):
        fan = np.array(carried["quantiles"], dtype=np.float64).reshape(-1, len(QUANTILES))
        same = np.column_stack([ledger["low"], ledger["median"], ledger["high"]])
        if fan.shape[0] == len(same) and np.array_equal(fan[:, [0, 2, 4]], same, equal_nan=True):
            return fan[:, [1, 3]], ()
    return None, ("The 50 % band is not shown: it was not kept with this forecast.",)


def _steps(entry: Evidence, name: str) -> Series:
    found = (entry.values.get(f"steps[{n}].{name}") for n in range(_horizon(entry)))
    return np.array([np.nan if value is None else float(value.value) for value in found])


def _horizon(entry: Evidence) -> int:
    return sum(path.startswith("steps[") and path.endswith("].time") for path in entry.values)


def _moments(entry: Evidence) -> list[pd.Timestamp]:
    return [pd.Timestamp(str(entry.values[f"steps[{n}].time"].value)) for n in range(_horizon(entry))]


def _clock(entry: Evidence) -> pd.Timestamp:
    """As the reply has it: with the offset of the data's zone."""
    return pd.Timestamp(datetime.fromisoformat(str(entry.values["as_of"].value)))


def _ahead(known: Panel, skip: int, horizon: int) -> pd.DatetimeIndex:
    first = known.times[-1] + (skip + 1) * known.step
    return pd.date_range(first, periods=horizon, freq=known.step)


def _minute(moment: pd.Timestamp) -> str:
    """As the ledger writes a time."""
    return moment.isoformat(timespec="minutes")
