"""From a file that somebody sent to a draft and what they are shown of it."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mm4st_agent.data.importing.delimited import SUFFIXES
from mm4st_agent.data.importing.draft import Draft, Finding
from mm4st_agent.data.importing.grid import in_words
from mm4st_agent.data.importing.inspect import inspect
from mm4st_agent.data.importing.layout import Layout, clock_text, layout_of
from mm4st_agent.data.importing.options import ImportOptions
from mm4st_agent.data.importing.rows import Table
from mm4st_agent.data.importing.summary import facts_of, local_times
from mm4st_agent.data.importing.tables import open_table
from mm4st_agent.data.importing.textfile import chunks, record
from mm4st_agent.data.importing.values import stripped
from mm4st_agent.errors import DataError, MM4STError
from mm4st_agent.web.upload_review import (
    Choice,
    Corrections,
    Curve,
    Failure,
    Found,
    Quantity,
    Review,
    in_form_words,
)

Progress = Callable[[str, int, int], None]
"""Called with the stage ('reading', 'checking', 'drawing', 'storing'), how much is done, and how much there is."""

SHOWN_ROWS = 4
SHOWN_COLUMNS = 6
CURVES = 3
POINTS = 160
MOST_ROLES = 40
"""Columns that a person may sort by hand; of more, the layout decides."""
TABLES = (*SUFFIXES, ".parquet", ".xlsx")
CLOCKS = ("", " %H:%M", " %H:%M:%S", "T%H:%M", "T%H:%M:%S", " %I:%M %p", " %I:%M:%S %p", ", %H:%M", ", %H:%M:%S")


class AmbiguousDatesError(DataError):
    """Every stamp could be day first or month first."""

    def __init__(self, message: str, hint: str, choices: list[Choice]) -> None:
        super().__init__(message, hint)
        self.choices = choices


def understand(path: Path, label: str, corrections: Corrections, progress: Progress) -> Draft:
    """Read a file as the importers do, with what the person states.

    Args:
        path: Of the upload; a copy without the rows to leave out is written beside it.
        label: What the person calls the file.
        corrections: What they state; the data set's name may still be missing.
        progress: See there.

    Raises:
        UsageError: a correction cannot be used.
        DataError: the file cannot be read as a data set.
    """
    progress("reading", 0, 0)
    findings: list[Finding] = []
    if corrections.rows:
        path = without_rows(path, corrections.rows)
        rows = ", ".join(map(str, sorted(corrections.rows)))
        findings.append(Finding("rows left out", rows, "As stated.", "stated"))
    options = corrections.options(label)
    if options.time_format is None and path.name.endswith(TABLES):
        options, found = _with_date_order(path, options)
        findings += found

    def checked(done: int, total: int) -> None:
        progress("checking", done, total)

    draft = inspect(path, corrections.name or "new", options, progress=checked)
    return dataclasses.replace(draft, findings=(*findings, *draft.findings))


def review_of(draft: Draft, path: Path, label: str, corrections: Corrections, progress: Progress) -> Review:
    """What a person should see of a draft before it is stored; one more pass over the readings."""
    if corrections.rows:
        path = _cut_path(path)
    review = _drawn(draft, progress)
    if not path.name.endswith(TABLES):
        return review
    table, layout = _layout(path, corrections.options(label))
    if layout is None:
        return review
    sample = table.sample.iloc[:SHOWN_ROWS, :SHOWN_COLUMNS]
    names = [*map(str, sample.columns)]
    role = {**dict.fromkeys(layout.values, "measured"), **dict.fromkeys(layout.covariates, "beside")}
    few = len(role) <= MOST_ROLES and layout.kind != "records"
    return review.model_copy(
        update={
            "layout": layout.kind,
            "time": list(layout.time),
            "node": layout.node or "",
            "columns": list(table.columns),
            "roles": role if few else {},
            "rows": [names, *(list(row) for row in sample.astype("str").itertuples(index=False))],
            "numbers": [int(number) for number in sample.index],
        }
    )


def failure_of(error: MM4STError, path: Path, label: str) -> Failure:
    """An importer's error in the words of the page: no path of the server, no option of the command line."""
    places = (str(_cut_path(path)), str(path), path.name)
    message, hint = error.message, error.hint
    for place in places:
        message, hint = message.replace(place, label), hint.replace(place, label)
    text = path.name.endswith(SUFFIXES)
    row = re.search(r", row (\d+)\b", message) if text else None
    return Failure(
        message=in_form_words(message),
        hint=in_form_words(hint),
        row=int(row[1]) if row else None,
        choices=error.choices if isinstance(error, AmbiguousDatesError) else [],
        columns=_columns(path),
    )


