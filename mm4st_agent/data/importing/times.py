"""Stamps as a file has them -> UTC instants, with the rules for clock changes; every mending is a finding."""

from __future__ import annotations

import dataclasses
import re
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mm4st_agent.data.importing.draft import Finding
from mm4st_agent.errors import DataError, UsageError

WITH_OFFSET = "with offset"
"""Value of the finding 'time stamps' where each says its offset from UTC."""
EPOCH = "epoch"
"""How that value begins where they are numbers since 1970 UTC."""

YEARS = (1700, 2250)
"""What nanoseconds of 64 bits can count, with room to spare."""

_OFFSET = re.compile(r"[T ]\d{1,2}.*(?:Z|[+-]\d{2}(?::?\d{2})?)$", re.IGNORECASE)
_LOOSE = r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?:[T ]+(\d{1,2})(:\d{1,2}.*)?)?"
_ISO_HINT = "Write ISO 8601 such as 2022-01-25T07:30, or pass time_format such as '%d/%m/%Y %H:%M'."
_EPOCHS = (("s", 1e8, 2e10), ("ms", 1e11, 2e13), ("us", 1e14, 2e16), ("ns", 1e17, 9.2e18))
_DIGITS = {8: "%Y%m%d", 10: "%Y%m%d%H", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}


@dataclasses.dataclass(frozen=True, slots=True)
class Instants:
    """Stamps in UTC.

    Attributes:
        ns: `(R,)` nanoseconds since 1970, in the order of the stamps.
        kept: `(R,)`, False for a row that a rule dropped.
        dates: Whether the stamps are local days rather than moments.
        findings: What was inferred and mended.
    """

    ns: NDArray[np.int64]
    kept: NDArray[np.bool_]
    dates: bool
    findings: tuple[Finding, ...]


def zone_of(name: str | None) -> ZoneInfo:
    """The time zone; UTC for None.

    Raises:
        UsageError: there is no such zone.
    """
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError) as err:
        raise UsageError(f"There is no time zone {name!r}.", "Use an IANA name such as 'US/Pacific'.") from err


def instants(path: Path, stamps: pd.Series, zone: ZoneInfo, time_format: str | None = None) -> Instants:
    """Read stamps.

    Local stamps: of an hour that a clock change repeats, the order of the rows tells which is which (a single one is
    the first); a stamp in an hour that is skipped stands for the moment that it would be by the offset before the
    change, and is dropped where that moment has a row of its own.

    Args:
        path: Named in errors.
        stamps: Text, numbers, naive or zone-aware datetimes; a numeric index is the row in the file.
        zone: Of stamps without an offset.
        time_format: strftime pattern; None reads ISO 8601 and epoch numbers.

    Raises:
        UsageError: the format is none.
        DataError: a stamp cannot be read; the message names row, column and value.
    """
    parsed, findings = parse(path, stamps, time_format)
    odd = ~parsed.dt.year.between(*YEARS)
    if odd.any():
        what = f"{stamps[odd.to_numpy()].iloc[0]!s} is not in the years {YEARS[0]} to {YEARS[1]}."
        raise _unreadable(path, stamps, odd, what)
    everything = np.ones(len(parsed), dtype=bool)
    if parsed.dt.tz is not None:
        found = Finding("time stamps", WITH_OFFSET, "Each stamp says its offset from UTC, which is used.", "stated")
        said = findings or (found,)
        return Instants(_ns(parsed.dt.tz_convert("UTC")), everything, False, said)
    local = parsed.dt.as_unit("ns")
    if zone.key == "UTC":
        return Instants(_ns(local), everything, False, findings)
    offsets = _offsets(zone, local) if _are_dates(local) else ()
    if len(offsets) == 1:
        return Instants(_ns(local) - offsets[0], everything, False, findings)
    if offsets:
        why = (
            f"The stamps are days, which are 23 or 25 hours long at a clock change of {zone.key}; on the even grid each"
            " begins at midnight of standard time."
        )
        mended = Finding("days", f"{len(local)} rows", why, "mended")
        return Instants(_ns(local) - min(offsets), everything, True, (*findings, mended))
    return _localized(local, zone, findings)


