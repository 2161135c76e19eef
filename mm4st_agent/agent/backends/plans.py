"""What the embedded chat model does for each task: the tool calls to make, then the text from their replies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import prompts
from mm4st_agent.agent.backends.request import Request, Task, clock_of
from mm4st_agent.agent.backends.turns import Result, Turn

Step = tuple[str, dict[str, Any]]
"""A tool call to make: name and arguments."""
Place = dict[str, Any]
"""A match of find_places, with a `label`."""

MOST_PLACES = 4
"""So many places are answered at once; the answer says where more were named."""
MOST_HOURS = 24 * 28
"""The longest window that query_series reads."""
MOST_DRAWN_HOURS = 24 * 14
MOST_MINUTES = 100_000
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
"""What the notes are asked, by the data's domain; no note is added elsewhere."""
_DOMAINS = {"weather": "rain", "rainfall": "rain", "air quality": "air", "compute": "cloud", "llm": "cloud"}


def plan(turn: Turn, request: Request) -> list[Step] | str:
    """The next tool calls, or the text that ends the turn."""
    if request.task in _PLANS:
        if request.span.problem:
            return _say("time", turn, problem=request.span.problem, words=_quotable(turn, request))
        return _PLANS[request.task](turn, request)
    if request.task in _SIMPLE:
        return _SIMPLE[request.task](turn, request)
    return _say(request.task, turn)


def _say(template: str, turn: Turn, **more: Any) -> str:
    return prompts.load(f"say_{template}").render(session=turn.session, question=turn.question, **more)


def _quotable(turn: Turn, request: Request) -> str:
    """The time words, where they stand in the question as one piece."""
    return request.span.words if request.span.words in turn.question else ""


# -- places ---------------------------------------------------------------------------------------


def _wanted(turn: Turn, request: Request) -> list[str]:
    """What find_places is asked for: the places named, else those of the thread, else the only one there is."""
    if request.places:
        return list(request.places[:MOST_PLACES])
    return list(request.nodes[:MOST_PLACES]) or (turn.session.place_ids if len(turn.session.place_ids) == 1 else [])


def _find(turn: Turn, query: str, request: Request) -> Place | str | None:
    """The place that words mean, a sentence where they mean none or several, or None before find_places was asked."""
    found = turn.result("find_places", query=query)
    if found is None:
        return None
    if found.error is not None:
        return _say("error", turn, error=found.error)
    best, matches = found.best_places, found.reply["matches"]
    if len(best) == 1:
        place = best[0]
        told = place["description"]
        return {**place, "label": place["id"] if told == place["id"] else f"{place['id']} ({told})"}
    if best:
        return _say("which_place", turn, matches=best, evidence=found.evidence)
    if request.weak:
        return _say("which_place", turn, matches=[])
    return _say("unknown_place", turn, query=query, matches=matches, evidence=found.evidence)


def _at_places(
    turn: Turn,
    request: Request,
    steps: Callable[[str], list[Step]],
    write: Callable[[Place], str],
    write_short: Callable[[Place], str],
) -> list[Step] | str:
    """Find the places, make the calls about each, then write: in full about one, shortly about several."""
    queries = _wanted(turn, request)
    if not queries:
        return _say("which_place", turn, matches=[])
    found = [_find(turn, query, request) for query in queries]
    if request.weak and request.nodes and isinstance(found[0], str):
        queries = list(request.nodes[:MOST_PLACES])
        found = [_find(turn, query, request) for query in queries]
    missing: list[Step] = [
        ("find_places", {"dataset": turn.session.dataset, "query": query, "limit": 6})
        for query, place in zip(queries, found, strict=True)
        if place is None
    ]
    if missing:
        return missing
    places = {p["id"]: p for p in found if isinstance(p, dict)}
    faults = [p for p in found if isinstance(p, str)]
    calls = [call for node in places for call in steps(node) if turn.result(call[0], **call[1]) is None]
    if calls:
        return calls
    texts = [write(p) if len(found) == 1 else write_short(p) for p in places.values()] + faults
    if request.compare and len(places) > 1 and (said := _ranked(turn, request, list(places))):
        texts.append(said)
    if len(request.places) > MOST_PLACES:
        texts.append(_say("too_many_places", turn))
    if request.unread:
        texts.append(_say("unread", turn, what=request.unread))
    if request.span.compared:
        texts.append(_say("not_compared", turn))
    return "\n\n".join(dict.fromkeys(texts))


