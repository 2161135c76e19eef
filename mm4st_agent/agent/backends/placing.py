"""Which places a question means, and an answer about each: find them, ask the tools, write."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import prompts
from mm4st_agent.agent.backends.choices import chosen_among
from mm4st_agent.agent.backends.request import Request
from mm4st_agent.agent.backends.turns import Result, Turn
from mm4st_agent.agent.clarify import CLARIFY

Step = tuple[str, dict[str, Any]]
"""A tool call to make: name and arguments."""
Place = dict[str, Any]
"""A match of find_places, with a `label` and a `word` for what it is, such as 'air station'."""

MOST_PLACES = 4
"""So many places are answered at once; the answer says where more were named."""
MOST_CHOICES = 6
BOTH_WAYS = re.compile(
    r"\b(?:both|either|each|which)\s+(?:of the\s+)?(?:directions?|sides?|carriageways?)\b"
    r"|\b(?:both|either|each)\s+(?:of the\s+)?ways?\b",
    re.IGNORECASE,
)


def say(template: str, turn: Turn, **more: Any) -> str:
    """The sentence of `prompts/say_<template>.j2`."""
    return prompts.load(f"say_{template}").render(session=turn.session, question=turn.question, **more)


def wanted(turn: Turn, request: Request) -> list[str]:
    """What find_places is asked for.

    The places named, else those of the thread, else the only one there is, else what the person said when asked.
    """
    guessed = request.weak or request.task == "events"
    if request.places and not (guessed and (_only_place(turn, request) or _is_no_place(turn, request))):
        return list(request.places[:MOST_PLACES])
    return list(request.nodes[:MOST_PLACES]) or _only_place(turn, request) or _told(turn, request)


def _is_no_place(turn: Turn, request: Request) -> bool:
    """Whether words that were only guessed to name a place turned out to name none; for events, no single one."""
    found = turn.result("find_places", query=request.places[0])
    if found is None:
        return False
    if request.task == "events" and len(found.best_places) > 1:
        return True  # a whole road
    return (request.weak or not request.identified) and (found.error is not None or not found.best_places)


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
    if request.channel is None or (
        request.kind and not request.sure and not turn.session.measures(request.channel, request.kind)
    ):
        return next((name for name, places in measured.items() if request.kind in places.kinds), request.channel)
    return request.channel


def _asked_for(turn: Turn, request: Request) -> dict[str, Any]:
    """What sort of place is wanted, and examples of it."""
    session, measured = turn.session, turn.session.measured.get(request.channel or "") if request.sure else None
    kinds = [request.kind] if request.kind else measured.kinds if measured else []
    examples = measured or next((p for p in session.measured.values() if request.kind in p.kinds), None)
    return {"word": " or ".join(kinds) or session.place_word, "places": examples.places if examples else session.places}


def find(turn: Turn, query: str, request: Request) -> Place | list[Step] | str | None:
    """The place that words mean.

    Returns:
        The place; or what the person is asked where the words mean several equally well; or a sentence where they
        mean none; or None before find_places was asked.
    """
    found = turn.result("find_places", query=query)
    if found is None:
        return None
    if found.error is not None:
        return say("error", turn, error=found.error)
    best, matches = found.best_places, found.reply["matches"]
    if len(best) == 1:
        return _labelled(turn, best[0])
    narrowed = query not in request.identified
    wanted = _asked_for(turn, request if narrowed else replace(request, kind=None, sure=False))
    if best:
        return _which_of(turn, query, request, best)
    if request.weak:
        return say("which_place", turn, matches=[], **wanted)
    beside = found.reply["beside"]
    if beside is None and len(matches) > 1 and found.reply["unknown_ids"] and len(request.places) == 1:
        return _which_of(turn, query, request, matches, known=False)  # a slip of the hand: the ids nearest to it
    return say("unknown_place", turn, query=query, matches=matches, beside=beside, evidence=found.evidence, **wanted)


def _labelled(turn: Turn, place: Place) -> Place:
    told = place["description"]
    label = place["id"] if told == place["id"] else f"{place['id']} ({told})"
    return {**place, "label": label, "word": turn.session.word(place["kind"])}


def _which_of(
    turn: Turn, query: str, request: Request, best: list[Place], *, known: bool = True
) -> Place | list[Step] | str | None:
    """The one of several places that the person says is meant, or the call that asks for it."""
    places = [_labelled(turn, place) for place in best[:MOST_CHOICES]]
    word = turn.session.place_word
    question = f'Which {word} do you mean by "{query}"?'
    if not known:
        question = f'There is no {word} called "{query}". Which of these do you mean?'
    asked = ask(question, [place["label"] for place in places])
    answer = turn.result(asked[0], **asked[1])
    if answer is None:
        return [asked]
    if answer.error is not None:
        return say("error", turn, error=answer.error)
    words = answer.reply["answer"]
    chosen = chosen_among(words, places)
    if chosen is not None:
        return chosen
    if turn.result("find_places", query=words) is None:
        return [("find_places", search(turn, words, request))]
    return find(turn, words, request)


def ask(question: str, choices: list[str]) -> Step:
    """The call by which the person is asked what is meant."""
    return CLARIFY, {"question": question, "choices": choices}


@dataclass(frozen=True)
class Located:
    """The places that a question means, by id, and a sentence for each that could not be told."""

    places: dict[str, Place]
    faults: list[str]


def locate(turn: Turn, request: Request) -> Located | list[Step] | str:
    """The places, or the calls that find them first, one of which may ask the person which is meant."""
    queries = wanted(turn, request)
    if not queries:
        return _which_at_all(turn, request)
    told = placed(turn, request, queries)
    if isinstance(told, Located) and request.direction is not None and told.places:
        return _beside(turn, request, told)
    return told


def placed(turn: Turn, request: Request, queries: Sequence[str]) -> Located | list[Step]:
    """The places that these words mean, or the calls that find them or ask for them."""
    found = {query: find(turn, query, request) for query in queries}
    places = [place for place in found.values() if isinstance(place, dict)]
    if BOTH_WAYS.search(request.question):
        for query in [query for query, place in found.items() if isinstance(place, list)]:
            places += _each_way(turn, query)
            found = {q: place for q, place in found.items() if q != query or not places}
    missing: list[Step] = []
    for query, place in found.items():
        if place is None:
            missing.append(("find_places", search(turn, query, request)))
        elif isinstance(place, list):
            missing += place
    if missing:
        return missing
    return Located({p["id"]: p for p in places}, [p for p in found.values() if isinstance(p, str)])


def _each_way(turn: Turn, query: str) -> list[Place]:
    """The places that words mean equally well."""
    found = turn.result("find_places", query=query)
    return [] if found is None else [_labelled(turn, place) for place in found.best_places[:MOST_PLACES]]


def _beside(turn: Turn, request: Request, told: Located) -> Located | list[Step]:
    """The next place in the direction that is named, seen from each of those found; of the same kind."""
    direction = None if request.direction == "near" else request.direction
    places, faults, missing = {}, list(told.faults), []
    for node, origin in told.places.items():
        args: dict[str, Any] = {"dataset": turn.session.dataset, "beside": node, "direction": direction, "limit": 3}
        found = turn.result("find_places", **args)
        if found is None:
            missing.append(("find_places", args))
        elif found.error is not None:
            faults.append(say("error", turn, error=found.error))
        elif found.reply["matches"]:
            place = _labelled(turn, found.reply["matches"][0])
            places[place["id"]] = place
        else:
            faults.append(say("nothing_beside", turn, place=origin, direction=direction))
    return missing or Located(places, faults)


def _which_at_all(turn: Turn, request: Request) -> list[Step] | str:
    """What the person is asked where no place is named; a sentence where there is too little to choose from."""
    about = _asked_for(turn, request)
    asked = _question_at_all(turn, request)
    if asked is None:
        return say("which_place", turn, matches=[], **about)
    answer = turn.result(asked[0], **asked[1])
    return [asked] if answer is None or answer.error is None else say("error", turn, error=answer.error)


def _question_at_all(turn: Turn, request: Request) -> Step | None:
    about = _asked_for(turn, request)
    choices = about["places"][:MOST_CHOICES]
    return ask(f"Which {about['word']} do you mean?", choices) if len(choices) > 1 else None


def _told(turn: Turn, request: Request) -> list[str]:
    """The place that the person named when asked for one: the id of a choice, or words that are looked for."""
    asked = _question_at_all(turn, request)
    answer = None if asked is None else turn.result(asked[0], **asked[1])
    if answer is None or answer.error is not None:
        return []
    words = str(answer.reply["answer"])
    return [words.partition(" (")[0] if words in answer.args["choices"] else words]


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
    alone = len(places) + len(located.faults) == 1 and len(wanted(turn, request)) == 1  # else less was asked of it
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