def parse(path: Path, stamps: pd.Series, time_format: str | None = None) -> tuple[pd.Series, tuple[Finding, ...]]:
    """Stamps as datetimes, naive or in UTC, indexed as they are.

    Raises:
        UsageError: the format is none.
        DataError: a stamp cannot be read; the message names row, column and value.
    """
    if pd.api.types.is_datetime64_any_dtype(stamps):
        if stamps.isna().any():
            raise _unreadable(path, stamps, stamps.isna(), "no time stamp.")
        return (stamps.dt.tz_convert("UTC") if stamps.dt.tz is not None else stamps), ()
    if pd.api.types.is_numeric_dtype(stamps) and not pd.api.types.is_bool_dtype(stamps) and time_format is None:
        return _from_numbers(path, stamps)
    if stamps.dtype == object and len(stamps) and stamps.map(lambda stamp: isinstance(stamp, (date, datetime))).all():
        stamps = stamps.map(lambda stamp: stamp.isoformat())
    text = stamps.astype("str").str.strip().fillna("")
    if time_format is None:
        if text.str.fullmatch(r"\d+(?:\.\d*)?").all() and (text.str.len() != 4).any():
            return _from_numbers(path, text)
        ahead = text.str.fullmatch(_LOOSE) & ~text.str.fullmatch(r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}.*)?")
        if ahead.any():
            text = text.mask(ahead, text[ahead].str.replace(_LOOSE, _iso, regex=True))
    has_offset = text.str.contains(_OFFSET) if time_format is None else pd.Series("%z" in time_format, text.index)
    if has_offset.any() and not has_offset.all():
        odd = has_offset != has_offset.iloc[0]
        raise DataError(
            f"{path}, {_row(text, odd)}: {text[odd].iloc[0]!r} has a zone or lacks one, unlike the rows above.",
            "Write all stamps with an offset, or none.",
        )
    try:
        parsed = pd.to_datetime(text, format=time_format or "ISO8601", errors="coerce", utc=bool(has_offset.all()))
    except ValueError as err:
        hint = "Use strftime codes, such as '%d/%m/%Y %H:%M'."
        raise UsageError(f"{time_format!r} is not a time format: {err}.", hint) from err
    if parsed.isna().any():
        raise _unreadable(path, text, parsed.isna(), f"{text[parsed.isna()].iloc[0]!r} is not a time stamp.")
    return parsed, ()


def _iso(match: re.Match[str]) -> str:
    year, month, day, hour, rest = match.groups()
    clock = "" if hour is None else f" {hour:>02}" + re.sub(r":(\d)(?!\d)", r":0\1", rest or ":00")
    return f"{year}-{month:>02}-{day:>02}{clock}"


def _from_numbers(path: Path, stamps: pd.Series) -> tuple[pd.Series, tuple[Finding, ...]]:
    """Epoch numbers by their size, or the digits of a date: 20120301, 201203010005, 20120301000500."""
    values = pd.to_numeric(stamps, errors="coerce")
    if values.isna().any():
        raise _unreadable(path, stamps, values.isna(), f"{str(stamps[values.isna()].iloc[0])!r} is not a time stamp.")
    size = values.abs()
    digits = stamps.astype("str").str.replace(r"\.0*$", "", regex=True)
    lengths = digits.str.len()
    pattern = _DIGITS.get(int(lengths.iloc[0])) if lengths.nunique() == 1 else None
    if (
        pattern is not None
        and digits.str.match("(?:19|20)").all()
        and not (pattern == "%Y%m%d%H" and size.max() < 1.9e9)
    ):
        dated = pd.to_datetime(digits, format=pattern, errors="coerce")
        if dated.notna().all():
            return dated, (Finding("time stamps", pattern, "Each number holds the digits of a date.", "inferred"),)
    for unit, low, high in _EPOCHS:
        if ((size >= low) & (size < high)).all():
            # Whole numbers must not pass through floats, which have too few digits for nanoseconds.
            exact = values.astype("int64") if (values % 1 == 0).all() else values
            found = pd.to_datetime(exact, unit=unit, utc=True)  # type: ignore[call-overload]
            why = f"Numbers of this size are {unit} since 1970-01-01 UTC."
            return found.dt.round("us") if unit == "s" else found, (
                Finding("time stamps", f"{EPOCH} ({unit})", why, "inferred"),
            )
    odd = ~((size >= _EPOCHS[0][1]) & (size < _EPOCHS[-1][2]))
    odd = odd if odd.any() else pd.Series(True, index=stamps.index)
    raise DataError(
        f"{path}, {_row(stamps, odd)}: {stamps[odd].iloc[0]!s} is not a time stamp.",
        "Epoch numbers in s, ms, us or ns since 1970 are read, all of one kind. " + _ISO_HINT,
    )


