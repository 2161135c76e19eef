"""NumPy arrays: `.npy`, `.npz` as in ASTGCN and STSGCN, and BasicTS folders; streamed, never unpickled."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from mm4st_agent.data.importing.draft import BLOCK_BYTES, Block, Finding, Source, SourceChannel
from mm4st_agent.data.importing.npy import Array, Stored, memmap_rows, stored_arrays
from mm4st_agent.data.importing.options import ImportOptions
from mm4st_agent.data.importing.safety import WHY_NO_PICKLE
from mm4st_agent.errors import DataError, UsageError

TIME_WORDS = re.compile(r"(^|_)(time|times|timestamps?|dates?|datetimes?|stamps?)($|_)", re.IGNORECASE)
ID_WORDS = re.compile(r"(^|_)(ids?|stations?|sensors?|nodes?|detectors?|names?|sites?|index)($|_)", re.IGNORECASE)
OBSERVED_WORDS = re.compile(r"(^|_)(pct|percent|share|ratio|frac)\w*_obs\w*|(^|_)obs\w*_(pct|percent|share|ratio|frac)")
CALENDAR_WORDS = re.compile(
    r"\b(time|hour|minute|day|week|month) (of|in) |^(hour|weekday|month|holiday)$", re.IGNORECASE
)
NAMELESS = re.compile(r"^(data|x|values?|arr_\d+|array|array_data)$", re.IGNORECASE)
"""Names of arrays that say nothing about what was measured."""

UNIT_SUFFIXES = {
    "mph": "mph", "kmh": "km/h", "kph": "km/h", "mps": "m/s", "pct": "%", "percent": "%", "mm": "mm", "hpa": "hPa",
    "degc": "°C", "degf": "°F", "celsius": "°C", "fahrenheit": "°F", "ugm3": "µg/m³", "ppb": "ppb", "ppm": "ppm",
    "mw": "MW", "kw": "kW", "kwh": "kWh", "F": "°F", "C": "°C", "K": "K",
}  # fmt: skip


def read_npz(path: Path, options: ImportOptions) -> Source:
    """Find readings, time stamps and node ids among the arrays of a file, by shape, type and name.

    Args:
        path: `.npy`, or `.npz` with one array (T, N) or (T, N, C), or several of equal (T, N); further vectors of
            length T or N are stamps, ids, coordinates, covariates or node columns.
        options: `member` picks one array, `channels` names the C features or picks arrays.

    Returns:
        Rows as in the file. Integers come as floats; NaN is missing.

    Raises:
        DataError: an array holds Python objects, the file is damaged, nothing in it is a series of nodes, or it
            has no time stamps and the options give none.
        UsageError: the options name an array or a number of features that the file does not have.
    """
    arrays = stored_arrays(path)
    readings, others, findings = _readings(path, arrays, options)
    steps, width = _shape(readings[0])
    findings += [
        Finding("left out", a.name, f"it has the shape {a.shape}; the readings have {steps} rows and {width} nodes.",
                "inferred")
        for a in others if a.shape not in ((steps,), (width,))
    ]  # fmt: skip
    vectors = {a.name: _text(a.whole()) for a in others if a.shape in ((steps,), (width,))}
    stamps = _take(vectors, lambda name, v: len(v) == steps and _is_time(name, v))
    ids = _take(vectors, lambda name, v: len(v) == width and _is_id(name, v))
    if stamps is None:
        need_start(path, steps, options)
    else:
        findings.append(Finding("time stamps", stamps[0], "a vector with one stamp for each row.", "inferred"))
    if ids is not None:
        findings.append(Finding("node ids", ids[0], f"a vector with one of {width} different ids a node.", "inferred"))
    columns = {k: v for k, v in vectors.items() if len(v) == width and (width != steps)}
    covariates = {k: v for k, v in vectors.items() if k not in columns and v.dtype.kind in "biuf"}
    node_ids = tuple(str(i) for i in ids[1]) if ids else numbered(width, findings)
    channels, observed, blocks = _channels(path, readings, options, findings)
    return Source(
        path=path,
        files=(path,),
        stamps=None if stamps is None else pd.Series(stamps[1], name=stamps[0]),
        node_ids=node_ids,
        channels=channels,
        blocks=blocks,
        covariates=xr.Dataset({k: ("row", v.astype(np.float64)) for k, v in covariates.items()}),
        observed=observed,
        nodes=pd.DataFrame(_plain_names(columns), index=pd.Index(node_ids, name="id")) if columns else None,
        findings=tuple(findings),
    )


def read_basicts(folder: Path, options: ImportOptions) -> tuple[Source, ImportOptions]:
    """Read a BasicTS folder: `data.dat`, a raw float32 array, and `desc.json`, which says its shape and step.

    Args:
        folder: Its `adj_mx.pkl` is a pickle and stays closed.
        options: `start` is needed, since the folder has no time stamps.

    Returns:
        The features that were measured (those of the calendar are left out), and the options with the step.

    Raises:
        DataError: `desc.json` is not such a description, `data.dat` has another size, or no start is given.

    Source:
        Liang et al. (2022), BasicTS; the format is in its `tutorial/dataset_design.md`.
    """
    path, desc_path = folder / "data.dat", folder / "desc.json"
    try:
        desc = json.loads(desc_path.read_text(encoding="utf-8"))
        steps, width, features = (int(size) for size in desc["shape"])
        minutes = float(desc["frequency (minutes)"])
        names = [str(name) for name in desc.get("feature_description") or [""] * features]
    except (ValueError, KeyError, TypeError) as err:
        raise DataError(
            f"{desc_path} does not describe a BasicTS set: {err}.",
            'It needs "shape": [steps, nodes, features] and "frequency (minutes)".',
        ) from err
    wanted = steps * width * features * 4
    if min(steps, width, features, minutes) <= 0 or path.stat().st_size != wanted:
        raise DataError(
            f"{path} has {path.stat().st_size:,} bytes, but the shape {steps} x {width} x {features} "
            f"in desc.json takes {wanted:,} as float32."
        )
    if options.step_s is None:
        options = options.model_copy(update={"step_s": minutes * 60})
    need_start(path, steps, options)
    calendar = [i for i, name in enumerate(names) if i and CALENDAR_WORDS.search(name)]
    findings = [Finding("time step", f"{minutes:g} min", "desc.json says so.", "stated")]
    findings += [
        Finding("left out", names[i], "a feature of the calendar, which the time stamps give.", "inferred")
        for i in calendar
    ]
    findings += [
        Finding("left out", found.name, f"a pickle is never opened: {WHY_NO_PICKLE}. Give the graph as CSV or .npy "
                "with --edges.", "assumed")
        for found in sorted(folder.glob("*.pkl"))
    ]  # fmt: skip
    stored = Stored(
        "data", (steps, width, features), np.dtype("<f4"), partial(memmap_rows, path, (steps, width, features))
    )
    kept = [i for i in range(features) if i not in calendar]
    said = [names[i].strip() for i in kept]
    if options.channels is None and all(said):
        titles: list[str] | None = said
        options_named = options.model_copy(update={"channels": tuple(re.sub(r"\W+", "_", name) for name in said)})
    else:
        titles, options_named = None, options
    channels, _, blocks = _channels(path, [stored], options_named, findings, kept, titles)
    source = Source(
        path=folder,
        files=(path, desc_path),
        stamps=None,
        node_ids=numbered(width, findings),
        channels=channels,
        blocks=blocks,
        findings=tuple(findings),
    )
    return source, options


def need_start(path: Path, steps: int, options: ImportOptions) -> None:
    """Make sure that the rows of a file without time stamps can be dated.

    Raises:
        DataError: the options give no start or no step.
    """
    absent = [flag for flag, value in (("--start", options.start), ("--step", options.step_s)) if value is None]
    if absent:
        raise DataError(
            f"{path} has no time stamps, so nothing says when its {steps} rows were measured.",
            f"Give {' and '.join(absent)}: the local time of the first row (--start 2018-01-01T00:00) and the seconds "
            "from row to row (--step 300).",
        )


def numbered(width: int, findings: list[Finding]) -> tuple[str, ...]:
    """Ids 0, 1, ... for nodes without names, with a finding that says so."""
    findings.append(
        Finding("node ids", f"0 .. {width - 1}", "the file does not name its nodes; they are numbered.", "assumed")
    )
    return tuple(str(i) for i in range(width))


def split_unit(name: str) -> tuple[str, str | None]:
    """A quantity and the unit at the end of its name.

    >>> split_unit("speed_mph"), split_unit("tmax_F"), split_unit("flow"), split_unit("network_in")
    (('speed', 'mph'), ('tmax', '°F'), ('flow', None), ('network_in', None))
    """
    stem, _, suffix = name.rpartition("_")
    unit = UNIT_SUFFIXES.get(suffix) or (UNIT_SUFFIXES.get(suffix.lower()) if len(suffix) > 1 else None)
    if suffix == "in" and re.search(r"rain|precip|snow", stem, re.IGNORECASE):
        unit = "in"
    return (stem, unit) if stem and unit else (name, None)


def unfit(channels: Sequence[str], features: int, path: Path) -> UsageError:
    """The error of options that name another number of channels than there are features."""
    return UsageError(
        f"{len(channels)} channels are named ({', '.join(channels)}), but {path} has {features} features.",
        "Name each feature, in order.",
    )


# -- what is where ------------------------------------------------------------------------


@dataclass(frozen=True)
class _Feature:
    """One channel: a whole array (T, N), or one feature of (T, N, C)."""

    array: Stored
    index: int | None
    name: str
    unit: str | None = None


def _readings(
    path: Path, arrays: list[Stored], options: ImportOptions
) -> tuple[list[Stored], list[Stored], list[Finding]]:
    """The arrays of readings, all others that can be read, and what was left out."""
    if options.member is not None:
        chosen = [a for a in arrays if a.name == options.member]
        if not chosen:
            raise UsageError(f"{path} has no array {options.member!r}.", f"It has {', '.join(a.name for a in arrays)}.")
    else:
        chosen = arrays
    objects = [a for a in chosen if a.dtype.hasobject]
    if objects:
        raise DataError(
            f"{path}: the array {objects[0].name!r} holds Python objects, which are stored as a pickle, and "
            f"{WHY_NO_PICKLE}; it is not opened.",
            "Save numbers or text, such as np.savez(path, data=array.astype('float32')); or read another array "
            "with --member.",
        )
    findings = [
        Finding("left out", a.name, f"it holds Python objects, and {WHY_NO_PICKLE}.", "assumed")
        for a in arrays
        if a.dtype.hasobject
    ]
    arrays = [a for a in arrays if not a.dtype.hasobject]
    numeric = [a for a in chosen if a.dtype.kind in "iuf" and 0 not in a.shape]
    tables = [a for a in numeric if len(a.shape) in (2, 3)]
    if not tables:
        # One series a file: the longest vectors.
        longest = max((a.shape[0] for a in numeric if len(a.shape) == 1 and not _is_time(a.name, None)), default=0)
        tables = [a for a in numeric if a.shape == (longest,)]
    if not tables:
        shapes = ", ".join(f"{a.name} {a.dtype} {a.shape}" for a in arrays) or "nothing"
        raise DataError(
            f"{path} holds no array of readings over time and nodes; it holds {shapes}.",
            "Give an array of shape (time, node) or (time, node, channel).",
        )
    main = max(tables, key=lambda a: _shape(a)[0] * _shape(a)[1])
    width = _shape(main)[1]
    squares = [a for a in tables if a is not main and a.shape == (width, width) and _shape(main)[0] != width]
    for square in squares:
        why = "a square of one row and column a node: an adjacency matrix. Give it as a file with --edges."
        findings.append(Finding("left out", square.name, why, "inferred"))
    same = [a for a in tables if _shape(a) == _shape(main)]
    rivals = [a for a in tables if a not in same and a not in squares and _shape(a)[1] == width]
    if rivals:
        sizes = ", ".join(f"{a.name} {a.shape}" for a in [main, *rivals])
        raise DataError(
            f"{path} holds several arrays of {width} nodes but different lengths: {sizes}.",
            "Say which one to read with --member; parts of one series (train, test) belong into one array.",
        )
    others = [a for a in arrays if a not in same and a not in squares]
    return same, others, findings


def _features(path: Path, arrays: list[Stored], options: ImportOptions, kept: Sequence[int] | None) -> list[_Feature]:
    """What the arrays measure, in the order asked for."""
    found: list[_Feature] = []
    for array in arrays:
        stem, unit = split_unit(array.name)
        if len(array.shape) == 3:
            indices = list(kept if kept is not None else range(array.shape[2]))
            prefix = "channel" if len(arrays) == 1 or NAMELESS.match(array.name) else stem
            found += [_Feature(array, i, f"{prefix}-{i + 1}" if len(indices) > 1 else prefix) for i in indices]
        else:
            found.append(_Feature(array, None, stem, unit))
    if len({feature.name for feature in found}) < len(found):
        found = [_Feature(f.array, f.index, f"{f.array.name}-{(f.index or 0) + 1}") for f in found]
    names = options.channels
    if len(found) == 1:
        only = found[0]
        nameless = NAMELESS.match(only.array.name)
        name = options.channel or (names[0] if names else "value" if nameless else split_unit(only.array.name)[0])
        if names and len(names) > 1:
            raise unfit(names, 1, path)
        return [_Feature(only.array, only.index, name, only.unit)]
    if names is None:
        return found
    by_name = {f.name: f for f in found} | {f.array.name: f for f in found if f.index is None}
    if all(name in by_name for name in names):
        return [by_name[name] for name in names]
    if len(arrays) > 1 and not all(f.index is not None for f in found):
        unknown = next(name for name in names if name not in by_name)
        raise UsageError(f"{path} has no array {unknown!r}.", f"It has {', '.join(f.name for f in found)}.")
    if len(names) != len(found):
        raise unfit(names, len(found), path)
    return [_Feature(f.array, f.index, name, f.unit) for f, name in zip(found, names, strict=True)]


def _channels(
    path: Path,
    arrays: list[Stored],
    options: ImportOptions,
    findings: list[Finding],
    kept: Sequence[int] | None = None,
    titles: Sequence[str] | None = None,
) -> tuple[tuple[SourceChannel, ...], str | None, Callable[[], Iterator[Block]]]:
    """The channels, the one that says what share of a cell was measured, and their blocks."""
    shares = [a for a in arrays if OBSERVED_WORDS.search(a.name) and len(a.shape) == 2]
    observed = shares[0] if shares and len(arrays) > len(shares) else None
    features = _features(path, [a for a in arrays if a is not observed], options, kept)
    for feature in features:
        if feature.unit is not None and feature.name not in options.units:
            why = f"the end of the array's name, {feature.array.name!r}."
            findings.append(Finding("unit", f"{feature.name}: {feature.unit}", why, "inferred"))
    everything = [*features]
    if observed is not None:
        everything.append(_Feature(observed, None, observed.name))
        why = "by its name the share of each cell that was measured; where it is 0 the cell counts as imputed."
        findings.append(Finding("imputed cells", observed.name, why, "inferred"))
    steps, width = _shape(features[0].array)
    per_row = width * 8 * max(f.array.shape[2] if len(f.array.shape) == 3 else 1 for f in everything)
    blocks = partial(_blocks, tuple(everything), max(1, min(steps, BLOCK_BYTES // per_row)))
    texts = titles if titles is not None else [None] * len(features)
    channels = tuple(SourceChannel(f.name, f.unit, title) for f, title in zip(features, texts, strict=True))
    return channels, observed.name if observed else None, blocks


def _blocks(features: tuple[_Feature, ...], rows: int) -> Iterator[Block]:
    """Read the arrays side by side, `rows` rows at a time; an array of several features once."""
    streams = {f.array.name: f.array.rows(rows) for f in features}
    while True:
        parts = {name: next(stream, None) for name, stream in streams.items()}
        if any(part is None for part in parts.values()):
            return
        block = {}
        for feature in features:
            part = parts[feature.array.name]
            assert part is not None
            values = part[..., feature.index] if feature.index is not None else part.reshape(len(part), -1)
            block[feature.name] = as_readings(values)
        yield block


def as_readings(values: Array) -> NDArray[np.floating[Any]]:
    """Numbers as float32 where that loses nothing of their type, else float64; a copy, in native byte order."""
    small = (values.dtype.kind == "f" and values.dtype.itemsize <= 4) or values.dtype.itemsize <= 2
    return values.astype(np.float32 if small else np.float64)


def _shape(array: Stored) -> tuple[int, int]:
    return array.shape[0], array.shape[1] if len(array.shape) > 1 else 1


def _is_time(name: str, vector: Array | None) -> bool:
    dated = vector is not None and vector.dtype.kind == "M"
    return dated or (bool(TIME_WORDS.search(name)) and (vector is None or vector.dtype.kind in "iufOM"))


def _is_id(name: str, vector: Array) -> bool:
    told = vector.dtype.kind == "O" or (vector.dtype.kind in "iu" and bool(ID_WORDS.search(name)))
    return told and len(set(vector.tolist())) == len(vector)


def _take(vectors: dict[str, Array], fits: Callable[[str, Array], bool]) -> tuple[str, Array] | None:
    """Remove and return the first vector that fits."""
    name = next((name for name, vector in vectors.items() if fits(name, vector)), None)
    return None if name is None else (name, vectors.pop(name))


def _text(vector: Array) -> Array:
    """Text of any width as Python strings (dtype object); numbers and dates as they are."""
    if vector.dtype.kind == "S":
        return np.array([item.decode("utf-8", "replace") for item in vector.tolist()], dtype=object)
    return vector.astype(object) if vector.dtype.kind == "U" else vector


def _plain_names(columns: Mapping[str, Array]) -> dict[str, Array]:
    plain = {"latitude": "lat", "longitude": "lon", "lng": "lon", "long": "lon"}
    return {plain.get(name.lower(), name): vector for name, vector in columns.items()}
