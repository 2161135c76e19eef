"""Keeping replies small: long ones are cut, pictures scaled; the whole is there for who asks for it."""

from __future__ import annotations

import copy
import hashlib
import io
import json
import threading
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

from mm4st_agent.errors import UsageError
from mm4st_agent.toolspec import Json

MOST_BYTES = 256_000
"""Of one reply on the wire. What a host asks for by its address comes whole."""

_REPLY_BYTES = 200_000
"""Of the reply's numbers and texts, which go twice: as an object, and as text for hosts that read only that."""
_SPARE_BYTES = 8_000
"""For titles, links and the envelope."""
_SHORTEST_LIST, _SHORTEST_TEXT = 8, 1000
"""What is not longer is not cut."""
_LONGEST_ERROR = 4000
_LEAST_PIXELS = 160
"""A picture whose longer side would come below this is only linked."""
_KEPT_BYTES = 32_000_000


class WholeReplies:
    """The replies that had to be cut, the latest 32 MB of them, by the hash of their text; threads may share it."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, str] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, text: str) -> str:
        """Keep one and give its id."""
        name = hashlib.sha256(text.encode()).hexdigest()[:32]
        with self._lock:
            self._kept[name] = text
            self._kept.move_to_end(name)
            while len(self._kept) > 1 and sum(map(len, self._kept.values())) > _KEPT_BYTES:
                self._kept.popitem(last=False)
        return name

    def get(self, name: str) -> str:
        """The text of one.

        Raises:
            UsageError: it is not kept, or not any more.
        """
        with self._lock:
            if name not in self._kept:
                raise UsageError(f"There is no reply {name!r} any more.", "Call the tool again, or ask it for less.")
            return self._kept[name]


def told(error: Exception) -> str:
    """The sentence of an error. One that repeats a long value loses its middle; what would work stands at its end."""
    text = str(error)
    half = _LONGEST_ERROR // 2
    return text if len(text) <= _LONGEST_ERROR else f"{text[:half]} [...] {text[-half:]}"


def as_text(reply: Json) -> str:
    """A reply as JSON, in as few bytes as that takes."""
    return json.dumps(reply, allow_nan=False, ensure_ascii=False, separators=(",", ":"))


def fitted(reply: Json) -> tuple[Json, list[str]]:
    """Cut the longest lists and texts of a reply until it is small enough.

    Lists lose their later half, so that the reply still has the form that the tool declares.

    Returns:
        The reply, itself where nothing is cut, and for each cut a few words on what is left.

    Raises:
        UsageError: there is nothing left to cut.
    """
    if _weight(reply) <= _REPLY_BYTES:
        return reply, []
    cut: Json = copy.deepcopy(reply)
    had: dict[str, int] = {}
    now: dict[str, int] = {}
    while _weight(cut) > _REPLY_BYTES:
        found = max(_cuttable(cut, ""), key=lambda item: item[0], default=None)
        if found is None:
            raise UsageError("The reply is too long to be sent.", "Ask for less: a shorter time, fewer places.")
        _, path, holder, key = found
        value = holder[key]
        had.setdefault(path, len(value))
        holder[key] = value[: len(value) // 2]
        now[path] = len(holder[key])
    return cut, [f"{path}: the first {now[path]:,} of {had[path]:,}" for path in now]


def _weight(reply: Json) -> int:
    """Bytes on the wire, where a reply goes as an object and as text, whose quotation marks are escaped."""
    text = as_text(reply)
    return len(text.encode()) + len(json.dumps(text, ensure_ascii=False).encode())


def _cuttable(value: Any, path: str) -> Iterator[tuple[int, str, Any, Any]]:
    """What can be cut: its length as JSON, its path, and where it hangs."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        name = f"{path}[{key}]" if isinstance(value, list) else f"{path}.{key}".lstrip(".")
        long_list = isinstance(item, list) and len(item) > _SHORTEST_LIST
        if long_list or (isinstance(item, str) and len(item) > _SHORTEST_TEXT):
            yield len(as_text({"": item})), name, value, key
        if not long_list:  # a long list is cut as a whole before anything in it is
            yield from _cuttable(item, name)


def small_picture(png: bytes, most_base64: int) -> bytes | None:
    """The picture, scaled down where its base64 text would be longer; None where nothing could be seen in it then."""
    from PIL import Image

    small, most = png, most_base64 // 4 * 3
    if len(small) <= most:
        return small
    with Image.open(io.BytesIO(png)) as opened:
        whole = opened.convert("RGB")
    width, height = whole.size
    scale = 1.0
    while len(small) > most:
        scale *= min(0.9, (most / len(small)) ** 0.5)
        size = round(width * scale), round(height * scale)
        if max(size) < _LEAST_PIXELS:
            return None
        buffer = io.BytesIO()
        whole.resize(size, Image.Resampling.LANCZOS).save(buffer, "PNG", optimize=True)
        small = buffer.getvalue()
    return small


def picture_room(used: int, pictures: int) -> int:
    """Characters of base64 that each of several pictures may take beside `used` bytes of reply."""
    return max(MOST_BYTES - _SPARE_BYTES - used, 0) // max(pictures, 1)
