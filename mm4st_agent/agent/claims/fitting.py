"""Whether the words around a number let it be a given fact of the ledger; each rule names what speaks against it."""

from __future__ import annotations

import re
from datetime import datetime

from mm4st_agent.agent.claims import cues
from mm4st_agent.agent.claims.calls import call_against
from mm4st_agent.agent.claims.fact import Fact
from mm4st_agent.agent.claims.items import item_against
from mm4st_agent.agent.claims.roles import OF_TWO_VALUES, role_against
from mm4st_agent.agent.claims.scope import Scope
from mm4st_agent.agent.claims.tenses import tense_against, time_against

_CLOCK = re.compile(r"\b\d{1,2}:\d\d\b")


_THE_OTHER = re.compile(r"\b(?:leader|runner-up|first|second|third|next|other|top)\b", re.IGNORECASE)
_REMOVED = re.compile(r"\b(?:without|had|if|removing|leaving)\b.*\bwould\b|\bwould\b.*\bwithout\b", re.IGNORECASE)
_LENGTHS = frozenset({"km", "mile", "m"})
SIGNS = ("it is less", "it is more")
"""Why a number does not fit that the words around it give the other sign."""


def why_not(fact: Fact, scope: Scope, clock: datetime | None) -> str:
    """What in the sentence contradicts that its number is this fact; "" where nothing does."""
    return (
        _place(fact, scope)
        or _channel(fact, scope)
        or role_against(fact, scope)
        or call_against(fact, scope)
        or item_against(fact, scope)
        or tense_against(fact, scope)
        or time_against(fact, scope, clock)
        or _sign(fact, scope)
        or _label(fact, scope)
    )


def _place(fact: Fact, scope: Scope) -> str:
    if fact.unit in _LENGTHS:  # "S102 lies 1.4 km from S039"
        before = [
            m for m in scope.reader.mentions if scope.reader.sentence(scope.span[0])[0] <= m.start < scope.span[0]
        ]
        near = frozenset[str]().union(*(mention.places for mention in before))
        return f"that is the value of {', '.join(sorted(fact.places))}" if near and not near & fact.places else ""
    if fact.places and not scope.places and "[" in fact.path and not _extreme(fact, scope) and _of_all(fact, scope):
        return f"that is the value of {', '.join(sorted(fact.places))}"
    if not fact.places and _of_one(fact, scope):
        return "that is of all places together"
    if not fact.places or not scope.places or (fact.label and fact.label in scope.raw):
        return ""
    if fact.places & scope.places:
        other = _THE_OTHER.search(scope.sentence) is not None
        if fact.role in OF_TWO_VALUES and len(fact.places) == 2 and not other and not fact.places <= scope.named_places:
            return "it compares two places that the sentence does not name"
        return ""
    if fact.role in OF_TWO_VALUES and len(fact.places) == 2 and fact.places <= scope.named_places:
        return ""
    return f"that is the value of {', '.join(sorted(fact.places))}"


def _extreme(fact: Fact, scope: Scope) -> bool:
    """Whether a fact is an extreme that the sentence speaks of."""
    words = cues.HIGHEST if fact.extreme > 0 else cues.LOWEST
    return fact.extreme != 0 and words.search(scope.sentence) is not None


def _of_one(fact: Fact, scope: Scope) -> bool:
    """Whether the entry of a fact has the same of a place that the part names."""
    named = frozenset().union(*(mention.places for mention in scope.reader.places(*scope.reader.part(*scope.span))))
    return any(
        other.role == fact.role and other.unit == fact.unit and other.places & named
        for facts in scope.reader.facts
        if facts.entry.id == fact.entry
        for other in facts.numbers
    )


def _of_all(fact: Fact, scope: Scope) -> bool:
    """Whether the entry of a fact has the same of all places together."""
    return any(
        other.role == fact.role and other.unit == fact.unit and not other.places
        for facts in scope.reader.facts
        if facts.entry.id == fact.entry
        for other in facts.numbers
    )


def _channel(fact: Fact, scope: Scope) -> str:
    said = scope.channels(scope.reader.facts)
    units = frozenset().union(*(facts.units for facts in scope.reader.facts if facts.channel in said))
    if fact.channel and said and fact.channel not in said and (scope.bare or not units or fact.unit in units):
        return f"that is a value of {fact.channel}"
    return ""


def _sign(fact: Fact, scope: Scope) -> str:
    if not fact.signed or fact.value == 0 or "size" in fact.role:
        return ""
    said = scope.sign
    own = re.match(
        r"\W*(?:[\w/%³µ]+\s+){0,2}?(?P<word>above|below|more|less|higher|lower|faster|slower|fewer)\b", scope.after
    )
    if own is not None:
        said = cues.sign(own["word"])
    if fact.role in ("effect", "effect_percent") and _REMOVED.search(scope.sentence):
        said = -said  # "without it the forecast would be higher"
    if said and (fact.value > 0) != (said > 0):
        return SIGNS[fact.value > 0]
    return ""


def _label(fact: Fact, scope: Scope) -> str:
    """A number of a driver, or of one model of several, stands with a word of its label."""
    if (
        not fact.label
        or fact.role not in ("effect", "effect_percent")
        or not fact.path.startswith(("drivers", "usual"))
    ):
        return ""
    words = set(re.findall(r"[a-z]{4,}|S?\d[\w:]*", fact.label.casefold()))
    text = scope.raw if scope.raw[:1].isupper() else f"{scope.previous} {scope.raw}"  # behind a semicolon
    said = text.casefold()
    own, told = set(_CLOCK.findall(fact.label)), set(_CLOCK.findall(text))
    if own and told and not own & told:
        return f"that is of {fact.label}"
    if words and not any(word in said for word in words):
        return f"that is of {fact.label}"
    return ""
