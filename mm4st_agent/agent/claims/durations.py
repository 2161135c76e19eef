"""Lengths of time: of a forecast, of a window, between two moments, of a cycle, until or since something."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

from mm4st_agent.agent.claims import cues
from mm4st_agent.agent.claims.facts import Facts
from mm4st_agent.agent.claims.reader import Reader
from mm4st_agent.agent.claims.scope import Scope
from mm4st_agent.agent.number_words import COUNT, count_of
from mm4st_agent.agent.quantities import SECONDS

_NEXT = re.compile(r"\b(?:next|coming|following|ahead|upcoming)\b", re.IGNORECASE)
_OVER_NEXT = re.compile(r"\b(?:over|during|for|within|in)\s+the\s+(?:next|coming|following)\s+$", re.IGNORECASE)
_IN = re.compile(r"\b(?:in|within)\s+(?:about |around )?$", re.IGNORECASE)
_AGO = re.compile(r"^[\w\s]{0,3}(?:ago)\b", re.IGNORECASE)
_LAST = re.compile(r"\b(?:last|past|previous|preceding|these|those|latest)\s+(?:\w+\s+)?$", re.IGNORECASE)
_CYCLE = re.compile(r"\b(?:cycle|period\w*|repeats?|recurr?\w*|rhythm)\b", re.IGNORECASE)
_WORDS = re.compile(r"\s*-?\s*(?P<unit>hours?|minutes?|seconds?|days?|weeks?)\b", re.IGNORECASE)

_APART = re.compile(r"\W*(?:earlier|later|before|after|apart)\b", re.IGNORECASE)
_MOMENTS = 40
_ABOUT = 0.1
"""How far 'nearly two hours' may be off."""
_RATE = re.compile(r"/(\d+) min")
"""A reading per so many minutes is one of the last so many."""
_THEN = re.compile(r",?\s+(?:that is |i\.e\. )?(?:at|around)\s+(\d{1,2}):(\d{2})\b")
_COMING = ("covers", "ahead", "step", "announced")
_PAST = ("past", "window", "step", "covers")


_RATE_OF = re.compile(
    r"(?:\b(?:vehicles|cars|requests)|\d)\s+(?:in|per|every|each|over|within)\s+(?:the\s+)?$", re.IGNORECASE
)


def read_words(reader: Reader) -> None:
    """Lengths in words, such as 'two hours'."""
    for found in COUNT.finditer(reader.own):
        unit = _WORDS.match(reader.own, found.end())
        if (
            re.search(r"\b(?:the|these|those)\s+$", reader.own[: found.start()], re.IGNORECASE)
            and found[0].lower() == "two"
        ):
            continue
        if cues.ADVICE.search(reader.own[slice(*reader.sentence(found.start()))]):
            continue
        if unit is None or not reader.free(found.start(), unit.end()):
            continue
        behind = reader.own[unit.end() : unit.end() + 20]
        if unit["unit"].lower().startswith("week") and re.match(r"\W*(?:of\b|earlier)|\W*$", behind):
            continue
        if (
            re.search(r"\b(?:earlier|previous|past)\s+$", reader.own[: found.start()])
            and "week" in unit["unit"].lower()
        ):
            continue
        if _RATE_OF.search(reader.own[: found.start()]):
            continue  # "129 vehicles in five minutes": a unit
        name = {"h": "h", "m": "min", "s": "s", "d": "d", "w": "week"}[unit["unit"][0].lower()]
        value = float(count_of(found[0]))
        about = re.search(
            r"\b(?:about|around|nearly|almost|roughly|just (?:under|over))\s+$", reader.own[: found.start()]
        )
        judge(reader, (found.start(), unit.end()), value, name, _ABOUT * value if about else 0.0)


def judge(reader: Reader, span: tuple[int, int], value: float, unit: str, tolerance: float) -> None:
    """Judge one length of time."""
    scope = Scope(reader, span)
    wanted, slack = value * SECONDS[unit], tolerance * SECONDS[unit]
    allowed = reader.allowed(span[1])
    kinds = _kinds(scope)
    earlier = re.match(r"\W*(?:earlier|previous|past)?\s*weeks?\b", reader.own[span[0] :]) is not None
    right, other = [], ""
    for facts in reader.facts:
        for kind, seconds in lengths(facts, scope.places):
            if abs(abs(seconds) - wanted) > slack + 1e-6:
                continue
            if kinds is not None and kind not in kinds:
                other = other or f"that is a length of time of another kind ({kind})"
            elif facts.entry.id in allowed or kind in ("step", "any"):
                right.append(facts.entry.id)
        if _APART.match(scope.reader.own, span[1]) and _moments_apart(facts, wanted, unit):
            right.append(facts.entry.id)
        weeks = facts.entry.values.get("usual_weeks")
        if (unit == "week" or earlier) and weeks is not None and weeks.value == value:
            right.append(facts.entry.id)
    if (
        right
        and (at := _THEN.match(scope.reader.own, span[1]))
        and _IN.search(scope.before)
        and (clock := reader.facts[0].time("as_of"))
    ):
        then = clock + timedelta(seconds=wanted)
        if (then.hour, then.minute) != (int(at[1]), int(at[2])):
            right, other = [], f"that is at {then:%H:%M}"
    reader.add(span, "number", value, unit, right, why=other or "no such length of time is in the evidence")


def _moments_apart(facts: Facts, seconds: float, unit: str) -> bool:
    """Whether two moments of an entry, or of its texts, lie so far apart; days and weeks are counted by their dates."""
    times = {moment for path in facts.entry.values if (moment := facts.time(path)) is not None}
    times |= {passage.published_at for passage in facts.entry.texts if passage.published_at is not None}
    some = sorted(times)[:_MOMENTS]
    if unit in ("d", "week"):
        days = {moment.date() for moment in some}
        return any((one - other).total_seconds() == seconds for one in days for other in days)
    return any((one - other).total_seconds() == seconds for one in some for other in some)


def _kinds(scope: Scope) -> tuple[str, ...] | None:
    """What sort of length the words say; None where they leave it open."""
    if re.search(r"\bevery\s+$", scope.before, re.IGNORECASE):
        return ("step", "cycle", "any")
    if _AGO.match(scope.after):
        return ("ago",)
    if _OVER_NEXT.search(scope.before):
        return ("covers", "announced")
    if _NEXT.search(scope.before[-25:]) or re.match(r"\W*(?:ahead|from now)\b", scope.after):
        return _COMING
    if _LAST.search(scope.before[-25:]):
        return (*_PAST, "any")
    if _CYCLE.search(scope.part):
        return ("cycle", "any")
    if _IN.search(scope.before) and re.search(r"\b(?:will|predicted|forecast|expect\w*)\b", scope.sentence):
        return _COMING
    return None


def lengths(facts: Facts, places: frozenset[str] = frozenset()) -> Iterator[tuple[str, float]]:
    """Every length of time that an entry holds, in seconds, with its sort; of these places where some are named."""
    for fact in facts.numbers:
        if fact.unit not in SECONDS or (places and fact.places and not fact.places & places):
            continue
        yield _sort(fact.role, facts), fact.value * SECONDS[fact.unit]
    for unit in {fact.unit for fact in facts.numbers}:
        if (rate := _RATE.search(unit)) is not None:
            yield from (("past", float(rate[1]) * 60), ("step", float(rate[1]) * 60))
    for name, size in (("hours", "h"), ("minutes", "min"), ("days", "d"), ("back_days", "d")):
        value = facts.entry.args.get(name)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            yield "covers" if facts.time("covers_from") and name == "minutes" else "window", value * SECONDS[size]
    if "events_announced" in facts.entry.values:
        yield "announced", SECONDS["d"]  # how far ahead announcements are told
    clock, opens, closes = facts.time("as_of"), facts.time("covers_from"), facts.time("covers_until")
    if opens is not None and closes is not None:
        yield "covers", (closes - opens).total_seconds()
        for fact in facts.numbers:
            if fact.role == "median" and fact.moment is not None:
                yield "ahead", (fact.moment - (clock or opens)).total_seconds()
                yield "ahead", (fact.moment + facts.step - (clock or opens)).total_seconds()
    since, until = facts.time("since") or facts.time("window_start"), facts.time("until") or facts.time("window_end")
    if since is not None and until is not None:
        for step in (timedelta(0), timedelta(minutes=5), facts.step):
            yield "window", (until + step - since).total_seconds()
    for path, value in facts.entry.values.items():
        if value.unit == "time" and path.endswith("].since"):
            begun, ended = facts.time(path), facts.time(path.replace("since", "until"))
            if begun is not None and ended is not None:
                yield "any", (ended - begun).total_seconds()
        if value.unit == "time" and clock is not None and (moment := facts.time(path)) is not None and moment < clock:
            yield "ago", (clock - moment).total_seconds()
    for passage in facts.entry.texts:
        if clock is not None and passage.published_at is not None:
            yield "ago", (clock - passage.published_at).total_seconds()


def _sort(role: str, facts: Facts) -> str:
    if role == "minutes":
        return "covers" if facts.time("covers_from") is not None or facts.entry.tool == "backtest" else "past"
    if role in ("minutes_before",):
        return "ago"
    if role == "minutes_ahead":
        return "ahead"
    if role.startswith(("step", "every", "stride")):
        return "step"
    if role in ("recent_minutes", "trend_minutes", "window_hours"):
        return "past"
    if role == "hours":
        return "past" if "[" not in next((f.path for f in facts.numbers if f.role == "hours"), "") else "cycle"
    return "any"