def without_rows(path: Path, rows: Iterable[int]) -> Path:
    """A copy of a text file in which some rows are empty, so that the numbers of the others stay.

    Raises:
        DataError: it is no text file.
    """
    if not path.name.endswith(SUFFIXES):
        raise DataError("Rows can be left out of text files only.", "Delete the rows in the file, and send it again.")
    cut, number, unwanted = _cut_path(path), 1, frozenset(rows)
    cut.parent.mkdir(exist_ok=True)
    with cut.open("wb") as file:
        for chunk in chunks(path):
            position = 0
            while position < len(chunk):
                if number > max(unwanted, default=0):
                    file.write(chunk[position:])
                    break
                line = record(chunk, position)
                position += len(line)
                file.write(b"\n" if number in unwanted else line)
                number += 1
    return cut


def _cut_path(path: Path) -> Path:
    """Where the copy lies: under the same name, which may become that of a place."""
    return path.parent / "cut" / path.name.removesuffix(".gz")


# -- the order of day and month --------------------------------------------------------------


def _with_date_order(path: Path, options: ImportOptions) -> tuple[ImportOptions, list[Finding]]:
    """The options with the one usual way to write dates that fits every row, where stamps are not ISO 8601.

    Raises:
        AmbiguousDatesError: every row could be day first or month first.
    """
    table, layout = _layout(path, options)
    if layout is None or not 0 < len(layout.time) <= 2:
        return options, []
    cells = stripped(clock_text(table.sample.astype("str"), layout.time))
    cells = cells[cells != ""]
    # A row of units below the header, or of a total at the end, is not to hide how the others are written.
    usual = cells[cells.str.match(r"\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}")]
    if len(usual) <= 0.5 * len(cells):
        return options, []
    formats = [form for form in _usual(usual.iloc[0]) if _fits(usual, form)]
    if len(formats) > 1:
        for rows in table.rows((), layout.time):
            stamps = stripped(clock_text(rows.cells, layout.time))
            stamps = stamps[stamps.str.match(r"\d{1,2}[-/.]")]
            formats = [form for form in formats if _fits(stamps, form)]
            if len(formats) < 2:
                break
    if len(formats) > 1:
        choices = [_choice(form, usual.iloc[0]) for form in formats]
        raise AmbiguousDatesError(
            f"{path}, column {layout.time[0]!r}: {usual.iloc[0]!r} could be {choices[0].means} or {choices[1].means}, "
            "and so could every other row.",
            "Choose which it is.",
            choices,
        )
    if not formats:
        return options, []
    why = "It is the one usual order of day, month and year that fits every row."
    found = Finding("dates", in_date_words(formats[0]), why, "inferred")
    return options.model_copy(update={"time_format": formats[0]}), [found]


def in_date_words(time_format: str) -> str:
    """Such as 'day/month/year hour:minute'."""
    words = {"%d": "day", "%m": "month", "%Y": "year", "%y": "year", "%H": "hour", "%I": "hour", "%M": "minute",
             "%S": "second", "%p": "AM or PM"}  # fmt: skip
    return re.sub("%.", lambda code: words.get(code[0], code[0]), time_format)


def _usual(cell: str) -> list[str]:
    separator = next(c for c in cell if not c.isdigit())
    orders = ("%d %m %Y", "%m %d %Y", "%d %m %y", "%m %d %y", "%y %m %d")
    formats = [order.replace(" ", separator) + clock for order in orders for clock in CLOCKS]
    return [form for form in formats if _moment(cell, form) is not None]