def _localized(local: pd.Series, zone: ZoneInfo, findings: tuple[Finding, ...]) -> Instants:
    """Local clock times in UTC, by the rules of `instants`."""
    twice = local.dt.tz_localize(zone, ambiguous="NaT", nonexistent="shift_forward").isna().to_numpy()
    first = np.ones(len(local), dtype=bool)
    mended = list(findings)
    if twice.any():
        first[twice] = _is_first(local[twice], local)
        repeats = int((~first).sum())
        example = f"such as {_row(local, pd.Series(twice, index=local.index))} ({local[twice].iloc[0]})"
        why = f"A clock change of {zone.key} repeats them, {example}; the order of the rows tells which is which" + (
            "." if repeats else ", and as none comes again they count as the first."
        )
        mended.append(Finding("repeated hour", f"{int(twice.sum())} rows", why, "mended"))
    placed = local.dt.tz_localize(zone, ambiguous=first, nonexistent="NaT")
    skipped = placed.isna().to_numpy()
    kept = np.ones(len(local), dtype=bool)
    ns = _ns(placed.dt.tz_convert("UTC"))
    if skipped.any():
        before = local[skipped].dt.tz_localize(zone, nonexistent="shift_backward").dt.tz_convert("UTC")
        edge = local[skipped].dt.tz_localize(zone, nonexistent="shift_backward").dt.tz_localize(None)
        ns[skipped] = _ns(local[skipped]) - (_ns(edge) - _ns(before))
        kept[skipped] = ~np.isin(ns[skipped], ns[~skipped])
        dropped = int((~kept).sum())
        where = pd.Series(skipped, index=local.index)
        why = (
            f"{zone.key} has no such hour (clocks change), such as {_row(local, where)} ({local[skipped].iloc[0]}); a "
            "stamp counts by the offset before the change"
            + (f", and {dropped} rows were dropped whose moment has a row of its own" if dropped else "")
            + ". Were the stamps logged in another zone?"
        )
        mended.append(Finding("skipped hour", f"{int(skipped.sum())} rows", why, "mended"))
    return Instants(ns, kept, False, tuple(mended))


def _is_first(repeated: pd.Series, local: pd.Series) -> NDArray[np.bool_]:
    """Which stamps of repeated hours come before the clock change, by the order of the rows in the file.

    Within one clock change, the rows after the clock went back are the second ones. Where it never goes back, the
    second row of a stamp is; so it is, too, in files without any order.
    """
    order = np.arange(len(repeated))
    whole = _ns(local)
    if pd.api.types.is_numeric_dtype(repeated.index):
        order = np.argsort(repeated.index.to_numpy(), kind="stable")
        whole = whole[np.argsort(local.index.to_numpy(), kind="stable")]
    ups, downs = int((np.diff(whole) > 0).sum()), int((np.diff(whole) < 0).sum())
    if downs > ups:
        order = order[::-1]
    # In a file in order the clock goes back once at each change, and nowhere else but by a few mistakes.
    ordered = min(ups, downs) <= repeated.dt.date.nunique() + 0.1 * max(ups, downs)
    first = np.ones(len(repeated), dtype=bool)
    rows = pd.DataFrame({"stamp": _ns(repeated)[order], "day": repeated.dt.date.to_numpy()[order], "at": order})
    for _, group in rows.groupby("day", sort=False):
        stamps = group["stamp"].to_numpy()
        back = np.flatnonzero(np.diff(stamps) < 0)
        if ordered and len(back) == 1:
            second = np.arange(len(stamps)) > back[0]
        else:
            second = group["stamp"].duplicated().to_numpy()
        first[group["at"].to_numpy()[second]] = False
    return first


def _are_dates(local: pd.Series) -> bool:
    """Whether all stamps are at one time of day, and there are several days."""
    day = 86_400 * 10**9
    clock = _ns(local) % day
    return len(local) > 1 and bool((clock == clock[0]).all()) and local.min() != local.max()


def _offsets(zone: ZoneInfo, local: pd.Series) -> tuple[int, ...]:
    """The zone's different offsets from UTC in the time of the stamps, in ns."""
    span = pd.date_range(local.min(), local.max(), freq="7D").union(pd.DatetimeIndex([local.max()]))
    found = {zone.utcoffset(stamp.to_pydatetime(warn=False)) for stamp in span}
    return tuple(int(offset.total_seconds()) * 10**9 for offset in found if offset is not None)


def _ns(stamps: pd.Series) -> NDArray[np.int64]:
    """Nanoseconds since 1970; of a naive series by its own clock."""
    index = pd.DatetimeIndex(stamps)
    return np.array((index.tz_localize(None) if index.tz is not None else index).as_unit("ns").asi8)


def _row(column: pd.Series, which: pd.Series) -> str:
    where = column.index[which.to_numpy()][0]
    return f"row {where}" + (f", column {column.name!r}" if column.name is not None else "")


def _unreadable(path: Path, column: pd.Series, which: pd.Series, what: str) -> DataError:
    return DataError(f"{path}, {_row(column, which)}: {what}", _ISO_HINT)
