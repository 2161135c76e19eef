"""What the embedded chat model does where a picture, a pattern or a comparison of what was measured is wanted."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import prompts
from mm4st_agent.agent.backends.looks import EVERYWHERE, Aspect
from mm4st_agent.agent.backends.placing import (
    Located,
    Place,
    Step,
    at_places,
    channel_at,
    channel_everywhere,
    find,
    locate,
    result_of,
    say,
    search,
    with_remarks,
)
from mm4st_agent.agent.backends.request import Request, clock_of
from mm4st_agent.agent.backends.times import tense_of
from mm4st_agent.agent.backends.turns import Result, Turn
from mm4st_agent.agent.backends.windows import MOST_DRAWN_HOURS, MOST_RANKED_HOURS, window

WEEK_HOURS = 168
"""So much is looked at where no time is named, so that days repeat."""
FEWEST_HOURS, FEWEST_STEPS = 72, 120
"""Patterns are read off no fewer: three days show a daily cycle. Where less is named, a week is looked at, and what was
asked about is picked from it."""
MOST_MEASURED_HOURS = 24 * 366
_THERE = re.compile(r"\b(?:it|there|them|this|that)\b", re.IGNORECASE)
ALL_ASPECTS: tuple[Aspect, ...] = ("periods", "trend", "changes", "regimes", "anomalies", "volatility", "noise")


def map_of(turn: Turn, request: Request) -> list[Step] | str:
    """Draw all places on a map, and name its extremes; a place that is named gets a ring."""
    span = window(turn, request)
    if span["hours"] > MOST_RANKED_HOURS:
        return say("time", turn, problem="map_limit", words="")
    place = None
    meant = request.places or (request.nodes if _THERE.search(request.question) else ())
    if meant and meant[0].casefold() not in turn.session.title.casefold():
        named = find(turn, meant[0], request)
        if named is None:
            return [("find_places", search(turn, meant[0], request))]
        if not isinstance(named, dict):
            return named
        place = named
    ahead = request.span.side(clock_of(turn.session)) == "future" or tense_of(request.question) == "future"
    measured = request.span.start is not None and not ahead
    minutes = (
        request.span.ahead(clock_of(turn.session))[1] if request.span.side(clock_of(turn.session)) == "future" else 0
    )
    args: dict[str, Any] = {
        "dataset": turn.session.dataset,
        "channel": channel_everywhere(turn, request),
        "show": "forecast_change" if ahead else "change" if request.look.change else "level",
        **({"minutes": max(1, round(60 * span["hours"]))} if measured else {"minutes": minutes} if minutes else {}),
        **({"until": span["until"]} if "until" in span else {}),
        **({"highlight": place["id"]} if place else {}),
    }
    drawn = turn.result("render_map", **args)
    if drawn is None:
        return [("render_map", args)]
    if drawn.error is not None:
        return say("error", turn, error=drawn.error)
    return prompts.load("answer_map").render(
        session=turn.session,
        drawn=drawn,
        place=place,
        show=args["show"],
        title=_title(turn, drawn.reply["channel"]),
    )


def picture(turn: Turn, request: Request) -> list[Step] | str:
    """Draw a place, or all of them, in the way that is named, or as the tool sees fit."""
    method = request.look.method
    assert method is not None, "a picture was asked for"
    span = window(turn, request, usual=24 if method in ("heatmap", "multiples", "line") else WEEK_HOURS)
    if span["hours"] > MOST_DRAWN_HOURS:
        return say("time", turn, problem="drawing_limit", words="")
    args = {"dataset": turn.session.dataset, "method": method, **span}

    def write(place: Place | None) -> str:
        drawn = result_of(turn, "render_series", method=method, **({"node": place["id"]} if place else {}))
        if drawn.error is not None:
            return say("error", turn, error=drawn.error)
        series = turn.result("query_series", node=place["id"]) if place else None
        return prompts.load("answer_picture").render(
            session=turn.session, drawn=drawn, place=place, series=series, asked=method
        )

    if method in EVERYWHERE and not request.places:
        everywhere = {**args, "channel": channel_everywhere(turn, request)}
        return [("render_series", everywhere)] if turn.result("render_series", method=method) is None else write(None)

    def steps(place: Place) -> list[Step]:
        about = {"dataset": turn.session.dataset, "node": place["id"], "channel": channel_at(turn, request, place)}
        calls: list[Step] = [("render_series", {**args, **about})]
        if method not in ("heatmap", "multiples"):
            calls.append(("query_series", {**about, **span}))
        return calls

    return at_places(turn, request, steps, write, write)


def patterns(turn: Turn, request: Request) -> list[Step] | str:
    """Measure what a series does, and say what was asked of it; of two places, how they move together."""
    aspects = request.look.aspects
    related = "relation" in aspects
    steps_hours = FEWEST_STEPS * turn.session.step_s // 3600
    span = window(turn, request, usual=WEEK_HOURS)
    least = max(WEEK_HOURS if span["hours"] < FEWEST_HOURS else FEWEST_HOURS, steps_hours)
    if span["hours"] > MOST_MEASURED_HOURS:
        return say("time", turn, problem="pattern_limit", words="")
    asked_for_less, span["hours"] = span["hours"] < least, max(span["hours"], least)
    located = locate(turn, request)
    if not isinstance(located, Located):
        return located
    places = list(located.places.values())
    if related and len(places) != 2:
        return "\n\n".join(located.faults) or say("two_places", turn)

    def steps(place: Place) -> list[Step]:
        args = {"dataset": turn.session.dataset, "node": place["id"], "channel": channel_at(turn, request, place)}
        other = {"other": places[1]["id"]} if related else {}
        return [("detect_patterns", {**args, **other, **span})] if not related or place is places[0] else []

    def write(place: Place) -> str:
        found = turn.result("detect_patterns", node=place["id"])
        if found is None:
            return ""  # the second of a pair
        if found.error is not None:
            return say("error", turn, error=found.error)
        named: list[Aspect] = [aspect for aspect in aspects if aspect != "overall"] or [
            aspect for aspect in ALL_ASPECTS if aspect != "regimes" or found.reply["regimes"]
        ]
        return prompts.load("answer_patterns").render(
            session=turn.session,
            place=place,
            other=places[1] if related else None,
            found=found,
            title=_title(turn, found.reply["channel"]),
            asked=named,
            named=_times_within(request, found) if asked_for_less else None,
        )

    calls = [call for place in places for call in steps(place) if turn.result(call[0], **call[1]) is None]
    if calls:
        return calls
    return with_remarks(turn, request, [text for place in places if (text := write(place))] + located.faults)


def comparison(turn: Turn, request: Request) -> list[Step] | str | None:
    """Set two places, or two windows of each place, side by side; None where there is nothing to set."""
    against = request.contrast
    span = window(turn, request)
    if span["hours"] > MOST_DRAWN_HOURS:
        return say("time", turn, problem="drawing_limit", words="")
    located = locate(turn, request)
    if not isinstance(located, Located):
        return located
    places = list(located.places.values())
    if against is None and not (len(places) == 2 and _shared(turn, request, places)):
        return None

    def steps(place: Place) -> list[Step]:
        about = {"dataset": turn.session.dataset, "node": place["id"]}
        if against is not None:
            channel = channel_at(turn, request, place)
            return [("compare_series", {**about, "channel": channel, **span, "back_days": against.back_days})]
        other = places[1]["id"]
        return [("compare_series", {**about, "other": other, "channel": _shared(turn, request, places), **span})]

    pairs = places if against is not None else places[:1]
    calls = [call for place in pairs for call in steps(place) if turn.result(call[0], **call[1]) is None]
    if calls:
        return calls
    texts = []
    for place in pairs:
        found = result_of(turn, "compare_series", node=place["id"])
        if found.error is not None:
            texts.append(say("error", turn, error=found.error))
            continue
        told = {"place": place, "other": None if against is not None else places[1], "found": found}
        title = _title(turn, found.reply["channel"])
        texts.append(prompts.load("answer_comparison").render(session=turn.session, title=title, **told))
    return with_remarks(turn, request, texts + located.faults)


def _times_within(request: Request, found: Result) -> list[str]:
    """The times of changes and anomalies that lie in the window that is asked for."""
    start = request.span.start
    assert start is not None, "a window was named"
    times = [c["time"] for c in found.reply["changes"]] + [a["until"] for a in found.reply["anomalies"]]
    return [moment for moment in times if datetime.fromisoformat(moment) >= start]


def _shared(turn: Turn, request: Request, places: list[Place]) -> str | None:
    """The channel that is named, or else the first, that all of these places measure."""
    names = [c["name"] for c in turn.session.channels]
    if request.channel is not None:
        names = [request.channel, *([] if request.sure else names)]
    return next((n for n in names if all(turn.session.measures(n, p["kind"]) for p in places)), None)


def _title(turn: Turn, channel: str) -> str:
    return next(c["title"] for c in turn.session.channels if c["name"] == channel)