def _ranked(turn: Turn, request: Request, nodes: list[str]) -> str | None:
    """Which of the places has the highest and the lowest value; None where one has none."""
    tool = "forecast" if request.task == "forecast" else "query_series"
    results = [_result(turn, tool, node=node) for node in nodes]
    if any(result.error for result in results) or request.task not in ("forecast", "status"):
        return None
    key = "mean" if request.span.start is not None else "recent"
    values = [r.reply["total"]["median"] if tool == "forecast" else r.reply[key] for r in results]
    if None in values or len(set(values)) < len(values):
        return None
    order = [node for _, node in sorted(zip(values, nodes, strict=True))]
    return _say("ranked", turn, title=results[0].reply["channel_title"], order=order, results=results)


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
    span, clock = request.span, clock_of(turn.session)
    dataset, channel = turn.session.dataset, request.channel
    start, end = span.ahead(clock) if span.side(clock) == "future" else (0, max(60, turn.session.step_s // 60))
    if end > MOST_MINUTES:
        return _say("time", turn, problem="far", words=_quotable(turn, request))
    if span.is_moment:
        start = 0
    ahead = {"minutes": max(1, end - start), **({"start_in_minutes": start} if start else {})}

    def steps(node: str) -> list[Step]:
        about = {"dataset": dataset, "node": node}
        calls: list[Step] = [("forecast", {**about, "channel": channel, **ahead})]
        if len(_wanted(turn, request)) == 1:
            query = {"query": request.question, "kind": "event", "hours": 24, "limit": 3}
            calls.append(("query_series", {**about, "channel": channel, "hours": 24}))
            calls.append(("retrieve_context", {**about, **query}))
            note = _note_query(turn, node)
            if note is not None:
                calls.append(("retrieve_context", {"dataset": dataset, "query": note, "kind": "note", "limit": 1}))
        return calls

    def write(place: Place, template: str = "forecast") -> str:
        forecast = _result(turn, "forecast", node=place["id"])
        if forecast.error is not None:
            return _say("error", turn, error=forecast.error)
        return _write(
            template,
            turn,
            place,
            request,
            forecast=forecast,
            asked_step=forecast.reply["steps"][-1] if span.is_moment else None,
            driver=_driver(turn, place["id"]),
            notes=turn.result("retrieve_context", kind="note"),
        )

    return _at_places(turn, request, steps, write, lambda place: write(place, "forecast_short"))


def _note_query(turn: Turn, node: str) -> str | None:
    driver, domain = _driver(turn, node), turn.session.domain.casefold()
    series = turn.result("query_series", node=node)
    if driver == "unusual" and series is not None and series.reply["level"] is None:
        return None  # nobody knows whether it is unusual
    return _NOTES.get(_DOMAINS.get(domain, domain), {}).get(driver) if driver else None


def _driver(turn: Turn, node: str) -> Driver | None:
    """What the data suggest as the main driver; None while the tools have not said enough."""
    series, events = turn.result("query_series", node=node), turn.result("retrieve_context", node=node, kind="event")
    if series is None or events is None or series.error or events.error:
        return None
    if any(event["ongoing"] for event in events.reply["events"]):
        return "incident"
    level = series.reply["level"]
    return "unusual" if level is None or abs(level - 100) > AS_USUAL else "rhythm"


def _window(turn: Turn, request: Request) -> dict[str, Any]:
    """`hours` and `until` of the past window that is asked for; by default the last day."""
    span, clock = request.span, clock_of(turn.session)
    if span.start is None or span.end is None or span.side(clock) == "future":
        return {"hours": 24}
    hours = max(1.0, turn.session.step_s / 3600) if span.is_moment else span.hours()
    hours = round(hours, 4)
    return {
        "hours": int(hours) if hours == int(hours) else hours,
        **({"until": span.end.isoformat(timespec="minutes")} if span.end < clock else {}),
    }


def _status(turn: Turn, request: Request) -> list[Step] | str:
    window = _window(turn, request)
    if window["hours"] > MOST_HOURS:
        return _say("time", turn, problem="past_limit", words="")
    channel, dataset = request.channel, turn.session.dataset

    def steps(node: str) -> list[Step]:
        about = {"dataset": dataset, "node": node}
        calls: list[Step] = [("query_series", {**about, "channel": channel, **window})]
        if len(_wanted(turn, request)) == 1:
            if window["hours"] <= MOST_DRAWN_HOURS:
                drawn = {**window, "hours": max(window["hours"], 3)}
                calls.append(("render_series", {**about, "channel": channel, **drawn, "picture": "line"}))
            query = {"query": request.question, "kind": "event", **window, "limit": 3}
            calls.append(("retrieve_context", {**about, **query}))
        return calls

    def write(place: Place, template: str = "status") -> str:
        windowed = "until" in window or request.span.start is not None
        return _write(template, turn, place, request, moment=request.span.is_moment, windowed=windowed)

    return _at_places(turn, request, steps, write, lambda place: write(place, "status_short"))


def _events(turn: Turn, request: Request) -> list[Step] | str:
    args = {"dataset": turn.session.dataset, "query": request.question, "kind": "event", **_window(turn, request)}
    if not _wanted(turn, request):
        events = turn.result("retrieve_context", kind="event")
        if events is None:
            return [("retrieve_context", {**args, "limit": 8})]
        return prompts.load("answer_events").render(session=turn.session, place=None, events=events)

    def write(place: Place) -> str:
        return _write("events", turn, place, request)

    return _at_places(
        turn, request, lambda node: [("retrieve_context", {**args, "node": node, "limit": 8})], write, write
    )


def _heatmap(turn: Turn, request: Request) -> list[Step] | str:
    window = _window(turn, request)
    if window["hours"] > MOST_DRAWN_HOURS:
        return _say("time", turn, problem="drawing_limit", words="")
    args = {"dataset": turn.session.dataset, "channel": request.channel, **window, "picture": "heatmap"}

    def write(place: Place | None) -> str:
        drawn = _result(turn, "render_series", picture="heatmap")
        if drawn.error is not None:
            return _say("error", turn, error=drawn.error)
        return prompts.load("answer_heatmap").render(session=turn.session, drawn=drawn, place=place)

    if not request.places:
        return [("render_series", args)] if turn.result("render_series", picture="heatmap") is None else write(None)
    return _at_places(turn, request, lambda node: [("render_series", {**args, "node": node})], write, write)


# -- other tasks ----------------------------------------------------------------------------------


def _places(turn: Turn, request: Request) -> list[Step] | str:
    from mm4st_agent.agent.backends.slots import content_words

    words = " ".join(request.places) or content_words(request.question)
    if not words:
        return _dataset(turn, request)
    found = turn.result("find_places")
    if found is None:
        return [("find_places", {"dataset": turn.session.dataset, "query": words, "limit": 20})]
    if found.error is not None:
        return _say("error", turn, error=found.error)
    return prompts.load("answer_places").render(session=turn.session, query=words, found=found)


def _dataset(turn: Turn, request: Request) -> list[Step] | str:
    described = turn.result("describe_dataset")
    if described is None:
        return [("describe_dataset", {"dataset": turn.session.dataset})]
    if described.error is not None:
        return _say("error", turn, error=described.error)
    return prompts.load("answer_dataset").render(session=turn.session, described=described)


def _concept(turn: Turn, request: Request) -> list[Step] | str:
    found = turn.result("retrieve_context")
    if found is None:
        query = {"query": request.question, "kind": "note", "limit": 2}
        return [("retrieve_context", {"dataset": turn.session.dataset, **query})]
    if found.error is not None:
        return _say("error", turn, error=found.error)
    return prompts.load("answer_concept").render(session=turn.session, found=found)


def _result(turn: Turn, tool: str, **args: Any) -> Result:
    result = turn.result(tool, **args)
    assert result is not None, "written only after the call was made"
    return result


Plan = Callable[[Turn, Request], list[Step] | str]
_PLANS: dict[Task, Plan] = {"forecast": _forecast, "status": _status, "events": _events, "heatmap": _heatmap}
_SIMPLE: dict[Task, Plan] = {
    "places": _places,
    "dataset": _dataset,
    "concept": _concept,
    "unmeasured": lambda turn, request: _say("unmeasured", turn, quantity=request.unmeasured),
}
