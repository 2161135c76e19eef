"""The past moments at which a question is asked again."""

from __future__ import annotations

import re

import pandas as pd

from mm4st_agent.data.panel import Panel
from mm4st_agent.errors import UsageError

MOST = 2000
"""Answers in one backtest; more are a slip of the pen, such as seconds for hours."""
_UNITS = {"min": pd.Timedelta("1min"), "h": pd.Timedelta("1h"), "d": pd.Timedelta("1D")}


def span(panel: Panel, between: str) -> tuple[pd.Timestamp, pd.Timestamp]:
    """Read `FROM..TO`; a time without a zone is local time of the data.

    Raises:
        UsageError: it is not two times in this order inside the data.
    """
    first, dots, last = between.partition("..")
    if not dots or not first or not last:
        raise UsageError(
            f"--as-of {between!r} is not a span of time.", "Write FROM..TO, such as 2025-10-15T06:00..2025-10-22T06:00."
        )
    start, end = panel.moment(first), panel.moment(last)
    if start > end:
        raise UsageError(f"--as-of {between!r} ends before it begins.", "Write the earlier time first.")
    return start, end


def last_days(panel: Panel, end: str, days: int) -> tuple[pd.Timestamp, pd.Timestamp]:
    """The `days` days that end at the clock `end`.

    Raises:
        UsageError: the data begin later.
    """
    last = panel.moment(end)
    first = last - pd.Timedelta(days=days)
    if first < panel.start:
        raise UsageError(
            f"--days {days} reaches back to {first:%Y-%m-%dT%H:%M}, before the first reading, "
            f"{panel.start:%Y-%m-%dT%H:%M}.",
            f"At most {(last - panel.start).days} days are there.",
        )
    return first, last


def interval(every: str) -> pd.Timedelta:
    """Read `6h`, `30min` or `1d`.

    Raises:
        UsageError: it is no such length of time.
    """
    found = re.fullmatch(r"(\d{1,5})\s*(min|h|d)", every.strip(), re.ASCII)
    if found is None or int(found[1]) == 0:
        raise UsageError(f"--every {every!r} is no length of time.", "Write a number and min, h or d, such as 6h.")
    return int(found[1]) * _UNITS[found[2]]


def moments(first: pd.Timestamp, last: pd.Timestamp, every: pd.Timedelta) -> pd.DatetimeIndex:
    """From `last` back in steps of `every`, oldest first; `first` itself is left out unless it is the only one.

    Raises:
        UsageError: there are too many.
    """
    count = max(-(-(last - first) // every), 1)
    if count > MOST:
        raise UsageError(
            f"Every {every} from {first:%Y-%m-%dT%H:%M} to {last:%Y-%m-%dT%H:%M} makes {count:,} answers.",
            f"At most {MOST:,} are given: take fewer days, or a longer --every.",
        )
    return pd.DatetimeIndex([last - step * every for step in range(count)][::-1])
