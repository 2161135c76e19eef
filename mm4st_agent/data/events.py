"""Events: something that happened at a place and time, in the words of its source."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from mm4st_agent.errors import DataError


@dataclasses.dataclass(frozen=True, slots=True)
class Event:
    """One entry of a log: an incident, a closure, a concert.

    Attributes:
        text: The log's own words.
        end: None while the event runs, or when its end is not known.
        kind: What sort of entry, such as 'incident', 'listing', 'weather warning'; '' where the source does not say.
        end_known: False where the source gives no end, so that nobody can say whether it still runs.
        published_at: When the log first showed it; nothing earlier may see it.
        node: The nearest node's id, or None when the place is unknown.
        place: The place in the log's own terms.
        distance: From the node, in the unit of `distance_unit`; None when unknown.
    """

    id: str
    text: str
    start: pd.Timestamp
    end: pd.Timestamp | None
    published_at: pd.Timestamp
    source: str
    node: str | None = None
    place: str = ""
    distance: float | None = None
    distance_unit: str = "mile"
    end_known: bool = True
    kind: str = ""

    def until(self, as_of: pd.Timestamp) -> Event | None:
        """The event as it was known at `as_of`: None if unpublished; no end if it had not ended."""
        if self.published_at > as_of:
            return None
        if self.end is not None and self.end > as_of:
            return dataclasses.replace(self, end=None)
        return self


def write_events(events: Iterable[Event], path: Path) -> None:
    """Write one JSON object a line."""
    with path.open("w", encoding="utf-8") as file:
        for event in events:
            row = dataclasses.asdict(event)
            for name in ("start", "end", "published_at"):
                row[name] = row[name].isoformat() if row[name] is not None else None
            file.write(json.dumps(row, allow_nan=False, ensure_ascii=False) + "\n")


def read_events(path: Path) -> tuple[Event, ...]:
    """Read what `write_events` wrote.

    Raises:
        DataError: a line is not such an object; the message names the line.
    """
    events = []
    # Not splitlines(): a text may hold U+2028 or U+0085, which would end a line there.
    for number, line in enumerate(path.read_text(encoding="utf-8").removesuffix("\n").split("\n"), start=1):
        if not line:
            continue
        try:
            row = json.loads(line)
            for name in ("start", "end", "published_at"):
                row[name] = pd.Timestamp(row[name]) if row[name] is not None else None
            if row["start"] is None or row["published_at"] is None:
                raise ValueError("start and published_at must be given")
            # Files from before `end_known` held no event that still ran.
            row.setdefault("end_known", row["end"] is not None)
            events.append(Event(**row))
        except (ValueError, TypeError, KeyError) as err:
            raise DataError(f"{path}, line {number}: not an event ({err}).") from err
    return tuple(events)
