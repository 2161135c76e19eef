"""Numbers inside a picture's own file, so that who draws it again for a screen draws the same."""

from __future__ import annotations

import io
import json
import struct
import zlib
from typing import Any

from PIL import Image

_KEY = "mm4st"
_HEADER = 8 + 25
"""Bytes of the signature and of the chunk that every PNG begins with."""


def with_numbers(png: bytes, numbers: dict[str, Any]) -> bytes:
    """The same picture with `numbers` (JSON values, no NaN) as a text of its file; no pixel changes."""
    text = json.dumps(numbers, allow_nan=False, separators=(",", ":"))
    body = b"tEXt" + _KEY.encode() + b"\0" + text.encode("ascii")
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return png[:_HEADER] + chunk + png[_HEADER:]


def numbers_in(png: bytes) -> dict[str, Any] | None:
    """What `with_numbers` put into a picture; None where it carries none.

    >>> file = io.BytesIO()
    >>> Image.new("RGB", (1, 1)).save(file, "PNG")
    >>> numbers_in(with_numbers(file.getvalue(), {"median": [27.5]}))
    {'median': [27.5]}
    >>> numbers_in(file.getvalue()) is None
    True
    """
    with Image.open(io.BytesIO(png)) as picture:
        text = picture.info.get(_KEY)
    numbers: dict[str, Any] | None = None if text is None else json.loads(text)
    return numbers
