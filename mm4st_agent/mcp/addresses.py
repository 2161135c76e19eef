"""Addresses of what a host may read: `mm4st://<kind>/<path>`."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qs, quote, unquote, urlsplit

from mm4st_agent.errors import UsageError

SCHEME = "mm4st"
KINDS = ("dataset", "document", "manifest", "image", "reply")


@dataclass(frozen=True)
class Address:
    """What is named, and as of when.

    Attributes:
        kind: One of `KINDS`.
        path: The id within its kind, unquoted; an id may have slashes.
    """

    kind: str
    path: str
    as_of: str | None = None


def address(kind: str, path: str) -> str:
    """The text of an address.

    >>> address("document", "demo/log 7")
    'mm4st://document/demo/log%207'
    """
    assert kind in KINDS
    return f"{SCHEME}://{kind}/{quote(path)}"


def parsed(uri: str) -> Address:
    """Read an address.

    Raises:
        UsageError: it names nothing of ours.

    >>> parsed("mm4st://document/demo/log%207?as_of=2022-01-25T07:30")
    Address(kind='document', path='demo/log 7', as_of='2022-01-25T07:30')
    """
    try:
        parts = urlsplit(uri)
        path = unquote(parts.path.removeprefix("/"), errors="strict")
        options = parse_qs(parts.query, strict_parsing=bool(parts.query))
    except ValueError:
        parts, path, options = urlsplit(""), "", {}
    if parts.scheme != SCHEME or parts.netloc not in KINDS or not path or set(options) - {"as_of"}:
        raise UsageError(
            f"{uri[:200]!r} names nothing here.",
            f"Addresses look like {SCHEME}://KIND/ID, where KIND is one of {', '.join(KINDS)}.",
        )
    return Address(parts.netloc, path, options.get("as_of", [None])[0])
