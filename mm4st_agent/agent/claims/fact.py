"""One number of the ledger: its role, place, quantity and time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

INDEX = re.compile(r"\[(\d+)\]")


@dataclass(frozen=True)
class Fact:
    """One number of the ledger, or the difference or ratio of two.

    Attributes:
        entry: Id of its entry.
        path: In the reply, such as `steps[0].median`.
        role: What it is, mostly the last name of its path; `low`, `high`, `median`, ... mean the same everywhere.
        places: Ids that it is about; empty where it is about no place.
        channel: Name of the quantity; "" where there is none or several.
        start: Where the time that it is about begins; None where it is about none.
        end: Where that ends; the same as `start` for a moment.
        label: Words that its object is known by, such as a driver's.
        coming: Whether it is about a time after the clock.
        ahead: Minutes ahead that it is about, of a measured error.
        extreme: 1 where it is the highest of its kind, -1 where the lowest, 0 where neither.
        signed: Whether its sign says more or less.
        of: Roles of the two that it was computed from.
    """

    entry: str
    path: str
    role: str
    value: float
    unit: str
    places: frozenset[str] = frozenset()
    channel: str = ""
    start: datetime | None = None
    end: datetime | None = None
    label: str = ""
    coming: bool = False
    ahead: float | None = None
    extreme: int = 0
    signed: bool = False
    of: tuple[str, str] = ("", "")

    @property
    def group(self) -> str:
        """Its object without an index, such as `steps`."""
        return INDEX.sub("", self.path.rpartition(".")[0])

    @property
    def moment(self) -> datetime | None:
        """When, where it is about one moment."""
        return self.start if self.start == self.end else None
