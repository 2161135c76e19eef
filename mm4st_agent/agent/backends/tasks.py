"""Which task a question sets: words that leave no choice first, then the nearest examples, corrected by the rest."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from mm4st_agent.agent.backends import slots
from mm4st_agent.agent.backends.dates import Tense
from mm4st_agent.agent.backends.intents import Intent
from mm4st_agent.agent.backends.times import Span, tense_of

if TYPE_CHECKING:
    from mm4st_agent.agent.backends.request import Request

Task = (
    Intent
    | Literal[
        "explanation",
        "what_if",
        "analogs",
        "backtest",
        "map",
        "picture",
        "patterns",
        "comparison",
        "clock",
        "thanks",
        "identity",
        "all_places",
        "foresee",
        "unmeasured",
    ]
)
AT_PLACES = frozenset({"forecast", "status", "events"})
"""Tasks about certain places."""
SEEN = frozenset({"picture", "patterns", "comparison"})
"""Tasks that show certain places."""
PROBED = frozenset({"explanation", "what_if", "analogs", "backtest"})
"""Tasks that ask something of the forecaster itself."""
CONTINUED = frozenset({*AT_PLACES, *SEEN, *PROBED, "map", "rank"})
"""Tasks that a question such as "and tomorrow?" goes on with."""

_THANKS = re.compile(
    r"^\W*(?:many |ok(?:ay)?,? )?(?:thanks?|thank you|thx|cheers)\b"
    r"(?:(?!\b(?:how|what|will|is|and|forecast|show)\b)[^?\d]){0,25}$",
    re.IGNORECASE,
)
_IDENTITY = re.compile(
    r"\b(?:who|what) are you\b|\b(?:your name|which model are you)\b"
    r"|\bare you (?:an? )?(?:human|person|real|bot|robot|ai|gpt|chatgpt|llm|language model)\b",
    re.IGNORECASE,
)
_CLOCK = re.compile(
    r"\bwhat(?:'s| is)? (?:the )?(?:current )?(?:time|date)(?: is it| now)?\s*\W*$"
    r"|\bwhat (?:day|time) is (?:it|today)\b",
    re.IGNORECASE,
)
_INJECTION = re.compile(r"\b(?:ignore|forget|disregard)\b.{0,30}\b(?:instructions|prompt|rules)\b", re.IGNORECASE)
_ALL = re.compile(
    r"\b(?:all|every|each)\s+(?:of\s+)?(?:the\s+)?(?:stations?|sensors?|places?|nodes?)\b"
    r"|\beverywhere\b",
    re.IGNORECASE,
)
_LOCATE = re.compile(
    r"\bwhere (?:is|are)\b|\b(?:which|what)\s+(?:stations?|sensors?|places?|freeways?|roads?|ids?)\b|\bfind\b"
    r"|\blist\b"
    r"|\bid of\b|\bhow many (?:stations|sensors|places)\b|\bnear(?:est|by)\b|\bupstream\b|\bdownstream\b",
    re.IGNORECASE,
)
_LISTING = re.compile(
    r"\W*(?:(?:list|show|name|give)(?: me)?|which|what)(?: all)?(?: of)?(?: the| your)?"
    r" (?:places|stations|sensors|nodes|roads|freeways|directions|cities|kinds)"
    r"(?: (?:are there|do you (?:know|have)|exist|you know|there are|have you got))?\W*",
    re.IGNORECASE,
)
_ABOUT = re.compile(r"\b(?:tell me about|how (?:is|was|are|were)|status of|state of|what about)\b", re.IGNORECASE)
_EVENT = re.compile(
    r"\b(?:incidents?|accidents?|collisions?|crash\w*|closures?|closed|hazards?|events?|breakdowns?|roadworks?)\b",
    re.IGNORECASE,
)
_LEVEL = re.compile(
    r"\b(?:busy|busier|quiet\w*|traffic|jam\w*|congest\w*|normal|usual\w*|value|level|reading)\b", re.IGNORECASE
)
_MEANING = re.compile(
    r"\W*(?:please )?(?:what(?:['’]s| is| are| does)|explain|define|how (?:do|does) (?:an? )?|tell me (?:about"
    r"|what))\s+"
    r"(?!the\b|your\b|its?\b|there\b|this\b|that\b|happening\b)(?!.*\b(?:follow|show|look)s?\b)",
    re.IGNORECASE,
)
_AHEAD_OF = re.compile(r"\bahead of\b", re.IGNORECASE)
_COMPARATIVE = re.compile(
    r"\b(?:more|less|fewer|higher|lower|busier|quieter|faster|slower|worse|better|cleaner|dirtier)\b", re.IGNORECASE
)
_SURE_TASKS: dict[re.Pattern[str], Task] = {
    _INJECTION: "off_topic",
    _THANKS: "thanks",
    _IDENTITY: "identity",
    _CLOCK: "clock",
}


def task_of(request: Request, found: list[slots.PlaceWords], similar: Intent, clock: datetime) -> Task:
    """The task: words that leave no choice first, then the most similar examples, corrected by what was read."""
    question, span = request.question, request.span
    tense = tense_of(question)
    for pattern, sure in _SURE_TASKS.items():
        if pattern.search(question):
            return sure
    asked = request.probe.kind
    if asked is not None and not (not found and similar == "concept" and _MEANING.match(question)):
        return asked
    if (seen := _seen(request, found, similar, clock)) is not None:
        return seen
    if request.ranking is not None and similar != "concept":
        if request.unmeasured:
            return "unmeasured"
        ahead = (span.side(clock) or ("future" if tense == "future" and not span.now else "past")) == "future"
        return "all_places" if ahead else "rank"
    if request.sureness and similar not in ("dataset", "concept"):
        return "forecast"
    if not found and _LISTING.fullmatch(question):
        return "dataset"
    if not found and request.kind and _LISTING.fullmatch(slots.without_kind(question, request.kind, "stations")):
        return "places"
    by_id = any(place.kind == "id" for place in found)
    data_words = bool(request.channel or request.unmeasured or _LEVEL.search(question))
    task: Task = "status" if similar == "rank" else similar
    if similar in ("places", "dataset", "concept", "chat", "off_topic") and found and not _LOCATE.search(question):
        about = by_id or (data_words and similar != "concept") or bool(_ABOUT.search(question))
        if about or (similar in ("places", "dataset", "chat") and (span.start is not None or span.now)):
            task = "events" if _EVENT.search(question) else "status"
    elif (
        similar == "places"
        and data_words
        and not (found and _LOCATE.search(question))
        and (tense in ("past", "future") or span.now or span.start is not None)
    ):
        task = "status"
    if task == "concept" and request.unmeasured and tense in ("past", "future"):
        task = "status"
    if task in ("off_topic", "chat") and (request.unmeasured or (data_words and (span.start is not None or span.now))):
        task = "status"
    if task not in AT_PLACES:
        return task
    side = span.side(clock) or ("past" if tense == "past" else "future" if tense == "future" else None)
    if task == "events" or _EVENT.search(question):
        if _EVENT.search(question):
            return "foresee" if side == "future" else "events"
        task = "status"
    if request.unmeasured:
        return "unmeasured"
    if _ALL.search(question) and not found:
        return "all_places"
    return by_time(task, span, tense, clock)


def _seen(request: Request, found: list[slots.PlaceWords], similar: Intent, clock: datetime) -> Task | None:
    """The task where a picture, a pattern or a comparison of what was measured is wanted."""
    question, wanted = request.question, request.look
    if not found and _MEANING.match(question):
        return "concept" if wanted.wanted else None
    if request.unmeasured and wanted.wanted and "noise" not in wanted.aspects:
        return "unmeasured"
    if wanted.map:
        return "map"
    side = request.span.side(clock)
    ahead = side == "future" or (side is None and tense_of(_AHEAD_OF.sub(" ", question)) == "future")
    nowhere = not found and not request.nodes
    if wanted.method == "auto" and (ahead or (nowhere and similar == "off_topic")):
        return None
    if wanted.method == "line":
        return None if ahead else "status"
    if wanted.method is not None:
        return "picture"
    if request.ranking is not None or _EVENT.search(question) or request.sureness:
        return None
    if request.contrast is not None and not (similar == "concept" and not found):
        return "comparison"
    if ahead:
        return None
    if wanted.aspects and not (request.span.now and wanted.aspects == ("anomalies",)):
        return None if nowhere and similar == "off_topic" else "patterns"
    beside = request.compared or (side == "past" and _COMPARATIVE.search(question) is not None)
    return "comparison" if len(request.places) == 2 and beside and similar != "concept" else None


def by_time(task: Task, span: Span, tense: Tense | None, clock: datetime) -> Task:
    """What lies ahead can only be forecast; what was, or is, never is."""
    side = span.side(clock)
    if side is not None:
        return "forecast" if side == "future" else "status"
    if span.now or tense == "past":
        return "status"
    if tense == "future":
        return "forecast"
    return "status" if tense == "present" else task
