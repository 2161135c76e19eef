"""Where pictures live: PNG files named by the sha256 of their bytes."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from pathlib import Path

from mm4st_agent.errors import UsageError
from mm4st_agent.settings import unusable

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_END = b"IEND\xaeB`\x82"
_ID = re.compile(r"[0-9a-f]{64}", re.ASCII)


class ImageStore:
    """Content-addressed PNGs in one folder, which is made on the first `put`.

    Several processes may share the folder: a file appears under its name only when it is whole.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, png: bytes) -> str:
        """Keep a picture and give its id, the sha256 of its bytes; the same picture is kept once.

        Raises:
            UsageError: the bytes are not a whole PNG, or the folder cannot be made or written.
        """
        if not (png.startswith(_SIGNATURE) and png.endswith(_END)):
            raise UsageError(
                f"These {len(png)} bytes are not a whole PNG (they start with {bytes(png[:8])!r}).",
                "Save the picture as PNG first.",
            )
        image_id = hashlib.sha256(png).hexdigest()
        path = self._file(image_id)
        if path.is_file():
            return image_id
        try:
            self._write(path, png)
        except OSError as err:
            raise unusable(self.folder, err) from err
        return image_id

    def get(self, image_id: str) -> bytes:
        """The bytes of a picture.

        Raises:
            UsageError: the id is malformed, or nothing is kept under it.
        """
        return self.path(image_id).read_bytes()

    def path(self, image_id: str) -> Path:
        """The file of a picture.

        Raises:
            UsageError: the id is malformed, or nothing is kept under it.
        """
        if not _ID.fullmatch(image_id):
            raise UsageError(f"{image_id!r} is not a picture's id.", "An id has 64 hexadecimal digits, 0-9 and a-f.")
        path = self._file(image_id)
        if not path.is_file():
            raise UsageError(f"There is no picture {image_id}.", "Draw it again; a reply names the id of its picture.")
        return path

    def _file(self, image_id: str) -> Path:
        return self.folder / f"{image_id}.png"

    def _write(self, path: Path, png: bytes) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=self.folder, prefix=".", suffix=".tmp")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(png)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
