"""UTC instants -> an even time grid: its step, and the step of each row; every mending is a finding."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mm4st_agent.data.importing.draft import Finding
from mm4st_agent.errors import DataError

MAX_SPARSITY = 100
"""Refuse a set that would grow by more than this factor when its gaps are filled: a stamp is wrong."""
EXACT = 0.02
"""A stamp this share of a step off the grid counts as on it, though it is moved (and that is reported)."""
FREQUENT = 0.1
"""Share of rows that must have a step shorter than the most frequent one to be the step of the set."""

_SECOND = 10**9
_DAY = 86_400 * _SECOND
_NICE = [s * _SECOND for s in (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 360, 600, 900, 1200, 1800, 3600, 7200, 10800,
                               14400, 21600, 43200, 86400, 604800)]  # fmt: skip


@dataclasses.dataclass(frozen=True, slots=True)
class Grid:
    """An even time axis.

    Attributes:
        start_ns: Of the first step, since 1970 UTC.
        step_ns: The time step.
        length: Number of steps.
        cells: `(R,)` the step that each row belongs to.
        findings: How the step was found and what was moved.
    """

    start_ns: int
    step_ns: int
    length: int
    cells: NDArray[np.int64]
    findings: tuple[Finding, ...]

    @property
    def time(self) -> pd.DatetimeIndex:
        """`(T,)` UTC instants without a zone."""
        ns = self.start_ns + self.step_ns * np.arange(self.length, dtype=np.int64)
        return pd.DatetimeIndex(ns.astype("datetime64[ns]"), name="time")


def even_grid(path: Path, ns: NDArray[np.int64], rows: pd.Index, step_s: float | None = None) -> Grid:
    """The grid that most stamps follow; each row goes to its nearest step.

    Args:
        path: Named in errors.
        ns: `(R,)` instants in any order.
        rows: `(R,)` the rows in the file, for examples.
        step_s: The time step in seconds; None takes the most frequent one.

    Raises:
        DataError: one stamp only, steps below a second, no common step, or gaps that no true stamps would leave.
    """
    distinct = np.unique(ns)
    if len(distinct) < 2:
        raise DataError(f"{path} has one time stamp, {_iso(distinct[0])} UTC.", "At least two are needed.")
    findings: list[Finding] = []
    step = round(step_s * _SECOND) if step_s is not None else _step(path, distinct, findings)
    if step < _SECOND or step % _SECOND:
        raise DataError(
            f"{path} has a time step of {in_words(step)}; steps of whole seconds are needed.",
            "State one with step_s, such as --step 60: rows that fall on the same step are resolved by --duplicates.",
        )
    if step_s is not None:
        findings.append(Finding("time step", in_words(step), "As stated.", "stated"))
    phase = _phase(distinct, step)
    cells = (ns - phase + step // 2) // step
    first = int(cells.min())
    cells -= first
    start, length = phase + first * step, int(cells.max()) + 1
    if length < 2:
        raise DataError(
            f"{path}: all rows, from {_iso(distinct[0])} to {_iso(distinct[-1])} UTC, lie in one step of "
            f"{in_words(step)}.",
            "State a shorter step with step_s.",
        )
    off = ns - (start + cells * step)
    moved = np.flatnonzero(off)
    far = np.abs(off) > EXACT * step
    if step_s is None and far.mean() > 0.5:
        raise DataError(
            f"{path}: {far.mean():.0%} of the time stamps are off the grid of {in_words(step)}, such as row "
            f"{rows[np.flatnonzero(far)[0]]} ({_iso(ns[far][0])} UTC).",
            "State the step of the rows with step_s, such as --step 600.",
        )
    if length > MAX_SPARSITY * len(distinct):
        gap = int(np.diff(distinct).argmax())
        raise DataError(
            f"{path}: at a step of {in_words(step)} only {len(distinct)} of {length} rows are there; the longest gap "
            f"is from {_iso(distinct[gap])} to {_iso(distinct[gap + 1])} UTC.",
            "Is a stamp wrong? If not, state the step with step_s.",
        )
    if len(moved):
        row = moved[0]
        why = (
            f"They are off the grid of {in_words(step)} that most rows follow, by up to "
            f"{in_words(int(np.abs(off).max()))}, and went to the nearest step, such as "
            f"row {rows[row]}: {_iso(ns[row])} to {_iso(ns[row] - off[row])} UTC."
        )
        findings.append(Finding("irregular stamps", f"{len(moved)} rows", why, "mended"))
    gaps = length - len(np.unique(cells))
    if gaps:
        why = "No row is there for them; their readings stay missing."
        findings.append(Finding("gaps", f"{gaps} of {length} steps", why, "inferred"))
    return Grid(start, step, length, cells, tuple(findings))


def _step(path: Path, distinct: NDArray[np.int64], findings: list[Finding]) -> int:
    """The most frequent step; of stamps that jitter, the round number that they jitter about."""
    steps = np.diff(distinct)
    middle = float(np.median(steps))
    if len(set(steps)) > 1 and ((steps >= 28 * _DAY) & (steps <= 31 * _DAY)).all():
        raise DataError(
            f"{path} has one row a month, and months are not evenly long.",
            "Give daily rows, or state an even step with step_s, such as --step 2629800 (a twelfth of a year).",
        )
    sizes, counts = np.unique(steps, return_counts=True)
    step, share = int(sizes[counts.argmax()]), counts.max() / len(steps)
    for size, count in zip(sizes[sizes < step], counts[sizes < step], strict=True):
        # Where rows are often absent, twice the step may be more frequent than the step itself.
        if count >= FREQUENT * len(steps) and (steps % size == 0).mean() >= 0.95:
            why = f"It is that of {count / len(steps):.0%} of the rows, and nearly all others are multiples of it."
            findings.append(Finding("time step", in_words(int(size)), why, "inferred"))
            return int(size)
    if share >= 0.5 or (len(steps) < 8 and counts.max() > 1):
        why = f"It is the most frequent one ({share:.0%} of the rows)."
        findings.append(Finding("time step", in_words(step), why, "inferred"))
        return step
    nice = min(_NICE, key=lambda size: abs(size - middle))
    multiples = np.maximum(np.round(steps / nice), 1) * nice
    if abs(nice - middle) <= 0.1 * nice and (np.abs(steps - multiples) <= 0.25 * nice).mean() >= 0.9:
        why = f"The steps differ by some seconds; half are below {middle / _SECOND:g} s."
        findings.append(Finding("time step", in_words(nice), why, "inferred"))
        return nice
    if len(steps) < 8 and (steps % sizes[0] == 0).all():
        why = "It is the smallest one, and all others are multiples of it."
        findings.append(Finding("time step", in_words(int(sizes[0])), why, "inferred"))
        return int(sizes[0])
    raise DataError(
        f"{path}: the time stamps are mostly irregular; the most frequent step, {in_words(step)}, is that "
        f"of {share:.0%} of the rows.",
        "State a step with step_s, such as --step 300; or, if each row is an occurrence, --layout records.",
    )


def _phase(distinct: NDArray[np.int64], step: int) -> int:
    """Where the grid lies within a step: where most stamps are, or at round times where they jitter about these."""
    phases, counts = np.unique(distinct % step, return_counts=True)
    if counts.max() >= 0.5 * len(distinct):
        return int(phases[counts.argmax()])
    turn = np.exp(2j * np.pi * (distinct % step) / step).mean()
    if abs(turn) < 0.3:
        # Stamps all over the step, as where a longer one was stated: begin with the first.
        return int(distinct[0] % step)
    mean = np.angle(turn) / (2 * np.pi)
    if abs(mean) < 0.25:
        return 0
    return int(round(mean * step / _SECOND) * _SECOND) % step


def in_words(step_ns: int) -> str:
    """Such as '5 minutes'."""
    for unit, size in (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1)):
        count, rest = divmod(step_ns, size * _SECOND)
        if count and not rest:
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return f"{step_ns / 1e9:g} seconds"


def in_short(step_ns: int) -> str:
    """For units: '5 min', 'h', 'day'."""
    for unit, size in (("day", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        count, rest = divmod(step_ns, size * _SECOND)
        if count and not rest:
            return unit if count == 1 else f"{count} {unit}"
    return f"{step_ns / 1e9:g} s"


def _iso(ns: int | np.integer) -> str:
    return f"{pd.Timestamp(int(ns)):%Y-%m-%dT%H:%M:%S}"
