"""What a question asks for: intent, places, time and quantity, also where it goes on from the question before."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

from mm4st_agent.agent.backends import channels, slots
from mm4st_agent.agent.backends.dates import Tense
from mm4st_agent.agent.backends.intents import Intent, IntentMatcher
from mm4st_agent.agent.backends.rankings import Ranking, ranking, turned, without_pace
from mm4st_agent.agent.backends.times import Span, tense_of, time_span
from mm4st_agent.agent.backends.turns import Exchange, Turn
from mm4st_agent.agent.chat import Session

Task = Intent | Literal["heatmap", "clock", "thanks", "identity", "all_places", "foresee", "unmeasured"]
AT_PLACES = frozenset({"forecast", "status", "events"})
"""Tasks about certain places."""
CONTINUED = frozenset({*AT_PLACES, "heatmap", "rank"})
"""Tasks that a question such as "and tomorrow?" goes on with."""
REMEMBERED = 8
"""So many earlier questions of a thread are read."""

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
_HEATMAP = re.compile(r"\bheat ?-?maps?\b", re.IGNORECASE)
_ALL = re.compile(
    r"\b(?:all|every|each)\s+(?:of\s+)?(?:the\s+)?(?:stations?|sensors?|places?|nodes?)\b|\beverywhere\b", re.IGNORECASE
)
_ACCURACY = re.compile(r"\b(?:accurate|accuracy|reliable|reliability|trustworthy|how good|how sure)\b", re.IGNORECASE)
_LOCATE = re.compile(
    r"\bwhere (?:is|are)\b|\b(?:which|what)\s+(?:stations?|sensors?|places?|freeways?|roads?|ids?)\b|\bfind\b|\blist\b"
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
_SURE_TASKS: dict[re.Pattern[str], Task] = {
    _INJECTION: "off_topic",
    _THANKS: "thanks",
    _IDENTITY: "identity",
    _CLOCK: "clock",
    _HEATMAP: "heatmap",
}
_COMPARE = re.compile(r"\b(?:compare|compared|than|versus|vs)\b", re.IGNORECASE)
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
        unmeasured: A quantity that is named and that the data do not have.
        accuracy: How good the forecast is, is the point.
        compare: Several places are to be compared.
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
    unmeasured: str | None = None
    accuracy: bool = False
    compare: bool = False
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
    span = time_span(question, clock)
    masked = _blank(question, span.at)
    if span.compared:
        masked = masked.replace(span.compared, ";" * len(span.compared))
    masked = _blank(masked, channels.spans(masked, session.channels, with_digits=True))
    found = slots.places(question, session.place_word, known=session.place_ids, masked=masked)
    named = tuple(dict.fromkeys(place.text for place in found))
    ranked = ranking(question, session.place_word)
    quantity = channels.named(without_pace(question) if ranked else question, session.channels)
    bare = _blank(masked, channels.spans(masked, session.channels))
    if before is not None:
        answered = last is not None and not last.nodes and before.task in AT_PLACES
        if answered and last is not None and not _QUESTION.search(question) and span.start is None:
            chosen = _chosen(question, named, last)
            return replace(before, places=(chosen,), identified=frozenset({chosen}), weak=False)
        says_something = bool(named) or span.start is not None or span.now or quantity.sure
        if before.ranking is not None and before.task == "rank" and (other := turned(question, before.ranking)):
            return replace(before, ranking=other)
        follow = _follows(bare, found, session, says_something)
        if before.task in CONTINUED and (_WHY.fullmatch(question) or follow):
            why = _WHY.fullmatch(question) is not None
            if before.task == "rank" and (named or (why and before.nodes)):
                top = before.nodes[:1]
                before = replace(before, task="status", places=top, identified=frozenset(top), compare=False)
            task = before.task
            new_span = span if span.start is not None or span.now or span.problem else before.span
            if task in ("forecast", "status"):
                task = _by_time(task, new_span, tense_of(question), clock)
            return replace(
                before,
                task=task,
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
        unmeasured=channels.unmeasured(question, session.channels, session.domain),
        unread=_unread(question, span, quantity.channel, session),
        accuracy=bool(_ACCURACY.search(question))
        and not re.search(r"\b(?:data|readings?|sensors?)\b", question.lower()),
        compare=bool(_COMPARE.search(question)) or len(named) > 1,
    )
    if (
        _COMPARE.search(question)
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
    request = replace(request, task=_task(request, found, similar, clock))
    if request.task not in (*AT_PLACES, "heatmap") or request.places:
        return request
    if re.search(r"\banywhere\b|\ball\b", question.lower()) and request.task == "events":
        return replace(request, nodes=())
    guess = slots.content_words(bare)
    if guess and request.task in ("forecast", "status"):
        return replace(request, places=(guess,), weak=True)
    return request


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


def _task(request: Request, found: list[slots.PlaceWords], similar: Intent, clock: datetime) -> Task:
    """The task: words that leave no choice first, then the most similar examples, corrected by what was read."""
    question, span = request.question, request.span
    tense = tense_of(question)
    for pattern, sure in _SURE_TASKS.items():
        if pattern.search(question):
            return sure
    if request.ranking is not None and similar != "concept":
        if request.unmeasured:
            return "unmeasured"
        ahead = (span.side(clock) or ("future" if tense == "future" and not span.now else "past")) == "future"
        return "all_places" if ahead else "rank"
    if request.accuracy and similar not in ("dataset", "concept"):
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
    return _by_time(task, span, tense, clock)


def _by_time(task: Task, span: Span, tense: Tense | None, clock: datetime) -> Task:
    """What lies ahead can only be forecast; what was, or is, never is."""
    side = span.side(clock)
    if side is not None:
        return "forecast" if side == "future" else "status"
    if span.now or tense == "past":
        return "status"
    if tense == "future":
        return "forecast"
    return "status" if tense == "present" else task


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
