"""Local time along the horizontal axis of a picture."""

from __future__ import annotations

import zoneinfo
from collections.abc import Sequence
from datetime import datetime, tzinfo

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.dates import AutoDateLocator, num2date
from matplotlib.ticker import Formatter
from numpy.typing import NDArray

from mm4st_agent.errors import UsageError
from mm4st_agent.imaging.figure import words

_DAY_S = 86_400.0


def local(times: pd.DatetimeIndex, time_zone: str) -> pd.DatetimeIndex:
    """`times` in the zone of the picture.

    Raises:
        UsageError: there is no such zone, or the times are empty, without a zone, or not increasing.
    """
    try:
        zone = zoneinfo.ZoneInfo(time_zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError) as err:
        raise UsageError(f"There is no time zone {time_zone!r}.", "Use an IANA name such as 'US/Pacific'.") from err
    if len(times) == 0:
        raise UsageError("There is no time step to draw.", "Give at least one.")
    if times.tz is None:
        raise UsageError(f"The times from {times[0]} on have no time zone.", "Localize them first.")
    if times.hasnans or not times.is_monotonic_increasing or not times.is_unique:
        raise UsageError(f"The {len(times)} times from {times[0]} on do not increase.", "Sort them, one row a time.")
    return times.tz_convert(zone)


def days(times: pd.DatetimeIndex) -> NDArray[np.float64]:
    """`(T,)` the horizontal axis: days since 1970-01-01 UTC, as matplotlib counts them."""
    seconds = times.tz_convert("UTC").tz_localize(None).to_numpy().astype("datetime64[us]").astype(np.int64) / 1e6
    return np.asarray(seconds / _DAY_S, dtype=np.float64)


def typical_step(times: pd.DatetimeIndex) -> float:
    """The usual distance of two times in days; an hour where there is only one time."""
    return float(np.median(np.diff(days(times)))) if len(times) > 1 else 1 / 24


def step_seconds(times: pd.DatetimeIndex) -> float:
    """`typical_step` in seconds, to the millisecond."""
    return round(typical_step(times) * _DAY_S, 3)


def stamp(moment: pd.Timestamp) -> str:
    """A local time in a text, such as `2022-01-25 07:30`."""
    return f"{moment:%Y-%m-%d %H:%M}"


def span_in_words(first: pd.Timestamp, last: pd.Timestamp) -> str:
    """Such as `Mon 24 Jan 07:30 to Tue 25 Jan 2022 07:25`, naming no more than is needed."""
    if first == last:
        return f"{first:%a %d %b %Y %H:%M}"
    if first.date() == last.date():
        return f"{first:%a %d %b %Y %H:%M} to {last:%H:%M}"
    year = "" if first.year == last.year else " %Y"
    return f"{first.strftime(f'%a %d %b{year} %H:%M')} to {last:%a %d %b %Y %H:%M}"


def duration(seconds: float) -> str:
    """A length of time in words: `5 min`, `21.3 h`, `1 day`, `3.5 days`.

    >>> duration(300), duration(86_400), duration(12_345), duration(7 * 86_400)
    ('5 min', '1 day', '3.43 h', '7 days')
    """
    for unit, length in (("day", _DAY_S), ("h", 3600.0), ("min", 60.0), ("s", 1.0)):
        count = f"{seconds / length:.3g}"
        if float(count) >= 1 or unit == "s":
            return f"{float(count):g} {unit}{'s' if unit == 'day' and float(count) != 1 else ''}"
    raise AssertionError("seconds are the last unit")


def time_axis(axes: Axes, times: pd.DatetimeIndex, *, max_ticks: int = 9) -> None:
    """Ticks, labels and limits of the horizontal axis in the zone of `times`, half a step around them."""
    x, step = days(times), typical_step(times)
    axes.set_xlim(x[0] - step / 2, x[-1] + step / 2)
    time_ticks(axes.xaxis, times, max_ticks)
    axes.set_xlabel(f"{span_in_words(times[0], times[-1])}, local time ({times.tz})", **words())


def time_ticks(axis: Axis, times: pd.DatetimeIndex, max_ticks: int) -> None:
    """Round local times on either axis."""
    zone = times.tz
    assert zone is not None
    # The locator's widest step of a unit is half of the next unit: with more ticks wanted, some spans would have none.
    fewest = min(4, (max_ticks - 1) // 2)
    locator = _Ticks(tz=zone, minticks=fewest, maxticks=max_ticks)  # type: ignore[no-untyped-call]
    axis.set_major_locator(locator)
    axis.set_major_formatter(_LocalTime(zone))


class _Ticks(AutoDateLocator):
    """Finds the ticks of a span once: one drawing asks for them ten times, and calendar arithmetic is slow."""

    _found: tuple[tuple[float, float], Sequence[float]] | None = None

    def __call__(self) -> Sequence[float]:
        assert self.axis is not None
        first, last = self.axis.get_view_interval()
        if self._found is None or self._found[0] != (first, last):
            self._found = (first, last), super().__call__()  # type: ignore[no-untyped-call]
        return self._found[1]


class _LocalTime(Formatter):
    """Clock times, with the date below the first and below each new day; dates alone from a day a tick on."""

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone

    def __call__(self, x: float, pos: int | None = None) -> str:
        return f"{self._moment(x):%Y-%m-%d %H:%M}"

    def format_ticks(self, values: Sequence[float]) -> list[str]:
        moments = [self._moment(value) for value in values]
        if any((m.hour, m.minute) != (0, 0) for m in moments):
            labels = _clock_times(moments)
        elif len(moments) > 1 and all(m.day == 1 for m in moments):
            labels = [f"{m:%b}\n{m:%Y}" if i == 0 or m.month == 1 else f"{m:%b}\n " for i, m in enumerate(moments)]
        else:
            labels = [f"{m:%a}\n{m:%d %b}" for m in moments]
        # The last tick of a month may stand close to the first of the next.
        gaps = np.diff(values, append=np.inf)
        near = 0.7 * np.median(gaps[:-1]) if len(values) > 1 else 0.0
        return ["" if gap < near else label for label, gap in zip(labels, gaps, strict=True)]

    def _moment(self, x: float) -> datetime:
        moment: datetime = num2date(x, tz=self._zone)  # type: ignore[no-untyped-call]
        return moment


def _clock_times(moments: Sequence[datetime]) -> list[str]:
    """Clock times, with the date below where a new day begins."""
    dates = [m.date() for m in moments]
    new_day = [i == 0 or day != dates[i - 1] for i, day in enumerate(dates)]
    if new_day[1:2] == [True]:
        new_day[0] = False  # two dates side by side would touch, and the second tells the first
    clock = "%H:%M:%S" if any(m.second for m in moments) else "%H:%M"
    # A blank second line keeps the clock times of all ticks on one height.
    below = [f"{m:%a %d %b}" if new else " " for m, new in zip(moments, new_day, strict=True)]
    return [f"{m.strftime(clock)}\n{date}" for m, date in zip(moments, below, strict=True)]
