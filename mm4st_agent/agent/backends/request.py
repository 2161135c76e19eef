"""What a question asks for: intent, places, time and quantity, also where it goes on from the question before."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

from mm4st_agent.agent.backends import channels, slots
from mm4st_agent.agent.backends.contrasts import Contrast, contrast, past_span
from mm4st_agent.agent.backends.intents import IntentMatcher
from mm4st_agent.agent.backends.looks import EVERYWHERE, Look, look
from mm4st_agent.agent.backends.probes import WHY, Probe, about_forecasts, probe, without_forecast
from mm4st_agent.agent.backends.rankings import Ranking, ranking, turned, without_pace
from mm4st_agent.agent.backends.suppositions import Change, Supposition, supposed
from mm4st_agent.agent.backends.tasks import AT_PLACES, CONTINUED, PROBED, SEEN, Task, by_time, task_of
from mm4st_agent.agent.backends.times import Span, tense_of, time_span
from mm4st_agent.agent.backends.turns import Exchange, Turn
from mm4st_agent.agent.chat import Session

REMEMBERED = 8
"""So many earlier questions of a thread are read."""

_SURENESS = re.compile(r"\b(?:how (?:sure|certain|confident)|uncertain\w*)\b", re.IGNORECASE)
_WHY = re.compile(
    r"\W*(?:but |and |so )?(?:why|how come)(?:\s+(?:is|was|would)?\s*(?:that|it|this|so|not))*\W*$", re.IGNORECASE
)
_QUESTION = re.compile(
    r"\b(?:what|how|will|is|are|was|were|why|when|where|which|who|show|forecast|predict|tell|list|do|does|did|can)\b",
    re.IGNORECASE,
)
_LINKING = frozenset(
    {
        "a", "about", "again", "also", "and", "at", "between", "but", "by", "for", "from", "how", "in", "instead", "is",
        "it", "next", "now", "of", "ok", "okay", "on", "or", "over", "please", "right", "s", "same", "so", "than",
        "the", "then", "there", "to", "too", "until", "well", "what", "with",
    }
)  # fmt: skip
_COMPARE = re.compile(
    r"\b(?:compar(?:e|es|ed|ing|ison)|contrast|than|versus|vs|against|next to|differ\w*|similar\w*|side by side)\b",
    re.IGNORECASE,
)
_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth")


@dataclass(frozen=True)
class Request:
    """What is asked.

    Attributes:
        question: The words that set the task.
        places: Words or ids that find_places gets; empty when none is named.
        weak: The words of `places` are a guess; where nothing fits, they name no place.
        nodes: The places that the thread spoke of last; they stand in where none is named.
        identified: Those of `places` that are ids or quoted; what they name is meant, whatever it measures.
        kind: The kind of place that is named, such as 'air station'.
        channel: The quantity; None is the first that the place measures.
        sure: The question names this quantity; else it was only hinted at, or comes from an earlier question.
        ranking: How all places are ranked.
        look: The picture or the pattern that is named.
        contrast: The two windows that are compared.
        unmeasured: A quantity that is named and that the data do not have.
        sureness: How sure the forecast is, is the point.
        why: What moves the forecast is asked along with it.
        probe: What is asked of the forecaster itself.
        changes: What is supposed to be otherwise.
        compare: Several places are to be compared.
        compared: Words say so; else several places are only named.
        unread: Several of these are named, and only the first is answered.
    """

    question: str
    task: Task
    span: Span
    places: tuple[str, ...] = ()
    weak: bool = False
    nodes: tuple[str, ...] = ()
    identified: frozenset[str] = frozenset()
    kind: str | None = None
    channel: str | None = None
    sure: bool = False
    ranking: Ranking | None = None
    look: Look = field(default_factory=Look)
    contrast: Contrast | None = None
    unmeasured: str | None = None
    sureness: bool = False
    why: bool = False
    probe: Probe = field(default_factory=Probe)
    changes: tuple[Change, ...] = ()
    compare: bool = False
    compared: bool = False
    unread: Literal["times", "quantities"] | None = None


def understand(turn: Turn, intents: IntentMatcher) -> Request:
    """Read the latest question, in the light of those before it."""
    before: Request | None = None
    for exchange in turn.earlier[-REMEMBERED:]:
        request = _read(exchange.question, turn.session, intents, before, None)
        nodes = exchange.nodes or (before.nodes if before else ())
        before = replace(request if request.task in CONTINUED else before or request, nodes=nodes)
    last = turn.earlier[-1] if turn.earlier else None
    return _read(turn.question, turn.session, intents, before, last)


def clock_of(session: Session) -> datetime:
    """The clock in the data's own zone, so that days with a clock change are right."""
    return datetime.fromisoformat(session.as_of).astimezone(ZoneInfo(session.time_zone))


