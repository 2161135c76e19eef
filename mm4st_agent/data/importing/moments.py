"""Points in time in the tables beside the readings: what `times` reads, or the one usual order that fits."""

from __future__ import annotations

import re
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from mm4st_agent.data.importing.cells import listed, short, texts
from mm4st_agent.data.importing.draft import Finding
from mm4st_agent.data.importing.times import parse
from mm4st_agent.errors import DataError

_USUAL = re.compile(
    r"(\d{1,2})([-/.])\d{1,2}\2(\d{4}|\d\d)(?:(T|,? )\d{1,2}:\d\d(:\d\d)?( ?[AP]M)?)?", re.IGNORECASE | re.ASCII
)
_YEARS = (1800, 2200)


def read_times(
    path: Path,
    column: pd.Series,
    zone: ZoneInfo,
    time_format: str | None,
    findings: list[Finding],
    *,
    optional: bool = False,
    option: str = "events_time_format",
) -> pd.Series:
    """Read a column of points in time.

    A local time that a clock change repeats is the first of the two; one that it skips is moved to its end.

    Args:
        path: Of the table, for messages.
        column: Cells, indexed by the row in the file.
        zone: Of times without an offset.
        time_format: strftime pattern; None reads ISO 8601 or epoch numbers (seconds or milliseconds), or else the
            one of month-day-year, day-month-year and year-month-day that fits every row.
        findings: What is inferred or mended is added to it.
        optional: Whether cells may be empty, which gives NaT.
        option: How the person can state the format.

    Returns:
        Zone-aware times, indexed like `column`.

    Raises:
        DataError: a cell is no such time, or two orders fit every row; the message names row, column and value.
        UsageError: there is no such zone or format.
    """
    if pd.api.types.is_datetime64_any_dtype(column):
        _refuse(path, column, column.isna() & (not optional), "")
        return _localized(column, zone, findings)
    text = texts(column)
    empty = text.str.lower().isin(["", "nat", "nan", "na", "null", "none"])
    _refuse(path, column, empty & (not optional), "Every row needs one.")
    given = text[~empty]
    if given.empty:
        return pd.Series(pd.NaT, index=column.index, dtype=pd.DatetimeTZDtype("ns", zone))
    form = _USUAL.fullmatch(given.iloc[0]) if time_format is None else None
    if form is not None:
        parsed = _usual_order(path, given, form, findings, option)
    else:
        parsed, found = parse(path, given, time_format)
        findings += [Finding(f"times in {column.name!r}", one.value, one.why, one.status) for one in found]
    _refuse(path, given, parsed.isna(), f"State {option}, or write ISO 8601.")
    _refuse(path, given, ~parsed.dt.year.between(*_YEARS), f"Years are from {_YEARS[0]} to {_YEARS[1]}.")
    return _localized(parsed, zone, findings).reindex(column.index)


def _refuse(path: Path, column: pd.Series, bad: pd.Series, hint: str) -> None:
    if bad.any():
        row = bad.index[bad][0]
        raise DataError(
            f"{path}, row {row}, column {column.name!r}: {short(column[row])} is not a point in time.", hint
        )


def _usual_order(path: Path, given: pd.Series, form: re.Match[str], findings: list[Finding], option: str) -> pd.Series:
    """Times in the one usual order of day, month and year that fits every row."""
    separator = form[2]
    clock = f"{form[4]}{'%I' if form[6] else '%H'}:%M{':%S' if form[5] else ''}" if form[4] else ""
    clock += form[6].replace(form[6].strip(), "%p") if form[6] else ""
    orders = ("%m %d %Y", "%d %m %Y") if len(form[3]) == 4 else ("%m %d %y", "%d %m %y", "%y %m %d")
    formats = [order.replace(" ", separator) + clock for order in orders]
    read = {f: pd.to_datetime(given, format=f, errors="coerce") for f in formats}
    fitting = [f for f, times in read.items() if times.notna().all()]
    if len(fitting) > 1 and not all(read[f].equals(read[fitting[0]]) for f in fitting):
        raise DataError(
            f"{path}, column {given.name!r}: {short(given.iloc[0])} could be either of {' and '.join(fitting)}, and so "
            "could every other row.",
            f"State which: {option} = {fitting[0]!r}, for instance.",
        )
    if not fitting:
        best = max(read, key=lambda f: int(read[f].notna().sum()))
        return read[best]
    findings.append(
        Finding(f"times in {given.name!r}", fitting[0], "the one usual order that fits every row.", "inferred")
    )
    return read[fitting[0]]


def _localized(times: pd.Series, zone: ZoneInfo, findings: list[Finding]) -> pd.Series:
    times = times.dt.as_unit("ns")
    local: pd.Series
    if times.dt.tz is not None:
        local = times.dt.tz_convert(zone)
        return local
    first = np.ones(len(times), dtype=bool)
    local = times.dt.tz_localize(zone, ambiguous=first, nonexistent="shift_forward")
    twice = local != times.dt.tz_localize(zone, ambiguous=~first, nonexistent="shift_forward")
    skipped = local.dt.tz_localize(None) != times
    for which, rule in (
        (twice, "a clock change repeats their hour; the first of the two is taken"),
        (skipped, "a clock change skips their hour; its end is taken"),
    ):
        which = which & times.notna()
        if which.any():
            what, rows = f"clock changes in {times.name!r}", listed(which.index[which])
            findings.append(Finding(what, f"{which.sum():,} rows", f"rows {rows}: {rule}.", "mended"))
    return local
