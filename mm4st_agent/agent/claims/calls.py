"""What the words nearest to a number call it: a mean of the half hour, of the day, of the hour before, the usual.

A number that is called one of these is no other value of the same reply, where the reply has the one that is called.
"""

from __future__ import annotations

import re

from mm4st_agent.agent.claims.fact import Fact
from mm4st_agent.agent.claims.percentages import said
from mm4st_agent.agent.claims.said_times import timeless
from mm4st_agent.agent.claims.scope import Scope

HALF_HOUR_MEAN = re.compile(r"\b(?:half[- ]hour(?:ly)?|30[- ]minute)(?:'s)? (?:mean|average)\b", re.IGNORECASE)
DAY_MEAN = re.compile(r"\b(?:24[- ]hour|daily|day's) (?:mean|average)\b", re.IGNORECASE)
_HALF_HOUR = r"half[- ]hour(?:ly)?|(?:last|past) (?:half an hour|30 minutes|thirty minutes)|30[- ]minute"
_DAY = r"(?:last |past )?(?:24 hours|day)"
_CALLS: tuple[tuple[re.Pattern[str], frozenset[str]], ...] = tuple(
    (re.compile(rf"\b(?:{words})\b", re.IGNORECASE), frozenset(roles))
    for words, roles in (
        (rf"(?:{_HALF_HOUR})(?:'s)? (?:mean|average|figure|value|speed|flow|level)", ("recent", "value")),
        (r"(?:over|in|during) the (?:half[- ]hour|last half hour)", ("recent", "value")),
        (
            rf"(?:24[- ]hour|daily|day's) (?:mean|average)|(?:mean|average) (?:of|over|for|in) (?:the |a )?{_DAY}|"
            rf"(?:over|in|during|of) (?:the )?{_DAY},? .{{0,40}}\b(?:averag\w+|mean)",
            ("mean", "first_mean", "second_mean"),
        ),
        (
            r"(?<!than )(?<!on )(?:the )?(?:hour (?:before|just (?:gone|past))|"
            r"(?:previous|preceding|past) (?:hour|60 minutes))",
            ("previous_mean", "just_before"),
        ),
        (
            r"(?<!than )(?<!on )(?:the )?(?:day (?:before|earlier)|previous (?:day|24 hours)|"
            r"24 hours (?:before|earlier))",
            ("first_mean",),
        ),
        (
            r"(?:just|right|immediately) before(?! (?:\w+ )?(?:\d|noon|midnight|half|quarter|one|two|three|four|five|"
            r"six|seven|eight|nine|ten|eleven|twelve))",
            ("just_before", "previous_mean"),
        ),
        (r"usually|normally|typically|ordinarily", ("usual", "baseline")),
    )
)
"""Words, and the roles that they call."""
_PLAIN = frozenset(
    {
        "last",
        "recent",
        "mean",
        "minimum",
        "maximum",
        "median",
        "previous_mean",
        "usual",
        "low",
        "high",
        "value",
        "just_before",
        "second_mean",
    }
)
_ASIDE = re.compile(
    r"\b(?:than|against|versus|vs|compared|relative|unlike|from|on|after|above|below|over|under)\s+(?:the |its )?$",
    re.IGNORECASE,
)
_BETWEEN = re.compile(r"[,;]|\b(?:is|was|are|were|will|to|and)\b")
_APART = re.compile(
    r"\b(?:is|are|was|were|above|below|over|under|than|where|which|when|twice|half|times|more|less|slightly|would|nearly|"
    r"against|versus|vs|from|after|not)\b|[,;(]",
    re.IGNORECASE,
)
"""Between a number and words that are said of something else."""


def own_words(scope: Scope) -> tuple[str, str]:
    """The words of the part before and behind a number, up to the numbers next to it."""
    return re.split(r"\d", timeless(scope.before))[-1], re.split(r"\d", timeless(scope.after))[0]


def call_against(fact: Fact, scope: Scope) -> str:
    """What says that the number is called something else than the fact; "" where nothing does."""
    if fact.role not in _PLAIN or fact.unit in ("", "%", "1", "min", "h", "s"):
        return ""
    if scope.dependent and fact.role in ("usual", "baseline", "previous_mean"):
        return ""
    before, behind = own_words(scope)
    for words, roles in _CALLS:
        if fact.role in roles or not (_calls(words, before) or _calls_behind(words, behind)):
            continue
        if any(_may_be(other, fact) for other in _of_entry(fact, scope) if other.role in roles):
            return f"that is not what it is called but the {said(fact.role)}"
    return ""


def _calls(words: re.Pattern[str], before: str) -> bool:
    """Whether such words stand before the number and are not said of what it is compared with."""
    for found in words.finditer(before):
        aside = _ASIDE.search(before[: found.start()])
        if aside is None or not _BETWEEN.search(before[found.end() :]):
            return True
    return False


def _calls_behind(words: re.Pattern[str], behind: str) -> bool:
    return any(not _APART.search(behind[: found.start()]) for found in words.finditer(behind))


def _may_be(other: Fact, fact: Fact) -> bool:
    """Whether another fact is of the same quantity and place."""
    if other.role == "first_mean" and not (other.end and fact.end and other.end < fact.end):
        return False
    return other.unit == fact.unit and not (other.places and fact.places and not other.places & fact.places)


def _of_entry(fact: Fact, scope: Scope) -> tuple[Fact, ...]:
    return next((facts.numbers for facts in scope.reader.facts if facts.entry.id == fact.entry), ())
