"""What the embedded chat model does for each task: the tool calls to make, then the text from their replies."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import prompts
from mm4st_agent.agent.backends import channels, levels
from mm4st_agent.agent.backends.decision_plans import capacity, hazard, route
from mm4st_agent.agent.backends.forecaster_plans import analogs, backtest, explanation, what_if
from mm4st_agent.agent.backends.picture_plans import comparison, map_of, patterns, picture
from mm4st_agent.agent.backends.places_plans import places
from mm4st_agent.agent.backends.placing import (
    Place,
    Step,
    at_places,
    channel_at,
    result_of,
    say,
    wanted,
)
from mm4st_agent.agent.backends.premises import CLOSED, Course, course
from mm4st_agent.agent.backends.quality_plans import quality
from mm4st_agent.agent.backends.rank_plans import rank
from mm4st_agent.agent.backends.request import OTHER_QUANTITY, Request
from mm4st_agent.agent.backends.settling import settled
from mm4st_agent.agent.backends.suppositions import covariate_of
from mm4st_agent.agent.backends.tasks import WEATHER, Task
from mm4st_agent.agent.backends.turns import Result, Turn
from mm4st_agent.agent.backends.windows import MOST_DRAWN_HOURS, MOST_HOURS, ahead, moment_ahead, too_far, week_before
from mm4st_agent.agent.backends.windows import window as window_of

_UNTRAINED = "There is no trained model"
AS_USUAL = 15
"""A level within so many % of the usual one is called usual."""

WELL_MEASURED = 90
"""With less than this share of its readings, in %, a place has gaps that matter."""

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
_EACH_STEP = re.compile(
    r"\b(?:tables?|tabulate|step[- ]by[- ]step|(?:each|every|all|per)(?: of)?(?: the)? steps?"
    r"|(?:each|every) (?:\d+|five|ten|fifteen)[- ]min(?:ute)?s?)\b",
    re.IGNORECASE,
)
"""Each step of a forecast is asked for."""
_SHORT = {"temperature": ("temp",), "wind": ("wind", "wspm")}
"""How data name such covariates, where it is not by the word itself."""
_OF_A_THING = re.compile(
    r"\b(?:cpus?|gpus?|servers?|chips?|engines?|bod(?:y|ies)|water|sea|soil|asphalt|surfaces?)\b", re.IGNORECASE
)
"""What has a temperature of its own, which is not that of the air."""
_DOMAINS = {"weather": "rain", "rainfall": "rain", "air quality": "air", "compute": "cloud", "llm": "cloud"}


def plan(turn: Turn, request: Request) -> list[Step] | str:
    """The next tool calls, or the text that ends the turn."""
    if request.task in _PLANS:
        if request.span.problem:
            return say("time", turn, problem=request.span.problem, words=_quotable(turn, request))
        meant = settled(turn, request)
        return _PLANS[meant.task](turn, meant) if isinstance(meant, Request) else meant
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
    earlier = week_before(turn, moment_ahead(turn, request))
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
        if _out_of_reach(turn, node):
            calls.append(("query_series", {**about, "channel": channel, **earlier}))
        return calls

    def write(place: Place, template: str = "forecast") -> str:
        forecast = result_of(turn, "forecast", node=place["id"])
        if forecast.error is not None:
            before = turn.result("query_series", node=place["id"], **earlier)
            return prompts.load("answer_beyond").render(place=place, error=forecast.error, before=before)
        step = forecast.reply["steps"][-1] if request.span.is_moment else None
        return _write(
            template,
            turn,
            place,
            request,
            forecast=forecast,
            asked_step=step,
            each_step=_EACH_STEP.search(request.question) is not None and len(forecast.reply["steps"]) > 1,
            level=levels.foreseen(request.threshold, forecast.reply, step) if request.threshold else None,
            helps=_helps(turn, place, forecast.reply) if request.sureness else [],
            driver=_driver(turn, place["id"]),
            notes=turn.result("retrieve_context", kind="note"),
            explained=turn.result("explain_forecast", node=place["id"]),
        )

    return at_places(turn, request, steps, write, lambda place: write(place, "forecast_short"))


def _helps(turn: Turn, place: Place, forecast: dict[str, Any]) -> list[str]:
    """What would make a forecast surer, as far as the data tell."""
    series, node = turn.result("query_series", node=place["id"]), place["id"]
    helps = []
    if forecast["trained_until"] is None:
        where = f"--dataset {turn.session.dataset} --channel {forecast['channel']}"
        helps.append(f"A trained model for this quantity (mm4st train {where})")
    elif forecast["backtest"]["drifting"]:
        helps.append("A model trained on the latest weeks")
    if series is not None and series.error is None and series.reply["coverage"] < WELL_MEASURED:
        helps.append(f"Readings of {node} without gaps")
    if _driver(turn, node) == "incident":
        helps.append("News of how long the event nearby will last")
    if forecast["minutes"] > forecast["step_minutes"]:
        helps.append("Asking again closer to the time, or for a shorter span")
    return helps


def _out_of_reach(turn: Turn, node: str) -> bool:
    """Whether the forecast was asked for a time that no forecast here reaches."""
    made = turn.result("forecast", node=node)
    return made is not None and made.error is not None and "out of reach" in made.error["message"]


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

    halves = _halves(request, window)

    def steps(place: Place) -> list[Step]:
        node, channel = place["id"], channel_at(turn, request, place)
        about = {"dataset": dataset, "node": node}
        calls: list[Step] = [("query_series", {**about, "channel": channel, **half}) for half in halves]
        calls.append(("query_series", {**about, "channel": channel, **window}))
        if len(wanted(turn, request)) == 1:
            if window["hours"] <= MOST_DRAWN_HOURS:
                drawn = {**window, "hours": max(window["hours"], 3)}
                calls.append(("render_series", {**about, "channel": channel, **drawn, "method": "line"}))
            query = {"query": request.question, "kind": "event", **window, "limit": 3}
            calls.append(("retrieve_context", {**about, **query}))
        return calls

    def write(place: Place, template: str = "status") -> str:
        windowed = "until" in window or request.span.start is not None
        series = result_of(turn, "query_series", node=place["id"])
        asked = request.threshold
        level = levels.reached(asked, series.reply, windowed) if asked is not None and series.error is None else None
        went = _went(turn, request, place, halves)
        return _write(
            template, turn, place, request, moment=request.span.is_moment, windowed=windowed, level=level, went=went
        )

    return at_places(turn, request, steps, write, lambda place: write(place, "status_short"))


def _halves(request: Request, window: dict[str, Any]) -> list[dict[str, Any]]:
    """`hours` and `until` of the halves of a past window that is said to have risen or fallen; else none."""
    span = request.span
    if request.premise not in ("rose", "fell") or span.start is None or span.end is None or span.is_moment:
        return []
    middle = span.start + (span.end - span.start) / 2
    hours = round(window["hours"] / 2, 4)
    return [{"hours": hours, "until": end.isoformat(timespec="minutes")} for end in (middle, span.end)]


def _went(turn: Turn, request: Request, place: Place, halves: list[dict[str, Any]]) -> Course | None:
    """How the window went, where the question takes for granted that it rose or fell."""
    found = [turn.result("query_series", node=place["id"], **half) for half in halves]
    replies = [result.reply for result in found if result is not None and result.error is None]
    if len(replies) < 2 or request.premise is None:
        return None
    return course(request.premise, replies[0], replies[1])


def _events(turn: Turn, request: Request) -> list[Step] | str:
    args = {"dataset": turn.session.dataset, "query": request.question, "kind": "event", **window_of(turn, request)}
    if not wanted(turn, request):
        events = turn.result("retrieve_context", kind="event")
        if events is None:
            return [("retrieve_context", {**args, "limit": 8})]
        if request.unmeasured and events.error is None:
            return _weather(turn, request, events)
        return prompts.load("answer_events").render(
            session=turn.session, place=None, events=events, denied=_denied(turn, request, None)
        )

    def write(place: Place) -> str:
        return _write("events", turn, place, request, denied=_denied(turn, request, place))

    return at_places(
        turn, request, lambda place: [("retrieve_context", {**args, "node": place["id"], "limit": 8})], write, write
    )


def _weather(turn: Turn, request: Request, events: Result) -> list[Step] | str:
    """What the log says of weather that is asked about and not measured."""
    described = _covariates(turn, request)
    if isinstance(described, list):
        return described
    told = [event for event in events.reply["events"] if WEATHER.search(event["passage"]["text"])]
    found = replace(events, reply={**events.reply, "events": told})
    return prompts.load("answer_weather").render(
        session=turn.session, events=found, quantity=request.unmeasured, beside=described
    )


def _covariates(turn: Turn, request: Request) -> list[Step] | dict[str, Any] | None:
    """What the data hold, for all places together, of a quantity that no place measures; None where it is nothing."""
    kind = covariate_of(request.unmeasured or "")
    there = kind is not None and any(_is_of_kind(name, kind) for name in turn.session.covariates)
    if kind is None or not there or _OF_A_THING.search(request.question):
        return None
    described = turn.result("describe_dataset")
    if described is None:
        return [("describe_dataset", {"dataset": turn.session.dataset})]
    if described.error is not None:
        return None
    known = [c for c in described.reply["covariates"] if c["last"] is not None and _is_of_kind(c["name"], kind)]
    return {"kind": kind, "covariates": known, "evidence": described.evidence} if known else None


def _is_of_kind(name: str, kind: str) -> bool:
    return any(word in name.casefold() for word in _SHORT.get(kind, (kind,)))


def _denied(turn: Turn, request: Request, place: Place | None) -> bool:
    """Whether a closure is taken for granted of which the log says nothing."""
    events = turn.result("retrieve_context", kind="event")
    if request.premise != "closed" or events is None or events.error is not None:
        return False
    there = [e for e in events.reply["events"] if place is None or e["node"] in (None, place["id"])]
    return not any(CLOSED.search(event["passage"]["text"]) for event in there)


def _comparison(turn: Turn, request: Request) -> list[Step] | str:
    """What is now at the places, if no time is named, and the places or windows side by side."""
    beside = comparison(turn, request)
    if beside is None or (request.contrast is None and request.span.start is None and not isinstance(beside, list)):
        now = _status(turn, request)
        return now if isinstance(now, list) or beside is None else f"{now}\n\n{beside}"
    return beside


# -- other tasks ----------------------------------------------------------------------------------


def _places(turn: Turn, request: Request) -> list[Step] | str:
    return places(turn, request, request.kind) or _dataset(turn, request)


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


def _untold(turn: Turn, request: Request) -> list[Step] | str:
    """That the data do not tell what is asked, and what they do."""
    if request.unknowable:
        return say("unknowable", turn, kind=request.unknowable)
    beside = _covariates(turn, request)
    if isinstance(beside, list):
        return beside
    quantity = None if request.unmeasured == OTHER_QUANTITY else request.unmeasured
    return say("unmeasured", turn, quantity=quantity, beside=beside)


def _explanation(turn: Turn, request: Request) -> list[Step] | str:
    """What moved the forecast; without a trained model the forecast itself, with what the data and the log tell."""
    failed = [result.error for result in turn.results if result.tool == "explain_forecast" and result.error is not None]
    if any(_UNTRAINED in error["message"] for error in failed):
        return _forecast(turn, replace(request, task="forecast"))
    return explanation(turn, request)


Plan = Callable[[Turn, Request], list[Step] | str]
_PLANS: dict[Task, Plan] = {
    "forecast": _forecast,
    "status": _status,
    "rank": rank,
    "quality": quality,
    "all_places": lambda turn, request: rank(turn, request) if request.ranking else say("all_places", turn),
    "events": _events,
    "comparison": _comparison,
    "map": map_of,
    "patterns": patterns,
    "picture": picture,
    "explanation": _explanation,
    "what_if": what_if,
    "analogs": analogs,
    "backtest": backtest,
    "route": route,
    "capacity": capacity,
    "hazard": hazard,
}
_SIMPLE: dict[Task, Plan] = {
    "places": _places,
    "dataset": _dataset,
    "concept": _concept,
    "unmeasured": lambda turn, request: _untold(turn, request),
}
