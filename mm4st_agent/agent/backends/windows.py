"""The window of the past that a question is about, as the tools take it, and how long one may be."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
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


def moment_ahead(turn: Turn, request: Request) -> dict[str, Any]:
    """As `ahead`, but of a moment only the quarter of an hour, or the step, up to it: not all the time until then."""
    span = ahead(turn, request)
    if not request.span.is_moment or request.span.side(clock_of(turn.session)) != "future":
        return span
    size = max(15, turn.session.step_s // 60)
    start = max(0, span["minutes"] - size)
    return {"minutes": span["minutes"] - start, **({"start_in_minutes": start} if start else {})}


def week_before(turn: Turn, span: dict[str, Any]) -> dict[str, Any]:
    """`hours` and `until` of the same time of the week as a span of `ahead`, in the latest week that is over."""
    clock, start = clock_of(turn.session), span.get("start_in_minutes", 0)
    end = _later(clock, start + span["minutes"])
    while end > clock:
        end -= timedelta(days=7)  # in the clock's own zone: the same time of day, also where the clocks changed
    hours = min(round(span["minutes"] / 60, 4), MOST_HOURS)
    return {"hours": int(hours) if hours == int(hours) else hours, "until": end.isoformat(timespec="minutes")}


def _later(moment: datetime, minutes: int) -> datetime:
    return (moment.astimezone(UTC) + timedelta(minutes=minutes)).astimezone(moment.tzinfo)


def too_far(span: dict[str, Any]) -> bool:
    """Whether a span of `ahead` lies beyond what the tools read."""
    return bool(span["minutes"] + span.get("start_in_minutes", 0) > MOST_MINUTES)
