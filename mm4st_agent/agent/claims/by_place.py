"""Values of places that are compared: by what the sentence says, else by the quantity that it is about."""

from __future__ import annotations

import re

from mm4st_agent.agent.claims import cues
from mm4st_agent.agent.claims.reader import Reader
from mm4st_agent.agent.claims.scope import Scope

_KINDS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\b(?:farther|further away|nearer|closer|distan\w*|away)\b", re.IGNORECASE), "away"),
    (re.compile(r"\blanes?\b", re.IGNORECASE), "lanes"),
    (re.compile(r"\bmissing|\bgaps?\b|incomplete|\blacks?\b", re.IGNORECASE), "missing"),
    (re.compile(r"\b(?:wider|narrower|interval|band)\b", re.IGNORECASE), "gap"),
    (re.compile(r"\b(?:los[est]\w*|drop\w*|slowed|fell|gained)\b", re.IGNORECASE), "change"),
)
"""Words for what two places are compared by, and its role."""


def told_by(reader: Reader, scope: Scope) -> dict[tuple[str, str], list[tuple[str, tuple[str, float]]]]:
    """Values of what the sentence itself says that the places are compared by; none where it says nothing."""
    values: dict[tuple[str, str], list[tuple[str, tuple[str, float]]]] = {}
    role = next((role for words, role in _KINDS if words.search(scope.sentence)), "")
    allowed = reader.allowed(scope.span[1])
    for facts in reader.facts:
        for fact in facts.all if facts.entry.id in allowed else ():
            own = fact.places - facts.about if len(fact.places) > 1 else fact.places
            named = "lanes" if fact.unit.startswith("lane") else fact.role
            if named == role and len(own) == 1 and (role != "gap" or fact.of == ("high", "low")):
                values.setdefault((role, fact.unit), []).append((next(iter(own)), (fact.entry, abs(fact.value))))
    return {key: of for key, of in values.items() if len(of) > 1}


def values_of(
    reader: Reader, scope: Scope, channels: set[str]
) -> dict[tuple[str, str], list[tuple[str, tuple[str, float]]]]:
    """Values of the same quantity and role by place."""
    found: dict[tuple[str, str], list[tuple[str, tuple[str, float]]]] = {}
    roles = {
        "recent": "now",
        "value": "now",
        "first_mean": "mean",
        "second_mean": "mean",
        "mean": "mean",
        "median": "median",
    }
    for facts in reader.facts:
        if facts.entry.id not in reader.allowed(scope.span[1]) or (
            channels and facts.channel and facts.channel not in channels
        ):
            continue
        for fact in facts.numbers:
            if len(fact.places) == 1 and fact.role in roles and fact.group in ("", "ranking", "total"):
                (place,) = fact.places
                found.setdefault((roles[fact.role], f"{fact.channel} {fact.unit}"), []).append(
                    (place, (fact.entry, fact.value))
                )
    if ("now", "") not in found and cues.future(scope.part):
        return {key: value for key, value in found.items() if key[0] == "median"} or found
    now = {key: value for key, value in found.items() if key[0] in ("now",)}
    if now and not cues.AVERAGE.search(scope.sentence):
        return now
    return found


def furthest_above_usual(reader: Reader, scope: Scope) -> tuple[str, str] | None:
    """The place that is furthest above its usual, and its entry."""
    allowed = reader.allowed(scope.span[1])
    levels = [f for facts in reader.facts if facts.entry.id in allowed for f in facts.numbers if f.role == "level"]
    listed = [fact for fact in levels if fact.group == "ranking" and fact.places]
    top = max(listed, key=lambda fact: fact.value, default=None)
    return None if top is None else (next(iter(top.places)), top.entry)
