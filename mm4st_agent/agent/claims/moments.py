"""Dates and times: each must be a moment of the ledger, and that of the extreme or event that it is said of."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from mm4st_agent.agent.claims import cues
from mm4st_agent.agent.claims.copied import names
from mm4st_agent.agent.claims.fact import Fact
from mm4st_agent.agent.claims.facts import Facts
from mm4st_agent.agent.claims.happenings import HAPPENINGS
from mm4st_agent.agent.claims.items import match_time_against
from mm4st_agent.agent.claims.reader import Reader
from mm4st_agent.agent.claims.scope import Scope
from mm4st_agent.agent.clock_words import (
    WEEKDAY,
    WEEKDAYS,
    WHEN,
    WrittenTime,
    moments,
    on_written_day,
    same_time,
    written_time,
)

_JOINT = re.compile(r"^,?\s*(?:on\s+)?(?:(?:this|last)\s+)?", re.IGNORECASE)
_AT_THEN = re.compile(r",?\s+(?:(?:at|around|about|by)\s+)?(?:around |about )?", re.IGNORECASE)
_NO_DATE = re.compile(r"^\d[.,]\d+\s|\bmay$")
"""'45.9 may be too much' holds no ninth of May."""
_WORST = re.compile(r"\b(?:worst|best)\b", re.IGNORECASE)
_ANOMALY = re.compile(r"\b(?:spike|excursion|anomaly|outlier|flip)\b", re.IGNORECASE)
_CLAUSE = re.compile(r",|\bto\b|\band\b|\bbefore\b", re.IGNORECASE)
_TO_A_VALUE = re.compile(
    r"\bbetween\b|\bmost (?:likely|recent|of)\b|"
    r"\b(?:drop|fall|fell|down|slow)\w* (?:down )?to\b|\bup to\b|\breach\w*\b",
    re.IGNORECASE,
)
"""Words of a course, and of no extreme."""
_AT = re.compile(r"\b(?:at|around|about|by|near)\s+(?:around |about )?$", re.IGNORECASE)

Known = list[tuple[Facts, list[datetime], list[WrittenTime]]]
"""Each entry with its moments and the times that its words tell."""


def read(reader: Reader) -> None:
    """Judge every date and time."""
    known = [(facts, [*moments(facts.entry), *_spans(facts)], list(_told(facts))) for facts in reader.facts]
    for found in WHEN.finditer(reader.text):
        if not reader.free(*found.span()) or _NO_DATE.search(reader.text, max(0, found.start() - 2), found.end()):
            continue
        wanted, scope = written_time(found), Scope(reader, found.span())
        ids, why = [], "no such time is in the evidence"
        if wanted is not None and _weekday_fits(reader, found, wanted):
            ids = _entries(reader, found, wanted, known)
            clock = _clock_behind(reader.text, found, wanted)
            time = written_time(clock) if clock is not None else None
            if ids and clock is not None and time is not None and _entries(reader, clock, time, known):
                both = replace(time, year=wanted.year, month=wanted.month, day=wanted.day)
                if not _entries(reader, found, both, known):
                    ids, why = [], "that time is not on that day"
        other = _anomaly_contradicted(reader, wanted, scope) if ids and wanted is not None else ""
        if ids and not other and wanted is not None and wanted.hour is not None:
            other = _contradicted(reader, wanted, scope)
        if ids and not other and wanted is not None:
            other = match_time_against(reader, wanted, scope)
        if other:
            ids, why = [], other
        reader.add(found.span(), "time", found[0], None, ids, bound=False, why=why)
    _read_weekdays(reader, known)


def _read_weekdays(reader: Reader, known: Known) -> None:
    """A weekday alone must be that of a moment of the evidence, or stand in its words."""
    for found in WEEKDAYS.finditer(reader.own):
        scope = Scope(reader, found.span())
        if not reader.free(*found.span()) or cues.ADVICE.search(scope.sentence) or cues.USUAL.search(scope.part):
            continue
        ids = [
            facts.entry.id
            for facts, sure, _ in known
            if any(moment.strftime("%A").lower() == found[0].lower() for moment in sure)
            or any(re.search(rf"\b{found[0]}\b", text, re.IGNORECASE) for text in _words(facts))
        ]
        reader.add(found.span(), "time", found[0], None, ids, bound=False, why="nothing in the evidence is on that day")


def _words(facts: Facts) -> Iterator[str]:
    """The words of a reply and its texts."""
    yield from (passage.text for passage in facts.entry.texts)
    yield from (str(word) for word in (*facts.entry.words.values(), *names(facts.entry)))


def _spans(facts: Facts) -> Iterator[datetime]:
    """Steps end where the next one begins."""
    clock, hours = facts.time("as_of"), facts.entry.values.get("hours")
    if clock is not None and hours is not None:
        yield clock - timedelta(hours=float(hours.value))
    for fact in facts.numbers:
        if fact.role == "recent" and fact.start is not None:
            yield fact.start
        if fact.group == "steps" and fact.moment is not None and facts.step:
            yield fact.moment + facts.step


def _told(facts: Facts) -> Iterator[WrittenTime]:
    """Times that stand in the words of the reply."""
    for text in dict.fromkeys(_words(facts)):
        for found in WHEN.finditer(text):
            if (written := written_time(found)) is not None:
                yield written
                if (clock := _clock_behind(text, found, written)) is not None and (time := written_time(clock)):
                    yield replace(time, year=written.year, month=written.month, day=written.day)


def _same_words(wanted: WrittenTime, told: WrittenTime) -> bool:
    """Whether a written time is one that a text tells, as far as both say."""
    if wanted.instant is not None or told.instant is not None:
        return wanted.instant == told.instant
    parts = [(getattr(wanted, name), getattr(told, name)) for name in ("year", "month", "day", "hour", "minute")]
    if any(one is not None and other is not None and one != other for one, other in parts):
        return False
    return all(other is not None for one, other in parts[1:] if one is not None)


def _weekday_fits(reader: Reader, found: re.Match[str], wanted: WrittenTime) -> bool:
    """Whether a weekday right before a date is that date's."""
    said = WEEKDAY.search(reader.text[: found.start()])
    if said is None or wanted.day is None or wanted.month is None:
        return True
    clocks = [datetime.fromisoformat(e.as_of) for e in reader.ledger if e.as_of is not None]
    years = {wanted.year} if wanted.year else {clock.year + shift for clock in clocks for shift in (0, -1, 1)}
    return not years or any(on_written_day(said["day"], wanted, year) for year in years if year is not None)


