"""Questions that go on from the one before: "and tomorrow?", "same for S041", "why?", "draw that", "the second one"."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from mm4st_agent.agent.backends.choices import chosen_among
from mm4st_agent.agent.backends.contrasts import coming_span, past_span
from mm4st_agent.agent.backends.directions import headed, turned, turns_round, way_only
from mm4st_agent.agent.backends.durations import lengths
from mm4st_agent.agent.backends.looks import Look
from mm4st_agent.agent.backends.probes import Probe
from mm4st_agent.agent.backends.rankings import turned as ranking_turned
from mm4st_agent.agent.backends.reading import Reading, with_span
from mm4st_agent.agent.backends.request import Request
from mm4st_agent.agent.backends.tasks import AT_PLACES, CONTINUED, PROBED, by_time
from mm4st_agent.agent.backends.times import Span, tense_of, time_span
from mm4st_agent.agent.backends.turns import Exchange
from mm4st_agent.agent.chat import Session

_WHY = re.compile(
    r"\W*(?:but |and |so |ok(?:ay)?,? )?(?:why|how come|what for|for what reason|what(?:'s| is) (?:the reason|behind"
    r"|driving)|what (?:drives|explains))(?:\s+(?:is|was|would|will|isn't|wouldn't|won't|does|doesn't|do you think)?\s*"
    r"(?:that|it|this|so|not|be|the forecast|the number|much|many|high|low|higher|lower|more|less|fewer|fast|slow"
    r"|faster"
    r"|slower|worse|better|busier|quieter|expected)*)*\W*",
    re.IGNORECASE,
)
_SHOW = re.compile(
    r"\W*(?:(?:and|ok(?:ay)?|now|please|pls|can you|could you|can i|could i|may i|i(?:'d| would) (?:like|love)? ?to"
    r"|i want to"
    r"|let me|let's)\b[\s,]*)*(?:show|draw|plot|see|picture|visuali[sz]e|graph|chart|have|look at|sketch|display)"
    r"(?:\s+(?:me|us|it|that|this|them|a|the|picture|plot|graph|chart|curve|line|of|as|in|an|image|then|please|how"
    r"|looks?"
    r"|like|drawing|there|at|here|series))*\W*",
    re.IGNORECASE,
)
_QUESTION = re.compile(
    r"\b(?:what|how|will|is|are|was|were|why|when|where|which|who|show|forecast|predict|tell|list|do|does|did|can)\b",
    re.IGNORECASE,
)
_LINKING = frozenset(
    {
        "a", "about", "again", "also", "and", "at", "between", "but", "by", "for", "from", "how", "in", "instead",
        "is", "it", "next", "now", "of", "ok", "okay", "on", "or", "over", "please", "right", "s", "same", "so",
        "than", "the", "then", "there", "to", "too", "until", "well", "what", "with", "make", "that", "do", "try",
        "give", "me", "thing", "things", "across", "road", "street", "sorry", "i", "meant", "mean", "actually",
        "rather", "one", "ones", "whole", "just", "only", "take", "let", "us", "as", "before", "case", "had", "hmm",
        "pls", "great", "good", "fine", "cool", "alright", "perfect", "thank", "thanks", "you", "could", "would",
        "can", "tell", "know", "like", "see", "have", "want", "need", "d", "after", "later", "this", "these", "near",
        "direction", "further", "way",
        "around", "along", "past", "beside", "through", "via", "enough", "any", "got",
        "those", "hour", "hours", "day", "days", "minute", "minutes", "week", "out", "long", "longer", "into", "be",
    }
)  # fmt: skip
_RELATIVE_LATER = re.compile(
    r"\b(?:the\s+)?(?P<unit>hour|day)\s+after\s+(?:that|this|it)\b"
    r"|\b(?P<after>after)\s+(?:that|this)\b|\b(?:later|further)\s+(?:than (?:that|this))\b|\b(?P<later>later"
    r"|further on)\b",
    re.IGNORECASE,
)
_PAST = re.compile(r"\b(?:yesterday|ago|last|past|previous|since|earlier|before)\b", re.IGNORECASE)
_THE_DAY_BEFORE = re.compile(r"\bthe\s+(?P<unit>hour|day|week)\s+before(?:\s+(?:that|this))?\b", re.IGNORECASE)
_NOW_FOR = re.compile(r"\W*(?:and |ok(?:ay)?,? |so )?now\b(?!\s*[?!.]*$)", re.IGNORECASE)
"""What is next, not when."""
_WHICH_ONE = re.compile(
    r"\W*(?:(?:and|but|then|ok(?:ay)?|so)\W+)*(?:which|what)(?:\s+(?:one|ones|of (?:them|these|those)))?\s+"
    r"(?:is|are|was|were|will(?:\s+it)?(?:\s+be)?|would(?:\s+it)?(?:\s+be)?)\b(?:\s+(?:be|it|that|then))*",
    re.IGNORECASE,
)
"""Asks a ranking once more, of another time: "and which one will be over the next hour?"."""
_LONGER = re.compile(
    r"\b(?:make (?:it|that)|extend (?:it|that)? ?to|stretch (?:it|that)? ?to|go (?:out )?to)\b", re.IGNORECASE
)


_HOW_THERE = re.compile(
    r"\bhow (?:is|was|are|were|will|would)\s+(?:it|that|they|things|this)\s+(?:be\s+|look\s+)?"
    r"(?:for|with|at|on|in)\b",
    re.IGNORECASE,
)
"""Asks the same of something else: "and how was it for occupancy?"."""
_SAME = re.compile(r"\b(?:same|likewise|ditto)\b", re.IGNORECASE)
_WAS_MEASURED = frozenset({"picture", "patterns", "quality", "comparison"})
"""Tasks about what was; a question about a time ahead does not go on with them."""


def goes_on(
    reading: Reading,
    before: Request,
    last: Exchange | None,
    session: Session,
    clock: datetime,
    described: Mapping[str, str],
) -> Request | None:
    """The request before with what this question changes of it; None where it asks something new.

    Args:
        reading: Of the question.
        before: The request of the thread that questions go on from.
        last: The exchange before, unless another question of the same message stands between.
        session: Tells the card's words.
        clock: Now.
        described: What find_places said of places of this thread, by id.
    """
    question, span, quantity = reading.question, reading.span, reading.quantity
    if (answered := _answered(reading, before, last)) is not None:
        return answered
    if before.task not in CONTINUED:
        return None
    if before.ranking is not None and before.task == "rank" and (other := ranking_turned(question, before.ranking)):
        return replace(before, ranking=other)
    if before.task == "rank" and reading.says_when and not reading.named and (once_more := _WHICH_ONE.match(question)):
        rest = question[once_more.end() :]
        if _says_only_when(rest, clock):
            return replace(before, span=span, question=question)
    if turns_round(question) and not reading.named and before.nodes:
        other_ways = [way for node in before.nodes if (way := turned(described.get(node, node))) is not None]
        if other_ways:
            span = span if reading.says_when else before.span
            return replace(before, span=span, places=tuple(other_ways), identified=frozenset(), direction=None)
    way, spoken = way_only(question), before.nodes or before.places
    words = headed(described.get(spoken[0], spoken[0]), way) if way and spoken else None
    if words is not None:
        return replace(before, places=(words,), identified=frozenset(), direction=None)
    if _SHOW.fullmatch(question) and before.task in ("forecast", "status", "comparison", "patterns", "explanation"):
        past = before.span if before.span.start is not None and before.span.side(clock) == "past" else Span()
        return replace(before, task="picture", look=Look(method="line"), span=past, question=question, why=False)
    why = _WHY.fullmatch(question) is not None
    if before.task == "rank" and (why or reading.named):
        before = replace(before, task="status", places=(), nodes=before.nodes[:1], compare=False, ranking=None)
    if before.task == "map" and (reading.named or (why and before.nodes)):
        before = replace(before, task="status", places=(), nodes=before.nodes[:1], compare=False)
    if why and before.task == "forecast":
        return replace(before, task="explanation", probe=Probe("explanation"), places=before.nodes or before.places,
                       identified=frozenset(before.nodes) or before.identified, question=question)  # fmt: skip
    if reading.named and span.now and _NOW_FOR.match(question):
        reading = with_span(reading, Span())  # "now S041": the same about that one
        span = reading.span
    new_wish = reading.look.wanted or reading.contrast is not None or reading.probe.kind is not None or reading.ranking
    says_something = bool(reading.named) or reading.says_when or quantity.sure or reading.direction is not None
    if before.task in _WAS_MEASURED and span.side(clock) == "future":
        return None
    later = _moved(question, before, clock)
    if reading.unmeasured and not quantity.sure and _only_links(reading, session) and not new_wish:
        return replace(before, task="unmeasured", unmeasured=reading.unmeasured)  # "and the ozone?"
    if not why and (new_wish or not (says_something or later) or not _only_links(reading, session)):
        return None
    if later is not None:
        span = later
    elif (
        before.task == "forecast"
        and reading.says_when
        and tense_of(reading.bare) is None
        and not _PAST.search(question)
    ):
        span = coming_span(question, clock)
    elif before.task != "forecast" and tense_of(question) is None and _was_meant(before, span, clock):
        span = past_span(question, clock)  # "over 24 hours instead", "and on Sunday?", of what was measured
    elif not reading.says_when:
        span = before.span
    task = before.task
    if task == "comparison" and reading.says_when:
        before = replace(before, contrast=None)  # the new time is no more set against another
    if task in ("forecast", "status"):
        task = by_time(task, span, tense_of(reading.bare), clock)
    return replace(
        before,
        task=task,
        why=before.why or why,
        span=span,
        places=reading.named or before.nodes or before.places,
        identified=reading.identified if reading.named else frozenset(before.nodes),
        direction=reading.direction,
        weak=False,
        channel=quantity.channel or before.channel,
        sure=quantity.sure or (before.sure and (not reading.named or _SAME.search(question) is not None)),
        threshold=reading.threshold or before.threshold,
    )


def _was_meant(before: Request, span: Span, clock: datetime) -> bool:
    """Whether a time without a tense is one that was: a stretch that begins now, or any other behind one that was."""
    if span.start is None:
        return False
    if not span.is_moment and abs((span.start - clock).total_seconds()) < 1:
        return True
    return before.span.side(clock) == "past" and span.side(clock) == "future"


def _answered(reading: Reading, before: Request, last: Exchange | None) -> Request | None:
    """The request before about the place that was chosen, where a place was asked for in words."""
    open_ = last is not None and not last.nodes and before.task in AT_PLACES | PROBED
    if (
        not open_
        or last is None
        or last.result("find_places") is None
        or _QUESTION.search(reading.question)
        or reading.span.start is not None
    ):
        return None
    offered = [m for r in last.results if r.tool == "find_places" for m in r.best_places or r.reply.get("matches", [])]
    place = chosen_among(reading.question, offered)
    named = reading.named[0] if reading.named else reading.question.strip(" .?!") or reading.question
    chosen = named if place is None else str(place["id"])
    return replace(before, places=(chosen,), identified=frozenset({chosen}), weak=False)


def _moved(question: str, before: Request, clock: datetime) -> Span | None:
    """The time that is told by its distance from that of the question before: "and the hour after that?"."""
    if before.span.start is not None and before.span.end is not None:
        start, end = before.span.start, before.span.end
    else:
        start, end = clock, clock + timedelta(hours=1)
        if before.task != "forecast":
            start, end = clock - timedelta(hours=1), clock
    if found := _RELATIVE_LATER.search(question):
        if found["unit"]:
            size = timedelta(hours=1 if found["unit"].casefold() == "hour" else 24)
            return Span(end, end + size)
        by = next((timedelta(minutes=length.minutes) for length in lengths(question.lower())), timedelta(hours=1))
        size = end - start
        return Span(start + by, end + by) if size else Span(end + by, end + by)
    if found := _THE_DAY_BEFORE.search(question):
        size = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(days=7)}[
            found["unit"].casefold()
        ]
        return Span(start - size, end - size)
    return None


def _says_only_when(words: str, clock: datetime) -> bool:
    """Whether words name a time and nothing else."""
    rest = words
    for start, end in time_span(words, clock).at:
        rest = rest[:start] + " " * (end - start) + rest[end:]
    return all(word in _LINKING for word in re.findall(r"[^\W\d_]+", rest.casefold()))


def _only_links(reading: Reading, session: Session) -> bool:
    """Whether nothing but places, times and quantities stands in the question."""
    text = reading.bare
    for place in reading.found:
        text = text[: place.at[0]] + ";" * (place.at[1] - place.at[0]) + text[place.at[1] :]
    text = _HOW_THERE.sub(";", _LONGER.sub(";", text))
    if re.search(r"\bhow\s+(?!about)", text, re.IGNORECASE) or re.search(r"\bis\s+\w", text, re.IGNORECASE):
        return False
    words = re.findall(r"[^\W\d_]+", text.casefold())
    quantities = {w for c in session.channels for w in (c["name"].casefold(), *c["title"].casefold().split())}
    known = {*quantities, session.place_word, *(word for kind in session.kinds for word in kind.casefold().split())}
    return all(word in _LINKING or word in known for word in words)
