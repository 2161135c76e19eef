"""What the embedded chat model does for each task: the tool calls to make, then the text from their replies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import prompts
from mm4st_agent.agent.backends import channels
from mm4st_agent.agent.backends.forecaster_plans import analogs, backtest, explanation, what_if
from mm4st_agent.agent.backends.picture_plans import comparison, map_of, patterns, picture
from mm4st_agent.agent.backends.placing import (
    Place,
    Step,
    at_places,
    channel_at,
    channel_everywhere,
    result_of,
    say,
    wanted,
)
from mm4st_agent.agent.backends.request import Request
from mm4st_agent.agent.backends.tasks import Task
from mm4st_agent.agent.backends.turns import Turn
from mm4st_agent.agent.backends.windows import MOST_DRAWN_HOURS, MOST_HOURS, MOST_RANKED_HOURS, ahead, too_far
from mm4st_agent.agent.backends.windows import window as window_of

AS_USUAL = 15
"""A level within so many % of the usual one is called usual."""

Driver = Literal["incident", "unusual", "rhythm"]
_AIR, _CLOUD = (
    "air pollution: wind, mixing height and dispersion of particles",
    "load of servers: queueing, utilisation and autoscaling",
)
_NOTES: dict[str, dict[Driver, str]] = {
    "traffic": {
        "incident": "traffic: how an incident that blocks lanes cuts capacity",
        "unusual": "traffic: what makes demand or congestion differ from the usual",
        "rhythm": "traffic: daily and weekly rhythm of demand",
    },
    "air": {"unusual": _AIR, "rhythm": _AIR},
    "rain": {"unusual": "rainfall thresholds that trigger landslides"},
    "cloud": {"unusual": _CLOUD, "rhythm": _CLOUD},
}
"""What the notes are asked, by the domain of the quantity, or of the data; no note is added elsewhere."""
_NO_CAUSE = "notice"
"""The kind of log entry that is about nothing that acts on a place."""
_DOMAINS = {"weather": "rain", "rainfall": "rain", "air quality": "air", "compute": "cloud", "llm": "cloud"}


def plan(turn: Turn, request: Request) -> list[Step] | str:
    """The next tool calls, or the text that ends the turn."""
    if request.task in _PLANS:
        if request.span.problem:
            return say("time", turn, problem=request.span.problem, words=_quotable(turn, request))
        return _PLANS[request.task](turn, request)
    if request.task in _SIMPLE:
        return _SIMPLE[request.task](turn, request)
    return say(request.task, turn)


def _quotable(turn: Turn, request: Request) -> str:
    """The time words, where they stand in the question as one piece."""
    return request.span.words if request.span.words in turn.question else ""


def _write(template: str, turn: Turn, place: Place, request: Request, **more: Any) -> str:
    """Fill an answer about one place from whatever the tools have said about it."""
    node = place["id"]
    return prompts.load(f"answer_{template}").render(
        session=turn.session,
        place=place,
        series=turn.result("query_series", node=node),
        events=turn.result("retrieve_context", node=node, kind="event"),
        request=request,
        **more,
    )


# -- tasks at places ------------------------------------------------------------------------------


def _forecast(turn: Turn, request: Request) -> list[Step] | str:
    dataset, span = turn.session.dataset, ahead(turn, request)
    if too_far(span):
        return say("time", turn, problem="far", words=_quotable(turn, request))

    def steps(place: Place) -> list[Step]:
        node, channel = place["id"], channel_at(turn, request, place)
        about = {"dataset": dataset, "node": node}
        calls: list[Step] = [("forecast", {**about, "channel": channel, **span})]
        if len(wanted(turn, request)) == 1:
            query = {"query": request.question, "kind": "event", "hours": 24, "limit": 3}
            calls.append(("query_series", {**about, "channel": channel, "hours": 24}))
            calls.append(("retrieve_context", {**about, **query}))
            note = _note_query(turn, node)
            if note is not None:
                calls.append(("retrieve_context", {"dataset": dataset, "query": note, "kind": "note", "limit": 1}))
            if request.why and _was_trained(turn, node):
                calls.append(("explain_forecast", {**about, "channel": channel, **span}))
        return calls

    def write(place: Place, template: str = "forecast") -> str:
        forecast = result_of(turn, "forecast", node=place["id"])
        if forecast.error is not None:
            return say("error", turn, error=forecast.error)
        return _write(
            template,
            turn,
            place,
            request,
            forecast=forecast,
            asked_step=forecast.reply["steps"][-1] if request.span.is_moment else None,
            driver=_driver(turn, place["id"]),
            notes=turn.result("retrieve_context", kind="note"),
            explained=turn.result("explain_forecast", node=place["id"]),
        )

    return at_places(turn, request, steps, write, lambda place: write(place, "forecast_short"))


def _was_trained(turn: Turn, node: str) -> bool:
    """Whether the forecast that was made is a trained model's."""
    made = turn.result("forecast", node=node)
    return made is not None and made.error is None and not made.reply["baseline_leads"]


def _note_query(turn: Turn, node: str) -> str | None:
    driver, domain = _driver(turn, node), turn.session.domain.casefold()
    series = turn.result("query_series", node=node)
    if driver is None or series is None:
        return None
    if driver == "unusual" and series.reply["level"] is None:
        return None  # nobody knows whether it is unusual
    measured = next((c for c in turn.session.channels if c["name"] == series.reply["channel"]), None)
    filed = channels.notes_of(measured) if measured else None
    return _NOTES.get(filed or _DOMAINS.get(domain, domain), {}).get(driver)