def _day_fits(reader: Reader, found: re.Match[str], wanted: WrittenTime, moment: datetime, facts: Facts) -> bool:
    """Whether a day that stands right behind a clock time is the moment's day."""
    if wanted.hour is None or wanted.day is not None or wanted.instant is not None:
        return True
    behind = reader.text[found.end() : found.end() + 40]
    start = _JOINT.match(behind)
    behind = behind[start.end() :] if start else behind
    date = WHEN.match(behind)
    if date is not None and (day := written_time(date)) is not None and day.day is not None:
        return same_time(WrittenTime(day.year, day.month, day.day), moment)
    clock = datetime.fromisoformat(facts.entry.as_of) if facts.entry.as_of else None
    word = re.match(r"(yesterday|today|morning|tomorrow)\b", behind, re.IGNORECASE)
    if word is not None and clock is not None:
        shift = {"yesterday": -1, "tomorrow": 1}.get(word[1].lower(), 0)
        local = moment.astimezone(UTC) if wanted.utc else moment
        return (clock + timedelta(days=shift)).date() == local.date()
    return True


def _entries(reader: Reader, found: re.Match[str], wanted: WrittenTime, known: Known) -> list[str]:
    """The entries with a moment that is the one written."""
    return [
        facts.entry.id
        for facts, sure, told in known
        if any(same_time(wanted, m) and _day_fits(reader, found, wanted, m, facts) for m in sure)
        or any(_same_words(wanted, other) for other in told)
    ]


def _clock_behind(text: str, found: re.Match[str], day: WrittenTime) -> re.Match[str] | None:
    """The clock time right behind a date, as in "on 19 October at 14:50"."""
    at = _AT_THEN.match(text, found.end())
    clock = WHEN.match(text, at.end()) if at is not None and day.day is not None and day.hour is None else None
    time = written_time(clock) if clock is not None else None
    return clock if time is not None and time.hour is not None and time.day is None and not time.either else None


