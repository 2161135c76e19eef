"""`read_source`: whatever the path is, find the readings in it, and what else lies beside them."""

from __future__ import annotations

import dataclasses
import json
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath

import pandas as pd

from mm4st_agent.data.importing.draft import Block, Finding, Source
from mm4st_agent.data.importing.options import ImportOptions
from mm4st_agent.data.importing.roles import Glimpse, Role, glimpse, node_ids_of, place_of, role_of
from mm4st_agent.data.importing.safety import (
    BROKEN,
    MAX_MEMBERS,
    PICKLE_SUFFIXES,
    WHY_NO_PICKLE,
    Scratch,
    Unpacked,
    check_archive,
    check_inside,
    is_archive,
    refuse_pickle,
)
from mm4st_agent.errors import DataError

CUBE_SUFFIXES = (".nc", ".nc4", ".cdf", ".netcdf")
ZARR_MARKS = ("zarr.json", ".zgroup", ".zmetadata")
SMALLER = 4
"""A table with fewer than a quarter of the rows of the readings stands beside them (daily weather, a calendar)."""

_WHAT = {
    "nodes": "a row for each place",
    "edges": "a row for each connection, from and to",
    "matrix": "a square of numbers, one row and column a node",
    "events": "start times beside text",
    "trajectories": "objects with times and positions",
    "places": "GeoJSON shapes",
    "windows": "spans of time by file name",
}


def read_source(path: Path, options: ImportOptions) -> tuple[Source, ImportOptions]:
    """Find the readings of a file, folder or archive, and what belongs to them.

    Args:
        path: A table, array, HDF5, NetCDF or Zarr file; a folder with one or more of them, sensor table, edges,
            events and so on, told apart by what they hold; or a zip or tar of such a folder.
        options: What the person states; it is never overruled.

    Returns:
        The readings as found, and the options with the files that were found beside them. The files of an archive
        last as long as the source's `blocks`.

    Raises:
        DataError: there are no readings, several files could be the readings, a file is damaged or unsafe, or a
            link leads out of the folder.
        UsageError: an option names what is not there.
    """
    if not path.exists():
        raise DataError(f"There is no file or folder {path}.")
    if path.is_dir():
        return _read_folder(path, options)
    if not path.is_file():
        raise DataError(f"{path} is neither a file nor a folder.")
    if is_archive(path):
        return _read_archive(path, options)
    return _read_file(path, options)


def _read_file(path: Path, options: ImportOptions) -> tuple[Source, ImportOptions]:
    with path.open("rb") as file:
        head = file.read(8)
    name = path.name.lower()
    if name.endswith(PICKLE_SUFFIXES) or (head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05" and len(head) > 1):
        refuse_pickle(path)
    if name.endswith((".json", ".geojson", ".jsonl")):
        raise DataError(
            f"{path} is JSON, which holds no readings here.",
            "Give the table of readings, and this file with --nodes, --events or --static.",
        )
    if head.startswith(b"\x93NUMPY") or _holds_npy(path, head):
        from mm4st_agent.data.importing.arrays import read_npz

        return read_npz(path, options), options
    if head.startswith(b"CDF") or name.endswith(CUBE_SUFFIXES) or (head == b"\x89HDF\r\n\x1a\n" and _is_netcdf(path)):
        from mm4st_agent.data.importing.cubes import read_cube

        return read_cube(path, options), options
    if head == b"\x89HDF\r\n\x1a\n" or name.endswith((".h5", ".hdf5", ".hdf")):
        from mm4st_agent.data.importing.hdf import read_hdf

        return read_hdf(path, options), options
    if name.endswith(".xlsx"):
        check_archive(path)
    if options.layout == "auto" and options.node_column is None:
        from mm4st_agent.data.importing.trajectories import holds_trajectories, read_trajectories

        if role_of(path) != "nodes" and holds_trajectories(path):
            return read_trajectories(path, options), options.model_copy(update={"trajectories": path})
    from mm4st_agent.data.importing.tables import read_tables

    return read_tables(path, options), options


def _holds_npy(path: Path, head: bytes) -> bool:
    if path.suffix.lower() == ".npz":
        return True
    if not head.startswith(b"PK") or not zipfile.is_zipfile(path):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith(".npy") for name in archive.namelist())
    except BROKEN:
        return False


