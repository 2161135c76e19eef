"""The bytes of a text file as UTF-8, in parts that end where a record does; nothing is held whole."""

from __future__ import annotations

import codecs
import gzip
import zlib
from collections.abc import Generator, Iterator
from itertools import chain
from pathlib import Path
from typing import BinaryIO, cast

from mm4st_agent.data.importing.safety import reason
from mm4st_agent.errors import DataError

CHUNK_BYTES = 16 * 2**20
"""How much of a file is parsed at a time; also the longest line."""

_WIDE_BOMS = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


def chunks(path: Path) -> Generator[bytes]:
    """The file without a byte order mark, cut where a record ends; a line break within quotes ends none.

    The first line may be in another encoding than UTF-8: the caller decides.

    Raises:
        DataError: there is no such file, it is damaged, holds NUL bytes or a line beyond `CHUNK_BYTES`, or is neither
            UTF-8 nor UTF-16; the message names the byte.
    """
    if not path.is_file():
        raise DataError(f"There is no file {path}.")
    try:
        with _open(path) as file:
            yield from _cut(path, _decoded(path, file))
    except (OSError, EOFError, zlib.error) as err:
        raise DataError(f"{path} is not a readable CSV file: {reason(err)}.") from err


def record(data: bytes, start: int) -> bytes:
    """The record that begins at `start`, with its line break."""
    end = data.find(b"\n", start) + 1
    quotes = data.count(b'"', start, end)
    while end and quotes % 2:
        closing = data.find(b'"', end)
        further = data.find(b"\n", closing) + 1 if closing >= 0 else 0
        quotes += data.count(b'"', end, further)
        end = further
    return data[start : end or len(data)]


def _open(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path, "rb")) if path.suffix.lower() == ".gz" else path.open("rb")


def _decoded(path: Path, file: BinaryIO) -> Iterator[bytes]:
    head = file.read(CHUNK_BYTES)
    encoding = _WIDE_BOMS.get(head[:2])
    decoder = codecs.getincrementaldecoder(encoding or "utf-8")()
    offset = 0
    for raw in chain([head], iter(lambda: file.read(CHUNK_BYTES), b"")):
        try:
            text = raw if encoding is None else decoder.decode(raw).encode("utf-8")
        except UnicodeDecodeError as err:
            raise _not_text(path, "utf-16", offset + err.start) from err
        if b"\0" in text:
            at = f"at offset {offset + raw.index(0):,}" if encoding is None else f"behind byte {offset:,}"
            raise DataError(f"{path} holds a NUL byte {at}: it is no text file.", "Save it as CSV in UTF-8.")
        yield text.removeprefix(codecs.BOM_UTF8) if offset == 0 else text
        offset += len(raw)
    if encoding is not None and decoder.getstate()[0]:
        raise _not_text(path, "utf-16", offset - 1)


def _cut(path: Path, blocks: Iterator[bytes]) -> Iterator[bytes]:
    pending, offset = b"", 0
    for block in blocks:
        pending += block
        end = _record_end(pending)
        if end == 0:
            if len(pending) >= CHUNK_BYTES:
                raise DataError(
                    f"{path} has a line of more than {CHUNK_BYTES // 2**20} MiB, or a quote that never closes, from "
                    f"byte {offset:,} on.",
                    "Write one row a line; for very many columns use the long layout: time, node, value.",
                )
            continue
        yield _checked(path, pending[:end], offset)
        offset += end
        pending = pending[end:]
    if pending:
        yield _checked(path, pending, offset)


def _checked(path: Path, chunk: bytes, offset: int) -> bytes:
    start = len(record(chunk, 0)) if offset == 0 else 0
    if not chunk.isascii():
        try:
            chunk[start:].decode("utf-8")
        except UnicodeDecodeError as err:
            raise _not_text(path, "utf-8", offset + start + err.start) from err
    return chunk


def _record_end(pending: bytes) -> int:
    """Behind the last line break that is not inside quotes; 0 where there is none."""
    end = pending.rfind(b"\n") + 1
    quotes = pending.count(b'"', 0, end)
    while end and quotes % 2:
        earlier = pending.rfind(b"\n", 0, pending.rfind(b'"', 0, end)) + 1
        quotes -= pending.count(b'"', earlier, end)
        end = earlier
    return end


def _not_text(path: Path, encoding: str, offset: int) -> DataError:
    return DataError(
        f"{path} is not {encoding.upper()} at byte {offset:,}.", "Save the file as CSV in UTF-8, all of it."
    )
