from __future__ import annotations

import hashlib
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mm4st_agent.errors import UsageError
from mm4st_agent.imaging.store import ImageStore


def tiny_png(grey: int) -> bytes:
    """One grey pixel, written by hand."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes([0, grey]))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def test_a_picture_comes_back_by_the_hash_of_its_bytes(tmp_path: Path) -> None:
    png = tiny_png(3)

    image_id = ImageStore(tmp_path / "new" / "images").put(png)

    reopened = ImageStore(tmp_path / "new" / "images")
    assert image_id == hashlib.sha256(png).hexdigest()
    assert reopened.get(image_id) == png
    assert reopened.path(image_id) == tmp_path / "new" / "images" / f"{image_id}.png"


def test_the_same_picture_is_kept_once_and_nothing_else_stays(tmp_path: Path) -> None:
    store = ImageStore(tmp_path)
    pictures = [tiny_png(grey) for grey in range(4)] * 8

    with ThreadPoolExecutor(4) as pool:
        ids = list(pool.map(store.put, pictures))

    assert len(set(ids)) == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted({f"{image_id}.png" for image_id in ids})


def test_putting_again_does_not_write_again(tmp_path: Path) -> None:
    store = ImageStore(tmp_path)
    path = store.path(store.put(tiny_png(0)))
    before = path.stat()

    store.put(tiny_png(0))

    assert (path.stat().st_mtime_ns, path.stat().st_ino) == (before.st_mtime_ns, before.st_ino)


@pytest.mark.parametrize("data", [b"", b"GIF89a...", b"\x89PNG\r\n\x1a\n", tiny_png(1)[:-1], b" " + tiny_png(1)])
def test_bytes_that_are_no_whole_png_are_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(UsageError, match=f"These {len(data)} bytes are not a whole PNG"):
        ImageStore(tmp_path).put(data)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("image_id", ["", "abc", "../" + "0" * 61, "0" * 63 + "/", "A" * 64, "0" * 64 + "\n", "٣" * 64])
def test_a_malformed_id_never_becomes_a_path(tmp_path: Path, image_id: str) -> None:
    store = ImageStore(tmp_path / "images")
    for ask in (store.get, store.path):
        with pytest.raises(UsageError, match="is not a picture's id"):
            ask(image_id)


def test_an_unknown_id_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There is no picture " + "0" * 64):
        ImageStore(tmp_path).get("0" * 64)


def test_a_folder_that_cannot_be_made_names_the_setting(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(UsageError, match="cannot be used") as caught:
        ImageStore(tmp_path / "file" / "images").put(tiny_png(7))
    assert "MM4ST_HOME" in caught.value.hint
