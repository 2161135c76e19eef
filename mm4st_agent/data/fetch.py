"""The original files of a known data set: from the data directory, or downloaded, resumed and checked."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mm4st_agent.data.card import DataCard, file_sha256
from mm4st_agent.data.known import check_files, missing_files
from mm4st_agent.data.store import held
from mm4st_agent.errors import DataError
from mm4st_agent.settings import unusable

if TYPE_CHECKING:
    import httpx2

CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 60.0

Progress = Callable[[str, int, int | None], None]
"""Called with a file's name, the bytes that are here, and how many there are (None: the server does not say)."""


def missing_originals(card: DataCard, data_dir: Path | None, downloads: Path) -> list[str]:
    """The card's files that neither folder has."""
    folders = [folder for folder in (data_dir, downloads) if folder is not None]
    return [name for name in card.files if not any((folder / name).is_file() for folder in folders)]


def fetch(card: DataCard, data_dir: Path | None, downloads: Path, progress: Progress | None = None) -> Path:
    """Make sure that all of the card's files are in one folder, and are the ones that it describes.

    Args:
        card: Of a known data set.
        data_dir: Where the person keeps original files; only read.
        downloads: Where what is missing there goes. A transfer that broke off is resumed, also by a later call.
        progress: Called as bytes arrive.

    Returns:
        The folder: `data_dir` where it has every file, else `downloads`.

    Raises:
        DataError: a file is missing and cannot be downloaded (the hint says where to get it and where to put it), or
            its sha256 differs from the card's.
        UsageError: `downloads` cannot be written, or another process downloads the same set.
    """
    if data_dir is not None and not missing_files(data_dir, card):
        check_files(data_dir, card)
        return data_dir
    missing = missing_originals(card, data_dir, downloads)
    if nowhere := [name for name in missing if name not in card.urls]:
        raise _lacking(card, nowhere, data_dir or downloads)
    try:
        downloads.mkdir(parents=True, exist_ok=True)
        with held(downloads / card.name):
            for name in card.files:
                if (downloads / name).is_file():
                    continue
                (downloads / name).parent.mkdir(parents=True, exist_ok=True)
                if name in missing:
                    _download(card, name, data_dir or downloads, downloads / name, progress)
                elif data_dir is not None:
                    _copy(card, name, data_dir / name, downloads / name)
    except OSError as err:
        raise unusable(downloads, err) from err
    check_files(downloads, card)
    return downloads


def _lacking(card: DataCard, names: list[str], folder: Path, reason: str = "") -> DataError:
    return DataError(
        f"{card.name!r} lacks {', '.join(names)}{reason}.",
        f"{card.where} Put {'it' if len(names) == 1 else 'them'} under {folder}, by "
        f"{'this name' if len(names) == 1 else 'these names'}, and run the command again.",
    )


def _copy(card: DataCard, name: str, source: Path, target: Path) -> None:
    if (found := file_sha256(source)) != card.files[name]:
        raise _another(card, name, f"{source} is", found, "Replace it.")
    part = target.with_name(f"{target.name}.part")
    shutil.copyfile(source, part)
    part.replace(target)


def _another(card: DataCard, name: str, what: str, found: str, hint: str) -> DataError:
    return DataError(
        f"{what} not the file {name} that the card of {card.name!r} describes: its sha256 is {found[:12]}..., "
        f"not {card.files[name][:12]}....",
        hint,
    )


def _download(card: DataCard, name: str, folder: Path, target: Path, progress: Progress | None) -> None:
    """Download one file; it has its name only when it is complete and right."""
    import httpx2

    url, part = card.urls[name], target.with_name(f"{target.name}.part")
    timeout = httpx2.Timeout(READ_TIMEOUT_S, connect=CONNECT_TIMEOUT_S)
    with httpx2.Client(timeout=timeout, follow_redirects=True, headers={"Accept-Encoding": "identity"}) as client:
        while True:
            before = _size(part)
            try:
                _transfer(client, url, part, lambda done, total: progress and progress(name, done, total))
                break
            except (httpx2.HTTPError, httpx2.InvalidURL) as err:
                if isinstance(err, httpx2.TransportError) and _size(part) > before:
                    continue  # it broke off on the way; go on from there
                stopped = f" (the {_size(part):,} bytes that came are kept)" if _size(part) else ""
                reason = _reason(err)
                raise _lacking(card, [name], folder, f": {url} cannot be read: {reason}{stopped}") from err
    found = file_sha256(part)
    if found != card.files[name]:
        part.unlink()
        hint = f"It was deleted. {card.where} Put it under {folder}, by this name, and run the command again."
        raise _another(card, name, f"What {url} sent is", found, hint)
    part.replace(target)


def _transfer(client: httpx2.Client, url: str, part: Path, progress: Callable[[int, int | None], object]) -> None:
    """Append what is missing of `part`; start anew where the server cannot go on."""
    here = _size(part)
    with client.stream("GET", url, headers={"Range": f"bytes={here}-"} if here else {}) as reply:
        if reply.status_code == 416:  # nothing is left to send; the checksum tells whether that is all
            return
        reply.raise_for_status()
        goes_on = reply.status_code == 206 and re.match(rf"bytes {here}-", reply.headers.get("Content-Range", ""))
        done = here if goes_on else 0
        length = reply.headers.get("Content-Length")
        total = done + int(length) if length else None
        with part.open("ab" if goes_on else "wb") as file:
            for block in reply.iter_raw():
                file.write(block)
                done += len(block)
                progress(done, total)


def _reason(err: httpx2.HTTPError | httpx2.InvalidURL) -> str:
    import httpx2

    if isinstance(err, httpx2.HTTPStatusError):
        return f"the server answers {err.response.status_code} {err.response.reason_phrase}"
    return str(err).rstrip(".") or type(err).__name__


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
