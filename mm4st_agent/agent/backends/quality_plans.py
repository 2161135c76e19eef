"""What the embedded chat model does where it is asked how far the readings can be trusted."""

from __future__ import annotations

import re

import prompts
from mm4st_agent.agent.backends.placing import (
    Place,
    Step,
    at_places,
    channel_at,
    channel_everywhere,
    result_of,
    say,
    with_remarks,
)
from mm4st_agent.agent.backends.request import Request
from mm4st_agent.agent.backends.turns import Turn
from mm4st_agent.agent.backends.windows import MOST_HOURS, window

_FOCUS = {
    "stuck": re.compile(
        r"\b(?:stuck|frozen|froze|flat(?:lin\w+)?|stand\w* still|not (?:moving|changing))\b", re.IGNORECASE
    ),
    "implausible": re.compile(r"\b(?:implausible|impossible|outliers?|spikes?|wrong|weird|crazy)\b", re.IGNORECASE),
}
"""What the answer begins with, where the question is about one sort of fault."""
_REFERS = re.compile(
    r"\b(?:that|this|it|its|there|those|these|they|them|here)\b(?!\s+(?:is|are|was|were)\s+(?:any|no)\b)", re.IGNORECASE
)
_THERE_IS = re.compile(r"\b(?:is|are|was|were|have|has)\s+there\b|\bthere(?:'s| is| are| was| were)\b", re.IGNORECASE)
"""Speaks of no place: "are there gaps?"."""


def quality(turn: Turn, request: Request) -> list[Step] | str:
    """Tell gaps, filled-in values, standstills and implausible readings: of the places named, else of all."""
    span = window(turn, request)
    if span["hours"] > MOST_HOURS:
        return say("time", turn, problem="past_limit", words="")
    args = {"dataset": turn.session.dataset, **span}

    def steps(place: Place) -> list[Step]:
        return [("check_quality", {**args, "node": place["id"], "channel": channel_at(turn, request, place)})]

    def write(place: Place | None) -> str:
        found = result_of(turn, "check_quality", **({"node": place["id"]} if place else {}))
        if found.error is not None:
            return say("error", turn, error=found.error)
        focus = next((name for name, pattern in _FOCUS.items() if pattern.search(request.question)), None)
        return prompts.load("answer_quality").render(session=turn.session, place=place, found=found, focus=focus)

    if request.places or (request.nodes and request.direction is not None) or _spoken_of(turn, request):
        return at_places(turn, request, steps, write, write)
    if turn.result("check_quality") is None:
        return [("check_quality", {**args, "channel": channel_everywhere(turn, request)})]
    return with_remarks(turn, request, [write(None)])


def _spoken_of(turn: Turn, request: Request) -> bool:
    """Whether the place that the thread spoke of is meant: 'is that sensor stuck?', 'can I trust it?'."""
    return bool(request.nodes) and _REFERS.search(_THERE_IS.sub(" ", turn.question)) is not None
