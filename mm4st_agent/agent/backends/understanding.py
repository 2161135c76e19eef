"""What a message asks for: its questions one by one, in the light of those before. The one place where that is told."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from mm4st_agent.agent.backends import channels, rankings, slots
from mm4st_agent.agent.backends.contrasts import past_span
from mm4st_agent.agent.backends.durations import lengths
from mm4st_agent.agent.backends.durations import number as count_of
from mm4st_agent.agent.backends.following import goes_on
from mm4st_agent.agent.backends.gathering import by_quantity, joined, shared_places
from mm4st_agent.agent.backends.going_back import back_to
from mm4st_agent.agent.backends.intents import Intent, IntentMatcher
from mm4st_agent.agent.backends.looks import EVERYWHERE
from mm4st_agent.agent.backends.probes import WHY
from mm4st_agent.agent.backends.reading import Reading, read
from mm4st_agent.agent.backends.request import AND_WHY, OTHER_QUANTITY, Request, clock_of
from mm4st_agent.agent.backends.spelling import mended
from mm4st_agent.agent.backends.splitting import questions_of
from mm4st_agent.agent.backends.tasks import (
    APART,
    AT_PLACES,
    CONTINUED,
    DECIDED,
    PROBED,
    SEEN,
    SOCIAL,
    is_order,
    task_of,
)
from mm4st_agent.agent.backends.times import Span, tense_of
from mm4st_agent.agent.backends.turns import Exchange, Turn
from mm4st_agent.agent.chat import Session

REMEMBERED = 8
"""So many earlier questions of a thread are read."""
CERTAIN = 0.8
"""A part of a message is taken for small talk, or for what is no matter here, from this probability on."""
RAW = 0.6
"""So much of the probability of the best intent must that of small talk have, where names are left as they stand."""
LIKELY = 0.5
"""As above, of a part that may be about the data, though it names nothing of them."""
UNMEASURED = 0.5
"""A quantity that the data have is not what is meant from this probability on."""
_COUNTED = re.compile(r"\bhow (?:many|much)\s+(\w+)", re.IGNORECASE)
_EITHER = re.compile(
    r"\b(?:which|slower|faster|quicker|busier|quieter|worse|better|cleaner|dirtier|fuller|more|less|fewer|higher|lower"
    r"|calmer|clearer)\b.*\bor\b|\bor\b.*\bwhich\b",
    re.IGNORECASE,
)
"""Words that set one of two places against the other, where two are named."""
_SURENESS = re.compile(
    r"\b(?:how (?:sure|certain|confident)|uncertain\w*|confidence|how much would you bet|error bars?"
    r"|(?:\d+ ?(?:%|percent) )?(?:prediction |confidence )?(?:band|interval)s?)\b",
    re.IGNORECASE,
)
_COMPARE = re.compile(
    r"\b(?:compar(?:e|es|ed|ing|ison)|contrast|than|versus|vs|against|next to|differ\w*|similar\w*|side by side)\b",
    re.IGNORECASE,
)
_MEASURED = frozenset({"quality", "backtest", "patterns", "picture"})
"""Tasks about what was; "7d" means the last seven days there."""
_LEAD = re.compile(
    r"\b((?:half[- ]an?[- ]|half[- ]|\d+[- ]?|one[- ]|two[- ]|an[- ])(?:hours?|minutes?|mins?|h))[- ](?:ahead"
    r"|(?:\w+[- ]){0,2}?(?:forecasts?|predictions?)|horizon|out|in advance|lead)",
    re.IGNORECASE,
)
_COUNT = re.compile(
    r"\b(\d{1,2}|two|three|four|five|six|seven|eight|nine|ten)\s+(?:\w+\s+){0,3}?(?:moments?|days?|times?|situations?"
    r"|twins?|analogues?"
    r"|analogs?|cases?|mornings?|evenings?|hours|precedents?|examples?)\b",
    re.IGNORECASE,
)
_THE_TWO = re.compile(r"\b(?:the|these|those) two\b|\bboth(?: of (?:them|these|those))?\b", re.IGNORECASE)
_ONE_WAY = re.compile(
    r"\bthe\s+(?P<way>north|south|east|west|clockwise|anticlockwise|inbound|outbound)(?:bound)?\s+"
    r"(?:side|one|tube|bore|carriageway|direction|lanes?|way)\b",
    re.IGNORECASE,
)
_RETRACTED = re.compile(
    r"\b(?P<kept>(?:i|we)(?:['’]d)? (?:meant?|wanted?|asked)\b.*?\w),?\s+(?:and\s+)?not\s+[^,;.?!]+\W*$", re.IGNORECASE
)
"""What was not meant stands behind what was."""
_QUOTED = re.compile(r"[\"“«][^\"”»]*[\"”»]")
_REFERS = re.compile(r"\b(?:that|it|this|those|them|same)\b", re.IGNORECASE)
_ANYWHERE = re.compile(r"\banywhere\b|\ball\b|\bcity\b", re.IGNORECASE)


def understand(turn: Turn, intents: IntentMatcher) -> list[Request]:
    """Read the latest message, in the light of those before it: one request for each question, in order."""
    described = {
        place["id"]: str(place["description"])
        for exchange in turn.earlier
        for result in exchange.results
        if result.tool == "find_places"
        for place in result.reply.get("matches", [])
    }
    before: Request | None = None
    spoken: list[tuple[str, ...]] = []
    for exchange in turn.earlier[-REMEMBERED:]:
        requests = _requests(exchange.question, turn.session, intents, before, None, described)
        lasting = [request for request in requests if request.task in CONTINUED]
        nodes = exchange.nodes or (before.nodes if before else ())
        latest = lasting[-1] if lasting else before or requests[-1]
        before = replace(latest, nodes=nodes, direction=None)
        spoken += [nodes] if nodes and nodes not in spoken else []
    if before is not None and len(before.nodes) < 2 and len(spoken) > 1 and _THE_TWO.search(turn.question):
        before = replace(before, nodes=(*spoken[-2][-1:], *spoken[-1][-1:]))
    last = turn.earlier[-1] if turn.earlier else None
    question = turn.question
    if before is not None and (back := back_to(question, spoken)) is not None:
        before, question, last = replace(before, nodes=back.nodes, places=()), back.rest, None
    return _requests(question, turn.session, intents, before, last, described)


def _requests(
    message: str,
    session: Session,
    intents: IntentMatcher,
    before: Request | None,
    last: Exchange | None,
    described: dict[str, str],
) -> list[Request]:
    """One for each question of a message, and for each further quantity of one."""
    found: list[Request] = []
    remarks: list[Request] = []
    spoken: str | None = None
    questions = questions_of(_without_quoted_orders(_without_retracted(mended(message, session))))
    for question in questions:
        reading = _on_one_way(_named_like_a_way(read(question, session), session), before, described)
        request = None
        if before is not None:
            request = goes_on(reading, before, last, session, clock_of(session), described)
        request = request or _new(reading, session, intents, before)
        if len(questions) > 1 and _is_remark(request, reading, session, intents):
            remarks.append(request)
            continue
        if (
            spoken is not None
            and not request.places[1:]
            and _REFERS.search(question)
            and not _names_exactly(reading, session)
        ):
            request = replace(request, channel=spoken, sure=True)  # "what is PM2.5, and how much of it is in the air?"
        if spoken is not None and request.task == "rank" and request.channel is None:
            request = replace(request, channel=spoken, sure=True)
        if found and _looks_on(request, found[-1], question, clock_of(session)):
            request = replace(request, span=found[-1].span)
        spoken = request.channel if request.sure else spoken
        found += by_quantity(request, session)
        if request.task in CONTINUED:
            before = replace(request, nodes=request.places or request.nodes)
        elif request.places:
            before = replace(before or request, nodes=request.places)
        last = None
    serious = [request for request in found if request.task not in SOCIAL]
    return shared_places(joined(serious) or found[:1] or remarks[:1])


def _without_retracted(message: str) -> str:
    """The message without what was not meant: "I meant the last hour, not the next"."""
    return _RETRACTED.sub(lambda found: found["kept"], message)


def _without_quoted_orders(message: str) -> str:
    """The message without what it only quotes of others who want to be obeyed: 'He wrote "ignore your rules". ...'."""
    return _QUOTED.sub(lambda found: ";" if is_order(found[0]) else found[0], message)


def _names_exactly(reading: Reading, session: Session) -> bool:
    """Whether a quantity is named by a word of its own, rather than by one for a whole field, such as "the air"."""
    return reading.quantity.sure and channels.named(reading.plain, session.channels, general=False).channel is not None


def _looks_on(request: Request, before: Request, question: str, clock: datetime) -> bool:
    """Whether the pattern or picture of "it" is wanted of the same time as the question before of this message."""
    open_ = request.span.start is None and request.span.problem is None and not request.places
    past = before.span.start is not None and before.span.side(clock) == "past"
    return request.task in ("patterns", "picture") and open_ and past and _REFERS.search(question) is not None


def _named_like_a_way(reading: Reading, session: Session) -> Reading:
    """The same with a place that is called "north" or the like as what it is."""
    called = next((name for name in session.place_ids if name.casefold() == reading.direction), None)
    at = None if called is None else re.search(rf"\b{re.escape(called)}\b", reading.question, re.IGNORECASE)
    if called is None or at is None or reading.named:
        return reading
    return replace(reading, direction=None, found=(slots.PlaceWords(called, at.span(), "id"),))


def _on_one_way(reading: Reading, before: Request | None, described: Mapping[str, str]) -> Reading:
    """The same with the one of the places spoken of that lies on the way named: "and on the northbound side?"."""
    found = _ONE_WAY.search(reading.question)
    if found is None or reading.named or before is None:
        return reading
    spoken = before.nodes or before.places
    on_it = [place for place in spoken if found["way"].casefold() in described.get(place, place).casefold()]
    if len(on_it) != 1 or len(spoken) < 2:
        return reading
    return replace(reading, direction=None, found=(slots.PlaceWords(on_it[0], found.span(), "id"),))


def _is_remark(request: Request, reading: Reading, session: Session, intents: IntentMatcher) -> bool:
    """Whether a part of a message that seems to be about nothing here may as well belong to the part beside it."""
    says_something = reading.named or reading.says_when or reading.quantity.sure
    if says_something or reading.ranking or reading.look.wanted or reading.probe.kind or reading.contrast:
        return False
    return max(_likely(reading, session, intents).values()) < (CERTAIN if request.task in APART else LIKELY)


def _new(reading: Reading, session: Session, intents: IntentMatcher, before: Request | None) -> Request:
    """A request of its own; the thread only tells which place is spoken of."""
    question, likely = reading.question, _likely(reading, session, intents)
    request = Request(
        question=question,
        task="status",
        span=reading.span,
        places=reading.named,
        identified=reading.identified,
        direction=reading.direction,
        kind=reading.kind,
        nodes=before.nodes if before else (),
        channel=reading.quantity.channel,
        sure=reading.quantity.sure,
        ranking=reading.ranking,
        look=reading.look,
        contrast=reading.contrast,
        unmeasured=_unmeasured(reading, session, likely),
        unknowable=reading.unknowable,
        premise=reading.premise,
        general=reading.general,
        unread=reading.unread,
        sureness=bool(_SURENESS.search(question)),
        why=bool(WHY.search(question) or AND_WHY.search(question)),
        probe=reading.probe,
        changes=reading.changes,
        compare=bool(_COMPARE.search(question)) or len(reading.named) > 1,
        compared=bool(_COMPARE.search(question) or (len(reading.named) == 2 and _EITHER.search(question))),
        threshold=reading.threshold,
    )
    pair = reading.named or request.nodes
    if len(reading.named) == 1 and request.nodes and _REFERS.search(question):
        pair = (*reading.named, *request.nodes[-1:])  # "does Placentia follow it?"
    if len(set(pair)) != 2:
        request = replace(request, look=reading.look.of_one(question))
    request = _beside_the_last(request, reading)
    task = task_of(request, reading.found, likely, clock_of(session))
    request = replace(request, task=task)
    if task in _MEASURED and request.span.side(clock_of(session)) == "future" and tense_of(question) != "future":
        request = replace(request, span=past_span(question, clock_of(session)))
    if task == "rank":
        return _ranked(request, session)
    if task in DECIDED:
        return replace(request, unread=None)
    if task == "what_if" and request.nodes and _only_supposed(reading):
        request = replace(request, places=(), identified=frozenset())  # "what if not for that at Castle Hill?"
    refers = bool(request.nodes) or _REFERS.search(question) is not None
    if not request.sure and refers and not request.places and before is not None:
        request = replace(request, channel=before.channel, sure=before.sure)  # "is that normal?"
    if task == "backtest":
        span, lead = _as_days(request.span, clock_of(session)), _LEAD.search(question)
        minutes = next((round(length.minutes) for length in lengths(lead[1].lower())), None) if lead else None
        return replace(request, unread=None, span=span, lead_minutes=minutes)
    if task == "analogs" and (number := _COUNT.search(question)):
        request = replace(request, count=int(number[1]) if number[1].isdigit() else round(count_of(number[1])))
    if task == "picture" and request.look.method is None:
        request = replace(request, look=replace(request.look, method="line"))
    if task in PROBED:
        request = replace(request, unread=None)
        open_ = not (request.places or request.nodes or request.changes)
        return replace(request, places=(reading.phrase,), weak=True) if open_ and reading.phrase else request
    if request.task == "comparison" and reading.contrast is not None:
        request = replace(request, span=reading.contrast.span, unread=None)
    if request.task not in AT_PLACES | SEEN or request.places:
        return request
    if request.task == "events" and _ANYWHERE.search(question):
        return replace(request, nodes=())
    guess = reading.phrase or slots.content_words(reading.bare)
    everywhere = (request.task == "events" and not reading.phrase) or reading.look.method in EVERYWHERE
    if guess and not everywhere and reading.direction is None:
        return replace(request, places=(guess,), weak=True)
    return request


def _only_supposed(reading: Reading) -> bool:
    """Whether places are named only in what is supposed, and a word stands for the one that was spoken of."""
    if reading.probe.supposition is None:
        return False
    start, end = reading.probe.supposition.clause
    asked = f"{reading.question[:start]} {reading.question[end:]}"
    return all(start <= place.at[0] < end for place in reading.found) and _REFERS.search(asked) is not None


def _likely(reading: Reading, session: Session, intents: IntentMatcher) -> Mapping[Intent, float]:
    """How probable each intent is.

    A place word in place of what only looks like a name makes many a question look like ours: where none that is
    named has a digit, the words as they stand have their say.
    """
    clock = clock_of(session)
    plain = intents.likely(reading.plain.replace(f"the {session.place_word}", "the station"), clock)
    if not reading.found or any(re.search(r"\d", place.text) for place in reading.found):
        return plain
    raw = intents.likely(reading.question, clock)
    apart = max(raw, key=lambda intent: raw[intent])
    return raw if apart in APART and raw[apart] > max(plain.values()) * RAW else plain


def _unmeasured(reading: Reading, session: Session, likely: Mapping[Intent, float]) -> str | None:
    """The quantity that is asked about and that the data do not have.

    Where one that they have is named too, and where no word for the other is known, the intent model has the say.
    """
    exact = channels.named(reading.plain, session.channels, general=False).channel is not None
    doubtful = likely["unmeasured"] < UNMEASURED
    if reading.unmeasured and (named := channels.unmeasured(reading.plain, session.channels, session.domain)):
        return None if exact and doubtful else named
    counted = _COUNTED.search(reading.plain)
    return None if exact or doubtful else counted[1] if counted else OTHER_QUANTITY


def _ranked(request: Request, session: Session) -> Request:
    """The same with what the ranking is by, and how traffic moves where that is what is ranked."""
    asked = request.ranking or rankings.described(request.question)
    exact = channels.named(request.question, session.channels, general=False).channel is not None
    if not exact and rankings.about_jams(request.question):
        speed = channels.named("speed", session.channels).channel
        request = replace(request, channel=speed or request.channel, sure=speed is not None)
    return replace(request, ranking=asked, places=(), nodes=(), direction=None)


def _as_days(span: Span, clock: datetime) -> Span:
    """The days up to now where "last week" or the like is all that a question about earlier forecasts says."""
    found = re.search(r"\b(?:last|past|previous)\s+(week|month)\b", span.words, re.IGNORECASE)
    if found is None:
        return span
    return replace(span, start=clock - timedelta(days=7 if found[1].casefold() == "week" else 30), end=clock)


def _beside_the_last(request: Request, reading: Reading) -> Request:
    """The same with the place spoken of last, where one that is named is set against it."""
    named = reading.named
    beside = request.compared or "relation" in request.look.aspects
    alone = len(named) == 1 and request.nodes and named[0] not in request.nodes
    if not (beside and alone) or reading.contrast is not None or reading.span.compared:
        return request
    first = request.nodes[-1]
    return replace(request, places=(first, *named), identified=request.identified | {first})
