"""Files that people send: a folder each below the uploads folder, which nothing serves, and what kind each one is."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import shutil
import time
import zipfile
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

from mm4st_agent.data.importing.safety import BROKEN
from mm4st_agent.errors import DataError, MM4STError, UsageError

ARRIVING = "arriving.part"
"""What a file is called until all of it is there."""
BUFFER_BYTES = 2**20
HEAD_BYTES = 64 * 2**10
MB = 2**20
KINDS = "CSV, TSV or text; Excel (.xlsx); Parquet; NetCDF; HDF5; NumPy (.npy, .npz); or a zip of several"
"""What can be read, in words."""

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_PICTURES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\x00", b"MM\x00*")
_TEXT_SUFFIXES = (".csv", ".tsv", ".txt")
_WIDE_BOMS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_AS_CSV = "Save the table as CSV or Excel (.xlsx), and send that."


class TooLargeError(UsageError):
    """A file is larger than the limit."""


class NoRoomError(MM4STError):
    """The disk is full."""

    kind = "disk"


def new_folder(uploads: Path, name: str) -> Path:
    """An empty folder of an upload, for the server's eyes only.

    Args:
        uploads: Holds a folder for each upload.
        name: Chosen by the page, so that it can cancel an upload of which it has not heard yet.

    Raises:
        UsageError: the name is not 32 hexadecimal digits, or taken.
        NoRoomError: the disk is full.
    """
    if not re.fullmatch(r"[0-9a-f]{32}", name):
        raise UsageError(f"{name[:40]!r} cannot name an upload.", "Use 32 hexadecimal digits.")
    try:
        uploads.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = uploads / name
        folder.mkdir(mode=0o700)
    except FileExistsError as err:
        raise UsageError(f"There is an upload {name!r} already.", "Choose another name.") from err
    except OSError as err:
        raise no_room(err) from err
    return folder


def check_size(size: int, limit_mb: int, uploads: Path) -> None:
    """Refuse a file by its size, before any of it is read.

    Raises:
        TooLargeError: it is beyond the limit.
        NoRoomError: the disk has no room for it.
    """
    if size > limit_mb * MB:
        raise _too_large(f"{size / MB:,.1f} MB", limit_mb)
    if shutil.disk_usage(uploads).free < size:
        raise no_room(None)


async def receive(parts: AsyncIterator[bytes], folder: Path, limit_mb: int) -> Path:
    """Write a file as it arrives; little more than `BUFFER_BYTES` of it are in memory.

    Raises:
        TooLargeError: more arrived than the limit.
        NoRoomError: the disk is full.
    """
    path = folder / ARRIVING
    size = 0
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb", buffering=0) as file:
            buffer = bytearray()
            async for part in parts:
                buffer += part
                size += len(part)
                if size > limit_mb * MB:
                    raise _too_large(f"more than {limit_mb:,} MB", limit_mb)
                if len(buffer) >= BUFFER_BYTES:
                    await asyncio.to_thread(_write, file.fileno(), bytes(buffer))
                    buffer.clear()
            await asyncio.to_thread(_write, file.fileno(), bytes(buffer))
    except OSError as err:
        raise no_room(err) from err
    return path


def settle(arrived: Path, label: str) -> Path:
    """Give a whole file its name: a word of the label, as it may become the name of a place, and the kind's ending.

    Raises:
        DataError: it is of no kind that can be read.
    """
    suffix = suffix_of(arrived, label)
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", re.split(r"[/\\]", label)[-1].split(".")[0])[:60].strip("-")
    return arrived.rename(arrived.with_name((stem or "data") + suffix))


def _too_large(size: str, limit_mb: int) -> TooLargeError:
    return TooLargeError(
        f"The file has {size}; at most {limit_mb:,} MB are taken.",
        "Send a shorter period or fewer places, or save it as Parquet, which is smaller. Who runs the server can "
        "raise the limit with MM4ST_MAX_UPLOAD_MB.",
    )


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def no_room(err: OSError | None) -> MM4STError:
    """The error for a disk that takes no more, or cannot be written at all."""
    if err is None or err.errno in _NO_ROOM:
        return NoRoomError(
            "There is no room left on the server's disk; nothing was kept.", "Delete data sets that nobody needs."
        )
    return NoRoomError(f"The server's disk cannot be written: {err.strerror}.", "Ask who runs the server.")


def sweep(uploads: Path, keep: Iterable[str], older_than_s: float) -> None:
    """Delete folders that nobody works with any more, such as those of a server that was killed.

    Args:
        uploads: Holds a folder each.
        keep: Names of folders that stay.
        older_than_s: Folders in which something changed since then stay, too.
    """
    if not uploads.is_dir():
        return
    latest = time.time() - older_than_s
    for folder in uploads.iterdir():
        if folder.name in keep:
            continue
        try:
            changed = max(path.stat().st_mtime for path in (folder, *folder.iterdir()))
        except OSError:  # it is being deleted
            continue
        if changed < latest:
            shutil.rmtree(folder, ignore_errors=True)


# -- the kind of a file ----------------------------------------------------------------------


def suffix_of(path: Path, label: str) -> str:
    """The ending by which importers know a file, told from its first bytes; the label decides among texts only.

    Raises:
        DataError: it is empty, or of no kind that can be read; the message says what it is.
    """
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    shown, lower = repr(label), label.lower()
    if not head:
        raise DataError(f"{shown} is empty: it has no bytes.", "Was it saved? Send the file with the readings.")
    if head.startswith(b"%PDF"):
        raise DataError(f"{shown} is a PDF, which holds pages and no table.", _AS_CSV)
    if head.startswith(_PICTURES) or head[8:12] == b"WEBP":
        raise DataError(f"{shown} is a picture, not a table of readings.", _AS_CSV)
    if head.startswith(b"\xd0\xcf\x11\xe0"):
        raise DataError(
            f"{shown} is in the old Office format (.xls, .doc), which is not read.", "Save it as .xlsx or CSV."
        )
    if head.startswith(b"PK"):
        return _suffix_of_zip(path, shown)
    for magic, suffix in ((b"PAR1", ".parquet"), (b"\x93NUMPY", ".npy"), (b"CDF", ".nc")):
        if head.startswith(magic):
            return suffix
    if head.startswith(b"\x89HDF"):
        return ".nc" if lower.endswith((".nc", ".nc4", ".netcdf")) else ".h5"
    if head.startswith(b"\x1f\x8b"):
        ending = next((suffix for suffix in _TEXT_SUFFIXES if lower.endswith(f"{suffix}.gz")), "")
        if ending:
            return f"{ending}.gz"
        raise DataError(f"{shown} is packed with gzip, and its name does not end with .csv.gz.", f"Send {KINDS}.")
    return _suffix_of_text(head, shown, lower)


def _suffix_of_zip(path: Path, shown: str) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except BROKEN as err:
        raise DataError(
            f"{shown} is a damaged zip or Excel file: it cannot be opened.", "Save or pack it anew."
        ) from err
    if any(name.startswith("xl/") for name in names):
        return ".xlsx"
    if any(name.startswith(("word/", "ppt/")) for name in names):
        raise DataError(f"{shown} is a Word or PowerPoint document, not a table of readings.", _AS_CSV)
    if "mimetype" in names and "content.xml" in names:
        raise DataError(f"{shown} is an OpenDocument file, which is not read.", "Save it as .xlsx or CSV.")
    return ".npz" if names and all(name.endswith(".npy") for name in names) else ".zip"


def _suffix_of_text(head: bytes, shown: str, lower: str) -> str:
    wide = _WIDE_BOMS.get(head[:2])
    if wide is None and b"\0" in head:
        raise DataError(f"{shown} is a binary file of no kind that is read here.", f"Send {KINDS}.")
    text = head.decode(wide or "utf-8", errors="replace").lstrip("\ufeff \t\r\n").lower()
    if not text:
        raise DataError(f"{shown} is empty: it holds blanks only.", "Was it saved? Send the file with the readings.")
    if text.startswith(("<!doctype html", "<html", "<?xml", "<table", "<head", "<body")):
        what = "XML" if text.startswith("<?xml") and "<html" not in text[:2000] else "a web page (HTML)"
        raise DataError(
            f"{shown} is {what}, not a table, whatever its name says.",
            "A download may have led to a sign-in or error page: open the file in a browser to see. " + _AS_CSV,
        )
    if text.startswith("{") or (text.startswith("[") and lower.endswith((".json", ".geojson", ".jsonl"))):
        raise DataError(
            f"{shown} is JSON, which holds no table of readings here.",
            "Save the readings as CSV. A GeoJSON file of places can lie beside the CSV in a zip.",
        )
    if "\r" in text and "\n" not in text:
        raise DataError(
            f"{shown} has lines that end with a carriage return alone, as old Macs wrote them.",
            "Save it anew with ordinary line ends; in Excel choose 'CSV UTF-8'.",
        )
    odd = sum(character == "\ufffd" or (character < " " and character not in "\t\r\n\f") for character in text)
    if odd > 0.2 * len(text):
        raise DataError(f"{shown} is a binary file of no kind that is read here.", f"Send {KINDS}.")
    return next((suffix for suffix in _TEXT_SUFFIXES if lower.endswith(suffix)), ".csv")
