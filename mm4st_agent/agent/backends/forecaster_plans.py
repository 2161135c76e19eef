"""What the embedded chat model does where something is asked of the forecaster itself."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import prompts
from mm4st_agent.agent.backends.contrasts import past_span
from mm4st_agent.agent.backends.durations import Length, lengths
from mm4st_agent.agent.backends.levels import converted
from mm4st_agent.agent.backends.placing import (
    Located,
    Place,
    Step,
    at_places,
    channel_at,
    channel_everywhere,
    locate,
    placed,
    result_of,
    say,
    wanted,
    with_remarks,
)
from mm4st_agent.agent.backends.request import Request, clock_of
from mm4st_agent.agent.backends.suppositions import EVENT, Change
from mm4st_agent.agent.backends.turns import Result, Turn
from mm4st_agent.agent.backends.windows import ahead, too_far

_SENSORS = re.compile(r"\b(?:sensors|stations|neighbou?rs?|upstream|downstream|detectors|other)\b", re.IGNORECASE)
_NOT_OTHERWISE = re.compile(
    r"\bwhy\b.{0,30}?(?:\bnot?\b|n['’]t\b).{0,30}?\b(?:(?P<more>higher|more|faster|busier|greater|up|worse)"
    r"|(?P<less>lower|less|fewer|slower|quieter|smaller|down|better))\b",
    re.IGNORECASE,
)
_LEAD_BEFORE = re.compile(r"\b(?:horizon|lead|lead time|range)s? (?:of|at|is)?\s*$")
_LEAD_BEHIND = re.compile(r"[\s-]+(?:ahead|in advance|beforehand|out\b|horizon|lead)")
MOST_ANALOGS = 5
MOST_DAYS = 366
USUAL_DAYS = 7
"""So many days are looked back over where no time is named."""
LOGGED_HOURS = 24 * 14
"""An event that is named without its place is looked for in so many hours."""
_NO_HAPPENING = "notice"
"""The kind of log entry that is about nothing that acts on a place."""


def explanation(turn: Turn, request: Request) -> list[Step] | str:
    """Say which inputs moved the forecast of a place, and what became of it without them."""
    span = ahead(turn, request)
    if too_far(span):
        return say("time", turn, problem="far", words="")

    def steps(place: Place) -> list[Step]:
        channel = channel_at(turn, request, place)
        about = {"dataset": turn.session.dataset, "node": place["id"], "channel": channel}
        return [("explain_forecast", {**about, **span})]

    def write(place: Place) -> str:
        found = result_of(turn, "explain_forecast", node=place["id"])
        asked = {"about_events": EVENT.search(request.question), "about_sensors": _SENSORS.search(request.question)}
        return _written("explanation", turn, place, found, **asked, held=_held(turn))

    return at_places(turn, request, steps, write, write)


def _held(turn: Turn) -> int:
    """The sign of what is asked for: -1 of what held the forecast down, 1 of what held it up, 0 of all."""
    found = _NOT_OTHERWISE.search(turn.question)
    return 0 if found is None else -1 if found["more"] else 1


def analogs(turn: Turn, request: Request) -> list[Step] | str:
    """Find when it was like this before at a place, and what followed."""
    span = ahead(turn, request)
    if too_far(span):
        return say("time", turn, problem="far", words="")

    def steps(place: Place) -> list[Step]:
        channel = channel_at(turn, request, place)
        about = {"dataset": turn.session.dataset, "node": place["id"], "channel": channel}
        return [("find_analogs", {**about, "k": request.count or MOST_ANALOGS, "minutes": span["minutes"]})]

    def write(place: Place) -> str:
        return _written("analogs", turn, place, result_of(turn, "find_analogs", node=place["id"]))

    return at_places(turn, request, steps, write, write)


def backtest(turn: Turn, request: Request) -> list[Step] | str:
    """Say how good the forecasts were lately: at the places named or spoken of, else everywhere."""
    span, clock, lead = request.span, clock_of(turn.session), _lead(request.question)
    if lead is not None and (span.start is None or span.side(clock) == "future"):
        span = past_span(request.question[: lead.start] + " " + request.question[lead.end :], clock)
    past = span.start is not None and span.side(clock) != "future"
    days = (clock - span.start).total_seconds() / 86_400 if past and span.start is not None else USUAL_DAYS
    if days > MOST_DAYS:
        return say("time", turn, problem="pattern_limit", words="")
    args = {
        "dataset": turn.session.dataset,
        "minutes": request.lead_minutes or (round(lead.minutes) if lead else ahead(turn, request)["minutes"]),
        "days": round(days, 4),
    }

    def steps(place: Place) -> list[Step]:
        return [("backtest", {**args, "node": place["id"], "channel": channel_at(turn, request, place)})]

    def write(place: Place | None) -> str:
        found = result_of(turn, "backtest", **({"node": place["id"]} if place else {}))
        return _written("backtest", turn, place, found)

    if not wanted(turn, request):
        everywhere = {**args, "channel": channel_everywhere(turn, request)}
        if turn.result("backtest") is None:
            return [("backtest", everywhere)]
        return with_remarks(turn, request, [write(None)])
    return at_places(turn, request, steps, write, write)


def _lead(question: str) -> Length | None:
    """How far ahead the forecasts reached that are asked about: "an hour ahead", "a horizon of 45 minutes"."""
    text = question.lower()
    for length in lengths(text):
        if length.minutes > 0 and (_LEAD_BEFORE.search(text[: length.start]) or _LEAD_BEHIND.match(text, length.end)):
            return length
    return None


# -- what if ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Changed:
    """The changes as the tool what_if takes them."""

    changes: list[dict[str, Any]]


def what_if(turn: Turn, request: Request) -> list[Step] | str:
    """Set the forecast beside the one that would be given if something known were otherwise."""
    span = ahead(turn, request)
    if not request.changes or too_far(span):
        return say("time", turn, problem="far", words="") if request.changes else say("what_if", turn)
    located = _forecast_places(turn, request)
    if not isinstance(located, Located):
        return located
    if not located.places:
        return "\n\n".join(located.faults)
    changed = _changes(turn, request, next(iter(located.places.values())))
    if not isinstance(changed, Changed):
        return changed
    minutes = span["minutes"] + span.get("start_in_minutes", 0)

    def steps(place: Place) -> list[Step]:
        about = {"dataset": turn.session.dataset, "node": place["id"], "channel": channel_at(turn, request, place)}
        return [("what_if", {**about, "changes": changed.changes, "minutes": minutes})]

    calls = [
        call for place in located.places.values() for call in steps(place) if turn.result(call[0], **call[1]) is None
    ]
    if calls:
        return calls
    texts = [
        _written("what_if", turn, place, result_of(turn, "what_if", node=place["id"]))
        for place in located.places.values()
    ]
    return with_remarks(turn, request, texts + located.faults)


def _forecast_places(turn: Turn, request: Request) -> Located | list[Step] | str:
    """The places whose forecast is meant; where none is named, that of what is changed."""
    change = request.changes[0]
    if wanted(turn, request):
        return locate(turn, request)
    if change.kind == "remove_sensor":
        return placed(turn, request, change.places)
    if change.event is not None:
        found = _logged(turn, change)
        if not isinstance(found, Result):
            return found
        node = next((hit["node"] for hit in _entries(found) if _is(hit, change.event)), None)
        return placed(turn, request, (node,)) if node else locate(turn, request)
    return locate(turn, request)


def _changes(turn: Turn, request: Request, place: Place) -> Changed | list[Step] | str:
    """The changes as what_if takes them, or the calls that tell them, or the sentence that asks for what is missing."""
    read = [_change(turn, request, change, place) for change in request.changes]
    sentences = [one for one in read if isinstance(one, str)]
    if sentences:
        return "\n\n".join(dict.fromkeys(sentences))
    if calls := [call for one in read if isinstance(one, list) for call in one]:
        return calls
    made = [change for one in read if isinstance(one, Changed) for change in one.changes]
    return Changed([change for n, change in enumerate(made) if change not in made[:n]])


def _change(turn: Turn, request: Request, change: Change, place: Place) -> Changed | list[Step] | str:
    if change.kind == "set_covariate":
        return _covariate(turn, change)
    if change.kind == "remove_event":
        return _event(turn, change, place)
    located = placed(turn, request, change.places)
    if not isinstance(located, Located):
        return located
    if located.faults:
        return "\n\n".join(located.faults)
    nodes = list(located.places)
    if change.kind == "add_event":
        return Changed([{"kind": "add_event", "node": nodes[0] if nodes else place["id"], "text": change.words}])
    if change.kind == "remove_road":
        return Changed([{"kind": "remove_road", "source": nodes[0], "target": nodes[-1]}])
    return Changed([{"kind": "remove_sensor", "node": node} for node in nodes])


def _covariate(turn: Turn, change: Change) -> Changed | list[Step] | str:
    described = turn.result("describe_dataset")
    if described is None:
        return [("describe_dataset", {"dataset": turn.session.dataset})]
    if described.error is not None:
        return say("error", turn, error=described.error)
    known = described.reply["covariates"]
    # "wind" means its speed, where its direction is known too
    fitting = sorted((c for c in known if str(change.covariate) in c["name"]), key=lambda c: "speed" not in c["name"])
    value, unit = change.value, fitting[0]["unit"] if fitting else None
    if value is not None:
        value = converted(value, change.unit, str(unit))
    if not fitting or value is None:
        return say(
            "what_value", turn, described=described, wanted=change.covariate, covariate=fitting[0] if fitting else None
        )
    return Changed([{"kind": "set_covariate", "name": fitting[0]["name"], "value": round(value, 3)}])


def _event(turn: Turn, change: Change, place: Place) -> Changed | list[Step] | str:
    if change.event is not None:
        return Changed([{"kind": "remove_event", "event": change.event}])
    near = {"dataset": turn.session.dataset, "node": place["id"], "kind": "event", "query": change.words}
    found = turn.result("retrieve_context", **near)
    if found is None:
        return [("retrieve_context", {**near, "hours": 24, "limit": 8})]
    if found.error is not None:
        return say("error", turn, error=found.error)
    acting = [hit for hit in _entries(found) if hit["kind"] != _NO_HAPPENING and hit["minutes_before"] >= 0]
    if not acting:
        return say("no_event", turn, place=place, found=found)
    chosen = _id(next((hit for hit in acting if hit["ongoing"]), acting[0]))
    first = min((_id(hit) for hit in acting if _is(hit, chosen)), key=len)  # "incident-7", not its news "incident-7/2"
    return Changed([{"kind": "remove_event", "event": first}])


def _logged(turn: Turn, change: Change) -> Result | list[Step] | str:
    """The log's entries, among which one that is named by its id may be."""
    query = {"dataset": turn.session.dataset, "query": str(change.event), "kind": "event"}
    found = turn.result("retrieve_context", **query)
    if found is None:
        return [("retrieve_context", {**query, "hours": LOGGED_HOURS, "limit": 20})]
    return found if found.error is None else say("error", turn, error=found.error)


def _entries(found: Result) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = found.reply["events"]
    return entries


def _id(hit: dict[str, Any]) -> str:
    """The entry's id in its data set's log."""
    return str(hit["passage"]["doc_id"]).partition("/")[2]


def _is(hit: dict[str, Any], event: str) -> bool:
    return _id(hit).partition("/")[0] == event.partition("/")[0]


# -- writing ----------------------------------------------------------------------------------------


def _written(template: str, turn: Turn, place: Place | None, found: Result, **more: Any) -> str:
    if found.error is not None:
        return say("error", turn, error=found.error)
    return prompts.load(f"answer_{template}").render(session=turn.session, place=place, found=found, **more)
