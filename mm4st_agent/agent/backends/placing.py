"""Which places a question means, and an answer about each: find them, ask the tools, write."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import prompts
from mm4st_agent.agent.backends.request import Request
from mm4st_agent.agent.backends.turns import Result, Turn

Step = tuple[str, dict[str, Any]]
"""A tool call to make: name and arguments."""
Place = dict[str, Any]
"""A match of find_places, with a `label` and a `word` for what it is, such as 'air station'."""

MOST_PLACES = 4
"""So many places are answered at once; the answer says where more were named."""


def say(template: str, turn: Turn, **more: Any) -> str:
    """The sentence of `prompts/say_<template>.j2`."""
    return prompts.load(f"say_{template}").render(session=turn.session, question=turn.question, **more)


def wanted(turn: Turn, request: Request) -> list[str]:
    """What find_places is asked for: the places named, else those of the thread, else the only one there is."""
    if request.places and not (request.weak and _only_place(turn, request)):
        return list(request.places[:MOST_PLACES])
    return list(request.nodes[:MOST_PLACES]) or _only_place(turn, request)


def _only_place(turn: Turn, request: Request) -> list[str]:
    """The one node there is, or the one that measures the quantity that is named."""
    measured = turn.session.measured.get(request.channel or "") if request.sure else None
    if measured is not None:
        return measured.place_ids if measured.count == 1 else []
    return turn.session.place_ids if len(turn.session.place_ids) == 1 else []


def search(turn: Turn, query: str, request: Request) -> dict[str, Any]:
    """The arguments of find_places; words, not ids, are looked for only among the places that fit."""
    args: dict[str, Any] = {"dataset": turn.session.dataset, "query": query, "limit": 6}
    if query not in request.places or query in request.identified:
        return args
    if request.kind is not None:
        args["kind"] = request.kind
    if request.sure and request.channel in turn.session.measured:
        args["channel"] = request.channel
    return args


def channel_at(turn: Turn, request: Request, place: Place) -> str | None:
    """The channel to ask of a place: the one named, even if it is not measured there, else one that is."""
    fits = turn.session.measures(request.channel, place["kind"])
    return request.channel if fits or request.sure else None


def channel_everywhere(turn: Turn, request: Request) -> str | None:
    """The channel of a question about all places: the one named, else the first of the kind of place named."""
    measured = turn.session.measured
    if request.channel is None or (request.kind and not turn.session.measures(request.channel, request.kind)):
        return next((name for name, places in measured.items() if request.kind in places.kinds), request.channel)
    return request.channel


def _asked_for(turn: Turn, request: Request) -> dict[str, Any]:
    """What sort of place is wanted, and examples of it."""
    session, measured = turn.session, turn.session.measured.get(request.channel or "") if request.sure else None
    kinds = [request.kind] if request.kind else measured.kinds if measured else []
    examples = measured or next((p for p in session.measured.values() if request.kind in p.kinds), None)
    return {"word": " or ".join(kinds) or session.place_word, "places": examples.places if examples else session.places}


def find(turn: Turn, query: str, request: Request) -> Place | str | None:
    """The place that words mean, a sentence where they mean none or several, or None before find_places was asked."""
    found = turn.result("find_places", query=query)
    if found is None:
        return None
    if found.error is not None:
        return say("error", turn, error=found.error)
    best, matches = found.best_places, found.reply["matches"]
    if len(best) == 1:
        place = best[0]
        told = place["description"]
        label = place["id"] if told == place["id"] else f"{place['id']} ({told})"
        return {**place, "label": label, "word": turn.session.word(place["kind"])}
    narrowed = query not in request.identified
    wanted = _asked_for(turn, request if narrowed else replace(request, kind=None, sure=False))
    if best:
        return say("which_place", turn, matches=best, evidence=found.evidence, **wanted)
    if request.weak:
        return say("which_place", turn, matches=[], **wanted)
    beside = found.reply["beside"]
    return say("unknown_place", turn, query=query, matches=matches, beside=beside, evidence=found.evidence, **wanted)


@dataclass(frozen=True)
class Located:
    """The places that a question means, by id, and a sentence for each that could not be told."""

    places: dict[str, Place]
    faults: list[str]


def locate(turn: Turn, request: Request) -> Located | list[Step] | str:
    """The places, or the calls that find them first, or the sentence that asks which is meant."""
    queries = wanted(turn, request)
    if not queries:
        return say("which_place", turn, matches=[], **_asked_for(turn, request))
    found = [find(turn, query, request) for query in queries]
    if request.weak and request.nodes and isinstance(found[0], str):
        queries = list(request.nodes[:MOST_PLACES])
        found = [find(turn, query, request) for query in queries]
    missing: list[Step] = [
        ("find_places", search(turn, query, request))
        for query, place in zip(queries, found, strict=True)
        if place is None
    ]
    if missing:
        return missing
    return Located({p["id"]: p for p in found if isinstance(p, dict)}, [p for p in found if isinstance(p, str)])


def at_places(
    turn: Turn,
    request: Request,
    steps: Callable[[Place], list[Step]],
    write: Callable[[Place], str],
    write_short: Callable[[Place], str],
) -> list[Step] | str:
    """Find the places, make the calls about each, then write: in full about one, shortly about several."""
    located = locate(turn, request)
    if not isinstance(located, Located):
        return located
    places = located.places
    calls = [call for place in places.values() for call in steps(place) if turn.result(call[0], **call[1]) is None]
    if calls:
        return calls
    alone = len(places) + len(located.faults) == 1
    texts = [write(p) if alone else write_short(p) for p in places.values()] + located.faults
    if request.compare and len(places) > 1 and (said := _compared(turn, request, places)):
        texts.append(said)
    return with_remarks(turn, request, texts)


def with_remarks(turn: Turn, request: Request, texts: list[str]) -> str:
    """The texts, and what of the question they leave out."""
    if len(request.places) > MOST_PLACES:
        texts.append(say("too_many_places", turn))
    if request.unread:
        texts.append(say("unread", turn, what=request.unread))
    if request.span.compared:
        texts.append(say("not_compared", turn))
    return "\n\n".join(dict.fromkeys(texts))


def _compared(turn: Turn, request: Request, places: dict[str, Place]) -> str | None:
    """Which of the places has the highest and the lowest value; None where one has none, or another quantity."""
    tool = "forecast" if request.task == "forecast" else "query_series"
    if request.task not in ("forecast", "status", "comparison"):
        return None
    results = [result_of(turn, tool, node=node) for node in places]
    if any(result.error for result in results) or len({result.reply["channel"] for result in results}) > 1:
        return None
    key = "mean" if request.span.start is not None else "recent"
    values = [r.reply["total"]["median"] if tool == "forecast" else r.reply[key] for r in results]
    if None in values or len(set(values)) < len(values):
        return None
    order = [places[node] for _, node in sorted(zip(values, places, strict=True))]
    return say("compared", turn, title=results[0].reply["channel_title"], order=order, results=results)


def result_of(turn: Turn, tool: str, **args: Any) -> Result:
    """The result of a call that was made."""
    result = turn.result(tool, **args)
    assert result is not None, "written only after the call was made"
    return result
