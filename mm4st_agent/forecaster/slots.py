"""The calendar of a panel: slot of the day, slot of the week, day type, in local time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

DAY_TYPES = 8
"""Monday 0 .. Sunday 6, public holiday 7."""
HOLIDAY = 7
_DAY_S = 86_400


@dataclass(frozen=True)
class Slots:
    """Where each time stamp stands in the local week; a slot is as long as one step, at most a day.

    Attributes:
        per_day: Slots in one day.
        of_day: `(T,)` in 0 .. per_day - 1.
        weekday: `(T,)` Monday 0 .. Sunday 6.
        day_type: `(T,)` as `weekday`, but 7 on a public holiday.
        day: `(T,)` number of the local day; Mondays are multiples of 7.
    """

    per_day: int
    of_day: NDArray[np.int64]
    weekday: NDArray[np.int64]
    day_type: NDArray[np.int64]
    day: NDArray[np.int64]

    @property
    def per_hour(self) -> int:
        """Slots in one hour; one where a step is an hour or longer."""
        return max(1, self.per_day // 24)

    @property
    def of_week(self) -> NDArray[np.int64]:
        """`(T,)` in 0 .. 7 * per_day - 1; 0 starts on Monday at midnight."""
        return self.weekday * self.per_day + self.of_day

    @property
    def week(self) -> NDArray[np.int64]:
        """`(T,)` number of the calendar week; a slot of the week occurs once in each."""
        return self.day // 7

    def parts_of_day(self, origins: NDArray[np.integer], horizon: int, parts: int) -> NDArray[np.int64]:
        """`(W, horizon)` in which of so many equal parts of the day the steps from each origin `(W,)` on begin."""
        ahead = origins[:, None] + np.arange(horizon)
        found: NDArray[np.int64] = self.of_day[ahead] * parts // self.per_day
        return found

    def only(self, span: slice) -> Slots:
        """Of the steps `span`."""
        return Slots(self.per_day, self.of_day[span], self.weekday[span], self.day_type[span], self.day[span])


def slots_of(times: pd.DatetimeIndex, step_s: int, holidays: str | None = None) -> Slots:
    """Place time stamps in the local week.

    Args:
        times: `(T,)` zone-aware; wall-clock time of that zone counts, so a slot keeps its hour
            when clocks change.
        step_s: Seconds between two steps.
        holidays: "US" marks federal holidays, on their date and on the day on which they are observed; None
            marks none.
    """
    wall = times.tz_localize(None)
    seconds = wall.hour * 3600 + wall.minute * 60 + wall.second
    weekday = np.asarray(wall.day_of_week, dtype=np.int64)
    days = wall.normalize()
    free = np.isin(days.to_numpy(), _holidays(days, holidays))
    epoch = pd.Timestamp("1970-01-05")  # a Monday
    return Slots(
        per_day=slots_a_day(step_s),
        of_day=np.asarray(seconds, dtype=np.int64) // min(step_s, _DAY_S),
        weekday=weekday,
        day_type=np.where(free, HOLIDAY, weekday),
        day=np.asarray((days - epoch).days, dtype=np.int64),
    )


def slots_a_day(step_s: int) -> int:
    """How many slots a day has at this step; one where a step is a day or longer."""
    return -(-_DAY_S // min(step_s, _DAY_S))


def extended(times: pd.DatetimeIndex, steps: int) -> pd.DatetimeIndex:
    """The evenly spaced, zone-aware `times` and the `steps` stamps that follow them."""
    utc = times.tz_convert("UTC")
    return pd.date_range(utc[0], periods=len(utc) + steps, freq=utc[1] - utc[0]).tz_convert(times.tz)


def _holidays(days: pd.DatetimeIndex, calendar: str | None) -> NDArray[np.datetime64]:
    """The holidays between the first and the last of `days`: the dates themselves, and the days off given for them."""
    if calendar is None or not len(days):
        return np.array([], dtype="datetime64[ns]")
    return _us_holidays(days.min().year, days.max().year)


@lru_cache(maxsize=64)
def _us_holidays(first: int, last: int) -> NDArray[np.datetime64]:
    """Those of whole years; a day off may be given in the year before its holiday."""
    from pandas.tseries.holiday import AbstractHolidayCalendar, Holiday, USFederalHolidayCalendar

    observed = USFederalHolidayCalendar()
    dates = AbstractHolidayCalendar(
        "dates",
        [Holiday(r.name, month=r.month, day=r.day, start_date=r.start_date) for r in observed.rules if r.observance],
    )
    span = (pd.Timestamp(first, 1, 1), pd.Timestamp(last + 1, 1, 1))
    return np.concatenate([calendar.holidays(*span).to_numpy() for calendar in (observed, dates)])