def _read(
    question: str, session: Session, intents: IntentMatcher, before: Request | None, last: Exchange | None
) -> Request:
    clock = clock_of(session)
    asked = probe(question)
    supposing = asked.supposition
    said = without_forecast(question) if asked.kind == "backtest" else question  # these forecasts were made before
    span, wanted, against = time_span(said, clock), look(question), contrast(question, clock)
    if wanted.wanted and span.side(clock) == "future" and tense_of(question) != "future":
        span = past_span(question, clock)  # what is looked at was measured
    masked = _blank(
        question, (*span.at, *(against.at if against else ()), *wanted.at, *(supposing.at if supposing else ()))
    )
    if span.compared:
        masked = masked.replace(span.compared, ";" * len(span.compared))
    masked = _blank(masked, channels.spans(masked, session.channels, with_digits=True))
    found = slots.places(question, session.place_word, known=session.place_ids, masked=masked)
    if wanted.map:
        bare = _blank(masked, channels.spans(masked, session.channels))
        found = [place for place in found if re.search(r"\w", bare[slice(*place.at)])]
    found, changes = _supposed(question, supposing, found)
    named = tuple(dict.fromkeys(place.text for place in found))
    ranked = ranking(question, session.place_word)
    meant = _blank(question, [supposing.clause] if supposing else [])
    quantity = channels.named(without_pace(meant) if ranked else meant, session.channels)
    bare = _blank(masked, channels.spans(masked, session.channels))
    if before is not None:
        answered = last is not None and not last.nodes and before.task in AT_PLACES | PROBED
        if answered and last is not None and not _QUESTION.search(question) and span.start is None:
            chosen = _chosen(question, named, last)
            return replace(before, places=(chosen,), identified=frozenset({chosen}), weak=False)
        says_something = bool(named) or span.start is not None or span.now or quantity.sure
        new_wish = wanted.wanted or against is not None or asked.kind is not None
        if before.ranking is not None and before.task == "rank" and (other := turned(question, before.ranking)):
            return replace(before, ranking=other)
        follow = not new_wish and _follows(bare, found, session, says_something)
        if before.task in CONTINUED and (_WHY.fullmatch(question) or follow):
            why = _WHY.fullmatch(question) is not None
            if before.task in ("rank", "map") and (named or (why and before.nodes)):
                top = before.nodes[:1]
                before = replace(before, task="status", places=top, identified=frozenset(top), compare=False)
            task = before.task
            new_span = span if span.start is not None or span.now or span.problem else before.span
            if task == "comparison" and (span.start is not None or span.now):
                before = replace(before, contrast=None)  # the new time is no more set against another
            if task in ("forecast", "status"):
                task = by_time(task, new_span, tense_of(question), clock)
            return replace(
                before,
                task=task,
                why=before.why or why,
                span=new_span,
                places=named or before.nodes or before.places,
                identified=_identified(found) if named else frozenset(before.nodes),
                weak=False,
                channel=quantity.channel or before.channel,
                sure=quantity.sure or (not named and before.sure),
                question=before.question,
            )
    request = Request(
        question=question,
        task="status",
        span=span,
        places=named,
        identified=_identified(found),
        kind=slots.kind(question, session.kinds),
        nodes=before.nodes if before else (),
        channel=quantity.channel,
        sure=quantity.sure,
        ranking=None if found else ranked,
        look=wanted,
        contrast=against,
        unmeasured=channels.unmeasured(question, session.channels, session.domain),
        unread=_unread(question, span, quantity.channel, session),
        sureness=bool(_SURENESS.search(question)),
        why=bool(WHY.search(question)),
        probe=asked,
        changes=changes,
        compare=bool(_COMPARE.search(question)) or len(named) > 1,
        compared=bool(_COMPARE.search(question)),
    )
    if len(named or request.nodes) != 2:
        request = replace(request, look=wanted.of_one(question))
    beside = request.compared or "relation" in request.look.aspects
    if (
        beside
        and against is None
        and len(named) == 1
        and request.nodes
        and named[0] not in request.nodes
        and not span.compared
    ):
        first = request.nodes[-1]
        request = replace(request, places=(first, *named), identified=request.identified | {first})
    plain = question
    for place in reversed(found):
        plain = plain[: place.at[0]] + f"the {session.place_word}" + plain[place.at[1] :]
    similar = intents.match(plain)
    if all(place.kind != "id" for place in found) and intents.match(question) == "off_topic":
        similar = "off_topic"  # a place word in place of a name makes many a question look like ours
    plainly = wanted.wanted or ranked or against or request.sureness or request.why or asked.kind
    if not plainly and (about_forecasts(question) or before is not None):
        request = replace(request, probe=Probe(intents.inquiry(plain)))
    request = replace(request, task=task_of(request, found, similar, clock))
    if request.task in PROBED:
        return replace(request, unread=None)
    if request.task == "comparison" and against is not None:
        request = replace(request, span=against.span, unread=None)
    if request.task not in AT_PLACES | SEEN or request.places:
        return request
    if re.search(r"\banywhere\b|\ball\b", question.lower()) and request.task == "events":
        return replace(request, nodes=())
    guess = slots.content_words(bare)
    everywhere = request.task == "events" or wanted.method in EVERYWHERE
    if guess and not everywhere:
        return replace(request, places=(guess,), weak=True)
    return request