def _is_netcdf(path: Path) -> bool:
    """Whether an HDF5 file names its dimensions, as NetCDF does; a damaged one is left to the reader of HDF5."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            items = [file[name] for name in file]
            return "_NCProperties" in file.attrs or any("DIMENSION_LIST" in item.attrs for item in items)
    except (OSError, RuntimeError, KeyError, ValueError):
        return False


def _read_archive(path: Path, options: ImportOptions) -> tuple[Source, ImportOptions]:
    unpacked = Unpacked(path)
    source, options = _read_folder(unpacked.folder, options)
    return dataclasses.replace(_keeping(source, unpacked), path=path, files=(path,)), options


def _keeping(source: Source, scratch: Scratch) -> Source:
    """The source, with blocks that keep the temporary folder as long as they are."""
    blocks = source.blocks

    def kept() -> Iterator[Block]:
        assert scratch.remove.alive
        return blocks()

    return dataclasses.replace(source, blocks=kept)


# -- folders ------------------------------------------------------------------------------


def _read_folder(folder: Path, options: ImportOptions) -> tuple[Source, ImportOptions]:
    if (folder / "data.dat").is_file() and (folder / "desc.json").is_file():
        from mm4st_agent.data.importing.arrays import read_basicts

        return read_basicts(folder, options)
    if any((folder / mark).is_file() for mark in ZARR_MARKS):
        from mm4st_agent.data.importing.cubes import read_cube

        return read_cube(folder, options), options
    stated = {
        p.resolve() for p in (options.nodes, options.edges, options.events, options.trajectories) if p is not None
    }
    stated |= {p.resolve() for p in options.static.values()}
    paths = [path for path in _walk(folder) if path.resolve() not in stated]
    roles = {path: ("readings" if path.is_dir() else role_of(path)) for path in paths}
    readings = [path for path, role in roles.items() if role == "readings"]
    tracks = [path for path, role in roles.items() if role == "trajectories"]
    if not readings and len(tracks) == 1:
        # Flows and speeds are made from the tracks, at the places beside them where there are any.
        readings, places = tracks, [path for path, role in roles.items() if role == "nodes"]
        if options.nodes is None and len(places) == 1:
            options = options.model_copy(update={"nodes": places[0]})
    findings = [
        Finding("left out", path.relative_to(folder).as_posix(), _why_left_out(role), "inferred")
        for path, role in roles.items()
        if role in ("other", "pickle")
    ]
    main, beside, options = _choose(folder, readings, options)
    if len(main) == 1:
        source, options = read_source(main[0], options)
    else:
        from mm4st_agent.data.importing.folders import read_station_folder

        source = read_station_folder(folder, main, options)
    found = {role: [p for p, r in roles.items() if r == role] for role in _WHAT}
    source, options, more = _layers(folder, source, options, found)
    source = _with_ids(source, options)
    windows = options.events
    if windows is not None and windows.suffix.lower() == ".json":
        source, options = _with_windows(source, options, windows)
    if beside:
        from mm4st_agent.data.importing.folders import with_covariates

        source = with_covariates(source, beside, options)
    chosen = [Finding("readings", ", ".join(_names(folder, main)), _why_readings(main), "inferred")]
    source = dataclasses.replace(source, path=folder, findings=(*chosen, *more, *source.findings, *findings))
    return source, options


def _walk(folder: Path) -> list[Path]:
    """Every file and Zarr store below the folder, in order; hidden ones are passed over.

    Raises:
        DataError: a link leads out of the folder, or there are no or too many files.
    """
    found: list[Path] = []
    todo = [folder]
    while todo:
        for path in sorted(todo.pop().iterdir()):
            if path.is_symlink():
                check_inside(folder, path)
            if path.name.startswith(".") or path.name == "__MACOSX":
                continue
            if path.is_dir() and not any((path / mark).is_file() for mark in ZARR_MARKS):
                if not path.is_symlink():
                    todo.append(path)
            elif path.is_dir() or path.is_file():
                found.append(path)
            if len(found) > MAX_MEMBERS:
                raise DataError(f"{folder} holds more than {MAX_MEMBERS:,} files.", "Give the folder of one data set.")
    if not found:
        raise DataError(f"{folder} holds no file.")
    return sorted(found)


def _choose(folder: Path, readings: list[Path], options: ImportOptions) -> tuple[list[Path], list[Path], ImportOptions]:
    """The file of readings (or one for each station), the tables over time beside it, and the options left.

    Raises:
        DataError: there is none, or several could be it.
    """
    if not readings:
        raise DataError(
            f"{folder} holds no file of readings.", "Give the file itself if it is there, with --time-column if needed."
        )
    seen = {path: None if path.is_dir() else _table(path) for path in readings}
    if options.member is not None:
        named = [p for p in readings if options.member in (p.relative_to(folder).as_posix(), p.name, p.stem)]
        if len(named) == 1:
            beside = [p for p in readings if p != named[0] and _stands_beside(seen[p], seen[named[0]])]
            return named, beside, options.model_copy(update={"member": None})
    arrays = [path for path, table in seen.items() if table is None]
    tables = [path for path, table in seen.items() if table is not None]
    if arrays:
        main = arrays
        beside = [p for p in tables if _stands_beside(seen[p], None)]
    else:
        alike: dict[tuple[str, ...], list[Path]] = {}
        for path in tables:
            alike.setdefault(seen[path].header, []).append(path)  # type: ignore[union-attr]
        main = max(alike.values(), key=lambda paths: sum(_cells(seen[p]) for p in paths))
        beside = [p for p in tables if p not in main and _stands_beside(seen[p], seen[main[0]])]
    rest = [p for p in readings if p not in main and p not in beside]
    ids = seen[main[0]] is not None and _columns_are_nodes(seen[main[0]])
    if rest or (len(main) > 1 and (arrays or ids)):
        names = ", ".join(_names(folder, [*main, *rest]))
        raise DataError(
            f"{folder} holds several files that could be the readings: {names}.",
            f"Say which one with --member, such as --member {main[0].name}.",
        )
    return main, beside, options


def _table(path: Path) -> Glimpse | None:
    return (
        glimpse(path)
        if path.name.lower().removesuffix(".gz").endswith((".csv", ".tsv", ".txt", ".parquet", ".xlsx"))
        else None
    )


def _cells(seen: Glimpse | None) -> int:
    return 0 if seen is None else len(seen.header) * max(seen.lines, len(seen.rows))


def _stands_beside(seen: Glimpse | None, main: Glimpse | None) -> bool:
    """Whether a table tells the weather or calendar of all places: few columns over time, and coarser rows."""
    if seen is None or seen.time_column is None or _columns_are_nodes(seen):
        return False
    return main is None or seen.lines * SMALLER <= main.lines or (len(seen.header) <= 12 < len(main.header))


def _columns_are_nodes(seen: Glimpse | None) -> bool:
    """Whether the columns beside the time are called like sensors: numbers, or one word with numbers."""
    if seen is None:
        return False
    names = [name for i, name in enumerate(seen.header) if i != seen.time_column]
    stems = {name.rstrip("0123456789") for name in names}
    return len(names) > 1 and len(stems) == 1 and all(name[-1:].isdigit() for name in names)


# -- what else is there -------------------------------------------------------------------


def _layers(
    folder: Path, source: Source, options: ImportOptions, found: dict[str, list[Path]]
) -> tuple[Source, ImportOptions, list[Finding]]:
    """Fill the options that name files with what the folder holds; what is stated stays."""
    findings: list[Finding] = []
    update: dict[str, object] = {}

    def take(option: str, role: Role, paths: Sequence[Path]) -> None:
        for path in paths:
            name = path.relative_to(folder).as_posix()
            if option not in update and getattr(options, option) is None:
                update[option] = path
                findings.append(Finding(option, name, f"it holds {_WHAT[role]}.", "inferred"))
            else:
                findings.append(Finding("left out", name, f"there is another file of {option}.", "assumed"))

    count = len(source.node_ids)
    take("nodes", "nodes", sorted(found["nodes"], key=lambda p: -_matches(p, source)))
    take("edges", "edges", found["edges"])
    take("edges", "matrix", [p for p in found["matrix"] if _matrix_width(p) in (count, count + 1)])
    take("events", "events", found["events"])
    take("events", "windows", found["windows"])
    take("trajectories", "trajectories", found["trajectories"])
    if found["places"]:
        static = {path.stem: path for path in found["places"]} | dict(options.static)
        update["static"] = static
        findings += [
            Finding("static layer", p.stem, f"{p.name} holds {_WHAT['places']}.", "inferred") for p in found["places"]
        ]
    for path in found["matrix"]:
        if _matrix_width(path) not in (count, count + 1):
            why = f"a square matrix, but not of the {count} nodes."
            findings.append(Finding("left out", path.relative_to(folder).as_posix(), why, "inferred"))
    return source, options.model_copy(update=update), findings


def _matches(path: Path, source: Source) -> int:
    """How many nodes a sensor table names; at least one for a row each."""
    ids = node_ids_of(path, source.node_ids)
    return 0 if ids is None else 2 * len(set(ids) & set(source.node_ids)) + (len(ids) == len(source.node_ids))


def _matrix_width(path: Path) -> int:
    if path.suffix.lower() == ".npy":
        from mm4st_agent.data.importing.npy import npy_shape

        return npy_shape(path)[0]
    seen = glimpse(path)
    return 0 if seen is None else len(seen.header)


def _with_ids(source: Source, options: ImportOptions) -> Source:
    """Call numbered nodes by the ids of a sensor table that has exactly one row for each."""
    numbered = source.node_ids == tuple(str(i) for i in range(len(source.node_ids)))
    assumed = any(f.what == "node ids" and f.status == "assumed" for f in source.findings)
    if options.nodes is None or not numbered or not assumed:
        return source
    ids = node_ids_of(options.nodes, source.node_ids)
    if ids is None or len(ids) != len(source.node_ids) or len(set(ids)) < len(ids) or ids == source.node_ids:
        return source
    why = (
        f"the readings do not name their {len(ids)} nodes; the rows of {options.nodes.name} are as many, in this order."
    )
    findings = [f for f in source.findings if f.what != "node ids"]
    nodes = None if source.nodes is None else source.nodes.set_axis(pd.Index(ids, name="id"))
    findings.append(Finding("node ids", f"{ids[0]} .. {ids[-1]}", why, "assumed"))
    return dataclasses.replace(source, node_ids=ids, nodes=nodes, findings=tuple(findings))


def _with_windows(source: Source, options: ImportOptions, path: Path) -> tuple[Source, ImportOptions]:
    """Labelled spans by file name, as in NAB, as a log of events; one is published when it is over: by hindsight."""
    spans = json.loads(path.read_text(encoding="utf-8"))
    scratch = Scratch()
    log = scratch.folder / f"{path.stem}.jsonl"
    lines = []
    for name, windows in spans.items():
        stem = place_of(PurePath(name))
        fits = [node for node in source.node_ids if node == stem] or [n for n in source.node_ids if n in stem]
        for number, (start, end) in enumerate(windows if len(fits) == 1 else [], start=1):
            event = {"id": f"{stem}-{number}", "node": fits[0], "start": start, "end": end, "published_at": end}
            lines.append(json.dumps(event | {"kind": "anomaly", "text": "labelled anomaly", "source": path.name}))
    if not lines:
        return source, options.model_copy(update={"events": None})
    log.write_text("\n".join(lines), encoding="utf-8")
    why = f"{path.name} labels {len(lines)} spans of these nodes; each counts as published at its end."
    findings = (*source.findings, Finding("anomalies", f"{len(lines)} spans", why, "inferred"))
    source = dataclasses.replace(source, findings=findings, files=(*source.files, path))
    return _keeping(source, scratch), options.model_copy(update={"events": log})


def _names(folder: Path, paths: Sequence[Path]) -> list[str]:
    names = [path.relative_to(folder).as_posix() for path in paths]
    return names if len(names) <= 4 else [*names[:3], f"and {len(names) - 3} more"]


def _why_readings(main: Sequence[Path]) -> str:
    if len(main) > 1:
        return f"{len(main)} tables with the same columns: one for each place."
    return "the only file that holds numbers over time and places."


def _why_left_out(role: Role) -> str:
    if role == "pickle":
        return f"a pickle is never opened: {WHY_NO_PICKLE}. Give it as CSV or .npy."
    return "it holds neither readings nor places, edges, events or tracks."
