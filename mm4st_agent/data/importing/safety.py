"""What a file from a stranger may not do: unpack without end, name paths outside its folder, run code."""

from __future__ import annotations

import csv
import lzma
import shutil
import stat
import struct
import tarfile
import tempfile
import tokenize
import weakref
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from mm4st_agent.errors import DataError

MAX_UNPACKED_BYTES = 64 * 2**30
"""Of all members of an archive together."""
MAX_RATIO = 200
"""Unpacked to packed size; checked above `RATIO_FREE_BYTES`, since a small file of zeros packs better than that."""
RATIO_FREE_BYTES = 256 * 2**20
MAX_MEMBERS = 100_000
MAX_WHOLE_BYTES = 2 * 2**30
"""Of what must be held in memory at once, such as an array in Fortran order inside an .npz."""

TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
PICKLE_SUFFIXES = (".pkl", ".pickle", ".pt", ".pth", ".joblib")
BROKEN = (
    OSError, EOFError, ValueError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, tarfile.TarError,
    NotImplementedError,
)  # fmt: skip
"""What reading a damaged archive may raise (beside RuntimeError for one with a password)."""
DAMAGED = (
    *BROKEN, RuntimeError, LookupError, ArithmeticError, TypeError, AttributeError, AssertionError, SyntaxError,
    struct.error, tokenize.TokenError, csv.Error,
)  # fmt: skip
"""What libraries raise that take a damaged file for a sound one and parse it."""
WHY_NO_PICKLE = "reading a pickle runs whatever program is in it"


def check_archive(path: Path) -> None:
    """Refuse an archive that would unpack without end, or outside its folder. Nothing is unpacked.

    Args:
        path: A zip (also `.npz`, `.xlsx`) or a tar, packed or not.

    Raises:
        DataError: it is damaged, a member's name leads outside or is a link, or the limits above are passed.
    """
    packed = path.stat().st_size
    try:
        path.open("rb").close()  # what may not be read is no damaged file
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                entries = archive.infolist()
                _check_size(path, packed, len(entries), sum(entry.file_size for entry in entries))
                for entry in entries:
                    _check_name(path, entry.filename)
                    if stat.S_ISLNK(entry.external_attr >> 16):
                        raise DataError(f"{path} holds the link {entry.filename!r}.", "Pack the file itself.")
            return
        if not path.name.lower().endswith(TAR_SUFFIXES):
            raise DataError(f"{path} is not a readable archive: it is cut off, damaged, or no zip at all.")
        with tarfile.open(path) as tar:
            unpacked = 0
            # Member by member: a bomb is refused before the rest of it is unpacked to find the next header.
            for count, member in enumerate(tar, start=1):
                unpacked += member.size
                _check_size(path, packed, count, unpacked)
                _check_name(path, member.name)
                if not (member.isfile() or member.isdir()):
                    raise DataError(f"{path} holds {member.name!r}, a link or device.", "Pack the file itself.")
    except BROKEN as err:
        raise DataError(f"{path} is not a readable archive: {reason(err)}.") from err


def check_inside(folder: Path, path: Path) -> Path:
    """The file that `path` stands for, links followed.

    Raises:
        DataError: it lies outside `folder`: a link leads out of it.
    """
    try:
        found = path.resolve()
    except (OSError, RuntimeError) as err:
        raise DataError(f"{path} is a link that leads to itself.", "Put the file itself into the folder.") from err
    if not found.is_relative_to(folder.resolve()):
        raise DataError(
            f"{path} is a link that leads out of {folder}, to {found}.", "Put the file itself into the folder."
        )
    return found


def reason(err: BaseException) -> str:
    """The first line of what a library said, without a stop at its end."""
    said = (str(err).strip() or type(err).__name__).splitlines()[0]
    return (said if len(said) <= 200 else f"{said[:197]}...").rstrip(" .:")


def refuse_pickle(path: Path) -> None:
    """Refuse a file that only Python's pickle reads.

    Raises:
        DataError: always.
    """
    raise DataError(
        f"{path} is a Python pickle, which is never opened: {WHY_NO_PICKLE}.",
        "Save its numbers as .npy, .npz or CSV where you trust the file.",
    )


def is_archive(path: Path) -> bool:
    """Whether the name says that this is a zip or tar of files."""
    return path.name.lower().endswith((".zip", *TAR_SUFFIXES))


class Scratch:
    """A temporary folder, `folder`, which goes away with this object."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="mm4st-import-")).resolve()
        self.remove = weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)


class Unpacked(Scratch):
    """The files of an archive in a temporary folder.

    Args:
        path: A zip or tar.

    Raises:
        DataError: as for `check_archive`, or it needs a password.
    """

    def __init__(self, path: Path) -> None:
        check_archive(path)
        super().__init__()
        try:
            if zipfile.is_zipfile(path):
                with zipfile.ZipFile(path) as archive:
                    archive.extractall(self.folder)
            else:
                with tarfile.open(path) as tar:
                    tar.extractall(self.folder, filter="data")
        except (*BROKEN, RuntimeError) as err:
            self.remove()
            raise DataError(f"{path} cannot be unpacked: {reason(err)}.") from err


def _check_size(path: Path, packed: int, members: int, unpacked: int) -> None:
    hint = "Unpack it yourself and give the folder, if you trust it."
    if members > MAX_MEMBERS:
        raise DataError(f"{path} holds more than {MAX_MEMBERS:,} files.", hint)
    if unpacked > MAX_UNPACKED_BYTES:
        raise DataError(f"{path} would unpack to more than {MAX_UNPACKED_BYTES / 2**30:.0f} GiB.", hint)
    if unpacked > RATIO_FREE_BYTES and unpacked > MAX_RATIO * packed:
        raise DataError(
            f"{path} would unpack to {unpacked / 2**20:,.0f} MiB from {packed / 2**20:,.1f} MiB, "
            f"more than {MAX_RATIO} times its size: this looks like a zip bomb.",
            hint,
        )


def _check_name(path: Path, name: str) -> None:
    parts = PurePosixPath(name.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts or ":" in (parts.parts or ("",))[0]:
        raise DataError(f"{path} holds the path {name!r}, which leads outside.", "Pack it with plain relative names.")
