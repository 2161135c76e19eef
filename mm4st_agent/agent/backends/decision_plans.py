"""What the embedded chat model does where something is to be decided: a way, a number of replicas, a warning."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import prompts
from mm4st_agent.agent.backends import decisions
from mm4st_agent.agent.backends.contrasts import coming_span
from mm4st_agent.agent.backends.placing import Place, Step, ask, at_places, find, locate, result_of, say, search
from mm4st_agent.agent.backends.request import Request, clock_of
from mm4st_agent.agent.backends.spans import minutes_from
from mm4st_agent.agent.backends.turns import Turn
from mm4st_agent.agent.backends.windows import ahead, too_far

RAIN_MINUTES = 360
"""So long a span is looked at where none is named."""
_SPEEDS = frozenset({"km/h", "mph"})
_REQUESTS = re.compile(r"requests/")
_PERCENTILE = re.compile(r"p\d\d", re.IGNORECASE)
_LATENCIES = ("below 200 ms", "below 500 ms", "below 1 s")
_HOW_MANY = re.compile(r"\b(?P<n>[3-5]|three|four|five)\s+(?:\w+\s+)?(?:ways|routes|paths|options|alternatives)\b")
_COUNTS = {"three": 3, "four": 4, "five": 5}
_NO_PLACE = "and none is named"
_MOST_CHOICES = 6


def route(turn: Turn, request: Request) -> list[Step] | str:
    """Compare the ways between two places at the departure time that is named."""
    speed = next((c["name"] for c in turn.session.channels if c["unit"] in _SPEEDS), None)
    asked = replace(request, channel=speed, sure=speed is not None, kind=None, compare=False)
    words = decisions.ends(request.question, request.places) if request.places else (None, None)
    if None in words and len(request.nodes) > 1 and not request.places:
        words = request.nodes[0], request.nodes[1]
    ends: list[Place] = []
    missing: list[Step] = []
    for word, verb in zip(words, ("begin", "end"), strict=True):
        found = _end(turn, asked, word, verb)
        if isinstance(found, str):
            return found
        if isinstance(found, list):
            missing += found
        else:
            ends.append(found)
    if missing:
        questions = [step for step in missing if "choices" in step[1]]
        return questions[:1] or missing
    args = {
        "dataset": turn.session.dataset,
        "origin": ends[0]["id"],
        "destination": ends[1]["id"],
        **_departure(turn, request),
    }
    if number := _HOW_MANY.search(request.question):
        args["routes"] = _COUNTS.get(number["n"]) or int(number["n"])
    return _answered(turn, "plan_route", args, "route")


def _end(turn: Turn, request: Request, words: str | None, verb: str) -> Place | list[Step] | str:
    """One end of the trip, or the call that finds it or asks for it."""
    if words is None:
        measured = turn.session.measured.get(request.channel or "")
        choices = (measured.places if measured else turn.session.places)[:_MOST_CHOICES]
        asked = ask(f"Where does the trip {verb}?", choices)
        answer = turn.result(asked[0], **asked[1])
        if answer is None:
            return [asked]
        if answer.error is not None:
            return say("error", turn, error=answer.error)
        said = str(answer.reply["answer"])
        words = said.partition(" (")[0] if said in choices else said
    found = find(turn, words, request)
    return [("find_places", search(turn, words, request))] if found is None else found


def _departure(turn: Turn, request: Request) -> dict[str, int]:
    """When the trip begins, where it is later than now: the moment that is named, or the beginning of a span."""
    span, clock = request.span, clock_of(turn.session)
    if span.side(clock) != "future":
        return {}
    start, end = span.ahead(clock)
    at = end if span.is_moment else start
    return {"start_in_minutes": at} if at else {}


def capacity(turn: Turn, request: Request) -> list[Step] | str:
    """Plan the replicas of the service that is named, or of the only one."""
    loads = [c for c in turn.session.channels if _REQUESTS.match(c["unit"])]
    if not loads:
        return say("unmeasured", turn, quantity="load of a service", beside=None)
    places = tuple(words for words in request.places if not _PERCENTILE.fullmatch(words))
    request = replace(request, channel=loads[0]["name"], sure=True, compare=False, unread=None, places=places)
    plain = decisions.without_latencies(request.question)
    if plain != request.question:
        request = replace(request, span=coming_span(plain, clock_of(turn.session)))
    own = turn.session.measured.get(loads[0]["name"])
    if not request.places and own is not None and own.count == 1:
        request = replace(request, places=(own.place_ids[0],), identified=frozenset(own.place_ids))
    span = ahead(turn, request)
    if too_far(span):
        return say("time", turn, problem="far", words="")
    target = decisions.latency_ms(request.question)
    if target is None:
        asked = ask("Which latency should it stay below?", list(_LATENCIES))
        answer = turn.result(asked[0], **asked[1])
        if answer is None:
            return [asked]
        target = None if answer.error is not None else decisions.latency_ms(str(answer.reply["answer"]))
        if target is None:
            return say("which_latency", turn)
    options = {
        "statistic": decisions.statistic(request.question),
        "service_ms": decisions.service_ms(request.question),
        "quantile": decisions.planned_quantile(request.question),
    }
    args = {"latency_ms": target, **{name: value for name, value in options.items() if value is not None}, **span}

    def steps(place: Place) -> list[Step]:
        return [("plan_capacity", {"dataset": turn.session.dataset, "node": place["id"], **args})]

    def write(place: Place) -> str:
        found = result_of(turn, "plan_capacity", node=place["id"])
        if found.error is not None:
            return say("error", turn, error=found.error)
        return prompts.load("answer_capacity").render(session=turn.session, found=found)

    return at_places(turn, request, steps, write, write)


def hazard(turn: Turn, request: Request) -> list[Step] | str:
    """Weigh a warning of rain over the time that is named."""
    options = {
        "threshold_mm": decisions.rain_mm(request.question),
        "level": decisions.warning_level(request.question),
        "cost_loss": decisions.cost_loss(request.question),
    }
    args: dict[str, Any] = {
        "dataset": turn.session.dataset,
        **_rain_span(turn, request),
        **{name: value for name, value in options.items() if value is not None},
    }
    title = turn.session.title.casefold()
    if request.places and not request.weak and request.places[0].casefold() not in title:
        return _hazard_at(turn, request, args)
    found = turn.result("assess_hazard", **args)
    if found is not None and found.error is not None and _NO_PLACE in found.error["message"]:
        return _hazard_at(turn, replace(request, weak=False), args)
    return _answered(turn, "assess_hazard", args, "hazard")


def _hazard_at(turn: Turn, request: Request, args: dict[str, Any]) -> list[Step] | str:
    request = replace(request, channel=None, sure=False, compare=False, unread=None)
    located = locate(turn, request)
    if isinstance(located, list | str):
        return located

    def steps(place: Place) -> list[Step]:
        return [("assess_hazard", {**args, "node": place["id"]})]

    def write(place: Place) -> str:
        found = result_of(turn, "assess_hazard", node=place["id"])
        if found.error is not None:
            return say("error", turn, error=found.error)
        return prompts.load("answer_hazard").render(session=turn.session, found=found)

    return at_places(turn, request, steps, write, write)


def _rain_span(turn: Turn, request: Request) -> dict[str, int]:
    """The span ahead; of one that has begun, such as today, all of it; `RAIN_MINUTES` where none is named."""
    span, clock = request.span, clock_of(turn.session)
    if span.start is None or span.end is None:
        return {"minutes": RAIN_MINUTES}
    if span.side(clock) == "future":
        start, end = span.ahead(clock)
        if span.is_moment:
            return {"minutes": max(1, end)}
        return {"minutes": max(1, end - start), **({"start_in_minutes": start} if start else {})}
    coming = coming_span(request.question, clock)
    if span.start.date() != clock.date() or coming.end is None or minutes_from(coming.end, clock) <= 0:
        return {"minutes": RAIN_MINUTES}
    begin = clock if span.is_moment else span.start
    begun = round(minutes_from(begin, clock))
    return {"minutes": round(minutes_from(coming.end, begin)), **({"start_in_minutes": begun} if begun else {})}


def _answered(turn: Turn, tool: str, args: dict[str, Any], template: str) -> list[Step] | str:
    found = turn.result(tool, **args)
    if found is None:
        return [(tool, args)]
    if found.error is not None:
        return say("error", turn, error=found.error)
    return prompts.load(f"answer_{template}").render(session=turn.session, found=found)
