"""`assemble`: from a `Source` as found to a `Draft` as it would be stored; every decision is a finding."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from mm4st_agent.data.card import Channel, DataCard, file_sha256
from mm4st_agent.data.importing.describe import channels_of, covariate_attrs, selected
from mm4st_agent.data.importing.draft import Draft, Finding, Layers, Source
from mm4st_agent.data.importing.grid import Grid, even_grid
from mm4st_agent.data.importing.infer import Survey, missing_codes, surveys
from mm4st_agent.data.importing.nodetable import node_table
from mm4st_agent.data.importing.options import ImportOptions
from mm4st_agent.data.importing.quantities import quantity
from mm4st_agent.data.importing.records import RecordSource
from mm4st_agent.data.importing.regrid import Codes, Regrid, Repeats
from mm4st_agent.data.importing.times import EPOCH, WITH_OFFSET, YEARS, instants, zone_of
from mm4st_agent.errors import DataError

EXACT_IN_FLOAT32 = 2**24
"""Whole numbers beyond it are rounded when stored with 32 bits."""

Progress = Callable[[int, int], None]


def assemble(
    name: str, source: Source, layers: Layers, options: ImportOptions, *, progress: Progress | None = None
) -> Draft:
    """Decide what a source means, and what of it would be stored.

    Passes over all readings once; nothing is held whole and nothing is written.

    Args:
        name: Of the new data set.
        source: From a reader.
        layers: What stands beside the readings.
        options: What is stated; the rest is inferred and shown.
        progress: Called with the time steps that were looked at, and how many there are.

    Raises:
        UsageError: an option names what is not there.
        DataError: stamps or readings cannot be put on an even grid, or there is no reading at all.
    """
    findings = list(source.findings)
    source, dropped = selected(source, options)
    findings.extend(dropped)
    _check_nodes(source)
    grid, kept = _grid(source, layers, options, findings)
    names = tuple(channel.name for channel in source.channels)
    extra = (source.observed,) if source.observed is not None else ()
    cells = np.where(kept, grid.cells, -1)
    regrid = Regrid(source, cells, grid.length, options.duplicates, (*names, *extra))
    codes: Codes = dict.fromkeys(names, options.missing or ())
    repeats = Repeats()
    seen = surveys(_followed(regrid, codes, repeats, grid.length, progress), names, grid.length, len(source.node_ids))
    _report_repeats(repeats, options, findings)
    codes = _codes(seen, regrid, codes, source, options, findings)
    channels = channels_of(source, options, grid.step_ns, findings)
    _check_readings(source, seen, codes, findings)
    covariates = _covariates(source, grid, cells, options, findings)
    card = _card(name, source, layers, options, channels)

    def blocks() -> Iterator[tuple[int, Mapping[str, NDArray[np.generic]]]]:
        for start, dense in regrid.blocks(codes):
            found: dict[str, NDArray[np.generic]] = {each: dense[each] for each in names}
            if source.observed is not None:
                found["imputed"] = dense[source.observed] == 0
            yield start, found

    return Draft(
        card=card,
        time=grid.time,
        nodes=node_table(source, layers, findings),
        blocks=blocks,
        has_mask=source.observed is not None,
        covariates=covariates,
        layers=layers,
        findings=(*findings, *layers.findings),
    )


def _followed(
    regrid: Regrid, codes: Codes, repeats: Repeats, length: int, progress: Progress | None
) -> Iterator[tuple[int, dict[str, NDArray[np.float32]]]]:
    for start, dense in regrid.blocks(codes, repeats):
        yield start, dense
        if progress is not None:
            progress(min(start + len(next(iter(dense.values()))), length), length)


def _check_nodes(source: Source) -> None:
    ids = pd.Index(source.node_ids)
    if ids.has_duplicates or "" in ids:
        wrong = ids[ids.duplicated()][0] if ids.has_duplicates else ""
        raise DataError(f"{source.path}: the node id {wrong!r} is empty or appears twice.", "Ids must differ.")
    if not source.node_ids or not source.channels:
        raise DataError(f"{source.path} holds no readings.")


# -- time ------------------------------------------------------------------------------------


def _grid(
    source: Source, layers: Layers, options: ImportOptions, findings: list[Finding]
) -> tuple[Grid, NDArray[np.bool_]]:
    """The time grid, and which rows are kept."""
    zone = zone_of(options.time_zone)
    if source.stamps is None:
        return _counted_grid(source, options, findings)
    read = instants(source.path, source.stamps, zone, options.time_format)
    # The stamps of a record source are its own; what was found in the file is among its findings.
    said = () if isinstance(source, RecordSource) else read.findings
    if options.time_zone is not None:
        findings.append(Finding("time zone", zone.key, "As stated.", "stated"))
    elif any(
        found.what == "time stamps" and found.value.startswith((WITH_OFFSET, EPOCH))
        for found in (*said, *source.findings)
    ):
        findings.append(Finding("time zone", "UTC", "No zone is stated to show times in.", "assumed"))
    else:
        why = "The stamps have no offset, and no zone is stated." + _zone_by_place(source, layers)
        findings.append(Finding("time zone", "UTC", why, "assumed"))
    findings.extend(said)
    if not read.kept.any():
        raise DataError(f"{source.path} has no row left whose stamp can be used.")
    step_s = source.step_s if isinstance(source, RecordSource) else options.step_s
    grid = even_grid(source.path, read.ns[read.kept], source.stamps.index[read.kept], step_s)
    # The step of a record source is among its own findings already.
    known = {"time step"} if isinstance(source, RecordSource) else set()
    findings.extend(found for found in grid.findings if found.what not in known)
    cells = np.full(len(read.ns), -1, dtype=np.int64)
    cells[read.kept] = grid.cells
    return dataclasses.replace(grid, cells=cells), read.kept


def _counted_grid(source: Source, options: ImportOptions, findings: list[Finding]) -> tuple[Grid, NDArray[np.bool_]]:
    """The grid of rows without stamps: the stated start, and a step for each row."""
    if options.start is None or options.step_s is None:
        raise DataError(
            f"{source.path} has no time stamps.",
            "Say when it begins and its step in seconds, such as --start 2012-03-01 --step 300.",
        )
    zone = zone_of(options.time_zone)
    count = sum(len(next(iter(block.values()))) for block in source.blocks())
    start = pd.Series([pd.Timestamp(options.start)], index=["start"], name="start")
    first = instants(source.path, start, zone)
    step_ns = round(options.step_s * 1e9)
    last = int(first.ns[0]) + step_ns * count
    if last > pd.Timestamp(year=YEARS[1], month=12, day=31).value:
        raise DataError(
            f"{source.path}: {count:,} rows of {options.step_s:g} s from {options.start:%Y-%m-%dT%H:%M} on end after "
            f"the year {YEARS[1]}.",
            "Is the step in seconds?",
        )
    ns = first.ns[0] + step_ns * np.arange(count, dtype=np.int64)
    grid = even_grid(source.path, ns, pd.RangeIndex(1, count + 1), options.step_s)
    shown = f"{pd.Timestamp(options.start):%Y-%m-%dT%H:%M} {zone.key}"
    findings.append(Finding("start", shown, "As stated; each row is one step later.", "stated"))
    findings.extend(grid.findings)
    return grid, np.ones(count, dtype=bool)


def _zone_by_place(source: Source, layers: Layers) -> str:
    nodes = layers.nodes if layers.nodes is not None else source.nodes
    if nodes is None or "lon" not in nodes:
        return ""
    lon = pd.to_numeric(nodes["lon"], errors="coerce").mean()
    if pd.isna(lon) or abs(lon) < 7.5:
        return ""
    return (
        f" At a longitude of {lon:.0f} local clocks are about UTC{round(lon / 15):+d}: were they logged in local time?"
    )


# -- readings --------------------------------------------------------------------------------


def _report_repeats(repeats: Repeats, options: ImportOptions, findings: list[Finding]) -> None:
    if not repeats.cells:
        return
    rule = {"last": "the last one counts", "first": "the first one counts", "mean": "their mean counts"}
    resolved = rule.get(options.duplicates, "equal ones are one")
    why = (
        f"They stand beside another reading of the same node and time step, such as {repeats.example}; "
        f"{repeats.differing:,} differ, of which {resolved}. An empty cell replaces no reading."
    )
    findings.append(Finding("duplicates", f"{repeats.cells:,} readings", why, "mended"))


def _codes(
    seen: Mapping[str, Survey], regrid: Regrid, stated: Codes, source: Source, options: ImportOptions,
    findings: list[Finding],
) -> Codes:  # fmt: skip
    """The missing codes of each channel: as stated, or told from the readings."""
    if options.missing is not None:
        value = ", ".join(f"{code:g}" for code in options.missing) or "none"
        findings.append(Finding("missing code", value, "As stated.", "stated"))
        return stated
    found: dict[str, tuple[float, ...]] = {}
    for channel in source.channels:
        survey = seen[channel.name]
        known = quantity(channel.name)
        ordinary = True if isinstance(source, RecordSource) else known.zero if known is not None else None
        if survey.codes[0.0] and not ordinary and not survey.zeros[survey.chosen].any():
            most = np.sort(np.argsort(survey.zeros)[-len(survey.chosen) :])
            again = surveys(regrid.blocks(stated), (channel.name,), regrid.length, len(source.node_ids), most)
            survey = again[channel.name]
        why = missing_codes(survey, ordinary)
        found[channel.name] = tuple(why)
        for code, reason in why.items():
            value = f"{code:g}" + (f" ({channel.name})" if len(source.channels) > 1 else "")
            findings.append(Finding("missing code", value, f"{reason} They become missing.", "inferred"))
        if survey.codes[0.0] and 0.0 not in why and not ordinary:
            share = survey.codes[0.0] / max(int(survey.count.sum()), 1)
            if share >= 0.01:
                value = f"0 is a reading ({channel.name})"
                reason = f"{share:.1%} of the readings are 0, but they go on from low readings, so they are kept."
                findings.append(Finding("missing code", value, reason, "inferred"))
    return found


def _check_readings(source: Source, seen: Mapping[str, Survey], codes: Codes, findings: list[Finding]) -> None:
    """Refuse a source without any reading; name nodes without one, and numbers that 32 bits round."""
    left = {
        name: int(survey.count.sum()) - sum(survey.codes.get(code, 0) for code in codes.get(name, ()))
        for name, survey in seen.items()
    }
    if not any(count > 0 for count in left.values()):
        raise DataError(f"{source.path} holds no reading: every cell is empty.", "Give at least one with numbers.")
    for name, count in left.items():
        if count <= 0:
            findings.append(Finding("empty channel", name, "It has no reading at all.", "inferred"))
    kinds = source.nodes["kind"] if source.nodes is not None and "kind" in source.nodes else None
    total = np.zeros(len(source.node_ids), dtype=np.int64)
    for name, survey in seen.items():
        total += survey.count - (survey.zeros if 0.0 in codes.get(name, ()) else 0)
    empty = [node for node, count in zip(source.node_ids, total, strict=True) if count == 0]
    if empty:
        shown = ", ".join(empty[:5]) + (", ..." if len(empty) > 5 else "")
        why = f"They have no reading at all: {shown}." + ("" if kinds is None else " Is that so for their kind?")
        findings.append(Finding("empty nodes", f"{len(empty)} of {len(total)}", why, "inferred"))
    for name, survey in seen.items():
        if max(abs(survey.low), abs(survey.high)) > EXACT_IN_FLOAT32 and np.isfinite(survey.high):
            why = f"Readings reach {max(abs(survey.low), abs(survey.high)):g}; they are stored with 7 digits."
            findings.append(Finding("precision", name, why, "mended"))


def _covariates(
    source: Source, grid: Grid, cells: NDArray[np.int64], options: ImportOptions, findings: list[Finding]
) -> xr.Dataset:
    """Covariates on the grid; of several rows in a step the rule for readings says which counts."""
    variables = {}
    kept = np.flatnonzero(cells >= 0)
    for label, variable in source.covariates.data_vars.items():
        name = str(label)
        values = variable.to_numpy().astype(np.float32)
        for code in options.missing or ():
            values = np.where(values == np.float32(code), np.float32(np.nan), values)
        if np.isinf(values).any():
            raise DataError(f"{source.path}: the covariate {name!r} holds a number that is not finite.")
        found = np.full((grid.length, *values.shape[1:]), np.nan, dtype=np.float32)
        rows = kept[::-1] if options.duplicates == "first" else kept
        for row in rows if len(np.unique(cells[kept])) < len(kept) else ():
            at = cells[row]
            found[at] = np.where(np.isfinite(values[row]), values[row], found[at])
        if len(np.unique(cells[kept])) == len(kept):
            found[cells[kept]] = values[kept]
        dims = ("time",) if values.ndim == 1 else ("time", "node")
        attrs, said = covariate_attrs(name, dict(variable.attrs), options, grid.step_ns)
        variables[name] = (dims, found, attrs)
        findings.append(said)
    if not variables:
        return xr.Dataset()
    coords: dict[str, object] = {"time": grid.time}
    if any(len(dims) == 2 for dims, _, _ in variables.values()):
        coords["node"] = list(source.node_ids)
    return xr.Dataset(variables, coords=coords)


# -- the card ----------------------------------------------------------------------------


def _card(name: str, source: Source, layers: Layers, options: ImportOptions, channels: tuple[Channel, ...]) -> DataCard:
    return DataCard(
        name=name,
        title=options.title or name,
        source=options.source or f"imported from {source.path.name}",
        licence=options.licence,
        domain=options.domain,
        place_word=options.place_word,
        time_zone=zone_of(options.time_zone).key,
        # What was added up over a step is known only when the step is over.
        time_label="start" if isinstance(source, RecordSource) else options.time_label,
        channels=channels,
        holidays=options.holidays,
        files=_hashes(source, layers),
    )


def _hashes(source: Source, layers: Layers) -> dict[str, str]:
    found: dict[str, str] = {}
    base = source.path if source.path.is_dir() else source.path.parent
    for path in dict.fromkeys((*source.files, *layers.files)):
        name = path.relative_to(base).as_posix() if path.is_relative_to(base) else path.name
        while name in found:
            name = f"{path.parent.name}/{name}"
        found[name] = _sha256(path)
    return found


def _sha256(path: Path) -> str:
    try:
        return file_sha256(path)
    except OSError as err:
        raise DataError(f"{path} cannot be read: {err.strerror or err}.") from err