def _driver(turn: Turn, node: str) -> Driver | None:
    """What the data suggest as the main driver; None while the tools have not said enough."""
    series, events = turn.result("query_series", node=node), turn.result("retrieve_context", node=node, kind="event")
    if series is None or events is None or series.error or events.error:
        return None
    if any(event["ongoing"] and event["kind"] != _NO_CAUSE for event in events.reply["events"]):
        return "incident"
    level = series.reply["level"]
    return "unusual" if level is None or abs(level - 100) > AS_USUAL else "rhythm"


def _status(turn: Turn, request: Request) -> list[Step] | str:
    window = window_of(turn, request)
    if window["hours"] > MOST_HOURS:
        return say("time", turn, problem="past_limit", words="")
    dataset = turn.session.dataset

    def steps(place: Place) -> list[Step]:
        node, channel = place["id"], channel_at(turn, request, place)
        about = {"dataset": dataset, "node": node}
        calls: list[Step] = [("query_series", {**about, "channel": channel, **window})]
        if len(wanted(turn, request)) == 1:
            if window["hours"] <= MOST_DRAWN_HOURS:
                drawn = {**window, "hours": max(window["hours"], 3)}
                calls.append(("render_series", {**about, "channel": channel, **drawn, "method": "line"}))
            query = {"query": request.question, "kind": "event", **window, "limit": 3}
            calls.append(("retrieve_context", {**about, **query}))
        return calls

    def write(place: Place, template: str = "status") -> str:
        windowed = "until" in window or request.span.start is not None
        return _write(template, turn, place, request, moment=request.span.is_moment, windowed=windowed)

    return at_places(turn, request, steps, write, lambda place: write(place, "status_short"))


def _events(turn: Turn, request: Request) -> list[Step] | str:
    args = {"dataset": turn.session.dataset, "query": request.question, "kind": "event", **window_of(turn, request)}
    if not wanted(turn, request):
        events = turn.result("retrieve_context", kind="event")
        if events is None:
            return [("retrieve_context", {**args, "limit": 8})]
        return prompts.load("answer_events").render(session=turn.session, place=None, events=events)

    def write(place: Place) -> str:
        return _write("events", turn, place, request)

    return at_places(
        turn, request, lambda place: [("retrieve_context", {**args, "node": place["id"], "limit": 8})], write, write
    )


def _comparison(turn: Turn, request: Request) -> list[Step] | str:
    """What is now at the places, if no time is named, and the places or windows side by side."""
    beside = comparison(turn, request)
    if beside is None or (request.contrast is None and request.span.start is None and not isinstance(beside, list)):
        now = _status(turn, request)
        return now if isinstance(now, list) or beside is None else f"{now}\n\n{beside}"
    return beside


def _rank(turn: Turn, request: Request) -> list[Step] | str:
    window, asked = window_of(turn, request), request.ranking
    assert asked is not None, "a ranking was read"
    if window["hours"] > MOST_RANKED_HOURS:
        return say("time", turn, problem="ranking_limit", words="")
    name = channel_everywhere(turn, request)
    channel = next((c for c in turn.session.channels if c["name"] == name), turn.session.channels[0])
    args: dict[str, Any] = {
        "dataset": turn.session.dataset,
        "channel": name,
        "by": asked.by,
        "order": asked.first(channels.low_is_bad(channel)),
        **({"limit": asked.limit} if asked.limit else {}),
        **({"until": window["until"]} if "until" in window else {}),
        **({"minutes": round(60 * window["hours"])} if request.span.start is not None else {}),
    }
    found = turn.result("rank_places", **args)
    if found is None:
        return [("rank_places", args)]
    if found.error is not None:
        return say("error", turn, error=found.error)
    text = prompts.load("answer_rank").render(session=turn.session, found=found)
    return "\n\n".join([text, *([say("unread", turn, what=request.unread)] if request.unread else [])])


# -- other tasks ----------------------------------------------------------------------------------


def _places(turn: Turn, request: Request) -> list[Step] | str:
    from mm4st_agent.agent.backends.slots import content_words

    words = " ".join(request.places) or content_words(request.question) or request.kind
    if not words:
        return _dataset(turn, request)
    found = turn.result("find_places")
    if found is None:
        of_kind = {"kind": request.kind} if request.kind and not request.identified else {}
        return [("find_places", {"dataset": turn.session.dataset, "query": words, "limit": 20, **of_kind})]
    if found.error is not None:
        return say("error", turn, error=found.error)
    return prompts.load("answer_places").render(session=turn.session, query=words, found=found)


def _dataset(turn: Turn, request: Request) -> list[Step] | str:
    described = turn.result("describe_dataset")
    if described is None:
        return [("describe_dataset", {"dataset": turn.session.dataset})]
    if described.error is not None:
        return say("error", turn, error=described.error)
    return prompts.load("answer_dataset").render(session=turn.session, described=described)


def _concept(turn: Turn, request: Request) -> list[Step] | str:
    found = turn.result("retrieve_context")
    if found is None:
        query = {"query": request.question, "kind": "note", "limit": 2}
        return [("retrieve_context", {"dataset": turn.session.dataset, **query})]
    if found.error is not None:
        return say("error", turn, error=found.error)
    return prompts.load("answer_concept").render(session=turn.session, found=found)


Plan = Callable[[Turn, Request], list[Step] | str]
_PLANS: dict[Task, Plan] = {
    "forecast": _forecast,
    "status": _status,
    "rank": _rank,
    "events": _events,
    "comparison": _comparison,
    "map": map_of,
    "patterns": patterns,
    "picture": picture,
    "explanation": explanation,
    "what_if": what_if,
    "analogs": analogs,
    "backtest": backtest,
}
_SIMPLE: dict[Task, Plan] = {
    "places": _places,
    "dataset": _dataset,
    "concept": _concept,
    "unmeasured": lambda turn, request: say("unmeasured", turn, quantity=request.unmeasured),
}