def _moment(cell: str, time_format: str) -> datetime | None:
    try:
        return datetime.strptime(cell, time_format)
    except ValueError:
        return None


def _fits(stamps: pd.Series, time_format: str) -> bool:
    return bool(pd.to_datetime(stamps, format=time_format, errors="coerce").notna().all())


def _choice(time_format: str, stamp: str) -> Choice:
    return Choice(time_format=time_format, stamp=stamp, means=f"{_moment(stamp, time_format):%-d %B %Y}")


# -- what is shown ---------------------------------------------------------------------------


def _layout(path: Path, options: ImportOptions) -> tuple[Table, Layout | None]:
    """How a table is read; None where that cannot be told."""
    table = open_table(path, options)
    try:
        return table, layout_of(table, options)
    except MM4STError:
        return table, None


def _columns(path: Path) -> list[str]:
    if not path.name.endswith(TABLES):
        return []
    try:
        return list(open_table(path, ImportOptions()).columns)[:1000]
    except MM4STError:
        return []


def _drawn(draft: Draft, progress: Progress) -> Review:
    """The facts of a draft, with curves of some places and how much is missing, all of the main channel."""
    steps, places = len(draft.time), len(draft.nodes)
    main = draft.card.channels[0]
    chosen = np.unique(np.linspace(0, places - 1, min(CURVES, places)).astype(np.int64))
    bins = np.minimum(np.arange(steps) * POINTS // max(steps, POINTS), POINTS - 1)
    total, count = np.zeros((bins[-1] + 1, len(chosen))), np.zeros((bins[-1] + 1, len(chosen)))
    low, high = np.full(len(chosen), np.inf), np.full(len(chosen), -np.inf)
    here, whole = np.zeros(steps, dtype=bool), 0
    for start, block in draft.blocks():
        values = np.asarray(block[main.name], dtype=np.float64)
        there = np.isfinite(values)
        here[start : start + len(values)] = there.any(axis=1)
        whole += int(there.sum())
        some = values[:, chosen]
        at = bins[start : start + len(values)]
        np.add.at(total, at, np.nan_to_num(some))
        np.add.at(count, at, np.isfinite(some))
        low, high = np.fmin(low, np.fmin.reduce(some, axis=0)), np.fmax(high, np.fmax.reduce(some, axis=0))
        progress("drawing", min(start + len(values), steps), steps)
    with np.errstate(invalid="ignore"):
        means = total / count
    ids = [str(draft.nodes.index[i]) for i in chosen]
    return Review(
        facts=facts_of(draft),
        found=[Found(what=f.what, value=f.value, why=in_form_words(f.why), status=f.status) for f in draft.findings],
        channels=[Quantity(name=c.name, unit=c.unit, title=c.title) for c in draft.card.channels],
        covariates=[
            Quantity(name=str(name), unit=str(variable.attrs.get("units", "")), title="")
            for name, variable in draft.covariates.data_vars.items()
        ],
        zone=draft.card.time_zone,
        located=int(draft.nodes[["lat", "lon"]].notna().all(axis=1).sum()) if {"lat", "lon"} <= {*draft.nodes} else 0,
        places=places,
        curves=[
            Curve(place=ids[i], values=list(map(_plain, means[:, i])), low=_plain(low[i]), high=_plain(high[i]))
            for i in range(len(ids))
        ],
        missing_share=1 - whole / (steps * places),
        longest_gap=_longest_gap(draft, here),
    )


def _plain(number: float) -> float | None:
    return float(f"{number:.6g}") if np.isfinite(number) else None


def _longest_gap(draft: Draft, here: NDArray[np.bool_]) -> str:
    """The longest time without any reading, in words; '' where there is none."""
    edges = np.flatnonzero(np.diff(np.r_[True, here, True].astype(np.int8)))
    if not len(edges):
        return ""
    lengths = edges[1::2] - edges[::2]
    first = int(edges[::2][lengths.argmax()])
    times = local_times(draft)
    span = in_words(int(lengths.max()) * (times[1] - times[0]).value)
    return f"{span} from {times[first]:%Y-%m-%d %H:%M} on, without a reading of any place"
