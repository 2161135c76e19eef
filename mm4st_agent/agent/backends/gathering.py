"""The requests of one message taken together: one for each quantity, the same asked twice, places that are shared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mm4st_agent.agent.backends import channels
from mm4st_agent.agent.backends.request import Request
from mm4st_agent.agent.backends.tasks import CONTINUED
from mm4st_agent.agent.chat import Session

MOST_QUANTITIES = 3
"""So many quantities of one question are answered."""


def by_quantity(request: Request, session: Session) -> list[Request]:
    """The request once for each quantity that it names, where its task is about one at a time."""
    if request.unread != "quantities" or request.task not in ("forecast", "status"):
        return [request]
    names = channels.all_named(request.question, session.channels)[:MOST_QUANTITIES]
    each = [replace(request, channel=name, sure=True, unread=None, continued=n > 0) for n, name in enumerate(names)]
    return each or [request]


def joined(requests: Sequence[Request]) -> list[Request]:
    """The same with two questions about the quality of the same readings as one, of the time that one of them names."""
    kept: list[Request] = []
    for request in requests:
        last = kept[-1] if kept else None
        same = last is not None and last.task == request.task == "quality" and request.channel in (None, last.channel)
        if last is None or not same or (request.places and request.places != last.places):
            kept.append(request)
        elif last.span.start is None or request.span.start is None:
            span = last.span if last.span.start is not None else request.span
            kept[-1] = replace(last, span=span, question=f"{last.question} {request.question}")
        else:
            kept.append(request)
    return kept


def shared_places(requests: Sequence[Request]) -> list[Request]:
    """The requests of a message; one that names no place means that of the next one that does."""
    shared: list[Request] = []
    following: Request | None = None
    for request in reversed(requests):
        about = request.task in CONTINUED - {"map", "rank"}
        if about and not request.weak and request.places:
            following = request
        elif about and following is not None and not request.nodes and request.task != "events":
            request = replace(request, places=following.places, identified=following.identified, weak=False)
        shared.append(request)
    return shared[::-1]
