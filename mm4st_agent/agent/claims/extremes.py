"""Whether the words around a number let it be the highest or lowest of its kind, or make it one."""

from __future__ import annotations

import re

from mm4st_agent.agent.claims import cues
from mm4st_agent.agent.claims.fact import Fact
from mm4st_agent.agent.claims.percentages import Uncued
from mm4st_agent.agent.claims.scope import Scope
from mm4st_agent.agent.clock_words import same_time
from mm4st_agent.agent.number_words import COUNT

CENTRES = frozenset({"median", "after", "before"})
_OF_A_RANGE = re.compile(r"\b(?:extremes?|touched|runs? from|nowhere|nothing (?:above|below))\b", re.IGNORECASE)
_SLOWEST = re.compile(
    r"\b(?<!of the )(?<!the second )(?<!the five )(?:lowest|highest|slowest|fastest|busiest|"
    r"quietest)(?: (?:\w+ )?(?:speed|flow|level|reading|value)s?\b[^\d,;]{0,40})?,\s+(?:at |with )?(?:about )?$",
    re.IGNORECASE,
)
_FASTEST_PLACE = re.compile(
    r"(?<!other )(?<!than )\b(?:slowest|fastest|busiest|quietest)\s+(?:\w+\s+)?"
    r"(?:station|place|spot|sensor|site|location)\b(?!s)",
    re.IGNORECASE,
)
_PEAKED = re.compile(
    r"\b(?:peaked|topped out|maxed out|bottomed out|(?:its|the) (?:low|minimum) (?:was|came)) at\s+(?:about |"
    r"around |roughly )?$",
    re.IGNORECASE,
)
_AT_THE_SLOWEST = re.compile(
    r"\s+(?:at|for|of|in)\s+the\s+(?:lowest|highest|slowest|fastest|busiest|quietest)\b", re.IGNORECASE
)
_OF_THE_LIST = re.compile(
    rf"\b(?:of the (?:{COUNT.pattern}|\d+)|"
    rf"listed|list|shown|named|ranking|top|these|those|them|leaders|trio|pair|(?:{COUNT.pattern}|\d+)"
    r" (?:\w+ )?(?:stations?|places?|sensors?|\w+est|of))\b",
    re.IGNORECASE,
)
"""An extreme among the places that a ranking shows need not be its first."""
LEVELS = frozenset({"value", "recent", "last", "mean", "median", "usual", "minimum", "maximum", "low", "high"})


def extreme_against(fact: Fact, scope: Scope) -> str:
    """What says that a number is an extreme and the fact is none, or the other way; "" where nothing does."""
    said = fact.moment is not None and any(same_time(wanted, fact.moment) for wanted in scope.all_times)
    said = said or (len(scope.places) == 1 and scope.places == fact.places and fact.path + "_at" in _paths(fact, scope))
    said = said or _OF_A_RANGE.search(scope.sentence) is not None
    if fact.role == "minimum" and not said and not cues.LOWEST.search(scope.sentence):
        return Uncued("that is the lowest value")
    if fact.role == "maximum" and not said and not cues.HIGHEST.search(scope.sentence):
        return Uncued("that is the highest value")
    found = [
        m
        for m in cues.SUPERLATIVE_OF_READINGS.finditer(scope.words_before)
        if not re.search(r"\d", scope.words_before[m.end() :])
    ]
    found = (
        found
        or [
            m
            for m in _FASTEST_PLACE.finditer(scope.words_before)
            if not re.search(r"\d", scope.words_before[m.end() :])
        ]
        or list(_SLOWEST.finditer(scope.ahead))
        or [m for m in (_AT_THE_SLOWEST.match(scope.after), _PEAKED.search(scope.before)) if m]
    )
    if not found or fact.role not in (*LEVELS, *CENTRES):
        return ""
    low = re.search(r"\b(?:low|slow|small|min|quiet|bottom)", found[-1][0], re.IGNORECASE) is not None
    if fact.group == "ranking" and not fact.path.startswith("ranking[0]") and not _OF_THE_LIST.search(scope.context):
        return "that is not the first of the ranking"
    if fact.extreme == (-1 if low else 1) or (fact.group in ("ranking", "steps", "peak") and fact.extreme):
        return ""
    if fact.role in ("minimum", "maximum") and (fact.role == "minimum") == low:
        return ""
    return f"that is not the {'lowest' if low else 'highest'} value"


def _paths(fact: Fact, scope: Scope) -> set[str]:
    """The paths of the entry of a fact."""
    return {path for facts in scope.reader.facts if facts.entry.id == fact.entry for path in facts.entry.values}
