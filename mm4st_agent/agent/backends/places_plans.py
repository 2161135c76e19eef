"""What the embedded chat model does where it is asked for places themselves: by their words, or by what lies beside."""

from __future__ import annotations

import re
from dataclasses import replace

import prompts
from mm4st_agent.agent.backends.placing import Step, find, say, search
from mm4st_agent.agent.backends.request import Request
from mm4st_agent.agent.backends.slots import content_words
from mm4st_agent.agent.backends.turns import Result, Turn

_BESIDE = re.compile(
    r"\b(?:nearest|closest|nearby|neighbou?r\w*|upstream|downstream|adjacent)\b|\bnext (?:to|along|up|down|after)\b"
    r"|\b(?:close|near) to\b|\b(?:comes?|lies?|is|what's) (?:just |right )?(?:after|before|beyond|around|beside"
    r"|next)\b",
    re.IGNORECASE,
)
"""Words that ask for what lies beside a place, not for the place itself."""
FEW = 3


def places(turn: Turn, request: Request, otherwise: str | None = None) -> list[Step] | str | None:
    """List the places that fit the words, or those beside the one place that is named or was spoken of.

    Args:
        turn: With the replies so far.
        request: Of the task 'places'.
        otherwise: What is looked for where the question holds no words for a place.

    Returns:
        Calls, or the text; None where there is nothing to look for.
    """
    beside = _beside(turn, request)
    if beside is not None:
        return beside
    words = " ".join(request.places) or content_words(request.question) or otherwise
    if not words:
        return None
    of_kind = {"kind": request.kind} if request.kind and not request.identified else {}
    args = {"dataset": turn.session.dataset, "query": words, "limit": 20, **of_kind}
    found = turn.result("find_places", **args)
    return [("find_places", args)] if found is None else _written(turn, words, found)


def _beside(turn: Turn, request: Request) -> list[Step] | str | None:
    """The calls or the text about what lies beside a place; None where none is meant, or not a single one fits."""
    origins = request.places[:1] or request.nodes[:1]
    if not origins or (request.direction is None and not _BESIDE.search(request.question)):
        return None
    any_kind = replace(request, kind=None, sure=False, task="places")
    origin = find(turn, origins[0], any_kind)
    if origin is None:
        return [("find_places", search(turn, origins[0], any_kind))]
    if not isinstance(origin, dict):
        return None
    way = None if request.direction == "near" else request.direction
    of_kind = {"kind": request.kind} if request.kind else {}
    args = {"dataset": turn.session.dataset, "beside": origin["id"], "direction": way, "limit": FEW, **of_kind}
    found = turn.result("find_places", **args)
    if found is None:
        return [("find_places", args)]
    if found.error is None and not found.reply["matches"]:
        return say("nothing_beside", turn, place=origin, direction=way)
    return _written(turn, origin["id"], replace(found, reply={**found.reply, "beside": None}))


def _written(turn: Turn, words: str, found: Result) -> str:
    if found.error is not None:
        return say("error", turn, error=found.error)
    return prompts.load("answer_places").render(session=turn.session, query=words, found=found)