def _supposed(
    question: str, supposing: Supposition | None, found: list[slots.PlaceWords]
) -> tuple[list[slots.PlaceWords], tuple[Change, ...]]:
    """The places whose forecast is meant, and the changes, which have places of their own."""
    if supposing is None:
        return found, ()
    start, end = supposing.clause
    inside = [place for place in found if start <= place.at[0] < end]
    outside = [place for place in found if place not in inside]
    changes = supposed(question, supposing, [place.text for place in inside])
    kind = changes[0].kind if changes else None
    if kind == "remove_sensor":
        return outside, changes  # without one, it is the sensor's own forecast
    return outside or (inside[1:2] if kind == "remove_road" else inside[:1]), changes


def _identified(found: list[slots.PlaceWords]) -> frozenset[str]:
    return frozenset(place.text for place in found if place.kind == "id")


def _blank(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """The text with what stands there as ';', so that it names no place."""
    for start, end in spans:
        text = text[:start] + ";" * (end - start) + text[end:]
    return text


def _unread(question: str, span: Span, channel: str | None, session: Session) -> Literal["times", "quantities"] | None:
    if span.more:
        return "times"
    others = [c for c in session.channels if c["name"] != channel]
    return "quantities" if channel and channels.named(question, others, general=False).channel else None


def _follows(masked: str, found: list[slots.PlaceWords], session: Session, says_something: bool) -> bool:
    """Whether nothing but places, times and quantities stands in the question, so that it goes on from the last one."""
    text = masked
    for place in found:
        text = text[: place.at[0]] + ";" * (place.at[1] - place.at[0]) + text[place.at[1] :]
    if re.search(r"\bhow\s+(?!about)", text, re.IGNORECASE) or re.search(r"\bis\s+\w", text, re.IGNORECASE):
        return False
    words = re.findall(r"[^\W\d_]+", text.casefold())
    quantities = {w for c in session.channels for w in (c["name"].casefold(), *c["title"].casefold().split())}
    rest = [word for word in words if word not in _LINKING and word not in quantities and word != session.place_word]
    return not rest and (says_something or bool(set(words) & quantities))


def _chosen(question: str, named: tuple[str, ...], last: Exchange) -> str:
    """What an answer to "which one?" means: a name, or one of the places that were offered."""
    offered = [
        m for r in last.results if r.tool == "find_places" for m in (r.best_places or r.reply.get("matches", []))
    ]
    words = re.findall(r"[\w-]+", question.casefold())
    for place in offered:
        if place["id"].casefold() in words:
            return str(place["id"])
    for rank, ordinal in enumerate(_ORDINALS):
        if ordinal in words and rank < len(offered):
            return str(offered[rank]["id"])
    wanted = [w for w in words if w not in ("the", "one", "a", "i", "mean", "please", "of", "at", "it", "s", "station")]
    fitting = [
        m for m in offered if wanted and all(w[:5] in f"{m['id']} {m['description']}".casefold() for w in wanted)
    ]
    if len(fitting) == 1:
        return str(fitting[0]["id"])
    return named[0] if named else question.strip(" .?!") or question