def _contradicted(reader: Reader, wanted: WrittenTime, scope: Scope) -> str:
    """Why a time is not that of the extreme or event that the part speaks of; "" where it is, or speaks of none."""
    if not _AT.search(scope.before):
        return ""
    earlier, later = list(WHEN.finditer(scope.before)), WHEN.search(scope.after)
    own = (
        scope.before[earlier[-1].end() if earlier else 0 :]
        + " "
        + _CLAUSE.split(scope.after[: later.start() if later else None])[0]
    )
    own = _TO_A_VALUE.sub("", own)
    part = re.sub(r"\d.*$", "", scope.before) if re.search(r"\d", scope.before) else scope.before
    low, high = cues.LOWEST.search(own), cues.HIGHEST.search(own)
    if low is None and high is None:
        return _event_contradicted(reader, wanted, scope)
    either = _WORST.search(scope.part) is not None or bool(low and high) or re.search(r"\bdip", part) is not None
    wished = _poles(reader, scope) if _WORST.search(scope.part) else [-1, 1] if either else [-1] if low else [1]
    extremes = [
        fact
        for fact in _of_scope(reader, scope)
        if fact.extreme in wished
        and fact.moment is not None
        and fact.role in ("median", "minimum", "maximum", "size", "baseline")
    ]
    values = cues.FUTURE.search(scope.sentence)
    extremes = [fact for fact in extremes if fact.coming] if values and any(f.coming for f in extremes) else extremes
    if not extremes:
        return ""
    if any(fact.moment is not None and same_time(wanted, fact.moment) for fact in extremes):
        return ""
    if re.search(r"\bdip(?:s|ped)?\b|\breach", scope.part) and any(
        fact.moment is not None and same_time(wanted, fact.moment) and _value_said(fact, scope)
        for fact in _of_scope(reader, scope)
    ):
        return ""
    at = extremes[0].moment
    return f"that is at {at:%H:%M}" if at is not None else ""


def _poles(reader: Reader, scope: Scope) -> list[int]:
    """Which ends may be called worst or best: slow speeds and dirty air are bad, of other quantities either may be."""
    units = {fact.unit for fact in _of_scope(reader, scope) if fact.group in ("", "steps")}
    worst = re.search(r"\bworst\b", scope.part, re.IGNORECASE) is not None
    if any(unit in ("km/h", "mph", "m/s") for unit in units):
        return [-1] if worst else [1]
    if any(unit.endswith(("/m³", "/m3")) or unit in ("ppb", "ppm") for unit in units):
        return [1] if worst else [-1]
    return [-1, 1]


def _anomaly_contradicted(reader: Reader, wanted: WrittenTime, scope: Scope) -> str:
    """A time that is said of an anomaly is that of one."""
    if not _ANOMALY.search(scope.part):
        return ""
    found = [
        moment
        for facts in reader.facts
        for path in facts.entry.values
        if path.startswith("anomalies[") and (moment := facts.time(path)) is not None
    ]
    return "" if not found or any(same_time(wanted, moment) for moment in found) else "no anomaly is then"


def _value_said(fact: Fact, scope: Scope) -> bool:
    return any(abs(float(n) - fact.value) < 0.06 for n in re.findall(r"\d+\.\d+", scope.part))


def _of_scope(reader: Reader, scope: Scope) -> Iterator[Fact]:
    channels = scope.channels(reader.facts)
    for facts in reader.facts:
        if facts.entry.id not in reader.allowed(scope.span[1]):
            continue
        for fact in facts.numbers:
            if scope.places and fact.places and not fact.places & scope.places:
                continue
            if channels and fact.channel and fact.channel not in channels:
                continue
            yield fact


def _event_contradicted(reader: Reader, wanted: WrittenTime, scope: Scope) -> str:
    if not HAPPENINGS.search(scope.before):
        return ""
    events = [facts for facts in reader.facts if any(p.published_at is not None for p in facts.entry.texts)]
    if not events:
        return ""
    for facts in events:
        for path, value in facts.entry.values.items():
            if (
                value.unit == "time"
                and not path.startswith(("steps", "covers"))
                and (m := facts.time(path))
                and same_time(wanted, m)
            ):
                return ""
        if any(p.published_at is not None and same_time(wanted, p.published_at) for p in facts.entry.texts):
            return ""
        if any(_same_words(wanted, told) for told in _told(facts)):
            return ""
    return "no event of the evidence has that time"
