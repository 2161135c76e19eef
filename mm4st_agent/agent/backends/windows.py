"""The window of the past that a question is about, as the tools take it, and how long one may be."""

from __future__ import annotations

from typing import Any

from mm4st_agent.agent.backends.request import Request, clock_of
from mm4st_agent.agent.backends.turns import Turn

MOST_HOURS = 24 * 28
"""The longest window that query_series reads."""
MOST_MINUTES = 100_000
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


def ahead(turn: Turn, request: Request) -> dict[str, Any]:
    """`minutes`, and `start_in_minutes` where it is later than now, of the span ahead; the next hour where none is."""
    span, clock = request.span, clock_of(turn.session)
    start, end = span.ahead(clock) if span.side(clock) == "future" else (0, max(60, turn.session.step_s // 60))
    if span.is_moment:
        start = 0
    return {"minutes": max(1, end - start), **({"start_in_minutes": start} if start else {})}


def too_far(span: dict[str, Any]) -> bool:
    """Whether a span of `ahead` lies beyond what the tools read."""
    return bool(span["minutes"] + span.get("start_in_minutes", 0) > MOST_MINUTES)
