"""Whether the words around a number let it be of the time of a fact."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta

from mm4st_agent.agent.claims import cues
from mm4st_agent.agent.claims.extremes import CENTRES
from mm4st_agent.agent.claims.fact import Fact
from mm4st_agent.agent.claims.percentages import said
from mm4st_agent.agent.claims.roles import ENDS, FROM, READ, attached
from mm4st_agent.agent.claims.said_times import on_day, within
from mm4st_agent.agent.claims.scope import Scope
from mm4st_agent.agent.clock_words import WHEN, WrittenTime, same_time, written_time

_COURSE = re.compile(
    r"\b(?:from|to|first|start\w*|begin\w*|end\w*|then|down|up|reach\w*|by|steps?|"
    r"low|peak\w*|minimum|maximum|minutes|between|around)\b",
    re.IGNORECASE,
)
"""Words for the course of a forecast, of which a step may be told without its time."""
_SPAN = 0.05
"""A length of time is another one where it differs by more than this share."""
_AT_A_CLOCK = re.compile(
    r"^(?!.*\b(?:until|from|between|by|to|starting|beginning)\b)"
    r".*\bat\s+(?:a\s+)?(?:\d{1,2}:\d\d|quarter|half past|\d{1,2}\s*[ap]m)",
    re.IGNORECASE,
)
"""One moment, and no span."""
_SINCE = re.compile(r"\bsince\b", re.IGNORECASE)
_FIRST = re.compile(r"\bfirst(?: \w+){0,2}\s+$", re.IGNORECASE)
_UP_TO = re.compile(r"\b(?:up to|until|ending(?: at)?)\b", re.IGNORECASE)
_IN_A_FORECAST = re.compile(r"\W*(?:in|by|per) the forecast", re.IGNORECASE)
_BESIDE = re.compile(
    r"\b(?:than|compared|against|versus|from|before|yesterday|previous|earlier|more|less|higher|lower|faster|"
    r"slower)\b",
    re.IGNORECASE,
)
"""Words that set two times side by side."""
_LATEST = re.compile(
    r"\b(?:last|past|latest|most recent) (?:24 hours|day|\d+ hours)\b|\btoday at\b|\b\d\d:\d\d today\b", re.IGNORECASE
)
_WAS = re.compile(r"\b(?:was|were|had|averaged|reached|followed|ended)\b", re.IGNORECASE)
_FROM_NOW = re.compile(
    r"(?<![\w.,])(?P<n>\d+(?:\.\d+)?)[\s-]*(?P<unit>min(?:ute)?s?|h(?:ours?)?)\s+(?:from now|ahead)\b", re.IGNORECASE
)
_THEN = re.compile(r"\s*\(?at\s+\d{1,2}:\d\d")
_READ_AT = re.compile(
    r"^\W*at \d{1,2}:\d\d\b.*\b(?:measured|read|recorded|clocked|counted|registered)\b", re.IGNORECASE
)
_LATER = re.compile(
    r"\b(?:after which|afterwards|then|before|later|followed|starts?|begins?|ends?|finish\w*)\b", re.IGNORECASE
)


def tense_against(fact: Fact, scope: Scope) -> str:
    """What says that the number was measured, or is forecast, where the fact is not; "" where nothing does."""
    then = fact.moment is not None and any(same_time(wanted, fact.moment) for wanted in scope.times)
    now = cues.NOW.search(scope.part) and not cues.future(scope.part) and not then
    now = now and not (fact.path.startswith("steps[0]") and FROM.search(scope.before))  # "from 31 km/h now down to 7"
    if fact.role in (*CENTRES, "value") and fact.coming and now:
        return "that is a forecast"
    was = fact.group == "outcomes" and _WAS.search(scope.part) and not cues.future(scope.sentence)
    if was and fact.coming:
        return "that is a forecast"
    past = cues.PAST.search(scope.part) and not cues.future(scope.sentence) and not _BESIDE.search(scope.part)
    if fact.role in (*CENTRES, *ENDS, "value") and fact.coming and past:
        return "that is a forecast"
    if (
        fact.role in READ
        and not fact.coming
        and (cues.future(scope.part) or _IN_A_FORECAST.match(scope.sentence))
        and not fact.signed
        and (
            not cues.PRESENT.search(scope.part)
            and not FROM.search(scope.before)
            and not cues.PREVIOUS.search(scope.before)
        )
    ):
        return "that was measured, not forecast"
    if (
        fact.role in ("mean", "minimum", "maximum", "total")
        and cues.NOW.search(scope.part)
        and (
            not cues.AVERAGE.search(scope.part)
            and not cues.LOWEST.search(scope.part)
            and not cues.HIGHEST.search(scope.part)
        )
    ):
        return f"that is the {said(fact.role)} of a longer time"
    if (
        fact.role == "previous_mean"
        and not cues.PREVIOUS.search(scope.sentence)
        and not cues.DOWN.search(scope.sentence)
    ):
        return "that is the mean of the time before"
    return ""


def time_against(fact: Fact, scope: Scope, clock: datetime | None) -> str:
    """What says that the number is of another time than the fact; "" where nothing does."""
    if (
        fact.unit in ("", "min", "h", "s")
        or fact.role in ("effect", "effect_percent")
        or fact.start is None
        or fact.end is None
    ):
        return ""
    if (
        clock is not None
        and scope.days
        and fact.role not in ("usual", "baseline")
        and not any(on_day(fact, day, clock) for day in scope.days)
    ):
        return f"that is not about {scope.days[0]}"
    if fact.role in ("first_mean", "second_mean") and _LATEST.search(scope.part) and not _BESIDE.search(scope.sentence):
        ends = [f.end for f in _of_entry(fact, scope) if f.role in ("first_mean", "second_mean") and f.end is not None]
        if any(end > fact.end for end in ends):
            return "that is of the window before"
    if fact.role == "last" and _SINCE.search(scope.part):
        return ""  # "down to 15.8 since 06:55"
    if fact.path.startswith("steps[0]") and _FIRST.search(scope.before):
        return ""
    times = [wanted for wanted in scope.times if wanted.hour is not None or wanted.day is not None or wanted.instant]
    if (
        fact.role in CENTRES
        and FROM.search(scope.before)
        and re.search(r"\bto\b", scope.after)
        and not _THEN.match(scope.after)
    ):
        return ""  # 'from 31 to 7 km/h at 08:10': the time is that of the second
    if fact.group == "steps" and not times and clock is not None and (ahead := _FROM_NOW.search(scope.part)):
        then = clock + timedelta(**{"hours" if ahead["unit"].lower().startswith("h") else "minutes": float(ahead["n"])})
        if fact.moment is not None and not fact.moment <= then <= fact.moment + _step_of(fact, scope):
            return f"that is at {fact.moment:%H:%M}"
    if fact.group in ("steps", "peak", "largest") and not times and attached(cues.MEAN, scope):
        return "that is one step of the forecast"
    if fact.group == "steps" and not scope.all_times and not fact.extreme and not _COURSE.search(scope.sentence):
        earlier = _times_before(scope)
        if fact.moment is None or not any(
            same_time(wanted, fact.moment) or _end_of_step(fact, wanted, scope) for wanted in earlier
        ):
            return "that is one step of the forecast"
    if fact.moment is not None and fact.role not in ("last",):
        elsewhere = [] if _LATER.search(scope.sentence) else scope.reached_times
        said = times or [wanted for wanted in elsewhere if wanted.hour is not None]
        if (
            said
            and fact.group in ("steps", "peak", "largest")
            and not any(same_time(wanted, fact.moment) or _end_of_step(fact, wanted, scope) for wanted in said)
        ):
            return f"that is at {fact.moment:%H:%M}"
        if times and not any(same_time(wanted, fact.moment) for wanted in times) and fact.group not in ("steps",):
            return f"that is at {fact.moment:%H:%M}"
        return ""
    if (
        fact.role == "last"
        and _UP_TO.search(scope.part)
        and any(within(replace(fact, end=clock or fact.end), w) for w in times)
    ):
        return ""  # "in the five minutes up to 17:00"
    if times and not any(within(fact, wanted) for wanted in times) and not _event_times(times, scope):
        return f"that is from {fact.start:%H:%M} to {fact.end:%H:%M}"
    if fact.role in ("mean", "recent") and times and _READ_AT.search(scope.part):
        return "that is the mean of a longer time"
    if fact.role == "recent" and times and _THEN.match(scope.after) and not any(same_time(w, fact.end) for w in times):
        return "that is the mean of a longer time"
    if fact.coming and fact.group == "total" and times and _AT_A_CLOCK.search(scope.part):
        return "that is over the whole span"
    if fact.coming and fact.group in ("total", "forecast") and fact.moment is None and scope.reaching is not None:
        own = (fact.end - fact.start).total_seconds() / 60
        if abs(own - scope.reaching) > _SPAN * own:
            return f"that is over {own:g} minutes"
    lasting = scope.lasting
    if (
        lasting is not None
        and fact.role in ("recent", "mean", "total", "minimum", "maximum", "value")
        and not fact.coming
    ):
        own = (fact.end - fact.start).total_seconds() / 60
        if (
            fact.role in ("recent", "mean", "total")
            and own
            and abs(own - lasting) > _SPAN * own
            and fact.moment is None
        ):
            return f"that is over {own:g} minutes"
    return ""


def _of_entry(fact: Fact, scope: Scope) -> list[Fact]:
    """All numbers of the entry of a fact."""
    return [other for facts in scope.reader.facts if facts.entry.id == fact.entry for other in facts.numbers]


def _step_of(fact: Fact, scope: Scope) -> timedelta:
    return next((facts.step for facts in scope.reader.facts if facts.entry.id == fact.entry), timedelta(0))


def _times_before(scope: Scope) -> list[WrittenTime]:
    """The times of the sentences before, in the same paragraph."""
    text = scope.reader.text[: scope.span[0]].rpartition("\n\n")[2]
    return [written for found in WHEN.finditer(text) if (written := written_time(found)) is not None]


def _end_of_step(fact: Fact, wanted: object, scope: Scope) -> bool:
    """'In the 5 minutes up to 08:40', and 'at 08:40' where the span ends then, say the last step."""
    for facts in scope.reader.facts:
        if facts.entry.id == fact.entry and facts.step and fact.moment is not None:
            end = fact.moment + facts.step
            if same_time(wanted, end):  # type: ignore[arg-type]
                return end == facts.time("covers_until") or re.search(r"\b(?:up to|until|by)\b", scope.part) is not None
    return False


def _event_times(times: object, scope: Scope) -> bool:
    """Whether all times of the part are those of events: they do not say when the number was."""
    moments = [
        facts.time(path)
        for facts in scope.reader.facts
        for path in facts.entry.values
        if path.startswith(("events[", "changes["))
    ]
    return all(any(m is not None and same_time(w, m) for m in moments) for w in times)  # type: ignore[attr-defined]
