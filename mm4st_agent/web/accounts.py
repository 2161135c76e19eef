"""Who may use the app: a text file with a line `name:scrypt hash` for each person."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import logging
import os
import re
import secrets
import tempfile
import threading
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from mm4st_agent.errors import DataError, UsageError
from mm4st_agent.settings import checked_user_name

log = logging.getLogger(__name__)

SHORTEST_PASSWORD = 8
LONGEST_PASSWORD = 1024

_HASH = re.compile(r"scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]+=*)\$([A-Za-z0-9+/]+=*)")


@dataclass(frozen=True, slots=True)
class PasswordHash:
    """A salted scrypt hash with what it was made with.

    The default cost is one of those that OWASP's password storage cheat sheet names: 32 MiB, a quarter of a second.

    Attributes:
        ln: log2 of scrypt's N.
    """

    salt: bytes
    key: bytes
    ln: int = 15
    r: int = 8
    p: int = 3

    @classmethod
    def of(cls, password: str) -> Self:
        """A fresh hash of a password."""
        salt = secrets.token_bytes(16)
        return cls(salt, cls(salt, b"\0" * 32)._derived(password))

    def matches(self, password: str) -> bool:
        """Whether it is this password; takes as long either way."""
        return hmac.compare_digest(self._derived(password), self.key)

    def _derived(self, password: str) -> bytes:
        return hashlib.scrypt(
            unicodedata.normalize("NFC", password).encode(),
            salt=self.salt,
            n=1 << self.ln,
            r=self.r,
            p=self.p,
            maxmem=129 * self.r * ((1 << self.ln) + self.p + 2),
            dklen=len(self.key),
        )

    def __str__(self) -> str:
        salt, key = (base64.b64encode(part).decode() for part in (self.salt, self.key))
        return f"scrypt$ln={self.ln},r={self.r},p={self.p}${salt}${key}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `str` wrote.

        Raises:
            ValueError: it is something else, too weak to protect a password, or too costly to check.
        """
        found = _HASH.fullmatch(text)
        if found is None:
            raise ValueError("is not a scrypt hash as `mm4st accounts add` writes it")
        ln, r, p = (int(part) for part in found.groups()[:3])
        try:
            salt, key = (base64.b64decode(part, validate=True) for part in found.groups()[3:])
        except binascii.Error as err:
            raise ValueError("has a salt or a hash that is not base64") from err
        if not (14 <= ln <= 18 and 1 <= r <= 16 and 1 <= p <= 16 and 16 <= len(salt) <= 64 and 32 <= len(key) <= 64):
            raise ValueError("has scrypt parameters that are too weak or too costly")
        return cls(salt, key, ln, r, p)


_NOBODY = PasswordHash(b"\0" * 16, b"\0" * 32)
"""Checked where there is no such name, so that a reply takes as long as for one that there is."""


class Accounts:
    """The file of accounts, read again whenever it has changed.

    Args:
        path: The file; it must exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: object = None
        self._people: Mapping[str, PasswordHash] = {}
        self._fault: DataError | None = None
        self._reading = threading.Lock()

    def people(self) -> Mapping[str, PasswordHash]:
        """Everyone, by name.

        Raises:
            DataError: the file cannot be read, or a line of it is malformed.
        """
        with self._reading:
            seen = self._signature()
            if seen != self._seen:
                self._seen, self._fault = seen, None
                try:
                    self._people = read_accounts(self.path)
                except DataError as err:
                    log.error("Nobody is let in: %s", err)
                    self._fault = err
            if self._fault is not None:
                raise self._fault
            return self._people

    def _signature(self) -> object:
        try:
            found = self.path.stat()
        except OSError as err:
            return err.errno
        return found.st_mtime_ns, found.st_size, found.st_ino

    def check(self, name: str, password: str) -> PasswordHash | None:
        """The hash that lets this person in; None where name or password is wrong, without telling which.

        Raises:
            DataError: as for `people`.
        """
        known = self.people().get(name)
        matches = (known or _NOBODY).matches(password[:LONGEST_PASSWORD])
        return known if matches else None


def read_accounts(path: Path) -> dict[str, PasswordHash]:
    """Everyone in a file of accounts.

    Raises:
        DataError: it cannot be read, or a line of it is malformed.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as err:
        reason = err.strerror if isinstance(err, OSError) else "it is not UTF-8 text"
        raise DataError(
            f"The accounts file {path} cannot be read: {reason}.", "Make one: mm4st accounts add FILE NAME."
        ) from err
    people: dict[str, PasswordHash] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        name, _, hashed = line.strip().partition(":")
        try:
            if checked_user_name(name) in people:
                raise ValueError("names a person that an earlier line names")
            people[name] = PasswordHash.parse(hashed)
        except (UsageError, ValueError) as err:
            reason = str(err) if isinstance(err, ValueError) else "does not start with a person's name and ':'"
            raise DataError(f"Line {number} of the accounts file {path} {reason}.", "Mend or remove the line.") from err
    return people


def write_accounts(path: Path, people: Mapping[str, PasswordHash]) -> None:
    """Write the file whole, readable by its owner alone: whoever reads it at the same time sees the old or the new.

    Raises:
        UsageError: it cannot be written.
    """
    path = path.resolve()  # a link stays one
    text = "".join(f"{name}:{people[name]}\n" for name in sorted(people))
    try:
        descriptor, fresh = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(fresh).replace(path)
        except BaseException:
            Path(fresh).unlink(missing_ok=True)
            raise
    except OSError as err:
        raise UsageError(f"The accounts file {path} cannot be written: {err.strerror}.", "Name another place.") from err


def checked_password(password: str) -> str:
    """The password, if it may be one.

    Raises:
        UsageError: it is too short or too long.
    """
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise UsageError(
            f"The password has {len(password)} characters.",
            f"It may have {SHORTEST_PASSWORD} to {LONGEST_PASSWORD}; a sentence is a good one.",
        )
    return password
