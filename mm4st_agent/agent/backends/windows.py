"""The window of the past that a question is about, as the tools take it, and how long one may be."""

from __future__ import annotations

from typing import Any

from mm4st_agent.agent.backends.request import Request, clock_of
from mm4st_agent.agent.backends.turns import Turn

MOST_HOURS = 24 * 28
"""The longest window that query_series reads."""
MOST_DRAWN_HOURS = 24 * 14
MOST_RANKED_HOURS = 24 * 7


def window(turn: Turn, request: Request, usual: float = 24) -> dict[str, Any]:
    """`hours` and `until` of the past window that is asked for; where none is, the `usual` hours up to now."""
    span, clock = request.span, clock_of(turn.session)
    if span.start is None or span.end is None or span.side(clock) == "future":
        return {"hours": usual}
    hours = max(1.0, turn.session.step_s / 3600) if span.is_moment else span.hours()
    hours = round(hours, 4)
    return {
        "hours": int(hours) if hours == int(hours) else hours,
        **({"until": span.end.isoformat(timespec="minutes")} if span.end < clock else {}),
    }
